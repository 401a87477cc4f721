/* block.c: see block.h. */
#include "block.h"

#include "skynet.h"

#include <string.h>

/* I2 */
static void
reserve(struct gate_block *block, uint32_t need, uint32_t limit)
{
	if (need <= block->capacity)
		return;
	uint32_t capacity = need <= limit / 2 ? need * 2 : limit;
	if (capacity < GATE_BLOCK_FIRST_BYTES)
		capacity = GATE_BLOCK_FIRST_BYTES;
	if (capacity > limit)
		capacity = limit;
	block->bytes = skynet_realloc(block->bytes, capacity);
	block->capacity = capacity;
}

char *
gate_block_append(struct gate_block *block, const char *bytes, uint32_t count, uint32_t limit)
{
	if (count == 0)
		return block->bytes != NULL ? block->bytes + block->size : NULL; /* I1 */
	reserve(block, block->size + count, limit);
	char *at = block->bytes + block->size;
	memcpy(at, bytes, count);
	block->size += count;
	return at;
}

char *
gate_block_take(struct gate_block *block)
{
	char *bytes = block->bytes;
	*block = (struct gate_block){0};
	return bytes;
}

void
gate_block_fini(struct gate_block *block)
{
	skynet_free(gate_block_take(block));
}
