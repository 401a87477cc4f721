/* skynet_packet.c: messages of a channel, for skynet.multicast: `require "skynet.packet"`.
 *
 * A message of type PTYPE_MULTICAST is the number of its channel, 8 bytes in the machine's order,
 * and what was published. It goes to the service multicastd as any message, and from there to all
 * subscribers as one packet that they share (skynet.h).
 * Threads    [turn]
 */
#include "skynet.h"

#include <lauxlib.h>
#include <lua.h>
#include <string.h>

SKYNET_API int luaopen_skynet_packet(lua_State *L);

#define HEAD_BYTES sizeof(int64_t)

/* What (block, size) or a string at index holds; a block is to be freed. */
struct bytes {
	const void *data;
	size_t size;
	void *block;
};

static struct bytes
check_bytes(lua_State *L, int index)
{
	struct bytes bytes = {0};
	if (lua_type(L, index) == LUA_TSTRING) {
		bytes.data = lua_tolstring(L, index, &bytes.size);
		return bytes;
	}
	luaL_argexpected(L, lua_islightuserdata(L, index), index, "string or block");
	lua_Integer size = luaL_checkinteger(L, index + 1);
	bytes.block = lua_touserdata(L, index);
	luaL_argcheck(L, size == 0 || (size > 0 && bytes.block), index + 1,
		      "not the size of this block");
	bytes.data = bytes.block;
	bytes.size = (size_t)size;
	return bytes;
}

/* pack(channel, string) or pack(channel, block, size) -> block, size: a message for the channel. A
 * block is taken. */
static int
l_pack(lua_State *L)
{
	int64_t channel = luaL_checkinteger(L, 1);
	struct bytes bytes = check_bytes(L, 2);
	char *message = skynet_malloc(HEAD_BYTES + bytes.size + 1);
	memcpy(message, &channel, HEAD_BYTES);
	if (bytes.size > 0)
		memcpy(message + HEAD_BYTES, bytes.data, bytes.size);
	message[HEAD_BYTES + bytes.size] = '\0';
	skynet_free(bytes.block);
	lua_pushlightuserdata(L, message);
	lua_pushinteger(L, (lua_Integer)(HEAD_BYTES + bytes.size));
	return 2;
}

/* The message at index 1; raises when it is none of a channel. */
static const char *
check_message(lua_State *L, lua_Integer *size)
{
	const char *message = lua_touserdata(L, 1);
	*size = luaL_checkinteger(L, 2);
	if (!message || *size < (lua_Integer)HEAD_BYTES)
		luaL_error(L, "not a message of a channel: %d bytes", (int)*size);
	return message;
}

/* unpack(msg, size) -> channel, pointer, size: what was published lies in the message. */
static int
l_unpack(lua_State *L)
{
	lua_Integer size;
	int64_t channel;
	const char *message = check_message(L, &size);
	memcpy(&channel, message, HEAD_BYTES);
	lua_pushinteger(L, channel);
	lua_pushlightuserdata(L, (void *)(uintptr_t)(message + HEAD_BYTES));
	lua_pushinteger(L, size - (lua_Integer)HEAD_BYTES);
	return 3;
}

/* send(msg, size, source, receivers): sends the message, which is borrowed, to every service in the
 * list, as if from source. Who is gone, or has a full mailbox, does not get it. */
static int
l_send(lua_State *L)
{
	lua_Integer size;
	struct skynet_context *ctx = lua_touserdata(L, lua_upvalueindex(1));
	const char *message = check_message(L, &size);
	lua_Integer source = luaL_checkinteger(L, 3);
	luaL_argcheck(L, source >= 0 && source <= UINT32_MAX, 3, "not an address");
	luaL_checktype(L, 4, LUA_TTABLE);
	struct skynet_packet *packet = skynet_packet_new(message, (size_t)size);
	if (!packet)
		return luaL_error(L, "the message is too large: %I bytes", size);
	lua_Integer count = (lua_Integer)lua_rawlen(L, 4);
	for (lua_Integer i = 1; i <= count; i++) { /* nothing here raises: the packet is held */
		lua_rawgeti(L, 4, i);
		uint32_t receiver = (uint32_t)lua_tointeger(L, -1);
		(void)skynet_packet_send(ctx, (uint32_t)source, receiver, PTYPE_MULTICAST, packet);
		lua_pop(L, 1);
	}
	skynet_packet_release(packet);
	return 0;
}

int
luaopen_skynet_packet(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"pack", l_pack},
		{"unpack", l_unpack},
		{"send", l_send},
		{NULL, NULL},
	};
	luaL_newlibtable(L, functions);
	if (lua_getfield(L, LUA_REGISTRYINDEX, "skynet_context") != LUA_TLIGHTUSERDATA)
		return luaL_error(L, "skynet.packet works only inside a skynet service");
	luaL_setfuncs(L, functions, 1);
	return 1;
}
