/* input.c: from the bytes of a connection to messages for its service, and holding a client back
 * whose service is slower than it.
 *
 * I1  A connection that is held gets nothing forwarded, not even the rest of a chunk: that is kept
 *     until it is released. So of one connection at most two windows (GATE_WINDOW_*) wait in its
 *     service's mailbox, and one chunk here, however fast the client sends.
 * I2  A connection held by its service has a probe on its way: the answer, or the error when the
 *     service ends, always lets it go on. */
#include "gate.h"

#include <string.h>

/* What skynet_send returns when its sender is to wait. */
#define SENT_WAIT (-4)

/* Sends a frame on. block, when there is one, is taken. Returns false if the service is gone. */
static bool
send_frame(struct gate *gate, uint32_t source, uint32_t service, int session,
	   const struct gate_frame *frame)
{
	int type = gate->type | (frame->block != NULL ? PTYPE_TAG_DONTCOPY : 0);
	/* Without DONTCOPY the bytes are only borrowed: the cast takes nothing away. */
	int sent = skynet_send(gate->ctx, source, service, type, session, (char *)frame->data,
			       frame->size);
	if (sent == SENT_WAIT) /* the only result that leaves the block here */
		skynet_free(frame->block);
	return sent >= 0;
}

/* Hands one frame to whom it is for. Returns false if that service is gone. */
static bool
forward_frame(struct gate *gate, const struct gate_connection *connection,
	      const struct gate_frame *frame)
{
	if (gate->broker != 0)
		return send_frame(gate, gate->source, gate->broker, connection->id, frame);
	if (connection->agent != 0)
		return send_frame(gate, connection->client, connection->agent, connection->id,
				  frame);
	if (gate->watchdog != 0)
		return gate_tell_data(gate, connection->id, frame);
	skynet_free(frame->block); /* nobody was named */
	return true;
}

static bool
is_window_full(const struct gate_connection *connection)
{
	return connection->window_bytes >= GATE_WINDOW_BYTES ||
	       connection->window_frames >= GATE_WINDOW_FRAMES;
}

/* Opens a new window, behind a probe. Returns false if the service is gone. */
static bool
open_window(struct gate *gate, struct gate_connection *connection, uint32_t service)
{
	connection->window_bytes = 0;
	connection->window_frames = 0;
	if (service == 0)
		return true;
	return gate_connection_probe(gate, connection, service);
}

/* Counts a frame. Returns false if the service is gone. */
static bool
account(struct gate *gate, struct gate_connection *connection, uint32_t size)
{
	connection->window_bytes += size;
	connection->window_frames++;
	if (!is_window_full(connection))
		return true;
	if (connection->probe_session == 0)
		return open_window(gate, connection, gate_connection_service(gate, connection));
	gate_connection_hold(gate, connection, GATE_HELD_BY_SERVICE); /* I1, I2 */
	return true;
}

/* Ends a connection whose service is gone: nobody will answer its client. */
static void
service_gone(struct gate *gate, struct gate_connection *connection)
{
	gate_log(gate, "[gate] Service :%08x of connection %d is gone, the connection is closed",
		 gate_connection_service(gate, connection), connection->id);
	gate_connection_finish(gate, connection, GATE_CLOSE_NORMAL, NULL);
}

/* Keeps what is left of a chunk until the connection is released. */
static void
keep_rest(struct gate_connection *connection, const struct gate_input *input)
{
	struct gate_rest *old = connection->rest;
	size_t old_size = old != NULL ? old->size : 0;
	if (input->size == 0)
		return;
	struct gate_rest *rest = skynet_malloc(sizeof(*rest) + old_size + input->size);
	rest->size = old_size + input->size;
	if (old_size > 0)
		memcpy(rest->bytes, old->bytes, old_size);
	memcpy(rest->bytes + old_size, input->data, input->size);
	skynet_free(old);
	connection->rest = rest;
}

static void
refuse_long_frame(struct gate *gate, struct gate_connection *connection)
{
	static const char reason[] = "a frame is too long";
	gate->too_long_count++;
	if (gate->dialect == GATE_TEXT && gate->framing.max_frame == FRAMING_MAX_FRAME)
		gate_log(gate, "Recv socket message > 16M"); /* as of old */
	else
		gate_tell_error(gate, connection->id, reason, strlen(reason));
	gate_connection_finish(gate, connection, GATE_CLOSE_TOO_LONG, NULL);
}

static void
refuse_invalid(struct gate *gate, struct gate_connection *connection,
	       const struct gate_frame *reason)
{
	gate->invalid_count++;
	gate_tell_error(gate, connection->id, reason->data, reason->size);
	gate_connection_finish(gate, connection, GATE_CLOSE_INVALID, NULL);
}

/* Does with a frame what is to be done. Returns whether the connection is open still; if not, it
 * may have been freed. */
static bool
take_frame(struct gate *gate, struct gate_connection *connection, enum gate_frame_result result,
	   const struct gate_frame *frame)
{
	switch (result) {
	case GATE_FRAME_READY:
		if (forward_frame(gate, connection, frame) &&
		    account(gate, connection, frame->size))
			return true;
		service_gone(gate, connection);
		return false;
	case GATE_FRAME_REPLY:
		gate_connection_write(gate, connection, frame->block, frame->size);
		return true;
	case GATE_FRAME_ENDED:
		gate_connection_peer_ended(gate, connection, (uint16_t)frame->size);
		return false;
	case GATE_FRAME_TOO_LONG:
		refuse_long_frame(gate, connection);
		return false;
	case GATE_FRAME_INVALID:
		refuse_invalid(gate, connection, frame);
		return false;
	case GATE_FRAME_MORE:
		break;
	}
	return true;
}

/* Cuts and forwards frames until the connection is held or the input is used up. is_last: it is
 * used up in any case, since nothing will come behind it. Returns as above. */
static bool
forward_frames(struct gate *gate, struct gate_connection *connection, struct gate_input *input,
	       bool is_last)
{
	struct gate_frame frame;
	enum gate_frame_result result;
	while ((connection->held == 0 || is_last) &&
	       (result = gate_frame_next(&gate->framing, &connection->reader, input, &frame)) !=
		       GATE_FRAME_MORE) {
		if (!take_frame(gate, connection, result, &frame))
			return false;
	}
	return true;
}

/* Forwards the rest, unless and until the connection is held again. Returns whether it is open
 * still. */
static bool
forward_rest(struct gate *gate, struct gate_connection *connection, bool is_last)
{
	struct gate_rest *rest = connection->rest;
	if (rest == NULL)
		return true;
	connection->rest = NULL;
	struct gate_input input = {rest->bytes, rest->size, NULL};
	bool is_open = forward_frames(gate, connection, &input, is_last);
	if (is_open)
		keep_rest(connection, &input); /* I1 */
	skynet_free(rest);
	return is_open;
}

void
gate_input(struct gate *gate, struct gate_connection *connection, char *chunk, size_t size)
{
	struct gate_input input = {chunk, size, chunk};
	bool is_open =
		connection->state == GATE_OPEN || (connection->state == GATE_UPGRADING &&
						   gate_handshake_input(gate, connection, &input));
	/* A chunk that was under way when the connection was held goes behind the rest. */
	if (is_open && forward_frames(gate, connection, &input, false))
		keep_rest(connection, &input); /* I1 */
	skynet_free(input.block);
}

void
gate_input_release(struct gate *gate, struct gate_connection *connection, unsigned reason)
{
	bool was_held = connection->held != 0;
	connection->held &= ~reason & 7u;
	if (!was_held || connection->held != 0 || !forward_rest(gate, connection, false))
		return;
	if (connection->held == 0)
		skynet_socket_start(gate->ctx, connection->id);
}

void
gate_input_caught_up(struct gate *gate, struct gate_connection *connection, bool is_gone)
{
	uint32_t service = gate_connection_service(gate, connection);
	/* A send finds out whether a service of this node has ended, but not one of another. */
	if ((is_gone && connection->probed == service &&
	     skynet_isremote(gate->ctx, service, NULL)) ||
	    (is_window_full(connection) && !open_window(gate, connection, service))) {
		service_gone(gate, connection);
		return;
	}
	gate_input_release(gate, connection, GATE_HELD_BY_SERVICE);
}

void
gate_input_ended(struct gate *gate, struct gate_connection *connection)
{
	if (connection->state == GATE_UPGRADING)
		gate_connection_settle(gate, connection);
	else if (connection->state == GATE_OPEN && forward_rest(gate, connection, true))
		gate_connection_peer_ended(gate, connection, GATE_CLOSE_NORMAL);
}
