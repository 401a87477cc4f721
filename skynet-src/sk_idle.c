/* sk_idle.c: how workers fall asleep without missing anything, and who polls; see sk_idle.h.
 *
 * S1  Who adds work to the shared queue looks, after that, whether somebody sleeps; who goes to
 *     sleep says so first and then looks at all queues again. Both orders are sequentially
 *     consistent, so at least one of the two sees the other: no work waits while everybody sleeps.
 *     A worker's own queue needs no such care: the worker itself looks at it before it sleeps.
 * S2  At most one wake-up is under way: `searching` counts the workers that look for work. While it
 *     is not 0, a push wakes nobody, because a searching worker looks at all queues before it
 *     sleeps.
 * S3  The last worker that stops searching because it found something wakes another if more waits
 *     elsewhere, so the number of busy workers grows as long as there is work for them.
 * S4  When all workers sleep, one of them holds the poller role: who parks looks, after saying so,
 *     whether the role is free; and who gives it up looks for work itself next, or (the watchdog)
 *     wakes a sleeper that does.
 *
 * sk_scheduler.pml is a model of this file, of sk_scheduler.c and of sk_watchdog.c for the spin
 * model checker. It also tells what goes wrong without each of these rules.
 *
 * Locks: idle_lock, then one park_lock; nothing is called back under either.
 */
#include "sk_idle.h"

#include "sk_clock.h"

#include <limits.h>

#define POLL_EVENTS_MAX 256

/* --- sleeping and waking ------------------------------------------------------------------- */

/* Whether something waits in the shared queue, or in that of a worker other than this one; NULL: of
 * any worker. */
static bool
has_work(struct sk_scheduler *s, const struct sk_worker *except)
{
	if (!sk_shared_queue_is_empty(&s->shared))
		return true;
	for (int i = 0; i < s->worker_count; i++)
		if (&s->workers[i] != except && sk_run_queue_length(&s->workers[i].queue) > 0)
			return true;
	return false;
}

/* Who is about to keep its processor busy does not want the worker that it wakes there. The caller
 * has that worker's park_lock. */
static void
steer_away_locked(struct sk_worker *worker)
{
	if (sk_this_worker && sk_this_worker->is_long_turn)
		sk_steer_away(&worker->steer, worker->self);
}

static void
unpark(struct sk_worker *worker)
{
	(void)pthread_mutex_lock(&worker->park_lock);
	steer_away_locked(worker);
	worker->park_token = true;
	(void)pthread_cond_signal(&worker->park_signal);
	(void)pthread_mutex_unlock(&worker->park_lock);
}

/* Takes the newest parked worker off the list: its cache is the warmest. */
static struct sk_worker *
pop_parked(struct sk_scheduler *s)
{
	struct sk_worker *worker = NULL;
	(void)pthread_mutex_lock(&s->idle_lock);
	if (s->parked_count > 0) {
		worker = s->parked[--s->parked_count];
		atomic_fetch_sub(&s->sleeping, 1);
	}
	(void)pthread_mutex_unlock(&s->idle_lock);
	return worker;
}

/* Returns true if a worker slept in the poller, and has been woken. */
static bool
wake_poller(struct sk_scheduler *s)
{
	int state = atomic_load(&s->poller_state);
	if (state < SK_POLLER_WAITS)
		return false;
	struct sk_worker *worker = &s->workers[state - SK_POLLER_WAITS];
	/* It may wake by itself meanwhile. It then waits for this lock before it steers back. */
	(void)pthread_mutex_lock(&worker->park_lock);
	bool is_ours = atomic_compare_exchange_strong(&s->poller_state, &state, SK_POLLER_WOKEN);
	if (is_ours)
		steer_away_locked(worker);
	(void)pthread_mutex_unlock(&worker->park_lock);
	if (is_ours)
		sk_poller_wake(&s->poller);
	return is_ours;
}

/* Returns true if a sleeper has been woken, and is counted as searching. */
static bool
wake_sleeper(struct sk_scheduler *s)
{
	struct sk_worker *worker = pop_parked(s);
	if (!worker)
		return wake_poller(s);
	worker->is_searching = true; /* ours to write: it sleeps until it has the token */
	unpark(worker);
	return true;
}

void
sk_idle_wake_one(struct sk_scheduler *s)
{
	bool is_last;
	do {
		int32_t none = 0;
		/* S1: these loads come after the store that added the work, both sequentially
		 * consistent. */
		if (atomic_load(&s->sleeping) == 0 || atomic_load(&s->searching) != 0)
			return;
		if (!atomic_compare_exchange_strong(&s->searching, &none, 1))
			return; /* S2 */
		if (wake_sleeper(s))
			return;
		/* Whoever slept is awake again. But while `searching` was marked others relied on
		 * it, and somebody may have gone to sleep meanwhile: look again. */
		is_last = atomic_fetch_sub(&s->searching, 1) == 1;
	} while (is_last && (has_work(s, NULL) || !atomic_load(&s->poller_taken)));
}

void
sk_idle_start_searching(struct sk_worker *worker)
{
	if (worker->is_searching)
		return;
	worker->is_searching = true;
	atomic_fetch_add(&worker->scheduler->searching, 1);
}

void
sk_idle_stop_searching(struct sk_worker *worker, bool found)
{
	struct sk_scheduler *s = worker->scheduler;
	if (!worker->is_searching)
		return;
	worker->is_searching = false;
	bool is_last = atomic_fetch_sub(&s->searching, 1) == 1;
	if (is_last && found && has_work(s, worker))
		sk_idle_wake_one(s); /* S3 */
}

/* The announcement of S1. */
static void
sleep_begins(struct sk_scheduler *s)
{
	atomic_fetch_add(&s->sleeping, 1); /* before the loads in has_work */
}

/* Takes the worker off the list of the parked. Returns false when somebody did so before, who then
 * gives it a token. */
static bool
leave_parked(struct sk_worker *worker)
{
	struct sk_scheduler *s = worker->scheduler;
	bool found = false;
	(void)pthread_mutex_lock(&s->idle_lock);
	for (int i = s->parked_count - 1; i >= 0 && !found; i--) {
		if (s->parked[i] != worker)
			continue;
		for (int j = i + 1; j < s->parked_count; j++)
			s->parked[j - 1] = s->parked[j];
		s->parked_count--;
		atomic_fetch_sub(&s->sleeping, 1);
		found = true;
	}
	(void)pthread_mutex_unlock(&s->idle_lock);
	return found;
}

static void
await_token(struct sk_worker *worker)
{
	(void)pthread_mutex_lock(&worker->park_lock);
	while (!worker->park_token)
		(void)pthread_cond_wait(&worker->park_signal, &worker->park_lock);
	worker->park_token = false;
	sk_steer_back(&worker->steer);
	(void)pthread_mutex_unlock(&worker->park_lock);
}

static void
park(struct sk_worker *worker)
{
	struct sk_scheduler *s = worker->scheduler;
	(void)pthread_mutex_lock(&s->idle_lock);
	s->parked[s->parked_count++] = worker;
	sleep_begins(s);
	(void)pthread_mutex_unlock(&s->idle_lock);
	bool stay_up = has_work(s, worker) || !atomic_load(&s->poller_taken) || /* S1, S4 */
		       atomic_load(&s->stopping) ||
		       !sk_quiesce_offline_try(s->quiesce, worker->quiesce_slot);
	if (stay_up && leave_parked(worker))
		return;
	await_token(worker);
	sk_quiesce_online(s->quiesce, worker->quiesce_slot);
}

/* --- polling ------------------------------------------------------------------------------- */

static bool
take_poller_role(struct sk_scheduler *s)
{
	return !atomic_load_explicit(&s->poller_taken, memory_order_relaxed) &&
	       !atomic_exchange(&s->poller_taken, true);
}

static void
handle_events(struct sk_scheduler *s, const struct sk_poller_event *events, int count)
{
	for (int i = 0; i < count; i++)
		s->hooks.event(s->hooks.owner, events[i].token, events[i].flags);
}

static void
expire_timers(struct sk_scheduler *s)
{
	uint64_t due_ms = sk_timer_next_due_ms(s->timer);
	uint64_t now_ms = due_ms == UINT64_MAX ? 0 : sk_scheduler_now_ns(s) / SK_NS_PER_MS;
	if (due_ms > now_ms)
		return;
	struct sk_timer_entry *due = sk_timer_expire(s->timer, now_ms);
	if (due)
		s->hooks.expired(s->hooks.owner, due);
}

void
sk_idle_poll(struct sk_scheduler *s)
{
	struct sk_poller_event events[POLL_EVENTS_MAX];
	bool woken;
	if (!take_poller_role(s))
		return;
	int count = sk_poller_wait(&s->poller, events, POLL_EVENTS_MAX, 0, &woken);
	atomic_store_explicit(&s->last_poll_ticks, sk_clock_ticks(), memory_order_relaxed);
	handle_events(s, events, count);
	expire_timers(s);
	atomic_store(&s->poller_taken, false);
}

static int
timeout_until(uint64_t until_ms)
{
	if (until_ms == UINT64_MAX)
		return -1;
	uint64_t now_ms = sk_clock_ms();
	if (until_ms <= now_ms)
		return 0;
	return until_ms - now_ms > INT_MAX ? INT_MAX : (int)(until_ms - now_ms);
}

/* The announcement of sleep_as_poller is over. Returns true if somebody has woken this worker, and
 * counted it as searching. */
static bool
end_poller_sleep(struct sk_worker *worker)
{
	struct sk_scheduler *s = worker->scheduler;
	atomic_fetch_sub(&s->sleeping, 1);
	if (atomic_exchange(&s->poller_state, SK_POLLER_AWAKE) != SK_POLLER_WOKEN)
		return false;
	(void)pthread_mutex_lock(&worker->park_lock);
	sk_steer_back(&worker->steer);
	(void)pthread_mutex_unlock(&worker->park_lock);
	return true;
}

/* Sleeps in the poller. The caller holds the role and gives it up here. */
static void
sleep_as_poller(struct sk_worker *worker)
{
	struct sk_scheduler *s = worker->scheduler;
	struct sk_poller_event events[POLL_EVENTS_MAX];
	int count = 0;
	bool woken = false;
	uint64_t until_ms = sk_timer_next_due_ms(s->timer);
	atomic_store(&s->poller_until_ms, until_ms);
	atomic_store(&s->poller_state, SK_POLLER_WAITS + worker->index);
	sleep_begins(s);
	/* S1; and a timer that was added before it could see the state above. */
	bool stay_up = has_work(s, worker) || sk_timer_next_due_ms(s->timer) < until_ms ||
		       atomic_load(&s->stopping) ||
		       !sk_quiesce_offline_try(s->quiesce, worker->quiesce_slot);
	if (!stay_up) {
		count = sk_poller_wait(&s->poller, events, POLL_EVENTS_MAX, timeout_until(until_ms),
				       &woken);
		sk_quiesce_online(s->quiesce, worker->quiesce_slot);
	}
	if (end_poller_sleep(worker))
		worker->is_searching = true;
	worker->turn_end_ticks = sk_clock_ticks();
	atomic_store_explicit(&s->last_poll_ticks, worker->turn_end_ticks, memory_order_relaxed);
	handle_events(s, events, count);
	expire_timers(s);
	atomic_store(&s->poller_taken, false);
}

bool
sk_idle_listen(struct sk_worker *worker, int timeout_ms)
{
	struct sk_scheduler *s = worker->scheduler;
	struct sk_poller_event events[POLL_EVENTS_MAX];
	int count = 0;
	bool is_news = true;
	if (!take_poller_role(s))
		return true;
	atomic_store(&s->poller_until_ms, 0); /* a new timer wakes nobody */
	atomic_store(&s->poller_state, SK_POLLER_WAITS + worker->index);
	sleep_begins(s);
	if (!has_work(s, worker) && !atomic_load(&s->stopping) && /* S1 */
	    sk_quiesce_offline_try(s->quiesce, worker->quiesce_slot)) {
		count = sk_poller_wait(&s->poller, events, POLL_EVENTS_MAX, timeout_ms, &is_news);
		sk_quiesce_online(s->quiesce, worker->quiesce_slot);
	}
	if (end_poller_sleep(worker))
		atomic_fetch_sub(&s->searching, 1); /* it looks everywhere in any case */
	handle_events(s, events, count);
	atomic_store(&s->poller_taken, false);
	s->hooks.awake(s->hooks.owner);
	return count > 0 || is_news;
}

void
sk_idle_add_timer(struct sk_scheduler *s, struct sk_timer_entry *entry, uint64_t due_ms)
{
	if (!sk_timer_add(s->timer, entry, due_ms))
		return;
	/* After the wheel's store of when it is due next; sleep_as_poller goes the other way
	 * round. */
	if (atomic_load(&s->poller_state) != SK_POLLER_AWAKE &&
	    due_ms < atomic_load(&s->poller_until_ms))
		sk_poller_wake(&s->poller);
}

void
sk_idle_sleep(struct sk_worker *worker)
{
	struct sk_scheduler *s = worker->scheduler;
	if (take_poller_role(s))
		sleep_as_poller(worker);
	else
		park(worker);
	worker->turn_end_ticks = sk_clock_ticks();
	sk_idle_start_searching(worker); /* S3 holds for who wakes by itself, too */
	s->hooks.awake(s->hooks.owner);
}

void
sk_idle_wake_all(struct sk_scheduler *s)
{
	struct sk_worker *worker;
	while ((worker = pop_parked(s)))
		unpark(worker);
	sk_poller_wake(&s->poller);
}
