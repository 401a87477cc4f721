/* command.c: the commands in text: those of .cslave, who knows what nodes there are, and `stat`,
 * for everybody. Those of .cslave come as PTYPE_SYSTEM, which no flood of messages to other nodes
 * keeps out of the mailbox. */
#include "harbor.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND_BYTES 1024
#define STAT_LINE_BYTES 1024

struct request {
	struct harbor *harbor;
	int session;
	uint32_t source;
};

static void
answer(const struct request *request, int type, const char *text)
{
	if (request->session != 0 && request->source != 0)
		(void)skynet_send(request->harbor->ctx, 0, request->source, type, request->session,
				  (char *)(uintptr_t)text, strlen(text));
}

/* Says what is wrong with a command: to who wants an answer, or to the log. */
static void fail(const struct request *request, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void
fail(const struct request *request, const char *format, ...)
{
	char text[COMMAND_BYTES + 128];
	int size = snprintf(text, sizeof text, "harbor (:%08x): ", skynet_current_handle());
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(text + size, sizeof text - (size_t)size, format, arguments);
	va_end(arguments);
	if (request->session != 0)
		answer(request, PTYPE_ERROR, text);
	else
		skynet_error(request->harbor->ctx, "[harbor] From :%08x: %s", request->source,
			     text + size);
}

/* Cuts the next word off *rest; "" at the end. */
static char *
next_word(char **rest)
{
	char *word = *rest + strspn(*rest, " ");
	char *end = word + strcspn(word, " ");
	*rest = *end != '\0' ? end + 1 : end;
	*end = '\0';
	return word;
}

/* Reads the id of another node. Returns 0 after an answer. */
static int
read_node(const struct request *request, const char *word)
{
	char *end;
	long id = strtol(word, &end, 10);
	if (word[0] != '\0' && *end == '\0' && id > 0 && id < HARBOR_NODES &&
	    id != request->harbor->settings.id)
		return (int)id;
	fail(request, "%s is no id of another node (1 to 255)", word);
	return 0;
}

/* node ID HOST:PORT */
static bool
run_node(const struct request *request, char *rest)
{
	char host[HARBOR_HOST_MAX + 1];
	int port;
	int id = read_node(request, next_word(&rest));
	const char *address = next_word(&rest);
	if (id == 0)
		return false;
	if (!harbor_parse_address(address, host, &port) || port == 0) {
		fail(request, "%s is no address HOST:PORT of node %d", address, id);
		return false;
	}
	harbor_peer_join(request->harbor, id, host, port);
	return true;
}

/* Reads what tells a process from others with its id: up to 8 hexadecimal digits. Returns false
 * after an answer. */
static bool
read_process(const struct request *request, const char *word, uint32_t *process)
{
	size_t length = strlen(word);
	if (length == 0 || length > 8 || strspn(word, "0123456789abcdefABCDEF") < length) {
		fail(request, "%s is no process (1 to 8 hexadecimal digits)", word);
		return false;
	}
	*process = (uint32_t)strtoul(word, NULL, 16);
	return true;
}

/* self PROCESS: before the first node is told of */
static bool
run_self(const struct request *request, char *rest)
{
	return read_process(request, next_word(&rest), &request->harbor->settings.process);
}

/* gone ID PROCESS TEXT: that process is no member any more; 0: whichever it is */
static bool
run_gone(const struct request *request, char *rest)
{
	uint32_t process;
	int id = read_node(request, next_word(&rest));
	if (id == 0 || !read_process(request, next_word(&rest), &process))
		return false;
	if (request->harbor->peers[id] != NULL)
		harbor_peer_leave(request->harbor->peers[id], process,
				  rest[0] != '\0' ? rest : "it has left");
	return true;
}

/* sync: answered when all commands before it have been carried out. */
static bool
run_sync(const struct request *request, char *rest)
{
	(void)request, (void)rest;
	return true;
}

/* --- stat ------------------------------------------------------------------------------------ */

static const char *
state_of(const struct harbor_peer *peer)
{
	if (!peer->is_member)
		return "gone";
	if (!peer->is_up)
		return peer->node_state == SKYNET_NODE_ABSENT ? "down" : "connecting";
	return peer->node_state == SKYNET_NODE_OPEN ? "up" : "full";
}

static void
write_stat(const struct harbor_peer *peer, char line[STAT_LINE_BYTES])
{
	const struct harbor_counters *c = &peer->counters;
	char address[HARBOR_ADDRESS_MAX + 1];
	harbor_write_address(address, peer->host, peer->port);
	(void)snprintf(line, STAT_LINE_BYTES,
		       "node=%d state=%s address=%s sent=%" PRIu64 " sent_bytes=%" PRIu64
		       " received=%" PRIu64 " received_bytes=%" PRIu64
		       " waiting_bytes=%zu over_bytes=%zu unacknowledged=%" PRIu64
		       " refused=%" PRIu64 " failed=%" PRIu64 " resent=%" PRIu64 " late=%" PRIu64
		       " dials=%" PRIu64 " refused_dials=%" PRIu64 " pipes=%" PRIu64
		       " lost=%" PRIu64 " broken=%" PRIu64 " full=%" PRIu64 " senders=%zu\n",
		       peer->id, state_of(peer), address, c->sent, c->sent_bytes, c->received,
		       c->received_bytes, peer->outbox.bytes, peer->late_bytes,
		       harbor_outbox_unacknowledged(&peer->outbox) + peer->outbox.pending_count,
		       c->refused, c->failed, c->resent, c->late, c->dials, c->refused_dials,
		       c->pipes, c->lost, c->broken, c->full, peer->sources.count);
}

static void
run_stat(const struct request *request)
{
	struct harbor *harbor = request->harbor;
	size_t capacity = STAT_LINE_BYTES, size, name_bytes;
	uint64_t refused_by_name;
	int names = skynet_harbor_names(harbor->ctx, &name_bytes, &refused_by_name);
	for (int id = 0; id < HARBOR_NODES; id++)
		capacity += harbor->peers[id] != NULL ? STAT_LINE_BYTES : 0;
	char *text = skynet_malloc(capacity);
	size = (size_t)snprintf(text, capacity,
				"node=%d state=self links=%zu names=%d name_bytes=%zu shaking=%d "
				"refused_connections=%" PRIu64 " crowded_out=%" PRIu64
				" refused_links=%" PRIu64 " refused_by_name=%" PRIu64 "\n",
				harbor->settings.id, harbor->proxies.count, names, name_bytes,
				harbor->shaking_count, harbor->refused_connections,
				harbor->strangers[HARBOR_REFUSED_BUSY], harbor->refused_proxies,
				refused_by_name);
	for (int id = 0; id < HARBOR_NODES; id++) {
		if (harbor->peers[id] == NULL)
			continue;
		write_stat(harbor->peers[id], text + size);
		size += strlen(text + size);
	}
	answer(request, PTYPE_RESPONSE, text);
	skynet_free(text);
}

/* --- */

static bool
run(const struct request *request, char *text)
{
	static const struct {
		const char *name;
		bool (*run)(const struct request *request, char *rest);
	} commands[] = {
		{"self", run_self},
		{"node", run_node},
		{"gone", run_gone},
		{"sync", run_sync},
	};
	char *rest = text;
	const char *name = next_word(&rest);
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		if (strcmp(name, commands[i].name) != 0)
			continue;
		if (request->source == request->harbor->settings.owner)
			return commands[i].run(request, rest);
		fail(request, "only .cslave (:%08x) may say %s", request->harbor->settings.owner,
		     name);
		return false;
	}
	fail(request, "unknown command %s: it knows self, node, gone, sync and stat", name);
	return false;
}

void
harbor_command(struct harbor *harbor, int session, uint32_t source, const char *text, size_t size)
{
	const struct request request = {harbor, session, source};
	char copy[COMMAND_BYTES];
	if (size >= sizeof copy) {
		fail(&request, "a command has at most %zu bytes", sizeof copy - 1);
		return;
	}
	memcpy(copy, text != NULL ? text : "", size);
	copy[size] = '\0';
	if (strcmp(copy, "stat") == 0)
		run_stat(&request);
	else if (run(&request, copy))
		answer(&request, PTYPE_RESPONSE, "");
}
