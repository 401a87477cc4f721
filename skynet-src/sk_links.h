/* sk_links.h: who is to be told when a service ends.
 *
 * Model      A list that lives in the service itself: requests to be told come to it as messages of
 *            their own kind, so it needs no lock. Those that died first are forgotten when the list
 *            has doubled, so it is never much longer than there are services linked to this one.
 * Threads    [turn] of the service that the list belongs to
 */
#ifndef SK_LINKS_H
#define SK_LINKS_H

#include <stdint.h>

struct sk_registry;

struct sk_link {
	uint32_t source; /* who is to be told */
	int32_t session; /* with that session of its own */
};

/* All zero: nobody. */
struct sk_links {
	struct sk_link *list;
	uint32_t count;
	uint32_t capacity;
};

/* Adds one. registry: tells who lives. */
void sk_links_add(struct sk_links *links, struct sk_registry *registry, struct sk_link link);
/* Takes one out, if it is there. */
void sk_links_remove(struct sk_links *links, struct sk_link link);
/* Frees the list. */
void sk_links_fini(struct sk_links *links);

#endif
