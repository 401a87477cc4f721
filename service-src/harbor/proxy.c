/* proxy.c: two hash tables over the same entries, which stand in lists. */
#include "proxy.h"

#include "skynet.h"

#define FIRST_CAPACITY 64

static size_t
slot_by_own(const struct harbor_proxies *proxies, int own_session)
{
	return (uint32_t)own_session & (proxies->capacity - 1); /* sessions count up */
}

static size_t
slot_by_owner(const struct harbor_proxies *proxies, uint32_t source, int session)
{
	uint32_t mixed = (source ^ (uint32_t)session * UINT32_C(2246822519)) * UINT32_C(2654435769);
	return (mixed ^ mixed >> 16) & (proxies->capacity - 1);
}

static void
insert(struct harbor_proxies *proxies, struct harbor_proxy *proxy)
{
	struct harbor_proxy **own = &proxies->by_own[slot_by_own(proxies, proxy->own_session)];
	struct harbor_proxy **owner =
		&proxies->by_owner[slot_by_owner(proxies, proxy->source, proxy->session)];
	proxy->next_by_own = *own;
	*own = proxy;
	proxy->next_by_owner = *owner;
	*owner = proxy;
}

static void
grow(struct harbor_proxies *proxies)
{
	struct harbor_proxies old = *proxies;
	proxies->capacity = old.capacity > 0 ? old.capacity * 2 : FIRST_CAPACITY;
	proxies->by_own = skynet_calloc(proxies->capacity, sizeof *proxies->by_own);
	proxies->by_owner = skynet_calloc(proxies->capacity, sizeof *proxies->by_owner);
	for (size_t i = 0; i < old.capacity; i++) {
		struct harbor_proxy *next;
		for (struct harbor_proxy *proxy = old.by_own[i]; proxy != NULL; proxy = next) {
			next = proxy->next_by_own;
			insert(proxies, proxy);
		}
	}
	skynet_free(old.by_own);
	skynet_free(old.by_owner);
}

bool
harbor_proxies_add(struct harbor_proxies *proxies, const struct harbor_proxy *proxy)
{
	if (proxies->count == HARBOR_PROXIES_MAX)
		return false;
	if (proxies->count == proxies->capacity)
		grow(proxies);
	struct harbor_proxy *added = skynet_malloc(sizeof *added);
	*added = *proxy;
	insert(proxies, added);
	proxies->count++;
	return true;
}

/* Takes it out of both tables, and frees it. */
static void
take(struct harbor_proxies *proxies, struct harbor_proxy *proxy, struct harbor_proxy *copy)
{
	struct harbor_proxy **own = &proxies->by_own[slot_by_own(proxies, proxy->own_session)];
	struct harbor_proxy **owner =
		&proxies->by_owner[slot_by_owner(proxies, proxy->source, proxy->session)];
	while (*own != proxy)
		own = &(*own)->next_by_own;
	while (*owner != proxy)
		owner = &(*owner)->next_by_owner;
	*own = proxy->next_by_own;
	*owner = proxy->next_by_owner;
	*copy = *proxy;
	proxies->count--;
	skynet_free(proxy);
}

bool
harbor_proxies_take(struct harbor_proxies *proxies, int own_session, uint32_t destination,
		    struct harbor_proxy *proxy)
{
	if (proxies->count == 0)
		return false;
	struct harbor_proxy *found = proxies->by_own[slot_by_own(proxies, own_session)];
	while (found != NULL &&
	       (found->own_session != own_session || found->destination != destination))
		found = found->next_by_own;
	if (found != NULL)
		take(proxies, found, proxy);
	return found != NULL;
}

bool
harbor_proxies_take_link(struct harbor_proxies *proxies, uint32_t source, uint32_t destination,
			 int session, struct harbor_proxy *proxy)
{
	if (proxies->count == 0)
		return false;
	struct harbor_proxy *found = proxies->by_owner[slot_by_owner(proxies, source, session)];
	while (found != NULL && (!found->is_link || found->source != source ||
				 found->session != session || found->destination != destination))
		found = found->next_by_owner;
	if (found != NULL)
		take(proxies, found, proxy);
	return found != NULL;
}

bool
harbor_proxies_take_of_node(struct harbor_proxies *proxies, int node, size_t *at,
			    struct harbor_proxy *proxy)
{
	for (; *at < proxies->capacity; ++*at) {
		struct harbor_proxy *found = proxies->by_own[*at];
		while (found != NULL && found->source >> 24 != (uint32_t)node)
			found = found->next_by_own;
		if (found != NULL) {
			take(proxies, found, proxy);
			return true;
		}
	}
	return false;
}

void
harbor_proxies_fini(struct harbor_proxies *proxies)
{
	for (size_t i = 0; i < proxies->capacity; i++) {
		struct harbor_proxy *next;
		for (struct harbor_proxy *proxy = proxies->by_own[i]; proxy != NULL; proxy = next) {
			next = proxy->next_by_own;
			skynet_free(proxy);
		}
	}
	skynet_free(proxies->by_own);
	skynet_free(proxies->by_owner);
	*proxies = (struct harbor_proxies){0};
}
