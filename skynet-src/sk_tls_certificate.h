/* sk_tls_certificate.h: a certificate with its chain and its key, as read from PEM files; and
 * several of them, of which the name that a client asks for chooses one.
 *
 * Threads    [any]; an array that belongs to a context is constant.
 */
#ifndef SK_TLS_CERTIFICATE_H
#define SK_TLS_CERTIFICATE_H

#include "sk_base.h"

#include <openssl/ssl.h>
#include <stddef.h>

/* So many certificates can one context have. */
#define SK_TLS_CERTIFICATES_MAX 64

/* Reads the certificates and keys that two lists of files name, separated by commas, and gives them
 * to the context. keys NULL: each key is in the file of its certificate. Returns 0, or SK_EINVAL
 * with one line in error that names the file. */
SK_MUST_CHECK int sk_tls_use_certificates(SSL_CTX *context, const char *certificates,
					  const char *keys, char *error, size_t error_size);

#endif
