/* byte_queue.c: bytes that were not read yet; see byte_queue.h.
 *
 * Q1  An empty queue holds no memory.
 * Q2  When bytes are moved to the front, at least as many were read since the last time; when the
 *     memory grows, it doubles. So the price of adding a byte is bounded (amortized).
 */
#include "byte_queue.h"

#include "skynet.h"

#include <stdlib.h>
#include <string.h>

#define CAPACITY_MIN 64

void
byte_queue_clear(struct byte_queue *queue)
{
	free(queue->memory);
	*queue = (struct byte_queue){0}; /* Q1 */
}

void
byte_queue_drop(struct byte_queue *queue, size_t size)
{
	if (size >= queue->size) {
		byte_queue_clear(queue);
		return;
	}
	queue->begin += size;
	queue->size -= size;
}

/* Moves the unread bytes to the front, into more memory if they would fill most of what there
 * is. */
static void
make_room(struct byte_queue *queue, size_t size)
{
	size_t needed = queue->size + size;
	if (queue->begin >= queue->size && needed <= queue->capacity) { /* Q2 */
		memcpy(queue->memory, queue->memory + queue->begin, queue->size);
		queue->begin = 0;
		return;
	}
	size_t capacity = queue->size * 2 > CAPACITY_MIN ? queue->size * 2 : CAPACITY_MIN;
	if (capacity < needed)
		capacity = needed;
	char *memory = skynet_malloc(capacity);
	memcpy(memory, queue->memory + queue->begin, queue->size);
	free(queue->memory);
	queue->memory = memory;
	queue->begin = 0;
	queue->capacity = capacity;
}

void
byte_queue_add(struct byte_queue *queue, char *block, size_t size)
{
	if (size == 0) {
		free(block);
		return;
	}
	if (queue->size == 0) {
		*queue = (struct byte_queue){.memory = block, .size = size, .capacity = size};
		return;
	}
	if (size > queue->capacity - queue->begin - queue->size)
		make_room(queue, size);
	memcpy(queue->memory + queue->begin + queue->size, block, size);
	queue->size += size;
	free(block);
}

bool
byte_queue_find(const struct byte_queue *queue, size_t from, const char *separator,
		size_t separator_size, size_t *at)
{
	const char *front = byte_queue_front(queue);
	*at = from;
	if (queue->size < separator_size)
		return false;
	size_t last = queue->size - separator_size; /* where it can begin at the latest */
	while (*at <= last) {
		const char *found = memchr(front + *at, separator[0], last - *at + 1);
		if (!found) {
			*at = last + 1;
			break;
		}
		*at = (size_t)(found - front);
		if (memcmp(found, separator, separator_size) == 0)
			return true;
		++*at;
	}
	return false;
}
