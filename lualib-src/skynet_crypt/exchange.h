/* exchange.h: what the login dialogue agrees on a secret with, and signs with: a Diffie-Hellman
 * exchange of 64 bits, and hashes of 64 bits.
 *
 * A secret of 64 bits keeps out who guesses, not who computes: what is worth more goes over TLS.
 * Numbers of 8 bytes are little-endian.
 * Threads    [any]
 */
#ifndef CRYPT_EXCHANGE_H
#define CRYPT_EXCHANGE_H

#include <stddef.h>
#include <stdint.h>

/* The modulus: the greatest prime number of 64 bits. */
#define EXCHANGE_PRIME UINT64_C(0xffffffffffffffc5)
/* What is raised to a private number to become public. */
#define EXCHANGE_BASE UINT64_C(5)

uint64_t exchange_load(const char bytes[8]);
void exchange_store(uint64_t number, char bytes[8]);

/* base to the power of exponent, modulo the prime. Takes as long for every exponent. */
uint64_t exchange_power(uint64_t base, uint64_t exponent);

/* The hash of a text that makes a key of it. */
uint64_t exchange_hash(const char *text, size_t size);

/* A hash of two numbers: one of them the challenge, the other the secret. */
uint64_t exchange_sign(uint64_t x, uint64_t y);

/* Another, made of a whole MD5. */
uint64_t exchange_sign_md5(uint64_t x, uint64_t y);

#endif
