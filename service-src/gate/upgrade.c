/* upgrade.c: see upgrade.h.
 *
 * The request is read strictly: what is doubtful is refused, so that nobody between the client and
 * here can have understood it in another way. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include "upgrade.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <strings.h>

#define END "\r\n\r\n"
#define END_BYTES 4
/* The base64 of 16 bytes; of 20, the size of a SHA-1. */
#define KEY_BYTES 24
#define ACCEPT_BYTES 28
/* What a client that offers sub-protocols has to offer. */
#define SUBPROTOCOL "chat"

/* A piece of the head. */
struct span {
	const char *at;
	size_t size;
};

/* What the head says, and what is wrong with it. */
struct request {
	struct span key;
	bool has_host;
	bool has_upgrade;     /* Upgrade: websocket */
	bool has_connection;  /* Connection: Upgrade */
	bool has_version;     /* Sec-WebSocket-Version: 13 */
	bool has_subprotocol; /* any is offered */
	bool has_chat;
	int status; /* of the refusal; 0: none so far */
	const char *reason;
};

static void
refuse_request(struct request *request, int status, const char *reason)
{
	if (request->status != 0)
		return; /* the first one counts */
	request->status = status;
	request->reason = reason;
}

static bool
is_word(struct span span, const char *word)
{
	return span.size == strlen(word) && strncasecmp(span.at, word, span.size) == 0;
}

static struct span
trim(struct span span)
{
	while (span.size > 0 && (*span.at == ' ' || *span.at == '\t')) {
		span.at++;
		span.size--;
	}
	while (span.size > 0 && (span.at[span.size - 1] == ' ' || span.at[span.size - 1] == '\t'))
		span.size--;
	return span;
}

/* Cuts what stands in front of the mark off a span; all of it if there is none. */
static struct span
next_part(struct span *rest, char mark)
{
	const char *end = memchr(rest->at, mark, rest->size);
	struct span part = {rest->at, end != NULL ? (size_t)(end - rest->at) : rest->size};
	size_t taken = part.size + (end != NULL);
	rest->at += taken;
	rest->size -= taken;
	return part;
}

/* Whether a list, like "keep-alive, Upgrade", has this word. */
static bool
has_token(struct span list, const char *word)
{
	while (list.size > 0) {
		if (is_word(trim(next_part(&list, ',')), word))
			return true;
	}
	return false;
}

static bool
is_base64_key(struct span key)
{
	if (key.size != KEY_BYTES || memcmp(key.at + KEY_BYTES - 2, "==", 2) != 0)
		return false;
	for (size_t i = 0; i < KEY_BYTES - 2; i++) {
		unsigned char byte = (unsigned char)key.at[i];
		if (!isalnum(byte) && byte != '+' && byte != '/')
			return false;
	}
	return true;
}

static void
read_key(struct request *request, struct span value)
{
	if (request->key.at != NULL)
		refuse_request(request, 400, "more than one Sec-WebSocket-Key");
	else if (!is_base64_key(value))
		refuse_request(request, 400, "Sec-WebSocket-Key is not the base64 of 16 bytes");
	request->key = value;
}

static void
read_header(struct request *request, struct span line)
{
	const char *colon = memchr(line.at, ':', line.size);
	struct span name = next_part(&line, ':');
	struct span value = trim(line);
	if (colon == NULL || name.size == 0 || trim(name).size != name.size)
		refuse_request(request, 400, "a header line is malformed");
	else if (is_word(name, "Host"))
		request->has_host = true;
	else if (is_word(name, "Upgrade"))
		request->has_upgrade |= has_token(value, "websocket");
	else if (is_word(name, "Connection"))
		request->has_connection |= has_token(value, "upgrade");
	else if (is_word(name, "Sec-WebSocket-Version"))
		request->has_version = is_word(value, "13");
	else if (is_word(name, "Sec-WebSocket-Key"))
		read_key(request, value);
	else if (is_word(name, "Sec-WebSocket-Protocol")) {
		request->has_subprotocol = true;
		request->has_chat |= has_token(value, SUBPROTOCOL);
	}
}

/* METHOD TARGET HTTP/1.1 */
static void
read_request_line(struct request *request, struct span line)
{
	struct span method = next_part(&line, ' ');
	struct span target = next_part(&line, ' ');
	if (method.size == 0 || target.size == 0 || line.size != strlen("HTTP/1.1") ||
	    memcmp(line.at, "HTTP/", 5) != 0)
		refuse_request(request, 400, "the request line is malformed");
	else if (memcmp(line.at, "HTTP/1.", 7) != 0 || !isdigit((unsigned char)line.at[7]) ||
		 line.at[7] == '0')
		refuse_request(request, 505, "HTTP/1.1 is needed");
	else if (method.size != 3 || memcmp(method.at, "GET", 3) != 0)
		refuse_request(request, 400, "the method is not GET");
}

static void
check_headers(struct request *request)
{
	if (!request->has_host)
		refuse_request(request, 400, "no Host");
	if (!request->has_upgrade)
		refuse_request(request, 426, "only websockets are served here");
	if (!request->has_connection)
		refuse_request(request, 400, "no Connection: Upgrade");
	if (!request->has_version)
		refuse_request(request, 400, "Sec-WebSocket-Version is not 13");
	if (request->key.at == NULL)
		refuse_request(request, 400, "no Sec-WebSocket-Key");
	if (request->has_subprotocol && !request->has_chat)
		refuse_request(request, 400, "none of the sub-protocols is \"" SUBPROTOCOL "\"");
}

static bool
has_control_characters(struct span line)
{
	for (size_t i = 0; i < line.size; i++) {
		unsigned char byte = (unsigned char)line.at[i];
		if ((byte < ' ' && byte != '\t') || byte == 0x7f)
			return true;
	}
	return false;
}

/* Reads a whole head. */
static void
read_request(struct request *request, struct span head)
{
	bool is_first = true;
	head.size -= END_BYTES / 2; /* the empty line */
	while (head.size > 0) {
		struct span line = next_part(&head, '\n');
		if (line.size == 0 || line.at[line.size - 1] != '\r') {
			refuse_request(request, 400, "a line does not end with CR and LF");
			return;
		}
		line.size--;
		if (has_control_characters(line))
			refuse_request(request, 400, "a control character");
		if (is_first)
			read_request_line(request, line);
		else
			read_header(request, line);
		is_first = false;
	}
	check_headers(request);
}

static const char *
status_text(int status)
{
	switch (status) {
	case 413:
		return "Content Too Large";
	case 426:
		return "Upgrade Required";
	case 500:
		return "Internal Server Error";
	case 505:
		return "HTTP Version Not Supported";
	default:
		return "Bad Request";
	}
}

static enum gate_upgrade_result
answer_refusal(const struct request *request, char answer[GATE_UPGRADE_ANSWER_MAX])
{
	(void)snprintf(answer, GATE_UPGRADE_ANSWER_MAX,
		       "HTTP/1.1 %d %s\r\n"
		       "Connection: close%s\r\n"
		       "Sec-WebSocket-Version: 13\r\n"
		       "Content-Type: text/plain\r\n"
		       "Content-Length: %zu\r\n\r\n"
		       "%s\n",
		       request->status, status_text(request->status),
		       request->status == 426 ? ", upgrade\r\nUpgrade: websocket" : "",
		       strlen(request->reason) + 1, request->reason);
	return GATE_UPGRADE_REFUSED;
}

/* What shows that the key was understood: RFC 6455, 4.2.2, 5.4. Returns false if this build of
 * OpenSSL has no SHA-1. */
static bool
accept_key(struct span key, unsigned char accept[ACCEPT_BYTES + 1])
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	char text[KEY_BYTES + sizeof(guid)];
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned hash_size;
	memcpy(text, key.at, KEY_BYTES);
	memcpy(text + KEY_BYTES, guid, sizeof(guid));
	if (EVP_Digest(text, strlen(guid) + KEY_BYTES, hash, &hash_size, EVP_sha1(), NULL) != 1)
		return false;
	(void)EVP_EncodeBlock(accept, hash, (int)hash_size);
	return true;
}

static enum gate_upgrade_result
answer_request(struct request *request, char text[GATE_UPGRADE_ANSWER_MAX])
{
	unsigned char accept[ACCEPT_BYTES + 1];
	if (request->status == 0 && !accept_key(request->key, accept))
		refuse_request(request, 500, "there is no SHA-1 here");
	if (request->status != 0)
		return answer_refusal(request, text);
	(void)snprintf(text, GATE_UPGRADE_ANSWER_MAX,
		       "HTTP/1.1 101 Switching Protocols\r\n"
		       "Upgrade: websocket\r\n"
		       "Connection: Upgrade\r\n"
		       "Sec-WebSocket-Accept: %s\r\n%s\r\n",
		       (const char *)accept,
		       request->has_subprotocol ? "Sec-WebSocket-Protocol: " SUBPROTOCOL "\r\n"
						: "");
	return GATE_UPGRADE_DONE;
}

/* How many bytes of the input belong to the head: up to its end, or all. is_end: whether it is
 * there. */
static size_t
find_end(const struct gate_block *head, const struct gate_input *input, bool *is_end)
{
	char seam[2 * END_BYTES];
	size_t before = head->size < END_BYTES - 1 ? head->size : END_BYTES - 1;
	size_t behind = input->size < END_BYTES - 1 ? input->size : END_BYTES - 1;
	if (before > 0)
		memcpy(seam, head->bytes + head->size - before, before);
	memcpy(seam + before, input->data, behind);
	const char *end = memmem(seam, before + behind, END, END_BYTES);
	*is_end = true;
	if (end != NULL && (size_t)(end - seam) < before)
		return (size_t)(end - seam) + END_BYTES - before;
	end = memmem(input->data, input->size, END, END_BYTES);
	*is_end = end != NULL;
	return end != NULL ? (size_t)(end - input->data) + END_BYTES : input->size;
}

enum gate_upgrade_result
gate_upgrade_next(struct gate_block *head, struct gate_input *input,
		  char text[GATE_UPGRADE_ANSWER_MAX])
{
	struct request request = {0};
	bool is_end;
	if (input->size == 0)
		return GATE_UPGRADE_MORE;
	size_t count = find_end(head, input, &is_end);
	if (count > GATE_UPGRADE_HEAD_MAX - head->size) {
		refuse_request(&request, 413, "the head of the request is too long");
		return answer_refusal(&request, text);
	}
	gate_block_append(head, input->data, (uint32_t)count, GATE_UPGRADE_HEAD_MAX);
	input->data += count;
	input->size -= count;
	if (!is_end)
		return GATE_UPGRADE_MORE;
	read_request(&request, (struct span){head->bytes, head->size});
	return answer_request(&request, text);
}
