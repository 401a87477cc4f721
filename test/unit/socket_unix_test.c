/* socket_unix_test.c: Unix-domain sockets (sk_socket_unix.c): names, files, both ends. */
#include "socket_world.h"

#include <sys/stat.h>
#include <sys/un.h>

struct place {
	char folder[32];
	char host[64]; /* "unix:" and a path in the folder */
};

static const char *
path_of(const struct place *place)
{
	return place->host + strlen("unix:");
}

static struct place
new_place(void)
{
	struct place place = {.folder = "/tmp/unix_testXXXXXX"};
	assert_non_null(mkdtemp(place.folder));
	(void)snprintf(place.host, sizeof place.host, "unix:%s/socket", place.folder);
	return place;
}

static void
free_place(struct place *place)
{
	(void)unlink(path_of(place));
	assert_int_equal(rmdir(place->folder), 0);
}

static bool
has_file(const struct place *place)
{
	struct stat file;
	return lstat(path_of(place), &file) == 0;
}

static int
listen_on(struct world *w, const char *host)
{
	int id = skynet_socket_listen(w->service, host, 12345, 32);
	if (id < 0)
		print_message("%s\n", w->log);
	assert_true(id > 0);
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_CONNECT, id);
	assert_string_equal(told.text, host);
	assert_int_equal(told.ud, 0);
	world_start(w, w->service, id, "start");
	return id;
}

static int
connect_to(struct world *w, const char *host)
{
	int id = skynet_socket_connect(w->service, host, 0);
	assert_true(id > 0);
	return id;
}

static void
close_and_expect(struct world *w, int id)
{
	skynet_socket_close(w->service, id);
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CLOSE, id);
}

/* The peers that a monitor sees. */
static bool
is_listed(int id, const char *name)
{
	struct socket_info *list = skynet_socket_info();
	bool is_found = false;
	for (const struct socket_info *info = list; info; info = info->next)
		is_found |= info->id == id && strcmp(info->name, name) == 0;
	socket_info_release(list);
	return is_found;
}

/* Both ends are ours; the messages come in an order that is the system's, so they are sorted out
 * here. */
static void
talk(struct world *w, const char *host)
{
	int listener = listen_on(w, host);
	int client = connect_to(w, host);
	int server = 0;
	for (int i = 0; i < 2; i++) {
		struct told told = world_wait(w, w->service);
		if (told.type == SKYNET_SOCKET_TYPE_ACCEPT) {
			assert_string_equal(told.text, "unix:");
			server = told.ud;
		} else {
			assert_int_equal(told.type, SKYNET_SOCKET_TYPE_CONNECT);
			assert_int_equal(told.id, client);
			assert_string_equal(told.text, host);
		}
		world_done(w, &told);
	}
	world_start(w, w->service, server, "start");
	assert_true(is_listed(listener, host));
	assert_true(is_listed(client, host));
	assert_true(is_listed(server, "unix:"));
	assert_int_equal(world_send(w, client, "question"), 0);
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_DATA, server);
	assert_int_equal(told.ud, 8);
	assert_memory_equal(told.buffer, "question", 8);
	world_done(w, &told);
	assert_int_equal(world_send(w, server, "answer"), 0);
	told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_DATA, client);
	world_done(w, &told);
	skynet_socket_nodelay(w->service, client); /* does no harm */
	close_and_expect(w, client);
	(void)world_expect(w, w->service, SKYNET_SOCKET_TYPE_CLOSE, server);
	close_and_expect(w, listener);
}

static void
services_talk_through_a_file(void **state)
{
	struct world *w = *state;
	struct place place = new_place();
	talk(w, place.host);
	assert_false(has_file(&place));
	talk(w, place.host);
	free_place(&place);
}

static void
services_talk_through_an_abstract_name(void **state)
{
	struct world *w = *state;
	char host[64];
	(void)snprintf(host, sizeof host, "unix:@skynet unix_test %d", (int)getpid());
	talk(w, host);
	talk(w, host);
}

static int
plain_client(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

/* Many bytes both ways, past all buffers, with reads and writes of any size. */
static void
a_flood_arrives_whole(void **state)
{
	struct world *w = *state;
	struct place place = new_place();
	size_t size = 3 << 20;
	char *bytes = malloc(size);
	int listener = listen_on(w, place.host);
	int fd = plain_client(path_of(&place));
	int id = world_accept(w, listener);
	world_start(w, w->service, id, "start");
	assert_int_equal(world_send_pattern(w, id, 0, size), 0);
	assert_int_equal(world_receive(w, fd, bytes, size), size);
	for (size_t i = 0; i < size; i++)
		assert_true(bytes[i] == world_pattern(i));
	size_t sent = 0, received = 0;
	while (received < size) {
		ssize_t n = send(fd, bytes + sent, size - sent < 70001 ? size - sent : 70001,
				 MSG_DONTWAIT);
		sent += n > 0 ? (size_t)n : 0;
		(void)world_poll(w, 0);
		struct told told = world_take(w->service);
		if (told.type == SKYNET_SOCKET_TYPE_WARNING || told.type == 0)
			continue;
		assert_int_equal(told.type, SKYNET_SOCKET_TYPE_DATA);
		assert_memory_equal(told.buffer, bytes + received, (size_t)told.ud);
		received += (size_t)told.ud;
		world_done(w, &told);
	}
	free(bytes);
	(void)close(fd);
	free_place(&place);
}

static void
a_file_that_is_left_over_is_replaced(void **state)
{
	struct world *w = *state;
	struct place place = new_place();
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path_of(&place));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	(void)close(fd); /* as when a process is killed */
	assert_true(has_file(&place));
	talk(w, place.host);
	free_place(&place);
}

static void
a_file_that_is_in_use_is_not(void **state)
{
	struct world *w = *state;
	struct place place = new_place();
	int listener = listen_on(w, place.host);
	assert_int_equal(skynet_socket_listen(w->service, place.host, 0, 1), -1);
	assert_non_null(strstr(w->log, place.host));
	assert_non_null(strstr(w->log, strerror(EADDRINUSE)));
	close_and_expect(w, listener);
	FILE *file = fopen(path_of(&place), "w");
	assert_non_null(file);
	(void)fclose(file);
	assert_int_equal(skynet_socket_listen(w->service, place.host, 0, 1), -1);
	assert_true(has_file(&place));
	free_place(&place);
}

static void
a_successors_file_is_left_alone(void **state)
{
	struct world *w = *state;
	struct place place = new_place();
	int first = listen_on(w, place.host);
	assert_int_equal(unlink(path_of(&place)), 0);
	int second = listen_on(w, place.host);
	close_and_expect(w, first);
	assert_true(has_file(&place));
	world_kill(w, &w->service); /* its death ends the second */
	assert_false(has_file(&place));
	assert_int_equal(sk_sockets_count(w->core.sockets), 0);
	(void)second;
	free_place(&place);
}

static void
bad_names_are_refused(void **state)
{
	struct world *w = *state;
	char host[256] = "unix:/";
	assert_int_equal(skynet_socket_listen(w->service, "unix:", 0, 1), -1);
	assert_non_null(strstr(w->log, "from 1 to 107 bytes, not 0"));
	assert_int_equal(skynet_socket_listen(w->service, "unix:@", 0, 1), -1);
	assert_int_equal(skynet_socket_connect(w->service, "unix:", 0), -1);
	memset(host + 6, 'x', 107);
	assert_int_equal(skynet_socket_listen(w->service, host, 0, 1), -1);
	assert_non_null(strstr(w->log, "from 1 to 107 bytes, not 108"));
	assert_int_equal(skynet_socket_connect(w->service, host, 0), -1);
	struct skynet_socket_options shares = {.shares_port = 1};
	assert_int_equal(skynet_socket_listen_with(w->service, "unix:@x", 0, 1, &shares), -1);
	assert_non_null(strstr(w->log, "shares_port"));
	assert_int_equal(skynet_socket_listen(w->service, "unix:/no/such/folder", 0, 1), -1);
	assert_non_null(strstr(w->log, strerror(ENOENT)));
	assert_int_equal(sk_sockets_count(w->core.sockets), 0);
}

static void
the_longest_path_is_told_whole(void **state)
{
	struct world *w = *state;
	char folder[] = "/tmp/unix_testXXXXXX";
	char host[128];
	assert_non_null(mkdtemp(folder));
	int length = snprintf(host, sizeof host, "unix:%s/", folder);
	memset(host + length, 'y', (size_t)(5 + 107 - length));
	host[5 + 107] = '\0';
	talk(w, host);
	assert_int_equal(rmdir(folder), 0);
}

static void
a_connection_that_fails_is_an_error(void **state)
{
	struct world *w = *state;
	struct place place = new_place();
	int id = connect_to(w, place.host);
	struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_ERROR, id);
	assert_string_equal(told.text, strerror(ENOENT));
	world_expect_nothing(w, w->service);
	assert_int_equal(sk_sockets_count(w->core.sockets), 0);
	free_place(&place);
}

static void
a_peer_with_a_name_is_told_by_it(void **state)
{
	struct world *w = *state;
	struct place place = new_place();
	struct sockaddr_un address = {.sun_family = AF_UNIX}, own = {.sun_family = AF_UNIX};
	int listener = listen_on(w, place.host);
	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path_of(&place));
	own.sun_path[1] = 'p'; /* abstract: bytes, not a text */
	own.sun_path[2] = (char)getpid();
	for (int i = 0; i < 2; i++) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		socklen_t size = offsetof(struct sockaddr_un, sun_path) + 3;
		if (i == 1)
			size = sizeof own; /* the longest */
		assert_int_equal(bind(fd, (struct sockaddr *)&own, size), 0);
		assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
		struct told told = world_expect(w, w->service, SKYNET_SOCKET_TYPE_ACCEPT, listener);
		assert_memory_equal(told.text, "unix:@p", 7);
		world_done(w, &told);
		(void)close(fd);
	}
	free_place(&place);
}

/* The limits of what waits in a closed socket are no affair of the kernel's here. */
static void
a_closed_socket_whose_peer_does_not_read_is_given_up(void **state)
{
	static const char *const settings[] = {"socket_linger", "1", NULL};
	world_free(*state);
	struct world *w = world_new(settings);
	*state = w;
	struct place place = new_place();
	int listener = listen_on(w, place.host);
	int fd = plain_client(path_of(&place));
	int id = world_accept(w, listener);
	assert_int_equal(world_send_pattern(w, id, 0, 4 << 20), 0);
	skynet_socket_close(w->service, id);
	assert_int_equal(world_expire(w, 500), 0);
	assert_int_equal(sk_sockets_count(w->core.sockets), 2);
	assert_int_equal(world_expire(w, 1000), 1);
	assert_int_equal(sk_sockets_count(w->core.sockets), 1);
	assert_int_equal(sk_sockets_counter(w->core.sockets, SK_SOCKET_LINGER), 1);
	(void)close(fd);
	free_place(&place);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(services_talk_through_a_file),
		world_test(services_talk_through_an_abstract_name),
		world_test(a_flood_arrives_whole),
		world_test(a_file_that_is_left_over_is_replaced),
		world_test(a_file_that_is_in_use_is_not),
		world_test(a_successors_file_is_left_alone),
		world_test(bad_names_are_refused),
		world_test(the_longest_path_is_told_whole),
		world_test(a_connection_that_fails_is_an_error),
		world_test(a_peer_with_a_name_is_told_by_it),
		world_test(a_closed_socket_whose_peer_does_not_read_is_given_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
