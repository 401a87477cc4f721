/* waiting_test.c: messages by global names that nobody has, or that appear, vanish and move while
 * messages are on their way: where they go, in which order, and what they cost. The threads of a
 * real node are in harbor_names_test.c. */
#include "service_world.h"
#include "sk_memory.h"
#include "sk_remote.h"
#include "sk_waiting.h"
#include "skynet_harbor.h"

/* A node of a network, with a harbor that has a link to the node of REMOTE_HANDLE. */
static struct world *w;
static struct actor *a, *b, *harbor;

static int
setup(void **state)
{
	(void)state;
	w = world_new((const char *[]){"harbor", "1", NULL});
	a = world_add(w);
	b = world_add(w);
	harbor = world_add(w);
	assert_int_equal(skynet_harbor_start(harbor->ctx), 0);
	assert_int_equal(skynet_harbor_node(harbor->ctx, 5, SKYNET_NODE_OPEN, NULL), 0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	world_free(w);
	return 0;
}

#define waiting_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static const char *
name_command(const char *name, uint32_t handle)
{
	char text[64];
	(void)snprintf(text, sizeof text, "%s :%x", name, handle);
	return skynet_command(a->ctx, "GLOBALNAME", text);
}

static void
set_name(const char *name, uint32_t handle)
{
	assert_string_equal(name_command(name, handle), name);
}

static void
forget_name(const char *name)
{
	assert_null(name_command(name, 0));
}

static int
say(const char *name, int session, const char *text)
{
	return skynet_sendname(a->ctx, 0, name, PTYPE_TEXT, session, (void *)(uintptr_t)text,
			       strlen(text));
}

static int
count_waiting(size_t *bytes)
{
	uint64_t refused;
	return skynet_harbor_names(a->ctx, bytes, &refused);
}

static uint64_t
count_refused(void)
{
	size_t bytes;
	uint64_t refused;
	(void)skynet_harbor_names(a->ctx, &bytes, &refused);
	return refused;
}

static void
expect_nothing_waits(void)
{
	size_t bytes;
	assert_int_equal(count_waiting(&bytes), 0);
	assert_int_equal(bytes, 0);
}

static void
kill_actor(struct actor *actor)
{
	assert_int_equal(sk_service_kill(w->core, actor->handle, "it was killed"), SK_OK);
}

/* --- order ----------------------------------------------------------------------------------- */

/* No turn runs in between: nothing that was sent first may wait anywhere. */
static void
what_is_sent_later_overtakes_nothing(void **state)
{
	(void)state;
	assert_int_equal(say("NAME", 0, "one"), 0);
	assert_int_equal(say("NAME", 0, "two"), 0);
	set_name("NAME", b->handle);
	assert_int_equal(say("NAME", 0, "three"), 0);
	assert_int_equal(send_text(a, b->handle, 0, "four"), 0);
	world_run(w);
	for (int i = 0; i < 4; i++) {
		static const char *const texts[] = {"one", "two", "three", "four"};
		expect_mail(b, PTYPE_TEXT, 0, a->handle, texts[i]);
	}
	expect_nothing_waits();
}

static void
names_come_and_go_and_change_their_owner(void **state)
{
	(void)state;
	set_name("NAME", b->handle);
	(void)say("NAME", 0, "one");
	forget_name("NAME");
	(void)say("NAME", 0, "two");
	set_name("NAME", REMOTE_HANDLE);
	(void)say("NAME", 0, "three");
	set_name("NAME", b->handle); /* as when a node has lost it, and another has it now */
	(void)say("NAME", 0, "four");
	forget_name("NAME");
	(void)say("NAME", 0, "five");
	set_name("NAME", b->handle);
	(void)say("NAME", 0, "six");
	world_run(w);
	expect_mail(b, PTYPE_TEXT, 0, a->handle, "one");
	expect_mail(b, PTYPE_TEXT, 0, a->handle, "four");
	expect_mail(b, PTYPE_TEXT, 0, a->handle, "five");
	expect_mail(b, PTYPE_TEXT, 0, a->handle, "six");
	expect_mail(harbor, PTYPE_TEXT, 0, a->handle, "two");
	expect_mail(harbor, PTYPE_TEXT, 0, a->handle, "three");
	expect_no_mail(b);
	expect_no_mail(harbor);
}

static void
each_name_has_its_own(void **state)
{
	(void)state;
	(void)say("older", 0, "to older");
	(void)say("newer", 0, "to newer");
	set_name("newer", b->handle);
	(void)say("newer", 0, "and more");
	world_run(w);
	expect_mail(b, PTYPE_TEXT, 0, a->handle, "to newer");
	expect_mail(b, PTYPE_TEXT, 0, a->handle, "and more");
	expect_no_mail(b);
	set_name("older", a->handle);
	world_run(w);
	expect_mail(a, PTYPE_TEXT, 0, a->handle, "to older");
	expect_nothing_waits();
}

/* Somebody has got the name between the first look and the lock. */
static void
a_name_found_at_the_second_look_is_sent_to(void **state)
{
	(void)state;
	set_name("HERE", b->handle);
	set_name("AWAY", REMOTE_HANDLE);
	for (int i = 0; i < 2; i++) {
		static const char *const names[] = {"HERE", "AWAY"};
		struct sk_message *message = sk_message_new(SK_MESSAGE_PLAIN, PTYPE_TEXT, a->handle,
							    7, skynet_strdup("late"), 4);
		assert_int_equal(sk_waiting_add(w->core, names[i], message), SK_OK);
	}
	world_run(w);
	expect_mail(b, PTYPE_TEXT, 7, a->handle, "late");
	expect_mail(harbor, PTYPE_TEXT, 7, a->handle, "late");
	expect_mail(a, PTYPE_HARBOR, 7, b->handle, NULL);
	expect_mail(a, PTYPE_HARBOR, 7, REMOTE_HANDLE, NULL);
	expect_nothing_waits();
}

/* --- owners ---------------------------------------------------------------------------------- */

/* The source of a request learns whose end ends it; what wants no answer says nothing. */
static void
requests_are_told_who_has_got_them(void **state)
{
	(void)state;
	assert_int_equal(say("NAME", 5, "request"), 5);
	(void)skynet_sendname(a->ctx, harbor->handle, "NAME", PTYPE_TEXT, 6, "for another", 11);
	(void)skynet_sendname(a->ctx, 0, "NAME", PTYPE_RESPONSE, 7, "answer", 6);
	(void)skynet_sendname(a->ctx, 0, "NAME", PTYPE_ERROR, 8, "error", 5);
	set_name("NAME", b->handle);
	world_run(w);
	expect_mail(b, PTYPE_TEXT, 5, a->handle, "request");
	expect_mail(b, PTYPE_TEXT, 6, harbor->handle, "for another");
	expect_mail(b, PTYPE_RESPONSE, 7, a->handle, "answer");
	expect_mail(b, PTYPE_ERROR, 8, a->handle, "error");
	expect_mail(a, PTYPE_HARBOR, 5, b->handle, NULL);
	expect_no_mail(a);
	expect_mail(harbor, PTYPE_HARBOR, 6, b->handle, NULL);
}

static void
a_name_of_a_service_that_has_ended_is_still_waited_for(void **state)
{
	(void)state;
	uint32_t dead = b->handle;
	(void)say("NAME", 0, "one");
	kill_actor(b);
	assert_null(name_command("NAME", dead));
	(void)say("NAME", 0, "two");
	set_name("NAME", REMOTE_HANDLE);
	world_run(w);
	expect_mail(harbor, PTYPE_TEXT, 0, a->handle, "one");
	expect_mail(harbor, PTYPE_TEXT, 0, a->handle, "two");
	world_forget_log(w);
}

/* Its node is not there: the sender is told as by any send to it. */
static void
an_owner_out_of_reach_refuses_what_has_waited(void **state)
{
	(void)state;
	(void)say("NAME", 5, "request");
	(void)say("NAME", 0, "one way");
	assert_int_equal(skynet_harbor_node(harbor->ctx, 5, SKYNET_NODE_ABSENT, "it burns"), 0);
	set_name("NAME", REMOTE_HANDLE);
	world_run(w);
	expect_mail(a, PTYPE_HARBOR, 5, REMOTE_HANDLE, NULL);
	expect_error(a, 5, REMOTE_HANDLE, "no link to its node, number 5: it burns");
	expect_error(a, 0, REMOTE_HANDLE, "no link to its node, number 5: it burns");
	expect_nothing_waits();
}

/* What has waited was taken long before: it is not the owner's to refuse. */
static void
what_has_waited_comes_past_the_bounds(void **state)
{
	(void)state;
	assert_int_equal(skynet_mailbox(b->ctx, 0, 1, SKYNET_FULL_ERROR), 0);
	assert_int_equal(skynet_mailbox(harbor->ctx, 0, 1, SKYNET_FULL_ERROR), 0);
	for (int i = 0; i < 3; i++) {
		(void)say("HERE", 0, "here");
		(void)say("AWAY", 0, "away");
	}
	set_name("HERE", b->handle);
	set_name("AWAY", REMOTE_HANDLE);
	assert_int_equal(say("HERE", 0, "more"), -3);
	assert_int_equal(say("AWAY", 0, "more"), -3);
	world_run(w);
	assert_int_equal(b->mail_count, 3);
	assert_int_equal(harbor->mail_count, 3);
}

/* --- the end of the harbor ------------------------------------------------------------------- */

static void
nothing_waits_without_a_harbor(void **state)
{
	const char why[] = "has the global name NAME: the harbor of this node has ended";
	uint32_t handle = harbor->handle;
	(void)state;
	(void)say("NAME", 5, "request");
	(void)say("NAME", 0, "one way");
	(void)skynet_sendname(a->ctx, 0, "NAME", PTYPE_RESPONSE, 7, "answer", 6);
	(void)skynet_sendname(a->ctx, 0, "NAME", PTYPE_ERROR, 8, "error", 5);
	kill_actor(harbor);
	assert_int_equal(say("NAME", 6, "x"), -1);
	world_run(w);
	expect_error(a, 5, handle, why);
	expect_error(a, SKYNET_SESSION_LOST, handle, why);
	expect_error(a, SKYNET_SESSION_LOST, handle, why);
	expect_no_mail(a);
	expect_nothing_waits();
	/* It goes between the look and the lock. */
	struct sk_message *message =
		sk_message_new(SK_MESSAGE_PLAIN, PTYPE_TEXT, a->handle, 7, NULL, 0);
	assert_int_equal(sk_waiting_add(w->core, "NAME", message), SK_ENOENT);
	free(message);
	world_forget_log(w);
}

/* --- bounds ---------------------------------------------------------------------------------- */

static void
names_that_are_waited_for_are_bounded(void **state)
{
	const int handed_over = PTYPE_TEXT | PTYPE_TAG_DONTCOPY;
	char name[32];
	(void)state;
	for (int i = 0; i < SK_WAITING_NAMES_MAX; i++) {
		(void)snprintf(name, sizeof name, "name%d", i);
		assert_int_equal(say(name, 0, "x"), 0);
	}
	assert_int_equal(count_refused(), 0);
	assert_int_equal(say("one_more", 5, "x"), -3);
	assert_int_equal(count_refused(), 1);
	assert_int_equal(
		skynet_sendname(a->ctx, 0, "one_more", handed_over, 5, skynet_malloc(1), 1), -3);
	assert_int_equal(say("name7", 5, "a place that there is"), 5);
	set_name("name9", b->handle); /* its place is free */
	assert_int_equal(say("one_more", 5, "x"), 5);
	assert_int_equal(say("another_one", 5, "x"), -3);
	set_name("name7", b->handle);
	world_run(w);
	assert_int_equal(b->mail_count, 3);
	expect_no_mail(harbor);
	kill_actor(harbor);
	world_run(w);
	expect_nothing_waits();
	world_forget_log(w);
}

static void
bytes_that_wait_are_bounded(void **state)
{
	const size_t most = SK_WAITING_BYTES_MAX - sizeof(struct sk_message);
	size_t bytes;
	char *text = skynet_calloc(most + 1, 1);
	(void)state;
	assert_int_equal(skynet_sendname(a->ctx, 0, "NAME", PTYPE_TEXT, 5, text, most + 1), -3);
	assert_int_equal(skynet_sendname(a->ctx, 0, "NAME", PTYPE_TEXT, 5, text, most), 5);
	assert_int_equal(count_waiting(&bytes), 1);
	assert_int_equal(bytes, SK_WAITING_BYTES_MAX);
	assert_int_equal(say("NAME", 5, ""), -3);
	assert_int_equal(say("OTHER", 5, ""), -3);
	assert_int_equal(count_refused(), 3);
	set_name("NAME", b->handle);
	assert_int_equal(say("OTHER", 5, ""), 5);
	world_run(w);
	assert_int_equal(b->mails[0].size, most);
	free(text);
}

/* What waits belongs to nobody, and all is even when it is gone. */
static void
memory_is_charged_to_who_has_it(void **state)
{
	(void)state;
	int64_t of_a = sk_context_memory(a->ctx), of_b = sk_context_memory(b->ctx);
	int64_t of_harbor = sk_context_memory(harbor->ctx);
	int64_t bytes = sk_memory_thread_bytes();
	sk_this_service = a->ctx; /* the turn that the test plays */
	(void)say("HERE", 0, "hello");
	(void)say("AWAY", 0, "hello");
	set_name("HERE", b->handle);
	set_name("AWAY", REMOTE_HANDLE);
	(void)say("HERE", 0, "again");
	sk_this_service = NULL;
	sk_context_charge(a->ctx, sk_memory_thread_bytes() - bytes);
	assert_int_equal(sk_context_memory(a->ctx), of_a);
	world_run(w);
	assert_int_equal(b->mail_count, 2);
	assert_int_equal(harbor->mail_count, 1);
	assert_int_equal(sk_context_memory(b->ctx), of_b);
	assert_int_equal(sk_context_memory(harbor->ctx), of_harbor);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		waiting_test(what_is_sent_later_overtakes_nothing),
		waiting_test(names_come_and_go_and_change_their_owner),
		waiting_test(each_name_has_its_own),
		waiting_test(a_name_found_at_the_second_look_is_sent_to),
		waiting_test(requests_are_told_who_has_got_them),
		waiting_test(a_name_of_a_service_that_has_ended_is_still_waited_for),
		waiting_test(an_owner_out_of_reach_refuses_what_has_waited),
		waiting_test(what_has_waited_comes_past_the_bounds),
		waiting_test(nothing_waits_without_a_harbor),
		waiting_test(names_that_are_waited_for_are_bounded),
		waiting_test(bytes_that_wait_are_bounded),
		waiting_test(memory_is_charged_to_who_has_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
