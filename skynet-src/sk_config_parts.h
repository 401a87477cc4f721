/* sk_config_parts.h: what the files that check a config share: the table of known keys, and how a
 * bad setting is told.
 *
 * Parts      sk_config_keys.c     which keys there are
 *            sk_config_refuse.c   how a bad setting is told
 *            sk_config_address.c  what addresses look like
 *            sk_config_network.c  whether the keys of the network of nodes fit together
 *            sk_config.c          checks each key, and puts all into the environment
 * Threads    [boot]
 */
#ifndef SK_CONFIG_PARTS_H
#define SK_CONFIG_PARTS_H

#include "sk_env.h"
#include "sk_settings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define SK_CONFIG_THREADS_MAX 1024
/* What a node of a network has in place of an id that it is to take from the registry. */
#define SK_CONFIG_AUTO "auto"

enum sk_key_type {
	SK_KEY_TEXT,
	SK_KEY_INTEGER,
	SK_KEY_NODE, /* the same, or "auto" */
	SK_KEY_BOOLEAN,
	SK_KEY_ADDRESS,	      /* host:port */
	SK_KEY_LISTEN,	      /* the same, or port 0: any that is free */
	SK_KEY_REGISTRY,      /* host:port, or the URL of an etcd */
	SK_KEY_MODULE_PATH,   /* templates of C modules */
	SK_KEY_FULL_POLICY,   /* what senders to a full mailbox get */
	SK_KEY_OUTPUT_POLICY, /* what senders to a node get that is behind */
};

struct sk_known_key {
	const char *name;
	enum sk_key_type type;
	long min; /* of an integer */
	long max;
	const char *fallback;	   /* the default; NULL: the key stays unset */
	const char *fallback_note; /* what to print for a default that is no constant */
	const char *effect;
};

extern const struct sk_known_key sk_known_keys[];
extern const size_t sk_known_key_count;

/* Returns the key of that name, or NULL. */
const struct sk_known_key *sk_known_key_find(const char *name);
/* The known key that somebody may have meant with an unknown name, or NULL. */
const struct sk_known_key *sk_known_key_similar(const char *name);
/* The default, for humans. */
const char *sk_known_key_fallback(const struct sk_known_key *key);

/* One sk_config_load. */
struct sk_config_loading {
	struct sk_settings settings;
	FILE *warnings;
	char *error;
	size_t error_size;
};

/* Writes the error "FILE:LINE: key 'KEY': " and the rest. Returns SK_EINVAL. */
int sk_config_refuse(const struct sk_config_loading *l, const struct sk_setting *setting,
		     const char *format, ...) SK_PRINTF(3, 4);

/* Whether the text is host:port with a port from port_min to 65535. */
bool sk_config_is_address(const char *text, long port_min);
/* Whether the text is the URL of an etcd: etcd://[USER:PASSWORD@]HOST:PORT[,HOST:PORT...][/PREFIX],
 * or etcds:// for TLS. */
bool sk_config_is_etcd(const char *text);
/* Whether only processes of this machine reach the address host:port. */
bool sk_config_is_loopback(const char *address);
/* Whether the address host:port stands for all addresses of the machine. */
bool sk_config_is_unspecified(const char *address);

/* The id of a node that has none in its config: "0", or "1" where a key tells of a network. */
const char *sk_config_default_node(struct sk_env *env);
/* Checks the keys of the network of nodes, when each for itself is sound, and adds the default of
 * `master`. Returns 0, or SK_EINVAL with the error written. */
int sk_config_check_network(const struct sk_config_loading *l, struct sk_env *env);

#endif
