/* config_test.c: config files, good and bad, as texts in a folder of their own. */
#include "sk_config.h"
#include "sk_config_text.h"

#include "unit.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ERROR_SIZE 1024
#define WARNINGS_SIZE 4096

/* The test's working directory, removed with all its files at the end. */
static char folder[] = "/tmp/config_test-XXXXXX";

/* What a load has left. */
struct loaded {
	struct sk_env *env;
	int result;
	char error[ERROR_SIZE];
	char warnings[WARNINGS_SIZE];
};

static int
enter_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) != NULL && chdir(folder) == 0 ? 0 : -1;
}

static int
remove_folder(void **state)
{
	(void)state;
	char command[sizeof(folder) + 16];
	(void)snprintf(command, sizeof(command), "rm -r '%s'", folder);
	return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

static void
write_bytes(const char *path, const char *bytes, size_t length)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, length, file), length);
	assert_int_equal(fclose(file), 0);
}

static void
write_file(const char *path, const char *text)
{
	write_bytes(path, text, strlen(text));
}

static void
load_file(struct loaded *l, const char *path, const struct sk_config_override *overrides,
	  size_t override_count)
{
	memset(l, 0, sizeof(*l));
	l->env = sk_env_new();
	FILE *warnings = fmemopen(l->warnings, sizeof(l->warnings), "w");
	assert_non_null(warnings);
	l->result = sk_config_load(l->env, path, overrides, override_count, warnings, l->error,
				   sizeof(l->error));
	assert_int_equal(fclose(warnings), 0);
	assert_int_equal(l->result != SK_OK, l->error[0] != '\0');
	assert_null(strpbrk(l->error, "\r\n\t"));
}

static void
load(struct loaded *l, const char *text)
{
	write_file("config.lua", text);
	load_file(l, "config.lua", NULL, 0);
}

static void
unload(struct loaded *l)
{
	sk_env_free(l->env);
	l->env = NULL;
}

static void
expect(const char *text, const char *key, const char *value)
{
	struct loaded l;
	load(&l, text);
	assert_string_equal(l.error, "");
	if (value != NULL)
		assert_string_equal(sk_env_get(l.env, key), value);
	else
		assert_null(sk_env_get(l.env, key));
	unload(&l);
}

/* The error must have this in it. */
static void
expect_error(const char *text, const char *part)
{
	struct loaded l;
	load(&l, text);
	if (strstr(l.error, part) == NULL)
		fail_msg("no \"%s\" in the error \"%s\"", part, l.error);
	assert_int_equal(l.result, SK_EINVAL);
	unload(&l);
}

static void
expect_warnings(const char *text, const char *warnings)
{
	struct loaded l;
	load(&l, text);
	assert_string_equal(l.error, "");
	assert_string_equal(l.warnings, warnings);
	unload(&l);
}

/* --- values --- */

static void
test_values_become_text(void **state)
{
	(void)state;
	static const char text[] = "a = 'x'\nb = 17\nc = true\nd = false\ne = 2.5\nf = 3.0\n"
				   "g = nil\nh = -1\ni = 'x' .. 1 .. 2.0\nj = 1 < 2\nk = ''\n"
				   "l = 0x10\n_ENV['odd key'] = 1";
	expect(text, "a", "x");
	expect(text, "b", "17");
	expect(text, "c", "true");
	expect(text, "d", "false");
	expect(text, "e", "2.5");
	expect(text, "f", "3.0");
	expect(text, "g", NULL);
	expect(text, "h", "-1");
	expect(text, "i", "x12.0");
	expect(text, "j", "true");
	expect(text, "k", "");
	expect(text, "l", "16");
	expect(text, "odd key", "1");
}

static void
test_settings_can_be_read_back_and_taken_back(void **state)
{
	(void)state;
	static const char text[] = "root = './'\nluaservice = root .. 'x/?.lua'\n"
				   "local hidden = 1\nhelper = function(x) return x .. x end\n"
				   "twice = helper('ab')\nhelper = nil\nroot = '/'";
	expect(text, "luaservice", "./x/?.lua");
	expect(text, "twice", "abab");
	expect(text, "root", "/");
	expect(text, "hidden", NULL);
	expect(text, "helper", NULL);
	expect(text, "include", NULL);
}

static void
test_there_is_no_library(void **state)
{
	(void)state;
	static const char *const names[] = {"os",    "io", "string", "require", "print", "load",
					    "pcall", "_G", "pairs",  "error",	"debug", "package"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char text[64];
		(void)snprintf(text, sizeof(text), "found = %s ~= nil", names[i]);
		expect(text, "found", "false");
	}
	expect_error("os.exit(1)", "config.lua:1: ");
	expect_error("x = ('x'):rep(10)", "config.lua:1: ");
}

static void
test_what_cannot_be_a_setting(void **state)
{
	(void)state;
	expect_error("\nx = {}", "config.lua:2: key 'x': a table cannot be a setting");
	expect_error("x = function() end", "key 'x': a function cannot");
	expect_error("x = include", "key 'x': a function cannot");
	expect_error("_ENV[1] = 2", "config.lua:1: a key must be a text, not a number");
	expect_error("x = 'a\\0b'", "key 'x': the text goes on behind a zero byte");
	expect_error("_ENV['a\\0b'] = 1", "key 'a' goes on behind a zero byte");
}

/* --- environment variables --- */

static void
test_variables_are_replaced_anywhere_but_in_comments(void **state)
{
	(void)state;
	assert_int_equal(setenv("SK_TEST", "seven", 1), 0);
	assert_int_equal(setenv("SK_TEST_NUMBER", "7", 1), 0);
	assert_int_equal(unsetenv("SK_TEST_UNSET"), 0);
	expect("x = '$SK_TEST'", "x", "seven");
	expect("x = \"a$SK_TEST-b\"", "x", "aseven-b");
	expect("x = [[$SK_TEST]]", "x", "seven");
	expect("x = [==[]]$SK_TEST]=]]==]", "x", "]]seven]=]");
	expect("x = $SK_TEST_NUMBER + 1", "x", "8");
	expect("$SK_TEST = 1", "seven", "1");
	expect("x = '\\'$SK_TEST\\\\' -- $SK_TEST_UNSET", "x", "'seven\\");
	expect("x = 'a\\z\n  -- $SK_TEST'", "x", "a-- seven");
	expect("x = 'a\\\n$SK_TEST'", "x", "a\nseven");
	expect("x = '$' y = '$ $'", "x", "$");
	expect("x = '--$SK_TEST'", "x", "--seven");
	expect("--[[ $SK_TEST_UNSET\n$SK_TEST_UNSET ]] x = '$SK_TEST'", "x", "seven");
	expect("--[==[ $SK_TEST_UNSET ]]\n]==] x = '$SK_TEST'", "x", "seven");
	expect("--[ $SK_TEST_UNSET\nx = '$SK_TEST'", "x", "seven");
	expect("x = '[[' -- $SK_TEST_UNSET ]]", "x", "[[");
	expect("x = 1 -- \"$SK_TEST_UNSET\ny = '$SK_TEST'", "y", "seven");
	expect("#!/usr/bin/env $SK_TEST_UNSET\nx = '$SK_TEST'", "x", "seven");
	expect("\xEF\xBB\xBFx = '$SK_TEST'", "x", "seven");
}

/* Whatever the text is, nothing of it changes but the names: here each stands for itself. */
static void
test_random_text_is_copied_as_it_is(void **state)
{
	(void)state;
	static const char letters[] = "\"'[]=-\n\\z$$a ";
	uint64_t chance = 20;
	assert_int_equal(setenv("a", "$a", 1), 0);
	assert_int_equal(setenv("aa", "$aa", 1), 0);
	for (int round = 0; round < 50000; round++) {
		char source[64];
		char error[ERROR_SIZE] = "";
		size_t length = unit_random_below(&chance, sizeof(source));
		for (size_t i = 0; i < length; i++)
			source[i] = letters[unit_random_below(&chance, sizeof(letters) - 1)];
		struct sk_config_text text;
		if (sk_config_text_expand(&text, "x", source, length, error, sizeof(error)) !=
		    SK_OK) {
			assert_non_null(strstr(error, "is not set")); /* such as zaa */
			continue;
		}
		assert_int_equal(text.length, length);
		assert_memory_equal(text.text, source, length);
		sk_config_text_fini(&text);
	}
	assert_int_equal(unsetenv("a"), 0);
	assert_int_equal(unsetenv("aa"), 0);
}

static void
test_an_unset_variable_is_named(void **state)
{
	(void)state;
	expect_error("a = 1\n-- $X\nb = '$SK_TEST_UNSET/'",
		     "config.lua:3: the environment variable SK_TEST_UNSET is not set");
	expect_error("#!$X\na = 'a\\\nb' .. $SK_TEST_UNSET", "config.lua:3: the environment");
	expect_error("a = [[\n$SK_TEST_UNSET", "config.lua:2: the environment");
}

static void
test_variables_cannot_make_it_endless(void **state)
{
	(void)state;
	size_t size = 100000;
	char *text = malloc(size + 1);
	assert_non_null(text);
	memset(text, 'x', size);
	text[size] = '\0';
	assert_int_equal(setenv("SK_TEST_LONG", text, 1), 0);
	free(text);
	expect_error("x='$SK_TEST_LONG$SK_TEST_LONG$SK_TEST_LONG$SK_TEST_LONG$SK_TEST_LONG"
		     "$SK_TEST_LONG$SK_TEST_LONG$SK_TEST_LONG$SK_TEST_LONG$SK_TEST_LONG"
		     "$SK_TEST_LONG$SK_TEST_LONG'",
		     "larger than 1024 KiB");
	assert_int_equal(unsetenv("SK_TEST_LONG"), 0);
}

/* --- include --- */

static void
test_include_is_relative_to_the_including_file(void **state)
{
	(void)state;
	assert_int_equal(mkdir("sub", 0755), 0);
	assert_int_equal(mkdir("sub/deep", 0755), 0);
	write_file("sub/a.lua", "a = 1\ninclude 'deep/b.lua'\ninclude '../c.lua'");
	write_file("sub/deep/b.lua", "b = a + 1");
	write_file("c.lua", "c = b + 1");
	expect("include 'sub/a.lua'\nd = c + 1", "d", "4");
	char text[sizeof(folder) + 64];
	(void)snprintf(text, sizeof(text), "include '%s/sub/a.lua'", folder);
	expect(text, "c", "3");
	/* The same file twice, but not inside itself, is no circle. */
	expect("include 'sub/a.lua' include 'sub/a.lua'", "c", "3");
}

static void
test_include_errors(void **state)
{
	(void)state;
	write_file("bad.lua", "x = = 1");
	write_file("bad_run.lua", "x = nil + 1");
	write_file("bad_env.lua", "x = '$SK_TEST_UNSET'");
	write_file("itself.lua", "\ninclude './itself.lua'");
	write_file("one.lua", "include 'two.lua'");
	write_file("two.lua", "\n\ninclude 'one.lua'");
	expect_error("\ninclude 'none.lua'",
		     "config.lua:2: none.lua: cannot be opened: No such file");
	expect_error("include(nil)", "config.lua:1: include needs the name of a file");
	expect_error("include '.'", "cannot be read: Is a directory");
	expect_error("include 'bad.lua'", "bad.lua:1: unexpected symbol near '='");
	expect_error("include 'bad_run.lua'", "bad_run.lua:1: ");
	expect_error("include 'bad_env.lua'", "bad_env.lua:1: the environment variable");
	expect_error("include 'itself.lua'",
		     "itself.lua:2: a file includes itself: itself.lua -> ./itself.lua");
	expect_error("include 'one.lua'",
		     "two.lua:3: a file includes itself: one.lua -> two.lua -> one.lua");
	expect_error("include 'config.lua'", "includes itself: config.lua -> config.lua");
}

static void
write_chain(int length)
{
	for (int i = 0; i < length; i++) {
		char name[32];
		char text[64];
		(void)snprintf(name, sizeof(name), "chain%d.lua", i);
		(void)snprintf(text, sizeof(text),
			       i + 1 < length ? "include 'chain%d.lua'" : "x = %d", i + 1);
		write_file(name, text);
	}
}

static void
test_the_depth_of_includes_is_limited(void **state)
{
	(void)state;
	write_chain(31);
	expect("include 'chain0.lua'", "x", "31");
	write_chain(32);
	expect_error("include 'chain0.lua'",
		     "chain30.lua:1: chain31.lua: is included more than 32 files deep");
}

/* --- files that are no config --- */

static void
test_files_that_cannot_be_read(void **state)
{
	(void)state;
	struct loaded l;
	load_file(&l, "none.lua", NULL, 0);
	assert_string_equal(l.error, "none.lua: cannot be opened: No such file or directory");
	unload(&l);
	load_file(&l, ".", NULL, 0);
	assert_string_equal(l.error, ".: cannot be read: Is a directory");
	unload(&l);
	load_file(&l, "/dev/zero", NULL, 0);
	assert_string_equal(l.error, "/dev/zero: is larger than 1024 KiB, so it is no config");
	unload(&l);
}

static void
test_syntax_errors_name_file_and_line(void **state)
{
	(void)state;
	expect_error("a = 1\nb = ", "config.lua:2: unexpected symbol near <eof>");
	expect_error("a = 'x\n", "config.lua:1: unfinished string");
	expect_error("a = [[\n\n", "config.lua:3: unfinished long string");
	expect_error("a = 1\na.b.c = 2", "config.lua:2: ");
}

static void
test_compiled_lua_is_refused(void **state)
{
	(void)state;
	struct loaded l;
	static const char bytes[] = "\x1bLua\x54\x00\x19\x93";
	write_bytes("config.lua", bytes, sizeof(bytes));
	load_file(&l, "config.lua", NULL, 0);
	assert_string_equal(l.error, "config.lua: is compiled Lua; a config must be a text");
	unload(&l);
}

static void
test_a_config_cannot_hold_up_the_start(void **state)
{
	(void)state;
	write_file("empty.lua", "");
	expect_error("a = 1\nwhile true do\nend",
		     "config.lua:2: the config does not come to an end");
	expect_error("local function f() return f() end f()", "does not come to an end");
	expect_error("local function f() f() end f()", "config.lua");
	expect_error("x = 'x' while true do x = x .. x end", "MiB of memory");
	expect_error("for i = 1, 1e9 do _ENV['k' .. i] = i end", "config.lua");
	expect_error("while true do include 'empty.lua' end", "over the limit");
	/* A short loop is fine. */
	expect("n = 0 for i = 1, 100000 do n = n + i end", "n", "5000050000");
}

/* --- known keys --- */

static void
test_defaults(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{"harbor", "0"},
		{"bootstrap", "snlua bootstrap"},
		{"start", "main"},
		{"cpath", "./cservice/?.so"},
		{"luaservice", "./service/?.lua"},
		{"lualoader", "./lualib/loader.lua"},
		{"lua_path", "./lualib/?.lua;./lualib/?/init.lua"},
		{"lua_cpath", "./luaclib/?.so"},
		{"logservice", "logger"},
		{"profile", "true"},
		{"logger", NULL},
		{"daemon", NULL},
		{"logpath", NULL},
		{"preload", NULL},
		{"standalone", NULL},
		{"master", NULL},
		{"address", NULL},
		{"cluster", NULL},
		{"harbor_secret", NULL},
		{"harbor_certificate", NULL},
		{"harbor_key", NULL},
		{"harbor_authorities", NULL},
		{"harbor_timeout", "5"},
		{"harbor_join_timeout", "30"},
		{"harbor_output_limit", "67108864"},
		{"harbor_output_policy", "error"},
		{"harbor_message_limit", "16777203"},
		{"snax", NULL},
		{"enablessl", NULL},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect("", rows[i][0], rows[i][1]);
	char threads[16];
	int cpus = sk_config_usable_cpus();
	assert_in_range(cpus, 1, 1 << 20);
	(void)snprintf(threads, sizeof(threads), "%d", cpus < 1024 ? cpus : 1024);
	expect("", "thread", threads);
	expect("thread = ''\nlogger = ''", "thread", threads);
	expect("logger = ''", "logger", NULL);
	expect("start = 'other'", "start", "other");
}

static void
test_numbers_of_known_keys(void **state)
{
	(void)state;
	expect("thread = 1", "thread", "1");
	expect("thread = 1024", "thread", "1024");
	expect("thread = '4'", "thread", "4");
	expect("thread = 16 / 2", "thread", "8");
	expect("harbor = 0", "harbor", "0");
	expect("harbor_timeout = 3600", "harbor_timeout", "3600");
	expect_error("harbor_timeout = 0", "key 'harbor_timeout': 0 is not in 1..3600");
	expect_error("harbor_output_limit = 65535", "65535 is not in 65536..");
	expect_error("harbor_message_limit = 1023", "1023 is not in 1024..1073741824");
	expect_error("\nthread = 5000",
		     "config.lua:2: key 'thread': 5000 is not in 1..1024; set it to");
	expect_error("thread = 0", "key 'thread': 0 is not in 1..1024");
	expect_error("thread = -1", "key 'thread': -1 is not in");
	expect_error("thread = 1e300", "is not in 1..1024");
	expect_error("thread = 0/0", "is not in 1..1024");
	expect_error("thread = 2.5", "key 'thread': '2.5' is not a whole number");
	expect_error("thread = 'many'", "key 'thread': 'many' is not a whole number");
	expect_error("thread = ' '", "key 'thread': ' ' is not a whole number");
	expect_error("thread = true", "key 'thread': 'true' is not a whole number");
	expect_error("harbor = 256", "key 'harbor': 256 is not in 0..255");
}

static void
test_types_of_known_keys(void **state)
{
	(void)state;
	expect("profile = false", "profile", "false");
	expect("profile = 'true'", "profile", "true");
	expect("profile = 0", "profile", "false");
	expect("enablessl = true", "enablessl", "true");
	expect_error("profile = 'maybe'", "key 'profile': 'maybe' is neither true nor false");
	expect_error("start = 42", "key 'start': 42 is a number, not a text");
	expect_error("daemon = false", "key 'daemon': false is a boolean, not a text");
	expect_error("mailboxpolicy = 'panic'",
		     "key 'mailboxpolicy': 'panic' is no policy; set it to");
	expect_error("harbor_output_policy = 'drop'",
		     "key 'harbor_output_policy': 'drop' is no policy for other nodes; set it to");
	expect_error("harbor_output_policy = 'panic'", "'panic' is no policy for other nodes");
	expect_error("harbor_secret = 42", "key 'harbor_secret': 42 is a number, not a text");
	expect_error("standalone = 'host:0'", "'host:0' is no address; write host:port with a port "
					      "in 1..65535");
	expect_error("address = 'host:-1'", "write host:port with a port in 0..65535");
	expect_error("master = 'host'", "key 'master': 'host' is no address");
	expect_error("master = 'host:'", "is no address");
	expect_error("master = ':2013'", "is no address");
	expect_error("master = 'host:0'", "is no address");
	expect_error("master = 'host:65536'", "is no address");
	expect_error("master = 'host:20x'", "is no address");
	expect_error("master = 2013", "key 'master': '2013' is no address");
	expect_error("cpath = './cservice/x.so'",
		     "key 'cpath': the template './cservice/x.so' has no");
	expect_error("cpath = './?.so;;./x'", "key 'cpath': the template './x' has no");
	expect_error("cpath = ';'", "key 'cpath': there is no template");
}

/* A node of a network on the loopback interface, and what else the text sets. */
#define ADDRESS "address = '127.0.0.1:2526' "
#define MASTER "master = '127.0.0.1:2013' "
#define SECRET "harbor_secret = 'between us' "

static void
test_a_node_is_one_of_a_network_when_a_key_says_so(void **state)
{
	(void)state;
	expect(ADDRESS MASTER, "harbor", "1");
	expect(ADDRESS MASTER "harbor = 255", "harbor", "255");
	expect(ADDRESS MASTER "harbor = 0", "harbor", "0");
	expect(ADDRESS MASTER "harbor = ''", "harbor", "1");
	expect("address = '' master = ''", "harbor", "0");
	expect(ADDRESS "standalone = '127.0.0.1:2013'", "harbor", "1");
	expect(ADDRESS "standalone = '127.0.0.1:2013'", "master", "127.0.0.1:2013");
	expect(ADDRESS MASTER "standalone = '127.0.0.1:2014'", "master", "127.0.0.1:2013");
	expect("address = '[::1]:0' " MASTER, "address", "[::1]:0");
	expect("harbor = 0 " SECRET, "harbor", "0");
	expect_error("harbor = 0\nstandalone = '127.0.0.1:2013'",
		     "config.lua:2: key 'standalone': with harbor = 0 there is no master");
}

static void
test_a_node_of_a_network_needs_an_address_and_a_master(void **state)
{
	(void)state;
	expect_error("harbor = 1", "config.lua:1: key 'harbor': a node of a network needs address");
	expect_error("thread = 1\n" MASTER,
		     "config.lua:2: key 'master': a node of a network needs address");
	expect_error("standalone = '127.0.0.1:2013'",
		     "key 'standalone': a node of a network needs address");
	expect_error("\n" ADDRESS, "config.lua:2: key 'address': a node of a network needs master");
	expect_error(MASTER "address = '0.0.0.0:2526'",
		     "key 'address': the other nodes reach this");
	expect_error(MASTER "address = '[::]:2526'", "key 'address': the other nodes reach this");
	expect_error("harbor = 1 " ADDRESS, "key 'harbor': a node of a network needs master");
	expect_error("harbor = 1 " MASTER ADDRESS "address = ''", "needs address");
}

static void
test_an_etcd_is_a_master_too(void **state)
{
	(void)state;
	static const char *const good[] = {
		"etcd://a:2379",
		"etcd://10.0.0.1:2379,10.0.0.2:2379,[fd00::3]:2379/games/one",
		"etcds://user:pass@word@host:1/",
	};
	static const char *const bad[] = {
		"etcd://",
		"etcd:///prefix",
		"etcd://host",
		"etcd://host:0",
		"etcd://host:65536",
		"etcd://host:2379,",
		"etcd://,host:2379",
		"etcd://host:2379/with blank",
		"etcd://user@/prefix",
		"zookeeper://host:2379",
		"http://host:2379/",
		"://host:2379",
	};
	char text[256];
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		(void)snprintf(text, sizeof(text), ADDRESS "harbor = 'auto' master = '%s'",
			       good[i]);
		expect(text, "master", good[i]);
		expect(text, "harbor", "auto");
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		(void)snprintf(text, sizeof(text), ADDRESS "master = '%s'", bad[i]);
		expect_error(text, "is no place of a master; write host:port, or \"etcd://");
	}
	expect_error(ADDRESS MASTER "harbor = 'auto'",
		     "key 'harbor': only an etcd gives a node its id; set it to 1..255");
	expect_error(ADDRESS "master = 'etcd://a:1' standalone = '127.0.0.1:2013'",
		     "key 'standalone': with an etcd as master no node is one");
	expect_error("harbor = 'Auto'", "'Auto' is not a whole number");
}

static void
test_nodes_on_several_machines_need_a_secret(void **state)
{
	(void)state;
	static const char *const exposed[] = {
		"0.0.0.0:2013", "10.0.0.1:2013",      "[::]:2013", "[fe80::1]:2013", "nowhere:2013",
		"128.0.0.1:1",	"127.0.0.1.org:2013", "127.0.0:1", "[127.0.0.1:99",  "localhosts:1",
	};
	static const char *const local[] = {"127.0.0.1:2013", "127.255.0.3:1", "localhost:2013",
					    "[::1]:2013"};
	char text[256];
	for (size_t i = 0; i < sizeof(exposed) / sizeof(exposed[0]); i++) {
		(void)snprintf(text, sizeof(text), ADDRESS "\nmaster = '%s'", exposed[i]);
		expect_error(text, "config.lua:2: key 'master': ");
		expect_error(text, "is not on the loopback network, so nodes have to prove");
		expect_error(text, "set harbor_secret to the same long text");
		(void)snprintf(text, sizeof(text), ADDRESS SECRET "master = '%s'", exposed[i]);
		expect(text, "master", exposed[i]);
		(void)snprintf(text, sizeof(text), "address = '%s' master = 'etcd://127.0.0.1:1'",
			       exposed[i]);
		expect_error(text, "key 'address': ");
	}
	for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++) {
		(void)snprintf(text, sizeof(text), "address = '%s' master = '%s'", local[i],
			       local[i]);
		expect(text, "master", local[i]);
	}
	expect(ADDRESS "master = 'etcd://10.0.0.1:2379'", "harbor", "1");
	/* The config of a master, as it has always been written. */
	expect_error(ADDRESS MASTER "standalone = '0.0.0.0:2013'",
		     "key 'standalone': 0.0.0.0:2013");
	expect(ADDRESS MASTER SECRET "standalone = '0.0.0.0:2013'", "standalone", "0.0.0.0:2013");
	expect_error(MASTER "address = '10.0.0.1:1' harbor_secret = ''", "set harbor_secret");
}

static void
test_certificates_stand_for_a_secret(void **state)
{
	(void)state;
	const char all[] = MASTER "address = '10.0.0.1:2526' harbor_certificate = 'c' "
				  "harbor_key = 'k' harbor_authorities = 'a'";
	expect(all, "harbor_key", "k");
	expect(MASTER ADDRESS "harbor_certificate = 'c' harbor_authorities = 'a'", "harbor_key",
	       NULL);
	expect_error(MASTER ADDRESS "harbor_certificate = 'c'",
		     "key 'harbor_certificate': TLS between nodes is mutual; set "
		     "harbor_authorities too");
	expect_error(MASTER ADDRESS "harbor_authorities = 'a'",
		     "key 'harbor_authorities': TLS between nodes is mutual; set "
		     "harbor_certificate too");
	expect_error(MASTER ADDRESS "harbor_key = 'k'", "key 'harbor_key': TLS between nodes");
}

/* By whatever key it is one of a network; the error names all that are set. */
static void
test_a_node_in_virtual_time_is_alone(void **state)
{
	(void)state;
	expect_error("\nsimulate = 1 harbor = 2",
		     "config.lua:2: key 'simulate': a node in virtual time can be none of a "
		     "network, as it is by the keys: harbor; leave these out, or set harbor to 0");
	expect_error("simulate = 0 " ADDRESS, "by the keys: address;");
	expect_error("simulate = 1 " MASTER, "by the keys: master;");
	expect_error("simulate = 1 standalone = '127.0.0.1:2013'", "by the keys: standalone;");
	expect_error("simulate = 1 harbor = 'auto' master = 'etcd://127.0.0.1:2379'",
		     "by the keys: harbor, master;");
	expect_error("simulate = 1 harbor = 255 standalone = '127.0.0.1:2013' " MASTER ADDRESS,
		     "by the keys: harbor, address, master, standalone;");
	expect("simulate = 1", "harbor", "0");
	expect("simulate = 1 harbor = 0 " MASTER ADDRESS, "simulate", "1");
	expect("simulate = '' " MASTER ADDRESS, "harbor", "1");
}

static void
test_misspelt_keys_are_warned_about(void **state)
{
	(void)state;
	expect_warnings("thread = 1\nroot = './'\nmy_key = 1\nx = 1\nport = 1", "");
	expect_warnings("tread = 1", "config.lua:1: warning: key 'tread' is unknown; "
				     "did you mean 'thread'?\n");
	expect_warnings("\nTHREAD = 1", "config.lua:2: warning: key 'THREAD' is unknown; "
					"did you mean 'thread'?\n");
	expect_warnings("thraed = 1", "config.lua:1: warning: key 'thraed' is unknown; "
				      "did you mean 'thread'?\n");
	expect_warnings("luasevrices = 'x'", "config.lua:1: warning: key 'luasevrices' is unknown; "
					     "did you mean 'luaservice'?\n");
	expect_warnings("log = 1 strt_ = 1 threadsx = 1", "");
	/* They are settings all the same, and so is a very long one. */
	expect("tread = 1", "tread", "1");
	expect("tread_tread_tread_tread_tread_tread_tread = 1",
	       "tread_tread_tread_tread_tread_tread_tread", "1");
}

static void
test_a_daemon_without_a_log_is_warned_about(void **state)
{
	(void)state;
	expect_warnings("daemon = 'pid'", "config.lua:1: warning: key 'daemon' without 'logger': "
					  "nobody sees the log; set logger to a file\n");
	expect_warnings("daemon = 'pid' logger = 'log'", "");
	expect_warnings("daemon = 'pid' logservice = 'snlua'", "");
}

/* --- the command line --- */

static void
test_overrides_win_and_are_checked(void **state)
{
	(void)state;
	struct loaded l;
	static const struct sk_config_override good[] = {
		{"thread", "4"}, {"thread", "3"}, {"profile", "false"},
		{"daemon", ""},	 {"own", "a=b"},  {"start", "test 1 2"},
	};
	write_file("config.lua", "thread = 2 daemon = 'pid' file = 1 thread = 5000");
	load_file(&l, "config.lua", good, sizeof(good) / sizeof(good[0]));
	assert_string_equal(l.error, "");
	assert_string_equal(sk_env_get(l.env, "thread"), "3");
	assert_string_equal(sk_env_get(l.env, "profile"), "false");
	assert_string_equal(sk_env_get(l.env, "own"), "a=b");
	assert_string_equal(sk_env_get(l.env, "file"), "1");
	assert_string_equal(sk_env_get(l.env, "start"), "test 1 2");
	assert_null(sk_env_get(l.env, "daemon"));
	unload(&l);
	static const struct sk_config_override bad[] = {{"thread", "many"}};
	load_file(&l, "config.lua", bad, 1);
	assert_string_equal(l.error,
			    "--set: key 'thread': 'many' is not a whole number; set it to "
			    "one in 1..1024, or leave it out (default: usable processors)");
	unload(&l);
	static const struct sk_config_override odd[] = {{"tread", "1"}};
	write_file("config.lua", "");
	load_file(&l, "config.lua", odd, 1);
	assert_string_equal(l.warnings,
			    "--set: warning: key 'tread' is unknown; did you mean 'thread'?\n");
	unload(&l);
}

static void
test_a_long_error_is_cut_not_lost(void **state)
{
	(void)state;
	char error[24];
	struct sk_env *env = sk_env_new();
	write_file("config.lua", "thread = 5000");
	assert_int_equal(sk_config_load(env, "config.lua", NULL, 0, stderr, error, sizeof(error)),
			 SK_EINVAL);
	assert_string_equal(error, "config.lua:1: key 'thre");
	sk_env_free(env);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values_become_text),
		cmocka_unit_test(test_settings_can_be_read_back_and_taken_back),
		cmocka_unit_test(test_there_is_no_library),
		cmocka_unit_test(test_what_cannot_be_a_setting),
		cmocka_unit_test(test_variables_are_replaced_anywhere_but_in_comments),
		cmocka_unit_test(test_random_text_is_copied_as_it_is),
		cmocka_unit_test(test_an_unset_variable_is_named),
		cmocka_unit_test(test_variables_cannot_make_it_endless),
		cmocka_unit_test(test_include_is_relative_to_the_including_file),
		cmocka_unit_test(test_include_errors),
		cmocka_unit_test(test_the_depth_of_includes_is_limited),
		cmocka_unit_test(test_files_that_cannot_be_read),
		cmocka_unit_test(test_syntax_errors_name_file_and_line),
		cmocka_unit_test(test_compiled_lua_is_refused),
		cmocka_unit_test(test_a_config_cannot_hold_up_the_start),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_numbers_of_known_keys),
		cmocka_unit_test(test_types_of_known_keys),
		cmocka_unit_test(test_a_node_is_one_of_a_network_when_a_key_says_so),
		cmocka_unit_test(test_a_node_of_a_network_needs_an_address_and_a_master),
		cmocka_unit_test(test_an_etcd_is_a_master_too),
		cmocka_unit_test(test_nodes_on_several_machines_need_a_secret),
		cmocka_unit_test(test_certificates_stand_for_a_secret),
		cmocka_unit_test(test_a_node_in_virtual_time_is_alone),
		cmocka_unit_test(test_misspelt_keys_are_warned_about),
		cmocka_unit_test(test_a_daemon_without_a_log_is_warned_about),
		cmocka_unit_test(test_overrides_win_and_are_checked),
		cmocka_unit_test(test_a_long_error_is_cut_not_lost),
	};
	return cmocka_run_group_tests(tests, enter_folder, remove_folder);
}
