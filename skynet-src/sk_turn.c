/* sk_turn.c: the turns of a service: what becomes of each message in its mailbox. sk_service.c has
 * the rest of its life, and the invariants V1 to V6.
 */
#include "sk_clock.h"
#include "sk_forward.h"
#include "sk_packet.h"
#include "sk_record.h"
#include "sk_remote.h"
#include "sk_service.h"
#include "skynet_socket.h"

#include <assert.h>
#include <stdlib.h>

/* A service without a callback handles nothing, so nobody shall wait for its answer. */
static void
refuse_unheard(struct skynet_context *service, const struct sk_message *message)
{
	if (message->source != 0 && message->session != 0 && message->type != PTYPE_RESPONSE &&
	    message->type != PTYPE_ERROR)
		sk_post_error(service->core, message->source, sk_remote_refuser(service, message),
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
		(void)sk_service_kill(service->core, service->handle, SK_SERVICE_NODE_ENDS);
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
		if (SK_UNLIKELY(sk_service_is_dying(service)) ||
		    (int64_t)(now_ticks - limit_ticks) > 0)
			return;
	}
}

void
sk_service_turn(void *owner, struct sk_worker *worker, struct sk_mailbox *box)
{
	struct sk_core *core = owner;
	struct skynet_context *service = SK_CONTAINER_OF(box, struct skynet_context, mailbox);
	sk_service_set_running(service);
	sk_context_open_account(service);
	atomic_store_explicit(&worker->running_handle, service->handle, memory_order_relaxed);
	if (SK_LIKELY(!sk_service_is_dying(service))) {
		check_overload(service, overload_ticks(core, worker));
		handle_messages(service, worker);
	}
	sk_context_settle(service);
	sk_service_set_running(NULL);
	bool is_last = SK_UNLIKELY(sk_service_is_dying(service));
	if (is_last)
		sk_service_last_turn(service);
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
