/* print.h: the `print` of a service. Lua's own writes a line in pieces, between which other
 * services and the log get; this one writes it as a whole.
 *
 * Threads    [turn]
 */
#ifndef SNLUA_PRINT_H
#define SNLUA_PRINT_H

#include <lua.h>

/* Takes the place of Lua's global `print`. */
void print_open(lua_State *L);

#endif
