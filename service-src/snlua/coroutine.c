/* coroutine.c: coroutines inside of tasks; see coroutine.h.
 *
 * Each coroutine of skynet.coroutine has a record, in a table of the VM whose keys are weak.
 *
 * N1  A coroutine may wait exactly while engine->leaf is it: its own resumer could wait then, and
 *     nothing between them is beyond suspending.
 * N2  When the leaf waits, each `resume` up to the task suspends its caller, and notes its record
 *     in task->nested, the innermost first. When the wait is over the task is resumed, and each of
 *     them resumes its coroutine again, from the outermost in.
 * N3  Whoever has run a coroutine waits for an interrupt that is at work on it, before the
 * collector
 *     can get hold of it; see engine_interrupt.
 */
#include "coroutine.h"

#include "profile.h"

#include <lauxlib.h>

struct nested {
	struct nested *next; /* in task->nested */
	lua_State *co;
	lua_State *resumer; /* while it runs or waits; else NULL */
	bool waits;	    /* N2 */
};

enum resumed { RESUMED_DONE, RESUMED_FAILED, RESUMED_WAITS };

/* --- records ------------------------------------------------------------------------------- */

/* The record of a coroutine of skynet.coroutine, or NULL. The stack is as before. */
static struct nested *
find_record(lua_State *L, const struct engine *engine, lua_State *co)
{
	if (engine->coroutines == LUA_NOREF)
		return NULL;
	luaL_checkstack(L, 3, NULL);
	lua_rawgeti(L, LUA_REGISTRYINDEX, engine->coroutines);
	if (co == L) {
		(void)lua_pushthread(L);
	} else {
		if (!lua_checkstack(co, 1))
			luaL_error(L, "stack overflow");
		(void)lua_pushthread(co);
		lua_xmove(co, L, 1);
	}
	lua_rawget(L, -2);
	struct nested *record = lua_touserdata(L, -1);
	lua_pop(L, 2);
	return record;
}

static void
push_records(lua_State *L, struct engine *engine)
{
	if (engine->coroutines == LUA_NOREF) {
		lua_newtable(L);
		lua_createtable(L, 0, 1);
		lua_pushliteral(L, "k");
		lua_setfield(L, -2, "__mode");
		lua_setmetatable(L, -2);
		engine->coroutines = luaL_ref(L, LUA_REGISTRYINDEX);
	}
	lua_rawgeti(L, LUA_REGISTRYINDEX, engine->coroutines);
}

/* Makes a coroutine that will run the function at index 1, and leaves it on top. */
static lua_State *
make_plain(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TFUNCTION);
	lua_State *co = lua_newthread(L);
	lua_pushvalue(L, 1);
	lua_xmove(L, co, 1);
	return co;
}

static int
l_create(lua_State *L)
{
	lua_State *co = make_plain(L);
	push_records(L, engine_of(L));
	lua_pushvalue(L, -2);
	struct nested *record = lua_newuserdatauv(L, sizeof *record, 0);
	*record = (struct nested){.co = co};
	lua_rawset(L, -3);
	lua_pop(L, 1);
	return 1;
}

/* --- running ------------------------------------------------------------------------------- */

static void
add_nested(struct task *task, struct nested *record)
{
	struct nested **link = &task->nested;
	while (*link)
		link = &(*link)->next;
	record->next = NULL;
	*link = record;
}

/* Runs the coroutine until it yields, ends, fails, or waits. record: NULL: it may not wait. */
static enum resumed
run(lua_State *L, struct engine *engine, lua_State *co, struct nested *record, int argument_count,
    int *result_count)
{
	lua_State *leaf = engine->leaf;
	bool can_wait = record && leaf == L && lua_isyieldable(L); /* N1 */
	if (record)
		record->resumer = L;
	engine->leaf = can_wait ? co : NULL;
	if (engine->profiles != LUA_NOREF)
		profile_begin(engine, co);
	lua_State *outer = engine_enter(engine, co);
	int status = lua_resume(co, L, argument_count, result_count);
	engine_leave(engine, outer, co, L); /* N3 */
	if (engine->profiles != LUA_NOREF)
		profile_end(engine, co, status != LUA_YIELD);
	engine->leaf = leaf;
	if (can_wait && status == LUA_YIELD &&
	    (engine->current->state != TASK_RUNNING || engine->is_exiting)) {
		lua_pop(co, *result_count);
		record->waits = true;
		add_nested(engine->current, record);
		return RESUMED_WAITS;
	}
	if (record)
		record->resumer = NULL;
	return status == LUA_OK || status == LUA_YIELD ? RESUMED_DONE : RESUMED_FAILED;
}

/* Moves count values from the top of the coroutine. Returns false, with an error text instead, when
 * they are too many. */
static bool
take_results(lua_State *L, lua_State *co, int count)
{
	if (!lua_checkstack(L, count + 1)) {
		lua_pop(co, count);
		lua_pushliteral(L, "too many results to resume");
		return false;
	}
	lua_xmove(co, L, count);
	return true;
}

/* Moves the arguments from index `first` on to the coroutine. */
static bool
give_arguments(lua_State *L, lua_State *co, int first)
{
	int count = lua_gettop(L) - first + 1;
	if (!lua_checkstack(co, count)) {
		lua_settop(L, first - 1);
		lua_pushliteral(L, "too many arguments to resume");
		return false;
	}
	lua_xmove(L, co, count);
	return true;
}

static int
push_failure(lua_State *L)
{
	lua_pushboolean(L, 0);
	lua_insert(L, -2);
	return 2;
}

static int continue_resume(lua_State *L, int status, lua_KContext context);

/* The end of coroutine.resume: index 1 is the coroutine. */
static int
do_resume(lua_State *L, struct nested *record, int argument_count)
{
	int count;
	lua_State *co = lua_tothread(L, 1);
	switch (run(L, engine_of(L), co, record, argument_count, &count)) {
	case RESUMED_WAITS:
		return lua_yieldk(L, 0, (lua_KContext)record, continue_resume);
	case RESUMED_FAILED:
		lua_xmove(co, L, 1);
		return push_failure(L);
	case RESUMED_DONE:
		break;
	}
	lua_pushboolean(L, 1);
	if (!take_results(L, co, count))
		return push_failure(L);
	return count + 1;
}

static int
continue_resume(lua_State *L, int status, lua_KContext context)
{
	struct nested *record = (struct nested *)context;
	(void)status;
	record->waits = false;
	return do_resume(L, record, 0);
}

static int
refuse_waiting(lua_State *L)
{
	lua_pushliteral(L, "cannot resume a skynet coroutine suspend by skynet framework");
	return push_failure(L);
}

static lua_State *
check_thread(lua_State *L, int index)
{
	luaL_checktype(L, index, LUA_TTHREAD);
	return lua_tothread(L, index);
}

/* skynet.coroutine.resume(co, ...) */
static int
l_resume(lua_State *L)
{
	lua_State *co = check_thread(L, 1);
	struct nested *record = find_record(L, engine_of(L), co);
	if (!record) {
		lua_pushliteral(L, "cannot resume none skynet coroutine");
		return push_failure(L);
	}
	if (record->waits)
		return refuse_waiting(L);
	int count = lua_gettop(L) - 1;
	if (!give_arguments(L, co, 2))
		return push_failure(L);
	return do_resume(L, record, count);
}

/* coroutine.resume(co, ...) */
static int
l_plain_resume(lua_State *L)
{
	lua_State *co = check_thread(L, 1);
	const struct nested *record = find_record(L, engine_of(L), co);
	if (record && record->waits)
		return refuse_waiting(L);
	int count = lua_gettop(L) - 1;
	if (!give_arguments(L, co, 2))
		return push_failure(L);
	return do_resume(L, NULL, count);
}

/* --- wrap ---------------------------------------------------------------------------------- */

static int continue_wrap(lua_State *L, int status, lua_KContext context);

/* Raises the error on top in the name of the caller. */
static int
raise_wrapped(lua_State *L)
{
	if (lua_type(L, -1) == LUA_TSTRING) {
		luaL_where(L, 1);
		lua_insert(L, -2);
		lua_concat(L, 2);
	}
	return lua_error(L);
}

static int
do_wrap(lua_State *L, struct nested *record, int argument_count)
{
	int count;
	lua_State *co = lua_tothread(L, lua_upvalueindex(1));
	switch (run(L, engine_of(L), co, record, argument_count, &count)) {
	case RESUMED_WAITS:
		return lua_yieldk(L, 0, (lua_KContext)record, continue_wrap);
	case RESUMED_FAILED:
		if (lua_status(co) != LUA_OK && lua_status(co) != LUA_YIELD)
			(void)lua_resetthread(co); /* closes its variables; the error may change */
		lua_xmove(co, L, 1);
		return raise_wrapped(L);
	case RESUMED_DONE:
		break;
	}
	if (!take_results(L, co, count))
		return raise_wrapped(L);
	return count;
}

static int
continue_wrap(lua_State *L, int status, lua_KContext context)
{
	struct nested *record = (struct nested *)context;
	(void)status;
	record->waits = false;
	return do_wrap(L, record, 0);
}

/* What wrap returns: upvalues: the coroutine, whether it is plain. */
static int
call_wrapped(lua_State *L)
{
	lua_State *co = lua_tothread(L, lua_upvalueindex(1));
	struct nested *record = NULL;
	if (!lua_toboolean(L, lua_upvalueindex(2))) {
		record = find_record(L, engine_of(L), co);
		if (record->waits)
			return luaL_error(L, "cannot resume a skynet coroutine suspend by skynet "
					     "framework");
	}
	int count = lua_gettop(L);
	if (!give_arguments(L, co, 1))
		return raise_wrapped(L);
	return do_wrap(L, record, count);
}

/* skynet.coroutine.wrap(f) */
static int
l_wrap(lua_State *L)
{
	(void)l_create(L);
	lua_pushboolean(L, 0);
	lua_pushcclosure(L, call_wrapped, 2);
	return 1;
}

/* coroutine.wrap(f) */
static int
l_plain_wrap(lua_State *L)
{
	(void)make_plain(L);
	lua_pushboolean(L, 1);
	lua_pushcclosure(L, call_wrapped, 2);
	return 1;
}

/* --- the rest of the library --------------------------------------------------------------- */

static int
l_yield(lua_State *L)
{
	const struct nested *record = find_record(L, engine_of(L), L);
	if (!record || !record->resumer)
		return luaL_error(L, "Call skynet.coroutine.yield out of skynet.coroutine.resume");
	return lua_yield(L, lua_gettop(L));
}

static const char *
status_of(lua_State *L, lua_State *co)
{
	lua_Debug where;
	const struct nested *record = find_record(L, engine_of(L), co);
	if (record && record->waits)
		return "blocked";
	if (co == L)
		return "running";
	if (lua_status(co) == LUA_YIELD)
		return "suspended";
	if (lua_status(co) != LUA_OK)
		return "dead";
	if (lua_getstack(co, 0, &where))
		return "normal"; /* it has resumed another */
	return lua_gettop(co) == 0 ? "dead" : "suspended";
}

static int
l_status(lua_State *L)
{
	lua_pushstring(L, status_of(L, check_thread(L, 1)));
	return 1;
}

static int
l_close(lua_State *L)
{
	lua_State *co = check_thread(L, 1);
	const char *status = status_of(L, co);
	if (status[0] != 's' && status[0] != 'd') /* neither suspended nor dead */
		return luaL_error(L, "cannot close a %s coroutine", status);
	if (lua_resetthread(co) == LUA_OK) {
		lua_pushboolean(L, 1);
		return 1;
	}
	lua_xmove(co, L, 1);
	return push_failure(L);
}

static int
l_running(lua_State *L)
{
	lua_pushboolean(L, lua_pushthread(L));
	return 2;
}

static int
l_isyieldable(lua_State *L)
{
	lua_pushboolean(L, lua_isyieldable(lua_isnoneornil(L, 1) ? L : check_thread(L, 1)));
	return 1;
}

/* The task a coroutine runs in, or waits in. */
static lua_State *
task_of(lua_State *L, const struct engine *engine, lua_State *co)
{
	const struct nested *record;
	while ((record = find_record(L, engine, co)) && record->resumer)
		co = record->resumer;
	if (engine_find_task(engine, co))
		return co;
	return co == L && engine->current ? engine->current->co : NULL; /* a plain one runs */
}

static int
l_thread(lua_State *L)
{
	lua_State *co = lua_isnoneornil(L, 1) ? L : check_thread(L, 1);
	lua_State *task = task_of(L, engine_of(L), co);
	if (!task)
		lua_pushnil(L);
	else
		(void)lua_pushthread(task);
	if (task && task != L)
		lua_xmove(task, L, 1);
	lua_pushboolean(L, task == co);
	return 2;
}

lua_State *
coroutine_innermost(const struct task *task)
{
	return task->nested ? task->nested->co : task->co;
}

void
coroutine_close_nested(struct engine *engine, struct task *task)
{
	struct nested *next;
	for (struct nested *record = task->nested; record; record = next) {
		next = record->next;
		record->waits = false;
		record->resumer = NULL;
		lua_State *outer = engine_enter(engine, record->co);
		(void)lua_resetthread(record->co);
		engine_leave(engine, outer, record->co, NULL);
	}
	task->nested = NULL;
}

lua_CFunction
coroutine_resume_function(void)
{
	return l_plain_resume;
}

lua_CFunction
coroutine_wrap_function(void)
{
	return l_plain_wrap;
}

void
coroutine_prepare(lua_State *L)
{
	lua_getglobal(L, "coroutine");
	lua_pushcfunction(L, l_plain_resume);
	lua_setfield(L, -2, "resume");
	lua_pushcfunction(L, l_plain_wrap);
	lua_setfield(L, -2, "wrap");
	lua_pop(L, 1);
}

int
coroutine_open(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"create", l_create},
		{"resume", l_resume},
		{"yield", l_yield},
		{"wrap", l_wrap},
		{"status", l_status},
		{"running", l_running},
		{"isyieldable", l_isyieldable},
		{"close", l_close},
		{"thread", l_thread},
		{NULL, NULL},
	};
	luaL_newlib(L, functions);
	return 1;
}
