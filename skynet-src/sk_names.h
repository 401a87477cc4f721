/* sk_names.h: names of services: local ones (".name", stored without the dot), or global ones.
 *
 * Model      A sorted, immutable array of names that is replaced as a whole: a reader searches the
 *            array it finds, without a lock; a writer copies it. Names are few and change rarely.
 *            Many names may point to one handle; all go when it dies.
 * Threads    find: a thread with an online quiescence slot. All others: [any].
 */
#ifndef SK_NAMES_H
#define SK_NAMES_H

#include "sk_base.h"
#include "sk_quiesce.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sk_name_table;

struct sk_names {
	struct sk_quiesce *quiesce;
	_Atomic(struct sk_name_table *) table;
	pthread_mutex_t lock; /* one writer at a time */
};

SK_MUST_CHECK int sk_names_init(struct sk_names *names, struct sk_quiesce *quiesce);
void sk_names_fini(struct sk_names *names);

/* Returns the handle, or 0. name: without the dot, need not end in NUL at length. */
uint32_t sk_names_find(struct sk_names *names, const char *name, size_t length);

/* Registers a name. Returns the stored text, valid until the name is gone and the caller passed a
 * quiescent point, or NULL when it is taken. */
const char *sk_names_add(struct sk_names *names, const char *name, uint32_t handle);

/* The same, but a name that is taken changes its owner. Never NULL. */
const char *sk_names_set(struct sk_names *names, const char *name, uint32_t handle);

/* Forgets a name. Returns false when there is none. */
bool sk_names_forget(struct sk_names *names, const char *name);

/* Forgets all names of a handle. */
void sk_names_remove(struct sk_names *names, uint32_t handle);

#endif
