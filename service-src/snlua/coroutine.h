/* coroutine.h: coroutines inside of tasks.
 *
 * Model      A task is a coroutine itself. What its program makes with Lua's own library are
 *            "plain" coroutines: they cannot wait for messages, because who resumed them would be
 *            given the control. Those of skynet.coroutine can: then all that have resumed each
 *            other, up to the task, are suspended, and go on where they were when the wait is over.
 * Threads    [turn]
 */
#ifndef SNLUA_COROUTINE_H
#define SNLUA_COROUTINE_H

#include "engine.h"

/* Puts the functions of the global table `coroutine` that the engine has to know about in place of
 * Lua's own: resume, wrap. */
void coroutine_prepare(lua_State *L);
/* The loader of the module "skynet.coroutine". */
int coroutine_open(lua_State *L);
/* resume and wrap, for skynet.profile. */
lua_CFunction coroutine_resume_function(void);
lua_CFunction coroutine_wrap_function(void);
/* The coroutine of a suspended task that has called what waits. */
lua_State *coroutine_innermost(const struct task *task);
/* Closes the coroutines that wait inside of a task. */
void coroutine_close_nested(struct engine *engine, struct task *task);

#endif
