/* tls.c: the option `tls` of connect, listen and secure, and what a connection has agreed on.
 *
 * The texts of the options belong to Lua; what is made of them on the way is kept in a table, the
 * anchor, as long as the options are used. */
#include "driver.h"

#include <string.h>

/* --- options ------------------------------------------------------------------------------- */

/* The value of a field, on top of the stack, as a text: true and false are words, and the texts of
 * a list are joined by commas. The anchor keeps it. */
static const char *
check_text(lua_State *L, int index, int anchor, const char *name)
{
	luaL_Buffer joined;
	lua_Integer count = lua_istable(L, -1) ? (lua_Integer)lua_rawlen(L, -1) : 0;
	int value = lua_gettop(L);
	if (lua_isboolean(L, -1)) {
		lua_pushstring(L, lua_toboolean(L, -1) ? "true" : "false");
	} else if (count > 0) {
		luaL_buffinit(L, &joined);
		for (lua_Integer i = 1; i <= count; i++) {
			if (i > 1)
				luaL_addchar(&joined, ',');
			if (lua_rawgeti(L, value, i) != LUA_TSTRING)
				luaL_argerror(L, index,
					      lua_pushfstring(L, "tls.%s[%d] is a %s, not a text",
							      name, (int)i, luaL_typename(L, -1)));
			luaL_addvalue(&joined);
		}
		luaL_pushresult(&joined);
	} else if (lua_type(L, -1) == LUA_TSTRING) {
		lua_pushvalue(L, -1);
	} else {
		luaL_argerror(L, index,
			      lua_pushfstring(L, "tls.%s is a %s, not a text", name,
					      luaL_typename(L, -1)));
	}
	const char *text = lua_tostring(L, -1);
	if (strlen(text) != lua_rawlen(L, -1))
		luaL_argerror(L, index, lua_pushfstring(L, "tls.%s has a zero byte in it", name));
	lua_rawseti(L, anchor, (lua_Integer)lua_rawlen(L, anchor) + 1);
	return text;
}

/* Sets one field; its name and value are the two topmost of the stack. */
static void
set_field(lua_State *L, int index, int anchor, struct skynet_tls_options *options)
{
	const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
	if (!name)
		luaL_argerror(L, index, "the names of tls options are texts");
	const char *text = check_text(L, index, anchor, name);
	if (skynet_tls_option(options, name, text) == 0)
		return;
	if (strcmp(name, "verify") == 0)
		luaL_argerror(L, index,
			      lua_pushfstring(L,
					      "tls.verify is '%s', not true, false or "
					      "\"optional\"",
					      text));
	luaL_argerror(L, index, lua_pushfstring(L, "there is no tls option '%s'", name));
}

const struct skynet_tls_options *
driver_check_tls(lua_State *L, int index, int anchor)
{
	int value = lua_gettop(L);
	if (lua_isboolean(L, value) && !lua_toboolean(L, value))
		return NULL;
	if (!lua_isboolean(L, value) && !lua_istable(L, value))
		luaL_argerror(L, index,
			      lua_pushfstring(L, "option 'tls' is a %s, not true or a table",
					      luaL_typename(L, value)));
	struct skynet_tls_options *options = lua_newuserdatauv(L, sizeof *options, 0);
	*options = (struct skynet_tls_options){0};
	lua_rawseti(L, anchor, (lua_Integer)lua_rawlen(L, anchor) + 1);
	if (!lua_istable(L, value))
		return options;
	lua_pushnil(L);
	while (lua_next(L, value)) {
		set_field(L, index, anchor, options);
		lua_pop(L, 1);
	}
	return options;
}

/* --- functions for Lua --------------------------------------------------------------------- */

/* secure(id, role[, tls]) -> boolean. role: "client" or "server". */
int
driver_secure(lua_State *L)
{
	static const char *const roles[] = {"client", "server", NULL};
	int id = driver_check_id(L, 1);
	int is_server = luaL_checkoption(L, 2, NULL, roles);
	lua_settop(L, 3);
	lua_newtable(L);
	if (lua_isnil(L, 3))
		lua_pushboolean(L, true);
	else
		lua_pushvalue(L, 3);
	const struct skynet_tls_options *options = driver_check_tls(L, 3, 4);
	luaL_argcheck(L, options, 3, "false is no way to speak TLS");
	lua_pushboolean(L, skynet_socket_secure(driver_context(L), id, options, is_server) == 0);
	return 1;
}

static void
set_text(lua_State *L, const char *name, const char *text)
{
	if (text[0] == '\0')
		return;
	lua_pushstring(L, text);
	lua_setfield(L, -2, name);
}

/* tls_info(id) -> table or nil */
int
driver_tls_info(lua_State *L)
{
	struct skynet_tls_info info;
	if (skynet_socket_tls_info(driver_context(L), driver_check_id(L, 1), &info) != 0) {
		lua_pushnil(L);
		return 1;
	}
	lua_createtable(L, 0, 7);
	set_text(L, "version", info.version);
	set_text(L, "cipher", info.cipher);
	set_text(L, "alpn", info.alpn);
	set_text(L, "server_name", info.server_name);
	set_text(L, "subject", info.subject);
	set_text(L, "problem", info.problem);
	lua_pushboolean(L, info.is_verified);
	lua_setfield(L, -2, "verified");
	return 1;
}

/* tls_reload() -> integer: how many options keep their old files */
int
driver_tls_reload(lua_State *L)
{
	lua_pushinteger(L, skynet_tls_reload(driver_context(L)));
	return 1;
}
