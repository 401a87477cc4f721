/* sk_poller.c: sk_poller.h on Linux: epoll, and an eventfd to wake the waiting thread.
 *
 * I1  A descriptor costs one epoll_ctl in its life: it is registered for everything,
 *     edge-triggered. One that is armed costs one each time.
 * I2  The eventfd is edge-triggered too, and never read: each write is a new edge, and edges that
 *     nobody waited for merge into one. Its counter would overflow after 2^64 wake-ups. */
#include "sk_poller.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* How many events one system call may bring: 3 KB of stack. */
#define BATCH_EVENTS 256
#define WAKE_TOKEN UINT64_MAX

int
sk_poller_init(struct sk_poller *poller)
{
	int error;
	poller->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (poller->poll_fd < 0)
		return SK_ESYSTEM;
	poller->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (poller->wake_fd < 0)
		goto close_poll;
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = WAKE_TOKEN};
	if (epoll_ctl(poller->poll_fd, EPOLL_CTL_ADD, poller->wake_fd, &event) < 0)
		goto close_wake;
	return 0;

close_wake:
	error = errno;
	(void)close(poller->wake_fd); /* nothing was written that could be lost */
	errno = error;
close_poll:
	error = errno;
	(void)close(poller->poll_fd);
	errno = error;
	return SK_ESYSTEM;
}

void
sk_poller_fini(struct sk_poller *poller)
{
	(void)close(poller->wake_fd); /* nothing was written that could be lost */
	(void)close(poller->poll_fd);
}

int
sk_poller_add(struct sk_poller *poller, int fd, uint64_t token)
{
	assert(token != WAKE_TOKEN);
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
		.data.u64 = token,
	};
	return epoll_ctl(poller->poll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? SK_ESYSTEM : 0;
}

int
sk_poller_arm(struct sk_poller *poller, int fd, uint64_t token, unsigned what, bool is_new)
{
	assert(token != WAKE_TOKEN);
	struct epoll_event event = {.events = EPOLLONESHOT, .data.u64 = token};
	if (what & SK_POLLER_READABLE)
		event.events |= EPOLLIN | EPOLLRDHUP;
	if (what & SK_POLLER_WRITABLE)
		event.events |= EPOLLOUT;
	int operation = is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
	return epoll_ctl(poller->poll_fd, operation, fd, &event) < 0 ? SK_ESYSTEM : 0;
}

void
sk_poller_remove(struct sk_poller *poller, int fd)
{
	/* Fails only when fd is not watched, and then there is nothing to remove. */
	(void)epoll_ctl(poller->poll_fd, EPOLL_CTL_DEL, fd, NULL);
}

static unsigned
flags_of(uint32_t epoll_events)
{
	unsigned flags = 0;
	if (epoll_events & EPOLLIN)
		flags |= SK_POLLER_READABLE;
	if (epoll_events & EPOLLOUT)
		flags |= SK_POLLER_WRITABLE;
	if (epoll_events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		flags |= SK_POLLER_HANGUP;
	return flags;
}

int
sk_poller_wait(struct sk_poller *poller, struct sk_poller_event *events, int max, int timeout_ms,
	       bool *woken)
{
	struct epoll_event batch[BATCH_EVENTS];
	*woken = false;
	int n;
	do {
		n = epoll_wait(poller->poll_fd, batch, max < BATCH_EVENTS ? max : BATCH_EVENTS,
			       timeout_ms);
		/* A wait with an end just ends early when a signal comes; the caller looks at the
		 * clock anyway. */
	} while (n < 0 && errno == EINTR && timeout_ms < 0);
	assert(n >= 0 || errno == EINTR); /* everything else is a wrong argument */

	int count = 0;
	for (int i = 0; i < n; i++) {
		if (batch[i].data.u64 == WAKE_TOKEN) {
			*woken = true;
			continue;
		}
		events[count].token = batch[i].data.u64;
		events[count].flags = flags_of(batch[i].events);
		count++;
	}
	return count;
}

void
sk_poller_wake(struct sk_poller *poller)
{
	/* Fails only when the counter is full (I2). */
	ssize_t written = write(poller->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
	(void)written;
}
