/* sk_claim.h: how a node gets its id from the registry (config key harbor = "auto").
 *
 * Model      Handles carry the id from the first service on, so it has to be known before the node
 *            is built. A small node is run first, whose only service (service/harbor_claim.lua)
 *            claims a free id and leaves it in the environment. Then the node itself is built,
 *            with that id, and with the incarnation by which it takes the claim over.
 * Use        if (sk_claim_is_wanted(env)) {
 *                    first = sk_node_new(sk_claim_prepare(env), ...);
 *                    sk_claim_quiet(first);  ... start, wait ...
 *                    next = sk_claim_take(env, first->core.env, ...);
 *            }
 * Threads    [boot]
 */
#ifndef SK_CLAIM_H
#define SK_CLAIM_H

#include "sk_base.h"
#include "sk_env.h"
#include "sk_node.h"

#include <stdbool.h>
#include <stddef.h>

bool sk_claim_is_wanted(struct sk_env *env);

/* The settings of the small node. */
struct sk_env *sk_claim_prepare(struct sk_env *env);
/* Has the small node write to stderr, and only what somebody has to know. Before it is started. */
void sk_claim_quiet(struct sk_node *first);

/* The settings of the node itself. env: its config; claimed: the small node's, which has ended.
 * Returns NULL when no id was claimed, with one line in error. */
struct sk_env *sk_claim_take(struct sk_env *env, struct sk_env *claimed, char *error,
			     size_t error_size);

#endif
