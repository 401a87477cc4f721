/* tls_config_test.c: what TLS options are good for: errors that name the option or the file,
 * contexts that are shared, counted and dropped, and made anew when files change. */
#include "tls_world.h"

#include "sk_tls_config.h"

static struct shelf shelf;
static char good[PATH_SIZE];

static int
make_shelf(void **state)
{
	(void)state;
	shelf_init(&shelf);
	shelf_good(&shelf, "good", "DNS:a.test", good);
	return 0;
}

static int
clear_shelf(void **state)
{
	(void)state;
	shelf_fini(&shelf);
	return 0;
}

/* --- bad options --------------------------------------------------------------------------- */

/* first, second: must stand in the line. */
static void
refuse(const struct skynet_tls_options *options, enum sk_tls_role role, const char *first,
       const char *second)
{
	char error[512] = "";
	SSL_CTX *context = sk_tls_context_new(options, role, error, sizeof error);
	if (context || !strstr(error, first) || !strstr(error, second))
		print_message("'%s' is without '%s' or '%s'\n", error, first, second);
	assert_null(context);
	assert_non_null(strstr(error, first));
	assert_non_null(strstr(error, second));
	assert_int_equal(ERR_peek_error(), 0);
}

#define refuse_server(first, second, ...) \
	refuse(&(const struct skynet_tls_options){__VA_ARGS__}, SK_TLS_SERVER, first, second)
#define refuse_client(first, second, ...) \
	refuse(&(const struct skynet_tls_options){__VA_ARGS__}, SK_TLS_CLIENT, first, second)

static void
errors_name_the_option(void **state)
{
	(void)state;
	char long_list[400];
	memset(long_list, 'x', sizeof long_list);
	long_list[sizeof long_list - 1] = '\0';
	refuse_server("a server needs a certificate", "", .alpn = "h2");
	refuse_client("a client with a key needs a certificate", "", .key = good);
	refuse_client("minimum_version '1.1'", "\"1.2\" or \"1.3\"", .minimum_version = "1.1");
	refuse_client("ciphers 'NONSENSE'", "no cipher match", .ciphers = "NONSENSE");
	refuse_client("ciphersuites 'TLS_NO'", "no cipher match", .ciphersuites = "TLS_NO");
	refuse_client("alpn ''", "separated by commas", .alpn = "");
	refuse_client("alpn 'a,,b'", "separated by commas", .alpn = "a,,b");
	refuse_client("alpn 'xxx", "255 bytes", .alpn = long_list);
	refuse_client("verify 17", "no such way", .verify = 17);
	refuse_client("verify -1", "no such way", .verify = -1);
	refuse_server("verify", "needs authorities", .certificate = good,
		      .verify = SKYNET_TLS_VERIFY_REQUIRED);
}

static void
errors_name_the_file(void **state)
{
	(void)state;
	char path[PATH_SIZE], other[PATH_SIZE], list[2 * PATH_SIZE + 2], keys[2 * PATH_SIZE + 2];
	shelf_path(&shelf, "missing", path);
	refuse_server(path, "No such file", .certificate = path);
	refuse_server(path, "No such file", .certificate = good, .key = path);
	refuse_client("authorities", "No such file", .authorities = path);
	refuse_client("tls: ", path, .authorities = path);
	refuse_server(shelf.folder, "", .certificate = shelf.folder);
	shelf_path(&shelf, "nonsense", path);
	write_text(path, "nonsense\n");
	refuse_server(path, "no certificate in PEM form", .certificate = path);
	refuse_server(path, "no private key in PEM form", .certificate = good, .key = path);
	refuse_client("authorities", path, .authorities = path);
	shelf_path(&shelf, "cut", path);
	write_text(path, "-----BEGIN CERTIFICATE-----\nMIIB\n");
	refuse_server(path, "no certificate in PEM form", .certificate = path);
	shelf_good(&shelf, "other", "DNS:b.test", other);
	refuse_server(other, "does not belong to the certificate", .certificate = good,
		      .key = other);
	(void)snprintf(list, sizeof list, "%s,%s", good, other);
	refuse_server("as many of the one as of the other", "", .certificate = list, .key = good);
	(void)snprintf(keys, sizeof keys, "%s,%s", good, good);
	refuse_server(other, "does not belong to the certificate", .certificate = list,
		      .key = keys);
	refuse_server("must name files", "", .certificate = "");
	(void)snprintf(list, sizeof list, "%s,,%s", good, other);
	refuse_server("must name files", "", .certificate = list);
}

/* Nobody is asked for a password on the terminal. */
static void
a_locked_key_is_an_error(void **state)
{
	(void)state;
	char path[PATH_SIZE];
	shelf_path(&shelf, "locked", path);
	FILE *file = fopen(path, "w");
	assert_int_equal(PEM_write_PKCS8PrivateKey(file, shelf.authority.key, EVP_aes_128_cbc(),
						   "secret", 6, NULL, NULL),
			 1);
	assert_int_equal(fclose(file), 0);
	refuse_server(path, "needs no password", .certificate = shelf.authority_file, .key = path);
}

static void
a_broken_chain_is_an_error_and_a_whole_one_is_sent(void **state)
{
	(void)state;
	char path[PATH_SIZE], text[8192], error[512];
	FILE *file = fopen(good, "r");
	size_t size = fread(text, 1, sizeof text - 1, file);
	text[size] = '\0';
	assert_int_equal(fclose(file), 0);
	shelf_path(&shelf, "chain", path);
	file = fopen(path, "w");
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(PEM_write_X509(file, shelf.authority.certificate), 1);
	assert_int_equal(fclose(file), 0);
	const struct skynet_tls_options options = {.certificate = path};
	SSL_CTX *context = sk_tls_context_new(&options, SK_TLS_SERVER, error, sizeof error);
	assert_non_null(context);
	STACK_OF(X509) * chain;
	assert_int_equal(SSL_CTX_get0_chain_certs(context, &chain), 1);
	assert_int_equal(sk_X509_num(chain), 1);
	SSL_CTX_free(context);
	file = fopen(path, "a");
	assert_true(fputs("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", file) >=
		    0);
	assert_int_equal(fclose(file), 0);
	refuse_server(path, "has a broken certificate", .certificate = path);
}

static void
options_are_set_by_name(void **state)
{
	(void)state;
	struct skynet_tls_options options = {0};
	static const char *const names[] = {"certificate", "key",	  "authorities",
					    "server_name", "alpn",	  "minimum_version",
					    "ciphers",	   "ciphersuites"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		assert_int_equal(skynet_tls_option(&options, names[i], names[i]), 0);
	assert_string_equal(options.certificate, "certificate");
	assert_string_equal(options.key, "key");
	assert_string_equal(options.authorities, "authorities");
	assert_string_equal(options.server_name, "server_name");
	assert_string_equal(options.alpn, "alpn");
	assert_string_equal(options.minimum_version, "minimum_version");
	assert_string_equal(options.ciphers, "ciphers");
	assert_string_equal(options.ciphersuites, "ciphersuites");
	assert_int_equal(skynet_tls_option(&options, "verify", "true"), 0);
	assert_int_equal(options.verify, SKYNET_TLS_VERIFY_REQUIRED);
	assert_int_equal(skynet_tls_option(&options, "verify", "false"), 0);
	assert_int_equal(options.verify, SKYNET_TLS_VERIFY_NONE);
	assert_int_equal(skynet_tls_option(&options, "verify", "optional"), 0);
	assert_int_equal(options.verify, SKYNET_TLS_VERIFY_OPTIONAL);
	assert_int_equal(skynet_tls_option(&options, "verify", "perhaps"), -1);
	assert_int_equal(skynet_tls_option(&options, "certificat", "x"), -1);
	assert_int_equal(skynet_tls_option(&options, "", "x"), -1);
}

static void
authorities_may_be_a_folder(void **state)
{
	(void)state;
	char error[512];
	const struct skynet_tls_options options = {.authorities = shelf.folder};
	SSL_CTX *context = sk_tls_context_new(&options, SK_TLS_CLIENT, error, sizeof error);
	assert_non_null(context);
	SSL_CTX_free(context);
}

/* --- sharing ------------------------------------------------------------------------------- */

static struct sk_tls_config *
get(struct sk_tls_store *store, const struct skynet_tls_options *options)
{
	char error[512];
	struct sk_tls_config *config =
		sk_tls_config_get(store, options, SK_TLS_SERVER, error, sizeof error);
	assert_non_null(config);
	return config;
}

static void
the_same_options_share_a_config(void **state)
{
	(void)state;
	char copy[PATH_SIZE], error[512];
	struct sk_tls_store *store = sk_tls_store_new();
	const struct skynet_tls_options options = {.certificate = good};
	(void)snprintf(copy, sizeof copy, "%s", good);
	const struct skynet_tls_options same = {.certificate = copy, .server_name = "personal"};
	const struct skynet_tls_options alpn = {.certificate = copy, .alpn = "h2"};
	const struct skynet_tls_options bad = {.certificate = "/nowhere"};
	struct sk_tls_config *first = get(store, &options);
	struct sk_tls_config *second = get(store, &same);
	struct sk_tls_config *third = get(store, &alpn);
	assert_ptr_equal(first, second);
	assert_ptr_not_equal(first, third);
	struct sk_tls_config *client =
		sk_tls_config_get(store, &options, SK_TLS_CLIENT, error, sizeof error);
	assert_ptr_not_equal(client, first);
	assert_null(sk_tls_config_get(store, &bad, SK_TLS_SERVER, error, sizeof error));
	sk_tls_config_unref(first);
	sk_tls_config_unref(second);
	sk_tls_config_unref(third);
	sk_tls_config_unref(client);
	struct sk_tls_config *again = get(store, &options); /* F2 */
	assert_ptr_equal(again, first);
	sk_tls_config_unref(again);
	sk_tls_config_unref(NULL);
	sk_tls_store_free(store);
}

/* F2: more than are kept come and go; the sanitizers see what is left behind. */
static void
unused_configs_are_dropped(void **state)
{
	(void)state;
	char alpn[100][16];
	struct sk_tls_config *used[100];
	struct sk_tls_store *store = sk_tls_store_new();
	for (int i = 0; i < 100; i++) {
		(void)snprintf(alpn[i], sizeof alpn[i], "p%d", i);
		const struct skynet_tls_options options = {.certificate = good, .alpn = alpn[i]};
		used[i] = get(store, &options);
	}
	for (int i = 0; i < 100; i++)
		sk_tls_config_unref(used[i]);
	sk_tls_store_free(store);
}

/* --- reload -------------------------------------------------------------------------------- */

static int complaints;
static char last_complaint[512];

static void
complain(void *ud, const char *line)
{
	(void)ud;
	complaints++;
	(void)snprintf(last_complaint, sizeof last_complaint, "%s", line);
}

static void
expect_name(struct sk_tls_config *config, const char *name)
{
	char text[64];
	SSL *ssl = sk_tls_config_open(config);
	assert_non_null(ssl);
	assert_true(X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_get_certificate(ssl)),
					      NID_commonName, text, sizeof text) > 0);
	assert_string_equal(text, name);
	SSL_free(ssl);
}

static void
a_reload_takes_new_files_and_keeps_old_ones_when_they_are_broken(void **state)
{
	(void)state;
	char path[PATH_SIZE], other[PATH_SIZE];
	struct sk_tls_store *store = sk_tls_store_new();
	shelf_good(&shelf, "moving", "DNS:a.test", path);
	const struct skynet_tls_options options = {.certificate = path};
	const struct skynet_tls_options steady = {.certificate = good};
	struct sk_tls_config *config = get(store, &options);
	struct sk_tls_config *bystander = get(store, &steady);
	SSL *running = sk_tls_config_open(config); /* keeps what it began with */
	expect_name(config, "moving");
	shelf_good(&shelf, "fresh", "DNS:a.test", other);
	assert_int_equal(rename(other, path), 0);
	assert_int_equal(sk_tls_store_reload(store, complain, NULL), 0);
	expect_name(config, "fresh");
	write_text(path, "nonsense\n");
	assert_int_equal(sk_tls_store_reload(store, complain, NULL), 1);
	assert_int_equal(complaints, 1);
	assert_non_null(strstr(last_complaint, path));
	expect_name(config, "fresh");
	expect_name(bystander, "good");
	assert_int_equal(remove(path), 0);
	assert_int_equal(sk_tls_store_reload(store, complain, NULL), 1);
	assert_non_null(strstr(last_complaint, "No such file"));
	expect_name(config, "fresh");
	SSL_free(running);
	sk_tls_config_unref(config);
	sk_tls_config_unref(bystander);
	/* What nobody uses is not read, and made anew when it is wanted again. */
	assert_int_equal(sk_tls_store_reload(store, complain, NULL), 0);
	assert_int_equal(complaints, 2);
	sk_tls_store_free(store);
}

/* --- from services ------------------------------------------------------------------------- */

static void
services_get_minus_one_and_a_line_in_the_log(void **state)
{
	(void)state;
	struct world *w = world_new(NULL);
	const struct skynet_tls_options bad = {.certificate = "/nowhere/x.pem"};
	const struct skynet_socket_options options = {.tls = &bad};
	assert_int_equal(skynet_socket_listen_with(w->service, "127.0.0.1", 0, 0, &options), -1);
	assert_non_null(strstr(w->log, "/nowhere/x.pem cannot be opened: No such file"));
	w->log[0] = '\0';
	assert_int_equal(skynet_socket_connect_with(w->service, "127.0.0.1", 1, &options), -1);
	assert_non_null(strstr(w->log, "/nowhere/x.pem cannot be opened: No such file"));
	assert_int_equal(skynet_socket_connect_with(
				 w->service, "unix:/nowhere", 0,
				 &(struct skynet_socket_options){
					 .tls = &(struct skynet_tls_options){.alpn = "x"}}),
			 -1);
	assert_non_null(strstr(w->log, "server_name is needed"));
	assert_int_equal(skynet_tls_reload(w->service), 0);
	assert_int_equal(sk_sockets_count(w->core.sockets), 0);
	world_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_name_the_option),
		cmocka_unit_test(errors_name_the_file),
		cmocka_unit_test(a_locked_key_is_an_error),
		cmocka_unit_test(a_broken_chain_is_an_error_and_a_whole_one_is_sent),
		cmocka_unit_test(options_are_set_by_name),
		cmocka_unit_test(authorities_may_be_a_folder),
		cmocka_unit_test(the_same_options_share_a_config),
		cmocka_unit_test(unused_configs_are_dropped),
		cmocka_unit_test(a_reload_takes_new_files_and_keeps_old_ones_when_they_are_broken),
		cmocka_unit_test(services_get_minus_one_and_a_line_in_the_log),
	};
	return cmocka_run_group_tests(tests, make_shelf, clear_shelf);
}
