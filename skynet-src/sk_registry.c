/* sk_registry.c: a table of two levels: 65536 leaves of 256 services each.
 *
 * A leaf is made when the first of its numbers is handed out, and unlinked and retired when the
 * last of them is free again and no more will be handed out soon, so a node of ten services has
 * one leaf however long it runs. The cursor is the number handed out last.
 *
 * I3  leaf->used is how many of its slots are set; the bit of a leaf in leaf_bits is set exactly
 *     while it is linked.
 * I4  A leaf with used == 0 is linked only while the cursor is in it.
 * I5  The slots of a leaf that was unlinked stay NULL: a reader that still holds it finds nothing,
 *     which was true when it found the leaf. */
#include "sk_registry.h"

#include "sk_memory.h"
#include "skynet.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int
sk_registry_init(struct sk_registry *r, struct sk_quiesce *quiesce, int node_id,
		 uint32_t first_number)
{
	assert(node_id >= 0 && node_id <= 255);
	assert(first_number >= 1 && first_number <= SK_HANDLE_MASK);
	/* Untouched pages of this half megabyte cost nothing. */
	r->leaves = calloc(SK_REGISTRY_LEAVES, sizeof(r->leaves[0]));
	if (!r->leaves)
		return SK_ESYSTEM;
	if (pthread_mutex_init(&r->lock, NULL) != 0)
		goto free_leaves;
	r->quiesce = quiesce;
	r->node_bits = (uint32_t)node_id << SK_HANDLE_NODE_SHIFT;
	r->last_number = first_number - 1;
	memset(r->leaf_bits, 0, sizeof(r->leaf_bits));
	atomic_init(&r->count, 0);
	return 0;

free_leaves:
	free(r->leaves);
	return SK_ESYSTEM;
}

/* The first leaf at or after index that exists, or SK_REGISTRY_LEAVES. */
static uint32_t
next_leaf_locked(const struct sk_registry *r, uint32_t index)
{
	if (index >= SK_REGISTRY_LEAVES)
		return SK_REGISTRY_LEAVES;
	uint32_t word = index / 64;
	uint64_t bits = r->leaf_bits[word] & (UINT64_MAX << (index % 64));
	while (bits == 0) {
		if (++word == SK_REGISTRY_LEAF_WORDS)
			return SK_REGISTRY_LEAVES;
		bits = r->leaf_bits[word];
	}
	return word * 64 + (uint32_t)__builtin_ctzll(bits);
}

/* Relaxed: links change only under the lock, which the caller holds. */
static struct sk_registry_leaf *
leaf_locked(const struct sk_registry *r, uint32_t index)
{
	return atomic_load_explicit(&r->leaves[index], memory_order_relaxed);
}

void
sk_registry_fini(struct sk_registry *r)
{
	for (uint32_t i = next_leaf_locked(r, 0); i < SK_REGISTRY_LEAVES;
	     i = next_leaf_locked(r, i + 1))
		skynet_free(leaf_locked(r, i));
	(void)pthread_mutex_destroy(&r->lock); /* fails only for a locked one */
	free(r->leaves);
}

static void
release_leaf(struct sk_retired *retired)
{
	skynet_free(SK_CONTAINER_OF(retired, struct sk_registry_leaf, retired));
}

/* Unlinks the leaf if it has no service, and the cursor is elsewhere (I4). */
static void
drop_leaf_locked(struct sk_registry *r, uint32_t index)
{
	struct sk_registry_leaf *leaf = leaf_locked(r, index);
	if (!leaf || leaf->used != 0 || index == r->last_number / SK_REGISTRY_LEAF_SLOTS)
		return;
	/* Relaxed: retire publishes it to whoever may free the leaf. */
	atomic_store_explicit(&r->leaves[index], NULL, memory_order_relaxed);
	r->leaf_bits[index / 64] &= ~(UINT64_C(1) << (index % 64));
	sk_quiesce_retire(r->quiesce, &leaf->retired, release_leaf);
}

static struct sk_registry_leaf *
make_leaf_locked(struct sk_registry *r, uint32_t index)
{
	struct sk_registry_leaf *leaf = leaf_locked(r, index);
	if (leaf)
		return leaf;
	leaf = skynet_calloc(1, sizeof(*leaf));
	sk_memory_disown(sk_memory_bytes_of(leaf));
	/* Release pairs with the acquire in find: a leaf that is found is empty, not garbage. */
	atomic_store_explicit(&r->leaves[index], leaf, memory_order_release);
	r->leaf_bits[index / 64] |= UINT64_C(1) << (index % 64);
	return leaf;
}

static bool
is_used_locked(const struct sk_registry *r, uint32_t number)
{
	const struct sk_registry_leaf *leaf = leaf_locked(r, number / SK_REGISTRY_LEAF_SLOTS);
	return leaf && atomic_load_explicit(&leaf->slots[number % SK_REGISTRY_LEAF_SLOTS],
					    memory_order_relaxed);
}

/* The first free number after the cursor, going round at the end. There must be one. */
static uint32_t
next_free_number_locked(const struct sk_registry *r)
{
	uint32_t number = r->last_number;
	for (;;) {
		number = number == SK_HANDLE_MASK ? 1 : number + 1;
		const struct sk_registry_leaf *leaf =
			leaf_locked(r, number / SK_REGISTRY_LEAF_SLOTS);
		if (leaf && leaf->used == SK_REGISTRY_LEAF_SLOTS)
			number |= SK_REGISTRY_LEAF_SLOTS - 1; /* none free in here */
		else if (!is_used_locked(r, number))
			return number;
	}
}

int
sk_registry_add(struct sk_registry *r, struct skynet_context *service, uint32_t *handle)
{
	assert(service);
	int result = SK_ELIMIT;
	pthread_mutex_lock(&r->lock);
	if (atomic_load_explicit(&r->count, memory_order_relaxed) == SK_HANDLE_MASK)
		goto unlock;

	uint32_t old_leaf = r->last_number / SK_REGISTRY_LEAF_SLOTS;
	uint32_t number = next_free_number_locked(r);
	r->last_number = number;
	uint32_t new_leaf = number / SK_REGISTRY_LEAF_SLOTS;
	if (new_leaf != old_leaf)
		drop_leaf_locked(r, old_leaf);

	struct sk_registry_leaf *leaf = make_leaf_locked(r, new_leaf);
	leaf->used++;
	*handle = r->node_bits | number;
	/* Release pairs with the acquire in find (I1). */
	atomic_store_explicit(&leaf->slots[number % SK_REGISTRY_LEAF_SLOTS], service,
			      memory_order_release);
	/* Release pairs with the acquire in count. */
	atomic_fetch_add_explicit(&r->count, 1, memory_order_release);
	result = 0;

unlock:
	pthread_mutex_unlock(&r->lock);
	return result;
}

struct skynet_context *
sk_registry_remove(struct sk_registry *r, uint32_t handle)
{
	uint32_t number = handle ^ r->node_bits;
	if (number > SK_HANDLE_MASK)
		return NULL;
	struct skynet_context *service = NULL;
	uint32_t index = number / SK_REGISTRY_LEAF_SLOTS;
	pthread_mutex_lock(&r->lock);
	struct sk_registry_leaf *leaf = leaf_locked(r, index);
	if (!leaf)
		goto unlock;
	/* Relaxed: the caller retires the service, which publishes this. */
	service = atomic_exchange_explicit(&leaf->slots[number % SK_REGISTRY_LEAF_SLOTS], NULL,
					   memory_order_relaxed);
	if (!service)
		goto unlock;
	leaf->used--;
	drop_leaf_locked(r, index);
	/* Release pairs with the acquire in count. */
	atomic_fetch_sub_explicit(&r->count, 1, memory_order_release);

unlock:
	pthread_mutex_unlock(&r->lock);
	return service;
}

uint32_t
sk_registry_last_number(struct sk_registry *r)
{
	pthread_mutex_lock(&r->lock);
	uint32_t number = r->last_number;
	pthread_mutex_unlock(&r->lock);
	return number;
}

void
sk_registry_skip(struct sk_registry *r, uint32_t number)
{
	assert(number <= SK_HANDLE_MASK);
	pthread_mutex_lock(&r->lock);
	if (number > r->last_number) {
		uint32_t old_leaf = r->last_number / SK_REGISTRY_LEAF_SLOTS;
		r->last_number = number;
		drop_leaf_locked(r, old_leaf); /* I4: unless the cursor is still in it */
	}
	pthread_mutex_unlock(&r->lock);
}

/* The lowest number at or after this one that is in use, or 0. */
static uint32_t
next_used_number_locked(const struct sk_registry *r, uint32_t number)
{
	uint32_t index = number / SK_REGISTRY_LEAF_SLOTS;
	uint32_t slot = number % SK_REGISTRY_LEAF_SLOTS;
	for (;;) {
		uint32_t found = next_leaf_locked(r, index);
		if (found == SK_REGISTRY_LEAVES)
			return 0;
		if (found != index)
			slot = 0;
		for (; slot < SK_REGISTRY_LEAF_SLOTS; slot++) {
			uint32_t candidate = found * SK_REGISTRY_LEAF_SLOTS + slot;
			if (is_used_locked(r, candidate))
				return candidate;
		}
		index = found + 1;
		slot = 0;
	}
}

uint32_t
sk_registry_next(struct sk_registry *r, uint32_t after)
{
	uint32_t passed = after > r->node_bits ? after - r->node_bits : 0;
	if (passed >= SK_HANDLE_MASK)
		return 0; /* the last handle of this node, or beyond */
	pthread_mutex_lock(&r->lock);
	uint32_t number = next_used_number_locked(r, passed + 1);
	pthread_mutex_unlock(&r->lock);
	return number == 0 ? 0 : r->node_bits | number;
}
