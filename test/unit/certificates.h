/* certificates.h: for tests of TLS: certificates made on the spot. */
#ifndef CERTIFICATES_H
#define CERTIFICATES_H

#include "unit.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE 256
#define DAY_S (24L * 60 * 60)

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

#endif
