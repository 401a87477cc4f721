/* sk_faults.c: see sk_faults.h. */
#include "sk_faults.h"

#include "sk_idle.h"
#include "sk_random.h"
#include "sk_service.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* The generator that draws chances and delays is not the one that draws who runs next. */
#define RANDOM_STREAM 1
/* A longer delay is a mistake, and would overflow somewhere: a hundred years. */
#define DELAY_MS_MAX INT64_C(3155760000000)

struct rule {
	struct rule *next;
	struct skynet_fault fault;
	int number;
	int64_t count; /* of messages it has met */
};

/* A message that waits for its time. */
struct delayed {
	struct sk_timer_entry entry; /* first; its owner is 0, which is no service's handle */
	struct sk_message *message;
	uint32_t destination;
	struct delayed *next;
	struct delayed **link;
};

struct sk_faults {
	struct sk_core *core;
	struct sk_random random;
	struct rule *rules; /* in the order they were added */
	int last_number;
	struct delayed *delayed; /* I2 */
};

struct sk_faults *
sk_faults_new(struct sk_core *core, uint64_t seed)
{
	struct sk_faults *faults = skynet_calloc(1, sizeof *faults);
	faults->core = core;
	sk_random_init(&faults->random, seed, RANDOM_STREAM);
	return faults;
}

/* --- delayed messages ---------------------------------------------------------------------- */

static void
unlink_delayed(struct delayed *delayed)
{
	*delayed->link = delayed->next;
	if (delayed->next)
		delayed->next->link = delayed->link;
}

/* Takes the message out, and frees what it was wrapped in, which is in no timer any more. */
static struct sk_message *
unwrap(struct delayed *delayed)
{
	struct sk_message *message = delayed->message;
	unlink_delayed(delayed);
	free(delayed);
	return message;
}

static void
delay(struct sk_faults *faults, struct sk_message *message, uint32_t destination, int64_t delay_ms)
{
	struct sk_scheduler *scheduler = &faults->core->scheduler;
	struct delayed *delayed = skynet_malloc(sizeof *delayed);
	message->kind = SK_MESSAGE_JUDGED; /* I1 */
	*delayed = (struct delayed){
		.entry.message.kind = SK_MESSAGE_TIMER,
		.message = message,
		.destination = destination,
		.next = faults->delayed,
		.link = &faults->delayed,
	};
	if (delayed->next)
		delayed->next->link = &delayed->next;
	faults->delayed = delayed;
	uint64_t now_ms = sk_scheduler_now_ns(scheduler) / SK_NS_PER_MS;
	sk_idle_add_timer(scheduler, &delayed->entry, now_ms + (uint64_t)delay_ms);
}

static void
deliver(struct sk_faults *faults, struct delayed *delayed)
{
	struct sk_core *core = faults->core;
	uint32_t destination = delayed->destination;
	struct sk_message *message = unwrap(delayed);
	if (sk_registry_find(&core->registry, destination)) {
		(void)sk_post(core, destination, message); /* found, so it is there */
		return;
	}
	if (message->type != PTYPE_ERROR) { /* I3 */
		/* The session of a response is none of its sender's. */
		int32_t session = message->type == PTYPE_RESPONSE ? 0 : message->session;
		(void)sk_post(core, message->source,
			      sk_message_new(SK_MESSAGE_PLAIN, PTYPE_ERROR, destination, session,
					     NULL, 0));
	}
	sk_post_discard(core, message);
}

void
sk_faults_expired(void *owner, struct sk_timer_entry *list)
{
	struct sk_core *core = owner;
	while (list) {
		struct sk_timer_entry *entry = list;
		list = (struct sk_timer_entry *)entry->message.next;
		entry->message.next = NULL;
		if (entry->owner == 0 && entry->message.kind != SK_MESSAGE_SOCKET_TIMER)
			deliver(core->faults, (struct delayed *)entry);
		else
			sk_service_expired(core, entry);
	}
}

static void
lose_delayed(struct sk_faults *faults)
{
	while (faults->delayed) {
		struct delayed *delayed = faults->delayed;
		(void)sk_timer_cancel(faults->core->scheduler.timer, &delayed->entry); /* I2 */
		sk_post_discard(faults->core, unwrap(delayed));
	}
}

/* --- judging ------------------------------------------------------------------------------- */

/* Services that have to be relied on: the log, and who looks after the test. */
static bool
is_spared(struct sk_core *core, uint32_t handle)
{
	return handle == atomic_load(&core->logger) || handle == atomic_load(&core->alarm_owner);
}

/* Whether rules are for this message: from one service to another. */
static bool
is_subject(const struct skynet_context *service, const struct sk_message *message)
{
	return message->kind == SK_MESSAGE_PLAIN && message->source != 0 &&
	       message->source != service->handle && !is_spared(service->core, service->handle) &&
	       !is_spared(service->core, message->source);
}

static bool
fits(const struct rule *rule, const struct skynet_context *service,
     const struct sk_message *message)
{
	const struct skynet_fault *fault = &rule->fault;
	return (fault->source == 0 || fault->source == message->source) &&
	       (fault->destination == 0 || fault->destination == service->handle) &&
	       (fault->type < 0 || fault->type == (int)message->type) &&
	       (fault->count_max == 0 || rule->count < fault->count_max);
}

/* Draws even where nothing is left to chance: a rule's chance may change from run to run, and what
 * is drawn after it should not. */
static bool
is_hit(struct sk_faults *faults, const struct rule *rule)
{
	double drawn = (double)(sk_random_next(&faults->random) >> 11) / (double)(1ULL << 53);
	return drawn < rule->fault.chance;
}

static struct rule *
judge(struct sk_faults *faults, const struct skynet_context *service,
      const struct sk_message *message)
{
	struct rule *rule = faults->rules;
	while (rule && !(fits(rule, service, message) && is_hit(faults, rule)))
		rule = rule->next;
	return rule;
}

static void
double_message(struct skynet_context *service, struct sk_message *message)
{
	void *data = NULL;
	if (message->data) {
		data = skynet_malloc((size_t)message->size + 1);
		memcpy(data, message->data, message->size);
		((char *)data)[message->size] = '\0';
	}
	struct sk_message *twin = sk_message_new(SK_MESSAGE_JUDGED, message->type, message->source,
						 message->session, data, message->size);
	message->kind = SK_MESSAGE_JUDGED;
	bool was_at_rest = sk_mailbox_push(&service->mailbox, twin);
	assert(!was_at_rest); /* this turn holds it */
	(void)was_at_rest;
}

static int64_t
draw_delay_ms(struct sk_faults *faults, const struct skynet_fault *fault)
{
	uint64_t span = (uint64_t)(fault->delay_max_ms - fault->delay_min_ms) + 1;
	return fault->delay_min_ms + (int64_t)(sk_random_next(&faults->random) % span);
}

/* Applies the rules to the message that comes next. Returns false when the service is to see
 * nothing in this turn. */
static bool
pass_message(struct sk_faults *faults, struct skynet_context *service)
{
	struct sk_message *message = sk_mailbox_peek(&service->mailbox);
	if (!message || !is_subject(service, message))
		return true;
	struct rule *rule = judge(faults, service, message);
	if (!rule)
		return true;
	rule->count++;
	switch (rule->fault.kind) {
	case SKYNET_FAULT_DROP:
		sk_post_discard(faults->core, sk_mailbox_pop(&service->mailbox));
		return false;
	case SKYNET_FAULT_DELAY:
		delay(faults, sk_mailbox_pop(&service->mailbox), service->handle,
		      draw_delay_ms(faults, &rule->fault));
		return false;
	case SKYNET_FAULT_DUPLICATE:
		double_message(service, message);
		return true;
	}
	return true;
}

void
sk_faults_turn(void *owner, struct sk_worker *worker, struct sk_mailbox *box)
{
	struct sk_core *core = owner;
	struct skynet_context *service = SK_CONTAINER_OF(box, struct skynet_context, mailbox);
	/* The mail of who is dying is answered with errors, all of it. */
	if (core->faults->rules &&
	    !atomic_load_explicit(&service->is_dying, memory_order_acquire) &&
	    !pass_message(core->faults, service)) {
		sk_scheduler_end_turn(worker, box);
		return;
	}
	sk_service_turn(core, worker, box);
}

/* --- rules --------------------------------------------------------------------------------- */

int
sk_faults_add(struct sk_faults *faults, const struct skynet_fault *fault)
{
	bool is_delay_sound =
		fault->kind != SKYNET_FAULT_DELAY ||
		(fault->delay_min_ms >= 0 && fault->delay_min_ms <= fault->delay_max_ms &&
		 fault->delay_max_ms <= DELAY_MS_MAX);
	if (!is_delay_sound || !(fault->chance >= 0 && fault->chance <= 1) ||
	    fault->count_max < 0 || fault->type > 255)
		return SK_EINVAL;
	struct rule **end = &faults->rules;
	while (*end)
		end = &(*end)->next;
	*end = skynet_malloc(sizeof **end);
	**end = (struct rule){.fault = *fault, .number = ++faults->last_number};
	return faults->last_number;
}

int64_t
sk_faults_count(const struct sk_faults *faults, int number)
{
	for (const struct rule *rule = faults->rules; rule; rule = rule->next)
		if (rule->number == number)
			return rule->count;
	return SK_ENOENT;
}

void
sk_faults_remove(struct sk_faults *faults, int number)
{
	struct rule **link = &faults->rules;
	while (*link) {
		struct rule *rule = *link;
		if (number != 0 && rule->number != number) {
			link = &rule->next;
			continue;
		}
		*link = rule->next;
		free(rule);
	}
	if (number == 0)
		lose_delayed(faults);
}

uint64_t
sk_faults_random(struct sk_faults *faults)
{
	return sk_random_next(&faults->random);
}

void
sk_faults_free(struct sk_faults *faults)
{
	if (!faults)
		return;
	sk_faults_remove(faults, 0);
	free(faults);
}
