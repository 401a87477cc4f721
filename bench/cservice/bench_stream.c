/* bench_stream.c: messages one way, as fast as they go, to a service of another node.
 *
 * Launched with "sink" it takes messages, and answers each request. Launched with
 * "SINK BYTES BATCH SECONDS" it sends messages of so many bytes to the handle SINK, BATCH of them
 * at a time; the last of a batch is a request. So what is under way has a bound: each answer begins
 * another batch, BATCHES_AHEAD of them are on their way. In the end it prints RESULT per_s=N,
 * counting what was surely handled, and ends the node. */
#include "skynet.h"

#include "bench.h"

#include <string.h>

#define BATCHES_AHEAD 4

struct bench_stream {
	uint32_t sink;
	size_t bytes;
	int batch;
	uint64_t begin_ns;
	uint64_t limit_ns;
	uint64_t handled;
	char *payload;
};

SKYNET_API void *bench_stream_create(void);
SKYNET_API void bench_stream_release(void *instance);
SKYNET_API int bench_stream_init(void *instance, struct skynet_context *ctx, const char *parm);

void *
bench_stream_create(void)
{
	return skynet_calloc(1, sizeof(struct bench_stream));
}

void
bench_stream_release(void *instance)
{
	struct bench_stream *self = instance;
	skynet_free(self->payload);
	skynet_free(self);
}

static int
take(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source, const void *msg,
     size_t sz)
{
	(void)ud;
	(void)msg;
	(void)sz;
	if (type == PTYPE_TEXT && session != 0)
		skynet_send(ctx, 0, source, PTYPE_RESPONSE, session, NULL, 0);
	return SKYNET_DONE;
}

static void
end_with(struct skynet_context *ctx, const char *line)
{
	printf("%s\n", line);
	fflush(stdout);
	skynet_command(ctx, "ABORT", NULL);
}

static void
send_batch(struct skynet_context *ctx, struct bench_stream *self)
{
	for (int i = 1; i < self->batch; i++)
		skynet_send(ctx, 0, self->sink, PTYPE_TEXT, 0, self->payload, self->bytes);
	if (skynet_send(ctx, 0, self->sink, PTYPE_TEXT | PTYPE_TAG_ALLOCSESSION, 0, self->payload,
			self->bytes) < 0)
		end_with(ctx, "a batch was refused");
}

static int
go_on(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source, const void *msg,
      size_t sz)
{
	struct bench_stream *self = ud;
	(void)session;
	(void)source;
	if (type == PTYPE_ERROR) {
		fprintf(stderr, "bench_stream: %.*s\n", (int)sz, (const char *)msg);
		end_with(ctx, "a batch has failed");
	}
	if (type != PTYPE_RESPONSE)
		return SKYNET_DONE;
	self->handled += (uint64_t)self->batch;
	uint64_t elapsed = now_ns() - self->begin_ns;
	if (elapsed < self->limit_ns) {
		send_batch(ctx, self);
	} else if (self->limit_ns > 0) {
		char line[64];
		self->limit_ns =
			0; /* of the batches that are still on their way, nothing is told */
		snprintf(line, sizeof line, "RESULT per_s=%.0f",
			 1e9 * (double)self->handled / (double)elapsed);
		end_with(ctx, line);
	}
	return SKYNET_DONE;
}

int
bench_stream_init(void *instance, struct skynet_context *ctx, const char *parm)
{
	struct bench_stream *self = instance;
	if (strcmp(parm, "sink") == 0) {
		skynet_callback(ctx, self, take);
		return 0;
	}
	double seconds;
	if (sscanf(parm, "%u %zu %d %lf", &self->sink, &self->bytes, &self->batch, &seconds) != 4) {
		skynet_error(ctx, "bench_stream: sink or SINK BYTES BATCH SECONDS, not '%s'", parm);
		return 1;
	}
	self->payload = skynet_calloc(1, self->bytes + 1);
	self->limit_ns = (uint64_t)(seconds * 1e9);
	self->begin_ns = now_ns();
	skynet_callback(ctx, self, go_on);
	for (int i = 0; i < BATCHES_AHEAD; i++)
		send_batch(ctx, self);
	return 0;
}
