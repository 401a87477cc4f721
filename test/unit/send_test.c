/* send_test.c: what services send each other, on a node that the test drives by hand
 * (service_world.h). Probes and timers are in probe_test.c. */
#include "service_world.h"

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
set_limit(struct actor *actor, int limit, int policy)
{
	assert_int_equal(skynet_mailbox(actor->ctx, 0, limit, policy), 0);
}

static void
a_full_mailbox_refuses_what_services_send(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	set_limit(b, 2, SKYNET_FULL_ERROR);
	assert_int_equal(send_text(a, b->handle, 0, "1"), 0);
	assert_int_equal(send_text(a, b->handle, 7, "2"), 7);
	assert_int_equal(send_text(a, b->handle, 0, "3"), -3);
	assert_int_equal(send_text(a, b->handle, 7, "3"), -3);
	const int handed_over = PTYPE_TEXT | PTYPE_TAG_DONTCOPY;
	assert_int_equal(skynet_send(a->ctx, 0, b->handle, handed_over, 0, skynet_malloc(9), 9),
			 -3);
	assert_string_equal(skynet_command(b->ctx, "STAT", "refused"), "3");
	world_run(w);
	expect_mail(b, PTYPE_TEXT, 0, a->handle, "1");
	expect_mail(b, PTYPE_TEXT, 7, a->handle, "2");
	expect_no_mail(b);
	assert_int_equal(send_text(a, b->handle, 0, "4"), 0);
	set_limit(b, 0, SKYNET_FULL_ERROR);
	assert_int_equal(send_text(a, b->handle, 0, "5"), 0);
	assert_int_equal(send_text(a, b->handle, 0, "6"), 0);
	world_run(w);
}

static void
answers_errors_and_the_framework_always_pass(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	set_limit(b, 1, SKYNET_FULL_ERROR);
	assert_int_equal(send_text(a, b->handle, 0, "1"), 0);
	const int types[] = {PTYPE_RESPONSE, PTYPE_ERROR, PTYPE_SYSTEM};
	for (int i = 0; i < 3; i++)
		assert_int_equal(skynet_send(a->ctx, 0, b->handle, types[i], 5, "x", 1), 5);
	assert_true(skynet_probe(a->ctx, b->handle) > 0);
	assert_true(skynet_timeout(b->ctx, 0, NULL) > 0);
	assert_string_equal(skynet_command(b->ctx, "STAT", "refused"), "0");
	world_run(w);
	assert_int_equal(b->mail_count, 5); /* the probe is none of its business */
}

static void
what_may_be_dropped_is_counted(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	set_limit(b, 1, SKYNET_FULL_DROP);
	assert_int_equal(send_text(a, b->handle, 0, "1"), 0);
	assert_int_equal(send_text(a, b->handle, 0, "2"), 0);
	assert_int_equal(send_text(a, b->handle, 9, "3"), -3); /* somebody waits for the answer */
	assert_string_equal(skynet_command(b->ctx, "STAT", "refused"), "2");
	world_run(w);
	expect_mail(b, PTYPE_TEXT, 0, a->handle, "1");
	expect_no_mail(b);
}

static void
who_has_to_wait_keeps_its_message(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	set_limit(b, 1, SKYNET_FULL_BLOCK);
	assert_int_equal(send_text(a, b->handle, 0, "1"), 0);
	char *message = skynet_strdup("2");
	const int handed_over = PTYPE_TEXT | PTYPE_TAG_DONTCOPY;
	assert_int_equal(skynet_send(a->ctx, 0, b->handle, handed_over, 0, message, 1), -4);
	int session = skynet_probe(a->ctx, b->handle);
	world_run(w);
	expect_mail(a, PTYPE_RESPONSE, session, b->handle, NULL);
	assert_int_equal(skynet_send(a->ctx, 0, b->handle, handed_over, 0, message, 1), 0);
	assert_string_equal(skynet_command(b->ctx, "STAT", "refused"), "0");
	world_run(w);
	assert_int_equal(b->mail_count, 2);
}

static void
services_begin_with_the_bounds_of_the_node(void **state)
{
	const char *settings[] = {"mailboxlimit", "2", "mailboxpolicy", "drop", NULL};
	struct world *w = world_new(settings);
	struct actor *a = world_add(w), *b = world_add(w);
	for (int i = 0; i < 5; i++)
		assert_int_equal(send_text(a, b->handle, 0, "x"), 0);
	world_run(w);
	assert_int_equal(b->mail_count, 2);
	void *own = w;
	assert_int_equal(world_teardown(&own), 0);
	(void)state;
}

static void
bounds_out_of_range_are_refused(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w);
	assert_int_equal(skynet_mailbox(a->ctx, -1, 0, 0), -1);
	assert_int_equal(skynet_mailbox(a->ctx, 0, -1, 0), -1);
	assert_int_equal(skynet_mailbox(a->ctx, 0, 65536, 0), -1);
	assert_int_equal(skynet_mailbox(a->ctx, 0, 1, 3), -1);
	assert_int_equal(skynet_mailbox(a->ctx, 0, 1, -1), -1);
	assert_int_equal(skynet_mailbox(a->ctx, 0, 65535, SKYNET_FULL_BLOCK), 0);
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
a_service_without_a_callback_refuses_requests(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	skynet_callback(b->ctx, NULL, NULL);
	(void)send_text(a, b->handle, 0, "no request");
	(void)send_text(a, b->handle, 7, "a request");
	(void)skynet_send(a->ctx, 0, b->handle, PTYPE_RESPONSE, 8, NULL, 0);
	(void)skynet_send(a->ctx, 0, b->handle, PTYPE_ERROR, 9, NULL, 0);
	world_run(w);
	expect_error(a, 7, b->handle, " (:00000002): it takes no messages");
	expect_no_mail(a);
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
	expect_error(a, 3, REMOTE_HANDLE, "no link to its node, number 5");
	expect_error(a, probe, REMOTE_HANDLE, "no link to its node, number 5");
	expect_error(a, 4, REMOTE_HANDLE, "no link to its node, number 5");
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
	expect_error(a, 0, REMOTE_HANDLE, "no link to its node, number 5");
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(messages_of_one_sender_keep_their_order),
		world_test(more_messages_than_one_turn_takes_all_arrive),
		world_test(send_result_is_the_session_or_what_is_wrong),
		world_test(a_full_mailbox_refuses_what_services_send),
		world_test(answers_errors_and_the_framework_always_pass),
		world_test(what_may_be_dropped_is_counted),
		world_test(who_has_to_wait_keeps_its_message),
		cmocka_unit_test(services_begin_with_the_bounds_of_the_node),
		world_test(bounds_out_of_range_are_refused),
		world_test(alloc_session_counts_from_one),
		world_test(any_source_may_be_given),
		world_test(a_copy_has_a_nul_behind_it),
		world_test(a_block_handed_over_is_freed_on_all_paths),
		world_test(a_send_to_oneself_waits_in_the_mailbox),
		world_test(a_service_without_a_callback_refuses_requests),
		world_test(the_callback_can_change_inside_a_callback),
		world_test(a_request_to_another_node_fails_at_once),
		world_test(an_answer_to_another_node_cannot_answer_an_own_request),
		world_test(sendname_takes_handles_and_local_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
