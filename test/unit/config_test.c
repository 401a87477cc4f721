/* config_test.c: config files, good and bad, and the settings that they become. The keys are in
 * config_keys_test.c. */
#include "config_files.h"

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
		cmocka_unit_test(test_overrides_win_and_are_checked),
		cmocka_unit_test(test_a_long_error_is_cut_not_lost),
	};
	return cmocka_run_group_tests(tests, enter_folder, remove_folder);
}
