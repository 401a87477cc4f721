/* limit_core.c: what handing over a message costs at least: one thread, no service, no scheduler.
 *
 * Each message costs one envelope of 32 bytes from malloc, the three atomic operations that a
 * mailbox without locks cannot do without (push it, take it, put the mailbox to rest), and a free.
 * `pair` uses one mailbox, so everything stays in the nearest cache; `ring` goes round a thousand
 * mailboxes, each with a neighbourhood of its own in memory, as services have. `fanout` pushes to
 * ten thousand of them first, and then handles them.
 *
 * Prints RESULT per_s=N. */
#include "bench.h"

#include <stdatomic.h>
#include <string.h>

#define RING_SIZE 1000
#define FANOUT_SIZE 10000
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

static struct mailbox boxes[FANOUT_SIZE];

/* Messages one after the other, round so many mailboxes. Returns how many. */
static uint64_t
go_round(uint32_t size)
{
	static uint32_t at;
	for (int i = 0; i < CLOCK_STRIDE; i++) {
		push(&boxes[at], at);
		at = handle(&boxes[at]) + 1;
		at = at == size ? 0 : at;
	}
	return CLOCK_STRIDE;
}

static uint64_t
fan_out(uint32_t size)
{
	for (uint32_t i = 0; i < size; i++)
		push(&boxes[i], i);
	for (uint32_t i = 0; i < size; i++)
		(void)handle(&boxes[i]);
	return size;
}

struct mode {
	const char *name;
	uint64_t (*run)(uint32_t size);
	uint32_t size;
};

static const struct mode modes[] = {
	{"pair", go_round, 1},
	{"ring", go_round, RING_SIZE},
	{"fanout", fan_out, FANOUT_SIZE},
};

static const struct mode *
find_mode(const char *name)
{
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
		if (strcmp(modes[i].name, name) == 0)
			return &modes[i];
	return NULL;
}

int
main(int argc, char **argv)
{
	const struct mode *mode = argc == 3 ? find_mode(argv[1]) : NULL;
	if (mode == NULL) {
		fprintf(stderr, "usage: limit_core pair|ring|fanout SECONDS\n");
		return 2;
	}
	uint64_t limit_ns = (uint64_t)(positive_number("SECONDS", argv[2]) * 1e9);
	uint64_t count = 0, begin = now_ns(), elapsed;
	do {
		count += mode->run(mode->size);
		elapsed = now_ns() - begin;
	} while (elapsed < limit_ns);
	printf("RESULT per_s=%.0f\n", (double)count * 1e9 / (double)elapsed);
	return 0;
}
