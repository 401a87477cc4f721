/* socket_stress_test.c: many threads at the same sockets, for the thread sanitizer and the
 * invariants: pieces stay whole and in order (O2), nothing that was queued stays behind (W1, W2),
 * CLOSE is told exactly once (C1), and at the end every slot and descriptor is free, and no output
 * is counted. */
#include "tls_world.h"

#include <pthread.h>

enum { WRITERS = 3, PIECES = 4000, PIECE_MAX = 3000 };

static _Atomic bool is_over;

/* --- the threads of a node ----------------------------------------------------------------- */

static _Thread_local int slot;

static void
enter_node(struct world *w)
{
	slot = sk_quiesce_join(&w->core.quiesce);
	if (slot < 0)
		abort();
	sk_this_core = &w->core;
}

static void *
leave_node(struct world *w)
{
	sk_quiesce_leave(&w->core.quiesce, slot);
	return NULL;
}

static void *
run_poller(void *argument)
{
	struct world *w = argument;
	enter_node(w);
	while (!atomic_load(&is_over))
		(void)world_poll(w, 1);
	return leave_node(w);
}

static pthread_t
start_thread(void *(*run)(void *), void *argument)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, run, argument) != 0)
		abort();
	return thread;
}

/* --- writers on one socket ----------------------------------------------------------------- */

struct writer {
	struct world *w;
	int id;
	uint32_t number;
	int failures;
	struct sk_worker worker;
};

/* A piece says who sent it, the how-manieth of its priority it is, and how long it is. */
struct piece_head {
	uint32_t writer;
	uint32_t sequence;
	uint32_t is_low;
	uint32_t size; /* of what follows, each byte (char)sequence */
};

static void *
run_writer(void *argument)
{
	struct writer *self = argument;
	uint64_t seed = self->number + 1;
	uint32_t sequences[2] = {0, 0};
	enter_node(self->w);
	for (int i = 0; i < PIECES;) {
		/* A turn. */
		sk_this_worker = &self->worker;
		for (uint32_t n = unit_random_below(&seed, 20); n > 0 && i < PIECES; n--, i++) {
			uint32_t is_low = unit_random_below(&seed, 4) == 0;
			struct piece_head head = {self->number, sequences[is_low]++, is_low,
						  unit_random_below(&seed, PIECE_MAX)};
			char *block = skynet_malloc(sizeof head + head.size);
			memcpy(block, &head, sizeof head);
			memset(block + sizeof head, (int)head.sequence, head.size);
			struct sk_output_piece *piece =
				sk_output_piece_take(block, sizeof head + head.size);
			char error[SK_SOCKET_LINE_SIZE];
			self->failures += sk_socket_send(self->w->core.sockets, self->id, piece,
							 is_low, error) != SK_OK;
		}
		sk_sockets_flush(self->w->core.sockets, &self->worker);
		sk_this_worker = NULL;
	}
	return leave_node(self->w);
}

static void
read_all(int fd, void *bytes, size_t size)
{
	char *at = bytes;
	while (size > 0) {
		ssize_t n = read(fd, at, size);
		assert_true(n > 0);
		at += n;
		size -= (size_t)n;
	}
}

static void
writers_on_one_socket_keep_their_pieces_whole_and_in_order(void **state)
{
	struct world *w = *state;
	struct pair pair = world_pair(w);
	struct writer writers[WRITERS];
	pthread_t threads[WRITERS];
	uint32_t expected[WRITERS][2] = {{0}};
	static char body[PIECE_MAX];
	struct timeval deadline = {.tv_sec = 60};
	assert_int_equal(setsockopt(pair.fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline),
			 0);
	atomic_store(&is_over, false);
	world_use_all_processors(w);
	pthread_t poller = start_thread(run_poller, w);
	for (uint32_t i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){.w = w, .id = pair.id, .number = i};
		writers[i].worker.scheduler = &w->core.scheduler;
		threads[i] = start_thread(run_writer, &writers[i]);
	}
	for (int i = 0; i < WRITERS * PIECES; i++) {
		struct piece_head head;
		read_all(pair.fd, &head, sizeof head);
		assert_true(head.writer < WRITERS && head.is_low < 2 && head.size < PIECE_MAX);
		assert_int_equal(head.sequence, expected[head.writer][head.is_low]++);
		read_all(pair.fd, body, head.size);
		for (uint32_t k = 0; k < head.size; k++)
			if (body[k] != (char)head.sequence)
				fail_msg("byte %u of piece %u is wrong", k, head.sequence);
	}
	for (int i = 0; i < WRITERS; i++) {
		(void)pthread_join(threads[i], NULL);
		assert_int_equal(writers[i].failures, 0);
	}
	atomic_store(&is_over, true);
	(void)pthread_join(poller, NULL);
	(void)close(pair.fd);
}

/* --- everything at once -------------------------------------------------------------------- */

enum { MEDDLERS = 3, ROUNDS = 2000, IDS = 8 };

/* Ids that the meddlers meddle with, and how often the end of each was told. */
static _Atomic int ids[IDS];
static _Atomic unsigned char closes[1 << 20];

/* What the owner does: it answers, consumes, and counts. */
static void
handle(struct world *w, struct told *told)
{
	if (told->type == SKYNET_SOCKET_TYPE_CLOSE)
		atomic_fetch_add(&closes[told->id], 1);
	if (told->type == SKYNET_SOCKET_TYPE_DATA) {
		struct socket_sendbuffer answer = {.id = told->id,
						   .type = SOCKET_BUFFER_RAWPOINTER,
						   .buffer = told->buffer,
						   .sz = (size_t)told->ud};
		(void)skynet_socket_sendbuffer(w->service, &answer);
	}
	world_done(w, told);
}

/* What workers do with the messages of the service: handle_one says what that is. */
static void *
run_owner_with(struct world *w, void (*handle_one)(struct world *w, struct told *told))
{
	static struct sk_worker worker;
	enter_node(w);
	while (!atomic_load(&is_over)) {
		sk_this_worker = &worker;
		for (int i = 0; i < 20; i++) {
			struct told told = world_take(w->service);
			if (told.type == 0)
				break;
			handle_one(w, &told);
		}
		sk_sockets_flush(w->core.sockets, &worker);
		sk_this_worker = NULL;
	}
	return leave_node(w);
}

static void *
run_owner(void *argument)
{
	return run_owner_with(argument, handle);
}

static void
meddle(struct world *w, int id, uint32_t what)
{
	switch (what) {
	case 0:
		skynet_socket_close(w->service, id);
		break;
	case 1:
		skynet_socket_shutdown(w->service, id);
		break;
	case 2:
		skynet_socket_pause(w->service, id);
		break;
	case 3:
		socket_info_release(skynet_socket_info());
		break;
	case 4:
	case 5:
		skynet_socket_start(w->service, id);
		break;
	default:
		(void)world_send(w, id, "some bytes, several times over and over again");
		break;
	}
}

static void *
run_meddler(void *argument)
{
	struct writer *self = argument;
	uint64_t seed = self->number + 77;
	enter_node(self->w);
	while (!atomic_load(&is_over)) {
		sk_this_worker = &self->worker;
		for (int i = 0; i < 8; i++)
			meddle(self->w, atomic_load(&ids[unit_random_below(&seed, IDS)]),
			       unit_random_below(&seed, 30));
		sk_sockets_flush(self->w->core.sockets, &self->worker);
		sk_this_worker = NULL;
	}
	return leave_node(self->w);
}

/* One connection through the layer's own listener, with some talk, ended by whoever is faster. */
static void
play_client(int port, uint64_t *seed)
{
	char bytes[512];
	int fd = world_client(port);
	for (uint32_t n = unit_random_below(seed, 4); n > 0; n--)
		if (send(fd, "question", 8, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
			break;
	(void)recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
	if (unit_random_below(seed, 3) == 0)
		world_reset(fd);
	else
		(void)close(fd);
}

/* Ids are drawn from a counter, so the newest socket's is known. */
static int
newest_id(struct world *w)
{
	return (int)atomic_load(&w->core.sockets->last_number);
}

static void
close_all(struct world *w)
{
	struct socket_info *list = skynet_socket_info();
	for (struct socket_info *info = list; info; info = info->next)
		skynet_socket_shutdown(w->service, info->id);
	socket_info_release(list);
}

static void
any_mix_of_operations_ends_every_socket_once(void **state)
{
	struct world *w = *state;
	struct writer meddlers[MEDDLERS];
	pthread_t threads[MEDDLERS];
	uint64_t seed = 4711;
	int port;
	int fds = world_fd_count();
	int listener = world_listen(w, &port);
	atomic_store(&is_over, false);
	world_use_all_processors(w);
	pthread_t poller = start_thread(run_poller, w);
	pthread_t owner = start_thread(run_owner, w);
	for (uint32_t i = 0; i < MEDDLERS; i++) {
		meddlers[i] = (struct writer){.w = w, .number = i};
		meddlers[i].worker.scheduler = &w->core.scheduler;
		threads[i] = start_thread(run_meddler, &meddlers[i]);
	}
	for (int i = 0; i < ROUNDS; i++) {
		play_client(port, &seed);
		int id = newest_id(w);
		atomic_store(&ids[i % IDS], id == listener ? 0 : id);
	}
	close_all(w); /* of the listener no more connections can come */
	close_all(w);
	uint64_t deadline_ms = sk_clock_ms() + WORLD_DEADLINE_MS;
	while (sk_sockets_count(w->core.sockets) > 0) {
		assert_true(sk_clock_ms() < deadline_ms);
		close_all(w);
	}
	atomic_store(&is_over, true);
	(void)pthread_join(poller, NULL);
	(void)pthread_join(owner, NULL);
	for (int i = 0; i < MEDDLERS; i++)
		(void)pthread_join(threads[i], NULL);
	for (struct told told = world_take(w->service); told.type; told = world_take(w->service))
		handle(w, &told);
	for (int id = listener; id <= newest_id(w); id++)
		if (atomic_load(&closes[id]) != 1)
			fail_msg("CLOSE of %d was told %d times", id, atomic_load(&closes[id]));
	assert_int_equal(world_fd_count(), fds);
}

/* --- all kinds ----------------------------------------------------------------------------- */

enum {
	STORM_ROUNDS = 6000,
	STORM_LISTENERS = 4, /* they have the first ids, and are left in peace */
	STORM_RECENT = 64,   /* of so many newest sockets one is meddled with */
	STORM_KEPT = 200,    /* older ones are ended */
	STORM_BIG = 200000,
};

static struct shelf shelf;
static char server_file[PATH_SIZE];
static const struct skynet_tls_options server_tls = {.certificate = server_file};
static const struct skynet_tls_options client_tls = {.verify = SKYNET_TLS_VERIFY_NONE};
static int watched_fd; /* one that is sometimes ready */
static int storm_port[2];
static char storm_path[2][PATH_SIZE];
static _Atomic unsigned char errors[1 << 20];

/* Lines come from all threads. */
static void
drop_log(struct sk_core *core, uint32_t source, char *text, size_t size)
{
	(void)core;
	(void)source;
	(void)size;
	free(text);
}

/* The time of timers comes early, or very early. */
static void *
run_clock(void *argument)
{
	struct world *w = argument;
	uint64_t seed = 99;
	enter_node(w);
	while (!atomic_load(&is_over)) {
		(void)world_expire(w, unit_random_below(&seed, 1500));
		(void)usleep(500);
	}
	return leave_node(w);
}

static void
send_big(struct world *w, int id, bool is_low)
{
	char *bytes = skynet_calloc(1, STORM_BIG);
	if (is_low)
		(void)skynet_socket_send_lowpriority(w->service, id, bytes, STORM_BIG);
	else
		(void)skynet_socket_send(w->service, id, bytes, STORM_BIG);
}

static void
storm_meddle(struct world *w, int id, uint32_t what)
{
	struct skynet_tls_info info;
	switch (what) {
	case 10:
		(void)skynet_socket_secure(w->service, id, &server_tls, 1);
		break;
	case 11:
		(void)skynet_socket_secure(w->service, id, &client_tls, 0);
		break;
	case 12:
		(void)skynet_socket_rearm(w->service, id, 1 + id % 3);
		break;
	case 13:
		(void)skynet_socket_watch(w->service, watched_fd);
		break;
	case 14:
		(void)skynet_socket_tls_info(w->service, id, &info);
		break;
	case 15:
	case 16:
		send_big(w, id, what == 15);
		break;
	case 17:
		if (id % 64 == 0)
			(void)skynet_tls_reload(w->service);
		break;
	default:
		meddle(w, id, what);
		break;
	}
}

static void *
run_storm_meddler(void *argument)
{
	struct writer *self = argument;
	uint64_t seed = self->number + 177;
	enter_node(self->w);
	while (!atomic_load(&is_over)) {
		sk_this_worker = &self->worker;
		for (int i = 0; i < 8; i++) {
			int newest = (int)atomic_load(&self->w->core.sockets->last_number);
			int id = newest - (int)unit_random_below(&seed, STORM_RECENT);
			if (id > STORM_LISTENERS)
				storm_meddle(self->w, id, unit_random_below(&seed, 40));
		}
		sk_sockets_flush(self->w->core.sockets, &self->worker);
		sk_this_worker = NULL;
	}
	return leave_node(self->w);
}

/* Some are full before they are secured, and secured before somebody starts them. */
static void
storm_accept(struct world *w, int id)
{
	if (id % 4 != 0) {
		skynet_socket_start(w->service, id);
		return;
	}
	for (int i = 0; i < 4; i++)
		send_big(w, id, false);
	(void)skynet_socket_secure(w->service, id, &server_tls, 1);
	(void)world_send(w, id, "and something behind it");
}

static void
storm_handle(struct world *w, struct told *told)
{
	if (told->type == SKYNET_SOCKET_TYPE_ERROR)
		atomic_fetch_add(&errors[told->id], 1);
	if (told->type == SKYNET_SOCKET_TYPE_ACCEPT)
		storm_accept(w, told->ud);
	if (told->type == SKYNET_SOCKET_TYPE_READY)
		(void)skynet_socket_rearm(w->service, told->id, SKYNET_SOCKET_WRITABLE);
	handle(w, told);
}

static void *
run_storm_owner(void *argument)
{
	return run_owner_with(argument, storm_handle);
}

/* Two TCP ports and two Unix-domain ones; the second of each speaks TLS. */
static void
open_listeners(struct world *w)
{
	const struct skynet_socket_options options[2] = {{.tls = NULL}, {.tls = &server_tls}};
	for (int i = 0; i < 2; i++) {
		int id = skynet_socket_listen_with(w->service, "127.0.0.1", 0, 0, &options[i]);
		storm_port[i] = world_expect(w, w->service, SKYNET_SOCKET_TYPE_CONNECT, id).ud;
		world_start(w, w->service, id, "start");
		(void)snprintf(storm_path[i], PATH_SIZE, "unix:%s/storm%d", shelf.folder, i);
		id = skynet_socket_listen_with(w->service, storm_path[i], 0, 0, &options[i]);
		(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CONNECT, id);
		world_start(w, w->service, id, "start");
	}
	assert_int_equal(newest_id(w), STORM_LISTENERS);
}

/* One connection more: between two sockets of ours, or from a stranger. Sometimes only one end
 * speaks TLS. */
static void
storm_round(struct world *w, uint64_t *seed)
{
	const struct skynet_socket_options options[2] = {{.tls = NULL}, {.tls = &client_tls}};
	uint32_t port = unit_random_below(seed, 2);
	uint32_t tls = unit_random_below(seed, 8) == 0 ? 1 - port : port;
	switch (unit_random_below(seed, 3)) {
	case 0:
		play_client(storm_port[port], seed);
		break;
	case 1:
		(void)skynet_socket_connect_with(w->service, "127.0.0.1", storm_port[port],
						 &options[tls]);
		break;
	default:
		(void)skynet_socket_connect_with(w->service, storm_path[port], 0, &options[tls]);
		break;
	}
	int old = newest_id(w) - STORM_KEPT;
	if (old > STORM_LISTENERS)
		skynet_socket_close(w->service, old);
	if (old > STORM_LISTENERS + STORM_KEPT + 8)
		for (int i = 0; i < 8; i++)
			skynet_socket_shutdown(w->service, old - STORM_KEPT - i);
}

static void
expect_one_end_each(struct world *w)
{
	for (struct told told = world_take(w->service); told.type; told = world_take(w->service))
		storm_handle(w, &told);
	for (int id = 1; id <= newest_id(w); id++) {
		int told = atomic_load(&closes[id]);
		/* One that never was connected has an ERROR only. */
		if (told != 1 && (told != 0 || atomic_load(&errors[id]) == 0))
			fail_msg("CLOSE of %d was told %d times", id, told);
	}
}

static void
end_all(struct world *w)
{
	uint64_t deadline_ms = sk_clock_ms() + WORLD_DEADLINE_MS;
	while (sk_sockets_count(w->core.sockets) > 0) {
		assert_true(sk_clock_ms() < deadline_ms);
		close_all(w);
	}
}

static void
any_mix_of_kinds_ends_every_socket_once(void **state)
{
	static const char *const settings[] = {"socket_output_limit",
					       "3000000",
					       "socket_output_total",
					       "6000000",
					       "tls_handshake_timeout",
					       "1",
					       "socket_linger",
					       "1",
					       NULL};
	struct writer meddlers[MEDDLERS];
	pthread_t threads[MEDDLERS + 3];
	uint64_t seed = 4712;
	int ends[2];
	(void)state;
	struct world *w = world_new(settings);
	w->core.log_sink = drop_log;
	memset(closes, 0, sizeof closes);
	int fds = world_fd_count();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	watched_fd = ends[0];
	open_listeners(w);
	atomic_store(&is_over, false);
	world_use_all_processors(w);
	threads[MEDDLERS] = start_thread(run_poller, w);
	threads[MEDDLERS + 1] = start_thread(run_storm_owner, w);
	threads[MEDDLERS + 2] = start_thread(run_clock, w);
	for (uint32_t i = 0; i < MEDDLERS; i++) {
		meddlers[i] = (struct writer){.w = w, .number = i};
		meddlers[i].worker.scheduler = &w->core.scheduler;
		threads[i] = start_thread(run_storm_meddler, &meddlers[i]);
	}
	for (int i = 0; i < STORM_ROUNDS; i++)
		storm_round(w, &seed);
	atomic_store(&is_over, true);
	for (int i = 0; i < MEDDLERS + 3; i++)
		(void)pthread_join(threads[i], NULL);
	end_all(w);
	expect_one_end_each(w);
	end_all(w); /* an unread ACCEPT may have been of one that lives */
	expect_one_end_each(w);
	assert_int_equal(atomic_load(&w->core.sockets->waiting_steps), 0);
	(void)close(ends[0]);
	(void)close(ends[1]);
	assert_int_equal(world_fd_count(), fds);
	world_free(w);
}

static int
make_shelf(void **state)
{
	(void)state;
	shelf_init(&shelf);
	shelf_good(&shelf, "server", "DNS:a.test", server_file);
	return 0;
}

static int
clear_shelf(void **state)
{
	(void)state;
	shelf_fini(&shelf);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(writers_on_one_socket_keep_their_pieces_whole_and_in_order),
		world_test(any_mix_of_operations_ends_every_socket_once),
		cmocka_unit_test(any_mix_of_kinds_ends_every_socket_once),
	};
	return cmocka_run_group_tests(tests, make_shelf, clear_shelf);
}
