/* session_map.c: linear probing in Robin Hood order (P. Celis, Robin Hood Hashing, 1986).
 *
 * The home of a session is its low bits, inside a block that the other bits choose. Sessions are
 * drawn in ascending order and mostly end in that order, so waiters lie side by side in memory in
 * the order they are used: a million timers are walked through, not jumped through. The blocks lie
 * apart, spread evenly by the golden ratio (Knuth, The Art of Computer Programming 3, 6.4), so that
 * many old sessions do not become one long cluster that each new one has to move.
 *
 * M1  Along a cluster the distance from home grows by at most one from slot to slot. So a search
 *     ends at the first waiter that is nearer to its home than the searched one would be, and a
 *     removal at the first that is at home: neither depends on how long the cluster is.
 */
#include "session_map.h"

#include "skynet.h"

#include <stdlib.h>

#define CAPACITY_MIN 8
#define BLOCK_BITS 6 /* 1 KB of slots: long enough for the processor to read ahead */

static uint32_t
home_of(const struct session_map *map, int32_t session)
{
	uint32_t number = ((uint32_t)session >> BLOCK_BITS) * UINT32_C(0x9e3779b1);
	uint32_t block = (uint32_t)((uint64_t)number * (map->capacity >> BLOCK_BITS) >> 32);
	uint32_t place = (uint32_t)session & ((1u << BLOCK_BITS) - 1);
	return (block << BLOCK_BITS | place) & (map->capacity - 1);
}

/* How far the waiter in slot i is from its home. */
static uint32_t
distance_of(const struct session_map *map, uint32_t i)
{
	return (i - home_of(map, map->slots[i].session)) & (map->capacity - 1);
}

static void
insert(struct session_map *map, struct waiter waiter)
{
	uint32_t mask = map->capacity - 1;
	uint32_t i = home_of(map, waiter.session);
	for (uint32_t distance = 0; map->slots[i].session != 0; distance++, i = (i + 1) & mask) {
		uint32_t other = distance_of(map, i);
		if (other >= distance)
			continue;
		struct waiter richer = map->slots[i];
		map->slots[i] = waiter;
		waiter = richer;
		distance = other;
	}
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
	uint32_t mask = map->capacity - 1;
	uint32_t i = home_of(map, session);
	for (uint32_t distance = 0; map->slots[i].session != 0 && distance_of(map, i) >= distance;
	     distance++, i = (i + 1) & mask)
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
	for (uint32_t i = (hole + 1) & mask; map->slots[i].session != 0 && distance_of(map, i) > 0;
	     i = (i + 1) & mask) {
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
	*map = (struct session_map){0};
}
