/* sk_signals.h: the thread that acts on signals: stop the node, reload its files.
 *
 * Model      SIGINT and SIGTERM stop the node in good order; a second one, unless it comes with
 *            the first, ends the process at once, with status 128 + signal. SIGHUP reopens the log,
 *            and reads certificates again. Signals that come while the node starts are kept until
 *            it has.
 * Life       init before any other thread is started (they inherit the blocked signals); started;
 *            fini before the node is freed.
 * Threads    [boot]
 */
#ifndef SK_SIGNALS_H
#define SK_SIGNALS_H

#include "sk_base.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct sk_daemon;
struct sk_node;

struct sk_signals {
	/* Constant after init. */
	struct sk_node *node;
	const struct sk_daemon *daemon;
	sigset_t set;
	pthread_t thread;
	/* Under lock. */
	pthread_mutex_t lock;
	bool has_started;  /* the node runs */
	bool wants_reload; /* log and certificates, and it has not been done */
	bool is_over;	   /* the thread is to end */
	uint64_t stop_ms;  /* by sk_clock_ms: when a stop was asked for; 0: not yet */
};

/* Blocks the signals and starts the thread. node, daemon: borrowed until fini. Returns 0, or
 * SK_ESYSTEM with errno set. */
SK_MUST_CHECK int sk_signals_init(struct sk_signals *signals, struct sk_node *node,
				  const struct sk_daemon *daemon);
/* The node runs: from now on signals act, and those that came before act now. */
void sk_signals_started(struct sk_signals *signals);
/* Ends the thread. The signals stay blocked; a stop that has come until now is in stop_ms. */
void sk_signals_fini(struct sk_signals *signals);

#endif
