/* sk_simulation.c: the loop of a simulated worker; see sk_simulation.h.
 *
 * The scheduler's other functions do not know of it: who becomes ready goes to the worker's next
 * slot or to a queue, as always, and is collected from there into one list, in the order in which
 * it came (I1). Only the sleep is one of its own (sk_idle_listen): to hear from the outside, while
 * virtual time stands.
 */
#include "sk_simulation.h"

#include "sk_clock.h"
#include "sk_fixed_memory.h"
#include "sk_idle.h"
#include "sk_scheduler.h"
#include "skynet.h"

#include <stdlib.h>

/* Between turns the descriptors are looked at, and the real clock, so often. */
#define POLL_ROUNDS 64
/* How long the world may take to answer on a socket before virtual time moves on: to the next
 * timer, or, when there is none, to the end of a test. The peer is as a rule in this process. */
#define PATIENCE_MS 5
#define LAST_PATIENCE_MS 1000
/* As long as a machine may take that has just been started: no timer is due before 0. */
#define START_NS SK_NS_PER_SECOND
#define NEW_YEAR_2024_S UINT64_C(1704067200)
#define SECONDS_PER_DAY 86400

void
sk_simulation_init(struct sk_simulation *simulation, uint64_t seed,
		   const struct sk_simulation_hooks *hooks)
{
	*simulation = (struct sk_simulation){.hooks = *hooks, .seed = seed};
	sk_virtual_clock_init(&simulation->clock, START_NS);
	sk_random_init(&simulation->schedule, seed, 0);
	simulation->has_stack = sk_fixed_memory_stack(&simulation->thread_attributes) == SK_OK;
}

uint64_t
sk_simulation_start_s(const struct sk_simulation *simulation)
{
	return NEW_YEAR_2024_S + simulation->seed % SECONDS_PER_DAY;
}

void
sk_simulation_fini(struct sk_simulation *simulation)
{
	free(simulation->ready);
	if (simulation->has_stack)
		sk_fixed_memory_free_stack(&simulation->thread_attributes);
}

/* --- the alarm ----------------------------------------------------------------------------- */

void
sk_simulation_set_alarm(struct sk_simulation *simulation, uint64_t delay_ms, uint64_t real_ms)
{
	uint64_t now_ms = sk_virtual_clock_ns(&simulation->clock) / SK_NS_PER_MS;
	simulation->is_alarm_set = true;
	simulation->alarm_due_ms = now_ms + delay_ms;
	simulation->alarm_real_ns = sk_clock_ns() + real_ms * SK_NS_PER_MS;
}

void
sk_simulation_stop_alarm(struct sk_simulation *simulation)
{
	simulation->is_alarm_set = false;
}

static void
ring(struct sk_simulation *simulation, enum sk_alarm reason)
{
	simulation->is_alarm_set = false;
	simulation->hooks.alarm(simulation->hooks.owner, reason);
}

/* --- who runs next ------------------------------------------------------------------------- */

static void
add_ready(struct sk_simulation *simulation, struct sk_mailbox *box)
{
	if (simulation->ready_count == simulation->ready_capacity) {
		simulation->ready_capacity = simulation->ready_capacity * 2 + 16;
		simulation->ready = skynet_realloc(
			simulation->ready, simulation->ready_capacity * sizeof *simulation->ready);
	}
	simulation->ready[simulation->ready_count++] = box;
}

static void
collect_ready(struct sk_simulation *simulation, struct sk_worker *worker)
{
	struct sk_shared_queue *shared = &worker->scheduler->shared;
	/* Relaxed: nobody else takes from the slot here. */
	struct sk_mailbox *box =
		atomic_exchange_explicit(&worker->next, NULL, memory_order_relaxed);
	if (box)
		add_ready(simulation, box);
	while ((box = sk_run_queue_pop(&worker->queue)))
		add_ready(simulation, box);
	while (!sk_shared_queue_is_empty(shared) && (box = sk_shared_queue_pop(shared, NULL, 0)))
		add_ready(simulation, box);
}

static struct sk_mailbox *
draw_ready(struct sk_simulation *simulation)
{
	if (simulation->ready_count == 0)
		return NULL;
	uint32_t i = sk_random_below(&simulation->schedule, simulation->ready_count);
	struct sk_mailbox *box = simulation->ready[i];
	simulation->ready[i] = simulation->ready[--simulation->ready_count];
	return box;
}

/* --- when nobody has mail ------------------------------------------------------------------ */

static void
move_on(struct sk_simulation *simulation, struct sk_worker *worker)
{
	uint64_t due_ms = sk_timer_next_due_ms(worker->scheduler->timer);
	bool has_timer = due_ms != UINT64_MAX;
	bool has_sockets = simulation->hooks.has_sockets(simulation->hooks.owner);
	bool is_alarm_set = simulation->is_alarm_set;
	if (!has_timer && !is_alarm_set) {
		(void)sk_idle_listen(worker, -1);
		return;
	}
	if (has_sockets && sk_idle_listen(worker, has_timer ? PATIENCE_MS : LAST_PATIENCE_MS))
		return; /* I2 */
	if (!has_timer && !has_sockets) {
		ring(simulation, SK_ALARM_STUCK);
	} else if (is_alarm_set && simulation->alarm_due_ms <= due_ms) {
		sk_virtual_clock_move(&simulation->clock, simulation->alarm_due_ms * SK_NS_PER_MS);
		ring(simulation, SK_ALARM_LATE);
	} else {
		sk_virtual_clock_move(&simulation->clock, due_ms * SK_NS_PER_MS);
	}
}

/* --- the loop ------------------------------------------------------------------------------ */

/* Looks at descriptors and timers, and at the alarm. */
static void
look_around(struct sk_simulation *simulation, struct sk_worker *worker)
{
	sk_idle_poll(worker->scheduler);
	worker->turn_end_ticks = sk_clock_ticks(); /* charge nobody for it */
	if (!simulation->is_alarm_set)
		return;
	if (sk_virtual_clock_ns(&simulation->clock) / SK_NS_PER_MS > simulation->alarm_due_ms)
		ring(simulation, SK_ALARM_LATE); /* though there was always somebody with mail */
	else if (sk_clock_ns() > simulation->alarm_real_ns)
		ring(simulation, SK_ALARM_SLOW);
}

static void
pass_quiescent_point(struct sk_worker *worker)
{
	struct sk_quiesce *quiesce = worker->scheduler->quiesce;
	sk_quiesce_pass(quiesce, worker->quiesce_slot);
	if (SK_UNLIKELY(sk_quiesce_has_retired(quiesce)))
		sk_quiesce_reclaim(quiesce);
}

void *
sk_simulation_run_worker(void *argument)
{
	struct sk_worker *worker = argument;
	struct sk_scheduler *s = worker->scheduler;
	struct sk_simulation *simulation =
		SK_CONTAINER_OF(s->hooks.clock, struct sk_simulation, clock);
	sk_fixed_memory_use_heap();
	sk_this_worker = worker;
	worker->self = pthread_self();
	s->hooks.thread_begin(s->hooks.owner);
	sk_quiesce_online(s->quiesce, worker->quiesce_slot);
	while (!atomic_load_explicit(&s->stopping, memory_order_relaxed)) {
		pass_quiescent_point(worker);
		collect_ready(simulation, worker);
		if (worker->round % POLL_ROUNDS == 0 || simulation->ready_count == 0) {
			look_around(simulation, worker);
			collect_ready(simulation, worker);
		}
		struct sk_mailbox *box = draw_ready(simulation);
		if (!box) {
			move_on(simulation, worker);
			continue;
		}
		worker->round++;
		sk_virtual_clock_count(&simulation->clock);
		s->hooks.turn(s->hooks.owner, worker, box);
	}
	sk_quiesce_offline(s->quiesce, worker->quiesce_slot);
	sk_this_worker = NULL;
	return NULL;
}
