/* sk_memory.h: what the core asks of the allocator beyond malloc (skynet.h has the malloc family).
 *
 * Model      A service is charged for what its thread allocated less what it freed during its
 *            turns; the allocator counts per thread anyway, so the charge costs two reads a turn
 *            and no header per block. A payload is charged to the receiver from the moment it is
 *            handled. What one turn allocates and another, or nobody's, frees must not be counted
 *            at either end, or accounts grow for ever: messages on their way, and all that the
 *            core keeps for itself (sockets and their output, tables of names) are nobody's.
 * Threads    [any]
 */
#ifndef SK_MEMORY_H
#define SK_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* The handle of the service that this thread works for now, or 0: whom allocations are charged to.
 * Set by the service layer. */
extern _Thread_local uint32_t sk_memory_owner;

/* Bytes that this thread has allocated and that are nobody's. Set by sk_memory_disown. */
extern _Thread_local int64_t sk_memory_nobodys_bytes;

/* Bytes that this thread has allocated less those it has freed, ever, and less what is nobody's.
 * Only differences mean something. Always 0 where the allocator does not count. */
int64_t sk_memory_thread_bytes(void);

/* So many bytes, which this thread has allocated, are nobody's from now on. Negative: bytes that
 * were nobody's are this thread's to free. */
static inline void
sk_memory_disown(int64_t bytes)
{
	sk_memory_nobodys_bytes += bytes;
}

/* What this thread has allocated and freed since sk_memory_thread_bytes returned that was nobody's
 * work: the counter goes back there. */
static inline void
sk_memory_disown_since(int64_t thread_bytes)
{
	sk_memory_disown(sk_memory_thread_bytes() - thread_bytes);
}

/* How many bytes the allocator counts for a block that malloc has returned; 0 for NULL, and where
 * it does not count. */
int64_t sk_memory_bytes_of(void *block);

/* Gives memory that nobody uses back to the system. For a node that has nothing to do: it takes
 * milliseconds. Does nothing where the allocator has no such thing. */
void sk_memory_trim(void);

/* How many bytes the allocator counts for a block of so many: what is charged for a message must be
 * what its receiver frees, or the accounts of both drift. jemalloc's size classes: multiples of 16
 * up to 128, then four to each power of two. 0 where the allocator does not count. */
static inline int64_t
sk_memory_block_bytes(size_t size)
{
#if defined(SK_HAS_JEMALLOC)
	size_t step = 16;
	if (size <= 8)
		return 8;
	if (size > 128)
		step = (size_t)1 << (61 - __builtin_clzl(size - 1));
	return (int64_t)((size + step - 1) & ~(step - 1));
#else
	(void)size;
	return 0;
#endif
}

#endif
