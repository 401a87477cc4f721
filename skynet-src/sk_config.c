/* sk_config.c: the keys that the node knows: checks them, gives them defaults, and puts all
 * settings into the environment.
 *
 * known_keys is the only place that says what a key is: a new key is a new row. The rest of this
 * file goes over the settings of the file (sk_settings.h) and of the command line with that table.
 *
 * Threads  [boot] */
#include "sk_config.h"

#include "sk_bound.h"
#include "sk_cpus.h"
#include "sk_module.h"
#include "sk_settings.h"
#include "skynet.h"

#include <assert.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define THREADS_MAX 1024
#define NUMBER_SIZE 24 /* of a long in decimal */
/* Longer words are no misspelt keys. */
#define WORD_LENGTH_MAX 32

enum key_type {
	KEY_TEXT,
	KEY_INTEGER,
	KEY_BOOLEAN,
	KEY_ADDRESS,	 /* host:port */
	KEY_MODULE_PATH, /* templates of C modules */
	KEY_FULL_POLICY, /* what senders to a full mailbox get */
};

struct known_key {
	const char *name;
	enum key_type type;
	long min; /* of an integer */
	long max;
	const char *fallback;	   /* the default; NULL: the key stays unset */
	const char *fallback_note; /* what to print for a default that is no constant */
	const char *effect;
};

static const struct known_key known_keys[] = {
	{.name = "thread",
	 .type = KEY_INTEGER,
	 .min = 1,
	 .max = THREADS_MAX,
	 .fallback_note = "usable processors",
	 .effect = "worker threads"},
	{.name = "harbor",
	 .type = KEY_INTEGER,
	 .min = 0,
	 .max = 255,
	 .fallback = "1",
	 .effect = "id of this node; 0: no network of nodes"},
	{.name = "bootstrap",
	 .type = KEY_TEXT,
	 .fallback = "snlua bootstrap",
	 .effect = "first service after the log service: module and arguments"},
	{.name = "start",
	 .type = KEY_TEXT,
	 .fallback = "main",
	 .effect = "Lua service that the bootstrap starts last"},
	{.name = "cpath",
	 .type = KEY_MODULE_PATH,
	 .fallback = "./cservice/?.so",
	 .effect = "where C services are found"},
	{.name = "luaservice",
	 .type = KEY_TEXT,
	 .fallback = "./service/?.lua",
	 .effect = "where Lua services are found"},
	{.name = "lualoader",
	 .type = KEY_TEXT,
	 .fallback = "./lualib/loader.lua",
	 .effect = "file that loads a Lua service"},
	{.name = "lua_path",
	 .type = KEY_TEXT,
	 .fallback = "./lualib/?.lua;./lualib/?/init.lua",
	 .effect = "package.path of Lua services"},
	{.name = "lua_cpath",
	 .type = KEY_TEXT,
	 .fallback = "./luaclib/?.so",
	 .effect = "package.cpath of Lua services"},
	{.name = "preload",
	 .type = KEY_TEXT,
	 .effect = "Lua file that runs before every Lua service"},
	{.name = "logger",
	 .type = KEY_TEXT,
	 .fallback_note = "stdout",
	 .effect = "file of the log, or what logservice takes"},
	{.name = "logservice",
	 .type = KEY_TEXT,
	 .fallback = "logger",
	 .effect = "module of the log service"},
	{.name = "logpath", .type = KEY_TEXT, .effect = "folder of message recordings"},
	{.name = "daemon", .type = KEY_TEXT, .effect = "pid file; runs in the background"},
	{.name = "simulate",
	 .type = KEY_INTEGER,
	 .min = 0,
	 .max = (long)(SK_SEED_MAX < LONG_MAX ? SK_SEED_MAX : LONG_MAX),
	 .effect = "seed: the node runs in virtual time, in an order that the seed decides"},
	{.name = "profile",
	 .type = KEY_BOOLEAN,
	 .fallback = "true",
	 .effect = "account CPU time per service"},
	{.name = "calltimeout",
	 .type = KEY_INTEGER,
	 .min = 0,
	 .max = INT32_MAX,
	 .fallback = "0",
	 .effect = "1/100 s after which a call fails; 0: it waits for ever"},
	{.name = "mailboxwarning",
	 .type = KEY_INTEGER,
	 .min = 0,
	 .max = INT32_MAX,
	 .fallback = "1024",
	 .effect = "messages waiting for a service that are worth a log line; 0: none"},
	{.name = "mailboxlimit",
	 .type = KEY_INTEGER,
	 .min = 0,
	 .max = 65535,
	 .fallback = "0",
	 .effect = "messages that may wait for a service; 0: any number"},
	{.name = "mailboxpolicy",
	 .type = KEY_FULL_POLICY,
	 .fallback = "error",
	 .effect = "what senders to a full mailbox get: error, drop or block"},
	{.name = "socket_output_limit",
	 .type = KEY_INTEGER,
	 .min = 0,
	 .max = LONG_MAX,
	 .fallback = "67108864",
	 .effect = "bytes that may wait to be sent on a socket; 0: any number"},
	{.name = "socket_output_total",
	 .type = KEY_INTEGER,
	 .min = 0,
	 .max = LONG_MAX,
	 .fallback = "1073741824",
	 .effect = "the same on all sockets together"},
	{.name = "socket_linger",
	 .type = KEY_INTEGER,
	 .min = 0,
	 .max = INT32_MAX / 1000,
	 .fallback = "60",
	 .effect = "seconds that a closed socket may go on sending; 0: for ever"},
	{.name = "waiterlimit",
	 .type = KEY_INTEGER,
	 .min = 1,
	 .max = INT32_MAX,
	 .fallback = "100000",
	 .effect = "requests that may wait in a system service, such as service_mgr"},
	{.name = "standalone",
	 .type = KEY_ADDRESS,
	 .effect = "this node is the master, and listens there"},
	{.name = "master", .type = KEY_ADDRESS, .effect = "where the master listens"},
	{.name = "address",
	 .type = KEY_ADDRESS,
	 .effect = "where this node listens for other nodes"},
	{.name = "cluster", .type = KEY_TEXT, .effect = "file with the names of cluster nodes"},
	{.name = "snax", .type = KEY_TEXT, .effect = "where snax services are found"},
	{.name = "snax_loader", .type = KEY_TEXT, .effect = "file that returns a snax loader"},
	{.name = "snax_interface_g",
	 .type = KEY_TEXT,
	 .effect = "module with the globals for reading a snax interface"},
	{.name = "tls_handshake_timeout",
	 .type = KEY_INTEGER,
	 .min = 0,
	 .max = INT32_MAX,
	 .fallback = "10",
	 .effect = "seconds that a TLS handshake may take; 0: any time"},
	{.name = "enablessl",
	 .type = KEY_BOOLEAN,
	 .fallback_note = "false",
	 .effect = "initialise TLS at boot"},
	{.name = "certfile",
	 .type = KEY_TEXT,
	 .fallback_note = "./server-cert.pem",
	 .effect = "certificate of TLS servers"},
	{.name = "keyfile",
	 .type = KEY_TEXT,
	 .fallback_note = "./server-key.pem",
	 .effect = "private key of TLS servers"},
};

#define KEY_COUNT (sizeof(known_keys) / sizeof(known_keys[0]))

/* One sk_config_load. */
struct loading {
	struct sk_settings settings;
	FILE *warnings;
	char *error;
	size_t error_size;
};

static const struct known_key *
find_known(const char *name)
{
	for (size_t i = 0; i < KEY_COUNT; i++) {
		if (strcmp(known_keys[i].name, name) == 0)
			return &known_keys[i];
	}
	return NULL;
}

static const char *
fallback_text(const struct known_key *key)
{
	if (key->fallback_note != NULL)
		return key->fallback_note;
	return key->fallback != NULL ? key->fallback : "unset";
}

/* --- misspelt keys --- */

static size_t
least(size_t a, size_t b, size_t c)
{
	size_t d = a < b ? a : b;
	return d < c ? d : c;
}

/* How many letters must be added, left out, changed or swapped with their neighbour to make a into
 * b. Both at most WORD_LENGTH_MAX long. */
static size_t
edit_distance(const char *a, const char *b)
{
	size_t a_length = strlen(a);
	size_t b_length = strlen(b);
	size_t row[WORD_LENGTH_MAX + 1][WORD_LENGTH_MAX + 1];
	for (size_t i = 0; i <= a_length; i++)
		row[i][0] = i;
	for (size_t j = 0; j <= b_length; j++)
		row[0][j] = j;
	for (size_t i = 1; i <= a_length; i++) {
		for (size_t j = 1; j <= b_length; j++) {
			size_t change = row[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
			row[i][j] = least(row[i - 1][j] + 1, row[i][j - 1] + 1, change);
			bool is_swap =
				i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
			if (is_swap && row[i - 2][j - 2] + 1 < row[i][j])
				row[i][j] = row[i - 2][j - 2] + 1;
		}
	}
	return row[a_length][b_length];
}

/* The known key that somebody may have meant, or NULL. */
static const struct known_key *
similar_key(const char *name)
{
	if (strlen(name) > WORD_LENGTH_MAX)
		return NULL;
	for (size_t i = 0; i < KEY_COUNT; i++) {
		const char *known = known_keys[i].name;
		size_t allowed = strlen(known) > 6 ? 2 : 1;
		if (strcasecmp(known, name) == 0 || edit_distance(known, name) <= allowed)
			return &known_keys[i];
	}
	return NULL;
}

static void
warn_if_misspelt(const struct loading *l, const struct sk_setting *setting)
{
	const struct known_key *meant = similar_key(setting->key);
	if (meant != NULL)
		(void)fprintf(l->warnings, "%swarning: key '%s' is unknown; did you mean '%s'?\n",
			      setting->where, setting->key, meant->name);
}

/* --- checks: each returns 0, or SK_EINVAL with the error written --- */

static int refuse(const struct loading *l, const struct sk_setting *setting, const char *format,
		  ...) SK_PRINTF(3, 4);

/* Writes "FILE:LINE: key 'KEY': " and the rest. */
static int
refuse(const struct loading *l, const struct sk_setting *setting, const char *format, ...)
{
	int length =
		snprintf(l->error, l->error_size, "%skey '%s': ", setting->where, setting->key);
	if (length < 0 || (size_t)length >= l->error_size)
		return SK_EINVAL;
	va_list args;
	va_start(args, format);
	(void)vsnprintf(l->error + length, l->error_size - (size_t)length, format, args);
	va_end(args);
	return SK_EINVAL;
}

/* Gives the setting the text that the whole node expects, however the user wrote it. */
static void
rewrite(struct sk_setting *setting, const char *value)
{
	skynet_free(setting->value);
	setting->value = skynet_strdup(value);
}

static int
check_integer(const struct loading *l, const struct known_key *key, struct sk_setting *setting)
{
	char *end;
	double number = strtod(setting->value, &end);
	bool is_number = end != setting->value && *end == '\0';
	bool is_in_range = number >= (double)key->min && number <= (double)key->max;
	if (!is_number || (is_in_range && (double)(long)number != number))
		return refuse(
			l, setting,
			"'%s' is not a whole number; set it to one in %ld..%ld, or leave it out "
			"(default: %s)",
			setting->value, key->min, key->max, fallback_text(key));
	if (!is_in_range)
		return refuse(
			l, setting,
			"%s is not in %ld..%ld; set it to a number in that range, or leave it "
			"out (default: %s)",
			setting->value, key->min, key->max, fallback_text(key));
	char text[NUMBER_SIZE];
	(void)snprintf(text, sizeof(text), "%ld", (long)number);
	rewrite(setting, text);
	return SK_OK;
}

static int
check_boolean(const struct loading *l, struct sk_setting *setting)
{
	const char *value = setting->value;
	bool is_true = strcmp(value, "true") == 0 || strcmp(value, "1") == 0;
	if (!is_true && strcmp(value, "false") != 0 && strcmp(value, "0") != 0)
		return refuse(l, setting, "'%s' is neither true nor false; set it to one of these",
			      value);
	rewrite(setting, is_true ? "true" : "false");
	return SK_OK;
}

static int
check_text(const struct loading *l, const struct sk_setting *setting)
{
	if (setting->type == SK_SETTING_TEXT)
		return SK_OK;
	return refuse(l, setting, "%s is a %s, not a text; put a text in quotes, or leave it out",
		      setting->value, setting->type == SK_SETTING_NUMBER ? "number" : "boolean");
}

static int
check_address(const struct loading *l, const struct sk_setting *setting)
{
	const char *colon = strrchr(setting->value, ':');
	long port = 0;
	if (colon != NULL && colon > setting->value && strlen(colon + 1) <= 5 &&
	    strspn(colon + 1, "0123456789") == strlen(colon + 1))
		port = strtol(colon + 1, NULL, 10);
	if (setting->type == SK_SETTING_TEXT && port >= 1 && port <= 65535)
		return SK_OK;
	return refuse(l, setting,
		      "'%s' is no address; write host:port with a port in 1..65535, as in "
		      "\"127.0.0.1:2526\"",
		      setting->value);
}

static int
check_module_path(const struct loading *l, const struct sk_setting *setting)
{
	char reason[256];
	if (check_text(l, setting) != SK_OK)
		return SK_EINVAL;
	struct sk_modules *modules = sk_modules_new(setting->value, reason, sizeof(reason));
	if (modules == NULL)
		return refuse(l, setting, "%s", reason);
	sk_modules_free(modules);
	return SK_OK;
}

static int
check_full_policy(const struct loading *l, const struct sk_setting *setting)
{
	if (sk_bound_policy(setting->value) >= 0)
		return SK_OK;
	return refuse(l, setting, "'%s' is no policy; set it to \"error\", \"drop\" or \"block\"",
		      setting->value);
}

static int
check_known(const struct loading *l, const struct known_key *key, struct sk_setting *setting)
{
	switch (key->type) {
	case KEY_TEXT:
		return check_text(l, setting);
	case KEY_INTEGER:
		return check_integer(l, key, setting);
	case KEY_BOOLEAN:
		return check_boolean(l, setting);
	case KEY_ADDRESS:
		return check_address(l, setting);
	case KEY_MODULE_PATH:
		return check_module_path(l, setting);
	case KEY_FULL_POLICY:
		return check_full_policy(l, setting);
	}
	return SK_EINVAL;
}

/* --- the way into the environment --- */

static int
add_setting(const struct loading *l, struct sk_env *env, struct sk_setting *setting)
{
	const struct known_key *key = find_known(setting->key);
	if (key == NULL) {
		warn_if_misspelt(l, setting);
	} else {
		/* An empty text takes a setting back: --set daemon= runs a daemon in front. */
		if (setting->value[0] == '\0')
			return SK_OK;
		if (check_known(l, key, setting) != SK_OK)
			return SK_EINVAL;
	}
	if (sk_env_set(env, setting->key, setting->value) == SK_OK)
		return SK_OK;
	return refuse(l, setting, "the environment has it already");
}

static void
add_default(struct sk_env *env, const struct known_key *key)
{
	char threads[NUMBER_SIZE];
	const char *value = key->fallback;
	if (strcmp(key->name, "thread") == 0) {
		int cpus = sk_config_usable_cpus();
		(void)snprintf(threads, sizeof(threads), "%d",
			       cpus < THREADS_MAX ? cpus : THREADS_MAX);
		value = threads;
	}
	if (value == NULL)
		return;
	int result = sk_env_set(env, key->name, value);
	assert(result == SK_OK || result == SK_EEXIST); /* what the user has set stays */
}

/* A node that is no part of a network of nodes cannot be its master. */
static int
check_master(const struct loading *l, struct sk_env *env)
{
	const struct sk_setting *setting = sk_settings_find(&l->settings, "standalone");
	if (setting == NULL || sk_env_get(env, "standalone") == NULL ||
	    sk_env_number(env, "harbor", 1) != 0)
		return SK_OK;
	return refuse(l, setting,
		      "with harbor = 0 there is no master; leave it out, or set harbor to 1..255");
}

/* The log service of this project writes to stdout, which a daemon has not. */
static void
warn_if_log_is_lost(const struct loading *l, struct sk_env *env)
{
	if (sk_env_get(env, "daemon") == NULL || sk_env_get(env, "logger") != NULL ||
	    strcmp(sk_env_get(env, "logservice"), "logger") != 0)
		return;
	const struct sk_setting *setting = sk_settings_find(&l->settings, "daemon");
	(void)fprintf(
		l->warnings,
		"%swarning: key 'daemon' without 'logger': nobody sees the log; set logger to a "
		"file\n",
		setting != NULL ? setting->where : "");
}

static int
add_all(const struct loading *l, struct sk_env *env)
{
	for (size_t i = 0; i < l->settings.count; i++) {
		if (add_setting(l, env, &l->settings.items[i]) != SK_OK)
			return SK_EINVAL;
	}
	for (size_t i = 0; i < KEY_COUNT; i++)
		add_default(env, &known_keys[i]);
	warn_if_log_is_lost(l, env);
	return check_master(l, env);
}

int
sk_config_load(struct sk_env *env, const char *path, const struct sk_config_override *overrides,
	       size_t override_count, FILE *warnings, char *error, size_t error_size)
{
	struct loading l = {.warnings = warnings, .error = error, .error_size = error_size};
	int result = sk_settings_read(&l.settings, path, error, error_size);
	for (size_t i = 0; i < override_count; i++)
		sk_settings_put(&l.settings, overrides[i].key, overrides[i].value, SK_SETTING_TEXT,
				"--set: ");
	if (result == SK_OK)
		result = add_all(&l, env);
	sk_settings_fini(&l.settings);
	return result;
}

int
sk_config_usable_cpus(void)
{
	return sk_cpus_usable("/proc/self/cgroup", "/sys/fs/cgroup");
}

void
sk_config_describe(FILE *out)
{
	static const char *const type_names[] = {
		[KEY_TEXT] = "text",
		[KEY_INTEGER] = "integer",
		[KEY_BOOLEAN] = "boolean",
		[KEY_ADDRESS] = "host:port",
		[KEY_MODULE_PATH] = "templates",
		[KEY_FULL_POLICY] = "policy",
	};
	for (size_t i = 0; i < KEY_COUNT; i++) {
		const struct known_key *key = &known_keys[i];
		char type[64];
		(void)snprintf(type, sizeof(type), "%s", type_names[key->type]);
		if (key->type == KEY_INTEGER)
			(void)snprintf(type, sizeof(type), "%ld..%ld", key->min, key->max);
		(void)fprintf(out, "%-17s %-10s %-34s %s\n", key->name, type, fallback_text(key),
			      key->effect);
	}
}
