/* skynet_simulation.c: skynet_simulation.h for Lua: `require "skynet.simulation"`. Tests use it
 * through `skynet.test`, which has names instead of numbers, and cleans up.
 *
 * Threads    [turn]
 */
#include "skynet_simulation.h"

#include <lauxlib.h>
#include <limits.h>
#include <lua.h>

SKYNET_API int luaopen_skynet_simulation(lua_State *L);

/* The service this VM belongs to: upvalue 1 of every function here. */
static struct skynet_context *
context_of(lua_State *L)
{
	return lua_touserdata(L, lua_upvalueindex(1));
}

static int
l_seed(lua_State *L)
{
	uint64_t seed;
	if (skynet_simulation_seed(context_of(L), &seed))
		lua_pushinteger(L, (lua_Integer)seed);
	else
		lua_pushnil(L);
	return 1;
}

static int
l_random(lua_State *L)
{
	lua_pushinteger(L, (lua_Integer)skynet_simulation_random(context_of(L)));
	return 1;
}

static uint32_t
optional_handle(lua_State *L, int index)
{
	lua_Integer handle = luaL_optinteger(L, index, 0);
	luaL_argcheck(L, handle >= 0 && handle <= UINT32_MAX, index, "no handle");
	return (uint32_t)handle;
}

/* fault(kind, source, destination, type, chance, count, delay_min_ms, delay_max_ms) */
static int
l_fault(lua_State *L)
{
	static const char *const kinds[] = {"drop", "delay", "duplicate", NULL};
	struct skynet_fault fault = {
		.kind = (enum skynet_fault_kind)luaL_checkoption(L, 1, NULL, kinds),
		.source = optional_handle(L, 2),
		.destination = optional_handle(L, 3),
		.chance = luaL_optnumber(L, 5, 1),
		.count_max = luaL_optinteger(L, 6, 0),
		.delay_min_ms = luaL_optinteger(L, 7, 0),
	};
	lua_Integer type = luaL_optinteger(L, 4, -1);
	luaL_argcheck(L, type >= -1 && type <= 255, 4, "no message type");
	fault.type = (int)type;
	fault.delay_max_ms = luaL_optinteger(L, 8, fault.delay_min_ms);
	luaL_argcheck(L, fault.chance >= 0 && fault.chance <= 1, 5, "from 0 to 1 expected");
	int number = skynet_simulation_add_fault(context_of(L), &fault);
	if (number < 0)
		return luaL_error(L, "the node is not simulated, or the numbers make no sense");
	lua_pushinteger(L, number);
	return 1;
}

static int
check_number(lua_State *L)
{
	lua_Integer number = luaL_checkinteger(L, 1);
	luaL_argcheck(L, number >= 0 && number <= INT_MAX, 1, "not the number of a rule");
	return (int)number;
}

static int
l_fault_count(lua_State *L)
{
	int64_t count = skynet_simulation_fault_count(context_of(L), check_number(L));
	if (count >= 0)
		lua_pushinteger(L, count);
	else
		lua_pushnil(L);
	return 1;
}

static int
l_remove_fault(lua_State *L)
{
	skynet_simulation_remove_fault(context_of(L), check_number(L));
	return 0;
}

static int
l_alarm(lua_State *L)
{
	int64_t delay_ms = luaL_checkinteger(L, 1);
	int64_t real_ms = luaL_optinteger(L, 2, 0);
	if (skynet_simulation_alarm(context_of(L), delay_ms, real_ms) < 0)
		return luaL_error(L, "the node is not simulated");
	return 0;
}

/* A list of {handle, name of its C module}, in the order of the handles. */
static int
l_services(lua_State *L)
{
	const char *module;
	uint32_t handle = 0;
	lua_Integer count = 0;
	lua_newtable(L);
	while ((handle = skynet_simulation_next_service(context_of(L), handle, &module)) != 0) {
		lua_createtable(L, 2, 0);
		lua_pushinteger(L, handle);
		lua_rawseti(L, -2, 1);
		lua_pushstring(L, module);
		lua_rawseti(L, -2, 2);
		lua_rawseti(L, -2, ++count);
	}
	return 1;
}

int
luaopen_skynet_simulation(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"seed", l_seed},
		{"random", l_random},
		{"fault", l_fault},
		{"fault_count", l_fault_count},
		{"remove_fault", l_remove_fault},
		{"alarm", l_alarm},
		{"services", l_services},
		{NULL, NULL},
	};
	luaL_newlibtable(L, functions);
	if (lua_getfield(L, LUA_REGISTRYINDEX, "skynet_context") != LUA_TLIGHTUSERDATA)
		return luaL_error(L, "skynet.simulation works only inside a skynet service");
	luaL_setfuncs(L, functions, 1);
	return 1;
}
