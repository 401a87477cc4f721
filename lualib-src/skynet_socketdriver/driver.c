/* driver.c: skynet_socket.h for Lua: `require "skynet.socketdriver"`. Opening and control, and the
 * list of all functions.
 *
 * All functions return at once; what happens to a socket comes as a message of type "socket", which
 * `unpack` takes apart.
 */
#include "driver.h"

#include <limits.h>

SKYNET_API int luaopen_skynet_socketdriver(lua_State *L);

/* --- opening ------------------------------------------------------------------------------- */

/* connect(host[, port[, options]]) -> id or nil */
static int
l_connect(lua_State *L)
{
	struct driver_host host = driver_check_host(L, 1);
	struct skynet_socket_options options = driver_check_options(L, 3, "connect");
	if (host.port == 0 && !driver_is_unix_host(&host))
		return luaL_error(L, "Invalid port");
	return driver_push_id(
		L, skynet_socket_connect_with(driver_context(L), host.name, host.port, &options));
}

/* listen(host[, port[, backlog[, options]]]) -> id */
static int
l_listen(lua_State *L)
{
	struct driver_host host = driver_check_host(L, 1);
	lua_Integer backlog = luaL_optinteger(L, 3, 0);
	luaL_argcheck(L, backlog >= 0 && backlog <= INT_MAX, 3, "not a number of connections");
	struct skynet_socket_options options = driver_check_options(L, 4, "listen");
	int id = skynet_socket_listen_with(driver_context(L), host.name, host.port, (int)backlog,
					   &options);
	if (id < 0)
		return luaL_error(L, "Listen error: %s port %d (the reason is in the log)",
				  host.name, host.port);
	return driver_push_id(L, id);
}

/* bind(descriptor) -> id or nil */
static int
l_bind(lua_State *L)
{
	return driver_push_id(L, skynet_socket_bind(driver_context(L), driver_check_id(L, 1)));
}

/* watch(descriptor) -> id or nil */
static int
l_watch(lua_State *L)
{
	return driver_push_id(L, skynet_socket_watch(driver_context(L), driver_check_id(L, 1)));
}

/* --- control ------------------------------------------------------------------------------- */

/* rearm(id, what) -> boolean */
static int
l_rearm(lua_State *L)
{
	int id = driver_check_id(L, 1);
	lua_Integer what = luaL_checkinteger(L, 2);
	luaL_argcheck(L, what >= 0 && what <= (SKYNET_SOCKET_READABLE | SKYNET_SOCKET_WRITABLE), 2,
		      "not 1 (readable), 2 (writable), 3 (both) or 0");
	lua_pushboolean(L, skynet_socket_rearm(driver_context(L), id, (int)what) == 0);
	return 1;
}

static int
l_start(lua_State *L)
{
	skynet_socket_start(driver_context(L), driver_check_id(L, 1));
	return 0;
}

static int
l_pause(lua_State *L)
{
	skynet_socket_pause(driver_context(L), driver_check_id(L, 1));
	return 0;
}

static int
l_close(lua_State *L)
{
	skynet_socket_close(driver_context(L), driver_check_id(L, 1));
	return 0;
}

static int
l_shutdown(lua_State *L)
{
	skynet_socket_shutdown(driver_context(L), driver_check_id(L, 1));
	return 0;
}

static int
l_nodelay(lua_State *L)
{
	skynet_socket_nodelay(driver_context(L), driver_check_id(L, 1));
	return 0;
}

/* --- the module ---------------------------------------------------------------------------- */

int
luaopen_skynet_socketdriver(lua_State *L)
{
	static const luaL_Reg functions[] = {
		/* this file */
		{"connect", l_connect},
		{"listen", l_listen},
		{"bind", l_bind},
		{"watch", l_watch},
		{"rearm", l_rearm},
		{"start", l_start},
		{"pause", l_pause},
		{"close", l_close},
		{"shutdown", l_shutdown},
		{"nodelay", l_nodelay},
		/* send.c */
		{"send", driver_send},
		{"lsend", driver_lsend},
		{"share", driver_share},
		{"broadcast", driver_broadcast},
		/* tls.c */
		{"secure", driver_secure},
		{"tls_info", driver_tls_info},
		{"tls_reload", driver_tls_reload},
		/* udp.c */
		{"udp", driver_udp},
		{"udp_listen", driver_udp_listen},
		{"udp_dial", driver_udp_dial},
		{"udp_connect", driver_udp_connect},
		{"udp_send", driver_udp_send},
		{"udp_address", driver_udp_address},
		/* buffer.c */
		{"buffer", driver_buffer},
		{"push", driver_push},
		{"pop", driver_pop},
		{"readline", driver_readline},
		{"readall", driver_readall},
		{"clear", driver_clear},
		/* message.c */
		{"unpack", driver_unpack},
		{"str2p", driver_str2p},
		{"drop", driver_drop},
		{"header", driver_header},
		/* info.c */
		{"info", driver_info},
		{"resolve", driver_resolve},
		{NULL, NULL},
	};
	driver_register_shared(L);
	driver_register_buffer(L);
	luaL_newlibtable(L, functions);
	if (lua_getfield(L, LUA_REGISTRYINDEX, "skynet_context") != LUA_TLIGHTUSERDATA)
		return luaL_error(L, "skynet.socketdriver works only inside a skynet service");
	luaL_setfuncs(L, functions, 1);
	return 1;
}
