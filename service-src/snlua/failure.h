/* failure.h: what is told when something fails: to the requester, to the log, to the caller.
 *
 * Model      The text of an error message between services is for humans:
 *                NAME (:ADDRESS): CAUSE
 *                	in NAME (:ADDRESS):
 *                		FILE:LINE: in FUNCTION
 *            first who has failed and why, then where, a few lines of it. A cause may be such a
 *            text itself, of a service further on: then its lines come first, as in a traceback.
 * Threads    [turn]
 */
#ifndef SNLUA_FAILURE_H
#define SNLUA_FAILURE_H

#include "engine.h"

/* Answers a request with an error: who, and the formatted cause. Returns false when nobody gets
 * it. */
bool failure_answer(struct engine *engine, uint32_t source, int32_t session, const char *format,
		    ...) SKYNET_PRINTF(4, 5);
/* The same for the request of a task, if it is still open. */
void failure_answer_task(struct engine *engine, struct task *task, const char *format, ...)
	SKYNET_PRINTF(3, 4);
/* Tells a service whose answer is not wanted any more that this one is dead. */
void failure_tell_death(struct engine *engine, uint32_t callee);

/* A task has raised; the error is on top of its stack, and stays there. Answers its request, tells
 * the log, and the launcher when it was the start function. */
void failure_report(struct engine *engine, struct task *task);

/* Tells the launcher that the start of the service has failed, when there is no memory to tell why:
 * what a C service reports. */
void failure_report_start_plainly(struct skynet_context *ctx);

/* Raises what a call raises that got no answer: "call failed: " and the task's reason. address: the
 * index of the call's address. */
int failure_raise(lua_State *L, struct task *task, int address);
/* The same, for a call that has reached its deadline. */
int failure_raise_timeout(lua_State *L, const struct task *task, int address);

/* The same, for a call whose request could not be sent. */
int failure_raise_unsent(lua_State *L, int address, const char *reason);

/* Why the service ends, or "it has ended". Valid until the next skynet_command. */
const char *failure_end_reason(const struct engine *engine);

#endif
