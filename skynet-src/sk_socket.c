/* sk_socket.c: the table of sockets: a socket's slot, what its owner is told, its end.
 *
 * sk_socket_impl.h has the stages of a socket and the invariants. */
#include "sk_socket_impl.h"

#include "sk_message.h"
#include "sk_poller.h"
#include "sk_service.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Thread_local char sk_socket_scratch[SK_SOCKET_READ_BYTES];

/* --- slots --------------------------------------------------------------------------------- */

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
		/* Acquire pairs with the release of 0 in sk_socket_leave (T2). */
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
	s->kind = (uint8_t)seed->kind;
	s->stage = (uint8_t)seed->stage;
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
	s->is_orphan = false;
	s->is_watched = false;
	s->wants_nodelay = false;
	s->is_plain_file = false;
	s->is_resolving = seed->is_resolving;
	s->address = seed->address;
	s->saved_flags = -1;
	s->lost_id = 0;
	s->complained_ms = 0;
	sk_output_init(&s->output);
	s->read_count = 0;
	s->write_bytes = 0;
	s->read_ticks = 0;
	s->write_ticks = 0;
	s->alternatives = NULL;
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

/* Gives a dead owner's socket to nobody. */
static void
abandon(struct sk_sockets *sockets, struct sk_socket *s)
{
	s->is_close_told = true;
	if (s->stage < SK_SOCKET_CLOSING)
		sk_socket_close(sockets, s);
}

void
sk_socket_end_by_id(struct sk_sockets *sockets, int id)
{
	struct sk_socket *s = sk_socket_enter(sockets, id);
	if (!s)
		return;
	sk_socket_end(sockets, s);
	sk_socket_leave(sockets, s);
}

void
sk_socket_leave(struct sk_sockets *sockets, struct sk_socket *s)
{
	int lost_id = 0;
	if (SK_UNLIKELY(s->is_orphan)) {
		lost_id = s->lost_id;
		s->lost_id = 0;
		abandon(sockets, s);
	}
	bool is_gone = s->stage == SK_SOCKET_GONE;
	if (SK_UNLIKELY(is_gone)) {
		sk_socket_set_owner(s, 0);
		/* Release pairs with the acquire in claim_slot; nothing of the socket is touched
		 * after this (T2). */
		atomic_store_explicit(&s->id, 0, memory_order_release);
	}
	(void)pthread_mutex_unlock(&s->lock);
	if (SK_LIKELY(!is_gone && lost_id == 0))
		return;
	if (is_gone)
		atomic_fetch_sub(&sockets->count, 1);
	if (lost_id != 0)
		sk_socket_end_by_id(sockets, lost_id);
	sk_socket_retry_starved(sockets);
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

/* --- what services are told ---------------------------------------------------------------- */

/* A failed post discards the message, which comes back here (sk_sockets_discard) while the lock is
 * held. */
static _Thread_local bool is_telling;

bool
sk_socket_is_telling(void)
{
	return is_telling;
}

static struct skynet_socket_message *
new_payload(int type, int id, int ud, char *buffer, const char *text, size_t *size)
{
	size_t text_size = text ? strlen(text) : 0;
	if (text_size > SK_SOCKET_TEXT_MAX)
		text_size = SK_SOCKET_TEXT_MAX;
	*size = sizeof(struct skynet_socket_message) + text_size;
	struct skynet_socket_message *payload = skynet_malloc(*size);
	payload->type = type;
	payload->id = id;
	payload->ud = ud;
	payload->buffer = buffer;
	if (text_size > 0)
		memcpy(payload + 1, text, text_size);
	return payload;
}

static int
post(struct sk_sockets *sockets, uint32_t handle, enum sk_message_kind kind, void *payload,
     size_t size)
{
	struct sk_message *message = sk_message_new(kind, PTYPE_SOCKET, 0, 0, payload, size);
	is_telling = true;
	int result = sk_service_post(sockets->core, handle, message);
	is_telling = false;
	return result;
}

void
sk_socket_tell_handle(struct sk_sockets *sockets, uint32_t handle, int id, int type,
		      const char *text)
{
	size_t size;
	struct skynet_socket_message *payload = new_payload(type, id, 0, NULL, text, &size);
	/* Who is dead wants no answer. */
	(void)post(sockets, handle, SK_MESSAGE_PLAIN, payload, size);
}

void
sk_socket_tell(struct sk_sockets *sockets, struct sk_socket *s, int type, int ud, const char *text)
{
	size_t size;
	if (s->is_orphan || s->stage >= SK_SOCKET_CLOSING)
		return; /* C1 */
	struct skynet_socket_message *payload =
		new_payload(type, sk_socket_id(s), ud, NULL, text, &size);
	if (post(sockets, s->owner, SK_MESSAGE_PLAIN, payload, size) != SK_OK)
		s->is_orphan = true;
}

bool
sk_socket_hand_over(struct sk_sockets *sockets, struct sk_socket *s, int type, int ud, char *buffer,
		    const char *text)
{
	size_t size;
	struct skynet_socket_message *payload =
		new_payload(type, sk_socket_id(s), ud, buffer, text, &size);
	s->unconsumed++; /* R1; before the post, because the owner may be faster than its return */
	if (post(sockets, s->owner, SK_MESSAGE_SOCKET, payload, size) == SK_OK)
		return true;
	s->is_orphan = true;
	return false;
}

void
sk_socket_tell_close(struct sk_sockets *sockets, struct sk_socket *s)
{
	if (s->is_close_told)
		return;
	sk_socket_tell(sockets, s, SKYNET_SOCKET_TYPE_CLOSE, 0, NULL);
	s->is_close_told = true;
}

/* --- the end of a socket ------------------------------------------------------------------- */

/* A descriptor that belongs to somebody else goes back as it came. */
static void
return_foreign(struct sk_sockets *sockets, struct sk_socket *s)
{
	if (s->is_watched)
		sk_poller_remove(&sockets->core->scheduler.poller, s->fd);
	/* May fail: the other may have closed it already. */
	if (s->saved_flags >= 0)
		(void)fcntl(s->fd, F_SETFL, s->saved_flags);
}

void
sk_socket_end(struct sk_sockets *sockets, struct sk_socket *s)
{
	if (s->stage == SK_SOCKET_GONE)
		return;
	if (s->fd >= 0 && s->kind == SK_SOCKET_FOREIGN)
		return_foreign(sockets, s);
	else if (s->fd >= 0)
		(void)close(s->fd); /* whatever it says, the descriptor is free */
	s->fd = -1;
	sk_output_clear(&s->output);
	skynet_free(s->alternatives);
	s->alternatives = NULL;
	s->stage = SK_SOCKET_GONE;
}

void
sk_socket_fail(struct sk_sockets *sockets, struct sk_socket *s, const char *reason)
{
	sk_socket_tell(sockets, s, SKYNET_SOCKET_TYPE_ERROR, 0, reason);
	sk_socket_tell_close(sockets, s);
	sk_socket_end(sockets, s);
}

void
sk_socket_fail_birth(struct sk_sockets *sockets, struct sk_socket *s, const char *reason)
{
	sk_socket_tell(sockets, s, SKYNET_SOCKET_TYPE_ERROR, 0, reason);
	s->is_close_told = true;
	sk_socket_end(sockets, s);
}

const char *
sk_socket_error_text(int error, char text[SK_SOCKET_TEXT_MAX])
{
	if (strerror_r(error, text, SK_SOCKET_TEXT_MAX) != 0)
		(void)snprintf(text, SK_SOCKET_TEXT_MAX, "system error %d", error);
	return text;
}

void
sk_socket_fail_system(struct sk_sockets *sockets, struct sk_socket *s, int error)
{
	char text[SK_SOCKET_TEXT_MAX];
	sk_socket_fail(sockets, s, sk_socket_error_text(error, text));
}

/* Whether output that waits can leave, without waiting for an address or a connection first. */
static bool
has_output_to_send(const struct sk_socket *s)
{
	return s->output.bytes > 0 && !s->is_write_over && !s->is_resolving &&
	       s->stage != SK_SOCKET_RESOLVING && s->stage != SK_SOCKET_CONNECTING;
}

/* A peer that does not read is not waited for longer than this. */
static void
limit_linger(struct sk_sockets *sockets, struct sk_socket *s)
{
	/* Where this cannot be set (a descriptor that is no TCP socket), there is no limit. */
	if (sockets->linger_ms > 0 && s->kind == SK_SOCKET_STREAM)
		(void)setsockopt(s->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &sockets->linger_ms,
				 sizeof sockets->linger_ms);
}

void
sk_socket_close(struct sk_sockets *sockets, struct sk_socket *s)
{
	if (s->stage >= SK_SOCKET_CLOSING)
		return;
	sk_socket_tell_close(sockets, s);
	if (!has_output_to_send(s)) {
		sk_socket_swallow_input(s);
		sk_socket_end(sockets, s);
		return;
	}
	s->stage = SK_SOCKET_CLOSING;
	s->is_reading = false;
	limit_linger(sockets, s);
	if (s->is_writable)
		sk_socket_flush(sockets, s); /* ends the socket when all has left */
}
