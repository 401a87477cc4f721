/* sk_claim.c: the settings of the node that claims an id, and of the node that gets it. */
#include "sk_claim.h"

#include "sk_config_parts.h"
#include "skynet.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the small node's service leaves behind. */
#define CLAIMED_NODE "harbor_claimed"
#define CLAIMED_INCARNATION "harbor_incarnation"
#define REFUSAL "harbor_refused"

struct setting {
	const char *key;
	const char *value;
};

/* Sets a key that was left out of the copy. */
static void
set(struct sk_env *copy, const char *key, const char *value)
{
	int result = sk_env_set(copy, key, value);
	assert(result == SK_OK);
	(void)result;
}

bool
sk_claim_is_wanted(struct sk_env *env)
{
	const char *node = sk_env_get(env, "harbor");
	return node != NULL && strcmp(node, SK_CONFIG_AUTO) == 0;
}

struct sk_env *
sk_claim_prepare(struct sk_env *env)
{
	/* Its log is sk_claim_quiet's; nothing of the user's runs in it. */
	static const char *const without[] = {
		"harbor",  "bootstrap", "thread",     "logservice",	   "logger",
		"preload", "simulate",	CLAIMED_NODE, CLAIMED_INCARNATION, REFUSAL,
		NULL,
	};
	static const struct setting settings[] = {
		{"harbor", "0"},
		{"bootstrap", "snlua harbor_claim"},
		{"thread", "1"},
		{"logservice", "logger"},
	};
	struct sk_env *first = sk_env_copy(env, without);
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		set(first, settings[i].key, settings[i].value);
	return first;
}

/* Whether a line only tells that a service begins or ends. */
static bool
is_usual(const char *text)
{
	return strncmp(text, "LAUNCH ", strlen("LAUNCH ")) == 0 ||
	       strncmp(text, "KILL ", strlen("KILL ")) == 0;
}

static void
print_line(struct sk_core *core, uint32_t source, char *text, size_t size)
{
	(void)core;
	if (!is_usual(text))
		(void)fprintf(stderr, "[:%08x] %.*s\n", source, (int)size, text);
	free(text);
}

void
sk_claim_quiet(struct sk_node *first)
{
	first->core.log_sink = print_line;
}

struct sk_env *
sk_claim_take(struct sk_env *env, struct sk_env *claimed, char *error, size_t error_size)
{
	static const char *const without[] = {"harbor", CLAIMED_INCARNATION, NULL};
	const char *node = sk_env_get(claimed, CLAIMED_NODE);
	const char *incarnation = sk_env_get(claimed, CLAIMED_INCARNATION);
	const char *refusal = sk_env_get(claimed, REFUSAL);
	if (node == NULL || incarnation == NULL) {
		(void)snprintf(error, error_size, "this node gets no id (config key harbor): %s",
			       refusal != NULL ? refusal : "the service harbor_claim has failed");
		return NULL;
	}
	struct sk_env *next = sk_env_copy(env, without);
	set(next, "harbor", node);
	set(next, CLAIMED_INCARNATION, incarnation);
	return next;
}
