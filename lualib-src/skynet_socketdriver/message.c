/* message.c: socket messages, and blocks of bytes. */
#include "driver.h"

#include <string.h>

/* unpack(msg, sz) -> type, id, ud, text or pointer[, udp address]. The pointer must be freed, with
 * drop or skynet.trash. */
int
driver_unpack(lua_State *L)
{
	struct skynet_socket_message *message = lua_touserdata(L, 1);
	lua_Integer size = luaL_checkinteger(L, 2);
	if (!message || size < (lua_Integer)sizeof *message)
		return luaL_error(L, "not a socket message: %d bytes", (int)size);
	lua_pushinteger(L, message->type);
	lua_pushinteger(L, message->id);
	lua_pushinteger(L, message->ud);
	if (message->buffer)
		lua_pushlightuserdata(L, message->buffer);
	else
		lua_pushlstring(L, (const char *)(message + 1), (size_t)size - sizeof *message);
	if (message->type != SKYNET_SOCKET_TYPE_UDP)
		return 4;
	int address_size;
	const char *address = skynet_socket_udp_address(message, &address_size);
	if (!address)
		return 4;
	lua_pushlstring(L, address, (size_t)address_size);
	return 5;
}

/* str2p(string) -> pointer, size: a malloc-ed copy. */
int
driver_str2p(lua_State *L)
{
	size_t size;
	const char *bytes = luaL_checklstring(L, 1, &size);
	char *copy = skynet_malloc(size + 1);
	memcpy(copy, bytes, size + 1);
	lua_pushlightuserdata(L, copy);
	lua_pushinteger(L, (lua_Integer)size);
	return 2;
}

/* drop(pointer[, size]) */
int
driver_drop(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TLIGHTUSERDATA);
	skynet_free(lua_touserdata(L, 1));
	return 0;
}

/* header(s) -> integer: 1 to 4 bytes, big-endian. */
int
driver_header(lua_State *L)
{
	size_t size;
	const char *bytes = luaL_checklstring(L, 1, &size);
	lua_Integer value = 0;
	if (size < 1 || size > 4)
		return luaL_error(L, "Invalid header: %d bytes instead of 1 to 4", (int)size);
	for (size_t i = 0; i < size; i++)
		value = value << 8 | (unsigned char)bytes[i];
	lua_pushinteger(L, value);
	return 1;
}
