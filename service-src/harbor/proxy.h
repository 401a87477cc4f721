/* proxy.h: probes and links that the harbor has sent here for services of other nodes.
 *
 * Model      To the services of this node they come from the harbor, with a session of its own;
 *            each is found by that session when its answer comes, and a link also by what its
 *            owner knows of it, who may take it back.
 * Threads    its owner only.
 */
#ifndef HARBOR_PROXY_H
#define HARBOR_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* So many at a time, for all nodes together: 64 bytes each. */
#define HARBOR_PROXIES_MAX 262144u

struct harbor_proxy {
	int own_session; /* of the harbor's probe or link */
	int session;	 /* of its owner's */
	uint32_t source; /* the owner, on another node */
	uint32_t destination;
	bool is_link;
	struct harbor_proxy *next_by_own;
	struct harbor_proxy *next_by_owner;
};

/* All zero: none. */
struct harbor_proxies {
	struct harbor_proxy **by_own;
	struct harbor_proxy **by_owner;
	size_t capacity; /* of each; a power of two, or 0 */
	size_t count;
};

/* Adds one, which is copied. Returns false if there are too many. */
bool harbor_proxies_add(struct harbor_proxies *proxies, const struct harbor_proxy *proxy);
/* Takes out the one that destination answers in that session. Returns false if there is none. */
bool harbor_proxies_take(struct harbor_proxies *proxies, int own_session, uint32_t destination,
			 struct harbor_proxy *proxy);
/* Takes out a link of its owner. Returns false if there is none. */
bool harbor_proxies_take_link(struct harbor_proxies *proxies, uint32_t source, uint32_t destination,
			      int session, struct harbor_proxy *proxy);
/* Takes out any one whose owner is on that node; false: there is none any more. *at: 0 to begin
 * with, then where it was. */
bool harbor_proxies_take_of_node(struct harbor_proxies *proxies, int node, size_t *at,
				 struct harbor_proxy *proxy);
void harbor_proxies_fini(struct harbor_proxies *proxies);

#endif
