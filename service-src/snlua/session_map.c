/* session_map.c: linear probing with backward-shift removal (D. E. Knuth, The Art of Computer
 * Programming, volume 3, 6.4, algorithm R). */
#include "session_map.h"

#include "skynet.h"

#include <stdlib.h>

#define CAPACITY_MIN 8

/* Multiplication by 2^32 divided by the golden ratio (6.4, "Fibonacci hashing") spreads sessions, which
 * come in ascending order: side by side they would make one long cluster. */
static uint32_t
home_of(const struct session_map *map, int32_t session)
{
	uint64_t hash = (uint32_t)session * UINT32_C(2654435769);
	return (uint32_t)(hash * map->capacity >> 32);
}

static void
insert(struct session_map *map, struct waiter waiter)
{
	uint32_t i = home_of(map, waiter.session);
	while (map->slots[i].session != 0)
		i = (i + 1) & (map->capacity - 1);
	map->slots[i] = waiter;
}

static void
resize(struct session_map *map, uint32_t capacity)
{
	struct session_map old = *map;
	map->slots = skynet_calloc(capacity, sizeof *map->slots);
	map->capacity = capacity;
	for (uint32_t i = 0; i < old.capacity; i++)
		if (old.slots[i].session != 0)
			insert(map, old.slots[i]);
	free(old.slots);
}

void
session_map_add(struct session_map *map, struct waiter waiter)
{
	if (map->count >= map->capacity / 4 * 3)
		resize(map, map->capacity ? map->capacity * 2 : CAPACITY_MIN);
	insert(map, waiter);
	map->count++;
}

struct waiter *
session_map_find(const struct session_map *map, int32_t session)
{
	if (map->count == 0)
		return NULL;
	for (uint32_t i = home_of(map, session); map->slots[i].session != 0;
	     i = (i + 1) & (map->capacity - 1))
		if (map->slots[i].session == session)
			return &map->slots[i];
	return NULL;
}

bool
session_map_remove(struct session_map *map, int32_t session, struct waiter *waiter)
{
	struct waiter *found = session_map_find(map, session);
	if (!found)
		return false;
	*waiter = *found;
	uint32_t mask = map->capacity - 1;
	uint32_t hole = (uint32_t)(found - map->slots);
	for (uint32_t i = (hole + 1) & mask; map->slots[i].session != 0; i = (i + 1) & mask) {
		uint32_t distance = (i - home_of(map, map->slots[i].session)) & mask;
		if (distance < ((i - hole) & mask))
			continue; /* it would end up before its home */
		map->slots[hole] = map->slots[i];
		hole = i;
	}
	map->slots[hole].session = 0;
	map->count--;
	if (map->capacity > CAPACITY_MIN && map->count < map->capacity / 16)
		resize(map, map->capacity / 4 > CAPACITY_MIN ? map->capacity / 4 : CAPACITY_MIN);
	return true;
}

void
session_map_free(struct session_map *map)
{
	free(map->slots);
	*map = (struct session_map){ 0 };
}
