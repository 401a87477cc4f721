/* bytes.h: what the limit programs of echo keep of a connection: bytes that have come, or are still
 * to be sent. */
#ifndef BYTES_H
#define BYTES_H

#include <stdlib.h>
#include <string.h>

struct bytes {
	unsigned char *at;
	size_t size;
};

static inline void
bytes_keep(struct bytes *bytes, const unsigned char *from, size_t size)
{
	bytes->at = malloc(size);
	if (bytes->at == NULL)
		abort();
	memcpy(bytes->at, from, size);
	bytes->size = size;
}

static inline void
bytes_drop(struct bytes *bytes)
{
	free(bytes->at);
	*bytes = (struct bytes){0};
}

#endif
