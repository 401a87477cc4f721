/* text.c: bytes as text, in hexadecimal and base64. */
#include "text.h"

#include <stdint.h>

static const char hex_digits[] = "0123456789abcdef";
static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t
text_hex_size(size_t size)
{
	return 2 * size;
}

void
text_hex_encode(const char *bytes, size_t size, char *text)
{
	for (size_t i = 0; i < size; i++) {
		uint8_t byte = (uint8_t)bytes[i];
		*text++ = hex_digits[byte >> 4];
		*text++ = hex_digits[byte & 0xf];
	}
}

/* The value of a digit, or -1. */
static int
hex_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'a' && digit <= 'f')
		return digit - 'a' + 10;
	return -1;
}

ptrdiff_t
text_hex_decode(const char *text, size_t size, char *bytes)
{
	if (size % 2 != 0)
		return -1;
	for (size_t i = 0; i < size; i += 2) {
		int high = hex_value(text[i]);
		int low = hex_value(text[i + 1]);
		if (high < 0 || low < 0)
			return -1;
		*bytes++ = (char)(high << 4 | low);
	}
	return (ptrdiff_t)(size / 2);
}

size_t
text_base64_size(size_t size)
{
	return (size / 3 + (size % 3 != 0)) * 4;
}

/* Writes the four characters of up to three bytes. */
static void
encode_group(const char *bytes, size_t size, char *text)
{
	uint32_t bits = 0;
	for (size_t i = 0; i < 3; i++)
		bits = bits << 8 | (i < size ? (uint8_t)bytes[i] : 0);
	for (size_t i = 0; i < 4; i++)
		text[i] = i <= size ? base64_digits[bits >> (18 - 6 * i) & 0x3f] : '=';
}

void
text_base64_encode(const char *bytes, size_t size, char *text)
{
	for (; size >= 3; size -= 3, bytes += 3, text += 4)
		encode_group(bytes, 3, text);
	if (size > 0)
		encode_group(bytes, size, text);
}

/* The value of a character of the alphabet, or -1. */
static int
base64_value(char digit)
{
	if (digit >= 'A' && digit <= 'Z')
		return digit - 'A';
	if (digit >= 'a' && digit <= 'z')
		return digit - 'a' + 26;
	if (digit >= '0' && digit <= '9')
		return digit - '0' + 52;
	if (digit == '+')
		return 62;
	return digit == '/' ? 63 : -1;
}

size_t
text_base64_room(size_t size)
{
	return size / 4 * 3 + 3;
}

ptrdiff_t
text_base64_decode(const char *text, size_t size, char *bytes)
{
	const char *start = bytes;
	uint32_t bits = 0;
	unsigned bit_count = 0;
	bool is_ended = false;
	for (size_t i = 0; i < size; i++) {
		int value = base64_value(text[i]);
		if (text[i] == '=')
			is_ended = true;
		if (value < 0)
			continue;
		if (is_ended)
			return -1;
		bits = bits << 6 | (uint32_t)value;
		bit_count += 6;
		if (bit_count >= 8) {
			bit_count -= 8;
			*bytes++ = (char)(bits >> bit_count);
			bits &= (1u << bit_count) - 1;
		}
	}
	/* A last character alone has six bits, too few for a byte. */
	return bits != 0 || bit_count == 6 ? -1 : bytes - start;
}
