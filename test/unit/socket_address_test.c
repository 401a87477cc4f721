/* socket_address_test.c: addresses as messages carry them (sk_socket_address.c). */
#include "sk_socket_address.h"

#include "unit.h"

#include <string.h>

static const char *
printed(const char *host, int port)
{
	static char text[SK_ADDRESS_TEXT_SIZE];
	struct sk_address address;
	assert_int_equal(sk_address_parse(&address, host, port), SK_OK);
	sk_address_print(&address, text);
	return text;
}

static void
numeric_addresses_are_read_and_printed(void **state)
{
	(void)state;
	assert_string_equal(printed("127.0.0.1", 80), "127.0.0.1:80");
	assert_string_equal(printed("255.255.255.255", 65535), "255.255.255.255:65535");
	assert_string_equal(printed("::1", 1), "::1:1");
	assert_string_equal(printed("2001:db8::7", 0), "2001:db8::7:0");
	assert_string_equal(printed("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0", 65535),
			    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0:65535");
}

static void
an_ipv4_address_inside_ipv6_is_printed_as_ipv4(void **state)
{
	(void)state;
	assert_string_equal(printed("::ffff:10.1.2.3", 9), "10.1.2.3:9");
}

static void
what_is_no_number_is_refused(void **state)
{
	(void)state;
	static const char *const hosts[] = {"",		 "localhost", "1.2.3",
					    "1.2.3.4.5", "256.1.1.1", "1.2.3.4 ",
					    ":",	 "::1%lo",    "1.2.3.4:80"};
	struct sk_address address;
	for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
		assert_int_equal(sk_address_parse(&address, hosts[i], 1), SK_EINVAL);
		assert_int_equal(sk_address_kind(&address), SK_ADDRESS_NONE);
	}
	assert_int_equal(sk_address_parse(&address, NULL, 1), SK_EINVAL);
	assert_int_equal(sk_address_parse(&address, "1.2.3.4", -1), SK_EINVAL);
	assert_int_equal(sk_address_parse(&address, "1.2.3.4", 65536), SK_EINVAL);
}

static void
the_bytes_are_as_documented(void **state)
{
	(void)state;
	struct sk_address address;
	static const unsigned char ipv4[] = {1, 0x1f, 0x90, 10, 0, 0, 7};
	static const unsigned char ipv6[19] = {2, 0x1f, 0x90, 0x20, 0x01, 0x0d, 0xb8, [18] = 1};
	assert_int_equal(sk_address_parse(&address, "10.0.0.7", 8080), SK_OK);
	assert_int_equal(sk_address_size(&address), sizeof ipv4);
	assert_memory_equal(address.bytes, ipv4, sizeof ipv4);
	assert_int_equal(sk_address_parse(&address, "2001:db8::1", 8080), SK_OK);
	assert_int_equal(sk_address_size(&address), sizeof ipv6);
	assert_memory_equal(address.bytes, ipv6, sizeof ipv6);
	assert_int_equal(sk_address_port(&address), 8080);
}

static void
decode_takes_back_what_a_message_carried(void **state)
{
	(void)state;
	struct sk_address address, again;
	assert_int_equal(sk_address_parse(&address, "fe80::9", 4242), SK_OK);
	assert_int_equal(sk_address_decode(&again, (const char *)address.bytes), SK_OK);
	assert_memory_equal(&address, &again, sizeof again);
	for (int kind = 0; kind < 256; kind++) {
		char bytes[SK_ADDRESS_SIZE_MAX] = {(char)kind};
		assert_int_equal(sk_address_decode(&again, bytes),
				 kind == 1 || kind == 2 ? SK_OK : SK_EINVAL);
	}
}

static void
the_system_form_comes_back_the_same(void **state)
{
	(void)state;
	static const char *const hosts[] = {"127.0.0.1", "::1", "::ffff:1.2.3.4", "0.0.0.0", "::"};
	for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
		union sk_address_system system;
		struct sk_address address, again;
		assert_int_equal(sk_address_parse(&address, hosts[i], 777), SK_OK);
		socklen_t size = sk_address_to_system(&address, &system);
		assert_int_equal(system.any.sa_family, sk_address_family(&address));
		assert_int_equal(size, sk_address_kind(&address) == SK_ADDRESS_IPV4
					       ? sizeof(struct sockaddr_in)
					       : sizeof(struct sockaddr_in6));
		sk_address_from_system(&again, &system);
		assert_memory_equal(&address, &again, sizeof again);
	}
}

static void
other_families_give_no_address(void **state)
{
	(void)state;
	char text[SK_ADDRESS_TEXT_SIZE] = "unchanged";
	struct sk_address address;
	union sk_address_system system = {.any.sa_family = AF_UNIX};
	sk_address_from_system(&address, &system);
	assert_int_equal(sk_address_kind(&address), SK_ADDRESS_NONE);
	assert_int_equal(sk_address_size(&address), 0);
	sk_address_print(&address, text);
	assert_string_equal(text, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numeric_addresses_are_read_and_printed),
		cmocka_unit_test(an_ipv4_address_inside_ipv6_is_printed_as_ipv4),
		cmocka_unit_test(what_is_no_number_is_refused),
		cmocka_unit_test(the_bytes_are_as_documented),
		cmocka_unit_test(decode_takes_back_what_a_message_carried),
		cmocka_unit_test(the_system_form_comes_back_the_same),
		cmocka_unit_test(other_families_give_no_address),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
