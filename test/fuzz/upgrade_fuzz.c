/* upgrade_fuzz.c: a libFuzzer target for the handshake of websockets. The first byte of the input
 * is the size of the chunks; the rest is what a client sends. What is answered must not depend on
 * the chunks, and no read may leave them. `make fuzz` builds and runs it. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
/* clang-format off */
#include "../../service-src/gate/block.c"
#include "../../service-src/gate/upgrade.c"
/* clang-format on */

#include "fuzz_memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads the head in chunks. Returns what was left of the stream behind it. */
static size_t
read_head(const uint8_t *data, size_t size, size_t chunk_size, char *text)
{
	struct gate_block head = {0};
	enum gate_upgrade_result result = GATE_UPGRADE_MORE;
	text[0] = '\0';
	while (size > 0 && result == GATE_UPGRADE_MORE) {
		size_t count = size < chunk_size ? size : chunk_size;
		char *chunk = skynet_malloc(count);
		memcpy(chunk, data, count);
		struct gate_input input = {chunk, count, chunk};
		result = gate_upgrade_next(&head, &input, text);
		size_t taken = count - input.size;
		skynet_free(chunk);
		data += taken;
		size -= taken;
	}
	gate_block_fini(&head);
	return size;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char whole[GATE_UPGRADE_ANSWER_MAX], pieces[GATE_UPGRADE_ANSWER_MAX];
	if (size < 2)
		return 0;
	size_t left = read_head(data + 1, size - 1, size, whole);
	if (left != read_head(data + 1, size - 1, 1 + (size_t)data[0], pieces) ||
	    strcmp(whole, pieces) != 0)
		abort();
	return 0;
}
