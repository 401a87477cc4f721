/* socket_world.h: a node without threads, for tests of the socket layer.
 *
 * The parts below the services are real; two services exist only as mailboxes, and the test does by
 * hand what workers do: it polls, takes messages out, and says when they are consumed. So
 * everything happens on one thread, in an order that the test chooses. The other ends of the
 * sockets are plain descriptors of the test. */
#ifndef SOCKET_WORLD_H
#define SOCKET_WORLD_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sched_setaffinity */
#endif

#include "sk_clock.h"
#include "sk_core.h"
#include "sk_service.h"
#include "sk_socket.h"
#include "sk_socket_connect.h"
#include "sk_socket_life.h"
#include "sk_socket_stream.h"
#include "sk_socket_write.h"
#include "skynet_socket.h"
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* Every wait of a test has an end; one that passes never gets near it. */
#define WORLD_DEADLINE_MS 60000

struct world {
	_Alignas(SK_CACHE_LINE) struct sk_core core;
	struct skynet_context *service; /* whose sockets are tested */
	struct skynet_context *other;
	char log[1024];		 /* the last line */
	struct sk_worker worker; /* for turns */
	int echo;		 /* a UDP socket that is connected with itself */
	cpu_set_t processors;	 /* of the test before it had to stay on one */
};

/* A message that was taken out of a mailbox; world_done frees it. */
struct told {
	int type; /* 0: there was none */
	int id;
	int ud;
	char *buffer;
	char text[160];
	bool is_counted; /* of kind SK_MESSAGE_SOCKET */
};

__attribute__((unused)) static struct world *the_world;

static inline void
world_log(struct sk_core *core, uint32_t source, char *text, size_t size)
{
	(void)core;
	(void)source;
	(void)size;
	(void)snprintf(the_world->log, sizeof the_world->log, "%s", text);
	free(text);
}

static inline struct skynet_context *
world_add_service(struct world *w)
{
	struct skynet_context *service =
		skynet_aligned_alloc(SK_CACHE_LINE, sizeof(struct skynet_context));
	memset(service, 0, sizeof *service);
	service->core = &w->core;
	sk_mailbox_init(&service->mailbox); /* held, so nobody tries to schedule it */
	assert_int_equal(sk_registry_add(&w->core.registry, service, &service->handle), SK_OK);
	return service;
}

/* A busy kernel hands on later what was sent over loopback, but in order on each processor. So the
 * test stays on one, and what it has sent before a datagram to itself is there when that is. */
static inline void
world_open_echo(struct world *w)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	cpu_set_t one;
	CPU_ZERO(&one);
	CPU_SET((size_t)sched_getcpu(), &one);
	assert_int_equal(sched_getaffinity(0, sizeof w->processors, &w->processors), 0);
	assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
	w->echo = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(w->echo, (struct sockaddr *)&address, size), 0);
	assert_int_equal(getsockname(w->echo, (struct sockaddr *)&address, &size), 0);
	assert_int_equal(connect(w->echo, (struct sockaddr *)&address, size), 0);
}

/* For tests with threads: they may run where they like. */
static inline void
world_use_all_processors(struct world *w)
{
	assert_int_equal(sched_setaffinity(0, sizeof w->processors, &w->processors), 0);
}

/* Waits until all has come that was sent before. */
static inline void
world_arrive(struct world *w)
{
	struct pollfd wait = {.fd = w->echo, .events = POLLIN};
	char byte = 0;
	assert_int_equal(send(w->echo, &byte, 1, 0), 1);
	assert_int_equal(poll(&wait, 1, WORLD_DEADLINE_MS), 1);
	assert_int_equal(recv(w->echo, &byte, 1, 0), 1);
}

/* settings: key, value, key, value, ..., NULL */
static inline struct world *
world_new(const char *const *settings)
{
	struct world *w = skynet_aligned_alloc(SK_CACHE_LINE, sizeof *w);
	struct sk_scheduler_hooks hooks = {.owner = NULL};
	memset(w, 0, sizeof *w);
	the_world = w;
	(void)signal(SIGPIPE, SIG_IGN);
	w->core.env = sk_env_new();
	for (; settings && *settings; settings += 2)
		assert_int_equal(sk_env_set(w->core.env, settings[0], settings[1]), SK_OK);
	w->core.log_sink = world_log;
	w->core.socket_hooks = (struct sk_core_socket_hooks){
		.consumed = sk_sockets_consumed,
		.flush = sk_sockets_flush,
		.release_owner = sk_sockets_release_owner,
		.discard = sk_sockets_discard,
		.expired = sk_sockets_expired,
	};
	(void)pthread_mutex_init(&w->core.dying_lock, NULL);
	assert_int_equal(sk_quiesce_init(&w->core.quiesce), SK_OK);
	assert_int_equal(sk_registry_init(&w->core.registry, &w->core.quiesce, 0, 1), SK_OK);
	assert_int_equal(sk_scheduler_init(&w->core.scheduler, 1, &w->core.quiesce, &hooks), SK_OK);
	w->core.sockets = sk_sockets_new(&w->core);
	assert_non_null(w->core.sockets);
	sk_this_core = &w->core;
	w->worker.scheduler = &w->core.scheduler;
	w->service = world_add_service(w);
	w->other = world_add_service(w);
	world_open_echo(w);
	return w;
}

static inline void
world_discard_all(struct world *w, struct skynet_context *service)
{
	struct sk_message *message;
	while ((message = sk_mailbox_pop(&service->mailbox)))
		sk_post_discard(&w->core, message);
}

/* The service is killed; its last turn, which is world_kill, is to come. */
static inline void
world_begin_death(struct world *w, struct skynet_context *service)
{
	assert_null(w->core.dying);
	(void)sk_registry_remove(&w->core.registry, service->handle);
	w->core.dying = service;
}

/* What the last turn of a service does. */
static inline void
world_kill(struct world *w, struct skynet_context **service)
{
	(void)sk_registry_remove(&w->core.registry, (*service)->handle);
	if (w->core.dying == *service)
		w->core.dying = NULL;
	world_discard_all(w, *service);
	sk_sockets_release_owner(w->core.sockets, (*service)->handle);
	world_discard_all(w, *service);
	free(*service);
	*service = NULL;
}

static inline void
world_free(struct world *w)
{
	if (w->service)
		world_kill(w, &w->service);
	if (w->other)
		world_kill(w, &w->other);
	sk_sockets_free(w->core.sockets);
	sk_scheduler_fini(&w->core.scheduler);
	sk_registry_fini(&w->core.registry);
	sk_quiesce_fini(&w->core.quiesce);
	(void)pthread_mutex_destroy(&w->core.dying_lock);
	sk_env_free(w->core.env);
	sk_this_core = NULL;
	world_use_all_processors(w);
	(void)close(w->echo);
	free(w);
}

/* --- what workers do ----------------------------------------------------------------------- */

/* Polls once, up to timeout_ms, and hands the events to the layer. Returns how many. */
static inline int
world_poll(struct world *w, int timeout_ms)
{
	struct sk_poller_event events[64];
	bool woken;
	int count = sk_poller_wait(&w->core.scheduler.poller, events, 64, timeout_ms, &woken);
	for (int i = 0; i < count; i++)
		sk_sockets_event(w->core.sockets, events[i].token, events[i].flags);
	return count;
}

/* Lets the time come that the timers wait for. Returns how many there were. */
static inline int
world_expire(struct world *w, uint64_t after_ms)
{
	uint64_t now_ms = sk_scheduler_now_ns(&w->core.scheduler) / SK_NS_PER_MS;
	struct sk_timer_entry *list = sk_timer_expire(w->core.scheduler.timer, now_ms + after_ms);
	int count = 0;
	while (list) {
		struct sk_timer_entry *entry = list;
		list = (struct sk_timer_entry *)entry->message.next;
		sk_sockets_expired(w->core.sockets, entry);
		count++;
	}
	return count;
}

/* Polls until nothing happens any more: all that was sent has come and is handled. */
static inline void
world_settle(struct world *w)
{
	do
		world_arrive(w);
	while (world_poll(w, 0) > 0);
}

static inline void
world_begin_turn(struct world *w)
{
	sk_this_worker = &w->worker;
}

static inline void
world_end_turn(struct world *w)
{
	sk_sockets_flush(w->core.sockets, &w->worker);
	sk_this_worker = NULL;
}

/* Takes the next message, if there is one; it is not consumed yet. */
static inline struct told
world_take(struct skynet_context *service)
{
	struct told told = {0};
	struct sk_message *message = sk_mailbox_pop(&service->mailbox);
	if (!message)
		return told;
	const struct skynet_socket_message *payload = message->data;
	assert_int_equal(message->type, PTYPE_SOCKET);
	assert_int_equal(message->source, 0);
	assert_int_equal(message->session, 0);
	assert_true(message->size >= sizeof *payload);
	told.type = payload->type;
	told.id = payload->id;
	told.ud = payload->ud;
	told.buffer = payload->buffer;
	told.is_counted = message->kind == SK_MESSAGE_SOCKET;
	memcpy(told.text, payload + 1, message->size - sizeof *payload);
	free(message->data);
	free(message);
	return told;
}

/* The callback has returned. */
static inline void
world_done(struct world *w, struct told *told)
{
	free(told->buffer);
	told->buffer = NULL;
	if (told->is_counted)
		sk_sockets_consumed(w->core.sockets, told->id);
}

/* Polls until the service is told something. */
static inline struct told
world_wait(struct world *w, struct skynet_context *service)
{
	uint64_t deadline_ms = sk_clock_ms() + WORLD_DEADLINE_MS;
	for (;;) {
		struct told told = world_take(service);
		if (told.type != 0)
			return told;
		assert_true(sk_clock_ms() < deadline_ms);
		(void)world_poll(w, 10);
	}
}

/* The next message is of that type, about that socket. */
static inline struct told
world_expect(struct world *w, struct skynet_context *service, int type, int id)
{
	struct told told = world_wait(w, service);
	if (told.type != type || told.id != id)
		print_message("told %d about %d: ud %d, text '%s'\n", told.type, told.id, told.ud,
			      told.text);
	assert_int_equal(told.type, type);
	assert_int_equal(told.id, id);
	return told;
}

static inline void
world_expect_nothing(struct world *w, struct skynet_context *service)
{
	world_settle(w);
	struct told told = world_take(service);
	if (told.type != 0)
		print_message("told %d about %d: ud %d, text '%s'\n", told.type, told.id, told.ud,
			      told.text);
	assert_int_equal(told.type, 0);
}

/* --- connections --------------------------------------------------------------------------- */

struct pair {
	int id; /* of the accepted socket, started */
	int fd; /* of the client, blocking */
};

/* Listens on a free port of 127.0.0.1, and starts. */
static inline int
world_listen(struct world *w, int *port)
{
	int id = skynet_socket_listen(w->service, "127.0.0.1", 0, 32);
	assert_true(id > 0);
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_CONNECT, id);
	assert_string_equal(told.text, "127.0.0.1");
	*port = told.ud;
	assert_true(*port > 0);
	skynet_socket_start(w->service, id);
	told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_CONNECT, id);
	assert_string_equal(told.text, "start");
	return id;
}

static inline int
world_client(int port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
		fail_msg("port %d: %s", port, strerror(errno));
	return fd;
}

/* Takes the next accepted connection; it is not started. */
static inline int
world_accept(struct world *w, int listener)
{
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_ACCEPT, listener);
	world_done(w, &told);
	return told.ud;
}

static inline void
world_start(struct world *w, struct skynet_context *service, int id, const char *text)
{
	skynet_socket_start(service, id);
	struct told told = world_expect(w, service, SKYNET_SOCKET_TYPE_CONNECT, id);
	assert_string_equal(told.text, text);
}

/* A connection, accepted and started; the listener is gone again. */
static inline struct pair
world_pair(struct world *w)
{
	int port;
	int listener = world_listen(w, &port);
	struct pair pair = {.fd = world_client(port)};
	pair.id = world_accept(w, listener);
	world_start(w, w->service, pair.id, "start");
	skynet_socket_close(w->service, listener);
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CLOSE, listener);
	return pair;
}

static inline int
world_send(struct world *w, int id, const char *text)
{
	struct socket_sendbuffer buffer = {
		.id = id,
		.type = SOCKET_BUFFER_RAWPOINTER,
		.buffer = text,
		.sz = strlen(text),
	};
	return skynet_socket_sendbuffer(w->service, &buffer);
}

/* Sends size bytes of a pattern that depends on where they are: byte i of all is (i * 31 + i /
 * 251). */
static inline char
world_pattern(size_t i)
{
	return (char)(i * 31 + i / 251);
}

static inline int
world_send_pattern(struct world *w, int id, size_t from, size_t size)
{
	char *bytes = skynet_malloc(size);
	for (size_t i = 0; i < size; i++)
		bytes[i] = world_pattern(from + i);
	struct socket_sendbuffer buffer = {
		.id = id, .type = SOCKET_BUFFER_MEMORY, .buffer = bytes, .sz = size};
	return skynet_socket_sendbuffer(w->service, &buffer);
}

/* Reads exactly so many bytes on the client's side, polling meanwhile so that more comes. Returns
 * how many came before the end of the stream. */
static inline size_t
world_receive(struct world *w, int fd, char *bytes, size_t size)
{
	size_t have = 0;
	uint64_t deadline_ms = sk_clock_ms() + WORLD_DEADLINE_MS;
	while (have < size) {
		ssize_t n = recv(fd, bytes + have, size - have, MSG_DONTWAIT);
		if (n == 0)
			break;
		if (n > 0)
			have += (size_t)n;
		else if (errno != EAGAIN)
			break;
		assert_true(sk_clock_ms() < deadline_ms);
		(void)world_poll(w, n > 0 ? 0 : 1);
	}
	return have;
}

static inline void
world_expect_bytes(struct world *w, int fd, const char *text)
{
	char bytes[256];
	size_t size = strlen(text);
	assert_int_equal(world_receive(w, fd, bytes, size), size);
	assert_memory_equal(bytes, text, size);
}

/* The stream ends in order, and is not reset. */
static inline void
world_expect_end(struct world *w, int fd)
{
	char byte;
	ssize_t n;
	uint64_t deadline_ms = sk_clock_ms() + WORLD_DEADLINE_MS;
	while ((n = recv(fd, &byte, 1, MSG_DONTWAIT)) < 0 && errno == EAGAIN) {
		assert_true(sk_clock_ms() < deadline_ms);
		(void)world_poll(w, 1);
	}
	if (n < 0)
		print_message("the stream ends with: %s\n", strerror(errno));
	assert_int_equal(n, 0);
}

/* Closes with a reset instead of an end of stream. */
static inline void
world_reset(int fd)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
	assert_int_equal(close(fd), 0);
}

static inline int
world_fd_count(void)
{
	int count = 0;
	for (int fd = 0; fd < 4096; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static inline int
world_setup(void **state)
{
	*state = world_new(NULL);
	return 0;
}

static inline int
world_teardown(void **state)
{
	world_free(*state);
	return 0;
}

#define world_test(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

#endif
