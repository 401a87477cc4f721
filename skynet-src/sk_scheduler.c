/* sk_scheduler.c: the workers' loop, and how they fall asleep without missing anything.
 *
 * A worker looks for work in this order: its next slot, its own queue, the shared queue (that one
 * first every 61st round, so that nothing waits there for ever), then the queues of the others.
 * Between turns it looks at the descriptors when nobody has for a while. When it finds nothing it
 * takes the poller role and sleeps until a descriptor or a timer is due; if somebody has the role
 * already, it parks.
 *
 * S1  Who adds work to a queue looks, after that, whether somebody sleeps; who goes to sleep says
 *     so first and then looks at all queues again. Both orders are sequentially consistent, so at
 *     least one of the two sees the other: no work waits while everybody sleeps.
 * S2  At most one wake-up is under way: `searching` counts the workers that look for work. While it
 *     is not 0, a push wakes nobody, because a searching worker looks at all queues before it
 *     sleeps.
 * S3  The last worker that stops searching because it found something wakes another if there is
 *     more, so the number of busy workers grows as long as there is work.
 * S4  What a service makes ready goes to the next slot first, and wakes nobody: the worker runs it
 *     itself, with the message still in its cache. Only what is displaced from there is offered to
 *     others. What waits behind a long callback, in the slot or the queue, the watchdog offers.
 * S5  When all workers sleep, one of them holds the poller role: who parks looks, after saying so,
 *     whether the role is free; and who gives it up looks for work itself next, or (the watchdog)
 *     wakes a sleeper that does.
 *
 * sk_scheduler.pml is a model of this file and of sk_watchdog.c for the spin model checker. It also
 * tells what goes wrong without each of these rules.
 *
 * Locks: idle_lock, then one park_lock; nothing is called under either.
 */
#include "sk_scheduler.h"

#include "sk_clock.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>

/* Every so many turns the shared queue is served first. A prime, so that it does not fall into step
 * with a pattern of the load. */
#define SHARED_FIRST_ROUNDS 61
/* So many turns in a row may come from the next slot before the queue has its turn. */
#define NEXT_STREAK_MAX 32
/* How many mailboxes a worker takes along from the shared queue. */
#define SHARED_BATCH 16
/* A busy node looks at its descriptors about this often. */
#define POLL_INTERVAL_NS 100000
/* A turn takes no further message after this time. */
#define TURN_LIMIT_NS 500000
#define POLL_EVENTS_MAX 256

_Thread_local struct sk_worker *sk_this_worker;

/* --- sleeping and waking ------------------------------------------------------------------- */

static bool
has_work(struct sk_scheduler *s)
{
	if (!sk_shared_queue_is_empty(&s->shared))
		return true;
	for (int i = 0; i < s->worker_count; i++)
		if (sk_run_queue_length(&s->workers[i].queue) > 0)
			return true;
	return false;
}

static void
unpark(struct sk_worker *worker)
{
	(void)pthread_mutex_lock(&worker->park_lock);
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

/* Returns true if a sleeper has been woken, and is counted as searching. */
static bool
wake_sleeper(struct sk_scheduler *s)
{
	int waits = SK_POLLER_WAITS;
	struct sk_worker *worker = pop_parked(s);
	if (worker) {
		worker->is_searching = true; /* ours to write: it sleeps until it has the token */
		unpark(worker);
		return true;
	}
	if (!atomic_compare_exchange_strong(&s->poller_state, &waits, SK_POLLER_WOKEN))
		return false;
	sk_poller_wake(&s->poller);
	return true;
}

void
sk_scheduler_wake_one(struct sk_scheduler *s)
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
	} while (is_last && (has_work(s) || !atomic_load(&s->poller_taken)));
}

static void
start_searching(struct sk_worker *worker)
{
	if (worker->is_searching)
		return;
	worker->is_searching = true;
	atomic_fetch_add(&worker->scheduler->searching, 1);
}

/* Returns true if this was the last searching worker. */
static bool
stop_searching(struct sk_worker *worker)
{
	if (!worker->is_searching)
		return false;
	worker->is_searching = false;
	return atomic_fetch_sub(&worker->scheduler->searching, 1) == 1;
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
	bool stay_up = has_work(s) || !atomic_load(&s->poller_taken) || /* S1, S5 */
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
	uint64_t now_ms = due_ms == UINT64_MAX ? 0 : sk_clock_ms();
	if (due_ms > now_ms)
		return;
	struct sk_timer_entry *due = sk_timer_expire(s->timer, now_ms);
	if (due)
		s->hooks.expired(s->hooks.owner, due);
}

void
sk_scheduler_poll(struct sk_scheduler *s)
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
	atomic_store(&s->poller_state, SK_POLLER_WAITS);
	sleep_begins(s);
	/* S1; and a timer that was added before it could see the state above. */
	bool stay_up = has_work(s) || sk_timer_next_due_ms(s->timer) < until_ms ||
		       atomic_load(&s->stopping) ||
		       !sk_quiesce_offline_try(s->quiesce, worker->quiesce_slot);
	if (!stay_up) {
		count = sk_poller_wait(&s->poller, events, POLL_EVENTS_MAX, timeout_until(until_ms),
				       &woken);
		sk_quiesce_online(s->quiesce, worker->quiesce_slot);
	}
	atomic_fetch_sub(&s->sleeping, 1);
	/* Whoever woke this worker counted it as searching. */
	if (atomic_exchange(&s->poller_state, SK_POLLER_AWAKE) == SK_POLLER_WOKEN)
		worker->is_searching = true;
	worker->turn_end_ticks = sk_clock_ticks();
	atomic_store_explicit(&s->last_poll_ticks, worker->turn_end_ticks, memory_order_relaxed);
	handle_events(s, events, count);
	expire_timers(s);
	atomic_store(&s->poller_taken, false);
}

void
sk_scheduler_add_timer(struct sk_scheduler *s, struct sk_timer_entry *entry, uint64_t due_ms)
{
	if (!sk_timer_add(s->timer, entry, due_ms))
		return;
	/* After the wheel's store of when it is due next; sleep_as_poller goes the other way
	 * round. */
	if (atomic_load(&s->poller_state) != SK_POLLER_AWAKE &&
	    due_ms < atomic_load(&s->poller_until_ms))
		sk_poller_wake(&s->poller);
}

/* --- finding work -------------------------------------------------------------------------- */

static struct sk_mailbox *
take_next(struct sk_worker *worker)
{
	if (!atomic_load_explicit(&worker->next, memory_order_relaxed))
		return NULL;
	/* Acquire-release: the watchdog takes from here too. */
	return atomic_exchange_explicit(&worker->next, NULL, memory_order_acq_rel);
}

static struct sk_mailbox *
find_own(struct sk_worker *worker)
{
	struct sk_scheduler *s = worker->scheduler;
	struct sk_mailbox *box;
	if (worker->round % SHARED_FIRST_ROUNDS == 0 && !sk_shared_queue_is_empty(&s->shared)) {
		box = sk_shared_queue_pop(&s->shared, NULL, 0);
		if (box)
			return box;
	}
	box = take_next(worker);
	if (box && ++worker->next_streak < NEXT_STREAK_MAX)
		return box;
	worker->next_streak = 0;
	if (box)
		sk_run_queue_push(&worker->queue, box, &s->shared);
	return sk_run_queue_pop(&worker->queue);
}

static struct sk_mailbox *
steal(struct sk_worker *worker)
{
	struct sk_scheduler *s = worker->scheduler;
	/* Begin behind oneself, so that thieves do not all fall upon the same victim. */
	for (int i = 1; i < s->worker_count; i++) {
		struct sk_worker *victim = &s->workers[(worker->index + i) % s->worker_count];
		struct sk_mailbox *box = sk_run_queue_steal(&worker->queue, &victim->queue);
		if (box)
			return box;
	}
	return NULL;
}

static struct sk_mailbox *
find_elsewhere(struct sk_worker *worker)
{
	struct sk_scheduler *s = worker->scheduler;
	if (!sk_shared_queue_is_empty(&s->shared)) {
		struct sk_mailbox *box =
			sk_shared_queue_pop(&s->shared, &worker->queue, SHARED_BATCH);
		if (box)
			return box;
	}
	return steal(worker);
}

static struct sk_mailbox *
search(struct sk_worker *worker)
{
	start_searching(worker);
	struct sk_mailbox *box = find_elsewhere(worker);
	if (stop_searching(worker) && box && has_work(worker->scheduler))
		sk_scheduler_wake_one(worker->scheduler); /* S3 */
	return box;
}

static struct sk_mailbox *
find_work(struct sk_worker *worker)
{
	struct sk_mailbox *box = find_own(worker);
	if (!box)
		return search(worker);
	if (SK_UNLIKELY(worker->is_searching) && stop_searching(worker) &&
	    has_work(worker->scheduler))
		sk_scheduler_wake_one(worker->scheduler); /* S3 */
	return box;
}

static void
sleep_until_work(struct sk_worker *worker)
{
	if (take_poller_role(worker->scheduler))
		sleep_as_poller(worker);
	else
		park(worker);
	worker->turn_end_ticks = sk_clock_ticks();
	start_searching(worker); /* S3 holds for who wakes by itself, too */
	worker->scheduler->hooks.awake(worker->scheduler->hooks.owner);
}

/* --- the loop ------------------------------------------------------------------------------ */

static bool
is_poll_due(struct sk_worker *worker)
{
	struct sk_scheduler *s = worker->scheduler;
	uint64_t last = atomic_load_explicit(&s->last_poll_ticks, memory_order_relaxed);
	return (int64_t)(worker->turn_end_ticks - last) > (int64_t)s->poll_interval_ticks &&
	       !atomic_load_explicit(&s->poller_taken, memory_order_relaxed);
}

static void
pass_quiescent_point(struct sk_worker *worker)
{
	struct sk_quiesce *quiesce = worker->scheduler->quiesce;
	sk_quiesce_pass(quiesce, worker->quiesce_slot);
	if (SK_UNLIKELY(sk_quiesce_has_retired(quiesce)))
		sk_quiesce_reclaim(quiesce);
}

static void *
run_worker(void *argument)
{
	struct sk_worker *worker = argument;
	struct sk_scheduler *s = worker->scheduler;
	sk_this_worker = worker;
	s->hooks.thread_begin(s->hooks.owner);
	worker->turn_end_ticks = sk_clock_ticks();
	sk_quiesce_online(s->quiesce, worker->quiesce_slot);
	while (!atomic_load_explicit(&s->stopping, memory_order_relaxed)) {
		pass_quiescent_point(worker);
		if (is_poll_due(worker)) {
			sk_scheduler_poll(s);
			worker->turn_end_ticks = sk_clock_ticks(); /* charge nobody for it */
		}
		struct sk_mailbox *box = find_work(worker);
		if (!box) {
			sleep_until_work(worker);
			continue;
		}
		worker->round++;
		s->hooks.turn(s->hooks.owner, worker, box);
	}
	sk_quiesce_offline(s->quiesce, worker->quiesce_slot);
	sk_this_worker = NULL;
	return NULL;
}

void
sk_scheduler_ready(struct sk_scheduler *s, struct sk_mailbox *box)
{
	struct sk_worker *worker = sk_this_worker;
	if (!worker || worker->scheduler != s) {
		sk_shared_queue_push(&s->shared, &box, 1);
		sk_scheduler_wake_one(s);
		return;
	}
	/* Release pairs with the watchdog's acquire. */
	box = atomic_exchange_explicit(&worker->next, box, memory_order_acq_rel);
	if (!box)
		return; /* S4 */
	sk_run_queue_push(&worker->queue, box, &s->shared);
	sk_scheduler_wake_one(s);
}

void
sk_scheduler_requeue(struct sk_worker *worker, struct sk_mailbox *box)
{
	struct sk_scheduler *s = worker->scheduler;
	sk_run_queue_push(&worker->queue, box, &s->shared);
	if (sk_run_queue_length(&worker->queue) > 1 ||
	    atomic_load_explicit(&worker->next, memory_order_relaxed))
		sk_scheduler_wake_one(s);
}

/* --- life cycle ---------------------------------------------------------------------------- */

static int
init_worker(struct sk_scheduler *s, struct sk_worker *worker, int index)
{
	worker->scheduler = s;
	worker->index = index;
	worker->quiesce_slot = sk_quiesce_join(s->quiesce);
	if (worker->quiesce_slot < 0)
		return SK_ESYSTEM;
	sk_quiesce_offline(s->quiesce, worker->quiesce_slot); /* until its thread runs */
	sk_run_queue_init(&worker->queue);
	(void)pthread_mutex_init(&worker->park_lock, NULL);
	(void)pthread_cond_init(&worker->park_signal, NULL);
	return SK_OK;
}

static void
fini_workers(struct sk_scheduler *s)
{
	for (int i = 0; i < s->worker_count; i++) {
		sk_quiesce_leave(s->quiesce, s->workers[i].quiesce_slot);
		(void)pthread_cond_destroy(&s->workers[i].park_signal);
		(void)pthread_mutex_destroy(&s->workers[i].park_lock);
	}
}

static int
init_workers(struct sk_scheduler *s, int worker_count)
{
	for (s->worker_count = 0; s->worker_count < worker_count; s->worker_count++) {
		struct sk_worker *worker = &s->workers[s->worker_count];
		*worker = (struct sk_worker){0};
		if (init_worker(s, worker, s->worker_count) != SK_OK)
			return SK_ESYSTEM;
	}
	return SK_OK;
}

int
sk_scheduler_init(struct sk_scheduler *s, int worker_count, struct sk_quiesce *quiesce,
		  const struct sk_scheduler_hooks *hooks)
{
	s->hooks = *hooks;
	s->quiesce = quiesce;
	s->parked_count = 0;
	sk_clock_calibrate();
	s->poll_interval_ticks = (uint64_t)(POLL_INTERVAL_NS / sk_clock_ns_per_tick);
	s->turn_limit_ticks = (uint64_t)(TURN_LIMIT_NS / sk_clock_ns_per_tick);
	s->timer = sk_timer_new(sk_clock_ms());
	if (!s->timer)
		return SK_ESYSTEM;
	s->parked = calloc((size_t)worker_count, sizeof(struct sk_worker *));
	s->workers = aligned_alloc(SK_CACHE_LINE, (size_t)worker_count * sizeof(struct sk_worker));
	if (!s->parked || !s->workers || sk_poller_init(&s->poller) != SK_OK)
		goto free_blocks;
	if (sk_shared_queue_init(&s->shared) != SK_OK)
		goto fini_poller;
	if (init_workers(s, worker_count) != SK_OK)
		goto fini_workers;
	(void)pthread_mutex_init(&s->idle_lock, NULL);
	return SK_OK;

fini_workers:
	fini_workers(s);
	sk_shared_queue_fini(&s->shared);
fini_poller:
	sk_poller_fini(&s->poller);
free_blocks:
	free(s->parked);
	free(s->workers);
	sk_timer_free(s->timer);
	return SK_ESYSTEM;
}

void
sk_scheduler_fini(struct sk_scheduler *s)
{
	fini_workers(s);
	sk_poller_fini(&s->poller);
	sk_shared_queue_fini(&s->shared);
	sk_timer_free(s->timer);
	(void)pthread_mutex_destroy(&s->idle_lock);
	free(s->parked);
	free(s->workers);
}

int
sk_scheduler_start(struct sk_scheduler *s)
{
	for (int i = 0; i < s->worker_count; i++) {
		struct sk_worker *worker = &s->workers[i];
		if (pthread_create(&worker->thread, NULL, run_worker, worker) != 0)
			return SK_ESYSTEM;
		worker->has_thread = true;
	}
	return SK_OK;
}

void
sk_scheduler_stop(struct sk_scheduler *s)
{
	struct sk_worker *worker;
	atomic_store(&s->stopping, true);
	while ((worker = pop_parked(s)))
		unpark(worker);
	sk_poller_wake(&s->poller);
}

void
sk_scheduler_join(struct sk_scheduler *s)
{
	for (int i = 0; i < s->worker_count; i++) {
		if (!s->workers[i].has_thread)
			continue;
		(void)pthread_join(s->workers[i].thread, NULL);
		s->workers[i].has_thread = false;
	}
}
