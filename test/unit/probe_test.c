/* probe_test.c: what the core sends to services that have asked for it: answers to probes, the ends
 * of links, timers; and what services are charged for all that. On a node that the test drives by
 * hand (service_world.h). */
#include "service_world.h"

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
	expect_error(a, session, b->handle,
		     "it was killed by :00000001 before it took the request");
	expect_no_mail(a);
	world_forget_log(w);
}

static void
a_link_tells_when_the_other_is_gone(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	int first = skynet_link(a->ctx, b->handle, 0);
	assert_int_equal(skynet_link(a->ctx, b->handle, 1234), 1234);
	int third = skynet_link(a->ctx, b->handle, 0);
	assert_true(first > 0 && third > first);
	world_run(w);
	assert_int_equal(b->mail_count, 0); /* the callback never sees it */
	skynet_unlink(a->ctx, b->handle, third);
	skynet_unlink(a->ctx, b->handle, 99); /* never linked */
	world_run(w);
	expect_no_mail(a);
	(void)command_to(a, "KILL", b->handle, "");
	world_run(w);
	expect_error(a, first, b->handle, "it was killed by :00000001");
	expect_error(a, 1234, b->handle, "it was killed by :00000001");
	expect_no_mail(a);
	world_forget_log(w);
}

static void
a_link_to_the_dead_or_dying_tells_too(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	int session = skynet_link(a->ctx, b->handle, 0);
	int undone = skynet_link(a->ctx, b->handle, 0);
	skynet_unlink(a->ctx, b->handle, undone);
	(void)command_to(a, "KILL", b->handle, ""); /* with the links in its mailbox */
	assert_int_equal(skynet_link(a->ctx, b->handle, 0), -1);
	skynet_unlink(a->ctx, b->handle, session);
	world_run(w);
	expect_error(a, session, b->handle,
		     "it was killed by :00000001 before it took the request");
	expect_error(a, undone, b->handle, "it was killed by :00000001 before it took the request");
	expect_no_mail(a);
	session = skynet_link(a->ctx, REMOTE_HANDLE, 0);
	world_run(w);
	expect_error(a, session, REMOTE_HANDLE, "no link to its node, number 5");
	world_forget_log(w);
}

static void
links_of_the_dead_are_forgotten(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *target = world_add(w);
	int kept = skynet_link(a->ctx, target->handle, 0);
	world_run(w);
	struct skynet_context *service = sk_registry_find(&w->core->registry, target->handle);
	for (int i = 0; i < WORLD_ACTORS - 2; i++) {
		struct actor *b = world_add(w);
		assert_true(skynet_link(b->ctx, target->handle, 0) > 0);
		world_run(w);
		(void)command_to(a, "KILL", b->handle, "");
		world_run(w);
		assert_int_equal(service->links.capacity, 4);
	}
	(void)command_to(a, "KILL", target->handle, "");
	world_run(w);
	expect_error(a, kept, target->handle, "it was killed by :00000001");
	expect_no_mail(a);
	world_forget_log(w);
}

static void
timers_fire_in_order(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w);
	uint64_t begin_ms = sk_clock_ms();
	int late = skynet_timeout(a->ctx, 300000, NULL);
	int soon = skynet_timeout(a->ctx, 100000, NULL);
	int middle = skynet_timeout(a->ctx, 200000, NULL);
	world_reach_time(w, begin_ms + 99999);
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

/* --- what services are charged -------------------------------------------------------------- */

static void
send_a_timer_and_a_line(struct actor *actor, const struct mail *mail)
{
	if (mail->type != PTYPE_TEXT)
		return;
	(void)skynet_timeout(actor->ctx, 1000, NULL);
	(void)skynet_timeout(actor->ctx, 0, NULL);
	/* With the NUL of the copy a size that the allocator does not round up. */
	(void)skynet_send(actor->ctx, 0, actor->handle, 100, 0, "fifteen letters", 15);
	if (mail->session > 0)
		(void)send_text(actor, actor->handle, mail->session - 1, "fifteen letters");
}

static long
charged(struct actor *actor)
{
	return strtol(skynet_command(actor->ctx, "STAT", "memory"), NULL, 10);
}

static void
traffic_that_is_over_costs_nothing(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w);
	a->on_mail = send_a_timer_and_a_line;
	long last = 0;
	for (int i = 0; i < 3; i++) {
		(void)send_text(a, a->handle, 100, "fifteen letters");
		world_run(w);
		world_pass_time(w, 5000);
		world_run(w);
		if (i > 0)
			assert_in_range(charged(a) - last + 1000, 900, 1100); /* 101 timers */
		last = charged(a);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(a_probe_comes_back_behind_what_was_sent_before),
		world_test(a_probe_of_the_dead_says_so),
		world_test(a_link_tells_when_the_other_is_gone),
		world_test(a_link_to_the_dead_or_dying_tells_too),
		world_test(links_of_the_dead_are_forgotten),
		world_test(timers_fire_in_order),
		world_test(a_delay_of_zero_goes_behind_the_mail_that_waits),
		world_test(a_cancelled_timer_does_not_fire),
		world_test(a_timer_of_the_dead_is_dropped),
		world_test(traffic_that_is_over_costs_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
