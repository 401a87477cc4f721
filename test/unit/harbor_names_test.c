/* harbor_names_test.c: names that are waited for: places, messages, and the word about them. */
#include "harbor_world.h"

#define PLACES 1024
#define MANY 5000

static struct host a;

static void
do_set_name(struct voice *voice, void *argument)
{
	(void)skynet_command(voice->ctx, "GLOBALNAME", argument);
}

/* A node may meet more names than it can wait for, one after the other. */
static void
a_name_that_was_found_gives_its_place_back(void **state)
{
	char text[64];
	(void)state;
	host_start(&a, 1, NULL);
	for (int i = 0; i <= PLACES; i++) {
		(void)snprintf(text, sizeof text, "name%d", i);
		assert_int_equal(say_by_name(&a.voices[0], text, 5, "x"), 5);
		command(&a, "name %s :%x", text, a.voices[1].handle);
		hears(&a.voices[0], PTYPE_HARBOR, 5, a.voices[1].handle, "");
		hears(&a.voices[1], PTYPE_TEXT, 5, a.voices[0].handle, "x");
		(void)snprintf(text, sizeof text, "name%d :%x", i, a.voices[1].handle);
		in_turn(&a.control, do_set_name, text);
	}
	assert_in_range(stat_of(&a, 1, "names"), 1, PLACES);
	host_stop(&a);
}

/* Says much to a name, and sets it, before the harbor has come so far. */
static void
do_send_and_set(struct voice *voice, void *argument)
{
	for (int i = 0; i < MANY; i++)
		(void)skynet_sendname(voice->ctx, 0, "newer", PTYPE_TEXT, 0, "to newer", 8);
	do_set_name(voice, argument);
}

/* What comes behind goes to who has the name, whatever else is waited for. */
static void
a_name_that_is_known_meanwhile_is_not_taken_for_another(void **state)
{
	char text[64];
	(void)state;
	host_start(&a, 1, NULL);
	(void)say_by_name(&a.voices[0], "older", 0, "to older");
	(void)say_by_name(&a.voices[0], "newer", 0, "to newer");
	command(&a, "name newer :%x", a.voices[1].handle);
	(void)snprintf(text, sizeof text, "newer :%x", a.voices[1].handle);
	in_turn(&a.voices[0], do_send_and_set, text);
	await_messages(&a.voices[1], MANY + 1);
	command(&a, "name older :%x", a.voices[2].handle);
	hears(&a.voices[2], PTYPE_TEXT, 0, a.voices[0].handle, "to older");
	assert_int_equal(stat_of(&a, 1, "name_bytes"), 0);
	assert_int_equal(a.voices[2].messages, 1);
	host_stop(&a);
}

/* Floods the harbor until its mailbox is full, then says "fail". */
static void
do_flood(struct voice *voice, void *argument)
{
	int *result = argument;
	char command[] = "fail flood is over";
	uint32_t harbor = voice->host->harbor;
	while (skynet_sendname(voice->ctx, 0, "flood", PTYPE_TEXT, 0, "x", 1) >= 0)
		;
	*result = skynet_send(voice->ctx, 0, harbor, PTYPE_SYSTEM, 6, command, strlen(command));
}

/* Only .cslave can end what waits for names. */
static void
the_word_of_cslave_passes_a_full_mailbox(void **state)
{
	int result = -1;
	(void)state;
	host_start(&a, 1, NULL);
	in_turn(&a.control, do_flood, &result);
	assert_int_equal(result, 6);
	for (;;) {
		struct heard heard = take_heard(&a.control, "an answer");
		if (heard.type == PTYPE_RESPONSE && heard.session == 6)
			break;
	}
	host_stop(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_that_was_found_gives_its_place_back),
		cmocka_unit_test(a_name_that_is_known_meanwhile_is_not_taken_for_another),
		cmocka_unit_test(the_word_of_cslave_passes_a_full_mailbox),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
