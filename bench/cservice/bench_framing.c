/* bench_framing.c: a gate whose frames one service sends back: what a framing costs.
 *
 * Launched with "PORT FRAMING"; launches a gate with itself as watchdog and broker, and prints
 * READY. Each frame goes back with what the framing puts around it, written as the client service
 * does. */
#include "../../service-src/framing.h"
#include "skynet.h"
#include "skynet_socket.h"

#include "bench.h"

/* More than a benchmark opens. */
#define GATE_MAX 60000

struct bench_framing {
	struct framing framing;
	uint32_t gate;
};

SKYNET_API void *bench_framing_create(void);
SKYNET_API void bench_framing_release(void *instance);
SKYNET_API int bench_framing_init(void *instance, struct skynet_context *ctx, const char *parm);

void *
bench_framing_create(void)
{
	return skynet_calloc(1, sizeof(struct bench_framing));
}

void
bench_framing_release(void *instance)
{
	skynet_free(instance);
}

static void
send_back(const struct bench_framing *self, struct skynet_context *ctx, int id, const void *bytes,
	  size_t size)
{
	unsigned char *frame = skynet_malloc(FRAMING_HEAD_MAX + size + FRAMING_DELIMITER_MAX);
	size_t at = framing_put_head(&self->framing, size, frame);
	memcpy(frame + at, bytes, size);
	memcpy(frame + at + size, self->framing.delimiter, self->framing.delimiter_size);
	struct socket_sendbuffer out = {.id = id,
					.type = SOCKET_BUFFER_MEMORY,
					.buffer = frame,
					.sz = at + size + self->framing.delimiter_size};
	(void)skynet_socket_sendbuffer(ctx, &out); /* it may just have closed */
}

/* Lets a new connection in. */
static void
on_text(const struct bench_framing *self, struct skynet_context *ctx, const char *msg, size_t sz)
{
	char text[64], command[32], *end;
	if (sz >= sizeof text)
		return;
	memcpy(text, msg, sz);
	text[sz] = '\0';
	long id = strtol(text, &end, 10);
	if (strncmp(end, " open ", 6) != 0)
		return;
	int length = snprintf(command, sizeof command, "start %ld", id);
	skynet_send(ctx, 0, self->gate, PTYPE_TEXT, 0, command, (size_t)length);
}

static int
callback(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
	 const void *msg, size_t sz)
{
	struct bench_framing *self = ud;
	if (type == PTYPE_CLIENT)
		send_back(self, ctx, session, msg, sz);
	else if (type == PTYPE_TEXT && source == self->gate)
		on_text(self, ctx, msg, sz);
	return SKYNET_DONE;
}

int
bench_framing_init(void *instance, struct skynet_context *ctx, const char *parm)
{
	struct bench_framing *self = instance;
	char launch[160], *end = NULL;
	uint32_t me = skynet_current_handle();
	long port = parm ? strtol(parm, &end, 10) : 0;
	const char *name = end ? end + strspn(end, " ") : "";
	if (!framing_choose(&self->framing, name))
		return 1;
	skynet_callback(ctx, self, callback);
	snprintf(launch, sizeof launch, "gate %s :%08x 127.0.0.1:%ld %d %d broker=:%08x", name, me,
		 port, PTYPE_CLIENT, GATE_MAX, me);
	const char *address = skynet_command(ctx, "LAUNCH", launch);
	if (address == NULL)
		return 1;
	self->gate = skynet_queryname(ctx, address);
	printf("READY\n");
	fflush(stdout);
	return 0;
}
