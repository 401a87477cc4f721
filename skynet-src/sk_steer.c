/* sk_steer.c: steering by the affinity of threads, on Linux.
 *
 * The mask is read anew each time: somebody may have changed it from outside (taskset) since.
 * What fails changes nothing but where the thread runs, so no error is told. */
#define _GNU_SOURCE /* pthread_getaffinity_np, sched_getcpu */
#include "sk_steer.h"

#if defined(__linux__)

#include <sched.h>

void
sk_steer_away(struct sk_steer *steer, pthread_t thread)
{
	cpu_set_t *allowed = (cpu_set_t *)steer->allowed;
	cpu_set_t others;
	int here = sched_getcpu();
	_Static_assert(sizeof steer->allowed == sizeof(cpu_set_t), "a mask is a mask");
	if (here < 0 || steer->is_steered ||
	    pthread_getaffinity_np(thread, sizeof *allowed, allowed) != 0)
		return;
	others = *allowed;
	CPU_CLR(here, &others);
	/* An empty mask is refused: it may run here alone. */
	steer->is_steered = pthread_setaffinity_np(thread, sizeof others, &others) == 0;
}

void
sk_steer_back(struct sk_steer *steer)
{
	if (!steer->is_steered)
		return;
	steer->is_steered = false;
	(void)pthread_setaffinity_np(pthread_self(), sizeof steer->allowed,
				     (cpu_set_t *)steer->allowed);
}

#else

void
sk_steer_away(struct sk_steer *steer, pthread_t thread)
{
	(void)steer, (void)thread;
}

void
sk_steer_back(struct sk_steer *steer)
{
	(void)steer;
}

#endif
