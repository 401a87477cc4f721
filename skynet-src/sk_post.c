/* sk_post.c: how messages that no service sends by skynet_send get into mailboxes: answers of the
 * framework, errors, log lines, what sockets bring. See sk_post.h.
 */
#include "sk_post.h"

#include "sk_packet.h"
#include "sk_remote.h"
#include "skynet_socket.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What an error message of the framework says, at most. */
#define ERROR_TEXT_BYTES 256

_Thread_local struct skynet_context *sk_this_service;

void
sk_post_discard(struct sk_core *core, struct sk_message *message)
{
	if (message->kind == SK_MESSAGE_SOCKET)
		core->socket_hooks.discard(core->sockets, message->data);
	if (message->kind == SK_MESSAGE_SHARED)
		sk_packet_release_bytes(message->data);
	else
		free(message->data);
	free(message); /* a timer entry begins with its message, so this frees the entry */
}

int64_t
sk_post_rare_weight(const struct sk_message *message)
{
	if (message->kind == SK_MESSAGE_TIMER)
		return 0; /* it stays its owner's */
	if (message->kind == SK_MESSAGE_SHARED)
		return sk_post_weight(NULL, 0); /* the bytes belong to nobody */
	int64_t bytes = sk_post_weight(message->data, message->size);
	if (message->kind == SK_MESSAGE_REMOTE) /* its envelope is longer */
		bytes += sk_memory_block_bytes(sizeof(struct sk_remote_message)) -
			 sk_memory_block_bytes(sizeof(struct sk_message));
	if (message->kind == SK_MESSAGE_SOCKET) {
		const struct skynet_socket_message *payload = message->data;
		bytes += sk_memory_bytes_of(payload->buffer);
	}
	return bytes;
}

/* To a handle of another node, past all bounds; refused when the node is absent. message: taken. */
static void
post_remote(struct sk_core *core, uint32_t handle, struct sk_message *message)
{
	struct skynet_context *harbor;
	if (sk_remote_state(core, handle, PTYPE_SYSTEM, &harbor) == SKYNET_NODE_ABSENT) {
		sk_post_refusal(core, message->source, handle, message->type, message->session);
		sk_post_discard(core, message);
		return;
	}
	message = sk_remote_wrap(message, handle);
	sk_memory_disown(sk_post_weight_of(message));
	sk_post_push(harbor, message);
}

int
sk_post(struct sk_core *core, uint32_t handle, struct sk_message *message)
{
	struct skynet_context *service = sk_registry_find(&core->registry, handle);
	if (SK_UNLIKELY(!service)) {
		if (sk_registry_is_remote(&core->registry, handle)) {
			post_remote(core, handle, message);
			return SK_OK;
		}
		sk_post_discard(core, message);
		return SK_ENOENT;
	}
	sk_memory_disown(sk_post_weight_of(message));
	sk_post_push(service, message);
	return SK_OK;
}

void
sk_post_empty(struct sk_core *core, uint32_t to, int type, uint32_t source, int32_t session)
{
	/* A receiver that is gone wants no answer. */
	(void)sk_post(core, to, sk_message_new(SK_MESSAGE_PLAIN, type, source, session, NULL, 0));
}

void
sk_post_error(struct sk_core *core, uint32_t to, uint32_t source, int32_t session,
	      const char *format, ...)
{
	char text[ERROR_TEXT_BYTES];
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	struct sk_message *message = sk_message_new(SK_MESSAGE_PLAIN, PTYPE_ERROR, source, session,
						    skynet_strdup(text), strlen(text));
	(void)sk_post(core, to, message); /* a receiver that is gone wants no answer */
}

void
sk_post_refusal(struct sk_core *core, uint32_t source, uint32_t destination, int type,
		int32_t session)
{
	type &= 0xff;
	if (source == 0 || type == PTYPE_ERROR)
		return;
	/* A response's session is none of its sender's: as with a local service that ends. */
	sk_post_error(core, source, destination, type == PTYPE_RESPONSE ? 0 : session,
		      "service :%08x: no link to its node, number %u%s", destination,
		      destination >> SK_HANDLE_NODE_SHIFT, sk_remote_reason(core, destination));
}
