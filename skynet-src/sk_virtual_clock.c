/* sk_virtual_clock.c: see sk_virtual_clock.h. */
#include "sk_virtual_clock.h"

/* More than any honest piece of work does at one instant; and few enough that a loop which waits
 * for a second to pass ends within one. */
#define STILL_MAX 10000
#define STILL_STEP_NS 1000

void
sk_virtual_clock_init(struct sk_virtual_clock *clock, uint64_t now_ns)
{
	atomic_init(&clock->now_ns, now_ns);
	clock->still_count = 0;
}

uint64_t
sk_virtual_clock_ns(const struct sk_virtual_clock *clock)
{
	return atomic_load_explicit(&clock->now_ns, memory_order_relaxed);
}

static void
set(struct sk_virtual_clock *clock, uint64_t now_ns)
{
	atomic_store_explicit(&clock->now_ns, now_ns, memory_order_relaxed);
}

void
sk_virtual_clock_count(struct sk_virtual_clock *clock)
{
	if (clock->still_count < STILL_MAX)
		clock->still_count++;
	else
		set(clock, sk_virtual_clock_ns(clock) + STILL_STEP_NS);
}

void
sk_virtual_clock_move(struct sk_virtual_clock *clock, uint64_t until_ns)
{
	if (until_ns <= sk_virtual_clock_ns(clock))
		return; /* I1 */
	set(clock, until_ns);
	clock->still_count = 0;
}
