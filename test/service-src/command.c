/* command.c: runs framework commands for tests written in Lua. A text message "NAME PARAMETER" runs
 * skynet_command(NAME, PARAMETER); a request is answered with the result, or nothing. */
#include "skynet.h"

#include <string.h>

SKYNET_API int command_init(void *instance, struct skynet_context *ctx, const char *parm);

static int
run(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source, const void *msg,
    size_t sz)
{
	(void)ud;
	if (type != PTYPE_TEXT || sz == 0)
		return SKYNET_DONE;
	char *name = skynet_strdup(msg); /* a NUL stands behind what Lua sends */
	char *parameter = strchr(name, ' ');
	if (parameter)
		*parameter++ = '\0';
	const char *result = skynet_command(ctx, name, parameter);
	if (session != 0)
		(void)skynet_send(ctx, 0, source, PTYPE_RESPONSE, session,
				  (void *)(uintptr_t)result, result ? strlen(result) : 0);
	skynet_free(name);
	return SKYNET_DONE;
}

int
command_init(void *instance, struct skynet_context *ctx, const char *parm)
{
	(void)instance, (void)parm;
	skynet_callback(ctx, NULL, run);
	return 0;
}
