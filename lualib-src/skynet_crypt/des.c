/* des.c: texts encrypted with single DES, block by block.
 *
 * Of OpenSSL the old functions for DES are used: in its newer interface single DES is a part of
 * the provider "legacy", which some systems leave out of the installation.
 */
#define OPENSSL_API_COMPAT 0x10100000L /* declares them without a warning */

#include "des.h"

#include <openssl/crypto.h>
#include <openssl/des.h>
#include <string.h>

/* Sets the schedule of a key. The caller cleans it when done: it is as secret as the key. */
static void
set_key(DES_key_schedule *schedule, const char key[DES_BYTES])
{
	DES_cblock copy;
	memcpy(copy, key, sizeof copy);
	DES_set_key_unchecked(&copy, schedule);
	OPENSSL_cleanse(copy, sizeof copy);
}

/* Runs one block through the cipher. to: may be the same as from. */
static void
run_block(DES_key_schedule *schedule, const char *from, char *to, int direction)
{
	DES_cblock in, out;
	memcpy(in, from, sizeof in);
	DES_ecb_encrypt(&in, &out, schedule, direction);
	memcpy(to, out, sizeof out);
}

size_t
des_size(size_t size)
{
	return (size / DES_BYTES + 1) * DES_BYTES;
}

/* Fills a block behind its first size bytes, of which it has fewer than a whole block. */
static void
fill(char block[DES_BYTES], size_t size, enum des_padding padding)
{
	size_t missing = DES_BYTES - size;
	switch (padding) {
	case DES_PADDING_ISO7816_4:
		memset(block + size, 0, missing);
		block[size] = (char)0x80;
		break;
	case DES_PADDING_PKCS7:
		memset(block + size, (int)missing, missing);
		break;
	}
}

/* How many bytes of a block are text, or -1. */
static ptrdiff_t
text_of(const char block[DES_BYTES], enum des_padding padding)
{
	char expected[DES_BYTES];
	for (size_t size = 0; size < DES_BYTES; size++) {
		memcpy(expected, block, size);
		fill(expected, size, padding);
		if (memcmp(expected, block, DES_BYTES) == 0)
			return (ptrdiff_t)size;
	}
	return -1;
}

void
des_encode(const char key[DES_BYTES], enum des_padding padding, const char *text, size_t size,
	   char *encrypted)
{
	DES_key_schedule schedule;
	set_key(&schedule, key);
	for (; size >= DES_BYTES; size -= DES_BYTES, text += DES_BYTES, encrypted += DES_BYTES)
		run_block(&schedule, text, encrypted, DES_ENCRYPT);
	char last[DES_BYTES];
	memcpy(last, text, size);
	fill(last, size, padding);
	run_block(&schedule, last, encrypted, DES_ENCRYPT);
	OPENSSL_cleanse(last, sizeof last);
	OPENSSL_cleanse(&schedule, sizeof schedule);
}

ptrdiff_t
des_decode(const char key[DES_BYTES], enum des_padding padding, const char *encrypted, size_t size,
	   char *text)
{
	DES_key_schedule schedule;
	set_key(&schedule, key);
	for (size_t i = 0; i < size; i += DES_BYTES)
		run_block(&schedule, encrypted + i, text + i, DES_DECRYPT);
	OPENSSL_cleanse(&schedule, sizeof schedule);
	ptrdiff_t rest = text_of(text + size - DES_BYTES, padding);
	return rest < 0 ? -1 : (ptrdiff_t)size - DES_BYTES + rest;
}
