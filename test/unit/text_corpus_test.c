/* text_corpus_test.c: what the fuzzer of text has found so far, once more. */
#include "../fuzz/text_fuzz.c"

#include "corpus.h"

static void
nothing_that_was_found_does_harm(void **state)
{
	(void)state;
	assert_true(corpus_run("test/fuzz/text.corpus", LLVMFuzzerTestOneInput) > 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_that_was_found_does_harm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
