/* scripted.h: what a unit test hands to the module scripted: the functions of a service, which live
 * in the test. */
#ifndef SCRIPTED_H
#define SCRIPTED_H

#include "skynet.h"

/* release and signal may be NULL. */
struct script {
	int (*init)(struct script *script, struct skynet_context *ctx, const char *parm);
	void (*release)(struct script *script);
	void (*signal)(struct script *script, int number);
};

#endif
