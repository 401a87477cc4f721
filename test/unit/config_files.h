/* config_files.h: config files, as texts in a folder of the test, and what comes of loading
 * them. */
#ifndef CONFIG_FILES_H
#define CONFIG_FILES_H

#include "sk_config.h"
#include "sk_config_text.h"

#include "unit.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ERROR_SIZE 1024
#define WARNINGS_SIZE 4096

/* The test's working directory, removed with all its files at the end. */
static char folder[] = "/tmp/config_test-XXXXXX";

/* What a load has left. */
struct loaded {
	struct sk_env *env;
	int result;
	char error[ERROR_SIZE];
	char warnings[WARNINGS_SIZE];
};

static inline int
enter_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) != NULL && chdir(folder) == 0 ? 0 : -1;
}

static inline int
remove_folder(void **state)
{
	(void)state;
	char command[sizeof(folder) + 16];
	(void)snprintf(command, sizeof(command), "rm -r '%s'", folder);
	return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

static inline void
write_bytes(const char *path, const char *bytes, size_t length)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, length, file), length);
	assert_int_equal(fclose(file), 0);
}

static inline void
write_file(const char *path, const char *text)
{
	write_bytes(path, text, strlen(text));
}

static inline void
load_file(struct loaded *l, const char *path, const struct sk_config_override *overrides,
	  size_t override_count)
{
	memset(l, 0, sizeof(*l));
	l->env = sk_env_new();
	FILE *warnings = fmemopen(l->warnings, sizeof(l->warnings), "w");
	assert_non_null(warnings);
	l->result = sk_config_load(l->env, path, overrides, override_count, warnings, l->error,
				   sizeof(l->error));
	assert_int_equal(fclose(warnings), 0);
	assert_int_equal(l->result != SK_OK, l->error[0] != '\0');
	assert_null(strpbrk(l->error, "\r\n\t"));
}

static inline void
load(struct loaded *l, const char *text)
{
	write_file("config.lua", text);
	load_file(l, "config.lua", NULL, 0);
}

static inline void
unload(struct loaded *l)
{
	sk_env_free(l->env);
	l->env = NULL;
}

static inline void
expect(const char *text, const char *key, const char *value)
{
	struct loaded l;
	load(&l, text);
	assert_string_equal(l.error, "");
	if (value != NULL)
		assert_string_equal(sk_env_get(l.env, key), value);
	else
		assert_null(sk_env_get(l.env, key));
	unload(&l);
}

/* The error must have this in it. */
static inline void
expect_error(const char *text, const char *part)
{
	struct loaded l;
	load(&l, text);
	if (strstr(l.error, part) == NULL)
		fail_msg("no \"%s\" in the error \"%s\"", part, l.error);
	assert_int_equal(l.result, SK_EINVAL);
	unload(&l);
}

static inline void
expect_warnings(const char *text, const char *warnings)
{
	struct loaded l;
	load(&l, text);
	assert_string_equal(l.error, "");
	assert_string_equal(l.warnings, warnings);
	unload(&l);
}

#endif
