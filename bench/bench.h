/* bench.h: what the programs and services of the benchmarks share: a clock, the size of the
 * process, the framing, and the line that reports a result.
 *
 * Model      A frame is two bytes of length, big endian, and as many bytes of payload.
 * Threads    everything may be called from any thread.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define FRAME_HEADER 2

/* Calls between two looks at the clock, so that the look does not count. */
#define CLOCK_STRIDE 4096

static inline uint64_t
now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Resident memory of this process. Returns 0 when the system does not tell. */
static inline uint64_t
resident_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	unsigned long total = 0, resident = 0;
	if (file == NULL)
		return 0;
	if (fscanf(file, "%lu %lu", &total, &resident) != 2)
		resident = 0;
	(void)fclose(file); /* it was only read */
	return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* How many of these bytes are whole frames. */
static inline size_t
whole_frames(const unsigned char *bytes, size_t size)
{
	size_t whole = 0;
	while (size - whole >= FRAME_HEADER) {
		size_t frame = FRAME_HEADER + ((size_t)bytes[whole] << 8 | bytes[whole + 1]);
		if (size - whole < frame)
			break;
		whole += frame;
	}
	return whole;
}

static inline int
compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* The middle one of some figures, which are sorted; 0 if there are none. */
static inline double
median(double *figures, size_t count)
{
	qsort(figures, count, sizeof *figures, compare_doubles);
	return count > 0 ? figures[count / 2] : 0;
}

/* Reads a positive number from the command line or a launch parameter, or ends the process. */
static inline double
positive_number(const char *what, const char *text)
{
	double value = text ? strtod(text, NULL) : 0;
	if (!(value > 0)) {
		fprintf(stderr, "%s must be a number above 0, not '%s'\n", what, text ? text : "");
		exit(2);
	}
	return value;
}

#endif
