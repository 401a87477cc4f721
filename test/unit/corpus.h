/* corpus.h: runs a fuzz target over its corpus, a text file with one input in hex a line. */
#ifndef CORPUS_H
#define CORPUS_H

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Inputs are at most 256 bytes long. */
#define CORPUS_LINE_MAX 1024

/* Each input is a block of its own size, so that the address sanitizer sees reads beyond it.
 * Returns how many there were. */
static inline int
corpus_run(const char *path, int (*target)(const uint8_t *data, size_t size))
{
	char line[CORPUS_LINE_MAX];
	int count = 0;
	FILE *corpus = fopen(path, "re");
	assert_non_null(corpus);
	for (; fgets(line, sizeof line, corpus); count++) {
		size_t size = strcspn(line, "\n") / 2;
		uint8_t *data = malloc(size ? size : 1);
		assert_non_null(data);
		for (size_t i = 0; i < size; i++) {
			char byte[3] = {line[2 * i], line[2 * i + 1], '\0'};
			data[i] = (uint8_t)strtoul(byte, NULL, 16);
		}
		(void)target(data, size);
		free(data);
	}
	(void)fclose(corpus); /* only read from */
	return count;
}

#endif
