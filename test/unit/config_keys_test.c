/* config_keys_test.c: the keys that a config may have: their types, ranges and defaults, and which
 * do not go together. How a file becomes settings is in config_test.c. */
#include "config_files.h"

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
	expect_error("master = 'a host:2013'", "is no address");
	expect_error("master = 'etcd:127.0.0.1:2379'", "is no address");
	expect_error("master = '::1:2013'", "is no address");
	expect_error("master = '[]:2013'", "is no address");
	expect_error("master = '[127.0.0.1:99'", "is no address");
	expect_error("standalone = 'etcd://host:2379'",
		     "key 'standalone': 'etcd://host:2379' is no address; write host:port");
	expect_error("address = 'tcp://host:2526'", "is no address");
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
		"128.0.0.1:1",	"127.0.0.1.org:2013", "127.0.0:1", "localhosts:1",
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
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
	};
	return cmocka_run_group_tests(tests, enter_folder, remove_folder);
}
