/* logger.c: the log service: writes every line the node logs to stdout or to a file.
 *
 * Launch     logger [FILE]. With FILE: appended to, "dd/mm/yy HH:MM:SS.cc [:%08x] text" in local
 *            time. Without: stdout, "[:%08x] text".
 * Messages   PTYPE_TEXT: a line from source. PTYPE_SYSTEM: close FILE and open it again, so that it
 *            can be renamed away first. Other types mean nothing here.
 *
 * I1  When the mailbox is empty, every line has been handed to the operating system. While more
 *     wait, lines collect in the stream's buffer: one system call for many.
 * I2  A line that cannot be written to its place goes to stderr. That is said once, and the place
 *     is tried again for every line after RETRY_CS; so a full disk needs nobody to look after the
 *     log.
 * I3  What the stream has been given since it was flushed last is in `unsure`, too: when it cannot
 *     be flushed, all of that goes to stderr, whatever part of it was written.
 *
 * Threads    [turn], as every service. */
#include "skynet.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* How long a place that failed is left alone, in 1/100 s. */
#define RETRY_CS 100
#define NS_PER_CS 10000000
/* "dd/mm/yy HH:MM:SS" and a NUL. */
#define STAMP_BYTES 18
/* So much may wait in the stream, and a line. */
#define UNSURE_MAX 32768

struct logger {
	struct skynet_context *ctx;
	char *path; /* NULL: stdout */
	FILE *file; /* NULL: could not be opened */
	bool is_lost;
	uint64_t retry_at_cs; /* while lost */
	char *unsure;	      /* lines, as stderr would have them */
	size_t unsure_bytes;
	size_t unsure_room;
	/* The text of the current second: it stays the same for many lines. */
	time_t stamp_second;
	char stamp[STAMP_BYTES];
};

SKYNET_API struct logger *logger_create(void);
SKYNET_API void logger_release(struct logger *logger);
SKYNET_API int logger_init(struct logger *logger, struct skynet_context *ctx, const char *parm);

struct logger *
logger_create(void)
{
	return skynet_calloc(1, sizeof(struct logger));
}

static void
close_file(struct logger *logger)
{
	if (logger->path != NULL && logger->file != NULL)
		(void)fclose(logger->file); /* what it could still fail at has been flushed: I1 */
	logger->file = NULL;
}

static void
open_file(struct logger *logger)
{
	logger->file = logger->path != NULL ? fopen(logger->path, "ae") : stdout;
}

/* Makes the text of the time in front of a line of a file. Returns its hundredths. */
static int
make_stamp(struct logger *logger)
{
	uint64_t now_cs = skynet_wall_ns() / NS_PER_CS;
	time_t second = (time_t)(now_cs / 100);
	if (second != logger->stamp_second) {
		struct tm local;
		if (localtime_r(&second, &local) == NULL)
			memset(&local, 0, sizeof(local)); /* a year beyond what an int holds */
		(void)strftime(logger->stamp, sizeof(logger->stamp), "%d/%m/%y %H:%M:%S", &local);
		logger->stamp_second = second;
	}
	return (int)(now_cs % 100);
}

/* The place failed, errno says why: stderr from now on (I2). */
static void
lose_file(struct logger *logger)
{
	if (!logger->is_lost)
		(void)fprintf(stderr,
			      "logger: cannot write to %s: %s; log lines go to stderr until it can "
			      "be written to again\n",
			      logger->path != NULL ? logger->path : "stdout", strerror(errno));
	logger->is_lost = true;
	logger->retry_at_cs = skynet_now() + RETRY_CS;
	if (logger->file != NULL)
		clearerr(logger->file);
	close_file(logger);
}

/* The lines in `unsure` need not be kept any longer. */
static void
forget_unsure(struct logger *logger)
{
	logger->unsure_bytes = 0;
	if (logger->unsure_room <= 2 * UNSURE_MAX)
		return;
	skynet_free(logger->unsure); /* there was a very long one */
	logger->unsure = NULL;
	logger->unsure_room = 0;
}

/* The stream has failed: its lines go where they can be seen (I3). */
static void
rescue_unsure(struct logger *logger)
{
	lose_file(logger);
	(void)fwrite(logger->unsure, 1, logger->unsure_bytes, stderr);
	(void)fflush(stderr);
	forget_unsure(logger);
}

/* Hands all that waits in the stream to the operating system. */
static void
flush_file(struct logger *logger)
{
	if (logger->file == NULL)
		return; /* lost, and nothing waits */
	if (!ferror(logger->file) && fflush(logger->file) == 0) {
		logger->is_lost = false;
		forget_unsure(logger);
	} else {
		rescue_unsure(logger);
	}
}

/* Whether lines should be written to their place, which is opened again when it is time. */
static bool
is_file_usable(struct logger *logger)
{
	if (!logger->is_lost)
		return true;
	if (skynet_now() < logger->retry_at_cs)
		return false;
	open_file(logger);
	if (logger->file == NULL)
		lose_file(logger);
	return logger->file != NULL;
}

static bool
is_mailbox_empty(struct skynet_context *ctx)
{
	return strcmp(skynet_command(ctx, "STAT", "mqlen"), "0") == 0;
}

/* Keeps a line until the stream has been flushed. */
static void
add_unsure(struct logger *logger, uint32_t source, const char *text, size_t size)
{
	size_t need = logger->unsure_bytes + size + sizeof("[:00000000] \n");
	if (need > logger->unsure_room) {
		logger->unsure_room = need > UNSURE_MAX ? need : UNSURE_MAX;
		logger->unsure = skynet_realloc(logger->unsure, logger->unsure_room);
	}
	char *end = logger->unsure + logger->unsure_bytes;
	end += sprintf(end, "[:%08x] ", source);
	if (size > 0)
		memcpy(end, text, size);
	end[size] = '\n';
	logger->unsure_bytes = (size_t)(end + size + 1 - logger->unsure);
}

/* Gives a line to a stream, which may keep it for a while. */
static void
print_line(struct logger *logger, FILE *file, uint32_t source, const char *text, size_t size)
{
	bool has_stamp = file == logger->file && logger->path != NULL;
	int hundredths = has_stamp ? make_stamp(logger) : 0;
	/* What services print themselves is no part of the line. Nothing in here may open or close
	 * a file, as localtime_r may: whoever flushes all streams holds the list of them, and waits
	 * for this one. */
	flockfile(file);
	if (has_stamp)
		(void)fprintf(file, "%s.%02d ", logger->stamp, hundredths);
	(void)fprintf(file, "[:%08x] ", source);
	(void)fwrite(text, 1, size, file); /* the stream remembers any failure */
	(void)fputc('\n', file);
	funlockfile(file);
}

static void
log_line(struct logger *logger, uint32_t source, const char *text, size_t size)
{
	if (!is_file_usable(logger)) {
		print_line(logger, stderr, source, text, size); /* the last place there is */
		(void)fflush(stderr);
		return;
	}
	add_unsure(logger, source, text, size);
	print_line(logger, logger->file, source, text, size);
	if (logger->is_lost || ferror(logger->file) || logger->unsure_bytes > UNSURE_MAX ||
	    is_mailbox_empty(logger->ctx))
		flush_file(logger); /* I1 */
}

static void
reopen(struct logger *logger)
{
	if (logger->path == NULL)
		return;
	flush_file(logger);
	close_file(logger);
	open_file(logger);
	if (logger->file == NULL)
		lose_file(logger);
	else
		logger->is_lost = false;
}

void
logger_release(struct logger *logger)
{
	flush_file(logger);
	close_file(logger);
	skynet_free(logger->unsure);
	skynet_free(logger->path);
	skynet_free(logger);
}

/* Nobody waits for a log for ever: a request is answered, with nothing, when it was done. */
static void
answer(struct skynet_context *ctx, uint32_t source, int type, int session)
{
	char text[80];
	bool is_known = type == PTYPE_TEXT || type == PTYPE_SYSTEM;
	if (session == 0 || source == 0 || type == PTYPE_RESPONSE || type == PTYPE_ERROR)
		return;
	(void)snprintf(text, sizeof text, "logger (:%08x): it knows text and system messages only",
		       skynet_current_handle());
	(void)skynet_send(ctx, 0, source, is_known ? PTYPE_RESPONSE : PTYPE_ERROR, session,
			  is_known ? NULL : text, is_known ? 0 : strlen(text));
}

static int
callback(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
	 const void *msg, size_t sz)
{
	struct logger *logger = ud;
	if (type == PTYPE_TEXT)
		log_line(logger, source, msg, sz);
	else if (type == PTYPE_SYSTEM)
		reopen(logger);
	else if (is_mailbox_empty(ctx))
		flush_file(logger); /* I1: lines may have waited behind this message */
	answer(ctx, source, type, session);
	return SKYNET_DONE;
}

int
logger_init(struct logger *logger, struct skynet_context *ctx, const char *parm)
{
	logger->ctx = ctx;
	if (parm != NULL && *parm != '\0')
		logger->path = skynet_strdup(parm);
	open_file(logger);
	if (logger->file == NULL) {
		(void)fprintf(
			stderr,
			"logger: cannot open %s: %s; set the config key logger to a file that "
			"can be written\n",
			parm, strerror(errno));
		return 1;
	}
	skynet_callback(ctx, logger, callback);
	return 0;
}
