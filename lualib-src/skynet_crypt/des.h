/* des.h: texts encrypted with single DES (FIPS 46-3) in ECB mode, always padded.
 *
 * Weak by the measure of today: for the protocols that ask for it, and for nothing new.
 * Threads    [any]
 */
#ifndef CRYPT_DES_H
#define CRYPT_DES_H

#include <stddef.h>

enum {
	DES_BYTES = 8, /* of a block, and of a key, whose parity bits are not looked at */
};

/* How the last block is filled; the numbers are those that Lua programs use. */
enum des_padding {
	DES_PADDING_ISO7816_4 = 0, /* 80, then zeros */
	DES_PADDING_PKCS7 = 1,	   /* each byte is the number of bytes */
};

/* The size of an encrypted text: one to eight bytes more, a number of whole blocks. */
size_t des_size(size_t size);

/* Encrypts a text into des_size(size) bytes. */
void des_encode(const char key[DES_BYTES], enum des_padding padding, const char *text, size_t size,
		char *encrypted);

/* Decrypts whole blocks, size bytes, of which there must be one at least, into as many.
 * Returns the size of the text that they are without the padding, or -1: this is no padding. */
ptrdiff_t des_decode(const char key[DES_BYTES], enum des_padding padding, const char *encrypted,
		     size_t size, char *text);

#endif
