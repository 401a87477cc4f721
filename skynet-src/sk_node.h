/* sk_node.h: one node: boot, stop, and everything that a daemon consists of in one struct.
 *
 * Life       sk_node_new (config loaded, nothing runs) -> sk_node_start (workers, log service,
 *            bootstrap service) -> sk_node_wait (until no service is left) -> sk_node_free.
 * Threads    [boot] where not marked.
 */
#ifndef SK_NODE_H
#define SK_NODE_H

#include "sk_base.h"
#include "sk_core.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct sk_watchdog;

struct sk_node {
	struct sk_core core; /* first: hooks get from it to the node */
	struct sk_watchdog *watchdog;
	/* How far building came, for free. */
	bool has_quiesce;
	bool has_registry;
	bool has_names;
	bool has_global_names;
	bool has_scheduler;
	/* Under end_lock. */
	pthread_mutex_t end_lock;
	pthread_cond_t end_signal;
	bool has_ended;
};

/* Builds a node from a loaded environment. env: taken, on failure too. Returns NULL, with one line
 * in error. */
struct sk_node *sk_node_new(struct sk_env *env, char *error, size_t error_size);
/* Frees everything. The node must not be running: never started, failed to start, or waited for. */
void sk_node_free(struct sk_node *node);

/* Starts the log service, the workers and the bootstrap service. Returns 0, or SK_EINVAL with one
 * line in error; the node has then been stopped and is only to be freed. */
SK_MUST_CHECK int sk_node_start(struct sk_node *node, char *error, size_t error_size);
/* Waits until no service is left, then joins the workers. Returns what the process should end with:
 * 0, or what a service asked for (command ABORT), or 1 when nothing but the log service was
 * left. */
int sk_node_wait(struct sk_node *node);

/* Ends all services, the log service last.  [any thread that is no worker] */
void sk_node_stop(struct sk_node *node);
/* Sends the log service an empty PTYPE_SYSTEM message: reopen the file.  [any thread but
 * workers] */
void sk_node_reopen_log(struct sk_node *node);
/* Reads the certificates and keys of TLS again, logging what cannot be used.  [any thread but
 * workers] */
void sk_node_reload_tls(struct sk_node *node);

#endif
