/* gate_world.h: the gate in a world of its own: a framework that only writes down what is asked of
 * it, and where a test says who is alive and what arrives. So every order of events can be had. */
#ifndef GATE_WORLD_H
#define GATE_WORLD_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif

#include <stddef.h>
#include <stdint.h>

/* The gate calls these instead of the core's. */
#define skynet_send world_send
#define skynet_message_own world_message_own
#define skynet_probe world_probe
#define skynet_callback world_callback
#define skynet_timeout world_timeout
#define skynet_queryname world_queryname
#define skynet_isremote world_isremote
#define skynet_error world_error
#define skynet_now world_now
#define skynet_link world_link
#define skynet_command world_command
#define skynet_socket_listen_with world_socket_listen_with
#define skynet_socket_start world_socket_start
#define skynet_socket_pause world_socket_pause
#define skynet_socket_close world_socket_close
#define skynet_socket_shutdown world_socket_shutdown
#define skynet_socket_nodelay world_socket_nodelay
#define skynet_socket_sendbuffer world_socket_sendbuffer

/* The folder's files, in their order of layers. */
/* clang-format off */
#include "../../service-src/gate/block.c"
#include "../../service-src/gate/length.c"
#include "../../service-src/gate/delimiter.c"
#include "../../service-src/gate/websocket.c"
#include "../../service-src/gate/frame.c"
#include "../../service-src/gate/upgrade.c"
#include "../../service-src/gate/packed.c"
#include "../../service-src/gate/table.c"
#include "../../service-src/gate/waiting.c"
#include "../../service-src/gate/report.c"
#include "../../service-src/gate/tell.c"
#include "../../service-src/gate/connection.c"
#include "../../service-src/gate/handshake.c"
#include "../../service-src/gate/input.c"
#include "../../service-src/gate/command.c"
#include "../../service-src/gate/launch.c"
#include "../../service-src/gate/gate.c"
/* clang-format on */

#include "unit.h"

/* Addresses of the services around the gate. */
#define WATCHDOG 0x10u
#define AGENT 0x20u
#define CLIENT 0x30u
#define BROKER 0x40u
#define REMOTE 0x02000001u
#define LISTENER 1

/* --- the world ------------------------------------------------------------------------------ */

static struct {
	char trace[1 << 16]; /* what the gate did since the last look, a line each */
	size_t trace_size;
	uint32_t dead[8]; /* addresses without a service */
	size_t dead_count;
	int last_session;
	int last_probe; /* its session */
	int timer;	/* session of the last timer, or 0 */
	uint64_t now_cs;
	skynet_cb callback;
	bool is_quiet; /* nothing is written down */
	bool can_listen;
	int last_link; /* its session */
	int backlog;
	int shares_port;
	char certificate[64];
} world;

static struct gate *gate;

static void note(const char *format, ...) SKYNET_PRINTF(1, 2);

static inline void
note(const char *format, ...)
{
	if (world.is_quiet)
		return;
	va_list arguments;
	va_start(arguments, format);
	size_t room = sizeof(world.trace) - world.trace_size;
	int size = vsnprintf(world.trace + world.trace_size, room, format, arguments);
	va_end(arguments);
	assert_true(size >= 0 && (size_t)size + 1 < room);
	world.trace_size += (size_t)size;
	world.trace[world.trace_size++] = '\n';
	world.trace[world.trace_size] = '\0';
}

static inline bool
is_dead(uint32_t handle)
{
	for (size_t i = 0; i < world.dead_count; i++) {
		if (world.dead[i] == handle)
			return true;
	}
	return false;
}

static inline void
die(uint32_t handle)
{
	world.dead[world.dead_count++] = handle;
}

/* A "lua" message as text: its strings and numbers, with blanks between. Others as they are. */
static inline void
write_message(char *text, size_t room, int type, const unsigned char *message, size_t size)
{
	size_t at = 0;
	bool is_packed = (type == PTYPE_RESERVED_LUA || type == PTYPE_RESPONSE) && size > 0 &&
			 (message[0] & 7) >= 2 && (message[0] & 7) <= 5;
	if (!is_packed) {
		(void)snprintf(text, room, "%.*s%s", size > 100 ? 100 : (int)size,
			       message != NULL ? (const char *)message : "",
			       size > 100 ? "..." : "");
		return;
	}
	for (size_t i = 0; i < size;) {
		unsigned kind = message[i] & 7, how = message[i] >> 3;
		uint32_t number = 0;
		i++;
		if (kind == 4)
			number = how;
		else
			memcpy(&number, message + i, how);
		i += kind == 4 ? 0 : how;
		if (kind == 2)
			at += (size_t)snprintf(text + at, room - at, "%u ", number);
		else
			at += (size_t)snprintf(text + at, room - at, "%.*s ", (int)number,
					       (const char *)message + i);
		i += kind == 2 ? 0 : number;
		assert_true(i <= size);
	}
	text[at - 1] = '\0';
}

int
world_send(struct skynet_context *ctx, uint32_t source, uint32_t destination, int type, int session,
	   void *msg, size_t sz)
{
	(void)ctx;
	bool is_taken = type & PTYPE_TAG_DONTCOPY;
	char text[2000];
	write_message(text, sizeof(text), type & 0xff, msg, sz < 1000 ? sz : 1000);
	note("send from %x to %x type %d session %d: %s", source, destination, type & 0xff, session,
	     text);
	if (is_taken)
		skynet_free(msg);
	return is_dead(destination) ? -1 : session;
}

void *
world_message_own(struct skynet_context *ctx, const void *msg, size_t sz)
{
	(void)ctx;
	(void)sz;
	return (void *)(uintptr_t)msg;
}

int
world_probe(struct skynet_context *ctx, uint32_t destination)
{
	(void)ctx;
	note("probe %x", destination);
	if (is_dead(destination))
		return -1;
	world.last_probe = ++world.last_session;
	return world.last_probe;
}

void
world_callback(struct skynet_context *ctx, void *ud, skynet_cb cb)
{
	(void)ctx;
	assert_ptr_equal(ud, gate);
	world.callback = cb;
}

int
world_timeout(struct skynet_context *ctx, int64_t delay_ms, struct skynet_timer **timer)
{
	(void)ctx;
	assert_null(timer);
	note("timeout %d", (int)delay_ms);
	world.timer = ++world.last_session;
	return world.timer;
}

uint32_t
world_queryname(struct skynet_context *ctx, const char *name)
{
	(void)ctx;
	if (strcmp(name, ".broker") == 0)
		return BROKER;
	return name[0] == ':' ? (uint32_t)strtoul(name + 1, NULL, 16) : 0;
}

int
world_isremote(struct skynet_context *ctx, uint32_t handle, int *harbor)
{
	(void)ctx;
	assert_null(harbor);
	return handle >> 24 != 0;
}

void
world_error(struct skynet_context *ctx, const char *format, ...)
{
	(void)ctx;
	char text[512];
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	note("log %s", text);
}

uint64_t
world_now(void)
{
	return world.now_cs;
}

int
world_link(struct skynet_context *ctx, uint32_t destination, int session)
{
	(void)ctx;
	assert_int_equal(session, 0);
	note("link %x", destination);
	return is_dead(destination) ? -1 : (world.last_link = ++world.last_session);
}

const char *
world_command(struct skynet_context *ctx, const char *command, const char *parm)
{
	(void)ctx;
	note("%s %s", command, parm != NULL ? parm : "");
	return NULL;
}

int
world_socket_listen_with(struct skynet_context *ctx, const char *host, int port, int backlog,
			 const struct skynet_socket_options *options)
{
	(void)ctx;
	world.backlog = backlog;
	world.shares_port = options->shares_port;
	(void)snprintf(world.certificate, sizeof(world.certificate), "%s",
		       options->tls != NULL ? options->tls->certificate : "none");
	note("listen %s %d", host != NULL ? host : "anywhere", port);
	return world.can_listen ? LISTENER : -1;
}

void
world_socket_start(struct skynet_context *ctx, int id)
{
	(void)ctx;
	note("start %d", id);
}

void
world_socket_pause(struct skynet_context *ctx, int id)
{
	(void)ctx;
	note("pause %d", id);
}

void
world_socket_close(struct skynet_context *ctx, int id)
{
	(void)ctx;
	note("close %d", id);
}

void
world_socket_shutdown(struct skynet_context *ctx, int id)
{
	(void)ctx;
	note("shutdown %d", id);
}

void
world_socket_nodelay(struct skynet_context *ctx, int id)
{
	(void)ctx;
	(void)id;
}

/* Bytes that are no text are written as <hex>. */
static inline void
note_write(int id, const unsigned char *bytes, size_t size)
{
	char text[2000];
	size_t at = 0;
	for (size_t i = 0; i < size && at + 10 < sizeof(text); i++) {
		bool is_text = (bytes[i] >= ' ' && bytes[i] < 0x7f) || bytes[i] == '\r' ||
			       bytes[i] == '\n';
		at += (size_t)snprintf(text + at, sizeof(text) - at, is_text ? "%c" : "<%02x>",
				       bytes[i]);
	}
	text[at] = '\0';
	note("write %d: %s", id, text);
}

int
world_socket_sendbuffer(struct skynet_context *ctx, struct socket_sendbuffer *buffer)
{
	(void)ctx;
	assert_int_equal(buffer->type, SOCKET_BUFFER_MEMORY);
	note_write(buffer->id, buffer->buffer, buffer->sz);
	skynet_free((void *)buffer->buffer);
	return 0;
}

/* What the gate did since the last look is exactly these lines. */
static inline void
did(const char *expected)
{
	assert_string_equal(world.trace_size > 0 ? world.trace : "", expected);
	world.trace_size = 0;
}

static inline void
forget(void)
{
	world.trace_size = 0;
}

/* --- what happens to the gate --------------------------------------------------------------- */

/* Delivers a message with a copy of the bytes. */
static inline void
deliver(int type, int session, uint32_t source, const void *bytes, size_t size)
{
	char *msg = skynet_malloc(size + 1);
	if (size > 0)
		memcpy(msg, bytes, size);
	if (world.callback(NULL, gate, type, session, source, msg, size) == SKYNET_DONE)
		skynet_free(msg);
}

static inline void
text(const char *command)
{
	deliver(PTYPE_TEXT, 0, WATCHDOG, command, strlen(command));
}

static inline void
event(int type, int id, int ud, const char *words)
{
	char bytes[sizeof(struct skynet_socket_message) + 128];
	struct skynet_socket_message message = {type, id, ud, NULL};
	memcpy(bytes, &message, sizeof(message));
	size_t size = words != NULL ? strlen(words) : 0;
	if (size > 0)
		memcpy(bytes + sizeof(message), words, size);
	deliver(PTYPE_SOCKET, 0, 0, bytes, sizeof(message) + size);
}

static inline void
client_connects(int id)
{
	event(SKYNET_SOCKET_TYPE_ACCEPT, LISTENER, id, "1.2.3.4:5");
}

static inline void
client_sends(int id, const void *bytes, size_t size)
{
	char *buffer = skynet_malloc(size);
	memcpy(buffer, bytes, size);
	struct skynet_socket_message message = {SKYNET_SOCKET_TYPE_DATA, id, (int)size, buffer};
	deliver(PTYPE_SOCKET, 0, 0, &message, sizeof(message));
}

static inline void
client_sends_frames(int id, int count, uint16_t size)
{
	size_t total = (size_t)count * (size + 2u);
	char *bytes = skynet_calloc(1, total);
	for (int i = 0; i < count; i++) {
		bytes[(size_t)i * (size + 2u)] = (char)(size >> 8);
		bytes[(size_t)i * (size + 2u) + 1] = (char)size;
	}
	client_sends(id, bytes, total);
	skynet_free(bytes);
}

static inline void
client_ends(int id)
{
	event(SKYNET_SOCKET_TYPE_CLOSE, id, 0, NULL);
}

static inline void
probe_returns(uint32_t from)
{
	deliver(PTYPE_RESPONSE, world.last_probe, from, NULL, 0);
}

static inline void
time_passes(uint64_t cs)
{
	world.now_cs += cs;
	if (world.timer != 0)
		deliver(PTYPE_RESPONSE, world.timer, 0, NULL, 0);
}

/* A client asks for a websocket, and the answer. */
#define HANDSHAKE                                                                     \
	"GET /x HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
#define HANDSHAKE_ANSWER                                                                    \
	"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
	"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"

static inline int
launch(const char *parm)
{
	gate = gate_create();
	return gate_init(gate, NULL, parm);
}

static inline int
make_world(void **state)
{
	(void)state;
	memset(&world, 0, sizeof(world));
	world.can_listen = true;
	world.now_cs = 100;
	return 0;
}

static inline int
make_gate(void **state)
{
	(void)make_world(state);
	if (launch("S :10 8888 0 3") != 0)
		return 1;
	forget();
	return 0;
}

static inline int
free_gate(void **state)
{
	(void)state;
	gate_release(gate);
	return 0;
}

/* A connection that is read and has an agent. */
static inline void
open_with_agent(int id)
{
	char command[64];
	client_connects(id);
	(void)snprintf(command, sizeof(command), "forward %d :20 :30", id);
	text(command);
	(void)snprintf(command, sizeof(command), "start %d", id);
	text(command);
	forget();
}

#define WITH_GATE(test) cmocka_unit_test_setup_teardown(test, make_gate, free_gate)
#define IN_WORLD(test) cmocka_unit_test_setup(test, make_world)

#endif
