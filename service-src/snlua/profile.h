/* profile.h: how much CPU time a coroutine takes.
 *
 * Model      skynet.profile.start and stop bracket what is measured. Counted is the time in which
 *            the coroutine runs, with those that it resumes; the time in which it is suspended is
 *            not. While no coroutine of the service is measured, nothing is paid.
 * Threads    [turn]
 */
#ifndef SNLUA_PROFILE_H
#define SNLUA_PROFILE_H

#include "engine.h"

/* A coroutine is about to be resumed. To be called while engine->profiles is there. */
void profile_begin(struct engine *engine, lua_State *co);
/* It has suspended, or ended: then it is not measured any more. */
void profile_end(struct engine *engine, lua_State *co, bool is_over);
/* Pushes the module "skynet.profile", which has these functions of the coroutine library, too. */
int profile_open(lua_State *L, lua_CFunction resume, lua_CFunction wrap);

#endif
