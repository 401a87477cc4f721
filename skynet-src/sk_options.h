/* sk_options.h: the command line.
 *
 * Threads    [boot]
 * Memory     The texts in struct sk_options lie in argv, but for those of the overrides, which
 *            sk_options_fini releases, together with the lists.
 */
#ifndef SK_OPTIONS_H
#define SK_OPTIONS_H

#include "sk_base.h"
#include "sk_config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum sk_options_action {
	SK_OPTIONS_RUN,
	SK_OPTIONS_CHECK,
	SK_OPTIONS_TEST,
	SK_OPTIONS_HELP,
	SK_OPTIONS_KEYS,
	SK_OPTIONS_VERSION,
	SK_OPTIONS_NOTHING, /* nothing was asked for */
};

/* What goes with --test; see sk_tests.h. */
struct sk_test_options {
	const char **paths; /* of files and folders */
	size_t path_count;
	uint64_t seed; /* the first one */
	uint64_t seed_count;
	uint64_t jobs;	  /* runs at a time; 0: as many as there are processors */
	const char *only; /* cases with this in their name; NULL: all */
	bool is_real;	  /* real time and all workers, instead of a simulated node */
	bool shows_cases;
	bool shows_log;
};

struct sk_options {
	enum sk_options_action action;
	const char *program;	 /* how this one was called */
	const char *config_path; /* of RUN and CHECK; of TEST: may be NULL */
	struct sk_test_options test;
	struct sk_config_override *overrides;
	size_t override_count;
};

/* Returns 0, or SK_EINVAL with one line in error and nothing to release. */
SK_MUST_CHECK int sk_options_init(struct sk_options *options, int argc, char **argv, char *error,
				  size_t error_size);
void sk_options_fini(struct sk_options *options);

/* Writes the help. */
void sk_options_describe(FILE *out);

#endif
