/* boot_probe.c: a bootstrap service that starts, fails or hangs as its parameter says, so that
 * tests can look at a node's start and end from outside.
 *
 *   stay        becomes a service that does nothing
 *   fail        its init fails
 *   die         the process is killed during init
 *   wait FILE   its init prints "probe waits" to stderr and waits until somebody has opened the
 *               pipe FILE for writing and closed it again; then as stay
 *   hang        as stay, but its first message, which it sends itself, is never done */
#include "skynet.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

SKYNET_API int boot_probe_init(void *instance, struct skynet_context *ctx, const char *parm);

static int
hang(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source, const void *msg,
     size_t sz)
{
	(void)ud;
	(void)type;
	(void)session;
	(void)source;
	(void)msg;
	(void)sz;
	skynet_error(ctx, "probe hangs");
	while (pause() != 0) /* for ever: signals go to another thread */
		continue;
	return SKYNET_DONE;
}

static int
wait_for_writer(const char *path)
{
	(void)fprintf(stderr, "probe waits\n");
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char byte;
	if (fd < 0)
		return -1;
	while (read(fd, &byte, 1) > 0)
		continue;
	(void)close(fd);
	return 0;
}

int
boot_probe_init(void *instance, struct skynet_context *ctx, const char *parm)
{
	(void)instance;
	if (strcmp(parm, "fail") == 0)
		return -1;
	if (strcmp(parm, "die") == 0)
		(void)raise(SIGKILL);
	if (strncmp(parm, "wait ", 5) == 0 && wait_for_writer(parm + 5) != 0)
		return -1;
	if (strcmp(parm, "hang") == 0) {
		skynet_callback(ctx, NULL, hang);
		(void)skynet_send(ctx, 0, skynet_current_handle(), PTYPE_TEXT, 0, NULL, 0);
	}
	skynet_error(ctx, "probe ready");
	return 0;
}
