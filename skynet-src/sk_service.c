/* sk_service.c: the life of a service. What it does while it is alive, its turns, is sk_turn.c.
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

#include "sk_harbor.h"
#include "sk_memory.h"
#include "sk_record.h"
#include "sk_remote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How a service is called in an error, at most. */
#define DESCRIPTION_BYTES 80
/* The instance of a module without a create function. */
#define NO_INSTANCE ((void *)(intptr_t)-1)

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
		sk_post_error(core, message->source, sk_remote_refuser(service, message), session,
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

bool
sk_service_is_ending(struct sk_core *core, uint32_t handle)
{
	return find_dying(core, handle) != NULL;
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

void
sk_service_last_turn(struct skynet_context *service)
{
	struct sk_core *core = service->core;
	struct skynet_context *outer = sk_this_service;
	sk_service_set_running(service);
	release_instance(service);
	forget_dying(service);
	refuse_all(service); /* V6 */
	if (atomic_load_explicit(&service->owns_sockets, memory_order_relaxed))
		core->socket_hooks.release_owner(core->sockets, service->handle);
	tell_links(service);
	/* Acquire pairs with the exchange in LOGON. */
	sk_record_close(core, service->handle,
			atomic_exchange_explicit(&service->record, NULL, memory_order_acq_rel));
	sk_service_set_running(outer);
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
	sk_names_remove(&core->names, handle);
	sk_names_remove(&core->global_names, handle);
	sk_harbor_ended(core, handle);
	uint32_t monitor = atomic_load(&core->monitor);
	if (monitor != 0 && !atomic_load(&core->is_aborting))
		sk_post_empty(core, monitor, PTYPE_CLIENT, handle, 0);
	/* Release pairs with the acquire in is_dying. */
	atomic_store_explicit(&service->is_dying, true, memory_order_release);
	sk_post_push(service, nudge);  /* V3 */
	sk_memory_disown_since(bytes); /* what was allocated goes with the service that ends */
	return SK_OK;
}

void
sk_service_kill_all(struct sk_core *core)
{
	uint32_t logger = atomic_load(&core->logger);
	uint32_t handle = 0;
	atomic_store(&core->is_aborting, true);
	while ((handle = sk_registry_next(&core->registry, handle)) != 0)
		if (handle != logger)
			(void)sk_service_kill(core, handle, SK_SERVICE_NODE_ENDS);
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
		if (sk_service_kill(core, handle, SK_SERVICE_NODE_ENDS) == SK_OK)
			sk_service_last_turn(service);
	}
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

/* Gives birth to a registered service: charges it for what its init allocates, logs, lets it
 * run. */
static bool
bear(struct skynet_context *service, const char *name, const char *parm)
{
	struct sk_core *core = service->core;
	struct skynet_context *launcher = sk_this_service;
	sk_service_set_running(service);
	sk_context_open_account(service);
	/* A stopping node may have looked through the registry before this service was in it; then
	 * it had set the flag before. */
	bool lives = !atomic_load(&core->is_aborting) && init_instance(service, parm) &&
		     !sk_service_is_dying(service);
	sk_context_settle(service);
	sk_service_set_running(launcher);
	if (!lives) {
		sk_core_log(core, service->handle, "error: launch %s FAILED", name);
		return false;
	}
	if (atomic_load(&core->logger) != 0) /* not for the log service itself */
		sk_core_log(core, service->handle, "LAUNCH %s %s", name, parm ? parm : "");
	return true;
}

static uint32_t
launch(struct sk_core *core, const char *name, const char *parm)
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
	sk_context_charge(service, sk_memory_thread_bytes() - bytes);
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
	if (!bear(service, name, parm)) {
		/* V2: or somebody else did, just now */
		(void)sk_service_kill(core, handle, "it could not be launched and has ended");
		sk_service_last_turn(service);
		return 0;
	}
	if (!sk_mailbox_rest(&service->mailbox)) /* V1: ends the launcher's hold */
		sk_scheduler_ready(&core->scheduler, &service->mailbox);
	return handle;
}

uint32_t
sk_service_launch(struct sk_core *core, const char *name, const char *parm)
{
	int64_t bytes = sk_memory_thread_bytes();
	uint32_t handle = launch(core, name, parm);
	sk_memory_disown_since(bytes); /* it is the new service's, or the core's */
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
	return sk_service_is_dying(service) ? service->end_reason : NULL;
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
