/* limit_echo.c: a bare epoll echo loop: one thread, one read and one write per readiness, whole
 * frames only. What a server on this machine can reach at most.
 *
 * I1  pending holds what the kernel refused; while it is not empty, nothing is read.
 * I2  partial holds the beginning of a frame whose rest has not come yet.
 *
 * Prints READY when it listens; runs until it is killed. */
#include "bench.h"
#include "bytes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define EVENTS_MAX 256
/* The largest frame is a little over 64 KiB; a read after its beginning must still have room. */
#define READ_BYTES ((size_t)1 << 18)

struct connection {
	int fd;
	struct bytes pending; /* I1 */
	struct bytes partial; /* I2 */
};

static unsigned char read_buffer[READ_BYTES];
static int epoll_fd;

static void
fail(const char *what)
{
	fprintf(stderr, "limit_echo: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void
connection_close(struct connection *c)
{
	close(c->fd);
	free(c->pending.at);
	free(c->partial.at);
	free(c);
}

static void
connection_watch(struct connection *c, int operation, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = c};
	if (epoll_ctl(epoll_fd, operation, c->fd, &event) != 0)
		fail("epoll_ctl");
}

/* Returns how many bytes the kernel took, or -1 when the connection is broken. */
static ssize_t
connection_send(struct connection *c, const unsigned char *from, size_t size)
{
	ssize_t n = send(c->fd, from, size, MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	return n;
}

static void
connection_writable(struct connection *c)
{
	ssize_t n = connection_send(c, c->pending.at, c->pending.size);
	if (n < 0) {
		connection_close(c);
		return;
	}
	c->pending.size -= (size_t)n;
	memmove(c->pending.at, c->pending.at + n, c->pending.size);
	if (c->pending.size == 0) {
		bytes_drop(&c->pending);
		connection_watch(c, EPOLL_CTL_MOD, EPOLLIN);
	}
}

static void
connection_readable(struct connection *c)
{
	size_t size = c->partial.size;
	if (size > 0) {
		memcpy(read_buffer, c->partial.at, size);
		bytes_drop(&c->partial);
	}
	ssize_t n = recv(c->fd, read_buffer + size, READ_BYTES - size, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		n = 0;
	else if (n <= 0) {
		connection_close(c);
		return;
	}
	size += (size_t)n;
	size_t whole = whole_frames(read_buffer, size);
	if (whole < size)
		bytes_keep(&c->partial, read_buffer + whole, size - whole);
	if (whole == 0)
		return;
	ssize_t sent = connection_send(c, read_buffer, whole);
	if (sent < 0) {
		connection_close(c);
	} else if ((size_t)sent < whole) {
		bytes_keep(&c->pending, read_buffer + sent, whole - (size_t)sent);
		connection_watch(c, EPOLL_CTL_MOD, EPOLLOUT);
	}
}

static void
accept_all(int listener)
{
	int fd, yes = 1;
	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct connection *c = calloc(1, sizeof *c);
		if (c == NULL)
			abort();
		c->fd = fd;
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes); /* only speed */
		connection_watch(c, EPOLL_CTL_ADD, EPOLLIN);
	}
	if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
		fail("accept");
}

static int
listen_on(int port)
{
	int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons((uint16_t)port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
	    bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
	    listen(fd, SOMAXCONN) != 0)
		fail("listen");
	return fd;
}

int
main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: limit_echo PORT\n");
		return 2;
	}
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files); /* if not, accept will tell */
	}
	int listener = listen_on((int)positive_number("PORT", argv[1]));
	struct epoll_event events[EVENTS_MAX];
	struct epoll_event first = {.events = EPOLLIN, .data.ptr = NULL};
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &first) != 0)
		fail("epoll");
	printf("READY\n");
	fflush(stdout);
	for (;;) {
		int n = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);
		if (n < 0 && errno != EINTR)
			fail("epoll_wait");
		for (int i = 0; i < n; i++) {
			struct connection *c = events[i].data.ptr;
			if (c == NULL)
				accept_all(listener);
			else if (c->pending.size > 0)
				connection_writable(c);
			else
				connection_readable(c);
		}
	}
}
