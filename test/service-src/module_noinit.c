/* module_noinit.c: a shared object that is no module: it has no init. */
#include "skynet.h"

#include <stddef.h>

SKYNET_API void *module_noinit_create(void);

void *
module_noinit_create(void)
{
	return NULL;
}
