/* sk_tls_context.c: options to an SSL_CTX; see sk_tls_context.h.
 *
 * The rules that every connection follows: TLS 1.2 or newer, ciphers with forward secrecy only, no
 * renegotiation (so that neither reading nor writing ever has to do the other first), no
 * compression. Sessions are kept by the clients, in tickets; the node keeps none. */
#include "sk_tls_context.h"

#include "sk_tls_certificate.h"
#include "sk_tls_error.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define TEXT_BYTES_MAX 128
/* The list of protocols as the handshake carries it: a byte of length before each name. */
#define ALPN_BYTES_MAX 255

/* Of TLS 1.2; those of 1.3 are all good. */
#define DEFAULT_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

/* --- errors -------------------------------------------------------------------------------- */

/* One line about an option that cannot be followed. */
static int
refuse(const char *option, const char *value, char *error, size_t error_size)
{
	char text[TEXT_BYTES_MAX];
	(void)snprintf(error, error_size, "tls: %s '%s': %s", option, value,
		       sk_tls_error_text(text, sizeof text));
	return SK_EINVAL;
}

/* --- the steps ----------------------------------------------------------------------------- */

static int
set_version(SSL_CTX *context, const char *minimum, char *error, size_t error_size)
{
	int version = TLS1_2_VERSION;
	if (minimum && strcmp(minimum, "1.3") == 0)
		version = TLS1_3_VERSION;
	else if (minimum && strcmp(minimum, "1.2") != 0) {
		(void)snprintf(error, error_size,
			       "tls: minimum_version '%s': must be \"1.2\" or \"1.3\"", minimum);
		return SK_EINVAL;
	}
	if (SSL_CTX_set_min_proto_version(context, version) != 1)
		return refuse("minimum_version", minimum ? minimum : "1.2", error, error_size);
	return SK_OK;
}

static int
set_ciphers(SSL_CTX *context, const struct skynet_tls_options *options, char *error,
	    size_t error_size)
{
	const char *ciphers = options->ciphers ? options->ciphers : DEFAULT_CIPHERS;
	if (SSL_CTX_set_cipher_list(context, ciphers) != 1)
		return refuse("ciphers", ciphers, error, error_size);
	if (options->ciphersuites && SSL_CTX_set_ciphersuites(context, options->ciphersuites) != 1)
		return refuse("ciphersuites", options->ciphersuites, error, error_size);
	return SK_OK;
}

/* A file with one or more certificates, or a folder of them as `openssl rehash` makes it. */
static int
load_authorities(SSL_CTX *context, const char *path, enum sk_tls_role role, char *error,
		 size_t error_size)
{
	struct stat status;
	if (stat(path, &status) == 0 && S_ISDIR(status.st_mode)) {
		if (SSL_CTX_load_verify_dir(context, path) != 1)
			return refuse("authorities", path, error, error_size);
		return SK_OK;
	}
	if (SSL_CTX_load_verify_file(context, path) != 1)
		return refuse("authorities", path, error, error_size);
	if (role == SK_TLS_SERVER) { /* clients choose their certificate by this list */
		STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(path);
		if (!names)
			return refuse("authorities", path, error, error_size);
		SSL_CTX_set_client_CA_list(context, names);
	}
	return SK_OK;
}

/* A peer that does not prove who it is may go on; skynet_socket_tls_info tells. */
static int
let_pass(int is_good, X509_STORE_CTX *store)
{
	(void)is_good;
	(void)store;
	return 1;
}

int
sk_tls_verify(const struct skynet_tls_options *options, enum sk_tls_role role)
{
	if (options->verify != SKYNET_TLS_VERIFY_DEFAULT)
		return options->verify;
	if (role == SK_TLS_CLIENT || options->authorities)
		return SKYNET_TLS_VERIFY_REQUIRED;
	return SKYNET_TLS_VERIFY_NONE;
}

static void
set_verify(SSL_CTX *context, int verify, enum sk_tls_role role)
{
	if (verify == SKYNET_TLS_VERIFY_NONE)
		SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
	else if (verify == SKYNET_TLS_VERIFY_REQUIRED)
		SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
				   NULL);
	else
		SSL_CTX_set_verify(context, SSL_VERIFY_PEER,
				   role == SK_TLS_CLIENT ? let_pass : NULL);
}

static int
set_authorities(SSL_CTX *context, const struct skynet_tls_options *options, enum sk_tls_role role,
		char *error, size_t error_size)
{
	int verify = sk_tls_verify(options, role);
	if (verify < SKYNET_TLS_VERIFY_DEFAULT || verify > SKYNET_TLS_VERIFY_REQUIRED) {
		(void)snprintf(error, error_size, "tls: verify %d: no such way to verify", verify);
		return SK_EINVAL;
	}
	set_verify(context, verify, role);
	if (verify == SKYNET_TLS_VERIFY_NONE)
		return SK_OK;
	if (options->authorities)
		return load_authorities(context, options->authorities, role, error, error_size);
	if (role == SK_TLS_SERVER) {
		(void)snprintf(error, error_size,
			       "tls: verify: a server needs authorities to check its clients with");
		return SK_EINVAL;
	}
	if (SSL_CTX_set_default_verify_paths(context) != 1)
		return refuse("authorities", "of the system", error, error_size);
	return SK_OK;
}

/* --- the application's protocol ------------------------------------------------------------ */

/* "h2,http/1.1" to the form of the handshake. Returns its size, or 0 for a list that is none. */
static size_t
encode_alpn(const char *list, unsigned char bytes[ALPN_BYTES_MAX])
{
	size_t size = 0;
	for (;;) {
		size_t length = strcspn(list, ",");
		if (length == 0 || size + 1 + length > ALPN_BYTES_MAX)
			return 0;
		bytes[size] = (unsigned char)length;
		memcpy(bytes + size + 1, list, length);
		size += 1 + length;
		if (list[length] == '\0')
			return size;
		list += length + 1;
	}
}

/* Of a server: the first of its own protocols that the client speaks too. Without one the handshake
 * fails, as RFC 7301 wants it. argument: the server's list, behind a byte with its size. */
static int
choose_alpn(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_size,
	    const unsigned char *offered, unsigned int offered_size, void *argument)
{
	const unsigned char *ours = argument;
	unsigned char *found;
	(void)ssl;
	if (SSL_select_next_proto(&found, chosen_size, ours + 1, ours[0], offered, offered_size) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*chosen = found;
	return SSL_TLSEXT_ERR_OK;
}

static void
free_alpn(void *context, void *list, CRYPTO_EX_DATA *data, int index, long number, void *argument)
{
	(void)context;
	(void)data;
	(void)index;
	(void)number;
	(void)argument;
	skynet_free(list);
}

/* Where servers' contexts keep their lists. Drawn once for the process, then constant. */
static int alpn_index = -1;

static void
draw_index(void)
{
	alpn_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_alpn);
}

static int
set_alpn(SSL_CTX *context, const char *list, enum sk_tls_role role, char *error, size_t error_size)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	unsigned char bytes[1 + ALPN_BYTES_MAX];
	if (!list)
		return SK_OK;
	size_t size = encode_alpn(list, bytes + 1);
	if (size == 0) {
		(void)snprintf(
			error, error_size,
			"tls: alpn '%s': must be names separated by commas, %d bytes at most", list,
			ALPN_BYTES_MAX);
		return SK_EINVAL;
	}
	if (role == SK_TLS_CLIENT) /* 0 is success, for once */
		return SSL_CTX_set_alpn_protos(context, bytes + 1, (unsigned)size) == 0
			       ? SK_OK
			       : refuse("alpn", list, error, error_size);
	(void)pthread_once(&once, draw_index);
	unsigned char *kept = skynet_malloc(size + 1);
	bytes[0] = (unsigned char)size;
	memcpy(kept, bytes, size + 1);
	if (SSL_CTX_set_ex_data(context, alpn_index, kept) != 1) {
		skynet_free(kept);
		return refuse("alpn", list, error, error_size);
	}
	SSL_CTX_set_alpn_select_cb(context, choose_alpn, kept);
	return SK_OK;
}

/* --- the whole ----------------------------------------------------------------------------- */

static int
set_certificates(SSL_CTX *context, const struct skynet_tls_options *options, enum sk_tls_role role,
		 char *error, size_t error_size)
{
	if (options->certificate)
		return sk_tls_use_certificates(context, options->certificate, options->key, error,
					       error_size);
	if (role == SK_TLS_CLIENT && !options->key)
		return SK_OK;
	(void)snprintf(error, error_size, "tls: a %s needs a certificate",
		       role == SK_TLS_SERVER ? "server" : "client with a key");
	return SK_EINVAL;
}

static void
set_rules(SSL_CTX *context)
{
	static const unsigned char name[] = "skynet";
	(void)SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
						   SSL_OP_CIPHER_SERVER_PREFERENCE |
						   SSL_OP_PRIORITIZE_CHACHA);
	/* A connection that is idle has no buffers. */
	(void)SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
	(void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	/* Without it, clients with a certificate could not come back with a ticket. */
	(void)SSL_CTX_set_session_id_context(context, name, sizeof name - 1);
}

SSL_CTX *
sk_tls_context_new(const struct skynet_tls_options *options, enum sk_tls_role role, char *error,
		   size_t error_size)
{
	sk_tls_clear_errors();
	SSL_CTX *context =
		SSL_CTX_new(role == SK_TLS_SERVER ? TLS_server_method() : TLS_client_method());
	if (!context) {
		(void)refuse("OpenSSL", "new context", error, error_size);
		sk_tls_clear_errors();
		return NULL;
	}
	set_rules(context);
	if (set_version(context, options->minimum_version, error, error_size) != SK_OK ||
	    set_ciphers(context, options, error, error_size) != SK_OK ||
	    set_certificates(context, options, role, error, error_size) != SK_OK ||
	    set_authorities(context, options, role, error, error_size) != SK_OK ||
	    set_alpn(context, options->alpn, role, error, error_size) != SK_OK) {
		SSL_CTX_free(context);
		context = NULL;
	}
	sk_tls_clear_errors();
	return context;
}
