/* table.h: finds a struct by a positive number: a connection by its id, a probe by its session.
 *
 * Model      A hash table of pointers to int keys. A struct that is to be found has an int field
 *            that holds its key, and puts that field's address in; offsetof gets from the field
 *            back to the struct. So the table costs one pointer a slot and allocates nothing per
 *            entry. It grows and shrinks with its entries.
 * Memory     The entries are borrowed until they are removed.
 * Threads    [any]; a table belongs to one caller.
 */
#ifndef GATE_TABLE_H
#define GATE_TABLE_H

#include <stddef.h>

/* All zero: empty. */
struct gate_table {
	int **slots; /* NULL where free; a power of two of them, or none */
	size_t capacity;
	size_t count;
};

/* Frees the table, not the entries. It is empty afterwards. */
void gate_table_fini(struct gate_table *table);

/* Adds the entry whose key field is at entry. The key is not yet in the table, and must not change
 * while it is. */
void gate_table_add(struct gate_table *table, int *entry);
/* Returns the key field of the entry with that key, or NULL. */
int *gate_table_find(const struct gate_table *table, int key);
/* Removes the entry with that key, if there is one. */
void gate_table_remove(struct gate_table *table, int key);

#endif
