/* harbor_wire.h: proxies of the test between nodes, which can be cut and stopped, and sockets of
 * the test's own. */
#ifndef HARBOR_WIRE_H
#define HARBOR_WIRE_H

#include "harbor_world.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define WIRE_PAIRS 16

struct wire_pair {
	int ends[2];	/* who has connected, and the target; -1: none */
	int64_t passed; /* bytes from the first to the second */
};

/* Passes on what comes to its port, in a thread of its own. */
struct wire {
	int port;
	int listener;
	int target; /* a port */
	pthread_t thread;
	struct wire_pair pairs[WIRE_PAIRS];
	/* Under lock. */
	bool is_over;
	bool is_stopped;   /* reads nothing, and accepts nothing */
	bool is_cut;	   /* closes all connections, once */
	int64_t cut_after; /* so many bytes more, then all are closed, once; -1: never */
	bool swallows;	   /* what comes is lost */
	int64_t swallowed; /* so many bytes of it, of those who have connected */
};

static inline int
listen_on_any(int *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t size = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	*port = ntohs(address.sin_port);
	return fd;
}

/* Returns -1 if nobody is there. */
static inline int
dial_port(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

static inline void
close_pair(struct wire_pair *pair)
{
	for (int i = 0; i < 2; i++) {
		if (pair->ends[i] >= 0)
			(void)close(pair->ends[i]);
		pair->ends[i] = -1;
	}
}

static inline void
wire_accept(struct wire *wire)
{
	int fd = accept(wire->listener, NULL, NULL);
	for (int i = 0; i < WIRE_PAIRS && fd >= 0; i++) {
		struct wire_pair *pair = &wire->pairs[i];
		if (pair->ends[0] >= 0)
			continue;
		*pair = (struct wire_pair){{fd, dial_port(wire->target)}, 0};
		if (pair->ends[1] < 0)
			close_pair(pair);
		return;
	}
	(void)close(fd);
}

/* Passes on what one end has said. */
static inline void
wire_pass(struct wire *wire, struct wire_pair *pair, int from)
{
	char bytes[4096];
	(void)pthread_mutex_lock(&lock);
	int64_t limit = from == 0 ? wire->cut_after : -1;
	bool swallows = wire->swallows, is_stopped = wire->is_stopped;
	(void)pthread_mutex_unlock(&lock);
	if (is_stopped) /* since it was polled */
		return;
	size_t wanted = limit >= 0 && limit < (int64_t)sizeof bytes ? (size_t)limit : sizeof bytes;
	ssize_t size = wanted > 0 ? read(pair->ends[from], bytes, wanted) : 0;
	if (size > 0 && !swallows &&
	    send(pair->ends[!from], bytes, (size_t)size, MSG_NOSIGNAL) != size)
		size = 0;
	if (size > 0 && swallows && from == 0) {
		(void)pthread_mutex_lock(&lock);
		wire->swallowed += size;
		(void)pthread_cond_broadcast(&news);
		(void)pthread_mutex_unlock(&lock);
	}
	if (limit >= 0 && size >= 0) {
		(void)pthread_mutex_lock(&lock);
		wire->cut_after = size == limit ? -1 : limit - size;
		(void)pthread_mutex_unlock(&lock);
		if (size == limit)
			size = 0;
	}
	if (size <= 0)
		close_pair(pair);
}

/* Returns whether it goes on. */
static inline bool
wire_step(struct wire *wire)
{
	struct pollfd polls[1 + 2 * WIRE_PAIRS];
	int count = 1 + 2 * WIRE_PAIRS;
	(void)pthread_mutex_lock(&lock);
	bool is_stopped = wire->is_stopped, is_cut = wire->is_cut, is_over = wire->is_over;
	wire->is_cut = false;
	(void)pthread_mutex_unlock(&lock);
	polls[0] = (struct pollfd){.fd = is_stopped ? -1 : wire->listener, .events = POLLIN};
	for (int i = 0; i < WIRE_PAIRS; i++) {
		if (is_cut || is_over)
			close_pair(&wire->pairs[i]);
		for (int j = 0; j < 2; j++)
			polls[1 + 2 * i + j] = (struct pollfd){
				.fd = is_stopped ? -1 : wire->pairs[i].ends[j], .events = POLLIN};
	}
	if (poll(polls, (nfds_t)count, 1) <= 0)
		return !is_over;
	if (polls[0].revents)
		wire_accept(wire);
	for (int i = 1; i < count; i++) {
		struct wire_pair *pair = &wire->pairs[(i - 1) / 2];
		if (polls[i].revents && pair->ends[(i - 1) % 2] == polls[i].fd)
			wire_pass(wire, pair, (i - 1) % 2);
	}
	return !is_over;
}

static inline void *
wire_run(void *argument)
{
	while (wire_step(argument))
		;
	return NULL;
}

static inline void
wire_start(struct wire *wire, int target)
{
	*wire = (struct wire){.target = target, .cut_after = -1};
	for (int i = 0; i < WIRE_PAIRS; i++)
		wire->pairs[i].ends[0] = wire->pairs[i].ends[1] = -1;
	wire->listener = listen_on_any(&wire->port);
	assert_int_equal(pthread_create(&wire->thread, NULL, wire_run, wire), 0);
}

#define wire_set(wire, field, value)               \
	do {                                       \
		(void)pthread_mutex_lock(&lock);   \
		(wire)->field = (value);           \
		(void)pthread_mutex_unlock(&lock); \
	} while (0)

static inline void
wire_stop(struct wire *wire)
{
	wire_set(wire, is_over, true);
	(void)pthread_join(wire->thread, NULL);
	(void)close(wire->listener);
}

#endif
