/* address_set.h: a set of services' addresses, as one sorted array, which is what
 * skynet_packet_send_all takes.
 *
 * Model      Handles are given out in ascending order, so most additions are at the end. Whoever
 *            uses it frees it with address_set_fini; all zero is an empty one.
 * Threads    its owner only.
 */
#ifndef ADDRESS_SET_H
#define ADDRESS_SET_H

#include "skynet.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ADDRESS_SET_FIRST_CAPACITY 4

struct address_set {
	uint32_t *list;
	size_t count;
	size_t capacity;
};

/* Where the address is, or has to go. */
static inline size_t
address_set_place(const struct address_set *set, uint32_t address)
{
	size_t low = 0, high = set->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (set->list[middle] < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static inline void
address_set_resize(struct address_set *set, size_t capacity)
{
	set->capacity = capacity;
	set->list = skynet_realloc(set->list, capacity * sizeof *set->list);
}

/* Returns false when it was there already. */
static inline bool
address_set_add(struct address_set *set, uint32_t address)
{
	size_t place = address_set_place(set, address);
	if (place < set->count && set->list[place] == address)
		return false;
	if (set->count == set->capacity)
		address_set_resize(set,
				   set->capacity ? set->capacity * 2 : ADDRESS_SET_FIRST_CAPACITY);
	memmove(set->list + place + 1, set->list + place, (set->count - place) * sizeof *set->list);
	set->list[place] = address;
	set->count++;
	return true;
}

/* Returns false when it was not there. */
static inline bool
address_set_remove(struct address_set *set, uint32_t address)
{
	size_t place = address_set_place(set, address);
	if (place == set->count || set->list[place] != address)
		return false;
	set->count--;
	memmove(set->list + place, set->list + place + 1, (set->count - place) * sizeof *set->list);
	/* Gives memory back at a quarter, so that it is not asked for again at once. */
	if (set->count >= ADDRESS_SET_FIRST_CAPACITY && set->count <= set->capacity / 4)
		address_set_resize(set, set->capacity / 2);
	return true;
}

static inline void
address_set_fini(struct address_set *set)
{
	skynet_free(set->list);
	*set = (struct address_set){0};
}

#endif
