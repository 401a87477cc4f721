/* harbor_strangers_test.c: who comes in is not a node, or not who it says, or knows the secret and
 * breaks the rules. */
#include "../../service-src/harbor/frame.c"
#include "../../service-src/harbor/handshake.c"
#include "harbor_wire.h"

#define TYPE_ANY 10

static struct host a, b;

/* --- who comes in ---------------------------------------------------------------------------- */

/* Everything that the node says until it closes the connection. */
static size_t
read_to_end(int fd, char *bytes, size_t capacity)
{
	size_t size = 0;
	for (;;) {
		struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
		assert_int_equal(poll(&poll_fd, 1, DEADLINE_S * 1000), 1);
		ssize_t count = read(fd, bytes + size, capacity - size);
		if (count <= 0)
			return size;
		size += (size_t)count;
	}
}

static void
talk_to(struct host *host, const void *bytes, size_t size, const char *expected)
{
	char answer[1024] = "";
	int fd = dial_port(host->port);
	assert_true(fd >= 0);
	assert_int_equal(send(fd, bytes, size, MSG_NOSIGNAL), size);
	size_t count = read_to_end(fd, answer, sizeof answer - 1);
	(void)close(fd);
	assert_true(count > 12);
	assert_memory_equal(answer, "skynet\0\1", 8);
	assert_int_equal(answer[10], 3); /* REFUSED */
	assert_string_equal(answer + 12, expected);
}

static int
start_one(void **state)
{
	(void)state;
	host_start(&a, 1, (const char *[]){"harbor_timeout", "1", "harbor_secret", "abc", NULL});
	return 0;
}

/* It waits for whoever says nothing, for longer than any test. */
static int
start_patient(void **state)
{
	(void)state;
	host_start(&a, 1, (const char *[]){"harbor_timeout", "600", "harbor_secret", "abc", NULL});
	return 0;
}

static int
stop_one(void **state)
{
	(void)state;
	host_stop(&a);
	return 0;
}

#define one_test(f) cmocka_unit_test_setup_teardown(f, start_one, stop_one)
#define patient_test(f) cmocka_unit_test_setup_teardown(f, start_patient, stop_one)

static void
garbage_is_refused_and_logged_now_and_then(void **state)
{
	(void)state;
	talk_to(&a, "GET / HTTP/1.1\r\n", 16, "what comes in is not from a node");
	logs(&a, "*Refused 127.0.0.1:*: what comes in is not from a node*");
	for (int i = 0; i < 20; i++)
		talk_to(&a, "\xff\xff\xff\xff", 4, "what comes in is not from a node");
	talk_to(&a, "\x16\3\1", 3, "TLS comes in where none is configured");
	talk_to(&a, "skynet\0\2", 8, "version 2 of the protocol comes in, and version 1 is spoken");
	talk_to(&a, "skynet\0\1\xff\xff\1", 11, "what comes in has no place in a handshake");
	assert_int_equal(stat_of(&a, 1, "refused_connections"), 24);
	logs_times(&a, 6, "*Refused*"); /* 1, 2, 4, 8, 16, and the one of another version */
	assert_int_equal(count_heard(&a.log, "*Refused*"), 6);
}

static void
who_says_nothing_is_closed_in_time(void **state)
{
	char bytes[64];
	int fd = dial_port(a.port);
	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(send(fd, "sky", 3, MSG_NOSIGNAL), 3);
	assert_int_equal(read_to_end(fd, bytes, sizeof bytes), 0);
	(void)close(fd);
	assert_int_equal(stat_of(&a, 1, "shaking"), 0);
	assert_int_equal(stat_of(&a, 1, "refused_connections"), 1);
	logs(&a, "*Refused 127.0.0.1:*: it has not proved in time who it is (*so: 1)");
}

/* They make room for who comes later. */
static void
those_who_say_nothing_hold_up_nobody(void **state)
{
	static int fds[600];
	char bytes[64];
	(void)state;
	for (int i = 0; i < 600; i++) {
		fds[i] = dial_port(a.port);
		assert_true(fds[i] >= 0);
	}
	host_start(&b, 2, (const char *[]){"harbor_secret", "abc", NULL});
	connect_hosts(&a, &b);
	assert_int_equal(read_to_end(fds[0], bytes, sizeof bytes), 0);
	long crowded_out = stat_of(&a, 1, "crowded_out");
	assert_in_range(crowded_out, 600 - 512, 601 - 512); /* with the pipe of b, or without */
	assert_true(stat_of(&a, 1, "refused_connections") >= crowded_out);
	logs_times(&a, 7, "*Refused 127.0.0.1:*: too many connections have not proved who *");
	for (int i = 0; i < 600; i++)
		(void)close(fds[i]);
	host_stop(&b);
}

static void
say_hello(struct harbor_handshake *handshake, struct host *host, uint8_t id, uint8_t wanted,
	  const char *expected)
{
	struct harbor_hello own = {
		.id = id, .wanted = wanted, .has_secret = true, .tie = 99, .message_limit = 1000};
	harbor_handshake_dial(handshake, &own, "abc");
	talk_to(host, handshake->out, handshake->out_size, expected);
}

static void
who_is_not_who_it_should_be_is_refused(void **state)
{
	static struct harbor_handshake handshake;
	(void)state;
	say_hello(&handshake, &a, 1, 1,
		  "two nodes have the id 1: the one that dials, and the one that is dialled");
	logs(&a, "*Refused node 1 (127.0.0.1:*): two nodes have the id 1*");
	say_hello(&handshake, &a, 2, 3, "node 3 was wanted, and node 1 answers");
	logs(&a, "*Refused node 2 (127.0.0.1:*): node 3 was wanted*");
	say_hello(&handshake, &a, 2, 1, "node 1 does not know node 2 yet");
	say_hello(&handshake, &a, 2, 3, "node 3 was wanted, and node 1 answers");
	assert_int_equal(count_heard(&a.log, "*Refused*"), 2);
}

static void
a_wrong_secret_is_logged_at_both_ends_once(void **state)
{
	(void)state;
	host_start(&b, 2, (const char *[]){"harbor_timeout", "1", "harbor_secret", "abd", NULL});
	introduce(&a, &b, b.port);
	introduce(&b, &a, a.port);
	logs(&a, "*Node 2 (127.0.0.1:*) refuses this node: both have a harbor_secret, and *");
	logs(&b, "*Node 1 (127.0.0.1:*) refuses this node: both have a harbor_secret, and *");
	while (stat_of(&a, 2, "refused_dials") < 2)
		(void)poll(NULL, 0, 10);
	assert_true(stat_of(&a, 2, "dials") >= 2);
	assert_int_equal(stat_of(&a, 2, "pipes"), 0);
	awaits(&a.control, "down 2 both have a harbor_secret, and not the same");
	logs(&a, "*Node 2 (*) not reached: both have a harbor_secret*");
	for (int i = 0; i < 2; i++) {
		int before = (int)stat_of(&a, 1, "refused_connections");
		while (stat_of(&a, 1, "refused_connections") == before) /* it is tried again */
			(void)poll(NULL, 0, 10);
	}
	logs(&a, "*Refused*");
	assert_int_equal(count_heard(&a.log, "*refuses this node*"), 1);
	assert_int_equal(count_heard(&a.log, "*Refused*"), 1);
	host_stop(&b);
}

static void
one_secret_and_none_do_not_go_together(void **state)
{
	(void)state;
	host_start(&b, 2, NULL);
	introduce(&a, &b, b.port);
	introduce(&b, &a, a.port);
	logs(&a, "*Refused node 2 (*): one has a harbor_secret, and the other has none");
	logs(&a, "*Node 2 (*) refuses this node: one has a harbor_secret, and the other has "
		 "none");
	host_stop(&b);
}

/* --- a peer that knows the secret and breaks the rules --------------------------------------- */

/* Plays node 9: dials a, and lets a dial it. Returns the connection on which it writes. */
static int
shake_hands(struct harbor_handshake *handshake, int fd, bool is_dialler, uint64_t tie)
{
	struct harbor_hello own = {
		.id = 9, .wanted = 1, .has_secret = true, .tie = tie, .message_limit = 100000};
	if (is_dialler)
		harbor_handshake_dial(handshake, &own, "abc");
	else
		harbor_handshake_await(handshake, "abc");
	for (;;) {
		char byte;
		if (handshake->out_size > 0)
			assert_int_equal(
				send(fd, handshake->out, handshake->out_size, MSG_NOSIGNAL),
				handshake->out_size);
		handshake->out_size = 0;
		if (handshake->state != HARBOR_HANDSHAKE_GOES_ON)
			return handshake->state;
		if (read(fd, &byte, 1) != 1)
			return HARBOR_HANDSHAKE_DENIED; /* closed */
		(void)harbor_handshake_input(handshake, &byte, 1);
		if (handshake->state == HARBOR_HANDSHAKE_ASKED)
			harbor_handshake_accept(handshake, &own);
	}
}

struct impostor {
	int listener, port;
	int out; /* it writes here */
	int in;	 /* a writes here */
};

/* Both pipes are open. */
static void
impostor_connect(struct impostor *impostor, uint64_t tie)
{
	static struct harbor_handshake handshake;
	impostor->listener = listen_on_any(&impostor->port);
	command(&a, "node 9 127.0.0.1:%d", impostor->port);
	impostor->in = accept(impostor->listener, NULL, NULL);
	assert_true(impostor->in >= 0);
	assert_int_equal(shake_hands(&handshake, impostor->in, false, tie), HARBOR_HANDSHAKE_DONE);
	impostor->out = dial_port(a.port);
	assert_int_equal(shake_hands(&handshake, impostor->out, true, tie), HARBOR_HANDSHAKE_DONE);
	awaits(&a.control, "up 9");
}

/* The pipe on which a writes breaks, and is dialled until it is open again. */
static void
impostor_is_dialled(struct impostor *impostor, uint64_t tie)
{
	static struct harbor_handshake handshake;
	do {
		(void)close(impostor->in);
		impostor->in = accept(impostor->listener, NULL, NULL);
		assert_true(impostor->in >= 0);
	} while (shake_hands(&handshake, impostor->in, false, tie) != HARBOR_HANDSHAKE_DONE);
}

static void
impostor_end(struct impostor *impostor)
{
	(void)close(impostor->listener);
	(void)close(impostor->in);
	(void)close(impostor->out);
	command(&a, "gone 9 0 test");
}

static void
frames_that_break_the_rules_end_the_session(void **state)
{
	const struct harbor_frame message = {.kind = HARBOR_FRAME_MESSAGE,
					     .source = 0x09000001,
					     .destination = a.voices[0].handle};
	struct harbor_frame part = message, first = message;
	char bytes[7][200], *end[7], pattern[100];
	static const char *const reasons[] = {
		"a message before the pipe has begun",
		"a part of a message that has not begun",
		"another message within one that comes in parts",
		"it has received what was not sent",
		"a pipe begins where it cannot",
		"a frame is longer than any may be",
		"a pipe begins where it cannot",
	};
	(void)state;
	part.kind = HARBOR_FRAME_PART;
	first.flags = HARBOR_FRAME_HAS_MORE;
	first.size = 1;
	first.payload = "x";
	end[0] = harbor_frame_write(bytes[0], &message);
	for (int i = 1; i < 6; i++)
		end[i] = harbor_frame_write_count(bytes[i], HARBOR_FRAME_BEGIN, 0);
	end[1] = harbor_frame_write(end[1], &part);
	end[2] = harbor_frame_write(harbor_frame_write(end[2], &first), &message);
	end[3] = harbor_frame_write_count(end[3], HARBOR_FRAME_ACK, 1);
	end[4] = harbor_frame_write_count(end[4], HARBOR_FRAME_BEGIN, 0);
	end[5] = harbor_frame_write(end[5], &message);
	harbor_put_number(end[5] - HARBOR_FRAME_HEADER, UINT32_MAX, 4);
	end[6] = harbor_frame_write_count(bytes[6], HARBOR_FRAME_BEGIN, 1); /* what was before? */
	for (int i = 0; i < 7; i++) {
		struct impostor impostor;
		impostor_connect(&impostor, 100 + (uint64_t)i);
		assert_int_equal(
			send(impostor.out, bytes[i], (size_t)(end[i] - bytes[i]), MSG_NOSIGNAL),
			end[i] - bytes[i]);
		(void)snprintf(pattern, sizeof pattern, "down 9 it breaks the protocol: %s",
			       reasons[i]);
		hears(&a.control, PTYPE_TEXT, 0, a.harbor, pattern);
		command(&a, "gone 9 0 test");
		(void)close(impostor.listener);
		(void)close(impostor.in);
		(void)close(impostor.out);
	}
	assert_int_equal(a.voices[0].messages, 0);
	assert_int_equal(stat_of(&a, 9, "broken"), 7);
	assert_int_equal(stat_of(&a, 9, "lost"), 7);
}

/* Who answers on our own pipe breaks them too. */
static void
nobody_writes_on_the_pipe_of_another(void **state)
{
	struct impostor impostor;
	(void)state;
	impostor_connect(&impostor, 100);
	assert_int_equal(send(impostor.in, "x", 1, MSG_NOSIGNAL), 1);
	hears(&a.control, PTYPE_TEXT, 0, a.harbor,
	      "down 9 it breaks the protocol: it writes where only this node writes");
	impostor_end(&impostor);
}

/* The next message that a sends to the impostor. */
static struct harbor_frame
impostor_hears(struct impostor *impostor)
{
	struct harbor_frame_reader reader = {0};
	struct harbor_frame frame;
	do {
		char byte;
		struct harbor_frame_input input = {&byte, 1};
		assert_int_equal(read(impostor->in, &byte, 1), 1);
		if (harbor_frame_next(&reader, &input, &frame) != HARBOR_FRAME_READY)
			frame.kind = 0;
	} while (frame.kind != HARBOR_FRAME_MESSAGE);
	harbor_frame_reader_fini(&reader);
	return frame;
}

/* Sends one message, the first of a pipe. */
static void
impostor_says(struct impostor *impostor, const struct harbor_frame *frame)
{
	char bytes[100], *end = harbor_frame_write_count(bytes, HARBOR_FRAME_BEGIN, 0);
	end = harbor_frame_write(end, frame);
	assert_int_equal(send(impostor->out, bytes, (size_t)(end - bytes), MSG_NOSIGNAL),
			 end - bytes);
}

static void
frames_for_other_nodes_are_refused(void **state)
{
	struct impostor impostor;
	struct harbor_frame frame = {.kind = HARBOR_FRAME_MESSAGE,
				     .source = 0x09000001,
				     .destination = 0x05000001,
				     .session = 6};
	(void)state;
	impostor_connect(&impostor, 100);
	impostor_says(&impostor, &frame);
	frame = impostor_hears(&impostor);
	assert_int_equal(frame.type, PTYPE_ERROR);
	assert_int_equal(frame.source, 0x05000001);
	assert_int_equal(frame.destination, 0x09000001);
	assert_int_equal(frame.session, 6);
	impostor_end(&impostor);
}

/* Services of other nodes have so many links and probes here at a time, and no more. */
static void
links_of_others_are_bounded(void **state)
{
	enum { LINKS = 262144, EACH = 1024 };
	static char bytes[EACH * HARBOR_FRAME_HEADER];
	struct impostor impostor;
	struct harbor_frame frame = {
		.kind = HARBOR_FRAME_LINK, .source = 0x09000001, .destination = a.voices[0].handle};
	(void)state;
	impostor_connect(&impostor, 100);
	char *end = harbor_frame_write_count(bytes, HARBOR_FRAME_BEGIN, 0);
	assert_int_equal(send(impostor.out, bytes, (size_t)(end - bytes), MSG_NOSIGNAL),
			 end - bytes);
	for (int i = 0; i < LINKS; i += EACH) {
		end = bytes;
		for (int j = 1; j <= EACH; j++) {
			frame.session = i + j;
			end = harbor_frame_write(end, &frame);
		}
		assert_int_equal(send(impostor.out, bytes, sizeof bytes, MSG_NOSIGNAL),
				 sizeof bytes);
	}
	for (int session = 1; session <= 2; session++) {
		frame.kind = session == 1 ? HARBOR_FRAME_LINK : HARBOR_FRAME_PROBE;
		frame.session = LINKS + session;
		end = harbor_frame_write(bytes, &frame);
		assert_int_equal(send(impostor.out, bytes, (size_t)(end - bytes), MSG_NOSIGNAL),
				 end - bytes);
		struct harbor_frame answer = impostor_hears(&impostor);
		assert_int_equal(answer.type, PTYPE_ERROR);
		assert_int_equal(answer.source, a.voices[0].handle);
		assert_int_equal(answer.session, LINKS + session);
	}
	assert_int_equal(stat_of(&a, 1, "links"), LINKS);
	assert_int_equal(stat_of(&a, 1, "refused_links"), 2);
	assert_int_equal(stat_of(&a, 9, "refused"), 2);
	logs(&a, "*Refused a link or probe of node 9: *have 262144 of them*(refused so: 1)");
	(void)close(impostor.listener);
	(void)close(impostor.in);
	(void)close(impostor.out);
}

/* The peer may hold our pipe for open, and send requests, while it was closed here. */
static void
answers_wait_for_the_pipe(void **state)
{
	static struct harbor_handshake handshake;
	struct impostor impostor;
	struct harbor_frame frame = {.kind = HARBOR_FRAME_MESSAGE,
				     .type = TYPE_ANY,
				     .source = 0x09000001,
				     .destination = a.voices[0].handle,
				     .session = 6};
	(void)state;
	a.voices[0].echoes = true;
	impostor_connect(&impostor, 100);
	(void)close(impostor.out);
	/* It has started anew; a learns of it by its own pipe, which breaks then. */
	impostor_is_dialled(&impostor, 200);
	hears(&a.control, PTYPE_TEXT, 0, a.harbor, "down 9 it has started anew*");
	(void)shutdown(impostor.in, SHUT_RDWR);
	impostor.out = dial_port(a.port);
	assert_int_equal(shake_hands(&handshake, impostor.out, true, 200), HARBOR_HANDSHAKE_DONE);
	impostor_says(&impostor, &frame);
	hears(&a.voices[0], TYPE_ANY, 6, 0x09000001, "");
	impostor_is_dialled(&impostor, 200);
	frame = impostor_hears(&impostor);
	assert_int_equal(frame.type, PTYPE_RESPONSE);
	assert_int_equal(frame.session, 6);
	impostor_end(&impostor);
}

/* T2: a handshake that was begun before the session changed comes too late. */
static void
late_handshakes_change_nothing(void **state)
{
	static struct harbor_handshake late, handshake;
	struct impostor impostor;
	struct harbor_hello own = {
		.id = 9, .wanted = 1, .has_secret = true, .tie = 100, .message_limit = 100000};
	(void)state;
	impostor_connect(&impostor, 100);
	/* Says hello as the old one, and keeps its proof back. */
	int fd = dial_port(a.port);
	harbor_handshake_dial(&late, &own, "abc");
	assert_true(send(fd, late.out, late.out_size, MSG_NOSIGNAL) > 0);
	late.out_size = 0;
	while (!late.is_proof_sent) {
		char byte;
		assert_int_equal(read(fd, &byte, 1), 1);
		(void)harbor_handshake_input(&late, &byte, 1);
	}
	/* The new one is found. */
	impostor_is_dialled(&impostor, 200);
	hears(&a.control, PTYPE_TEXT, 0, a.harbor, "down 9 it has started anew*");
	/* The old one's proof is right, and too late. */
	assert_true(send(fd, late.out, late.out_size, MSG_NOSIGNAL) > 0);
	char byte;
	assert_int_equal(read_to_end(fd, &byte, 1), 0);
	int out = dial_port(a.port);
	assert_int_equal(shake_hands(&handshake, out, true, 200), HARBOR_HANDSHAKE_DONE);
	hears(&a.control, PTYPE_TEXT, 0, a.harbor, "up 9");
	(void)close(fd);
	(void)close(out);
	impostor_end(&impostor);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		one_test(garbage_is_refused_and_logged_now_and_then),
		one_test(who_says_nothing_is_closed_in_time),
		patient_test(those_who_say_nothing_hold_up_nobody),
		one_test(who_is_not_who_it_should_be_is_refused),
		one_test(a_wrong_secret_is_logged_at_both_ends_once),
		one_test(one_secret_and_none_do_not_go_together),
		one_test(frames_that_break_the_rules_end_the_session),
		one_test(nobody_writes_on_the_pipe_of_another),
		one_test(frames_for_other_nodes_are_refused),
		patient_test(links_of_others_are_bounded),
		one_test(answers_wait_for_the_pipe),
		one_test(late_handshakes_change_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
