/* sk_socket_write.c: what services send, until the end of the turn.
 *
 * What services send is queued; a socket with something to send is put on the dirty list of the
 * worker that runs the sender's turn, and at the end of the turn all that was queued leaves in one
 * system call. Outside of a turn it leaves at once. What the kernel refuses waits for the edge that
 * says there is room again.
 *
 * Why nothing is forgotten (W1 to W3 in sk_socket_table.h): every function that leaves the lock
 * with output waiting has made sure of one of two things. Either is_writable is false: only an
 * EAGAIN (or a short write, which means the same) makes it so, and the kernel then owes an edge. Or
 * dirty_worker is set: it is cleared only under the lock, by the worker that flushes right after. A
 * sender that finds dirty_worker set to another worker does not rely on it: that one may be inside
 * a long callback. It flushes at once, which takes the other's output along in order; the other
 * then finds nothing to do. */
#include "sk_socket_write.h"

#include "sk_socket_life.h"
#include "sk_socket_tell.h"
#include "sk_socket_total.h"

#include <stdio.h>

/* Within a turn, so much output is not kept back until its end. */
#define EARLY_FLUSH_BYTES 65536

/* --- the dirty list ------------------------------------------------------------------------ */

/* Output was added: sees to W1. */
static void
see_to_flush(struct sk_sockets *sockets, struct sk_socket *s)
{
	struct sk_worker *worker = sk_this_worker;
	if (!s->is_writable) {
		sk_socket_check_output(sockets, s); /* W2 holds already */
		return;
	}
	if (worker && !s->dirty_worker) {
		s->dirty_worker = worker;
		s->next_dirty = worker->dirty_sockets;
		worker->dirty_sockets = s;
	}
	if (s->dirty_worker != worker || !worker || s->output.bytes >= EARLY_FLUSH_BYTES)
		sk_socket_flush(sockets, s);
}

void
sk_sockets_flush(struct sk_sockets *sockets, struct sk_worker *worker)
{
	struct sk_socket *s = worker->dirty_sockets;
	worker->dirty_sockets = NULL;
	while (s) {
		(void)pthread_mutex_lock(&s->lock);
		struct sk_socket *next = s->next_dirty;
		s->dirty_worker = NULL; /* W3 */
		/* Acquire pairs with the release in sk_socket_add: the slot may have changed hands,
		 * or be on the way from one to the next (T2). */
		if (SK_LIKELY(atomic_load_explicit(&s->id, memory_order_acquire) > 0)) {
			sk_socket_flush(sockets, s);
			sk_socket_leave(sockets, s);
		} else {
			(void)pthread_mutex_unlock(&s->lock);
		}
		s = next;
	}
}

/* --- queueing ------------------------------------------------------------------------------ */

static bool
can_send(const struct sk_socket *s)
{
	return (s->ops->kind == SK_SOCKET_STREAM || s->ops->kind == SK_SOCKET_FOREIGN) &&
	       s->stage < SK_SOCKET_CLOSING && !s->is_write_over;
}

/* Whether a piece would be too much. One that is alone never is: its bytes are there anyway, and
 * nothing is won by refusing them. */
static bool
is_over_limit(const struct sk_sockets *sockets, const struct sk_socket *s, size_t size)
{
	size_t limit = sockets->output_limit_bytes;
	size_t waiting = sk_socket_waiting_bytes(s);
	return limit > 0 && waiting > 0 && (waiting >= limit || size > limit - waiting);
}

static bool
is_too_much(const struct sk_sockets *sockets, const struct sk_socket *s, size_t size)
{
	return is_over_limit(sockets, s, size) || sk_socket_total_is_over(sockets, s);
}

static void
fail_over_limit(struct sk_sockets *sockets, struct sk_socket *s)
{
	char text[SK_SOCKET_TEXT_MAX];
	bool is_total = sk_socket_total_is_over(sockets, s);
	(void)snprintf(text, sizeof text,
		       "more than %zu bytes wait to be sent (%s): the peer does not read",
		       is_total ? sockets->output_total_bytes : sockets->output_limit_bytes,
		       is_total ? "socket_output_total" : "socket_output_limit");
	sk_socket_count(sockets, is_total ? SK_SOCKET_OUTPUT_TOTAL : SK_SOCKET_OUTPUT_LIMIT);
	sk_socket_fail(sockets, s, text);
}

/* piece: taken when 0 is returned. */
static int
queue(struct sk_sockets *sockets, struct sk_socket *s, struct sk_output_piece *piece, bool is_low)
{
	if (!can_send(s))
		return SK_ENOENT;
	if (SK_UNLIKELY(is_too_much(sockets, s, piece->size)))
		sk_socket_flush(sockets, s); /* perhaps the kernel has room for what waits */
	if (!can_send(s))
		return SK_ENOENT;
	if (SK_UNLIKELY(is_too_much(sockets, s, piece->size))) {
		fail_over_limit(sockets, s);
		return SK_ELIMIT;
	}
	sk_output_add(&s->output, piece, is_low);
	see_to_flush(sockets, s);
	return SK_OK;
}

int
sk_socket_send(struct sk_sockets *sockets, int id, struct sk_output_piece *piece, bool is_low,
	       char error[SK_SOCKET_LINE_SIZE])
{
	int result = SK_ENOENT;
	bool is_queued = false;
	struct sk_socket *s = sk_socket_enter(sockets, id);
	error[0] = '\0';
	if (s) {
		if (SK_UNLIKELY(s->ops->send != NULL)) {
			result = s->ops->send(sockets, s, piece->start, piece->size, error);
		} else {
			result = queue(sockets, s, piece, is_low);
			is_queued = result == SK_OK;
		}
		sk_socket_leave(sockets, s);
	}
	if (!is_queued)
		sk_output_piece_free(piece);
	return result;
}

int
sk_socket_send_nothing(struct sk_sockets *sockets, int id, char error[SK_SOCKET_LINE_SIZE])
{
	int result = SK_ENOENT;
	struct sk_socket *s = sk_socket_enter(sockets, id);
	error[0] = '\0';
	if (!s)
		return SK_ENOENT;
	if (s->ops->send)
		result = s->ops->send(sockets, s, "", 0, error);
	else if (can_send(s))
		result = SK_OK;
	sk_socket_leave(sockets, s);
	return result;
}
