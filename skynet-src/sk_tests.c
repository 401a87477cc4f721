/* sk_tests.c: starts the runs of `skynet --test`, adds up what they tell, and reports.
 *
 * The first process of a file lists its cases; then each seed is a run: one process after the
 * other, one for each case. Of what a process prints, the lines that begin with MARK come from the
 * runner (service/test_runner.lua): "case LIMIT NAME" tells of a case, which may take so many
 * hundredths of a second of real time; "ok" and "not ok REASON" say how the case has ended, and
 * "done" ends the process. All other lines are what the case has printed, or what the runner says
 * about it.
 *
 * T1  A process that ends without "done" has failed, and so has its case, or else the file.
 * T2  A file that has failed is not run with further seeds.
 */
#include "sk_tests.h"

#include "sk_clock.h"
#include "sk_config.h"
#include "sk_test_files.h"
#include "sk_test_process.h"
#include "skynet.h"

#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#if defined(__linux__)
#include <sys/personality.h>
#endif

#define MARK '\x1e'
#define REASON_SIZE 1024
/* How long a node may take to start, and, beyond its limit, to end a case. Only what hangs takes so
 * long: with a sanitizer, on a machine that runs much else, a start has taken more than 30 s. */
#define GRACE_NS (300 * SK_NS_PER_SECOND)
/* Lines of one failed case that are printed. */
#define LINES_MAX 200

/* A case of a file. */
struct listed {
	char *name;
	uint64_t limit_cs; /* of real time */
};

/* What has come of a file so far. */
struct file {
	const char *path;
	struct listed *cases;
	size_t case_count;
	bool is_listed;
	uint64_t runs;	    /* finished */
	uint64_t runs_left; /* not yet finished, started or not */
	uint64_t passed;
	uint64_t failed;
	uint64_t begin_ns;
};

enum verdict {
	VERDICT_NONE,
	VERDICT_PASSED,
	VERDICT_FAILED,
};

/* A file that is run with a seed. */
struct run {
	struct run *next;
	struct file *file;
	struct sk_test_job job; /* of the process that runs now */
	size_t case_index;	/* of the case that it runs, if job.case_name */
	struct sk_test_process process;
	uint64_t deadline_ns;
	bool was_late;
	bool is_done; /* it has said so */
	enum verdict verdict;
	struct sk_text reason; /* why the case has failed */
	struct sk_text said;   /* lines about the case */
};

struct tests {
	const struct sk_options *options;
	struct sk_test_files found;
	struct file *files;
	size_t next_file; /* and seed: what to start next */
	uint64_t next_seed;
	struct run *running;
	uint64_t running_count;
	uint64_t jobs;
	uint64_t passed;
	uint64_t failed;
};

/* --- reports ------------------------------------------------------------------------------- */

/* Prints lines behind a margin, the last ones of many. */
static void
print_lines(const struct sk_text *text)
{
	size_t count = 0;
	for (size_t i = 0; i < text->size; i++)
		count += text->bytes[i] == '\n';
	if (count > LINES_MAX)
		(void)printf("    ... %zu lines ...\n", count - LINES_MAX);
	for (const char *line = sk_text_get(text); *line; count--) {
		int length = (int)strcspn(line, "\n");
		if (count <= LINES_MAX)
			(void)printf("    %.*s\n", length, line);
		line += length + (line[length] == '\n');
	}
}

/* The case that the process runs; NULL: it only lists them. */
static const struct listed *
case_of(const struct run *run)
{
	return run->job.case_name ? &run->file->cases[run->case_index] : NULL;
}

static void
print_again(const struct tests *tests, const struct run *run)
{
	const struct sk_options *options = tests->options;
	const struct listed *listed = case_of(run);
	(void)printf("  again: %s --test", options->program);
	if (options->test.is_real)
		(void)printf(" --real");
	else
		(void)printf(" --seed %llu", (unsigned long long)run->job.seed);
	if (options->config_path)
		(void)printf(" --config %s", options->config_path);
	for (size_t i = 0; i < options->override_count; i++)
		(void)printf(" --set '%s=%s'", options->overrides[i].key,
			     options->overrides[i].value);
	if (listed && !strchr(listed->name, '\''))
		(void)printf(" --only '%s'", listed->name);
	(void)printf(" %s\n", run->file->path);
}

/* All is known about the case: reports it. */
static void
report_case(struct tests *tests, struct run *run)
{
	const struct sk_test_options *options = &tests->options->test;
	const struct listed *listed = case_of(run);
	bool has_failed = run->verdict == VERDICT_FAILED;
	if (has_failed) {
		run->file->failed++;
		(void)printf("not ok %s: %s\n", listed ? listed->name : run->file->path,
			     sk_text_get(&run->reason));
	} else if (listed) {
		run->file->passed++;
		if (options->shows_cases)
			(void)printf("ok %s\n", listed->name);
	}
	if (has_failed || (listed && options->shows_log))
		print_lines(&run->said);
	if (has_failed)
		print_again(tests, run);
}

static void
report_file(struct tests *tests, struct file *file)
{
	double seconds = (double)(sk_clock_ns() - file->begin_ns) / (double)SK_NS_PER_SECOND;
	(void)printf("%s: %llu passed, %llu failed", file->path, (unsigned long long)file->passed,
		     (unsigned long long)file->failed);
	if (tests->options->test.seed_count > 1)
		(void)printf(", %llu seeds", (unsigned long long)file->runs);
	(void)printf(" (%.2f s)\n", seconds);
	tests->passed += file->passed;
	tests->failed += file->failed;
}

/* --- what a process says ------------------------------------------------------------------- */

static bool
skip_word(const char **line, const char *word)
{
	size_t length = strlen(word);
	if (strncmp(*line, word, length) != 0)
		return false;
	*line += length;
	return true;
}

/* words: "LIMIT NAME". */
static void
add_case(struct run *run, const char *words)
{
	struct file *file = run->file;
	char *rest;
	uint64_t limit_cs = strtoull(words, &rest, 10);
	if (file->is_listed)
		return; /* another seed's run was faster */
	file->cases = skynet_realloc(file->cases, (file->case_count + 1) * sizeof *file->cases);
	file->cases[file->case_count++] = (struct listed){
		.name = skynet_strdup(rest + (*rest == ' ')),
		.limit_cs = limit_cs,
	};
}

static void
take_line(void *owner, const char *line)
{
	struct run *run = owner;
	if (*line != MARK) {
		sk_text_add(&run->said, line, strlen(line));
		sk_text_add(&run->said, "\n", 1);
		return;
	}
	line++;
	if (skip_word(&line, "case ")) {
		add_case(run, line);
	} else if (strcmp(line, "ok") == 0) {
		run->verdict = VERDICT_PASSED;
	} else if (skip_word(&line, "not ok ")) {
		run->verdict = VERDICT_FAILED;
		sk_text_set(&run->reason, line);
	} else if (strcmp(line, "done") == 0) {
		run->is_done = true;
	}
}

static void fail(struct run *run, const char *format, ...) SK_PRINTF(2, 3);

/* The process has gone wrong, whatever it has said before. */
static void
fail(struct run *run, const char *format, ...)
{
	char reason[REASON_SIZE];
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(reason, sizeof reason, format, arguments);
	va_end(arguments);
	run->verdict = VERDICT_FAILED;
	sk_text_set(&run->reason, reason);
}

static void
judge_end(struct run *run, int status)
{
	if (run->was_late)
		fail(run, "it took too long, and its process was killed");
	else if (WIFSIGNALED(status))
		fail(run, "its process was ended by signal %d (%s)", WTERMSIG(status),
		     strsignal(WTERMSIG(status)));
	else if (!run->is_done) /* T1 */
		fail(run, "its process ended with status %d before it was done",
		     WEXITSTATUS(status));
	else if (run->verdict != VERDICT_FAILED && WEXITSTATUS(status) != 0)
		fail(run, "its process ended with status %d", WEXITSTATUS(status));
}

/* --- runs ---------------------------------------------------------------------------------- */

/* Sets the run's job to the first wanted case from that index on. Returns false when there is
 * none. */
static bool
choose_case(const struct tests *tests, struct run *run, size_t index)
{
	const char *only = tests->options->test.only;
	const struct file *file = run->file;
	while (index < file->case_count && only && !strstr(file->cases[index].name, only))
		index++;
	run->case_index = index;
	run->job.case_name = index < file->case_count ? file->cases[index].name : NULL;
	return run->job.case_name != NULL;
}

/* The run is in no list any more. */
static void
finish_run(struct tests *tests, struct run *run)
{
	struct file *file = run->file;
	file->runs++;
	if (--file->runs_left == 0)
		report_file(tests, file);
	(void)fflush(stdout);
	sk_test_process_free(&run->process);
	free(run->reason.bytes);
	free(run->said.bytes);
	free(run);
}

/* Starts the process for the run's job, or, if that fails, ends the run. */
static void
start_process(struct tests *tests, struct run *run)
{
	const struct listed *listed = case_of(run);
	run->deadline_ns =
		sk_clock_ns() + (listed ? listed->limit_cs * SK_NS_PER_CS : 0) + GRACE_NS;
	run->is_done = run->was_late = false;
	run->verdict = VERDICT_NONE;
	run->said.size = 0;
	(void)fflush(stdout);
	int error = sk_test_process_start(&run->process, tests->options, &run->job);
	if (error != 0) {
		fail(run, "cannot start %s: %s", tests->options->program, strerror(error));
		report_case(tests, run);
		finish_run(tests, run);
		return;
	}
	run->next = tests->running;
	tests->running = run;
	tests->running_count++;
}

static void
start_run(struct tests *tests, struct file *file, uint64_t seed)
{
	struct run *run = skynet_calloc(1, sizeof *run);
	run->file = file;
	run->job = (struct sk_test_job){.path = file->path, .seed = seed};
	if (file->begin_ns == 0)
		file->begin_ns = sk_clock_ns();
	if (file->is_listed && !choose_case(tests, run, 0))
		finish_run(tests, run); /* it has none */
	else
		start_process(tests, run);
}

/* The process of a run has closed its output: goes on with the next case. */
static void
end_process(struct tests *tests, struct run *run)
{
	struct run **link = &tests->running;
	while (*link != run)
		link = &(*link)->next;
	*link = run->next;
	tests->running_count--;
	judge_end(run, sk_test_process_end(&run->process));
	report_case(tests, run);
	bool was_list = !run->job.case_name;
	if (was_list)
		run->file->is_listed |= run->verdict != VERDICT_FAILED;
	if (run->file->is_listed && choose_case(tests, run, was_list ? 0 : run->case_index + 1))
		start_process(tests, run);
	else
		finish_run(tests, run);
}

/* Starts what is next, unless its file has failed. Returns false when nothing is left. */
static bool
start_next(struct tests *tests)
{
	const struct sk_test_options *options = &tests->options->test;
	if (tests->next_file == tests->found.count)
		return false;
	struct file *file = &tests->files[tests->next_file];
	uint64_t seed = options->seed + tests->next_seed;
	if (++tests->next_seed == options->seed_count) {
		tests->next_seed = 0;
		tests->next_file++;
	}
	if (file->failed == 0)
		start_run(tests, file, seed);
	else if (--file->runs_left == 0) /* T2 */
		report_file(tests, file);
	return true;
}

/* --- all of them --------------------------------------------------------------------------- */

static int
poll_timeout_ms(const struct tests *tests)
{
	uint64_t now_ns = sk_clock_ns();
	uint64_t nearest_ns = now_ns + GRACE_NS;
	for (const struct run *run = tests->running; run; run = run->next)
		if (run->deadline_ns < nearest_ns)
			nearest_ns = run->deadline_ns;
	return nearest_ns <= now_ns ? 0 : (int)((nearest_ns - now_ns) / SK_NS_PER_MS) + 1;
}

static void
kill_late(struct tests *tests)
{
	uint64_t now_ns = sk_clock_ns();
	for (struct run *run = tests->running; run; run = run->next) {
		if (run->deadline_ns > now_ns)
			continue;
		run->was_late = true;
		run->deadline_ns = now_ns + GRACE_NS;
		sk_test_process_kill(&run->process);
	}
}

/* Waits until some process prints, ends, or is late. */
static void
attend(struct tests *tests, struct pollfd *polls)
{
	nfds_t count = 0;
	for (struct run *run = tests->running; run; run = run->next)
		polls[count++] = (struct pollfd){.fd = run->process.fd, .events = POLLIN};
	(void)poll(polls, count, poll_timeout_ms(tests));
	kill_late(tests);
	struct run *run = tests->running;
	for (nfds_t i = 0; i < count; i++) {
		struct run *next = run->next;
		if (polls[i].revents && !sk_test_process_attend(&run->process, take_line, run))
			end_process(tests, run);
		run = next;
	}
}

static void
run_all(struct tests *tests)
{
	struct pollfd *polls = skynet_calloc((size_t)tests->jobs, sizeof *polls);
	bool is_more = true;
	while (is_more || tests->running) {
		while (is_more && tests->running_count < tests->jobs)
			is_more = start_next(tests);
		if (tests->running)
			attend(tests, polls);
	}
	free(polls);
}

static int
find_files(struct tests *tests)
{
	const struct sk_test_options *options = &tests->options->test;
	char error[REASON_SIZE];
	for (size_t i = 0; i < options->path_count; i++) {
		if (sk_test_files_add(&tests->found, options->paths[i], error, sizeof error) ==
		    SK_OK)
			continue;
		(void)fprintf(stderr, "skynet: %s\n", error);
		return SK_EINVAL;
	}
	tests->files = skynet_calloc(tests->found.count, sizeof *tests->files);
	for (size_t i = 0; i < tests->found.count; i++)
		tests->files[i] = (struct file){.path = tests->found.paths[i],
						.runs_left = options->seed_count};
	return SK_OK;
}

static void
free_files(struct tests *tests)
{
	for (size_t i = 0; tests->files && i < tests->found.count; i++) {
		for (size_t j = 0; j < tests->files[i].case_count; j++)
			free(tests->files[i].cases[j].name);
		free(tests->files[i].cases);
	}
	free(tests->files);
	sk_test_files_fini(&tests->found);
}

/* Makes the processes that are started from now on lie at the same addresses each time: what Lua
 * does with them, such as the order of a table's keys, is then the same too. */
static void
fix_addresses(void)
{
#if defined(__linux__)
	int now = personality(0xffffffff); /* asks */
	if (now == -1 || personality((unsigned long)now | ADDR_NO_RANDOMIZE) == -1)
		(void)printf("note: addresses cannot be fixed here, so the order of pairs() may "
			     "differ from run to run\n");
#endif
}

int
sk_tests_run(const struct sk_options *options)
{
	struct tests tests = {.options = options, .jobs = options->test.jobs};
	if (tests.jobs == 0)
		tests.jobs = (uint64_t)sk_config_usable_cpus();
	bool is_found = find_files(&tests) == SK_OK;
	if (is_found) {
		if (!options->test.is_real)
			fix_addresses();
		run_all(&tests);
		(void)printf("%llu passed, %llu failed\n", (unsigned long long)tests.passed,
			     (unsigned long long)tests.failed);
	}
	free_files(&tests);
	return is_found && tests.passed > 0 && tests.failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
