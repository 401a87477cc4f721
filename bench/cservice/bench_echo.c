/* bench_echo.c: sends every whole frame back to the connection it came from.
 *
 * Launched with "PORT", or "PORT CERTIFICATE" to speak TLS with what is in that file; prints READY
 * when it listens.
 *
 * I1  partial[id % CONNECTIONS_MAX] holds the beginning of a frame of connection id whose rest has
 *     not come yet; at most that many sockets exist at once. */
#include "skynet_socket.h"

#include "bench.h"

#include <string.h>

#define CONNECTIONS_MAX 65536
#define BACKLOG 4096

struct bytes {
	unsigned char *at;
	size_t size;
};

struct bench_echo {
	int listener;
	struct bytes partial[CONNECTIONS_MAX]; /* I1 */
};

SKYNET_API void *bench_echo_create(void);
SKYNET_API void bench_echo_release(void *instance);
SKYNET_API int bench_echo_init(void *instance, struct skynet_context *ctx, const char *parm);

void *
bench_echo_create(void)
{
	return skynet_calloc(1, sizeof(struct bench_echo));
}

void
bench_echo_release(void *instance)
{
	struct bench_echo *self = instance;
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		skynet_free(self->partial[i].at);
	skynet_free(self);
}

static struct bytes *
partial_of(struct bench_echo *self, int id)
{
	return &self->partial[(unsigned)id % CONNECTIONS_MAX];
}

static void
forget(struct bench_echo *self, int id)
{
	struct bytes *partial = partial_of(self, id);
	skynet_free(partial->at);
	*partial = (struct bytes){0};
}

/* Puts what waits in front of the chunk. chunk: taken. Returns what the caller then owns. */
static unsigned char *
join(struct bytes *partial, unsigned char *chunk, size_t *size)
{
	if (partial->size == 0)
		return chunk;
	unsigned char *joined = skynet_realloc(partial->at, partial->size + *size);
	memcpy(joined + partial->size, chunk, *size);
	skynet_free(chunk);
	*size += partial->size;
	*partial = (struct bytes){0};
	return joined;
}

/* chunk: taken. */
static void
on_data(struct bench_echo *self, struct skynet_context *ctx, int id, unsigned char *chunk,
	size_t size)
{
	struct bytes *partial = partial_of(self, id);
	unsigned char *bytes = join(partial, chunk, &size);
	size_t whole = whole_frames(bytes, size);
	if (whole < size) {
		partial->size = size - whole;
		partial->at = skynet_malloc(partial->size);
		memcpy(partial->at, bytes + whole, partial->size);
	}
	struct socket_sendbuffer out = {
		.id = id, .type = SOCKET_BUFFER_MEMORY, .buffer = bytes, .sz = whole};
	if (whole == 0)
		skynet_free(bytes);
	else if (skynet_socket_sendbuffer(ctx, &out) != 0)
		skynet_socket_shutdown(ctx, id);
}

static int
callback(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
	 const void *msg, size_t sz)
{
	struct bench_echo *self = ud;
	const struct skynet_socket_message *event = msg;
	(void)session;
	(void)source;
	if (type != PTYPE_SOCKET || sz < sizeof *event)
		return SKYNET_DONE;
	switch (event->type) {
	case SKYNET_SOCKET_TYPE_DATA:
		on_data(self, ctx, event->id, (unsigned char *)event->buffer, (size_t)event->ud);
		break;
	case SKYNET_SOCKET_TYPE_ACCEPT:
		skynet_socket_start(ctx, event->ud);
		skynet_socket_nodelay(ctx, event->ud);
		break;
	case SKYNET_SOCKET_TYPE_CLOSE:
	case SKYNET_SOCKET_TYPE_ERROR:
		forget(self, event->id);
		if (event->id != self->listener)
			skynet_socket_close(ctx, event->id);
		break;
	}
	return SKYNET_DONE;
}

int
bench_echo_init(void *instance, struct skynet_context *ctx, const char *parm)
{
	struct bench_echo *self = instance;
	int port = (int)positive_number("PORT", parm);
	skynet_callback(ctx, self, callback);
	const char *blank = strchr(parm, ' ');
	const struct skynet_tls_options tls = {.certificate = blank ? blank + 1 : NULL};
	const struct skynet_socket_options options = {.tls = blank ? &tls : NULL};
	self->listener = skynet_socket_listen_with(ctx, "127.0.0.1", port, BACKLOG, &options);
	if (self->listener < 0)
		return 1;
	skynet_socket_start(ctx, self->listener);
	printf("READY\n");
	fflush(stdout);
	return 0;
}
