/* sk_config_text.c: walks over Lua text just closely enough to tell comments from the rest.
 *
 * Outside of comments the text is code or a string, and both are handled alike but for where they
 * end: a quoted string at its quote (a backslash hides one) or at the end of its line, a long one
 * at its closing bracket. "--" begins a comment in code only. What is no valid Lua is none
 * afterwards either: nothing is added or removed but the names that are replaced.
 *
 * Threads  [boot]. The scanner lives on the stack of its caller. */
#include "sk_config_text.h"

#include "skynet.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct scanner {
	const char *path;
	const char *at;
	const char *end;
	int line;
	/* What has been written so far. */
	char *text;
	size_t length;
	size_t cap_bytes;
	/* Receives the line of the first failure. */
	char *error;
	size_t error_size;
};

/* Locale has no say in what a name is. */
static bool
is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

static bool
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static void
write_bytes(struct scanner *s, const char *bytes, size_t length)
{
	if (s->length + length + 1 > s->cap_bytes) {
		s->cap_bytes = (s->length + length + 1) * 2;
		s->text = skynet_realloc(s->text, s->cap_bytes);
	}
	memcpy(s->text + s->length, bytes, length);
	s->length += length;
	s->text[s->length] = '\0';
}

static void
copy_char(struct scanner *s)
{
	s->line += *s->at == '\n';
	write_bytes(s, s->at++, 1);
}

/* At a '$': writes the value of the variable, or the '$' when no name follows. */
static int
copy_variable(struct scanner *s)
{
	const char *name = s->at + 1;
	size_t length = 0;
	while (name + length < s->end && is_name_char(name[length]))
		length++;
	if (length == 0) {
		copy_char(s);
		return SK_OK;
	}
	char *key = skynet_malloc(length + 1);
	memcpy(key, name, length);
	key[length] = '\0';
	const char *value = getenv(key);
	if (value != NULL)
		write_bytes(s, value, strlen(value));
	else
		(void)snprintf(
			s->error, s->error_size,
			"%s:%d: the environment variable %s is not set; set it, or write \\x24 for "
			"a plain $ in a string",
			s->path, s->line, key);
	skynet_free(key);
	s->at = name + length;
	return value != NULL ? SK_OK : SK_EINVAL;
}

static int
copy_char_or_variable(struct scanner *s)
{
	if (*s->at == '$')
		return copy_variable(s);
	copy_char(s);
	return SK_OK;
}

static void
copy_line(struct scanner *s)
{
	while (s->at < s->end && *s->at != '\n')
		copy_char(s);
}

/* The level of the long bracket ("[[" 0, "[=[" 1 ...) that begins here, or -1. */
static int
long_bracket_level(const struct scanner *s)
{
	const char *at = s->at;
	if (at == s->end || *at++ != '[')
		return -1;
	int level = 0;
	for (; at < s->end && *at == '='; at++)
		level++;
	return at < s->end && *at == '[' ? level : -1;
}

static bool
is_at_closing(const struct scanner *s, int level)
{
	const char *at = s->at;
	if (*at++ != ']')
		return false;
	while (at < s->end && level > 0 && *at == '=') {
		at++;
		level--;
	}
	return level == 0 && at < s->end && *at == ']';
}

/* Copies a long string or comment without its closing bracket, which is harmless as code. */
static int
copy_long(struct scanner *s, int level, bool is_comment)
{
	int result = SK_OK;
	while (result == SK_OK && s->at < s->end && !is_at_closing(s, level)) {
		if (is_comment)
			copy_char(s);
		else
			result = copy_char_or_variable(s);
	}
	return result;
}

/* A backslash, and what would end the string without it. "\\z" hides all blanks that follow. */
static void
copy_escape(struct scanner *s)
{
	copy_char(s);
	if (s->at == s->end || *s->at == '$')
		return;
	bool hides_blanks = *s->at == 'z';
	copy_char(s);
	while (hides_blanks && s->at < s->end && is_blank(*s->at))
		copy_char(s);
}

static int
copy_quoted(struct scanner *s)
{
	char quote = *s->at;
	copy_char(s);
	int result = SK_OK;
	while (result == SK_OK && s->at < s->end && *s->at != quote && *s->at != '\n') {
		if (*s->at == '\\')
			copy_escape(s);
		else
			result = copy_char_or_variable(s);
	}
	if (result == SK_OK && s->at < s->end)
		copy_char(s);
	return result;
}

static int
copy_comment(struct scanner *s)
{
	copy_char(s);
	copy_char(s);
	int level = long_bracket_level(s);
	if (level >= 0)
		return copy_long(s, level, true);
	copy_line(s);
	return SK_OK;
}

static int
copy_token(struct scanner *s)
{
	if (*s->at == '"' || *s->at == '\'')
		return copy_quoted(s);
	if (*s->at == '-' && s->end - s->at > 1 && s->at[1] == '-')
		return copy_comment(s);
	int level = long_bracket_level(s);
	if (level >= 0)
		return copy_long(s, level, false);
	return copy_char_or_variable(s);
}

/* A byte order mark and a first line with '#' are no Lua. The line end stays, so that the lines
 * keep their numbers. */
static void
skip_head(struct scanner *s)
{
	static const char mark[] = "\xEF\xBB\xBF";
	if ((size_t)(s->end - s->at) >= sizeof(mark) - 1 &&
	    memcmp(s->at, mark, sizeof(mark) - 1) == 0)
		s->at += sizeof(mark) - 1;
	if (s->at < s->end && *s->at == '#')
		while (s->at < s->end && *s->at != '\n')
			s->at++;
}

int
sk_config_text_expand(struct sk_config_text *t, const char *path, const char *source, size_t length,
		      char *error, size_t error_size)
{
	struct scanner s = {
		.path = path,
		.at = source,
		.end = source + length,
		.line = 1,
		.error = error,
		.error_size = error_size,
	};
	skip_head(&s);
	write_bytes(&s, "", 0);
	int result = SK_OK;
	while (result == SK_OK && s.at < s.end && s.length <= SK_CONFIG_TEXT_MAX)
		result = copy_token(&s);
	if (s.length > SK_CONFIG_TEXT_MAX) {
		(void)snprintf(error, error_size,
			       "%s:%d: with its variables the config is larger than %d KiB", path,
			       s.line, SK_CONFIG_TEXT_MAX / 1024);
		result = SK_EINVAL;
	}
	t->text = s.text;
	t->length = s.length;
	if (result != SK_OK)
		sk_config_text_fini(t);
	return result;
}

/* Reads at most SK_CONFIG_TEXT_MAX + 1 bytes. Returns their number, or SK_EINVAL. */
static long
read_all(FILE *file, const char *path, char *bytes, char *error, size_t error_size)
{
	errno = 0;
	size_t length = fread(bytes, 1, SK_CONFIG_TEXT_MAX + 1, file);
	if (ferror(file) != 0)
		(void)snprintf(error, error_size, "%s: cannot be read: %s", path, strerror(errno));
	else if (length > SK_CONFIG_TEXT_MAX)
		(void)snprintf(error, error_size, "%s: is larger than %d KiB, so it is no config",
			       path, SK_CONFIG_TEXT_MAX / 1024);
	else
		return (long)length;
	return SK_EINVAL;
}

int
sk_config_text_init(struct sk_config_text *t, const char *path, char *error, size_t error_size)
{
	int result = SK_EINVAL;
	FILE *file = fopen(path, "re");
	if (file == NULL) {
		(void)snprintf(error, error_size, "%s: cannot be opened: %s", path,
			       strerror(errno));
		return SK_EINVAL;
	}
	char *bytes = skynet_malloc(SK_CONFIG_TEXT_MAX + 1);
	long length = read_all(file, path, bytes, error, error_size);
	if (length >= 0)
		result = sk_config_text_expand(t, path, bytes, (size_t)length, error, error_size);
	skynet_free(bytes);
	(void)fclose(file); /* only read from: there is nothing it could lose */
	return result;
}

void
sk_config_text_fini(struct sk_config_text *t)
{
	skynet_free(t->text);
	t->text = NULL;
	t->length = 0;
}
