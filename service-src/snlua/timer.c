/* timer.c: functions that run after a time; see timer.h.
 *
 * F1  Each timer has a waiter of kind WAITER_TIMER, and its function in the table engine->timers,
 *     both under its number. timer_count is how many there are.
 * F2  Lua's tables never shrink by themselves. So when only an eighth is left of what the table has
 *     held, what is left moves to a new one.
 */
#include "timer.h"

#include "wait.h"

#include <lauxlib.h>

/* A table that has never held more is not worth a new one. */
#define PEAK_MIN 4096

/* Pushes the table of functions; makes it first. */
static void
push_timers(lua_State *L, struct engine *engine)
{
	if (engine->timers == LUA_NOREF) {
		lua_newtable(L);
		engine->timers = luaL_ref(L, LUA_REGISTRYINDEX);
	}
	lua_rawgeti(L, LUA_REGISTRYINDEX, engine->timers);
}

static void
note_origin(lua_State *L, struct engine *engine, int64_t delay_ms, int32_t number)
{
	lua_rawgeti(L, LUA_REGISTRYINDEX, engine->origins);
	lua_pushfstring(L, "TIMER %I+%I : ", (lua_Integer)skynet_now(),
			(lua_Integer)(delay_ms / MS_PER_CS));
	luaL_traceback(L, L, NULL, 1);
	lua_concat(L, 2);
	lua_rawseti(L, -2, number);
	lua_pop(L, 1);
}

int32_t
timer_start(lua_State *L, struct engine *engine, int64_t delay_ms)
{
	struct skynet_timer *timer;
	push_timers(L, engine);
	lua_insert(L, -2);
	int32_t number = wait_start_timer(engine, delay_ms, &timer);
	session_map_add(&engine->waiters,
			(struct waiter){.session = number, .kind = WAITER_TIMER, .timer = timer});
	if (++engine->timer_count > engine->timer_peak)
		engine->timer_peak = engine->timer_count;
	lua_rawseti(L, -2, number); /* if this raises, the timer fires without a function */
	lua_pop(L, 1);
	if (engine->origins != LUA_NOREF)
		note_origin(L, engine, delay_ms, number);
	return number;
}

/* Called by engine_run_protected: moves the functions that are left to a table of their size. */
static int
shrink(lua_State *L)
{
	struct engine *engine = engine_of(L);
	lua_settop(L, 0);
	lua_rawgeti(L, LUA_REGISTRYINDEX, engine->timers);
	lua_createtable(L, 0, (int)engine->timer_count);
	lua_pushnil(L);
	while (lua_next(L, 1)) {
		lua_pushvalue(L, -2);
		lua_insert(L, -2);
		lua_rawset(L, 2);
	}
	lua_rawseti(L, LUA_REGISTRYINDEX, engine->timers); /* in place of the old one */
	return 0;
}

/* The timer is over: pushes its function, or nil, and takes it out of the table. */
static void
take_function(lua_State *L, struct engine *engine, int32_t number)
{
	lua_rawgeti(L, LUA_REGISTRYINDEX, engine->timers);
	lua_rawgeti(L, -1, number);
	lua_pushnil(L);
	lua_rawseti(L, -3, number); /* cannot raise: the key is there, or nothing changes */
	lua_remove(L, -2);
	if (engine->origins != LUA_NOREF) {
		lua_rawgeti(L, LUA_REGISTRYINDEX, engine->origins);
		lua_pushnil(L);
		lua_rawseti(L, -2, number);
		lua_pop(L, 1);
	}
	engine->timer_count--;
	if (engine->timer_peak < PEAK_MIN || engine->timer_count > engine->timer_peak / 8)
		return;
	engine->timer_peak = engine->timer_count;
	(void)engine_run_protected(engine, shrink, NULL); /* F2 */
}

bool
timer_cancel(lua_State *L, struct engine *engine, int32_t number)
{
	struct waiter waiter;
	struct waiter *found = session_map_find(&engine->waiters, number);
	if (!found || found->kind != WAITER_TIMER)
		return false;
	if (found->timer && skynet_timer_cancel(engine->ctx, found->timer))
		(void)session_map_remove(&engine->waiters, number, &waiter);
	else
		found->kind = WAITER_FIRED;
	take_function(L, engine, number);
	lua_pop(L, 1);
	return true;
}

void
timer_fire(struct engine *engine, int32_t number)
{
	struct task *task = engine_new_task(engine);
	lua_State *L = task ? task->co : engine->L;
	take_function(L, engine, number);
	if (!task) {
		skynet_error(engine->ctx, "lua memory error : a timer's function was not run");
		lua_pop(L, 1);
	} else if (lua_isnil(L, -1)) {
		engine_drop_task(engine, task);
	} else {
		engine_run(engine, task, 0);
	}
}

void
timer_stop_all(struct engine *engine)
{
	const struct session_map *waiters = &engine->waiters;
	for (uint32_t i = 0; i < waiters->capacity; i++) {
		const struct waiter *waiter = &waiters->slots[i];
		struct skynet_timer *timer = NULL;
		if (waiter->session == 0)
			continue;
		if (waiter->kind == WAITER_TIMER)
			timer = waiter->timer;
		else if (waiter->kind == WAITER_TASK &&
			 waiter->session == waiter->task->timer_session)
			timer = waiter->task->timer;
		if (timer)
			(void)skynet_timer_cancel(engine->ctx, timer);
	}
	session_map_free(&engine->waiters); /* whatever comes now is not handled any more */
}

void
timer_trace(lua_State *L, struct engine *engine, bool is_on)
{
	luaL_unref(L, LUA_REGISTRYINDEX, engine->origins);
	engine->origins = LUA_NOREF;
	if (!is_on)
		return;
	lua_newtable(L);
	engine->origins = luaL_ref(L, LUA_REGISTRYINDEX);
}

void
timer_push_origin(lua_State *L, const struct engine *engine, int32_t number)
{
	if (engine->origins == LUA_NOREF) {
		lua_pushnil(L);
		return;
	}
	lua_rawgeti(L, LUA_REGISTRYINDEX, engine->origins);
	lua_rawgeti(L, -1, number);
	lua_remove(L, -2);
}
