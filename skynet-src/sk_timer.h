/* sk_timer.h: all pending timeouts of a node, in a hierarchical wheel of milliseconds.
 *
 * Model      An entry is the message it will become: when due, it is pushed into the mailbox of its
 *            owner as it is, so firing allocates nothing; the owner frees it when it is handled.
 *            I1  An entry fires at the first expire whose now_ms >= its due_ms, never before.
 *            I2  Entries fire in order of due_ms, and those of the same millisecond in the order
 *                they were added.
 *            I3  add and cancel take constant time.
 *            After scheme 7 of G. Varghese, T. Lauck: Hashed and Hierarchical Timing Wheels, 1987.
 * Threads    [any]; one lock inside.
 * Memory     add takes the entry; cancel gives it back; expire gives the due ones as a list.
 */
#ifndef SK_TIMER_H
#define SK_TIMER_H

#include "sk_base.h"
#include "sk_message.h"

#include <stdbool.h>
#include <stdint.h>

struct sk_timer;

struct sk_timer_entry {
	struct sk_message message; /* kind SK_MESSAGE_TIMER; next links the wheel's list as well */
	struct sk_message **link;  /* what points to this entry in the wheel; NULL: in none */
	struct sk_timer_entry *hint; /* what to fetch early; may be freed: sk_timer.c */
	uint64_t due_ms;
	uint32_t owner; /* handle that the message goes to */
};

/* Returns NULL when out of memory. now_ms: where the wheel's time begins. */
struct sk_timer *sk_timer_new(uint64_t now_ms);
/* Frees pending entries too. */
void sk_timer_free(struct sk_timer *timer);

/* Adds an entry whose message and owner are set. A due_ms before the wheel's time counts as now:
 * it fires at the next expire. Returns true when it is due before all that sk_timer_next_due_ms
 * told: whoever sleeps until then has to be told. entry: taken. */
SK_MUST_CHECK bool sk_timer_add(struct sk_timer *timer, struct sk_timer_entry *entry,
				uint64_t due_ms);

/* Takes an entry out again. Returns true when it had not fired: the caller owns it then. entry
 * must be alive: pending, or fired and not yet freed by its owner. */
bool sk_timer_cancel(struct sk_timer *timer, struct sk_timer_entry *entry);

/* When the next entry may be due: never later than it is, possibly earlier (then an expire at that
 * time returns nothing and the answer improves). UINT64_MAX: nothing pending. Lock-free. */
uint64_t sk_timer_next_due_ms(const struct sk_timer *timer);

/* Moves time on to now_ms and returns the due entries, linked by message.next, in order. Time never
 * goes back: an earlier now_ms than before counts as that one. */
struct sk_timer_entry *sk_timer_expire(struct sk_timer *timer, uint64_t now_ms);

/* How many entries are pending. */
uint64_t sk_timer_count(const struct sk_timer *timer);

#endif
