/* session_map.h: what waits for which session: an open-addressing hash table of small records.
 *
 * Model      Linear probing; removal shifts back, so there are no tombstones, and memory follows
 *            the number of waiters.
 * Threads    [turn]
 */
#ifndef SNLUA_SESSION_MAP_H
#define SNLUA_SESSION_MAP_H

#include <stdbool.h>
#include <stdint.h>

struct task;
struct skynet_timer;
struct stream;

/* What a message with a session means. */
enum waiter_kind {
	WAITER_TASK,  /* resumes a task */
	WAITER_TIMER, /* runs the function of a timer */
	WAITER_FIRED, /* nothing: a timer that had fired when it was cancelled */
	WAITER_LATE,  /* nothing: the answer to a call that has ended without it */
};

struct waiter {
	int32_t session; /* 0: an empty slot */
	int32_t kind;	 /* enum waiter_kind */
	union {
		struct task *task;
		struct skynet_timer *timer; /* of WAITER_TIMER; NULL: it fires at once */
		struct stream *stream;	    /* in the map of streams, whose sessions are ids */
	};
};

struct session_map {
	struct waiter *slots;
	uint32_t capacity; /* 0 or a power of two */
	uint32_t count;
};

/* Adds a waiter. Its session must not be in the map. */
void session_map_add(struct session_map *map, struct waiter waiter);
/* Returns the waiter, valid until the next change, or NULL. */
struct waiter *session_map_find(const struct session_map *map, int32_t session);
/* Takes a waiter out. Returns false when there is none. */
bool session_map_remove(struct session_map *map, int32_t session, struct waiter *waiter);
void session_map_free(struct session_map *map);

#endif
