/* sk_memory.h: what the core asks of the allocator beyond malloc (skynet.h has the malloc family).
 *
 * Model      A service is charged for what its thread allocated less what it freed during its
 *            turns; the allocator counts per thread anyway, so the charge costs two reads a turn
 *            and no header per block. A payload is charged to the receiver from the moment it is
 *            handled.
 * Threads    [any]
 */
#ifndef SK_MEMORY_H
#define SK_MEMORY_H

#include <stdint.h>

/* The handle of the service that this thread works for now, or 0: whom allocations are charged to.
 * Set by the service layer. */
extern _Thread_local uint32_t sk_memory_owner;

/* Bytes that this thread has allocated less those it has freed, ever. Only differences mean
 * something. Always 0 where the allocator does not count. */
int64_t sk_memory_thread_bytes(void);

#endif
