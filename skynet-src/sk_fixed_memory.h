/* sk_fixed_memory.h: a thread whose stack and heap lie at the same addresses in each run.
 *
 * Model      What a Lua VM does depends on where its memory is: addresses are part of the seed of
 *            its string hash and its random numbers, and the hash of its tables as keys. The
 *            worker of a simulated node therefore has a stack at a fixed place, and a heap of its
 *            own, whose pages are taken from a fixed place one after the other; so where a block
 *            lies follows from what the thread has allocated before, and from nothing else.
 *            Where that cannot be had (another allocator, a sanitizer, another system) all works
 *            the same, at other addresses.
 * Threads    as marked; one simulated node a process has fixed addresses, others share its heap.
 */
#ifndef SK_FIXED_MEMORY_H
#define SK_FIXED_MEMORY_H

#include "sk_base.h"

#include <pthread.h>

/* Makes attributes for a thread with such a stack. Returns SK_ESYSTEM when there is none, and
 * nothing to release.  [boot] */
SK_MUST_CHECK int sk_fixed_memory_stack(pthread_attr_t *attributes);
/* Gives the stack back; the thread has been joined.  [boot] */
void sk_fixed_memory_free_stack(pthread_attr_t *attributes);

/* Has the calling thread allocate from the fixed heap from now on. */
void sk_fixed_memory_use_heap(void);

#endif
