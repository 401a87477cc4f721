/* sk_random.c: see sk_random.h. */
#include "sk_random.h"

/* 2^64 divided by the golden ratio: the step of splitmix64. */
#define SPLITMIX_STEP UINT64_C(0x9e3779b97f4a7c15)

static uint64_t
splitmix(uint64_t *state)
{
	uint64_t z = *state += SPLITMIX_STEP;
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

void
sk_random_init(struct sk_random *random, uint64_t seed, uint64_t stream)
{
	/* Through the mixer first: neighbouring seeds and streams must not meet. */
	uint64_t state = stream;
	state = seed ^ splitmix(&state);
	for (int i = 0; i < 4; i++)
		random->state[i] = splitmix(&state);
}

static uint64_t
rotate_left(uint64_t bits, int count)
{
	return bits << count | bits >> (64 - count);
}

uint64_t
sk_random_next(struct sk_random *random)
{
	uint64_t *s = random->state;
	uint64_t result = rotate_left(s[1] * 5, 7) * 9;
	uint64_t shifted = s[1] << 17;
	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= shifted;
	s[3] = rotate_left(s[3], 45);
	return result;
}

uint32_t
sk_random_below(struct sk_random *random, uint32_t limit)
{
	/* By multiplication; that some numbers are likelier by limit / 2^32 does not matter. */
	return (uint32_t)((sk_random_next(random) >> 32) * limit >> 32);
}
