/* sk_scheduler.h: the workers: who runs which ready service, who sleeps, who polls.
 *
 * Model      Each worker runs ready services in turns. One made ready by the running service goes
 *            to the worker's next slot and runs next, while its message is warm in the cache;
 *            what it displaces goes to the worker's queue, where others may steal it. A worker
 *            without work becomes the poller, if nobody is, and sleeps until a descriptor or a
 *            timer is due; the others park. sk_scheduler.c tells why no wake-up is lost.
 * Life       init; start; stop (from any thread); join; fini.
 * Threads    ready, stop: [any]. The rest as marked.
 */
#ifndef SK_SCHEDULER_H
#define SK_SCHEDULER_H

#include "sk_base.h"
#include "sk_mailbox.h"
#include "sk_poller.h"
#include "sk_quiesce.h"
#include "sk_run_queue.h"
#include "sk_timer.h"

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
	/* Owner only. */
	uint32_t round;		 /* turns taken */
	uint32_t next_streak;	 /* turns in a row taken from the next slot */
	bool is_searching;	 /* counted in scheduler->searching */
	uint64_t turn_end_ticks; /* when the last turn ended, or the last sleep */
	void *dirty_sockets;	 /* the socket layer's list of what to flush after the turn */
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
};

/* What the layers below hand over at start. All are called with the owner pointer. */
struct sk_scheduler_hooks {
	void *owner;
	/* A thread of the scheduler begins.  [worker] [watchdog] */
	void (*thread_begin)(void *owner);
	/* Runs one turn of the service that has this mailbox, which the caller holds. It must end
	 * with sk_mailbox_rest, sk_scheduler_requeue, or keep the hold for ever.  [worker] */
	void (*turn)(void *owner, struct sk_worker *worker, struct sk_mailbox *box);
	/* Something happened to the descriptor with this token.  [poller] */
	void (*event)(void *owner, uint64_t token, unsigned flags);
	/* These entries are due. list: taken.  [poller] */
	void (*expired)(void *owner, struct sk_timer_entry *list);
	/* This worker has stopped sleeping.  [worker] */
	void (*awake)(void *owner);
};

/* What the holder of the poller role is doing. */
enum sk_poller_state {
	SK_POLLER_AWAKE, /* nobody holds the role, or the holder is not asleep */
	SK_POLLER_WAITS, /* the holder sleeps */
	SK_POLLER_WOKEN, /* somebody woke it to search for work */
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
	struct sk_shared_queue shared;
	/* Atomic: who sleeps, searches and polls; sk_scheduler.c tells how they work together. */
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

/* worker_count: 1 to 1024. Returns 0 or SK_ESYSTEM.  [boot] */
SK_MUST_CHECK int sk_scheduler_init(struct sk_scheduler *s, int worker_count,
				    struct sk_quiesce *quiesce,
				    const struct sk_scheduler_hooks *hooks);
/* All threads must have been joined.  [boot] */
void sk_scheduler_fini(struct sk_scheduler *s);

/* Starts the workers. Returns 0 or SK_ESYSTEM; then call stop and join.  [boot] */
SK_MUST_CHECK int sk_scheduler_start(struct sk_scheduler *s);
/* Asks all threads to end after their current turn.  [any] */
void sk_scheduler_stop(struct sk_scheduler *s);
/* Waits for those that were started.  [boot] */
void sk_scheduler_join(struct sk_scheduler *s);

/* Gives a mailbox that was at rest to the workers: the caller got true from sk_mailbox_push, or
 * false from sk_mailbox_rest.  [any] */
void sk_scheduler_ready(struct sk_scheduler *s, struct sk_mailbox *box);

/* Puts a service whose turn is over behind the others.  [worker] */
void sk_scheduler_requeue(struct sk_worker *worker, struct sk_mailbox *box);

/* Adds a timer entry, and tells a sleeping poller when it is due first. entry: taken.  [any] */
void sk_scheduler_add_timer(struct sk_scheduler *s, struct sk_timer_entry *entry, uint64_t due_ms);

/* Looks at descriptors and timers once, without waiting, unless somebody else polls.  [worker]
 * [watchdog] */
void sk_scheduler_poll(struct sk_scheduler *s);

/* Wakes one sleeping worker, if there is one and none is searching for work already.  [any] */
void sk_scheduler_wake_one(struct sk_scheduler *s);

#endif
