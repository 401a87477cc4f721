/* sk_mailbox.c: a lock-free mailbox whose one word is also its service's scheduling state.
 *
 * The word `head` holds a stack of new messages or, when there is none, one of two states:
 *
 *            push: the pusher makes it ready              push
 *     REST ----------------------------------> MAIL <------------- HELD
 *       ^                                        |                  ^
 *       |                                        +--- pop takes all +
 *       +------------------ rest ----------------------------------- HELD
 *
 * REST  no mail, and nobody is responsible.
 * HELD  no new mail; somebody holds the mailbox: it is in one run queue, or in a turn, or its
 *       service is being born or is dead.
 * MAIL  new mail on the stack, and somebody holds the mailbox.
 *
 * I1  Exactly one party holds a mailbox that is not at REST; nobody holds one that is. Only a push
 *     that finds REST creates a hold, and it tells its caller so; only rest ends one.
 * I2  Only the holder pops and rests: a service never runs on two threads at once.
 * I3  No wake-up is lost: a push lands either before the compare-and-swap in rest, which then fails
 *     and leaves the hold with the consumer, or after it, and then finds REST.
 * I4  Messages of one sender are popped in the order of their pushes: the stack is taken whole and
 *     turned round, and what is taken is used up before the next stack is taken.
 *
 * sk_mailbox.pml is a model of this file for the spin model checker.
 *
 * Why no pop from the stack itself: taking everything with one exchange cannot suffer from the same
 * block appearing twice (ABA), and pushing does not mind it: next = head is right whenever the
 * compare-and-swap succeeds.
 */
#include "sk_mailbox.h"

#include <assert.h>

#define COUNT_SHIFT 48
#define COUNT_MAX UINT64_C(0xffff)
#define POINTER_MASK ((UINT64_C(1) << COUNT_SHIFT) - 1)
#define HELD UINT64_C(0)
#define REST UINT64_C(1) /* no message has an odd address */

static struct sk_message *
stack_of(uint64_t head)
{
	return (struct sk_message *)(uintptr_t)(head & POINTER_MASK);
}

static uint64_t
count_of(uint64_t head)
{
	return head >> COUNT_SHIFT;
}

void
sk_mailbox_init(struct sk_mailbox *box)
{
	atomic_init(&box->head, HELD);
	box->taken = NULL;
	atomic_init(&box->taken_count, 0);
	box->turn_ticks = 0;
}

bool
sk_mailbox_push(struct sk_mailbox *box, struct sk_message *message)
{
	uint64_t head = atomic_load_explicit(&box->head, memory_order_relaxed);
	uint64_t new_head;
	assert(((uintptr_t)message & ~(uintptr_t)POINTER_MASK) == 0);
	do {
		uint64_t count = count_of(head);
		message->next = head == REST ? NULL : stack_of(head);
		if (count < COUNT_MAX)
			count++;
		new_head = count << COUNT_SHIFT | (uintptr_t)message;
		/* Release pairs with the acquire in pop: the message is complete. Acquire pairs
		 * with the release in rest: whoever creates a hold sees what the last holder
		 * did. */
	} while (!atomic_compare_exchange_weak_explicit(
		&box->head, &head, new_head, memory_order_acq_rel, memory_order_relaxed));
	return head == REST; /* I1 */
}

/* Takes the stack and turns it round. Returns false when there was none. */
static bool
take_all(struct sk_mailbox *box)
{
	uint64_t head = atomic_load_explicit(&box->head, memory_order_relaxed);
	assert(head != REST); /* I2 */
	if (head == HELD)
		return false;
	/* Acquire pairs with the release in push. */
	head = atomic_exchange_explicit(&box->head, HELD, memory_order_acquire);
	struct sk_message *oldest = NULL;
	uint32_t count = 0;
	for (struct sk_message *message = stack_of(head); message; count++) {
		struct sk_message *older = message->next;
		message->next = oldest;
		oldest = message;
		message = older;
	}
	box->taken = oldest;
	atomic_store_explicit(&box->taken_count, count, memory_order_relaxed);
	return true;
}

struct sk_message *
sk_mailbox_pop(struct sk_mailbox *box)
{
	if (!box->taken && !take_all(box))
		return NULL;
	struct sk_message *message = box->taken;
	box->taken = message->next;
	/* Only the holder writes it, so no read-modify-write. Relaxed: a figure, not a signal. */
	uint32_t count = atomic_load_explicit(&box->taken_count, memory_order_relaxed);
	atomic_store_explicit(&box->taken_count, count - 1, memory_order_relaxed);
	return message;
}

struct sk_message *
sk_mailbox_peek(struct sk_mailbox *box)
{
	if (!box->taken && !take_all(box))
		return NULL;
	return box->taken;
}

bool
sk_mailbox_rest(struct sk_mailbox *box)
{
	uint64_t held = HELD;
	if (box->taken)
		return false;
	/* Release pairs with the acquire in push: the next holder sees this turn's work. */
	return atomic_compare_exchange_strong_explicit(&box->head, &held, REST,
						       memory_order_release, memory_order_relaxed);
}

uint32_t
sk_mailbox_length(const struct sk_mailbox *box)
{
	uint64_t head = atomic_load_explicit(&box->head, memory_order_relaxed);
	return (uint32_t)count_of(head) +
	       atomic_load_explicit(&box->taken_count, memory_order_relaxed);
}
