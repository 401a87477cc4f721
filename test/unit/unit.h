/* unit.h: what all unit tests share: cmocka with the headers it wants, and repeatable chance.
 * cmocka's assertions may only be used on the thread that runs the test: other threads note what
 * they found, and the test looks at it when it has joined them. */
#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A generator of random numbers (xorshift64*); the state is any number but 0. */
static inline uint64_t
unit_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(0x2545f4914f6cdd1d);
}

/* From 0 up to limit - 1. */
static inline uint32_t
unit_random_below(uint64_t *state, uint32_t limit)
{
	return (uint32_t)((unit_random(state) >> 32) * limit >> 32);
}

#endif
