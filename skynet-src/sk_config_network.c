/* sk_config_network.c: whether the keys of the network of nodes fit together.
 *
 * N1  A node of a network has an address, and knows where the master or the etcd is.
 * N2  Where more than one machine can take part, the nodes prove that they belong to the network:
 *     by a secret, or by certificates.
 * N3  A node in virtual time is alone: there is no order of what other processes do that a seed
 *     could decide. */
#include "sk_config_parts.h"

#include "skynet.h"

#include <assert.h>
#include <string.h>

/* The setting, where the user has made it. */
static const struct sk_setting *
find(const struct sk_config_loading *l, struct sk_env *env, const char *key)
{
	return sk_env_get(env, key) != NULL ? sk_settings_find(&l->settings, key) : NULL;
}

/* The keys that make a node one of a network. */
static const char *const network_keys[] = {"harbor", "address", "master", "standalone"};

/* The first of them that is set: it tells why the others are needed. */
static const struct sk_setting *
find_cause(const struct sk_config_loading *l, struct sk_env *env)
{
	const struct sk_setting *setting = NULL;
	for (size_t i = 0; setting == NULL && i < sizeof(network_keys) / sizeof(char *); i++)
		setting = find(l, env, network_keys[i]);
	return setting;
}

const char *
sk_config_default_node(struct sk_env *env)
{
	for (size_t i = 1; i < sizeof(network_keys) / sizeof(char *); i++)
		if (sk_env_get(env, network_keys[i]) != NULL)
			return "1";
	return "0";
}

/* N1. A node that is the master itself need not say where that is. */
static int
check_places(const struct sk_config_loading *l, struct sk_env *env)
{
	const struct sk_setting *standalone = find(l, env, "standalone");
	const char *master = sk_env_get(env, "master");
	bool is_etcd = master != NULL && sk_config_is_etcd(master);
	if (standalone != NULL && is_etcd)
		return sk_config_refuse(l, standalone,
					"with an etcd as master no node is one; leave it out");
	if (standalone != NULL && master == NULL) {
		int result = sk_env_set(env, "master", standalone->value);
		assert(result == SK_OK); /* it was not there yet */
		(void)result;
	}
	const struct sk_setting *cause = find_cause(l, env);
	if (sk_env_get(env, "address") == NULL)
		return sk_config_refuse(
			l, cause,
			"a node of a network needs address, where it listens for the others, as "
			"in address = \"127.0.0.1:2526\"; set it, or set harbor to 0");
	if (sk_config_is_unspecified(sk_env_get(env, "address")))
		return sk_config_refuse(
			l, find(l, env, "address"),
			"the other nodes reach this one at its address, so it must be one of this "
			"machine, as in \"10.0.0.21:2526\", and not stand for all of them");
	if (sk_env_get(env, "master") == NULL)
		return sk_config_refuse(
			l, cause,
			"a node of a network needs master, where the master listens (host:port), "
			"or an etcd; set it, or standalone on the node that is the master, or set "
			"harbor to 0");
	if (strcmp(sk_env_get(env, "harbor"), SK_CONFIG_AUTO) == 0 && !is_etcd)
		return sk_config_refuse(
			l, find(l, env, "harbor"),
			"only an etcd gives a node its id; set it to 1..255, or master to "
			"\"etcd://host:2379/prefix\"");
	return SK_OK;
}

static int
check_certificates(const struct sk_config_loading *l, struct sk_env *env)
{
	const struct sk_setting *certificate = find(l, env, "harbor_certificate");
	const struct sk_setting *key = find(l, env, "harbor_key");
	const struct sk_setting *authorities = find(l, env, "harbor_authorities");
	if (certificate != NULL && authorities == NULL)
		return sk_config_refuse(
			l, certificate,
			"TLS between nodes is mutual; set harbor_authorities too, the file of who "
			"has signed the certificates of the others");
	if (certificate == NULL && (key != NULL || authorities != NULL))
		return sk_config_refuse(
			l, authorities != NULL ? authorities : key,
			"TLS between nodes is mutual; set harbor_certificate too, the file of "
			"this node's certificate, and of its key unless that is harbor_key");
	return SK_OK;
}

/* N2 */
static int
check_secret(const struct sk_config_loading *l, struct sk_env *env)
{
	if (sk_env_get(env, "harbor_secret") != NULL ||
	    sk_env_get(env, "harbor_certificate") != NULL)
		return SK_OK;
	for (size_t i = 1; i < sizeof(network_keys) / sizeof(char *); i++) {
		const struct sk_setting *setting = find(l, env, network_keys[i]);
		if (setting == NULL || sk_config_is_etcd(setting->value) ||
		    sk_config_is_loopback(setting->value))
			continue;
		return sk_config_refuse(
			l, setting,
			"%s is not on the loopback network, so nodes have to prove that they "
			"belong together; set harbor_secret to the same long text on all of them "
			"(or harbor_certificate and harbor_authorities, for TLS), or use 127.0.0.1 "
			"throughout",
			setting->value);
	}
	return SK_OK;
}

/* N3 */
static int
check_simulation(const struct sk_config_loading *l, struct sk_env *env)
{
	const struct sk_setting *simulate = find(l, env, "simulate");
	char keys[128] = "";
	size_t length = 0;
	if (simulate == NULL)
		return SK_OK;
	for (size_t i = 0; i < sizeof(network_keys) / sizeof(char *); i++) {
		const struct sk_setting *setting = find(l, env, network_keys[i]);
		if (setting == NULL)
			continue;
		int added = snprintf(keys + length, sizeof(keys) - length, "%s%s",
				     length > 0 ? ", " : "", setting->key);
		assert(added > 0 && (size_t)added < sizeof(keys) - length);
		length += (size_t)added;
	}
	return sk_config_refuse(l, simulate,
				"a node in virtual time can be none of a network, as it is by the "
				"keys: %s; leave these out, or set harbor to 0, or leave out "
				"simulate (skynet --test has --real for that)",
				keys);
}

int
sk_config_check_network(const struct sk_config_loading *l, struct sk_env *env)
{
	const struct sk_setting *standalone = find(l, env, "standalone");
	if (strcmp(sk_env_get(env, "harbor"), "0") == 0) {
		if (standalone == NULL)
			return SK_OK;
		return sk_config_refuse(l, standalone,
					"with harbor = 0 there is no master; leave it out, or set "
					"harbor to 1..255");
	}
	int result = check_simulation(l, env);
	if (result == SK_OK)
		result = check_places(l, env);
	if (result == SK_OK)
		result = check_certificates(l, env);
	return result == SK_OK ? check_secret(l, env) : result;
}
