/* log_test.c: what recording writes, and the ways of a log line. */
#include "service_world.h"

#include <unistd.h>

static const char *
run(struct actor *actor, const char *command, const char *parm)
{
	return skynet_command(actor->ctx, command, parm);
}

/* --- recording ----------------------------------------------------------------------------- */

static char folder[64];

static int
make_folder(void **state)
{
	(void)snprintf(folder, sizeof folder, "/tmp/log_test.XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	const char *settings[] = {"logpath", folder, NULL};
	*state = world_new(settings);
	return 0;
}

static int
remove_folder(void **state)
{
	char path[96];
	world_free(*state);
	for (int handle = 1; handle <= WORLD_ACTORS; handle++) {
		(void)snprintf(path, sizeof path, "%s/%08x.log", folder, handle);
		(void)unlink(path);
	}
	return rmdir(folder);
}

/* What the file of a service holds, with '#' for each number of hundredths of a second. */
static const char *
recorded(uint32_t handle)
{
	static char text[2048];
	char path[96];
	(void)snprintf(path, sizeof path, "%s/%08x.log", folder, handle);
	FILE *file = fopen(path, "re");
	assert_non_null(file);
	size_t size = fread(text, 1, sizeof text - 1, file);
	text[size] = '\0';
	(void)fclose(file);
	return text;
}

/* Reads one line "open time: CS WEEKDAY MON DD HH:MM:SS YYYY"; returns what is behind it. */
static const char *
skip_open_line(const char *text)
{
	unsigned cs, day, hour, minute, second, year;
	char weekday[4], month[4];
	int length = 0;
	assert_int_equal(sscanf(text, "open time: %u %3s %3s %u %2u:%2u:%2u %4u%n", &cs, weekday,
				month, &day, &hour, &minute, &second, &year, &length),
			 8);
	assert_int_equal(text[length], '\n');
	return text + length + 1;
}

/* Reads one line "HEAD CS TAIL"; returns what is behind it. */
static const char *
skip_line(const char *text, const char *head, const char *tail)
{
	size_t length = strlen(head);
	if (strncmp(text, head, length) != 0)
		fail_msg("no '%s' in '%s'", head, text);
	text += length;
	char *end;
	uint64_t cs = strtoull(text, &end, 10);
	assert_in_range(cs, 0, skynet_now());
	length = strlen(tail);
	if (strncmp(end, tail, length) != 0 || end[length] != '\n')
		fail_msg("no '%s' in '%s'", tail, end);
	return end + length + 1;
}

static void
what_a_service_gets_is_recorded(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	char bytes[] = {'\0', '\n', 'z', '\xff'};
	assert_null(run(a, "LOGON", ":2"));
	world_expect_log(w, "00000001 Open log file %s/00000002.log\n", folder);
	assert_null(run(a, "LOGON", ":2")); /* twice is once */
	(void)skynet_send(a->ctx, 0, b->handle, PTYPE_TEXT, 12, bytes, sizeof bytes);
	(void)skynet_send(a->ctx, 0x1234abcd, b->handle, 255, -1, NULL, 0);
	(void)skynet_probe(a->ctx, b->handle); /* the service does not get it */
	(void)skynet_timeout(b->ctx, 0, NULL);
	world_run(w);
	assert_null(run(a, "LOGOFF", ":2"));
	world_expect_log(w, "00000001 Close log file :00000002\n");
	(void)send_text(a, b->handle, 0, "unseen");
	world_run(w);
	const char *text = skip_open_line(recorded(b->handle));
	text = skip_line(text, ":00000001 0 12 ", " 000a7aff");
	text = skip_line(text, ":1234abcd 255 -1 ", " ");
	text = skip_line(text, ":00000000 1 1 ", " ");
	text = skip_line(text, "close time: ", "");
	assert_string_equal(text, "");
}

static void
a_recording_goes_on_in_the_same_file_and_ends_with_its_service(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	(void)run(b, "REG", ".bob");
	assert_null(run(b, "LOGON", ".bob"));
	assert_null(run(b, "LOGOFF", ".bob"));
	assert_null(run(a, "LOGOFF", ".bob"));
	world_run(w); /* the file is closed when no turn can be writing to it */
	assert_null(run(b, "LOGON", ".bob"));
	(void)command_to(a, "KILL", b->handle, "");
	world_run(w);
	const char *text = skip_open_line(recorded(b->handle));
	text = skip_open_line(skip_line(text, "close time: ", ""));
	assert_string_equal(skip_line(text, "close time: ", ""), "");
	assert_non_null(strstr(w->log, "00000002 Close log file :00000002\n"));
	assert_null(run(a, "LOGON", ":1"));
	world_forget_log(w); /* this one is open when the node is freed */
}

static void
recording_with_odd_parameters(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w);
	assert_null(run(a, "LOGON", ":63"));
	assert_null(run(a, "LOGON", ".nobody"));
	assert_null(run(a, "LOGOFF", ":63"));
	assert_null(run(a, "LOGOFF", ":1"));
	world_expect_log(w, "%s", "");
	assert_null(run(a, "LOGON", "1"));
	world_expect_log(w, "00000001 error: Can't convert 1 to handle\n");
	assert_null(run(a, "LOGOFF", NULL));
	world_expect_log(w, "00000001 error: Can't convert nothing to handle\n");
}

static void
a_recording_that_cannot_be_opened_is_logged(void **state)
{
	static const char *const settings[] = {"logpath", "/tmp/log_test.none/sub", NULL};
	struct world *w = world_new(settings);
	struct actor *a = world_add(w);
	(void)state;
	assert_null(run(a, "LOGON", ":1"));
	world_expect_log(w, "00000001 Open log file /tmp/log_test.none/sub/00000001.log fail: "
			    "No such file or directory\n");
	world_free(w);
}

static void
without_logpath_nothing_is_recorded(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w);
	assert_null(run(a, "LOGON", ":1"));
	assert_null(run(a, "LOGOFF", ":1"));
	world_expect_log(w, "%s", "");
}

/* --- log lines ----------------------------------------------------------------------------- */

static void
a_log_line_has_its_source(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w);
	char long_text[700];
	memset(long_text, 'x', sizeof long_text - 1);
	long_text[sizeof long_text - 1] = '\0';
	skynet_error(a->ctx, "%d and %s", 1, "two");
	world_expect_log(w, "00000001 1 and two\n");
	skynet_error(NULL, "of the node");
	world_expect_log(w, "00000000 of the node\n");
	skynet_error(a->ctx, "<%s>", long_text);
	world_expect_log(w, "00000001 <%s>\n", long_text);
	skynet_error(a->ctx, "%*s", 3, "abcdef");
	world_expect_log(w, "00000001 abc\n");
	skynet_error(a->ctx, "%*s.", 3, "a"); /* not alone: as printf */
	world_expect_log(w, "00000001   a.\n");
	skynet_error(a->ctx, "%*s", -3, "abc"); /* nothing that could be logged */
	world_expect_log(w, "00000001 \n");
}

/* Tests from here on log the real way. */
static void
the_service_named_logger_gets_the_lines(void **state)
{
	struct world *w = *state;
	struct actor *log = world_add(w), *a = world_add(w), *b = world_add(w);
	w->core->log_sink = sk_log_line;
	assert_string_equal(run(log, "REG", ".logger"), "logger");
	skynet_error(a->ctx, "line");
	skynet_error(NULL, "of the node");
	skynet_error(a->ctx, "%*s", 3, "a\0b");
	world_run(w);
	expect_mail(log, PTYPE_TEXT, 0, a->handle, "line");
	expect_mail(log, PTYPE_TEXT, 0, 0, "of the node");
	assert_int_equal(log->mails[2].size, 3);
	assert_memory_equal(log->mails[2].text, "a\0b", 4);
	log->taken++;
	/* Another one can take over. */
	(void)command_to(b, "KILL", log->handle, "");
	assert_string_equal(run(b, "REG", ".logger"), "logger");
	skynet_error(a->ctx, "again");
	world_run(w);
	expect_mail(b, PTYPE_TEXT, 0, a->handle, "again");
	/* Its line "KILL" came too late. */
	expect_error(b, 0, log->handle, ": it was killed by :00000003");
	expect_no_mail(b);
}

static void *
log_from_a_thread(void *argument)
{
	struct actor *actor = argument;
	skynet_error(actor->ctx, "from %s", "outside");
	return NULL;
}

static void
a_thread_that_a_module_has_made_can_log(void **state)
{
	struct world *w = *state;
	struct actor *log = world_add(w), *a = world_add(w);
	pthread_t thread;
	w->core->log_sink = sk_log_line;
	assert_string_equal(run(log, "REG", ".logger"), "logger");
	assert_int_equal(pthread_create(&thread, NULL, log_from_a_thread, a), 0);
	(void)pthread_join(thread, NULL);
	world_run(w);
	expect_mail(log, PTYPE_TEXT, 0, a->handle, "from outside");
}

/* Runs once with stderr in a file, whose text it returns. */
static const char *
stderr_of(void (*f)(struct actor *), struct actor *actor)
{
	static char text[256];
	FILE *file = tmpfile();
	assert_non_null(file);
	(void)fflush(stderr);
	int old = dup(STDERR_FILENO);
	assert_true(old >= 0);
	assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
	f(actor);
	(void)fflush(stderr);
	assert_true(dup2(old, STDERR_FILENO) >= 0);
	(void)close(old);
	rewind(file);
	text[fread(text, 1, sizeof text - 1, file)] = '\0';
	(void)fclose(file);
	return text;
}

static void
log_two_lines(struct actor *actor)
{
	skynet_error(actor->ctx, "line");
	skynet_error(NULL, "%*s", 3, "abcdef");
}

static void
log_outside_of_any_node(struct actor *actor)
{
	(void)actor;
	sk_this_core = NULL;
	skynet_error(NULL, "line %d", 1);
	skynet_error(NULL, "%*s", 3, "abcdef");
	sk_this_core = the_world->core;
}

static void
without_a_log_service_lines_go_to_stderr(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w);
	w->core->log_sink = sk_log_line;
	assert_string_equal(stderr_of(log_two_lines, a), "[:00000001] line\n[:00000000] abc\n");
	assert_string_equal(stderr_of(log_outside_of_any_node, a), "line 1\nabc\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_a_service_gets_is_recorded, make_folder,
						remove_folder),
		cmocka_unit_test_setup_teardown(
			a_recording_goes_on_in_the_same_file_and_ends_with_its_service, make_folder,
			remove_folder),
		cmocka_unit_test_setup_teardown(recording_with_odd_parameters, make_folder,
						remove_folder),
		cmocka_unit_test(a_recording_that_cannot_be_opened_is_logged),
		world_test(without_logpath_nothing_is_recorded),
		world_test(a_log_line_has_its_source),
		world_test(the_service_named_logger_gets_the_lines),
		world_test(a_thread_that_a_module_has_made_can_log),
		world_test(without_a_log_service_lines_go_to_stderr),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
