/* names.c: messages for global names that this node does not know yet: they wait until .cslave says
 * who has the name, or that nobody will.
 *
 * A name that was found stays here until the core knows it too, so that what comes by name in
 * between goes on in its order, behind what has waited. */
#include "harbor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Names that are waited for, and the bytes of the messages that wait. */
#define NAMES_MAX 1024
#define BYTES_MAX ((size_t)16 * 1024 * 1024)
/* What a message costs beside its bytes. */
#define MESSAGE_COST 64

struct waiting {
	struct waiting *next;
	struct harbor_frame head;
	void *payload;
	size_t size;
};

struct harbor_name {
	struct harbor_name *next;
	char text[SKYNET_REMOTE_NAME_MAX + 1];
	uint32_t handle; /* 0: not known */
	struct waiting *first;
	struct waiting **end;
};

static struct harbor_name **
find(struct harbor *harbor, const char *text)
{
	struct harbor_name **place = &harbor->names;
	while (*place != NULL && strcmp((*place)->text, text) != 0)
		place = &(*place)->next;
	return place;
}

static void
drop(struct harbor *harbor, struct harbor_name **place)
{
	struct harbor_name *name = *place;
	*place = name->next;
	harbor->name_count--;
	skynet_free(name);
}

/* Takes out the first message that waits; NULL: none. */
static struct waiting *
take_first(struct harbor *harbor, struct harbor_name *name)
{
	struct waiting *first = name->first;
	if (first == NULL)
		return NULL;
	name->first = first->next;
	if (name->first == NULL)
		name->end = &name->first;
	harbor->name_bytes -= first->size + MESSAGE_COST;
	return first;
}

static void
refuse(struct harbor *harbor, const struct harbor_frame *head, const char *text, const char *reason)
{
	harbor_refuse(harbor, skynet_current_handle(), head->source, head->type, head->session,
		      false, "no service has the global name %s: %s", text, reason);
}

/* Sends a message on to who has the name. The source of a request learns whom it has asked. */
static void
send_on(struct harbor *harbor, struct harbor_frame *head, uint32_t handle, void *payload,
	size_t size)
{
	head->destination = handle;
	if (head->session != 0 && head->type != PTYPE_RESPONSE && head->type != PTYPE_ERROR)
		(void)skynet_send(harbor->ctx, handle, head->source, PTYPE_HARBOR, head->session,
				  NULL, 0);
	harbor_route(harbor, head, payload, size);
}

static void
wait(struct harbor *harbor, struct harbor_name *name, const struct harbor_frame *head,
     void *payload, size_t size)
{
	struct waiting *waiting = skynet_malloc(sizeof *waiting);
	*waiting = (struct waiting){.head = *head, .payload = payload, .size = size};
	*name->end = waiting;
	name->end = &waiting->next;
	harbor->name_bytes += size + MESSAGE_COST;
}

static struct harbor_name *
add(struct harbor *harbor, const char *text)
{
	struct harbor_name *name = skynet_calloc(1, sizeof *name);
	(void)snprintf(name->text, sizeof name->text, "%s", text);
	name->end = &name->first;
	name->next = harbor->names;
	harbor->names = name;
	harbor->name_count++;
	harbor_tell(harbor, "query %s", text);
	return name;
}

/* What the core knows by now; 0: nothing. */
static uint32_t
known_handle(struct harbor *harbor, const char *text)
{
	const char *address = skynet_command(harbor->ctx, "GLOBALNAME", text);
	return address != NULL && address[0] == ':' ? (uint32_t)strtoul(address + 1, NULL, 16) : 0;
}

/* Forgets the names that the core knows by now, so that those that wait have their places. */
static void
forget_known(struct harbor *harbor)
{
	struct harbor_name **place = &harbor->names;
	while (*place != NULL) {
		if ((*place)->first == NULL && known_handle(harbor, (*place)->text) != 0)
			drop(harbor, place);
		else
			place = &(*place)->next;
	}
}

void
harbor_names_send(struct harbor *harbor, const char *text, struct harbor_frame *head, void *payload,
		  size_t size)
{
	struct harbor_name **place = find(harbor, text);
	uint32_t handle = known_handle(harbor, text);
	if (*place != NULL && (*place)->first != NULL)
		handle = 0; /* behind what waits already */
	else if (*place != NULL && handle == 0)
		handle = (*place)->handle;
	else if (*place != NULL)
		drop(harbor, place); /* the core knows it: the next is another's */
	if (handle != 0) {
		send_on(harbor, head, handle, payload, size);
		return;
	}
	if (*place == NULL && harbor->name_count == NAMES_MAX) {
		forget_known(harbor);
		place = find(harbor, text);
	}
	if ((*place == NULL && harbor->name_count == NAMES_MAX) ||
	    harbor->name_bytes + size + MESSAGE_COST > BYTES_MAX) {
		refuse(harbor, head, text, "too many messages wait for names");
		skynet_free(payload);
		return;
	}
	wait(harbor, *place != NULL ? *place : add(harbor, text), head, payload, size);
}

void
harbor_names_found(struct harbor *harbor, const char *text, uint32_t handle)
{
	struct harbor_name **place = find(harbor, text);
	struct waiting *waiting;
	if (*place == NULL)
		return;
	(*place)->handle = handle;
	if (handle == 0) {
		if ((*place)->first == NULL)
			drop(harbor, place);
		return;
	}
	while ((waiting = take_first(harbor, *place)) != NULL) {
		send_on(harbor, &waiting->head, handle, waiting->payload, waiting->size);
		skynet_free(waiting);
	}
}

void
harbor_names_fail(struct harbor *harbor, const char *text, const char *reason)
{
	struct harbor_name **place = find(harbor, text);
	struct waiting *waiting;
	if (*place == NULL)
		return;
	while ((waiting = take_first(harbor, *place)) != NULL) {
		refuse(harbor, &waiting->head, text, reason);
		skynet_free(waiting->payload);
		skynet_free(waiting);
	}
	drop(harbor, place);
}

void
harbor_names_fini(struct harbor *harbor)
{
	while (harbor->names != NULL)
		harbor_names_fail(harbor, harbor->names->text, "the harbor of this node has ended");
}
