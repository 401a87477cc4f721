/* sk_registry.h: which service lives at which handle.
 *
 * Model      A handle is 8 bits of node id and 24 bits of local number. Numbers are handed out in
 *            ascending order, 0 never, and one is not given again before all 24 bits were used.
 *            I1  A service is complete, handle included, before find can return it.
 *            I2  What find returns stays valid until the calling thread passes its next quiescent
 *                point (sk_quiesce.h).
 * Threads    find: any thread with a quiescence slot that is online. All others: [any].
 * Memory     borrows the services; whoever removes one retires it.
 */
#ifndef SK_REGISTRY_H
#define SK_REGISTRY_H

#include "sk_base.h"
#include "sk_quiesce.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#define SK_HANDLE_MASK UINT32_C(0xffffff)
#define SK_HANDLE_NODE_SHIFT 24
#define SK_REGISTRY_LEAF_SLOTS 256
#define SK_REGISTRY_LEAVES 65536
#define SK_REGISTRY_LEAF_WORDS (SK_REGISTRY_LEAVES / 64)

struct skynet_context;

struct sk_registry_leaf {
	_Atomic(struct skynet_context *) slots[SK_REGISTRY_LEAF_SLOTS];
	uint32_t used; /* under lock */
	struct sk_retired retired;
};

struct sk_registry {
	/* Constant after init. */
	struct sk_quiesce *quiesce;
	uint32_t node_bits; /* the node id, shifted */
	/* Atomic: NULL where no service lives in the 256 numbers. */
	_Atomic(struct sk_registry_leaf *) *leaves;
	_Atomic uint32_t count;
	pthread_mutex_t lock;
	/* Under lock. */
	uint32_t last_number;
	uint64_t leaf_bits[SK_REGISTRY_LEAF_WORDS]; /* which leaves exist */
};

/* node_id: 0 to 255. first_number: the first number to hand out, 1 except in tests. */
SK_MUST_CHECK int sk_registry_init(struct sk_registry *r, struct sk_quiesce *quiesce, int node_id,
				   uint32_t first_number);
void sk_registry_fini(struct sk_registry *r);

/* Gives service a handle, stores it in *handle, and only then lets others find it. Returns 0, or
 * SK_ELIMIT when all 2^24-1 numbers are in use. */
SK_MUST_CHECK int sk_registry_add(struct sk_registry *r, struct skynet_context *service,
				  uint32_t *handle);

/* Whether the handle belongs to another node.  [any] */
static inline bool
sk_registry_is_remote(const struct sk_registry *r, uint32_t handle)
{
	uint32_t node_bits = handle & ~SK_HANDLE_MASK;
	return node_bits != 0 && node_bits != r->node_bits;
}

/* Returns the service, or NULL: none there (any more), or the handle is another node's. */
static inline struct skynet_context *
sk_registry_find(struct sk_registry *r, uint32_t handle)
{
	uint32_t number = handle ^ r->node_bits;
	if (SK_UNLIKELY(number > SK_HANDLE_MASK))
		return NULL;
	/* Acquire pairs with the releases in add: a leaf and a service are complete when found. */
	struct sk_registry_leaf *leaf = atomic_load_explicit(
		&r->leaves[number / SK_REGISTRY_LEAF_SLOTS], memory_order_acquire);
	if (SK_UNLIKELY(!leaf))
		return NULL;
	return atomic_load_explicit(&leaf->slots[number % SK_REGISTRY_LEAF_SLOTS],
				    memory_order_acquire);
}

/* Makes the handle unfindable and returns what was there: exactly one of several callers gets it,
 * the others NULL. */
struct skynet_context *sk_registry_remove(struct sk_registry *r, uint32_t handle);

/* The number handed out last; 0: none was. */
uint32_t sk_registry_last_number(struct sk_registry *r);
/* The next number will be higher than this one, at most SK_HANDLE_MASK, as if it had been handed
 * out. One lower than the last changes nothing. */
void sk_registry_skip(struct sk_registry *r, uint32_t number);

/* The lowest handle above `after` that is in use, or 0. Start with after = 0. */
uint32_t sk_registry_next(struct sk_registry *r, uint32_t after);

static inline uint32_t
sk_registry_count(struct sk_registry *r)
{
	return atomic_load_explicit(&r->count, memory_order_acquire);
}

#endif
