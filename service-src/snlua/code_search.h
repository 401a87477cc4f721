/* code_search.h: where the Lua code of a service comes from: the templates of the config, through
 * the cache of compiled files.
 *
 * Threads    [turn]
 */
#ifndef SNLUA_CODE_SEARCH_H
#define SNLUA_CODE_SEARCH_H

#include "skynet.h"

#include <lua.h>

/* Sets package.path and package.cpath from the config (keys lua_path, lua_cpath), has `require` and
 * `loadfile` use the cache, and preloads the module "skynet.codecache". */
void code_search_open(lua_State *L, struct skynet_context *ctx);

#endif
