/* sk_watchdog.h: the thread that looks after workers that are inside long callbacks.
 *
 * Model      While anything runs it looks once a millisecond: a service that waits in the next slot
 *            behind a long callback is given to the others; when no worker is free to poll, it
 *            polls in their place; a message that runs for five seconds (in a simulated node: of
 *            processor time) is reported, and again every five seconds. While nothing runs it
 *            sleeps without a wake-up.
 * Threads    start and stop: [boot]; notice: [worker].
 */
#ifndef SK_WATCHDOG_H
#define SK_WATCHDOG_H

#include "sk_base.h"
#include "sk_scheduler.h"

/* Called on the watchdog's thread, online (sk_quiesce.h), when a message has been handled for five
 * seconds, ten, and so on. number: the how-manieth message of its worker it is. */
typedef void (*sk_watchdog_stuck)(void *owner, uint32_t handle, uint32_t source, uint64_t number);

/* owner: handed to stuck. Returns NULL when out of memory. */
struct sk_watchdog *sk_watchdog_new(struct sk_scheduler *scheduler, sk_watchdog_stuck stuck,
				    void *owner);
void sk_watchdog_free(struct sk_watchdog *watchdog);

/* Starts its thread. Returns 0 or SK_ESYSTEM. */
SK_MUST_CHECK int sk_watchdog_start(struct sk_watchdog *watchdog);
/* Ends the thread, if it was started, and waits for it. scheduler->stopping must be set. */
void sk_watchdog_stop(struct sk_watchdog *watchdog);

/* A worker has stopped sleeping. Cheap while the watchdog is awake. */
void sk_watchdog_notice(struct sk_watchdog *watchdog);

#endif
