/* limit_tls.c: a bare epoll echo loop over TLS: one thread, OpenSSL on the descriptor, whole frames
 * only. What a TLS server on this machine can reach at most.
 *
 * I1  pending holds what OpenSSL refused; while it is not empty, nothing is read.
 * I2  partial holds the beginning of a frame whose rest has not come yet.
 *
 * Prints READY when it listens; runs until it is killed. */
#include "bench.h"
#include "bytes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define EVENTS_MAX 256
/* The largest frame is a little over 64 KiB; a record after its beginning must still have room. */
#define READ_BYTES ((size_t)1 << 18)

struct connection {
	SSL *ssl;
	int fd;
	struct bytes pending; /* I1 */
	struct bytes partial; /* I2 */
};

static unsigned char read_buffer[READ_BYTES];
static int epoll_fd;
static SSL_CTX *context;

static void
fail(const char *what)
{
	fprintf(stderr, "limit_tls: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void
connection_close(struct connection *c)
{
	SSL_free(c->ssl);
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

/* Whether OpenSSL only waits for the kernel. */
static bool
has_to_wait(struct connection *c, int result)
{
	int error = SSL_get_error(c->ssl, result);
	return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

/* Returns how many bytes were taken, or -1 when the connection is broken. */
static ssize_t
connection_send(struct connection *c, const unsigned char *from, size_t size)
{
	size_t sent = 0;
	while (sent < size) {
		int n = SSL_write(c->ssl, from + sent, (int)(size - sent));
		if (n <= 0)
			return has_to_wait(c, n) ? (ssize_t)sent : -1;
		sent += (size_t)n;
	}
	return (ssize_t)sent;
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

/* Reads behind what is in the buffer already, until there is no more, or no room for a record.
 * Returns the new size, or -1 when the connection has ended. */
static ssize_t
connection_receive(struct connection *c, size_t size)
{
	int n = 0;
	while (size < READ_BYTES - SSL3_RT_MAX_PLAIN_LENGTH &&
	       (n = SSL_read(c->ssl, read_buffer + size, (int)(READ_BYTES - size))) != 0) {
		if (n < 0)
			return has_to_wait(c, n) ? (ssize_t)size : -1;
		size += (size_t)n;
	}
	return size > 0 && n > 0 ? (ssize_t)size : -1;
}

static void
connection_readable(struct connection *c)
{
	size_t before = c->partial.size;
	if (before > 0) {
		memcpy(read_buffer, c->partial.at, before);
		bytes_drop(&c->partial);
	}
	ssize_t size = connection_receive(c, before);
	if (size < 0) {
		connection_close(c);
		return;
	}
	size_t whole = whole_frames(read_buffer, (size_t)size);
	if (whole < (size_t)size)
		bytes_keep(&c->partial, read_buffer + whole, (size_t)size - whole);
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
		SSL *ssl = SSL_new(context);
		if (c == NULL || ssl == NULL || SSL_set_fd(ssl, fd) != 1)
			abort();
		SSL_set_accept_state(ssl);
		c->fd = fd;
		c->ssl = ssl;
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

/* As fast as OpenSSL goes: it reads ahead, so that a record costs one system call. */
static SSL_CTX *
new_context(const char *file)
{
	SSL_CTX *made = SSL_CTX_new(TLS_server_method());
	if (made == NULL || SSL_CTX_use_certificate_chain_file(made, file) != 1 ||
	    SSL_CTX_use_PrivateKey_file(made, file, SSL_FILETYPE_PEM) != 1)
		fail(file);
	SSL_CTX_set_read_ahead(made, 1);
	SSL_CTX_set_mode(made, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	return made;
}

int
main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: limit_tls PORT CERTIFICATE\n");
		return 2;
	}
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files); /* if not, accept will tell */
	}
	(void)signal(SIGPIPE, SIG_IGN);
	context = new_context(argv[2]);
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
