/* harbor_corpus_test.c: what the fuzzer of harbor has found so far, once more. */
#define HAS_CORE
#include "../fuzz/harbor_fuzz.c"

#include "corpus.h"

static void
nothing_that_was_found_does_harm(void **state)
{
	(void)state;
	assert_true(corpus_run("test/fuzz/harbor.corpus", LLVMFuzzerTestOneInput) > 50);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_that_was_found_does_harm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
