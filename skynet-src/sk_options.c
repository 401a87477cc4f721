/* sk_options.c: reads the command line. Options may stand before and behind the config; "--" ends
 * them. Of several actions (--help, --check ...) the last one counts. [boot] */
#include "sk_options.h"

#include "skynet.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define SEEDS_MAX 1000000000
#define JOBS_MAX 1024

/* One sk_options_init. */
struct parsing {
	struct sk_options *options;
	int argc;
	char **argv;
	int next; /* index of the argument to read next */
	bool has_options_ended;
	const char *test_option; /* one that goes only with --test; NULL: there was none */
	char *error;
	size_t error_size;
};

struct action_name {
	const char *name;
	enum sk_options_action action;
};

static const struct action_name action_names[] = {
	{"--check", SK_OPTIONS_CHECK},	   {"--help", SK_OPTIONS_HELP},
	{"-h", SK_OPTIONS_HELP},	   {"--keys", SK_OPTIONS_KEYS},
	{"--version", SK_OPTIONS_VERSION}, {"-v", SK_OPTIONS_VERSION},
	{"--test", SK_OPTIONS_TEST},
};

/* assignment: KEY=VALUE */
static int
add_override(struct parsing *p, const char *assignment)
{
	size_t key_length = strcspn(assignment, "=");
	if (key_length == 0 || assignment[key_length] == '\0') {
		(void)snprintf(p->error, p->error_size,
			       "--set %s: write KEY=VALUE, for example --set thread=4", assignment);
		return SK_EINVAL;
	}
	struct sk_options *options = p->options;
	options->overrides = skynet_realloc(
		options->overrides, (options->override_count + 1) * sizeof(*options->overrides));
	char *copy = skynet_strdup(assignment);
	copy[key_length] = '\0';
	options->overrides[options->override_count++] = (struct sk_config_override){
		.key = copy,
		.value = copy + key_length + 1,
	};
	return SK_OK;
}

static int
read_set(struct parsing *p, const char *argument)
{
	if (argument[strlen("--set")] == '=')
		return add_override(p, argument + strlen("--set="));
	if (p->next < p->argc)
		return add_override(p, p->argv[p->next++]);
	(void)snprintf(p->error, p->error_size, "--set needs KEY=VALUE behind it");
	return SK_EINVAL;
}

/* --- the options of --test ----------------------------------------------------------------- */

static bool
is_option(const char *argument, const char *name)
{
	size_t length = strlen(name);
	return strncmp(argument, name, length) == 0 &&
	       (argument[length] == '\0' || argument[length] == '=');
}

/* The value behind an option, in the same argument or in the next one. */
static int
read_value(struct parsing *p, const char *argument, const char *name, const char **value)
{
	if (argument[strlen(name)] == '=') {
		*value = argument + strlen(name) + 1;
		return SK_OK;
	}
	if (p->next < p->argc) {
		*value = p->argv[p->next++];
		return SK_OK;
	}
	(void)snprintf(p->error, p->error_size, "%s needs a value behind it", name);
	return SK_EINVAL;
}

static int
read_number(struct parsing *p, const char *argument, const char *name, uint64_t min, uint64_t max,
	    uint64_t *number)
{
	const char *text;
	char *end;
	if (read_value(p, argument, name, &text) != SK_OK)
		return SK_EINVAL;
	*number = strtoull(text, &end, 10);
	if (*text >= '0' && *text <= '9' && *end == '\0' && *number >= min && *number <= max)
		return SK_OK;
	(void)snprintf(p->error, p->error_size, "%s: '%s' is no number in %llu..%llu", name, text,
		       (unsigned long long)min, (unsigned long long)max);
	return SK_EINVAL;
}

static int
set_flag(bool *flag)
{
	*flag = true;
	return SK_OK;
}

/* Returns SK_ENOENT when it is none of these. */
static int
read_test_option(struct parsing *p, const char *argument)
{
	struct sk_test_options *test = &p->options->test;
	if (is_option(argument, "--config"))
		return read_value(p, argument, "--config", &p->options->config_path);
	if (is_option(argument, "--only"))
		return read_value(p, argument, "--only", &test->only);
	if (is_option(argument, "--seed"))
		return read_number(p, argument, "--seed", 0, SK_SEED_MAX, &test->seed);
	if (is_option(argument, "--seeds"))
		return read_number(p, argument, "--seeds", 1, SEEDS_MAX, &test->seed_count);
	if (is_option(argument, "--jobs"))
		return read_number(p, argument, "--jobs", 1, JOBS_MAX, &test->jobs);
	if (strcmp(argument, "--real") == 0)
		return set_flag(&test->is_real);
	if (strcmp(argument, "--verbose") == 0)
		return set_flag(&test->shows_cases);
	if (strcmp(argument, "--log") == 0)
		return set_flag(&test->shows_log);
	return SK_ENOENT;
}

/* --- all of them --------------------------------------------------------------------------- */

static int
read_option(struct parsing *p, const char *argument)
{
	if (strcmp(argument, "--") == 0) {
		p->has_options_ended = true;
		return SK_OK;
	}
	if (strcmp(argument, "--set") == 0 || strncmp(argument, "--set=", strlen("--set=")) == 0)
		return read_set(p, argument);
	for (size_t i = 0; i < sizeof(action_names) / sizeof(action_names[0]); i++) {
		if (strcmp(argument, action_names[i].name) == 0) {
			p->options->action = action_names[i].action;
			return SK_OK;
		}
	}
	int result = read_test_option(p, argument);
	if (result != SK_ENOENT) {
		p->test_option = argument;
		return result;
	}
	(void)snprintf(p->error, p->error_size, "there is no option '%s'", argument);
	return SK_EINVAL;
}

/* A config, or with --test a test: which one is known when all arguments have been read. */
static void
add_path(struct parsing *p, const char *path)
{
	struct sk_test_options *test = &p->options->test;
	test->paths = skynet_realloc(test->paths, (test->path_count + 1) * sizeof *test->paths);
	test->paths[test->path_count++] = path;
}

static int
read_arguments(struct parsing *p)
{
	int result = SK_OK;
	while (result == SK_OK && p->next < p->argc) {
		const char *argument = p->argv[p->next++];
		bool is_option = argument[0] == '-' && argument[1] != '\0' && !p->has_options_ended;
		if (is_option)
			result = read_option(p, argument);
		else
			add_path(p, argument);
	}
	return result;
}

static int
check_tests(struct parsing *p)
{
	if (p->options->test.path_count > 0)
		return SK_OK;
	(void)snprintf(p->error, p->error_size,
		       "--test needs files with tests behind it, or folders of NAME_test.lua");
	return SK_EINVAL;
}

/* Running and checking need a config. */
static int
check_config(struct parsing *p)
{
	struct sk_options *options = p->options;
	if (p->test_option != NULL) {
		(void)snprintf(p->error, p->error_size, "%s goes only with --test", p->test_option);
		return SK_EINVAL;
	}
	if (options->test.path_count > 1) {
		(void)snprintf(
			p->error, p->error_size,
			"one config at a time, not '%s' and '%s'; a config can include others",
			options->test.paths[0], options->test.paths[1]);
		return SK_EINVAL;
	}
	if (options->test.path_count == 1) {
		options->config_path = options->test.paths[0];
		return SK_OK;
	}
	if (options->action == SK_OPTIONS_RUN && p->argc <= 1)
		options->action = SK_OPTIONS_NOTHING;
	if (options->action != SK_OPTIONS_RUN && options->action != SK_OPTIONS_CHECK)
		return SK_OK;
	(void)snprintf(p->error, p->error_size, "the name of a config file is missing");
	return SK_EINVAL;
}

int
sk_options_init(struct sk_options *options, int argc, char **argv, char *error, size_t error_size)
{
	*options = (struct sk_options){
		.action = SK_OPTIONS_RUN, .program = argv[0], .test = {.seed = 1, .seed_count = 1}};
	struct parsing p = {
		.options = options,
		.argc = argc,
		.argv = argv,
		.next = 1,
		.error = error,
		.error_size = error_size,
	};
	int result = read_arguments(&p);
	if (result == SK_OK)
		result = options->action == SK_OPTIONS_TEST ? check_tests(&p) : check_config(&p);
	if (result != SK_OK)
		sk_options_fini(options);
	return result;
}

void
sk_options_fini(struct sk_options *options)
{
	for (size_t i = 0; i < options->override_count; i++)
		skynet_free((char *)options->overrides[i].key); /* the value lies behind it */
	skynet_free(options->overrides);
	skynet_free(options->test.paths);
	*options = (struct sk_options){0};
}

void
sk_options_describe(FILE *out)
{
	static const char text[] =
		"Usage: skynet [OPTIONS] CONFIG\n"
		"       skynet --test [OPTIONS] PATH...\n"
		"Runs a node with the settings in CONFIG, a Lua file; or Lua tests, each case\n"
		"in a node of its own, in virtual time.\n"
		"\n"
		"  --set KEY=VALUE  set a key, whatever CONFIG says; may be repeated\n"
		"  --check          only check CONFIG; exit status 0 if it is good, 1 if not\n"
		"  --keys           list the keys that the node knows: type, default, effect\n"
		"  --help, -h       print this\n"
		"  --version, -v    print the version\n"
		"\n"
		"  --test           run the test files PATH; of a folder, its NAME_test.lua\n"
		"  --config CONFIG  settings of the nodes; default: none\n"
		"  --only TEXT      only cases with TEXT in their names\n"
		"  --seed N         the seed, which decides the order of events; default 1\n"
		"  --seeds N        run each file with N seeds, until it fails\n"
		"  --jobs N         so many runs at a time; default: as many as processors\n"
		"  --real           real time and real threads, no seed\n"
		"  --log            print what is logged, of passed cases too\n"
		"  --verbose        print the names of passed cases\n";
	(void)fputs(text, out);
}
