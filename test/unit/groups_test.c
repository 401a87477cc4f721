/* groups_test.c: the command GROUP and the service multicast, on a node that the test drives by
 * hand. The address sanitizer finds what is freed too early, its leak check what is not freed. */
#include "service_world.h"

#define CROWD 10000

static const char *
group(struct actor *actor, const char *parm)
{
	return skynet_command(actor->ctx, "GROUP", parm);
}

static uint32_t
query(struct actor *actor, const char *parm)
{
	const char *address = group(actor, parm);
	assert_non_null(address);
	assert_int_equal(address[0], ':');
	assert_int_equal(strlen(address), 9); /* :%08X */
	return (uint32_t)strtoul(address + 1, NULL, 16);
}

static bool
is_there(struct world *w, uint32_t handle)
{
	return sk_registry_find(&w->core->registry, handle) != NULL;
}

/* --- members -------------------------------------------------------------------------------- */

static void
all_members_get_what_is_sent_to_the_group(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w), *c = world_add(w), *d = world_add(w);
	assert_null(group(b, "ENTER 7"));
	assert_null(command_to(b, "GROUP", c->handle, "")); /* no such word: a line in the log */
	char parm[64];
	(void)snprintf(parm, sizeof parm, "ENTER 7 :%x", c->handle);
	assert_null(group(a, parm));
	uint32_t address = query(a, "QUERY 7");
	assert_int_equal(query(d, "QUERY 7"), address);
	assert_int_not_equal(query(d, "QUERY -7"), address);
	(void)send_text(a, address, 0, "hello");
	assert_int_equal(skynet_send(d->ctx, 0, address, PTYPE_CLIENT, 0, "\0x", 2), 0);
	b->result = c->result = SKYNET_KEPT; /* which means nothing for a packet */
	world_run(w);
	expect_mail(b, PTYPE_TEXT, 0, a->handle, "hello");
	expect_mail(c, PTYPE_TEXT, 0, a->handle, "hello");
	assert_int_equal(b->mails[1].size, 2);
	assert_int_equal(b->mails[1].type, PTYPE_CLIENT);
	assert_int_equal(b->mails[1].source, d->handle);
	assert_ptr_equal(b->kept, c->kept); /* one packet */
	expect_no_mail(a);
	expect_no_mail(d);
}

static void
entering_and_leaving_count_from_the_next_message_on(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w);
	uint32_t address = query(a, "QUERY 1");
	(void)send_text(a, address, 0, "before");
	(void)group(a, "ENTER 1");
	(void)group(a, "ENTER 1"); /* once more is nothing */
	(void)send_text(a, address, 0, "inside");
	(void)group(a, "LEAVE 1");
	(void)send_text(a, address, 0, "between");
	(void)group(a, "ENTER 1");
	(void)send_text(a, address, 0, "again");
	world_run(w);
	expect_mail(a, PTYPE_TEXT, 0, a->handle, "inside");
	expect_mail(a, PTYPE_TEXT, 0, a->handle, "again");
	expect_no_mail(a);
}

static void
leaving_without_being_in_is_logged(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w);
	assert_null(group(a, "LEAVE 3"));
	world_expect_log(w, "%08x Try to remove a none exist handle : %x\n", a->handle, a->handle);
	uint32_t address = query(a, "QUERY 3");
	world_forget_log(w);
	assert_null(group(a, "LEAVE 3 :77"));
	world_run(w);
	world_expect_log(w, "%08x Try to remove a none exist handle : 77\n", address);
}

static void
remote_and_odd_members_are_refused(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w);
	assert_null(group(a, "ENTER 3 :5000001"));
	world_expect_log(w, "%08x Can't add remote handle 5000001\n", a->handle);
	assert_null(group(a, "ENTER 3 nobody"));
	world_expect_log(w, "%08x error: Can't convert nobody to handle\n", a->handle);
	assert_null(group(a, "ENTER 3 .nobody"));
	world_expect_log(w, "%s", "");
	assert_null(group(a, "ENTER 3 :77")); /* nobody lives there */
	uint32_t address = query(a, "QUERY 3");
	(void)send_text(a, address, 0, "x");
	world_run(w);
	expect_no_mail(a);
}

static void
odd_parameters_are_refused_with_a_line(void **state)
{
	static const char *const odd[] = {
		"",
		"ENTER",
		"ENTER ",
		"ENTER x",
		"ENTER 1x",
		"enter 1",
		"ENTERED 1",
		"QUERY 1 :1",
		"CLEAR 1 2",
		"LEAVE 99999999999",
		"QUERY 2147483648",
		"QUERY -2147483649",
		"QUERY 1e3",
		"JOIN 1",
		"ENTER1",
	};
	struct world *w = *state;
	struct actor *a = world_add(w);
	assert_null(group(a, NULL));
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
		world_forget_log(w);
		assert_null(group(a, odd[i]));
		world_expect_log(
			w,
			"%08x error: GROUP takes ENTER, LEAVE, QUERY or CLEAR and a number, "
			"not '%s'\n",
			a->handle, odd[i]);
	}
	(void)query(a, "QUERY 2147483647");
	(void)query(a, "QUERY -2147483648");
	assert_int_equal(atomic_load(&w->core->living), 3);
}

/* --- sessions ------------------------------------------------------------------------------- */

static void
a_request_reaches_the_members_and_fails(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	(void)group(b, "ENTER 1");
	uint32_t address = query(a, "QUERY 1");
	assert_int_equal(send_text(a, address, 5, "q"), 5);
	world_run(w);
	expect_mail(b, PTYPE_TEXT, 0, a->handle, "q");
	expect_error(a, 5, address, "cannot answer");
	expect_no_mail(a);
	/* Answers and errors get none. */
	(void)skynet_send(a->ctx, 0, address, PTYPE_RESPONSE, 5, NULL, 0);
	(void)skynet_send(a->ctx, 0, address, PTYPE_ERROR, 77, NULL, 0);
	world_run(w);
	expect_no_mail(a);
	assert_int_equal(b->mail_count, 3);
	assert_int_equal(b->mails[1].type, PTYPE_RESPONSE);
	assert_int_equal(b->mails[1].session, 0);
}

static void
no_service_can_speak_as_the_framework(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	char text[16];
	(void)snprintf(text, sizeof text, "E %x", b->handle);
	uint32_t address = query(a, "QUERY 1");
	(void)skynet_send(a->ctx, 0, address, PTYPE_SYSTEM, 0, text, strlen(text));
	(void)skynet_send(a->ctx, 0, address, PTYPE_SYSTEM, 9, "C", 1);
	(void)send_text(a, address, 0, "x");
	world_run(w);
	expect_no_mail(b);
	expect_error(a, 9, address, "takes no system messages");
	assert_true(is_there(w, address));
}

/* --- ends ----------------------------------------------------------------------------------- */

static void
the_dead_drop_out_by_themselves(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w), *c = world_add(w);
	(void)group(b, "ENTER 1");
	(void)group(c, "ENTER 1");
	uint32_t address = query(a, "QUERY 1");
	(void)send_text(a, address, 0, "both");
	world_run(w);
	assert_int_equal(sk_service_kill(w->core, b->handle, "killed"), SK_OK);
	(void)send_text(a, address, 0, "one");
	world_run(w);
	assert_int_equal(b->mail_count, 1);
	assert_int_equal(c->mail_count, 2);
	expect_no_mail(a); /* nobody is told */
	world_forget_log(w);
	char parm[64];
	(void)snprintf(parm, sizeof parm, "LEAVE 1 :%x", b->handle);
	(void)group(a, parm);
	world_run(w); /* it was not among the members any more */
	world_expect_log(w, "%08x Try to remove a none exist handle : %x\n", address, b->handle);
}

static void
kill_other(struct actor *actor, const struct mail *mail)
{
	(void)mail;
	(void)sk_service_kill(actor->ctx->core, actor->other->handle, "in the middle");
}

static void
a_member_may_die_between_packet_and_turn(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w), *c = world_add(w);
	(void)group(b, "ENTER 1");
	(void)group(c, "ENTER 1");
	b->on_mail = kill_other;
	b->other = c;
	c->on_mail = kill_other;
	c->other = b;
	uint32_t address = query(a, "QUERY 1");
	for (int i = 0; i < 3; i++)
		(void)send_text(a, address, 0, "x");
	world_run(w);
	assert_int_not_equal(is_there(w, b->handle), is_there(w, c->handle));
	expect_no_mail(a);
}

static void
clear_ends_the_group_behind_what_was_sent_before(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	assert_null(group(a, "CLEAR 1")); /* there is none */
	(void)group(b, "ENTER 1");
	uint32_t old = query(a, "QUERY 1");
	(void)send_text(a, old, 0, "before");
	assert_null(group(a, "CLEAR 1"));
	uint32_t fresh = query(a, "QUERY 1"); /* the number is free at once */
	assert_int_not_equal(fresh, old);
	(void)send_text(a, old, 8, "after");
	(void)send_text(a, fresh, 0, "nobody is in");
	world_run(w);
	expect_mail(b, PTYPE_TEXT, 0, a->handle, "before");
	expect_no_mail(b);
	expect_error(a, 8, old, "the group was cleared before it took the request");
	assert_false(is_there(w, old));
	assert_true(is_there(w, fresh));
	assert_int_equal(send_text(a, old, 0, "late"), -1);
}

static void
packets_under_way_arrive_after_their_group_has_ended(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	(void)group(b, "ENTER 1");
	uint32_t address = query(a, "QUERY 1");
	(void)send_text(a, address, 0, "on its way");
	(void)group(a, "CLEAR 1");
	struct sk_mailbox *box;
	while (is_there(w, address) && (box = world_next(w)))
		sk_service_turn(w->core, w->worker, box);
	expect_no_mail(b);
	world_run(w);
	expect_mail(b, PTYPE_TEXT, 0, a->handle, "on its way");
}

static void
a_group_that_was_killed_is_replaced(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w);
	(void)group(a, "ENTER 1");
	uint32_t old = query(a, "QUERY 1");
	world_run(w);
	assert_int_equal(sk_service_kill(w->core, old, "killed"), SK_OK);
	(void)group(a, "ENTER 1");
	uint32_t fresh = query(a, "QUERY 1");
	assert_int_not_equal(fresh, old);
	(void)send_text(a, fresh, 0, "x");
	world_run(w);
	expect_mail(a, PTYPE_TEXT, 0, a->handle, "x");
	expect_no_mail(a);
}

static void
many_groups_come_and_go(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w);
	uint32_t handles[100];
	char parm[32];
	for (int i = 0; i < 100; i++) {
		(void)snprintf(parm, sizeof parm, "QUERY %d", (i * 37) % 100);
		handles[(i * 37) % 100] = query(a, parm);
	}
	for (int i = 0; i < 100; i += 2) {
		(void)snprintf(parm, sizeof parm, "CLEAR %d", i);
		(void)group(a, parm);
	}
	world_run(w);
	for (int i = 0; i < 100; i++)
		assert_int_equal(is_there(w, handles[i]), i % 2);
	for (int i = 1; i < 100; i += 2) {
		(void)snprintf(parm, sizeof parm, "QUERY %d", i);
		assert_int_equal(query(a, parm), handles[i]);
	}
	world_forget_log(w);
}

static void
a_node_without_the_module_says_so(void **state)
{
	struct world *w = *state; /* its cpath has only the services of tests */
	struct actor *a = world_add(w);
	assert_null(group(a, "QUERY 1"));
	assert_null(group(a, "ENTER 1"));
	assert_null(group(a, "CLEAR 1"));
	assert_non_null(strstr(w->log, "multicast"));
	assert_int_equal(atomic_load(&w->core->living), 1);
}

/* --- a crowd -------------------------------------------------------------------------------- */

struct crowd {
	struct script script;
	uint32_t handles[CROWD];
	int count;
	int got;
	const void *bytes;
	size_t ends; /* so many end when they get something */
};

static int
crowd_callback(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
	       const void *msg, size_t sz)
{
	struct crowd *crowd = ud;
	(void)type, (void)session, (void)source;
	assert_int_equal(sz, 4);
	assert_true(!crowd->bytes || crowd->bytes == msg);
	crowd->bytes = msg;
	crowd->got++;
	if (crowd->ends > 0) {
		crowd->ends--;
		(void)sk_service_kill(ctx->core, ctx->handle, "enough");
	}
	return SKYNET_DONE;
}

static int
crowd_init(struct script *script, struct skynet_context *ctx, const char *parm)
{
	struct crowd *crowd = (struct crowd *)script;
	(void)parm;
	crowd->handles[crowd->count++] = ctx->handle;
	skynet_callback(ctx, crowd, crowd_callback);
	(void)skynet_command(ctx, "GROUP", "ENTER 1");
	return 0;
}

static void
a_crowd_shares_one_packet_while_members_end(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w);
	struct crowd *crowd = skynet_calloc(1, sizeof *crowd);
	char parm[64];
	crowd->script.init = crowd_init;
	(void)snprintf(parm, sizeof parm, "%" PRIxPTR, (uintptr_t)crowd);
	for (int i = 0; i < CROWD; i++) {
		assert_int_not_equal(sk_service_launch(w->core, "scripted", parm), 0);
		world_forget_log(w);
	}
	uint32_t address = query(a, "QUERY 1");
	crowd->ends = CROWD / 2;
	(void)send_text(a, address, 0, "news");
	world_run(w);
	assert_int_equal(crowd->got, CROWD);
	crowd->bytes = NULL;
	crowd->ends = CROWD;
	(void)send_text(a, address, 0, "more");
	world_run(w);
	assert_int_equal(crowd->got, CROWD + CROWD / 2);
	(void)send_text(a, address, 0, "none");
	world_run(w);
	assert_int_equal(crowd->got, CROWD + CROWD / 2);
	expect_no_mail(a);
	assert_int_equal(atomic_load(&w->core->living), 2);
	free(crowd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		world_services_test(all_members_get_what_is_sent_to_the_group),
		world_services_test(entering_and_leaving_count_from_the_next_message_on),
		world_services_test(leaving_without_being_in_is_logged),
		world_services_test(remote_and_odd_members_are_refused),
		world_services_test(odd_parameters_are_refused_with_a_line),
		world_services_test(a_request_reaches_the_members_and_fails),
		world_services_test(no_service_can_speak_as_the_framework),
		world_services_test(the_dead_drop_out_by_themselves),
		world_services_test(a_member_may_die_between_packet_and_turn),
		world_services_test(clear_ends_the_group_behind_what_was_sent_before),
		world_services_test(packets_under_way_arrive_after_their_group_has_ended),
		world_services_test(a_group_that_was_killed_is_replaced),
		world_services_test(many_groups_come_and_go),
		world_test(a_node_without_the_module_says_so),
		world_services_test(a_crowd_shares_one_packet_while_members_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
