/* tell.c: what the watchdog is told of its connections, in one of two dialects.
 *
 *      text, type 0                    "lua", type 10: skynet.pack(...)
 *      ID open ID IP:PORT:0            "socket", "open", ID, "IP:PORT"
 *      ID request HEAD                 "socket", "request", ID, HEAD
 *      ID data BYTES                   "socket", "data", ID, BYTES
 *      ID close                        "socket", "close", ID
 *      (a line in the log)             "socket", "error", ID, TEXT
 *                                      "socket", "warning", ID, KIB
 *
 * The first one is what gates of old say, in C; the second what the gate written in Lua says. */
#include "gate.h"
#include "packed.h"

#include <stdio.h>
#include <string.h>

/* More than anything that stands in front of bytes of others: two short strings and two numbers, or
 * two numbers and a word. */
#define PREFIX_BYTES 48

/* A message under construction. */
struct message {
	char *bytes;
	size_t size;
};

/* "socket", event, id; with room for so many bytes more. */
static struct message
begin_packed(const char *event, int id, size_t room)
{
	struct message message = {skynet_malloc(PREFIX_BYTES + room), 0};
	char *at = message.bytes;
	at += gate_packed_string(at, "socket", strlen("socket"));
	at += gate_packed_string(at, event, strlen(event));
	at += gate_packed_number(at, (uint32_t)id);
	message.size = (size_t)(at - message.bytes);
	return message;
}

static void
append(struct message *message, const char *bytes, size_t size)
{
	if (size > 0)
		memcpy(message->bytes + message->size, bytes, size);
	message->size += size;
}

/* "socket", event, id, bytes */
static struct message
pack_bytes(const char *event, int id, const char *bytes, size_t size)
{
	struct message message = begin_packed(event, id, size);
	message.size += gate_packed_string(message.bytes + message.size, bytes, size);
	return message;
}

/* "ID event " and room for so many bytes more. */
static struct message
begin_text(const char *event, int id, size_t room)
{
	struct message message = {skynet_malloc(PREFIX_BYTES + room), 0};
	message.size = (size_t)snprintf(message.bytes, PREFIX_BYTES, "%d %s ", id, event);
	return message;
}

bool
gate_tell_open(struct gate *gate, int id, const char *address, size_t size)
{
	struct message message;
	if (gate->dialect == GATE_LUA) {
		message = pack_bytes("open", id, address, size);
	} else {
		char number[16];
		int digits = snprintf(number, sizeof(number), "%d ", id);
		message = begin_text("open", id, (size_t)digits + size);
		append(&message, number, (size_t)digits);
		append(&message, address, size);
		append(&message, ":0",
		       2); /* it ends the address as users of this message know it */
	}
	return gate_report(gate, message.bytes, message.size);
}

void
gate_tell_request(struct gate *gate, int id, const char *head, size_t size)
{
	struct message message;
	if (!gate->tells_requests)
		return;
	if (gate->dialect == GATE_LUA) {
		message = pack_bytes("request", id, head, size);
	} else {
		message = begin_text("request", id, size);
		append(&message, head, size);
	}
	/* Whether the watchdog is there, `open` finds out. */
	(void)gate_report(gate, message.bytes, message.size);
}

void
gate_tell_close(struct gate *gate, int id)
{
	struct message message;
	if (gate->dialect == GATE_LUA) {
		message = begin_packed("close", id, 0);
	} else {
		message = begin_text("close", id, 0);
		message.size--; /* no blank behind it */
	}
	/* If the watchdog is gone, the report itself has logged that. */
	(void)gate_report(gate, message.bytes, message.size);
}

void
gate_tell_error(struct gate *gate, int id, const char *text, size_t size)
{
	if (gate->dialect != GATE_LUA) {
		gate_log(gate, "[gate] Connection %d : %.*s", id, (int)size, text);
		return;
	}
	struct message message = pack_bytes("error", id, text, size);
	(void)gate_report(gate, message.bytes, message.size);
}

void
gate_tell_warning(struct gate *gate, int id, int kib)
{
	if (gate->dialect != GATE_LUA)
		return;
	struct message message = begin_packed("warning", id, 0);
	message.size += gate_packed_number(message.bytes + message.size, (uint32_t)kib);
	(void)gate_report(gate, message.bytes, message.size);
}

bool
gate_tell_data(struct gate *gate, int id, const struct gate_frame *frame)
{
	struct message message;
	int session = 0;
	if (gate->dialect == GATE_LUA) {
		message = pack_bytes("data", id, frame->data, frame->size);
	} else {
		message = begin_text("data", id, frame->size);
		append(&message, frame->data, frame->size);
		session = id;
	}
	skynet_free(frame->block);
	return skynet_send(gate->ctx, gate->source, gate->watchdog,
			   gate->event_type | PTYPE_TAG_DONTCOPY, session, message.bytes,
			   message.size) >= 0;
}
