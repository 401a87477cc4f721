/* harbor_handshake_test.c: two handshakes talk to each other: every cut, every lie, every
 * refusal. */
#include "../../service-src/harbor/frame.c"
#include "../../service-src/harbor/handshake.c"
#include "unit.h"

static struct harbor_handshake dialler, acceptor;

static const struct harbor_hello own = {.id = 1,
					.wanted = 2,
					.has_secret = true,
					.tie = 11,
					.known_tie = 22,
					.received = 33,
					.message_limit = 1000};
static const struct harbor_hello answer = {
	.id = 2, .wanted = 1, .has_secret = true, .tie = 22, .received = 5, .message_limit = 2000};

/* Gives the acceptor what the dialler has said, or the other way, in chunks of that size. */
static void
pass(struct harbor_handshake *from, struct harbor_handshake *to, size_t chunk)
{
	size_t size = from->out_size, at = 0;
	while (at < size && to->state == HARBOR_HANDSHAKE_GOES_ON) {
		size_t count = size - at < chunk ? size - at : chunk;
		at += harbor_handshake_input(to, (const char *)from->out + at, count);
		if (to->state == HARBOR_HANDSHAKE_ASKED)
			harbor_handshake_accept(to, &answer);
	}
	from->out_size = 0;
}

static void
talk(size_t chunk)
{
	for (int i = 0; i < 3; i++) {
		pass(&dialler, &acceptor, chunk);
		pass(&acceptor, &dialler, chunk);
	}
}

static void
begin(const struct harbor_hello *hello, const char *secret, const char *other_secret)
{
	harbor_handshake_dial(&dialler, hello, secret);
	harbor_handshake_await(&acceptor, other_secret);
}

static void
both_learn_what_the_other_says(void **state)
{
	(void)state;
	for (size_t chunk = 1; chunk < 200; chunk++) {
		begin(&own, "abc", "abc");
		talk(chunk);
		assert_int_equal(dialler.state, HARBOR_HANDSHAKE_DONE);
		assert_int_equal(acceptor.state, HARBOR_HANDSHAKE_DONE);
		assert_int_equal(acceptor.other.id, 1);
		assert_int_equal(acceptor.other.wanted, 2);
		assert_int_equal(acceptor.other.tie, 11);
		assert_int_equal(acceptor.other.known_tie, 22);
		assert_int_equal(acceptor.other.received, 33);
		assert_int_equal(acceptor.other.message_limit, 1000);
		assert_int_equal(dialler.other.id, 2);
		assert_int_equal(dialler.other.tie, 22);
		assert_int_equal(dialler.other.received, 5);
		assert_memory_not_equal(dialler.other.nonce, dialler.own.nonce, HARBOR_NONCE_BYTES);
	}
}

static void
the_acceptor_is_open_only_after_the_proof(void **state)
{
	(void)state;
	begin(&own, "abc", "abc");
	pass(&dialler, &acceptor, 1000);
	assert_int_equal(acceptor.state, HARBOR_HANDSHAKE_GOES_ON);
	assert_false(dialler.is_proof_sent);
	pass(&acceptor, &dialler, 1000);
	assert_true(dialler.is_proof_sent);
	assert_int_equal(dialler.state, HARBOR_HANDSHAKE_GOES_ON);
	pass(&dialler, &acceptor, 1000);
	assert_int_equal(acceptor.state, HARBOR_HANDSHAKE_DONE);
	assert_int_equal(dialler.state, HARBOR_HANDSHAKE_GOES_ON);
}

static void
without_secrets_it_goes_too(void **state)
{
	struct harbor_hello open = own;
	(void)state;
	open.has_secret = false;
	harbor_handshake_dial(&dialler, &open, "");
	harbor_handshake_await(&acceptor, "");
	pass(&dialler, &acceptor, 1);
	acceptor.own.has_secret = false;
	/* answer says that there is a secret; the dialler, who has none, does not take it */
	pass(&acceptor, &dialler, 1);
	assert_int_equal(dialler.state, HARBOR_HANDSHAKE_REFUSED);
	assert_string_equal(dialler.text, "one has a harbor_secret, and the other has none");
}

static void
a_wrong_secret_is_refused_and_told(void **state)
{
	(void)state;
	for (size_t chunk = 1; chunk < 100; chunk += 7) {
		begin(&own, "abc", "abd");
		talk(chunk);
		assert_int_equal(acceptor.state, HARBOR_HANDSHAKE_REFUSED);
		assert_int_equal(dialler.state, HARBOR_HANDSHAKE_DENIED);
		assert_int_equal(dialler.refusal, HARBOR_REFUSED_SECRET);
		assert_string_equal(dialler.text, "both have a harbor_secret, and not the same");
		assert_string_equal(dialler.text, acceptor.text);
	}
}

static void
a_wrong_proof_of_the_acceptor_is_refused(void **state)
{
	(void)state;
	begin(&own, "abc", "abc");
	pass(&dialler, &acceptor, 1000);
	pass(&acceptor, &dialler, 1000);
	pass(&dialler, &acceptor, 1000);
	acceptor.out[acceptor.out_size - 1] ^= 1;
	pass(&acceptor, &dialler, 1000);
	assert_int_equal(dialler.state, HARBOR_HANDSHAKE_REFUSED);
	assert_int_equal(dialler.refusal, HARBOR_REFUSED_SECRET);
}

/* Who knows no secret sends the dialler's own proof back, or one of another handshake. */
static void
proofs_cannot_be_used_again(void **state)
{
	static struct harbor_handshake other;
	(void)state;
	begin(&own, "abc", "abc");
	pass(&dialler, &acceptor, 1000);
	pass(&acceptor, &dialler, 1000);
	other = dialler;
	pass(&other, &dialler, 1000); /* the dialler's proof, to itself */
	assert_int_equal(dialler.state, HARBOR_HANDSHAKE_REFUSED);
	other = dialler;
	begin(&own, "abc", "abc");
	pass(&dialler, &acceptor, 1000);
	pass(&other, &acceptor, 1000); /* of the first handshake, in the second */
	assert_int_equal(acceptor.state, HARBOR_HANDSHAKE_REFUSED);
}

static void
a_refused_hello_is_told_to_the_dialler(void **state)
{
	(void)state;
	for (size_t chunk = 1; chunk < 100; chunk += 7) {
		begin(&own, "abc", "abc");
		(void)harbor_handshake_input(&acceptor, (const char *)dialler.out,
					     dialler.out_size);
		assert_int_equal(acceptor.state, HARBOR_HANDSHAKE_ASKED);
		harbor_handshake_refuse(&acceptor, HARBOR_REFUSED_UNKNOWN, "node %d is unknown", 1);
		pass(&acceptor, &dialler, chunk);
		assert_int_equal(dialler.state, HARBOR_HANDSHAKE_DENIED);
		assert_int_equal(dialler.refusal, HARBOR_REFUSED_UNKNOWN);
		assert_string_equal(dialler.text, "node 1 is unknown");
	}
}

static void
another_version_is_refused_at_both_ends(void **state)
{
	(void)state;
	begin(&own, "abc", "abc");
	dialler.out[7] = 9;
	talk(3);
	assert_int_equal(acceptor.state, HARBOR_HANDSHAKE_REFUSED);
	assert_string_equal(acceptor.text,
			    "version 9 of the protocol comes in, and version 1 is spoken");
	assert_int_equal(dialler.state, HARBOR_HANDSHAKE_DENIED);
	assert_int_equal(dialler.refusal, HARBOR_REFUSED_VERSION);
	assert_string_equal(dialler.text, acceptor.text);
	/* An acceptor that does not refuse by itself. */
	begin(&own, "abc", "abc");
	pass(&dialler, &acceptor, 1000);
	acceptor.out[7] = 9;
	pass(&acceptor, &dialler, 1000);
	assert_int_equal(dialler.state, HARBOR_HANDSHAKE_REFUSED);
	assert_string_equal(dialler.text,
			    "version 9 of the protocol comes back, and version 1 is spoken");
}

static void
garbage_is_refused_at_its_first_byte(void **state)
{
	static const char *const cases[][2] = {
		{"GET / HTTP/1.1\r\n\r\n", "what comes in is not from a node"},
		{"sky net", "what comes in is not from a node"},
		{"\x16\x03\x01", "TLS comes in where none is configured"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		harbor_handshake_await(&acceptor, "");
		(void)harbor_handshake_input(&acceptor, cases[i][0], strlen(cases[i][0]));
		assert_int_equal(acceptor.state, HARBOR_HANDSHAKE_REFUSED);
		assert_int_equal(acceptor.refusal, HARBOR_REFUSED_GARBAGE);
		assert_string_equal(acceptor.text, cases[i][1]);
	}
	harbor_handshake_await(&acceptor, "");
	assert_int_equal(harbor_handshake_input(&acceptor, "x", 1), 1);
	assert_int_equal(acceptor.state, HARBOR_HANDSHAKE_REFUSED);
}

/* Records that cannot come where they come, with lengths that they cannot have. */
static void
records_out_of_place_are_refused(void **state)
{
	static const unsigned char heads[][3] = {
		{0, 0, 1}, {0, 63, 1},	{0, 65, 1}, {0xff, 0xff, 1}, {0, 32, 2},
		{0, 0, 3}, {0, 202, 3}, {0, 1, 0},  {0, 1, 4},
	};
	(void)state;
	for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
		harbor_handshake_await(&acceptor, "");
		(void)harbor_handshake_input(&acceptor, "skynet\0\1", 8);
		assert_int_equal(acceptor.state, HARBOR_HANDSHAKE_GOES_ON);
		(void)harbor_handshake_input(&acceptor, (const char *)heads[i], 3);
		assert_int_equal(acceptor.state, HARBOR_HANDSHAKE_REFUSED);
		assert_string_equal(acceptor.text, "what comes in has no place in a handshake");
	}
}

static void
hellos_with_impossible_numbers_are_refused(void **state)
{
	static const size_t places[] = {0, 4, 28}; /* id, tie, longest message */
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		begin(&own, "abc", "abc");
		memset(dialler.out + 11 + places[i], 0, i == 0 ? 1 : i == 1 ? 8 : 4);
		pass(&dialler, &acceptor, 1000);
		assert_int_equal(acceptor.state, HARBOR_HANDSHAKE_REFUSED);
		assert_string_equal(acceptor.text,
				    "a hello comes in that has a 0 where none can be");
	}
}

static void
the_wrong_node_is_refused(void **state)
{
	struct harbor_hello hello = own;
	(void)state;
	hello.wanted = 7;
	begin(&hello, "abc", "abc");
	pass(&dialler, &acceptor, 1000);
	pass(&acceptor, &dialler, 1000);
	assert_int_equal(dialler.state, HARBOR_HANDSHAKE_REFUSED);
	assert_string_equal(dialler.text, "node 7 was wanted, and node 2 answers");
	pass(&dialler, &acceptor, 1000);
	assert_int_equal(acceptor.state, HARBOR_HANDSHAKE_DENIED);
}

static void
texts_of_others_are_cleaned_and_cut(void **state)
{
	char record[8 + 3 + 1 + HARBOR_REFUSED_TEXT_MAX];
	(void)state;
	memset(record, '\n', sizeof record);
	memcpy(record, "skynet\0\1\0\311\3\377", 12);
	begin(&own, "abc", "abc");
	(void)harbor_handshake_input(&dialler, record, sizeof record);
	assert_int_equal(dialler.state, HARBOR_HANDSHAKE_DENIED);
	assert_int_equal(dialler.refusal, HARBOR_REFUSED_GARBAGE);
	assert_int_equal(strlen(dialler.text), HARBOR_REFUSED_TEXT_MAX);
	assert_int_equal(strspn(dialler.text, "?"), HARBOR_REFUSED_TEXT_MAX);
}

static void
what_stands_behind_the_last_record_is_left(void **state)
{
	(void)state;
	begin(&own, "abc", "abc");
	pass(&dialler, &acceptor, 1000);
	pass(&acceptor, &dialler, 1000);
	size_t size = dialler.out_size;
	dialler.out[size] = 'x';
	assert_int_equal(harbor_handshake_input(&acceptor, (const char *)dialler.out, size + 1),
			 size);
	assert_int_equal(acceptor.state, HARBOR_HANDSHAKE_DONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_learn_what_the_other_says),
		cmocka_unit_test(the_acceptor_is_open_only_after_the_proof),
		cmocka_unit_test(without_secrets_it_goes_too),
		cmocka_unit_test(a_wrong_secret_is_refused_and_told),
		cmocka_unit_test(a_wrong_proof_of_the_acceptor_is_refused),
		cmocka_unit_test(proofs_cannot_be_used_again),
		cmocka_unit_test(a_refused_hello_is_told_to_the_dialler),
		cmocka_unit_test(another_version_is_refused_at_both_ends),
		cmocka_unit_test(garbage_is_refused_at_its_first_byte),
		cmocka_unit_test(records_out_of_place_are_refused),
		cmocka_unit_test(hellos_with_impossible_numbers_are_refused),
		cmocka_unit_test(the_wrong_node_is_refused),
		cmocka_unit_test(texts_of_others_are_cleaned_and_cut),
		cmocka_unit_test(what_stands_behind_the_last_record_is_left),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
