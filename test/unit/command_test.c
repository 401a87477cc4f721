/* command_test.c: every framework command, with right and with odd parameters; what recording
 * writes; and the ways of a log line. */
#include "service_world.h"

#include <sys/stat.h>
#include <unistd.h>

static const char *
run(struct actor *actor, const char *command, const char *parm)
{
	return skynet_command(actor->ctx, command, parm);
}

static void
an_unknown_command_has_no_result(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w);
	assert_null(run(a, "NONE", "x"));
	assert_null(run(a, "", NULL));
	assert_null(run(a, "reg", NULL));
	assert_null(run(a, "REGISTER", NULL));
	world_expect_log(w, "%s", "");
}

/* --- names --------------------------------------------------------------------------------- */

static void
reg_tells_the_own_address_or_takes_a_name(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	assert_string_equal(run(b, "REG", NULL), ":2");
	assert_string_equal(run(b, "REG", ""), ":2");
	assert_string_equal(run(b, "REG", ".bob"), "bob");
	assert_string_equal(run(b, "REG", ".bobby"), "bobby");
	assert_null(run(a, "REG", ".bob"));
	assert_int_equal(skynet_queryname(a->ctx, ".bob"), b->handle);
	world_expect_log(w, "%s", "");
	assert_null(run(a, "REG", "BOB"));
	world_expect_log(w, "00000001 error: Can't register global name BOB in C\n");
}

static void
a_name_ends_with_its_service(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	assert_string_equal(run(b, "REG", ".bob"), "bob");
	assert_null(run(b, "EXIT", NULL));
	assert_null(run(a, "QUERY", ".bob"));
	assert_null(run(b, "REG", ".bob")); /* it is gone already */
	assert_string_equal(run(a, "REG", ".bob"), "bob");
	world_forget_log(w);
}

static void
query_knows_local_names_only(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w);
	(void)run(a, "REG", ".alice");
	assert_string_equal(run(a, "QUERY", ".alice"), ":1");
	assert_null(run(a, "QUERY", ".bob"));
	assert_null(run(a, "QUERY", "."));
	assert_null(run(a, "QUERY", ":1"));
	assert_null(run(a, "QUERY", "alice"));
	assert_null(run(a, "QUERY", ""));
	assert_null(run(a, "QUERY", NULL));
}

static void
name_registers_for_another_handle(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w);
	assert_string_equal(run(a, "NAME", ".bob :fF"), "bob");
	assert_int_equal(skynet_queryname(a->ctx, ".bob"), 0xff); /* existence not checked */
	assert_null(run(a, "NAME", ".bob :1"));
	assert_null(run(a, "NAME", ".eve"));
	assert_null(run(a, "NAME", ".eve "));
	assert_null(run(a, "NAME", ".eve 1"));
	assert_null(run(a, "NAME", ".eve :0"));
	assert_null(run(a, "NAME", ".eve :x"));
	assert_null(run(a, "NAME", " :1"));
	assert_null(run(a, "NAME", ""));
	assert_null(run(a, "NAME", NULL));
	assert_int_equal(skynet_queryname(a->ctx, ".eve"), 0);
	world_expect_log(w, "%s", "");
	assert_null(run(a, "NAME", "EVE :1"));
	world_expect_log(w, "00000001 error: Can't set global name EVE in C\n");
}

/* --- beginning and end --------------------------------------------------------------------- */

static void
launch_gives_the_address(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_actor(w);
	char parm[80];
	(void)snprintf(parm, sizeof parm, "scripted  %" PRIxPTR " x\ty\r\nrest", (uintptr_t)b);
	assert_string_equal(run(a, "LAUNCH", parm), ":00000002");
	(void)snprintf(parm, sizeof parm, " %" PRIxPTR " x\ty", (uintptr_t)b);
	assert_string_equal(b->parm, parm);
	assert_string_equal(run(a, "LAUNCH", "module_bare"), ":00000003");
	assert_string_equal(run(a, "LAUNCH", "module_bare "), ":00000004");
	assert_string_equal(run(a, "LAUNCH", "module_bare\t\r\nx"), ":00000005");
	world_expect_log(w, "%s", "");
	assert_int_equal(atomic_load(&w->core->living), 5);
	for (uint32_t handle = 3; handle <= 5; handle++)
		(void)command_to(a, "KILL", handle, "");
}

static void
launch_without_success_gives_nothing(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_actor(w);
	char parm[80];
	b->init_result = 1;
	assert_null(run(a, "LAUNCH", NULL));
	assert_null(run(a, "LAUNCH", ""));
	assert_null(run(a, "LAUNCH", " module_bare"));
	world_expect_log(w, "%s", "");
	assert_null(run(a, "LAUNCH", "scripted")); /* no parm at all: NULL */
	world_expect_log(w, "00000002 error: launch scripted FAILED\n");
	assert_null(run(a, "LAUNCH", "scripted \r\n"));
	world_expect_log(w, "00000003 error: launch scripted FAILED\n");
	(void)snprintf(parm, sizeof parm, "scripted %" PRIxPTR, (uintptr_t)b);
	assert_null(run(a, "LAUNCH", parm));
	world_expect_log(w, "00000004 error: launch scripted FAILED\n");
	assert_null(run(a, "LAUNCH", "module_none x"));
	assert_non_null(strstr(w->log, "error: module 'module_none' cannot be loaded"));
}

static void
kill_takes_handles_and_names(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w), *c = world_add(w);
	(void)run(c, "REG", ".carol");
	assert_null(command_to(a, "KILL", b->handle, ""));
	world_expect_log(w, "00000001 KILL :2\n");
	assert_null(run(a, "KILL", ".carol"));
	world_expect_log(w, "00000001 KILL :3\n");
	assert_null(run(a, "KILL", "carol"));
	world_expect_log(w, "00000001 error: Can't convert carol to handle\n");
	assert_null(run(a, "KILL", NULL));
	world_expect_log(w, "00000001 error: Can't convert nothing to handle\n");
	assert_null(run(a, "KILL", ".nobody"));
	assert_null(run(a, "KILL", ":0"));
	world_expect_log(w, "%s", "");
	assert_null(run(a, "KILL", ":63"));
	world_expect_log(w, "00000001 KILL :63\n");
	world_run(w);
	assert_int_equal(b->releases, 1);
	assert_int_equal(c->releases, 1);
	assert_null(run(a, "KILL", ":1"));
	world_expect_log(w, "00000001 KILL self\n");
	assert_null(run(a, "EXIT", "whatever"));
	world_expect_log(w, "00000001 KILL self\n");
	world_run(w);
	assert_int_equal(a->releases, 1);
}

static void
abort_ends_all_and_nothing_new_begins(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w), *c = world_actor(w);
	assert_null(run(a, "ABORT", "x"));
	assert_int_equal(world_launch(w, c), 0);
	assert_null(run(a, "LAUNCH", "module_bare"));
	assert_false(w->node->has_ended);
	world_run(w);
	assert_int_equal(a->releases, 1);
	assert_int_equal(b->releases, 1);
	assert_int_equal(c->inits, 0);
	assert_true(w->node->has_ended);
	world_expect_log(w, "%s", "");
}

static void
abort_during_init(struct actor *actor)
{
	(void)run(actor, "ABORT", NULL);
}

static void
abort_ends_what_is_being_launched(void **state)
{
	struct world *w = *state;
	struct actor *a = world_actor(w);
	a->on_init = abort_during_init;
	assert_int_equal(world_launch(w, a), 0);
	assert_int_equal(a->releases, 1);
	assert_true(w->node->has_ended);
}

static void
the_exit_monitor_can_be_set_and_asked_for(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	assert_null(run(a, "MONITOR", NULL));
	(void)run(b, "REG", ".bob");
	assert_null(run(a, "MONITOR", ".bob"));
	assert_string_equal(run(a, "MONITOR", NULL), ":2");
	assert_string_equal(run(a, "MONITOR", ""), ":2");
	assert_null(run(a, "MONITOR", ":1"));
	assert_string_equal(run(b, "MONITOR", NULL), ":1");
	assert_null(run(a, "MONITOR", ".nobody"));
	assert_null(run(a, "MONITOR", NULL));
	world_expect_log(w, "%s", "");
	(void)run(a, "MONITOR", ":1");
	assert_null(run(a, "MONITOR", "bob"));
	world_expect_log(w, "00000001 error: Can't convert bob to handle\n");
	assert_null(run(a, "MONITOR", NULL));
}

/* --- settings, clocks, figures ------------------------------------------------------------- */

static void
setenv_sets_each_key_once(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w);
	assert_null(run(a, "GETENV", "key"));
	assert_null(run(a, "SETENV", "key a value  with blanks "));
	const char *value = run(a, "GETENV", "key");
	assert_string_equal(value, "a value  with blanks ");
	assert_null(run(a, "SETENV", "empty "));
	assert_string_equal(run(a, "GETENV", "empty"), "");
	assert_null(run(a, "SETENV", "other"));
	assert_null(run(a, "SETENV", " x"));
	assert_null(run(a, "SETENV", ""));
	assert_null(run(a, "SETENV", NULL));
	assert_null(run(a, "GETENV", "other"));
	assert_null(run(a, "GETENV", ""));
	assert_null(run(a, "GETENV", NULL));
	world_expect_log(w, "%s", "");
	assert_null(run(a, "SETENV", "key new"));
	world_expect_log(w, "00000001 error: Can't setenv exist key : key\n");
	assert_ptr_equal(run(a, "GETENV", "key"), value);
}

static void
starttime_and_now_make_the_wall_time(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w);
	uint64_t wall_s = sk_clock_wall_ns() / SK_NS_PER_SECOND;
	uint64_t start_s = strtoull(run(a, "STARTTIME", "x"), NULL, 10);
	uint64_t before_cs = skynet_now();
	uint64_t now_cs = strtoull(run(a, "NOW", NULL), NULL, 10);
	assert_in_range(now_cs, before_cs, skynet_now());
	assert_int_equal(start_s, w->core->start_wall_s);
	assert_in_range(start_s + now_cs / 100, wall_s, wall_s + 60);
}

static void
timeout_takes_hundredths_of_a_second(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w);
	assert_string_equal(run(a, "TIMEOUT", "10000"), "1");
	assert_string_equal(run(a, "TIMEOUT", "0"), "2");
	assert_string_equal(run(a, "TIMEOUT", "-5"), "3");
	assert_string_equal(run(a, "TIMEOUT", "soon"), "4");
	assert_string_equal(run(a, "TIMEOUT", NULL), "5");
	assert_string_equal(run(a, "TIMEOUT", "99999999999999999999"), "6");
	world_run(w);
	for (int session = 2; session <= 5; session++)
		expect_mail(a, PTYPE_RESPONSE, session, 0, NULL);
	expect_no_mail(a);
	world_pass_time(w, 99999);
	world_run(w);
	expect_no_mail(a);
	world_pass_time(w, 100001);
	world_run(w);
	expect_mail(a, PTYPE_RESPONSE, 1, 0, NULL);
	expect_no_mail(a);
}

static void
look_at_figures(struct actor *actor, const struct mail *mail)
{
	char expected[16];
	int unread, seconds = -1;
	(void)snprintf(expected, sizeof expected, "%d", 2 - mail->session);
	assert_string_equal(run(actor, "STAT", "mqlen"), expected);
	(void)snprintf(expected, sizeof expected, "%d", mail->session + 1);
	assert_string_equal(run(actor, "STAT", "message"), expected);
	double cpu_s = strtod(run(actor, "STAT", "cpu"), NULL);
	double time_s = strtod(run(actor, "STAT", "time"), NULL);
	assert_true(time_s >= 0 && cpu_s >= 0 && cpu_s < 100 && time_s < 100);
	/* "%lf": six places */
	(void)sscanf(run(actor, "STAT", "cpu"), "%d.%*6[0-9]%n", &seconds, &unread);
	assert_int_equal(unread, strlen(run(actor, "STAT", "cpu")));
}

static void
stat_tells_figures_of_the_caller(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w);
	a->on_mail = look_at_figures;
	for (int session = 0; session < 3; session++)
		(void)send_text(a, a->handle, session, "x");
	world_run(w);
	assert_int_equal(a->mail_count, 3);
	assert_string_equal(run(a, "STAT", "endless"), "0");
	atomic_store(&a->ctx->is_endless, true);
	assert_string_equal(run(a, "STAT", "endless"), "1");
	assert_string_equal(run(a, "STAT", "endless"), "0");
	assert_string_equal(run(a, "STAT", "other"), "");
	assert_string_equal(run(a, "STAT", ""), "");
	assert_string_equal(run(a, "STAT", NULL), "");
}

static void
without_profiling_no_time_is_told(void **state)
{
	static const char *const settings[] = {"profile", "false", NULL};
	struct world *w = world_new(settings);
	struct actor *a = world_add(w);
	(void)state;
	assert_string_equal(run(a, "STAT", "time"), "0");
	assert_string_equal(run(a, "STAT", "cpu"), "0.000000");
	world_free(w);
}

/* --- signals ------------------------------------------------------------------------------- */

static void
signal_calls_the_modules_function(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	(void)run(b, "REG", ".bob");
	b->signal = -1;
	assert_null(run(a, "SIGNAL", ":2"));
	assert_int_equal(b->signal, 0);
	assert_null(run(a, "SIGNAL", ":2 7"));
	assert_int_equal(b->signal, 7);
	assert_null(run(a, "SIGNAL", ":2 0x10"));
	assert_int_equal(b->signal, 16);
	assert_null(run(a, "SIGNAL", ".bob -1"));
	assert_int_equal(b->signal, -1);
	assert_null(run(a, "SIGNAL", ".bob"));
	assert_int_equal(b->signal, 0);
	assert_int_equal(b->signals, 5);
	assert_null(run(a, "SIGNAL", ":63"));
	assert_null(run(a, "SIGNAL", ".nobody 1"));
	assert_null(run(a, "SIGNAL", ":0"));
	world_expect_log(w, "%s", "");
	assert_null(run(a, "SIGNAL", "bob 1"));
	world_expect_log(w, "00000001 error: Can't convert bob to handle\n");
	assert_null(run(a, "SIGNAL", NULL));
	assert_string_equal(run(a, "LAUNCH", "module_bare"), ":00000003");
	assert_null(run(a, "SIGNAL", ":3 1")); /* it has no such function */
	(void)command_to(a, "KILL", b->handle, "");
	(void)command_to(a, "KILL", 3, "");
	assert_null(run(a, "SIGNAL", ":2"));
	assert_int_equal(b->signals, 5);
}

/* --- recording ----------------------------------------------------------------------------- */

static char folder[64];

static int
make_folder(void **state)
{
	(void)snprintf(folder, sizeof folder, "/tmp/command_test.XXXXXX");
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
	static const char *const settings[] = {"logpath", "/tmp/command_test.none/sub", NULL};
	struct world *w = world_new(settings);
	struct actor *a = world_add(w);
	(void)state;
	assert_null(run(a, "LOGON", ":1"));
	world_expect_log(w, "00000001 Open log file /tmp/command_test.none/sub/00000001.log fail: "
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
	expect_mail(b, PTYPE_ERROR, 0, log->handle, NULL); /* its line "KILL" came too late */
	expect_no_mail(b);
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
		world_test(an_unknown_command_has_no_result),
		world_test(reg_tells_the_own_address_or_takes_a_name),
		world_test(a_name_ends_with_its_service),
		world_test(query_knows_local_names_only),
		world_test(name_registers_for_another_handle),
		world_test(launch_gives_the_address),
		world_test(launch_without_success_gives_nothing),
		world_test(kill_takes_handles_and_names),
		world_test(abort_ends_all_and_nothing_new_begins),
		world_test(abort_ends_what_is_being_launched),
		world_test(the_exit_monitor_can_be_set_and_asked_for),
		world_test(setenv_sets_each_key_once),
		world_test(starttime_and_now_make_the_wall_time),
		world_test(timeout_takes_hundredths_of_a_second),
		world_test(stat_tells_figures_of_the_caller),
		cmocka_unit_test(without_profiling_no_time_is_told),
		world_test(signal_calls_the_modules_function),
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
		world_test(without_a_log_service_lines_go_to_stderr),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
