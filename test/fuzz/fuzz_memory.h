/* fuzz_memory.h: what files of the services need of the core, for fuzz targets that have none. */
#ifndef FUZZ_MEMORY_H
#define FUZZ_MEMORY_H

#include "skynet.h"

#include <stdlib.h>

#ifndef HAS_CORE /* as a unit test has */
void *
skynet_calloc(size_t count, size_t size)
{
	return calloc(count, size);
}

void *
skynet_realloc(void *ptr, size_t size)
{
	return realloc(ptr, size);
}

void *
skynet_malloc(size_t size)
{
	return malloc(size);
}

void
skynet_free(void *ptr)
{
	free(ptr);
}
#endif

#endif
