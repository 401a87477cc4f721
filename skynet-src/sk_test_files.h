/* sk_test_files.h: which files `skynet --test PATH...` means.
 *
 * Threads    [boot]
 * Memory     the list owns its texts.
 */
#ifndef SK_TEST_FILES_H
#define SK_TEST_FILES_H

#include "sk_base.h"

#include <stddef.h>

struct sk_test_files {
	char **paths;
	size_t count;
};

/* Adds path, if it is a file, or else all NAME_test.lua in that folder and the folders in it,
 * sorted by name. files: zeroed before the first call. Returns 0, or SK_EINVAL with one line in
 * error. */
SK_MUST_CHECK int sk_test_files_add(struct sk_test_files *files, const char *path, char *error,
				    size_t error_size);
void sk_test_files_fini(struct sk_test_files *files);

#endif
