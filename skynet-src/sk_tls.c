/* sk_tls.c: see sk_tls.h, also for S1 to S3.
 *
 * OpenSSL's side of the transport is a BIO of our own. Its write takes everything, so sealing never
 * waits, whatever the protocol wants to say in between: answers to key updates and tickets need no
 * code. Its read gives what was handed in; during the handshake, when it must not take more than it
 * needs (S2), it reads from the descriptor, and OpenSSL asks for exact sizes. */
#include "sk_tls.h"

#include "sk_tls_error.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define REASON_BYTES 112

struct sk_tls {
	struct sk_tls_config *config; /* counted */
	SSL *ssl;		      /* NULL: not begun */
	char *name;		      /* or NULL */
	int fd;			      /* to read from; -1: from input */
	bool is_ready;
	bool is_finished; /* we have said that no more comes */
	bool is_cut;	  /* the peer's stream has ended within the handshake */
	/* What the kernel has refused, from unsent_from on. */
	char *unsent;
	size_t unsent_from;
	size_t unsent_size;
	/* What is being opened; empty between calls. */
	const char *input;
	size_t input_size;
	char reason[REASON_BYTES];
};

/* What was sealed on this thread, and not yet pushed (S1). */
static _Thread_local struct outbox {
	size_t size;
	char bytes[SK_TLS_BATCH_BYTES];
} outbox;

/* --- the transport ------------------------------------------------------------------------- */

/* Keeps bytes behind what the kernel has refused. */
static void
keep(struct sk_tls *tls, const char *bytes, size_t size)
{
	size_t waiting = tls->unsent_size - tls->unsent_from;
	if (size == 0)
		return;
	char *joined = skynet_malloc(waiting + size);
	if (waiting > 0)
		memcpy(joined, tls->unsent + tls->unsent_from, waiting);
	memcpy(joined + waiting, bytes, size);
	skynet_free(tls->unsent);
	tls->unsent = joined;
	tls->unsent_from = 0;
	tls->unsent_size = waiting + size;
}

static void
keep_outbox(struct sk_tls *tls)
{
	keep(tls, outbox.bytes, outbox.size);
	outbox.size = 0;
}

static int
transport_write(BIO *bio, const char *bytes, int size)
{
	struct sk_tls *tls = BIO_get_data(bio);
	if (size <= 0)
		return 0;
	if (outbox.size + (size_t)size > sizeof outbox.bytes)
		keep_outbox(tls);
	if (tls->unsent_size > 0) {
		keep(tls, bytes, (size_t)size);
	} else {
		memcpy(outbox.bytes + outbox.size, bytes, (size_t)size);
		outbox.size += (size_t)size;
	}
	return size;
}

static int
read_descriptor(struct sk_tls *tls, char *bytes, size_t size)
{
	ssize_t got;
	do
		got = recv(tls->fd, bytes, size, 0);
	while (got < 0 && errno == EINTR);
	if (got == 0)
		tls->is_cut = true;
	return (int)got;
}

static int
read_input(struct sk_tls *tls, char *bytes, size_t size)
{
	if (tls->input_size == 0)
		return -1;
	if (size > tls->input_size)
		size = tls->input_size;
	memcpy(bytes, tls->input, size);
	tls->input += size;
	tls->input_size -= size;
	return (int)size;
}

static int
transport_read(BIO *bio, char *bytes, int size)
{
	struct sk_tls *tls = BIO_get_data(bio);
	BIO_clear_retry_flags(bio);
	if (size <= 0)
		return 0;
	if (tls->fd < 0) {
		int got = read_input(tls, bytes, (size_t)size);
		if (got < 0)
			BIO_set_retry_read(bio);
		return got;
	}
	int got = read_descriptor(tls, bytes, (size_t)size);
	if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		BIO_set_retry_read(bio);
	return got;
}

static long
transport_control(BIO *bio, int command, long number, void *pointer)
{
	const struct sk_tls *tls = BIO_get_data(bio);
	(void)number;
	(void)pointer;
	if (command == BIO_CTRL_EOF)
		return tls->is_cut;
	return command == BIO_CTRL_FLUSH; /* as good as done */
}

/* Made once for the process, then constant. */
static BIO_METHOD *transport;

static void
make_transport(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "skynet");
	if (!method || BIO_meth_set_write(method, transport_write) != 1 ||
	    BIO_meth_set_read(method, transport_read) != 1 ||
	    BIO_meth_set_ctrl(method, transport_control) != 1) {
		BIO_meth_free(method);
		return;
	}
	transport = method;
}

static BIO *
new_transport(struct sk_tls *tls)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	(void)pthread_once(&once, make_transport);
	BIO *bio = transport ? BIO_new(transport) : NULL;
	if (bio) {
		BIO_set_data(bio, tls);
		BIO_set_init(bio, 1);
	}
	return bio;
}

/* --- failing ------------------------------------------------------------------------------- */

static void
note(struct sk_tls *tls, const char *reason)
{
	(void)snprintf(tls->reason, sizeof tls->reason, "%s", reason);
}

/* Notes why the last call failed, as far as anybody knows. error: errno after it. */
static enum sk_tls_result
fail(struct sk_tls *tls, int error)
{
	char text[REASON_BYTES];
	long verdict = SSL_get_verify_result(tls->ssl);
	unsigned long code = ERR_peek_error();
	if (tls->is_cut)
		note(tls, "the peer ended the connection");
	else if (ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED)
		(void)snprintf(tls->reason, sizeof tls->reason,
			       "the peer's certificate is refused: %s",
			       X509_verify_cert_error_string(verdict));
	else if (code != 0)
		note(tls, sk_tls_error_text(text, sizeof text));
	else if (error != 0 && strerror_r(error, text, sizeof text) == 0)
		note(tls, text);
	else
		note(tls, "broken");
	sk_tls_clear_errors();
	return SK_TLS_FAILED;
}

const char *
sk_tls_reason(const struct sk_tls *tls, char *text, size_t text_size)
{
	(void)snprintf(text, text_size, "TLS: %s", tls->reason);
	return text;
}

/* --- life ---------------------------------------------------------------------------------- */

struct sk_tls *
sk_tls_new(struct sk_tls_config *config, const char *name)
{
	struct sk_tls *tls = skynet_calloc(1, sizeof *tls);
	tls->config = config;
	tls->name = name ? skynet_strdup(name) : NULL;
	tls->fd = -1;
	return tls;
}

struct sk_tls *
sk_tls_of_listener(const struct sk_tls *listener)
{
	return sk_tls_new(sk_tls_config_ref(listener->config), NULL);
}

void
sk_tls_free(struct sk_tls *tls)
{
	if (!tls)
		return;
	SSL_free(tls->ssl);
	sk_tls_config_unref(tls->config);
	skynet_free(tls->name);
	skynet_free(tls->unsent);
	skynet_free(tls);
}

static bool
is_ip(const char *name)
{
	unsigned char bytes[sizeof(struct in6_addr)];
	return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

/* Says whom a client wants to talk to, in the handshake, and to the verification. */
static bool
set_name(struct sk_tls *tls)
{
	X509_VERIFY_PARAM *rules = SSL_get0_param(tls->ssl);
	if (!tls->name)
		return true;
	if (is_ip(tls->name))
		return X509_VERIFY_PARAM_set1_ip_asc(rules, tls->name) == 1;
	X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return X509_VERIFY_PARAM_set1_host(rules, tls->name, 0) == 1 &&
	       SSL_set_tlsext_host_name(tls->ssl, tls->name) == 1;
}

enum sk_tls_result
sk_tls_begin(struct sk_tls *tls, int fd)
{
	sk_tls_clear_errors();
	tls->ssl = sk_tls_config_open(tls->config);
	BIO *bio = tls->ssl ? new_transport(tls) : NULL;
	if (!bio) {
		note(tls, "no memory");
		sk_tls_clear_errors();
		return SK_TLS_FAILED;
	}
	SSL_set_bio(tls->ssl, bio, bio); /* taken */
	tls->fd = fd;
	if (sk_tls_config_role(tls->config) == SK_TLS_SERVER)
		SSL_set_accept_state(tls->ssl);
	else
		SSL_set_connect_state(tls->ssl);
	return set_name(tls) ? SK_TLS_DONE : fail(tls, 0);
}

enum sk_tls_result
sk_tls_shake(struct sk_tls *tls)
{
	sk_tls_clear_errors();
	errno = 0;
	int result = SSL_do_handshake(tls->ssl);
	int error = errno;
	if (result == 1) {
		tls->fd = -1;
		tls->is_ready = true;
		return SK_TLS_DONE;
	}
	if (SSL_get_error(tls->ssl, result) == SSL_ERROR_WANT_READ)
		return SK_TLS_AGAIN;
	return fail(tls, error);
}

bool
sk_tls_is_ready(const struct sk_tls *tls)
{
	return tls->is_ready;
}

/* --- data ---------------------------------------------------------------------------------- */

enum sk_tls_result
sk_tls_open(struct sk_tls *tls, const char *sealed, size_t sealed_size, char *bytes, size_t room,
	    size_t *size)
{
	int got;
	sk_tls_clear_errors();
	tls->input = sealed;
	tls->input_size = sealed_size;
	*size = 0;
	while ((got = SSL_read(tls->ssl, bytes + *size, (int)(room - *size))) > 0)
		*size += (size_t)got;
	int error = SSL_get_error(tls->ssl, got);
	tls->input = NULL;
	if (error == SSL_ERROR_WANT_READ) {
		assert(tls->input_size == 0 && *size < room); /* S2 */
		return SK_TLS_DONE;
	}
	tls->input_size = 0; /* what stands behind the end is nobody's */
	return error == SSL_ERROR_ZERO_RETURN ? SK_TLS_ENDED : fail(tls, 0);
}

bool
sk_tls_has_room(void)
{
	return sizeof outbox.bytes - outbox.size >= SK_TLS_SEALED_BYTES;
}

enum sk_tls_result
sk_tls_seal(struct sk_tls *tls, const char *bytes, size_t size)
{
	sk_tls_clear_errors();
	assert(size > 0 && size <= SK_TLS_RECORD_BYTES);
	return SSL_write(tls->ssl, bytes, (int)size) == (int)size ? SK_TLS_DONE : fail(tls, 0);
}

void
sk_tls_finish(struct sk_tls *tls)
{
	if (!tls->is_ready || tls->is_finished)
		return;
	tls->is_finished = true;
	(void)SSL_shutdown(tls->ssl); /* 0: the peer has not said the same yet */
	sk_tls_clear_errors();
	keep_outbox(tls);
}

void
sk_tls_drop(struct sk_tls *tls)
{
	outbox.size = 0;
	skynet_free(tls->unsent);
	tls->unsent = NULL;
	tls->unsent_from = 0;
	tls->unsent_size = 0;
}

static ssize_t
send_bytes(int fd, const char *bytes, size_t size)
{
	ssize_t sent;
	do
		sent = send(fd, bytes, size, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent;
}

static enum sk_tls_result
push_unsent(struct sk_tls *tls, int fd)
{
	size_t waiting = tls->unsent_size - tls->unsent_from;
	ssize_t sent = send_bytes(fd, tls->unsent + tls->unsent_from, waiting);
	if (sent < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? SK_TLS_AGAIN : SK_TLS_FAILED;
	tls->unsent_from += (size_t)sent;
	if (tls->unsent_from < tls->unsent_size)
		return SK_TLS_AGAIN;
	sk_tls_drop(tls);
	return SK_TLS_DONE;
}

enum sk_tls_result
sk_tls_push(struct sk_tls *tls, int fd)
{
	if (tls->unsent_size > 0)
		return push_unsent(tls, fd);
	size_t size = outbox.size;
	if (size == 0)
		return SK_TLS_DONE;
	outbox.size = 0; /* S1 */
	ssize_t sent = send_bytes(fd, outbox.bytes, size);
	if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
		return SK_TLS_FAILED;
	if (sent == (ssize_t)size)
		return SK_TLS_DONE;
	size_t taken = sent > 0 ? (size_t)sent : 0;
	keep(tls, outbox.bytes + taken, size - taken);
	return SK_TLS_AGAIN;
}

size_t
sk_tls_unsent_bytes(const struct sk_tls *tls)
{
	return tls->unsent_size - tls->unsent_from;
}

/* --- what was agreed on -------------------------------------------------------------------- */

static void
copy_text(char *to, size_t to_size, const char *text)
{
	(void)snprintf(to, to_size, "%s", text ? text : "");
}

/* In the form of RFC 2253, cut if too long. */
static void
print_subject(const X509 *certificate, char *text, size_t text_size)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *bytes;
	if (!bio)
		return;
	(void)X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
	long size = BIO_get_mem_data(bio, &bytes);
	(void)snprintf(text, text_size, "%.*s", size > 0 ? (int)size : 0, size > 0 ? bytes : "");
	BIO_free(bio);
}

void
sk_tls_describe(const struct sk_tls *tls, struct skynet_tls_info *info)
{
	const unsigned char *alpn;
	unsigned alpn_size;
	X509 *certificate = SSL_get0_peer_certificate(tls->ssl);
	*info = (struct skynet_tls_info){0};
	copy_text(info->version, sizeof info->version, SSL_get_version(tls->ssl));
	copy_text(info->cipher, sizeof info->cipher, SSL_get_cipher_name(tls->ssl));
	copy_text(info->server_name, sizeof info->server_name,
		  SSL_get_servername(tls->ssl, TLSEXT_NAMETYPE_host_name));
	SSL_get0_alpn_selected(tls->ssl, &alpn, &alpn_size);
	if (alpn)
		(void)snprintf(info->alpn, sizeof info->alpn, "%.*s", (int)alpn_size,
			       (const char *)alpn);
	if (!certificate)
		return;
	print_subject(certificate, info->subject, sizeof info->subject);
	if (sk_tls_config_verify(tls->config) == SKYNET_TLS_VERIFY_NONE)
		return;
	long verdict = SSL_get_verify_result(tls->ssl);
	info->is_verified = verdict == X509_V_OK;
	if (!info->is_verified)
		copy_text(info->problem, sizeof info->problem,
			  X509_verify_cert_error_string(verdict));
	sk_tls_clear_errors();
}
