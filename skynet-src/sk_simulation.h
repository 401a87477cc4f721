/* sk_simulation.h: runs a node whose order of events a seed decides, in virtual time.
 *
 * Model      A simulated node (config `simulate = SEED`) has one worker, and this loop on it. Of
 *            the services that have mail it draws the next at random, for one message; so any
 *            order that real workers could produce can come, and equal seeds bring equal orders.
 *            Time stands still while anybody has mail, then jumps to the next timer.
 *            I1  What a run does follows from the seed and the program, as long as nothing comes
 *                from outside: a socket, a signal, another thread.
 *            I2  Time moves on only when no service has mail and, if there are sockets, the world
 *                has had a moment of real time to answer.
 *            The alarm tells a test that it has waited long enough, or that nothing can happen any
 *            more.
 * Life       init; the scheduler's hooks get clock and run_worker; fini after the scheduler's.
 * Threads    seed, now: [any]. The rest [worker], where nothing else is said.
 */
#ifndef SK_SIMULATION_H
#define SK_SIMULATION_H

#include "sk_base.h"
#include "sk_mailbox.h"
#include "sk_random.h"
#include "sk_virtual_clock.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum sk_alarm {
	SK_ALARM_LATE,	/* its virtual time is over */
	SK_ALARM_STUCK, /* nobody has mail, and no timer is pending */
	SK_ALARM_SLOW,	/* its real time is over */
};

/* What the layers below hand over. All are called with the owner pointer. */
struct sk_simulation_hooks {
	void *owner;
	/* Whether something may come from outside. */
	bool (*has_sockets)(void *owner);
	/* The alarm goes off; it is not set any more. */
	void (*alarm)(void *owner, enum sk_alarm reason);
};

struct sk_simulation {
	struct sk_virtual_clock clock;
	/* Constant after init. */
	struct sk_simulation_hooks hooks;
	uint64_t seed;
	pthread_attr_t thread_attributes; /* of the worker, if has_stack */
	bool has_stack;
	/* Owner only: the worker. */
	struct sk_random schedule; /* draws who runs next */
	struct sk_mailbox **ready; /* who has mail, in no order */
	uint32_t ready_count;
	uint32_t ready_capacity;
	bool is_alarm_set;
	uint64_t alarm_due_ms;	/* virtual */
	uint64_t alarm_real_ns; /* monotonic */
};

/* [boot] */
void sk_simulation_init(struct sk_simulation *simulation, uint64_t seed,
			const struct sk_simulation_hooks *hooks);
void sk_simulation_fini(struct sk_simulation *simulation);

/* When the node's wall clock begins, in seconds since 1970: on 2024-01-01, so many seconds after
 * midnight (UTC) as the seed is, modulo a day. So another seed means another time of day, and,
 * because Lua takes the time for that, other orders of pairs().  [any] */
uint64_t sk_simulation_start_s(const struct sk_simulation *simulation);

/* The hook of the scheduler: the loop of a simulated worker. */
void *sk_simulation_run_worker(void *worker);

/* Sets the one alarm of the node: it goes off when so many milliseconds have passed, virtual or
 * real ones, or before that when the node is stuck. An alarm that was set before is forgotten. */
void sk_simulation_set_alarm(struct sk_simulation *simulation, uint64_t delay_ms, uint64_t real_ms);
void sk_simulation_stop_alarm(struct sk_simulation *simulation);

#endif
