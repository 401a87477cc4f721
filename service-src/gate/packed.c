/* packed.c: see packed.h. A value begins with a byte: 3 bits kind, 5 bits that say how the rest is
 * written. Lengths and numbers are in the host's byte order, as all of the format. */
#include "packed.h"

#include <string.h>

#define KIND_NUMBER 2
#define KIND_SHORT_STRING 4
#define KIND_LONG_STRING 5
#define SHORT_STRING_MAX 31

static char
first_byte(unsigned kind, unsigned how)
{
	return (char)(kind | how << 3);
}

size_t
gate_packed_string_head(char *at, size_t size)
{
	if (size <= SHORT_STRING_MAX) {
		at[0] = first_byte(KIND_SHORT_STRING, (unsigned)size);
		return 1;
	}
	uint16_t short_size = (uint16_t)size;
	uint32_t long_size = (uint32_t)size;
	bool is_short = size <= UINT16_MAX;
	at[0] = first_byte(KIND_LONG_STRING, is_short ? 2 : 4);
	if (is_short)
		memcpy(at + 1, &short_size, sizeof(short_size));
	else
		memcpy(at + 1, &long_size, sizeof(long_size));
	return 1 + (is_short ? sizeof(short_size) : sizeof(long_size));
}

size_t
gate_packed_string(char *at, const char *text, size_t size)
{
	size_t head = gate_packed_string_head(at, size);
	if (size > 0)
		memcpy(at + head, text, size);
	return head + size;
}

size_t
gate_packed_number(char *at, uint32_t number)
{
	uint8_t byte = (uint8_t)number;
	uint16_t word = (uint16_t)number;
	size_t size = number == 0 ? 0 : number <= UINT8_MAX ? 1 : number <= UINT16_MAX ? 2 : 4;
	at[0] = first_byte(KIND_NUMBER, (unsigned)size);
	if (size == sizeof(byte))
		memcpy(at + 1, &byte, size);
	else if (size == sizeof(word))
		memcpy(at + 1, &word, size);
	else if (size == sizeof(number))
		memcpy(at + 1, &number, size); /* at most 2^31-1: it is read as a signed one */
	return 1 + size;
}

bool
gate_packed_read_string(const char *message, size_t message_size, const char **text, size_t *size)
{
	if (message_size == 0)
		return false;
	unsigned kind = (unsigned char)message[0] & 7, how = (unsigned char)message[0] >> 3;
	uint16_t short_size = 0;
	size_t head = 1;
	if (kind == KIND_SHORT_STRING) {
		*size = how;
	} else if (kind == KIND_LONG_STRING && how == 2 && message_size > sizeof(short_size)) {
		memcpy(&short_size, message + 1, sizeof(short_size));
		*size = short_size;
		head += sizeof(short_size);
	} else {
		return false; /* longer ones are no commands */
	}
	*text = message + head;
	return message_size - head == *size;
}
