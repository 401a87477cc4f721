/* exchange.c: arithmetic modulo a prime number of 64 bits, and hashes of two such numbers.
 *
 * The prime is 2^64 - 59, so 2^64 is 59: of a product of 128 bits, the upper half times 59 is
 * added to the lower half. No step of this asks what the numbers are.
 */
#define OPENSSL_API_COMPAT 0x10100000L /* MD5 as it was: one block alone */

#include "exchange.h"

#include <openssl/md5.h>
#include <string.h>

__extension__ typedef unsigned __int128 uint128_t;

uint64_t
exchange_load(const char bytes[8])
{
	uint64_t number = 0;
	for (int i = 7; i >= 0; i--)
		number = number << 8 | (uint8_t)bytes[i];
	return number;
}

void
exchange_store(uint64_t number, char bytes[8])
{
	for (int i = 0; i < 8; i++)
		bytes[i] = (char)(number >> 8 * i);
}

/* The mask of all bits if the condition is 1, and none if it is 0. */
static uint64_t
mask(uint64_t condition)
{
	return 0 - condition;
}

/* a times b modulo the prime, for any two numbers of 64 bits. */
static uint64_t
multiply(uint64_t a, uint64_t b)
{
	uint128_t product = (uint128_t)a * b;
	for (int i = 0; i < 2;
	     i++) /* under 2^70 after the first, under 2^64 + 2^12 after the second */
		product = (product >> 64) * (0 - EXCHANGE_PRIME) + (uint64_t)product;
	uint64_t high = (uint64_t)(product >> 64);
	uint64_t low = (uint64_t)product + (mask(high) & (0 - EXCHANGE_PRIME));
	return low - (mask(low >= EXCHANGE_PRIME) & EXCHANGE_PRIME);
}

uint64_t
exchange_power(uint64_t base, uint64_t exponent)
{
	uint64_t power = 1;
	for (int i = 63; i >= 0; i--) {
		power = multiply(power, power);
		uint64_t product = multiply(power, base);
		uint64_t is_set = mask(exponent >> i & 1);
		power = (product & is_set) | (power & ~is_set);
	}
	return power;
}

uint64_t
exchange_hash(const char *text, size_t size)
{
	uint32_t low = 5381;
	uint32_t high = 1315423911;
	for (size_t i = 0; i < size; i++) {
		uint32_t byte = (uint8_t)text[i];
		low = low * 33 + byte;
		high ^= (high << 5) + byte + (high >> 2);
	}
	return (uint64_t)high << 32 | low;
}

/* One step of MD5 over a block, from its start values; what the step adds at the end, the start
 * values, is taken away again. */
static void
compress(const char block[MD5_CBLOCK], uint32_t words[4])
{
	MD5_CTX start, context;
	MD5_Init(&start);
	context = start;
	MD5_Transform(&context, (const unsigned char *)block);
	words[0] = context.A - start.A;
	words[1] = context.B - start.B;
	words[2] = context.C - start.C;
	words[3] = context.D - start.D;
}

uint64_t
exchange_sign(uint64_t x, uint64_t y)
{
	char block[MD5_CBLOCK];
	for (size_t i = 0; i < sizeof block; i += 16) {
		exchange_store(x << 32 | x >> 32, block + i); /* the upper word first */
		exchange_store(y << 32 | y >> 32, block + i + 8);
	}
	uint32_t words[4];
	compress(block, words);
	return (uint64_t)(words[0] ^ words[1]) << 32 | (words[2] ^ words[3]);
}

uint64_t
exchange_sign_md5(uint64_t x, uint64_t y)
{
	char text[3 * 16];
	unsigned char digest[MD5_DIGEST_LENGTH];
	for (size_t i = 0; i < sizeof text; i += 16) {
		exchange_store(x, text + i);
		exchange_store(y, text + i + 8);
	}
	MD5_CTX context;
	MD5_Init(&context);
	MD5_Update(&context, text, sizeof text);
	MD5_Final(digest, &context);
	return exchange_load((char *)digest) ^ exchange_load((char *)digest + 8);
}
