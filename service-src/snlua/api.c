/* api.c: puts the functions together and registers the message types every Lua service speaks. */
#include "api.h"

/* register_protocol{ name = name, id = id, pack = pack, unpack = unpack } with functions of the
 * table at index 1. */
static void
register_protocol(lua_State *L, const char *name, int id, bool has_codec)
{
	lua_getfield(L, 1, "register_protocol");
	lua_createtable(L, 0, 4);
	lua_pushstring(L, name);
	lua_setfield(L, -2, "name");
	lua_pushinteger(L, id);
	lua_setfield(L, -2, "id");
	if (has_codec) {
		lua_getfield(L, 1, "pack");
		lua_setfield(L, -2, "pack");
		lua_getfield(L, 1, "unpack");
		lua_setfield(L, -2, "unpack");
	}
	lua_call(L, 1, 0);
}

int
api_open(lua_State *L)
{
	lua_settop(L, 0);
	lua_createtable(L, 0, 64);
	luaL_setfuncs(L, api_message_functions, 0);
	luaL_setfuncs(L, api_answer_functions, 0);
	luaL_setfuncs(L, api_protocol_functions, 0);
	luaL_setfuncs(L, api_task_functions, 0);
	luaL_setfuncs(L, api_service_functions, 0);
	register_protocol(L, "lua", PTYPE_RESERVED_LUA, true);
	register_protocol(L, "response", PTYPE_RESPONSE, false);
	register_protocol(L, "error", PTYPE_ERROR, false);
	return 1;
}
