/* sk_message.h: one message, as it lies in a mailbox.
 *
 * Model      An envelope of one 32-byte block, and a payload that is a block of its own, because a
 *            service may keep the payload. The envelope is the mailbox's list node too, so sending
 *            allocates nothing else.
 * Memory     Whoever holds the envelope owns it and its payload.
 */
#ifndef SK_MESSAGE_H
#define SK_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

/* What the framework itself has to know about a message, beside the type its users see. */
enum sk_message_kind {
	SK_MESSAGE_PLAIN,  /* payload: one malloc-ed block */
	SK_MESSAGE_SOCKET, /* a PTYPE_SOCKET message that the socket waits for to be handled */
	SK_MESSAGE_TIMER,  /* no payload; the envelope is the head of a struct sk_timer_entry */
	SK_MESSAGE_SHARED, /* payload: the bytes of a packet that others hold too (sk_packet.h) */
	SK_MESSAGE_PROBE,  /* bounced back to its source, never delivered */
	SK_MESSAGE_LINK,   /* its source wants to be told when the receiver ends, never delivered */
	SK_MESSAGE_UNLINK, /* its source does not want that any more, never delivered */
	SK_MESSAGE_NUDGE,  /* only gets a dying service its last turn */
	SK_MESSAGE_JUDGED, /* a plain one that a fault rule has delayed or doubled: sk_faults.h */
	SK_MESSAGE_EXIT,   /* ends the service that comes to it, with all mail before it handled */
	/* The head of a struct sk_timer_entry: the time of a socket is up. Never delivered. */
	SK_MESSAGE_SOCKET_TIMER,
	/* For another node, on its way to the harbor; the head of a struct sk_remote_message. */
	SK_MESSAGE_REMOTE,
};

#define SK_MESSAGE_SIZE_MAX ((UINT64_C(1) << 48) - 1)

struct sk_message {
	struct sk_message *next; /* belongs to the mailbox while the message is in one */
	void *data;
	uint64_t size : 48;
	uint64_t kind : 8; /* enum sk_message_kind */
	uint64_t type : 8; /* PTYPE_* */
	uint32_t source;
	int32_t session;
};

/* A new envelope. data: taken.  [any] */
struct sk_message *sk_message_new(enum sk_message_kind kind, int type, uint32_t source,
				  int32_t session, void *data, size_t size);

#endif
