/* harbor_names_test.c: the places for names that are waited for, and the word about them. */
#include "harbor_world.h"

#define PLACES 1024

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
		cmocka_unit_test(the_word_of_cslave_passes_a_full_mailbox),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
