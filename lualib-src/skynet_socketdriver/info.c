/* info.c: what there is: the sockets of the node, and names that need no network. */
#include "driver.h"

#include <string.h>

/* How many addresses of one name are told. */
#define ADDRESSES_MAX 16

static const char *
type_name(int type)
{
	switch ((enum socket_info_type)type) {
	case SOCKET_INFO_LISTEN:
		return "LISTEN";
	case SOCKET_INFO_TCP:
		return "TCP";
	case SOCKET_INFO_UDP:
		return "UDP";
	case SOCKET_INFO_BIND:
		return "BIND";
	case SOCKET_INFO_CLOSING:
		return "CLOSING";
	case SOCKET_INFO_UNKNOWN:
		break;
	}
	return "UNKNOWN";
}

static void
set_integer(lua_State *L, const char *key, uint64_t value)
{
	lua_pushinteger(L, (lua_Integer)value);
	lua_setfield(L, -2, key);
}

static void
set_boolean(lua_State *L, const char *key, bool value)
{
	lua_pushboolean(L, value);
	lua_setfield(L, -2, key);
}

static void
set_string(lua_State *L, const char *key, const char *value)
{
	lua_pushstring(L, value);
	lua_setfield(L, -2, key);
}

static void
push_socket(lua_State *L, const struct socket_info *info)
{
	lua_newtable(L);
	set_integer(L, "id", (uint64_t)info->id);
	set_integer(L, "address", info->opaque);
	set_string(L, "type", type_name(info->type));
	set_integer(L, "rtime", info->rtime);
	if (info->type == SOCKET_INFO_LISTEN) {
		set_integer(L, "accept", info->read);
		set_string(L, "sock", info->name);
		return;
	}
	set_integer(L, "read", info->read);
	set_integer(L, "write", info->write);
	set_integer(L, "wbuffer", (uint64_t)info->wbuffer);
	set_integer(L, "wtime", info->wtime);
	set_boolean(L, "reading", info->reading);
	set_boolean(L, "writing", info->writing);
	set_string(L, "peer", info->name);
}

static int
push_sockets(lua_State *L)
{
	const struct socket_info *info = lua_touserdata(L, 1);
	lua_newtable(L);
	for (lua_Integer i = 1; info; info = info->next, i++) {
		push_socket(L, info);
		lua_rawseti(L, -2, i);
	}
	return 1;
}

/* info() -> list of sockets */
int
driver_info(lua_State *L)
{
	/* Protected, so that the list is released when memory is short. */
	lua_pushcfunction(L, push_sockets);
	struct socket_info *list = skynet_socket_info();
	lua_pushlightuserdata(L, list);
	int status = lua_pcall(L, 1, 1, 0);
	socket_info_release(list);
	return status == LUA_OK ? 1 : lua_error(L);
}

/* resolve(host) -> list of IP addresses */
int
driver_resolve(lua_State *L)
{
	char ips[ADDRESSES_MAX][SKYNET_SOCKET_IP_SIZE];
	size_t length;
	const char *host = luaL_checklstring(L, 1, &length);
	luaL_argcheck(L, strlen(host) == length, 1, "a zero byte in a host");
	int count = skynet_socket_resolve(host, ips, ADDRESSES_MAX);
	if (count == 0)
		return luaL_error(L,
				  "cannot resolve %s here: it is no number and not in the hosts "
				  "file (skynet.dns asks the network)",
				  host);
	lua_createtable(L, count, 0);
	for (int i = 0; i < count; i++) {
		lua_pushstring(L, ips[i]);
		lua_rawseti(L, -2, i + 1);
	}
	return 1;
}
