/* sk_test_process.h: a process of this program that runs one test case, and what it prints.
 *
 * Model      It runs as a node whose start service is `test_runner`; its stdout and stderr come
 *            here, line by line.
 * Life       start, then attend as often as its fd can be read, until that returns false; then end.
 * Threads    [boot]
 * Memory     the process owns its texts; free releases them.
 */
#ifndef SK_TEST_PROCESS_H
#define SK_TEST_PROCESS_H

#include "sk_base.h"
#include "sk_options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Bytes that are collected, with a NUL behind them. Zeroed: empty. */
struct sk_text {
	char *bytes; /* NULL: empty */
	size_t size;
	size_t capacity;
};

void sk_text_add(struct sk_text *text, const char *bytes, size_t size);
void sk_text_set(struct sk_text *text, const char *string);
const char *sk_text_get(const struct sk_text *text);

struct sk_test_process {
	pid_t pid;
	int fd;		     /* what it prints */
	struct sk_text line; /* an incomplete one */
};

/* Which case of which file, with which seed. */
struct sk_test_job {
	const char *path;
	uint64_t seed;
	const char *case_name; /* NULL: only lists the cases */
};

/* Starts one. Returns 0, or an error number. */
SK_MUST_CHECK int sk_test_process_start(struct sk_test_process *process,
					const struct sk_options *options,
					const struct sk_test_job *job);

/* Reads what is there, and calls take_line for each complete line. Returns false when there will be
 * no more; the last one, if incomplete, has been taken then. */
bool sk_test_process_attend(struct sk_test_process *process,
			    void (*take_line)(void *owner, const char *line), void *owner);

/* Waits for its end, after attend has returned false. Returns its status, as of waitpid. */
int sk_test_process_end(struct sk_test_process *process);
void sk_test_process_kill(struct sk_test_process *process);
void sk_test_process_free(struct sk_test_process *process);

#endif
