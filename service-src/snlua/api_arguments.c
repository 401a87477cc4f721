/* api_arguments.c: reads the arguments that many functions share: addresses, message types,
 * payloads. */
#include "api.h"

#include <stdlib.h>
#include <string.h>

struct api_address
api_check_address(lua_State *L, int index)
{
	struct api_address address = {0};
	if (lua_isnumber(L, index)) { /* a number, or a string that reads as one */
		lua_Integer handle = lua_tointeger(L, index);
		if (handle < 1 || handle > UINT32_MAX)
			luaL_error(L, "Invalid service address %s", luaL_tolstring(L, index, NULL));
		address.handle = (uint32_t)handle;
	} else if (lua_type(L, index) == LUA_TSTRING) {
		address.name = lua_tostring(L, index);
		if (address.name[0] == ':') {
			address.handle = (uint32_t)strtoul(address.name + 1, NULL, 16);
			if (address.handle == 0)
				luaL_error(L, "Invalid service address %s", address.name);
		}
	} else {
		luaL_error(L, "dest address type (%s) must be a string or number.",
			   luaL_typename(L, index));
	}
	return address;
}

/* The handle of a local or global name, or 0. */
static uint32_t
handle_of(struct skynet_context *ctx, const char *name)
{
	if (name[0] == '.')
		return skynet_queryname(ctx, name);
	if (strchr(name, ' ')) /* GLOBALNAME would set one */
		return 0;
	const char *owner = skynet_command(ctx, "GLOBALNAME", name);
	return owner && owner[0] == ':' ? (uint32_t)strtoul(owner + 1, NULL, 16) : 0;
}

struct api_address
api_check_service(lua_State *L, int index)
{
	struct api_address address = api_check_address(L, index);
	if (address.handle == 0)
		address.handle = handle_of(engine_of(L)->ctx, address.name);
	return address;
}

int
api_find_protocol(lua_State *L, const struct engine *engine, int index)
{
	if (lua_type(L, index) == LUA_TNUMBER) {
		lua_Integer id = lua_tointeger(L, index);
		return id >= 0 && id <= UINT8_MAX ? engine->index_of[id] - 1 : -1;
	}
	const char *name = luaL_checkstring(L, index);
	/* Short strings are interned, so mostly the first comparison finds it. */
	for (int i = 0; i < engine->protocol_count; i++)
		if (engine->protocols[i].name == name)
			return i;
	for (int i = 0; i < engine->protocol_count; i++)
		if (strcmp(engine->protocols[i].name, name) == 0)
			return i;
	return -1;
}

int
api_check_protocol(lua_State *L, const struct engine *engine, int index)
{
	int found = api_find_protocol(L, engine, index);
	if (found >= 0)
		return found;
	return luaL_argerror(L, index,
			     lua_pushfstring(L, "no protocol '%s' is registered in this service",
					     luaL_tolstring(L, index, NULL)));
}

enum trace_rule
api_check_trace_rule(lua_State *L, int index)
{
	if (lua_isnoneornil(L, index))
		return TRACE_ON_DEMAND;
	luaL_argexpected(L, lua_isboolean(L, index), index, "true, false or nil");
	return lua_toboolean(L, index) ? TRACE_ALWAYS : TRACE_NEVER;
}

struct api_payload
api_check_payload(lua_State *L, int index)
{
	struct api_payload payload = {0};
	switch (lua_type(L, index)) {
	case LUA_TNONE:
	case LUA_TNIL:
		break;
	case LUA_TSTRING:
		payload.data = (void *)(uintptr_t)lua_tolstring(L, index, &payload.size);
		break;
	case LUA_TLIGHTUSERDATA: {
		lua_Integer size = luaL_checkinteger(L, index + 1);
		luaL_argcheck(L, size >= 0, index + 1, "a negative size");
		payload.data = lua_touserdata(L, index);
		payload.size = (size_t)size;
		payload.tag = PTYPE_TAG_DONTCOPY;
		break;
	}
	default:
		luaL_error(L,
			   "invalid param %s: a message is a string, or a lightuserdata and a size",
			   luaL_typename(L, index));
	}
	return payload;
}

void
api_drop_payload(const struct api_payload *payload)
{
	if (payload->tag & PTYPE_TAG_DONTCOPY)
		free(payload->data);
}

void
api_check_words(lua_State *L, int first)
{
	int count = lua_gettop(L);
	luaL_checkstring(L, first);
	while (lua_isnil(L, count))
		lua_settop(L, --count);
	for (int i = first + 1; i <= count; i++)
		if (!lua_isstring(L, i)) /* true for numbers */
			luaL_typeerror(L, i, "string or number");
}
