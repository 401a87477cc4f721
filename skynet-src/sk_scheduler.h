/* sk_scheduler.h: the workers: who runs which ready service, who sleeps, who polls.
 *
 * Model      Each worker runs ready services in turns. One made ready by the running service goes
 *            to the worker's next slot and runs next, while its message is warm in the cache;
 *            what it displaces goes to the worker's queue, where others may steal it. Another
 *            worker is woken for the queue when it would wait long. A worker without work becomes
 *            the poller, if nobody is, and sleeps until a descriptor or a
 *            timer is due; the others park. sk_idle.c tells why no wake-up is lost.
 * Life       init; start; stop (from any thread); join; fini.
 * Threads    ready, stop: [any]. The rest as marked.
 */
#ifndef SK_SCHEDULER_H
#define SK_SCHEDULER_H

#include "sk_worker.h"

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

/* Ends a turn, which took until worker->turn_end_ticks: lets the mailbox rest, or puts it behind
 * the others if there is more mail.  [worker] */
void sk_scheduler_end_turn(struct sk_worker *worker, struct sk_mailbox *box);

#endif
