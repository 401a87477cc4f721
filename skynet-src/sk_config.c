/* sk_config.c: checks the keys that the node knows, gives them defaults, and puts all settings into
 * the environment.
 *
 * It goes over the settings of the file (sk_settings.h) and of the command line with the table of
 * sk_config_keys.c.
 *
 * Threads  [boot] */
#include "sk_config.h"

#include "sk_bound.h"
#include "sk_config_parts.h"
#include "sk_cpus.h"
#include "sk_module.h"
#include "skynet.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_SIZE 24 /* of a long in decimal */

static void
warn_if_misspelt(const struct sk_config_loading *l, const struct sk_setting *setting)
{
	const struct sk_known_key *meant = sk_known_key_similar(setting->key);
	if (meant != NULL)
		(void)fprintf(l->warnings, "%swarning: key '%s' is unknown; did you mean '%s'?\n",
			      setting->where, setting->key, meant->name);
}

/* --- checks: each returns 0, or SK_EINVAL with the error written --- */

/* Gives the setting the text that the whole node expects, however the user wrote it. */
static void
rewrite(struct sk_setting *setting, const char *value)
{
	skynet_free(setting->value);
	setting->value = skynet_strdup(value);
}

static int
check_integer(const struct sk_config_loading *l, const struct sk_known_key *key,
	      struct sk_setting *setting)
{
	char *end;
	double number = strtod(setting->value, &end);
	bool is_number = end != setting->value && *end == '\0';
	bool is_in_range = number >= (double)key->min && number <= (double)key->max;
	if (!is_number || (is_in_range && (double)(long)number != number))
		return sk_config_refuse(
			l, setting,
			"'%s' is not a whole number; set it to one in %ld..%ld, or leave it out "
			"(default: %s)",
			setting->value, key->min, key->max, sk_known_key_fallback(key));
	if (!is_in_range)
		return sk_config_refuse(
			l, setting,
			"%s is not in %ld..%ld; set it to a number in that range, or leave it "
			"out (default: %s)",
			setting->value, key->min, key->max, sk_known_key_fallback(key));
	char text[NUMBER_SIZE];
	(void)snprintf(text, sizeof(text), "%ld", (long)number);
	rewrite(setting, text);
	return SK_OK;
}

static int
check_boolean(const struct sk_config_loading *l, struct sk_setting *setting)
{
	const char *value = setting->value;
	bool is_true = strcmp(value, "true") == 0 || strcmp(value, "1") == 0;
	if (!is_true && strcmp(value, "false") != 0 && strcmp(value, "0") != 0)
		return sk_config_refuse(l, setting,
					"'%s' is neither true nor false; set it to one of these",
					value);
	rewrite(setting, is_true ? "true" : "false");
	return SK_OK;
}

static int
check_text(const struct sk_config_loading *l, const struct sk_setting *setting)
{
	if (setting->type == SK_SETTING_TEXT)
		return SK_OK;
	return sk_config_refuse(
		l, setting, "%s is a %s, not a text; put a text in quotes, or leave it out",
		setting->value, setting->type == SK_SETTING_NUMBER ? "number" : "boolean");
}

static int
check_address(const struct sk_config_loading *l, const struct sk_setting *setting, long port_min)
{
	if (setting->type == SK_SETTING_TEXT && sk_config_is_address(setting->value, port_min))
		return SK_OK;
	return sk_config_refuse(l, setting,
				"'%s' is no address; write host:port with a port in %ld..65535, "
				"as in \"127.0.0.1:2526\" or \"[::1]:2526\"",
				setting->value, port_min);
}

static int
check_registry(const struct sk_config_loading *l, const struct sk_setting *setting)
{
	if (strstr(setting->value, "://") == NULL)
		return check_address(l, setting, 1);
	if (sk_config_is_etcd(setting->value))
		return SK_OK;
	return sk_config_refuse(l, setting,
				"'%s' is no place of a master; write host:port, or "
				"\"etcd://host:2379,host:2379/prefix\"",
				setting->value);
}

static int
check_module_path(const struct sk_config_loading *l, const struct sk_setting *setting)
{
	char reason[256];
	if (check_text(l, setting) != SK_OK)
		return SK_EINVAL;
	struct sk_modules *modules = sk_modules_new(setting->value, reason, sizeof(reason));
	if (modules == NULL)
		return sk_config_refuse(l, setting, "%s", reason);
	sk_modules_free(modules);
	return SK_OK;
}

static int
check_full_policy(const struct sk_config_loading *l, const struct sk_setting *setting)
{
	if (sk_bound_policy(setting->value) >= 0)
		return SK_OK;
	return sk_config_refuse(l, setting,
				"'%s' is no policy; set it to \"error\", \"drop\" or \"block\"",
				setting->value);
}

/* Nobody drops what was sent to another node without a word. */
static int
check_output_policy(const struct sk_config_loading *l, const struct sk_setting *setting)
{
	int policy = sk_bound_policy(setting->value);
	if (policy == SKYNET_FULL_ERROR || policy == SKYNET_FULL_BLOCK)
		return SK_OK;
	return sk_config_refuse(
		l, setting, "'%s' is no policy for other nodes; set it to \"error\" or \"block\"",
		setting->value);
}

static int
check_known(const struct sk_config_loading *l, const struct sk_known_key *key,
	    struct sk_setting *setting)
{
	switch (key->type) {
	case SK_KEY_TEXT:
		return check_text(l, setting);
	case SK_KEY_INTEGER:
		return check_integer(l, key, setting);
	case SK_KEY_BOOLEAN:
		return check_boolean(l, setting);
	case SK_KEY_NODE:
		return strcmp(setting->value, SK_CONFIG_AUTO) == 0 ? SK_OK
								   : check_integer(l, key, setting);
	case SK_KEY_ADDRESS:
		return check_address(l, setting, 1);
	case SK_KEY_LISTEN:
		return check_address(l, setting, 0);
	case SK_KEY_REGISTRY:
		return check_registry(l, setting);
	case SK_KEY_MODULE_PATH:
		return check_module_path(l, setting);
	case SK_KEY_FULL_POLICY:
		return check_full_policy(l, setting);
	case SK_KEY_OUTPUT_POLICY:
		return check_output_policy(l, setting);
	}
	return SK_EINVAL;
}

/* --- the way into the environment --- */

static int
add_setting(const struct sk_config_loading *l, struct sk_env *env, struct sk_setting *setting)
{
	const struct sk_known_key *key = sk_known_key_find(setting->key);
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
	return sk_config_refuse(l, setting, "the environment has it already");
}

static void
add_default(struct sk_env *env, const struct sk_known_key *key)
{
	char threads[NUMBER_SIZE];
	const char *value = key->fallback;
	if (strcmp(key->name, "thread") == 0) {
		int cpus = sk_config_usable_cpus();
		(void)snprintf(threads, sizeof(threads), "%d",
			       cpus < SK_CONFIG_THREADS_MAX ? cpus : SK_CONFIG_THREADS_MAX);
		value = threads;
	}
	if (strcmp(key->name, "harbor") == 0)
		value = sk_config_default_node(env);
	if (value == NULL)
		return;
	int result = sk_env_set(env, key->name, value);
	assert(result == SK_OK || result == SK_EEXIST); /* what the user has set stays */
}

/* The log service of this project writes to stdout, which a daemon has not. */
static void
warn_if_log_is_lost(const struct sk_config_loading *l, struct sk_env *env)
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
add_all(const struct sk_config_loading *l, struct sk_env *env)
{
	for (size_t i = 0; i < l->settings.count; i++) {
		if (add_setting(l, env, &l->settings.items[i]) != SK_OK)
			return SK_EINVAL;
	}
	for (size_t i = 0; i < sk_known_key_count; i++)
		add_default(env, &sk_known_keys[i]);
	warn_if_log_is_lost(l, env);
	return sk_config_check_network(l, env);
}

int
sk_config_load(struct sk_env *env, const char *path, const struct sk_config_override *overrides,
	       size_t override_count, FILE *warnings, char *error, size_t error_size)
{
	struct sk_config_loading l = {
		.warnings = warnings, .error = error, .error_size = error_size};
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
