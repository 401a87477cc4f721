/* sk_tls_certificate.c: certificates from files, and the choice among them; see
 * sk_tls_certificate.h.
 *
 * The first certificate is the context's own. If there are more, a callback of the handshake looks
 * for the first one that is valid for the name the client asks for, and keeps to the first of all
 * when there is none, or no name. The array hangs at the context, whose end frees it. */
#include "sk_tls_certificate.h"

#include "sk_tls_error.h"
#include "skynet.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define PATH_BYTES_MAX 4096
#define TEXT_BYTES_MAX 128

struct pair {
	X509 *certificate;
	STACK_OF(X509) * chain;
	EVP_PKEY *key;
};

struct pairs {
	int count;
	struct pair all[SK_TLS_CERTIFICATES_MAX];
};

/* --- memory -------------------------------------------------------------------------------- */

static void
pair_fini(struct pair *pair)
{
	X509_free(pair->certificate);
	sk_X509_pop_free(pair->chain, X509_free);
	EVP_PKEY_free(pair->key);
}

static void
pairs_free(struct pairs *pairs)
{
	for (int i = 0; pairs && i < pairs->count; i++)
		pair_fini(&pairs->all[i]);
	skynet_free(pairs);
}

/* Called by OpenSSL when a context ends. */
static void
context_ends(void *context, void *pairs, CRYPTO_EX_DATA *data, int index, long number,
	     void *argument)
{
	(void)context;
	(void)data;
	(void)index;
	(void)number;
	(void)argument;
	pairs_free(pairs);
}

/* Where contexts keep their pairs. Drawn once for the process, then constant. */
static int pairs_index = -1;

static void
draw_index(void)
{
	pairs_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, context_ends);
}

/* --- reading ------------------------------------------------------------------------------- */

/* A key that is locked with a password is an error; nobody is asked on the terminal. */
static int
no_password(char *buffer, int size, int is_for_writing, void *ud)
{
	(void)buffer;
	(void)size;
	(void)is_for_writing;
	(void)ud;
	return -1;
}

static int
complain(const char *what, const char *path, char *error, size_t error_size)
{
	char text[TEXT_BYTES_MAX];
	(void)snprintf(error, error_size, "tls: %s %s: %s", path, what,
		       sk_tls_error_text(text, sizeof text));
	return SK_EINVAL;
}

static BIO *
open_file(const char *path, char *error, size_t error_size)
{
	BIO *file = BIO_new_file(path, "r");
	if (!file)
		(void)complain("cannot be opened", path, error, error_size);
	return file;
}

/* Behind the certificate stand those that lead from it to an authority. */
static int
read_chain(struct pair *pair, BIO *file, const char *path, char *error, size_t error_size)
{
	X509 *next;
	pair->chain = sk_X509_new_null();
	while ((next = PEM_read_bio_X509(file, NULL, no_password, NULL)))
		if (sk_X509_push(pair->chain, next) <= 0) {
			X509_free(next);
			return complain("has a chain that is too long", path, error, error_size);
		}
	if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return complain("has a broken certificate", path, error, error_size);
	sk_tls_clear_errors(); /* it was the end of the file */
	return SK_OK;
}

static int
read_certificate(struct pair *pair, const char *path, char *error, size_t error_size)
{
	BIO *file = open_file(path, error, error_size);
	if (!file)
		return SK_EINVAL;
	int result = SK_OK;
	pair->certificate = PEM_read_bio_X509_AUX(file, NULL, no_password, NULL);
	if (!pair->certificate)
		result = complain("has no certificate in PEM form", path, error, error_size);
	else
		result = read_chain(pair, file, path, error, error_size);
	BIO_free(file);
	return result;
}

static int
read_key(struct pair *pair, const char *path, char *error, size_t error_size)
{
	BIO *file = open_file(path, error, error_size);
	if (!file)
		return SK_EINVAL;
	pair->key = PEM_read_bio_PrivateKey(file, NULL, no_password, NULL);
	BIO_free(file);
	if (!pair->key)
		return complain("has no private key in PEM form that needs no password", path,
				error, error_size);
	return SK_OK;
}

static int
read_pair(struct pair *pair, const char *certificate, const char *key, char *error,
	  size_t error_size)
{
	int result = read_certificate(pair, certificate, error, error_size);
	if (result == SK_OK)
		result = read_key(pair, key, error, error_size);
	if (result == SK_OK && X509_check_private_key(pair->certificate, pair->key) != 1) {
		(void)snprintf(error, error_size,
			       "tls: the key in %s does not belong to the certificate in %s", key,
			       certificate);
		result = SK_EINVAL;
	}
	return result;
}

/* Takes the next word of a list that is separated by commas. Returns false at its end, or if the
 * word is too long. */
static bool
next_path(const char **list, char path[PATH_BYTES_MAX])
{
	size_t length = strcspn(*list, ",");
	if (length == 0 || length >= PATH_BYTES_MAX)
		return false;
	memcpy(path, *list, length);
	path[length] = '\0';
	*list += length;
	if (**list == ',')
		*list += 1;
	return true;
}

/* One pair more. key: of the file; NULL: in that of the certificate. */
static int
add_pair(struct pairs *pairs, const char *certificate, const char *key, char *error,
	 size_t error_size)
{
	if (pairs->count < SK_TLS_CERTIFICATES_MAX) {
		pairs->count++;
		return read_pair(&pairs->all[pairs->count - 1], certificate,
				 key ? key : certificate, error, error_size);
	}
	(void)snprintf(error, error_size, "tls: more than %d certificates",
		       SK_TLS_CERTIFICATES_MAX);
	return SK_EINVAL;
}

static int
read_pairs(struct pairs *pairs, const char *certificates, const char *keys, char *error,
	   size_t error_size)
{
	char certificate[PATH_BYTES_MAX];
	char key[PATH_BYTES_MAX];
	bool has_key = true;
	while (has_key && next_path(&certificates, certificate)) {
		has_key = !keys || next_path(&keys, key);
		if (has_key &&
		    add_pair(pairs, certificate, keys ? key : NULL, error, error_size) != SK_OK)
			return SK_EINVAL;
	}
	if (has_key && pairs->count > 0 && *certificates == '\0' && (!keys || *keys == '\0'))
		return SK_OK;
	(void)snprintf(error, error_size,
		       "tls: certificate and key must name files, as many of the one as of the "
		       "other, separated by commas");
	return SK_EINVAL;
}

/* --- choosing ------------------------------------------------------------------------------ */

static int
choose(SSL *ssl, void *argument)
{
	const struct pairs *pairs = argument;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	for (int i = 0; name && i < pairs->count; i++) {
		const struct pair *pair = &pairs->all[i];
		if (X509_check_host(pair->certificate, name, 0, 0, NULL) == 1)
			return SSL_use_cert_and_key(ssl, pair->certificate, pair->key, pair->chain,
						    1);
	}
	return 1; /* the context's own */
}

static int
give(SSL_CTX *context, struct pairs *pairs, char *error, size_t error_size)
{
	char text[TEXT_BYTES_MAX];
	const struct pair *first = &pairs->all[0];
	if (SSL_CTX_use_cert_and_key(context, first->certificate, first->key, first->chain, 1) !=
		    1 ||
	    SSL_CTX_set_ex_data(context, pairs_index, pairs) != 1) {
		(void)snprintf(error, error_size, "tls: the certificate cannot be used: %s",
			       sk_tls_error_text(text, sizeof text));
		return SK_EINVAL;
	}
	if (pairs->count > 1)
		SSL_CTX_set_cert_cb(context, choose, pairs);
	return SK_OK;
}

int
sk_tls_use_certificates(SSL_CTX *context, const char *certificates, const char *keys, char *error,
			size_t error_size)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	(void)pthread_once(&once, draw_index);
	struct pairs *pairs = skynet_calloc(1, sizeof *pairs);
	int result = read_pairs(pairs, certificates, keys, error, error_size);
	if (result == SK_OK)
		result = give(context, pairs, error, error_size);
	if (result != SK_OK)
		pairs_free(pairs);
	sk_tls_clear_errors();
	return result;
}
