/* module_bare.c: a module that exports what it must, and no more. */
#include "skynet.h"

SKYNET_API int module_bare_init(void *instance, struct skynet_context *ctx, const char *parm);

int
module_bare_init(void *instance, struct skynet_context *ctx, const char *parm)
{
	(void)instance;
	(void)ctx;
	return parm ? 1 : 0;
}
