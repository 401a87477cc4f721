/* sk_tls_config.h: TLS options in use, each with the context that was made of them.
 *
 * Model      Listeners and connections with the same options share one config, which counts them.
 *            F1  A config always has a context; a reload replaces it only by one that is complete.
 *                Connections keep the one that they began with.
 *            F2  A config that nobody uses stays for who comes back, while it is one of the
 *                SK_TLS_SPARE_MAX last ones used.
 * Life       One store for a node's sockets. All configs are given back before it is freed.
 * Threads    [any]; one lock inside, held over nothing else. get and reload read files.
 */
#ifndef SK_TLS_CONFIG_H
#define SK_TLS_CONFIG_H

#include "sk_base.h"
#include "sk_tls_context.h"

#include <stddef.h>

#define SK_TLS_SPARE_MAX 16

struct sk_tls_config;
struct sk_tls_store;

struct sk_tls_store *sk_tls_store_new(void);
void sk_tls_store_free(struct sk_tls_store *store);

/* The config with these options (borrowed), for the caller to unref; or NULL with one line in
 * error. */
struct sk_tls_config *sk_tls_config_get(struct sk_tls_store *store,
					const struct skynet_tls_options *options,
					enum sk_tls_role role, char *error, size_t error_size);
struct sk_tls_config *sk_tls_config_ref(struct sk_tls_config *config);
/* NULL: does nothing. */
void sk_tls_config_unref(struct sk_tls_config *config);

enum sk_tls_role sk_tls_config_role(const struct sk_tls_config *config);
/* How the peer is verified: SKYNET_TLS_VERIFY_... */
int sk_tls_config_verify(const struct sk_tls_config *config);
/* A new connection with the newest context, or NULL. */
SSL *sk_tls_config_open(struct sk_tls_config *config);

/* Makes all contexts that are in use anew. complain is called, without a lock, with
 * one line for each that keeps its old one. Returns how many did. */
int sk_tls_store_reload(struct sk_tls_store *store, void (*complain)(void *ud, const char *line),
			void *ud);

#endif
