/* connection.c: a connection's life, from accept to close. The states are drawn in gate.h.
 *
 * I1  A connection is in gate.connections from accept until it is freed; it is in gate.handshakes
 *     exactly while it is UPGRADING, in gate.lingering exactly while it is ENDED or DRAINING.
 * I2  The watchdog is told "open" once per connection taken in and, after that, "close" once.
 * I3  The socket is read only while the state is UPGRADING, or OPEN and no reason is held. Only a
 *     connection that is held has a rest.
 * I4  At most one probe per connection is on its way, and gate.probes has it exactly then.
 * I5  Every UPGRADING, ENDED or DRAINING connection moves on by an event or, at the latest, by the
 *     tick after its deadline; and gate.lingering is never longer than gate.max or
 *     GATE_LINGER_MAX. */
#include "gate.h"

#include <assert.h>
#include <string.h>

_Static_assert(sizeof(struct gate_connection) <= 64, "an idle connection costs one small block");

static struct gate_connection *
from_id(int *id)
{
	return (struct gate_connection *)((char *)id - offsetof(struct gate_connection, id));
}

static struct gate_connection *
from_probe(int *session)
{
	return (struct gate_connection *)((char *)session -
					  offsetof(struct gate_connection, probe_session));
}

/* Closes a socket for which there is no room. */
static void
refuse(struct gate *gate, int id)
{
	gate->refused_count++;
	skynet_socket_close(gate->ctx, id);
	if (gate->is_full_told)
		return;
	gate->is_full_told = true;
	gate_log(gate, "[gate] %zu connections are open, the maximum: more are refused", gate->max);
}

void
gate_connection_accept(struct gate *gate, int id, const char *address, size_t address_size)
{
	if (gate->open_count >= gate->max) {
		refuse(gate, id);
		return;
	}
	struct gate_connection *connection = skynet_calloc(1, sizeof(*connection));
	connection->id = id;
	gate_table_add(&gate->connections, &connection->id);
	gate->open_count++;
	gate->is_full_told = false;
	if (gate->has_nodelay)
		skynet_socket_nodelay(gate->ctx, id); /* a frame is a whole answer */
	if (gate->has_tls || gate->framing.kind == FRAMING_WEBSOCKET) {
		gate_handshake_begin(gate, connection, address, address_size);
		return;
	}
	connection->state = GATE_OPEN;
	connection->held = GATE_HELD_BEFORE_START; /* I3: as every accepted socket */
	if (gate_connection_open(gate, connection, address, address_size) && gate->watchdog == 0)
		gate_input_release(gate, connection, GATE_HELD_BEFORE_START);
}

bool
gate_connection_open(struct gate *gate, struct gate_connection *connection, const char *address,
		     size_t address_size)
{
	if (!gate_tell_open(gate, connection->id, address, address_size)) {
		gate->refused_count++;
		connection->is_close_told = true;
		gate_connection_settle(gate, connection);
		return false;
	}
	gate->accepted_count++;
	/* Without a watchdog nobody could ever say `start`. */
	if (gate->watchdog != 0)
		gate_connection_hold(gate, connection, GATE_HELD_BEFORE_START);
	return true;
}

struct gate_connection *
gate_connection_find(struct gate *gate, int id)
{
	int *entry = gate_table_find(&gate->connections, id);
	return entry != NULL ? from_id(entry) : NULL;
}

struct gate_connection *
gate_connection_find_told(struct gate *gate, int id)
{
	struct gate_connection *connection = gate_connection_find(gate, id);
	return connection != NULL && connection->state != GATE_UPGRADING ? connection : NULL;
}

void
gate_connection_hold(struct gate *gate, struct gate_connection *connection, unsigned reason)
{
	bool was_read = connection->held == 0;
	connection->held |= reason & 7u;
	if (!was_read)
		return;
	gate->held_count += reason != GATE_HELD_BEFORE_START;
	skynet_socket_pause(gate->ctx, connection->id); /* I3 */
}

uint32_t
gate_connection_service(const struct gate *gate, const struct gate_connection *connection)
{
	if (gate->broker != 0)
		return gate->broker;
	return connection->agent != 0 ? connection->agent : gate->watchdog;
}

bool
gate_connection_probe(struct gate *gate, struct gate_connection *connection, uint32_t service)
{
	assert(connection->probe_session == 0); /* I4 */
	int session = skynet_probe(gate->ctx, service);
	if (session <= 0)
		return false;
	connection->probe_session = session;
	connection->probed = service;
	gate_table_add(&gate->probes, &connection->probe_session);
	return true;
}

void
gate_connection_forget_probe(struct gate *gate, struct gate_connection *connection)
{
	if (connection->probe_session == 0)
		return;
	gate_table_remove(&gate->probes, connection->probe_session);
	connection->probe_session = 0;
}

uint32_t
gate_connection_probed(const struct gate *gate, int session)
{
	int *entry = gate_table_find(&gate->probes, session);
	return entry != NULL ? from_probe(entry)->probed : 0;
}

size_t
gate_connection_lost_probes(const struct gate *gate, uint32_t node, int **sessions)
{
	size_t count = 0;
	*sessions = skynet_calloc(gate->probes.count + 1, sizeof(**sessions));
	for (size_t i = 0; i < gate->probes.capacity; i++) {
		int *entry = gate->probes.slots[i];
		if (entry != NULL && (from_probe(entry)->probed & GATE_NODE_MASK) == node)
			(*sessions)[count++] = *entry;
	}
	return count;
}

struct gate_connection *
gate_connection_take_probe(struct gate *gate, int session, uint32_t source)
{
	int *entry = gate_table_find(&gate->probes, session);
	if (entry == NULL)
		return NULL;
	struct gate_connection *connection = from_probe(entry);
	/* A service that answers frames, whose session is the connection's id, is not meant. */
	if (connection->probed != source)
		return NULL;
	gate_connection_forget_probe(gate, connection);
	return connection;
}

void
gate_connection_write(struct gate *gate, const struct gate_connection *connection,
		      const void *block, size_t size)
{
	struct socket_sendbuffer buffer = {connection->id, SOCKET_BUFFER_MEMORY, block, size};
	(void)skynet_socket_sendbuffer(gate->ctx, &buffer); /* it may just have closed */
}

static void
tell_close(struct gate *gate, struct gate_connection *connection)
{
	if (connection->is_close_told)
		return;
	connection->is_close_told = true; /* I2 */
	gate_tell_close(gate, connection->id);
}

/* Drops what has been received and not forwarded, of an OPEN connection. */
static void
drop_input(const struct gate *gate, struct gate_connection *connection)
{
	gate_frame_fini(&gate->framing, &connection->reader);
	skynet_free(connection->rest);
	connection->rest = NULL;
}

/* Leaves a state: frees what the connection needs in it. */
static void
leave_state(struct gate *gate, struct gate_connection *connection)
{
	switch ((enum gate_state)connection->state) {
	case GATE_UPGRADING:
		gate_handshake_fini(gate, connection);
		gate->open_count--;
		break;
	case GATE_OPEN:
		drop_input(gate, connection);
		gate->open_count--;
		break;
	case GATE_ENDED:
	case GATE_DRAINING:
		gate_waiting_remove(gate, connection); /* I1 */
		break;
	}
}

static void
answer_waiter(struct gate *gate, const struct gate_ending *ending)
{
	struct gate_request request = {.session = ending->waiter_session, .source = ending->waiter};
	gate_answer(gate, &request, NULL);
}

/* Frees a connection whose socket is closed, closing, or somebody else's. */
static void
discard(struct gate *gate, struct gate_connection *connection)
{
	tell_close(gate, connection);
	if (connection->state == GATE_ENDED || connection->state == GATE_DRAINING)
		answer_waiter(gate, &connection->ending);
	leave_state(gate, connection);
	gate_connection_forget_probe(gate, connection);
	gate_table_remove(&gate->connections, connection->id);
	skynet_free(connection);
	gate_connections_end(gate);
}

/* The last word of a websocket. */
static void
send_close(struct gate *gate, const struct gate_connection *connection)
{
	unsigned char *frame = skynet_malloc(FRAMING_HEAD_MAX + sizeof(connection->close_code));
	size_t size = connection->close_code != 0 ? sizeof(connection->close_code) : 0;
	size_t head = framing_put_websocket(frame, FRAMING_OPCODE_CLOSE, size);
	framing_put_number(frame + head, connection->close_code, size, false);
	gate_connection_write(gate, connection, frame, head + size);
}

void
gate_connection_settle(struct gate *gate, struct gate_connection *connection)
{
	if (gate->framing.kind == FRAMING_WEBSOCKET && connection->state != GATE_UPGRADING)
		send_close(gate, connection);
	skynet_socket_close(gate->ctx, connection->id); /* what waits goes out first */
	discard(gate, connection);
}

void
gate_connection_lose(struct gate *gate, struct gate_connection *connection)
{
	gate_log(gate, "[gate] Connection %d was taken over by another service", connection->id);
	discard(gate, connection);
}

void
gate_connection_break(struct gate *gate, struct gate_connection *connection)
{
	skynet_socket_shutdown(gate->ctx, connection->id);
	discard(gate, connection);
}

/* From OPEN to the given state. Others that linger may be freed for it. */
static void
begin_ending(struct gate *gate, struct gate_connection *connection, enum gate_state state,
	     uint16_t close_code)
{
	assert(connection->state == GATE_OPEN);
	leave_state(gate, connection);
	gate_connection_forget_probe(gate, connection);
	connection->state = state;
	connection->close_code = close_code;
	memset(&connection->ending, 0, sizeof(connection->ending));
	gate_waiting_add(gate, connection, GATE_LINGER_CS); /* I1 */
	if (gate->lingering.count > GATE_LINGER_MAX && gate->lingering.count > gate->max)
		gate_connection_settle(gate, gate->lingering.first); /* I5 */
	gate_waiting_arm(gate);
}

void
gate_connection_peer_ended(struct gate *gate, struct gate_connection *connection,
			   uint16_t close_code)
{
	if (connection->state != GATE_OPEN)
		return;
	begin_ending(gate, connection, GATE_ENDED, close_code);
	tell_close(gate, connection);
	/* Until it is kicked, its service is gone, or the time is over. Services that are spoken to
	 * in "lua" write to the socket themselves, and always say when they are done. */
	if (connection->agent != 0 || gate->dialect == GATE_LUA)
		return;
	/* Nobody answers but the service itself: when it has handled everything, that is all. */
	uint32_t service = gate_connection_service(gate, connection);
	if (service == 0 || !gate_connection_probe(gate, connection, service))
		gate_connection_settle(gate, connection);
}

/* Notes who wants to know of the end. There is one waiter: another takes its place, and the former
 * one is told that its request was heard. */
static void
await_end(struct gate *gate, struct gate_connection *connection, const struct gate_request *request)
{
	struct gate_ending *ending = &connection->ending;
	if (request == NULL || request->session == 0)
		return;
	answer_waiter(gate, ending);
	ending->waiter = request->source;
	ending->waiter_session = request->session;
}

void
gate_connection_finish(struct gate *gate, struct gate_connection *connection, uint16_t close_code,
		       const struct gate_request *request)
{
	if (connection->state == GATE_DRAINING) { /* it is under way */
		await_end(gate, connection, request);
		return;
	}
	if (connection->state == GATE_OPEN) {
		gate_connection_hold(gate, connection, GATE_HELD_BEFORE_START); /* I3 */
		begin_ending(gate, connection, GATE_DRAINING, close_code);
	}
	connection->state = GATE_DRAINING;
	await_end(gate, connection, request);
	gate_connection_forget_probe(gate, connection);
	/* In "lua", what was written is with the socket already. */
	if (connection->client == 0 || gate->dialect == GATE_LUA ||
	    !gate_connection_probe(gate, connection, connection->client))
		gate_connection_settle(gate, connection);
}

/* Whose end would end an ENDED connection; 0: nobody's, or a probe tells. */
static uint32_t
service_to_outlive(const struct gate *gate, const struct gate_connection *connection)
{
	if (connection->agent != 0)
		return connection->agent;
	return gate->dialect == GATE_LUA ? gate_connection_service(gate, connection) : 0;
}

/* Looks at one that waits: is its time over, or is its service gone? It may be freed. */
static void
look_at(struct gate *gate, struct gate_connection *connection)
{
	if (gate_waiting_is_over(connection)) {
		gate->refused_count += connection->state == GATE_UPGRADING;
		gate_connection_settle(gate, connection);
		return;
	}
	if (connection->state != GATE_ENDED)
		return;
	/* A probe whose answer nobody waits for tells whether the service still lives. If not, its
	 * last answers may still be with the client service. */
	uint32_t service = service_to_outlive(gate, connection);
	if (service != 0 && skynet_probe(gate->ctx, service) < 0)
		gate_connection_finish(gate, connection, GATE_CLOSE_NORMAL, NULL);
}

static void
look_at_all(struct gate *gate, const struct gate_list *list)
{
	struct gate_connection *connection = list->first;
	while (connection != NULL) {
		struct gate_connection *next = gate_waiting_next(connection);
		look_at(gate, connection);
		connection = next;
	}
}

void
gate_connection_tick(struct gate *gate)
{
	gate->timer_session = 0;
	look_at_all(gate, &gate->handshakes);
	look_at_all(gate, &gate->lingering);
	gate_waiting_arm(gate);
}

void
gate_connections_end(struct gate *gate)
{
	if (gate->owner != 0 && gate->listener == 0 && gate->connections.count == 0)
		(void)skynet_command(gate->ctx, "EXIT", NULL);
}

void
gate_connections_fini(struct gate *gate)
{
	for (size_t i = 0; i < gate->connections.capacity; i++) {
		if (gate->connections.slots[i] == NULL)
			continue;
		struct gate_connection *connection = from_id(gate->connections.slots[i]);
		leave_state(gate, connection);
		skynet_free(connection);
	}
	gate_table_fini(&gate->connections);
	gate_table_fini(&gate->probes);
}
