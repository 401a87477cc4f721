/* sk_worker.h: what a worker and the scheduler consist of. Only sk_idle.c, sk_scheduler.c and
 * sk_watchdog.c touch the fields; everybody else goes through their functions.
 */
#ifndef SK_WORKER_H
#define SK_WORKER_H

#include "sk_base.h"
#include "sk_clock.h"
#include "sk_mailbox.h"
#include "sk_poller.h"
#include "sk_quiesce.h"
#include "sk_run_queue.h"
#include "sk_steer.h"
#include "sk_timer.h"
#include "sk_virtual_clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct sk_scheduler;

struct sk_worker {
	/* Constant after start. */
	struct sk_scheduler *scheduler;
	pthread_t thread;
	int index;
	int quiesce_slot;
	bool has_thread; /* [boot] */
	/* Written by its thread before it sleeps first. */
	pthread_t self;
	/* Owner only. */
	uint32_t round;		    /* turns taken */
	uint32_t next_streak;	    /* turns in a row taken from the next slot */
	bool is_searching;	    /* counted in scheduler->searching */
	uint64_t turn_end_ticks;    /* when the last turn ended, or the last sleep */
	uint64_t turn_begin_ticks;  /* when this turn began */
	uint64_t queue_since_ticks; /* the queue has not been empty since */
	bool is_long_turn;	    /* this turn is expected to take long */
	void *dirty_sockets;	    /* the socket layer's list of what to flush after the turn */
	/* Atomic: the watchdog takes from it what waits behind a long callback. */
	_Alignas(SK_CACHE_LINE) _Atomic(struct sk_mailbox *) next;
	/* Written by the owner, read by the watchdog. Relaxed: figures, nobody decides by them
	 * what memory may be touched. */
	_Atomic uint64_t message_number; /* counts the messages this worker has begun */
	_Atomic uint32_t running_handle; /* whose turn it is; 0: nobody's */
	_Atomic uint32_t running_source;
	struct sk_run_queue queue;
	/* Under park_lock. */
	pthread_mutex_t park_lock;
	pthread_cond_t park_signal;
	bool park_token;
	struct sk_steer steer;
};

/* What the layers below hand over at start. All are called with the owner pointer. */
struct sk_scheduler_hooks {
	void *owner;
	/* A thread of the scheduler begins.  [worker] [watchdog] */
	void (*thread_begin)(void *owner);
	/* Runs one turn of the service that has this mailbox, which the caller holds. It must end
	 * with sk_scheduler_end_turn, or keep the hold for ever.  [worker] */
	void (*turn)(void *owner, struct sk_worker *worker, struct sk_mailbox *box);
	/* Something happened to the descriptor with this token.  [poller] */
	void (*event)(void *owner, uint64_t token, unsigned flags);
	/* These entries are due. list: taken.  [poller] */
	void (*expired)(void *owner, struct sk_timer_entry *list);
	/* This worker has stopped sleeping.  [worker] */
	void (*awake)(void *owner);
	/* Of a simulated node (sk_simulation.h): the clock, what its only worker runs instead of
	 * the loop of sk_scheduler.c, and how its thread is made. NULL in all others. */
	struct sk_virtual_clock *clock;
	void *(*run_worker)(void *worker);
	const pthread_attr_t *thread_attributes;
};

/* What the holder of the poller role is doing. */
enum sk_poller_state {
	SK_POLLER_AWAKE, /* nobody holds the role, or the holder is not asleep */
	SK_POLLER_WOKEN, /* somebody woke it to search for work */
	SK_POLLER_WAITS, /* plus the index of a worker: it holds the role, and sleeps */
};

struct sk_scheduler {
	/* Constant after init. */
	struct sk_scheduler_hooks hooks;
	struct sk_quiesce *quiesce;
	struct sk_timer *timer;
	struct sk_worker *workers;
	int worker_count;
	struct sk_poller poller;
	uint64_t poll_interval_ticks;
	uint64_t turn_limit_ticks; /* how long one turn may go on taking messages */
	int turn_limit_messages;   /* how many it may take */
	uint64_t long_turn_ticks;  /* a turn that takes longer is long */
	uint64_t crowd_ticks;	   /* a queue that is not empty for longer is a crowd */
	struct sk_shared_queue shared;
	/* Atomic: who sleeps, searches and polls; sk_idle.c tells how they work together. */
	_Alignas(
		SK_CACHE_LINE) _Atomic int32_t sleeping; /* parked workers, and the poller asleep */
	_Atomic int32_t searching;
	_Atomic bool poller_taken;
	_Atomic int poller_state; /* enum sk_poller_state */
	_Atomic uint64_t poller_until_ms;
	_Atomic uint64_t last_poll_ticks;
	_Atomic bool stopping;
	/* Under idle_lock: parked workers, the newest last. */
	pthread_mutex_t idle_lock;
	struct sk_worker **parked;
	int parked_count;
};

/* The worker that runs on this thread, or NULL. */
extern _Thread_local struct sk_worker *sk_this_worker;

/* The node's clock, real or virtual, in nanoseconds.  [any] */
static inline uint64_t
sk_scheduler_now_ns(const struct sk_scheduler *s)
{
	return SK_LIKELY(!s->hooks.clock) ? sk_clock_ns() : sk_virtual_clock_ns(s->hooks.clock);
}

#endif
