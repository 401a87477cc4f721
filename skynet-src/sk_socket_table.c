/* sk_socket_table.c: slots and ids; see sk_socket_table.h.
 *
 * The table grows by chunks and never shrinks, so an id leads to its slot without a lock (T1). */
#include "sk_socket_table.h"

#include "sk_poller.h"
#include "sk_tls.h"
#include "skynet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct sk_socket_chunk *
new_chunk(void)
{
	struct sk_socket_chunk *chunk = skynet_aligned_alloc(SK_CACHE_LINE, sizeof *chunk);
	memset(chunk, 0, sizeof *chunk);
	for (int i = 0; i < SK_SOCKET_CHUNK_SLOTS; i++) {
		(void)pthread_mutex_init(&chunk->slots[i].lock, NULL);
		chunk->slots[i].place = (uint8_t)i;
	}
	return chunk;
}

/* The chunk of an index, or NULL if none of its ids was drawn yet. */
static struct sk_socket_chunk *
find_chunk(struct sk_sockets *sockets, int index)
{
	/* Acquire pairs with the exchange in make_chunk. */
	return atomic_load_explicit(&sockets->chunks[index / SK_SOCKET_CHUNK_SLOTS],
				    memory_order_acquire);
}

static struct sk_socket_chunk *
make_chunk(struct sk_sockets *sockets, int index)
{
	struct sk_socket_chunk *chunk = find_chunk(sockets, index);
	if (SK_LIKELY(chunk))
		return chunk;
	struct sk_socket_chunk *made = new_chunk();
	/* Release pairs with the acquire in find_chunk: a chunk is complete when found. */
	if (atomic_compare_exchange_strong_explicit(&sockets->chunks[index / SK_SOCKET_CHUNK_SLOTS],
						    &chunk, made, memory_order_acq_rel,
						    memory_order_acquire))
		return made;
	free(made); /* somebody else was faster */
	return chunk;
}

static int
draw_id(struct sk_sockets *sockets)
{
	/* Relaxed: the numbers only have to differ. */
	uint64_t number = atomic_fetch_add_explicit(&sockets->last_number, 1, memory_order_relaxed);
	return (int)(number % INT32_MAX) + 1;
}

/* Claims a free slot (T1) and stores the id that it is for. Returns NULL when there is none. */
static struct sk_socket *
claim_slot(struct sk_sockets *sockets, int *id)
{
	if (atomic_fetch_add(&sockets->count, 1) >= SK_SOCKETS_MAX) {
		atomic_fetch_sub(&sockets->count, 1);
		sk_socket_count(sockets, SK_SOCKET_REFUSED_TABLE);
		return NULL;
	}
	for (;;) { /* some slot is free: a slot is given back before it is counted as such */
		*id = draw_id(sockets);
		int index = *id % SK_SOCKETS_MAX;
		struct sk_socket *s =
			&make_chunk(sockets, index)->slots[index % SK_SOCKET_CHUNK_SLOTS];
		int none = 0;
		/* Acquire pairs with the release of 0 in sk_socket_give_back (T2). */
		if (atomic_load_explicit(&s->id, memory_order_relaxed) == 0 &&
		    atomic_compare_exchange_strong_explicit(&s->id, &none, SK_SOCKET_CLAIMED,
							    memory_order_acquire,
							    memory_order_relaxed))
			return s;
	}
}

static void
fill_slot(struct sk_socket *s, const struct sk_socket_seed *seed)
{
	s->fd = seed->fd;
	s->stage = (uint8_t)seed->stage;
	s->summed_steps = 0;
	s->unconsumed = 0;
	s->warnings = 0;
	s->ip_kind = (uint8_t)seed->ip_kind;
	s->is_reading = seed->is_reading;
	s->is_readable = false;
	s->is_hung_up = false;
	s->is_read_over = false;
	s->is_writable = seed->is_writable;
	s->is_write_over = false;
	s->is_close_told = false;
	s->owner_state = SK_SOCKET_OWNER_LIVES;
	s->is_watched = false;
	s->awaited = 0;
	s->wants_nodelay = false;
	s->is_plain_file = false;
	s->is_resolving = seed->is_resolving;
	s->ops = seed->ops;
	s->address = seed->address;
	s->unix_name = seed->unix_name;
	s->saved_flags = -1;
	s->lost_id = 0;
	s->complained_ms = 0;
	sk_output_init(&s->output);
	s->read_count = 0;
	s->write_bytes = 0;
	s->read_ticks = 0;
	s->write_ticks = 0;
	s->alternatives = NULL;
	s->timer = NULL;
	s->tls = seed->tls;
}

int
sk_socket_add(struct sk_sockets *sockets, const struct sk_socket_seed *seed)
{
	int id;
	struct sk_socket *s = claim_slot(sockets, &id);
	if (!s)
		return SK_ELIMIT;
	fill_slot(s, seed);
	sk_socket_set_owner(s, seed->owner);
	/* Release pairs with the acquire in sk_socket_enter (T2). */
	atomic_store_explicit(&s->id, id, memory_order_release);
	return id;
}

int
sk_socket_too_many(const char *what, char error[SK_SOCKET_LINE_SIZE])
{
	(void)snprintf(error, SK_SOCKET_LINE_SIZE, "socket: cannot %s: %d sockets exist already",
		       what, SK_SOCKETS_MAX);
	return SK_ELIMIT;
}

struct sk_socket *
sk_socket_enter(struct sk_sockets *sockets, int id)
{
	if (id <= 0)
		return NULL;
	int index = id % SK_SOCKETS_MAX;
	struct sk_socket_chunk *chunk = find_chunk(sockets, index);
	if (!chunk)
		return NULL;
	struct sk_socket *s = &chunk->slots[index % SK_SOCKET_CHUNK_SLOTS];
	(void)pthread_mutex_lock(&s->lock);
	/* Acquire pairs with the release in sk_socket_add (T2). */
	if (SK_LIKELY(atomic_load_explicit(&s->id, memory_order_acquire) == id))
		return s;
	(void)pthread_mutex_unlock(&s->lock);
	return NULL;
}

struct sk_socket *
sk_socket_enter_slot(struct sk_sockets *sockets, int index)
{
	struct sk_socket_chunk *chunk = find_chunk(sockets, index);
	if (!chunk)
		return NULL;
	int id = atomic_load_explicit(&chunk->slots[index % SK_SOCKET_CHUNK_SLOTS].id,
				      memory_order_relaxed); /* looked at again under the lock */
	return sk_socket_enter(sockets, id);
}

void
sk_socket_give_back(struct sk_sockets *sockets, struct sk_socket *s)
{
	sk_socket_set_owner(s, 0);
	/* Release pairs with the acquire in claim_slot; nothing of the socket is touched after this
	 * (T2). */
	atomic_store_explicit(&s->id, 0, memory_order_release);
	(void)pthread_mutex_unlock(&s->lock);
	atomic_fetch_sub(&sockets->count, 1);
}

void
sk_socket_set_owner(struct sk_socket *s, uint32_t owner)
{
	struct sk_socket *first = s - s->place;
	struct sk_socket_chunk *chunk = SK_CONTAINER_OF(first, struct sk_socket_chunk, slots);
	s->owner = owner;
	/* Relaxed: only a hint where to look; the look is under the lock. A dead service's turns
	 * are over before its sockets are looked for, so what it has written is seen. */
	atomic_store_explicit(&chunk->owners[s->place], owner, memory_order_relaxed);
}

size_t
sk_socket_tls_waiting_bytes(const struct sk_socket *s)
{
	return s->output.bytes + s->tls->plain.bytes + sk_tls_unsent_bytes(s->tls->session);
}

void
sk_socket_tls_free(struct sk_socket_tls *tls)
{
	if (!tls)
		return;
	sk_tls_free(tls->session);
	sk_output_clear(&tls->plain);
	skynet_free(tls);
}

void
sk_socket_count(struct sk_sockets *sockets, enum sk_socket_counter counter)
{
	/* Relaxed: a figure for people. */
	atomic_fetch_add_explicit(&sockets->counters[counter], 1, memory_order_relaxed);
}

int
sk_socket_watch(struct sk_sockets *sockets, struct sk_socket *s)
{
	if (s->is_watched || s->is_plain_file)
		return SK_OK;
	if (sk_poller_add(&sockets->core->scheduler.poller, s->fd, (uint64_t)sk_socket_id(s)) !=
	    SK_OK) {
		if (errno != EPERM)
			return SK_ESYSTEM;
		s->is_plain_file = true;
		s->is_readable = true;
		s->is_writable = true;
		return SK_OK;
	}
	s->is_watched = true;
	return SK_OK;
}
