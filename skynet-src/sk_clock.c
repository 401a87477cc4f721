/* sk_clock.c: measures how fast the processor's counter runs, once, at the start. */
#include "sk_clock.h"

#include <pthread.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

bool sk_clock_has_counter = false;
double sk_clock_ns_per_tick = 1.0;

/* Long enough that the 50 ns it takes to read both clocks is an error below 0.01 %. */
#define CALIBRATION_NS (2 * SK_NS_PER_MS)

/* Whether the processor counts at a constant rate, also in its sleep states. */
static bool
has_constant_counter(void)
{
#if defined(__x86_64__)
	unsigned eax, ebx, ecx, edx;
	if (!__get_cpuid(0x80000007, &eax, &ebx, &ecx, &edx))
		return false;
	return edx & (1u << 8); /* "invariant TSC" */
#elif defined(__aarch64__)
	return true; /* by the architecture */
#else
	return false;
#endif
}

static void
measure(void)
{
	sk_clock_has_counter = has_constant_counter();
	if (!sk_clock_has_counter)
		return;
	uint64_t ticks = sk_clock_ticks();
	uint64_t start = sk_clock_ns();
	uint64_t now;
	do
		now = sk_clock_ns();
	while (now - start < CALIBRATION_NS);
	sk_clock_ns_per_tick = (double)(now - start) / (double)(sk_clock_ticks() - ticks);
}

void
sk_clock_calibrate(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	(void)pthread_once(&once, measure); /* cannot fail for a constant argument */
}
