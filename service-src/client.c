/* client.c: writes to one connection: every message becomes a frame.
 *
 * Launch     client ID [FRAMING [KEY=VALUE ...]]: the connection's id, that the gate told, and the
 *            framing that the gate was launched with (framing.h); S if there is none.
 * Messages   Any type, but for errors: the bytes go out as a frame. An error (PTYPE_ERROR) says
 *            that a service which got a frame of this connection has ended; it is meant for no
 *            client. So an agent answers with a send to this service, or with an ordinary response,
 *            since the frames it gets have this service as their source.
 * Ownership  The gate owns the socket; this service only writes to it, and stays when it is closed
 *            until whoever launched it ends it.
 * Threads    [turn], as every service. */
#include "framing.h"
#include "skynet.h"
#include "skynet_socket.h"

#include <limits.h>

struct client {
	int id;
	struct framing framing;
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

/* The bytes as a frame, given. size: receives its own. */
static unsigned char *
make_frame(const struct framing *framing, const void *bytes, size_t count, size_t *size)
{
	unsigned char *frame = skynet_malloc(FRAMING_HEAD_MAX + count + FRAMING_DELIMITER_MAX);
	size_t at = framing_put_head(framing, count, frame);
	if (count > 0)
		memcpy(frame + at, bytes, count);
	at += count;
	memcpy(frame + at, framing->delimiter, framing->delimiter_size);
	*size = at + framing->delimiter_size;
	return frame;
}

static int
callback(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
	 const void *msg, size_t sz)
{
	struct client *client = ud;
	if (type == PTYPE_ERROR)
		return SKYNET_DONE;
	if (sz > framing_longest(&client->framing)) {
		skynet_error(ctx,
			     "Client frame too long : Drop message of %zu bytes from %x, a frame "
			     "holds %zu",
			     sz, source, (size_t)framing_longest(&client->framing));
		return SKYNET_DONE;
	}
	struct socket_sendbuffer buffer = {client->id, SOCKET_BUFFER_MEMORY, NULL, 0};
	buffer.buffer = make_frame(&client->framing, msg, sz, &buffer.sz);
	if (skynet_socket_sendbuffer(ctx, &buffer) != 0 && !client->is_closed_told) {
		client->is_closed_told = true; /* what follows has the same fate */
		skynet_error(ctx, "Client socket error : Drop message from %x session = %d", source,
			     session);
	}
	return SKYNET_DONE;
}

/* Cuts the next word off *rest, which is changed; "" at the end. */
static char *
next_word(char **rest)
{
	char *word = *rest + strspn(*rest, " ");
	char *end = word + strcspn(word, " ");
	*rest = *end != '\0' ? end + 1 : end;
	*end = '\0';
	return word;
}

/* Reads one word KEY=VALUE. Returns whether it is right. */
static bool
read_option(struct framing *framing, char *word)
{
	char *value = strchr(word, '=');
	if (value == NULL)
		return false;
	*value++ = '\0';
	ptrdiff_t size = framing_decode(value);
	return size >= 0 && framing_set(framing, word, value, (size_t)size) == FRAMING_OPTION_SET;
}

/* Reads the launch text. Returns what is wrong with it, or NULL. */
static const char *
read_launch(struct client *client, char *rest)
{
	const char *number = next_word(&rest);
	const char *name = next_word(&rest);
	char *end;
	errno = 0;
	long id = strtol(number, &end, 10);
	if (id <= 0 || id > INT_MAX || errno != 0 || *end != '\0')
		return "the id of a connection is needed";
	client->id = (int)id;
	if (!framing_choose(&client->framing, *name != '\0' ? name : "S"))
		return "there is no such framing";
	for (char *word = next_word(&rest); *word != '\0'; word = next_word(&rest)) {
		if (!read_option(&client->framing, word))
			return "an option is unknown, or its value is wrong";
	}
	return framing_is_complete(&client->framing) ? NULL : "the delimiter is missing";
}

int
client_init(struct client *client, struct skynet_context *ctx, const char *parm)
{
	char *text = skynet_strdup(parm != NULL ? parm : "");
	const char *fault = read_launch(client, text);
	skynet_free(text);
	if (fault != NULL) {
		skynet_error(ctx, "Invalid client parm %s: %s", parm != NULL ? parm : "", fault);
		return 1;
	}
	skynet_callback(ctx, client, callback);
	return 0;
}
