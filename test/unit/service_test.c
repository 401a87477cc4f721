/* service_test.c: the life of services, on a node that the test drives by hand (service_world.h):
 * how they begin and end, who is told, and what a full mailbox says. */
#include "service_world.h"

/* --- launch -------------------------------------------------------------------------------- */

static void
a_launched_service_has_a_handle_and_lives(void **state)
{
	struct world *w = *state;
	struct actor *a = world_actor(w);
	uint32_t handle = world_launch(w, a);
	assert_int_equal(handle, 1);
	assert_int_equal(a->handle, 1);
	assert_int_equal(a->inits, 1);
	assert_int_equal(skynet_current_handle(), 0);
	assert_int_equal(world_add(w)->handle, 2);
	assert_int_equal(sk_registry_count(&w->core->registry), 2);
}

static void
a_module_that_is_not_there_is_logged(void **state)
{
	struct world *w = *state;
	assert_int_equal(sk_service_launch(w->core, "module_none", NULL), 0);
	assert_non_null(strstr(w->log, "00000000 error: module 'module_none' cannot be loaded"));
	assert_int_equal(atomic_load(&w->core->living), 0);
}

static void
send_to_oneself(struct actor *actor)
{
	assert_int_equal(send_text(actor, actor->handle, 3, "me"), 3);
	assert_int_equal(send_text(actor->other, actor->handle, 4, "early"), 4);
	assert_int_equal(actor->mail_count, 0);
}

static void
mail_sent_during_init_waits_for_its_end(void **state)
{
	struct world *w = *state;
	struct actor *b = world_actor(w);
	b->other = world_add(w);
	b->on_init = send_to_oneself;
	assert_int_not_equal(world_launch(w, b), 0);
	expect_no_mail(b);
	world_run(w);
	expect_mail(b, PTYPE_TEXT, 3, b->handle, "me");
	expect_mail(b, PTYPE_TEXT, 4, b->other->handle, "early");
	world_forget_log(w);
}

static void
a_failed_init_is_released_and_its_mail_answered(void **state)
{
	struct world *w = *state;
	struct actor *b = world_actor(w);
	b->other = world_add(w);
	b->on_init = send_to_oneself;
	b->init_result = 1;
	assert_int_equal(world_launch(w, b), 0);
	assert_int_equal(b->releases, 1);
	world_expect_log(w, "%08x error: launch scripted FAILED\n", b->handle);
	assert_null(sk_registry_find(&w->core->registry, b->handle));
	world_run(w);
	expect_error(b->other, 4, b->handle,
		     "it could not be launched and has ended before it took the request");
	expect_no_mail(b->other);
	expect_no_mail(b);
	assert_int_equal(atomic_load(&w->core->living), 1);
}

static void
what_cannot_be_created_is_neither_inited_nor_released(void **state)
{
	struct world *w = *state;
	assert_int_equal(sk_service_launch(w->core, "module_uncreated", NULL), 0);
	world_expect_log(w, "00000001 error: launch module_uncreated FAILED\n");
	assert_int_equal(atomic_load(&w->core->living), 0);
}

static void
leave(struct actor *actor)
{
	assert_null(skynet_command(actor->ctx, "EXIT", NULL));
	assert_int_equal(actor->releases, 0);
	assert_int_equal(send_text(actor, actor->handle, 3, "gone"), -1);
}

static void
a_service_that_ends_in_its_own_init_is_not_launched(void **state)
{
	struct world *w = *state;
	struct actor *a = world_actor(w);
	a->on_init = leave;
	assert_int_equal(world_launch(w, a), 0);
	assert_int_equal(a->releases, 1);
	world_expect_log(w, "00000001 KILL self\n00000001 error: launch scripted FAILED\n");
	assert_int_equal(atomic_load(&w->core->living), 0);
}

static void
kill_by_other(struct actor *actor)
{
	assert_int_equal(send_text(actor->other, actor->handle, 9, "x"), 9);
	assert_null(command_to(actor->other, "KILL", actor->handle, ""));
}

static void
a_service_killed_during_its_init_is_not_launched(void **state)
{
	struct world *w = *state;
	struct actor *b = world_actor(w);
	b->other = world_add(w);
	b->on_init = kill_by_other;
	assert_int_equal(world_launch(w, b), 0);
	assert_int_equal(b->releases, 1);
	world_run(w);
	expect_error(b->other, 9, b->handle,
		     "it was killed by :00000001 before it took the request");
	assert_int_equal(atomic_load(&w->core->living), 1);
}

static void
launch_another(struct actor *actor)
{
	assert_int_not_equal(world_launch(the_world, actor->other), 0);
	assert_int_equal(skynet_current_handle(), actor->handle);
	assert_true(actor->handle != actor->other->handle);
}

static void
a_service_can_launch_another_in_its_init(void **state)
{
	struct world *w = *state;
	struct actor *a = world_actor(w);
	a->other = world_actor(w);
	a->on_init = launch_another;
	assert_int_equal(world_launch(w, a), 1);
	assert_int_equal(a->other->handle, 2);
}

/* --- the end ------------------------------------------------------------------------------- */

static void
leave_on_stop(struct actor *actor, const struct mail *mail)
{
	if (strcmp(mail->text, "stop") == 0)
		leave(actor);
}

static void
a_service_that_leaves_handles_nothing_more(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	b->on_mail = leave_on_stop;
	(void)send_text(a, b->handle, 1, "one");
	(void)send_text(a, b->handle, 2, "stop");
	(void)send_text(a, b->handle, 3, "three");
	world_run(w);
	assert_int_equal(b->mail_count, 2);
	assert_int_equal(b->releases, 1);
	world_expect_log(w, "%08x KILL self\n", b->handle);
	expect_error(a, 3, b->handle, " (:00000002): it has ended before it took the request");
	expect_no_mail(a);
	assert_int_equal(send_text(a, b->handle, 4, "x"), -1);
	assert_int_equal(send_text(a, b->handle, 4, "x"), -1);
}

/* V5 */
static void
each_message_of_a_killed_service_is_answered(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	skynet_timeout(b->ctx, 0, NULL); /* source 0 */
	(void)send_text(a, b->handle, 7, "x");
	(void)send_text(a, b->handle, 0, "no session, and yet");
	(void)skynet_send(a->ctx, 0, b->handle, 255, 8, NULL, 0);
	(void)skynet_send(a->ctx, 0, b->handle, PTYPE_RESPONSE, 9, "r", 1);
	(void)skynet_send(a->ctx, 0, b->handle, PTYPE_ERROR, 10, NULL, 0);
	int probe = skynet_probe(a->ctx, b->handle);
	assert_null(command_to(a, "KILL", b->handle, ""));
	world_run(w);
	assert_int_equal(b->mail_count, 0);
	assert_int_equal(b->releases, 1);
	expect_error(a, 7, b->handle, ": it was killed by :00000001 before it took the request");
	expect_error(a, 0, b->handle, ": it was killed by :00000001");
	expect_error(a, 8, b->handle, ": it was killed by :00000001 before it took the request");
	expect_error(a, 0, b->handle,
		     ": it was killed by :00000001"); /* a response's session is not ours */
	expect_error(a, probe, b->handle,
		     ": it was killed by :00000001 before it took the request");
	expect_no_mail(a);
	world_forget_log(w);
}

static struct skynet_timer *timers_of_b[2];

static void
cancel_timers(struct actor *actor)
{
	assert_int_equal(skynet_timer_cancel(actor->ctx, timers_of_b[0]), 0);
	assert_int_equal(skynet_timer_cancel(actor->ctx, timers_of_b[1]), 1);
}

/* One of them has fired, and lies in the mailbox still when release runs. */
static void
release_can_give_back_all_timers(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	b->on_release = cancel_timers;
	skynet_timeout(b->ctx, 10, &timers_of_b[0]);
	skynet_timeout(b->ctx, 1000000, &timers_of_b[1]);
	assert_int_equal(sk_timer_count(w->core->scheduler.timer), 2);
	(void)command_to(a, "KILL", b->handle, "");
	world_pass_time(w, 100);
	world_run(w);
	assert_int_equal(b->releases, 1);
	assert_int_equal(sk_timer_count(w->core->scheduler.timer), 0);
	world_forget_log(w);
}

static void
kill_the_other(struct actor *actor, const struct mail *mail)
{
	(void)mail;
	assert_null(command_to(actor, "KILL", actor->other->handle, ""));
	assert_int_equal(actor->other->releases, 0);
	assert_int_equal(send_text(actor, actor->other->handle, 0, "x"), -1);
}

static void
of_two_that_kill_each_other_one_lives(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w), *c = world_add(w);
	a->other = b;
	b->other = a;
	a->on_mail = b->on_mail = kill_the_other;
	(void)send_text(c, a->handle, 1, "x");
	(void)send_text(c, b->handle, 2, "y");
	world_run(w);
	assert_int_equal(a->releases + b->releases, 1);
	assert_int_equal(a->mail_count + b->mail_count, 1);
	assert_int_equal(c->mail_count, 1); /* the error of the one that got no turn */
	assert_int_equal(atomic_load(&w->core->living), 2);
	world_forget_log(w);
}

/* V4: a sender that has found the service before it died pushes after its last turn. */
static void
mail_behind_the_last_turn_is_answered_too(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	struct skynet_context *found = sk_registry_find(&w->core->registry, b->handle);
	struct sk_message *late =
		sk_message_new(SK_MESSAGE_PLAIN, PTYPE_TEXT, a->handle, 6, skynet_malloc(1), 1);
	assert_null(command_to(a, "KILL", b->handle, ""));
	sk_service_turn(w->core, w->worker, world_next(w));
	assert_int_equal(b->releases, 1);
	assert_false(sk_mailbox_push(&found->mailbox, late)); /* V3: held for ever */
	expect_no_mail(a);
	world_run(w);
	world_run(w);
	expect_error(a, 6, b->handle, ": it was killed by :00000001 before it took the request");
	world_forget_log(w);
}

static void
the_exit_monitor_is_told_of_each_end_but_abort(void **state)
{
	struct world *w = *state;
	struct actor *m = world_add(w), *a = world_add(w), *b = world_add(w);
	assert_null(command_to(m, "MONITOR", m->handle, ""));
	assert_null(command_to(m, "KILL", a->handle, ""));
	assert_null(skynet_command(b->ctx, "EXIT", NULL));
	world_run(w);
	expect_mail(m, PTYPE_CLIENT, 0, a->handle, NULL);
	expect_mail(m, PTYPE_CLIENT, 0, b->handle, NULL);
	(void)world_add(w);
	assert_null(skynet_command(m->ctx, "ABORT", NULL));
	world_run(w);
	expect_no_mail(m);
	world_forget_log(w);
}

static void
only_the_log_service_may_not_be_left_alone(void **state)
{
	struct world *w = *state;
	struct actor *log = world_add(w), *a = world_add(w), *b = world_add(w);
	atomic_store(&w->core->logger, log->handle);
	atomic_store(&w->core->has_booted, true);
	(void)command_to(a, "KILL", b->handle, "");
	(void)command_to(a, "KILL", log->handle, "");
	world_run(w);
	assert_int_equal(a->releases, 0);
	assert_int_equal(atomic_load(&w->core->exit_status), 0);
	world_expect_log(w, "00000002 KILL :3\n00000002 KILL :1\n");
	log = world_add(w);
	atomic_store(&w->core->logger, log->handle);
	(void)skynet_command(a->ctx, "EXIT", NULL);
	world_run(w);
	assert_int_equal(log->releases, 1);
	assert_int_equal(atomic_load(&w->core->exit_status), EXIT_FAILURE);
	assert_true(w->node->has_ended);
}

/* --- overload ------------------------------------------------------------------------------ */

static void
flood(struct actor *actor, int count)
{
	for (int i = 0; i < count; i++)
		(void)send_text(actor, actor->handle, 0, "x");
}

static void
a_mailbox_that_grows_is_logged_each_time_it_doubles(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w);
	flood(a, 1024);
	world_run(w);
	world_expect_log(w, "%s", "");
	flood(a, 1025);
	world_run(w);
	world_expect_log(w, "%08x error: May overload, message queue length = 1025\n", a->handle);
	flood(a, 2048); /* within the same second */
	world_run(w);
	world_expect_log(w, "%s", "");
	flood(a, 5000);
	world_run(w);
	world_expect_log(w, "%08x error: May overload, message queue length = 5000\n", a->handle);
	/* More than a second since then. */
	a->ctx->overload.told_ticks -= (uint64_t)(3e9 / sk_clock_ns_per_tick);
	flood(a, 1);
	world_run(w);
	flood(a, 1025);
	world_run(w);
	world_expect_log(w, "%08x error: May overload, message queue length = 1025\n", a->handle);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(a_launched_service_has_a_handle_and_lives),
		world_test(a_module_that_is_not_there_is_logged),
		world_test(mail_sent_during_init_waits_for_its_end),
		world_test(a_failed_init_is_released_and_its_mail_answered),
		world_test(what_cannot_be_created_is_neither_inited_nor_released),
		world_test(a_service_that_ends_in_its_own_init_is_not_launched),
		world_test(a_service_killed_during_its_init_is_not_launched),
		world_test(a_service_can_launch_another_in_its_init),
		world_test(a_service_that_leaves_handles_nothing_more),
		world_test(each_message_of_a_killed_service_is_answered),
		world_test(release_can_give_back_all_timers),
		world_test(of_two_that_kill_each_other_one_lives),
		world_test(mail_behind_the_last_turn_is_answered_too),
		world_test(the_exit_monitor_is_told_of_each_end_but_abort),
		world_test(only_the_log_service_may_not_be_left_alone),
		world_test(a_mailbox_that_grows_is_logged_each_time_it_doubles),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
