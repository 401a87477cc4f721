/* wait.c: what tasks wait for; see wait.h.
 *
 * Late sessions are WAITER_LATE in the map of waiters, and in the array engine->late in the order
 * in which they were given up. Whoever asks a service that never answers, with a deadline, again
 * and again, must not fill the memory with them: at most LATE_MAX are known, then the older half is
 * forgotten. An answer to a forgotten one is told as one that nobody waits for.
 */
#include "wait.h"

#include "coroutine.h"
#include "failure.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#define LATE_MIN 64
#define LATE_MAX 16384 /* 64 KB, and four times that in the map */

/* --- sessions and timers ------------------------------------------------------------------- */

int32_t
wait_new_session(struct engine *engine)
{
	int32_t session;
	do
		session = skynet_send(engine->ctx, 0, 0, PTYPE_TAG_ALLOCSESSION, 0, NULL, 0);
	while (session_map_find(&engine->waiters, session));
	return session;
}

int32_t
wait_start_timer(struct engine *engine, int64_t delay_ms, struct skynet_timer **timer)
{
	int32_t session;
	*timer = NULL;
	if (engine->is_exiting)
		return wait_new_session(engine); /* nobody would hear it */
	if (delay_ms <= 0) { /* no timer, but a message behind those that wait already */
		session = wait_new_session(engine);
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

static void
start_timer(struct engine *engine, struct task *task, int64_t delay_ms)
{
	task->timer_session = wait_start_timer(engine, delay_ms, &task->timer);
	session_map_add(
		&engine->waiters,
		(struct waiter){.session = task->timer_session, .kind = WAITER_TASK, .task = task});
}

void
wait_for_time(struct engine *engine, int64_t delay_ms)
{
	start_timer(engine, engine->current, delay_ms);
}

void
wait_to_begin(struct engine *engine, struct task *task)
{
	start_timer(engine, task, 0);
	task->state = TASK_SLEEPING;
}

void
wait_stop_timer(struct engine *engine, struct task *task)
{
	struct waiter waiter;
	if (task->timer_session == 0)
		return;
	if (task->timer && skynet_timer_cancel(engine->ctx, task->timer)) {
		(void)session_map_remove(&engine->waiters, task->timer_session, &waiter);
	} else {
		struct waiter *fired = session_map_find(&engine->waiters, task->timer_session);
		if (fired)
			fired->kind = WAITER_FIRED;
	}
	task->timer = NULL;
	task->timer_session = 0;
}

/* --- late answers -------------------------------------------------------------------------- */

static bool
is_late(const struct engine *engine, int32_t session)
{
	const struct waiter *waiter = session_map_find(&engine->waiters, session);
	return waiter && waiter->kind == WAITER_LATE;
}

/* Drops from the array what was answered meanwhile. */
static void
drop_answered(struct engine *engine)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < engine->late_count; i++)
		if (is_late(engine, engine->late[i]))
			engine->late[kept++] = engine->late[i];
	engine->late_count = kept;
}

static void
forget_older_half(struct engine *engine)
{
	struct waiter waiter;
	uint32_t half = engine->late_count / 2;
	for (uint32_t i = 0; i < half; i++)
		(void)session_map_remove(&engine->waiters, engine->late[i], &waiter);
	engine->late_count -= half;
	memmove(engine->late, engine->late + half, engine->late_count * sizeof *engine->late);
}

static void
make_room(struct engine *engine)
{
	drop_answered(engine);
	if (engine->late_count <= engine->late_capacity / 2 && engine->late_capacity > 0)
		return;
	if (engine->late_capacity >= LATE_MAX) {
		forget_older_half(engine);
		return;
	}
	engine->late_capacity = engine->late_capacity ? engine->late_capacity * 2 : LATE_MIN;
	engine->late = skynet_realloc(engine->late, engine->late_capacity * sizeof *engine->late);
}

/* The call of this session, which is in the map, ends without its answer. */
static void
give_up(struct engine *engine, int32_t session)
{
	if (engine->late_count == engine->late_capacity)
		make_room(engine);
	engine->late[engine->late_count++] = session;
	session_map_find(&engine->waiters, session)->kind = WAITER_LATE;
}

/* --- waiting ------------------------------------------------------------------------------- */

static int64_t
now_ms(void)
{
	return (int64_t)skynet_now() * MS_PER_CS;
}

static int64_t
time_left_ms(const struct task *task)
{
	if (task->give_up_ms == 0)
		return task->deadline_ms;
	int64_t left_ms = task->give_up_ms - now_ms();
	return left_ms > 0 ? left_ms : 1;
}

void
wait_for_deadline(struct engine *engine, struct task *task)
{
	wait_for_time(engine, time_left_ms(task));
	task->give_up_ms = 0;
}

bool
wait_for_room(struct engine *engine, uint32_t service, int64_t deadline_ms)
{
	struct task *task = engine->current;
	int session;
	do
		session = skynet_probe(engine->ctx, service);
	while (session >= 0 && session_map_find(&engine->waiters, session)); /* wrapped around */
	if (session < 0)
		return false;
	int64_t give_up_ms = task->give_up_ms;
	if (give_up_ms == 0 && deadline_ms > 0)
		give_up_ms = now_ms() + deadline_ms;
	wait_for_answer(engine, session, service, deadline_ms);
	task->give_up_ms = give_up_ms; /* it goes on for what comes after */
	return true;
}

void
wait_timed_out(struct engine *engine, struct task *task)
{
	task->timer = NULL;
	task->timer_session = 0;
	task->wake = WAKE_TIMER;
	if (task->session == 0)
		return;
	give_up(engine, task->session); /* it was the deadline of a call */
	task->session = 0;
	task->wake = WAKE_TIMEOUT;
}

static char *
copy_text(const void *text, size_t size)
{
	if (!text || size == 0)
		return NULL;
	char *copy = skynet_malloc(size + 1);
	memcpy(copy, text, size);
	copy[size] = '\0';
	return copy;
}

struct task *
wait_fail(struct engine *engine, int32_t session, const void *text, size_t size)
{
	struct waiter waiter;
	struct waiter *found = session_map_find(&engine->waiters, session);
	if (!found)
		return NULL; /* the call has ended already */
	if (found->kind == WAITER_LATE) {
		(void)session_map_remove(&engine->waiters, session, &waiter);
		engine->late_answers++;
		return NULL;
	}
	if (found->kind != WAITER_TASK || found->task->session != session)
		return NULL; /* of a timer */
	(void)session_map_remove(&engine->waiters, session, &waiter);
	waiter.task->session = 0;
	wait_stop_timer(engine, waiter.task);
	waiter.task->wake = WAKE_FAILED;
	waiter.task->reason = copy_text(text, size);
	return waiter.task;
}

bool
wait_is_over(const struct engine *engine, int32_t session)
{
	const struct waiter *waiter = session_map_find(&engine->waiters, session);
	if (waiter)
		return waiter->kind == WAITER_LATE;
	/* It has ended long ago, unless the program itself waits for answers. */
	return engine->unknown_response == LUA_NOREF;
}

void
wait_abandon(struct engine *engine, struct task *task)
{
	wait_stop_timer(engine, task);
	if (task->session != 0)
		give_up(engine, task->session);
	task->session = 0;
}

/* Whether the task waits for the answer to a call that was made with this name. */
static bool
is_called_by(const struct task *task, const char *name)
{
	lua_Debug frame;
	lua_State *co = coroutine_innermost(task);
	if (task->state != TASK_CALLING || !task->is_by_name)
		return false;
	/* The arguments of the C function that waits are its locals. */
	if (!lua_getstack(co, 0, &frame) || !lua_getlocal(co, &frame, task->address))
		return false;
	bool is_same = lua_type(co, -1) == LUA_TSTRING && strcmp(lua_tostring(co, -1), name) == 0;
	lua_pop(co, 1);
	return is_same;
}

bool
wait_found(struct engine *engine, int32_t session, uint32_t callee)
{
	const struct waiter *waiter = session_map_find(&engine->waiters, session);
	if (!waiter || waiter->kind == WAITER_TIMER || waiter->kind == WAITER_FIRED)
		return false;
	/* One whose call has reached its deadline meanwhile is found as well, and forgotten. */
	if (waiter->kind == WAITER_TASK && waiter->task->session == session &&
	    waiter->task->callee == 0)
		waiter->task->callee = callee;
	return true;
}

void
wait_wake(struct engine *engine, struct task *task)
{
	wait_stop_timer(engine, task);
	engine_ready(engine, task, WAKE_TOKEN);
}

int32_t
wait_number(struct engine *engine, struct task *task)
{
	if (task->state == TASK_SLEEPING)
		return task->timer_session;
	if (task->state == TASK_CALLING)
		return task->session;
	if (task->number == 0)
		task->number = wait_new_session(engine);
	return task->number;
}

/* Fails a waiting call as if its callee had died. text: taken, or NULL. */
static void
fail_task(struct engine *engine, struct task *task, char *text)
{
	wait_abandon(engine, task);
	task->reason = text;
	engine_ready(engine, task, WAKE_FAILED);
}

/* What those are told who are treated as dead, and live. */
#define TERM_TEXT "it treats the requester as dead (skynet.term)"

/* The node of a handle, which is the source where all of it is gone: no service is number 0. */
static uint32_t
node_of(uint32_t handle)
{
	return handle & UINT32_C(0xff000000);
}

/* Whether the handle ends with that source: it is the same, or on the node that the source is. */
static bool
ends_with(uint32_t handle, uint32_t source)
{
	return handle == source ||
	       (source != 0 && node_of(source) == source && node_of(handle) == source);
}

/* Whether what the task waits for does not come, since source is dead. */
static bool
waits_in_vain(const struct task *task, uint32_t source, bool is_silent)
{
	if (task->state != TASK_CALLING || !ends_with(task->callee, source))
		return false;
	if (task->is_link) /* a service says it is dead before it is gone; its node is gone */
		return node_of(source) == source;
	return is_silent || !task->is_by_name;
}

void
wait_source_died(struct engine *engine, uint32_t source, const void *text, size_t size,
		 bool is_silent)
{
	struct waiter waiter;
	for (struct task *task = engine->all; task; task = task->all_next) {
		if (task->has_request && ends_with(task->source, source)) {
			if (!is_silent && task->request != 0)
				(void)failure_answer(engine, task->source, task->request,
						     TERM_TEXT);
			task->request = 0;
		}
		if (!waits_in_vain(task, source, is_silent))
			continue;
		int32_t session = task->session;
		fail_task(engine, task, copy_text(text, size));
		if (is_silent)
			(void)session_map_remove(&engine->waiters, session, &waiter);
	}
	for (struct response *response = engine->responses; response;) {
		struct response *next = response->next;
		if (ends_with(response->source, source)) {
			*response->link = next;
			if (next)
				next->link = response->link;
			response->link = NULL;
			free(response->tag);
			response->tag = NULL;
			if (!is_silent)
				(void)failure_answer(engine, response->source, response->session,
						     TERM_TEXT);
		}
		response = next;
	}
}

void
wait_name_died(struct engine *engine, const char *name, const char *text)
{
	for (struct task *task = engine->all; task; task = task->all_next)
		if (is_called_by(task, name))
			fail_task(engine, task, copy_text(text, strlen(text)));
}
