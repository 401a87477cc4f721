/* api_task.c: tasks, from Lua: start, fork, sleep, wait, wakeup, timeout, exit. */
#include "api.h"

#include "closing.h"
#include "dispatch.h"
#include "require.h"
#include "timer.h"
#include "traces.h"
#include "wait.h"

/* Far beyond what anybody waits for, and far from an overflow. */
#define DELAY_MAX_MS (INT64_C(1) << 53)

/* The registry's list of functions that skynet.init was given; its address is the key. */
static char inits_key;

/* --- the start function -------------------------------------------------------------------- */

enum { START_DONE = -1 };

/* The start function has returned. */
static int
report_start(lua_State *L)
{
	struct task *task = engine_of(L)->current;
	task->is_start = false;
	lua_settop(L, 0);
	lua_pushliteral(L, "LAUNCHOK");
	engine_tell_launcher(L, 1);
	return 0;
}

/* Runs the init functions from number `next` on, then the start function, which is at index 1. */
static int
run_start(lua_State *L, int status, lua_KContext next)
{
	(void)status;
	if (next == START_DONE)
		return report_start(L);
	lua_settop(L, 1);
	if (lua_rawgetp(L, LUA_REGISTRYINDEX, &inits_key) == LUA_TTABLE &&
	    lua_rawgeti(L, 2, next + 1) == LUA_TFUNCTION) {
		lua_callk(L, 0, 0, next + 1, run_start);
		return run_start(L, LUA_OK, next + 1);
	}
	lua_pushboolean(L, 0); /* too late for more */
	lua_rawsetp(L, LUA_REGISTRYINDEX, &inits_key);
	lua_settop(L, 1);
	lua_callk(L, 0, 0, START_DONE, run_start);
	return run_start(L, LUA_OK, START_DONE);
}

/* init_service(f) */
static int
l_init_service(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TFUNCTION);
	api_check_task(L)->is_start = true;
	return run_start(L, LUA_OK, 0);
}

/* What skynet.start has run, with its function as upvalue 1. */
static int
begin_start(lua_State *L)
{
	lua_settop(L, 0);
	lua_pushvalue(L, lua_upvalueindex(1));
	return run_start(L, LUA_OK, 0);
}

static int
l_init(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TFUNCTION);
	if (require_add_init(L)) /* a module that is loaded by a task */
		return 0;
	int type = lua_rawgetp(L, LUA_REGISTRYINDEX, &inits_key);
	if (type == LUA_TBOOLEAN)
		return luaL_error(
			L, "skynet.init is too late: its function would run before the start "
			   "function, which has begun already");
	if (type != LUA_TTABLE) {
		lua_pop(L, 1);
		lua_newtable(L);
		lua_pushvalue(L, -1);
		lua_rawsetp(L, LUA_REGISTRYINDEX, &inits_key);
	}
	lua_pushvalue(L, 1);
	lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
	return 0;
}

static int
l_start(lua_State *L)
{
	struct engine *engine = engine_of(L);
	luaL_checktype(L, 1, LUA_TFUNCTION);
	skynet_callback(engine->ctx, engine, dispatch_message);
	engine->is_started = true;
	lua_settop(L, 1);
	lua_pushcclosure(L, begin_start, 1);
	/* Made now: once the script has ended it must not fail for want of memory. */
	struct task *task = engine_new_task(engine);
	if (!task)
		return luaL_error(L, "not enough memory");
	lua_xmove(L, task->co, 1);
	task->is_start = true;
	wait_to_begin(engine, task);
	return 0;
}

/* --- new tasks ----------------------------------------------------------------------------- */

static int
l_fork(lua_State *L)
{
	struct engine *engine = engine_of(L);
	int count = lua_gettop(L);
	luaL_checktype(L, 1, LUA_TFUNCTION);
	struct task *task = engine_new_task(engine);
	if (!task)
		return luaL_error(L, "not enough memory");
	if (!lua_checkstack(task->co, count + 1)) {
		engine_drop_task(engine, task);
		return luaL_error(L, "too many arguments to skynet.fork");
	}
	lua_xmove(L, task->co, count);
	engine_fork(engine, task);
	lua_pushthread(task->co);
	lua_xmove(task->co, L, 1);
	return 1;
}

static int64_t
check_delay_ms(lua_State *L, int index)
{
	lua_Integer delay_cs = luaL_checkinteger(L, index);
	luaL_argcheck(L, delay_cs <= INT32_MAX, index, "at most 2^31-1 hundredths of a second");
	return delay_cs > 0 ? delay_cs * MS_PER_CS : 0;
}

/* The same for an argument in milliseconds. */
static int64_t
check_ms(lua_State *L, int index)
{
	lua_Integer delay_ms = luaL_checkinteger(L, index);
	luaL_argcheck(L, delay_ms <= DELAY_MAX_MS, index, "at most 2^53 milliseconds");
	return delay_ms > 0 ? delay_ms : 0;
}

static int
run_after(lua_State *L, int64_t delay_ms)
{
	luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 2);
	lua_pushinteger(L, timer_start(L, engine_of(L), delay_ms));
	return 1;
}

static int
l_timeout(lua_State *L)
{
	return run_after(L, check_delay_ms(L, 1));
}

static int
l_timeout_ms(lua_State *L)
{
	return run_after(L, check_ms(L, 1));
}

/* --- waiting ------------------------------------------------------------------------------- */

/* Notes that the current task waits for the token at index 1, by default its coroutine. */
static void
enter_token(lua_State *L, struct engine *engine)
{
	if (lua_isnil(L, 1)) {
		lua_pushthread(L);
		lua_replace(L, 1);
	}
	lua_rawgeti(L, LUA_REGISTRYINDEX, engine->tokens);
	lua_pushvalue(L, 1);
	if (lua_rawget(L, 2) != LUA_TNIL)
		luaL_error(L, "token duplicative");
	lua_pushvalue(L, 1);
	lua_pushlightuserdata(L, engine->current);
	lua_rawset(L, 2);
	engine->current->has_token = true;
	lua_settop(L, 1);
}

/* Takes the token at index 1 back. Returns its task, or NULL when nobody waits for it. */
static struct task *
leave_token(lua_State *L, struct engine *engine)
{
	lua_settop(L, 1);
	lua_rawgeti(L, LUA_REGISTRYINDEX, engine->tokens);
	lua_pushvalue(L, 1);
	lua_rawget(L, 2);
	struct task *task = lua_touserdata(L, 3);
	if (task) {
		lua_pushvalue(L, 1);
		lua_pushnil(L);
		lua_rawset(L, 2);
		task->has_token = false;
	}
	lua_settop(L, 1);
	return task;
}

static int
sleep_resumed(lua_State *L, int status, lua_KContext context)
{
	struct engine *engine = engine_of(L);
	(void)status, (void)context;
	if (api_resumed_task(L)->wake == WAKE_TOKEN) {
		lua_pushliteral(L, "BREAK");
		return 1;
	}
	(void)leave_token(L, engine);
	return 0;
}

/* Suspends the current task for delay_ms. Its token is at index 1. */
static int
sleep_for(lua_State *L, int64_t delay_ms)
{
	struct engine *engine = engine_of(L);
	const struct task *task = api_check_task(L);
	enter_token(L, engine);
	if (task->tag)
		traces_log(engine, task->tag, "sleep", L, 1);
	wait_for_time(engine, delay_ms);
	return api_suspend(L, TASK_SLEEPING, 0, sleep_resumed);
}

static int
l_sleep(lua_State *L)
{
	int64_t delay_ms = check_delay_ms(L, 1);
	lua_settop(L, 2);
	lua_remove(L, 1);
	return sleep_for(L, delay_ms);
}

static int
l_sleep_ms(lua_State *L)
{
	int64_t delay_ms = check_ms(L, 1);
	lua_settop(L, 2);
	lua_remove(L, 1);
	return sleep_for(L, delay_ms);
}

static int
l_yield(lua_State *L)
{
	lua_settop(L, 0);
	lua_pushnil(L);
	return sleep_for(L, 0);
}

static int
wait_resumed(lua_State *L, int status, lua_KContext context)
{
	(void)L, (void)status, (void)context;
	return 0;
}

static int
l_wait(lua_State *L)
{
	lua_settop(L, 1);
	(void)api_check_task(L);
	enter_token(L, engine_of(L));
	return api_suspend(L, TASK_WAITING, 0, wait_resumed);
}

static int
l_wakeup(lua_State *L)
{
	struct engine *engine = engine_of(L);
	luaL_checkany(L, 1);
	struct task *task = NULL;
	/* The tokens of a service that ends may belong to tasks that are closed already. */
	if (!lua_isnil(L, 1) && !engine->is_exiting)
		task = leave_token(L, engine);
	/* A coroutine that its program has closed while it waited may have left its token. */
	if (task && (task->state == TASK_SLEEPING || task->state == TASK_WAITING)) {
		wait_wake(engine, task);
		lua_pushboolean(L, 1);
	} else {
		lua_pushnil(L);
	}
	return 1;
}

/* --- the end ------------------------------------------------------------------------------- */

static int
exit_resumed(lua_State *L, int status, lua_KContext context)
{
	(void)L, (void)status, (void)context;
	return 0; /* never: an exiting service runs no task any more */
}

static int
l_exit(lua_State *L)
{
	struct engine *engine = engine_of(L);
	lua_settop(L, 0);
	if (!engine->is_exiting) {
		lua_pushliteral(L, "REMOVE");
		lua_pushinteger(L, skynet_current_handle());
		lua_pushboolean(L, 0);
		engine_tell_launcher(L, 1);
		closing_exit(engine);
	}
	/* Where it cannot suspend, an error is the next best way not to return. */
	if (!engine->current || engine->leaf != L || !lua_isyieldable(L))
		return luaL_error(L, "the service has ended by skynet.exit");
	return api_suspend(L, TASK_WAITING, 0, exit_resumed);
}

const luaL_Reg api_task_functions[] = {
	{"init", l_init},	{"init_service", l_init_service},
	{"start", l_start},	{"fork", l_fork},
	{"timeout", l_timeout}, {"timeout_ms", l_timeout_ms},
	{"sleep", l_sleep},	{"sleep_ms", l_sleep_ms},
	{"yield", l_yield},	{"wait", l_wait},
	{"wakeup", l_wakeup},	{"exit", l_exit},
	{NULL, NULL},
};
