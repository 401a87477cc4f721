/* sk_config_text.h: the text of one config file, with $NAME replaced by environment variables.
 *
 * Model      $NAME (letters, digits, '_') stands for the environment variable NAME wherever it
 *            stands outside of Lua comments; the value is put in as it is, as if it had been typed
 *            there. A first line that begins with '#' is a comment, so a config may be executable.
 * Threads    [boot]: reads the environment of the process
 * Memory     sk_config_text_init gives; release with sk_config_text_fini.
 */
#ifndef SK_CONFIG_TEXT_H
#define SK_CONFIG_TEXT_H

#include "sk_base.h"

#include <stddef.h>

/* A config sets a few dozen values; what is larger is something else, perhaps endless. */
#define SK_CONFIG_TEXT_MAX (1024 * 1024)

struct sk_config_text {
	char *text; /* NUL behind it */
	size_t length;
};

/* Reads the file. Returns 0, or SK_EINVAL with one line in error that names the file; there is then
 * nothing to release. */
SK_MUST_CHECK int sk_config_text_init(struct sk_config_text *t, const char *path, char *error,
				      size_t error_size);
/* Replaces in source[0..length). path: for errors. Otherwise as sk_config_text_init. */
SK_MUST_CHECK int sk_config_text_expand(struct sk_config_text *t, const char *path,
					const char *source, size_t length, char *error,
					size_t error_size);
void sk_config_text_fini(struct sk_config_text *t);

#endif
