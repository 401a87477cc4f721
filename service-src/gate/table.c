/* table.c: open addressing with linear probing.
 *
 * I1  At most three quarters of the slots are used, so every search ends at a free one.
 * I2  Between the slot a key hashes to and the slot it stands in, no slot is free. Removing an
 *     entry therefore moves later ones of its run back, which needs no marks for deleted entries
 *     and leaves no trace, however many connections come and go. */
#include "table.h"

#include "skynet.h"

#include <assert.h>
#include <stdint.h>

#define FIRST_CAPACITY 16

void
gate_table_fini(struct gate_table *table)
{
	skynet_free(table->slots);
	table->slots = NULL;
	table->capacity = 0;
	table->count = 0;
}

/* Spreads keys that count up: an odd factor near 2^32 divided by the golden ratio, then the high
 * half, which every bit of the key reaches. */
static size_t
home_of(const struct gate_table *table, int key)
{
	uint32_t mixed = (uint32_t)key * UINT32_C(2654435769);
	return (mixed ^ mixed >> 16) & (table->capacity - 1);
}

/* The slot that holds the key, or the free one where it would go. */
static size_t
slot_of(const struct gate_table *table, int key)
{
	size_t slot = home_of(table, key);
	while (table->slots[slot] != NULL && *table->slots[slot] != key)
		slot = (slot + 1) & (table->capacity - 1);
	return slot;
}

static void
resize(struct gate_table *table, size_t capacity)
{
	int **old = table->slots;
	size_t old_capacity = table->capacity;
	table->slots = skynet_calloc(capacity, sizeof(*table->slots));
	table->capacity = capacity;
	for (size_t i = 0; i < old_capacity; i++) {
		if (old[i] != NULL)
			table->slots[slot_of(table, *old[i])] = old[i];
	}
	skynet_free(old);
}

void
gate_table_add(struct gate_table *table, int *entry)
{
	if (table->capacity == 0)
		resize(table, FIRST_CAPACITY);
	else if (table->count + 1 > table->capacity / 4 * 3)
		resize(table, table->capacity * 2); /* I1 */
	size_t slot = slot_of(table, *entry);
	assert(table->slots[slot] == NULL); /* a key stands in the table once */
	table->slots[slot] = entry;
	table->count++;
}

int *
gate_table_find(const struct gate_table *table, int key)
{
	return table->capacity != 0 ? table->slots[slot_of(table, key)] : NULL;
}

/* Closes the gap at slot: I2 for the entries behind it. */
static void
close_gap(struct gate_table *table, size_t gap)
{
	size_t mask = table->capacity - 1;
	for (size_t i = (gap + 1) & mask; table->slots[i] != NULL; i = (i + 1) & mask) {
		size_t home = home_of(table, *table->slots[i]);
		if (((i - home) & mask) < ((i - gap) & mask))
			continue; /* its home lies behind the gap: it may stay */
		table->slots[gap] = table->slots[i];
		gap = i;
	}
	table->slots[gap] = NULL;
}

void
gate_table_remove(struct gate_table *table, int key)
{
	if (table->capacity == 0)
		return;
	size_t slot = slot_of(table, key);
	if (table->slots[slot] == NULL)
		return;
	close_gap(table, slot);
	table->count--;
	/* A quarter of the size at which it would grow again, so that it does not swing. */
	if (table->capacity > FIRST_CAPACITY && table->count < table->capacity / 8)
		resize(table, table->capacity / 2);
}
