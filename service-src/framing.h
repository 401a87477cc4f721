/* framing.h: how a stream of bytes is divided into frames, as the services that read frames (gate)
 * and write them (client) are told: names, options, and what stands around a frame that is sent.
 *
 * Model      raw                      none: whatever arrives together is a frame
 *            u8 u16be u16le u32be u32le   a length of so many bits, then as many bytes
 *            line nul delimiter       bytes up to a mark: a line's end, a NUL, or any bytes
 *            websocket                messages of RFC 6455, behind a handshake
 *            S and L are u16be and u32be as gates of old know them: without empty frames.
 * Threads    [any]; constant once it is set up. Included by modules: all functions are inline. */
#ifndef FRAMING_H
#define FRAMING_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The longest frame, unless an option says otherwise: under 16 MiB, as gates of old had it. It
 * keeps one client from filling the memory. */
#define FRAMING_MAX_FRAME ((UINT32_C(1) << 24) - 1)
/* What an option may say. */
#define FRAMING_MAX_FRAME_LIMIT ((UINT32_C(1) << 31) - 1)
#define FRAMING_DELIMITER_MAX 16
/* The longest head of a frame: that of a websocket. */
#define FRAMING_HEAD_MAX 10
/* The frame that ends a websocket. */
#define FRAMING_OPCODE_CLOSE 8

enum framing_kind {
	FRAMING_RAW,
	FRAMING_LENGTH,
	FRAMING_DELIMITER,
	FRAMING_WEBSOCKET,
};

struct framing {
	enum framing_kind kind;
	uint32_t max_frame;    /* bytes of the longest frame that is read */
	bool skips_empty;      /* frames without bytes are not handed on */
	uint8_t header_bytes;  /* LENGTH: 1, 2 or 4 */
	bool is_little_endian; /* LENGTH: of more than one byte */
	bool strips_return;    /* DELIMITER: a CR in front of it belongs to it */
	bool takes_delimiter;  /* DELIMITER: which one, an option says */
	bool sends_text;       /* WEBSOCKET: what is sent is text, not binary */
	uint8_t delimiter_size;
	char delimiter[FRAMING_DELIMITER_MAX];
};

/* Sets up a framing. Returns false for a name that is none. A `delimiter` needs its option. */
static inline bool
framing_choose(struct framing *framing, const char *name)
{
	static const struct {
		char name[10];
		struct framing framing;
	} all[] = {
		{"S", {.kind = FRAMING_LENGTH, .header_bytes = 2, .skips_empty = true}},
		{"L", {.kind = FRAMING_LENGTH, .header_bytes = 4, .skips_empty = true}},
		{"raw", {.kind = FRAMING_RAW}},
		{"u8", {.kind = FRAMING_LENGTH, .header_bytes = 1}},
		{"u16be", {.kind = FRAMING_LENGTH, .header_bytes = 2}},
		{"u16le", {.kind = FRAMING_LENGTH, .header_bytes = 2, .is_little_endian = true}},
		{"u32be", {.kind = FRAMING_LENGTH, .header_bytes = 4}},
		{"u32le", {.kind = FRAMING_LENGTH, .header_bytes = 4, .is_little_endian = true}},
		{"line",
		 {.kind = FRAMING_DELIMITER,
		  .strips_return = true,
		  .delimiter_size = 1,
		  .delimiter = "\n"}},
		{"nul", {.kind = FRAMING_DELIMITER, .delimiter_size = 1}},
		{"delimiter", {.kind = FRAMING_DELIMITER, .takes_delimiter = true}},
		{"websocket", {.kind = FRAMING_WEBSOCKET}},
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (strcmp(all[i].name, name) != 0)
			continue;
		*framing = all[i].framing;
		framing->max_frame = FRAMING_MAX_FRAME;
		return true;
	}
	return false;
}

/* Whether everything is said that has to be. */
static inline bool
framing_is_complete(const struct framing *framing)
{
	return framing->kind != FRAMING_DELIMITER || framing->delimiter_size > 0;
}

static inline bool
framing_parse_flag(const char *value, bool *flag)
{
	if ((value[0] != '0' && value[0] != '1') || value[1] != '\0')
		return false;
	*flag = value[0] == '1';
	return true;
}

static inline bool
framing_parse_max(const char *value, uint32_t *max)
{
	char *end;
	errno = 0;
	unsigned long number = strtoul(value, &end, 10);
	if (errno != 0 || end == value || *end != '\0' || *value == '-' || number == 0 ||
	    number > FRAMING_MAX_FRAME_LIMIT)
		return false;
	*max = (uint32_t)number;
	return true;
}

/* What an option of a framing may be told. */
enum framing_option {
	FRAMING_OPTION_SET,
	FRAMING_OPTION_UNKNOWN, /* no option of framings, or not of this one */
	FRAMING_OPTION_WRONG,	/* its value */
};

static inline enum framing_option
framing_option_result(bool is_right)
{
	return is_right ? FRAMING_OPTION_SET : FRAMING_OPTION_WRONG;
}

/* Sets an option: max_frame, empty, delimiter, text. The value is `size` bytes, with a NUL behind
 * them. */
static inline enum framing_option
framing_set(struct framing *framing, const char *key, const char *value, size_t size)
{
	bool flag = false;
	if (strcmp(key, "max_frame") == 0)
		return framing_option_result(framing_parse_max(value, &framing->max_frame));
	if (strcmp(key, "empty") == 0) {
		bool is_right = framing_parse_flag(value, &flag);
		framing->skips_empty = !flag;
		return framing_option_result(is_right);
	}
	if (strcmp(key, "text") == 0 && framing->kind == FRAMING_WEBSOCKET)
		return framing_option_result(framing_parse_flag(value, &framing->sends_text));
	if (strcmp(key, "delimiter") == 0 && framing->takes_delimiter) {
		if (size == 0 || size > FRAMING_DELIMITER_MAX)
			return FRAMING_OPTION_WRONG;
		memcpy(framing->delimiter, value, size);
		framing->delimiter_size = (uint8_t)size;
		return FRAMING_OPTION_SET;
	}
	return FRAMING_OPTION_UNKNOWN;
}

/* The most bytes that a frame which is sent may have. */
static inline uint64_t
framing_longest(const struct framing *framing)
{
	if (framing->kind != FRAMING_LENGTH)
		return SIZE_MAX / 2;
	return (UINT64_C(1) << (8 * framing->header_bytes)) - 1;
}

/* Writes a length of so many bytes. */
static inline void
framing_put_number(unsigned char *at, uint64_t number, size_t bytes, bool is_little_endian)
{
	for (size_t i = 0; i < bytes; i++)
		at[is_little_endian ? i : bytes - 1 - i] = (unsigned char)(number >> (8 * i));
}

/* The head of a websocket frame that a server sends: a whole message. */
static inline size_t
framing_put_websocket(unsigned char *head, uint8_t opcode, size_t size)
{
	head[0] = 0x80 | opcode;
	if (size < 126) {
		head[1] = (unsigned char)size;
		return 2;
	}
	size_t bytes = size <= UINT16_MAX ? 2 : 8;
	head[1] = bytes == 2 ? 126 : 127;
	framing_put_number(head + 2, size, bytes, false);
	return 2 + bytes;
}

/* Writes what stands in front of a frame of `size` bytes. Returns how many bytes that are. */
static inline size_t
framing_put_head(const struct framing *framing, size_t size, unsigned char head[FRAMING_HEAD_MAX])
{
	if (framing->kind == FRAMING_WEBSOCKET)
		return framing_put_websocket(head, framing->sends_text ? 1 : 2, size);
	if (framing->kind != FRAMING_LENGTH)
		return 0;
	framing_put_number(head, size, framing->header_bytes, framing->is_little_endian);
	return framing->header_bytes;
}

/* Replaces each %HH of a text by the byte it means, in place. Returns how many bytes there are now,
 * with a NUL behind them; or -1, and the text is as it was up to the wrong place. */
static inline ptrdiff_t
framing_decode(char *text)
{
	char *to = text;
	for (const char *from = text; *from != '\0'; from++) {
		if (*from != '%') {
			*to++ = *from;
			continue;
		}
		static const char digits[] = "0123456789abcdef0123456789ABCDEF";
		const char *high = from[1] != '\0' ? strchr(digits, from[1]) : NULL;
		const char *low = high != NULL && from[2] != '\0' ? strchr(digits, from[2]) : NULL;
		if (low == NULL)
			return -1;
		*to++ = (char)(((high - digits) & 15) << 4 | ((low - digits) & 15));
		from += 2;
	}
	*to = '\0';
	return to - text;
}

#endif
