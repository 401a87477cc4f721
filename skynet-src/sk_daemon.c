/* sk_daemon.c: pid file, fork, and the report to the process in front.
 *
 * The lock is taken before the fork, where errors are easy to tell; it belongs to the open file,
 * which the daemon inherits, so it does not lapse when the process in front ends. Children that the
 * daemon starts do not inherit it (close on exec).
 *
 * I1  Whoever holds the lock of the file that stands at the path is the only daemon of that path:
 *     open_locked_once checks after locking that the file is still the one at the path, as an
 *     ending daemon removes it.
 * I2  Only the holder of the lock writes the file or removes it, and only when it is a pid file.
 *
 * The report is a pipe: one byte 0 is "ready", any other text is an error, and an end without
 * either is a daemon that died.
 *
 * Threads  as sk_daemon.h */
#define _GNU_SOURCE /* pipe2 */
#include "sk_daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Room for the text of a pid file: a number and a newline. */
#define PID_TEXT_SIZE 32
/* A file that vanishes that often between opening and locking is no accident. */
#define LOCK_TRIES 100

static int
fail(const char *what, const char *path, char *error, size_t error_size)
{
	(void)snprintf(error, error_size, "pid file %s: %s: %s", path, what, strerror(errno));
	return SK_EINVAL;
}

/* --- the pid file --- */

/* Reads the number in the file: 0 if the file is empty, -1 if it holds anything else. */
static long
read_pid(int fd)
{
	char text[PID_TEXT_SIZE];
	ssize_t length = pread(fd, text, sizeof(text) - 1, 0);
	if (length <= 0)
		return length;
	text[length] = '\0';
	char *end;
	errno = 0;
	long pid = strtol(text, &end, 10);
	bool is_pid = end != text && errno == 0 && pid > 0 && pid <= INT_MAX;
	return is_pid && end[strspn(end, " \r\n")] == '\0' ? pid : -1;
}

/* This process itself does not count: after a restart of the machine, or in a container, it may
 * have the number that the file has kept. */
static bool
is_living(long pid)
{
	return pid > 0 && pid != getpid() && (kill((pid_t)pid, 0) == 0 || errno == EPERM);
}

/* Checks what the file says before it is touched. */
static int
check_content(int fd, const char *path, char *error, size_t error_size)
{
	long pid = read_pid(fd);
	if (pid < 0) {
		(void)snprintf(
			error, error_size,
			"%s exists and is no pid file; remove it, or set daemon to another file",
			path);
		return SK_EINVAL;
	}
	if (!is_living(pid))
		return SK_OK;
	(void)snprintf(
		error, error_size,
		"Skynet is already running, pid = %ld. (If that is another program, remove %s.)",
		pid, path);
	return SK_EINVAL;
}

/* I1 */
static bool
is_at_path(int fd, const char *path, struct stat *status)
{
	struct stat at_path;
	return fstat(fd, status) == 0 && stat(path, &at_path) == 0 &&
	       status->st_dev == at_path.st_dev && status->st_ino == at_path.st_ino;
}

static int
lock_file(int fd, const char *path, char *error, size_t error_size)
{
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return SK_OK;
	if (errno != EWOULDBLOCK)
		return fail("cannot be locked", path, error, error_size);
	long pid = read_pid(fd);
	if (pid > 0)
		(void)snprintf(error, error_size,
			       "Can't lock pidfile, lock is held by pid %ld. (%s)", pid, path);
	else
		(void)snprintf(
			error, error_size,
			"Can't lock pidfile, lock is held by a process that is just starting. "
			"(%s)",
			path);
	return SK_EINVAL;
}

/* Opens and locks the file, once. Returns its descriptor, SK_ENOENT when it has been removed
 * meanwhile, or SK_EINVAL. */
static int
open_locked_once(const char *path, char *error, size_t error_size)
{
	struct stat status;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		return fail("cannot be opened", path, error, error_size);
	int result = check_content(fd, path, error, error_size);
	if (result == SK_OK)
		result = lock_file(fd, path, error, error_size);
	if (result == SK_OK && !is_at_path(fd, path, &status)) {
		(void)snprintf(error, error_size, "pid file %s: vanishes again and again", path);
		result = SK_ENOENT;
	}
	if (result != SK_OK) {
		(void)close(fd);
		return result;
	}
	return fd;
}

static int
open_locked(struct sk_daemon *d, const char *path, char *error, size_t error_size)
{
	int fd = SK_ENOENT;
	for (int i = 0; i < LOCK_TRIES && fd == SK_ENOENT; i++)
		fd = open_locked_once(path, error, error_size);
	if (fd < 0)
		return SK_EINVAL;
	d->pid_fd = fd;
	d->pid_path = realpath(path, NULL); /* a module may change the working directory */
	if (d->pid_path != NULL)
		return SK_OK;
	(void)close(fd);
	return fail("cannot be found", path, error, error_size);
}

static int
write_pid(const struct sk_daemon *d, char *error, size_t error_size)
{
	char text[PID_TEXT_SIZE];
	int length = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	if (ftruncate(d->pid_fd, 0) == 0 && pwrite(d->pid_fd, text, (size_t)length, 0) == length)
		return SK_OK;
	return fail("cannot be written", d->pid_path, error, error_size);
}

static void
remove_file(const struct sk_daemon *d)
{
	struct stat status;
	/* Somebody may have removed it by hand, and started another daemon since. */
	if (is_at_path(d->pid_fd, d->pid_path, &status))
		(void)unlink(d->pid_path); /* left behind, it names a dead process: harmless */
}

/* --- the report --- */

static void
send_report(struct sk_daemon *d, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t sent = write(d->report_fd, bytes, length);
		if (sent < 0 && errno != EINTR)
			break; /* nobody waits for it any more */
		bytes += sent > 0 ? sent : 0;
		length -= sent > 0 ? (size_t)sent : 0;
	}
	(void)close(d->report_fd);
	d->report_fd = -1;
}

/* Reads until the other side closes. Returns the number of bytes. */
static size_t
read_report(int fd, char *text, size_t size)
{
	size_t length = 0;
	while (length < size - 1) {
		ssize_t got = read(fd, text + length, size - 1 - length);
		if (got == 0 || (got < 0 && errno != EINTR))
			break;
		length += got > 0 ? (size_t)got : 0;
	}
	text[length] = '\0';
	return length;
}

static void
describe_death(pid_t pid, char *error, size_t error_size)
{
	int status = 0;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (WIFSIGNALED(status))
		(void)snprintf(error, error_size,
			       "the daemon was ended by signal %d (%s) while it started",
			       WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		(void)snprintf(error, error_size,
			       "the daemon ended with status %d while it started",
			       WEXITSTATUS(status));
}

/* The rest of the life of the process in front. */
static int
follow_daemon(struct sk_daemon *d, pid_t pid, int fd, char *error, size_t error_size)
{
	size_t length = read_report(fd, error, error_size);
	(void)close(fd);
	if (length > 0 && error[0] == '\0') {
		d->is_parent = true;
		return SK_OK;
	}
	if (length == 0)
		describe_death(pid, error, error_size);
	return SK_EINVAL;
}

/* --- the daemon --- */

static int
become_daemon(struct sk_daemon *d, char *error, size_t error_size)
{
	if (setsid() < 0)
		return fail("no session of its own", d->pid_path, error, error_size);
	return write_pid(d, error, error_size);
}

static int
fork_daemon(struct sk_daemon *d, char *error, size_t error_size)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) != 0)
		return fail("no pipe to the daemon", d->pid_path, error, error_size);
	(void)fflush(NULL); /* or both processes write what waits in the buffers */
	pid_t pid = fork();
	if (pid < 0) {
		(void)close(ends[0]);
		(void)close(ends[1]);
		return fail("no process for the daemon", d->pid_path, error, error_size);
	}
	if (pid > 0) {
		(void)close(ends[1]);
		return follow_daemon(d, pid, ends[0], error, error_size);
	}
	(void)close(ends[0]);
	d->report_fd = ends[1];
	if (become_daemon(d, error, error_size) != SK_OK) {
		sk_daemon_failed(d, error);
		_exit(EXIT_FAILURE);
	}
	return SK_OK;
}

/* Leaves the file as it is. */
static void
release(struct sk_daemon *d)
{
	(void)close(d->pid_fd); /* and with the last descriptor goes the lock */
	free(d->pid_path);	/* realpath's */
	*d = (struct sk_daemon){.is_parent = d->is_parent};
}

int
sk_daemon_detach(struct sk_daemon *d, const char *pid_path, char *error, size_t error_size)
{
	if (open_locked(d, pid_path, error, error_size) != SK_OK)
		return SK_EINVAL;
	d->report_fd = -1;
	d->is_active = true;
	int result = fork_daemon(d, error, error_size);
	if (result != SK_OK)
		remove_file(d); /* I2: this process has the lock too */
	if (result != SK_OK || d->is_parent)
		release(d);
	return result;
}

void
sk_daemon_ready(struct sk_daemon *d)
{
	if (!d->is_active)
		return;
	(void)fflush(stdout);
	(void)fflush(stderr);
	int null_fd = open("/dev/null", O_RDWR);
	if (null_fd >=
	    0) { /* without one, the terminal stays: nothing else could be told to whom */
		(void)dup2(null_fd, STDIN_FILENO);
		(void)dup2(null_fd, STDOUT_FILENO);
		(void)dup2(null_fd, STDERR_FILENO);
		if (null_fd > STDERR_FILENO)
			(void)close(null_fd);
	}
	send_report(d, "", 1);
}

void
sk_daemon_failed(struct sk_daemon *d, const char *error)
{
	if (d->is_active && d->report_fd >= 0 && error[0] != '\0')
		send_report(d, error, strlen(error));
}

void
sk_daemon_remove_file(const struct sk_daemon *d)
{
	if (d->is_active)
		remove_file(d);
}

void
sk_daemon_end(struct sk_daemon *d)
{
	if (!d->is_active)
		return;
	if (d->report_fd >= 0)
		(void)close(d->report_fd);
	remove_file(d);
	release(d);
}
