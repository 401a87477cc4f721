/* client.c: writes to one connection: every message becomes a frame.
 *
 * Launch     client ID, the connection id that the gate told.
 * Messages   Any type, but for errors: the bytes go out behind their length, 2 bytes big-endian. An
 *            error (PTYPE_ERROR) says that a service which got a frame of this connection has
 *            ended; it is meant for no client. So an agent answers with a send to this service, or
 *            with an ordinary response, since the frames it gets have this service as their source.
 * Ownership  The gate owns the socket; this service only writes to it, and stays when it is closed
 *            until whoever launched it ends it.
 * Threads    [turn], as every service. */
#include "skynet.h"
#include "skynet_socket.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_BYTES 2
/* What the header can say. */
#define FRAME_BYTES_MAX 65535

struct client {
	int id;
	bool is_closed_told; /* the log has a line about the closed connection */
};

SKYNET_API struct client *client_create(void);
SKYNET_API void client_release(struct client *client);
SKYNET_API int client_init(struct client *client, struct skynet_context *ctx, const char *parm);

struct client *
client_create(void)
{
	return skynet_calloc(1, sizeof(struct client));
}

void
client_release(struct client *client)
{
	skynet_free(client);
}

static int
callback(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
	 const void *msg, size_t sz)
{
	struct client *client = ud;
	if (type == PTYPE_ERROR)
		return SKYNET_DONE;
	if (sz > FRAME_BYTES_MAX) {
		skynet_error(ctx,
			     "Client frame too long : Drop message of %zu bytes from %x, a frame "
			     "holds %d",
			     sz, source, FRAME_BYTES_MAX);
		return SKYNET_DONE;
	}
	unsigned char *frame = skynet_malloc(HEADER_BYTES + sz);
	frame[0] = (unsigned char)(sz >> 8);
	frame[1] = (unsigned char)sz;
	if (sz > 0)
		memcpy(frame + HEADER_BYTES, msg, sz);
	struct socket_sendbuffer buffer = {client->id, SOCKET_BUFFER_MEMORY, frame,
					   HEADER_BYTES + sz};
	if (skynet_socket_sendbuffer(ctx, &buffer) != 0 && !client->is_closed_told) {
		client->is_closed_told = true; /* what follows has the same fate */
		skynet_error(ctx, "Client socket error : Drop message from %x session = %d", source,
			     session);
	}
	return SKYNET_DONE;
}

int
client_init(struct client *client, struct skynet_context *ctx, const char *parm)
{
	char *end = NULL;
	errno = 0;
	long id = parm != NULL ? strtol(parm, &end, 10) : 0;
	if (id <= 0 || id > INT_MAX || errno != 0 || *end != '\0') {
		skynet_error(ctx, "Invalid client parm %s: the id of a connection is needed",
			     parm != NULL ? parm : "");
		return 1;
	}
	client->id = (int)id;
	skynet_callback(ctx, client, callback);
	return 0;
}
