/* sk_message.c: makes envelopes. */
#include "sk_message.h"

#include "skynet.h"

struct sk_message *
sk_message_new(enum sk_message_kind kind, int type, uint32_t source, int32_t session, void *data,
	       size_t size)
{
	struct sk_message *message = skynet_malloc(sizeof *message);
	message->next = NULL;
	message->data = data;
	message->size = size & SK_MESSAGE_SIZE_MAX;
	message->kind = kind;
	message->type = type & 0xff;
	message->source = source;
	message->session = session;
	return message;
}
