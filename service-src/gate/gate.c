/* gate.c: the gate: takes in clients on a port and cuts what they send into messages. launch.c has
 * its launch text, docs/gate.md its dialogue.
 *
 * Threads    [turn], as every service. */
#include "gate.h"
#include "packed.h"

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
	skynet_free(gate->address);
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
	const struct gate_connection *connection =
		id <= INT32_MAX ? gate_connection_find_told(gate, (int)id) : NULL;
	if (connection == NULL) {
		skynet_error(gate->ctx, "Invalid client id %d from %x", (int)id, source);
		return SKYNET_DONE;
	}
	gate_connection_write(gate, connection, skynet_message_own(gate->ctx, msg, sz), sz - 4);
	return SKYNET_KEPT;
}

/* What happened to the listening socket. */
static void
on_listener(struct gate *gate, const struct skynet_socket_message *event, const char *text,
	    size_t text_size)
{
	switch (event->type) {
	case SKYNET_SOCKET_TYPE_ACCEPT:
		gate_connection_accept(gate, event->ud, text, text_size);
		break;
	case SKYNET_SOCKET_TYPE_CONNECT: /* the first one: it listens; the other: it accepts */
		if (gate->address == NULL)
			gate_command_listening(gate, text, text_size, event->ud);
		break;
	case SKYNET_SOCKET_TYPE_ERROR:
		gate_log(gate, "[gate] Cannot accept : %.*s", (int)text_size, text);
		if (gate->address == NULL)
			gate_command_listening(gate, NULL, 0, 0);
		break;
	default:
		break;
	}
}

/* The connection is gone: an error of its socket. */
static void
on_error(struct gate *gate, struct gate_connection *connection, const char *text, size_t text_size)
{
	/* A client that has ended its stream may leave before its answers have come. */
	if (connection->state == GATE_OPEN)
		gate_tell_error(gate, connection->id, text, text_size);
	if (connection->state == GATE_UPGRADING) {
		gate->refused_count++;
		gate_log(gate, "[gate] No handshake : %.*s", (int)text_size, text);
	}
	gate_connection_break(gate, connection);
}

static void
on_warning(struct gate *gate, struct gate_connection *connection, int kib)
{
	if (connection->state != GATE_OPEN)
		return;
	gate_tell_warning(gate, connection->id, kib);
	if (kib > 0)
		gate_connection_hold(gate, connection, GATE_HELD_BY_OUTPUT);
	else
		gate_input_release(gate, connection, GATE_HELD_BY_OUTPUT);
}

/* What happened to a connection. */
static void
on_connection(struct gate *gate, struct gate_connection *connection,
	      const struct skynet_socket_message *event, const char *text, size_t text_size)
{
	switch (event->type) {
	case SKYNET_SOCKET_TYPE_DATA:
		gate_input(gate, connection, event->buffer, (size_t)event->ud);
		break;
	case SKYNET_SOCKET_TYPE_CLOSE:
		gate_input_ended(gate, connection);
		break;
	case SKYNET_SOCKET_TYPE_ERROR:
		on_error(gate, connection, text, text_size);
		break;
	case SKYNET_SOCKET_TYPE_TAKEN:
		gate_connection_lose(gate, connection);
		break;
	case SKYNET_SOCKET_TYPE_WARNING:
		on_warning(gate, connection, event->ud);
		break;
	case SKYNET_SOCKET_TYPE_CONNECT: /* a start was heard */
		if (gate->has_tls && connection->state == GATE_UPGRADING)
			gate_handshake_secured(gate, connection);
		break;
	default:
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
		return;
	}
	if (event->id == gate->listener) {
		on_listener(gate, event, text, text_size);
		return;
	}
	struct gate_connection *connection = gate_connection_find(gate, event->id);
	if (connection != NULL)
		on_connection(gate, connection, event, text, text_size);
	else
		skynet_free(event->buffer);
}

static void
on_lua(struct gate *gate, int session, uint32_t source, const char *msg, size_t sz)
{
	struct gate_request request = {session, source, true, NULL};
	const char *text;
	size_t size;
	if (gate_packed_read_string(msg, sz, &text, &size))
		gate_command(gate, &request, text, size);
	else
		gate_answer_error(gate, &request,
				  "a \"lua\" message to it is one string, a command");
}

/* The owner is gone? */
static bool
is_owners_end(const struct gate *gate, int type, int session, uint32_t source)
{
	return type == PTYPE_ERROR && gate->owner != 0 && source == gate->owner &&
	       session == gate->owner_session;
}

/* A probe came back, or the time for a look at the lingering connections has come. */
static void
on_response(struct gate *gate, int session, uint32_t source, bool is_error)
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
		gate_input_caught_up(gate, connection, is_error);
	else
		gate_connection_settle(gate, connection);
}

/* No probe comes back from a node that is gone. */
static void
on_node_gone(struct gate *gate, uint32_t node)
{
	int *sessions;
	size_t count = gate_connection_lost_probes(gate, node, &sessions);
	for (size_t i = 0; i < count; i++) {
		uint32_t probed = gate_connection_probed(gate, sessions[i]);
		if (probed != 0) /* not ended by one before it */
			on_response(gate, sessions[i], probed, true);
	}
	skynet_free(sessions);
}

static int
callback(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
	 const void *msg, size_t sz)
{
	struct gate *gate = ud;
	struct gate_request request = {session, source, false, NULL};
	switch (type) {
	case PTYPE_TEXT:
		gate_command(gate, &request, msg, sz);
		return SKYNET_DONE;
	case PTYPE_RESERVED_LUA:
		on_lua(gate, session, source, msg, sz);
		return SKYNET_DONE;
	case PTYPE_CLIENT:
		return on_client(gate, source, msg, sz);
	case PTYPE_SOCKET:
		on_socket(gate, msg, sz);
		return SKYNET_DONE;
	case PTYPE_RESPONSE:
	case PTYPE_ERROR:
		if (is_owners_end(gate, type, session, source))
			(void)skynet_command(ctx, "EXIT", "its owner has ended");
		else if (type == PTYPE_ERROR && session == 0 && source != 0 &&
			 (source & GATE_NODE_MASK) == source)
			on_node_gone(gate, source);
		else
			on_response(gate, session, source, type == PTYPE_ERROR);
		return SKYNET_DONE;
	default:
		gate_answer_error(gate, &request, "it knows commands in text, and frames, only");
		return SKYNET_DONE;
	}
}

int
gate_init(struct gate *gate, struct skynet_context *ctx, const char *parm)
{
	gate->ctx = ctx;
	if (!gate_launch(gate, parm != NULL ? parm : ""))
		return 1;
	skynet_callback(ctx, gate, callback);
	return 0;
}
