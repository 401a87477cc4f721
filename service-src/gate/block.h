/* block.h: bytes of one frame that come in pieces, put together in a block.
 *
 * I1  Memory is held only while bytes are there.
 * I2  It is at most twice what was received (or a few bytes), and never more than the limit that
 *     the caller knows: a promise alone costs nothing.
 * Threads    [any]; a block belongs to one caller. */
#ifndef GATE_BLOCK_H
#define GATE_BLOCK_H

#include <stdint.h>

/* The first block: what the smallest allocation costs anyway. */
#define GATE_BLOCK_FIRST_BYTES 64

/* All zero: empty. */
struct gate_block {
	char *bytes;
	uint32_t capacity;
	uint32_t size;
};

/* Appends bytes, if there are any. limit: the most that the block will ever hold, size + count at
 * least. Returns where they stand. */
char *gate_block_append(struct gate_block *block, const char *bytes, uint32_t count,
			uint32_t limit);
/* Empties the block. Returns its memory, given: skynet_free; NULL if it was empty. */
char *gate_block_take(struct gate_block *block);
/* Frees what it holds. */
void gate_block_fini(struct gate_block *block);

#endif
