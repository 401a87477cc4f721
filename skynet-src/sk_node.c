/* sk_node.c: puts the parts of a node together, boots it, and takes it apart again.
 *
 * Boot order: environment, sockets, scheduler (threads not yet running), log service, bootstrap
 * service, threads. So nothing of a service runs before boot has succeeded, except the init
 * functions of those two, on the booting thread.
 * The reverse order frees it; by then all threads are joined, so nothing needs to be waited for.
 */
#include "sk_node.h"

#include "sk_clock.h"
#include "sk_faults.h"
#include "sk_groups.h"
#include "sk_log.h"
#include "sk_remote.h"
#include "sk_service.h"
#include "sk_simulation.h"
#include "sk_socket.h"
#include "sk_waiting.h"
#include "sk_watchdog.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* For a node without config file; sk_config has the same default. */
#define MAILBOX_WARNING 1024
/* What a Lua service takes as: raise an error. */
#define INTERRUPT_SIGNAL 0

/* --- what the layers call back ------------------------------------------------------------- */

static void
thread_begin(void *owner)
{
	sk_this_core = owner;
}

static void
socket_event(void *owner, uint64_t token, unsigned flags)
{
	struct sk_core *core = owner;
	sk_sockets_event(core->sockets, token, flags);
}

static void
worker_awake(void *owner)
{
	struct sk_node *node = owner; /* the core is its first member */
	sk_watchdog_notice(node->watchdog);
}

static void
message_stuck(void *owner, uint32_t handle, uint32_t source, uint64_t number)
{
	struct sk_core *core = owner;
	struct skynet_context *service = sk_registry_find(&core->registry, handle);
	if (service)
		atomic_store_explicit(&service->is_endless, true, memory_order_relaxed);
	sk_core_log(core, 0,
		    "error: A message from [ :%08x ] to [ :%08x ] maybe in an endless loop "
		    "(version = %d)",
		    source, handle, (int)number);
	if (!service)
		sk_service_interrupt_dying(core, handle);
	if (core->simulation && service) /* nothing else happens before this message ends */
		sk_service_signal(service, INTERRUPT_SIGNAL);
}

static void
last_service_gone(struct sk_core *core)
{
	struct sk_node *node = (struct sk_node *)core;
	(void)pthread_mutex_lock(&node->end_lock);
	node->has_ended = true;
	(void)pthread_cond_broadcast(&node->end_signal);
	(void)pthread_mutex_unlock(&node->end_lock);
}

/* --- building ------------------------------------------------------------------------------ */

static bool
has_sockets(void *owner)
{
	const struct sk_core *core = owner;
	return sk_sockets_count(core->sockets) > 0;
}

/* Tells the service that has set the alarm. */
static void
alarm_rings(void *owner, enum sk_alarm reason)
{
	static const char *const texts[] = {
		[SK_ALARM_LATE] = "late",
		[SK_ALARM_STUCK] = "stuck",
		[SK_ALARM_SLOW] = "slow",
	};
	struct sk_core *core = owner;
	const char *text = texts[reason];
	(void)sk_post(core, atomic_load(&core->alarm_owner),
		      sk_message_new(SK_MESSAGE_PLAIN, PTYPE_SYSTEM, 0, 0, skynet_strdup(text),
				     strlen(text)));
}

/* Has a seed decide what the node does, if the config says so. */
static void
make_simulated(struct sk_core *core, struct sk_scheduler_hooks *hooks)
{
	if (!sk_env_get(core->env, "simulate"))
		return;
	const struct sk_simulation_hooks simulation_hooks = {
		.owner = core,
		.has_sockets = has_sockets,
		.alarm = alarm_rings,
	};
	uint64_t seed = (uint64_t)sk_env_number(core->env, "simulate", 0);
	core->simulation = skynet_malloc(sizeof *core->simulation);
	sk_simulation_init(core->simulation, seed, &simulation_hooks);
	core->faults = sk_faults_new(core, seed);
	core->is_profiled = false; /* CPU time is real, and different each time */
	hooks->clock = &core->simulation->clock;
	hooks->run_worker = sk_simulation_run_worker;
	if (core->simulation->has_stack)
		hooks->thread_attributes = &core->simulation->thread_attributes;
	hooks->turn = sk_faults_turn;
	hooks->expired = sk_faults_expired;
}

static void
free_simulation(struct sk_core *core)
{
	if (!core->simulation)
		return;
	sk_simulation_fini(core->simulation);
	free(core->simulation);
}

static void
start_clock(struct sk_core *core)
{
	uint64_t wall_ns = core->simulation
				   ? sk_simulation_start_s(core->simulation) * SK_NS_PER_SECOND
				   : sk_clock_wall_ns();
	core->start_ns = sk_scheduler_now_ns(&core->scheduler);
	core->start_wall_s = wall_ns / SK_NS_PER_SECOND;
	core->start_wall_cs = wall_ns % SK_NS_PER_SECOND / SK_NS_PER_CS;
}

static int
init_parts(struct sk_node *node, char *error, size_t error_size)
{
	struct sk_core *core = &node->core;
	struct sk_scheduler_hooks hooks = {
		.owner = node,
		.thread_begin = thread_begin,
		.turn = sk_service_turn,
		.event = socket_event,
		.expired = sk_service_expired,
		.awake = worker_awake,
	};
	int node_id = (int)sk_env_number(core->env, "harbor", 0);
	int workers = (int)sk_env_number(core->env, "thread", 1);
	make_simulated(core, &hooks);
	if (core->simulation)
		workers = 1;
	if (sk_quiesce_init(&core->quiesce) != SK_OK)
		goto failed;
	node->has_quiesce = true;
	if (sk_registry_init(&core->registry, &core->quiesce, node_id, 1) != SK_OK)
		goto failed;
	node->has_registry = true;
	if (sk_names_init(&core->names, &core->quiesce) != SK_OK)
		goto failed;
	node->has_names = true;
	if (sk_names_init(&core->global_names, &core->quiesce) != SK_OK)
		goto failed;
	node->has_global_names = true;
	if (sk_scheduler_init(&core->scheduler, workers, &core->quiesce, &hooks) != SK_OK)
		goto failed;
	node->has_scheduler = true;
	start_clock(core);
	if (core->simulation) { /* one message a turn, however long it takes */
		core->scheduler.turn_limit_messages = 1;
		core->scheduler.turn_limit_ticks = INT64_MAX;
	}
	node->watchdog = sk_watchdog_new(&core->scheduler, message_stuck, core);
	if (!node->watchdog)
		goto failed;
	core->sockets = sk_sockets_new(core);
	if (!core->sockets)
		goto failed;
	core->modules = sk_modules_new(sk_env_get(core->env, "cpath"), error, error_size);
	return core->modules ? SK_OK : SK_EINVAL;

failed:
	(void)snprintf(error, error_size, "can't build a node with %d workers: %s", workers,
		       strerror(errno));
	return SK_ESYSTEM;
}

static int
mailbox_policy(struct sk_env *env)
{
	const char *name = sk_env_get(env, "mailboxpolicy");
	int policy = name ? sk_bound_policy(name) : SKYNET_FULL_ERROR;
	return policy >= 0 ? policy : SKYNET_FULL_ERROR; /* sk_config has checked it */
}

struct sk_node *
sk_node_new(struct sk_env *env, char *error, size_t error_size)
{
	struct sk_node *node = skynet_aligned_alloc(SK_CACHE_LINE, sizeof *node);
	*node = (struct sk_node){
		.core =
			{
				.env = env,
				.ended = last_service_gone,
				.log_sink = sk_log_line,
				.is_profiled = sk_env_boolean(env, "profile", true),
				.mailbox_warning = (uint32_t)sk_env_number(env, "mailboxwarning",
									   MAILBOX_WARNING),
				.mailbox_limit = (uint32_t)sk_env_number(env, "mailboxlimit", 0),
				.mailbox_policy = mailbox_policy(env),
				.socket_hooks =
					{
						.consumed = sk_sockets_consumed,
						.flush = sk_sockets_flush,
						.release_owner = sk_sockets_release_owner,
						.discard = sk_sockets_discard,
						.expired = sk_sockets_expired,
					},
			},
	};
	(void)pthread_mutex_init(&node->end_lock, NULL);
	(void)pthread_cond_init(&node->end_signal, NULL);
	(void)pthread_mutex_init(&node->core.signal_lock, NULL);
	(void)pthread_mutex_init(&node->core.dying_lock, NULL);
	node->core.groups = sk_groups_new();
	node->core.remotes = sk_remotes_new(&node->core.quiesce);
	node->core.waiting = sk_waiting_new();
	if (init_parts(node, error, error_size) != SK_OK) {
		sk_node_free(node);
		return NULL;
	}
	return node;
}

/* --- boot ---------------------------------------------------------------------------------- */

/* Lets a thread that is no worker use the node, between enter and leave. */
struct visit {
	struct sk_core *outer;
	int slot;
};

static struct visit
enter(struct sk_core *core)
{
	struct visit visit = {.outer = sk_this_core, .slot = sk_quiesce_join(&core->quiesce)};
	assert(visit.slot >= 0); /* there are slots to spare for signals and boot */
	sk_this_core = core;
	return visit;
}

static void
leave(struct sk_core *core, struct visit visit)
{
	sk_quiesce_leave(&core->quiesce, visit.slot);
	sk_this_core = visit.outer;
}

/* Services that retired, or never got a worker, answer their mail while all parts are there. */
static void
release_services(struct sk_core *core)
{
	struct visit visit = enter(core);
	sk_service_release_all(core);
	leave(core, visit);
	sk_this_core = core;
	sk_quiesce_reclaim(&core->quiesce);
	sk_this_core = visit.outer;
}

void
sk_node_free(struct sk_node *node)
{
	struct sk_core *core = &node->core;
	if (core->modules) /* the last part to be built, so all are there */
		release_services(core);
	if (core->sockets)
		sk_sockets_free(core->sockets);
	sk_watchdog_free(node->watchdog);
	sk_faults_free(core->faults);
	if (node->has_scheduler)
		sk_scheduler_fini(&core->scheduler);
	if (node->has_global_names)
		sk_names_fini(&core->global_names);
	if (node->has_names)
		sk_names_fini(&core->names);
	if (node->has_registry)
		sk_registry_fini(&core->registry);
	if (node->has_quiesce)
		sk_quiesce_fini(&core->quiesce);
	free_simulation(core);
	if (core->modules)
		sk_modules_free(core->modules);
	sk_env_free(core->env);
	(void)pthread_mutex_destroy(&core->signal_lock);
	(void)pthread_mutex_destroy(&core->dying_lock);
	sk_groups_free(core->groups);
	sk_remotes_free(core->remotes);
	sk_waiting_free(core->waiting);
	(void)pthread_cond_destroy(&node->end_signal);
	(void)pthread_mutex_destroy(&node->end_lock);
	free(node);
}

static int
launch_logger(struct sk_core *core, char *error, size_t error_size)
{
	const char *module = sk_env_get(core->env, "logservice");
	uint32_t handle = sk_service_launch(core, module, sk_env_get(core->env, "logger"));
	if (handle == 0) {
		(void)snprintf(error, error_size,
			       "Can't launch %s service (config keys logservice and logger)",
			       module);
		return SK_EINVAL;
	}
	atomic_store(&core->logger, handle);
	(void)sk_names_add(&core->names, "logger", handle);
	return SK_OK;
}

static int
launch_bootstrap(struct sk_core *core, char *error, size_t error_size)
{
	const char *command = sk_env_get(core->env, "bootstrap");
	char *name = skynet_strdup(command);
	char *arguments = name + strcspn(name, " \t");
	if (*arguments)
		*arguments++ = '\0';
	uint32_t handle = sk_service_launch(core, name, arguments);
	free(name);
	if (handle != 0)
		return SK_OK;
	(void)snprintf(error, error_size, "Bootstrap error : %s (config key bootstrap; see cpath)",
		       command);
	return SK_EINVAL;
}

static void
stop_threads(struct sk_node *node)
{
	struct sk_scheduler *scheduler = &node->core.scheduler;
	sk_scheduler_stop(scheduler);
	sk_scheduler_join(scheduler);
	sk_watchdog_stop(node->watchdog);
	sk_sockets_stop(node->core.sockets);
}

int
sk_node_start(struct sk_node *node, char *error, size_t error_size)
{
	struct sk_core *core = &node->core;
	struct visit visit = enter(core);
	int result = launch_logger(core, error, error_size);
	if (result == SK_OK)
		result = launch_bootstrap(core, error, error_size);
	leave(core, visit);
	atomic_store(&core->has_booted, result == SK_OK);
	if (sk_scheduler_start(&core->scheduler) != SK_OK ||
	    sk_watchdog_start(node->watchdog) != SK_OK) {
		(void)snprintf(error, error_size, "can't start the threads of %d workers: %s",
			       core->scheduler.worker_count, strerror(errno));
		stop_threads(node);
		return SK_ESYSTEM;
	}
	if (result == SK_OK)
		return SK_OK;
	/* What has been launched ends in order: the log, with the reason in it, last. */
	if (atomic_load(&core->living) > 0) {
		sk_node_stop(node);
		(void)sk_node_wait(node);
	} else {
		stop_threads(node);
	}
	return result;
}

int
sk_node_wait(struct sk_node *node)
{
	(void)pthread_mutex_lock(&node->end_lock);
	while (!node->has_ended)
		(void)pthread_cond_wait(&node->end_signal, &node->end_lock);
	(void)pthread_mutex_unlock(&node->end_lock);
	stop_threads(node);
	return atomic_load(&node->core.exit_status);
}

void
sk_node_stop(struct sk_node *node)
{
	struct visit visit = enter(&node->core);
	sk_service_kill_all(&node->core);
	leave(&node->core, visit);
}

void
sk_node_reopen_log(struct sk_node *node)
{
	struct sk_core *core = &node->core;
	struct visit visit = enter(core);
	(void)sk_post(core, atomic_load(&core->logger),
		      sk_message_new(SK_MESSAGE_PLAIN, PTYPE_SYSTEM, 0, 0, NULL, 0));
	leave(core, visit);
}

void
sk_node_reload_tls(struct sk_node *node)
{
	struct sk_core *core = &node->core;
	struct visit visit = enter(core);
	(void)sk_sockets_reload_tls(core->sockets); /* it has logged what failed */
	leave(core, visit);
}
