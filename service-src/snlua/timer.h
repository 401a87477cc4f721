/* timer.h: functions that run after a time.
 *
 * Model      A timer is named by the session of the message that fires it; its function lies in a
 *            table of the VM under that number until it runs, in a task of its own, or the timer is
 *            cancelled. A million timers that were cancelled give their memory back.
 * Threads    [turn]
 */
#ifndef SNLUA_TIMER_H
#define SNLUA_TIMER_H

#include "engine.h"

/* Has the function on top of the stack, which is popped, run after delay_ms. Returns its number.
 * May raise, and has not started it then. */
int32_t timer_start(lua_State *L, struct engine *engine, int64_t delay_ms);
/* Returns false when there is no such timer, or it has fired. */
bool timer_cancel(lua_State *L, struct engine *engine, int32_t number);
/* Its time has come; its waiter is out of the map already. */
void timer_fire(struct engine *engine, int32_t number);
/* Gives back everything that waits for a session or a time. */
void timer_stop_all(struct engine *engine);

/* Whether it is noted from now on where timers are set. */
void timer_trace(lua_State *L, struct engine *engine, bool is_on);
/* Pushes where a timer was set, or nil. */
void timer_push_origin(lua_State *L, const struct engine *engine, int32_t number);

#endif
