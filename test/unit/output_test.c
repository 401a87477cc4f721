/* output_test.c: the output queue of a socket (sk_output.c) against a list of bytes that cannot be
 * wrong, with every way of cutting it into system calls. */
#include "sk_output.h"

#include "skynet_socket.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#define VECTORS_MAX 8

static void
add(struct sk_output *out, const char *bytes, bool is_low)
{
	size_t size = strlen(bytes);
	struct sk_output_piece *piece;
	struct skynet_packet *packet = NULL;
	if (size % 3 == 0)
		piece = sk_output_piece_share(packet = skynet_packet_new(bytes, size));
	else if (size % 3 == 1)
		piece = sk_output_piece_copy(bytes, size);
	else
		piece = sk_output_piece_take(skynet_strdup(bytes), size);
	skynet_packet_release(packet); /* the piece holds it too */
	sk_output_add(out, piece, is_low);
}

/* Sends up to n bytes in one call, and appends them to text. */
static void
send_bytes(struct sk_output *out, size_t n, char *text)
{
	struct iovec vectors[VECTORS_MAX];
	size_t size;
	int count = sk_output_vector(out, vectors, VECTORS_MAX, &size);
	size_t left = n < size ? n : size;
	size_t length = strlen(text);
	n = left;
	for (int i = 0; i < count && left > 0; i++) {
		size_t part = left < vectors[i].iov_len ? left : vectors[i].iov_len;
		memcpy(text + length, vectors[i].iov_base, part);
		length += part;
		left -= part;
	}
	text[length] = '\0';
	sk_output_advance(out, n);
}

static void
an_empty_output_has_nothing_to_send(void **state)
{
	(void)state;
	struct sk_output out = {0};
	struct iovec vectors[VECTORS_MAX];
	size_t size = 1;
	assert_int_equal(sk_output_vector(&out, vectors, VECTORS_MAX, &size), 0);
	assert_int_equal(size, 0);
	assert_null(sk_output_first(&out));
	sk_output_clear(&out);
}

static void
bytes_leave_in_order_at_every_cut(void **state)
{
	(void)state;
	for (size_t cut = 1; cut < 16; cut++) {
		struct sk_output out;
		char text[64] = "";
		sk_output_init(&out);
		add(&out, "one ", false);
		add(&out, "three", false);
		add(&out, " seven.", false);
		assert_int_equal(out.bytes, 16);
		while (out.bytes > 0) { /* O3 */
			size_t before = out.bytes;
			send_bytes(&out, cut, text);
			assert_true(out.bytes == before - (cut < before ? cut : before));
		}
		assert_string_equal(text, "one three seven.");
		assert_null(sk_output_first(&out));
	}
}

/* O1 and O2: what begins with low priority is finished first, and nothing else of low priority
 * leaves while something normal waits. */
static void
a_low_piece_is_never_split_by_others(void **state)
{
	(void)state;
	for (size_t cut = 1; cut <= 6; cut++) {
		struct sk_output out = {0};
		char text[64] = "";
		add(&out, "LOW111", true);
		add(&out, "LOW222", true);
		send_bytes(&out, cut, text);
		add(&out, "<normal>", false);
		assert_int_equal(out.bytes, 12 - cut + 8);
		while (out.bytes > 0)
			send_bytes(&out, 3, text);
		assert_string_equal(text, "LOW111<normal>LOW222");
	}
}

static void
low_pieces_wait_for_normal_ones(void **state)
{
	(void)state;
	struct sk_output out = {0};
	char text[64] = "";
	add(&out, "LOW", true);
	add(&out, "<a>", false);
	add(&out, "<b>", false);
	send_bytes(&out, 64, text);
	assert_string_equal(text, "<a><b>LOW");
}

static void
more_pieces_than_vectors_take_several_calls(void **state)
{
	(void)state;
	struct sk_output out = {0};
	char text[256] = "";
	char expected[256] = "";
	for (int i = 0; i < 30; i++) {
		char piece[16];
		(void)snprintf(piece, sizeof piece, "%d,", i);
		add(&out, piece, i >= 25);
		(void)snprintf(expected + strlen(expected), sizeof piece, "%s", piece);
	}
	int calls = 0;
	for (; out.bytes > 0; calls++)
		send_bytes(&out, 256, text);
	assert_string_equal(text, expected);
	assert_int_equal(calls, 4);
}

static void
the_first_piece_can_be_dropped_whole(void **state)
{
	(void)state;
	struct sk_output out = {0};
	add(&out, "aa", false);
	add(&out, "bbb", false);
	add(&out, "cccc", true);
	assert_int_equal(sk_output_first(&out)->size, 2);
	sk_output_drop_first(&out);
	assert_memory_equal(sk_output_first(&out)->start, "bbb", 3);
	sk_output_drop_first(&out);
	assert_memory_equal(sk_output_first(&out)->start, "cccc", 4);
	sk_output_drop_first(&out);
	assert_int_equal(out.bytes, 0);
	assert_null(sk_output_first(&out));
}

static void
clear_frees_what_was_sent_in_part(void **state)
{
	(void)state;
	struct sk_output out = {0};
	char text[64] = "";
	add(&out, "half sent", false);
	add(&out, "low", true);
	send_bytes(&out, 4, text);
	sk_output_clear(&out); /* the leak checker looks at the rest */
	assert_int_equal(out.bytes, 0);
	add(&out, "again", false);
	text[0] = '\0';
	send_bytes(&out, 64, text);
	assert_string_equal(text, "again");
}

/* A queue of letters beside the queue under test, driven by the same random steps. Small letters
 * are normal pieces, capitals low ones; a piece is one letter repeated. */
static void
random_steps_agree_with_a_model(void **state)
{
	(void)state;
	uint64_t seed = 12345;
	struct sk_output out = {0};
	char normal[4096] = "", low[4096] = ""; /* what waits; a split piece stands in normal */
	for (int step = 0; step < 20000; step++) {
		size_t size = unit_random_below(&seed, 9) + 1;
		bool is_low = unit_random_below(&seed, 2);
		if (unit_random_below(&seed, 2) && strlen(normal) + strlen(low) < 2000) {
			char piece[12] = "";
			char *model = is_low ? low + strlen(low) : normal + strlen(normal);
			memset(piece, (is_low ? 'A' : 'a') + step % 26, size);
			memcpy(model, piece, size);
			memcpy(model + size, "|", 2);
			add(&out, piece, is_low);
			continue;
		}
		char sent[64] = "", expected[64] = "";
		send_bytes(&out, size, sent);
		/* The model: letter by letter, '|' ends a piece. */
		size_t limit = strlen(sent);
		for (size_t n = 0; n < limit;) {
			if (normal[0] == '\0') { /* O2: the low piece moves over, whole */
				size_t length = strcspn(low, "|") + 1;
				memcpy(normal, low, length);
				normal[length] = '\0';
				memmove(low, low + length, strlen(low + length) + 1);
			}
			if (normal[0] != '|')
				expected[n++] = normal[0];
			memmove(normal, normal + 1, strlen(normal));
			if (normal[0] == '|')
				memmove(normal, normal + 1, strlen(normal));
		}
		assert_string_equal(sent, expected);
	}
	sk_output_clear(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_output_has_nothing_to_send),
		cmocka_unit_test(bytes_leave_in_order_at_every_cut),
		cmocka_unit_test(a_low_piece_is_never_split_by_others),
		cmocka_unit_test(low_pieces_wait_for_normal_ones),
		cmocka_unit_test(more_pieces_than_vectors_take_several_calls),
		cmocka_unit_test(the_first_piece_can_be_dropped_whole),
		cmocka_unit_test(clear_frees_what_was_sent_in_part),
		cmocka_unit_test(random_steps_agree_with_a_model),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
