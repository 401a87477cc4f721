/* sk_names.c: the sorted array of names, copied at each change.
 *
 * Each name is a block of its own that tables share, so that a copy of the table copies pointers
 * only, and what add returned stays where it is while others come and go.
 *
 * I1  A table never changes once it is published. It is sorted by (text, length), no name twice.
 * I2  A name is retired after the first table without it was published. */
#include "sk_names.h"

#include "sk_memory.h"
#include "skynet.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* All constant once published. */
struct name {
	struct sk_retired retired;
	size_t length; /* without the NUL */
	uint32_t handle;
	char text[];
};

struct sk_name_table {
	struct sk_retired retired;
	uint32_t count;
	struct name *names[];
};

int
sk_names_init(struct sk_names *names, struct sk_quiesce *quiesce)
{
	if (pthread_mutex_init(&names->lock, NULL) != 0)
		return SK_ESYSTEM;
	names->quiesce = quiesce;
	atomic_init(&names->table, NULL); /* stands for a table without names */
	return 0;
}

void
sk_names_fini(struct sk_names *names)
{
	struct sk_name_table *table = atomic_load_explicit(&names->table, memory_order_relaxed);
	for (uint32_t i = 0; table && i < table->count; i++)
		skynet_free(table->names[i]);
	skynet_free(table);
	(void)pthread_mutex_destroy(&names->lock); /* fails only for a locked one */
}

static int
compare(const struct name *name, const char *text, size_t length)
{
	size_t shorter = name->length < length ? name->length : length;
	int order = memcmp(name->text, text, shorter);
	if (order != 0)
		return order;
	return (name->length > length) - (name->length < length);
}

/* Where the name stands, or would stand. */
static uint32_t
search(const struct sk_name_table *table, const char *text, size_t length, bool *found)
{
	uint32_t low = 0, high = table ? table->count : 0;
	*found = false;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = compare(table->names[middle], text, length);
		if (order == 0) {
			*found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

uint32_t
sk_names_find(struct sk_names *names, const char *name, size_t length)
{
	/* Acquire pairs with the release in replace_locked: table and names are complete. */
	const struct sk_name_table *table =
		atomic_load_explicit(&names->table, memory_order_acquire);
	bool found;
	uint32_t place = search(table, name, length, &found);
	return found ? table->names[place]->handle : 0;
}

static void
release_name(struct sk_retired *retired)
{
	skynet_free(SK_CONTAINER_OF(retired, struct name, retired));
}

static void
release_table(struct sk_retired *retired)
{
	skynet_free(SK_CONTAINER_OF(retired, struct sk_name_table, retired));
}

static struct sk_name_table *
new_table(uint32_t count)
{
	struct sk_name_table *table =
		skynet_malloc(sizeof(*table) + (size_t)count * sizeof(table->names[0]));
	sk_memory_disown(sk_memory_bytes_of(table));
	table->count = count;
	return table;
}

static struct name *
new_name(const char *text, size_t length, uint32_t handle)
{
	struct name *name = skynet_malloc(sizeof(*name) + length + 1);
	sk_memory_disown(sk_memory_bytes_of(name));
	name->length = length;
	name->handle = handle;
	memcpy(name->text, text, length);
	name->text[length] = '\0';
	return name;
}

static void
replace_locked(struct sk_names *names, struct sk_name_table *old, struct sk_name_table *table)
{
	/* Release pairs with the acquire in find. */
	atomic_store_explicit(&names->table, table, memory_order_release);
	if (old)
		sk_quiesce_retire(names->quiesce, &old->retired, release_table);
}

/* A new table with a name more, at that place. */
static const char *
insert_locked(struct sk_names *names, uint32_t place, struct name *name)
{
	struct sk_name_table *old = atomic_load_explicit(&names->table, memory_order_relaxed);
	uint32_t count = old ? old->count : 0;
	struct sk_name_table *table = new_table(count + 1);
	for (uint32_t i = 0; i < count; i++)
		table->names[i < place ? i : i + 1] = old->names[i];
	table->names[place] = name;
	replace_locked(names, old, table);
	return name->text;
}

/* A new table in which another name stands at that place, or none. */
static void
exchange_locked(struct sk_names *names, uint32_t place, struct name *name)
{
	struct sk_name_table *old = atomic_load_explicit(&names->table, memory_order_relaxed);
	struct name *gone = old->names[place];
	uint32_t kept = 0;
	struct sk_name_table *table = new_table(name ? old->count : old->count - 1);
	for (uint32_t i = 0; i < old->count; i++) {
		if (i != place)
			table->names[kept++] = old->names[i];
		else if (name)
			table->names[kept++] = name;
	}
	replace_locked(names, old, table);
	sk_quiesce_retire(names->quiesce, &gone->retired, release_name); /* I2 */
}

/* Adds a name, or gives it to another handle if may_replace. */
static const char *
write_name(struct sk_names *names, const char *text, uint32_t handle, bool may_replace)
{
	assert(handle != 0);
	size_t length = strlen(text);
	const char *stored = NULL;
	bool found;
	pthread_mutex_lock(&names->lock);
	struct sk_name_table *table = atomic_load_explicit(&names->table, memory_order_relaxed);
	uint32_t place = search(table, text, length, &found);
	if (!found) {
		stored = insert_locked(names, place, new_name(text, length, handle));
	} else if (may_replace) {
		struct name *name = new_name(text, length, handle);
		stored = name->text;
		exchange_locked(names, place, name);
	}
	pthread_mutex_unlock(&names->lock);
	return stored;
}

const char *
sk_names_add(struct sk_names *names, const char *name, uint32_t handle)
{
	return write_name(names, name, handle, false);
}

const char *
sk_names_set(struct sk_names *names, const char *name, uint32_t handle)
{
	return write_name(names, name, handle, true);
}

bool
sk_names_forget(struct sk_names *names, const char *name)
{
	bool found;
	pthread_mutex_lock(&names->lock);
	struct sk_name_table *table = atomic_load_explicit(&names->table, memory_order_relaxed);
	uint32_t place = search(table, name, strlen(name), &found);
	if (found)
		exchange_locked(names, place, NULL);
	pthread_mutex_unlock(&names->lock);
	return found;
}

static uint32_t
count_of_handle(const struct sk_name_table *table, uint32_t handle)
{
	uint32_t count = 0;
	for (uint32_t i = 0; table && i < table->count; i++)
		count += table->names[i]->handle == handle;
	return count;
}

void
sk_names_remove(struct sk_names *names, uint32_t handle)
{
	pthread_mutex_lock(&names->lock);
	struct sk_name_table *old = atomic_load_explicit(&names->table, memory_order_relaxed);
	uint32_t gone = count_of_handle(old, handle);
	if (gone == 0)
		goto unlock;

	struct sk_name_table *table = new_table(old->count - gone);
	uint32_t kept = 0;
	for (uint32_t i = 0; i < old->count; i++) {
		if (old->names[i]->handle != handle)
			table->names[kept++] = old->names[i];
	}
	/* I2: in this order. The old table is still needed to find the names, so it comes last. */
	atomic_store_explicit(&names->table, table, memory_order_release);
	for (uint32_t i = 0; i < old->count; i++) {
		if (old->names[i]->handle == handle)
			sk_quiesce_retire(names->quiesce, &old->names[i]->retired, release_name);
	}
	sk_quiesce_retire(names->quiesce, &old->retired, release_table);

unlock:
	pthread_mutex_unlock(&names->lock);
}
