/* sk_timeout.c: timers of services. A timer is the message it will become (sk_timer.h), so one
 * block serves from here to the callback.
 */
#include "sk_idle.h"
#include "sk_service.h"

#include <stdlib.h>

int
skynet_timeout(struct skynet_context *ctx, int64_t delay_ms, struct skynet_timer **timer)
{
	struct sk_core *core = ctx->core;
	int32_t session = sk_service_new_session(ctx);
	if (timer)
		*timer = NULL;
	if (delay_ms <= 0) {
		struct sk_message *message =
			sk_message_new(SK_MESSAGE_PLAIN, PTYPE_RESPONSE, 0, session, NULL, 0);
		(void)sk_post(core, ctx->handle, message); /* dying: nobody waits */
		return session;
	}
	struct sk_timer_entry *entry = skynet_malloc(sizeof *entry);
	*entry = (struct sk_timer_entry){
		.message = {.kind = SK_MESSAGE_TIMER, .type = PTYPE_RESPONSE, .session = session},
		.owner = ctx->handle,
	};
	if (timer)
		*timer = (struct skynet_timer *)entry;
	/* Rounded up: never early. */
	uint64_t now_ns = sk_scheduler_now_ns(&core->scheduler);
	uint64_t now_ms = (now_ns + SK_NS_PER_MS - 1) / SK_NS_PER_MS;
	sk_idle_add_timer(&core->scheduler, entry, now_ms + (uint64_t)delay_ms);
	return session;
}

int
skynet_timer_cancel(struct skynet_context *ctx, struct skynet_timer *timer)
{
	struct sk_timer_entry *entry = (struct sk_timer_entry *)timer;
	if (!sk_timer_cancel(ctx->core->scheduler.timer, entry))
		return 0;
	free(entry);
	return 1;
}
