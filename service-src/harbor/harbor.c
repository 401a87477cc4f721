/* harbor.c: the harbor: carries messages between this node and others. docs/links.md tells what it
 * promises, harbor.h how it is made.
 *
 * Threads    [turn], as every service. */
#include "harbor.h"

#include <stdio.h>

#define BACKLOG 256

SKYNET_API struct harbor *harbor_create(void);
SKYNET_API void harbor_release(struct harbor *harbor);
SKYNET_API int harbor_init(struct harbor *harbor, struct skynet_context *ctx, const char *parm);

struct harbor *
harbor_create(void)
{
	return skynet_calloc(1, sizeof(struct harbor));
}

static void
free_pipes(struct harbor *harbor)
{
	for (size_t i = 0; i < HARBOR_BUCKETS; i++) {
		while (harbor->buckets[i] != NULL)
			harbor_pipe_close(harbor, harbor->buckets[i]);
	}
}

void
harbor_release(struct harbor *harbor)
{
	if (harbor->ctx != NULL) {
		harbor->is_ending = true;
		harbor_send_all(harbor);
		harbor_peers_fini(harbor);
		free_pipes(harbor);
	}
	harbor_proxies_fini(&harbor->proxies);
	skynet_free(harbor);
}

/* --- messages of services -------------------------------------------------------------------- */

/* payload: taken. */
static void
route(struct harbor *harbor, const struct harbor_frame *head, void *payload, size_t size)
{
	uint32_t id = head->destination >> 24;
	struct harbor_peer *peer = harbor->peers[id];
	if (peer != NULL && peer->node_state != SKYNET_NODE_ABSENT) {
		harbor_send(peer, head, payload, size);
		return;
	}
	skynet_free(payload);
	harbor_refuse_absent(harbor, head);
}

static uint8_t
kind_of(const struct skynet_remote *remote)
{
	switch (remote->kind) {
	case SKYNET_REMOTE_PROBE:
		return HARBOR_FRAME_PROBE;
	case SKYNET_REMOTE_LINK:
		return HARBOR_FRAME_LINK;
	case SKYNET_REMOTE_UNLINK:
		return HARBOR_FRAME_UNLINK;
	default:
		return HARBOR_FRAME_MESSAGE;
	}
}

/* payload: taken. */
static void
on_remote(struct harbor *harbor, const struct skynet_remote *remote, int type, int session,
	  uint32_t source, void *payload, size_t size)
{
	struct harbor_frame head = {
		.kind = kind_of(remote),
		.source = source,
		.destination = remote->destination,
		.session = session,
	};
	if (head.kind == HARBOR_FRAME_MESSAGE)
		head.type = (uint8_t)type;
	if (head.kind == HARBOR_FRAME_MESSAGE && !harbor_frame_has_session(&head)) {
		skynet_free(payload);
		harbor_refuse(harbor, remote->destination, source, type, session, false,
			      "harbor (:%08x): a message with the session %d cannot go to another "
			      "node",
			      skynet_current_handle(), session);
	} else {
		route(harbor, &head, payload, size);
	}
}

/* --- sockets --------------------------------------------------------------------------------- */

static void
on_listener(struct harbor *harbor, const struct skynet_socket_message *event, const char *text,
	    size_t text_size)
{
	char address[HARBOR_ADDRESS_MAX + 1];
	switch (event->type) {
	case SKYNET_SOCKET_TYPE_ACCEPT:
		harbor_pipe_accept(harbor, event->ud, text, text_size);
		break;
	case SKYNET_SOCKET_TYPE_CONNECT: /* the first one: it listens; the other: it accepts */
		if (harbor->is_listening)
			break;
		harbor->is_listening = true;
		harbor->settings.port = event->ud;
		harbor_write_address(address, harbor->settings.host, event->ud);
		skynet_error(harbor->ctx, "[harbor] Node %d listens on %s%s", harbor->settings.id,
			     address, harbor->settings.has_tls ? ", with TLS" : "");
		harbor_tell(harbor, "listen %s", address);
		break;
	case SKYNET_SOCKET_TYPE_ERROR:
		skynet_error(harbor->ctx, "[harbor] Cannot accept: %.*s", (int)text_size, text);
		break;
	default:
		break;
	}
}

static void
on_pipe(struct harbor *harbor, struct harbor_pipe *pipe, const struct skynet_socket_message *event,
	const char *text, size_t text_size)
{
	char reason[HARBOR_REASON_MAX];
	switch (event->type) {
	case SKYNET_SOCKET_TYPE_CONNECT:
		if (pipe->stage == HARBOR_PIPE_CONNECTING)
			harbor_shake_begin(harbor, pipe);
		break;
	case SKYNET_SOCKET_TYPE_DATA:
		if (pipe->stage == HARBOR_PIPE_OPEN)
			harbor_receive(harbor, pipe, event->buffer, (size_t)event->ud);
		else if (pipe->stage == HARBOR_PIPE_SHAKING)
			harbor_shake_input(harbor, pipe, event->buffer, (size_t)event->ud);
		break;
	case SKYNET_SOCKET_TYPE_CLOSE:
		harbor_pipe_lost(harbor, pipe, "the other end has closed the connection");
		break;
	case SKYNET_SOCKET_TYPE_ERROR:
		(void)snprintf(reason, sizeof reason, "%.*s", (int)text_size, text);
		harbor_pipe_lost(harbor, pipe, reason);
		break;
	default:
		break;
	}
}

static void
on_socket(struct harbor *harbor, const struct skynet_socket_message *event, size_t size)
{
	const char *text = (const char *)(event + 1);
	size_t text_size = event->buffer == NULL ? size - sizeof *event : 0;
	struct harbor_pipe *pipe = harbor_pipe_find(harbor, event->id);
	if (event->id == harbor->listener)
		on_listener(harbor, event, text, text_size);
	else if (pipe != NULL)
		on_pipe(harbor, pipe, event, text, text_size);
	else if (event->type == SKYNET_SOCKET_TYPE_CLOSE)
		skynet_socket_close(harbor->ctx, event->id);
	skynet_free(event->buffer);
}

/* --- the harbor's own messages --------------------------------------------------------------- */

/* Probes and links of others: what comes of them goes to their owners. */
static void
on_answer(struct harbor *harbor, int type, int session, uint32_t source, const void *msg, size_t sz)
{
	struct harbor_proxy proxy;
	if (harbor_proxies_take(&harbor->proxies, session, source, &proxy))
		(void)skynet_send(harbor->ctx, source, proxy.source, type, proxy.session,
				  (void *)(uintptr_t)msg, sz);
}

static void
on_time(struct harbor *harbor, int session)
{
	if (session == harbor->mark_session) {
		harbor->mark_session = 0;
		harbor_send_all(harbor);
	} else if (session == harbor->tick_session) {
		harbor_tick(harbor);
	} else if (session == harbor->beat_session) {
		harbor_beat(harbor);
	}
}

static void
on_own(struct harbor *harbor, int type, int session, uint32_t source, const void *msg, size_t sz)
{
	switch (type) {
	case PTYPE_TEXT:
	case PTYPE_SYSTEM: /* the same, also when the mailbox is full */
		harbor_command(harbor, session, source, msg, sz);
		break;
	case PTYPE_SOCKET:
		if (source == 0)
			on_socket(harbor, msg, sz);
		break;
	case PTYPE_RESPONSE:
	case PTYPE_ERROR:
		if (source == 0)
			on_time(harbor, session);
		else
			on_answer(harbor, type, session, source, msg, sz);
		break;
	default:
		harbor_refuse(harbor, skynet_current_handle(), source, type, session, false,
			      "harbor (:%08x): it knows commands in text only",
			      skynet_current_handle());
		break;
	}
}

static int
callback(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
	 const void *msg, size_t sz)
{
	struct harbor *harbor = ud;
	const struct skynet_remote *remote = skynet_remote(ctx);
	if (remote == NULL) {
		on_own(harbor, type, session, source, msg, sz);
		return SKYNET_DONE;
	}
	on_remote(harbor, remote, type, session, source, skynet_message_own(ctx, msg, sz), sz);
	return SKYNET_KEPT;
}

/* Listens, and begins to carry. Returns false after a log line. */
static bool
start(struct harbor *harbor)
{
	const struct harbor_settings *settings = &harbor->settings;
	const struct skynet_socket_options options = {
		.tls = settings->has_tls ? &settings->tls : NULL,
	};
	harbor->listener = skynet_socket_listen_with(harbor->ctx, settings->host, settings->port,
						     BACKLOG, &options);
	if (harbor->listener < 0) {
		skynet_error(harbor->ctx,
			     "[harbor] Cannot listen on %s:%d (config key address%s): the line "
			     "before says why",
			     settings->host, settings->port,
			     settings->has_tls ? ", with TLS by harbor_certificate, harbor_key and "
						 "harbor_authorities"
					       : "");
		return false;
	}
	if (skynet_harbor_start(harbor->ctx) != 0) {
		skynet_error(harbor->ctx, "[harbor] This node has a harbor already");
		return false;
	}
	skynet_socket_start(harbor->ctx, harbor->listener);
	return true;
}

int
harbor_init(struct harbor *harbor, struct skynet_context *ctx, const char *parm)
{
	harbor->ctx = ctx;
	if (!harbor_settings_read(harbor, parm != NULL ? parm : ""))
		return 1;
	(void)skynet_mailbox(ctx, HARBOR_MAILBOX_WARNING, HARBOR_MAILBOX_LIMIT,
			     harbor->settings.blocks ? SKYNET_FULL_BLOCK : SKYNET_FULL_ERROR);
	skynet_callback(ctx, harbor, callback);
	return start(harbor) ? 0 : 1;
}
