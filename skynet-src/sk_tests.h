/* sk_tests.h: `skynet --test`: runs test files, each case in a process of its own, and reports.
 *
 * Model      A run is a test file and a seed. Each of its cases happens in a new process of this
 *            very program, so that all begin alike: what fails here fails again when it is run
 *            alone with that seed. This file adds up how they end, and says what it takes to
 *            repeat what has failed.
 * Threads    [boot]
 */
#ifndef SK_TESTS_H
#define SK_TESTS_H

#include "sk_base.h"
#include "sk_options.h"

/* Returns the exit status: 0 when all cases have passed, and there were some. */
int sk_tests_run(const struct sk_options *options);

#endif
