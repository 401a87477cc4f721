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

/* How a service uses the cache. */
enum code_cache_mode {
	CODE_CACHE_ON,	  /* takes from it, and adds what it has compiled */
	CODE_CACHE_EXIST, /* only takes */
	CODE_CACHE_OFF,	  /* neither */
};

/* As luaL_loadfilex in mode "bt": pushes the chunk, or an error text; returns LUA_OK or an
 * error. */
int code_cache_load(lua_State *L, const char *path, enum code_cache_mode mode);

/* Forgets everything; memory is given back. */
void code_cache_clear(void);

#endif
