/* send.c: what is sent: texts, tables, blocks, shared buffers; to one or to many. */
#include "driver.h"

#include <limits.h>
#include <string.h>

#define SHARED "skynet.socketdriver.shared"

/* What share gives to Lua. */
struct shared {
	struct skynet_packet *packet;
};

/* --- one socket ---------------------------------------------------------------------------- */

/* Joins the strings of the table at index into one malloc-ed block. */
static void
join_strings(lua_State *L, int index, struct socket_sendbuffer *buffer)
{
	lua_Integer count = (lua_Integer)lua_rawlen(L, index);
	size_t total = 0;
	for (lua_Integer i = 1; i <= count; i++) {
		if (lua_rawgeti(L, index, i) != LUA_TSTRING)
			luaL_error(L, "Invalid strings table");
		total += lua_rawlen(L, -1);
		lua_pop(L, 1);
	}
	char *block = skynet_malloc(total ? total : 1);
	buffer->type = SOCKET_BUFFER_MEMORY;
	buffer->buffer = block;
	buffer->sz = total;
	for (lua_Integer i = 1; i <= count; i++) {
		size_t size;
		lua_rawgeti(L, index, i);
		const char *bytes = lua_tolstring(L, -1, &size);
		memcpy(block, bytes, size);
		block += size;
		lua_pop(L, 1);
	}
}

static void
check_userdata(lua_State *L, int index, struct socket_sendbuffer *buffer)
{
	const struct shared *shared = luaL_testudata(L, index, SHARED);
	if (shared) {
		buffer->type = SOCKET_BUFFER_OBJECT;
		buffer->buffer = shared->packet;
		return;
	}
	buffer->buffer = lua_touserdata(L, index);
	buffer->sz = (size_t)luaL_optinteger(L, index + 1, (lua_Integer)lua_rawlen(L, index));
	luaL_argcheck(L, buffer->sz <= lua_rawlen(L, index), index + 1, "larger than the userdata");
}

static void
check_block(lua_State *L, int index, struct socket_sendbuffer *buffer)
{
	lua_Integer size = luaL_checkinteger(L, index + 1);
	buffer->type = SOCKET_BUFFER_MEMORY;
	buffer->buffer = lua_touserdata(L, index);
	luaL_argcheck(L, size == 0 || (size > 0 && buffer->buffer), index + 1,
		      "not the size of this block");
	buffer->sz = (size_t)size;
}

struct socket_sendbuffer
driver_check_buffer(lua_State *L, int id, int index)
{
	struct socket_sendbuffer buffer = {.id = id, .type = SOCKET_BUFFER_RAWPOINTER};
	switch (lua_type(L, index)) {
	case LUA_TTABLE:
		join_strings(L, index, &buffer);
		break;
	case LUA_TLIGHTUSERDATA:
		check_block(L, index, &buffer);
		break;
	case LUA_TUSERDATA:
		check_userdata(L, index, &buffer);
		break;
	default:
		buffer.buffer = luaL_checklstring(L, index, &buffer.sz);
	}
	return buffer;
}

/* send(id, data[, size]) -> boolean */
int
driver_send(lua_State *L)
{
	struct socket_sendbuffer buffer = driver_check_buffer(L, driver_check_id(L, 1), 2);
	lua_pushboolean(L, skynet_socket_sendbuffer(driver_context(L), &buffer) == 0);
	return 1;
}

/* lsend(id, data[, size]) -> boolean */
int
driver_lsend(lua_State *L)
{
	struct socket_sendbuffer buffer = driver_check_buffer(L, driver_check_id(L, 1), 2);
	lua_pushboolean(L, skynet_socket_sendbuffer_lowpriority(driver_context(L), &buffer) == 0);
	return 1;
}

/* --- many sockets -------------------------------------------------------------------------- */

static int
free_shared(lua_State *L)
{
	struct shared *shared = luaL_checkudata(L, 1, SHARED);
	skynet_packet_release(shared->packet);
	shared->packet = NULL;
	return 0;
}

void
driver_register_shared(lua_State *L)
{
	luaL_newmetatable(L, SHARED);
	lua_pushcfunction(L, free_shared);
	lua_setfield(L, -2, "__gc");
	lua_pushboolean(L, false); /* so that nobody frees it too early */
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 1);
}

/* Replaces the data at index by a shared buffer, if it is none yet. */
static struct skynet_packet *
share(lua_State *L, int index)
{
	struct shared *shared = luaL_testudata(L, index, SHARED);
	if (shared)
		return shared->packet;
	/* Made first: from here on an error frees it. */
	shared = lua_newuserdatauv(L, sizeof *shared, 0);
	shared->packet = NULL;
	luaL_setmetatable(L, SHARED);
	struct socket_sendbuffer buffer = driver_check_buffer(L, 0, index);
	shared->packet = skynet_packet_new(buffer.buffer, buffer.sz);
	if (buffer.type == SOCKET_BUFFER_MEMORY)
		skynet_free((void *)buffer.buffer);
	lua_replace(L, index);
	return shared->packet;
}

/* share(data[, size]) -> what send and broadcast take without another copy */
int
driver_share(lua_State *L)
{
	lua_settop(L, 2);
	(void)share(L, 1);
	lua_settop(L, 1);
	return 1;
}

/* A list of ids is all right as a whole, or nothing is sent. Returns how many there are. */
static lua_Integer
check_ids(lua_State *L, int index)
{
	luaL_checktype(L, index, LUA_TTABLE);
	lua_Integer count = (lua_Integer)lua_rawlen(L, index);
	for (lua_Integer i = 1; i <= count; i++) {
		lua_rawgeti(L, index, i);
		lua_Integer id = lua_tointeger(L, -1);
		if (!lua_isinteger(L, -1) || id < INT_MIN || id > INT_MAX)
			luaL_argerror(L, index,
				      lua_pushfstring(L, "element %I is not the id of a socket: %s",
						      (LUAI_UACINT)i, luaL_tolstring(L, -1, NULL)));
		lua_pop(L, 1);
	}
	return count;
}

/* broadcast(ids, data[, size]) -> how many sockets have taken it */
int
driver_broadcast(lua_State *L)
{
	struct skynet_context *ctx = driver_context(L);
	lua_Integer count = check_ids(L, 1);
	lua_Integer taken = 0;
	lua_settop(L, 3);
	struct socket_sendbuffer buffer = {
		.type = SOCKET_BUFFER_OBJECT,
		.buffer = share(L, 2),
	};
	for (lua_Integer i = 1; i <= count; i++) {
		lua_rawgeti(L, 1, i);
		buffer.id = (int)lua_tointeger(L, -1);
		lua_pop(L, 1);
		taken += skynet_socket_sendbuffer(ctx, &buffer) == 0;
	}
	lua_pushinteger(L, taken);
	return 1;
}
