/* scripted.c: a service whose functions belong to a unit test. The launch text begins with the
 * address of a struct script, in hex. */
#include "scripted.h"

#include <stdlib.h>

struct scripted {
	struct script *script;
};

SKYNET_API struct scripted *scripted_create(void);
SKYNET_API int scripted_init(struct scripted *scripted, struct skynet_context *ctx,
			     const char *parm);
SKYNET_API void scripted_release(struct scripted *scripted);
SKYNET_API void scripted_signal(struct scripted *scripted, int number);

struct scripted *
scripted_create(void)
{
	return skynet_calloc(1, sizeof(struct scripted));
}

int
scripted_init(struct scripted *scripted, struct skynet_context *ctx, const char *parm)
{
	if (parm == NULL)
		return 1;
	scripted->script = (struct script *)(uintptr_t)strtoull(parm, NULL, 16);
	return scripted->script->init(scripted->script, ctx, parm);
}

void
scripted_release(struct scripted *scripted)
{
	if (scripted->script != NULL && scripted->script->release != NULL)
		scripted->script->release(scripted->script);
	skynet_free(scripted);
}

void
scripted_signal(struct scripted *scripted, int number)
{
	if (scripted->script->signal != NULL)
		scripted->script->signal(scripted->script, number);
}
