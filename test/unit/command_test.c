/* command_test.c: every framework command, with right and with odd parameters; those that record
 * messages are in log_test.c. */
#include "service_world.h"

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

static void
globalname_names_services_of_a_node_without_a_network(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	assert_string_equal(run(a, "GLOBALNAME", "BOB :2"), "BOB");
	assert_null(run(b, "GLOBALNAME", "BOB :1")); /* taken */
	assert_string_equal(run(a, "GLOBALNAME", "BOB"), ":2");
	assert_null(run(a, "GLOBALNAME", ".BOB"));
	assert_int_equal(skynet_sendname(a->ctx, 0, "BOB", PTYPE_TEXT, 7, NULL, 0), 7);
	world_run(w);
	expect_mail(b, PTYPE_TEXT, 7, a->handle, NULL);
	assert_int_equal(skynet_queryname(a->ctx, ".BOB"), 0);
	assert_null(run(a, "GLOBALNAME", "EVE :99")); /* nobody */
	assert_null(run(a, "GLOBALNAME", "EVE"));
	assert_null(run(a, "GLOBALNAME", "EVE 1"));
	assert_null(run(a, "GLOBALNAME", ".eve :1"));
	assert_null(run(a, "GLOBALNAME", ":1 :1"));
	assert_null(run(a, "GLOBALNAME", NULL));
	world_forget_log(w);
	(void)command_to(a, "KILL", b->handle, "");
	assert_int_equal(skynet_sendname(a->ctx, 0, "BOB", PTYPE_TEXT, 7, NULL, 0), -1);
	assert_int_equal(skynet_sendname(a->ctx, 0, "EVE", PTYPE_TEXT, 7, NULL, 0), -1);
	world_forget_log(w);
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
	assert_null(run(a, "ABORT", "3"));
	assert_int_equal(atomic_load(&w->core->exit_status), 3);
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
	uint64_t begin_ms = sk_clock_ms();
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
	world_reach_time(w, begin_ms + 99999);
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
	char name[304] = ".";
	memset(name + 1, 'n', 300);
	assert_string_equal(run(b, "REG", name), name + 1);
	(void)snprintf(name + 301, 3, " 9");
	assert_null(run(a, "SIGNAL", name));
	assert_int_equal(b->signal, 9);
	b->signals--;
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

/* --- what others are told ------------------------------------------------------------------ */

static void
describe_tells_what_was_launched(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w);
	char parm[200];
	assert_string_equal(run(a, "LAUNCH", "command one  two"), ":00000002");
	assert_string_equal(run(a, "DESCRIBE", ":2"), "command one  two");
	(void)run(a, "NAME", ".bare :2");
	assert_string_equal(run(a, "DESCRIBE", ".bare"), "command one  two");
	assert_string_equal(run(a, "LAUNCH", "command"), ":00000003");
	assert_string_equal(run(a, "DESCRIBE", ":3"), "command");
	(void)snprintf(parm, sizeof parm, "command %0150d", 0);
	(void)run(a, "LAUNCH", parm);
	assert_int_equal(strlen(run(a, "DESCRIBE", ":4")), 79);
	assert_null(run(a, "DESCRIBE", ":99"));
	assert_null(run(a, "DESCRIBE", ".nobody"));
	assert_null(run(a, "DESCRIBE", NULL));
	for (uint32_t handle = 2; handle <= 4; handle++)
		assert_null(command_to(a, "KILL", handle, ""));
	assert_null(run(a, "DESCRIBE", ":2"));
	world_forget_log(w);
}

static void
note_reason(struct actor *actor)
{
	assert_string_equal(run(actor, "REASON", NULL), "its time was up");
}

static void
exit_takes_a_reason_that_others_are_told(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	b->on_release = note_reason;
	(void)send_text(a, b->handle, 5, "x");
	assert_null(run(b, "REASON", NULL));
	assert_null(run(b, "EXIT", "its time was up"));
	assert_string_equal(run(b, "REASON", NULL), "its time was up");
	world_run(w);
	assert_int_equal(b->releases, 1);
	expect_error(a, 5, b->handle, ": its time was up before it took the request");
	world_forget_log(w);
}

static void
time_is_the_clock_of_the_system(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w);
	uint64_t before_cs = sk_clock_wall_ns() / SK_NS_PER_CS;
	uint64_t time_cs = strtoull(run(a, "TIME", NULL), NULL, 10);
	assert_in_range(time_cs, before_cs, sk_clock_wall_ns() / SK_NS_PER_CS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(an_unknown_command_has_no_result),
		world_test(globalname_names_services_of_a_node_without_a_network),
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
		world_test(describe_tells_what_was_launched),
		world_test(exit_takes_a_reason_that_others_are_told),
		world_test(time_is_the_clock_of_the_system),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
