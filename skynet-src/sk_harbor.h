/* sk_harbor.h: the one service that carries messages to other nodes, as the core sees it: it comes
 * and goes, and all that waits for it with it. What it calls is in skynet_harbor.h.
 *
 * Threads    [any, online] (sk_quiesce.h)
 */
#ifndef SK_HARBOR_H
#define SK_HARBOR_H

#include <stdint.h>

struct sk_core;

/* A service is unfindable from now on: if it was the harbor, all nodes are absent (sk_remote.h),
 * and what waits for names is refused (sk_waiting.h). */
void sk_harbor_ended(struct sk_core *core, uint32_t handle);

#endif
