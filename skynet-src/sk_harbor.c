/* sk_harbor.c: what the harbor calls (skynet_harbor.h), and its end. */
#include "sk_harbor.h"

#include "sk_context.h"
#include "sk_remote.h"
#include "sk_waiting.h"
#include "skynet_harbor.h"

void
sk_harbor_ended(struct sk_core *core, uint32_t handle)
{
	if (SK_UNLIKELY(sk_remote_end(core, handle)))
		sk_waiting_refuse_all(core, handle);
}

int
skynet_harbor_start(struct skynet_context *ctx)
{
	bool is_harbor = sk_remote_adopt(ctx->core, ctx->handle);
	/* Killed meanwhile, maybe before it was the harbor: then nobody else notices. */
	if (is_harbor && !sk_registry_find(&ctx->core->registry, ctx->handle)) {
		sk_harbor_ended(ctx->core, ctx->handle);
		return -1;
	}
	return is_harbor ? 0 : -1;
}

int
skynet_harbor_node(struct skynet_context *ctx, int node, int state, const char *reason)
{
	int own = (int)(ctx->handle >> SK_HANDLE_NODE_SHIFT);
	if (node < 0 || node >= SK_REMOTE_NODES || node == own || state < SKYNET_NODE_ABSENT ||
	    state > SKYNET_NODE_BLOCKED)
		return -1;
	return sk_remote_set(ctx->core, ctx->handle, node, state, reason) ? 0 : -1;
}

const struct skynet_remote *
skynet_remote(struct skynet_context *ctx)
{
	return ctx->remote;
}

int
skynet_harbor_names(struct skynet_context *ctx, size_t *bytes, uint64_t *refused)
{
	return (int)sk_waiting_count(ctx->core->waiting, bytes, refused);
}
