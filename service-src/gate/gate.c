/* gate.c: the gate: takes in clients on a TCP port and cuts what they send into messages.
 *
 * Launch     gate H WATCHDOG BINDING TAG MAX
 *              H         S: frames have a 2-byte length, L: a 4-byte one; big-endian
 *              WATCHDOG  ":hex" or ".name": the service that is told of every client; "!": none
 *              BINDING   PORT or HOST:PORT ("[::1]:8888" for IPv6)
 *              TAG       type of the messages that carry frames; 0: PTYPE_CLIENT
 *              MAX       most connections at a time
 *            It listens before launch returns. See docs/gate.md for the dialogue.
 * Threads    [turn], as every service. */
#include "gate.h"

#include <stdlib.h>
#include <string.h>

/* The kernel lowers it to what the system allows. */
#define BACKLOG 65535

SKYNET_API struct gate *gate_create(void);
SKYNET_API void gate_release(struct gate *gate);
SKYNET_API int gate_init(struct gate *gate, struct skynet_context *ctx, const char *parm);

struct gate *
gate_create(void)
{
	return skynet_calloc(1, sizeof(struct gate));
}

void
gate_release(struct gate *gate)
{
	gate_connections_fini(gate); /* the sockets are closed with their owner */
	skynet_free(gate);
}

/* Writes raw bytes to a connection whose id stands behind them, little-endian. */
static int
on_client(struct gate *gate, uint32_t source, const void *msg, size_t sz)
{
	if (sz <= 4) {
		skynet_error(gate->ctx, "Invalid client message from %x", source);
		return SKYNET_DONE;
	}
	const unsigned char *tail = (const unsigned char *)msg + sz - 4;
	uint32_t id = (uint32_t)tail[0] | (uint32_t)tail[1] << 8 | (uint32_t)tail[2] << 16 |
		      (uint32_t)tail[3] << 24;
	if (id > INT32_MAX || gate_connection_find(gate, (int)id) == NULL) {
		skynet_error(gate->ctx, "Invalid client id %d from %x", (int)id, source);
		return SKYNET_DONE;
	}
	struct socket_sendbuffer buffer = {(int)id, SOCKET_BUFFER_MEMORY, msg, sz - 4};
	(void)skynet_socket_sendbuffer(gate->ctx, &buffer); /* it may just have closed */
	return SKYNET_KEPT;
}

/* What happened to the listening socket. */
static void
on_listener(struct gate *gate, const struct skynet_socket_message *event, const char *text,
	    size_t text_size)
{
	if (event->type == SKYNET_SOCKET_TYPE_ACCEPT)
		gate_connection_open(gate, event->ud, text, text_size);
	else if (event->type == SKYNET_SOCKET_TYPE_ERROR)
		gate_log(gate, "[gate] Cannot accept : %.*s", (int)text_size, text);
}

/* What happened to a connection. */
static void
on_connection(struct gate *gate, struct gate_connection *connection,
	      const struct skynet_socket_message *event, const char *text, size_t text_size)
{
	switch (event->type) {
	case SKYNET_SOCKET_TYPE_DATA:
		if (connection->state == GATE_OPEN)
			gate_input(gate, connection, event->buffer, (size_t)event->ud);
		break;
	case SKYNET_SOCKET_TYPE_CLOSE:
		gate_input_ended(gate, connection);
		break;
	case SKYNET_SOCKET_TYPE_ERROR:
		/* A client that has ended its stream may leave before its answers have come. */
		if (connection->state == GATE_OPEN)
			gate_log(gate, "[gate] Connection %d : %.*s", event->id, (int)text_size,
				 text);
		gate_connection_break(gate, connection);
		break;
	case SKYNET_SOCKET_TYPE_WARNING:
		if (connection->state != GATE_OPEN)
			break;
		if (event->ud > 0)
			gate_connection_hold(gate, connection, GATE_HELD_BY_OUTPUT);
		else
			gate_input_release(gate, connection, GATE_HELD_BY_OUTPUT);
		break;
	default: /* CONNECT: a start was heard */
		break;
	}
}

static void
on_socket(struct gate *gate, const struct skynet_socket_message *event, size_t sz)
{
	const char *text = (const char *)(event + 1);
	size_t text_size = event->buffer == NULL ? sz - sizeof(*event) : 0;
	if (event->type == SKYNET_SOCKET_TYPE_ACCEPT && event->id != gate->listener) {
		skynet_socket_close(gate->ctx, event->ud); /* accepted before `close` was heard */
	} else if (event->id == gate->listener) {
		on_listener(gate, event, text, text_size);
	} else {
		struct gate_connection *connection = gate_connection_find(gate, event->id);
		if (connection != NULL)
			on_connection(gate, connection, event, text, text_size);
	}
	skynet_free(event->buffer);
}

/* A probe came back, or the time for a look at the lingering connections has come. */
static void
on_response(struct gate *gate, int session, uint32_t source)
{
	if (source == 0) {
		if (session == gate->timer_session)
			gate_connection_tick(gate);
		return;
	}
	struct gate_connection *connection = gate_connection_take_probe(gate, session, source);
	if (connection == NULL)
		return;
	if (connection->state == GATE_OPEN)
		gate_input_caught_up(gate, connection);
	else
		gate_connection_settle(gate, connection);
}

static int
callback(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
	 const void *msg, size_t sz)
{
	struct gate *gate = ud;
	(void)ctx; /* the same as gate->ctx */
	switch (type) {
	case PTYPE_TEXT:
		gate_command(gate, session, source, msg, sz);
		return SKYNET_DONE;
	case PTYPE_CLIENT:
		return on_client(gate, source, msg, sz);
	case PTYPE_SOCKET:
		on_socket(gate, msg, sz);
		return SKYNET_DONE;
	case PTYPE_RESPONSE:
	case PTYPE_ERROR:
		on_response(gate, session, source);
		return SKYNET_DONE;
	default:
		gate_answer(gate, source, session, PTYPE_ERROR,
			    "it knows commands in text, and frames, only");
		return SKYNET_DONE;
	}
}

/* Splits "PORT" or "HOST:PORT", in place; brackets around HOST are dropped. */
static bool
parse_binding(char *binding, const char **host, int *port)
{
	char *colon = strrchr(binding, ':');
	*host = NULL;
	if (colon == NULL)
		return gate_parse_number(binding, 0, 65535, port);
	*colon = '\0';
	if (*binding == '[' && colon[-1] == ']') {
		colon[-1] = '\0';
		binding++;
	}
	*host = binding;
	return gate_parse_number(colon + 1, 0, 65535, port);
}

/* Listens. Returns whether it could; if not, a line says why. */
static bool
listen_on(struct gate *gate, const char *address)
{
	char *binding = skynet_strdup(address);
	const char *host;
	int port;
	int id = -1;
	if (!parse_binding(binding, &host, &port))
		skynet_error(gate->ctx, "Invalid gate address %s", address);
	else
		id = skynet_socket_listen(gate->ctx, host, port, BACKLOG); /* logs its failure */
	skynet_free(binding);
	if (id < 0)
		return false;
	gate->listener = id;
	skynet_socket_start(gate->ctx, id);
	return true;
}

/* Reads the launch text, which is cut into words in place; parm is the same text, whole. Returns
 * whether the gate listens now; if not, a line says why. */
static bool
configure(struct gate *gate, char *words, const char *parm)
{
	const char *header = gate_next_word(&words);
	const char *watchdog = gate_next_word(&words);
	const char *binding = gate_next_word(&words);
	const char *tag = gate_next_word(&words);
	const char *max = gate_next_word(&words);
	int max_count;
	if (*binding == '\0' || !gate_parse_number(*tag != '\0' ? tag : "0", 0, 255, &gate->type)) {
		skynet_error(gate->ctx, "Invalid gate parm %s", parm);
		return false;
	}
	if (!gate_parse_number(max, 1, INT32_MAX, &max_count)) {
		skynet_error(gate->ctx, "Need max connection");
		return false;
	}
	if (strcmp(header, "S") != 0 && strcmp(header, "L") != 0) {
		skynet_error(gate->ctx, "Invalid data header style");
		return false;
	}
	gate->header_bytes = *header == 'S' ? 2 : 4;
	gate->type = gate->type != 0 ? gate->type : PTYPE_CLIENT;
	gate->max = (size_t)max_count;
	gate->watchdog = *watchdog != '!' ? skynet_queryname(gate->ctx, watchdog) : 0;
	if (*watchdog != '!' && gate->watchdog == 0) {
		skynet_error(gate->ctx, "Invalid watchdog %s", watchdog);
		return false;
	}
	return listen_on(gate, binding);
}

int
gate_init(struct gate *gate, struct skynet_context *ctx, const char *parm)
{
	gate->ctx = ctx;
	char *words = skynet_strdup(parm != NULL ? parm : "");
	bool is_listening = configure(gate, words, parm != NULL ? parm : "");
	skynet_free(words);
	if (!is_listening)
		return 1;
	skynet_callback(ctx, gate, callback);
	return 0;
}
