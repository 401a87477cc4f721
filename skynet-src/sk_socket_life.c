/* sk_socket_life.c: what every socket does: read on, flush, fail, close, end.
 *
 * The order is always the same; what differs between the kinds is in the socket's ops. */
#include "sk_socket_life.h"

#include "sk_idle.h"
#include "sk_poller.h"
#include "sk_socket_tell.h"
#include "sk_socket_total.h"
#include "sk_socket_unix.h"
#include "sk_tls.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

_Thread_local char sk_socket_scratch[SK_SOCKET_READ_BYTES];

/* --- timers -------------------------------------------------------------------------------- */

void
sk_socket_stop_timer(struct sk_sockets *sockets, struct sk_socket *s)
{
	/* One that has fired is freed where it arrives (D1). */
	if (s->timer && sk_timer_cancel(sockets->core->scheduler.timer, s->timer))
		free(s->timer);
	s->timer = NULL;
}

void
sk_socket_set_timer(struct sk_sockets *sockets, struct sk_socket *s, unsigned delay_ms)
{
	struct sk_scheduler *scheduler = &sockets->core->scheduler;
	sk_socket_stop_timer(sockets, s);
	s->timer = skynet_malloc(sizeof *s->timer);
	*s->timer = (struct sk_timer_entry){
		.message = {.kind = SK_MESSAGE_SOCKET_TIMER, .session = sk_socket_id(s)},
	};
	sk_idle_add_timer(scheduler, s->timer,
			  sk_scheduler_now_ns(scheduler) / SK_NS_PER_MS + delay_ms);
}

/* --- the end ------------------------------------------------------------------------------- */

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

static void
close_own(struct sk_sockets *sockets, struct sk_socket *s)
{
	/* What a duplicate stands for may stay open, and with it the poller's memory of it. */
	if (s->ops->kind == SK_SOCKET_READINESS && s->is_watched)
		sk_poller_remove(&sockets->core->scheduler.poller, s->fd);
	(void)close(s->fd); /* whatever it says, the descriptor is free */
}

void
sk_socket_end(struct sk_sockets *sockets, struct sk_socket *s)
{
	if (s->stage == SK_SOCKET_GONE)
		return;
	sk_socket_unix_free(s->unix_name); /* while nobody else can listen there yet */
	s->unix_name = NULL;
	if (s->fd >= 0 && s->ops->kind == SK_SOCKET_FOREIGN)
		return_foreign(sockets, s);
	else if (s->fd >= 0)
		close_own(sockets, s);
	s->fd = -1;
	sk_socket_stop_timer(sockets, s);
	sk_output_clear(&s->output);
	sk_socket_tls_free(s->tls);
	s->tls = NULL;
	sk_socket_total_follow(sockets, s);
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

void
sk_socket_fail_system(struct sk_sockets *sockets, struct sk_socket *s, int error)
{
	char text[SK_SOCKET_TEXT_MAX];
	sk_socket_fail(sockets, s, sk_socket_error_text(error, text));
}

/* Ends it when all was sent that had to be. */
static void
end_in_order(struct sk_sockets *sockets, struct sk_socket *s)
{
	if (s->ops->swallow)
		s->ops->swallow(s);
	sk_socket_end(sockets, s);
}

/* --- input and output ---------------------------------------------------------------------- */

void
sk_socket_have_told_again(struct sk_sockets *sockets, struct sk_socket *s)
{
	s->is_readable = false;
	s->is_watched = false;
	sk_poller_remove(&sockets->core->scheduler.poller, s->fd);
	if (sk_socket_watch(sockets, s) != SK_OK)
		sk_socket_fail_system(sockets, s, errno);
}

void
sk_socket_read_on(struct sk_sockets *sockets, struct sk_socket *s)
{
	if (!s->is_reading || !s->is_readable || s->is_read_over || s->unconsumed > 0 ||
	    s->owner_state != SK_SOCKET_OWNER_LIVES || s->stage != SK_SOCKET_OPEN)
		return;
	s->ops->read(sockets, s);
}

void
sk_socket_flush(struct sk_sockets *sockets, struct sk_socket *s)
{
	if (!s->is_writable || sk_socket_waiting_bytes(s) == 0)
		return;
	s->ops->flush(sockets, s);
	if (s->stage == SK_SOCKET_CLOSING && sk_socket_waiting_bytes(s) == 0)
		end_in_order(sockets, s);
	sk_socket_check_output(sockets, s);
}

/* --- close --------------------------------------------------------------------------------- */

/* Whether output that waits can leave, without waiting for an address, a connection or a handshake
 * first. */
static bool
has_output_to_send(const struct sk_socket *s)
{
	return sk_socket_waiting_bytes(s) > 0 && !s->is_write_over && !s->is_resolving &&
	       s->stage >= SK_SOCKET_WAITING && (!s->tls || sk_tls_is_ready(s->tls->session));
}

/* A peer that does not read is not waited for longer than linger_ms. The kernel sees to that for
 * TCP; it refuses to for everything else. */
static void
limit_linger(struct sk_sockets *sockets, struct sk_socket *s)
{
	if (sockets->linger_ms == 0 ||
	    (s->ops->kind == SK_SOCKET_STREAM &&
	     setsockopt(s->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &sockets->linger_ms,
			sizeof sockets->linger_ms) == 0))
		return;
	sk_socket_set_timer(sockets, s, sockets->linger_ms);
}

void
sk_socket_close(struct sk_sockets *sockets, struct sk_socket *s)
{
	if (s->stage >= SK_SOCKET_CLOSING)
		return;
	sk_socket_tell_close(sockets, s);
	if (s->ops->finish)
		s->ops->finish(s);
	if (!has_output_to_send(s)) {
		end_in_order(sockets, s);
		return;
	}
	s->stage = SK_SOCKET_CLOSING;
	s->is_reading = false;
	if (s->is_writable)
		sk_socket_flush(sockets, s); /* ends the socket when all has left */
	if (s->stage == SK_SOCKET_CLOSING)
		limit_linger(sockets, s);
}

/* --- leaving ------------------------------------------------------------------------------- */

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

/* A descriptor has become free: who had none reads on.  [no lock held] */
static void
retry_starved(struct sk_sockets *sockets)
{
	if (SK_LIKELY(atomic_load(&sockets->starved_id) == 0))
		return;
	struct sk_socket *s = sk_socket_enter(sockets, atomic_exchange(&sockets->starved_id, 0));
	if (!s)
		return;
	sk_socket_read_on(sockets, s);
	sk_socket_leave(sockets, s);
}

void
sk_socket_leave(struct sk_sockets *sockets, struct sk_socket *s)
{
	int lost_id = 0;
	if (SK_UNLIKELY(s->owner_state != SK_SOCKET_OWNER_LIVES)) {
		lost_id = s->lost_id;
		s->lost_id = 0;
		if (s->owner_state == SK_SOCKET_OWNER_GONE)
			abandon(sockets, s);
	}
	bool is_gone = s->stage == SK_SOCKET_GONE;
	if (SK_UNLIKELY(is_gone))
		sk_socket_give_back(sockets, s);
	else
		(void)pthread_mutex_unlock(&s->lock);
	if (SK_LIKELY(!is_gone && lost_id == 0))
		return;
	if (lost_id != 0)
		sk_socket_end_by_id(sockets, lost_id);
	retry_starved(sockets);
}
