/* sk_watchdog.c: looks after workers that are inside long callbacks; see sk_watchdog.h.
 *
 * W1  It sleeps for good only when all workers have been asleep for IDLE_LOOKS looks in a row, and
 *     it says so before it checks once more; a worker that wakes looks at that flag after it has
 *     stopped counting as asleep. So one of the two sees the other, and a busy node is always
 *     watched.
 */
#include "sk_watchdog.h"

#include "sk_clock.h"
#include "sk_idle.h"
#include "sk_memory.h"

#include <errno.h>
#include <stdlib.h>

#define LOOK_INTERVAL_NS 1000000
/* Memory is given back after so long without work, but not more often than that. */
#define TRIM_AFTER_NS (50 * SK_NS_PER_MS)
#define TRIM_INTERVAL_NS SK_NS_PER_SECOND
/* So many idle looks before it sleeps: dense traffic must not wake it after each gap, and after the
 * few messages of a quiet node, such as the beats of a network, it must not look on for long. */
#define IDLE_LOOKS 4
/* A message that runs so long is reported, and again each time as much has passed. */
#ifndef STUCK_SECONDS
#define STUCK_SECONDS 5
#endif

/* What the last look saw of one worker. */
struct sighting {
	uint64_t message_number;
	uint64_t since_ns; /* of time_spent_ns */
	unsigned reported_seconds;
};

struct sk_watchdog {
	struct sk_scheduler *scheduler;
	sk_watchdog_stuck stuck;
	void *owner;
	pthread_t thread;
	bool has_thread;
	int quiesce_slot;
	uint64_t trimmed_ns;	    /* when memory was given back last; watchdog only */
	struct sighting *sightings; /* one a worker; watchdog only */
	pthread_mutex_t lock;
	pthread_cond_t signal;
	_Atomic bool is_asleep; /* changed under lock, read by notice without */
};

struct sk_watchdog *
sk_watchdog_new(struct sk_scheduler *scheduler, sk_watchdog_stuck stuck, void *owner)
{
	struct sk_watchdog *watchdog = calloc(1, sizeof *watchdog);
	pthread_condattr_t monotonic;
	if (!watchdog)
		return NULL;
	watchdog->scheduler = scheduler;
	watchdog->stuck = stuck;
	watchdog->owner = owner;
	(void)pthread_mutex_init(&watchdog->lock, NULL);
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&watchdog->signal, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
	return watchdog;
}

void
sk_watchdog_free(struct sk_watchdog *watchdog)
{
	if (!watchdog)
		return;
	(void)pthread_cond_destroy(&watchdog->signal);
	(void)pthread_mutex_destroy(&watchdog->lock);
	free(watchdog->sightings);
	free(watchdog);
}

/* Gives the service that waits in the worker's next slot to the other workers. */
static void
free_next_slot(struct sk_scheduler *s, struct sk_worker *worker)
{
	if (!atomic_load_explicit(&worker->next, memory_order_relaxed))
		return;
	/* Acquire pairs with the exchange in sk_scheduler_ready. */
	struct sk_mailbox *box =
		atomic_exchange_explicit(&worker->next, NULL, memory_order_acq_rel);
	if (!box)
		return;
	sk_shared_queue_push(&s->shared, &box, 1);
	sk_idle_wake_one(s);
}

/* The clock by which a message takes long. In a simulated node, which interrupts it, that is the
 * processor time of the process, nearly all of it used by the only worker: what the machine does
 * besides makes no message longer. */
static uint64_t
time_spent_ns(const struct sk_scheduler *s)
{
	return SK_LIKELY(!s->hooks.clock) ? sk_clock_ns() : sk_clock_processor_ns();
}

static void
report_stuck(struct sk_watchdog *watchdog, struct sk_worker *worker, struct sighting *sighting,
	     uint64_t spent_ns)
{
	unsigned seconds = (unsigned)((spent_ns - sighting->since_ns) / SK_NS_PER_SECOND);
	if (seconds < sighting->reported_seconds + STUCK_SECONDS)
		return;
	sighting->reported_seconds = seconds;
	watchdog->stuck(watchdog->owner,
			atomic_load_explicit(&worker->running_handle, memory_order_relaxed),
			atomic_load_explicit(&worker->running_source, memory_order_relaxed),
			sighting->message_number);
}

/* Returns true if the worker is still with the message of the last look. */
static bool
look_at(struct sk_watchdog *watchdog, int index, uint64_t spent_ns)
{
	struct sk_scheduler *s = watchdog->scheduler;
	struct sk_worker *worker = &s->workers[index];
	struct sighting *sighting = &watchdog->sightings[index];
	uint64_t number = atomic_load_explicit(&worker->message_number, memory_order_relaxed);
	bool is_running = atomic_load_explicit(&worker->running_handle, memory_order_relaxed) != 0;
	if (!is_running || number != sighting->message_number) {
		*sighting = (struct sighting){.message_number = number, .since_ns = spent_ns};
		return false;
	}
	if (!s->hooks.clock) /* a simulated worker has nobody to give its work to */
		free_next_slot(s, worker);
	if (!s->hooks.clock && sk_run_queue_length(&worker->queue) > 0)
		sk_idle_wake_one(s); /* to steal what waits there */
	report_stuck(watchdog, worker, sighting, spent_ns);
	return true;
}

/* Sees to it that somebody polls. */
static void
look_at_poller(struct sk_scheduler *s, int stuck_count)
{
	if (stuck_count == 0 || s->hooks.clock || atomic_load(&s->poller_taken))
		return;
	if (atomic_load(&s->sleeping) == 0)
		sk_idle_poll(s);
	/* A worker that wanted to sleep meanwhile saw the role taken and parked (S4 in
	 * sk_idle.c). Woken, it finds no work and takes the role. */
	if (atomic_load(&s->sleeping) > 0)
		sk_idle_wake_one(s);
}

/* Returns true if all workers are asleep. */
static bool
look(struct sk_watchdog *watchdog)
{
	struct sk_scheduler *s = watchdog->scheduler;
	uint64_t spent_ns = time_spent_ns(s);
	int stuck_count = 0;
	sk_quiesce_online(s->quiesce, watchdog->quiesce_slot);
	for (int i = 0; i < s->worker_count; i++)
		stuck_count += look_at(watchdog, i, spent_ns);
	look_at_poller(s, stuck_count);
	sk_quiesce_offline(s->quiesce, watchdog->quiesce_slot);
	return atomic_load(&s->sleeping) >= s->worker_count;
}

static struct timespec
time_in(uint64_t delay_ns)
{
	uint64_t until_ns = sk_clock_ns() + delay_ns;
	return (struct timespec){.tv_sec = (time_t)(until_ns / SK_NS_PER_SECOND),
				 .tv_nsec = (long)(until_ns % SK_NS_PER_SECOND)};
}

static void
wait_for_next_look(struct sk_watchdog *watchdog)
{
	struct timespec until = time_in(LOOK_INTERVAL_NS);
	int result = 0;
	(void)pthread_mutex_lock(&watchdog->lock);
	while (result != ETIMEDOUT && !atomic_load(&watchdog->scheduler->stopping))
		result = pthread_cond_timedwait(&watchdog->signal, &watchdog->lock, &until);
	(void)pthread_mutex_unlock(&watchdog->lock);
}

/* Whether nobody has woken it, and nobody should have (W1). The caller has the lock. */
static bool
may_sleep_locked(struct sk_watchdog *watchdog)
{
	struct sk_scheduler *s = watchdog->scheduler;
	return atomic_load(&watchdog->is_asleep) && !atomic_load(&s->stopping) &&
	       atomic_load(&s->sleeping) >= s->worker_count;
}

static uint64_t
trim_delay_ns(const struct sk_watchdog *watchdog)
{
	uint64_t passed_ns = sk_clock_ns() - watchdog->trimmed_ns;
	if (passed_ns + TRIM_AFTER_NS >= TRIM_INTERVAL_NS)
		return TRIM_AFTER_NS;
	return TRIM_INTERVAL_NS - passed_ns;
}

static void
trim(struct sk_watchdog *watchdog)
{
	sk_memory_trim();
	watchdog->trimmed_ns = sk_clock_ns();
}

/* A node that has been idle for a while gives back the memory that it does not use: the allocator
 * does so by itself only while somebody allocates. */
static void
sleep_while_idle(struct sk_watchdog *watchdog)
{
	struct timespec until = time_in(trim_delay_ns(watchdog));
	int result = 0;
	(void)pthread_mutex_lock(&watchdog->lock);
	atomic_store(&watchdog->is_asleep, true);
	while (result != ETIMEDOUT && may_sleep_locked(watchdog))
		result = pthread_cond_timedwait(&watchdog->signal, &watchdog->lock, &until);
	if (may_sleep_locked(watchdog))
		trim(watchdog);
	while (may_sleep_locked(watchdog))
		(void)pthread_cond_wait(&watchdog->signal, &watchdog->lock);
	atomic_store(&watchdog->is_asleep, false);
	(void)pthread_mutex_unlock(&watchdog->lock);
}

void
sk_watchdog_notice(struct sk_watchdog *watchdog)
{
	if (SK_LIKELY(!atomic_load(&watchdog->is_asleep)))
		return;
	(void)pthread_mutex_lock(&watchdog->lock);
	atomic_store(&watchdog->is_asleep, false);
	(void)pthread_cond_signal(&watchdog->signal);
	(void)pthread_mutex_unlock(&watchdog->lock);
}

/* What was seen before a sleep says nothing about what runs after it. */
static void
forget_sightings(struct sk_watchdog *watchdog)
{
	uint64_t spent_ns = time_spent_ns(watchdog->scheduler);
	for (int i = 0; i < watchdog->scheduler->worker_count; i++)
		watchdog->sightings[i] = (struct sighting){.since_ns = spent_ns};
}

static void *
run_watchdog(void *argument)
{
	struct sk_watchdog *watchdog = argument;
	struct sk_scheduler *s = watchdog->scheduler;
	int idle_looks = 0;
	s->hooks.thread_begin(s->hooks.owner);
	while (!atomic_load(&s->stopping)) {
		idle_looks = look(watchdog) ? idle_looks + 1 : 0;
		if (idle_looks < IDLE_LOOKS) {
			wait_for_next_look(watchdog);
			continue;
		}
		sleep_while_idle(watchdog);
		forget_sightings(watchdog);
		idle_looks = 0;
	}
	return NULL;
}

int
sk_watchdog_start(struct sk_watchdog *watchdog)
{
	struct sk_scheduler *s = watchdog->scheduler;
	watchdog->sightings = calloc((size_t)s->worker_count, sizeof(struct sighting));
	if (!watchdog->sightings)
		return SK_ESYSTEM;
	watchdog->quiesce_slot = sk_quiesce_join(s->quiesce);
	if (watchdog->quiesce_slot < 0)
		return SK_ESYSTEM;
	forget_sightings(watchdog);
	sk_quiesce_offline(s->quiesce, watchdog->quiesce_slot);
	if (pthread_create(&watchdog->thread, NULL, run_watchdog, watchdog) != 0) {
		sk_quiesce_leave(s->quiesce, watchdog->quiesce_slot);
		return SK_ESYSTEM;
	}
	watchdog->has_thread = true;
	return SK_OK;
}

void
sk_watchdog_stop(struct sk_watchdog *watchdog)
{
	if (!watchdog->has_thread)
		return;
	(void)pthread_mutex_lock(&watchdog->lock);
	(void)pthread_cond_signal(&watchdog->signal);
	(void)pthread_mutex_unlock(&watchdog->lock);
	(void)pthread_join(watchdog->thread, NULL);
	sk_quiesce_leave(watchdog->scheduler->quiesce, watchdog->quiesce_slot);
	watchdog->has_thread = false;
}
