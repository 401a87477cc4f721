/* forward_test.c: messages that their receiver passes on, and the service tunnel, on a node that
 * the test drives by hand. */
#include "service_world.h"

static void
forward_to_other(struct actor *actor, const struct mail *mail)
{
	(void)mail;
	assert_int_equal(skynet_forward(actor->ctx, actor->other->handle), 0);
}

/* One that passes everything on to the other. */
static struct actor *
add_forwarder(struct world *w, struct actor *other)
{
	struct actor *actor = world_add(w);
	actor->on_mail = forward_to_other;
	actor->other = other;
	return actor;
}

static void
a_message_goes_on_as_it_is(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *c = world_add(w), *b = add_forwarder(w, c);
	int results[] = {SKYNET_DONE, SKYNET_KEPT};
	for (int i = 0; i < 2; i++) { /* what the callback returns means nothing */
		b->result = results[i];
		char *block = skynet_strdup("hello");
		c->result = SKYNET_KEPT;
		assert_int_equal(skynet_send(a->ctx, 0, b->handle,
					     PTYPE_CLIENT | PTYPE_TAG_DONTCOPY, 7, block, 5),
				 7);
		world_run(w);
		expect_mail(b, PTYPE_CLIENT, 7, a->handle, "hello");
		expect_mail(c, PTYPE_CLIENT, 7, a->handle, "hello");
		assert_ptr_equal(c->kept, block); /* not a copy */
		skynet_free(block);
	}
	b->on_mail = NULL; /* each callback says so anew */
	b->result = SKYNET_DONE;
	(void)send_text(a, b->handle, 0, "stays");
	world_run(w);
	expect_no_mail(c);
}

static void
a_packet_stays_one(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *c = world_add(w), *b = add_forwarder(w, c);
	struct skynet_packet *packet = skynet_packet_new("news", 4);
	b->result = c->result = SKYNET_KEPT;
	assert_int_equal(skynet_packet_send(a->ctx, 0, b->handle, PTYPE_TEXT, packet), 0);
	assert_int_equal(skynet_packet_send(a->ctx, 0, c->handle, PTYPE_TEXT, packet), 0);
	skynet_packet_release(packet);
	world_run(w);
	expect_mail(c, PTYPE_TEXT, 0, a->handle, "news");
	expect_mail(c, PTYPE_TEXT, 0, a->handle, "news");
	assert_ptr_equal(b->kept, c->kept);
}

static void
empty_messages_and_timers_go_on(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *c = world_add(w), *b = add_forwarder(w, c);
	(void)skynet_send(a->ctx, 0, b->handle, PTYPE_TEXT, 0, NULL, 0);
	world_run(w);
	expect_mail(c, PTYPE_TEXT, 0, a->handle, NULL);
	struct skynet_timer *timer;
	int session = skynet_timeout(b->ctx, 10, &timer);
	world_pass_time(w, 20);
	world_run(w);
	expect_mail(c, PTYPE_RESPONSE, session, 0, NULL);
}

static void
mistaken(struct actor *actor, const struct mail *mail)
{
	(void)mail;
	assert_int_equal(skynet_forward(actor->ctx, 0), -1);
	assert_int_equal(skynet_forward(actor->ctx, actor->other->handle), 0);
	assert_int_equal(skynet_forward(actor->ctx, actor->handle), -1); /* once is enough */
}

static void
forward_in_init(struct actor *actor)
{
	assert_int_equal(skynet_forward(actor->ctx, 1), -1);
}

static void
what_cannot_be_is_refused(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *c = world_add(w), *b = world_actor(w);
	b->on_init = forward_in_init;
	b->on_mail = mistaken;
	b->other = c;
	assert_int_not_equal(world_launch(w, b), 0);
	(void)send_text(a, b->handle, 0, "x");
	world_run(w);
	expect_mail(b, PTYPE_TEXT, 0, a->handle, "x");
	expect_mail(c, PTYPE_TEXT, 0, a->handle, "x");
	expect_no_mail(b);
	world_forget_log(w);
}

static void
forward_when_told(struct skynet_context *ctx, void *ud, uint32_t length)
{
	(void)length;
	(void)skynet_forward(ctx, ((struct actor *)ud)->handle);
}

static void
outside_of_a_callback_nothing_is_passed_on(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	(void)send_text(a, b->handle, 0, "first");
	world_run(w);
	assert_int_equal(skynet_mailbox(b->ctx, 2, 0, SKYNET_FULL_ERROR), 0);
	skynet_overload(b->ctx, a, forward_when_told);
	for (int i = 0; i < 4; i++)
		(void)send_text(a, b->handle, 0, "x");
	world_run(w);
	assert_int_equal(b->mail_count, 5);
	expect_no_mail(a);
	world_forget_log(w);
}

static void
who_asks_is_told_when_nobody_is_there(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *c = world_add(w), *b = add_forwarder(w, c);
	assert_int_equal(sk_service_kill(w->core, c->handle, "killed"), SK_OK);
	world_run(w);
	world_forget_log(w);
	(void)send_text(a, b->handle, 6, "hello");
	world_run(w);
	world_expect_log(w, "%08x Drop message from %x forward to %x (size=5)\n", b->handle,
			 a->handle, c->handle);
	expect_error(a, 6, c->handle, "passed on: there is no such service on this node");
	(void)send_text(a, b->handle, 0, "hello"); /* as when it is sent there */
	(void)skynet_send(a->ctx, 0, b->handle, PTYPE_RESPONSE, 6, NULL, 0);
	(void)skynet_send(a->ctx, 0, b->handle, PTYPE_ERROR, 6, NULL, 0);
	struct skynet_packet *packet = skynet_packet_new("news", 4);
	(void)skynet_packet_send(a->ctx, 0, b->handle, PTYPE_TEXT, packet);
	skynet_packet_release(packet);
	world_run(w);
	expect_no_mail(a);
	c->handle = REMOTE_HANDLE;
	(void)send_text(a, b->handle, 6, "hello");
	world_run(w);
	expect_error(a, 6, REMOTE_HANDLE, "passed on: no link to its node, number 5");
	world_forget_log(w);
}

static void
who_asks_is_told_when_the_mailbox_is_full(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *c = world_add(w), *b = add_forwarder(w, c);
	assert_int_equal(skynet_mailbox(c->ctx, 0, 1, SKYNET_FULL_BLOCK), 0);
	(void)send_text(a, b->handle, 0, "fills it");
	(void)send_text(a, b->handle, 0, "is lost");
	(void)send_text(a, b->handle, 6, "fails");
	world_run(w); /* one turn of the forwarder */
	expect_mail(c, PTYPE_TEXT, 0, a->handle, "fills it");
	expect_no_mail(c);
	expect_error(a, 6, c->handle, "passed on: its mailbox is full");
	assert_string_equal(skynet_command(c->ctx, "STAT", "refused"), "2");
}

static void
forward_and_end(struct actor *actor, const struct mail *mail)
{
	forward_to_other(actor, mail);
	(void)skynet_command(actor->ctx, "EXIT", NULL);
}

static void
the_last_message_of_a_service_goes_on_too(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *c = world_add(w), *b = add_forwarder(w, c);
	b->on_mail = forward_and_end;
	(void)send_text(a, b->handle, 3, "last");
	world_run(w);
	expect_mail(c, PTYPE_TEXT, 3, a->handle, "last");
	expect_no_mail(a);
	world_forget_log(w);
}

static void
it_is_charged_to_who_has_it(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *c = world_add(w), *b = add_forwarder(w, c);
	world_run(w);
	int64_t of_b = sk_context_memory(b->ctx), of_c = sk_context_memory(c->ctx);
	(void)send_text(a, b->handle, 0, "hello");
	world_run(w);
	assert_int_equal(sk_context_memory(b->ctx), of_b);
	assert_int_equal(sk_context_memory(c->ctx), of_c);
}

/* --- tunnel --------------------------------------------------------------------------------- */

static uint32_t
launch(struct actor *actor, const char *text)
{
	const char *address = skynet_command(actor->ctx, "LAUNCH", text);
	return address ? (uint32_t)strtoul(address + 1, NULL, 16) : 0;
}

static void
a_tunnel_passes_everything_on(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w);
	(void)skynet_command(b->ctx, "REG", ".end");
	uint32_t by_name = launch(a, "tunnel .end");
	char text[32];
	(void)snprintf(text, sizeof text, "tunnel :%x", by_name);
	uint32_t twice = launch(a, text); /* a tunnel to a tunnel */
	assert_int_not_equal(by_name, 0);
	assert_int_not_equal(twice, 0);
	for (int type = 0; type < 256; type++) {
		(void)skynet_send(a->ctx, 0, twice, type, type, "any", 3);
		world_run(w);
		if (type < ACTOR_MAILS)
			expect_mail(b, type, type, a->handle, "any");
	}
	assert_int_equal(b->mail_count, 256);
	expect_no_mail(a);
	world_forget_log(w);
}

static void
a_tunnel_to_nowhere_is_not_launched(void **state)
{
	static const char *const odd[] = {"tunnel",   "tunnel .nobody", "tunnel nobody",
					  "tunnel :", "tunnel :0",	"tunnel :zz"};
	struct world *w = *state;
	struct actor *a = world_add(w);
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
		world_forget_log(w);
		assert_int_equal(launch(a, odd[i]), 0);
		assert_non_null(strstr(w->log, "Can't create tunnel to "));
	}
	world_forget_log(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		world_services_test(a_message_goes_on_as_it_is),
		world_services_test(a_packet_stays_one),
		world_services_test(empty_messages_and_timers_go_on),
		world_services_test(what_cannot_be_is_refused),
		world_services_test(outside_of_a_callback_nothing_is_passed_on),
		world_services_test(who_asks_is_told_when_nobody_is_there),
		world_services_test(who_asks_is_told_when_the_mailbox_is_full),
		world_services_test(the_last_message_of_a_service_goes_on_too),
		world_services_test(it_is_charged_to_who_has_it),
		world_services_test(a_tunnel_passes_everything_on),
		world_services_test(a_tunnel_to_nowhere_is_not_launched),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
