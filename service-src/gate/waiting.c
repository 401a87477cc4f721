/* waiting.c: the two lists of connections that wait: those in a handshake, and those that linger.
 * All in one list wait equally long, so the oldest is the first whose time is over. */
#include "gate.h"

static struct gate_link *
link_of(struct gate_connection *connection)
{
	return connection->state == GATE_UPGRADING ? &connection->handshake->link
						   : &connection->ending.link;
}

static struct gate_list *
list_of(struct gate *gate, const struct gate_connection *connection)
{
	return connection->state == GATE_UPGRADING ? &gate->handshakes : &gate->lingering;
}

void
gate_waiting_add(struct gate *gate, struct gate_connection *connection, uint32_t wait_cs)
{
	struct gate_list *list = list_of(gate, connection);
	*link_of(connection) = (struct gate_link){.previous = list->last,
						  .deadline_cs = (uint32_t)skynet_now() + wait_cs};
	if (list->last != NULL)
		link_of(list->last)->next = connection;
	else
		list->first = connection;
	list->last = connection;
	list->count++;
}

void
gate_waiting_remove(struct gate *gate, struct gate_connection *connection)
{
	struct gate_list *list = list_of(gate, connection);
	const struct gate_link *link = link_of(connection);
	if (link->previous != NULL)
		link_of(link->previous)->next = link->next;
	else
		list->first = link->next;
	if (link->next != NULL)
		link_of(link->next)->previous = link->previous;
	else
		list->last = link->previous;
	list->count--;
}

struct gate_connection *
gate_waiting_next(struct gate_connection *connection)
{
	return link_of(connection)->next;
}

bool
gate_waiting_is_over(struct gate_connection *connection)
{
	return (int32_t)((uint32_t)skynet_now() - link_of(connection)->deadline_cs) >= 0;
}

void
gate_waiting_arm(struct gate *gate)
{
	if (gate->timer_session == 0 && gate->lingering.count + gate->handshakes.count > 0)
		gate->timer_session = skynet_timeout(gate->ctx, GATE_LINGER_TICK_MS, NULL);
}
