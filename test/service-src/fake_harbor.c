/* fake_harbor.c: the harbor of a node without a network, for tests written in Lua. What comes for
 * other nodes it keeps, in order, until the test says what becomes of it. It takes requests of type
 * text, and answers each:
 *   node ID STATE [REASON]  skynet_harbor_node
 *   list                    answered with what is kept, a line each: "KIND TYPE TO SIZE"
 *   answer                  the first one gets an answer with its own bytes
 *   refuse TEXT             the first one gets an error
 *   die ID TEXT             all who have sent something are told that the node has died
 *   mailbox LIMIT           so many messages may wait for it, and senders wait for room
 *   auto                    from now on all that comes gets an answer at once
 */
#include "skynet.h"
#include "skynet_harbor.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct kept {
	struct kept *next;
	struct skynet_remote where;
	int type;
	int session;
	uint32_t source;
	size_t size;
	void *data;
};

struct fake_harbor {
	struct kept *first;
	struct kept **last;
	uint32_t senders[64]; /* handles, each once; more are not told of deaths */
	size_t sender_count;
	bool is_automatic;
};

SKYNET_API void *fake_harbor_create(void);
SKYNET_API int fake_harbor_init(void *instance, struct skynet_context *ctx, const char *parm);
SKYNET_API void fake_harbor_release(void *instance);

void *
fake_harbor_create(void)
{
	struct fake_harbor *harbor = skynet_calloc(1, sizeof *harbor);
	harbor->last = &harbor->first;
	return harbor;
}

static struct kept *
take_first(struct fake_harbor *harbor)
{
	struct kept *kept = harbor->first;
	if (!kept)
		return NULL;
	harbor->first = kept->next;
	if (!harbor->first)
		harbor->last = &harbor->first;
	return kept;
}

static void
free_kept(struct kept *kept)
{
	skynet_free(kept->data);
	skynet_free(kept);
}

void
fake_harbor_release(void *instance)
{
	struct fake_harbor *harbor = instance;
	struct kept *kept;
	while ((kept = take_first(harbor)))
		free_kept(kept);
	skynet_free(harbor);
}

/* --- what comes ----------------------------------------------------------------------------- */

static void
note_sender(struct fake_harbor *harbor, uint32_t source)
{
	for (size_t i = 0; i < harbor->sender_count; i++)
		if (harbor->senders[i] == source)
			return;
	if (harbor->sender_count < sizeof harbor->senders / sizeof harbor->senders[0])
		harbor->senders[harbor->sender_count++] = source;
}

static void
keep(struct fake_harbor *harbor, const struct kept *what)
{
	struct kept *kept = skynet_malloc(sizeof *kept);
	*kept = *what;
	*harbor->last = kept;
	harbor->last = &kept->next;
	note_sender(harbor, kept->source);
}

/* --- commands ------------------------------------------------------------------------------- */

static void
answer_first(struct skynet_context *ctx, struct fake_harbor *harbor)
{
	struct kept *kept = take_first(harbor);
	if (!kept)
		return;
	(void)skynet_send(ctx, kept->where.destination, kept->source, PTYPE_RESPONSE, kept->session,
			  kept->data, kept->size);
	free_kept(kept);
}

static void
refuse_first(struct skynet_context *ctx, struct fake_harbor *harbor, char *text)
{
	struct kept *kept = take_first(harbor);
	if (!kept)
		return;
	(void)skynet_send(ctx, kept->where.destination, kept->source, PTYPE_ERROR,
			  kept->session != 0 ? kept->session : SKYNET_SESSION_LOST, text,
			  strlen(text));
	free_kept(kept);
}

static void
die(struct skynet_context *ctx, struct fake_harbor *harbor, char *text)
{
	char *reason;
	uint32_t node = (uint32_t)strtoul(text, &reason, 10);
	reason += *reason == ' ';
	for (size_t i = 0; i < harbor->sender_count; i++)
		(void)skynet_send(ctx, node << 24, harbor->senders[i], PTYPE_ERROR, 0, reason,
				  strlen(reason));
}

static void
set_node(struct skynet_context *ctx, char *text)
{
	char *rest;
	int node = (int)strtol(text, &rest, 10);
	int state = (int)strtol(rest, &rest, 10);
	(void)skynet_harbor_node(ctx, node, state, *rest ? rest + 1 : NULL);
}

/* Returns a block that the caller frees. */
static char *
list_all(const struct fake_harbor *harbor)
{
	static const char *const kinds[] = {"message", "probe", "link", "unlink"};
	size_t size = 1;
	for (const struct kept *kept = harbor->first; kept; kept = kept->next)
		size += 64;
	char *text = skynet_calloc(size, 1);
	char *end = text;
	for (const struct kept *kept = harbor->first; kept; kept = kept->next) {
		end += snprintf(end, size - (size_t)(end - text), "%s%s %d :%08x %zu",
				end > text ? "\n" : "", kinds[kept->where.kind], kept->type,
				kept->where.destination, kept->size);
	}
	return text;
}

static char *
run(struct skynet_context *ctx, struct fake_harbor *harbor, char *command)
{
	size_t length = strcspn(command, " ");
	char *rest = command + length + (command[length] == ' ');
	if (strncmp(command, "list", length) == 0)
		return list_all(harbor);
	if (strncmp(command, "node", length) == 0)
		set_node(ctx, rest);
	else if (strncmp(command, "answer", length) == 0)
		answer_first(ctx, harbor);
	else if (strncmp(command, "refuse", length) == 0)
		refuse_first(ctx, harbor, rest);
	else if (strncmp(command, "die", length) == 0)
		die(ctx, harbor, rest);
	else if (strncmp(command, "mailbox", length) == 0)
		(void)skynet_mailbox(ctx, 0, (int)strtol(rest, NULL, 10), SKYNET_FULL_BLOCK);
	else if (strncmp(command, "auto", length) == 0)
		harbor->is_automatic = true;
	return skynet_strdup("");
}

static int
handle(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
       const void *msg, size_t sz)
{
	struct fake_harbor *harbor = ud;
	const struct skynet_remote *where = skynet_remote(ctx);
	if (where) {
		keep(harbor, &(struct kept){.where = *where,
					    .type = type,
					    .session = session,
					    .source = source,
					    .size = sz,
					    .data = (void *)(uintptr_t)msg});
		if (harbor->is_automatic)
			answer_first(ctx, harbor);
		return SKYNET_KEPT;
	}
	if (type != PTYPE_TEXT || sz == 0)
		return SKYNET_DONE;
	char *command = skynet_strdup(msg); /* a NUL stands behind what Lua sends */
	char *answer = run(ctx, harbor, command);
	(void)skynet_send(ctx, 0, source, PTYPE_RESPONSE | PTYPE_TAG_DONTCOPY, session, answer,
			  strlen(answer));
	skynet_free(command);
	return SKYNET_DONE;
}

int
fake_harbor_init(void *instance, struct skynet_context *ctx, const char *parm)
{
	(void)parm;
	skynet_callback(ctx, instance, handle);
	return skynet_harbor_start(ctx);
}
