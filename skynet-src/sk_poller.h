/* sk_poller.h: readiness of descriptors; the only place that knows the operating system's way.
 *
 * Model      Edge-triggered: an event tells that something became possible, once. A descriptor is
 *            registered once for its life, for everything, with a token of the caller's. Or it is
 *            armed, again and again, to tell once that something is possible (sk_poller_arm).
 * Threads    wait: one thread at a time (the holder of the poller role). All others: [any].
 */
#ifndef SK_POLLER_H
#define SK_POLLER_H

#include "sk_base.h"

#include <stdbool.h>
#include <stdint.h>

enum sk_poller_flag {
	SK_POLLER_READABLE = 1,
	SK_POLLER_WRITABLE = 2,
	SK_POLLER_HANGUP = 4, /* the peer ended its stream, or an error is pending: read to know */
};

struct sk_poller_event {
	uint64_t token;
	unsigned flags; /* of enum sk_poller_flag */
};

struct sk_poller {
	int poll_fd;
	int wake_fd;
};

/* Returns 0 or SK_ESYSTEM. */
SK_MUST_CHECK int sk_poller_init(struct sk_poller *poller);
void sk_poller_fini(struct sk_poller *poller);

/* Watches fd (non-blocking) until it is removed or closed. token: anything but UINT64_MAX.
 * Returns 0 or SK_ESYSTEM (errno EPERM: a plain file, which is always ready). */
SK_MUST_CHECK int sk_poller_add(struct sk_poller *poller, int fd, uint64_t token);
/* Has one event told as soon as fd is ready for what is asked, or hung up; also if it is so
 * already. what: READABLE, WRITABLE or both; takes the place of what was asked before. is_new: fd
 * was not watched yet. Returns 0 or SK_ESYSTEM (errno EPERM: a plain file, which is always
 * ready). */
SK_MUST_CHECK int sk_poller_arm(struct sk_poller *poller, int fd, uint64_t token, unsigned what,
				bool is_new);
void sk_poller_remove(struct sk_poller *poller, int fd);

/* Waits up to timeout_ms (0: looks only; negative: for ever) and stores up to max events. Returns
 * how many; *woken tells whether wake was called. */
int sk_poller_wait(struct sk_poller *poller, struct sk_poller_event *events, int max,
		   int timeout_ms, bool *woken);

/* Makes the current or the next wait return at once. */
void sk_poller_wake(struct sk_poller *poller);

#endif
