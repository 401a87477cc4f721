/* bench_pair.c: two services that send one message without payload to and fro.
 *
 * Launched with "SECONDS" it launches its partner ("pong"), measures, prints RESULT per_s=N
 * (messages, both ways counted) and ends the node. */
#include "skynet.h"

#include "bench.h"

#include <string.h>

struct bench_pair {
	uint64_t begin_ns;
	uint64_t limit_ns;
	uint64_t count;
};

SKYNET_API void *bench_pair_create(void);
SKYNET_API void bench_pair_release(void *instance);
SKYNET_API int bench_pair_init(void *instance, struct skynet_context *ctx, const char *parm);

void *
bench_pair_create(void)
{
	return skynet_calloc(1, sizeof(struct bench_pair));
}

void
bench_pair_release(void *instance)
{
	skynet_free(instance);
}

static int
pong(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source, const void *msg,
     size_t sz)
{
	(void)ud;
	(void)msg;
	(void)sz;
	if (type == PTYPE_TEXT)
		skynet_send(ctx, 0, source, PTYPE_TEXT, session, NULL, 0);
	return SKYNET_DONE;
}

static int
ping(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source, const void *msg,
     size_t sz)
{
	struct bench_pair *self = ud;
	(void)msg;
	(void)sz;
	if (type != PTYPE_TEXT)
		return SKYNET_DONE;
	self->count++;
	if (self->count % CLOCK_STRIDE == 0) {
		uint64_t elapsed = now_ns() - self->begin_ns;
		if (elapsed >= self->limit_ns) {
			printf("RESULT per_s=%.0f\n", 2e9 * (double)self->count / (double)elapsed);
			fflush(stdout);
			skynet_command(ctx, "ABORT", NULL);
			return SKYNET_DONE;
		}
	}
	skynet_send(ctx, 0, source, PTYPE_TEXT, session, NULL, 0);
	return SKYNET_DONE;
}

int
bench_pair_init(void *instance, struct skynet_context *ctx, const char *parm)
{
	struct bench_pair *self = instance;
	if (parm != NULL && strcmp(parm, "pong") == 0) {
		skynet_callback(ctx, self, pong);
		return 0;
	}
	self->limit_ns = (uint64_t)(positive_number("SECONDS", parm) * 1e9);
	skynet_callback(ctx, self, ping);
	const char *partner = skynet_command(ctx, "LAUNCH", "bench_pair pong");
	if (partner == NULL)
		return 1;
	self->begin_ns = now_ns();
	return skynet_sendname(ctx, 0, partner, PTYPE_TEXT, 0, NULL, 0) < 0;
}
