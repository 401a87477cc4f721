/* sk_options.h: the command line.
 *
 * Threads    [boot]
 * Memory     The texts in struct sk_options lie in argv, but for the overrides, which
 *            sk_options_fini releases.
 */
#ifndef SK_OPTIONS_H
#define SK_OPTIONS_H

#include "sk_base.h"
#include "sk_config.h"

#include <stddef.h>
#include <stdio.h>

enum sk_options_action {
	SK_OPTIONS_RUN,
	SK_OPTIONS_CHECK,
	SK_OPTIONS_HELP,
	SK_OPTIONS_KEYS,
	SK_OPTIONS_VERSION,
	SK_OPTIONS_NOTHING, /* nothing was asked for */
};

struct sk_options {
	enum sk_options_action action;
	const char *config_path; /* of RUN and CHECK */
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
