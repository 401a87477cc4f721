/* connection.c: watches descriptors that somebody else has opened, and passes on what comes.
 *
 * Launch     connection [COUNT]: room for so many descriptors at first; default 16. Its name is
 *            .connection.
 * Commands   (PTYPE_TEXT) ADD FD :address    what comes from FD goes to address
 *                         DEL FD             no more of that; FD is closed
 *            A command that comes as a request is answered: with an empty response, or an error.
 * Tells      PTYPE_CLIENT, session 0: the bytes of FD as they come, up to 64 KiB a message. An
 *            empty one when the stream has ended; FD is closed then.
 * Flow       C1  While the receiver has not handled a chunk, a probe is on its way to it; what
 *                comes meanwhile is passed on too, but then the descriptor rests until the probe
 *                returns. So about three chunks of a descriptor wait for a slow receiver, no
 *                more.
 *            C2  A chunk that the receiver's full mailbox makes wait is kept as `held`; the
 *                descriptor rests.
 *            A receiver that has ended, or whose mailbox drops things, ends the watch: the rest of
 *            such a stream is of no use.
 * Ownership  FD belongs to this service from ADD on. When the service ends, the descriptors it has
 *            stay open, unwatched.
 * Threads    [turn], as every service. */
#include "skynet.h"
#include "skynet_socket.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUCKETS_DEFAULT 16
#define BUCKETS_MAX (1 << 20)
#define COMMAND_BYTES_MAX 63 /* no right one is so long */

/* What skynet_send returns for a mailbox whose senders shall wait. */
#define SENT_WAIT (-4)
/* The node in a handle. */
#define NODE_MASK UINT32_C(0xff000000)

/* What a watch is found by. */
enum key { KEY_ID, KEY_FD, KEY_SESSION, KEY_COUNT };

struct watch {
	uint32_t receiver;
	int keys[KEY_COUNT]; /* socket id; descriptor; session of the probe on its way, 0: none */
	struct watch *next[KEY_COUNT]; /* in the bucket of that key */
	char *held;		       /* C2: malloc-ed, or NULL */
	size_t held_size;
	bool is_resting;
	bool has_ended; /* the stream; told when nothing is held any more */
};

struct connection {
	struct skynet_context *ctx;
	struct watch **buckets[KEY_COUNT];
	size_t bucket_count;
	size_t count;
};

SKYNET_API struct connection *connection_create(void);
SKYNET_API void connection_release(struct connection *service);
SKYNET_API int connection_init(struct connection *service, struct skynet_context *ctx,
			       const char *parm);

/* --- the table ----------------------------------------------------------------------------- */

static struct watch **
bucket_of(struct connection *service, enum key key, int value)
{
	return &service->buckets[key][(unsigned)value % service->bucket_count];
}

static struct watch *
find(struct connection *service, enum key key, int value)
{
	struct watch *watch = *bucket_of(service, key, value);
	while (watch && watch->keys[key] != value)
		watch = watch->next[key];
	return watch;
}

static void
link_key(struct connection *service, struct watch *watch, enum key key, int value)
{
	struct watch **bucket = bucket_of(service, key, value);
	watch->keys[key] = value;
	watch->next[key] = *bucket;
	*bucket = watch;
}

static void
unlink_key(struct connection *service, struct watch *watch, enum key key)
{
	struct watch **link = bucket_of(service, key, watch->keys[key]);
	while (*link != watch)
		link = &(*link)->next[key];
	*link = watch->next[key];
	watch->keys[key] = 0;
}

static void
make_buckets(struct connection *service, size_t count)
{
	service->bucket_count = count;
	for (int key = 0; key < KEY_COUNT; key++)
		service->buckets[key] = skynet_calloc(count, sizeof *service->buckets[key]);
}

static void
double_buckets(struct connection *service)
{
	struct connection old = *service;
	make_buckets(service, old.bucket_count * 2);
	for (int key = 0; key < KEY_COUNT; key++) {
		for (size_t i = 0; i < old.bucket_count; i++) {
			struct watch *next;
			for (struct watch *watch = old.buckets[key][i]; watch; watch = next) {
				next = watch->next[key];
				link_key(service, watch, key, watch->keys[key]);
			}
		}
		skynet_free(old.buckets[key]);
	}
}

static void
add_watch(struct connection *service, int id, int fd, uint32_t receiver)
{
	if (service->count >= service->bucket_count && service->bucket_count < BUCKETS_MAX)
		double_buckets(service);
	struct watch *watch = skynet_calloc(1, sizeof *watch);
	watch->receiver = receiver;
	link_key(service, watch, KEY_ID, id);
	link_key(service, watch, KEY_FD, fd);
	service->count++;
}

/* Ends the watch, and closes the descriptor. */
static void
remove_watch(struct connection *service, struct watch *watch)
{
	int fd = watch->keys[KEY_FD];
	skynet_socket_close(service->ctx, watch->keys[KEY_ID]); /* it is unwatched on return */
	(void)close(fd); /* whatever it says, the descriptor is free */
	unlink_key(service, watch, KEY_ID);
	unlink_key(service, watch, KEY_FD);
	if (watch->keys[KEY_SESSION] != 0)
		unlink_key(service, watch, KEY_SESSION);
	free(watch->held);
	skynet_free(watch);
	service->count--;
}

/* --- passing on ---------------------------------------------------------------------------- */

/* Ends a watch that is of no use any more. */
static void
give_up(struct connection *service, struct watch *watch, const char *reason)
{
	skynet_error(service->ctx, "[connection] %d is closed: its receiver :%08x %s",
		     watch->keys[KEY_FD], watch->receiver, reason);
	remove_watch(service, watch);
}

/* Has the receiver tell when it has handled what waits in its mailbox now. Returns false when it
 * has ended: then the watch is gone. */
static bool
probe(struct connection *service, struct watch *watch)
{
	int session;
	if (watch->keys[KEY_SESSION] != 0)
		return true;
	do
		session = skynet_probe(service->ctx, watch->receiver);
	while (session >= 0 && find(service, KEY_SESSION, session)); /* wrapped around */
	if (session < 0) {
		give_up(service, watch, "has ended");
		return false;
	}
	link_key(service, watch, KEY_SESSION, session);
	return true;
}

static void
rest(struct connection *service, struct watch *watch)
{
	if (!watch->is_resting && !watch->has_ended)
		skynet_socket_pause(service->ctx, watch->keys[KEY_ID]);
	watch->is_resting = true;
}

/* block: taken. Returns false when the watch is gone. */
static bool
pass_on(struct connection *service, struct watch *watch, char *block, size_t size)
{
	bool is_waiting = watch->keys[KEY_SESSION] != 0;
	int sent = skynet_send(service->ctx, 0, watch->receiver, PTYPE_CLIENT | PTYPE_TAG_DONTCOPY,
			       0, block, size);
	if (sent == SENT_WAIT) {
		watch->held = block; /* C2 */
		watch->held_size = size;
	} else if (sent < 0) {
		give_up(service, watch, sent == -1 ? "has ended" : "has a full mailbox");
		return false;
	}
	if (is_waiting || watch->held)
		rest(service, watch); /* C1 */
	return probe(service, watch);
}

static void
end_stream(struct connection *service, struct watch *watch)
{
	watch->has_ended = true;
	if (watch->held)
		return;
	/* Who has ended wants no news. */
	(void)skynet_send(service->ctx, 0, watch->receiver, PTYPE_CLIENT, 0, NULL, 0);
	remove_watch(service, watch);
}

/* The receiver has handled what it had been sent when the probe left. */
static void
go_on(struct connection *service, struct watch *watch)
{
	char *held = watch->held;
	unlink_key(service, watch, KEY_SESSION);
	watch->held = NULL;
	if (held && (!pass_on(service, watch, held, watch->held_size) || watch->held))
		return;
	if (watch->has_ended) {
		end_stream(service, watch);
	} else if (watch->is_resting) {
		watch->is_resting = false;
		skynet_socket_start(service->ctx, watch->keys[KEY_ID]);
	}
}

static void
handle_event(struct connection *service, const struct skynet_socket_message *event, size_t size)
{
	struct watch *watch = find(service, KEY_ID, event->id);
	if (!watch) {
		free(event->buffer);
		return;
	}
	switch (event->type) {
	case SKYNET_SOCKET_TYPE_DATA:
		(void)pass_on(service, watch, event->buffer, (size_t)event->ud);
		break;
	case SKYNET_SOCKET_TYPE_ERROR:
		skynet_error(service->ctx, "[connection] error on %d: %.*s", watch->keys[KEY_FD],
			     (int)(size - sizeof *event), (const char *)(event + 1));
		end_stream(service, watch);
		break;
	case SKYNET_SOCKET_TYPE_CLOSE:
		end_stream(service, watch);
		break;
	default:
		break;
	}
}

/* --- commands ------------------------------------------------------------------------------ */

/* Reads a descriptor. Returns what follows it, or NULL. */
static const char *
read_fd(const char *text, int *fd)
{
	char *end;
	long value = strtol(text, &end, 10);
	if (end == text || value < 0 || value > INT_MAX)
		return NULL;
	*fd = (int)value;
	return end;
}

static bool
add(struct connection *service, const char *words)
{
	int fd, end = 0;
	char digits[9];
	const char *rest_of_words = read_fd(words, &fd);
	if (!rest_of_words || sscanf(rest_of_words, " :%8[0-9a-fA-F]%n", digits, &end) != 1 ||
	    rest_of_words[end] != '\0' || find(service, KEY_FD, fd))
		return false;
	uint32_t receiver = (uint32_t)strtoul(digits, NULL, 16);
	if (receiver == 0)
		return false;
	int id = skynet_socket_bind(service->ctx, fd);
	if (id < 0)
		return false; /* the reason is in the log */
	add_watch(service, id, fd, receiver);
	return true;
}

enum outcome { DONE, UNKNOWN_FD, INVALID };

static enum outcome
drop(struct connection *service, const char *words)
{
	int fd;
	const char *rest_of_words = read_fd(words, &fd);
	if (!rest_of_words || *rest_of_words != '\0')
		return INVALID;
	struct watch *watch = find(service, KEY_FD, fd);
	if (!watch) {
		skynet_error(service->ctx, "[connection] Delete invalid handle %d", fd);
		return UNKNOWN_FD;
	}
	remove_watch(service, watch);
	return DONE;
}

static void
answer(struct connection *service, uint32_t source, int session, const char *error)
{
	char text[96];
	if (session == 0 || source == 0)
		return;
	(void)snprintf(text, sizeof text, "connection (:%08x): %s", skynet_current_handle(),
		       error ? error : "");
	(void)skynet_send(service->ctx, 0, source, error ? PTYPE_ERROR : PTYPE_RESPONSE, session,
			  error ? text : NULL, error ? strlen(text) : 0);
}

static void
handle_command(struct connection *service, const char *words, size_t size, uint32_t source,
	       int session)
{
	char text[COMMAND_BYTES_MAX + 1] = "";
	const char *kind = "";
	enum outcome outcome = INVALID;
	if (size <= COMMAND_BYTES_MAX && size > 0)
		memcpy(text, words, size);
	if (strncmp(text, "ADD ", 4) == 0) {
		kind = "ADD ";
		outcome = add(service, text + 4) ? DONE : INVALID;
	} else if (strncmp(text, "DEL ", 4) == 0) {
		kind = "DEL ";
		outcome = drop(service, text + 4);
	}
	if (outcome == INVALID)
		skynet_error(service->ctx, "[connection] Invalid %scommand from %x (session = %d)",
			     kind, source, session);
	answer(service, source, session,
	       outcome == DONE ? NULL : "it cannot do this: the reason is in the log");
}

/* --- the service --------------------------------------------------------------------------- */

static void
probe_returned(struct connection *service, int session, bool has_failed)
{
	struct watch *watch = find(service, KEY_SESSION, session);
	if (!watch)
		return;
	if (has_failed)
		give_up(service, watch, "has ended");
	else
		go_on(service, watch);
}

/* No probe comes back from a node that is gone. */
static void
give_up_node(struct connection *service, uint32_t node)
{
	for (size_t i = 0; i < service->bucket_count; i++) {
		struct watch *next;
		for (struct watch *watch = service->buckets[KEY_SESSION][i]; watch; watch = next) {
			next = watch->next[KEY_SESSION];
			if ((watch->receiver & NODE_MASK) == node)
				give_up(service, watch, "was on a node that is gone");
		}
	}
}

static int
callback(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
	 const void *msg, size_t sz)
{
	struct connection *service = ud;
	(void)ctx;
	switch (type) {
	case PTYPE_TEXT:
		handle_command(service, msg, sz, source, session);
		break;
	case PTYPE_SOCKET:
		if (source == 0)
			handle_event(service, msg, sz);
		break;
	case PTYPE_RESPONSE:
	case PTYPE_ERROR:
		if (session != 0)
			probe_returned(service, session, type == PTYPE_ERROR);
		else if (type == PTYPE_ERROR && source != 0 && (source & NODE_MASK) == source)
			give_up_node(service, source);
		break;
	default:
		answer(service, source, session, "it knows text commands only");
	}
	return SKYNET_DONE;
}

struct connection *
connection_create(void)
{
	return skynet_calloc(1, sizeof(struct connection));
}

void
connection_release(struct connection *service)
{
	for (size_t i = 0; i < service->bucket_count; i++) {
		struct watch *next;
		for (struct watch *watch = service->buckets[KEY_ID][i]; watch; watch = next) {
			next = watch->next[KEY_ID];
			free(watch->held);
			skynet_free(watch);
		}
	}
	for (int key = 0; key < KEY_COUNT; key++)
		skynet_free(service->buckets[key]);
	skynet_free(service);
}

int
connection_init(struct connection *service, struct skynet_context *ctx, const char *parm)
{
	char *end = NULL;
	long count = parm ? strtol(parm, &end, 10) : 0;
	if (count < 0 || count > BUCKETS_MAX || (end && *end != '\0')) {
		skynet_error(ctx, "Invalid connection parm %s: a number from 0 to %d is needed",
			     parm, BUCKETS_MAX);
		return 1;
	}
	service->ctx = ctx;
	make_buckets(service, count > 0 ? (size_t)count : BUCKETS_DEFAULT);
	skynet_callback(ctx, service, callback);
	if (!skynet_command(ctx, "REG", ".connection"))
		return 1; /* there is one already: the reason is in the log */
	return 0;
}
