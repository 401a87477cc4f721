/* sk_daemon.h: runs the process in the background, under a pid file.
 *
 * Model      The pid file holds the number of the process and a newline, and is locked while that
 *            process lives, so a second start is refused. The process that the user started stays
 *            in front until the daemon has started or failed, and ends with its result; until then
 *            the daemon still writes to the user's terminal.
 * Life       detach; in the daemon then ready or failed; end. Zero bytes are a struct sk_daemon
 *            that does nothing, on which all of them may be called.
 * Threads    [boot]: detach forks, so no thread may have been started.
 * Use        if (sk_daemon_detach(&d, file, error, sizeof(error)) != SK_OK) complain(error);
 *            if (d.is_parent) ...; nothing is left to do but sk_daemon_end and exit status 0
 *            if (start() == SK_OK) sk_daemon_ready(&d); else sk_daemon_failed(&d, error);
 *            sk_daemon_end(&d);
 */
#ifndef SK_DAEMON_H
#define SK_DAEMON_H

#include "sk_base.h"

#include <stdbool.h>
#include <stddef.h>

struct sk_daemon {
	/* Constant after detach. */
	bool is_active; /* the rest means something */
	bool is_parent; /* the daemon runs, and this process has nothing left to do */
	char *pid_path; /* absolute */
	int pid_fd;	/* holds the lock */
	/* Boot only. */
	int report_fd; /* to the process in front, or -1 */
};

/* Goes into the background. Returns twice: in the daemon at once with 0; in the process in front
 * when the daemon is ready, with 0 and is_parent, or has failed, with SK_EINVAL and its error.
 * SK_EINVAL without any daemon: another one runs, or the file cannot be used.
 * d: zero bytes. */
SK_MUST_CHECK int sk_daemon_detach(struct sk_daemon *d, const char *pid_path, char *error,
				   size_t error_size);
/* Lets go of the terminal, and lets the process in front end well. */
void sk_daemon_ready(struct sk_daemon *d);
/* Lets the process in front end with this error. */
void sk_daemon_failed(struct sk_daemon *d, const char *error);
/* Removes the pid file of a process that is about to end without any other clean-up.  [any] */
void sk_daemon_remove_file(const struct sk_daemon *d);
/* Removes the pid file, and releases everything. */
void sk_daemon_end(struct sk_daemon *d);

#endif
