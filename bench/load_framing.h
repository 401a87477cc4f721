/* load_framing.h: the framings that the load generator speaks: what a client sends as a frame, what
 * comes back for it, and what it says before.
 *
 *      u16be      two bytes of length, big endian
 *      line       a line feed behind the payload
 *      websocket  RFC 6455: masked on the way out, behind a handshake */
#ifndef LOAD_FRAMING_H
#define LOAD_FRAMING_H

#include "bench.h"

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

enum framing { FRAMING_U16BE, FRAMING_LINE, FRAMING_WEBSOCKET };

/* The longest head: of a websocket, with a mask. */
#define FRAMING_EXTRA_MAX 8

/* Reads the name of a framing, or ends the process. */
static inline enum framing
framing_named(const char *name)
{
	static const char *const names[] = {"u16be", "line", "websocket"};
	for (int i = 0; i < 3; i++) {
		if (strcmp(names[i], name) == 0)
			return (enum framing)i;
	}
	fprintf(stderr, "load: a framing is u16be, line or websocket, not %s\n", name);
	exit(2);
}

static inline size_t
put_websocket_head(bool is_from_client, size_t payload, unsigned char *at)
{
	size_t size = payload < 126 ? 2 : 4;
	at[0] = 0x82; /* a whole message, binary */
	at[1] = (unsigned char)(payload < 126 ? payload : 126) | (is_from_client ? 0x80 : 0);
	if (size == 4) {
		at[2] = (unsigned char)(payload >> 8);
		at[3] = (unsigned char)payload;
	}
	return size;
}

/* Writes a frame whose payload is the alphabet, again and again. Returns its size. */
static inline size_t
put_frame(enum framing framing, bool is_from_client, size_t payload, unsigned char *at)
{
	static const unsigned char mask[4] = {0x12, 0x34, 0x56, 0x78};
	bool is_masked = framing == FRAMING_WEBSOCKET && is_from_client;
	size_t head = 0;
	if (framing == FRAMING_U16BE) {
		at[0] = (unsigned char)(payload >> 8);
		at[1] = (unsigned char)payload;
		head = 2;
	} else if (framing == FRAMING_WEBSOCKET) {
		head = put_websocket_head(is_from_client, payload, at);
	}
	if (is_masked) {
		memcpy(at + head, mask, sizeof mask);
		head += sizeof mask;
	}
	for (size_t i = 0; i < payload; i++)
		at[head + i] = (unsigned char)(('a' + i % 26) ^ (is_masked ? mask[i % 4] : 0));
	if (framing == FRAMING_LINE)
		at[payload] = '\n';
	return head + payload + (framing == FRAMING_LINE);
}

/* Asks for a websocket, and waits for the answer; or ends the process. */
static inline void
shake_hands(int fd)
{
	static const char request[] =
		"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
	char answer[1024];
	size_t size = 0;
	if (write(fd, request, sizeof request - 1) != (ssize_t)sizeof request - 1)
		size = sizeof answer;
	while (size < sizeof answer && read(fd, answer + size, 1) == 1) {
		size++;
		if (size >= 4 && memcmp(answer + size - 4, "\r\n\r\n", 4) == 0 &&
		    memcmp(answer, "HTTP/1.1 101", 12) == 0)
			return;
	}
	fprintf(stderr, "load: the server refuses a websocket\n");
	exit(1);
}

#endif
