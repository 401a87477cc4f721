/* print.c: see print.h. */
#include "print.h"

#include <lauxlib.h>
#include <stdio.h>

/* print(...) */
static int
l_print(lua_State *L)
{
	int count = lua_gettop(L);
	luaL_Buffer line;
	luaL_buffinit(L, &line);
	for (int i = 1; i <= count; i++) {
		if (i > 1)
			luaL_addchar(&line, '\t');
		(void)luaL_tolstring(L, i, NULL);
		luaL_addvalue(&line);
	}
	luaL_addchar(&line, '\n');
	luaL_pushresult(&line);
	size_t size;
	const char *text = lua_tolstring(L, -1, &size);
	(void)fwrite(text, 1, size, stdout); /* as Lua's own, it tells nobody of a failure */
	(void)fflush(stdout);
	return 0;
}

void
print_open(lua_State *L)
{
	lua_pushcfunction(L, l_print);
	lua_setglobal(L, "print");
}
