/* api_internals.c: the module "skynet.internals": what Lua libraries of the framework need and
 * programs do not: the tasks and timers of the service, one by one, and the parts of the engine
 * that have a library of their own. */
#include "api.h"

#include "closing.h"
#include "coroutine.h"
#include "dispatch.h"
#include "profile.h"
#include "timer.h"
#include "wait.h"

#include <lauxlib.h>
#include <stdlib.h>

/* Pushes a task's coroutine. */
static void
push_coroutine(lua_State *L, const struct task *task)
{
	(void)lua_pushthread(task->co);
	if (task->co != L)
		lua_xmove(task->co, L, 1);
}

static bool
is_suspended(const struct task *task)
{
	return task->state == TASK_CALLING || task->state == TASK_SLEEPING ||
	       task->state == TASK_WAITING || task->state == TASK_READING;
}

/* tasks() -> { [coroutine] = session }: those that are suspended. */
static int
l_tasks(lua_State *L)
{
	struct engine *engine = engine_of(L);
	lua_settop(L, 0);
	lua_newtable(L);
	for (struct task *task = engine->all; task; task = task->all_next) {
		if (!is_suspended(task))
			continue;
		push_coroutine(L, task);
		lua_pushinteger(L, wait_number(engine, task));
		lua_rawset(L, -3);
	}
	return 1;
}

/* timers() -> { [number] = where it was set, or false }: those with a function. */
static int
l_timers(lua_State *L)
{
	const struct engine *engine = engine_of(L);
	lua_settop(L, 0);
	lua_newtable(L);
	for (uint32_t i = 0; i < engine->waiters.capacity; i++) {
		const struct waiter *waiter = &engine->waiters.slots[i];
		if (waiter->session == 0 || waiter->kind != WAITER_TIMER)
			continue;
		timer_push_origin(L, engine, waiter->session);
		if (lua_isnil(L, -1)) {
			lua_pop(L, 1);
			lua_pushboolean(L, 0);
		}
		lua_rawseti(L, 1, waiter->session);
	}
	return 1;
}

/* count() -> how many tasks are suspended, how many timers are set */
static int
l_count(lua_State *L)
{
	const struct engine *engine = engine_of(L);
	lua_Integer count = 0;
	for (const struct task *task = engine->all; task; task = task->all_next)
		count += is_suspended(task);
	lua_pushinteger(L, count);
	lua_pushinteger(L, engine->timer_count);
	return 2;
}

/* starting() -> the coroutine that runs the start function, while it has not returned */
static int
l_starting(lua_State *L)
{
	const struct task *task = engine_of(L)->all;
	while (task && !task->is_start)
		task = task->all_next;
	if (!task)
		return 0;
	push_coroutine(L, task);
	return 1;
}

/* innermost(co) -> of a suspended task: the coroutine that has called what waits */
static int
l_innermost(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTHREAD);
	const struct task *task = engine_find_task(engine_of(L), lua_tothread(L, 1));
	lua_settop(L, 1);
	if (!task)
		return 1;
	lua_State *co = coroutine_innermost(task);
	(void)lua_pushthread(co);
	if (co != L)
		lua_xmove(co, L, 1);
	return 1;
}

/* kill(co) -> whether it was a suspended task. It has ended then. */
static int
l_kill_task(lua_State *L)
{
	struct engine *engine = engine_of(L);
	luaL_checktype(L, 1, LUA_TTHREAD);
	struct task *task = engine_find_task(engine, lua_tothread(L, 1));
	/* Those of a service that ends are closed anyway. */
	bool can_kill = task && task->state != TASK_RUNNING && !engine->is_exiting;
	if (can_kill)
		closing_kill_task(engine, task);
	lua_pushboolean(L, can_kill);
	return 1;
}

/* is_over(session) -> whether the call with this session has ended */
static int
l_is_over(lua_State *L)
{
	lua_Integer session = luaL_checkinteger(L, 1);
	luaL_argcheck(L, session > 0 && session <= INT32_MAX, 1, "a session expected");
	lua_pushboolean(L, wait_is_over(engine_of(L), (int32_t)session));
	return 1;
}

/* rename(name): what the service is called in errors. At first that is its script. */
static int
l_rename(lua_State *L)
{
	struct engine *engine = engine_of(L);
	const char *name = luaL_checkstring(L, 1);
	free(engine->name);
	engine->name = skynet_strdup(name);
	return 0;
}

/* cancel(timer) -> whether it was set */
static int
l_cancel(lua_State *L)
{
	lua_Integer number = luaL_checkinteger(L, 1);
	bool is_number = number > 0 && number <= INT32_MAX;
	lua_pushboolean(L, is_number && timer_cancel(L, engine_of(L), (int32_t)number));
	return 1;
}

/* protocol(name or id) -> its name, id, pack, unpack, dispatch, trace */
static int
l_protocol(lua_State *L)
{
	struct engine *engine = engine_of(L);
	int index = lua_isnil(L, 1) ? -1 : api_find_protocol(L, engine, 1);
	if (index < 0)
		return 0;
	const struct protocol *protocol = &engine->protocols[index];
	lua_pushstring(L, protocol->name);
	lua_pushinteger(L, protocol->id);
	lua_rawgeti(L, LUA_REGISTRYINDEX, protocol->pack);
	lua_rawgeti(L, LUA_REGISTRYINDEX, protocol->unpack);
	lua_rawgeti(L, LUA_REGISTRYINDEX, protocol->dispatch);
	if (protocol->trace == TRACE_ON_DEMAND)
		lua_pushnil(L);
	else
		lua_pushboolean(L, protocol->trace == TRACE_ALWAYS);
	return 6;
}

/* references(make): from now on tables with an integer field __remote are packed as references, and
 * make(handle) gives the object for one that comes. */
static int
l_references(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TFUNCTION);
	lua_settop(L, 1);
	lua_setfield(L, LUA_REGISTRYINDEX, CODEC_REFERENCES);
	engine_of(L)->scratch.has_references = true;
	return 0;
}

/* coroutine(), profile() -> the libraries of that name; "skynet.queue" is `queue` itself */
static int
l_coroutine(lua_State *L)
{
	return coroutine_open(L);
}

static int
l_profile(lua_State *L)
{
	return profile_open(L, coroutine_resume_function(), coroutine_wrap_function());
}

int
api_open_internals(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"rename", l_rename},	      {"cancel", l_cancel},	  {"tasks", l_tasks},
		{"timers", l_timers},	      {"count", l_count},	  {"starting", l_starting},
		{"innermost", l_innermost},   {"kill", l_kill_task},	  {"protocol", l_protocol},
		{"references", l_references}, {"coroutine", l_coroutine}, {"profile", l_profile},
		{"queue", api_new_section},   {"is_over", l_is_over},	  {NULL, NULL},
	};
	luaL_newlib(L, functions);
	return 1;
}
