/* load.c: the load generator: one thread, epoll, closed loop.
 *
 * load echo PORT CONNECTIONS WINDOW PAYLOAD SECONDS [FRAMING]
 *     Opens CONNECTIONS to 127.0.0.1:PORT and keeps WINDOW frames of PAYLOAD bytes in flight on
 *     each: a new one is sent for each that has come back, those that came back together in one
 *     write. Begins to count when every connection has had an answer. FRAMING: see load_framing.h.
 *     Prints RESULT per_s=N p50_us=N p99_us=N.
 * load tls_echo PORT CONNECTIONS WINDOW PAYLOAD SECONDS
 *     The same over TLS 1.3, without looking at the certificate.
 * load connect PORT COUNT
 *     Opens COUNT connections one after the other. Prints RESULT begin_ns=N seconds=N, then holds
 *     them until its standard input ends.
 * load drain PORT COUNT BYTES
 *     Opens COUNT connections and reads all that comes. Each time BYTES have come for every one of
 *     them, sends a byte on the first. Ends when the server does.
 *
 * I1  What is in flight on a connection is a queue of times, one per frame; answers come in order.
 * I2  All frames are the same bytes, so each stream is a repetition of one frame, and every byte
 *     that comes back is compared with it. */
#include "bench.h"
#include "load_framing.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define EVENTS_MAX 256
#define WINDOW_MAX 64
#define READ_BYTES ((size_t)1 << 16)
/* A server that has not answered every connection after this long is broken. */
#define START_NS (UINT64_C(20) * 1000000000)
/* Times fall into 64 powers of two, each cut into 32: an error of at most 3 %. */
#define BUCKET_BITS 5
#define BUCKETS (64 << BUCKET_BITS)

struct connection {
	int fd;
	SSL *ssl; /* NULL: plain */
	bool has_answered;
	bool waits_for_room;
	uint32_t in_flight, oldest;   /* of sent_at, a ring; I1 */
	size_t unsent, unsent_offset; /* bytes to send; where in a frame they begin */
	size_t received;	      /* of the frame that is coming back */
	uint64_t sent_at[WINDOW_MAX];
};

/* A frame, again and again, more often than a window has room for; I2 */
struct stream {
	unsigned char *bytes;
	size_t size;
	size_t frame;
};

struct load {
	SSL_CTX *context; /* NULL: plain */
	struct connection *connections;
	int count;
	uint32_t window;
	struct stream out, back;
	int epoll_fd;
	int answered; /* connections that have answered */
	bool is_counting;
	uint64_t frames;
	uint64_t buckets[BUCKETS];
};

static void
fail(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int
open_connection(int port)
{
	int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons((uint16_t)port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (fd < 0)
		fail("socket");
	if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
		fail("connect");
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes); /* only speed */
	return fd;
}

/* --- bytes, sealed or not -------------------------------------------------------------------- */

static SSL_CTX *
new_context(void)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	if (context == NULL || SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1)
		fail("TLS");
	SSL_CTX_set_read_ahead(context, 1);
	SSL_CTX_set_mode(context,
			 SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	return context;
}

/* Shakes hands; the descriptor blocks. */
static SSL *
secure(SSL_CTX *context, int fd)
{
	SSL *ssl = SSL_new(context);
	if (ssl == NULL || SSL_set_fd(ssl, fd) != 1 || SSL_connect(ssl) != 1) {
		fprintf(stderr, "load: the TLS handshake failed\n");
		exit(1);
	}
	return ssl;
}

/* As recv and send: -1 with EAGAIN when there is nothing, or no room. */
static ssize_t
tls_result(SSL *ssl, int result)
{
	if (result > 0)
		return result;
	int error = SSL_get_error(ssl, result);
	errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : ECONNRESET;
	return error == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

static ssize_t
connection_read(struct connection *c, void *bytes, size_t size)
{
	return c->ssl ? tls_result(c->ssl, SSL_read(c->ssl, bytes, (int)size))
		      : recv(c->fd, bytes, size, 0);
}

static ssize_t
connection_write(struct connection *c, const void *bytes, size_t size)
{
	return c->ssl ? tls_result(c->ssl, SSL_write(c->ssl, bytes, (int)size))
		      : send(c->fd, bytes, size, MSG_NOSIGNAL);
}

/* --- the figures ----------------------------------------------------------------------------- */

static unsigned
bucket_of(uint64_t ns)
{
	if (ns < 1 << BUCKET_BITS)
		return (unsigned)ns;
	unsigned shift = 63 - (unsigned)__builtin_clzll(ns) - BUCKET_BITS;
	return ((shift + 1) << BUCKET_BITS) + (unsigned)(ns >> shift) - (1 << BUCKET_BITS);
}

static double
bucket_us(unsigned bucket)
{
	if (bucket < 1 << BUCKET_BITS)
		return bucket / 1e3;
	unsigned shift = (bucket >> BUCKET_BITS) - 1;
	double low = (double)((bucket & ((1 << BUCKET_BITS) - 1)) + (1 << BUCKET_BITS));
	return (low + 0.5) * (double)(UINT64_C(1) << shift) / 1e3;
}

static double
percentile_us(const struct load *load, double share)
{
	uint64_t seen = 0, wanted = (uint64_t)(share * (double)load->frames);
	for (unsigned i = 0; i < BUCKETS; i++) {
		seen += load->buckets[i];
		if (seen > wanted)
			return bucket_us(i);
	}
	return 0;
}

/* --- connections ----------------------------------------------------------------------------- */

static void
connection_watch(struct load *load, struct connection *c, int operation, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = c};
	if (epoll_ctl(load->epoll_fd, operation, c->fd, &event) != 0)
		fail("epoll_ctl");
}

static void
connection_flush(struct load *load, struct connection *c)
{
	if (c->unsent == 0)
		return;
	ssize_t n = connection_write(c, load->out.bytes + c->unsent_offset, c->unsent);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		fail("send");
	if (n > 0) {
		c->unsent -= (size_t)n;
		c->unsent_offset = (c->unsent_offset + (size_t)n) % load->out.frame;
	}
	if ((c->unsent > 0) != c->waits_for_room) {
		c->waits_for_room = c->unsent > 0;
		connection_watch(load, c, EPOLL_CTL_MOD,
				 EPOLLIN | (c->waits_for_room ? EPOLLOUT : 0));
	}
}

static void
connection_fill(struct load *load, struct connection *c, uint64_t now)
{
	while (c->in_flight < load->window) {
		c->sent_at[(c->oldest + c->in_flight++) % load->window] = now;
		c->unsent += load->out.frame;
	}
	connection_flush(load, c);
}

static void
connection_answered(struct load *load, struct connection *c, uint64_t now)
{
	uint64_t sent_at = c->sent_at[c->oldest];
	c->oldest = (c->oldest + 1) % load->window;
	c->in_flight--;
	if (load->is_counting) {
		load->frames++;
		load->buckets[bucket_of(now - sent_at)]++;
	} else if (!c->has_answered) {
		c->has_answered = true;
		load->answered++;
	}
}

/* Reads once. Returns whether there may be more, which the kernel does not know of. */
static bool
connection_receive(struct load *load, struct connection *c)
{
	static unsigned char buffer[READ_BYTES];
	ssize_t n = connection_read(c, buffer, load->back.size - load->back.frame);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		fprintf(stderr, "load: the server closed a connection\n");
		exit(1);
	}
	if (memcmp(buffer, load->back.bytes + c->received, (size_t)n) != 0) {
		fprintf(stderr, "load: the server sent back other bytes than it got\n");
		exit(1);
	}
	uint64_t now = now_ns();
	c->received += (size_t)n;
	for (; c->received >= load->back.frame; c->received -= load->back.frame) {
		if (c->in_flight == 0) {
			fprintf(stderr, "load: the server sent back more than it got\n");
			exit(1);
		}
		connection_answered(load, c, now);
	}
	return c->ssl != NULL;
}

static void
connection_readable(struct load *load, struct connection *c)
{
	while (connection_receive(load, c))
		;
	connection_fill(load, c, now_ns());
}

static void
run_until(struct load *load, uint64_t deadline_ns, bool until_all_answered)
{
	struct epoll_event events[EVENTS_MAX];
	while (now_ns() < deadline_ns) {
		if (until_all_answered && load->answered == load->count)
			return;
		int n = epoll_wait(load->epoll_fd, events, EVENTS_MAX, 100);
		if (n < 0 && errno != EINTR)
			fail("epoll_wait");
		for (int i = 0; i < n; i++) {
			struct connection *c = events[i].data.ptr;
			if (events[i].events & EPOLLOUT)
				connection_flush(load, c);
			if (events[i].events & ~(uint32_t)EPOLLOUT)
				connection_readable(load, c);
		}
	}
	if (until_all_answered && load->answered < load->count) {
		fprintf(stderr, "load: only %d of %d connections had an answer in %d s\n",
			load->answered, load->count, (int)(START_NS / 1000000000));
		exit(1);
	}
}

static void
stream_fill(struct stream *stream, enum framing framing, bool is_from_client, size_t payload,
	    size_t count)
{
	stream->bytes = malloc((payload + FRAMING_EXTRA_MAX) * count);
	if (stream->bytes == NULL)
		abort();
	for (size_t i = 0; i < count; i++) {
		stream->frame =
			put_frame(framing, is_from_client, payload, stream->bytes + stream->size);
		stream->size += stream->frame;
	}
}

static void
load_open(struct load *load, int port, size_t payload, enum framing framing)
{
	stream_fill(&load->out, framing, true, payload, load->window + 2);
	stream_fill(&load->back, framing, false, payload, load->window + 2);
	load->connections = calloc((size_t)load->count, sizeof *load->connections);
	load->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (load->connections == NULL)
		abort();
	if (load->epoll_fd < 0)
		fail("epoll_create1");
	for (int i = 0; i < load->count; i++) {
		struct connection *c = &load->connections[i];
		c->fd = open_connection(port);
		if (load->context)
			c->ssl = secure(load->context, c->fd);
		if (framing == FRAMING_WEBSOCKET)
			shake_hands(c->fd);
		if (fcntl(c->fd, F_SETFL, O_NONBLOCK) != 0)
			fail("fcntl");
		connection_watch(load, c, EPOLL_CTL_ADD, EPOLLIN);
	}
}

static int
echo(int port, char **args, bool is_tls, enum framing framing)
{
	static struct load load;
	load.context = is_tls ? new_context() : NULL;
	load.count = (int)positive_number("CONNECTIONS", args[0]);
	load.window = (uint32_t)positive_number("WINDOW", args[1]);
	size_t payload = (size_t)positive_number("PAYLOAD", args[2]);
	double seconds = positive_number("SECONDS", args[3]);
	if (load.window > WINDOW_MAX ||
	    (payload + FRAMING_EXTRA_MAX) * (load.window + 2) > READ_BYTES) {
		fprintf(stderr, "load: at most %d frames and %zu bytes in flight\n", WINDOW_MAX,
			READ_BYTES);
		return 2;
	}
	load_open(&load, port, payload, framing);
	uint64_t now = now_ns();
	for (int i = 0; i < load.count; i++)
		connection_fill(&load, &load.connections[i], now);
	run_until(&load, now + START_NS, true);
	/* A tenth more, for the caches. */
	run_until(&load, now_ns() + (uint64_t)(seconds * 1e8), false);
	load.is_counting = true;
	uint64_t begin = now_ns();
	run_until(&load, begin + (uint64_t)(seconds * 1e9), false);
	uint64_t elapsed = now_ns() - begin;
	printf("RESULT per_s=%.0f p50_us=%.1f p99_us=%.1f\n",
	       (double)load.frames * 1e9 / (double)elapsed, percentile_us(&load, 0.5),
	       percentile_us(&load, 0.99));
	for (int i = 0; i < load.count; i++) {
		SSL_free(load.connections[i].ssl);
		close(load.connections[i].fd);
	}
	SSL_CTX_free(load.context);
	free(load.connections);
	free(load.out.bytes);
	free(load.back.bytes);
	close(load.epoll_fd);
	return load.frames > 0 ? 0 : 1;
}

static int
connect_many(int port, char **args)
{
	int count = (int)positive_number("COUNT", args[0]);
	int *fds = calloc((size_t)count, sizeof *fds);
	if (fds == NULL)
		abort();
	uint64_t begin = now_ns();
	for (int i = 0; i < count; i++)
		fds[i] = open_connection(port);
	printf("RESULT begin_ns=%llu seconds=%.4f\n", (unsigned long long)begin,
	       (double)(now_ns() - begin) / 1e9);
	fflush(stdout);
	while (getchar() != EOF)
		;
	for (int i = 0; i < count; i++)
		close(fds[i]);
	free(fds);
	return 0;
}

/* Reads one connection empty. Returns how much that was; *is_over: the server has ended it. */
static size_t
drain_one(int fd, bool *is_over)
{
	static unsigned char buffer[READ_BYTES];
	ssize_t n = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
	if (n > 0)
		return (size_t)n;
	*is_over = n == 0 || (errno != EAGAIN && errno != EINTR);
	return 0;
}

static int
drain(int port, char **args)
{
	int count = (int)positive_number("COUNT", args[0]);
	uint64_t round = (uint64_t)count * (uint64_t)positive_number("BYTES", args[1]);
	uint64_t received = 0;
	int first = -1, epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0)
		fail("epoll_create1");
	for (int i = 0; i < count; i++) {
		int fd = open_connection(port);
		struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
		if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
			fail("epoll_ctl");
		if (i == 0)
			first = fd;
	}
	for (bool is_over = false; !is_over;) {
		struct epoll_event events[EVENTS_MAX];
		int n = epoll_wait(epoll_fd, events, EVENTS_MAX, -1);
		for (int i = 0; i < n; i++)
			received += drain_one(events[i].data.fd, &is_over);
		for (; received >= round; received -= round)
			if (send(first, "", 1, MSG_NOSIGNAL) != 1)
				is_over = true;
	}
	return 0; /* which closes them all */
}

int
main(int argc, char **argv)
{
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files); /* if not, socket will tell */
	}
	bool is_tls = argc > 1 && strcmp(argv[1], "tls_echo") == 0;
	if (argc == 7 && (is_tls || strcmp(argv[1], "echo") == 0))
		return echo((int)positive_number("PORT", argv[2]), argv + 3, is_tls, FRAMING_U16BE);
	if (argc == 8 && strcmp(argv[1], "echo") == 0)
		return echo((int)positive_number("PORT", argv[2]), argv + 3, false,
			    framing_named(argv[7]));
	if (argc == 4 && strcmp(argv[1], "connect") == 0)
		return connect_many((int)positive_number("PORT", argv[2]), argv + 3);
	if (argc == 5 && strcmp(argv[1], "drain") == 0)
		return drain((int)positive_number("PORT", argv[2]), argv + 3);
	fprintf(stderr,
		"usage: load echo|tls_echo PORT CONNECTIONS WINDOW PAYLOAD SECONDS [FRAMING]\n"
		"       load connect PORT COUNT\n"
		"       load drain PORT COUNT BYTES\n");
	return 2;
}
