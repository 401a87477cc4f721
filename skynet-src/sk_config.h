/* sk_config.h: reads a config file (a Lua file without libraries) into the environment.
 *
 * Threads    [boot]
 */
#ifndef SK_CONFIG_H
#define SK_CONFIG_H

#include "sk_base.h"
#include "sk_env.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* The largest seed: the integers that a number of a config has exactly. */
#define SK_SEED_MAX (UINT64_C(1) << 53)

/* One "key=value" from the command line; wins over the file. */
struct sk_config_override {
	const char *key;
	const char *value;
};

/* Runs the file, applies overrides, checks the known keys, and adds the defaults. Warnings (a key
 * that looks like a misspelt one) go to `warnings`, one line each. Returns 0, or SK_EINVAL with one
 * line in error that names the file, the key and what to do. */
SK_MUST_CHECK int sk_config_load(struct sk_env *env, const char *path,
				 const struct sk_config_override *overrides, size_t override_count,
				 FILE *warnings, char *error, size_t error_size);

/* Writes a table of the known keys: name, type, default, effect. */
void sk_config_describe(FILE *out);

/* How many processors this process may really use: affinity and cgroup quota. At least 1. */
int sk_config_usable_cpus(void);

#endif
