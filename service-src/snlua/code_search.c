/* code_search.c: finds Lua files by templates ("./a/?.lua;./b/?/main.lua") and loads them from the
 * cache; see code_search.h.
 *
 * The first template that has a file decides: if that file does not load, the search has failed,
 * and no other file of the name is run in its place.
 */
#include "code_search.h"

#include "api.h"
#include "engine.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

/* Pushes the next template of a list and moves *list behind it. Returns false at the end. */
static bool
push_template(lua_State *L, const char **list)
{
	*list += strspn(*list, ";");
	size_t length = strcspn(*list, ";");
	if (length == 0)
		return false;
	lua_pushlstring(L, *list, length);
	*list += length;
	return true;
}

/* Pushes the text that Lua uses for "none of these files is there". */
static void
push_attempts(lua_State *L, const char *name, const char *templates)
{
	const char *paths = luaL_gsub(L, templates, "?", name);
	const char *list = luaL_gsub(L, paths, ";", "'\n\tno file '");
	lua_pushfstring(L, "no file '%s'", list);
	lua_replace(L, -3);
	lua_pop(L, 1);
}

enum finding {
	FOUND,	 /* pushed: the chunk, its template, its path */
	BROKEN,	 /* pushed: why the file does not load, its template, its path */
	MISSING, /* pushed: the files that are not there */
};

static enum finding
search(lua_State *L, const char *name, const char *templates)
{
	struct stat file;
	const char *rest = templates;
	while (push_template(L, &rest)) {
		const char *path = luaL_gsub(L, lua_tostring(L, -1), "?", name);
		if (stat(path, &file) == 0) {
			int status = code_cache_load(L, path, engine_of(L)->code_mode);
			lua_insert(L, -3);
			return status == LUA_OK ? FOUND : BROKEN;
		}
		lua_pop(L, 2);
	}
	push_attempts(L, name, templates);
	return MISSING;
}

/* search(name, templates): the chunk, its template, its path; or nil and the reason. */
static int
l_search(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	const char *templates = luaL_checkstring(L, 2);
	enum finding finding = search(L, name, templates);
	if (finding == FOUND)
		return 3;
	if (finding == BROKEN)
		lua_pop(L, 2);
	lua_pushnil(L);
	lua_insert(L, -2);
	return 2;
}

/* The fields of `skynet` that are written in Lua are loaded when they are first touched, whatever
 * the program has made of package.path by then. */
static bool
is_of_framework(const char *module)
{
	return strncmp(module, "skynet.", strlen("skynet.")) == 0;
}

/* The searcher of Lua files in package.searchers; it knows one module in C, too. */
static int
module_searcher(lua_State *L)
{
	const char *module = luaL_checkstring(L, 1);
	if (strcmp(module, "skynet.core") == 0) { /* found here, it costs nobody else anything */
		lua_pushcfunction(L, api_core_open);
		return 1;
	}
	const char *name = luaL_gsub(L, module, ".", LUA_DIRSEP);
	lua_getglobal(L, "package");
	if (lua_getfield(L, -1, "path") != LUA_TSTRING)
		return luaL_error(L, "'package.path' must be a string");
	enum finding finding = search(L, name, lua_tostring(L, -1));
	if (finding == MISSING && is_of_framework(module)) {
		const char *own_path = skynet_command(engine_of(L)->ctx, "GETENV", "lua_path");
		if (own_path)
			finding = search(L, name, own_path);
	}
	switch (finding) {
	case BROKEN:
		return luaL_error(L, "error loading module '%s' from file '%s':\n\t%s", module,
				  lua_tostring(L, -1), lua_tostring(L, -3));
	case FOUND:
		lua_remove(L, -2);
		return 2;
	case MISSING:
		break;
	}
	return 1;
}

/* loadfile(path[, mode[, env]]), from the cache. */
static int
l_loadfile(lua_State *L)
{
	const char *path = luaL_checkstring(L, 1);
	lua_settop(L, 3);
	if (code_cache_load(L, path, engine_of(L)->code_mode) != LUA_OK) {
		lua_pushnil(L);
		lua_insert(L, -2);
		return 2;
	}
	if (!lua_isnil(L, 3)) {
		lua_pushvalue(L, 3);
		if (!lua_setupvalue(L, -2, 1)) /* a chunk that uses no global */
			lua_pop(L, 1);
	}
	return 1;
}

static int
l_clear(lua_State *L)
{
	(void)L;
	code_cache_clear();
	return 0;
}

/* mode([mode]): the present one, or sets it. */
static int
l_mode(lua_State *L)
{
	static const char *const names[] = {[CODE_CACHE_ON] = "ON",
					    [CODE_CACHE_EXIST] = "EXIST",
					    [CODE_CACHE_OFF] = "OFF",
					    [CODE_CACHE_OFF + 1] = NULL};
	struct engine *engine = engine_of(L);
	if (lua_isnoneornil(L, 1)) {
		lua_pushstring(L, names[engine->code_mode]);
		return 1;
	}
	engine->code_mode = (enum code_cache_mode)luaL_checkoption(L, 1, NULL, names);
	return 0;
}

static int
open_code_cache(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"clear", l_clear}, {"loadfile", l_loadfile},
		{"mode", l_mode},   {"search", l_search},
		{NULL, NULL},
	};
	luaL_newlib(L, functions);
	return 1;
}

static void
set_path(lua_State *L, struct skynet_context *ctx, const char *field, const char *key)
{
	const char *path = skynet_command(ctx, "GETENV", key);
	if (!path)
		return;
	lua_pushstring(L, path);
	lua_setfield(L, -2, field);
}

void
code_search_open(lua_State *L, struct skynet_context *ctx)
{
	lua_getglobal(L, "package");
	set_path(L, ctx, "path", "lua_path");
	set_path(L, ctx, "cpath", "lua_cpath");
	lua_getfield(L, -1, "searchers");
	lua_pushcfunction(L, module_searcher);
	lua_rawseti(L, -2, 2);
	lua_getfield(L, -2, "preload");
	lua_pushcfunction(L, open_code_cache);
	lua_setfield(L, -2, "skynet.codecache");
	lua_pop(L, 3);
	lua_pushcfunction(L, l_loadfile);
	lua_setglobal(L, "loadfile");
}
