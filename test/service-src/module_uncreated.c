/* module_uncreated.c: a module that makes no instance, so nothing else of it is called. */
#include "skynet.h"

#include <stdlib.h>

SKYNET_API void *module_uncreated_create(void);
SKYNET_API int module_uncreated_init(void *instance, struct skynet_context *ctx, const char *parm);
SKYNET_API void module_uncreated_release(void *instance);

void *
module_uncreated_create(void)
{
	return NULL;
}

int
module_uncreated_init(void *instance, struct skynet_context *ctx, const char *parm)
{
	(void)instance, (void)ctx, (void)parm;
	abort();
}

void
module_uncreated_release(void *instance)
{
	(void)instance;
	abort();
}
