/* byte_queue.h: bytes that have come and were not read yet, in one piece of memory.
 *
 * Model      The unread bytes always lie side by side, so searching and reading are plain memory
 *            operations. A block that comes while the queue is empty becomes the queue itself,
 *            without a copy; so it is for a service that keeps up. Later blocks are appended, and
 *            the memory grows by doubling: however small the blocks, a byte is moved a bounded
 *            number of times, and the memory is at most about twice what is unread at the most.
 * Threads    [turn]
 * Memory     an empty queue holds none.
 */
#ifndef SNLUA_BYTE_QUEUE_H
#define SNLUA_BYTE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

/* All zero: empty. */
struct byte_queue {
	char *memory; /* malloc-ed, or NULL */
	size_t begin; /* of the unread bytes in it */
	size_t size;  /* how many they are */
	size_t capacity;
};

static inline const char *
byte_queue_front(const struct byte_queue *queue)
{
	return queue->memory ? queue->memory + queue->begin : "";
}

/* block: malloc-ed, taken. */
void byte_queue_add(struct byte_queue *queue, char *block, size_t size);
/* Drops the first bytes, at most as many as there are. */
void byte_queue_drop(struct byte_queue *queue, size_t size);
/* Finds a separator (borrowed, not empty) that begins at or behind `from`. Returns whether it is
 * there; *at: then where it begins, and otherwise where the next search may begin. */
bool byte_queue_find(const struct byte_queue *queue, size_t from, const char *separator,
		     size_t separator_size, size_t *at);
/* Drops all. */
void byte_queue_clear(struct byte_queue *queue);

#endif
