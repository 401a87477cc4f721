/* sk_random.h: random numbers that a seed decides: what a simulated node draws its choices from.
 *
 * Model      xoshiro256** 1.0 (D. Blackman, S. Vigna: Scrambled Linear Pseudorandom Number
 *            Generators, 2021), its state filled by splitmix64 (G. Steele, D. Lea, C. Flood: Fast
 *            Splittable Pseudorandom Number Generators, 2014). Equal seeds give equal numbers on
 *            every machine. Not for secrets.
 * Threads    the caller's: a generator has no lock.
 */
#ifndef SK_RANDOM_H
#define SK_RANDOM_H

#include <stdint.h>

struct sk_random {
	uint64_t state[4];
};

/* stream: generators of one seed that are to draw different numbers have different ones. */
void sk_random_init(struct sk_random *random, uint64_t seed, uint64_t stream);
/* 64 random bits. */
uint64_t sk_random_next(struct sk_random *random);
/* A number from 0 to limit - 1. limit: at least 1. */
uint32_t sk_random_below(struct sk_random *random, uint32_t limit);

#endif
