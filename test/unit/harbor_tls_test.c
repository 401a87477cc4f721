/* harbor_tls_test.c: nodes that talk TLS to each other: who can prove that it belongs to them is
 * let in, and nobody else. */
#include "certificates.h"
#include "harbor_world.h"
#include "skynet_socket.h"

static struct shelf shelf;
static char good[PATH_SIZE], stranger[PATH_SIZE], elsewhere[PATH_SIZE];
static struct host a, b;

static int
make_certificates(void **state)
{
	const struct wish wish = {
		.name = "stranger", .alternatives = "IP:127.0.0.1", .signer = &shelf.stranger};
	(void)state;
	shelf_init(&shelf);
	shelf_good(&shelf, "good", "IP:127.0.0.1", good);
	shelf_good(&shelf, "elsewhere", "DNS:elsewhere.test", elsewhere);
	shelf_add(&shelf, "stranger", &wish, stranger);
	return 0;
}

static int
remove_certificates(void **state)
{
	(void)state;
	shelf_fini(&shelf);
	return 0;
}

/* b starts with this certificate; a has the good one. */
static void
start_both(const char *certificate, const char *authorities)
{
	host_start(&a, 1,
		   (const char *[]){"harbor_timeout", "1", "harbor_certificate", good,
				    "harbor_authorities", shelf.authority_file, NULL});
	host_start(&b, 2,
		   (const char *[]){"harbor_timeout", "1", "harbor_certificate", certificate,
				    "harbor_authorities", authorities, NULL});
}

static void
stop_both(void)
{
	host_stop(&a);
	host_stop(&b);
}

static void
those_of_one_authority_talk(void **state)
{
	static char bytes[200000];
	(void)state;
	start_both(good, shelf.authority_file);
	connect_hosts(&a, &b);
	logs(&a, "*Node 2 connected (127.0.0.1:*), with TLS");
	b.voices[0].echoes = true;
	assert_int_equal(say(&a.voices[0], b.voices[0].handle, 7, "hello"), 7);
	hears(&a.voices[0], PTYPE_RESPONSE, 7, b.voices[0].handle, "hello");
	assert_int_equal(say_bytes(&a.voices[0], b.voices[1].handle, 10, 8, bytes, sizeof bytes),
			 8);
	struct heard heard;
	do
		heard = take_heard(&b.voices[1], "a long message");
	while (heard.session != 8);
	assert_int_equal(heard.size, sizeof bytes);
	stop_both();
}

static void
a_certificate_of_another_authority_is_refused_at_both_ends(void **state)
{
	(void)state;
	start_both(stranger, shelf.authority_file);
	introduce(&a, &b, b.port);
	introduce(&b, &a, a.port);
	hears(&a.control, PTYPE_TEXT, 0, a.harbor, "down 2 *certificate*");
	logs(&a, "*Node 2 (*) not reached: *certificate*");
	logs(&a, "*Refused 127.0.0.1:*: *certificate*");
	stop_both();
}

/* A certificate that belongs to another machine of ours is none for this one. */
static void
a_certificate_for_another_host_is_refused(void **state)
{
	(void)state;
	start_both(elsewhere, shelf.authority_file);
	introduce(&a, &b, b.port);
	introduce(&b, &a, a.port);
	hears(&a.control, PTYPE_TEXT, 0, a.harbor, "down 2 *");
	logs(&a, "*Node 2 (*) not reached: *");
	assert_int_equal(count_heard(&a.control, "up *"), 0);
	stop_both();
}

static void
do_reload(struct voice *voice, void *argument)
{
	*(int *)argument = skynet_tls_reload(voice->ctx);
}

/* The node goes on; its next connections, in both directions, are made with the new file. */
static void
a_renewed_certificate_is_used_after_a_reload(void **state)
{
	const struct wish wish = {
		.name = "renewed", .alternatives = "IP:127.0.0.1", .signer = &shelf.stranger};
	char renewed[PATH_SIZE];
	int result = -1;
	(void)state;
	shelf_add(&shelf, "renewed", &wish, renewed);
	start_both(renewed, shelf.authority_file);
	introduce(&a, &b, b.port);
	introduce(&b, &a, a.port);
	hears(&a.control, PTYPE_TEXT, 0, a.harbor, "down 2 *certificate*");
	shelf_good(&shelf, "renewed", "IP:127.0.0.1", renewed);
	in_turn(&b.voices[0], do_reload, &result);
	assert_int_equal(result, 0);
	hears(&a.control, PTYPE_TEXT, 0, a.harbor, "up 2");
	awaits(&b.control, "up 1");
	stop_both();
}

static void
a_node_without_tls_is_refused(void **state)
{
	(void)state;
	host_start(&a, 1,
		   (const char *[]){"harbor_timeout", "1", "harbor_certificate", good,
				    "harbor_authorities", shelf.authority_file, NULL});
	host_start(&b, 2, (const char *[]){"harbor_timeout", "1", NULL});
	introduce(&a, &b, b.port);
	introduce(&b, &a, a.port);
	hears(&a.control, PTYPE_TEXT, 0, a.harbor, "down 2 *");
	logs(&b, "*Refused 127.0.0.1:*: TLS comes in where none is configured*");
	logs(&a, "*Refused 127.0.0.1:*");
	stop_both();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(those_of_one_authority_talk),
		cmocka_unit_test(a_certificate_of_another_authority_is_refused_at_both_ends),
		cmocka_unit_test(a_certificate_for_another_host_is_refused),
		cmocka_unit_test(a_renewed_certificate_is_used_after_a_reload),
		cmocka_unit_test(a_node_without_tls_is_refused),
	};
	return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
