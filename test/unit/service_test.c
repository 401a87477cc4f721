/* service_test.c: the life of services and what they send each other: launch and end, turns,
 * messages, probes and timers on a node that the test drives by hand (service_world.h); and at the
 * end whole nodes with threads. */
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
	expect_mail(b->other, PTYPE_ERROR, 4, b->handle, NULL);
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
	expect_mail(b->other, PTYPE_ERROR, 9, b->handle, NULL);
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
	expect_mail(a, PTYPE_ERROR, 3, b->handle, NULL);
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
	expect_mail(a, PTYPE_ERROR, 7, b->handle, NULL);
	expect_mail(a, PTYPE_ERROR, 0, b->handle, NULL);
	expect_mail(a, PTYPE_ERROR, 8, b->handle, NULL);
	expect_mail(a, PTYPE_ERROR, 0, b->handle, NULL); /* a response's session is not ours */
	expect_mail(a, PTYPE_ERROR, probe, b->handle, NULL);
	expect_no_mail(a);
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
	expect_mail(a, PTYPE_ERROR, 6, b->handle, NULL);
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

/* --- sends --------------------------------------------------------------------------------- */

static void
messages_of_one_sender_keep_their_order(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	for (int i = 1; i <= 50; i++)
		assert_int_equal(send_text(a, b->handle, i, "x"), i);
	world_run(w);
	for (int i = 1; i <= 50; i++)
		expect_mail(b, PTYPE_TEXT, i, a->handle, "x");
	expect_no_mail(b);
}

static void
more_messages_than_one_turn_takes_all_arrive(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	for (int i = 0; i < 1000; i++)
		(void)send_text(a, b->handle, 0, "x");
	world_run(w);
	assert_int_equal(b->mail_count, 1000);
	assert_string_equal(skynet_command(b->ctx, "STAT", "message"), "1000");
}

static void
send_result_is_the_session_or_what_is_wrong(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	assert_int_equal(send_text(a, b->handle, 0, "x"), 0);
	assert_int_equal(send_text(a, b->handle, INT32_MAX, "x"), INT32_MAX);
	assert_int_equal(send_text(a, 77, 5, "x"), -1);
	world_expect_log(w, "%s", "");
	assert_int_equal(
		skynet_send(a->ctx, 0, b->handle, PTYPE_TEXT, 5, "", SK_MESSAGE_SIZE_MAX + 1), -2);
	world_expect_log(w, "%08x error: The message to %x is too large\n", a->handle, b->handle);
	assert_int_equal(send_text(a, 0, 5, "x"), -1);
	world_expect_log(w, "%08x error: Destination address can't be 0\n", a->handle);
	assert_int_equal(skynet_send(a->ctx, 0, 0, PTYPE_TEXT, 5, NULL, 0), 5);
}

static void
alloc_session_counts_from_one(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	const int type = PTYPE_TEXT | PTYPE_TAG_ALLOCSESSION;
	assert_int_equal(skynet_send(a->ctx, 0, b->handle, type, 0, "x", 1), 1);
	assert_int_equal(skynet_send(a->ctx, 0, 0, type, 0, NULL, 0), 2);
	assert_int_equal(skynet_timeout(a->ctx, 0, NULL), 3);
	assert_int_equal(skynet_probe(a->ctx, b->handle), 4);
	assert_int_equal(skynet_send(b->ctx, 0, a->handle, type, 0, NULL, 0), 1);
	a->ctx->last_session = INT32_MAX;
	assert_int_equal(skynet_send(a->ctx, 0, 0, type, 0, NULL, 0), 1);
	world_run(w);
	expect_mail(b, PTYPE_TEXT, 1, a->handle, "x"); /* without the tags */
}

static void
any_source_may_be_given(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	assert_int_equal(skynet_send(a->ctx, 99, b->handle, 200, 1, NULL, 0), 1);
	world_run(w);
	expect_mail(b, 200, 1, 99, NULL);
}

static void
look_behind(struct actor *actor, const struct mail *mail)
{
	assert_int_equal(mail->size, 3);
	assert_int_equal(((char *)actor->kept)[3], '\0');
}

static void
a_copy_has_a_nul_behind_it(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	char text[] = "abcdef";
	b->on_mail = look_behind;
	b->result = SKYNET_KEPT;
	assert_int_equal(skynet_send(a->ctx, 0, b->handle, PTYPE_TEXT, 0, text, 3), 0);
	text[0] = 'z';
	world_run(w);
	assert_string_equal(b->kept, "abc"); /* kept: still there */
	free(b->kept);
	b->on_mail = NULL;
	(void)skynet_send(a->ctx, 0, b->handle, PTYPE_TEXT, 0, text, 0);
	world_run(w);
	b->taken = 1;
	expect_mail(b, PTYPE_TEXT, 0, a->handle, "");
	free(b->kept);
}

/* The address sanitizer sees what leaks or is freed twice. */
static void
a_block_handed_over_is_freed_on_all_paths(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w), *c = world_add(w);
	const int type = PTYPE_TEXT | PTYPE_TAG_DONTCOPY;
	char *block = skynet_strdup("x");
	c->result = SKYNET_KEPT;
	assert_int_equal(skynet_send(a->ctx, 0, c->handle, type, 1, block, 1), 1);
	assert_int_equal(skynet_send(a->ctx, 0, b->handle, type, 1, skynet_malloc(1), 0), 1);
	assert_int_equal(skynet_send(a->ctx, 0, 77, type, 1, skynet_malloc(1), 1), -1);
	assert_int_equal(skynet_send(a->ctx, 0, 0, type, 1, skynet_malloc(1), 1), -1);
	assert_int_equal(skynet_send(a->ctx, 0, b->handle, type, 1, skynet_malloc(1), SIZE_MAX),
			 -2);
	assert_int_equal(skynet_send(a->ctx, 0, REMOTE_HANDLE, type, 1, skynet_malloc(1), 1), 1);
	assert_int_equal(skynet_sendname(a->ctx, 0, ".none", type, 1, skynet_malloc(1), 1), -1);
	assert_int_equal(skynet_sendname(a->ctx, 0, "GLOBAL", type, 1, skynet_malloc(1), 1), -1);
	assert_int_equal(skynet_sendname(a->ctx, 0, ":0", type, 1, skynet_malloc(1), 1), -1);
	world_run(w);
	assert_ptr_equal(c->kept, block); /* not a copy */
	free(block);
	c->result = SKYNET_DONE;
	(void)skynet_send(a->ctx, 0, b->handle, type, 1, skynet_malloc(1), 1);
	(void)command_to(a, "KILL", b->handle, "");
	skynet_callback(c->ctx, NULL, NULL); /* freed unread */
	(void)skynet_send(a->ctx, 0, c->handle, type, 1, skynet_malloc(1), 1);
	world_run(w);
	(void)skynet_send(a->ctx, 0, c->handle, type, 1, skynet_malloc(1), 1);
	world_forget_log(w); /* the last one waits when the node is freed */
}

static void
answer_oneself_once(struct actor *actor, const struct mail *mail)
{
	if (mail->session != 1)
		return;
	assert_int_equal(send_text(actor, actor->handle, 2, "again"), 2);
	assert_int_equal(actor->mail_count, 1);
}

static void
a_send_to_oneself_waits_in_the_mailbox(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w);
	a->on_mail = answer_oneself_once;
	(void)send_text(a, a->handle, 1, "x");
	world_run(w);
	expect_mail(a, PTYPE_TEXT, 1, a->handle, "x");
	expect_mail(a, PTYPE_TEXT, 2, a->handle, "again");
}

static int
other_callback(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
	       const void *msg, size_t sz)
{
	(void)ctx, (void)type, (void)session, (void)source, (void)msg, (void)sz;
	++*(int *)ud;
	return SKYNET_DONE;
}

static int other_calls;

static void
change_callback(struct actor *actor, const struct mail *mail)
{
	(void)mail;
	skynet_callback(actor->ctx, &other_calls, other_callback);
}

static void
the_callback_can_change_inside_a_callback(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w);
	other_calls = 0;
	a->on_mail = change_callback;
	for (int i = 0; i < 3; i++)
		(void)send_text(a, a->handle, 0, "x");
	world_run(w);
	assert_int_equal(a->mail_count, 1);
	assert_int_equal(other_calls, 2);
}

static void
a_request_to_another_node_fails_at_once(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w);
	int harbor = -1;
	assert_int_equal(skynet_isremote(a->ctx, REMOTE_HANDLE, &harbor), 1);
	assert_int_equal(harbor, 5);
	assert_int_equal(skynet_isremote(a->ctx, a->handle, &harbor), 0);
	assert_int_equal(harbor, 0);
	assert_int_equal(skynet_isremote(a->ctx, REMOTE_HANDLE, NULL), 1);
	assert_int_equal(send_text(a, REMOTE_HANDLE, 3, "x"), 3);
	int probe = skynet_probe(a->ctx, REMOTE_HANDLE);
	assert_int_equal(skynet_sendname(a->ctx, 0, ":5000001", PTYPE_TEXT, 4, NULL, 0), 4);
	world_run(w);
	expect_mail(a, PTYPE_ERROR, 3, REMOTE_HANDLE, NULL);
	expect_mail(a, PTYPE_ERROR, probe, REMOTE_HANDLE, NULL);
	expect_mail(a, PTYPE_ERROR, 4, REMOTE_HANDLE, NULL);
}

/* As at the end of a local service: the session of a response is none of the sender's. */
static void
an_answer_to_another_node_cannot_answer_an_own_request(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w);
	assert_int_equal(skynet_send(a->ctx, 0, REMOTE_HANDLE, PTYPE_RESPONSE, 3, NULL, 0), 3);
	assert_int_equal(skynet_send(a->ctx, 0, REMOTE_HANDLE, PTYPE_ERROR, 4, NULL, 0), 4);
	world_run(w);
	expect_mail(a, PTYPE_ERROR, 0, REMOTE_HANDLE, NULL);
	expect_no_mail(a);
}

static void
sendname_takes_handles_and_local_names(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	char address[16];
	(void)snprintf(address, sizeof address, ":%08X", b->handle);
	assert_string_equal(skynet_command(b->ctx, "REG", ".bob"), "bob");
	assert_int_equal(skynet_sendname(a->ctx, 0, address, PTYPE_TEXT, 1, "x", 1), 1);
	assert_int_equal(skynet_sendname(a->ctx, 0, ".bob", PTYPE_TEXT, 2, "y", 1), 2);
	assert_int_equal(skynet_sendname(a->ctx, 0, ".alice", PTYPE_TEXT, 3, "z", 1), -1);
	assert_int_equal(skynet_sendname(a->ctx, 0, ":4d", PTYPE_TEXT, 4, "z", 1), -1);
	world_expect_log(w, "%s", "");
	assert_int_equal(skynet_sendname(a->ctx, 0, "BOB", PTYPE_TEXT, 5, "z", 1), -1);
	world_expect_log(w, "%08x error: Can't send to BOB: no global name is known on this node\n",
			 a->handle);
	world_run(w);
	expect_mail(b, PTYPE_TEXT, 1, a->handle, "x");
	expect_mail(b, PTYPE_TEXT, 2, a->handle, "y");
	assert_int_equal(skynet_queryname(a->ctx, ".bob"), b->handle);
	assert_int_equal(skynet_queryname(a->ctx, ".alice"), 0);
	assert_int_equal(skynet_queryname(a->ctx, ":fFfF"), 0xffff);
	assert_int_equal(skynet_queryname(a->ctx, "BOB"), 0);
	world_expect_log(w, "%08x error: Don't support query global name BOB\n", a->handle);
	(void)command_to(a, "KILL", b->handle, "");
	assert_int_equal(skynet_queryname(a->ctx, ".bob"), 0);
}

/* --- probes and timers --------------------------------------------------------------------- */

static void
reply(struct actor *actor, const struct mail *mail)
{
	(void)skynet_send(actor->ctx, 0, mail->source, PTYPE_TEXT, 0, "r", 1);
}

static void
a_probe_comes_back_behind_what_was_sent_before(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	b->on_mail = reply;
	(void)send_text(a, b->handle, 0, "one");
	(void)send_text(a, b->handle, 0, "two");
	int session = skynet_probe(a->ctx, b->handle);
	(void)send_text(a, b->handle, 0, "three");
	assert_true(session > 0);
	world_run(w);
	assert_int_equal(b->mail_count, 3); /* the callback never saw it */
	expect_mail(a, PTYPE_TEXT, 0, b->handle, "r");
	expect_mail(a, PTYPE_TEXT, 0, b->handle, "r");
	expect_mail(a, PTYPE_RESPONSE, session, b->handle, NULL);
	expect_mail(a, PTYPE_TEXT, 0, b->handle, "r");
	expect_no_mail(a);
	session = skynet_probe(a->ctx, a->handle);
	world_run(w);
	expect_mail(a, PTYPE_RESPONSE, session, a->handle, NULL);
}

static void
a_probe_of_the_dead_says_so(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	int session = skynet_probe(a->ctx, b->handle);
	(void)command_to(a, "KILL", b->handle, "");
	assert_int_equal(skynet_probe(a->ctx, b->handle), -1);
	assert_int_equal(skynet_probe(a->ctx, 0), -1);
	world_run(w);
	expect_mail(a, PTYPE_ERROR, session, b->handle, NULL);
	expect_no_mail(a);
	world_forget_log(w);
}

static void
timers_fire_in_order(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w);
	int late = skynet_timeout(a->ctx, 300000, NULL);
	int soon = skynet_timeout(a->ctx, 100000, NULL);
	int middle = skynet_timeout(a->ctx, 200000, NULL);
	world_pass_time(w, 99999);
	world_run(w);
	expect_no_mail(a); /* never early */
	world_pass_time(w, 400000);
	world_run(w);
	expect_mail(a, PTYPE_RESPONSE, soon, 0, NULL);
	expect_mail(a, PTYPE_RESPONSE, middle, 0, NULL);
	expect_mail(a, PTYPE_RESPONSE, late, 0, NULL);
	expect_no_mail(a);
}

static void
a_delay_of_zero_goes_behind_the_mail_that_waits(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w);
	struct skynet_timer *timer = (struct skynet_timer *)w;
	(void)send_text(a, a->handle, 0, "first");
	int zero = skynet_timeout(a->ctx, 0, &timer);
	assert_null(timer);
	int less = skynet_timeout(a->ctx, INT64_MIN, NULL);
	(void)send_text(a, a->handle, 0, "last");
	world_run(w);
	expect_mail(a, PTYPE_TEXT, 0, a->handle, "first");
	expect_mail(a, PTYPE_RESPONSE, zero, 0, NULL);
	expect_mail(a, PTYPE_RESPONSE, less, 0, NULL);
	expect_mail(a, PTYPE_TEXT, 0, a->handle, "last");
}

static void
a_cancelled_timer_does_not_fire(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w);
	struct skynet_timer *first, *second;
	(void)skynet_timeout(a->ctx, 1000, &first);
	int session = skynet_timeout(a->ctx, 1000, &second);
	assert_int_equal(skynet_timer_cancel(a->ctx, first), 1);
	world_pass_time(w, 5000);
	assert_int_equal(skynet_timer_cancel(a->ctx, second), 0); /* in the mailbox already */
	world_run(w);
	expect_mail(a, PTYPE_RESPONSE, session, 0, NULL);
	expect_no_mail(a);
}

static void
a_timer_of_the_dead_is_dropped(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	(void)skynet_timeout(a->ctx, 1000, NULL);
	(void)skynet_timeout(b->ctx, 1000, NULL);
	(void)skynet_timeout(b->ctx, INT64_MAX, NULL); /* pending when the node is freed */
	(void)skynet_command(a->ctx, "EXIT", NULL);
	world_run(w);
	world_pass_time(w, 5000);
	world_run(w);
	expect_no_mail(a);
	assert_int_equal(b->mail_count, 1);
	world_forget_log(w);
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
	a->ctx->overload_ticks -= (uint64_t)(3e9 / sk_clock_ns_per_tick);
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
		world_test(of_two_that_kill_each_other_one_lives),
		world_test(mail_behind_the_last_turn_is_answered_too),
		world_test(the_exit_monitor_is_told_of_each_end_but_abort),
		world_test(messages_of_one_sender_keep_their_order),
		world_test(more_messages_than_one_turn_takes_all_arrive),
		world_test(send_result_is_the_session_or_what_is_wrong),
		world_test(alloc_session_counts_from_one),
		world_test(any_source_may_be_given),
		world_test(a_copy_has_a_nul_behind_it),
		world_test(a_block_handed_over_is_freed_on_all_paths),
		world_test(a_send_to_oneself_waits_in_the_mailbox),
		world_test(the_callback_can_change_inside_a_callback),
		world_test(a_request_to_another_node_fails_at_once),
		world_test(an_answer_to_another_node_cannot_answer_an_own_request),
		world_test(sendname_takes_handles_and_local_names),
		world_test(a_probe_comes_back_behind_what_was_sent_before),
		world_test(a_probe_of_the_dead_says_so),
		world_test(timers_fire_in_order),
		world_test(a_delay_of_zero_goes_behind_the_mail_that_waits),
		world_test(a_cancelled_timer_does_not_fire),
		world_test(a_timer_of_the_dead_is_dropped),
		world_test(a_mailbox_that_grows_is_logged_each_time_it_doubles),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
