/* sk_config_keys.c: the keys that the node knows.
 *
 * This table is the only place that says what a key is: a new key is a new row. */
#include "sk_config.h"
#include "sk_config_parts.h"

#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

/* Longer words are no misspelt keys. */
#define WORD_LENGTH_MAX 32

const struct sk_known_key sk_known_keys[] = {
	{.name = "thread",
	 .type = SK_KEY_INTEGER,
	 .min = 1,
	 .max = SK_CONFIG_THREADS_MAX,
	 .fallback_note = "usable processors",
	 .effect = "worker threads"},
	{.name = "harbor",
	 .type = SK_KEY_NODE,
	 .min = 0,
	 .max = 255,
	 .fallback_note = "0, or 1 in a network",
	 .effect = "id of this node; 0: no network of nodes; auto: a free one, with etcd"},
	{.name = "bootstrap",
	 .type = SK_KEY_TEXT,
	 .fallback = "snlua bootstrap",
	 .effect = "first service after the log service: module and arguments"},
	{.name = "start",
	 .type = SK_KEY_TEXT,
	 .fallback = "main",
	 .effect = "Lua service that the bootstrap starts last"},
	{.name = "cpath",
	 .type = SK_KEY_MODULE_PATH,
	 .fallback = "./cservice/?.so",
	 .effect = "where C services are found"},
	{.name = "luaservice",
	 .type = SK_KEY_TEXT,
	 .fallback = "./service/?.lua",
	 .effect = "where Lua services are found"},
	{.name = "lualoader",
	 .type = SK_KEY_TEXT,
	 .fallback = "./lualib/loader.lua",
	 .effect = "file that loads a Lua service"},
	{.name = "lua_path",
	 .type = SK_KEY_TEXT,
	 .fallback = "./lualib/?.lua;./lualib/?/init.lua",
	 .effect = "package.path of Lua services"},
	{.name = "lua_cpath",
	 .type = SK_KEY_TEXT,
	 .fallback = "./luaclib/?.so",
	 .effect = "package.cpath of Lua services"},
	{.name = "preload",
	 .type = SK_KEY_TEXT,
	 .effect = "Lua file that runs before every Lua service"},
	{.name = "logger",
	 .type = SK_KEY_TEXT,
	 .fallback_note = "stdout",
	 .effect = "file of the log, or what logservice takes"},
	{.name = "logservice",
	 .type = SK_KEY_TEXT,
	 .fallback = "logger",
	 .effect = "module of the log service"},
	{.name = "logpath", .type = SK_KEY_TEXT, .effect = "folder of message recordings"},
	{.name = "daemon", .type = SK_KEY_TEXT, .effect = "pid file; runs in the background"},
	{.name = "simulate",
	 .type = SK_KEY_INTEGER,
	 .min = 0,
	 .max = (long)(SK_SEED_MAX < LONG_MAX ? SK_SEED_MAX : LONG_MAX),
	 .effect = "seed: the node runs in virtual time, in an order that the seed decides"},
	{.name = "profile",
	 .type = SK_KEY_BOOLEAN,
	 .fallback = "true",
	 .effect = "account CPU time per service"},
	{.name = "calltimeout",
	 .type = SK_KEY_INTEGER,
	 .min = 0,
	 .max = INT32_MAX,
	 .fallback = "0",
	 .effect = "1/100 s after which a call fails; 0: it waits for ever"},
	{.name = "mailboxwarning",
	 .type = SK_KEY_INTEGER,
	 .min = 0,
	 .max = INT32_MAX,
	 .fallback = "1024",
	 .effect = "messages waiting for a service that are worth a log line; 0: none"},
	{.name = "mailboxlimit",
	 .type = SK_KEY_INTEGER,
	 .min = 0,
	 .max = 65535,
	 .fallback = "0",
	 .effect = "messages that may wait for a service; 0: any number"},
	{.name = "mailboxpolicy",
	 .type = SK_KEY_FULL_POLICY,
	 .fallback = "error",
	 .effect = "what senders to a full mailbox get: error, drop or block"},
	{.name = "socket_output_limit",
	 .type = SK_KEY_INTEGER,
	 .min = 0,
	 .max = LONG_MAX,
	 .fallback = "67108864",
	 .effect = "bytes that may wait to be sent on a socket; 0: any number"},
	{.name = "socket_output_total",
	 .type = SK_KEY_INTEGER,
	 .min = 0,
	 .max = LONG_MAX,
	 .fallback = "1073741824",
	 .effect = "the same on all sockets together"},
	{.name = "socket_linger",
	 .type = SK_KEY_INTEGER,
	 .min = 0,
	 .max = INT32_MAX / 1000,
	 .fallback = "60",
	 .effect = "seconds that a closed socket may go on sending; 0: for ever"},
	{.name = "waiterlimit",
	 .type = SK_KEY_INTEGER,
	 .min = 1,
	 .max = INT32_MAX,
	 .fallback = "100000",
	 .effect = "requests that may wait in a system service, such as service_mgr"},
	{.name = "standalone",
	 .type = SK_KEY_ADDRESS,
	 .effect = "this node is the master, and listens there"},
	{.name = "master",
	 .type = SK_KEY_REGISTRY,
	 .fallback_note = "standalone",
	 .effect = "where the master listens, or etcd://host:port[,host:port]/prefix"},
	{.name = "address",
	 .type = SK_KEY_LISTEN,
	 .effect = "where this node listens for other nodes"},
	{.name = "etcd_authorities",
	 .type = SK_KEY_TEXT,
	 .fallback_note = "those of the system",
	 .effect = "who has to have signed the certificates of an etcds://"},
	{.name = "etcd_certificate",
	 .type = SK_KEY_TEXT,
	 .effect = "certificate that this node shows to an etcds://"},
	{.name = "etcd_key",
	 .type = SK_KEY_TEXT,
	 .fallback_note = "etcd_certificate",
	 .effect = "its private key"},
	{.name = "harbor_secret",
	 .type = SK_KEY_TEXT,
	 .effect = "by which the nodes of a network know each other"},
	{.name = "harbor_certificate",
	 .type = SK_KEY_TEXT,
	 .effect = "certificate of this node: TLS between the nodes"},
	{.name = "harbor_key",
	 .type = SK_KEY_TEXT,
	 .fallback_note = "harbor_certificate",
	 .effect = "its private key"},
	{.name = "harbor_authorities",
	 .type = SK_KEY_TEXT,
	 .effect = "who has to have signed the certificates of the other nodes"},
	{.name = "harbor_timeout",
	 .type = SK_KEY_INTEGER,
	 .min = 1,
	 .max = 3600,
	 .fallback = "5",
	 .effect = "seconds of silence after which another node counts as gone"},
	{.name = "harbor_join_timeout",
	 .type = SK_KEY_INTEGER,
	 .min = 1,
	 .max = 86400,
	 .fallback = "30",
	 .effect = "seconds to reach the master at the start"},
	{.name = "harbor_output_limit",
	 .type = SK_KEY_INTEGER,
	 .min = 65536,
	 .max = 1099511627776,
	 .fallback = "67108864",
	 .effect = "bytes that may wait for one other node"},
	{.name = "harbor_output_policy",
	 .type = SK_KEY_OUTPUT_POLICY,
	 .fallback = "error",
	 .effect = "what senders to a node get for which so much waits: error or block"},
	{.name = "harbor_message_limit",
	 .type = SK_KEY_INTEGER,
	 .min = 1024,
	 .max = 1073741824,
	 .fallback = "16777203",
	 .effect = "bytes of the largest message between nodes"},
	{.name = "cluster", .type = SK_KEY_TEXT, .effect = "file with the names of cluster nodes"},
	{.name = "snax", .type = SK_KEY_TEXT, .effect = "where snax services are found"},
	{.name = "snax_loader", .type = SK_KEY_TEXT, .effect = "file that returns a snax loader"},
	{.name = "snax_interface_g",
	 .type = SK_KEY_TEXT,
	 .effect = "module with the globals for reading a snax interface"},
	{.name = "tls_handshake_timeout",
	 .type = SK_KEY_INTEGER,
	 .min = 0,
	 .max = INT32_MAX,
	 .fallback = "10",
	 .effect = "seconds that a TLS handshake may take; 0: any time"},
	{.name = "enablessl",
	 .type = SK_KEY_BOOLEAN,
	 .fallback_note = "false",
	 .effect = "initialise TLS at boot"},
	{.name = "certfile",
	 .type = SK_KEY_TEXT,
	 .fallback_note = "./server-cert.pem",
	 .effect = "certificate of TLS servers"},
	{.name = "keyfile",
	 .type = SK_KEY_TEXT,
	 .fallback_note = "./server-key.pem",
	 .effect = "private key of TLS servers"},
};

const size_t sk_known_key_count = sizeof(sk_known_keys) / sizeof(sk_known_keys[0]);

const struct sk_known_key *
sk_known_key_find(const char *name)
{
	for (size_t i = 0; i < sk_known_key_count; i++) {
		if (strcmp(sk_known_keys[i].name, name) == 0)
			return &sk_known_keys[i];
	}
	return NULL;
}

const char *
sk_known_key_fallback(const struct sk_known_key *key)
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

const struct sk_known_key *
sk_known_key_similar(const char *name)
{
	if (strlen(name) > WORD_LENGTH_MAX)
		return NULL;
	for (size_t i = 0; i < sk_known_key_count; i++) {
		const char *known = sk_known_keys[i].name;
		size_t allowed = strlen(known) > 6 ? 2 : 1;
		if (strcasecmp(known, name) == 0 || edit_distance(known, name) <= allowed)
			return &sk_known_keys[i];
	}
	return NULL;
}

/* --- the table, for humans --- */

void
sk_config_describe(FILE *out)
{
	static const char *const type_names[] = {
		[SK_KEY_TEXT] = "text",		 [SK_KEY_INTEGER] = "integer",
		[SK_KEY_NODE] = "integer",	 [SK_KEY_BOOLEAN] = "boolean",
		[SK_KEY_ADDRESS] = "host:port",	 [SK_KEY_LISTEN] = "host:port",
		[SK_KEY_REGISTRY] = "registry",	 [SK_KEY_MODULE_PATH] = "templates",
		[SK_KEY_FULL_POLICY] = "policy", [SK_KEY_OUTPUT_POLICY] = "policy",
	};
	for (size_t i = 0; i < sk_known_key_count; i++) {
		const struct sk_known_key *key = &sk_known_keys[i];
		char type[64];
		(void)snprintf(type, sizeof(type), "%s", type_names[key->type]);
		if (key->type == SK_KEY_INTEGER || key->type == SK_KEY_NODE)
			(void)snprintf(type, sizeof(type), "%ld..%ld", key->min, key->max);
		(void)fprintf(out, "%-20s %-10s %-34s %s\n", key->name, type,
			      sk_known_key_fallback(key), key->effect);
	}
}
