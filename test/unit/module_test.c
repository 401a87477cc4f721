/* module_test.c: finding and loading the modules of test/service-src, good and bad ones. */
#include "sk_module.h"

#include "unit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ERROR_SIZE 1024
#define PATH_SIZE 512
#define THREADS 4

/* "BUILD/test/cservice" */
static char modules_folder[PATH_SIZE];

static int
find_folder(void **state)
{
	(void)state;
	const char *build = getenv("SKYNET_BUILD");
	(void)snprintf(modules_folder, sizeof(modules_folder), "%s/test/cservice",
		       build != NULL ? build : "build/plain");
	return 0;
}

/* before and after: templates around the one of the test's modules. */
static struct sk_modules *
new_modules(const char *before, const char *after)
{
	char path[PATH_SIZE * 2];
	char error[ERROR_SIZE] = "";
	(void)snprintf(path, sizeof(path), "%s%s/?.so%s", before, modules_folder, after);
	struct sk_modules *modules = sk_modules_new(path, error, sizeof(error));
	assert_string_equal(error, "");
	assert_non_null(modules);
	return modules;
}

static const struct sk_module *
find(struct sk_modules *modules, const char *name)
{
	char error[ERROR_SIZE] = "";
	const struct sk_module *module = sk_modules_find(modules, name, error, sizeof(error));
	if (module == NULL)
		fail_msg("%s", error);
	assert_string_equal(module->name, name);
	return module;
}

static void
expect_error(struct sk_modules *modules, const char *name, const char *part)
{
	char error[ERROR_SIZE] = "";
	assert_null(sk_modules_find(modules, name, error, sizeof(error)));
	if (strstr(error, part) == NULL)
		fail_msg("no \"%s\" in the error \"%s\"", part, error);
	assert_null(strchr(error, '\n'));
}

static void
test_a_full_module_does_all_four(void **state)
{
	(void)state;
	struct sk_modules *modules = new_modules("", "");
	const struct sk_module *module = find(modules, "module_full");
	int *instance = module->create();
	assert_non_null(instance);
	assert_int_equal(module->init(instance, NULL, "42"), 0);
	assert_int_equal(*instance, 42);
	module->signal(instance, 7);
	assert_int_equal(*instance, 7);
	module->release(instance);
	sk_modules_free(modules);
}

static void
test_a_bare_module_has_init_only(void **state)
{
	(void)state;
	struct sk_modules *modules = new_modules("", "");
	const struct sk_module *module = find(modules, "module_bare");
	assert_null(module->create);
	assert_null(module->release);
	assert_null(module->signal);
	assert_int_equal(module->init(NULL, NULL, NULL), 0);
	sk_modules_free(modules);
}

static void
test_a_dotted_name_gives_its_last_part_to_the_symbols(void **state)
{
	(void)state;
	struct sk_modules *modules = new_modules("", "");
	assert_int_equal(find(modules, "module.dotted")->init(NULL, NULL, NULL), 0);
	sk_modules_free(modules);
}

static void
test_a_module_is_found_again_where_it_was(void **state)
{
	(void)state;
	struct sk_modules *modules = new_modules("", "");
	const struct sk_module *bare = find(modules, "module_bare");
	const struct sk_module *full = find(modules, "module_full");
	assert_ptr_equal(find(modules, "module_bare"), bare); /* I1 */
	assert_ptr_equal(find(modules, "module_full"), full);
	assert_ptr_not_equal(bare, full);
	sk_modules_free(modules);
}

static void
test_functions_outlive_the_table(void **state)
{
	(void)state;
	struct sk_modules *modules = new_modules("", "");
	struct sk_module copy = *find(modules, "module_bare");
	sk_modules_free(modules);
	assert_int_equal(copy.init(NULL, NULL, NULL), 0); /* I2 */
	struct sk_modules *others = new_modules("", "");
	assert_ptr_equal(find(others, "module_bare")->init, copy.init);
	sk_modules_free(others);
}

static void
test_templates_are_tried_in_order(void **state)
{
	(void)state;
	struct sk_modules *modules =
		new_modules(";./nowhere/?.so;;elsewhere/?/?.so;", ";./last/?.so;");
	(void)find(modules, "module_bare");
	expect_error(modules, "module_none",
		     "module 'module_none' cannot be loaded (see the key cpath)");
	expect_error(modules, "module_none", "; ./nowhere/module_none.so: ");
	expect_error(modules, "module_none", "; elsewhere/module_none/module_none.so: ");
	expect_error(modules, "module_none", "/test/cservice/module_none.so: ");
	expect_error(modules, "module_none", "; ./last/module_none.so: ");
	sk_modules_free(modules);
}

static void
test_a_template_without_a_folder_means_this_folder(void **state)
{
	(void)state;
	char error[ERROR_SIZE] = "";
	struct sk_modules *modules = sk_modules_new("?.so.6", error, sizeof(error));
	assert_non_null(modules);
	/* The system's libc.so.6 would be found by its bare name. */
	expect_error(modules, "libc", "; ./libc.so.6: ");
	sk_modules_free(modules);
}

static void
test_bad_modules_say_what_is_wrong(void **state)
{
	(void)state;
	struct sk_modules *modules = new_modules("", "");
	expect_error(modules, "module_noinit",
		     "module_noinit.so has no function module_noinit_init");
	expect_error(modules, "module_undefined", "nobody_has_this_function");
	expect_error(modules, "", "a module's name has 1 to 255 characters");
	char name[1000];
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	expect_error(modules, name, "and 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...' has 999");
	/* A failure leaves nothing behind. */
	expect_error(modules, "module_noinit", "has no function");
	(void)find(modules, "module_bare");
	sk_modules_free(modules);
}

static void
test_a_short_error_is_cut(void **state)
{
	(void)state;
	struct sk_modules *modules = new_modules("", "");
	char error[12];
	assert_null(sk_modules_find(modules, "none", error, sizeof(error)));
	assert_string_equal(error, "module 'non");
	sk_modules_free(modules);
}

static void
test_bad_templates_are_refused(void **state)
{
	(void)state;
	char error[ERROR_SIZE];
	assert_null(sk_modules_new("./a/?.so;./b/x.so;./c/?.so", error, sizeof(error)));
	assert_string_equal(error,
			    "the template './b/x.so' has no '?', which stands for the name of "
			    "the module");
	assert_null(sk_modules_new("", error, sizeof(error)));
	assert_string_equal(error, "there is no template in ''; write one as ./cservice/?.so");
	assert_null(sk_modules_new(";;", error, sizeof(error)));
}

static const char *const good_names[] = {"module_bare", "module_full", "module.dotted"};
#define GOOD_COUNT 3

struct finder {
	struct sk_modules *modules;
	const struct sk_module *found[GOOD_COUNT];
};

static void *
find_all(void *arg)
{
	struct finder *finder = arg;
	char error[ERROR_SIZE];
	for (int i = 0; i < GOOD_COUNT; i++)
		finder->found[i] =
			sk_modules_find(finder->modules, good_names[i], error, sizeof(error));
	return NULL;
}

static void
test_threads_that_load_at_once_get_the_same(void **state)
{
	(void)state;
	struct sk_modules *modules = new_modules("", "");
	struct finder finders[THREADS];
	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++) {
		finders[i].modules = modules;
		assert_int_equal(pthread_create(&threads[i], NULL, find_all, &finders[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	for (int i = 0; i < THREADS; i++)
		for (int j = 0; j < GOOD_COUNT; j++)
			assert_ptr_equal(finders[i].found[j], find(modules, good_names[j]));
	sk_modules_free(modules);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_full_module_does_all_four),
		cmocka_unit_test(test_a_bare_module_has_init_only),
		cmocka_unit_test(test_a_dotted_name_gives_its_last_part_to_the_symbols),
		cmocka_unit_test(test_a_module_is_found_again_where_it_was),
		cmocka_unit_test(test_functions_outlive_the_table),
		cmocka_unit_test(test_templates_are_tried_in_order),
		cmocka_unit_test(test_a_template_without_a_folder_means_this_folder),
		cmocka_unit_test(test_bad_modules_say_what_is_wrong),
		cmocka_unit_test(test_a_short_error_is_cut),
		cmocka_unit_test(test_bad_templates_are_refused),
		cmocka_unit_test(test_threads_that_load_at_once_get_the_same),
	};
	return cmocka_run_group_tests(tests, find_folder, NULL);
}
