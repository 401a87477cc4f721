/* harbor_names_test.c: messages by global names on nodes with threads: while the test gives the
 * name to a service of this node, to one of the other, and to nobody, services send without a
 * pause. Each owner gets what a service has sent to it in order, and nothing is lost. */
#include "harbor_world.h"

#define SENDERS 3
#define BURST 25
#define BURSTS 120
/* At the end, when the name has found its place. */
#define LAST (BURST * BURSTS)

static struct host a, b;

static void
do_set_name(struct voice *voice, void *argument)
{
	(void)skynet_command(voice->ctx, "GLOBALNAME", argument);
}

static void
set_name(struct host *host, uint32_t handle)
{
	char text[64];
	(void)snprintf(text, sizeof text, "MOVING :%x", handle);
	in_turn(&host->control, do_set_name, text);
}

struct sender {
	pthread_t thread;
	struct voice *voice;
	int sent;
};

static void
do_send_burst(struct voice *voice, void *argument)
{
	struct sender *sender = argument;
	char text[16];
	for (int i = 0; i < BURST; i++) {
		int size = snprintf(text, sizeof text, "%d", ++sender->sent);
		assert_int_equal(
			skynet_sendname(voice->ctx, 0, "MOVING", PTYPE_TEXT, 0, text, (size_t)size),
			0);
	}
}

static void *
send_all(void *argument)
{
	struct sender *sender = argument;
	for (int i = 0; i < BURSTS; i++)
		in_turn(sender->voice, do_send_burst, sender);
	return NULL;
}

/* Checks the rows of numbers that an owner has got. Returns how many there are. */
static size_t
check_rows(struct voice *owner, const struct sender *senders)
{
	int last[SENDERS] = {0};
	(void)pthread_mutex_lock(&lock);
	for (size_t i = 0; i < owner->count; i++) {
		const struct heard *heard = &owner->heard[i];
		int number = atoi(heard->text), s = 0;
		while (s < SENDERS - 1 && senders[s].voice->handle != heard->source)
			s++;
		if (heard->source != senders[s].voice->handle || number <= last[s])
			fail_msg(":%08x from :%08x: %s after %d", owner->handle, heard->source,
				 heard->text, last[s]);
		last[s] = number;
	}
	size_t count = owner->count;
	(void)pthread_mutex_unlock(&lock);
	return count;
}

static void
link_nodes(void)
{
	host_start(&a, 1, NULL);
	host_start(&b, 2, NULL);
	command(&a, "node 2 %s", b.address);
	command(&b, "node 1 %s", a.address);
	hears(&a.control, PTYPE_TEXT, 0, a.harbor, "up 2");
	hears(&b.control, PTYPE_TEXT, 0, b.harbor, "up 1");
}

static void
each_owner_of_a_name_gets_all_in_order(void **state)
{
	struct sender senders[SENDERS];
	struct voice *here = &a.voices[SENDERS], *there = &b.voices[0];
	(void)state;
	link_nodes();
	for (int i = 0; i < SENDERS; i++) {
		senders[i] = (struct sender){.voice = &a.voices[i]};
		assert_int_equal(pthread_create(&senders[i].thread, NULL, send_all, &senders[i]),
				 0);
	}
	for (int i = 0; i < 150; i++) {
		set_name(&a, here->handle);
		set_name(&a, 0);
		set_name(&a, there->handle);
		set_name(&a, i % 2 ? 0 : here->handle);
		set_name(&a, 0);
	}
	for (int i = 0; i < SENDERS; i++)
		(void)pthread_join(senders[i].thread, NULL);
	set_name(&a, here->handle);
	say_by_name(&a.voices[0], "MOVING", 0, "999999");
	awaits(here, "999999");
	/* What was sent there has come before what is sent to it now. */
	(void)say(&a.voices[0], there->handle, 0, "999999");
	awaits(there, "999999");
	assert_int_equal(check_rows(here, senders) + check_rows(there, senders),
			 SENDERS * LAST + 2);
	host_stop(&a);
	host_stop(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_owner_of_a_name_gets_all_in_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
