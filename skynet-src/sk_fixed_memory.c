/* sk_fixed_memory.c: see sk_fixed_memory.h.
 *
 * The heap is an arena of jemalloc, whose pages come from take_pages. Its other sources of chance
 * are switched off: the thread's cache, through which blocks of other threads would come back as
 * new ones, and the giving back of pages after a time.
 */
#include "sk_fixed_memory.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#if defined(SK_HAS_JEMALLOC)
#include <jemalloc/jemalloc.h>
#endif

/* Far from where a system puts what has no address of its own, on machines with 47 bits of them and
 * more: programs below 2^44, libraries and stacks near the top. */
#define STACK_ADDRESS UINT64_C(0x0ff000000000)
#define STACK_BYTES ((size_t)8 << 20)
#define GUARD_BYTES ((size_t)64 << 10)
#define HEAP_ADDRESS UINT64_C(0x100000000000)

/* Without jemalloc the stack alone would be of no use; and sanitizers have plans for these
 * places. */
#if defined(SK_HAS_JEMALLOC) && defined(MAP_FIXED_NOREPLACE) && UINTPTR_MAX > UINT32_MAX

/* Returns NULL when the place is taken, or is none. */
static void *
map_at(uint64_t address, size_t size)
{
	void *wanted = (void *)(uintptr_t)address;
	void *block =
		mmap(wanted, size, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	if (block == MAP_FAILED)
		return NULL;
	if (block == wanted)
		return block;
	(void)munmap(block, size); /* a kernel that does not know the flag */
	return NULL;
}

#else

static void *
map_at(uint64_t address, size_t size)
{
	(void)address, (void)size;
	return NULL;
}

#endif

int
sk_fixed_memory_stack(pthread_attr_t *attributes)
{
	char *stack = map_at(STACK_ADDRESS, STACK_BYTES);
	if (!stack)
		return SK_ESYSTEM;
	(void)mprotect(stack, GUARD_BYTES, PROT_NONE); /* without it an overflow shows later */
	if (pthread_attr_init(attributes) != 0)
		goto unmap;
	if (pthread_attr_setstack(attributes, stack + GUARD_BYTES, STACK_BYTES - GUARD_BYTES) == 0)
		return SK_OK;
	(void)pthread_attr_destroy(attributes);
unmap:
	(void)munmap(stack, STACK_BYTES);
	return SK_ESYSTEM;
}

void
sk_fixed_memory_free_stack(pthread_attr_t *attributes)
{
	(void)pthread_attr_destroy(attributes);
	(void)munmap((void *)(uintptr_t)STACK_ADDRESS, STACK_BYTES);
}

#if defined(SK_HAS_JEMALLOC)

/* Where the next pages come from. */
static _Atomic uint64_t next_address = HEAP_ADDRESS;

static void *
take_pages(extent_hooks_t *hooks, void *wanted, size_t size, size_t alignment, bool *zero,
	   bool *commit, unsigned arena)
{
	(void)hooks, (void)arena;
	if (wanted)
		return NULL; /* behind what it has: there are pages enough elsewhere */
	/* Under the arena's lock, if it is the only one; relaxed, as an address is no message. */
	uint64_t from =
		atomic_fetch_add_explicit(&next_address, size + alignment, memory_order_relaxed);
	void *pages = map_at((from + alignment - 1) / alignment * alignment, size);
	*zero = pages != NULL;
	*commit = pages != NULL;
	return pages;
}

/* Pages stay the arena's: given back and taken again they would move. */
static bool
keep_pages(extent_hooks_t *hooks, void *pages, size_t size, bool committed, unsigned arena)
{
	(void)hooks, (void)pages, (void)size, (void)committed, (void)arena;
	return true;
}

static bool
split_pages(extent_hooks_t *hooks, void *pages, size_t size, size_t first, size_t second,
	    bool committed, unsigned arena)
{
	(void)hooks, (void)pages, (void)size, (void)first, (void)second, (void)committed,
		(void)arena;
	return false; /* nothing to do for it */
}

static bool
merge_pages(extent_hooks_t *hooks, void *first, size_t first_size, void *second, size_t second_size,
	    bool committed, unsigned arena)
{
	(void)hooks, (void)first, (void)first_size, (void)second, (void)second_size,
		(void)committed, (void)arena;
	return false;
}

static bool
never_give_back(unsigned arena)
{
	ssize_t never = -1;
	size_t name[3];
	size_t length = 3;
	if (mallctlnametomib("arena.0.dirty_decay_ms", name, &length) != 0)
		return false;
	name[1] = arena;
	return mallctlbymib(name, length, NULL, NULL, &never, sizeof never) == 0;
}

static pthread_once_t heap_once = PTHREAD_ONCE_INIT;
static unsigned heap_arena;
static bool has_heap;

static void
make_heap(void)
{
	static extent_hooks_t hooks = {
		.alloc = take_pages,
		.dalloc = keep_pages,
		.split = split_pages,
		.merge = merge_pages,
	};
	extent_hooks_t *own = &hooks;
	size_t size = sizeof heap_arena;
	void *probe = map_at(HEAP_ADDRESS, GUARD_BYTES);
	if (!probe)
		return;
	(void)munmap(probe, GUARD_BYTES);
	has_heap = mallctl("arenas.create", &heap_arena, &size, &own, sizeof own) == 0 &&
		   never_give_back(heap_arena);
}

void
sk_fixed_memory_use_heap(void)
{
	bool has_cache = false;
	(void)pthread_once(&heap_once, make_heap); /* cannot fail for a constant argument */
	if (!has_heap)
		return;
	/* If one of these fails the addresses vary, and nothing else. */
	(void)mallctl("thread.tcache.enabled", NULL, NULL, &has_cache, sizeof has_cache);
	(void)mallctl("thread.arena", NULL, NULL, &heap_arena, sizeof heap_arena);
}

#else

void
sk_fixed_memory_use_heap(void)
{
}

#endif
