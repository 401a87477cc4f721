/* code_cache.h: compiled Lua files, kept for the whole process: a thousand services of one file
 * parse it once.
 *
 * Model      Path -> bytecode, with the file's modification time, size and inode; a file that has
 *            changed is compiled again. A running service keeps the code it has.
 * Threads    [any]; one lock inside.
 */
#ifndef SNLUA_CODE_CACHE_H
#define SNLUA_CODE_CACHE_H

#include <lua.h>

/* As luaL_loadfilex in mode "bt": pushes the chunk, or an error text; returns LUA_OK or an
 * error. */
int code_cache_load(lua_State *L, const char *path);

/* Forgets everything; memory is given back. */
void code_cache_clear(void);

#endif
