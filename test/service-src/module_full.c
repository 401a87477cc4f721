/* module_full.c: a module that exports everything; module_test.c looks at what it was given. */
#include "skynet.h"

#include <stdlib.h>

SKYNET_API void *module_full_create(void);
SKYNET_API int module_full_init(void *instance, struct skynet_context *ctx, const char *parm);
SKYNET_API void module_full_release(void *instance);
SKYNET_API void module_full_signal(void *instance, int signal);

/* The instance is a number: what the last call has left. */
void *
module_full_create(void)
{
	return calloc(1, sizeof(int));
}

int
module_full_init(void *instance, struct skynet_context *ctx, const char *parm)
{
	(void)ctx;
	*(int *)instance = parm ? atoi(parm) : 0;
	return 0;
}

void
module_full_release(void *instance)
{
	free(instance);
}

void
module_full_signal(void *instance, int signal)
{
	*(int *)instance = signal;
}
