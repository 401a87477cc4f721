/* wait.h: what tasks wait for: sessions, timers, deadlines.
 *
 * Model      A call waits for the answer to its session, and, when it has a deadline, for a timer
 *            too. Whatever comes first ends it. A call that ends without its answer (deadline,
 *            death of the callee, killed task) leaves its session behind as "late": should the
 *            answer come after all, it is counted and dropped.
 * Threads    [turn]
 */
#ifndef SNLUA_WAIT_H
#define SNLUA_WAIT_H

#include "engine.h"

/* A session not in use by any waiter. */
int32_t wait_new_session(struct engine *engine);
/* As skynet_timeout, with such a session. */
int32_t wait_start_timer(struct engine *engine, int64_t delay_ms, struct skynet_timer **timer);

/* Has a new task run behind the messages that are in the mailbox now. */
void wait_to_begin(struct engine *engine, struct task *task);
/* Notes that the current task waits for a time. */
void wait_for_time(struct engine *engine, int64_t delay_ms);
/* Starts the timer of the task's deadline. */
void wait_for_deadline(struct engine *engine, struct task *task);
/* A timer that the task waits for does not matter any more. */
void wait_stop_timer(struct engine *engine, struct task *task);

/* Notes that the current task waits for the answer to its request. deadline_ms: 0: none. */
static inline void
wait_for_answer(struct engine *engine, int32_t session, uint32_t callee, int64_t deadline_ms)
{
	struct task *task = engine->current;
	session_map_add(&engine->waiters,
			(struct waiter){.session = session, .kind = WAITER_TASK, .task = task});
	task->session = session;
	task->callee = callee;
	task->is_by_name = false;
	task->is_link = false;
	task->deadline_ms = deadline_ms;
	if (deadline_ms > 0)
		wait_for_deadline(engine, task);
}

/* The answer to the task's call is the message in hand. */
static inline void
wait_answered(struct engine *engine, struct task *task)
{
	task->session = 0;
	task->wake = WAKE_ANSWER;
	if (task->timer_session != 0)
		wait_stop_timer(engine, task);
}
/* The time of the task's timer has come. */
void wait_timed_out(struct engine *engine, struct task *task);

/* A number for what a suspended task waits for. */
int32_t wait_number(struct engine *engine, struct task *task);
/* Notes that the current task waits until a service has handled all that waits in its mailbox now.
 * The deadline holds for this wait, further ones of this kind, and for the answer they lead to.
 * Returns false when there is no such service. */
bool wait_for_room(struct engine *engine, uint32_t service, int64_t deadline_ms);
/* The call with this session has failed: returns its task, or NULL when no call waits for it. text:
 * borrowed, may be NULL. */
struct task *wait_fail(struct engine *engine, int32_t session, const void *text, size_t size);
/* Whether the call with this session has ended, so that its answer would be dropped. */
bool wait_is_over(const struct engine *engine, int32_t session);
/* Forgets what a waiting task waits for. */
void wait_abandon(struct engine *engine, struct task *task);
/* Wakes a sleeping or waiting task. */
void wait_wake(struct engine *engine, struct task *task);

/* The request of a call by name has gone to this handle. Returns false when no call with this
 * session waits for that. */
bool wait_found(struct engine *engine, int32_t session, uint32_t callee);

/* Source, a service or a node, is dead: calls to it fail, requests from it want no answer.
 * is_silent: it cannot answer any more; if it can, calls that were made by its name go on. text:
 * borrowed, may be NULL. */
void wait_source_died(struct engine *engine, uint32_t source, const void *text, size_t size,
		      bool is_silent);
/* The calls that were made with this name fail. */
void wait_name_died(struct engine *engine, const char *name, const char *text);

#endif
