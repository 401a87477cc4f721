/* packed.h: the few kinds of values of the "lua" message format that the gate speaks: strings and
 * numbers above 0. docs/lua-messages.md has the whole format.
 *
 * Threads    [any] */
#ifndef GATE_PACKED_H
#define GATE_PACKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most bytes that stand in front of a string's own. */
#define GATE_PACKED_STRING_HEAD 5
/* The most bytes of a number. */
#define GATE_PACKED_NUMBER 5

/* These write at `at`, and return how many bytes that were. */

size_t gate_packed_string_head(char *at, size_t size);
size_t gate_packed_string(char *at, const char *text, size_t size);
size_t gate_packed_number(char *at, uint32_t number);

/* Reads a message of one string, a view into it. Returns false if it is anything else. */
bool gate_packed_read_string(const char *message, size_t message_size, const char **text,
			     size_t *size);

#endif
