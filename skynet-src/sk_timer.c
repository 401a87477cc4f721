/* sk_timer.c: eight wheels of 256 slots; the eight bytes of a due time in milliseconds.
 *
 * An entry lies in the wheel of the highest byte in which its due time differs from the wheel's
 * time, in the slot of that byte: in wheel 0 if it is due in the current block of 256 ms, in wheel
 * 1 if in the current block of 65536 ms, and so on. Eight wheels cover all of 64 bits, so there is
 * no farthest slot where entries would have to go round. When time enters the block of a slot in a
 * higher wheel, its entries are dealt out again: each moves to a lower wheel, at most 7 times in
 * its life, in practice once or twice. A bit for each slot with entries lets time jump over what
 * is empty, so an hour without timers costs as much as a millisecond.
 *
 * I4  Wheel and slot of an entry follow from its due time and the wheel's time alone (place_of);
 *     cancel relies on it.
 * I5  Before the first byte of time changes, wheel 0 is empty; before the second, wheels 0 and 1
 *     are: nothing in a lower wheel is due after what is in a higher one.
 * I6  In a slot, entries of the same due time stand in the order they were added: they move
 *     together, to a slot that I5 has left empty, before any later one can be added there.
 * I7  No entry is due before time; add sees to it.
 * I8  next_due_ms is never later than the earliest entry; it gets smaller only in add, which tells.
 *
 * I1 of the header follows from I4 and I7, I2 from I5 and I6.
 *
 * Hints: a million entries do not fit into the caches, and a list is read at the pace of one miss
 * after the other. So each entry names the one that was added some places behind it, and whoever
 * walks a list asks for that one in time: five to seven times faster here. A hint is never
 * followed, only fetched, so it may point to what was cancelled and freed. */
#include "sk_timer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#define BYTE_BITS 8
#define WHEELS 8 /* bytes of a due time */
#define SLOTS (1 << BYTE_BITS)
#define SLOT_WORDS (SLOTS / 64)
/* How many entries lie between one and its hint: about a miss in the time they take to handle. */
#define HINT_DISTANCE 12

struct slot {
	struct sk_message *first;
	struct sk_message **end;     /* the NULL that ends the list */
	uint64_t earliest_due_ms;    /* of all that came since it was empty */
	struct sk_message *unhinted; /* the next one to get a hint */
	unsigned behind_unhinted;    /* how many were added behind it, up to HINT_DISTANCE */
};

struct wheel {
	uint64_t used[SLOT_WORDS]; /* a bit for each slot that is not empty */
	struct slot slots[SLOTS];
};

struct sk_timer {
	/* Written under lock, read without. */
	_Atomic uint64_t next_due_ms;
	_Atomic uint64_t count;
	pthread_mutex_t lock;
	/* Under lock. */
	uint64_t time_ms;     /* everything due up to now has fired, but for what was added since */
	unsigned used_wheels; /* a bit for each wheel that is not empty */
	struct wheel wheels[WHEELS];
};

struct place {
	unsigned wheel;
	unsigned slot;
};

/* A list that is being built. */
struct list {
	struct sk_message *first;
	struct sk_message **end;
};

struct sk_timer *
sk_timer_new(uint64_t now_ms)
{
	struct sk_timer *timer = calloc(1, sizeof(*timer));
	if (!timer)
		return NULL;
	if (pthread_mutex_init(&timer->lock, NULL) != 0) {
		free(timer);
		return NULL;
	}
	atomic_init(&timer->next_due_ms, UINT64_MAX);
	atomic_init(&timer->count, 0);
	timer->time_ms = now_ms;
	return timer;
}

static void
free_slot(struct slot *slot)
{
	struct sk_message *message = slot->first;
	while (message) {
		struct sk_message *next = message->next;
		free(message); /* the head of its entry */
		message = next;
	}
}

void
sk_timer_free(struct sk_timer *timer)
{
	for (unsigned i = 0; i < WHEELS; i++) {
		for (unsigned j = 0; j < SLOTS; j++)
			free_slot(&timer->wheels[i].slots[j]);
	}
	(void)pthread_mutex_destroy(&timer->lock); /* fails only for a locked one */
	free(timer);
}

static struct sk_timer_entry *
entry_of(struct sk_message *message)
{
	return SK_CONTAINER_OF(message, struct sk_timer_entry, message);
}

static unsigned
byte_of(uint64_t time_ms, unsigned wheel)
{
	return (unsigned)(time_ms >> (wheel * BYTE_BITS)) & (SLOTS - 1);
}

static struct place
place_of(uint64_t time_ms, uint64_t due_ms)
{
	/* The 1 changes nothing but this: no difference at all means wheel 0. */
	unsigned wheel = (63 - (unsigned)__builtin_clzll((time_ms ^ due_ms) | 1)) / BYTE_BITS;
	return (struct place){.wheel = wheel, .slot = byte_of(due_ms, wheel)};
}

static void
mark_used_locked(struct sk_timer *timer, struct place place)
{
	timer->wheels[place.wheel].used[place.slot / 64] |= UINT64_C(1) << (place.slot % 64);
	timer->used_wheels |= 1u << place.wheel;
}

static void
mark_empty_locked(struct sk_timer *timer, struct place place)
{
	uint64_t *used = timer->wheels[place.wheel].used;
	used[place.slot / 64] &= ~(UINT64_C(1) << (place.slot % 64));
	uint64_t any = 0;
	for (unsigned i = 0; i < SLOT_WORDS; i++)
		any |= used[i];
	if (any == 0)
		timer->used_wheels &= ~(1u << place.wheel);
}

static struct slot *
slot_locked(struct sk_timer *timer, struct place place)
{
	return &timer->wheels[place.wheel].slots[place.slot];
}

/* Finds the earliest slot: by I5 the first one in the lowest wheel that has any. Those before the
 * byte of time are empty, so the search need not start there. */
static bool
first_place_locked(const struct sk_timer *timer, struct place *place)
{
	if (timer->used_wheels == 0)
		return false;
	place->wheel = (unsigned)__builtin_ctz(timer->used_wheels);
	const uint64_t *used = timer->wheels[place->wheel].used;
	unsigned word = 0;
	while (used[word] == 0)
		word++;
	place->slot = word * 64 + (unsigned)__builtin_ctzll(used[word]);
	return true;
}

static void
set_next_due_locked(struct sk_timer *timer, uint64_t due_ms)
{
	/* Sequentially consistent, as the load in sk_timer_next_due_ms: whoever adds a timer looks
	 * after this whether somebody sleeps, and who goes to sleep says so before it looks
	 * here. */
	atomic_store(&timer->next_due_ms, due_ms);
}

static void
improve_next_due_locked(struct sk_timer *timer)
{
	struct place place;
	uint64_t due_ms = UINT64_MAX;
	if (first_place_locked(timer, &place))
		due_ms = slot_locked(timer, place)->earliest_due_ms;
	set_next_due_locked(timer, due_ms);
}

/* Tells the entry some places ahead of a new one, which is in the list already. */
static void
give_hint_locked(struct slot *slot, struct sk_timer_entry *added)
{
	if (slot->behind_unhinted < HINT_DISTANCE) {
		slot->behind_unhinted++;
		return;
	}
	entry_of(slot->unhinted)->hint = added;
	slot->unhinted = slot->unhinted->next; /* there is one: at least the new one */
}

/* The next to get a hint is about to leave the list. */
static void
skip_unhinted_locked(struct slot *slot)
{
	slot->unhinted = slot->unhinted->next;
	if (slot->unhinted)
		return;
	slot->unhinted = slot->first; /* if this is the one that leaves, the slot will be empty */
	slot->behind_unhinted = 0;
}

static void
append_locked(struct sk_timer *timer, struct sk_timer_entry *entry)
{
	struct place place = place_of(timer->time_ms, entry->due_ms);
	struct slot *slot = slot_locked(timer, place);
	if (!slot->first) {
		slot->end = &slot->first;
		slot->earliest_due_ms = entry->due_ms;
		slot->unhinted = &entry->message;
		slot->behind_unhinted = 0;
		mark_used_locked(timer, place);
	} else if (entry->due_ms < slot->earliest_due_ms) {
		slot->earliest_due_ms = entry->due_ms;
	}
	entry->message.next = NULL;
	entry->hint = NULL;
	entry->link = slot->end;
	*slot->end = &entry->message;
	slot->end = &entry->message.next;
	give_hint_locked(slot, entry);
}

bool
sk_timer_add(struct sk_timer *timer, struct sk_timer_entry *entry, uint64_t due_ms)
{
	pthread_mutex_lock(&timer->lock);
	if (due_ms < timer->time_ms)
		due_ms = timer->time_ms; /* I7 */
	entry->due_ms = due_ms;
	append_locked(timer, entry);
	bool is_first = due_ms < atomic_load_explicit(&timer->next_due_ms, memory_order_relaxed);
	if (is_first)
		set_next_due_locked(timer, due_ms);
	atomic_fetch_add_explicit(&timer->count, 1, memory_order_relaxed); /* a statistic */
	pthread_mutex_unlock(&timer->lock);
	return is_first;
}

static void
unlink_locked(struct sk_timer *timer, struct sk_timer_entry *entry)
{
	struct place place = place_of(timer->time_ms, entry->due_ms); /* I4 */
	struct slot *slot = slot_locked(timer, place);
	struct sk_message *next = entry->message.next;
	if (slot->unhinted == &entry->message)
		skip_unhinted_locked(slot);
	*entry->link = next;
	if (next)
		entry_of(next)->link = entry->link;
	else
		slot->end = entry->link;
	entry->link = NULL;
	if (slot->first)
		return;
	mark_empty_locked(timer, place);
	if (slot->earliest_due_ms <=
	    atomic_load_explicit(&timer->next_due_ms, memory_order_relaxed))
		improve_next_due_locked(timer);
}

bool
sk_timer_cancel(struct sk_timer *timer, struct sk_timer_entry *entry)
{
	pthread_mutex_lock(&timer->lock);
	bool is_pending = entry->link != NULL;
	if (is_pending) {
		unlink_locked(timer, entry);
		atomic_fetch_sub_explicit(&timer->count, 1, memory_order_relaxed);
	}
	pthread_mutex_unlock(&timer->lock);
	return is_pending;
}

uint64_t
sk_timer_next_due_ms(const struct sk_timer *timer)
{
	return atomic_load(&timer->next_due_ms);
}

uint64_t
sk_timer_count(const struct sk_timer *timer)
{
	return atomic_load_explicit(&timer->count, memory_order_relaxed);
}

/* Empties the slot and returns its list. */
static struct sk_message *
take_slot_locked(struct sk_timer *timer, struct place place)
{
	struct slot *slot = slot_locked(timer, place);
	struct sk_message *first = slot->first;
	slot->first = NULL;
	mark_empty_locked(timer, place);
	return first;
}

/* Moves the entries of a slot in wheel 0 to the end of the list. Returns how many. */
static uint64_t
fire_slot_locked(struct sk_timer *timer, struct place place, struct list *fired)
{
	uint64_t count = 0;
	*fired->end = take_slot_locked(timer, place);
	while (*fired->end) {
		struct sk_message *message = *fired->end;
		__builtin_prefetch(entry_of(message)->hint, 1);
		entry_of(message)->link = NULL;
		fired->end = &message->next;
		count++;
	}
	return count;
}

/* Time enters the block of a slot in a higher wheel: deals its entries out to the lower ones. */
static void
enter_block_locked(struct sk_timer *timer, struct place place, uint64_t block_ms)
{
	timer->time_ms = block_ms;
	struct sk_message *message = take_slot_locked(timer, place);
	while (message) {
		struct sk_message *next = message->next;
		__builtin_prefetch(entry_of(message)->hint, 1);
		append_locked(timer, entry_of(message));
		message = next;
	}
}

/* When the time of a slot begins, which is in a wheel above or at the byte of time. */
static uint64_t
begin_of_locked(const struct sk_timer *timer, struct place place)
{
	unsigned shift = place.wheel * BYTE_BITS;
	uint64_t below = (UINT64_C(1) << shift) - 1;
	uint64_t own = (uint64_t)(SLOTS - 1) << shift;
	return (timer->time_ms & ~below & ~own) | (uint64_t)place.slot << shift;
}

struct sk_timer_entry *
sk_timer_expire(struct sk_timer *timer, uint64_t now_ms)
{
	struct list fired = {.first = NULL};
	fired.end = &fired.first;
	uint64_t count = 0;
	pthread_mutex_lock(&timer->lock);
	if (now_ms < timer->time_ms)
		now_ms = timer->time_ms;
	struct place place;
	while (first_place_locked(timer, &place)) {
		uint64_t begin_ms = begin_of_locked(timer, place);
		if (begin_ms > now_ms)
			break;
		if (place.wheel == 0)
			count += fire_slot_locked(timer, place, &fired);
		else
			enter_block_locked(timer, place, begin_ms); /* all before it has fired */
	}
	timer->time_ms = now_ms;
	improve_next_due_locked(timer);
	atomic_fetch_sub_explicit(&timer->count, count, memory_order_relaxed);
	pthread_mutex_unlock(&timer->lock);
	return fired.first ? entry_of(fired.first) : NULL;
}
