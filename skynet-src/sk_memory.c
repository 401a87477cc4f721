/* sk_memory.c: the malloc family that services use: libc's (in practice jemalloc's), except that
 * running out of memory ends the process with a line that says how much was asked for. */
#include "sk_memory.h"

#include "sk_base.h"
#include "skynet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(SK_HAS_JEMALLOC)
#include <jemalloc/jemalloc.h>
#endif

_Thread_local uint32_t sk_memory_owner;
_Thread_local int64_t sk_memory_nobodys_bytes;

uint32_t
skynet_current_handle(void)
{
	return sk_memory_owner;
}

static void *
checked(void *block, size_t size)
{
	if (SK_UNLIKELY(!block && size)) {
		(void)fprintf(
			stderr,
			"skynet: out of memory trying to allocate %zu bytes (service :%08x)\n",
			size, sk_memory_owner);
		abort();
	}
	return block;
}

void *
skynet_malloc(size_t size)
{
	return checked(malloc(size), size);
}

void *
skynet_calloc(size_t count, size_t size)
{
	return checked(calloc(count, size), count && size ? count * size : 0);
}

void *
skynet_realloc(void *ptr, size_t size)
{
	return checked(realloc(ptr, size), size);
}

void
skynet_free(void *ptr)
{
	free(ptr);
}

void *
skynet_memalign(size_t alignment, size_t size)
{
	void *block;
	if (skynet_posix_memalign(&block, alignment, size) != 0)
		return NULL;
	return block;
}

void *
skynet_aligned_alloc(size_t alignment, size_t size)
{
	return checked(aligned_alloc(alignment, size), size);
}

int
skynet_posix_memalign(void **ptr, size_t alignment, size_t size)
{
	int error = posix_memalign(ptr, alignment, size);
	if (error == ENOMEM)
		(void)checked(NULL, size);
	return error;
}

char *
skynet_strdup(const char *text)
{
	size_t size = strlen(text) + 1;
	return memcpy(skynet_malloc(size), text, size);
}

void *
skynet_lalloc(void *ptr, size_t osize, size_t nsize)
{
	(void)osize;
	if (nsize == 0) {
		free(ptr);
		return NULL;
	}
	return ptr ? realloc(ptr, nsize) : malloc(nsize); /* which has a shorter path */
}

#if defined(SK_HAS_JEMALLOC)

/* Read by jemalloc when the process starts. All threads share one arena: with one for each, what
 * one thread frees does not help another that allocates, and what the allocator itself needs grows
 * with every round of work until each arena has once held the peak. Its bins, which threads would
 * queue for, are there eight times. What was freed goes back to the system after a second without
 * use, not after ten. */
__attribute__((visibility("default"))) const char *malloc_conf =
	"narenas:1,bin_shards:1-14336:8,dirty_decay_ms:1000,muzzy_decay_ms:0";

#define TEXT_OF(number) TEXT(number)
#define TEXT(number) #number

void
sk_memory_trim(void)
{
	/* Fails only for an arena that does not exist. */
	(void)mallctl("arena." TEXT_OF(MALLCTL_ARENAS_ALL) ".purge", NULL, NULL, NULL, 0);
}

/* jemalloc counts what each thread allocated and freed anyway, and lends the two counters. */
static _Thread_local const uint64_t *allocated_bytes;
static _Thread_local const uint64_t *freed_bytes;

static const uint64_t *
counter(const char *name)
{
	static const uint64_t nothing = 0;
	const uint64_t *bytes;
	size_t size = sizeof bytes;
	return mallctl(name, &bytes, &size, NULL, 0) == 0 ? bytes : &nothing;
}

int64_t
sk_memory_thread_bytes(void)
{
	if (SK_UNLIKELY(!allocated_bytes)) {
		allocated_bytes = counter("thread.allocatedp");
		freed_bytes = counter("thread.deallocatedp");
	}
	return (int64_t)(*allocated_bytes - *freed_bytes) - sk_memory_nobodys_bytes;
}

int64_t
sk_memory_bytes_of(void *block)
{
	return (int64_t)malloc_usable_size(block);
}

#else

void
sk_memory_trim(void)
{
}

int64_t
sk_memory_thread_bytes(void)
{
	return 0;
}

int64_t
sk_memory_bytes_of(void *block)
{
	(void)block;
	return 0;
}

#endif
