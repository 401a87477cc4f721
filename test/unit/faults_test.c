/* faults_test.c: messages between services of a simulated node, under rules. The test's thread is
 * the worker, and moves the clock. */
#include "service_world.h"
#include "sk_faults.h"
#include "sk_simulation.h"

#define ANY ((struct skynet_fault){.chance = 1, .type = -1})

struct town {
	struct world *world;
	struct actor *a;
	struct actor *b;
};

static struct town town;

static int
setup(void **state)
{
	(void)state;
	static const char *const settings[] = {"simulate", "7", NULL};
	town.world = world_new(settings);
	town.a = world_add(town.world);
	town.b = world_add(town.world);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	world_free(town.world);
	return 0;
}

/* Runs all that is ready, through the hook that a simulated node has. */
static void
run(void)
{
	struct sk_scheduler *s = &town.world->core->scheduler;
	struct sk_mailbox *box;
	while ((box = world_next(town.world)))
		s->hooks.turn(s->hooks.owner, town.world->worker, box);
}

static void
pass_ms(uint64_t ms)
{
	struct sk_scheduler *s = &town.world->core->scheduler;
	sk_virtual_clock_move(s->hooks.clock, sk_scheduler_now_ns(s) + ms * SK_NS_PER_MS);
	struct sk_timer_entry *list =
		sk_timer_expire(s->timer, sk_scheduler_now_ns(s) / SK_NS_PER_MS);
	if (list)
		s->hooks.expired(s->hooks.owner, list);
	run();
}

static int
add(struct skynet_fault fault)
{
	int number = skynet_simulation_add_fault(town.a->ctx, &fault);
	assert_true(number > 0);
	return number;
}

static void
expect_texts(const char *first, const char *second, const char *third)
{
	const char *const texts[] = {first, second, third};
	for (int i = 0; i < 3 && texts[i]; i++)
		expect_mail(town.b, PTYPE_TEXT, 0, town.a->handle, texts[i]);
	expect_no_mail(town.b);
}

static void
what_is_dropped_is_lost_and_its_sender_not_told(void **state)
{
	(void)state;
	struct skynet_fault fault = ANY;
	fault.kind = SKYNET_FAULT_DROP;
	fault.destination = town.b->handle;
	int number = add(fault);
	send_text(town.a, town.b->handle, 5, "lost");
	run();
	expect_no_mail(town.a);
	expect_no_mail(town.b);
	assert_int_equal(skynet_simulation_fault_count(town.a->ctx, number), 1);
	skynet_simulation_remove_fault(town.a->ctx, number);
	assert_int_equal(skynet_simulation_fault_count(town.a->ctx, number), -1);
	send_text(town.a, town.b->handle, 0, "found");
	run();
	expect_texts("found", NULL, NULL);
}

static void
what_is_delayed_comes_later_and_is_overtaken(void **state)
{
	(void)state;
	struct skynet_fault fault = ANY;
	fault.kind = SKYNET_FAULT_DELAY;
	fault.count_max = 1;
	fault.delay_min_ms = fault.delay_max_ms = 30;
	add(fault);
	send_text(town.a, town.b->handle, 0, "first");
	send_text(town.a, town.b->handle, 0, "second");
	run();
	expect_texts("second", NULL, NULL);
	pass_ms(29);
	expect_no_mail(town.b);
	pass_ms(1);
	expect_texts("first", NULL, NULL);
}

static void
a_delayed_message_is_not_judged_again(void **state)
{
	(void)state;
	struct skynet_fault fault = ANY;
	fault.kind = SKYNET_FAULT_DELAY;
	fault.delay_min_ms = fault.delay_max_ms = 10;
	add(fault);
	send_text(town.a, town.b->handle, 0, "once");
	run();
	pass_ms(10);
	expect_texts("once", NULL, NULL);
}

static void
what_is_doubled_comes_twice(void **state)
{
	(void)state;
	struct skynet_fault fault = ANY;
	fault.kind = SKYNET_FAULT_DUPLICATE;
	fault.count_max = 1;
	add(fault);
	send_text(town.a, town.b->handle, 0, "twin");
	send_text(town.a, town.b->handle, 0, "single");
	run();
	expect_texts("twin", "single", "twin");
}

static void
a_message_for_who_ended_while_it_was_delayed_is_answered(void **state)
{
	(void)state;
	struct skynet_fault fault = ANY;
	fault.kind = SKYNET_FAULT_DELAY;
	fault.delay_min_ms = fault.delay_max_ms = 10;
	fault.destination = town.b->handle;
	add(fault);
	send_text(town.a, town.b->handle, 9, "too late");
	run();
	(void)sk_service_kill(town.world->core, town.b->handle, "it was killed");
	run();
	expect_no_mail(town.a);
	pass_ms(10);
	expect_mail(town.a, PTYPE_ERROR, 9, town.b->handle, NULL);
}

static void
rules_choose_by_source_destination_and_type(void **state)
{
	(void)state;
	struct actor *c = world_add(town.world);
	struct skynet_fault fault = ANY;
	fault.kind = SKYNET_FAULT_DROP;
	fault.source = town.a->handle;
	fault.destination = town.b->handle;
	fault.type = PTYPE_TEXT;
	add(fault);
	send_text(town.a, town.b->handle, 0, "this one");
	send_text(town.a, c->handle, 0, "another destination");
	send_text(c, town.b->handle, 0, "another source");
	(void)skynet_send(town.a->ctx, 0, town.b->handle, PTYPE_CLIENT, 0, NULL, 0);
	run();
	expect_mail(c, PTYPE_TEXT, 0, town.a->handle, "another destination");
	assert_int_equal(town.b->mail_count, 2);
}

static void
timers_and_messages_to_oneself_are_spared(void **state)
{
	(void)state;
	struct skynet_fault fault = ANY;
	fault.kind = SKYNET_FAULT_DROP;
	add(fault);
	int session = skynet_timeout(town.a->ctx, 10, NULL);
	int at_once = skynet_timeout(town.a->ctx, 0, NULL);
	send_text(town.a, town.a->handle, 0, "note");
	run();
	pass_ms(10);
	expect_mail(town.a, PTYPE_RESPONSE, at_once, 0, NULL);
	expect_mail(town.a, PTYPE_TEXT, 0, town.a->handle, "note");
	expect_mail(town.a, PTYPE_RESPONSE, session, 0, NULL);
}

static void
the_log_and_who_has_set_the_alarm_are_spared(void **state)
{
	(void)state;
	struct skynet_fault fault = ANY;
	fault.kind = SKYNET_FAULT_DROP;
	int number = add(fault);
	atomic_store(&town.world->core->logger, town.b->handle);
	send_text(town.a, town.b->handle, 0, "a line");
	run();
	expect_texts("a line", NULL, NULL);
	atomic_store(&town.world->core->logger, 0);
	assert_int_equal(skynet_simulation_alarm(town.a->ctx, 1000, 1000), 0);
	send_text(town.a, town.b->handle, 0, "from the tester");
	run();
	expect_texts("from the tester", NULL, NULL);
	assert_int_equal(skynet_simulation_fault_count(town.a->ctx, number), 0);
}

static void
chance_meets_a_share_of_the_messages(void **state)
{
	(void)state;
	struct skynet_fault fault = ANY;
	fault.kind = SKYNET_FAULT_DROP;
	fault.chance = 0.25;
	int number = add(fault);
	for (int i = 0; i < 4000; i++)
		send_text(town.a, town.b->handle, 0, "maybe");
	run();
	int64_t lost = skynet_simulation_fault_count(town.a->ctx, number);
	assert_in_range(lost, 900, 1100);
	assert_int_equal(town.b->mail_count, 4000 - lost);
	world_forget_log(town.world);
}

static void
removing_all_rules_loses_what_they_delay(void **state)
{
	(void)state;
	struct skynet_fault fault = ANY;
	fault.kind = SKYNET_FAULT_DELAY;
	fault.delay_min_ms = 10;
	fault.delay_max_ms = 20;
	add(fault);
	send_text(town.a, town.b->handle, 0, "lost");
	run();
	assert_int_equal(sk_timer_count(town.world->core->scheduler.timer), 1);
	skynet_simulation_remove_fault(town.a->ctx, 0);
	assert_int_equal(sk_timer_count(town.world->core->scheduler.timer), 0);
	pass_ms(20);
	expect_no_mail(town.b);
}

static void
what_is_delayed_when_the_node_ends_is_freed(void **state)
{
	(void)state;
	struct skynet_fault fault = ANY;
	fault.kind = SKYNET_FAULT_DELAY;
	fault.delay_min_ms = fault.delay_max_ms = 10;
	add(fault);
	send_text(town.a, town.b->handle, 0, "never");
	run();
}

static void
a_rule_that_makes_no_sense_is_refused(void **state)
{
	(void)state;
	struct skynet_fault bad[] = {ANY, ANY, ANY, ANY, ANY, ANY};
	bad[0].chance = -0.1;
	bad[1].chance = 1.1;
	bad[2].count_max = -1;
	bad[3].type = 256;
	bad[4] = (struct skynet_fault){SKYNET_FAULT_DELAY, 0, 0, -1, 1, 0, -1, 5};
	bad[5] = (struct skynet_fault){SKYNET_FAULT_DELAY, 0, 0, -1, 1, 0, 6, 5};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(skynet_simulation_add_fault(town.a->ctx, &bad[i]), -1);
}

static void
services_can_be_listed(void **state)
{
	(void)state;
	const char *module = NULL;
	struct skynet_context *ctx = town.a->ctx;
	assert_int_equal(skynet_simulation_next_service(ctx, 0, &module), town.a->handle);
	assert_string_equal(module, "scripted");
	assert_int_equal(skynet_simulation_next_service(ctx, town.a->handle, NULL), town.b->handle);
	assert_int_equal(skynet_simulation_next_service(ctx, town.b->handle, NULL), 0);
}

static void
a_node_that_is_not_simulated_refuses_it_all(void **state)
{
	(void)state;
	struct world *w = world_new(NULL);
	struct actor *actor = world_add(w);
	struct skynet_fault fault = ANY;
	uint64_t seed = 1;
	assert_int_equal(skynet_simulation_seed(actor->ctx, &seed), 0);
	assert_int_equal(skynet_simulation_random(actor->ctx), 0);
	assert_int_equal(skynet_simulation_add_fault(actor->ctx, &fault), -1);
	assert_int_equal(skynet_simulation_fault_count(actor->ctx, 1), -1);
	skynet_simulation_remove_fault(actor->ctx, 0);
	assert_int_equal(skynet_simulation_alarm(actor->ctx, 1, 1), -1);
	world_free(w);
}

#define town_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		town_test(what_is_dropped_is_lost_and_its_sender_not_told),
		town_test(what_is_delayed_comes_later_and_is_overtaken),
		town_test(a_delayed_message_is_not_judged_again),
		town_test(what_is_doubled_comes_twice),
		town_test(a_message_for_who_ended_while_it_was_delayed_is_answered),
		town_test(rules_choose_by_source_destination_and_type),
		town_test(timers_and_messages_to_oneself_are_spared),
		town_test(the_log_and_who_has_set_the_alarm_are_spared),
		town_test(chance_meets_a_share_of_the_messages),
		town_test(removing_all_rules_loses_what_they_delay),
		town_test(what_is_delayed_when_the_node_ends_is_freed),
		town_test(a_rule_that_makes_no_sense_is_refused),
		town_test(services_can_be_listed),
		cmocka_unit_test(a_node_that_is_not_simulated_refuses_it_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
