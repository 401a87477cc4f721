/* tls_world.h: for tests of TLS: certificates made on the spot, and peers that are OpenSSL itself.
 *
 * A peer's bytes go through memory, so that a test can hold them back, cut them and break them; its
 * descriptor is the other end of a socket of the world. */
#ifndef TLS_WORLD_H
#define TLS_WORLD_H

#include "socket_world.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#define PATH_SIZE 256
#define DAY_S (24L * 60 * 60)

/* --- certificates -------------------------------------------------------------------------- */

/* Who can sign: a certificate and its key. */
struct signer {
	X509 *certificate;
	EVP_PKEY *key;
};

/* What a certificate is to say. */
struct wish {
	const char *name;	     /* common name */
	const char *alternatives;    /* as "DNS:a.test,IP:127.0.0.1"; NULL: none */
	const struct signer *signer; /* NULL: itself */
	bool is_authority;
	bool is_expired;
};

/* Files in one temporary folder, removed at the end. */
struct shelf {
	char folder[64];
	struct signer authority;
	struct signer stranger; /* an authority that nobody trusts */
	char authority_file[PATH_SIZE];
	char stranger_file[PATH_SIZE];
};

static inline void
shelf_path(const struct shelf *shelf, const char *name, char path[PATH_SIZE])
{
	(void)snprintf(path, PATH_SIZE, "%s/%s", shelf->folder, name);
}

static inline void
add_extension(X509 *certificate, X509V3_CTX *context, int id, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, context, id, value);
	assert_non_null(extension);
	assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

static inline struct signer
issue(const struct wish *wish)
{
	static long serial = 1;
	struct signer made = {.certificate = X509_new(), .key = EVP_EC_gen("P-256")};
	const struct signer *by = wish->signer ? wish->signer : &made;
	X509 *x = made.certificate;
	X509_NAME *name = X509_get_subject_name(x);
	X509V3_CTX context;
	assert_non_null(made.key);
	assert_int_equal(X509_set_version(x, X509_VERSION_3), 1);
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(x), serial++), 1);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(x), -2 * DAY_S));
	assert_non_null(
		X509_gmtime_adj(X509_getm_notAfter(x), wish->is_expired ? -DAY_S : 10 * DAY_S));
	assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
						    (const unsigned char *)wish->name, -1, -1, 0),
			 1);
	assert_int_equal(X509_set_issuer_name(x, X509_get_subject_name(by->certificate)), 1);
	assert_int_equal(X509_set_pubkey(x, made.key), 1);
	X509V3_set_ctx(&context, by->certificate, x, NULL, NULL, 0);
	add_extension(x, &context, NID_basic_constraints,
		      wish->is_authority ? "critical,CA:TRUE" : "CA:FALSE");
	if (wish->alternatives)
		add_extension(x, &context, NID_subject_alt_name, wish->alternatives);
	assert_true(X509_sign(x, by->key, EVP_sha256()) > 0);
	return made;
}

static inline void
signer_free(struct signer *signer)
{
	X509_free(signer->certificate);
	EVP_PKEY_free(signer->key);
}

/* Writes certificate and key into one file. */
static inline void
signer_write(const struct signer *signer, const char *path)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(PEM_write_X509(file, signer->certificate), 1);
	assert_int_equal(PEM_write_PrivateKey(file, signer->key, NULL, NULL, 0, NULL, NULL), 1);
	assert_int_equal(fclose(file), 0);
}

/* Makes NAME.pem, certificate and key, in the folder. path: receives where. */
static inline void
shelf_add(const struct shelf *shelf, const char *name, const struct wish *wish,
	  char path[PATH_SIZE])
{
	struct signer made = issue(wish);
	shelf_path(shelf, name, path);
	signer_write(&made, path);
	signer_free(&made);
}

/* A certificate of the shelf's authority for these names. */
static inline void
shelf_good(const struct shelf *shelf, const char *name, const char *alternatives,
	   char path[PATH_SIZE])
{
	const struct wish wish = {
		.name = name, .alternatives = alternatives, .signer = &shelf->authority};
	shelf_add(shelf, name, &wish, path);
}

static inline void
shelf_init(struct shelf *shelf)
{
	(void)snprintf(shelf->folder, sizeof shelf->folder, "/tmp/skynet-test-XXXXXX");
	assert_non_null(mkdtemp(shelf->folder));
	shelf->authority = issue(&(struct wish){.name = "Good CA", .is_authority = true});
	shelf->stranger = issue(&(struct wish){.name = "Bad CA", .is_authority = true});
	shelf_path(shelf, "authority", shelf->authority_file);
	shelf_path(shelf, "stranger", shelf->stranger_file);
	signer_write(&shelf->authority, shelf->authority_file);
	signer_write(&shelf->stranger, shelf->stranger_file);
}

static inline void
shelf_fini(struct shelf *shelf)
{
	char command[128];
	signer_free(&shelf->authority);
	signer_free(&shelf->stranger);
	(void)snprintf(command, sizeof command, "rm -r %s", shelf->folder);
	assert_int_equal(system(command), 0);
}

static inline void
write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

/* --- peers --------------------------------------------------------------------------------- */

struct peer {
	SSL *ssl;
	BIO *in;
	BIO *out;
	int fd;
	size_t chunk;	     /* sends at most so much at a time; 0: no limit */
	size_t hold;	     /* so many of the first bytes go out, and then nothing; 0: no limit */
	size_t sent;	     /* through the descriptor, sealed */
	bool is_ended;	     /* the descriptor says so */
	unsigned long error; /* of OpenSSL, from the last read or handshake; 0: none */
};

/* context: borrowed. fd: taken. */
static inline void
peer_init(struct peer *peer, SSL_CTX *context, int fd, bool is_server)
{
	*peer = (struct peer){.ssl = SSL_new(context), .fd = fd};
	peer->in = BIO_new(BIO_s_mem());
	peer->out = BIO_new(BIO_s_mem());
	SSL_set_bio(peer->ssl, peer->in, peer->out);
	if (is_server)
		SSL_set_accept_state(peer->ssl);
	else
		SSL_set_connect_state(peer->ssl);
}

static inline void
peer_fini(struct peer *peer)
{
	SSL_free(peer->ssl);
	if (peer->fd >= 0)
		(void)close(peer->fd);
}

/* Sends what the peer has to say. */
static inline void
peer_push(struct world *w, struct peer *peer)
{
	char *bytes;
	size_t size;
	uint64_t deadline_ms = sk_clock_ms() + WORLD_DEADLINE_MS;
	while ((size = (size_t)BIO_get_mem_data(peer->out, &bytes)) > 0) {
		char part[65536];
		if (peer->hold > 0 && size > peer->hold - peer->sent)
			size = peer->hold - peer->sent;
		if (peer->chunk > 0 && size > peer->chunk)
			size = peer->chunk;
		if (size > sizeof part)
			size = sizeof part;
		if (size == 0)
			return;
		ssize_t sent = send(peer->fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0 && errno != EAGAIN)
			return;
		if (sent > 0) {
			assert_int_equal(BIO_read(peer->out, part, (int)sent), sent);
			peer->sent += (size_t)sent;
		}
		assert_true(sk_clock_ms() < deadline_ms);
		world_settle(w);
	}
}

/* Takes what has come for the peer. Returns whether there was something. */
static inline bool
peer_pull(struct peer *peer)
{
	char bytes[16384];
	ssize_t got = recv(peer->fd, bytes, sizeof bytes, MSG_DONTWAIT);
	if (got > 0)
		assert_int_equal(BIO_write(peer->in, bytes, (int)got), got);
	if (got == 0 || (got < 0 && errno != EAGAIN))
		peer->is_ended = true;
	return got > 0;
}

static inline void
peer_pump(struct world *w, struct peer *peer)
{
	peer_push(w, peer);
	(void)world_poll(w, 0);
	(void)peer_pull(peer);
}

/* The thread's queue is for the world's side. */
static inline void
peer_note_error(struct peer *peer)
{
	peer->error = ERR_peek_error();
	ERR_clear_error();
}

/* Shakes hands. Returns whether that went well. */
static inline bool
peer_shake(struct world *w, struct peer *peer)
{
	uint64_t deadline_ms = sk_clock_ms() + WORLD_DEADLINE_MS;
	ERR_clear_error();
	for (;;) {
		int result = SSL_do_handshake(peer->ssl);
		bool has_failed = SSL_get_error(peer->ssl, result) == SSL_ERROR_SSL;
		peer_note_error(peer);
		peer_push(w, peer);
		if (result == 1)
			return true;
		if (has_failed)
			return false;
		peer_pump(w, peer);
		if (peer->is_ended && BIO_pending(peer->in) == 0)
			return false;
		assert_true(sk_clock_ms() < deadline_ms);
	}
}

static inline void
peer_write(struct world *w, struct peer *peer, const void *bytes, size_t size)
{
	ERR_clear_error();
	assert_int_equal(SSL_write(peer->ssl, bytes, (int)size), size);
	peer_push(w, peer);
}

/* Reads exactly so much, unless the stream ends before. Returns how much. */
static inline size_t
peer_read(struct world *w, struct peer *peer, char *bytes, size_t size)
{
	size_t have = 0;
	uint64_t deadline_ms = sk_clock_ms() + WORLD_DEADLINE_MS;
	ERR_clear_error();
	while (have < size) {
		int got = SSL_read(peer->ssl, bytes + have, (int)(size - have));
		if (got > 0) {
			have += (size_t)got;
			continue;
		}
		if (SSL_get_error(peer->ssl, got) != SSL_ERROR_WANT_READ) {
			peer_note_error(peer);
			break;
		}
		peer_pump(w, peer);
		if (peer->is_ended && BIO_pending(peer->in) == 0)
			break;
		assert_true(sk_clock_ms() < deadline_ms);
	}
	return have;
}

static inline void
peer_expect(struct world *w, struct peer *peer, const char *text)
{
	char bytes[256];
	size_t size = strlen(text);
	assert_int_equal(peer_read(w, peer, bytes, size), size);
	assert_memory_equal(bytes, text, size);
}

/* The stream has ended as it should, with a close_notify. */
static inline void
peer_expect_end(struct world *w, struct peer *peer)
{
	char byte;
	assert_int_equal(peer_read(w, peer, &byte, 1), 0);
	assert_true(SSL_get_shutdown(peer->ssl) & SSL_RECEIVED_SHUTDOWN);
}

#endif
