/* sk_groups.c: which service is which group; see sk_groups.h. */
#include "sk_groups.h"

#include "sk_service.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 8
/* "multicast NUMBER", how a group is described, and "E HEX", what it is told, at most. */
#define TEXT_BYTES 32

struct group {
	int32_t number;
	uint32_t handle;
};

struct sk_groups {
	pthread_mutex_t lock;
	/* Under lock: sorted by number. */
	struct group *list;
	uint32_t count;
	uint32_t capacity;
};

struct sk_groups *
sk_groups_new(void)
{
	struct sk_groups *groups = skynet_calloc(1, sizeof *groups);
	(void)pthread_mutex_init(&groups->lock, NULL);
	return groups;
}

void
sk_groups_free(struct sk_groups *groups)
{
	(void)pthread_mutex_destroy(&groups->lock);
	free(groups->list);
	free(groups);
}

/* --- the table ------------------------------------------------------------------------------ */

/* Where the number is in the list, or has to go.  under lock */
static uint32_t
place_of(const struct sk_groups *groups, int32_t number)
{
	uint32_t low = 0, high = groups->count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (groups->list[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The group's entry, or NULL.  under lock */
static struct group *
find(const struct sk_groups *groups, int32_t number)
{
	uint32_t place = place_of(groups, number);
	bool is_there = place < groups->count && groups->list[place].number == number;
	return is_there ? &groups->list[place] : NULL;
}

/* A new entry, whose number must not be there yet.  under lock */
static struct group *
insert(struct sk_groups *groups, int32_t number)
{
	uint32_t place = place_of(groups, number);
	if (groups->count == groups->capacity) {
		int64_t bytes = sk_memory_thread_bytes();
		groups->capacity = groups->capacity ? groups->capacity * 2 : FIRST_CAPACITY;
		groups->list =
			skynet_realloc(groups->list, groups->capacity * sizeof *groups->list);
		sk_memory_disown_since(bytes);
	}
	struct group *entry = &groups->list[place];
	memmove(entry + 1, entry, (groups->count++ - place) * sizeof *entry);
	*entry = (struct group){.number = number};
	return entry;
}

/* Whether the group's service lives. The handle of one that was killed may be another's by now. */
static bool
is_alive(struct sk_core *core, const struct group *group)
{
	char text[TEXT_BYTES];
	const struct skynet_context *service = sk_registry_find(&core->registry, group->handle);
	(void)snprintf(text, sizeof text, "multicast %" PRId32, group->number);
	return service && strcmp(service->description, text) == 0;
}

static uint32_t
look_up(struct sk_core *core, int32_t number)
{
	struct sk_groups *groups = core->groups;
	(void)pthread_mutex_lock(&groups->lock);
	const struct group *group = find(groups, number);
	uint32_t handle = group && is_alive(core, group) ? group->handle : 0;
	(void)pthread_mutex_unlock(&groups->lock);
	return handle;
}

/* Notes a new group, unless somebody else has made one meanwhile. Returns the one that counts. */
static uint32_t
note(struct sk_core *core, int32_t number, uint32_t handle)
{
	struct sk_groups *groups = core->groups;
	(void)pthread_mutex_lock(&groups->lock);
	struct group *group = find(groups, number);
	if (!group)
		group = insert(groups, number);
	if (!is_alive(core, group))
		group->handle = handle;
	handle = group->handle;
	(void)pthread_mutex_unlock(&groups->lock);
	return handle;
}

static uint32_t
take_out(struct sk_core *core, int32_t number)
{
	struct sk_groups *groups = core->groups;
	uint32_t handle = 0;
	(void)pthread_mutex_lock(&groups->lock);
	struct group *group = find(groups, number);
	if (group) {
		handle = is_alive(core, group) ? group->handle : 0;
		size_t behind = (size_t)(groups->list + groups->count - (group + 1));
		memmove(group, group + 1, behind * sizeof *group);
		groups->count--;
	}
	(void)pthread_mutex_unlock(&groups->lock);
	return handle;
}

/* --- the command ---------------------------------------------------------------------------- */

/* No lock is held while the service is launched; of two who do so at once, the later ends what it
 * has made. */
uint32_t
sk_groups_query(struct skynet_context *ctx, int32_t number)
{
	struct sk_core *core = ctx->core;
	char parm[TEXT_BYTES];
	uint32_t handle = look_up(core, number);
	if (handle != 0)
		return handle;
	(void)snprintf(parm, sizeof parm, "%" PRId32, number);
	uint32_t made = sk_service_launch(core, "multicast", parm);
	if (made == 0)
		return 0;
	handle = note(core, number, made);
	if (handle != made)
		(void)sk_service_kill(core, made, "there is another group of its number");
	return handle;
}

/* Has the group do something (G2). One that is gone meanwhile has no members. */
static void tell(struct sk_core *core, uint32_t group, const char *format, ...) SK_PRINTF(3, 4);

static void
tell(struct sk_core *core, uint32_t group, const char *format, ...)
{
	char text[TEXT_BYTES];
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	(void)sk_post(core, group,
		      sk_message_new(SK_MESSAGE_PLAIN, PTYPE_SYSTEM, 0, 0, skynet_strdup(text),
				     strlen(text)));
}

void
sk_groups_enter(struct skynet_context *ctx, int32_t number, uint32_t handle)
{
	uint32_t group = sk_groups_query(ctx, number);
	if (group != 0)
		tell(ctx->core, group, "E %" PRIx32, handle);
}

void
sk_groups_leave(struct skynet_context *ctx, int32_t number, uint32_t handle)
{
	uint32_t group = look_up(ctx->core, number);
	if (group != 0)
		tell(ctx->core, group, "L %" PRIx32, handle);
	else
		skynet_error(ctx, "Try to remove a none exist handle : %" PRIx32, handle);
}

void
sk_groups_clear(struct skynet_context *ctx, int32_t number)
{
	uint32_t group = take_out(ctx->core, number);
	if (group != 0)
		tell(ctx->core, group, "C");
}
