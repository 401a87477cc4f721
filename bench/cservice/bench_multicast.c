/* bench_multicast.c: one message to a group of many services, again and again.
 *
 * Launched with "MEMBERS SIZE SECONDS" it launches the members ("member HANDLE"), puts them into
 * group 1, and sends SIZE bytes to the group each time that all members have got the last; whoever
 * was the last tells it. Prints RESULT per_s=N (deliveries) packets=N (blocks of bytes a message
 * was in, as seen by the members) grown_mb=N (resident memory), and ends the node. */
#include "skynet.h"

#include "bench.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#define COUNTERS 64

/* How many have yet to get the message under way. In parts, so that the workers do not wait for
 * each other's cache line: a member counts in the part of its address. */
struct counter {
	_Alignas(64) _Atomic uint64_t left;
	uint64_t members;
};

static struct counter counters[COUNTERS];
static _Atomic uint64_t counters_left;
/* Where the bytes were for the first who got them; whoever sees others has got a copy. */
static _Atomic(const void *) shared;
static _Atomic uint64_t copies;

struct bench_multicast {
	/* Of a member. */
	uint32_t leader;
	struct counter *counter;
	/* Of the leader. */
	uint32_t group;
	uint64_t members;
	size_t size;
	char *bytes;
	uint64_t rounds;
	uint64_t begin_bytes; /* resident memory */
	uint64_t begin_ns;
	uint64_t limit_ns;
};

SKYNET_API void *bench_multicast_create(void);
SKYNET_API void bench_multicast_release(void *instance);
SKYNET_API int bench_multicast_init(void *instance, struct skynet_context *ctx, const char *parm);

void *
bench_multicast_create(void)
{
	return skynet_calloc(1, sizeof(struct bench_multicast));
}

void
bench_multicast_release(void *instance)
{
	struct bench_multicast *self = instance;
	skynet_free(self->bytes);
	skynet_free(self);
}

static void
note_bytes(const void *bytes)
{
	const void *first = atomic_load_explicit(&shared, memory_order_relaxed);
	if (first == NULL && atomic_compare_exchange_strong(&shared, &first, bytes))
		return;
	if (first != bytes)
		atomic_fetch_add_explicit(&copies, 1, memory_order_relaxed);
}

static int
member(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
       const void *msg, size_t sz)
{
	const struct bench_multicast *self = ud;
	(void)type, (void)session, (void)source, (void)sz;
	note_bytes(msg);
	if (atomic_fetch_sub_explicit(&self->counter->left, 1, memory_order_acq_rel) == 1 &&
	    atomic_fetch_sub_explicit(&counters_left, 1, memory_order_acq_rel) == 1)
		skynet_send(ctx, 0, self->leader, PTYPE_TEXT, 0, NULL, 0);
	return SKYNET_DONE;
}

static void
begin_round(struct bench_multicast *self, struct skynet_context *ctx)
{
	uint64_t used = 0;
	for (int i = 0; i < COUNTERS; i++) {
		atomic_store_explicit(&counters[i].left, counters[i].members, memory_order_relaxed);
		used += counters[i].members > 0;
	}
	atomic_store_explicit(&counters_left, used, memory_order_relaxed);
	atomic_store_explicit(&shared, NULL, memory_order_relaxed);
	skynet_send(ctx, 0, self->group, PTYPE_CLIENT, 0, self->bytes, self->size);
}

/* The first message has come before any round, from init. */
static int
leader(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
       const void *msg, size_t sz)
{
	struct bench_multicast *self = ud;
	(void)type, (void)session, (void)source, (void)msg, (void)sz;
	uint64_t elapsed = now_ns() - self->begin_ns;
	if (++self->rounds > 1 && elapsed >= self->limit_ns) {
		double deliveries = (double)self->members * (double)(self->rounds - 1);
		double packets = 1 + (double)atomic_load(&copies) / (double)(self->rounds - 1);
		uint64_t grown = resident_bytes() - self->begin_bytes;
		printf("RESULT per_s=%.0f packets=%.0f grown_mb=%.2f\n",
		       1e9 * deliveries / (double)elapsed, packets, (double)grown / 1e6);
		(void)fflush(stdout);
		skynet_command(ctx, "ABORT", NULL);
		return SKYNET_DONE;
	}
	if (self->rounds == 1) {
		self->begin_bytes = resident_bytes();
		self->begin_ns = now_ns();
	}
	begin_round(self, ctx);
	return SKYNET_DONE;
}

/* Launches the members. Returns 0, or 1 when a launch failed. */
static int
lead(struct bench_multicast *self, struct skynet_context *ctx)
{
	char launch[64];
	snprintf(launch, sizeof launch, "bench_multicast member %" PRIu32, skynet_current_handle());
	for (uint64_t i = 0; i < self->members; i++) {
		const char *address = skynet_command(ctx, "LAUNCH", launch);
		if (address == NULL)
			return 1;
		char enter[64];
		snprintf(enter, sizeof enter, "ENTER 1 %s", address);
		skynet_command(ctx, "GROUP", enter);
	}
	const char *address = skynet_command(ctx, "GROUP", "QUERY 1");
	if (address == NULL)
		return 1;
	self->group = skynet_queryname(ctx, address);
	self->bytes = skynet_calloc(1, self->size);
	return skynet_send(ctx, 0, skynet_current_handle(), PTYPE_TEXT, 0, NULL, 0) < 0;
}

int
bench_multicast_init(void *instance, struct skynet_context *ctx, const char *parm)
{
	struct bench_multicast *self = instance;
	char *end;
	if (parm != NULL && strncmp(parm, "member ", 7) == 0) {
		self->leader = (uint32_t)strtoul(parm + 7, NULL, 10);
		self->counter = &counters[skynet_current_handle() % COUNTERS];
		self->counter->members++; /* all are launched on the leader's thread */
		skynet_callback(ctx, self, member);
		return 0;
	}
	self->members = strtoull(parm ? parm : "", &end, 10);
	self->size = strtoull(end, &end, 10);
	if (self->members == 0 || self->size == 0) {
		skynet_error(ctx, "bench_multicast: MEMBERS and SIZE must be above 0");
		return 1;
	}
	self->limit_ns = (uint64_t)(positive_number("SECONDS", end) * 1e9);
	skynet_callback(ctx, self, leader);
	return lead(self, ctx);
}
