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

#endif
