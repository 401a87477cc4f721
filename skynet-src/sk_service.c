/* sk_service.c: the life of a service.
 *
 *   BORN --init returned 0--> ALIVE --kill--> DYING --last turn--> RETIRED --grace period--> freed
 *     \------ init failed, or killed meanwhile -----^
 *
 * V1  The launcher's thread holds the mailbox (sk_mailbox.c) while BORN; after that whoever runs
 *     the turn. So init, the callback and release never run at the same time.
 * V2  Exactly one party ends a service: the one to whom sk_registry_remove gives it.
 * V3  After is_dying is set, a nudge is pushed, so a turn follows that sees it. That turn is the
 *     last: it never lets go of the mailbox, so nobody can schedule the service again.
 * V4  Mail that arrives after the last turn, from a sender that had found the service before, is
 *     answered when the service is freed: by then no sender can hold a pointer to it.
 * V5  Each message a service never handled is answered with PTYPE_ERROR, so no caller waits for it;
 *     its text says who has ended, and why.
 * V6  A timer that fires stays valid until its owner has handled it, or its instance is released:
 *     it goes to the owner's mailbox even when that is dying. So owners may cancel timers to the
 *     last.
 */
#include "sk_service.h"

#include "sk_clock.h"
#include "sk_forward.h"
#include "sk_memory.h"
#include "sk_packet.h"
#include "sk_record.h"
#include "sk_remote.h"
#include "skynet_socket.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How a service is called in an error, at most. */
#define DESCRIPTION_BYTES 80
/* The instance of a module without a create function. */
#define NO_INSTANCE ((void *)(intptr_t)-1)

/* What runs on this thread now is this service's work, and charged to it. NULL: nobody's. */
static void
set_running(struct skynet_context *service)
{
	sk_this_service = service;
	sk_memory_owner = service ? service->handle : 0;
}

static bool
is_dying(const struct skynet_context *service)
{
	/* Acquire pairs with the release in sk_service_kill. */
	return atomic_load_explicit(&service->is_dying, memory_order_acquire);
}

/* --- messages ------------------------------------------------------------------------------ */

/* A service whose last turn has not released its instance yet. */
static struct skynet_context *
find_dying(struct sk_core *core, uint32_t handle)
{
	(void)pthread_mutex_lock(&core->dying_lock);
	struct skynet_context *service = core->dying;
	while (service && service->handle != handle)
		service = service->next_dying;
	(void)pthread_mutex_unlock(&core->dying_lock);
	return service; /* stays valid while this thread is online, as what the registry finds */
}

void
sk_service_expired(void *owner, struct sk_timer_entry *list)
{
	struct sk_core *core = owner;
	while (list) {
		struct sk_message *message = &list->message;
		uint32_t handle = list->owner;
		list = (struct sk_timer_entry *)message->next;
		if (SK_UNLIKELY(message->kind == SK_MESSAGE_SOCKET_TIMER)) {
			core->socket_hooks.expired(core->sockets, (struct sk_timer_entry *)message);
			continue;
		}
		struct skynet_context *service = sk_registry_find(&core->registry, handle);
		if (SK_UNLIKELY(!service))
			service = find_dying(core, handle);
		if (SK_LIKELY(service))
			sk_post_push(service, message);
		else
			free(message); /* nobody knows the timer any more */
	}
}

/* Who does not take a message: the service, or the one of another node that it was for. */
static uint32_t
refuser(const struct skynet_context *service, const struct sk_message *message)
{
	uint32_t destination = 0; /* a name's owner is not known */
	if (SK_UNLIKELY(message->kind == SK_MESSAGE_REMOTE))
		destination = ((const struct sk_remote_message *)message)->where.destination;
	return destination != 0 ? destination : service->handle;
}

/* Answers a message that nobody will handle (V5), and frees it. */
static void
refuse(struct skynet_context *service, struct sk_message *message)
{
	struct sk_core *core = service->core;
	if (message->source != 0 && message->type != PTYPE_ERROR &&
	    message->kind != SK_MESSAGE_SHARED) { /* which was meant for many */
		/* The session of a response counts at our end, not at its sender's: tell that one
		 * only that we are gone. */
		int32_t session = message->type == PTYPE_RESPONSE ? 0 : message->session;
		sk_post_error(core, message->source, refuser(service, message), session,
			      "%s (:%08x): %s%s", service->description, service->handle,
			      service->end_reason, session ? " before it took the request" : "");
	}
	sk_post_discard(core, message);
}

static void
refuse_all(struct skynet_context *service)
{
	struct sk_message *message;
	while ((message = sk_mailbox_pop(&service->mailbox)))
		refuse(service, message);
}

/* --- the end of a service ------------------------------------------------------------------ */

static void
free_service(struct sk_retired *retired)
{
	struct skynet_context *service = SK_CONTAINER_OF(retired, struct skynet_context, retired);
	refuse_all(service); /* V4 */
	/* One that was begun when the last turn had looked already. */
	sk_record_close(service->core, service->handle, atomic_load(&service->record));
	free(service->end_reason);
	free(service->description);
	free(service);
}

static void
release_instance(struct skynet_context *service)
{
	struct sk_core *core = service->core;
	(void)pthread_mutex_lock(&core->signal_lock);
	bool has_instance = service->has_instance;
	service->has_instance = false;
	(void)pthread_mutex_unlock(&core->signal_lock);
	if (has_instance && service->module->release)
		service->module->release(service->instance);
}

/* Takes a service off the list of the dying. */
static void
forget_dying(struct skynet_context *service)
{
	struct sk_core *core = service->core;
	(void)pthread_mutex_lock(&core->dying_lock);
	*service->dying_link = service->next_dying;
	if (service->next_dying)
		service->next_dying->dying_link = service->dying_link;
	(void)pthread_mutex_unlock(&core->dying_lock);
}

void
sk_service_signal(struct skynet_context *service, int number)
{
	struct sk_core *core = service->core;
	if (!service->module->signal)
		return;
	(void)pthread_mutex_lock(&core->signal_lock);
	if (service->has_instance)
		service->module->signal(service->instance, number);
	(void)pthread_mutex_unlock(&core->signal_lock);
}

void
sk_service_interrupt_dying(struct sk_core *core, uint32_t handle)
{
	struct skynet_context *service = find_dying(core, handle);
	if (service)
		sk_service_signal(service, 0);
}

/* Ends the log service once it has written what was logged until now. */
static void
end_after_mail(struct sk_core *core, uint32_t logger)
{
	(void)sk_post(core, logger, sk_message_new(SK_MESSAGE_EXIT, 0, 0, 0, NULL, 0));
}

/* All services have ended by themselves, which no node is made for: most likely its start
 * failed. */
static void
end_deserted(struct sk_core *core, uint32_t logger)
{
	atomic_store(&core->exit_status, EXIT_FAILURE);
	sk_core_log(core, 0, "error: no service is left but the log service: the node ends");
	end_after_mail(core, logger);
}

/* One service less. When only the log service is left, it ends too: it was there for the last lines
 * of all others, and nobody is left who could start anything. */
static void
count_death(struct sk_core *core)
{
	int32_t left = atomic_fetch_sub(&core->living, 1) - 1;
	uint32_t logger = atomic_load(&core->logger);
	/* The one that is left may be another, when somebody has killed the log service. */
	bool is_logger_left = left == 1 && sk_registry_find(&core->registry, logger);
	if (left == 0)
		core->ended(core);
	else if (is_logger_left && atomic_load(&core->is_aborting))
		end_after_mail(core, logger);
	else if (is_logger_left && atomic_load(&core->has_booted))
		end_deserted(core, logger);
}

/* Tells those that are linked to the service; its handle and names are free by now. Links that it
 * had not taken out of its mailbox were refused with the rest. */
static void
tell_links(struct skynet_context *service)
{
	for (uint32_t i = 0; i < service->links.count; i++) {
		const struct sk_link *link = &service->links.list[i];
		sk_post_error(service->core, link->source, service->handle, link->session,
			      "%s (:%08x): %s", service->description, service->handle,
			      service->end_reason);
	}
	sk_links_fini(&service->links);
}

/* The caller holds the mailbox, and keeps it for ever (V3). */
static void
last_turn(struct skynet_context *service)
{
	struct sk_core *core = service->core;
	struct skynet_context *outer = sk_this_service;
	set_running(service);
	release_instance(service);
	forget_dying(service);
	refuse_all(service); /* V6 */
	if (atomic_load_explicit(&service->owns_sockets, memory_order_relaxed))
		core->socket_hooks.release_owner(core->sockets, service->handle);
	tell_links(service);
	/* Acquire pairs with the exchange in LOGON. */
	sk_record_close(core, service->handle,
			atomic_exchange_explicit(&service->record, NULL, memory_order_acq_rel));
	set_running(outer);
	sk_quiesce_retire(&core->quiesce, &service->retired, free_service);
	count_death(core);
}

/* Moves a service from the registry to the list of the dying (V6). */
static struct skynet_context *
take_life(struct sk_core *core, uint32_t handle, const char *reason)
{
	(void)pthread_mutex_lock(&core->dying_lock);
	struct skynet_context *service = sk_registry_remove(&core->registry, handle);
	if (service) {
		service->end_reason = skynet_strdup(reason);
		service->next_dying = core->dying;
		service->dying_link = &core->dying;
		if (core->dying)
			core->dying->dying_link = &service->next_dying;
		core->dying = service;
	}
	(void)pthread_mutex_unlock(&core->dying_lock);
	return service;
}

int
sk_service_kill(struct sk_core *core, uint32_t handle, const char *reason)
{
	int64_t bytes = sk_memory_thread_bytes();
	struct skynet_context *service = take_life(core, handle, reason);
	if (!service)
		return SK_ENOENT; /* V2 */
	struct sk_message *nudge = sk_message_new(SK_MESSAGE_NUDGE, 0, 0, 0, NULL, 0);
	if (sk_this_service) /* what is allocated here goes with the service that ends */
		sk_context_charge(sk_this_service, bytes - sk_memory_thread_bytes());
	sk_names_remove(&core->names, handle);
	sk_names_remove(&core->global_names, handle);
	sk_remote_ended(core, handle);
	uint32_t monitor = atomic_load(&core->monitor);
	if (monitor != 0 && !atomic_load(&core->is_aborting))
		sk_post_empty(core, monitor, PTYPE_CLIENT, handle, 0);
	/* Release pairs with the acquire in is_dying. */
	atomic_store_explicit(&service->is_dying, true, memory_order_release);
	sk_post_push(service, nudge); /* V3 */
	return SK_OK;
}

static const char node_ends[] = "it has ended with its node";

void
sk_service_kill_all(struct sk_core *core)
{
	uint32_t logger = atomic_load(&core->logger);
	uint32_t handle = 0;
	atomic_store(&core->is_aborting, true);
	while ((handle = sk_registry_next(&core->registry, handle)) != 0)
		if (handle != logger)
			(void)sk_service_kill(core, handle, node_ends);
	/* Nobody but the logger was there, so nobody's death ends it. */
	if (logger != 0 && atomic_load(&core->living) == 1)
		end_after_mail(core, logger);
}

void
sk_service_release_all(struct sk_core *core)
{
	uint32_t handle = 0;
	atomic_store(&core->is_aborting, true);
	atomic_store(&core->logger, 0); /* nobody's death ends it but this loop */
	while ((handle = sk_registry_next(&core->registry, handle)) != 0) {
		struct skynet_context *service = sk_registry_find(&core->registry, handle);
		if (sk_service_kill(core, handle, node_ends) == SK_OK)
			last_turn(service);
	}
}

/* --- turns --------------------------------------------------------------------------------- */

/* A service without a callback handles nothing, so nobody shall wait for its answer. */
static void
refuse_unheard(struct skynet_context *service, const struct sk_message *message)
{
	if (message->source != 0 && message->session != 0 && message->type != PTYPE_RESPONSE &&
	    message->type != PTYPE_ERROR)
		sk_post_error(service->core, message->source, refuser(service, message),
			      message->session, "%s (:%08x): it takes no messages",
			      service->description, service->handle);
}

static void
free_handled(struct sk_message *message, bool is_kept)
{
	if (SK_UNLIKELY(message->kind == SK_MESSAGE_SHARED))
		sk_packet_release_bytes(message->data);
	else if (!is_kept)
		free(message->data);
	free(message);
}

static void
deliver(struct skynet_context *service, struct sk_message *message)
{
	struct sk_core *core = service->core;
	bool is_socket = message->kind == SK_MESSAGE_SOCKET;
	int socket_id = is_socket ? ((struct skynet_socket_message *)message->data)->id : 0;
	/* Acquire pairs with the compare-and-swap in LOGON. */
	struct sk_record *record = atomic_load_explicit(&service->record, memory_order_acquire);
	if (SK_UNLIKELY(record))
		sk_record_message(record, core, message);
	service->message_count++;
	sk_context_charge(service, sk_post_weight_of(message));
	if (SK_UNLIKELY(!service->callback)) {
		refuse_unheard(service, message);
		sk_post_discard(core, message);
	} else {
		int kept = service->callback(service, service->callback_ud, message->type,
					     message->session, message->source, message->data,
					     message->size);
		if (SK_LIKELY(!service->forward_to))
			free_handled(message, kept != SKYNET_DONE);
		else if (sk_forward(service, message))
			return; /* its socket waits until the last receiver has handled it */
	}
	if (is_socket)
		core->socket_hooks.consumed(core->sockets, socket_id);
}

/* What was a message for the framework. On its way it was charged to nobody. */
static void
free_undelivered(struct skynet_context *service, struct sk_message *message)
{
	sk_context_charge(service, sk_post_weight_of(message));
	free(message);
}

static struct sk_link
link_of(const struct sk_message *message)
{
	return (struct sk_link){.source = message->source, .session = message->session};
}

static void
handle_message(struct skynet_context *service, struct sk_message *message)
{
	switch ((enum sk_message_kind)message->kind) {
	case SK_MESSAGE_PLAIN:
	case SK_MESSAGE_SOCKET:
	case SK_MESSAGE_TIMER:
	case SK_MESSAGE_JUDGED:
		deliver(service, message);
		break;
	case SK_MESSAGE_SHARED:
		service->has_packet = true;
		deliver(service, message);
		service->has_packet = false;
		break;
	case SK_MESSAGE_REMOTE:
		service->remote = &((struct sk_remote_message *)message)->where;
		deliver(service, message);
		service->remote = NULL;
		break;
	case SK_MESSAGE_PROBE:
		sk_post_empty(service->core, message->source, PTYPE_RESPONSE, service->handle,
			      message->session);
		free_undelivered(service, message);
		break;
	case SK_MESSAGE_LINK:
		sk_links_add(&service->links, &service->core->registry, link_of(message));
		free_undelivered(service, message);
		break;
	case SK_MESSAGE_UNLINK:
		sk_links_remove(&service->links, link_of(message));
		free_undelivered(service, message);
		break;
	case SK_MESSAGE_NUDGE:
		free(message);
		break;
	case SK_MESSAGE_EXIT:
		free(message);
		(void)sk_service_kill(service->core, service->handle, node_ends);
		break;
	case SK_MESSAGE_SOCKET_TIMER: /* never delivered */
		assert(false);
		break;
	}
}

/* When it is, for telling of overload: in a simulated node log lines follow virtual time. */
static uint64_t
overload_ticks(const struct sk_core *core, const struct sk_worker *worker)
{
	if (SK_LIKELY(!core->simulation))
		return worker->turn_end_ticks;
	return (uint64_t)((double)sk_scheduler_now_ns(&core->scheduler) / sk_clock_ns_per_tick);
}

/* Tells the log, and who in the service wants to know, of a mailbox that grows. */
static void
check_overload(struct skynet_context *service, uint64_t now_ticks)
{
	uint32_t length = sk_mailbox_length(&service->mailbox);
	if (SK_LIKELY(!sk_overload_begins(&service->overload, length, now_ticks)))
		return;
	sk_core_log(service->core, service->handle,
		    "error: May overload, message queue length = %u", length);
	if (service->overload.tell)
		service->overload.tell(service, service->overload.ud, length);
	service->forward_to = 0; /* no message was in hand */
}

/* Handles messages until there are none, the turn is over, or the service is dying. */
static void
handle_messages(struct skynet_context *service, struct sk_worker *worker)
{
	uint64_t limit_ticks = worker->turn_end_ticks + worker->scheduler->turn_limit_ticks;
	uint64_t number = atomic_load_explicit(&worker->message_number, memory_order_relaxed);
	for (int i = worker->scheduler->turn_limit_messages; i > 0; i--) {
		struct sk_message *message = sk_mailbox_pop(&service->mailbox);
		if (!message)
			return;
		atomic_store_explicit(&worker->running_source, message->source,
				      memory_order_relaxed);
		atomic_store_explicit(&worker->message_number, ++number, memory_order_relaxed);
		handle_message(service, message);
		uint64_t now_ticks = sk_clock_ticks();
		service->cpu_ticks += now_ticks - worker->turn_end_ticks;
		worker->turn_end_ticks = now_ticks;
		if (SK_UNLIKELY(is_dying(service)) || (int64_t)(now_ticks - limit_ticks) > 0)
			return;
	}
}

void
sk_service_turn(void *owner, struct sk_worker *worker, struct sk_mailbox *box)
{
	struct sk_core *core = owner;
	struct skynet_context *service = SK_CONTAINER_OF(box, struct skynet_context, mailbox);
	int64_t bytes = sk_memory_thread_bytes();
	set_running(service);
	atomic_store_explicit(&worker->running_handle, service->handle, memory_order_relaxed);
	if (SK_LIKELY(!is_dying(service))) {
		check_overload(service, overload_ticks(core, worker));
		handle_messages(service, worker);
	}
	set_running(NULL);
	sk_context_charge(service, sk_memory_thread_bytes() - bytes);
	bool is_last = SK_UNLIKELY(is_dying(service));
	if (is_last)
		last_turn(service);
	if (worker->dirty_sockets)
		core->socket_hooks.flush(core->sockets, worker);
	atomic_store_explicit(&worker->running_handle, 0, memory_order_relaxed);
	if (is_last) {
		worker->turn_end_ticks = sk_clock_ticks(); /* charge nobody for it */
		return;
	}
	sk_overload_ends(&service->overload, sk_mailbox_length(box), overload_ticks(core, worker));
	sk_scheduler_end_turn(worker, box);
}

/* --- the birth of a service ---------------------------------------------------------------- */

/* "MODULE PARM", as far as it is short and one line. */
static char *
describe(const char *name, const char *parm)
{
	char text[DESCRIPTION_BYTES];
	(void)snprintf(text, sizeof text, "%s%s%s", name, parm ? " " : "", parm ? parm : "");
	text[strcspn(text, "\r\n")] = '\0';
	return skynet_strdup(text);
}

static struct skynet_context *
new_service(struct sk_core *core, const struct sk_module *module, const char *name,
	    const char *parm)
{
	struct skynet_context *service =
		skynet_aligned_alloc(SK_CACHE_LINE, sizeof(struct skynet_context));
	*service = (struct skynet_context){
		.core = core, .module = module, .description = describe(name, parm)};
	sk_mailbox_init(&service->mailbox);
	atomic_init(&service->bound.limit, core->mailbox_limit);
	atomic_init(&service->bound.policy, (uint32_t)core->mailbox_policy);
	sk_overload_set(&service->overload, core->mailbox_warning);
	return service;
}

/* Runs create and init. Returns false when the service is not to live. */
static bool
init_instance(struct skynet_context *service, const char *parm)
{
	service->instance = service->module->create ? service->module->create() : NO_INSTANCE;
	if (!service->instance)
		return false;
	(void)pthread_mutex_lock(&service->core->signal_lock);
	service->has_instance = true;
	(void)pthread_mutex_unlock(&service->core->signal_lock);
	return service->module->init(service->instance, service, parm) == 0;
}

/* What the launcher has allocated for the service is the service's. */
static void
take_charge(struct skynet_context *service, struct skynet_context *launcher, int64_t bytes)
{
	sk_context_charge(service, bytes);
	if (launcher)
		sk_context_charge(launcher, -bytes);
}

/* Gives birth to a registered service: charges it for what its init allocates, logs, lets it
 * run. */
static bool
bear(struct skynet_context *service, const char *name, const char *parm)
{
	struct sk_core *core = service->core;
	struct skynet_context *launcher = sk_this_service;
	int64_t bytes = sk_memory_thread_bytes();
	set_running(service);
	/* A stopping node may have looked through the registry before this service was in it; then
	 * it had set the flag before. */
	bool lives = !atomic_load(&core->is_aborting) && init_instance(service, parm) &&
		     !is_dying(service);
	set_running(launcher);
	take_charge(service, launcher, sk_memory_thread_bytes() - bytes);
	if (!lives) {
		sk_core_log(core, service->handle, "error: launch %s FAILED", name);
		return false;
	}
	if (atomic_load(&core->logger) != 0) /* not for the log service itself */
		sk_core_log(core, service->handle, "LAUNCH %s %s", name, parm ? parm : "");
	return true;
}

uint32_t
sk_service_launch(struct sk_core *core, const char *name, const char *parm)
{
	char error[512];
	uint32_t caller = skynet_current_handle();
	if (atomic_load(&core->is_aborting))
		return 0;
	const struct sk_module *module = sk_modules_find(core->modules, name, error, sizeof error);
	if (!module) {
		sk_core_log(core, caller, "error: %s", error);
		return 0;
	}
	int64_t bytes = sk_memory_thread_bytes();
	struct skynet_context *service = new_service(core, module, name, parm);
	bytes = sk_memory_thread_bytes() - bytes;
	atomic_fetch_add(&core->living, 1);
	if (sk_registry_add(&core->registry, service, &service->handle) != SK_OK) {
		sk_core_log(core, caller, "error: launch %s FAILED: all 2^24-1 handles are in use",
			    name);
		free(service->description);
		free(service);
		count_death(core);
		return 0;
	}
	uint32_t handle = service->handle;
	take_charge(service, sk_this_service, bytes);
	if (!bear(service, name, parm)) {
		/* V2: or somebody else did, just now */
		(void)sk_service_kill(core, handle, "it could not be launched and has ended");
		last_turn(service);
		return 0;
	}
	if (!sk_mailbox_rest(&service->mailbox)) /* V1: ends the launcher's hold */
		sk_scheduler_ready(&core->scheduler, &service->mailbox);
	return handle;
}

/* --- small things -------------------------------------------------------------------------- */

int32_t
sk_service_new_session(struct skynet_context *service)
{
	if (service->last_session == INT32_MAX)
		service->last_session = 0;
	return ++service->last_session;
}

const char *
sk_service_end_reason(const struct skynet_context *service)
{
	return is_dying(service) ? service->end_reason : NULL;
}

bool
sk_service_is_remote(const struct sk_core *core, uint32_t handle)
{
	return (handle & ~SK_HANDLE_MASK) != 0 &&
	       (handle & ~SK_HANDLE_MASK) != core->registry.node_bits;
}

uint32_t
sk_service_resolve(struct sk_core *core, const char *address)
{
	switch (address[0]) {
	case ':':
		return (uint32_t)strtoul(address + 1, NULL, 16);
	case '.':
		return sk_names_find(&core->names, address + 1, strlen(address + 1));
	default:
		return sk_names_find(&core->global_names, address, strlen(address));
	}
}
