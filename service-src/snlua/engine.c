/* engine.c: runs the tasks of one Lua service; see engine.h.
 *
 * E1  A task that waits for a session is in `waiters` under it, and only then.
 * E2  A task is in one place: the pool, one list, a waiter or a token, or running.
 * E3  Outside a task nothing here may raise a Lua error, for nobody would catch it: coroutines are
 *     made under lua_pcall, everything else that allocates happens inside a task.
 * E4  Each request is answered exactly once: by the task, by a response closure that took it over,
 *     or with an error when the task fails, is closed, or the service ends.
 * E5  A task leaves the list of all tasks before its to-be-closed variables are closed: what they
 *     run may end the service, which closes whatever is in that list.
 */
#include "engine.h"

#include "coroutine.h"
#include "failure.h"
#include "profile.h"
#include "traces.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

/* Finished coroutines that are kept for the next requests; each holds about 1 KB. */
#define POOL_MAX 64

/* --- lists --------------------------------------------------------------------------------- */

static void
list_init(struct task_list *list)
{
	list->first = NULL;
	list->last = &list->first;
}

static void
list_add(struct task_list *list, struct task *task)
{
	task->next = NULL;
	*list->last = task;
	list->last = &task->next;
}

static void
list_remove(struct task_list *list, struct task *task)
{
	struct task **link = &list->first;
	while (*link && *link != task)
		link = &(*link)->next;
	if (!*link)
		return;
	*link = task->next;
	if (list->last == &task->next)
		list->last = link;
}

static struct task *
list_take(struct task_list *list)
{
	struct task *task = list->first;
	if (!task)
		return NULL;
	list->first = task->next;
	if (!list->first)
		list->last = &list->first;
	return task;
}

static void
link_task(struct engine *engine, struct task *task)
{
	task->all_next = engine->all;
	task->all_link = &engine->all;
	if (task->all_next)
		task->all_next->all_link = &task->all_next;
	engine->all = task;
}

void
engine_unlink_task(struct engine *engine, struct task *task)
{
	if (task->stream)
		engine->parts->leave_stream(engine, task);
	*task->all_link = task->all_next;
	if (task->all_next)
		task->all_next->all_link = task->all_link;
}

/* --- tasks --------------------------------------------------------------------------------- */

/* Called by lua_pcall with the engine's anchors: returns a new coroutine and its reference. */
static int
make_coroutine(lua_State *L)
{
	lua_State *co = lua_newthread(L);
	lua_pushlightuserdata(L, co);
	lua_insert(L, -2);
	lua_pushinteger(L, luaL_ref(L, 1));
	return 2;
}

static struct task *
make_task(struct engine *engine)
{
	lua_State *L = engine->L;
	if (!lua_checkstack(L, 4))
		return NULL;
	lua_pushcfunction(L, make_coroutine);
	lua_rawgeti(L, LUA_REGISTRYINDEX, engine->anchors);
	if (lua_pcall(L, 1, 2, 0) != LUA_OK) { /* E3: out of memory */
		lua_pop(L, 1);
		return NULL;
	}
	struct task *task = skynet_calloc(1, sizeof *task);
	task->co = lua_touserdata(L, -2);
	task->anchor = (int)lua_tointeger(L, -1);
	lua_pop(L, 2);
	return task;
}

struct task *
engine_new_task(struct engine *engine)
{
	struct task *task = engine->pool;
	if (task) {
		engine->pool = task->next;
		engine->pool_size--;
	} else {
		task = make_task(engine);
		if (!task)
			return NULL;
	}
	link_task(engine, task);
	task->state = TASK_READY;
	return task;
}

void
engine_free_task(struct engine *engine, struct task *task)
{
	engine_await_interrupt(engine);
	if (task->stays)
		engine->parts->leave_sections(engine, task);
	lua_rawgeti(engine->L, LUA_REGISTRYINDEX, engine->anchors);
	luaL_unref(engine->L, -1, task->anchor);
	lua_pop(engine->L, 1);
	free(task->reason);
	free(task->tag);
	free(task);
}

/* The task has ended, its coroutine can be used again. */
static void
pool_task(struct engine *engine, struct task *task)
{
	engine_unlink_task(engine, task);
	if (engine->pool_size >= POOL_MAX) {
		engine_free_task(engine, task);
		return;
	}
	if (task->reason || task->tag || task->stays) {
		if (task->stays)
			engine->parts->leave_sections(engine, task);
		free(task->reason);
		free(task->tag);
		task->reason = task->tag = NULL;
	}
	/* One by one, because most are 0 already: it waits for nothing any more. */
	task->wake = WAKE_NONE;
	task->request = 0;
	task->number = 0;
	task->has_request = task->is_start = task->is_untraced = false;
	task->next = engine->pool;
	engine->pool = task;
	engine->pool_size++;
}

void
engine_drop_task(struct engine *engine, struct task *task)
{
	lua_settop(task->co, 0);
	pool_task(engine, task);
}

void
engine_fork(struct engine *engine, struct task *task)
{
	if (!engine->is_exiting)
		list_add(&engine->forked, task);
}

void
engine_ready(struct engine *engine, struct task *task, enum task_wake wake)
{
	task->state = TASK_READY;
	task->wake = wake;
	if (!engine->is_exiting)
		list_add(wake == WAKE_FAILED ? &engine->failed : &engine->woken, task);
}

void
engine_forget_ready(struct engine *engine)
{
	list_init(&engine->forked);
	list_init(&engine->woken);
	list_init(&engine->failed);
}

void
engine_forget_task(struct engine *engine, struct task *task)
{
	list_remove(&engine->forked, task);
	list_remove(&engine->woken, task);
	list_remove(&engine->failed, task);
}

/* --- running ------------------------------------------------------------------------------- */

/* Called by engine_run_protected with a task: takes it out of the table of tokens. */
static int
forget_tokens(lua_State *L)
{
	const struct task *task = lua_touserdata(L, 1);
	lua_rawgeti(L, LUA_REGISTRYINDEX, engine_of(L)->tokens);
	lua_pushnil(L);
	while (lua_next(L, 2)) {
		if (lua_touserdata(L, -1) == task) {
			lua_pushvalue(L, -2);
			lua_pushnil(L);
			lua_rawset(L, 2);
		}
		lua_pop(L, 1);
	}
	return 0;
}

void
engine_forget_tokens(struct engine *engine, struct task *task)
{
	if (task->has_token)
		(void)engine_run_protected(engine, forget_tokens, task);
	task->has_token = false;
}

void
engine_close_coroutines(struct engine *engine, struct task *task)
{
	coroutine_close_nested(engine, task);
	lua_State *outer = engine_enter(engine, task->co); /* so that it can be interrupted */
	(void)lua_resetthread(task->co);
	engine_leave(engine, outer, task->co, NULL);
}

/* A request whose task has ended must have an answer: who waits for it would wait for ever. */
static void
check_answered(struct engine *engine, struct task *task)
{
	if (!task->has_request || task->request == 0)
		return;
	lua_Debug where = {.short_src = "?"};
	lua_State *L = engine->L;
	lua_rawgeti(L, LUA_REGISTRYINDEX, engine->protocols[task->protocol].dispatch);
	if (lua_isfunction(L, -1))
		(void)lua_getinfo(L, ">S", &where);
	else
		lua_pop(L, 1);
	skynet_error(engine->ctx, "Maybe forgot response session %d from :%08x : %s:%d",
		     (int)task->request, task->source, where.short_src, where.linedefined);
	failure_answer_task(engine, task, "the handler at %s:%d has ended without an answer",
			    where.short_src, where.linedefined);
}

static void
end_task(struct engine *engine, struct task *task)
{
	check_answered(engine, task);
	if (task->tag)
		traces_log(engine, task->tag, "end", NULL, 0);
	lua_settop(task->co, 0);
	if (lua_gethook(task->co)) /* its program's own */
		lua_sethook(task->co, NULL, 0, 0);
	if (task->has_token) /* of a coroutine that its program has closed while it waited */
		engine_forget_tokens(engine, task);
	pool_task(engine, task);
}

/* The error is on top of the task's stack. Its coroutine is given up. */
static void
fail_task(struct engine *engine, struct task *task)
{
	engine_unlink_task(engine, task); /* E5 */
	engine_forget_tokens(engine, task);
	if (task->tag)
		traces_log(engine, task->tag, "error", NULL, 0);
	if (!engine->is_exiting)
		failure_report(engine, task);
	else
		failure_answer_task(engine, task, "%s before it answered",
				    failure_end_reason(engine));
	if (task->is_start && !engine->is_exiting) { /* the service cannot live */
		engine->is_exiting = true;
		(void)skynet_command(engine->ctx, "EXIT", "its start has failed");
	}
	engine_close_coroutines(engine, task);
	engine_free_task(engine, task);
}

/* Resumes the task until it waits, ends, or fails. Returns what lua_resume does. */
static int
resume_task(struct engine *engine, struct task *task, int argument_count, int *result_count)
{
	task->state = TASK_RUNNING;
	task->nested = NULL;
	engine->current = task;
	engine->leaf = task->co;
	if (engine->profiles != LUA_NOREF)
		profile_begin(engine, task->co);
	lua_State *outer = engine_enter(engine, task->co);
	int status = lua_resume(task->co, engine->resumer, argument_count, result_count);
	atomic_store_explicit(&engine->running, outer, memory_order_release);
	/* Relaxed: what it missed now it finds the next time. */
	if (atomic_load_explicit(&engine->was_interrupted, memory_order_relaxed))
		engine_drop_interrupt(engine, task->co);
	if (engine->profiles != LUA_NOREF)
		profile_end(engine, task->co, status != LUA_YIELD);
	engine->leaf = NULL;
	engine->current = NULL;
	return status;
}

void
engine_run(struct engine *engine, struct task *task, int argument_count)
{
	int result_count;
	if (task->tag && task->wake != WAKE_NONE)
		traces_log(engine, task->tag, "resume", NULL, 0);
	int status = resume_task(engine, task, argument_count, &result_count);
	if (status == LUA_OK) {
		end_task(engine, task);
		return;
	}
	if (status == LUA_YIELD && (task->state != TASK_RUNNING || engine->is_exiting)) {
		lua_pop(task->co, result_count);
		return;
	}
	if (status == LUA_YIELD)
		lua_pushliteral(task->co,
				"attempt to yield a task: coroutine.yield has nobody to return to");
	fail_task(engine, task);
}

/* Runs a fork, unless the program has resumed or closed its coroutine itself. */
static void
run_fork(struct engine *engine, struct task *task)
{
	int count = lua_gettop(task->co);
	if (count > 0 && lua_status(task->co) == LUA_OK) {
		engine_run(engine, task, count - 1);
	} else {
		lua_resetthread(task->co);
		engine_drop_task(engine, task);
	}
}

void
engine_run_ready(struct engine *engine)
{
	struct task *task;
	while (!engine->is_exiting) {
		if ((task = list_take(&engine->woken)) || (task = list_take(&engine->failed)))
			engine_run(engine, task, 0);
		else if ((task = list_take(&engine->forked)))
			run_fork(engine, task);
		else
			return;
	}
}

/* --- the whole ----------------------------------------------------------------------------- */

/* The first word of the launch parameter. */
static char *
copy_name(const char *parameter)
{
	const char *begin = parameter + strspn(parameter, " \t\r\n");
	size_t length = strcspn(begin, " \t\r\n");
	char *name = skynet_malloc(length + 1);
	memcpy(name, begin, length);
	name[length] = '\0';
	return name;
}

void
engine_init(struct engine *engine, struct skynet_context *ctx, lua_State *L, const char *parameter,
	    const struct engine_parts *parts)
{
	*engine = (struct engine){.ctx = ctx,
				  .L = L,
				  .resumer = L,
				  .parts = parts,
				  .name = copy_name(parameter),
				  .timers = LUA_NOREF,
				  .origins = LUA_NOREF,
				  .coroutines = LUA_NOREF,
				  .profiles = LUA_NOREF,
				  .stays = LUA_NOREF,
				  .unknown_request = LUA_NOREF,
				  .overload = LUA_NOREF,
				  .unknown_response = LUA_NOREF};
	const char *timeout_cs = skynet_command(ctx, "GETENV", "calltimeout");
	if (timeout_cs)
		engine->call_timeout_ms = strtoll(timeout_cs, NULL, 10) * MS_PER_CS;
	list_init(&engine->woken);
	list_init(&engine->failed);
	list_init(&engine->forked);
	*(struct engine **)lua_getextraspace(L) = engine;
	lua_newtable(L);
	engine->anchors = luaL_ref(L, LUA_REGISTRYINDEX);
	lua_newtable(L);
	engine->tokens = luaL_ref(L, LUA_REGISTRYINDEX);
}

void
engine_fini(struct engine *engine)
{
	struct task *task;
	while ((task = engine->pool)) {
		engine->pool = task->next;
		free(task->reason);
		free(task);
	}
	while ((task = engine->all)) { /* made by finalizers, after all others were closed */
		engine->all = task->all_next;
		free(task->reason);
		free(task->tag);
		free(task);
	}
	session_map_free(&engine->waiters);
	codec_buffer_free(&engine->scratch);
	traces_free(engine);
	free(engine->protocols);
	free(engine->late);
	free(engine->name);
}
