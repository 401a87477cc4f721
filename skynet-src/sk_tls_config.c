/* sk_tls_config.c: see sk_tls_config.h, also for F1 and F2.
 *
 * All configs are in one list, the one used last in front; there are a few. Contexts are made
 * without the lock, because that reads files; who then finds that somebody else was faster drops
 * his own. */
#include "sk_tls_config.h"

#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct sk_tls_config {
	/* Constant. */
	struct sk_tls_store *store;
	struct skynet_tls_options options; /* texts: owned */
	enum sk_tls_role role;
	/* Under the store's lock. */
	SSL_CTX *context; /* F1; counted by OpenSSL */
	int users;
	struct sk_tls_config *next;
};

struct sk_tls_store {
	pthread_mutex_t lock;
	/* Under lock. */
	struct sk_tls_config *first;
};

/* --- options ------------------------------------------------------------------------------- */

static const struct field {
	const char *name;
	size_t offset;
} fields[] = {
	{"certificate", offsetof(struct skynet_tls_options, certificate)},
	{"key", offsetof(struct skynet_tls_options, key)},
	{"authorities", offsetof(struct skynet_tls_options, authorities)},
	{"server_name", offsetof(struct skynet_tls_options, server_name)},
	{"alpn", offsetof(struct skynet_tls_options, alpn)},
	{"minimum_version", offsetof(struct skynet_tls_options, minimum_version)},
	{"ciphers", offsetof(struct skynet_tls_options, ciphers)},
	{"ciphersuites", offsetof(struct skynet_tls_options, ciphersuites)},
};
#define FIELD_COUNT (sizeof fields / sizeof fields[0])

static const char **
text_of(struct skynet_tls_options *options, const struct field *field)
{
	return (const char **)((char *)options + field->offset);
}

static const char *
read_text(const struct skynet_tls_options *options, const struct field *field)
{
	return *(const char *const *)((const char *)options + field->offset);
}

static int
set_verify(struct skynet_tls_options *options, const char *value)
{
	if (strcmp(value, "true") == 0)
		options->verify = SKYNET_TLS_VERIFY_REQUIRED;
	else if (strcmp(value, "false") == 0)
		options->verify = SKYNET_TLS_VERIFY_NONE;
	else if (strcmp(value, "optional") == 0)
		options->verify = SKYNET_TLS_VERIFY_OPTIONAL;
	else
		return -1;
	return 0;
}

int
skynet_tls_option(struct skynet_tls_options *options, const char *name, const char *value)
{
	if (strcmp(name, "verify") == 0)
		return set_verify(options, value);
	for (size_t i = 0; i < FIELD_COUNT; i++)
		if (strcmp(name, fields[i].name) == 0) {
			*text_of(options, &fields[i]) = value;
			return 0;
		}
	return -1;
}

/* What belongs to one connection, and not to the context. */
static bool
is_personal(const struct field *field)
{
	return field->offset == offsetof(struct skynet_tls_options, server_name);
}

static bool
is_same(const struct skynet_tls_options *a, const struct skynet_tls_options *b)
{
	for (size_t i = 0; i < FIELD_COUNT; i++) {
		const char *left = read_text(a, &fields[i]);
		const char *right = read_text(b, &fields[i]);
		if (!is_personal(&fields[i]) && left != right &&
		    (!left || !right || strcmp(left, right) != 0))
			return false;
	}
	return a->verify == b->verify;
}

/* --- one config ---------------------------------------------------------------------------- */

static struct sk_tls_config *
new_config(struct sk_tls_store *store, const struct skynet_tls_options *options,
	   enum sk_tls_role role, SSL_CTX *context)
{
	struct sk_tls_config *config = skynet_calloc(1, sizeof *config);
	config->store = store;
	config->options.verify = options->verify;
	for (size_t i = 0; i < FIELD_COUNT; i++) {
		const char *text = read_text(options, &fields[i]);
		if (text && !is_personal(&fields[i]))
			*text_of(&config->options, &fields[i]) = skynet_strdup(text);
	}
	config->role = role;
	config->context = context;
	config->users = 1;
	return config;
}

static void
free_config(struct sk_tls_config *config)
{
	SSL_CTX_free(config->context);
	for (size_t i = 0; i < FIELD_COUNT; i++)
		skynet_free((char *)read_text(&config->options, &fields[i]));
	skynet_free(config);
}

enum sk_tls_role
sk_tls_config_role(const struct sk_tls_config *config)
{
	return config->role;
}

int
sk_tls_config_verify(const struct sk_tls_config *config)
{
	return sk_tls_verify(&config->options, config->role);
}

SSL *
sk_tls_config_open(struct sk_tls_config *config)
{
	(void)pthread_mutex_lock(&config->store->lock);
	SSL_CTX *context = config->context;
	(void)SSL_CTX_up_ref(context); /* it only counts */
	(void)pthread_mutex_unlock(&config->store->lock);
	SSL *ssl = SSL_new(context);
	SSL_CTX_free(context);
	return ssl;
}

/* --- the list ------------------------------------------------------------------------------ */

/* Finds it, makes it the first, and counts one user more. */
static struct sk_tls_config *
find_locked(struct sk_tls_store *store, const struct skynet_tls_options *options,
	    enum sk_tls_role role)
{
	struct sk_tls_config **link = &store->first;
	while (*link && !((*link)->role == role && is_same(&(*link)->options, options)))
		link = &(*link)->next;
	struct sk_tls_config *found = *link;
	if (!found)
		return NULL;
	*link = found->next;
	found->next = store->first;
	store->first = found;
	found->users++;
	return found;
}

/* Takes the unused ones but for the first `kept` out of the list (F2). Returns them as a list. */
static struct sk_tls_config *
take_spare_locked(struct sk_tls_store *store, int kept)
{
	struct sk_tls_config *taken = NULL;
	int spare = 0;
	for (struct sk_tls_config **link = &store->first; *link;) {
		struct sk_tls_config *config = *link;
		if (config->users > 0 || ++spare <= kept) {
			link = &config->next;
			continue;
		}
		*link = config->next;
		config->next = taken;
		taken = config;
	}
	return taken;
}

static void
free_list(struct sk_tls_config *list)
{
	while (list) {
		struct sk_tls_config *next = list->next;
		free_config(list);
		list = next;
	}
}

static struct sk_tls_config *
find(struct sk_tls_store *store, const struct skynet_tls_options *options, enum sk_tls_role role)
{
	(void)pthread_mutex_lock(&store->lock);
	struct sk_tls_config *found = find_locked(store, options, role);
	(void)pthread_mutex_unlock(&store->lock);
	return found;
}

struct sk_tls_config *
sk_tls_config_get(struct sk_tls_store *store, const struct skynet_tls_options *options,
		  enum sk_tls_role role, char *error, size_t error_size)
{
	struct sk_tls_config *found = find(store, options, role);
	if (found)
		return found;
	SSL_CTX *context = sk_tls_context_new(options, role, error, error_size);
	if (!context)
		return NULL;
	struct sk_tls_config *made = new_config(store, options, role, context);
	(void)pthread_mutex_lock(&store->lock);
	found = find_locked(store, options, role); /* somebody else was faster */
	if (!found) {
		made->next = store->first;
		store->first = made;
	}
	(void)pthread_mutex_unlock(&store->lock);
	if (found)
		free_config(made);
	return found ? found : made;
}

struct sk_tls_config *
sk_tls_config_ref(struct sk_tls_config *config)
{
	(void)pthread_mutex_lock(&config->store->lock);
	config->users++;
	(void)pthread_mutex_unlock(&config->store->lock);
	return config;
}

void
sk_tls_config_unref(struct sk_tls_config *config)
{
	if (!config)
		return;
	struct sk_tls_store *store = config->store;
	(void)pthread_mutex_lock(&store->lock);
	struct sk_tls_config *spare =
		--config->users == 0 ? take_spare_locked(store, SK_TLS_SPARE_MAX) : NULL;
	(void)pthread_mutex_unlock(&store->lock);
	free_list(spare);
}

/* --- the store ----------------------------------------------------------------------------- */

struct sk_tls_store *
sk_tls_store_new(void)
{
	struct sk_tls_store *store = skynet_calloc(1, sizeof *store);
	(void)pthread_mutex_init(&store->lock, NULL);
	return store;
}

void
sk_tls_store_free(struct sk_tls_store *store)
{
	free_list(store->first);
	(void)pthread_mutex_destroy(&store->lock);
	skynet_free(store);
}

/* Those that nobody uses are made when somebody comes back. */
static void
drop_spare(struct sk_tls_store *store)
{
	(void)pthread_mutex_lock(&store->lock);
	struct sk_tls_config *spare = take_spare_locked(store, 0);
	(void)pthread_mutex_unlock(&store->lock);
	free_list(spare);
}

/* The configs, each counted once more, for a walk without the lock. *count: how many. */
static struct sk_tls_config **
hold_all(struct sk_tls_store *store, size_t *count)
{
	*count = 0;
	(void)pthread_mutex_lock(&store->lock);
	for (struct sk_tls_config *config = store->first; config; config = config->next)
		*count += 1;
	struct sk_tls_config **all = skynet_calloc(*count + 1, sizeof *all);
	struct sk_tls_config *config = store->first;
	for (size_t i = 0; i < *count; i++, config = config->next) {
		config->users++;
		all[i] = config;
	}
	(void)pthread_mutex_unlock(&store->lock);
	return all;
}

/* Returns whether there is a new context. */
static bool
renew(struct sk_tls_config *config, char *error, size_t error_size)
{
	SSL_CTX *made = sk_tls_context_new(&config->options, config->role, error, error_size);
	if (!made)
		return false;
	(void)pthread_mutex_lock(&config->store->lock);
	SSL_CTX *old = config->context;
	config->context = made;
	(void)pthread_mutex_unlock(&config->store->lock);
	SSL_CTX_free(old);
	return true;
}

int
sk_tls_store_reload(struct sk_tls_store *store, void (*complain)(void *ud, const char *line),
		    void *ud)
{
	char error[512];
	size_t count;
	int failed = 0;
	drop_spare(store);
	struct sk_tls_config **all = hold_all(store, &count);
	for (size_t i = 0; i < count; i++) {
		if (!renew(all[i], error, sizeof error)) {
			complain(ud, error);
			failed++;
		}
		sk_tls_config_unref(all[i]);
	}
	skynet_free(all);
	return failed;
}
