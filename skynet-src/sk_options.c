/* sk_options.c: reads the command line. Options may stand before and behind the config; "--" ends
 * them. Of several actions (--help, --check ...) the last one counts. [boot] */
#include "sk_options.h"

#include "skynet.h"

#include <stdbool.h>
#include <string.h>

/* One sk_options_init. */
struct parsing {
	struct sk_options *options;
	int argc;
	char **argv;
	int next; /* index of the argument to read next */
	bool has_options_ended;
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
	(void)snprintf(p->error, p->error_size, "there is no option '%s'", argument);
	return SK_EINVAL;
}

static int
read_config(struct parsing *p, const char *argument)
{
	if (p->options->config_path == NULL) {
		p->options->config_path = argument;
		return SK_OK;
	}
	(void)snprintf(p->error, p->error_size,
		       "one config at a time, not '%s' and '%s'; a config can include others",
		       p->options->config_path, argument);
	return SK_EINVAL;
}

static int
read_arguments(struct parsing *p)
{
	int result = SK_OK;
	while (result == SK_OK && p->next < p->argc) {
		const char *argument = p->argv[p->next++];
		bool is_option = argument[0] == '-' && argument[1] != '\0' && !p->has_options_ended;
		result = is_option ? read_option(p, argument) : read_config(p, argument);
	}
	return result;
}

/* Running and checking need a config. */
static int
check_config(struct parsing *p)
{
	struct sk_options *options = p->options;
	if (options->config_path != NULL)
		return SK_OK;
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
	*options = (struct sk_options){.action = SK_OPTIONS_RUN};
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
		result = check_config(&p);
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
	*options = (struct sk_options){0};
}

void
sk_options_describe(FILE *out)
{
	static const char text[] =
		"Usage: skynet [OPTIONS] CONFIG\n"
		"Runs a node with the settings in CONFIG, a Lua file.\n"
		"\n"
		"  --set KEY=VALUE  set a key, whatever CONFIG says; may be repeated\n"
		"  --check          only check CONFIG; exit status 0 if it is good, 1 if not\n"
		"  --keys           list the keys that the node knows: type, default, effect\n"
		"  --help, -h       print this\n"
		"  --version, -v    print the version\n";
	(void)fputs(text, out);
}
