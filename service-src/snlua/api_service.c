/* api_service.c: a service's view of itself and its node, from Lua: names, environment, clock,
 * statistics, log, and starting and ending services. */
#include "api.h"

#include "closing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CS_PER_SECOND 100
#define GLOBAL_NAME_CHARACTERS 16
/* The node's id in a handle; 0: it has no network. */
#define NODE_SHIFT 24

static struct skynet_context *
context_of(lua_State *L)
{
	return engine_of(L)->ctx;
}

/* --- names and addresses ------------------------------------------------------------------- */

static int
l_self(lua_State *L)
{
	lua_pushinteger(L, skynet_current_handle());
	return 1;
}

static int
l_localname(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	uint32_t handle = name[0] == '.' ? skynet_queryname(context_of(L), name) : 0;
	if (handle == 0)
		lua_pushnil(L);
	else
		lua_pushinteger(L, handle);
	return 1;
}

static int
l_address(lua_State *L)
{
	char text[16];
	luaL_checkany(L, 1);
	if (!lua_isinteger(L, 1)) {
		luaL_tolstring(L, 1, NULL);
		return 1;
	}
	(void)snprintf(text, sizeof text, ":%08x", (unsigned)lua_tointeger(L, 1));
	lua_pushstring(L, text);
	return 1;
}

static int
l_harbor(lua_State *L)
{
	int node;
	uint32_t handle = (uint32_t)luaL_checkinteger(L, 1);
	int is_remote = skynet_isremote(context_of(L), handle, &node);
	lua_pushinteger(L, node);
	lua_pushboolean(L, is_remote);
	return 2;
}

/* Raises for what the network of nodes does not take for a name. */
static void
check_global_name(lua_State *L, const char *name)
{
	size_t length = strlen(name);
	if (length == 0 || length > GLOBAL_NAME_CHARACTERS || name[0] == ':' || strchr(name, ' '))
		luaL_error(L,
			   "can't register '%s': a global name has 1 to %d characters, no blank "
			   "and no ':' in front",
			   name, GLOBAL_NAME_CHARACTERS);
	if (lua_stringtonumber(L, name))
		luaL_error(L, "can't register '%s': a number is an address, not a name", name);
}

/* Somebody may wait for it (skynet.harbor); if nobody ever has, there is no such service. */
static void
tell_of_name(lua_State *L, const char *name, uint32_t handle)
{
	int top = lua_gettop(L);
	lua_pushliteral(L, "REGISTER");
	lua_pushstring(L, name);
	lua_pushinteger(L, handle);
	engine_tell(L, ".cslave", top + 1);
}

/* Without a network the node itself keeps global names. */
static void
set_global_name(lua_State *L, const char *name, uint32_t handle, const char *parameter)
{
	if (!skynet_command(context_of(L), "GLOBALNAME", parameter))
		skynet_error(context_of(L),
			     "error: the global name %s is taken, or the service is gone", name);
	else
		tell_of_name(L, name, handle);
}

/* In a network .cslave asks for the name, and tells the node who has it. */
static void
ask_for_name(lua_State *L, const char *name, uint32_t handle)
{
	if (skynet_queryname(context_of(L), ".cslave") == 0)
		luaL_error(L,
			   "can't register '%s': this node has no .cslave, which registers global "
			   "names in the network",
			   name);
	tell_of_name(L, name, handle);
}

/* A taken name is left to its owner, as users know it. */
static int
set_name(lua_State *L, const char *name, uint32_t handle)
{
	char address[16];
	(void)snprintf(address, sizeof address, ":%x", handle);
	const char *parameter = lua_pushfstring(L, "%s %s", name, address);
	if (name[0] == '.') {
		(void)skynet_command(context_of(L), "NAME", parameter);
		return 0;
	}
	check_global_name(L, name);
	if (skynet_current_handle() >> NODE_SHIFT == 0)
		set_global_name(L, name, handle, parameter);
	else
		ask_for_name(L, name, handle);
	return 0;
}

static int
l_register(lua_State *L)
{
	return set_name(L, luaL_checkstring(L, 1), skynet_current_handle());
}

static int
l_name(lua_State *L)
{
	struct api_address address = api_check_service(L, 2);
	if (address.handle == 0)
		return luaL_error(L, "can't name %s: there is no such service", address.name);
	return set_name(L, luaL_checkstring(L, 1), address.handle);
}

/* --- environment and log ------------------------------------------------------------------- */

static int
l_getenv(lua_State *L)
{
	lua_pushstring(L, skynet_command(context_of(L), "GETENV", luaL_checkstring(L, 1)));
	return 1;
}

static int
l_setenv(lua_State *L)
{
	const char *key = luaL_checkstring(L, 1);
	const char *value = luaL_checkstring(L, 2);
	luaL_argcheck(L, key[0] != '\0' && !strchr(key, ' '), 1, "a key without blanks expected");
	if (skynet_command(context_of(L), "GETENV", key))
		return luaL_error(L, "Can't setenv exist key : %s", key);
	(void)skynet_command(context_of(L), "SETENV", lua_pushfstring(L, "%s %s", key, value));
	return 0;
}

/* Leaves all arguments as one string, joined by blanks. */
static const char *
join_arguments(lua_State *L, size_t *size)
{
	int count = lua_gettop(L);
	luaL_Buffer buffer;
	luaL_buffinit(L, &buffer);
	for (int i = 1; i <= count; i++) {
		if (i > 1)
			luaL_addchar(&buffer, ' ');
		luaL_tolstring(L, i, NULL);
		luaL_addvalue(&buffer);
	}
	luaL_pushresult(&buffer);
	return lua_tolstring(L, -1, size);
}

static int
l_error(lua_State *L)
{
	size_t size;
	if (lua_gettop(L) == 0)
		lua_pushnil(L);
	const char *text = join_arguments(L, &size);
	skynet_error(context_of(L), "%*s", (int)size, text);
	return 0;
}

/* --- clock --------------------------------------------------------------------------------- */

static int
l_now(lua_State *L)
{
	lua_pushinteger(L, (lua_Integer)skynet_now());
	return 1;
}

static int
l_hpc(lua_State *L)
{
	lua_pushinteger(L, (lua_Integer)skynet_hpc());
	return 1;
}

static lua_Integer
start_time(lua_State *L)
{
	return strtoll(skynet_command(context_of(L), "STARTTIME", NULL), NULL, 10);
}

static int
l_starttime(lua_State *L)
{
	lua_pushinteger(L, start_time(L));
	return 1;
}

static int
l_time(lua_State *L)
{
	const char *time_cs = skynet_command(context_of(L), "TIME", NULL);
	lua_pushnumber(L, (lua_Number)strtoll(time_cs, NULL, 10) / CS_PER_SECOND);
	return 1;
}

/* --- statistics ---------------------------------------------------------------------------- */

static int
l_stat(lua_State *L)
{
	const char *what = luaL_checkstring(L, 1);
	bool is_late = strcmp(what, "late") == 0;
	if (is_late || strcmp(what, "lost") == 0) {
		const struct engine *engine = engine_of(L);
		lua_pushinteger(
			L, (lua_Integer)(is_late ? engine->late_answers : engine->lost_messages));
		return 1;
	}
	const char *value = skynet_command(context_of(L), "STAT", what);
	if (!lua_stringtonumber(L, value ? value : ""))
		lua_pushinteger(L, 0);
	return 1;
}

static int
l_mqlen(lua_State *L)
{
	lua_settop(L, 0);
	lua_pushliteral(L, "mqlen");
	return l_stat(L);
}

static int
l_endless(lua_State *L)
{
	lua_pushboolean(L, strcmp(skynet_command(context_of(L), "STAT", "endless"), "1") == 0);
	return 1;
}

/* --- starting and ending services ---------------------------------------------------------- */

static int
l_launch(lua_State *L)
{
	api_check_words(L, 1);
	const char *address = skynet_command(context_of(L), "LAUNCH", join_arguments(L, NULL));
	if (address)
		lua_pushinteger(L, (lua_Integer)strtoul(address + 1, NULL, 16));
	else
		lua_pushnil(L);
	return 1;
}

static int
l_kill(lua_State *L)
{
	char text[16];
	struct api_address address = api_check_service(L, 1);
	uint32_t handle = address.handle;
	if (handle == 0)
		return luaL_error(L, "can't kill %s: there is no such service", address.name);
	int top = lua_gettop(L);
	lua_pushliteral(L, "REMOVE");
	lua_pushinteger(L, handle);
	lua_pushboolean(L, 1);
	engine_tell_launcher(L, top + 1);
	if (handle == skynet_current_handle()) {
		closing_exit(engine_of(L));
		return 0;
	}
	(void)snprintf(text, sizeof text, ":%x", handle);
	(void)skynet_command(context_of(L), "KILL", text);
	return 0;
}

static int
l_abort(lua_State *L)
{
	/* The status that the process ends with; none: 0. */
	const char *status = lua_isnoneornil(L, 1) ? NULL : luaL_tolstring(L, 1, NULL);
	if (status)
		(void)luaL_checkinteger(L, 1);
	(void)skynet_command(context_of(L), "ABORT", status);
	return 0;
}

const luaL_Reg api_service_functions[] = {
	{"self", l_self},	  {"localname", l_localname},
	{"address", l_address},	  {"harbor", l_harbor},
	{"register", l_register}, {"name", l_name},
	{"getenv", l_getenv},	  {"setenv", l_setenv},
	{"error", l_error},	  {"now", l_now},
	{"hpc", l_hpc},		  {"starttime", l_starttime},
	{"time", l_time},	  {"stat", l_stat},
	{"mqlen", l_mqlen},	  {"endless", l_endless},
	{"launch", l_launch},	  {"kill", l_kill},
	{"abort", l_abort},	  {NULL, NULL},
};
