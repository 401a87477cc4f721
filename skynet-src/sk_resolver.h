/* sk_resolver.h: host names to addresses, without holding up a worker.
 *
 * Model      One thread of its own, started by the first look-up and asleep while none is pending,
 *            drives c-ares: hosts file and DNS, IPv4 and IPv6, in the order in which they should be
 *            tried. The configuration of the system (resolv.conf) is read again whenever a look-up
 *            comes after a pause. Each look-up ends: with addresses, with an error, or with c-ares'
 *            own timeout (two tries of each server, the first of 5 s).
 *            N1  Each look-up that was accepted is answered exactly once, unless the resolver is
 *                stopped before.
 * Threads    new, stop and free: [boot]; look_up: [any]. The answer comes on the resolver's thread,
 *            online (sk_quiesce.h), with no lock of the resolver's held.
 * Memory     as marked.
 */
#ifndef SK_RESOLVER_H
#define SK_RESOLVER_H

#include "sk_base.h"
#include "sk_core.h"
#include "sk_socket_address.h"

struct sk_resolver;

/* id: as given to look_up. list: taken, at least one address; or NULL, and then error says why. */
typedef void (*sk_resolver_answer)(void *ud, int id, struct sk_address_list *list,
				   const char *error);

struct sk_resolver *sk_resolver_new(struct sk_core *core, sk_resolver_answer answer, void *ud);
/* Gives up what is pending, ends the thread and waits for it. Look-ups fail from then on. */
void sk_resolver_stop(struct sk_resolver *resolver);
/* Stops it and frees it. NULL: does nothing. */
void sk_resolver_free(struct sk_resolver *resolver);

/* Looks up name (borrowed); the answer's addresses have that port. Returns 0, or SK_ESYSTEM with
 * errno set, and then no answer comes. */
SK_MUST_CHECK int sk_resolver_look_up(struct sk_resolver *resolver, int id, const char *name,
				      int port);

#endif
