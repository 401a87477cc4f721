/* require.c: the `require` of a service. In the main chunk it is Lua's own. In a coroutine it is
 * the one of lualib/skynet/require.lua, in which a module may wait while it is loaded; that file is
 * loaded with the first module that a coroutine asks for and that is not there yet.
 */
#include "require.h"

#include <lauxlib.h>

enum {
	PLAIN = lua_upvalueindex(1),   /* Lua's own require */
	WAITING = lua_upvalueindex(2), /* the one of skynet.require; nil: not loaded */
};

static int
require_done(lua_State *L, int status, lua_KContext context)
{
	(void)status, (void)context;
	return lua_gettop(L);
}

/* Calls the function on top of the stack with the name at index 1 and returns what it returns. */
static int
call_with_name(lua_State *L)
{
	lua_insert(L, 1);
	lua_callk(L, 1, LUA_MULTRET, 0, require_done);
	return require_done(L, LUA_OK, 0);
}

/* Pushes the module at once if it is there. Before a coroutine has loaded any, none is half
 * loaded. */
static bool
push_loaded(lua_State *L)
{
	lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	lua_pushvalue(L, 1);
	lua_gettable(L, -2);
	return lua_toboolean(L, -1);
}

static void
load_waiting_require(lua_State *L)
{
	lua_pushvalue(L, PLAIN);
	lua_pushliteral(L, "skynet.require");
	lua_call(L, 1, 1);
	lua_getfield(L, -1, "require");
	lua_replace(L, WAITING);
}

static int
l_require(lua_State *L)
{
	luaL_checkstring(L, 1);
	lua_settop(L, 1);
	if (lua_pushthread(L)) { /* of the main chunk, which can't wait */
		lua_settop(L, 1);
		lua_pushvalue(L, PLAIN);
		return call_with_name(L);
	}
	if (lua_isnil(L, WAITING)) {
		if (push_loaded(L))
			return 1;
		load_waiting_require(L);
	}
	lua_settop(L, 1);
	lua_pushvalue(L, WAITING);
	return call_with_name(L);
}

void
require_open(lua_State *L)
{
	lua_getglobal(L, "require");
	lua_pushnil(L);
	lua_pushcclosure(L, l_require, 2);
	lua_setglobal(L, "require");
}

bool
require_add_init(lua_State *L)
{
	bool is_added = false;
	bool is_main = lua_pushthread(L);
	lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
	if (!is_main && lua_getfield(L, -1, "skynet.require") == LUA_TTABLE) {
		lua_getfield(L, -1, "add_init");
		lua_pushvalue(L, 1);
		lua_call(L, 1, 1);
		is_added = lua_toboolean(L, -1);
	}
	lua_settop(L, 1);
	return is_added;
}
