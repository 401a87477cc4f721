/* sk_tls_context.h: what TLS connections with the same options share: OpenSSL's SSL_CTX, made of
 * options and of the files that they name.
 *
 * Model      A context holds certificates, keys, authorities and rules. It never changes once made;
 *            when a file has changed, a new one is made (sk_tls_config.h).
 * Threads    [any]. Reads files, so not under a lock.
 * Memory     as marked. What OpenSSL noted as errors is gone when a function returns.
 */
#ifndef SK_TLS_CONTEXT_H
#define SK_TLS_CONTEXT_H

#include "sk_base.h"
#include "skynet_socket.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

enum sk_tls_role {
	SK_TLS_CLIENT,
	SK_TLS_SERVER,
};

/* Makes a context. Returns it (given; SSL_CTX_free), or NULL with one line in error that names the
 * option or the file. */
SSL_CTX *sk_tls_context_new(const struct skynet_tls_options *options, enum sk_tls_role role,
			    char *error, size_t error_size);

/* Whether the peer's certificate is to be checked, and what happens if it fails: options->verify,
 * or the default of the role. */
int sk_tls_verify(const struct skynet_tls_options *options, enum sk_tls_role role);

#endif
