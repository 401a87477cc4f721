/* packet_test.c: bytes that many messages share, on a node that the test drives by hand. The
 * address sanitizer finds what is freed too early, its leak check what is not freed at all. */
#include "service_world.h"

static int
send_packet(struct actor *from, struct actor *to, struct skynet_packet *packet)
{
	return skynet_packet_send(from->ctx, 0, to->handle, PTYPE_MULTICAST, packet);
}

static void
all_receivers_get_the_same_bytes(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w), *c = world_add(w);
	char text[] = "news";
	struct skynet_packet *packet = skynet_packet_new(text, 4);
	text[0] = 'N'; /* it is a copy */
	b->result = c->result = SKYNET_KEPT;
	assert_int_equal(send_packet(a, b, packet), 0);
	assert_int_equal(skynet_packet_send(a->ctx, b->handle, c->handle, PTYPE_TEXT, packet), 0);
	world_run(w);
	expect_mail(b, PTYPE_MULTICAST, 0, a->handle, "news");
	expect_mail(c, PTYPE_TEXT, 0, b->handle, "news");
	assert_ptr_equal(b->kept, c->kept); /* "kept" means nothing here */
	skynet_packet_release(packet);
}

static void
bytes_may_be_written_behind_new(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	struct skynet_packet *packet = skynet_packet_new(NULL, 5);
	memcpy(skynet_packet_bytes(packet), "later", 5);
	assert_int_equal(send_packet(a, b, packet), 0);
	skynet_packet_release(packet);
	world_run(w);
	expect_mail(b, PTYPE_MULTICAST, 0, a->handle, "later");
}

static void
a_packet_lives_until_the_last_message_was_handled(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	struct skynet_packet *packet = skynet_packet_new("long", 4);
	for (int i = 0; i < 3; i++)
		assert_int_equal(send_packet(a, b, packet), 0);
	skynet_packet_release(packet);
	world_run(w);
	for (int i = 0; i < 3; i++)
		expect_mail(b, PTYPE_MULTICAST, 0, a->handle, "long");
	expect_no_mail(b);
}

static void
empty_packets_arrive(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	struct skynet_packet *packet = skynet_packet_new(NULL, 0);
	assert_int_equal(send_packet(a, b, packet), 0);
	skynet_packet_release(packet);
	world_run(w);
	assert_int_equal(b->mail_count, 1);
	assert_int_equal(b->mails[0].size, 0);
}

static void
too_large_a_packet_is_refused(void **state)
{
	(void)state;
	assert_null(skynet_packet_new("", SK_MESSAGE_SIZE_MAX + 1));
}

static void
nobody_is_told_when_a_receiver_ends(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	struct skynet_packet *packet = skynet_packet_new("late", 4);
	assert_int_equal(send_packet(a, b, packet), 0);
	assert_int_equal(sk_service_kill(w->core, b->handle, "killed"), SK_OK);
	assert_int_equal(send_packet(a, b, packet), -1);
	skynet_packet_release(packet);
	world_run(w);
	expect_no_mail(a);
	expect_no_mail(b);
}

static void
a_service_without_callback_leaves_none(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	struct skynet_packet *packet = skynet_packet_new("deaf", 4);
	skynet_callback(b->ctx, NULL, NULL);
	assert_int_equal(send_packet(a, b, packet), 0);
	skynet_packet_release(packet);
	world_run(w);
	expect_no_mail(a);
}

static void
a_full_mailbox_does_not_get_it_and_counts(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	struct skynet_packet *packet = skynet_packet_new("full", 4);
	const int policies[] = {SKYNET_FULL_ERROR, SKYNET_FULL_DROP, SKYNET_FULL_BLOCK};
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(skynet_mailbox(b->ctx, 0, 1, policies[i]), 0);
		assert_int_equal(send_packet(a, b, packet), 0);
		assert_int_equal(send_packet(a, b, packet), -3);
		world_run(w);
		expect_mail(b, PTYPE_MULTICAST, 0, a->handle, "full");
	}
	assert_string_equal(skynet_command(b->ctx, "STAT", "refused"), "3");
	skynet_packet_release(packet);
}

static void
what_was_shared_is_charged_to_nobody(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	world_run(w);
	int64_t of_a = sk_context_memory(a->ctx), of_b = sk_context_memory(b->ctx);
	int64_t bytes = sk_memory_thread_bytes();
	sk_this_service = a->ctx; /* as if it were its turn */
	struct skynet_packet *packet = skynet_packet_new("paid", 4);
	assert_int_equal(send_packet(a, b, packet), 0);
	skynet_packet_release(packet);
	sk_context_charge(a->ctx, sk_memory_thread_bytes() - bytes);
	sk_this_service = NULL;
	assert_int_equal(sk_context_memory(a->ctx), of_a);
	world_run(w);
	assert_int_equal(sk_context_memory(b->ctx), of_b);
	assert_int_equal(sk_memory_thread_bytes(), bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(all_receivers_get_the_same_bytes),
		world_test(bytes_may_be_written_behind_new),
		world_test(a_packet_lives_until_the_last_message_was_handled),
		world_test(empty_packets_arrive),
		world_test(too_large_a_packet_is_refused),
		world_test(nobody_is_told_when_a_receiver_ends),
		world_test(a_service_without_callback_leaves_none),
		world_test(a_full_mailbox_does_not_get_it_and_counts),
		world_test(what_was_shared_is_charged_to_nobody),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
