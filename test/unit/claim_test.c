/* The settings of the node that claims an id, and of the one that gets it. */
#include "sk_claim.h"

#include "unit.h"

static struct sk_env *
config_with(const char *harbor)
{
	struct sk_env *env = sk_env_new();
	assert_int_equal(sk_env_set(env, "harbor", harbor), SK_OK);
	assert_int_equal(sk_env_set(env, "start", "main"), SK_OK);
	assert_int_equal(sk_env_set(env, "logger", "mine.log"), SK_OK);
	assert_int_equal(sk_env_set(env, "master", "etcd://host:1/x"), SK_OK);
	/* Nobody else's claim. */
	assert_int_equal(sk_env_set(env, "harbor_claimed", "7"), SK_OK);
	assert_int_equal(sk_env_set(env, "harbor_incarnation", "7"), SK_OK);
	return env;
}

static void
test_only_auto_is_claimed(void **state)
{
	(void)state;
	struct sk_env *env = sk_env_new();
	assert_false(sk_claim_is_wanted(env));
	sk_env_free(env);
	env = config_with("1");
	assert_false(sk_claim_is_wanted(env));
	sk_env_free(env);
	env = config_with("auto");
	assert_true(sk_claim_is_wanted(env));
	sk_env_free(env);
}

static void
test_the_small_node_has_its_own_service_and_no_log(void **state)
{
	(void)state;
	struct sk_env *env = config_with("auto");
	struct sk_env *first = sk_claim_prepare(env);
	assert_string_equal(sk_env_get(first, "harbor"), "0");
	assert_string_equal(sk_env_get(first, "bootstrap"), "snlua harbor_claim");
	assert_string_equal(sk_env_get(first, "master"), "etcd://host:1/x");
	assert_null(sk_env_get(first, "logger"));
	assert_null(sk_env_get(first, "harbor_claimed"));
	sk_env_free(first);
	sk_env_free(env);
}

static void
test_the_node_gets_what_was_claimed(void **state)
{
	(void)state;
	char error[200] = "";
	struct sk_env *env = config_with("auto");
	struct sk_env *first = sk_claim_prepare(env);
	assert_int_equal(sk_env_set(first, "harbor_claimed", "12"), SK_OK);
	assert_int_equal(sk_env_set(first, "harbor_incarnation", "0123456789abcdef"), SK_OK);
	struct sk_env *next = sk_claim_take(env, first, error, sizeof error);
	assert_non_null(next);
	assert_int_equal(sk_env_number(next, "harbor", 0), 12);
	assert_string_equal(sk_env_get(next, "harbor_incarnation"), "0123456789abcdef");
	assert_string_equal(sk_env_get(next, "start"), "main");
	assert_string_equal(sk_env_get(next, "logger"), "mine.log");
	sk_env_free(next);
	sk_env_free(first);
	sk_env_free(env);
}

static void
test_without_a_claim_there_is_a_reason(void **state)
{
	(void)state;
	char error[200] = "";
	struct sk_env *env = config_with("auto");
	struct sk_env *first = sk_claim_prepare(env);
	assert_null(sk_claim_take(env, first, error, sizeof error));
	assert_string_equal(error, "this node gets no id (config key harbor): the service "
				   "harbor_claim has failed");
	assert_int_equal(sk_env_set(first, "harbor_refused", "no etcd"), SK_OK);
	assert_null(sk_claim_take(env, first, error, sizeof error));
	assert_string_equal(error, "this node gets no id (config key harbor): no etcd");
	sk_env_free(first);
	sk_env_free(env);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_auto_is_claimed),
		cmocka_unit_test(test_the_small_node_has_its_own_service_and_no_log),
		cmocka_unit_test(test_the_node_gets_what_was_claimed),
		cmocka_unit_test(test_without_a_claim_there_is_a_reason),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
