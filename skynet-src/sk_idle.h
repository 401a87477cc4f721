/* sk_idle.h: how workers fall asleep and are woken, and who looks at the descriptors and timers.
 *
 * Model      A worker without work searches at all queues, then sleeps: in the poller, until a
 *            descriptor or a timer is due, if nobody else does; otherwise parked. sk_idle.c tells
 *            why nothing is missed.
 * Threads    as marked at each function.
 */
#ifndef SK_IDLE_H
#define SK_IDLE_H

#include "sk_worker.h"

/* Sleeps until there may be work; the worker is counted as searching then.  [worker] */
void sk_idle_sleep(struct sk_worker *worker);
/* Sleeps at most so long (negative: for ever), whatever timers say, for a simulated worker. Returns
 * whether something has come from outside, or may have.  [worker] */
bool sk_idle_listen(struct sk_worker *worker, int timeout_ms);
/* Wakes all sleepers, for a stop.  [any] */
void sk_idle_wake_all(struct sk_scheduler *s);

/* Counts the worker as one that looks for work in the queues of all.  [worker] */
void sk_idle_start_searching(struct sk_worker *worker);
/* No more. found: it has work now, so if there is more somebody else is woken for that.
 * [worker] */
void sk_idle_stop_searching(struct sk_worker *worker, bool found);

/* Adds a timer entry, and tells a sleeping poller when it is due first. entry: taken.  [any] */
void sk_idle_add_timer(struct sk_scheduler *s, struct sk_timer_entry *entry, uint64_t due_ms);

/* Looks at descriptors and timers once, without waiting, unless somebody else polls.  [worker]
 * [watchdog] */
void sk_idle_poll(struct sk_scheduler *s);

/* Wakes one sleeping worker, if there is one and none is searching for work already.  [any] */
void sk_idle_wake_one(struct sk_scheduler *s);

#endif
