/* sk_waiting.c: see sk_waiting.h.
 *
 * What waits for a name is a list, the oldest message first; lists are found by hashing the name.
 * The lock is held over posting and over the locks of names and registry, never the other way. */
#include "sk_waiting.h"

#include "sk_core.h"
#include "sk_names.h"
#include "sk_post.h"
#include "sk_registry.h"
#include "sk_remote.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 256

struct name {
	struct name *next; /* in its bucket */
	struct sk_message *first;
	struct sk_message **end;
	char text[SK_GLOBAL_NAME_MAX + 1];
};

struct sk_waiting {
	pthread_mutex_t lock;
	/* Under it. */
	struct name *buckets[BUCKETS];
	uint32_t name_count;
	size_t bytes;
	uint64_t refused; /* messages for which there was no room */
};

/* --- lists ---------------------------------------------------------------------------------- */

/* What points to the name, or would. */
static struct name **
find_locked(struct sk_waiting *waiting, const char *text)
{
	uint32_t hash = 2166136261; /* FNV-1a */
	for (const char *c = text; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 16777619;
	struct name **place = &waiting->buckets[(hash ^ hash >> 16) % BUCKETS];
	while (*place && strcmp((*place)->text, text) != 0)
		place = &(*place)->next;
	return place;
}

static struct name *
add_name_locked(struct sk_waiting *waiting, struct name **place, const char *text)
{
	struct name *name = skynet_calloc(1, sizeof *name);
	sk_memory_disown(sk_memory_bytes_of(name));
	(void)snprintf(name->text, sizeof name->text, "%s", text);
	name->end = &name->first;
	*place = name;
	waiting->name_count++;
	return name;
}

/* name: taken; NULL: does nothing. */
static void
free_name(struct name *name)
{
	sk_memory_disown(-sk_memory_bytes_of(name));
	free(name);
}

static size_t
cost_of(const struct sk_message *message)
{
	return sizeof *message + message->size;
}

/* Returns SK_ELIMIT when there is no room (W4). message: taken otherwise. */
static int
add_locked(struct sk_waiting *waiting, const char *text, struct sk_message *message)
{
	struct name **place = find_locked(waiting, text);
	struct name *name = *place;
	size_t cost = cost_of(message);
	if (cost > SK_WAITING_BYTES_MAX || waiting->bytes > SK_WAITING_BYTES_MAX - cost ||
	    (!name && waiting->name_count == SK_WAITING_NAMES_MAX)) {
		waiting->refused++;
		return SK_ELIMIT;
	}
	if (!name)
		name = add_name_locked(waiting, place, text);
	message->next = NULL;
	*name->end = message;
	name->end = &message->next;
	waiting->bytes += cost;
	return SK_OK;
}

/* Takes the name at that place out, with all that waits for it; the caller frees it. NULL: there is
 * none. */
static struct name *
take_name_locked(struct sk_waiting *waiting, struct name **place)
{
	struct name *name = *place;
	if (!name)
		return NULL;
	*place = name->next;
	waiting->name_count--;
	return name;
}

/* Takes the oldest message out of such a name; NULL: none is left. */
static struct sk_message *
take_message_locked(struct sk_waiting *waiting, struct name *name)
{
	struct sk_message *message = name->first;
	if (!message)
		return NULL;
	name->first = message->next;
	waiting->bytes -= cost_of(message);
	return message;
}

/* --- the room ------------------------------------------------------------------------------- */

struct sk_waiting *
sk_waiting_new(void)
{
	struct sk_waiting *waiting = skynet_calloc(1, sizeof *waiting);
	(void)pthread_mutex_init(&waiting->lock, NULL);
	return waiting;
}

void
sk_waiting_free(struct sk_waiting *waiting)
{
	if (!waiting)
		return;
	for (int i = 0; i < BUCKETS; i++) {
		struct name *name;
		while ((name = take_name_locked(waiting, &waiting->buckets[i]))) {
			struct sk_message *message;
			while ((message = take_message_locked(waiting, name))) {
				free(message->data);
				free(message);
			}
			free_name(name);
		}
	}
	(void)pthread_mutex_destroy(&waiting->lock);
	free(waiting);
}

/* --- messages ------------------------------------------------------------------------------- */

static bool
wants_answer(const struct sk_message *message)
{
	return message->session != 0 && message->type != PTYPE_RESPONSE &&
	       message->type != PTYPE_ERROR;
}

/* It belongs to the thread that runs, for a moment. */
static void
take_charge(const struct sk_message *message)
{
	sk_memory_disown(-sk_post_weight_of(message));
}

/* Past the bound of the mailbox: what has waited was taken long ago. receiver: NULL if it is a
 * service of another node. message: taken. */
static void
send_on(struct sk_core *core, uint32_t handle, struct skynet_context *receiver,
	struct sk_message *message)
{
	if (wants_answer(message))
		sk_post_empty(core, message->source, PTYPE_HARBOR, handle, message->session);
	if (receiver) {
		sk_post_push(receiver, message);
		return;
	}
	take_charge(message);
	(void)sk_post(core, handle, message);
}

int
sk_waiting_add(struct sk_core *core, const char *name, struct sk_message *message)
{
	struct sk_waiting *waiting = core->waiting;
	int result = SK_OK;
	(void)pthread_mutex_lock(&waiting->lock);
	uint32_t owner = sk_names_find(&core->global_names, name, strlen(name)); /* W2 */
	/* A harbor that ends is unfindable first, and has this lock taken then: so either it is
	 * not found here, or what is added now is refused there (W3). */
	if (owner == 0)
		result = sk_remote_harbor(core) ? add_locked(waiting, name, message) : SK_ENOENT;
	(void)pthread_mutex_unlock(&waiting->lock);
	if (owner == 0)
		return result;
	struct skynet_context *receiver = sk_registry_find(&core->registry, owner);
	if (!receiver && !sk_registry_is_remote(&core->registry, owner))
		return SK_ESTOPPED;
	send_on(core, owner, receiver, message);
	return SK_OK;
}

const char *
sk_waiting_name(struct sk_core *core, const char *name, uint32_t handle, bool may_replace)
{
	struct sk_waiting *waiting = core->waiting;
	struct skynet_context *receiver = sk_registry_find(&core->registry, handle);
	struct sk_message *message;
	const char *stored;
	if (!receiver && !sk_registry_is_remote(&core->registry, handle))
		return NULL;
	(void)pthread_mutex_lock(&waiting->lock);
	struct name *waited = take_name_locked(waiting, find_locked(waiting, name));
	while (waited && (message = take_message_locked(waiting, waited)))
		send_on(core, handle, receiver, message);
	free_name(waited);
	/* Behind that: who finds the name overtakes nothing (W2). */
	stored = may_replace ? sk_names_set(&core->global_names, name, handle)
			     : sk_names_add(&core->global_names, name, handle);
	(void)pthread_mutex_unlock(&waiting->lock);
	return stored;
}

/* message: taken. */
static void
refuse(struct sk_core *core, uint32_t harbor, const char *name, struct sk_message *message)
{
	if (message->type != PTYPE_ERROR)
		sk_post_error(core, message->source, harbor,
			      wants_answer(message) ? message->session : SKYNET_SESSION_LOST,
			      "no service has the global name %s: the harbor of this node has "
			      "ended",
			      name);
	take_charge(message);
	sk_post_discard(core, message);
}

void
sk_waiting_refuse_all(struct sk_core *core, uint32_t harbor)
{
	struct sk_waiting *waiting = core->waiting;
	(void)pthread_mutex_lock(&waiting->lock);
	for (int i = 0; i < BUCKETS; i++) {
		struct name *name;
		while ((name = take_name_locked(waiting, &waiting->buckets[i]))) {
			struct sk_message *message;
			while ((message = take_message_locked(waiting, name)))
				refuse(core, harbor, name->text, message);
			free_name(name);
		}
	}
	(void)pthread_mutex_unlock(&waiting->lock);
}

uint32_t
sk_waiting_count(struct sk_waiting *waiting, size_t *bytes, uint64_t *refused)
{
	(void)pthread_mutex_lock(&waiting->lock);
	uint32_t count = waiting->name_count;
	*bytes = waiting->bytes;
	*refused = waiting->refused;
	(void)pthread_mutex_unlock(&waiting->lock);
	return count;
}
