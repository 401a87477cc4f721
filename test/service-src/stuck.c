/* stuck.c: an agent that does not come back from its first message until somebody opens the FIFO
 * named by its launch text for writing. Whatever it gets, then and before, it sends back. */
#include "skynet.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

struct stuck {
	char *fifo;
	bool is_released;
};

SKYNET_API struct stuck *stuck_create(void);
SKYNET_API void stuck_release(struct stuck *stuck);
SKYNET_API int stuck_init(struct stuck *stuck, struct skynet_context *ctx, const char *parm);

struct stuck *
stuck_create(void)
{
	return skynet_calloc(1, sizeof(struct stuck));
}

void
stuck_release(struct stuck *stuck)
{
	skynet_free(stuck->fifo);
	skynet_free(stuck);
}

static void
wait_for_writer(struct stuck *stuck)
{
	int fd;
	do
		fd = open(stuck->fifo, O_RDONLY);
	while (fd < 0 && errno == EINTR);
	if (fd >= 0)
		(void)close(fd);
	stuck->is_released = true;
}

static int
callback(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
	 const void *msg, size_t sz)
{
	struct stuck *stuck = ud;
	(void)session;
	if (type != PTYPE_CLIENT)
		return SKYNET_DONE;
	if (!stuck->is_released)
		wait_for_writer(stuck);
	(void)skynet_send(ctx, 0, source, PTYPE_CLIENT | PTYPE_TAG_DONTCOPY, 0, (void *)msg, sz);
	return SKYNET_KEPT;
}

int
stuck_init(struct stuck *stuck, struct skynet_context *ctx, const char *parm)
{
	if (parm == NULL)
		return 1;
	stuck->fifo = skynet_strdup(parm);
	skynet_callback(ctx, stuck, callback);
	return 0;
}
