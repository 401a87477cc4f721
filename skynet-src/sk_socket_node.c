/* sk_socket_node.c: what the node calls: start and end of the layer, events of the poller, ends of
 * callbacks, deaths of owners. */
#include "sk_socket.h"

#include "sk_memory.h"
#include "sk_poller.h"
#include "sk_resolver.h"
#include "sk_service.h"
#include "sk_socket_connect.h"
#include "sk_socket_life.h"
#include "sk_socket_ready.h"
#include "sk_socket_tell.h"
#include "sk_socket_tls.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

/* A peer that reads nothing can make a socket hold so much. */
#define OUTPUT_LIMIT_DEFAULT_BYTES (64L << 20)
/* And all together so much. */
#define OUTPUT_TOTAL_DEFAULT_BYTES (1L << 30)
/* What a closed socket has still to send may take so long. */
#define LINGER_DEFAULT_S 60

/* A TLS handshake may take so long. */
#define HANDSHAKE_DEFAULT_S 10

/* --- the layer ----------------------------------------------------------------------------- */

/* 0 or less: for ever, which is 0. */
static unsigned
milliseconds(long seconds)
{
	if (seconds <= 0)
		return 0;
	return seconds > INT_MAX / 1000 ? INT_MAX : (unsigned)seconds * 1000;
}

struct sk_sockets *
sk_sockets_new(struct sk_core *core)
{
	int spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (spare_fd < 0)
		return NULL;
	struct sk_sockets *sockets = skynet_calloc(1, sizeof *sockets);
	long limit = sk_env_number(core->env, "socket_output_limit", OUTPUT_LIMIT_DEFAULT_BYTES);
	long total = sk_env_number(core->env, "socket_output_total", OUTPUT_TOTAL_DEFAULT_BYTES);
	sockets->core = core;
	sockets->output_limit_bytes = limit > 0 ? (size_t)limit : 0;
	sockets->output_total_bytes = total > 0 ? (size_t)total : 0;
	sockets->linger_ms =
		milliseconds(sk_env_number(core->env, "socket_linger", LINGER_DEFAULT_S));
	if (!core->simulation) /* virtual time does not wait for what comes from outside */
		sockets->handshake_ms = milliseconds(
			sk_env_number(core->env, "tls_handshake_timeout", HANDSHAKE_DEFAULT_S));
	sockets->tls_store = sk_tls_store_new();
	sockets->spare_fd = spare_fd;
	(void)pthread_mutex_init(&sockets->spare_lock, NULL);
	sockets->resolver = sk_resolver_new(core, sk_socket_resolved, sockets);
	return sockets;
}

static void
free_chunk(struct sk_sockets *sockets, struct sk_socket_chunk *chunk)
{
	for (int i = 0; i < SK_SOCKET_CHUNK_SLOTS; i++) {
		struct sk_socket *s = &chunk->slots[i];
		if (sk_socket_id(s) > 0)
			sk_socket_end(sockets, s);
		(void)pthread_mutex_destroy(&s->lock);
	}
	skynet_free(chunk);
}

void
sk_sockets_stop(struct sk_sockets *sockets)
{
	sk_resolver_stop(sockets->resolver);
}

void
sk_sockets_free(struct sk_sockets *sockets)
{
	if (!sockets)
		return;
	sk_resolver_free(sockets->resolver); /* the last thread that uses the table */
	for (int i = 0; i < SK_SOCKET_CHUNKS; i++) {
		struct sk_socket_chunk *chunk = atomic_load(&sockets->chunks[i]);
		if (chunk)
			free_chunk(sockets, chunk);
	}
	sk_tls_store_free(sockets->tls_store);
	if (sockets->spare_fd >= 0)
		(void)close(sockets->spare_fd); /* only /dev/null */
	(void)pthread_mutex_destroy(&sockets->spare_lock);
	skynet_free(sockets);
}

int
sk_sockets_count(const struct sk_sockets *sockets)
{
	return atomic_load(&sockets->count);
}

uint64_t
sk_sockets_counter(const struct sk_sockets *sockets, enum sk_socket_counter counter)
{
	/* Relaxed: a figure for people. */
	return atomic_load_explicit(&sockets->counters[counter], memory_order_relaxed);
}

const char *
sk_sockets_counter_name(enum sk_socket_counter counter)
{
	switch (counter) {
	case SK_SOCKET_REFUSED_DESCRIPTORS:
		return "socket_refused_descriptors";
	case SK_SOCKET_REFUSED_TABLE:
		return "socket_refused_table";
	case SK_SOCKET_OUTPUT_LIMIT:
		return "socket_output_limit";
	case SK_SOCKET_OUTPUT_TOTAL:
		return "socket_output_total";
	case SK_SOCKET_LINGER:
		return "socket_linger";
	case SK_SOCKET_DATAGRAM_DROPPED:
		return "socket_datagram_dropped";
	case SK_SOCKET_COUNTERS:
		break;
	}
	return "";
}

static void
complain(void *ud, const char *line)
{
	const struct sk_sockets *sockets = ud;
	sk_core_log(sockets->core, 0, "error: %s (what was read before stays in use)", line);
}

int
sk_sockets_reload_tls(struct sk_sockets *sockets)
{
	return sk_tls_store_reload(sockets->tls_store, complain, sockets);
}

/* --- events -------------------------------------------------------------------------------- */

static void
open_event(struct sk_sockets *sockets, struct sk_socket *s, unsigned flags)
{
	/* An error, too, is found by writing. */
	if (!s->is_writable && (flags & (SK_POLLER_WRITABLE | SK_POLLER_HANGUP))) {
		s->is_writable = true;
		sk_socket_flush(sockets, s);
	}
	sk_socket_read_on(sockets, s);
}

void
sk_sockets_event(struct sk_sockets *sockets, uint64_t token, unsigned flags)
{
	struct sk_socket *s = sk_socket_enter(sockets, (int)token);
	if (!s)
		return; /* it has ended since the poller saw this */
	if (flags & SK_POLLER_HANGUP)
		s->is_hung_up = true;
	if (flags & (SK_POLLER_READABLE | SK_POLLER_HANGUP))
		s->is_readable = true; /* R2 */
	if (s->stage == SK_SOCKET_CONNECTING)
		sk_socket_connect_event(sockets, s, flags);
	else if (SK_UNLIKELY(s->stage == SK_SOCKET_SECURING))
		sk_socket_tls_event(sockets, s);
	else if (s->ops->kind == SK_SOCKET_READINESS)
		sk_socket_ready_event(sockets, s, flags);
	else
		open_event(sockets, s, flags);
	sk_socket_leave(sockets, s);
}

void
sk_sockets_consumed(struct sk_sockets *sockets, int id)
{
	int64_t bytes = sk_memory_thread_bytes();
	struct sk_socket *s = sk_socket_enter(sockets, id);
	if (!s)
		return;
	if (s->unconsumed > 0 && --s->unconsumed == 0)
		sk_socket_read_on(sockets, s);
	sk_socket_leave(sockets, s);
	sk_memory_disown_since(bytes); /* what comes next is for whoever handles it */
}

/* Whoever set the timer waits for something that has not come. */
static void
give_up_waiting(struct sk_sockets *sockets, struct sk_socket *s)
{
	char text[SK_SOCKET_TEXT_MAX];
	if (s->stage == SK_SOCKET_CLOSING) {
		sk_socket_count(sockets, SK_SOCKET_LINGER);
		sk_socket_end(sockets, s);
	} else if (s->stage == SK_SOCKET_SECURING) {
		sk_socket_tls_timed_out(sockets, s);
	} else if (s->stage == SK_SOCKET_CONNECTING) {
		sk_socket_fail_birth(sockets, s, sk_socket_error_text(ETIMEDOUT, text));
	} else {
		sk_socket_fail_system(sockets, s, ETIMEDOUT);
	}
}

void
sk_sockets_expired(struct sk_sockets *sockets, struct sk_timer_entry *entry)
{
	struct sk_socket *s = sk_socket_enter(sockets, entry->message.session);
	if (!s) {
		free(entry);
		return;
	}
	if (s->timer == entry) { /* D1; else it was stopped too late to be cancelled */
		s->timer = NULL;
		give_up_waiting(sockets, s);
	}
	free(entry);
	sk_socket_leave(sockets, s);
}

/* --- dead services ------------------------------------------------------------------------- */

static void
orphan(struct sk_sockets *sockets, int index, uint32_t handle)
{
	struct sk_socket *s = sk_socket_enter_slot(sockets, index);
	if (!s)
		return;
	if (s->owner == handle)
		s->owner_state = SK_SOCKET_OWNER_GONE; /* closed by leave */
	sk_socket_leave(sockets, s);
}

void
sk_sockets_release_owner(struct sk_sockets *sockets, uint32_t handle)
{
	for (int i = 0; i < SK_SOCKET_CHUNKS; i++) {
		/* Acquire pairs with the exchange in make_chunk. */
		struct sk_socket_chunk *chunk =
			atomic_load_explicit(&sockets->chunks[i], memory_order_acquire);
		if (!chunk)
			continue;
		for (int k = 0; k < SK_SOCKET_CHUNK_SLOTS; k++)
			if (atomic_load_explicit(&chunk->owners[k], memory_order_relaxed) == handle)
				orphan(sockets, i * SK_SOCKET_CHUNK_SLOTS + k, handle);
	}
}

/* Closes an accepted connection that nobody was told of. */
static void
drop_accepted(struct sk_sockets *sockets, int id)
{
	int64_t bytes = sk_memory_thread_bytes();
	struct sk_socket *s = sk_socket_enter(sockets, id);
	if (!s)
		return;
	if (s->stage == SK_SOCKET_WAITING)
		sk_socket_end(sockets, s);
	sk_socket_leave(sockets, s);
	sk_memory_disown_since(bytes); /* a socket's memory is no service's */
}

/* Whether the service layer will report a message as consumed after it was discarded: that is so
 * when a living service has no callback. */
static bool
is_consumed_later(void)
{
	/* Acquire pairs with the release in sk_service_kill. */
	return sk_this_service &&
	       !atomic_load_explicit(&sk_this_service->is_dying, memory_order_acquire);
}

void
sk_sockets_discard(struct sk_sockets *sockets, struct skynet_socket_message *payload)
{
	skynet_free(payload->buffer);
	payload->buffer = NULL;
	/* Then the slot is locked by this very thread, which sees to the rest itself. */
	if (sk_socket_is_telling())
		return;
	if (payload->type == SKYNET_SOCKET_TYPE_ACCEPT)
		drop_accepted(sockets, payload->ud);
	/* The socket may belong to somebody else by now, who waits for more. */
	if (!is_consumed_later())
		sk_sockets_consumed(sockets, payload->id);
}
