/* skynet_packet.c: messages of a channel, for skynet.multicast: `require "skynet.packet"`.
 *
 * A message of type PTYPE_MULTICAST is the number of its channel, 8 bytes in the machine's order,
 * and what was published. It goes to the service multicastd as any message, and from there to all
 * subscribers as one packet that they share (skynet.h).
 * Threads    [turn]
 */
#include "../service-src/address_set.h"
#include "skynet.h"

#include <lauxlib.h>
#include <lua.h>
#include <string.h>

SKYNET_API int luaopen_skynet_packet(lua_State *L);

/* The metatable of sets of addresses. */
#define RECEIVERS "skynet.packet.receivers"

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

static struct address_set *
check_receivers(lua_State *L, int index)
{
	return luaL_checkudata(L, index, RECEIVERS);
}

static uint32_t
check_address(lua_State *L, int index)
{
	lua_Integer address = luaL_checkinteger(L, index);
	luaL_argcheck(L, address >= 0 && address <= UINT32_MAX, index, "not an address");
	return (uint32_t)address;
}

/* receivers() -> an empty set of addresses, for send. */
static int
l_receivers(lua_State *L)
{
	struct address_set *set = lua_newuserdatauv(L, sizeof *set, 0);
	*set = (struct address_set){0};
	luaL_setmetatable(L, RECEIVERS);
	return 1;
}

/* receivers:add(address) -> whether it was not there yet */
static int
l_add(lua_State *L)
{
	lua_pushboolean(L, address_set_add(check_receivers(L, 1), check_address(L, 2)));
	return 1;
}

/* receivers:remove(address) -> whether it was there */
static int
l_remove(lua_State *L)
{
	lua_pushboolean(L, address_set_remove(check_receivers(L, 1), check_address(L, 2)));
	return 1;
}

/* receivers:all() -> the addresses, as a sequence */
static int
l_all(lua_State *L)
{
	const struct address_set *set = check_receivers(L, 1);
	lua_createtable(L, (int)set->count, 0);
	for (size_t i = 0; i < set->count; i++) {
		lua_pushinteger(L, set->list[i]);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	return 1;
}

static int
l_free(lua_State *L)
{
	address_set_fini(check_receivers(L, 1));
	return 0;
}

/* send(msg, size, source, receivers): sends the message, which is borrowed, to all receivers, as if
 * from source. Who is gone, or has a full mailbox, does not get it. */
static int
l_send(lua_State *L)
{
	lua_Integer size;
	struct skynet_context *ctx = lua_touserdata(L, lua_upvalueindex(1));
	const char *message = check_message(L, &size);
	uint32_t source = check_address(L, 3);
	const struct address_set *set = check_receivers(L, 4);
	if (set->count == 0)
		return 0;
	struct skynet_packet *packet = skynet_packet_new(message, (size_t)size);
	if (!packet)
		return luaL_error(L, "the message is too large: %I bytes", size);
	(void)skynet_packet_send_all(ctx, source, set->list, set->count, PTYPE_MULTICAST, packet);
	skynet_packet_release(packet);
	return 0;
}

static void
make_receivers(lua_State *L)
{
	static const luaL_Reg methods[] = {
		{"add", l_add},	  {"remove", l_remove}, {"all", l_all},
		{"__gc", l_free}, {NULL, NULL},
	};
	luaL_newmetatable(L, RECEIVERS);
	luaL_setfuncs(L, methods, 0);
	lua_pushvalue(L, -1);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 1);
}

int
luaopen_skynet_packet(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"pack", l_pack}, {"unpack", l_unpack}, {"receivers", l_receivers},
		{"send", l_send}, {NULL, NULL},
	};
	make_receivers(L);
	luaL_newlibtable(L, functions);
	if (lua_getfield(L, LUA_REGISTRYINDEX, "skynet_context") != LUA_TLIGHTUSERDATA)
		return luaL_error(L, "skynet.packet works only inside a skynet service");
	luaL_setfuncs(L, functions, 1);
	return 1;
}
