/* tunnel.c: a service that passes every message on to another one, as it is.
 *
 * Launch     tunnel ADDRESS: ":hex" or ".name", which is looked up once, now.
 * Messages   Any. Each goes on with its source, session and type, and without a copy, so answers go
 *            straight to whoever has asked. What becomes of it when the other service is gone:
 *            skynet_forward in skynet.h.
 * Threads    [turn], as every service. */
#include "skynet.h"

#include <stdbool.h>

struct tunnel {
	uint32_t destination;
};

SKYNET_API struct tunnel *tunnel_create(void);
SKYNET_API void tunnel_release(struct tunnel *tunnel);
SKYNET_API int tunnel_init(struct tunnel *tunnel, struct skynet_context *ctx, const char *parm);

struct tunnel *
tunnel_create(void)
{
	return skynet_calloc(1, sizeof(struct tunnel));
}

void
tunnel_release(struct tunnel *tunnel)
{
	skynet_free(tunnel);
}

static int
callback(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
	 const void *msg, size_t sz)
{
	const struct tunnel *tunnel = ud;
	(void)type, (void)session, (void)source, (void)msg, (void)sz;
	(void)skynet_forward(ctx, tunnel->destination); /* once, to no 0: it cannot fail */
	return SKYNET_DONE;
}

int
tunnel_init(struct tunnel *tunnel, struct skynet_context *ctx, const char *parm)
{
	bool is_address = parm != NULL && (parm[0] == ':' || parm[0] == '.');
	tunnel->destination = is_address ? skynet_queryname(ctx, parm) : 0;
	if (tunnel->destination == 0 || tunnel->destination == skynet_current_handle()) {
		skynet_error(ctx, "Can't create tunnel to %s", parm != NULL ? parm : "nothing");
		return 1;
	}
	skynet_callback(ctx, tunnel, callback);
	return 0;
}
