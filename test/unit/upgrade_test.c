/* upgrade_test.c: the handshake of websockets: what is accepted, what is refused and why, and heads
 * cut at every place. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
/* clang-format off */
#include "../../service-src/gate/block.c"
#include "../../service-src/gate/upgrade.c"
/* clang-format on */

#include "unit.h"

#define LINE "GET /chat?room=1 HTTP/1.1\r\n"
#define HOST "Host: server.example.com\r\n"
#define UPGRADE "Upgrade: websocket\r\n"
#define CONNECTION "Connection: Upgrade\r\n"
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define WHOLE LINE HOST UPGRADE CONNECTION KEY VERSION "\r\n"

/* Feeds a head, cut at a place. Returns the status of the answer, 0 if there is none. left:
 * receives how many bytes are left of the input. */
static int
status_of(const char *head, size_t size, size_t place, char text[GATE_UPGRADE_ANSWER_MAX],
	  size_t *left)
{
	struct gate_block block = {0};
	size_t sizes[] = {place, size - place};
	enum gate_upgrade_result result = GATE_UPGRADE_MORE;
	text[0] = '\0';
	*left = 0;
	for (int i = 0; i < 2; i++) {
		char *chunk = skynet_malloc(sizes[i] + 1);
		memcpy(chunk, head + (i == 0 ? 0 : place), sizes[i]);
		chunk = skynet_realloc(chunk, sizes[i] > 0 ? sizes[i] : 1);
		struct gate_input input = {chunk, sizes[i], chunk};
		if (result == GATE_UPGRADE_MORE)
			result = gate_upgrade_next(&block, &input, text);
		*left += input.size;
		skynet_free(chunk);
	}
	gate_block_fini(&block);
	if (result == GATE_UPGRADE_MORE)
		return 0;
	assert_int_equal(strncmp(text, "HTTP/1.1 ", 9), 0);
	int status = atoi(text + 9);
	assert_int_equal(status == 101, result == GATE_UPGRADE_DONE);
	assert_non_null(strstr(text, "\r\n\r\n"));
	return status;
}

/* The same for a text, cut at its end. */
static int
status_of_text(const char *head, char text[GATE_UPGRADE_ANSWER_MAX])
{
	size_t left;
	return status_of(head, strlen(head), strlen(head), text, &left);
}

static void
right_key_is_answered(void **state)
{
	(void)state;
	char text[GATE_UPGRADE_ANSWER_MAX];
	assert_int_equal(status_of_text(WHOLE, text), 101);
	/* The example of RFC 6455, 1.3. */
	assert_string_equal(text, "HTTP/1.1 101 Switching Protocols\r\n"
				  "Upgrade: websocket\r\n"
				  "Connection: Upgrade\r\n"
				  "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
}

static void
heads_cut_at_every_place(void **state)
{
	(void)state;
	char text[GATE_UPGRADE_ANSWER_MAX];
	static const char with_frames[] = WHOLE "\x81\x80 frames\r\n\r\n";
	size_t size = sizeof(with_frames) - 1, left;
	for (size_t place = 0; place <= size; place++) {
		assert_int_equal(status_of(with_frames, size, place, text, &left), 101);
		assert_int_equal(left, size - strlen(WHOLE));
	}
	size = strlen(WHOLE) - 1;
	for (size_t place = 0; place <= size; place++)
		assert_int_equal(status_of(with_frames, size, place, text, &left), 0);
}

static void
browsers_are_accepted(void **state)
{
	(void)state;
	static const char *const heads[] = {
		LINE HOST CONNECTION "Pragma: no-cache\r\nCache-Control: no-cache\r\n"
				     "User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n" UPGRADE
				     "Origin: http://localhost\r\n" VERSION
				     "Accept-Encoding: gzip, deflate, br\r\n" KEY
				     "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
		LINE "host:x\r\nUPGRADE: WebSocket\r\nconnection: keep-alive, upgrade\r\n"
		     "sec-websocket-key:\tdGhlIHNhbXBsZSBub25jZQ== \r\n" VERSION "\r\n",
		LINE HOST
		"Upgrade: h2c, websocket\r\nConnection: keep-alive\r\n" CONNECTION KEY VERSION
		"\r\n",
	};
	char text[GATE_UPGRADE_ANSWER_MAX];
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
		assert_int_equal(status_of_text(heads[i], text), 101);
}

static void
chat_is_the_only_sub_protocol(void **state)
{
	(void)state;
	char text[GATE_UPGRADE_ANSWER_MAX];
	assert_int_equal(status_of_text(LINE HOST UPGRADE CONNECTION KEY VERSION
					"Sec-WebSocket-Protocol: superchat, chat\r\n\r\n",
					text),
			 101);
	assert_non_null(strstr(text, "\r\nSec-WebSocket-Protocol: chat\r\n\r\n"));
	assert_int_equal(status_of_text(LINE HOST UPGRADE CONNECTION KEY VERSION
					"Sec-WebSocket-Protocol: superchat\r\n\r\n",
					text),
			 400);
}

static void
what_is_wrong_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *head;
		int status;
		const char *reason;
	} cases[] = {
		{"\r\n\r\n", 400, "the request line is malformed"},
		{"GET\r\n\r\n", 400, "the request line is malformed"},
		{"GET / x HTTP/1.1\r\n\r\n", 400, "the request line is malformed"},
		{"GET / FTP/1.1\r\n\r\n", 400, "the request line is malformed"},
		{"POST / HTTP/1.1\r\n" HOST UPGRADE CONNECTION KEY VERSION "\r\n", 400,
		 "the method is not GET"},
		{"get / HTTP/1.1\r\n" HOST UPGRADE CONNECTION KEY VERSION "\r\n", 400,
		 "the method is not GET"},
		{"GET / HTTP/1.0\r\n" HOST UPGRADE CONNECTION KEY VERSION "\r\n", 505,
		 "HTTP/1.1 is needed"},
		{"GET / HTTP/2.0\r\n" HOST UPGRADE CONNECTION KEY VERSION "\r\n", 505,
		 "HTTP/1.1 is needed"},
		{LINE UPGRADE CONNECTION KEY VERSION "\r\n", 400, "no Host"},
		{LINE HOST CONNECTION KEY VERSION "\r\n", 426, "only websockets are served here"},
		{LINE HOST "Upgrade: h2c\r\n" CONNECTION KEY VERSION "\r\n", 426,
		 "only websockets are served here"},
		{LINE HOST UPGRADE KEY VERSION "\r\n", 400, "no Connection: Upgrade"},
		{LINE HOST UPGRADE CONNECTION VERSION "\r\n", 400, "no Sec-WebSocket-Key"},
		{LINE HOST UPGRADE CONNECTION KEY "\r\n", 400, "Sec-WebSocket-Version is not 13"},
		{LINE HOST UPGRADE CONNECTION KEY "Sec-WebSocket-Version: 8\r\n\r\n", 400,
		 "Sec-WebSocket-Version is not 13"},
		{LINE HOST UPGRADE CONNECTION KEY KEY VERSION "\r\n", 400,
		 "more than one Sec-WebSocket-Key"},
		{LINE HOST UPGRADE CONNECTION VERSION "Sec-WebSocket-Key: short==\r\n\r\n", 400,
		 "Sec-WebSocket-Key is not the base64 of 16 bytes"},
		{LINE HOST UPGRADE CONNECTION VERSION
		 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j*Q==\r\n\r\n",
		 400, "Sec-WebSocket-Key is not the base64 of 16 bytes"},
		{LINE HOST UPGRADE CONNECTION KEY VERSION " folded\r\n\r\n", 400,
		 "a header line is malformed"},
		{LINE HOST UPGRADE CONNECTION KEY VERSION "X : 1\r\n\r\n", 400,
		 "a header line is malformed"},
		{LINE HOST UPGRADE CONNECTION KEY VERSION ": 1\r\n\r\n", 400,
		 "a header line is malformed"},
		{LINE HOST UPGRADE CONNECTION KEY VERSION "X: 1\n\r\n\r\n", 400,
		 "a line does not end with CR and LF"},
		{LINE HOST UPGRADE CONNECTION KEY VERSION "X: \1\r\n\r\n", 400,
		 "a control character"},
	};
	char text[GATE_UPGRADE_ANSWER_MAX];
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(status_of_text(cases[i].head, text), cases[i].status);
		assert_non_null(strstr(text, cases[i].reason));
	}
	assert_int_equal(status_of_text(LINE HOST KEY VERSION "\r\n", text), 426);
	assert_non_null(strstr(text, "\r\nUpgrade: websocket\r\n"));
}

static void
long_heads_are_refused(void **state)
{
	(void)state;
	char text[GATE_UPGRADE_ANSWER_MAX];
	char *head = skynet_malloc(20000);
	memset(head, 'x', 20000);
	size_t left;
	memcpy(head, LINE "X: ", strlen(LINE "X: "));
	assert_int_equal(status_of(head, GATE_UPGRADE_HEAD_MAX, 1000, text, &left), 0);
	assert_int_equal(status_of(head, GATE_UPGRADE_HEAD_MAX + 1, 1000, text, &left), 413);
	assert_int_equal(status_of(head, 20000, 20000, text, &left), 413);
	/* The longest one that is allowed. */
	static const char end[] = "\r\n" HOST UPGRADE CONNECTION KEY VERSION "\r\n";
	memcpy(head + GATE_UPGRADE_HEAD_MAX - strlen(end), end, strlen(end));
	assert_int_equal(status_of(head, GATE_UPGRADE_HEAD_MAX, 1, text, &left), 101);
	skynet_free(head);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(right_key_is_answered),
		cmocka_unit_test(heads_cut_at_every_place),
		cmocka_unit_test(browsers_are_accepted),
		cmocka_unit_test(chat_is_the_only_sub_protocol),
		cmocka_unit_test(what_is_wrong_is_refused),
		cmocka_unit_test(long_heads_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
