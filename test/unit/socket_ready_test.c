/* socket_ready_test.c: descriptors of others, watched for readiness only (sk_socket_ready.c), as a
 * client library would have it. */
#include "socket_world.h"

#define READABLE SKYNET_SOCKET_READABLE
#define WRITABLE SKYNET_SOCKET_WRITABLE
#define HANGUP SKYNET_SOCKET_HANGUP

struct library {
	int fd;	  /* its own end */
	int peer; /* the server's */
};

static struct library
library_new(void)
{
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
			 0);
	return (struct library){.fd = fds[0], .peer = fds[1]};
}

static void
library_free(struct library *library)
{
	(void)close(library->fd);
	(void)close(library->peer);
}

static int
watch(struct world *w, int fd)
{
	int id = skynet_socket_watch(w->service, fd);
	assert_true(id > 0);
	return id;
}

static void
rearm(struct world *w, int id, int what)
{
	assert_int_equal(skynet_socket_rearm(w->service, id, what), 0);
}

static void
expect_ready(struct world *w, int id, int what)
{
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_READY, id);
	assert_int_equal(told.ud, what);
	assert_null(told.buffer);
	assert_string_equal(told.text, "");
}

static void
put(int fd, const char *bytes)
{
	assert_int_equal(write(fd, bytes, strlen(bytes)), strlen(bytes));
}

static void
nothing_is_told_unasked(void **state)
{
	struct world *w = *state;
	struct library library = library_new();
	(void)watch(w, library.fd);
	put(library.peer, "hello");
	world_expect_nothing(w, w->service);
	library_free(&library);
}

static void
each_request_is_answered_once(void **state)
{
	struct world *w = *state;
	struct library library = library_new();
	int id = watch(w, library.fd);
	rearm(w, id, READABLE);
	world_expect_nothing(w, w->service);
	put(library.peer, "hello");
	expect_ready(w, id, READABLE);
	put(library.peer, "again");
	world_expect_nothing(w, w->service);
	library_free(&library);
}

/* The need that an edge would not meet: the library reads one byte and asks again. */
static void
what_a_library_leaves_unread_is_told_again(void **state)
{
	struct world *w = *state;
	struct library library = library_new();
	int id = watch(w, library.fd);
	put(library.peer, "12345");
	for (int i = 0; i < 5; i++) {
		char byte;
		rearm(w, id, READABLE);
		expect_ready(w, id, READABLE);
		assert_int_equal(read(library.fd, &byte, 1), 1);
		assert_int_equal(byte, '1' + i);
	}
	rearm(w, id, READABLE);
	world_expect_nothing(w, w->service);
	library_free(&library);
}

static void
only_what_was_asked_last_is_told(void **state)
{
	struct world *w = *state;
	struct library library = library_new();
	int id = watch(w, library.fd);
	put(library.peer, "x");
	rearm(w, id, READABLE);
	rearm(w, id, WRITABLE);
	expect_ready(w, id, WRITABLE);
	rearm(w, id, READABLE | WRITABLE);
	expect_ready(w, id, READABLE | WRITABLE);
	rearm(w, id, READABLE);
	rearm(w, id, 0);
	world_expect_nothing(w, w->service);
	rearm(w, id, READABLE);
	expect_ready(w, id, READABLE);
	library_free(&library);
}

/* A2: the event was already taken from the poller when the request changed. */
static void
an_event_for_an_older_request_is_not_told(void **state)
{
	struct world *w = *state;
	struct library library = library_new();
	int id = watch(w, library.fd);
	rearm(w, id, WRITABLE);
	put(library.peer, "x");
	rearm(w, id, READABLE);
	sk_sockets_event(w->core.sockets, (uint64_t)id, WRITABLE);
	expect_ready(w, id, READABLE);
	sk_sockets_event(w->core.sockets, (uint64_t)id, READABLE | HANGUP);
	world_expect_nothing(w, w->service);
	library_free(&library);
}

static void
a_hang_up_is_told_whatever_was_asked(void **state)
{
	struct world *w = *state;
	struct library library = library_new();
	int id = watch(w, library.fd);
	rearm(w, id, READABLE);
	(void)close(library.peer);
	expect_ready(w, id, READABLE | HANGUP);
	rearm(w, id, WRITABLE);
	expect_ready(w, id, WRITABLE | HANGUP);
	world_expect_nothing(w, w->service);
	(void)close(library.fd);
}

static void
a_number_that_comes_back_is_another_descriptor(void **state)
{
	struct world *w = *state;
	struct library first = library_new();
	int old = watch(w, first.fd);
	rearm(w, old, READABLE);
	struct library second = library_new();
	(void)close(first.fd);
	/* The same number for another file, as after close and open. */
	assert_int_equal(dup2(second.fd, first.fd), first.fd);
	int new = watch(w, first.fd);
	rearm(w, new, READABLE);
	put(second.peer, "for the new one");
	expect_ready(w, new, READABLE);
	world_expect_nothing(w, w->service);
	rearm(w, old, READABLE);
	world_expect_nothing(w, w->service);
	put(first.peer, "for the old one");
	expect_ready(w, old, READABLE);
	skynet_socket_close(w->service, old);
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CLOSE, old);
	rearm(w, new, READABLE);
	expect_ready(w, new, READABLE);
	library_free(&first);
	library_free(&second);
}

static void
closing_the_watch_leaves_the_descriptor(void **state)
{
	struct world *w = *state;
	struct library library = library_new();
	int descriptors = world_fd_count();
	for (int i = 0; i < 3; i++) { /* the poller keeps nothing that would be in the way */
		int id = watch(w, library.fd);
		rearm(w, id, READABLE);
		skynet_socket_close(w->service, id);
		(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CLOSE, id);
		put(library.peer, "x");
		world_expect_nothing(w, w->service);
		assert_int_equal(skynet_socket_rearm(w->service, id, READABLE), -1);
	}
	assert_int_equal(world_fd_count(), descriptors);
	char bytes[8];
	assert_int_equal(read(library.fd, bytes, sizeof bytes), 3);
	library_free(&library);
}

static void
a_dead_service_watches_nothing(void **state)
{
	struct world *w = *state;
	struct library library = library_new();
	int descriptors = world_fd_count();
	rearm(w, watch(w, library.fd), READABLE);
	(void)watch(w, library.fd);
	world_kill(w, &w->service);
	put(library.peer, "x");
	world_settle(w);
	assert_int_equal(world_fd_count(), descriptors);
	library_free(&library);
}

static void
a_plain_file_is_always_ready(void **state)
{
	struct world *w = *state;
	FILE *file = tmpfile();
	assert_non_null(file);
	int id = watch(w, fileno(file));
	for (int i = 0; i < 2; i++) {
		rearm(w, id, READABLE);
		expect_ready(w, id, READABLE);
		rearm(w, id, READABLE | WRITABLE);
		expect_ready(w, id, READABLE | WRITABLE);
	}
	world_expect_nothing(w, w->service);
	(void)fclose(file);
}

static void
start_makes_another_the_owner(void **state)
{
	struct world *w = *state;
	struct library library = library_new();
	int id = watch(w, library.fd);
	put(library.peer, "x");
	world_start(w, w->other, id, "transfer");
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_TAKEN, id);
	rearm(w, id, READABLE);
	(void)world_expect(w, w->other, SKYNET_SOCKET_TYPE_READY, id);
	world_expect_nothing(w, w->service);
	char byte;
	assert_int_equal(read(library.fd, &byte, 1), 1); /* nobody else has read it */
	library_free(&library);
}

static void
misuse_is_refused(void **state)
{
	struct world *w = *state;
	struct library library = library_new();
	int id = watch(w, library.fd);
	assert_int_equal(skynet_socket_watch(w->service, -1), -1);
	assert_non_null(strstr(w->log, "cannot watch descriptor -1"));
	assert_int_equal(skynet_socket_rearm(w->service, id, HANGUP), -1);
	assert_non_null(strstr(w->log, "4 is not made of 1 (readable) and 2 (writable)"));
	assert_int_equal(skynet_socket_rearm(w->service, id, -1), -1);
	assert_int_equal(skynet_socket_rearm(w->service, id + 1, READABLE), -1);
	assert_int_equal(world_send(w, id, "text"), -1);
	struct pair pair = world_pair(w);
	assert_int_equal(skynet_socket_rearm(w->service, pair.id, READABLE), -1);
	(void)close(pair.fd);
	library_free(&library);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(nothing_is_told_unasked),
		world_test(each_request_is_answered_once),
		world_test(what_a_library_leaves_unread_is_told_again),
		world_test(only_what_was_asked_last_is_told),
		world_test(an_event_for_an_older_request_is_not_told),
		world_test(a_hang_up_is_told_whatever_was_asked),
		world_test(a_number_that_comes_back_is_another_descriptor),
		world_test(closing_the_watch_leaves_the_descriptor),
		world_test(a_dead_service_watches_nothing),
		world_test(a_plain_file_is_always_ready),
		world_test(start_makes_another_the_owner),
		world_test(misuse_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
