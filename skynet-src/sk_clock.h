/* sk_clock.h: the four ways the node reads time.
 *
 * Model      Nanoseconds of the monotonic clock are what everything is scheduled by. Ticks are a
 *            cheaper reading of the same progress (the processor's counter where it can be
 *            trusted), used to account CPU time once a turn. Wall time is read, never accumulated.
 *            Processor time stands still while the machine does other things.
 * Threads    [any]
 */
#ifndef SK_CLOCK_H
#define SK_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define SK_NS_PER_MS UINT64_C(1000000)
#define SK_NS_PER_CS UINT64_C(10000000)
#define SK_NS_PER_SECOND UINT64_C(1000000000)

/* Measures the tick rate. Call once before the first sk_clock_ticks; takes about 2 ms.  [boot] */
void sk_clock_calibrate(void);

/* Nanoseconds of the monotonic clock. */
static inline uint64_t
sk_clock_ns(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
	return (uint64_t)now.tv_sec * SK_NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

/* Milliseconds of the monotonic clock. */
static inline uint64_t
sk_clock_ms(void)
{
	return sk_clock_ns() / SK_NS_PER_MS;
}

/* Nanoseconds since 1970. Jumps when the wall clock is set. */
static inline uint64_t
sk_clock_wall_ns(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * SK_NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

/* Nanoseconds of processor time that all threads of this process have used together. */
static inline uint64_t
sk_clock_processor_ns(void)
{
	struct timespec used;
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (uint64_t)used.tv_sec * SK_NS_PER_SECOND + (uint64_t)used.tv_nsec;
}

/* Set by sk_clock_calibrate. */
extern bool sk_clock_has_counter;
extern double sk_clock_ns_per_tick;

/* A cheap monotonic reading; only differences mean something. 10 ns where the processor has a
 * constant counter, else as sk_clock_ns. */
static inline uint64_t
sk_clock_ticks(void)
{
#if defined(__x86_64__)
	if (sk_clock_has_counter)
		return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	uint64_t count;
	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(count));
	return count;
#endif
	return sk_clock_ns();
}

static inline uint64_t
sk_clock_ticks_to_ns(uint64_t ticks)
{
	return (uint64_t)((double)ticks * sk_clock_ns_per_tick);
}

#endif
