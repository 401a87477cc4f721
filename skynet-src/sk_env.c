/* sk_env.c: the settings: a hash table of entries that are added and never changed or removed.
 *
 * I1  An entry's texts stay where they are until sk_env_free, so a value may be handed out without
 *     the lock. Only the bucket array moves, and that only under the lock.
 * I2  A key stands in one entry at most.
 *
 * Threads  everything of struct sk_env is under its lock; an entry that is linked is constant. */
#include "sk_env.h"

#include "skynet.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Power of two. A node has some thirty settings; the table doubles when it is full. */
#define FIRST_BUCKETS 64

struct entry {
	/* Constant after it is linked, but for next: under lock. */
	struct entry *next;
	uint32_t hash;
	const char *value; /* into text */
	char text[];	   /* key, NUL, value, NUL */
};

struct sk_env {
	pthread_mutex_t lock;
	/* Under lock. */
	struct entry **buckets;
	size_t bucket_count; /* a power of two */
	size_t entry_count;
};

struct sk_env *
sk_env_new(void)
{
	struct sk_env *env = skynet_malloc(sizeof(*env));
	(void)pthread_mutex_init(&env->lock, NULL); /* cannot fail without attributes */
	env->bucket_count = FIRST_BUCKETS;
	env->buckets = skynet_calloc(env->bucket_count, sizeof(*env->buckets));
	env->entry_count = 0;
	return env;
}

void
sk_env_free(struct sk_env *env)
{
	if (env == NULL)
		return;
	for (size_t i = 0; i < env->bucket_count; i++) {
		struct entry *entry = env->buckets[i];
		while (entry != NULL) {
			struct entry *next = entry->next;
			skynet_free(entry);
			entry = next;
		}
	}
	skynet_free(env->buckets);
	(void)pthread_mutex_destroy(&env->lock);
	skynet_free(env);
}

/* FNV-1a: keys are short, and come from the node's own files. */
static uint32_t
hash_key(const char *key)
{
	uint32_t hash = UINT32_C(2166136261);
	for (const char *at = key; *at != '\0'; at++)
		hash = (hash ^ (uint8_t)*at) * UINT32_C(16777619);
	return hash;
}

static struct entry *
find_locked(const struct sk_env *env, const char *key, uint32_t hash)
{
	struct entry *entry = env->buckets[hash & (env->bucket_count - 1)];
	while (entry != NULL && (entry->hash != hash || strcmp(entry->text, key) != 0))
		entry = entry->next;
	return entry;
}

static void
link_locked(struct sk_env *env, struct entry *entry)
{
	struct entry **bucket = &env->buckets[entry->hash & (env->bucket_count - 1)];
	entry->next = *bucket;
	*bucket = entry;
}

static void
grow_locked(struct sk_env *env)
{
	struct entry **old = env->buckets;
	size_t old_count = env->bucket_count;
	env->bucket_count *= 2;
	env->buckets = skynet_calloc(env->bucket_count, sizeof(*env->buckets));
	for (size_t i = 0; i < old_count; i++) {
		struct entry *entry = old[i];
		while (entry != NULL) {
			struct entry *next = entry->next;
			link_locked(env, entry); /* I1: the entry itself does not move */
			entry = next;
		}
	}
	skynet_free(old);
}

static struct entry *
new_entry(const char *key, uint32_t hash, const char *value)
{
	size_t key_size = strlen(key) + 1;
	size_t value_size = strlen(value) + 1;
	struct entry *entry = skynet_malloc(sizeof(*entry) + key_size + value_size);
	entry->next = NULL;
	entry->hash = hash;
	entry->value = entry->text + key_size;
	memcpy(entry->text, key, key_size);
	memcpy(entry->text + key_size, value, value_size);
	return entry;
}

const char *
sk_env_get(struct sk_env *env, const char *key)
{
	uint32_t hash = hash_key(key);
	(void)pthread_mutex_lock(&env->lock);
	const struct entry *entry = find_locked(env, key, hash);
	(void)pthread_mutex_unlock(&env->lock);
	return entry != NULL ? entry->value : NULL;
}

int
sk_env_set(struct sk_env *env, const char *key, const char *value)
{
	uint32_t hash = hash_key(key);
	int result = SK_EEXIST;
	(void)pthread_mutex_lock(&env->lock);
	if (find_locked(env, key, hash) == NULL) { /* I2 */
		if (env->entry_count == env->bucket_count)
			grow_locked(env);
		link_locked(env, new_entry(key, hash, value));
		env->entry_count++;
		result = SK_OK;
	}
	(void)pthread_mutex_unlock(&env->lock);
	return result;
}

static bool
is_listed(const char *key, const char *const *keys)
{
	while (*keys != NULL && strcmp(*keys, key) != 0)
		keys++;
	return *keys != NULL;
}

struct sk_env *
sk_env_copy(struct sk_env *env, const char *const *without)
{
	struct sk_env *copy = sk_env_new();
	(void)pthread_mutex_lock(&env->lock);
	for (size_t i = 0; i < env->bucket_count; i++) {
		const struct entry *entry = env->buckets[i];
		for (; entry != NULL; entry = entry->next) {
			if (is_listed(entry->text, without))
				continue;
			int result = sk_env_set(copy, entry->text, entry->value);
			assert(result == SK_OK); /* I2 */
			(void)result;
		}
	}
	(void)pthread_mutex_unlock(&env->lock);
	return copy;
}

/* A config that computes (cores / 2) stores "4.0": whole numbers count however they are written. */
static long
whole_number(const char *text, long fallback)
{
	char *end;
	double number = strtod(text, &end);
	/* -LONG_MIN is 2^63, a double without rounding; LONG_MAX is not. */
	if (end == text || *end != '\0' || !(number >= (double)LONG_MIN) ||
	    !(number < -(double)LONG_MIN) || (double)(long)number != number)
		return fallback;
	return (long)number;
}

long
sk_env_number(struct sk_env *env, const char *key, long fallback)
{
	const char *text = sk_env_get(env, key);
	if (text == NULL)
		return fallback;
	char *end;
	errno = 0;
	long number = strtol(text, &end, 10);
	if (end != text && *end == '\0')
		return errno == 0 ? number : fallback;
	return whole_number(text, fallback);
}

bool
sk_env_boolean(struct sk_env *env, const char *key, bool fallback)
{
	const char *text = sk_env_get(env, key);
	if (text == NULL)
		return fallback;
	return strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
}
