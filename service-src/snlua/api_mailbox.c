/* api_mailbox.c: skynet.mailbox: how much mail may wait for this service. */
#include "api.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* What an option is when it is not given: what the config says. */
static lua_Integer
configured(struct engine *engine, const char *key)
{
	const char *value = skynet_command(engine->ctx, "GETENV", key);
	return value ? (lua_Integer)strtol(value, NULL, 10) : 0;
}

/* The number in field `name` of the table at index 1; the config's when there is none. */
static int
check_number(lua_State *L, const char *name, const char *key, lua_Integer most)
{
	lua_Integer number = configured(engine_of(L), key);
	if (lua_getfield(L, 1, name) != LUA_TNIL) {
		int is_integer;
		number = lua_tointegerx(L, -1, &is_integer);
		if (!is_integer || number < 0 || number > most)
			return luaL_error(L, "field '%s' must be an integer in 0..%d", name,
					  (int)most);
	}
	lua_pop(L, 1);
	return (int)number;
}

static int
check_policy(lua_State *L)
{
	static const char *const names[] = {"error", "drop", "block", NULL};
	const char *fallback = skynet_command(engine_of(L)->ctx, "GETENV", "mailboxpolicy");
	if (lua_getfield(L, 1, "policy") == LUA_TNIL) {
		lua_pushstring(L, fallback ? fallback : names[0]);
		lua_replace(L, -2);
	}
	const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
	for (int i = 0; names[i]; i++) {
		if (strcmp(names[i], name) != 0)
			continue;
		lua_pop(L, 1);
		return i; /* in the order of SKYNET_FULL_ERROR, _DROP, _BLOCK */
	}
	return luaL_error(L, "field 'policy' must be \"error\", \"drop\" or \"block\"");
}

static void
forget_handler(struct engine *engine)
{
	luaL_unref(engine->L, LUA_REGISTRYINDEX, engine->overload);
	engine->overload = LUA_NOREF;
}

/* The mailbox has grown over a mark: runs the handler as a task of its own. */
static void
overloaded(struct skynet_context *ctx, void *ud, uint32_t length)
{
	struct engine *engine = ud;
	(void)ctx;
	if (engine->overload == LUA_NOREF || engine->is_exiting)
		return;
	struct task *task = engine_new_task(engine);
	if (!task)
		return; /* no memory: the log has been told */
	lua_rawgeti(task->co, LUA_REGISTRYINDEX, engine->overload);
	lua_pushinteger(task->co, length);
	engine_fork(engine, task);
}

static void
set_handler(lua_State *L)
{
	struct engine *engine = engine_of(L);
	int type = lua_getfield(L, 1, "overload");
	if (type != LUA_TNIL && type != LUA_TFUNCTION)
		luaL_error(L, "field 'overload' must be a function, not a %s",
			   luaL_typename(L, -1));
	forget_handler(engine);
	if (type == LUA_TFUNCTION)
		engine->overload = luaL_ref(L, LUA_REGISTRYINDEX);
	else
		lua_pop(L, 1);
	skynet_overload(engine->ctx, engine, engine->overload == LUA_NOREF ? NULL : overloaded);
}

static int
l_mailbox(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	int warning = check_number(L, "warning", "mailboxwarning", INT_MAX);
	int limit = check_number(L, "limit", "mailboxlimit", UINT16_MAX);
	int policy = check_policy(L);
	set_handler(L);
	if (skynet_mailbox(engine_of(L)->ctx, warning, limit, policy) != 0)
		return luaL_error(L, "the mailbox does not take these numbers");
	return 0;
}

const luaL_Reg api_mailbox_functions[] = {
	{"mailbox", l_mailbox},
	{NULL, NULL},
};
