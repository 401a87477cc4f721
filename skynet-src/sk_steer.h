/* sk_steer.h: has a thread that is woken run on another processor than the one that wakes it.
 *
 * Why        A worker wakes another because it has more to do than it can do itself. Some kernels
 *            then put the sleeper on the waker's own processor, although others idle, and it waits
 *            there until the waker sleeps: the opposite of what was wanted.
 * Use        under one lock: waker: sk_steer_away(&steer, thread), then wake it;
 *                            sleeper, once it runs: sk_steer_back(&steer).
 * Threads    as marked; does nothing where the system has no such thing.
 */
#ifndef SK_STEER_H
#define SK_STEER_H

#include <pthread.h>
#include <stdbool.h>

/* As many processors as one mask can name; on larger machines nobody is steered. */
#define SK_STEER_CPUS_MAX 1024

struct sk_steer {
	bool is_steered;
	/* While it is: where the thread may run otherwise. */
	unsigned long allowed[SK_STEER_CPUS_MAX / (8 * sizeof(unsigned long))];
};

/* Keeps the sleeping thread off the caller's processor, if it may run on others.  [waker] */
void sk_steer_away(struct sk_steer *steer, pthread_t thread);

/* Gives the calling thread back all of its processors.  [sleeper] */
void sk_steer_back(struct sk_steer *steer);

#endif
