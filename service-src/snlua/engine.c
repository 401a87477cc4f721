/* engine.c: runs the tasks of one Lua service; see engine.h.
 *
 * E1  A task that waits for a session is in `waiters` under it, and only then. A waiter without
 *     task and function is a timer that fired while its task was woken by something else: ignored.
 * E2  A task is in one place: the pool, one list, a waiter or a token, or running.
 * E3  Outside a task nothing here may raise a Lua error, for nobody would catch it: coroutines are
 *     made under lua_pcall, everything else that allocates happens inside a task.
 * E4  Each request is answered exactly once: by the task, by a response closure that took it over,
 *     or with an error when the task fails, is closed, or the service ends.
 * E5  A task leaves the list of all tasks before its to-be-closed variables are closed: what they
 *     run may end the service, which closes whatever is in that list.
 */
#include "engine.h"

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

static void
unlink_task(struct task *task)
{
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

static void
free_task(struct engine *engine, struct task *task)
{
	/* engine_interrupt may hold the coroutine. Both do a read-modify-write of the same word, so
	 * either this finds it at work, or it finds that the coroutine does not run any more. */
	while (atomic_fetch_or_explicit(&engine->is_interrupting, 0, memory_order_acq_rel))
		;
	lua_rawgeti(engine->L, LUA_REGISTRYINDEX, engine->anchors);
	luaL_unref(engine->L, -1, task->anchor);
	lua_pop(engine->L, 1);
	free(task->reason);
	free(task);
}

/* The task has ended, its coroutine can be used again. */
static void
pool_task(struct engine *engine, struct task *task)
{
	unlink_task(task);
	if (engine->pool_size >= POOL_MAX) {
		free_task(engine, task);
		return;
	}
	lua_State *co = task->co;
	int anchor = task->anchor;
	free(task->reason);
	*task = (struct task){.co = co, .anchor = anchor, .next = engine->pool};
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
	list_add(&engine->forked, task);
}

int32_t
engine_new_session(struct engine *engine)
{
	int32_t session;
	do
		session = skynet_send(engine->ctx, 0, 0, PTYPE_TAG_ALLOCSESSION, 0, NULL, 0);
	while (session_map_find(&engine->waiters, session));
	return session;
}

int32_t
engine_start_timer(struct engine *engine, int64_t delay_ms, struct skynet_timer **timer)
{
	int32_t session;
	*timer = NULL;
	if (delay_ms <= 0) { /* no timer, but a message behind those that wait already */
		session = engine_new_session(engine);
		(void)skynet_send(engine->ctx, 0, skynet_current_handle(), PTYPE_RESPONSE, session,
				  NULL, 0);
		return session;
	}
	session = skynet_timeout(engine->ctx, delay_ms, timer);
	while (session_map_find(&engine->waiters, session)) { /* they have wrapped around */
		(void)skynet_timer_cancel(engine->ctx, *timer);
		session = skynet_timeout(engine->ctx, delay_ms, timer);
	}
	return session;
}

/* --- answers ------------------------------------------------------------------------------- */

bool
engine_answer(struct engine *engine, uint32_t source, int32_t session, int type, void *data,
	      size_t size)
{
	int sent = skynet_send(engine->ctx, 0, source, type, session, data, size);
	if (sent >= 0)
		return true;
	if (sent == -2) /* too large: the requester is told so instead */
		(void)skynet_send(engine->ctx, 0, source, PTYPE_ERROR, session, NULL, 0);
	return false;
}

/* Answers the request of a task with an error, if it is still open. text: borrowed, or NULL. */
static void
refuse_request(struct engine *engine, struct task *task, const char *text)
{
	if (task->has_request && task->request != 0)
		(void)skynet_send(engine->ctx, 0, task->source, PTYPE_ERROR, task->request,
				  (void *)(uintptr_t)text, text ? strlen(text) : 0);
	task->has_request = false;
	task->request = 0;
}

static void
refuse_responses(struct engine *engine, const char *text)
{
	while (engine->responses) {
		struct response *response = engine->responses;
		engine->responses = response->next;
		if (response->next)
			response->next->link = &engine->responses;
		response->link = NULL;
		(void)skynet_send(engine->ctx, 0, response->source, PTYPE_ERROR, response->session,
				  (void *)(uintptr_t)text, strlen(text));
	}
}

/* --- running ------------------------------------------------------------------------------- */

/* Runs body(L) on the main state with argument as light userdata. Outside a task nothing may raise
 * (E3), so what body raises, out of memory as a rule, is swallowed, after a line that says so. */
static void
run_protected(struct engine *engine, lua_CFunction body, void *argument)
{
	lua_State *L = engine->L;
	lua_pushcfunction(L, body);
	lua_pushlightuserdata(L, argument);
	if (lua_pcall(L, 1, 0, 0) == LUA_OK)
		return;
	skynet_error(engine->ctx, "lua memory error : [%x to :%x : %d msgsz = %d]",
		     engine->message.source, skynet_current_handle(), (int)engine->message.session,
		     (int)engine->message.size);
	lua_pop(L, 1);
}

static int
to_text(lua_State *L)
{
	(void)luaL_tolstring(L, 1, NULL);
	return 1;
}

/* Answers and logs the failure of a task that has raised; its coroutine has the error on top. */
static int
report_failure(lua_State *L)
{
	struct engine *engine = engine_of(L);
	struct task *task = lua_touserdata(L, 1);
	lua_pushcfunction(L, to_text);
	lua_pushvalue(task->co, -1); /* the error stays there, for variables to be closed */
	lua_xmove(task->co, L, 1);
	if (lua_pcall(L, 1, 1, 0) != LUA_OK)
		lua_pushliteral(L, "(an error whose __tostring fails)");
	const char *text = lua_tostring(L, -1);
	refuse_request(engine, task, text);
	if (task->is_start) {
		lua_pushliteral(L, "ERROR");
		lua_pushvalue(L, -2);
		engine_tell_launcher(L, lua_gettop(L) - 1);
	}
	luaL_traceback(L, task->co, text, 0);
	text = lua_tostring(L, -1);
	if (task->is_start)
		skynet_error(engine->ctx, "init service failed: %s", text);
	else
		skynet_error(engine->ctx,
			     "lua call [%x to :%x : %d msgsz = %d] error : \x1b[31m%s\x1b[0m",
			     engine->message.source, skynet_current_handle(),
			     (int)engine->message.session, (int)engine->message.size, text);
	return 0;
}

void
engine_tell_launcher(lua_State *L, int first)
{
	struct engine *engine = engine_of(L);
	size_t base = engine->scratch.size;
	codec_pack(L, first, &engine->scratch);
	(void)skynet_sendname(engine->ctx, 0, ".launcher", PTYPE_RESERVED_LUA, 0,
			      engine->scratch.data + base, engine->scratch.size - base);
	engine->scratch.size = base;
	lua_settop(L, first - 1);
}

static int
report_start(lua_State *L)
{
	lua_pushliteral(L, "LAUNCHOK");
	engine_tell_launcher(L, lua_gettop(L));
	return 0;
}

static void
check_answered(struct engine *engine, struct task *task)
{
	lua_Debug where;
	if (!task->has_request || task->request == 0)
		return;
	lua_State *L = engine->L;
	lua_rawgeti(L, LUA_REGISTRYINDEX, engine->protocols[task->protocol].dispatch);
	if (lua_isfunction(L, -1) && lua_getinfo(L, ">S", &where))
		skynet_error(engine->ctx, "Maybe forgot response session %d from :%08x : %s:%d",
			     (int)task->request, task->source, where.short_src, where.linedefined);
	else
		lua_pop(L, 1);
}

static void
end_task(struct engine *engine, struct task *task)
{
	bool is_start = task->is_start;
	check_answered(engine, task);
	lua_settop(task->co, 0);
	if (lua_gethook(task->co)) /* an interrupt that came too late */
		lua_sethook(task->co, NULL, 0, 0);
	pool_task(engine, task);
	if (is_start && !engine->is_exiting)
		run_protected(engine, report_start, NULL);
}

/* The error is on top of the task's stack. Its coroutine is given up. */
static void
fail_task(struct engine *engine, struct task *task)
{
	unlink_task(task); /* E5 */
	if (!engine->is_exiting)
		run_protected(engine, report_failure, task);
	refuse_request(engine, task, NULL);	     /* unless the report could */
	if (task->is_start && !engine->is_exiting) { /* the service cannot live */
		engine->is_exiting = true;
		(void)skynet_command(engine->ctx, "EXIT", NULL);
	}
	lua_resetthread(task->co); /* runs its to-be-closed variables */
	free_task(engine, task);
}

void
engine_run(struct engine *engine, struct task *task, int argument_count)
{
	int result_count;
	task->state = TASK_RUNNING;
	engine->current = task;
	/* Release pairs with the acquire in engine_interrupt. */
	atomic_store_explicit(&engine->running, task->co, memory_order_release);
	int status = lua_resume(task->co, engine->L, argument_count, &result_count);
	atomic_store_explicit(&engine->running, NULL, memory_order_release);
	engine->current = NULL;
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

/* Ends the wait of a task for a timer. */
static void
stop_timer(struct engine *engine, struct task *task)
{
	struct waiter waiter;
	if (task->timer && skynet_timer_cancel(engine->ctx, task->timer)) {
		(void)session_map_remove(&engine->waiters, task->session, &waiter);
	} else {
		struct waiter *fired = session_map_find(&engine->waiters, task->session);
		if (fired)
			fired->task = NULL; /* E1 */
	}
	task->timer = NULL;
	task->session = 0;
}

void
engine_wake(struct engine *engine, struct task *task, enum task_wake wake)
{
	if (task->state == TASK_SLEEPING)
		stop_timer(engine, task);
	task->state = TASK_READY;
	task->wake = wake;
	list_add(&engine->woken, task);
}

void
engine_source_died(struct engine *engine, uint32_t source)
{
	struct waiter waiter;
	for (struct task *task = engine->all; task; task = task->all_next) {
		if (task->has_request && task->source == source)
			task->request = 0;
		if (task->state != TASK_CALLING || task->callee != source)
			continue;
		(void)session_map_remove(&engine->waiters, task->session, &waiter);
		task->session = 0;
		task->state = TASK_READY;
		task->wake = WAKE_FAILED;
		task->reason = skynet_strdup("the service has ended");
		list_add(&engine->failed, task);
	}
	for (struct response *response = engine->responses; response;) {
		struct response *next = response->next;
		if (response->source == source) {
			*response->link = next;
			if (next)
				next->link = response->link;
			response->link = NULL;
		}
		response = next;
	}
}

/* --- the end ------------------------------------------------------------------------------- */

static const char ended_text[] = "the service ended before it answered";

static void
close_task(struct engine *engine, struct task *task, bool is_current)
{
	refuse_request(engine, task, ended_text);
	if (task->state == TASK_CALLING && task->callee != 0)
		/* The callee may drop what it is preparing. */
		(void)skynet_send(engine->ctx, 0, task->callee, PTYPE_ERROR, 0, NULL, 0);
	if (is_current)
		return;	   /* it runs this very function */
	unlink_task(task); /* E5 */
	lua_resetthread(task->co);
	free_task(engine, task);
}

void
engine_close_tasks(struct engine *engine)
{
	struct task *next;
	struct task *current = engine->current;
	engine->is_exiting = true;
	engine->current = NULL; /* what is closed below answers no request */
	list_init(&engine->forked);
	list_init(&engine->woken);
	list_init(&engine->failed);
	for (struct task *task = engine->all; task; task = next) {
		next = task->all_next;
		close_task(engine, task, task == current);
	}
	refuse_responses(engine, ended_text);
	engine->current = current;
}

/* Gives back the timers that have not fired yet. */
static void
stop_timers(struct engine *engine)
{
	const struct session_map *waiters = &engine->waiters;
	for (uint32_t i = 0; i < waiters->capacity; i++) {
		const struct waiter *waiter = &waiters->slots[i];
		struct skynet_timer *timer = NULL;
		if (waiter->session != 0 && waiter->function != 0)
			timer = waiter->timer;
		else if (waiter->session != 0 && waiter->task)
			timer = waiter->task->timer;
		if (timer)
			(void)skynet_timer_cancel(engine->ctx, timer);
	}
	session_map_free(&engine->waiters); /* whatever comes now is not handled any more */
}

void
engine_exit(struct engine *engine)
{
	stop_timers(engine);
	engine_close_tasks(engine);
	(void)skynet_command(engine->ctx, "EXIT", NULL);
}

void
engine_init(struct engine *engine, struct skynet_context *ctx, lua_State *L)
{
	*engine = (struct engine){
		.ctx = ctx, .L = L, .unknown_request = LUA_NOREF, .unknown_response = LUA_NOREF};
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
		free(task);
	}
	session_map_free(&engine->waiters);
	codec_buffer_free(&engine->scratch);
	free(engine->protocols);
}

static void
raise_interrupt(lua_State *L, lua_Debug *where)
{
	(void)where;
	lua_sethook(L, NULL, 0, 0);
	luaL_where(L, 0);
	lua_pushliteral(L, "signal 0");
	lua_concat(L, 2);
	(void)lua_error(L);
}

void
engine_interrupt(struct engine *engine)
{
	/* Pairs with the read-modify-write in free_task. */
	(void)atomic_exchange_explicit(&engine->is_interrupting, 1, memory_order_acq_rel);
	lua_State *co = atomic_load_explicit(&engine->running, memory_order_acquire);
	if (co)
		lua_sethook(co, raise_interrupt, LUA_MASKCOUNT, 1);
	atomic_store_explicit(&engine->is_interrupting, 0, memory_order_release);
}
