/* sk_socket_tell.c: what services are told about sockets; see sk_socket_tell.h. */
#include "sk_socket_tell.h"

#include "sk_message.h"
#include "sk_service.h"
#include "sk_socket_total.h"
#include "sk_socket_unix.h"

#include <stdio.h>
#include <string.h>

/* Output that waits is worth a warning from here on, and each time it has doubled. */
#define FIRST_WARNING_BYTES ((size_t)1 << 20)
#define KIB 1024

/* A failed post discards the message, which comes back here (sk_sockets_discard) while the lock is
 * held. */
static _Thread_local bool is_telling;

bool
sk_socket_is_telling(void)
{
	return is_telling;
}

static struct skynet_socket_message *
new_payload(int type, int id, int ud, char *buffer, const char *text, size_t *size)
{
	size_t text_size = text ? strlen(text) : 0;
	if (text_size > SK_SOCKET_TEXT_MAX)
		text_size = SK_SOCKET_TEXT_MAX;
	*size = sizeof(struct skynet_socket_message) + text_size;
	struct skynet_socket_message *payload = skynet_malloc(*size + 1); /* as sk_post_weight */
	payload->type = type;
	payload->id = id;
	payload->ud = ud;
	payload->buffer = buffer;
	if (text_size > 0)
		memcpy(payload + 1, text, text_size);
	return payload;
}

static int
post(struct sk_sockets *sockets, uint32_t handle, enum sk_message_kind kind, void *payload,
     size_t size)
{
	struct sk_message *message = sk_message_new(kind, PTYPE_SOCKET, 0, 0, payload, size);
	is_telling = true;
	int result = sk_post(sockets->core, handle, message);
	is_telling = false;
	return result;
}

void
sk_socket_tell_handle(struct sk_sockets *sockets, uint32_t handle, int id, int type,
		      const char *text)
{
	size_t size;
	struct skynet_socket_message *payload = new_payload(type, id, 0, NULL, text, &size);
	/* Who is dead wants no answer. */
	(void)post(sockets, handle, SK_MESSAGE_PLAIN, payload, size);
}

/* The owner is dead. In its last turn it may still write, and that leaves first: who is only dying
 * keeps the socket until then. */
static void
lose_owner(struct sk_sockets *sockets, struct sk_socket *s)
{
	s->owner_state = sk_service_is_ending(sockets->core, s->owner) ? SK_SOCKET_OWNER_DIES
								       : SK_SOCKET_OWNER_GONE;
}

void
sk_socket_tell(struct sk_sockets *sockets, struct sk_socket *s, int type, int ud, const char *text)
{
	size_t size;
	if (s->owner_state != SK_SOCKET_OWNER_LIVES || s->stage >= SK_SOCKET_CLOSING)
		return; /* C1 */
	struct skynet_socket_message *payload =
		new_payload(type, sk_socket_id(s), ud, NULL, text, &size);
	if (post(sockets, s->owner, SK_MESSAGE_PLAIN, payload, size) != SK_OK)
		lose_owner(sockets, s);
}

void
sk_socket_tell_address(struct sk_sockets *sockets, struct sk_socket *s, int ud)
{
	char ip[SK_ADDRESS_TEXT_SIZE];
	sk_address_print_ip(&s->address, ip);
	sk_socket_tell(sockets, s, SKYNET_SOCKET_TYPE_CONNECT, ud,
		       s->unix_name ? sk_socket_unix_host(s->unix_name) : ip);
}

bool
sk_socket_hand_over(struct sk_sockets *sockets, struct sk_socket *s, int type, int ud, char *buffer,
		    const char *text)
{
	size_t size;
	struct skynet_socket_message *payload =
		new_payload(type, sk_socket_id(s), ud, buffer, text, &size);
	s->unconsumed++; /* R1; before the post, because the owner may be faster than its return */
	if (post(sockets, s->owner, SK_MESSAGE_SOCKET, payload, size) == SK_OK)
		return true;
	lose_owner(sockets, s);
	return false;
}

void
sk_socket_tell_close(struct sk_sockets *sockets, struct sk_socket *s)
{
	if (s->is_close_told)
		return;
	sk_socket_tell(sockets, s, SKYNET_SOCKET_TYPE_CLOSE, 0, NULL);
	s->is_close_told = true;
}

void
sk_socket_check_output(struct sk_sockets *sockets, struct sk_socket *s)
{
	size_t bytes = sk_socket_waiting_bytes(s);
	sk_socket_total_follow(sockets, s);
	if (bytes == 0 && s->warnings > 0) {
		s->warnings = 0;
		sk_socket_tell(sockets, s, SKYNET_SOCKET_TYPE_WARNING, 0, NULL);
	}
	if (SK_LIKELY(bytes < FIRST_WARNING_BYTES << s->warnings))
		return;
	while (bytes >= FIRST_WARNING_BYTES << s->warnings)
		s->warnings++;
	sk_socket_tell(sockets, s, SKYNET_SOCKET_TYPE_WARNING, (int)((bytes + KIB - 1) / KIB),
		       NULL);
}

const char *
sk_socket_error_text(int error, char text[SK_SOCKET_TEXT_MAX])
{
	if (strerror_r(error, text, SK_SOCKET_TEXT_MAX) != 0)
		(void)snprintf(text, SK_SOCKET_TEXT_MAX, "system error %d", error);
	return text;
}
