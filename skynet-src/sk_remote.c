/* sk_remote.c: see sk_remote.h.
 *
 * Writers of the table (the harbor, and who ends it) take its lock; readers find each entry by
 * itself. A reason is a block that never changes, and is retired when another takes its place. */
#include "sk_remote.h"

#include "sk_context.h"
#include "sk_packet.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is kept of a reason, with the ": " before it and the NUL. */
#define REASON_BYTES 163

/* Constant once published. */
struct reason {
	struct sk_retired retired;
	char text[REASON_BYTES]; /* begins with ": " */
};

struct node {
	_Atomic int state;		 /* SKYNET_NODE_... */
	_Atomic(struct reason *) reason; /* why it was absent last, or NULL */
};

struct sk_remotes {
	struct sk_quiesce *quiesce;
	pthread_mutex_t lock;	 /* held by writers */
	_Atomic uint32_t harbor; /* handle, or 0 */
	struct node nodes[SK_REMOTE_NODES];
};

struct sk_remotes *
sk_remotes_new(struct sk_quiesce *quiesce)
{
	struct sk_remotes *remotes = skynet_calloc(1, sizeof *remotes); /* all absent */
	remotes->quiesce = quiesce;
	(void)pthread_mutex_init(&remotes->lock, NULL);
	return remotes;
}

void
sk_remotes_free(struct sk_remotes *remotes)
{
	if (!remotes)
		return;
	for (int i = 0; i < SK_REMOTE_NODES; i++)
		free(atomic_load_explicit(&remotes->nodes[i].reason, memory_order_relaxed));
	(void)pthread_mutex_destroy(&remotes->lock);
	free(remotes);
}

/* --- the table ------------------------------------------------------------------------------ */

struct skynet_context *
sk_remote_harbor(struct sk_core *core)
{
	/* Relaxed: it is only a key for the registry. */
	uint32_t handle = atomic_load_explicit(&core->remotes->harbor, memory_order_relaxed);
	return handle != 0 ? sk_registry_find(&core->registry, handle) : NULL;
}

int
sk_remote_state(struct sk_core *core, uint32_t destination, int type,
		struct skynet_context **harbor)
{
	const struct node *node = &core->remotes->nodes[destination >> SK_HANDLE_NODE_SHIFT];
	*harbor = sk_remote_harbor(core);
	/* Acquire pairs with the release in set_state: who finds it absent finds the reason. */
	int state = atomic_load_explicit(&node->state, memory_order_acquire);
	if (!*harbor || state == SKYNET_NODE_ABSENT)
		return SKYNET_NODE_ABSENT;
	if (sk_bound_passes(type))
		return SKYNET_NODE_OPEN;
	if (state != SKYNET_NODE_OPEN ||
	    !sk_bound_is_full(&(*harbor)->bound, &(*harbor)->mailbox, type))
		return state;
	uint32_t policy = atomic_load_explicit(&(*harbor)->bound.policy, memory_order_relaxed);
	return policy == SKYNET_FULL_BLOCK ? SKYNET_NODE_BLOCKED : SKYNET_NODE_FULL;
}

const char *
sk_remote_reason(struct sk_core *core, uint32_t destination)
{
	const struct node *node = &core->remotes->nodes[destination >> SK_HANDLE_NODE_SHIFT];
	/* Acquire pairs with the release in set_reason: the text is complete. */
	const struct reason *reason = atomic_load_explicit(&node->reason, memory_order_acquire);
	return reason ? reason->text : "";
}

static void
free_reason(struct sk_retired *retired)
{
	free(SK_CONTAINER_OF(retired, struct reason, retired));
}

static void
set_reason_locked(struct sk_remotes *remotes, struct node *node, const char *text)
{
	struct reason *reason = NULL;
	if (text) {
		reason = skynet_malloc(sizeof *reason);
		sk_memory_disown(sk_memory_bytes_of(reason));
		(void)snprintf(reason->text, sizeof reason->text, ": %s", text);
	}
	struct reason *old = atomic_exchange_explicit(&node->reason, reason, memory_order_acq_rel);
	if (old)
		sk_quiesce_retire(remotes->quiesce, &old->retired, free_reason);
}

static void
set_state_locked(struct sk_remotes *remotes, int number, int state, const char *reason)
{
	struct node *node = &remotes->nodes[number];
	if (state == SKYNET_NODE_ABSENT)
		set_reason_locked(remotes, node, reason);
	atomic_store_explicit(&node->state, state, memory_order_release);
}

bool
sk_remote_set(struct sk_core *core, uint32_t harbor, int node, int state, const char *reason)
{
	struct sk_remotes *remotes = core->remotes;
	(void)pthread_mutex_lock(&remotes->lock);
	bool is_harbor = atomic_load(&remotes->harbor) == harbor;
	if (is_harbor)
		set_state_locked(remotes, node, state, reason);
	(void)pthread_mutex_unlock(&remotes->lock);
	return is_harbor;
}

bool
sk_remote_adopt(struct sk_core *core, uint32_t handle)
{
	struct sk_remotes *remotes = core->remotes;
	(void)pthread_mutex_lock(&remotes->lock);
	uint32_t harbor = atomic_load(&remotes->harbor);
	if (harbor == 0)
		atomic_store(&remotes->harbor, handle);
	(void)pthread_mutex_unlock(&remotes->lock);
	return harbor == 0 || harbor == handle;
}

bool
sk_remote_end(struct sk_core *core, uint32_t handle)
{
	struct sk_remotes *remotes = core->remotes;
	if (SK_LIKELY(atomic_load(&remotes->harbor) != handle))
		return false;
	(void)pthread_mutex_lock(&remotes->lock);
	bool was_harbor = atomic_load(&remotes->harbor) == handle;
	if (was_harbor) {
		for (int i = 0; i < SK_REMOTE_NODES; i++)
			if (atomic_load(&remotes->nodes[i].state) != SKYNET_NODE_ABSENT)
				set_state_locked(remotes, i, SKYNET_NODE_ABSENT,
						 "the harbor of this node has ended");
		atomic_store(&remotes->harbor, 0);
	}
	(void)pthread_mutex_unlock(&remotes->lock);
	return was_harbor;
}

/* --- envelopes ------------------------------------------------------------------------------ */

struct sk_message *
sk_remote_message_new(const struct skynet_remote *where, int type, uint32_t source, int32_t session,
		      void *data, size_t size)
{
	struct sk_remote_message *envelope = skynet_malloc(sizeof *envelope);
	*envelope = (struct sk_remote_message){
		.message = {.data = data,
			    .size = size & SK_MESSAGE_SIZE_MAX,
			    .kind = SK_MESSAGE_REMOTE,
			    .type = type & 0xff,
			    .source = source,
			    .session = session},
		.where = *where,
	};
	return &envelope->message;
}

/* The kind that a message has on its own node. */
static const enum sk_message_kind local_kinds[] = {
	[SKYNET_REMOTE_MESSAGE] = SK_MESSAGE_PLAIN,
	[SKYNET_REMOTE_PROBE] = SK_MESSAGE_PROBE,
	[SKYNET_REMOTE_LINK] = SK_MESSAGE_LINK,
	[SKYNET_REMOTE_UNLINK] = SK_MESSAGE_UNLINK,
};

static int
remote_kind(const struct sk_message *message)
{
	int kind = SKYNET_REMOTE_UNLINK;
	while (kind > SKYNET_REMOTE_MESSAGE && local_kinds[kind] != message->kind)
		kind--;
	return kind; /* timers and packets are messages there */
}

struct sk_message *
sk_remote_wrap(struct sk_message *message, uint32_t destination)
{
	assert(message->kind != SK_MESSAGE_SOCKET);
	if (message->kind == SK_MESSAGE_REMOTE) { /* the harbor passes it on to another node */
		((struct sk_remote_message *)message)->where.destination = destination;
		return message;
	}
	struct skynet_remote where = {.destination = destination, .kind = remote_kind(message)};
	void *data = message->data;
	if (message->kind == SK_MESSAGE_SHARED) {
		data = skynet_malloc((size_t)message->size + 1);
		memcpy(data, message->data, (size_t)message->size + 1); /* a packet has a NUL */
		sk_packet_release_bytes(message->data);
	}
	struct sk_message *wrapped = sk_remote_message_new(&where, message->type, message->source,
							   message->session, data, message->size);
	free(message);
	return wrapped;
}

struct sk_message *
sk_remote_unwrap(struct sk_message *message)
{
	const struct sk_remote_message *envelope = (struct sk_remote_message *)message;
	struct sk_message *plain =
		sk_message_new(local_kinds[envelope->where.kind], message->type, message->source,
			       message->session, message->data, message->size);
	free(message);
	return plain;
}

uint32_t
sk_remote_refuser(const struct skynet_context *service, const struct sk_message *message)
{
	if (SK_UNLIKELY(message->kind == SK_MESSAGE_REMOTE))
		return ((const struct sk_remote_message *)message)->where.destination;
	return service->handle;
}
