/* connection.c: a connection's life, from accept to close. The states are drawn in gate.h.
 *
 * I1  A connection is in gate.connections from accept until it is freed; it is in the linger list
 *     exactly while it is ENDED or DRAINING.
 * I2  The watchdog is told "open" once per connection taken in and, after that, "close" once.
 * I3  The socket is read only while the state is OPEN and no reason is held. Only a connection that
 *     is held has a rest.
 * I4  At most one probe per connection is on its way, and gate.probes has it exactly then.
 * I5  Every ENDED or DRAINING connection is freed by an event or, at the latest, by the tick after
 *     its deadline; and the list is never longer than gate.max or GATE_LINGER_MAX. */
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
gate_connection_open(struct gate *gate, int id, const char *address, size_t address_size)
{
	if (gate->open_count >= gate->max) {
		refuse(gate, id);
		return;
	}
	/* ":0" ends the address as users of this message know it. */
	if (!gate_report(gate, "%d open %d %.*s:0", id, id, (int)address_size, address)) {
		gate->refused_count++;
		skynet_socket_close(gate->ctx, id);
		return;
	}
	struct gate_connection *connection = skynet_calloc(1, sizeof(*connection));
	connection->id = id;
	connection->state = GATE_OPEN;
	/* Without a watchdog nobody could ever say `start`. */
	connection->held = gate->watchdog != 0 ? GATE_HELD_BEFORE_START : 0; /* I3 */
	gate_table_add(&gate->connections, &connection->id);
	gate->open_count++;
	gate->accepted_count++;
	gate->is_full_told = false;
	skynet_socket_nodelay(gate->ctx, id); /* a frame is a whole answer: never wait for more */
	if (connection->held == 0)
		skynet_socket_start(gate->ctx, id);
}

struct gate_connection *
gate_connection_find(struct gate *gate, int id)
{
	int *entry = gate_table_find(&gate->connections, id);
	return entry != NULL ? from_id(entry) : NULL;
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

/* Starts the tick that looks at the linger list, if none is on its way. */
static void
arm_tick(struct gate *gate)
{
	if (gate->timer_session != 0)
		return;
	gate->timer_session = skynet_timeout(gate->ctx, GATE_LINGER_TICK_MS, NULL);
}

static void
linger_append(struct gate *gate, struct gate_connection *connection)
{
	struct gate_ending *ending = &connection->ending;
	ending->previous = gate->linger_last;
	ending->next = NULL;
	if (gate->linger_last != NULL)
		gate->linger_last->ending.next = connection;
	else
		gate->linger_first = connection;
	gate->linger_last = connection;
	gate->linger_count++;
}

static void
linger_remove(struct gate *gate, struct gate_connection *connection)
{
	struct gate_ending *ending = &connection->ending;
	if (ending->previous != NULL)
		ending->previous->ending.next = ending->next;
	else
		gate->linger_first = ending->next;
	if (ending->next != NULL)
		ending->next->ending.previous = ending->previous;
	else
		gate->linger_last = ending->previous;
	gate->linger_count--;
}

static void
tell_close(struct gate *gate, struct gate_connection *connection)
{
	if (connection->is_close_told)
		return;
	connection->is_close_told = true; /* I2 */
	/* If the watchdog is gone, the report itself has logged that. */
	(void)gate_report(gate, "%d close", connection->id);
}

/* Drops what has been received and not forwarded, of an OPEN connection. */
static void
drop_input(struct gate_connection *connection)
{
	gate_frame_fini(&connection->reader);
	skynet_free(connection->rest);
	connection->rest = NULL;
}

/* Frees a connection whose socket is closed or closing. */
static void
discard(struct gate *gate, struct gate_connection *connection)
{
	tell_close(gate, connection);
	if (connection->state == GATE_OPEN) {
		drop_input(connection);
		gate->open_count--;
	} else {
		linger_remove(gate, connection); /* I1 */
		gate_answer(gate, connection->ending.waiter, connection->ending.waiter_session,
			    PTYPE_RESPONSE, NULL);
	}
	gate_connection_forget_probe(gate, connection);
	gate_table_remove(&gate->connections, connection->id);
	skynet_free(connection);
}

void
gate_connection_settle(struct gate *gate, struct gate_connection *connection)
{
	skynet_socket_close(gate->ctx, connection->id); /* what waits goes out first */
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
begin_ending(struct gate *gate, struct gate_connection *connection, enum gate_state state)
{
	assert(connection->state == GATE_OPEN);
	drop_input(connection);
	gate_connection_forget_probe(gate, connection);
	gate->open_count--;
	connection->state = state;
	memset(&connection->ending, 0, sizeof(connection->ending));
	connection->ending.deadline_cs = (uint32_t)skynet_now() + GATE_LINGER_CS;
	linger_append(gate, connection); /* I1 */
	if (gate->linger_count > GATE_LINGER_MAX && gate->linger_count > gate->max)
		gate_connection_settle(gate, gate->linger_first); /* I5 */
	arm_tick(gate);
}

void
gate_connection_peer_ended(struct gate *gate, struct gate_connection *connection)
{
	if (connection->state != GATE_OPEN)
		return;
	begin_ending(gate, connection, GATE_ENDED);
	tell_close(gate, connection);
	if (connection->agent != 0)
		return; /* until it is kicked, the agent is gone, or the time is over */
	/* Nobody answers but the service itself: when it has handled everything, that is all. */
	uint32_t service = gate_connection_service(gate, connection);
	if (service == 0 || !gate_connection_probe(gate, connection, service))
		gate_connection_settle(gate, connection);
}

/* Notes who wants to know of the end. There is one waiter: another takes its place, and the former
 * one is told that its request was heard. */
static void
await_end(struct gate *gate, struct gate_connection *connection, uint32_t requester, int session)
{
	struct gate_ending *ending = &connection->ending;
	if (requester == 0 || session == 0)
		return;
	gate_answer(gate, ending->waiter, ending->waiter_session, PTYPE_RESPONSE, NULL);
	ending->waiter = requester;
	ending->waiter_session = session;
}

void
gate_connection_finish(struct gate *gate, struct gate_connection *connection, uint32_t requester,
		       int session)
{
	if (connection->state == GATE_DRAINING) { /* it is under way */
		await_end(gate, connection, requester, session);
		return;
	}
	if (connection->state == GATE_OPEN) {
		gate_connection_hold(gate, connection, GATE_HELD_BEFORE_START); /* I3 */
		begin_ending(gate, connection, GATE_DRAINING);
	}
	connection->state = GATE_DRAINING;
	await_end(gate, connection, requester, session);
	gate_connection_forget_probe(gate, connection);
	if (connection->client == 0 || !gate_connection_probe(gate, connection, connection->client))
		gate_connection_settle(gate, connection);
}

/* Looks at one that lingers: is its time over, or is its agent gone? It may be freed. */
static void
look_at(struct gate *gate, struct gate_connection *connection, uint32_t now_cs)
{
	if ((int32_t)(now_cs - connection->ending.deadline_cs) >= 0)
		gate_connection_settle(gate, connection);
	/* A probe whose answer nobody waits for tells whether the agent still lives. If not, its
	 * last answers may still be with the client service. */
	else if (connection->state == GATE_ENDED && connection->agent != 0 &&
		 skynet_probe(gate->ctx, connection->agent) < 0)
		gate_connection_finish(gate, connection, 0, 0);
}

void
gate_connection_tick(struct gate *gate)
{
	gate->timer_session = 0;
	uint32_t now_cs = (uint32_t)skynet_now();
	struct gate_connection *connection = gate->linger_first;
	while (connection != NULL) {
		struct gate_connection *next = connection->ending.next;
		look_at(gate, connection, now_cs);
		connection = next;
	}
	if (gate->linger_first != NULL)
		arm_tick(gate);
}

void
gate_connections_fini(struct gate *gate)
{
	for (size_t i = 0; i < gate->connections.capacity; i++) {
		if (gate->connections.slots[i] == NULL)
			continue;
		struct gate_connection *connection = from_id(gate->connections.slots[i]);
		if (connection->state == GATE_OPEN)
			drop_input(connection);
		skynet_free(connection);
	}
	gate_table_fini(&gate->connections);
	gate_table_fini(&gate->probes);
}
