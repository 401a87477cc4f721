/* sk_settings.h: what a config file sets, before anybody has judged it.
 *
 * Model      The file is Lua text (sk_config_text.h) that runs in an environment with nothing in it
 *            but `include`; each global variable it leaves behind is one setting. `include "file"`
 *            runs another file into the same settings, relative to the folder of the including one.
 *            A file cannot hold up the start: its steps, its memory, and the number and depth of
 *            its includes are limited.
 * Threads    [boot]
 * Memory     sk_settings_fini releases what read and put have given; all texts are copied.
 */
#ifndef SK_SETTINGS_H
#define SK_SETTINGS_H

#include "sk_base.h"

#include <stddef.h>

enum sk_setting_type {
	SK_SETTING_TEXT,
	SK_SETTING_NUMBER,
	SK_SETTING_BOOLEAN,
};

struct sk_setting {
	char *key;
	char *value; /* as Lua's tostring writes it */
	char *where; /* "FILE:LINE: " of the last assignment, to begin an error with */
	enum sk_setting_type type;
};

/* In the order in which the keys were first set; no key stands in it twice. */
struct sk_settings {
	struct sk_setting *items;
	size_t count;
	size_t cap_slots;
};

/* Runs the file. settings: empty. Returns 0, or SK_EINVAL with one line in error that names file
 * and line; what was read until then is only to be released. */
SK_MUST_CHECK int sk_settings_read(struct sk_settings *settings, const char *path, char *error,
				   size_t error_size);
/* Adds a setting, or replaces the one with that key. */
void sk_settings_put(struct sk_settings *settings, const char *key, const char *value,
		     enum sk_setting_type type, const char *where);
/* Returns the setting, valid until the next put, or NULL. */
struct sk_setting *sk_settings_find(const struct sk_settings *settings, const char *key);
void sk_settings_fini(struct sk_settings *settings);

#endif
