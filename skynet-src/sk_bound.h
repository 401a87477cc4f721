/* sk_bound.h: how much mail may wait for a service, when its length is told, and what senders get
 * when it is full.
 *
 * Model      Bounded is what services send each other; answers, errors and system messages, and
 *            what the framework sends (timers, sockets), always pass, so that whoever waits for
 *            them does not wait for ever. A sender looks before it pushes: senders that look at the
 *            same moment may exceed the limit by one message each.
 *            The length is told at a first mark, and then each time it has doubled.
 * Threads    marked at each part.
 */
#ifndef SK_BOUND_H
#define SK_BOUND_H

#include "sk_base.h"
#include "sk_mailbox.h"
#include "skynet.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* A mailbox counts no further, see sk_mailbox_length. */
#define SK_BOUND_LIMIT_MAX 65535

/* Atomic, relaxed: set by the service, read by its senders; figures that guard nothing. */
struct sk_bound {
	_Atomic uint32_t limit;	  /* messages; 0: none */
	_Atomic uint32_t policy;  /* SKYNET_FULL_... */
	_Atomic uint64_t refused; /* messages that found it full, and were not taken */
};

/* Owner only. */
struct sk_overload {
	uint32_t first_mark; /* messages; 0: never told */
	uint32_t next_mark;
	uint64_t told_ticks; /* when it was told last */
	skynet_overload_cb tell;
	void *ud;
};

/* Reads the policy's name, "error", "drop" or "block". Returns it, or SK_EINVAL. */
int sk_bound_policy(const char *name);

/* Whether a message of this type is never bounded.  [any] */
static inline bool
sk_bound_passes(int type)
{
	type &= 0xff;
	return type == PTYPE_RESPONSE || type == PTYPE_ERROR || type == PTYPE_SYSTEM;
}

/* One message more that was not taken.  [any, online] */
static inline void
sk_bound_count_refused(struct sk_bound *bound)
{
	atomic_fetch_add_explicit(&bound->refused, 1, memory_order_relaxed);
}

/* Whether a message of this type is not to be pushed now.  [any, online] */
static inline bool
sk_bound_is_full(const struct sk_bound *bound, const struct sk_mailbox *box, int type)
{
	uint32_t limit = atomic_load_explicit(&bound->limit, memory_order_relaxed);
	if (SK_LIKELY(limit == 0))
		return false;
	return sk_mailbox_length(box) >= limit && !sk_bound_passes(type);
}

/* Sets the first mark; 0: never tell. */
void sk_overload_set(struct sk_overload *overload, uint32_t first_mark);
/* Whether the length is to be told now: it has grown over the next mark. */
bool sk_overload_begins(struct sk_overload *overload, uint32_t length, uint64_t now_ticks);
/* After a turn: the marks begin anew once the mailbox was empty, but not within a second of the
 * last time it was told: what fills and empties all the time is told once. */
void sk_overload_ends(struct sk_overload *overload, uint32_t length, uint64_t now_ticks);

#endif
