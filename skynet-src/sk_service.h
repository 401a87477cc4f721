/* sk_service.h: one service: its life from launch to release, its turns, its sends.
 *
 * Model      struct skynet_context is the service; a handle names it, a mailbox feeds it, a module
 *            gives it code. Life:
 *              BORN     in the registry; mail collects; create and init run on the launcher's
 *                       thread
 *              ALIVE    turns on workers, one at a time
 *              DYING    out of the registry; its last turn answers what is left in the mailbox with
 *                       errors, then release runs
 *              RETIRED  nobody can find it; freed when no thread can still hold a pointer
 * Threads    marked at each function.
 */
#ifndef SK_SERVICE_H
#define SK_SERVICE_H

#include "sk_context.h"
#include "sk_memory.h"
#include "sk_post.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Launches module with parm (borrowed, may be NULL); create and init run now, on this thread.
 * Returns the handle, or 0 (the reason is in the log).  [turn] [boot] */
uint32_t sk_service_launch(struct sk_core *core, const char *module, const char *parm);

/* Ends a service: it becomes unfindable at once and is released after its current callback. reason:
 * borrowed; what its requesters are told behind its name, as "it was killed". Returns SK_ENOENT
 * when there is none.  [any, online] */
int sk_service_kill(struct sk_core *core, uint32_t handle, const char *reason);

/* A service that was killed does not come to the end of its callback, and others wait for its end:
 * sends it signal 0, which a Lua service takes as the end of what it does.  [any, online] */
void sk_service_interrupt_dying(struct sk_core *core, uint32_t handle);

/* Whether the service was killed, and its instance is not released yet: its turn may go on, and its
 * last one is to come.  [any, online] */
bool sk_service_is_ending(struct sk_core *core, uint32_t handle);

/* Why a service ends; NULL: it lives.  [turn] */
const char *sk_service_end_reason(const struct skynet_context *service);

/* Sends a service a signal, if it has an instance that takes them.  [any, online] */
void sk_service_signal(struct skynet_context *service, int number);

/* Ends them all; what stays is the log service, which goes when the rest is gone.  [any, online] */
void sk_service_kill_all(struct sk_core *core);

/* Ends what still lives when no worker runs (any more), on the calling thread.  [boot, online] */
void sk_service_release_all(struct sk_core *core);

/* One turn: the hook of the scheduler (sk_turn.c).  [worker] */
void sk_service_turn(void *core, struct sk_worker *worker, struct sk_mailbox *box);

/* The turn of a service that is dying: the caller holds the mailbox, and keeps it for ever (V3 in
 * sk_service.c). */
void sk_service_last_turn(struct skynet_context *service);

/* Why a service ends that ends with its node. */
#define SK_SERVICE_NODE_ENDS "it has ended with its node"

static inline bool
sk_service_is_dying(const struct skynet_context *service)
{
	/* Acquire pairs with the release in sk_service_kill. */
	return atomic_load_explicit(&service->is_dying, memory_order_acquire);
}

/* What runs on this thread now is this service's work, and charged to it. NULL: nobody's. */
static inline void
sk_service_set_running(struct skynet_context *service)
{
	sk_this_service = service;
	sk_memory_owner = service ? service->handle : 0;
}

/* The hook of the scheduler for timers that are due: hands each to its owner. list: taken.
 * [poller] */
void sk_service_expired(void *core, struct sk_timer_entry *list);

/* A session this service has not in use: 1 to 2^31-1, then again from 1.  [turn] */
int32_t sk_service_new_session(struct skynet_context *service);

/* Resolves an address in text form: ":hex" (existence not checked), ".name" or a global name.
 * Returns 0 if unknown. [any, online] */
uint32_t sk_service_resolve(struct sk_core *core, const char *address);

#endif
