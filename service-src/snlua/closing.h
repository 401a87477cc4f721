/* closing.h: the end of a task before its time, and the end of the service.
 *
 * Threads    [turn]
 */
#ifndef SNLUA_CLOSING_H
#define SNLUA_CLOSING_H

#include "engine.h"

/* Ends the service: it runs no task after the current one has suspended or ended. Everybody who
 * waits for it is answered. */
void closing_exit(struct engine *engine);
/* The same for a service that ends already: answers all that is open with errors, closes all tasks
 * but the current one. */
void closing_close_tasks(struct engine *engine);
/* Ends one task that does not run: its request fails, its variables are closed. When it was the
 * start function, the service ends. */
void closing_kill_task(struct engine *engine, struct task *task);
/* The task is about to end: nobody can wake it any more. */
void closing_forget_tokens(struct engine *engine, struct task *task);
/* Closes the coroutines of a task that is in no list any more: runs its to-be-closed variables. Its
 * error, if any, is on top of its stack. */
void closing_close_coroutines(struct engine *engine, struct task *task);

#endif
