/* require.h: the `require` of a service, in which a module that a task asks for may wait while it
 * is loaded.
 *
 * Threads    [turn]
 */
#ifndef SNLUA_REQUIRE_H
#define SNLUA_REQUIRE_H

#include <lua.h>
#include <stdbool.h>

/* Takes the place of Lua's global `require`. */
void require_open(lua_State *L);

/* Has the function at index 1 run when the module is loaded that the running coroutine loads now,
 * and leaves only it on the stack. Returns false when the coroutine loads none. */
bool require_add_init(lua_State *L);

#endif
