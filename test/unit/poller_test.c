/* poller_test.c: edges, wake-ups, signals and what cannot be watched. */
#include "sk_poller.h"

#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* How long an event that must come may take. */
#define DEADLINE_MS 60000

static void
make_pair(int fds[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
}

/* Waits for one event, and expects it to be this one. */
static void
expect_event(struct sk_poller *poller, uint64_t token, unsigned flags)
{
	struct sk_poller_event events[8];
	bool woken;
	assert_int_equal(sk_poller_wait(poller, events, 8, DEADLINE_MS, &woken), 1);
	assert_false(woken);
	assert_int_equal(events[0].token, token);
	assert_int_equal(events[0].flags, flags);
}

static void
expect_nothing(struct sk_poller *poller)
{
	struct sk_poller_event events[8];
	bool woken;
	assert_int_equal(sk_poller_wait(poller, events, 8, 0, &woken), 0);
	assert_false(woken);
}

static void
test_each_edge_is_told_once(void **state)
{
	(void)state;
	struct sk_poller poller;
	int fds[2];
	assert_int_equal(sk_poller_init(&poller), 0);
	make_pair(fds);
	const uint64_t token = UINT64_MAX - 1;
	assert_int_equal(sk_poller_add(&poller, fds[0], token), 0);
	expect_event(&poller, token, SK_POLLER_WRITABLE);
	expect_nothing(&poller);
	assert_int_equal(write(fds[1], "x", 1), 1);
	expect_event(&poller, token, SK_POLLER_READABLE | SK_POLLER_WRITABLE);
	expect_nothing(&poller); /* still readable, but that is no news */
	assert_int_equal(write(fds[1], "y", 1), 1);
	expect_event(&poller, token, SK_POLLER_READABLE | SK_POLLER_WRITABLE);
	(void)close(fds[0]);
	(void)close(fds[1]);
	expect_nothing(&poller);
	sk_poller_fini(&poller);
}

static void
test_end_of_stream_is_a_hangup(void **state)
{
	(void)state;
	struct sk_poller poller;
	int fds[2];
	assert_int_equal(sk_poller_init(&poller), 0);
	make_pair(fds);
	assert_int_equal(sk_poller_add(&poller, fds[0], 7), 0);
	expect_event(&poller, 7, SK_POLLER_WRITABLE);
	assert_int_equal(shutdown(fds[1], SHUT_WR), 0);
	expect_event(&poller, 7, SK_POLLER_READABLE | SK_POLLER_WRITABLE | SK_POLLER_HANGUP);
	(void)close(fds[1]);
	expect_event(&poller, 7, SK_POLLER_READABLE | SK_POLLER_WRITABLE | SK_POLLER_HANGUP);
	(void)close(fds[0]);
	sk_poller_fini(&poller);
}

static void
test_closed_pipe_is_a_hangup(void **state)
{
	(void)state;
	struct sk_poller poller;
	int fds[2];
	assert_int_equal(sk_poller_init(&poller), 0);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(sk_poller_add(&poller, fds[0], 7), 0);
	expect_nothing(&poller);
	(void)close(fds[1]);
	expect_event(&poller, 7, SK_POLLER_HANGUP);
	(void)close(fds[0]);
	sk_poller_fini(&poller);
}

static void
test_removed_descriptor_is_silent(void **state)
{
	(void)state;
	struct sk_poller poller;
	int fds[2];
	assert_int_equal(sk_poller_init(&poller), 0);
	make_pair(fds);
	assert_int_equal(sk_poller_add(&poller, fds[0], 7), 0);
	sk_poller_remove(&poller, fds[0]);
	sk_poller_remove(&poller, fds[0]); /* not watched: nothing happens */
	assert_int_equal(write(fds[1], "x", 1), 1);
	expect_nothing(&poller);
	assert_int_equal(sk_poller_add(&poller, fds[0], 8), 0);
	expect_event(&poller, 8, SK_POLLER_READABLE | SK_POLLER_WRITABLE);
	(void)close(fds[0]);
	(void)close(fds[1]);
	sk_poller_fini(&poller);
}

static void
test_what_cannot_be_watched(void **state)
{
	(void)state;
	struct sk_poller poller;
	assert_int_equal(sk_poller_init(&poller), 0);
	char path[] = "/tmp/poller_test_XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	(void)unlink(path);
	assert_int_equal(sk_poller_add(&poller, fd, 1), SK_ESYSTEM);
	assert_int_equal(errno, EPERM);
	(void)close(fd);
	assert_int_equal(sk_poller_add(&poller, fd, 1), SK_ESYSTEM);
	assert_int_equal(errno, EBADF);
	sk_poller_fini(&poller);
}

static void
test_more_events_than_asked_for_come_later(void **state)
{
	(void)state;
	enum { PAIRS = 20 };
	struct sk_poller poller;
	int fds[PAIRS][2];
	uint32_t seen = 0;
	assert_int_equal(sk_poller_init(&poller), 0);
	for (uint64_t i = 0; i < PAIRS; i++) {
		make_pair(fds[i]);
		assert_int_equal(sk_poller_add(&poller, fds[i][0], i), 0);
	}
	for (int i = 0; i < PAIRS / 4; i++) {
		struct sk_poller_event events[4];
		bool woken;
		assert_int_equal(sk_poller_wait(&poller, events, 4, DEADLINE_MS, &woken), 4);
		for (int j = 0; j < 4; j++)
			seen |= 1u << events[j].token;
	}
	assert_int_equal(seen, (1u << PAIRS) - 1);
	expect_nothing(&poller);
	for (int i = 0; i < PAIRS; i++) {
		(void)close(fds[i][0]);
		(void)close(fds[i][1]);
	}
	sk_poller_fini(&poller);
}

static void
test_wake_counts_for_the_next_wait(void **state)
{
	(void)state;
	struct sk_poller poller;
	struct sk_poller_event event;
	bool woken;
	assert_int_equal(sk_poller_init(&poller), 0);
	for (int i = 0; i < 3; i++) {
		sk_poller_wake(&poller);
		sk_poller_wake(&poller);
		assert_int_equal(sk_poller_wait(&poller, &event, 1, -1, &woken), 0);
		assert_true(woken);
		expect_nothing(&poller);
	}
	sk_poller_fini(&poller);
}

static _Atomic uint32_t signal_count;

static void
count_signal(int number)
{
	(void)number;
	atomic_fetch_add(&signal_count, 1);
}

struct waiter {
	struct sk_poller poller;
	int timeout_ms;
	_Atomic bool has_returned;
	int result;
	bool woken;
};

static void *
wait_in_thread(void *argument)
{
	struct waiter *w = argument;
	struct sk_poller_event event;
	w->result = sk_poller_wait(&w->poller, &event, 1, w->timeout_ms, &w->woken);
	atomic_store(&w->has_returned, true);
	return NULL;
}

static void
start_waiter(struct waiter *w, pthread_t *thread, int timeout_ms)
{
	struct sigaction action = {.sa_handler = count_signal};
	assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
	atomic_store(&signal_count, 0);
	*w = (struct waiter){.timeout_ms = timeout_ms};
	assert_int_equal(sk_poller_init(&w->poller), 0);
	assert_int_equal(pthread_create(thread, NULL, wait_in_thread, w), 0);
}

/* Sends a signal, and waits until it was handled. */
static void
interrupt(pthread_t thread)
{
	uint32_t before = atomic_load(&signal_count);
	assert_int_equal(pthread_kill(thread, SIGUSR1), 0);
	while (atomic_load(&signal_count) == before)
		(void)sched_yield(); /* cannot fail */
}

static void
test_endless_wait_survives_signals_and_ends_by_wake(void **state)
{
	(void)state;
	struct waiter w;
	pthread_t thread;
	start_waiter(&w, &thread, -1);
	for (int i = 0; i < 50; i++)
		interrupt(thread);
	assert_false(atomic_load(&w.has_returned));
	sk_poller_wake(&w.poller);
	(void)pthread_join(thread, NULL);
	assert_int_equal(w.result, 0);
	assert_true(w.woken);
	sk_poller_fini(&w.poller);
}

static void
test_timed_wait_ends_by_a_signal(void **state)
{
	(void)state;
	struct waiter w;
	pthread_t thread;
	start_waiter(&w, &thread, 600000);
	while (!atomic_load(&w.has_returned)) {
		/* A signal may hit the thread before it waits, so not just one. */
		assert_int_equal(pthread_kill(thread, SIGUSR1), 0);
		(void)sched_yield(); /* cannot fail */
	}
	(void)pthread_join(thread, NULL);
	assert_int_equal(w.result, 0);
	assert_false(w.woken);
	sk_poller_fini(&w.poller);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_edge_is_told_once),
		cmocka_unit_test(test_end_of_stream_is_a_hangup),
		cmocka_unit_test(test_closed_pipe_is_a_hangup),
		cmocka_unit_test(test_removed_descriptor_is_silent),
		cmocka_unit_test(test_what_cannot_be_watched),
		cmocka_unit_test(test_more_events_than_asked_for_come_later),
		cmocka_unit_test(test_wake_counts_for_the_next_wait),
		cmocka_unit_test(test_endless_wait_survives_signals_and_ends_by_wake),
		cmocka_unit_test(test_timed_wait_ends_by_a_signal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
