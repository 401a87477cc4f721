/* module.dotted.c: a module with a dotted name: its functions bear the last part. */
#include "skynet.h"

SKYNET_API int dotted_init(void *instance, struct skynet_context *ctx, const char *parm);

int
dotted_init(void *instance, struct skynet_context *ctx, const char *parm)
{
	(void)instance;
	(void)ctx;
	(void)parm;
	return 0;
}
