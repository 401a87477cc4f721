/* bench_gate.c: a watchdog that only lets connections in: what a gate costs by itself.
 *
 * Launched with "PORT COUNT": launches a gate, prints READY, lets it read from every connection,
 * and after COUNT connections prints RESULT end_ns=N (the monotonic clock). It keeps nothing
 * itself. */
#include "skynet.h"

#include "bench.h"

#include <string.h>

/* More than a benchmark opens. */
#define GATE_MAX 60000

struct bench_gate {
	uint32_t gate;
	long wanted;
	long opened;
};

SKYNET_API void *bench_gate_create(void);
SKYNET_API void bench_gate_release(void *instance);
SKYNET_API int bench_gate_init(void *instance, struct skynet_context *ctx, const char *parm);

void *
bench_gate_create(void)
{
	return skynet_calloc(1, sizeof(struct bench_gate));
}

void
bench_gate_release(void *instance)
{
	skynet_free(instance);
}

static int
callback(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
	 const void *msg, size_t sz)
{
	struct bench_gate *self = ud;
	char text[64], command[32];
	(void)session;
	if (type != PTYPE_TEXT || source != self->gate || sz >= sizeof text)
		return SKYNET_DONE;
	memcpy(text, msg, sz);
	text[sz] = '\0';
	char *end;
	long id = strtol(text, &end, 10);
	if (strncmp(end, " open ", 6) != 0)
		return SKYNET_DONE;
	int length = snprintf(command, sizeof command, "start %ld", id);
	skynet_send(ctx, 0, source, PTYPE_TEXT, 0, command, (size_t)length);
	if (++self->opened == self->wanted) {
		printf("RESULT end_ns=%llu\n", (unsigned long long)now_ns());
		fflush(stdout);
	}
	return SKYNET_DONE;
}

int
bench_gate_init(void *instance, struct skynet_context *ctx, const char *parm)
{
	struct bench_gate *self = instance;
	char launch[96], *end = NULL;
	long port = parm ? strtol(parm, &end, 10) : 0;
	self->wanted = (long)positive_number("COUNT", end);
	skynet_callback(ctx, self, callback);
	snprintf(launch, sizeof launch, "gate S :%08x 127.0.0.1:%ld %d %d", skynet_current_handle(),
		 port, PTYPE_CLIENT, GATE_MAX);
	const char *address = skynet_command(ctx, "LAUNCH", launch);
	if (address == NULL)
		return 1;
	self->gate = skynet_queryname(ctx, address);
	printf("READY\n");
	fflush(stdout);
	return 0;
}
