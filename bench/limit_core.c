/* limit_core.c: what handing over a message costs at least: one thread, no service, no scheduler.
 *
 * Each message costs one envelope of 32 bytes from malloc, the three atomic operations that a
 * mailbox without locks cannot do without (push it, take it, put the mailbox to rest), and a free.
 * `pair` uses one mailbox, so everything stays in the nearest cache; `ring` goes round a thousand
 * mailboxes, each with a neighbourhood of its own in memory, as services have.
 *
 * Prints RESULT per_s=N. */
#include "bench.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#define RING_SIZE 1000
/* What a service of the core occupies, about: its mailbox shares no cache line with another's. */
#define SERVICE_BYTES 320

struct envelope {
	struct envelope *next;
	void *data;
	uint64_t size;
	uint32_t source;
	int32_t session;
};

struct mailbox {
	_Alignas(64) _Atomic(struct envelope *) head; /* NULL: at rest; held: taken, no mail */
	char service[SERVICE_BYTES - 64];
};

static struct envelope held;

static void
push(struct mailbox *box, uint32_t source)
{
	struct envelope *message = malloc(sizeof *message);
	if (message == NULL)
		abort();
	*message = (struct envelope){.source = source, .session = 1};
	struct envelope *head = atomic_load_explicit(&box->head, memory_order_relaxed);
	do {
		message->next = head;
	} while (!atomic_compare_exchange_weak_explicit(
		&box->head, &head, message, memory_order_release, memory_order_relaxed));
}

static uint32_t
handle(struct mailbox *box)
{
	struct envelope *message =
		atomic_exchange_explicit(&box->head, &held, memory_order_acquire);
	uint32_t source = message->source;
	free(message);
	struct envelope *expected = &held;
	(void)atomic_compare_exchange_strong_explicit(&box->head, &expected, NULL,
						      memory_order_acq_rel, memory_order_relaxed);
	return source;
}

int
main(int argc, char **argv)
{
	static struct mailbox boxes[RING_SIZE];
	bool is_ring = argc == 3 && strcmp(argv[1], "ring") == 0;
	if (argc != 3 || (!is_ring && strcmp(argv[1], "pair") != 0)) {
		fprintf(stderr, "usage: limit_core pair|ring SECONDS\n");
		return 2;
	}
	uint64_t limit_ns = (uint64_t)(positive_number("SECONDS", argv[2]) * 1e9);
	uint32_t size = is_ring ? RING_SIZE : 1, at = 0;
	uint64_t count = 0, begin = now_ns(), elapsed;
	do {
		for (int i = 0; i < CLOCK_STRIDE; i++) {
			push(&boxes[at], at);
			at = handle(&boxes[at]) + 1;
			at = at == size ? 0 : at;
		}
		count += CLOCK_STRIDE;
		elapsed = now_ns() - begin;
	} while (elapsed < limit_ns);
	printf("RESULT per_s=%.0f\n", (double)count * 1e9 / (double)elapsed);
	return 0;
}
