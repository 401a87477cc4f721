/* harbor_outbox_test.c: what is sent to one node until it has it: pieces, the window, going on
 * behind a break, and who is told at the end. */
#include "../../service-src/harbor/frame.c"
#include "../../service-src/harbor/outbox.c"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#define NO_WINDOW SIZE_MAX

static struct harbor_outbox outbox;
static char told[4096];

static bool
add(uint32_t source, int session, size_t size)
{
	struct harbor_frame head = {.kind = HARBOR_FRAME_MESSAGE,
				    .type = 10,
				    .source = source,
				    .destination = 2,
				    .session = session};
	char *payload = skynet_malloc(size + 1);
	for (size_t i = 0; i < size; i++)
		payload[i] = (char)(i % 251);
	return harbor_outbox_add(&outbox, &head, payload, size);
}

static void
visit(void *ud, const struct harbor_frame *head)
{
	char *text = ud;
	size_t at = strlen(text);
	(void)snprintf(text + at, sizeof told - at, "%x:%d:%d ", head->source, head->session,
		       head->kind);
}

/* Those who are told at the end are these. */
static void
expect_failed(const char *expected)
{
	told[0] = '\0';
	harbor_outbox_fail(&outbox, visit, told);
	assert_string_equal(told, expected);
	assert_int_equal(outbox.bytes, 0);
	assert_null(outbox.first);
}

/* Hands pieces as long as there are some. Returns how many. */
static int
hand_all(size_t window)
{
	int count = 0;
	while (harbor_outbox_hand(&outbox, window) != NULL)
		count++;
	return count;
}

static int
end_test(void **state)
{
	(void)state;
	harbor_outbox_fini(&outbox);
	return 0;
}

static void
messages_become_one_piece_with_what_stands_in_front(void **state)
{
	char ack[HARBOR_FRAME_HEADER + HARBOR_FRAME_COUNT_BYTES];
	struct harbor_frame frame;
	(void)state;
	(void)harbor_frame_write_count(ack, HARBOR_FRAME_ACK, 7);
	assert_null(harbor_outbox_hand(&outbox, NO_WINDOW));
	assert_false(add(1, 5, 3));
	assert_false(add(2, 6, 0));
	assert_null(harbor_outbox_hand(&outbox, NO_WINDOW)); /* not sealed */
	harbor_outbox_seal(&outbox, ack, sizeof ack);
	struct harbor_piece *piece = harbor_outbox_hand(&outbox, NO_WINDOW);
	assert_non_null(piece);
	assert_null(harbor_outbox_hand(&outbox, NO_WINDOW));
	assert_int_equal(piece->size, sizeof ack + 20 + 3 + 20);
	assert_int_equal(outbox.bytes, piece->size);
	const char *at = skynet_packet_bytes(piece->packet);
	at += harbor_frame_read(at, &frame);
	assert_int_equal(harbor_frame_count(&frame), 7);
	at += harbor_frame_read(at, &frame);
	assert_int_equal(frame.source, 1);
	assert_int_equal(frame.session, 5);
	assert_memory_equal(frame.payload, "\0\1\2", 3);
	(void)harbor_frame_read(at, &frame);
	assert_int_equal(frame.source, 2);
	assert_int_equal(frame.size, 0);
	assert_int_equal(harbor_outbox_unacknowledged(&outbox), 2);
}

static void
nothing_pending_makes_no_piece(void **state)
{
	(void)state;
	harbor_outbox_seal(&outbox, "ack", 3);
	assert_null(harbor_outbox_hand(&outbox, NO_WINDOW));
	assert_int_equal(outbox.bytes, 0);
}

static void
it_says_when_to_seal(void **state)
{
	(void)state;
	assert_true(add(1, 0, HARBOR_OUTBOX_PENDING_BYTES));
	harbor_outbox_seal(&outbox, NULL, 0);
	for (unsigned i = 1; i < HARBOR_OUTBOX_PENDING_MESSAGES; i++)
		assert_false(add(1, 0, 0));
	assert_true(add(1, 0, 0));
	harbor_outbox_seal(&outbox, NULL, 0);
	assert_false(add(1, 0, 0));
}

/* All sizes around the limits of frames and pieces come together again. */
static void
long_messages_are_cut_into_parts(void **state)
{
	const size_t step = HARBOR_FRAME_PAYLOAD_MAX;
	const size_t sizes[] = {step - 1, step,		step + 1, 2 * step,	4 * step - 1,
				4 * step, 4 * step + 1, 9 * step, 9 * step + 1, 20 * step + 7};
	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		size_t have = 0;
		bool is_whole = false;
		struct harbor_piece *piece;
		(void)add(1, 9, sizes[i]);
		harbor_outbox_seal(&outbox, NULL, 0);
		while ((piece = harbor_outbox_hand(&outbox, NO_WINDOW)) != NULL) {
			const char *at = skynet_packet_bytes(piece->packet),
				   *end = at + piece->size;
			assert_in_range(piece->size, 1, PIECE_BYTES);
			while (at < end) {
				struct harbor_frame frame;
				at += harbor_frame_read(at, &frame);
				assert_false(is_whole);
				assert_int_equal(frame.kind, have == 0 ? HARBOR_FRAME_MESSAGE
								       : HARBOR_FRAME_PART);
				assert_int_equal(frame.session, 9);
				for (size_t j = 0; j < frame.size; j++)
					assert_int_equal((unsigned char)frame.payload[j],
							 (have + j) % 251);
				have += frame.size;
				is_whole = frame.flags == 0;
			}
		}
		assert_true(is_whole);
		assert_int_equal(have, sizes[i]);
		assert_true(harbor_outbox_acknowledge(&outbox, outbox.sealed_count));
		assert_int_equal(outbox.bytes, 0);
	}
}

static void
the_window_is_one_piece_or_so_many_bytes(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		(void)add(1, i, 80); /* 100 bytes */
		harbor_outbox_seal(&outbox, NULL, 0);
	}
	assert_int_equal(hand_all(50), 1); /* one, however long */
	assert_int_equal(hand_all(299), 1);
	assert_int_equal(hand_all(300), 1);
	assert_int_equal(hand_all(300), 0);
	assert_true(harbor_outbox_acknowledge(&outbox, 1));
	assert_int_equal(hand_all(300), 1);
	assert_true(harbor_outbox_acknowledge(&outbox, 4));
	assert_int_equal(outbox.handed_bytes, 0);
	assert_int_equal(hand_all(1), 1);
	assert_int_equal(hand_all(1000), 0);
}

/* Each of two messages, 200 bytes. */
static void
hand_three_pieces(void)
{
	for (int i = 0; i < 3; i++) {
		(void)add(1, i, 80);
		(void)add(2, i, 80);
		harbor_outbox_seal(&outbox, NULL, 0);
	}
	assert_int_equal(hand_all(NO_WINDOW), 3);
}

static void
acknowledgements_free_whole_pieces_and_cannot_lie(void **state)
{
	(void)state;
	hand_three_pieces();
	assert_false(harbor_outbox_acknowledge(&outbox, 7));
	assert_true(harbor_outbox_acknowledge(&outbox, 3));
	assert_int_equal(outbox.bytes, 400);
	assert_int_equal(outbox.handed_bytes, 400);
	assert_true(harbor_outbox_acknowledge(&outbox, 1)); /* an old one */
	assert_int_equal(harbor_outbox_unacknowledged(&outbox), 3);
	assert_true(harbor_outbox_acknowledge(&outbox, 6));
	assert_int_equal(outbox.bytes, 0);
	assert_int_equal(harbor_outbox_unacknowledged(&outbox), 0);
}

static void
behind_a_break_it_goes_on_with_the_first_piece_that_is_not_whole(void **state)
{
	(void)state;
	hand_three_pieces();
	assert_true(harbor_outbox_acknowledge(&outbox, 3));
	assert_int_equal(harbor_outbox_rewind(&outbox), 2);
	assert_int_equal(outbox.handed_bytes, 0);
	assert_int_equal(hand_all(NO_WINDOW), 2);
	assert_int_equal(harbor_outbox_rewind(&outbox), 2);
	/* What is acknowledged before it is handed again needs no handing. */
	assert_true(harbor_outbox_acknowledge(&outbox, 4));
	assert_int_equal(hand_all(NO_WINDOW), 1);
	assert_true(harbor_outbox_acknowledge(&outbox, 6));
	assert_int_equal(harbor_outbox_rewind(&outbox), 6);
	assert_int_equal(hand_all(NO_WINDOW), 0);
}

static void
the_senders_of_all_that_is_not_acknowledged_are_told_once(void **state)
{
	struct harbor_frame probe = {.kind = HARBOR_FRAME_PROBE, .source = 5, .destination = 2};
	(void)state;
	(void)add(1, 1, 10);
	(void)add(1, 2, 10);
	harbor_outbox_seal(&outbox, "", 0);
	(void)add(1, 3, 5 * HARBOR_FRAME_PAYLOAD_MAX);
	harbor_outbox_seal(&outbox, "", 0);
	(void)harbor_outbox_add(&outbox, &probe, NULL, 0);
	(void)add(1, 4, 10);
	assert_int_equal(hand_all(NO_WINDOW), 3);
	assert_true(harbor_outbox_acknowledge(&outbox, 1));
	expect_failed("1:2:1 1:3:1 5:0:3 1:4:1 ");
	expect_failed("");
}

/* A long message of which the other node has all frames but the last was not delivered. */
static void
a_message_that_has_come_in_part_is_told_once(void **state)
{
	(void)state;
	for (uint64_t have = 0; have <= 6; have++) {
		(void)add(1, 3, 5 * HARBOR_FRAME_PAYLOAD_MAX + 1);
		(void)add(1, 4, 1);
		harbor_outbox_seal(&outbox, "", 0);
		assert_int_equal(outbox.sealed_count, 7);
		assert_true(harbor_outbox_acknowledge(&outbox, have));
		expect_failed(have < 6 ? "1:3:1 1:4:1 " : "1:4:1 ");
	}
}

/* Frames that are not counted, in front of pieces, do not disturb the numbers. */
static void
control_frames_do_not_count(void **state)
{
	char ack[HARBOR_FRAME_HEADER + HARBOR_FRAME_COUNT_BYTES];
	(void)state;
	(void)harbor_frame_write_count(ack, HARBOR_FRAME_ACK, 7);
	for (int i = 0; i < 4; i++) {
		(void)add(1, i, 1);
		harbor_outbox_seal(&outbox, ack, sizeof ack);
	}
	assert_true(harbor_outbox_acknowledge(&outbox, 2));
	expect_failed("1:2:1 1:3:1 ");
}

#define outbox_test(f) cmocka_unit_test_teardown(f, end_test)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		outbox_test(messages_become_one_piece_with_what_stands_in_front),
		outbox_test(nothing_pending_makes_no_piece),
		outbox_test(it_says_when_to_seal),
		outbox_test(long_messages_are_cut_into_parts),
		outbox_test(the_window_is_one_piece_or_so_many_bytes),
		outbox_test(acknowledgements_free_whole_pieces_and_cannot_lie),
		outbox_test(behind_a_break_it_goes_on_with_the_first_piece_that_is_not_whole),
		outbox_test(the_senders_of_all_that_is_not_acknowledged_are_told_once),
		outbox_test(a_message_that_has_come_in_part_is_told_once),
		outbox_test(control_frames_do_not_count),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
