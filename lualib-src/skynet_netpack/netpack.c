/* netpack.c: packets for gates in Lua: `require "skynet.netpack"`.
 *
 * A gate gives each socket message to filter, and gets back what it means. packets.h tells the form
 * of a packet.
 *
 * Memory     filter frees the buffer of the message. The block of a packet is the caller's, until
 *            tostring, pack's receiver, or skynet.trash frees it.
 * Threads    [turn]
 */
#include "packets.h"
#include "skynet.h"
#include "skynet_socket.h"

#include <lauxlib.h>
#include <lua.h>
#include <string.h>

#define QUEUE "skynet.netpack.queue"

SKYNET_API int luaopen_skynet_netpack(lua_State *L);

/* --- queues -------------------------------------------------------------------------------- */

static int
free_queue(lua_State *L)
{
	packets_fini(luaL_checkudata(L, 1, QUEUE));
	return 0;
}

static void
register_queue(lua_State *L)
{
	luaL_newmetatable(L, QUEUE);
	lua_pushcfunction(L, free_queue);
	lua_setfield(L, -2, "__gc");
	lua_pushboolean(L, false);
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 1);
}

/* The queue at index 1, made there if it is nil. */
static struct packets *
check_or_make_queue(lua_State *L)
{
	if (!lua_isnil(L, 1))
		return luaL_checkudata(L, 1, QUEUE);
	struct packets *queue = lua_newuserdatauv(L, sizeof *queue, 0);
	*queue = (struct packets){0};
	luaL_setmetatable(L, QUEUE);
	lua_replace(L, 1);
	return queue;
}

/* --- filter -------------------------------------------------------------------------------- */

/* Pushes a packet. Returns how many values that is. */
static int
push_packet(lua_State *L, const struct packet *packet)
{
	lua_pushinteger(L, packet->id);
	lua_pushlightuserdata(L, packet->block);
	lua_pushinteger(L, packet->size);
	return 3;
}

/* What has come completes no packet, one, or more. Returns how many values that is. */
static int
filter_data(lua_State *L, const struct skynet_socket_message *message)
{
	struct packets *queue = check_or_make_queue(L);
	size_t waited = queue->count;
	packets_feed(queue, message->id, message->buffer, (size_t)message->ud);
	if (queue->count == 0)
		return 0;
	/* Behind packets that nobody has taken yet it has to wait for its turn. */
	if (waited > 0 || queue->count > 1) {
		lua_pushliteral(L, "more");
		return 1;
	}
	struct packet packet;
	(void)packets_pop(queue, &packet); /* there is one */
	lua_pushliteral(L, "data");
	return 1 + push_packet(L, &packet);
}

static int
push_event(lua_State *L, const char *type, int id)
{
	lua_pushstring(L, type);
	lua_pushinteger(L, id);
	return 2;
}

static int
push_text_event(lua_State *L, const char *type, int id, const struct skynet_socket_message *message,
		size_t size)
{
	(void)push_event(L, type, id);
	lua_pushlstring(L, (const char *)(message + 1), size - sizeof *message);
	return 3;
}

/* What a connection has sent of a packet that will never be complete is dropped. */
static void
forget(lua_State *L, int id)
{
	if (!lua_isnil(L, 1))
		packets_forget(luaL_checkudata(L, 1, QUEUE), id);
}

/* Pushes what a message means. Returns how many values that is. */
static int
push_meaning(lua_State *L, const struct skynet_socket_message *message, size_t size)
{
	switch (message->type) {
	case SKYNET_SOCKET_TYPE_DATA:
		return filter_data(L, message);
	case SKYNET_SOCKET_TYPE_CONNECT:
		(void)push_text_event(L, "init", message->id, message, size);
		lua_pushinteger(L, message->ud);
		return 4;
	case SKYNET_SOCKET_TYPE_CLOSE:
		forget(L, message->id);
		return push_event(L, "close", message->id);
	case SKYNET_SOCKET_TYPE_ACCEPT:
		return push_text_event(L, "open", message->ud, message, size);
	case SKYNET_SOCKET_TYPE_ERROR:
		forget(L, message->id);
		return push_text_event(L, "error", message->id, message, size);
	case SKYNET_SOCKET_TYPE_WARNING:
		(void)push_event(L, "warning", message->id);
		lua_pushinteger(L, message->ud);
		return 3;
	default: /* a datagram or a watched descriptor: nothing for a gate */
		return 0;
	}
}

/* filter(queue, msg, sz) -> queue, type, ...: nothing more if nothing is complete yet; "data", id,
 * pointer, size; "more" (take them with pop); "open", new id, address; "close", id; "error", id,
 * text; "warning", id, KiB; "init", id, text, port */
static int
l_filter(lua_State *L)
{
	struct skynet_socket_message *message = lua_touserdata(L, 2);
	lua_Integer size = luaL_checkinteger(L, 3);
	if (!lua_isnil(L, 1))
		(void)luaL_checkudata(L, 1, QUEUE);
	if (!message || size < (lua_Integer)sizeof *message)
		return luaL_error(L, "not a socket message: %d bytes", (int)size);
	int count = push_meaning(L, message, (size_t)size);
	skynet_free(message->buffer);
	message->buffer = NULL;
	lua_pushvalue(L, 1);
	lua_insert(L, -1 - count);
	return 1 + count;
}

/* pop(queue) -> id, pointer, size; or nothing */
static int
l_pop(lua_State *L)
{
	struct packet packet;
	if (lua_isnoneornil(L, 1) || !packets_pop(luaL_checkudata(L, 1, QUEUE), &packet))
		return 0;
	return push_packet(L, &packet);
}

/* clear(queue): drops all that waits in it. */
static int
l_clear(lua_State *L)
{
	if (!lua_isnoneornil(L, 1))
		packets_fini(luaL_checkudata(L, 1, QUEUE));
	return 0;
}

/* --- packets ------------------------------------------------------------------------------- */

/* The bytes at index 1: a string, or a pointer and a size. *is_block: they are to be freed. */
static const char *
check_bytes(lua_State *L, size_t *size, bool *is_block)
{
	*is_block = lua_islightuserdata(L, 1);
	if (!*is_block)
		return luaL_checklstring(L, 1, size);
	lua_Integer count = luaL_checkinteger(L, 2);
	const char *block = lua_touserdata(L, 1);
	luaL_argcheck(L, count == 0 || (count > 0 && block), 2, "not the size of this block");
	*size = (size_t)count;
	return block ? block : "";
}

/* pack(string | pointer, size) -> pointer, size: with the length in front. The one given is
 * borrowed. */
static int
l_pack(lua_State *L)
{
	size_t size;
	bool is_block;
	const char *bytes = check_bytes(L, &size, &is_block);
	if (size > PACKET_SIZE_MAX)
		return luaL_error(L, "Invalid size (too long) of data : %I", (LUAI_UACINT)size);
	char *block = skynet_malloc(PACKET_HEADER_SIZE + size);
	block[0] = (char)(size >> 8);
	block[1] = (char)size;
	memcpy(block + PACKET_HEADER_SIZE, bytes, size);
	lua_pushlightuserdata(L, block);
	lua_pushinteger(L, (lua_Integer)(PACKET_HEADER_SIZE + size));
	return 2;
}

/* tostring(pointer, size) -> string. The pointer is taken. */
static int
l_tostring(lua_State *L)
{
	size_t size;
	bool is_block;
	const char *bytes = check_bytes(L, &size, &is_block);
	if (!is_block)
		return luaL_typeerror(L, 1, "light userdata");
	lua_pushlstring(L, bytes, size);
	skynet_free(lua_touserdata(L, 1));
	return 1;
}

int
luaopen_skynet_netpack(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"filter", l_filter}, {"pop", l_pop},		{"clear", l_clear},
		{"pack", l_pack},     {"tostring", l_tostring}, {NULL, NULL},
	};
	register_queue(L);
	luaL_newlib(L, functions);
	return 1;
}
