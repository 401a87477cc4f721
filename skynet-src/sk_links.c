/* sk_links.c: see sk_links.h. */
#include "sk_links.h"

#include "sk_registry.h"
#include "skynet.h"

#include <stdlib.h>

/* Most services have no link, and most of the others a few. */
#define FIRST_CAPACITY 4

/* Forgets those that have ended themselves. */
static void
forget_dead(struct sk_links *links, struct sk_registry *registry)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < links->count; i++)
		if (sk_registry_find(registry, links->list[i].source))
			links->list[kept++] = links->list[i];
	links->count = kept;
}

static void
make_room(struct sk_links *links, struct sk_registry *registry)
{
	forget_dead(links, registry);
	/* Unless half of it is free now: so this costs little for each that is added. */
	if (links->count * 2 < links->capacity)
		return;
	links->capacity = links->capacity ? links->capacity * 2 : FIRST_CAPACITY;
	links->list = skynet_realloc(links->list, links->capacity * sizeof *links->list);
}

void
sk_links_add(struct sk_links *links, struct sk_registry *registry, struct sk_link link)
{
	if (links->count == links->capacity)
		make_room(links, registry);
	links->list[links->count++] = link;
}

void
sk_links_remove(struct sk_links *links, struct sk_link link)
{
	for (uint32_t i = 0; i < links->count; i++) {
		if (links->list[i].source != link.source || links->list[i].session != link.session)
			continue;
		links->list[i] = links->list[--links->count];
		return;
	}
}

void
sk_links_fini(struct sk_links *links)
{
	free(links->list);
	*links = (struct sk_links){0};
}
