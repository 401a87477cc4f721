/* hosts_test.c: names that need no network (sk_hosts.c), from files that the test writes. */
#include "sk_hosts.h"

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX 4

struct hosts {
	char path[32];
	struct sk_address found[MAX];
};

static void
write_hosts(struct hosts *hosts, const char *text)
{
	(void)snprintf(hosts->path, sizeof hosts->path, "/tmp/hosts_testXXXXXX");
	int fd = mkstemp(hosts->path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	(void)close(fd);
}

/* Looks up a name; the file is gone afterwards. */
static int
find(struct hosts *hosts, const char *text, const char *host, int max)
{
	write_hosts(hosts, text);
	int count = sk_hosts_find(hosts->path, host, 80, hosts->found, max);
	(void)unlink(hosts->path);
	return count;
}

static void
expect(const struct hosts *hosts, int i, const char *text)
{
	char printed[SK_ADDRESS_TEXT_SIZE];
	sk_address_print(&hosts->found[i], printed);
	assert_string_equal(printed, text);
}

static void
names_are_found_in_the_order_of_the_file(void **state)
{
	(void)state;
	struct hosts hosts;
	static const char text[] = "10.0.0.1\tone  two three\n::2 TWO\n10.0.0.3 four two";
	assert_int_equal(find(&hosts, text, "two", MAX), 3);
	expect(&hosts, 0, "10.0.0.1:80");
	expect(&hosts, 1, "::2:80");
	expect(&hosts, 2, "10.0.0.3:80");
	assert_int_equal(find(&hosts, text, "two", 1), 1);
	assert_int_equal(find(&hosts, text, "two", 0), 0);
	assert_int_equal(find(&hosts, text, "Three", MAX), 1);
	assert_int_equal(find(&hosts, text, "tw", MAX), 0);
	assert_int_equal(find(&hosts, text, "10.0.0.1", MAX), 1);
	assert_int_equal(find(&hosts, text, "", MAX), 0);
}

static void
what_is_no_entry_is_skipped(void **state)
{
	(void)state;
	struct hosts hosts;
	static const char text[] = "# 1.1.1.1 a\n\n \t \nnumber a\n1.1.1.1\n1.1.1.300 a\n"
				   "1.1.1.2 b # a\n#\n1.1.1.3 a#b\r\n";
	assert_int_equal(find(&hosts, text, "a", MAX), 1);
	expect(&hosts, 0, "1.1.1.3:80");
	assert_int_equal(find(&hosts, text, "b", MAX), 1);
	assert_int_equal(find(&hosts, text, "#", MAX), 0);
}

static void
long_lines_and_bytes_are_no_trouble(void **state)
{
	(void)state;
	struct hosts hosts;
	size_t size = 100000;
	char *text = calloc(1, size + 64);
	assert_non_null(text);
	(void)snprintf(text, size, "1.2.3.4 ");
	memset(text + 8, 'x', size - 8);
	(void)snprintf(text + size, 64, " last\n\xff\xfe");
	assert_int_equal(find(&hosts, text, "last", MAX), 1);
	expect(&hosts, 0, "1.2.3.4:80");
	free(text);
}

static void
localhost_is_known_without_a_file(void **state)
{
	(void)state;
	struct hosts hosts;
	assert_int_equal(sk_hosts_find("/nonexistent/hosts", "LocalHost", 80, hosts.found, MAX), 1);
	expect(&hosts, 0, "127.0.0.1:80");
	assert_int_equal(sk_hosts_find("/nonexistent/hosts", "other", 80, hosts.found, MAX), 0);
	assert_int_equal(sk_hosts_find("/", "other", 80, hosts.found, MAX), 0);
	assert_int_equal(find(&hosts, "10.1.1.1 localhost\n", "localhost", MAX), 1);
	expect(&hosts, 0, "10.1.1.1:80");
	assert_int_equal(sk_hosts_find(NULL, "localhost", 80, hosts.found, 1), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_found_in_the_order_of_the_file),
		cmocka_unit_test(what_is_no_entry_is_skipped),
		cmocka_unit_test(long_lines_and_bytes_are_no_trouble),
		cmocka_unit_test(localhost_is_known_without_a_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
