/* bench_ring.c: a thousand services in a ring pass tokens on; a token has no payload.
 *
 * Launched with "TOKENS SECONDS" it is the first member and launches the others ("next HANDLE"),
 * spreads the tokens evenly over the ring, counts those that pass it (each has made a whole round
 * since the last time), prints RESULT per_s=N (hops) and ends the node. */
#include "skynet.h"

#include "bench.h"

#include <inttypes.h>
#include <string.h>

#define RING_SIZE 1000

struct bench_ring {
	uint32_t next;
	uint64_t begin_ns;
	uint64_t limit_ns;
	uint64_t passes;
	uint64_t look_every; /* passes */
};

SKYNET_API void *bench_ring_create(void);
SKYNET_API void bench_ring_release(void *instance);
SKYNET_API int bench_ring_init(void *instance, struct skynet_context *ctx, const char *parm);

void *
bench_ring_create(void)
{
	return skynet_calloc(1, sizeof(struct bench_ring));
}

void
bench_ring_release(void *instance)
{
	skynet_free(instance);
}

static int
member(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
       const void *msg, size_t sz)
{
	struct bench_ring *self = ud;
	(void)source;
	(void)msg;
	(void)sz;
	if (type == PTYPE_TEXT)
		skynet_send(ctx, 0, self->next, PTYPE_TEXT, session, NULL, 0);
	return SKYNET_DONE;
}

static int
leader(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
       const void *msg, size_t sz)
{
	struct bench_ring *self = ud;
	if (type == PTYPE_TEXT && ++self->passes % self->look_every == 0) {
		uint64_t elapsed = now_ns() - self->begin_ns;
		if (elapsed >= self->limit_ns) {
			printf("RESULT per_s=%.0f\n",
			       1e9 * RING_SIZE * (double)self->passes / (double)elapsed);
			fflush(stdout);
			skynet_command(ctx, "ABORT", NULL);
			return SKYNET_DONE;
		}
	}
	return member(ctx, ud, type, session, source, msg, sz);
}

/* Launches the others and puts the tokens down. Returns 0, or 1 when a launch failed. */
static int
lead(struct bench_ring *self, struct skynet_context *ctx, int tokens)
{
	uint32_t handles[RING_SIZE];
	handles[0] = skynet_current_handle();
	self->next = handles[0];
	for (int i = 1; i < RING_SIZE; i++) {
		char launch[64];
		snprintf(launch, sizeof launch, "bench_ring next %" PRIu32, self->next);
		const char *address = skynet_command(ctx, "LAUNCH", launch);
		if (address == NULL)
			return 1;
		self->next = handles[i] = skynet_queryname(ctx, address);
	}
	self->look_every = (uint64_t)tokens;
	self->begin_ns = now_ns();
	for (int i = 0; i < tokens; i++) {
		uint32_t at = handles[(size_t)i * RING_SIZE / (size_t)tokens];
		if (skynet_send(ctx, 0, at, PTYPE_TEXT, 0, NULL, 0) < 0)
			return 1;
	}
	return 0;
}

int
bench_ring_init(void *instance, struct skynet_context *ctx, const char *parm)
{
	struct bench_ring *self = instance;
	char *end;
	if (parm != NULL && strncmp(parm, "next ", 5) == 0) {
		self->next = (uint32_t)strtoul(parm + 5, NULL, 10);
		skynet_callback(ctx, self, member);
		return 0;
	}
	long tokens = parm ? strtol(parm, &end, 10) : 0;
	if (tokens < 1 || tokens > RING_SIZE) {
		skynet_error(ctx, "bench_ring: TOKENS must be 1 to %d", RING_SIZE);
		return 1;
	}
	self->limit_ns = (uint64_t)(positive_number("SECONDS", end) * 1e9);
	skynet_callback(ctx, self, leader);
	return lead(self, ctx, (int)tokens);
}
