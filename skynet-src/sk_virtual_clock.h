/* sk_virtual_clock.h: the clock of a simulated node, which goes when the simulation says so.
 *
 * Model      It stands still while there is work, and jumps to the next timer when there is none
 *            (sk_simulation.h). So an hour of sleep costs nothing, and what a service sees of time
 *            does not depend on how fast the machine is.
 *            I1  It never goes back.
 *            I2  Who waits by reading it, or by sending messages around, does not wait for ever:
 *                after STILL_MAX readings and turns at one instant each further one takes 1 us.
 * Threads    one thread moves it, the simulated worker; reading: [any].
 */
#ifndef SK_VIRTUAL_CLOCK_H
#define SK_VIRTUAL_CLOCK_H

#include <stdatomic.h>
#include <stdint.h>

struct sk_virtual_clock {
	/* Written by the simulated worker. Relaxed: a figure, it publishes nothing. */
	_Atomic uint64_t now_ns;
	/* Owner only: that worker. */
	uint32_t still_count; /* readings and turns since it moved */
};

void sk_virtual_clock_init(struct sk_virtual_clock *clock, uint64_t now_ns);

/* Nanoseconds since some start.  [any] */
uint64_t sk_virtual_clock_ns(const struct sk_virtual_clock *clock);
/* Counts a reading or a turn at this instant (I2).  [worker] */
void sk_virtual_clock_count(struct sk_virtual_clock *clock);
/* Moves it on, unless it is later already.  [worker] */
void sk_virtual_clock_move(struct sk_virtual_clock *clock, uint64_t until_ns);

#endif
