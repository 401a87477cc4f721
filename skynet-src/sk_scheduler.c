/* sk_scheduler.c: the workers' loop: who runs what next.
 *
 * A worker looks for work in this order: its next slot, its own queue, the shared queue (that one
 * first every 61st round, so that nothing waits there for ever), then the queues of the others.
 * Between turns it looks at the descriptors when nobody has for a while. When it finds nothing it
 * sleeps (sk_idle.c).
 *
 * R1  What a service makes ready goes to the next slot first: the worker runs it itself, with the
 *     message still in its cache. What is displaced from there waits in the worker's queue. That
 *     wakes nobody, for the worker itself is awake and looks there.
 * R2  Moving work to another worker costs a wake-up and a cold cache. So a sleeper is woken for the
 *     queue when it would wait long: when the turn at hand, or the one to begin, is of a service
 *     whose turns take long; or when the queue has been a crowd for a while.
 * R3  A turn that turns out to be long against all expectation the watchdog sees: it offers what
 *     waits behind it, in the slot or in the queue.
 */
#include "sk_scheduler.h"

#include "sk_clock.h"
#include "sk_idle.h"

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
/* And none after so many. */
#define TURN_LIMIT_MESSAGES 64
/* R2: nobody waits behind a turn that is expected to take longer, if somebody sleeps. */
#ifndef LONG_TURN_NS
#define LONG_TURN_NS 100000
#endif
/* R2: short turns one after the other run where they are for so long. */
#ifndef CROWD_NS
#define CROWD_NS 1000000
#endif

_Thread_local struct sk_worker *sk_this_worker;

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
find_work(struct sk_worker *worker)
{
	struct sk_mailbox *box = find_own(worker);
	if (!box) {
		sk_idle_start_searching(worker);
		box = find_elsewhere(worker);
	}
	if (SK_UNLIKELY(worker->is_searching))
		sk_idle_stop_searching(worker, box != NULL);
	return box;
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

/* Runs a turn; before it, sees to what waits behind it (R2). */
static void
run_turn(struct sk_worker *worker, struct sk_mailbox *box)
{
	struct sk_scheduler *s = worker->scheduler;
	worker->turn_begin_ticks = worker->turn_end_ticks;
	worker->is_long_turn = box->turn_ticks > s->long_turn_ticks;
	if (sk_run_queue_length(&worker->queue) == 0)
		worker->queue_since_ticks = worker->turn_begin_ticks;
	else if (SK_UNLIKELY(worker->is_long_turn) ||
		 worker->turn_begin_ticks - worker->queue_since_ticks > s->crowd_ticks)
		sk_idle_wake_one(s);
	s->hooks.turn(s->hooks.owner, worker, box);
}

static void *
run_worker(void *argument)
{
	struct sk_worker *worker = argument;
	struct sk_scheduler *s = worker->scheduler;
	sk_this_worker = worker;
	worker->self = pthread_self();
	s->hooks.thread_begin(s->hooks.owner);
	worker->turn_end_ticks = sk_clock_ticks();
	sk_quiesce_online(s->quiesce, worker->quiesce_slot);
	while (!atomic_load_explicit(&s->stopping, memory_order_relaxed)) {
		pass_quiescent_point(worker);
		if (is_poll_due(worker)) {
			sk_idle_poll(s);
			worker->turn_end_ticks = sk_clock_ticks(); /* charge nobody for it */
		}
		struct sk_mailbox *box = find_work(worker);
		if (!box) {
			sk_idle_sleep(worker);
			continue;
		}
		worker->round++;
		run_turn(worker, box);
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
		sk_idle_wake_one(s);
		return;
	}
	/* Only this worker fills the slot, so an empty one stays empty. Release pairs with the
	 * watchdog's acquire. */
	if (!atomic_load_explicit(&worker->next, memory_order_relaxed)) {
		atomic_store_explicit(&worker->next, box, memory_order_release);
		return;
	}
	box = atomic_exchange_explicit(&worker->next, box, memory_order_acq_rel);
	if (!box)
		return;
	sk_run_queue_push(&worker->queue, box, &s->shared);
	if (SK_UNLIKELY(worker->is_long_turn))
		sk_idle_wake_one(s); /* R2 */
}

/* The average gives a quarter to the newest turn. */
static void
note_turn(struct sk_worker *worker, struct sk_mailbox *box)
{
	uint64_t ticks = worker->turn_end_ticks - worker->turn_begin_ticks;
	if (ticks > UINT32_MAX)
		ticks = UINT32_MAX;
	box->turn_ticks = (uint32_t)((3 * (uint64_t)box->turn_ticks + ticks) / 4);
}

void
sk_scheduler_end_turn(struct sk_worker *worker, struct sk_mailbox *box)
{
	note_turn(worker, box);
	if (!sk_mailbox_rest(box))
		sk_run_queue_push(&worker->queue, box, &worker->scheduler->shared);
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
	s->long_turn_ticks = (uint64_t)(LONG_TURN_NS / sk_clock_ns_per_tick);
	s->crowd_ticks = (uint64_t)(CROWD_NS / sk_clock_ns_per_tick);
	s->turn_limit_ticks = (uint64_t)(TURN_LIMIT_NS / sk_clock_ns_per_tick);
	s->turn_limit_messages = TURN_LIMIT_MESSAGES;
	s->timer = sk_timer_new(sk_scheduler_now_ns(s) / SK_NS_PER_MS);
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
		if (pthread_create(&worker->thread, s->hooks.thread_attributes,
				   s->hooks.run_worker ? s->hooks.run_worker : run_worker,
				   worker) != 0)
			return SK_ESYSTEM;
		worker->has_thread = true;
	}
	return SK_OK;
}

void
sk_scheduler_stop(struct sk_scheduler *s)
{
	atomic_store(&s->stopping, true);
	sk_idle_wake_all(s);
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
