/* main.c: from the command line to a running node, and back.
 *
 * Order: settings, background, node, signals, threads. What can fail early fails before anything
 * has been started, and each step is undone by the function that made it. A node that has to claim
 * its id (sk_claim.h) is preceded by another one, in the same process.
 *
 * Exit status: 0 the node has ended in good order (or what a service asked for), 1 it could not
 * start, 2 the command line is wrong, 128 + N a second signal N. */
#include "sk_claim.h"
#include "sk_config.h"
#include "sk_daemon.h"
#include "sk_env.h"
#include "sk_node.h"
#include "sk_options.h"
#include "sk_signals.h"
#include "sk_tests.h"
#include "sk_version.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define EXIT_USAGE 2
#define ERROR_SIZE 1024

/* A descriptor that is missing here would go to the next file or socket, which would then receive
 * what somebody prints. */
static void
open_standard_streams(void)
{
	int fd = 0;
	while (fd >= 0 && fd <= STDERR_FILENO)
		fd = open("/dev/null", O_RDWR);
	if (fd > STDERR_FILENO)
		(void)close(fd);
}

/* One descriptor per client: the soft limit is for programs that use select. */
static void
raise_file_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit); /* the limit that there is also does */
}

/* How a node has run. */
struct outcome {
	bool was_stopped; /* by a signal */
	int status;	  /* to end with */
};

/* Runs the node until it ends. ready: called when it has started; may be NULL. Returns SK_OK, or an
 * error if it did not start. */
static int
run_node(struct sk_node *node, struct sk_daemon *daemon, void (*ready)(struct sk_daemon *daemon),
	 struct outcome *outcome, char *error, size_t error_size)
{
	struct sk_signals signals;
	if (sk_signals_init(&signals, node, daemon) != SK_OK) {
		(void)snprintf(error, error_size, "cannot start the thread for signals: %s",
			       strerror(errno));
		return SK_ESYSTEM;
	}
	int result = sk_node_start(node, error, error_size);
	if (result == SK_OK) {
		if (ready != NULL)
			ready(daemon);
		sk_signals_started(&signals);
		outcome->status = sk_node_wait(node);
	}
	sk_signals_fini(&signals);
	outcome->was_stopped = signals.stop_ms != 0;
	return result;
}

/* Runs the small node that claims an id (sk_claim.h). env: replaced by one with the id, or by NULL
 * when there is none: because of the error that is returned, or of a signal. */
static int
claim_id(struct sk_env **env, struct sk_daemon *daemon, char *error, size_t error_size)
{
	struct outcome outcome = {0};
	struct sk_env *config = *env;
	int result = SK_EINVAL;
	*env = NULL;
	struct sk_node *first = sk_node_new(sk_claim_prepare(config), error, error_size);
	if (first != NULL) {
		sk_claim_quiet(first);
		result = run_node(first, daemon, NULL, &outcome, error, error_size);
		if (result == SK_OK && !outcome.was_stopped) {
			*env = sk_claim_take(config, first->core.env, error, error_size);
			result = *env != NULL ? SK_OK : SK_EINVAL;
		}
		sk_node_free(first);
	}
	sk_env_free(config);
	return result;
}

/* env: taken. Returns SK_OK, and the status to end with, or an error if the node did not start. */
static int
run_with(struct sk_env *env, struct sk_daemon *daemon, int *status, char *error, size_t error_size)
{
	struct outcome outcome = {0};
	if (sk_claim_is_wanted(env)) {
		int result = claim_id(&env, daemon, error, error_size);
		if (env == NULL && result == SK_OK)
			sk_daemon_ready(daemon); /* to end, as it was asked to */
		if (env == NULL)
			return result;
	}
	struct sk_node *node = sk_node_new(env, error, error_size);
	if (node == NULL)
		return SK_EINVAL;
	int result = run_node(node, daemon, sk_daemon_ready, &outcome, error, error_size);
	sk_node_free(node);
	*status = outcome.status;
	return result;
}

/* env: taken. The error has been written, here or by the process in front. */
static int
run_in_daemon(struct sk_env *env, struct sk_daemon *daemon)
{
	char error[ERROR_SIZE];
	int status = EXIT_SUCCESS;
	if (run_with(env, daemon, &status, error, sizeof(error)) == SK_OK)
		return status;
	if (daemon->is_active)
		sk_daemon_failed(daemon, error);
	else
		(void)fprintf(stderr, "%s\n", error);
	return EXIT_FAILURE;
}

/* env: taken. */
static int
run(struct sk_env *env)
{
	char error[ERROR_SIZE];
	struct sk_daemon daemon = {0};
	const char *pid_path = sk_env_get(env, "daemon");
	if (pid_path != NULL &&
	    sk_daemon_detach(&daemon, pid_path, error, sizeof(error)) != SK_OK) {
		(void)fprintf(stderr, "%s\n", error);
		sk_env_free(env);
		return EXIT_FAILURE;
	}
	if (daemon.is_parent) {
		sk_env_free(env);
		return EXIT_SUCCESS;
	}
	int status = run_in_daemon(env, &daemon);
	sk_daemon_end(&daemon);
	return status;
}

static int
run_or_check(const struct sk_options *options)
{
	char error[ERROR_SIZE];
	struct sk_env *env = sk_env_new();
	if (sk_config_load(env, options->config_path, options->overrides, options->override_count,
			   stderr, error, sizeof(error)) != SK_OK) {
		(void)fprintf(stderr, "%s\n", error);
		sk_env_free(env);
		return EXIT_FAILURE;
	}
	if (options->action == SK_OPTIONS_RUN)
		return run(env);
	(void)printf("%s: ok\n", options->config_path);
	sk_env_free(env);
	return EXIT_SUCCESS;
}

static int
act(const struct sk_options *options)
{
	switch (options->action) {
	case SK_OPTIONS_RUN:
	case SK_OPTIONS_CHECK:
		return run_or_check(options);
	case SK_OPTIONS_TEST:
		return sk_tests_run(options);
	case SK_OPTIONS_HELP:
		sk_options_describe(stdout);
		break;
	case SK_OPTIONS_KEYS:
		sk_config_describe(stdout);
		break;
	case SK_OPTIONS_VERSION:
		(void)puts("skynet " SK_VERSION);
		break;
	case SK_OPTIONS_NOTHING:
		sk_options_describe(stderr);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
	char error[ERROR_SIZE];
	struct sk_options options;
	open_standard_streams();
	(void)signal(SIGPIPE, SIG_IGN); /* a peer that has gone is told by the write */
	raise_file_limit();
	if (sk_options_init(&options, argc, argv, error, sizeof(error)) != SK_OK) {
		(void)fprintf(stderr, "skynet: %s (see skynet --help)\n", error);
		return EXIT_USAGE;
	}
	int status = act(&options);
	sk_options_fini(&options);
	return status;
}
