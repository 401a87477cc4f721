/* api_protocol.c: message types, and the bytes of messages, from Lua. */
#include "api.h"

#include "dispatch.h"

#include <stdlib.h>
#include <string.h>

/* --- bytes --------------------------------------------------------------------------------- */

static int
l_pack(lua_State *L)
{
	struct engine *engine = engine_of(L);
	size_t base = engine->scratch.size;
	codec_pack(L, 1, &engine->scratch);
	size_t size = engine->scratch.size - base;
	engine->scratch.size = base;
	char *copy = skynet_malloc(size ? size : 1);
	memcpy(copy, engine->scratch.data + base, size);
	lua_pushlightuserdata(L, copy);
	lua_pushinteger(L, (lua_Integer)size);
	return 2;
}

int
api_packstring(lua_State *L)
{
	struct engine *engine = engine_of(L);
	size_t base = engine->scratch.size;
	codec_pack(L, 1, &engine->scratch);
	size_t size = engine->scratch.size - base;
	engine->scratch.size = base;
	lua_pushlstring(L, engine->scratch.data + base, size);
	return 1;
}

static int
l_unpack(lua_State *L)
{
	if (lua_isnoneornil(L, 1))
		return 0;
	if (lua_type(L, 1) == LUA_TSTRING) {
		size_t length;
		const char *bytes = lua_tolstring(L, 1, &length);
		return codec_unpack(L, bytes, length);
	}
	luaL_checktype(L, 1, LUA_TLIGHTUSERDATA);
	const char *data = lua_touserdata(L, 1);
	lua_Integer size = luaL_checkinteger(L, 2);
	if (size == 0)
		return 0;
	if (!data || size < 0)
		return luaL_error(L, "can't unpack %d bytes at %p", (int)size, data);
	return codec_unpack(L, data, (size_t)size);
}

static int
l_tostring(lua_State *L)
{
	if (lua_isnoneornil(L, 1))
		return 0;
	luaL_checktype(L, 1, LUA_TLIGHTUSERDATA);
	const char *data = lua_touserdata(L, 1);
	lua_Integer size = luaL_checkinteger(L, 2);
	luaL_argcheck(L, size == 0 || (data && size > 0), 2, "not the size of this block");
	lua_pushlstring(L, size ? data : "", (size_t)size);
	return 1;
}

static int
l_trash(lua_State *L)
{
	switch (lua_type(L, 1)) {
	case LUA_TSTRING:
		break;
	case LUA_TLIGHTUSERDATA:
		luaL_checkinteger(L, 2);
		free(lua_touserdata(L, 1));
		break;
	default:
		return luaL_error(L, "skynet.trash invalid param %s", luaL_typename(L, 1));
	}
	return 0;
}

/* --- protocols ----------------------------------------------------------------------------- */

/* Raises unless field `name` of the class at index 1 is a function or missing. */
static void
check_function_field(lua_State *L, const char *name)
{
	int type = lua_getfield(L, 1, name);
	luaL_argcheck(L, type == LUA_TNIL || type == LUA_TFUNCTION, 1,
		      lua_pushfstring(L, "field '%s' must be a function, not a %s", name,
				      lua_typename(L, type)));
	lua_pop(L, 1);
}

/* References the function in field `name` of the class at index 1. */
static int
reference_field(lua_State *L, const char *name)
{
	if (lua_getfield(L, 1, name) == LUA_TFUNCTION)
		return luaL_ref(L, LUA_REGISTRYINDEX);
	lua_pop(L, 1);
	return LUA_NOREF;
}

static lua_CFunction
c_function(lua_State *L, int reference)
{
	lua_rawgeti(L, LUA_REGISTRYINDEX, reference);
	lua_CFunction function = lua_tocfunction(L, -1);
	lua_pop(L, 1);
	return function;
}

static enum unpack_kind
kind_of_unpack(lua_State *L, int reference)
{
	if (reference == LUA_NOREF)
		return UNPACK_NOTHING;
	lua_CFunction function = c_function(L, reference);
	if (function == l_unpack)
		return UNPACK_LUA;
	return function == l_tostring ? UNPACK_TEXT : UNPACK_FUNCTION;
}

static void
check_new(lua_State *L, struct engine *engine, lua_Integer id, const char *name)
{
	luaL_argcheck(L, id >= 0 && id <= UINT8_MAX, 1, "field 'id' must be in 0..255");
	luaL_argcheck(L, engine->protocol_count < UINT8_MAX, 1,
		      "255 protocols are registered already");
	if (engine->index_of[id])
		luaL_error(L, "protocol id %d is registered already, as '%s'", (int)id,
			   engine->protocols[engine->index_of[id] - 1].name);
	for (int i = 0; i < engine->protocol_count; i++)
		if (strcmp(engine->protocols[i].name, name) == 0)
			luaL_error(L, "protocol '%s' is registered already", name);
}

static int
l_register_protocol(lua_State *L)
{
	struct engine *engine = engine_of(L);
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	luaL_argcheck(L, lua_getfield(L, 1, "name") == LUA_TSTRING, 1,
		      "field 'name' must be a string");
	luaL_argcheck(L, lua_getfield(L, 1, "id") == LUA_TNUMBER && lua_isinteger(L, 3), 1,
		      "field 'id' must be an integer");
	const char *name = lua_tostring(L, 2);
	lua_Integer id = lua_tointeger(L, 3);
	check_new(L, engine, id, name);
	check_function_field(L, "pack");
	check_function_field(L, "unpack");
	check_function_field(L, "dispatch");
	struct protocol protocol = {.name = name, .id = (uint8_t)id};
	int trace = lua_getfield(L, 1, "trace");
	luaL_argcheck(L, trace == LUA_TNIL || trace == LUA_TBOOLEAN, 1,
		      "field 'trace' must be true, false or nil");
	protocol.trace = api_check_trace_rule(L, -1);
	lua_pop(L, 1);
	protocol.pack = reference_field(L, "pack");
	protocol.unpack = reference_field(L, "unpack");
	protocol.dispatch = reference_field(L, "dispatch");
	protocol.packs_lua = c_function(L, protocol.pack) == l_pack;
	protocol.kind = kind_of_unpack(L, protocol.unpack);
	lua_pushvalue(L, 2);
	protocol.name_anchor = luaL_ref(L, LUA_REGISTRYINDEX);
	(void)dispatch_add_protocol(engine, &protocol);
	return 0;
}

static void
add_built_in(lua_State *L, const char *name, int id, lua_CFunction pack, lua_CFunction unpack)
{
	struct protocol protocol = {
		.name = name,
		.id = (uint8_t)id,
		.name_anchor = LUA_NOREF, /* a literal */
		.pack = LUA_NOREF,
		.unpack = LUA_NOREF,
		.dispatch = LUA_NOREF,
		.packs_lua = pack == l_pack,
		.kind = unpack == l_unpack ? UNPACK_LUA : UNPACK_NOTHING,
	};
	if (pack) {
		lua_pushcfunction(L, pack);
		protocol.pack = luaL_ref(L, LUA_REGISTRYINDEX);
	}
	if (unpack) {
		lua_pushcfunction(L, unpack);
		protocol.unpack = luaL_ref(L, LUA_REGISTRYINDEX);
	}
	(void)dispatch_add_protocol(engine_of(L), &protocol);
}

void
api_add_protocols(lua_State *L)
{
	add_built_in(L, "lua", PTYPE_RESERVED_LUA, l_pack, l_unpack);
	add_built_in(L, "response", PTYPE_RESPONSE, NULL, NULL);
	add_built_in(L, "error", PTYPE_ERROR, NULL, NULL);
	struct engine *engine = engine_of(L);
	struct protocol debug = *dispatch_protocol(engine, PTYPE_RESERVED_LUA);
	debug.name = "debug"; /* packed like "lua"; its handler comes with its first message */
	debug.id = PTYPE_RESERVED_DEBUG;
	(void)dispatch_add_protocol(engine, &debug);
}

static int
l_dispatch(lua_State *L)
{
	struct engine *engine = engine_of(L);
	bool has_function = !lua_isnoneornil(L, 2);
	if (has_function)
		luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 2);
	if (!has_function && api_find_protocol(L, engine, 1) < 0) {
		lua_pushnil(L);
		return 1;
	}
	struct protocol *protocol = &engine->protocols[api_check_protocol(L, engine, 1)];
	lua_rawgeti(L, LUA_REGISTRYINDEX, protocol->dispatch); /* the previous one, or nil */
	if (has_function) {
		luaL_unref(L, LUA_REGISTRYINDEX, protocol->dispatch);
		lua_pushvalue(L, 2);
		protocol->dispatch = luaL_ref(L, LUA_REGISTRYINDEX);
	}
	return 1;
}

/* Replaces the handler in *reference by the function at index 1 and returns the previous one. */
static int
replace_handler(lua_State *L, int *reference)
{
	luaL_checktype(L, 1, LUA_TFUNCTION);
	lua_settop(L, 1);
	lua_rawgeti(L, LUA_REGISTRYINDEX, *reference);
	luaL_unref(L, LUA_REGISTRYINDEX, *reference);
	lua_pushvalue(L, 1);
	*reference = luaL_ref(L, LUA_REGISTRYINDEX);
	return 1;
}

static int
l_dispatch_unknown_request(lua_State *L)
{
	return replace_handler(L, &engine_of(L)->unknown_request);
}

static int
l_dispatch_unknown_response(lua_State *L)
{
	return replace_handler(L, &engine_of(L)->unknown_response);
}

const luaL_Reg api_protocol_functions[] = {
	{"pack", l_pack},
	{"packstring", api_packstring},
	{"unpack", l_unpack},
	{"tostring", l_tostring},
	{"trash", l_trash},
	{"register_protocol", l_register_protocol},
	{"dispatch", l_dispatch},
	{"dispatch_unknown_request", l_dispatch_unknown_request},
	{"dispatch_unknown_response", l_dispatch_unknown_response},
	{NULL, NULL},
};
