/* remote_test.c: messages for other nodes: what comes to the harbor, and what becomes of it when
 * there is none, when a node is absent or takes no more, and when the harbor ends. The harbor is an
 * actor of a node that the test drives by hand (service_world.h). */
#include "service_world.h"
#include "sk_memory.h"
#include "sk_remote.h"
#include "skynet_harbor.h"

/* Where each message that came to the harbor was to go, as long as its mail says what it was. */
static struct skynet_remote wheres[ACTOR_MAILS];

static void
note_where(struct actor *actor, const struct mail *mail)
{
	(void)mail;
	const struct skynet_remote *where = skynet_remote(actor->ctx);
	if (actor->mail_count <= ACTOR_MAILS)
		wheres[actor->mail_count - 1] = where ? *where : (struct skynet_remote){.kind = -1};
}

/* A harbor with a link to the node of REMOTE_HANDLE. */
static struct actor *
add_harbor(struct world *w)
{
	struct actor *harbor = world_add(w);
	harbor->on_mail = note_where;
	assert_int_equal(skynet_harbor_start(harbor->ctx), 0);
	assert_int_equal(skynet_harbor_node(harbor->ctx, 5, SKYNET_NODE_OPEN, NULL), 0);
	return harbor;
}

/* Its next mail is for another node. */
static void
expect_where(struct actor *harbor, int kind, uint32_t destination)
{
	assert_true(harbor->taken < harbor->mail_count);
	const struct skynet_remote *where = &wheres[harbor->taken];
	assert_int_equal(where->kind, kind);
	assert_int_equal(where->destination, destination);
}

static void
expect_remote(struct actor *harbor, int type, int session, uint32_t source, const char *text)
{
	expect_where(harbor, SKYNET_REMOTE_MESSAGE, REMOTE_HANDLE);
	expect_mail(harbor, type, session, source, text);
}

static void
set_node(struct actor *harbor, int state, const char *reason)
{
	assert_int_equal(skynet_harbor_node(harbor->ctx, 5, state, reason), 0);
}

static void
kill_actor(struct world *w, struct actor *actor)
{
	assert_int_equal(sk_service_kill(w->core, actor->handle, "it was killed"), SK_OK);
}

/* --- what comes to the harbor ---------------------------------------------------------------- */

static void
messages_for_other_nodes_come_to_the_harbor(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *harbor = add_harbor(w);
	assert_int_equal(send_text(a, REMOTE_HANDLE, 3, "one"), 3);
	assert_int_equal(skynet_send(a->ctx, 99, REMOTE_HANDLE,
				     PTYPE_CLIENT | PTYPE_TAG_ALLOCSESSION, 0, "two", 3),
			 1);
	assert_int_equal(skynet_send(a->ctx, 0, REMOTE_HANDLE, 200, 0, NULL, 0), 0);
	assert_int_equal(skynet_sendname(a->ctx, 0, ":5000001", PTYPE_TEXT, 4, "four", 4), 4);
	(void)send_text(a, harbor->handle, 5, "for itself");
	world_run(w);
	expect_remote(harbor, PTYPE_TEXT, 3, a->handle, "one");
	expect_remote(harbor, PTYPE_CLIENT, 1, 99, "two");
	expect_remote(harbor, 200, 0, a->handle, NULL);
	expect_remote(harbor, PTYPE_TEXT, 4, a->handle, "four");
	assert_int_equal(wheres[harbor->taken].kind, -1);
	expect_mail(harbor, PTYPE_TEXT, 5, a->handle, "for itself");
	assert_null(skynet_remote(harbor->ctx)); /* no message is in hand */
	expect_no_mail(a);
}

static void
a_payload_handed_over_is_not_copied(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *harbor = add_harbor(w);
	char *block = skynet_strdup("hello");
	harbor->result = SKYNET_KEPT;
	(void)skynet_send(a->ctx, 0, REMOTE_HANDLE, PTYPE_TEXT | PTYPE_TAG_DONTCOPY, 1, block, 5);
	world_run(w);
	assert_ptr_equal(harbor->kept, block);
	free(block);
	harbor->result = SKYNET_DONE;
}

static void
probes_and_links_come_as_what_they_are(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *harbor = add_harbor(w);
	assert_int_equal(skynet_probe(a->ctx, REMOTE_HANDLE), 1);
	assert_int_equal(skynet_link(a->ctx, REMOTE_HANDLE, 0), 2);
	assert_int_equal(skynet_link(a->ctx, REMOTE_HANDLE, 77), 77);
	skynet_unlink(a->ctx, REMOTE_HANDLE, 77);
	world_run(w);
	expect_where(harbor, SKYNET_REMOTE_PROBE, REMOTE_HANDLE);
	expect_mail(harbor, PTYPE_TEXT, 1, a->handle, NULL);
	expect_where(harbor, SKYNET_REMOTE_LINK, REMOTE_HANDLE);
	expect_mail(harbor, PTYPE_TEXT, 2, a->handle, NULL);
	expect_where(harbor, SKYNET_REMOTE_LINK, REMOTE_HANDLE);
	expect_mail(harbor, PTYPE_TEXT, 77, a->handle, NULL);
	expect_where(harbor, SKYNET_REMOTE_UNLINK, REMOTE_HANDLE);
	expect_mail(harbor, PTYPE_ERROR, 77, a->handle, NULL);
	expect_no_mail(a);
}

/* What the framework says to a source goes the same way as what services say. */
static void
refusals_and_answers_of_the_framework_go_there_too(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w), *harbor = add_harbor(w);
	skynet_callback(b->ctx, NULL, NULL);
	(void)skynet_send(harbor->ctx, REMOTE_HANDLE, b->handle, PTYPE_TEXT, 3, "unheard", 7);
	world_run(w);
	expect_where(harbor, SKYNET_REMOTE_MESSAGE, REMOTE_HANDLE);
	expect_error(harbor, 3, b->handle, "it takes no messages");
	(void)skynet_send(harbor->ctx, REMOTE_HANDLE, a->handle, PTYPE_TEXT, 4, "too late", 8);
	(void)skynet_send(harbor->ctx, REMOTE_HANDLE, a->handle, PTYPE_RESPONSE, 5, NULL, 0);
	int link = skynet_link(harbor->ctx, b->handle, 0);
	kill_actor(w, a);
	world_run(w);
	expect_where(harbor, SKYNET_REMOTE_MESSAGE, REMOTE_HANDLE);
	expect_error(harbor, 4, a->handle, "it was killed before it took the request");
	expect_where(harbor, SKYNET_REMOTE_MESSAGE, REMOTE_HANDLE);
	expect_error(harbor, 0, a->handle, "it was killed");
	kill_actor(w, b);
	world_run(w);
	expect_error(harbor, link, b->handle, "it was killed"); /* the harbor's own */
	expect_no_mail(harbor);
	world_forget_log(w);
}

static void
packets_are_copied(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w), *harbor = add_harbor(w);
	struct skynet_packet *packet = skynet_packet_new("news", 4);
	const uint32_t all[] = {REMOTE_HANDLE, b->handle, 77, 0x06000001};
	harbor->result = SKYNET_KEPT; /* it is a block of its own */
	assert_int_equal(skynet_packet_send(a->ctx, 0, REMOTE_HANDLE, PTYPE_CLIENT, packet), 0);
	world_run(w);
	expect_remote(harbor, PTYPE_CLIENT, 0, a->handle, "news");
	free(harbor->kept);
	harbor->result = SKYNET_DONE;
	assert_int_equal(skynet_packet_send(a->ctx, 9, 0x06000001, PTYPE_CLIENT, packet), -1);
	assert_int_equal(skynet_packet_send_all(a->ctx, 9, all, 4, PTYPE_TEXT, packet), 2);
	skynet_packet_release(packet);
	world_run(w);
	expect_remote(harbor, PTYPE_TEXT, 0, 9, "news");
	expect_no_mail(harbor);
	expect_mail(b, PTYPE_TEXT, 0, 9, "news");
	expect_no_mail(a);
}

/* --- names ---------------------------------------------------------------------------------- */

/* What .cslave says. */
static void
set_name(struct actor *actor, const char *name, uint32_t handle)
{
	char text[64];
	(void)snprintf(text, sizeof text, "%s :%x", name, handle);
	assert_string_equal(skynet_command(actor->ctx, "GLOBALNAME", text), name);
}

static void
messages_wait_for_a_name_that_nobody_has(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w);
	const int type = PTYPE_TEXT | PTYPE_TAG_ALLOCSESSION;
	assert_int_equal(skynet_sendname(a->ctx, 0, "SERVICE", PTYPE_TEXT, 1, "x", 1), -1);
	world_expect_log(
		w, "%08x error: Can't send to SERVICE: no global name is known on this node\n",
		a->handle);
	struct actor *harbor = add_harbor(w);
	assert_int_equal(skynet_sendname(a->ctx, 0, "SERVICE", type, 0, "x", 1), 1);
	assert_int_equal(skynet_sendname(a->ctx, 9, "0123456789abcdef", PTYPE_TEXT, 5, "y", 1), 5);
	assert_int_equal(skynet_sendname(a->ctx, 0, ".local", PTYPE_TEXT, 6, "z", 1), -1);
	world_run(w);
	expect_no_mail(harbor);
	expect_no_mail(a);
	set_name(a, "SERVICE", REMOTE_HANDLE);
	set_name(a, "0123456789abcdef", REMOTE_HANDLE + 1);
	world_run(w);
	expect_remote(harbor, PTYPE_TEXT, 1, a->handle, "x");
	expect_where(harbor, SKYNET_REMOTE_MESSAGE, REMOTE_HANDLE + 1);
	expect_mail(harbor, PTYPE_TEXT, 5, 9, "y");
	expect_no_mail(harbor);
	expect_mail(a, PTYPE_HARBOR, 1, REMOTE_HANDLE, NULL); /* who has got the request */
	expect_no_mail(a);
}

static void
what_cannot_be_a_name_is_not_waited_for(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w);
	(void)add_harbor(w);
	assert_int_equal(skynet_sendname(a->ctx, 0, "0123456789abcdefg", PTYPE_TEXT, 7, "z", 1),
			 -1);
	world_expect_log(w,
			 "%08x error: Can't send to 0123456789abcdefg: a global name has at "
			 "most 16 bytes\n",
			 a->handle);
	assert_int_equal(skynet_sendname(a->ctx, 0, "x :1000001", PTYPE_TEXT, 7, "z", 1), -1);
	world_expect_log(w, "%08x error: Can't send to x :1000001: a global name has no blank\n",
			 a->handle);
	assert_int_equal(skynet_sendname(a->ctx, 0, "", PTYPE_TEXT, 7, "z", 1), -1);
	world_expect_log(w, "%08x error: Can't send to : a global name is not empty\n", a->handle);
	assert_int_equal(
		skynet_sendname(a->ctx, 0, "SERVICE", PTYPE_TEXT, 7, "z", SK_MESSAGE_SIZE_MAX + 1),
		-2);
	world_expect_log(w, "%08x error: Can't send to SERVICE: the message is too large\n",
			 a->handle);
}

/* A node of a network, whose id is not 0. */
static struct world *
new_network_world(void)
{
	return world_new((const char *[]){"harbor", "1", NULL});
}

static void
global_names_of_a_network_change_their_owner(void **state)
{
	struct world *w = new_network_world();
	struct actor *a = world_add(w), *harbor = add_harbor(w);
	assert_string_equal(skynet_command(a->ctx, "GLOBALNAME", "SERVICE :5000001"), "SERVICE");
	assert_string_equal(skynet_command(a->ctx, "GLOBALNAME", "SERVICE"), ":5000001");
	assert_int_equal(skynet_sendname(a->ctx, 0, "SERVICE", PTYPE_TEXT, 3, "x", 1), 3);
	world_run(w);
	expect_remote(harbor, PTYPE_TEXT, 3, a->handle, "x");
	assert_string_equal(skynet_command(a->ctx, "GLOBALNAME", "SERVICE :1000001"), "SERVICE");
	assert_string_equal(skynet_command(a->ctx, "GLOBALNAME", "SERVICE"), ":1000001");
	assert_null(skynet_command(a->ctx, "GLOBALNAME", "SERVICE :0"));
	assert_null(skynet_command(a->ctx, "GLOBALNAME", "SERVICE"));
	assert_null(skynet_command(a->ctx, "GLOBALNAME", "SERVICE :0"));
	world_expect_log(w, "%s", "");
	assert_null(skynet_command(a->ctx, "GLOBALNAME", "0123456789abcdefg :1000001"));
	world_expect_log(w, "%08x error: global name 0123456789abcdefg is longer than 16 bytes\n",
			 a->handle);
	assert_null(skynet_command(a->ctx, "GLOBALNAME", "DEAD :1000077")); /* of this node */
	assert_null(skynet_command(a->ctx, "GLOBALNAME", "DEAD"));
	world_free(w);
	(void)state;
}

static void
numbers_of_an_earlier_life_are_skipped(void **state)
{
	struct world *w = new_network_world();
	struct actor *a = world_add(w);
	assert_int_equal(a->handle, 0x01000001);
	assert_string_equal(skynet_command(a->ctx, "LASTHANDLE", NULL), ":1");
	assert_string_equal(skynet_command(a->ctx, "LASTHANDLE", ":12345"), ":12345");
	assert_string_equal(skynet_command(a->ctx, "LASTHANDLE", ":5"), ":12345"); /* never back */
	assert_int_equal(world_add(w)->handle, 0x01012346);
	assert_string_equal(skynet_command(a->ctx, "LASTHANDLE", ":1ffffff"), ":ffffff");
	assert_int_equal(world_add(w)->handle, 0x01000002); /* all of them were used */
	const char *const odd[] = {"5", ":", ":x", ":5000001", ":fffffffff", ":1 2"};
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
		world_forget_log(w);
		assert_null(skynet_command(a->ctx, "LASTHANDLE", odd[i]));
		world_expect_log(w,
				 "%08x error: LASTHANDLE takes a handle of this node as :HEX, "
				 "not %s\n",
				 a->handle, odd[i]);
	}
	world_free(w);
	(void)state;
}

static void
a_service_is_killed_on_its_own_node_only(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w);
	(void)add_harbor(w);
	world_forget_log(w);
	assert_null(skynet_command(a->ctx, "KILL", ":5000001"));
	world_expect_log(w, "%08x error: can't kill :05000001: only its own node, number 5, can\n",
			 a->handle);
	world_run(w);
	assert_int_equal(send_text(a, REMOTE_HANDLE, 3, "one"), 3);
}

/* --- what does not come --------------------------------------------------------------------- */

static void
an_absent_node_refuses_at_once_and_says_why(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *harbor = add_harbor(w);
	const char why[] = "no link to its node, number 5: it has caught fire";
	set_node(harbor, SKYNET_NODE_ABSENT, "it has caught fire");
	const int handed_over = PTYPE_TEXT | PTYPE_TAG_DONTCOPY;
	char *block = skynet_strdup("x");
	assert_int_equal(skynet_send(a->ctx, 0, REMOTE_HANDLE, handed_over, 3, block, 1), 3);
	assert_int_equal(skynet_send(a->ctx, 0, REMOTE_HANDLE, PTYPE_RESPONSE, 4, NULL, 0), 4);
	assert_int_equal(skynet_send(a->ctx, 0, REMOTE_HANDLE, PTYPE_ERROR, 5, NULL, 0), 5);
	int probe = skynet_probe(a->ctx, REMOTE_HANDLE);
	int link = skynet_link(a->ctx, REMOTE_HANDLE, 0);
	skynet_unlink(a->ctx, REMOTE_HANDLE, link);
	assert_int_equal(send_text(a, 0x06000001, 6, "x"), 6);
	world_run(w);
	expect_error(a, 3, REMOTE_HANDLE, why);
	expect_error(a, 0, REMOTE_HANDLE, why);
	expect_error(a, probe, REMOTE_HANDLE, why);
	expect_error(a, link, REMOTE_HANDLE, why);
	expect_error(a, 6, 0x06000001, "no link to its node, number 6");
	expect_no_mail(a);
	expect_no_mail(harbor);
	set_node(harbor, SKYNET_NODE_ABSENT, NULL);
	(void)send_text(a, REMOTE_HANDLE, 3, "x");
	set_node(harbor, SKYNET_NODE_OPEN, NULL);
	(void)send_text(a, REMOTE_HANDLE, 4, "x");
	world_run(w);
	expect_error(a, 3, REMOTE_HANDLE, "no link to its node, number 5");
	expect_remote(harbor, PTYPE_TEXT, 4, a->handle, "x");
}

static void
a_long_reason_is_cut(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *harbor = add_harbor(w);
	char reason[400];
	memset(reason, 'x', sizeof reason - 1);
	reason[sizeof reason - 1] = '\0';
	set_node(harbor, SKYNET_NODE_ABSENT, reason);
	(void)send_text(a, REMOTE_HANDLE, 3, "x");
	world_run(w);
	assert_int_equal(a->mails[0].size,
			 strlen("service :05000001: no link to its node, number 5: ") + 160);
}

static void
two_absent_nodes_tell_each_other_nothing(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w);
	(void)skynet_send(a->ctx, 0x06000001, REMOTE_HANDLE, PTYPE_TEXT, 3, "x", 1);
	world_run(w);
	expect_no_mail(a);
}

static const int always[] = {PTYPE_RESPONSE, PTYPE_ERROR, PTYPE_SYSTEM};

static void
a_full_node_refuses_what_services_send(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *harbor = add_harbor(w);
	const int handed_over = PTYPE_TEXT | PTYPE_TAG_DONTCOPY;
	struct skynet_packet *packet = skynet_packet_new("news", 4);
	set_node(harbor, SKYNET_NODE_FULL, NULL);
	assert_int_equal(send_text(a, REMOTE_HANDLE, 0, "x"), -3);
	assert_int_equal(send_text(a, REMOTE_HANDLE, 7, "x"), -3);
	assert_int_equal(skynet_send(a->ctx, 0, REMOTE_HANDLE, handed_over, 7, skynet_malloc(1), 1),
			 -3);
	assert_int_equal(skynet_packet_send(a->ctx, 0, REMOTE_HANDLE, PTYPE_TEXT, packet), -3);
	assert_string_equal(skynet_command(harbor->ctx, "STAT", "refused"), "4");
	skynet_packet_release(packet);
	for (int i = 0; i < 3; i++)
		assert_int_equal(skynet_send(a->ctx, 0, REMOTE_HANDLE, always[i], 5, "must", 4), 5);
	assert_int_equal(skynet_probe(a->ctx, REMOTE_HANDLE), 1);
	world_run(w);
	assert_int_equal(harbor->mail_count, 4);
	expect_no_mail(a);
}

static void
a_blocked_node_makes_senders_wait(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *harbor = add_harbor(w);
	const int handed_over = PTYPE_TEXT | PTYPE_TAG_DONTCOPY;
	struct skynet_packet *packet = skynet_packet_new("news", 4);
	set_node(harbor, SKYNET_NODE_BLOCKED, NULL);
	char *block = skynet_strdup("x");
	assert_int_equal(skynet_send(a->ctx, 0, REMOTE_HANDLE, handed_over, 7, block, 1), -4);
	assert_string_equal(skynet_command(harbor->ctx, "STAT", "refused"), "0");
	assert_int_equal(skynet_packet_send(a->ctx, 0, REMOTE_HANDLE, PTYPE_TEXT, packet), -3);
	skynet_packet_release(packet);
	assert_int_equal(skynet_probe(a->ctx, REMOTE_HANDLE), 1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(skynet_send(a->ctx, 0, REMOTE_HANDLE, always[i], 5, "must", 4), 5);
	world_run(w);
	assert_int_equal(harbor->mail_count, 4);
	set_node(harbor, SKYNET_NODE_OPEN, NULL);
	assert_int_equal(skynet_send(a->ctx, 0, REMOTE_HANDLE, handed_over, 7, block, 1), 7);
	world_run(w);
	assert_int_equal(harbor->mail_count, 5);
}

static void
the_harbors_own_mailbox_has_its_bound(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *harbor = add_harbor(w);
	assert_int_equal(skynet_mailbox(harbor->ctx, 0, 2, SKYNET_FULL_BLOCK), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(send_text(a, REMOTE_HANDLE, 0, "x"), 0);
	assert_int_equal(send_text(a, REMOTE_HANDLE, 0, "x"), -4);
	assert_string_equal(skynet_command(harbor->ctx, "STAT", "refused"), "0");
	assert_int_equal(skynet_mailbox(harbor->ctx, 0, 2, SKYNET_FULL_ERROR), 0);
	assert_int_equal(send_text(a, REMOTE_HANDLE, 0, "x"), -3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(skynet_send(a->ctx, 0, REMOTE_HANDLE, always[i], 5, "must", 4), 5);
	world_run(w);
	assert_int_equal(harbor->mail_count, 5);
}

/* --- who is the harbor ---------------------------------------------------------------------- */

static void
there_is_one_harbor_at_a_time(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *harbor = add_harbor(w);
	assert_int_equal(skynet_harbor_start(harbor->ctx), 0);
	assert_int_equal(skynet_harbor_start(a->ctx), -1);
	assert_int_equal(skynet_harbor_node(a->ctx, 5, SKYNET_NODE_ABSENT, NULL), -1);
	assert_int_equal(skynet_harbor_node(harbor->ctx, -1, SKYNET_NODE_OPEN, NULL), -1);
	assert_int_equal(skynet_harbor_node(harbor->ctx, 256, SKYNET_NODE_OPEN, NULL), -1);
	assert_int_equal(skynet_harbor_node(harbor->ctx, 0, SKYNET_NODE_OPEN, NULL), -1); /* own */
	assert_int_equal(skynet_harbor_node(harbor->ctx, 5, -1, NULL), -1);
	assert_int_equal(skynet_harbor_node(harbor->ctx, 5, 4, NULL), -1);
	kill_actor(w, harbor);
	assert_int_equal(skynet_harbor_start(harbor->ctx), -1); /* too late */
	assert_int_equal(skynet_harbor_start(a->ctx), 0);
	assert_int_equal(skynet_harbor_node(harbor->ctx, 5, SKYNET_NODE_OPEN, NULL), -1);
	a->on_mail = note_where;
	struct actor *b = world_add(w);
	(void)send_text(b, REMOTE_HANDLE, 3, "too early");
	set_node(a, SKYNET_NODE_OPEN, NULL);
	(void)send_text(b, REMOTE_HANDLE, 4, "x");
	world_run(w);
	expect_error(b, 3, REMOTE_HANDLE, "number 5: the harbor of this node has ended");
	expect_remote(a, PTYPE_TEXT, 4, b->handle, "x");
	world_forget_log(w);
}

static void
mail_in_a_dying_harbor_is_refused(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *harbor = add_harbor(w);
	const char why[] = "it was killed before it took the request";
	(void)send_text(a, REMOTE_HANDLE, 3, "x");
	(void)send_text(a, REMOTE_HANDLE, 0, "one way");
	(void)skynet_send(a->ctx, 0, REMOTE_HANDLE, PTYPE_RESPONSE, 4, NULL, 0);
	int probe = skynet_probe(a->ctx, REMOTE_HANDLE);
	int link = skynet_link(a->ctx, REMOTE_HANDLE, 0);
	skynet_unlink(a->ctx, REMOTE_HANDLE, link);
	kill_actor(w, harbor);
	(void)send_text(a, REMOTE_HANDLE, 5, "x");
	world_run(w);
	expect_error(a, 5, REMOTE_HANDLE, "number 5: the harbor of this node has ended");
	expect_error(a, 3, REMOTE_HANDLE, why);
	expect_error(a, 0, REMOTE_HANDLE, "it was killed");
	expect_error(a, 0, REMOTE_HANDLE, "it was killed");
	expect_error(a, probe, REMOTE_HANDLE, why);
	expect_error(a, link, REMOTE_HANDLE, why);
	expect_no_mail(a);
	world_forget_log(w);
}

static void
a_harbor_without_a_callback_refuses_too(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *harbor = add_harbor(w);
	skynet_callback(harbor->ctx, NULL, NULL);
	(void)send_text(a, REMOTE_HANDLE, 3, "x");
	world_run(w);
	expect_error(a, 3, REMOTE_HANDLE, "it takes no messages");
}

/* --- passing on ----------------------------------------------------------------------------- */

static uint32_t pass_to;

static void
pass_on(struct actor *actor, const struct mail *mail)
{
	note_where(actor, mail);
	assert_int_equal(skynet_forward(actor->ctx, pass_to), 0);
}

static void
a_service_passes_messages_on_to_another_node(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w), *harbor = add_harbor(w);
	char *block = skynet_strdup("hello");
	struct skynet_packet *packet = skynet_packet_new("news", 4);
	b->on_mail = pass_on;
	pass_to = REMOTE_HANDLE;
	(void)skynet_send(a->ctx, 0, b->handle, PTYPE_TEXT | PTYPE_TAG_DONTCOPY, 3, block, 5);
	world_run(w); /* each alone: b writes to wheres too */
	expect_where(harbor, SKYNET_REMOTE_MESSAGE, REMOTE_HANDLE);
	expect_mail(harbor, PTYPE_TEXT, 3, a->handle, "hello");
	(void)skynet_packet_send(a->ctx, 0, b->handle, PTYPE_TEXT, packet);
	skynet_packet_release(packet);
	int timer = skynet_timeout(b->ctx, 1, NULL);
	world_run(w);
	world_pass_time(w, 10);
	world_run(w);
	expect_mail(harbor, PTYPE_TEXT, 0, a->handle, "news");
	expect_mail(harbor, PTYPE_RESPONSE, timer, 0, NULL);
	set_node(harbor, SKYNET_NODE_BLOCKED, NULL);
	(void)send_text(a, b->handle, 4, "x");
	world_run(w);
	expect_error(a, 4, REMOTE_HANDLE, "passed on: its mailbox is full");
	assert_string_equal(skynet_command(harbor->ctx, "STAT", "refused"), "1");
	set_node(harbor, SKYNET_NODE_ABSENT, "it burns");
	(void)send_text(a, b->handle, 5, "x");
	world_run(w);
	expect_error(a, 5, REMOTE_HANDLE, "passed on: no link to its node, number 5: it burns");
	expect_no_mail(harbor);
	world_forget_log(w);
}

static void
the_harbor_passes_on_what_was_for_another(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *b = world_add(w), *harbor = add_harbor(w);
	int64_t before = sk_context_memory(b->ctx);
	harbor->on_mail = pass_on;
	pass_to = b->handle;
	(void)send_text(a, REMOTE_HANDLE, 3, "x");
	int probe = skynet_probe(a->ctx, REMOTE_HANDLE);
	int link = skynet_link(a->ctx, REMOTE_HANDLE, 0);
	int undone = skynet_link(a->ctx, REMOTE_HANDLE, 0);
	skynet_unlink(a->ctx, REMOTE_HANDLE, undone);
	world_run(w);
	expect_mail(b, PTYPE_TEXT, 3, a->handle, "x");
	assert_null(skynet_remote(b->ctx));
	expect_mail(a, PTYPE_RESPONSE, probe, b->handle, NULL);
	assert_true(sk_context_memory(b->ctx) >= before);
	kill_actor(w, b);
	world_run(w);
	expect_error(a, link, b->handle, "it was killed");
	expect_no_mail(a);
	harbor->taken = harbor->mail_count;
	pass_to = REMOTE_HANDLE + 1; /* of another node, round and round until it is absent */
	(void)send_text(a, REMOTE_HANDLE, 4, "y");
	harbor->on_mail = NULL;
	world_run(w);
	world_forget_log(w);
}

/* --- accounts ------------------------------------------------------------------------------- */

/* What waits belongs to nobody, and all is even when it is gone. */
static void
memory_is_charged_to_who_has_it(void **state)
{
	struct world *w = *state;
	struct actor *a = world_add(w), *harbor = add_harbor(w);
	struct skynet_packet *packet = skynet_packet_new("news", 4);
	(void)send_text(a, REMOTE_HANDLE, 3, "x");
	world_run(w);
	int64_t of_a = sk_context_memory(a->ctx), of_harbor = sk_context_memory(harbor->ctx);
	int64_t bytes = sk_memory_thread_bytes();
	(void)send_text(a, REMOTE_HANDLE, 3, "hello");
	(void)skynet_probe(a->ctx, REMOTE_HANDLE);
	(void)skynet_packet_send(a->ctx, 0, REMOTE_HANDLE, PTYPE_TEXT, packet);
	/* The turn that the test plays for the sender. */
	sk_context_charge(a->ctx, sk_memory_thread_bytes() - bytes);
	assert_int_equal(sk_context_memory(a->ctx), of_a);
	world_run(w);
	assert_int_equal(harbor->mail_count, 4);
	assert_int_equal(sk_context_memory(harbor->ctx), of_harbor);
	skynet_packet_release(packet);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		world_test(messages_for_other_nodes_come_to_the_harbor),
		world_test(a_payload_handed_over_is_not_copied),
		world_test(probes_and_links_come_as_what_they_are),
		world_test(refusals_and_answers_of_the_framework_go_there_too),
		world_test(packets_are_copied),
		world_test(messages_wait_for_a_name_that_nobody_has),
		world_test(what_cannot_be_a_name_is_not_waited_for),
		cmocka_unit_test(global_names_of_a_network_change_their_owner),
		cmocka_unit_test(numbers_of_an_earlier_life_are_skipped),
		world_test(a_service_is_killed_on_its_own_node_only),
		world_test(an_absent_node_refuses_at_once_and_says_why),
		world_test(a_long_reason_is_cut),
		world_test(two_absent_nodes_tell_each_other_nothing),
		world_test(a_full_node_refuses_what_services_send),
		world_test(a_blocked_node_makes_senders_wait),
		world_test(the_harbors_own_mailbox_has_its_bound),
		world_test(there_is_one_harbor_at_a_time),
		world_test(mail_in_a_dying_harbor_is_refused),
		world_test(a_harbor_without_a_callback_refuses_too),
		world_test(a_service_passes_messages_on_to_another_node),
		world_test(the_harbor_passes_on_what_was_for_another),
		world_test(memory_is_charged_to_who_has_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
