/* closing.c: the end of a task before its time, and the end of the service; see closing.h.
 *
 * When a service ends, first every open request is answered, then the tasks are closed (what their
 * to-be-closed variables run may still use the library, but not wait), then response closures
 * answer, then those are told from whom this service wanted something.
 */
#include "closing.h"

#include "failure.h"
#include "section.h"
#include "timer.h"
#include "wait.h"

#include <lauxlib.h>
#include <stdlib.h>

/* --- one task ------------------------------------------------------------------------------ */

/* Called by engine_run_protected: the start function was ended. */
static int
report_failed_start(lua_State *L)
{
	lua_pushliteral(L, "ERROR");
	lua_pushfstring(L, "%s: its start function was killed", engine_of(L)->name);
	engine_tell_launcher(L, lua_gettop(L) - 1);
	return 0;
}

void
closing_kill_task(struct engine *engine, struct task *task)
{
	engine_forget_tokens(engine, task);
	wait_abandon(engine, task);
	section_stop_waiting(engine, task);
	engine_forget_task(engine, task);
	failure_answer_task(engine, task, "the task that handled it was killed");
	bool is_start = task->is_start;
	engine_unlink_task(engine, task); /* E5 */
	engine_close_coroutines(engine, task);
	engine_free_task(engine, task);
	if (!is_start || engine->is_exiting)
		return;
	skynet_error(engine->ctx, "init service failed: its task was killed");
	if (!engine_run_protected(engine, report_failed_start, NULL))
		failure_report_start_plainly(engine->ctx);
	closing_exit(engine);
}

/* --- all of them --------------------------------------------------------------------------- */

/* Those that this service waits for, each once. */
struct callees {
	uint32_t *handles;
	size_t count;
};

static int
compare_handles(const void *a, const void *b)
{
	uint32_t first = *(const uint32_t *)a, second = *(const uint32_t *)b;
	return first < second ? -1 : first > second;
}

/* Whether it waits for the answer of a service; not if it waits for the end of one. */
static bool
is_calling(const struct task *task)
{
	return task->state == TASK_CALLING && task->callee != 0 && !task->is_link;
}

static struct callees
find_callees(const struct engine *engine)
{
	struct callees callees = {NULL, 0};
	size_t count = 0;
	for (const struct task *task = engine->all; task; task = task->all_next)
		count += is_calling(task);
	if (count == 0)
		return callees;
	callees.handles = skynet_malloc(count * sizeof *callees.handles);
	for (const struct task *task = engine->all; task; task = task->all_next)
		if (is_calling(task))
			callees.handles[callees.count++] = task->callee;
	qsort(callees.handles, callees.count, sizeof *callees.handles, compare_handles);
	return callees;
}

/* They may drop what they are preparing. Takes the list. */
static void
tell_callees(struct engine *engine, struct callees *callees)
{
	for (size_t i = 0; i < callees->count; i++)
		if (i == 0 || callees->handles[i] != callees->handles[i - 1])
			failure_tell_death(engine, callees->handles[i]);
	free(callees->handles);
}

static void
refuse_responses(struct engine *engine, const char *reason)
{
	while (engine->responses) {
		struct response *response = engine->responses;
		engine->responses = response->next;
		if (response->next)
			response->next->link = &engine->responses;
		response->link = NULL;
		free(response->tag);
		response->tag = NULL;
		(void)failure_answer(engine, response->source, response->session,
				     "%s before it answered", reason);
	}
}

/* Closes all tasks that do not run. What that runs may make new ones, which are closed too. */
static void
close_all(struct engine *engine)
{
	struct task *task = engine->all;
	while (task) {
		if (task->state == TASK_RUNNING) { /* what ends the service, or waits for that */
			task = task->all_next;
			continue;
		}
		engine_unlink_task(engine, task); /* E5 */
		engine_close_coroutines(engine, task);
		engine_free_task(engine, task);
		task = engine->all;
	}
}

/* Another node does not notice that nobody wants to be told any more. */
static void
unlink_all(struct engine *engine)
{
	for (const struct task *task = engine->all; task; task = task->all_next)
		if (task->state == TASK_CALLING && task->is_link)
			skynet_unlink(engine->ctx, task->callee, task->session);
}

void
closing_close_tasks(struct engine *engine)
{
	struct task *current = engine->current;
	lua_State *leaf = engine->leaf;
	const char *reason = failure_end_reason(engine);
	engine->is_exiting = true;
	engine->current = NULL; /* what is closed below answers no request, and cannot wait */
	engine->leaf = NULL;
	engine_forget_ready(engine);
	struct callees callees = find_callees(engine);
	for (struct task *task = engine->all; task; task = task->all_next)
		failure_answer_task(engine, task, "%s before it answered", reason);
	unlink_all(engine);
	timer_stop_all(engine);
	close_all(engine);
	refuse_responses(engine, failure_end_reason(engine));
	tell_callees(engine, &callees);
	engine->current = current;
	engine->leaf = leaf;
}

void
closing_exit(struct engine *engine)
{
	if (engine->is_exiting)
		return;
	closing_close_tasks(engine);
	(void)skynet_command(engine->ctx, "EXIT", NULL);
}
