/* module_undefined.c: a module that needs a function which nobody has, so it cannot be loaded. */
#include "skynet.h"

extern int nobody_has_this_function(void);

SKYNET_API int module_undefined_init(void *instance, struct skynet_context *ctx, const char *parm);

int
module_undefined_init(void *instance, struct skynet_context *ctx, const char *parm)
{
	(void)instance;
	(void)ctx;
	(void)parm;
	return nobody_has_this_function();
}
