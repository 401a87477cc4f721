/* handshake.c: a connection from accept until the handshakes of TLS and of a websocket are over. So
 * long nobody is told of it: a client that wants something else is refused, and one that says
 * nothing has GATE_HANDSHAKE_CS. TLS itself is the socket's business, which tells of its end. */
#include "gate.h"
#include "upgrade.h"

#include <string.h>

void
gate_handshake_begin(struct gate *gate, struct gate_connection *connection, const char *address,
		     size_t address_size)
{
	struct gate_handshake *handshake = skynet_calloc(1, sizeof(*handshake) + address_size);
	memcpy(handshake->address, address, address_size);
	handshake->address_size = address_size;
	connection->state = GATE_UPGRADING;
	connection->is_close_told = true; /* as long as nobody knows of it */
	connection->handshake = handshake;
	gate_waiting_add(gate, connection, GATE_HANDSHAKE_CS);
	gate_waiting_arm(gate);
	skynet_socket_start(gate->ctx, connection->id);
}

void
gate_handshake_fini(struct gate *gate, struct gate_connection *connection)
{
	gate_waiting_remove(gate, connection);
	gate_block_fini(&connection->handshake->head);
	skynet_free(connection->handshake);
	connection->handshake = NULL;
}

/* From UPGRADING to OPEN. Returns whether it is. */
static bool
open_connection(struct gate *gate, struct gate_connection *connection)
{
	struct gate_handshake *handshake = connection->handshake;
	gate_waiting_remove(gate, connection);
	connection->state = GATE_OPEN;
	connection->is_close_told = false;
	memset(&connection->reader, 0, sizeof(connection->reader));
	connection->rest = NULL;
	if (handshake->head.size > 0)
		gate_tell_request(gate, connection->id, handshake->head.bytes,
				  handshake->head.size);
	bool is_open =
		gate_connection_open(gate, connection, handshake->address, handshake->address_size);
	gate_block_fini(&handshake->head);
	skynet_free(handshake);
	return is_open;
}

void
gate_handshake_secured(struct gate *gate, struct gate_connection *connection)
{
	if (gate->framing.kind != FRAMING_WEBSOCKET)
		(void)open_connection(gate, connection);
}

bool
gate_handshake_input(struct gate *gate, struct gate_connection *connection,
		     struct gate_input *input)
{
	char answer[GATE_UPGRADE_ANSWER_MAX];
	enum gate_upgrade_result result =
		gate_upgrade_next(&connection->handshake->head, input, answer);
	if (result == GATE_UPGRADE_MORE)
		return false;
	gate_connection_write(gate, connection, skynet_strdup(answer), strlen(answer));
	if (result == GATE_UPGRADE_DONE)
		return open_connection(gate, connection);
	gate->refused_count++;
	gate_connection_settle(gate, connection);
	return false;
}
