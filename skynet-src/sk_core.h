/* sk_core.h: what all services of a node share: the parts below the service layer, in one struct.
 *
 * Model      A node (sk_node.h) owns one; a service points to it. Nothing of it is global, so
 *            several nodes can live in one process. Layers that come after the service layer hand
 *            it functions here, so that nothing includes what stands below it.
 * Threads    fields as marked; the parts have rules of their own, see their headers.
 */
#ifndef SK_CORE_H
#define SK_CORE_H

#include "sk_base.h"
#include "sk_env.h"
#include "sk_module.h"
#include "sk_names.h"
#include "sk_quiesce.h"
#include "sk_registry.h"
#include "sk_scheduler.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct skynet_socket_message;
struct sk_faults;
struct sk_groups;
struct sk_remotes;
struct sk_simulation;
struct sk_sockets;
struct sk_waiting;

/* What the socket layer does for the service layer; see sk_socket.h. */
struct sk_core_socket_hooks {
	void (*consumed)(struct sk_sockets *sockets, int id);
	void (*flush)(struct sk_sockets *sockets, struct sk_worker *worker);
	void (*release_owner)(struct sk_sockets *sockets, uint32_t handle);
	void (*discard)(struct sk_sockets *sockets, struct skynet_socket_message *payload);
	void (*expired)(struct sk_sockets *sockets, struct sk_timer_entry *entry);
};

struct sk_core {
	/* Constant after boot. */
	struct sk_env *env;
	struct sk_modules *modules;
	struct sk_sockets *sockets;
	struct sk_core_socket_hooks socket_hooks;
	void (*ended)(struct sk_core *core); /* the last service has been released */
	/* Takes a line for the log service; see sk_core_log. text: taken. */
	void (*log_sink)(struct sk_core *core, uint32_t source, char *text, size_t size);
	uint64_t start_ns;	/* monotonic clock at start */
	uint64_t start_wall_s;	/* UTC seconds at start */
	uint64_t start_wall_cs; /* hundredths of that second */
	bool is_profiled;	/* count CPU time per service */
	/* What new services begin with; see sk_bound.h. */
	uint32_t mailbox_warning;
	uint32_t mailbox_limit;
	int mailbox_policy;
	struct sk_simulation *simulation; /* NULL, both: the node is not simulated */
	struct sk_faults *faults;
	/* Each with rules of its own. */
	struct sk_quiesce quiesce;
	struct sk_registry registry;
	struct sk_names names;
	struct sk_names global_names;
	struct sk_groups *groups;
	struct sk_remotes *remotes;
	struct sk_waiting *waiting; /* messages for global names that nobody has */
	struct sk_scheduler scheduler;
	/* Atomic. */
	_Atomic uint32_t monitor;     /* the exit monitor's handle, or 0 */
	_Atomic uint32_t logger;      /* the log service's handle, or 0 */
	_Atomic int32_t living;	      /* services not yet released */
	_Atomic bool has_booted;      /* from now on a node with nothing but its log service ends */
	_Atomic int exit_status;      /* what the process ends with */
	_Atomic bool is_aborting;     /* no service is launched any more */
	_Atomic uint32_t alarm_owner; /* handle of who has set the simulation's alarm */
	/* Held while a module's signal function runs, and when an instance stops being there. */
	pthread_mutex_t signal_lock;
	pthread_mutex_t dying_lock;
	/* Under dying_lock: services that are killed, and whose instance is not released yet. */
	struct skynet_context *dying;
};

/* The node that this thread works for, or NULL. Set by workers, the watchdog and boot. */
extern _Thread_local struct sk_core *sk_this_core;

/* Logs one line as if from the service at source (0: the framework).  [any, online] */
void sk_core_log(struct sk_core *core, uint32_t source, const char *format, ...) SK_PRINTF(3, 4);
void sk_core_vlog(struct sk_core *core, uint32_t source, const char *format, va_list arguments);

/* The node's monotonic clock, as a service reads it.  [any] */
uint64_t sk_core_now_ns(const struct sk_core *core);
/* The node's clock in hundredths of a second, see skynet_now.  [any] */
uint64_t sk_core_now_cs(const struct sk_core *core);

#endif
