/* sk_test_process.c: see sk_test_process.h. */
#include "sk_test_process.h"

#include "skynet.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define READ_SIZE 65536

extern char **environ;

/* --- texts --------------------------------------------------------------------------------- */

void
sk_text_add(struct sk_text *text, const char *bytes, size_t size)
{
	if (text->size + size + 1 > text->capacity) {
		text->capacity = (text->size + size + 1) * 2;
		text->bytes = skynet_realloc(text->bytes, text->capacity);
	}
	memcpy(text->bytes + text->size, bytes, size);
	text->size += size;
	text->bytes[text->size] = '\0';
}

void
sk_text_set(struct sk_text *text, const char *string)
{
	text->size = 0;
	sk_text_add(text, string, strlen(string));
}

const char *
sk_text_get(const struct sk_text *text)
{
	return text->bytes ? text->bytes : "";
}

/* --- the command line ---------------------------------------------------------------------- */

struct arguments {
	char **items; /* and a NULL behind them */
	size_t count;
};

static void add_argument(struct arguments *arguments, const char *format, ...) SK_PRINTF(2, 3);

static void
add_argument(struct arguments *arguments, const char *format, ...)
{
	va_list list, again;
	va_start(list, format);
	va_copy(again, list);
	int size = vsnprintf(NULL, 0, format, list);
	va_end(list);
	char *text = skynet_malloc((size_t)size + 1);
	(void)vsnprintf(text, (size_t)size + 1, format, again);
	va_end(again);
	arguments->items =
		skynet_realloc(arguments->items, (arguments->count + 2) * sizeof *arguments->items);
	arguments->items[arguments->count++] = text;
	arguments->items[arguments->count] = NULL;
}

static void
free_arguments(struct arguments *arguments)
{
	for (size_t i = 0; i < arguments->count; i++)
		free(arguments->items[i]);
	free(arguments->items);
}

/* The same for a case whatever other cases run: it may depend on the length of a text where memory
 * lies. */
static struct arguments
arguments_of(const struct sk_options *options, const struct sk_test_job *job)
{
	/* What makes a node one that runs a test, whatever its config says. */
	static const char *const settings[] = {
		"bootstrap=snlua bootstrap", "start=test_runner", "logservice=snlua",
		"logger=test_log",	     "daemon=",
	};
	struct arguments arguments = {0};
	add_argument(&arguments, "%s", options->program);
	for (size_t i = 0; i < options->override_count; i++)
		add_argument(&arguments, "--set=%s=%s", options->overrides[i].key,
			     options->overrides[i].value);
	for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
		add_argument(&arguments, "--set=%s", settings[i]);
	if (options->test.is_real)
		add_argument(&arguments, "--set=simulate=");
	else
		add_argument(&arguments, "--set=simulate=%llu", (unsigned long long)job->seed);
	add_argument(&arguments, "--set=test_file=%s", job->path);
	if (job->case_name)
		add_argument(&arguments, "--set=test_case=%s", job->case_name);
	add_argument(&arguments, "--");
	add_argument(&arguments, "%s", options->config_path ? options->config_path : "/dev/null");
	return arguments;
}

/* --- the process --------------------------------------------------------------------------- */

/* Returns 0, or an error number. write_fd: becomes its stdout and stderr. */
static int
spawn(const struct arguments *arguments, int write_fd, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	int error = posix_spawn_file_actions_init(&actions);
	if (error != 0)
		return error;
	error = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (error == 0)
		error = posix_spawn_file_actions_adddup2(&actions, write_fd, STDOUT_FILENO);
	if (error == 0)
		error = posix_spawn_file_actions_adddup2(&actions, write_fd, STDERR_FILENO);
	if (error == 0)
		error = posix_spawnp(pid, arguments->items[0], &actions, NULL, arguments->items,
				     environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	return error;
}

int
sk_test_process_start(struct sk_test_process *process, const struct sk_options *options,
		      const struct sk_test_job *job)
{
	int fds[2];
	if (pipe(fds) != 0)
		return errno;
	(void)fcntl(fds[0], F_SETFD, FD_CLOEXEC);
	(void)fcntl(fds[1], F_SETFD, FD_CLOEXEC);
	struct arguments arguments = arguments_of(options, job);
	int error = spawn(&arguments, fds[1], &process->pid);
	free_arguments(&arguments);
	(void)close(fds[1]);
	if (error != 0)
		(void)close(fds[0]);
	process->fd = fds[0];
	process->line.size = 0;
	return error;
}

/* Takes the line that is complete now. */
static void
end_line(struct sk_test_process *process, void (*take_line)(void *owner, const char *line),
	 void *owner)
{
	take_line(owner, sk_text_get(&process->line));
	sk_text_set(&process->line, "");
}

bool
sk_test_process_attend(struct sk_test_process *process,
		       void (*take_line)(void *owner, const char *line), void *owner)
{
	static char bytes[READ_SIZE];
	ssize_t size = read(process->fd, bytes, sizeof bytes);
	if (size < 0 && errno == EINTR)
		return true;
	if (size <= 0) {
		if (process->line.size > 0)
			end_line(process, take_line, owner);
		return false;
	}
	const char *rest = bytes, *end;
	size_t left = (size_t)size;
	while ((end = memchr(rest, '\n', left))) {
		size_t length = (size_t)(end - rest);
		sk_text_add(&process->line, rest, length);
		end_line(process, take_line, owner);
		rest = end + 1;
		left -= length + 1;
	}
	sk_text_add(&process->line, rest, left);
	return true;
}

int
sk_test_process_end(struct sk_test_process *process)
{
	int status = 0;
	(void)close(process->fd);
	while (waitpid(process->pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

void
sk_test_process_kill(struct sk_test_process *process)
{
	(void)kill(process->pid, SIGKILL); /* fails when it has just ended by itself */
}

void
sk_test_process_free(struct sk_test_process *process)
{
	free(process->line.bytes);
}
