/* sk_mailbox.h: the queue of one service, and the word that decides who schedules it.
 *
 * Model      Many producers, one consumer, no lock. One atomic word is both the stack of new mail
 *            and the state of the service; the consumer takes the whole stack at once and turns it
 *            round. sk_mailbox.c has the states, the invariants and why no wake-up can be lost.
 * Threads    push and length: [any]. pop, peek and rest: only the holder, see I2 there.
 * Memory     push takes the message; pop gives it to the caller.
 * Use        producer: if (sk_mailbox_push(box, message)) make_ready(box);
 *            consumer: while ((message = sk_mailbox_pop(box))) handle(message);
 *                      if (!sk_mailbox_rest(box)) make_ready(box);
 */
#ifndef SK_MAILBOX_H
#define SK_MAILBOX_H

#include "sk_base.h"
#include "sk_message.h"

#include <stdatomic.h>
#include <stdbool.h>

struct sk_mailbox {
	/* Atomic, written by every sender: low 48 bits a stack of messages, or a state when there
	 * is none; high 16 bits how many messages the stack has, saturating. */
	_Atomic uint64_t head;
	/* Holder only: what was taken from the stack, oldest first. */
	struct sk_message *taken;
	/* Written by the holder, read by anybody who asks for the length. */
	_Atomic uint32_t taken_count;
	/* Holder only: how long the turns of this service take, an average of the last ones. */
	uint32_t turn_ticks;
};

/* Begins in the state HELD: mail collects, nobody is asked to schedule, until rest is called. */
void sk_mailbox_init(struct sk_mailbox *box);

/* Adds a message. Returns true when the mailbox was at rest: the caller must now make its service
 * ready, exactly once. message: taken. */
SK_MUST_CHECK bool sk_mailbox_push(struct sk_mailbox *box, struct sk_message *message);

/* Takes the oldest message, or returns NULL when there is none. */
struct sk_message *sk_mailbox_pop(struct sk_mailbox *box);

/* Returns the oldest message, which stays in the mailbox, or NULL. */
struct sk_message *sk_mailbox_peek(struct sk_mailbox *box);

/* Gives up the hold, if there is no mail. Returns false when there is: the caller still holds the
 * mailbox and must see to it that it is handled. */
SK_MUST_CHECK bool sk_mailbox_rest(struct sk_mailbox *box);

/* How many messages wait. Exact for the holder up to 65535 new ones, otherwise a moment old. */
uint32_t sk_mailbox_length(const struct sk_mailbox *box);

#endif
