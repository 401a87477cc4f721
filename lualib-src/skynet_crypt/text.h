/* text.h: bytes as text, in hexadecimal and base64 (RFC 4648, section 4).
 *
 * Threads    [any]
 * Memory     borrows what it reads; writes into what the caller has made large enough.
 */
#ifndef CRYPT_TEXT_H
#define CRYPT_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* How many characters size bytes become. */
size_t text_hex_size(size_t size);
size_t text_base64_size(size_t size);

/* Writes so many characters. Lower-case digits; the standard alphabet, padded with '='. */
void text_hex_encode(const char *bytes, size_t size, char *text);
void text_base64_encode(const char *bytes, size_t size, char *text);

/* Reads pairs of digits, lower-case. Writes size / 2 bytes at most.
 * Returns how many it wrote, or -1: the number of digits is odd, or one is none. */
ptrdiff_t text_hex_decode(const char *text, size_t size, char *bytes);

/* Skips what is not of the alphabet; the '=' at the end may be missing. Writes at most
 * text_base64_room(size) bytes.
 * Returns how many it wrote, or -1: something follows the '=', or the last bits are of no byte. */
ptrdiff_t text_base64_decode(const char *text, size_t size, char *bytes);
size_t text_base64_room(size_t size);

#endif
