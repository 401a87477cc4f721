/* bench_broadcast.c: sends one frame to many connections, from one packet.
 *
 * Launched with "PORT COUNT BYTES SECONDS"; prints READY when it listens. When COUNT connections
 * are there, sends BYTES to all of them in rounds, for SECONDS; each round begins when a client has
 * said that all has arrived (load drain). Prints RESULT ns_each=N: the median round, from the first
 * call until the kernel has it all, divided by COUNT.
 *
 * What was sent leaves when the turn ends. A timer that is set last in the turn fires after that,
 * and is handled by the next turn at the earliest; it adds up to 1 ms to a round. */
#include "skynet_socket.h"

#include "bench.h"

#include <stdbool.h>
#include <string.h>

#define ROUNDS_MAX 100000
#define TIMER_MS 1

struct bench_broadcast {
	int listener;
	long wanted, count;
	size_t size;
	double seconds;
	uint64_t end_ns; /* of the last round to be begun */
	int *ids;
	char *frame;
	uint64_t begin_ns;
	bool is_sent, is_drained; /* both: the round is over */
	double rounds[ROUNDS_MAX];
	size_t round_count;
};

SKYNET_API void *bench_broadcast_create(void);
SKYNET_API void bench_broadcast_release(void *instance);
SKYNET_API int bench_broadcast_init(void *instance, struct skynet_context *ctx, const char *parm);

void *
bench_broadcast_create(void)
{
	return skynet_calloc(1, sizeof(struct bench_broadcast));
}

void
bench_broadcast_release(void *instance)
{
	struct bench_broadcast *self = instance;
	skynet_free(self->ids);
	skynet_free(self->frame);
	skynet_free(self);
}

static void
begin_round(struct bench_broadcast *self, struct skynet_context *ctx)
{
	self->is_sent = false;
	self->is_drained = false;
	self->begin_ns = now_ns();
	struct skynet_packet *packet = skynet_packet_new(self->frame, self->size);
	for (long i = 0; i < self->count; i++) {
		struct socket_sendbuffer out = {
			.id = self->ids[i], .type = SOCKET_BUFFER_OBJECT, .buffer = packet};
		(void)skynet_socket_sendbuffer(ctx, &out); /* a lost one stops the rounds */
	}
	skynet_packet_release(packet);
	(void)skynet_timeout(ctx, TIMER_MS, NULL);
}

static void
end_round(struct bench_broadcast *self, struct skynet_context *ctx)
{
	if (!self->is_sent || !self->is_drained)
		return;
	if (self->round_count < ROUNDS_MAX && now_ns() < self->end_ns) {
		begin_round(self, ctx);
		return;
	}
	printf("RESULT ns_each=%.1f\n", median(self->rounds, self->round_count));
	fflush(stdout);
}

static void
on_accept(struct bench_broadcast *self, struct skynet_context *ctx, int id)
{
	if (self->count == self->wanted)
		return;
	skynet_socket_start(ctx, id);
	self->ids[self->count++] = id;
	if (self->count < self->wanted)
		return;
	self->end_ns = now_ns() + (uint64_t)(self->seconds * 1e9);
	begin_round(self, ctx);
}

static int
callback(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
	 const void *msg, size_t sz)
{
	struct bench_broadcast *self = ud;
	const struct skynet_socket_message *event = msg;
	(void)session;
	(void)source;
	if (type == PTYPE_RESPONSE) {
		self->rounds[self->round_count++] =
			(double)(now_ns() - self->begin_ns) / (double)self->count;
		self->is_sent = true;
		end_round(self, ctx);
	}
	if (type != PTYPE_SOCKET || sz < sizeof *event)
		return SKYNET_DONE;
	if (event->type == SKYNET_SOCKET_TYPE_ACCEPT) {
		on_accept(self, ctx, event->ud);
	} else if (event->type == SKYNET_SOCKET_TYPE_DATA) {
		skynet_free(event->buffer);
		self->is_drained = true;
		end_round(self, ctx);
	}
	return SKYNET_DONE;
}

int
bench_broadcast_init(void *instance, struct skynet_context *ctx, const char *parm)
{
	struct bench_broadcast *self = instance;
	char *end = NULL;
	long port = parm ? strtol(parm, &end, 10) : 0;
	self->wanted = end ? strtol(end, &end, 10) : 0;
	self->size = end ? (size_t)strtol(end, &end, 10) : 0;
	self->seconds = positive_number("SECONDS", end);
	if (self->wanted <= 0 || self->size == 0)
		return 1;
	self->ids = skynet_calloc((size_t)self->wanted, sizeof *self->ids);
	self->frame = skynet_calloc(1, self->size);
	skynet_callback(ctx, self, callback);
	self->listener = skynet_socket_listen(ctx, "127.0.0.1", (int)port, 4096);
	if (self->listener < 0)
		return 1;
	skynet_socket_start(ctx, self->listener);
	printf("READY\n");
	fflush(stdout);
	return 0;
}
