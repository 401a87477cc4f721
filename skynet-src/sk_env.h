/* sk_env.h: the node's settings: keys and text values, from the config and from setenv.
 *
 * Model      A key is set once and never changes, so a value may be kept for the life of the node.
 * Threads    [any]; one lock inside.
 */
#ifndef SK_ENV_H
#define SK_ENV_H

#include "sk_base.h"

#include <stdbool.h>

struct sk_env;

struct sk_env *sk_env_new(void);
/* A new one with the same settings, but for the keys of a list that NULL ends. */
struct sk_env *sk_env_copy(struct sk_env *env, const char *const *without);
void sk_env_free(struct sk_env *env);

/* Returns the value, valid until sk_env_free, or NULL. */
const char *sk_env_get(struct sk_env *env, const char *key);
/* Sets a new key. Returns 0, or SK_EEXIST and changes nothing. Copies both texts. */
SK_MUST_CHECK int sk_env_set(struct sk_env *env, const char *key, const char *value);
/* The value as a number, or fallback when there is none or it is none. */
long sk_env_number(struct sk_env *env, const char *key, long fallback);
/* true for "true" and "1", false for any other value, fallback when there is none. */
bool sk_env_boolean(struct sk_env *env, const char *key, bool fallback);

#endif
