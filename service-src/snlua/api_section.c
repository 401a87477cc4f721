/* api_section.c: `require "skynet.queue"`, which makes critical sections.
 *
 * A section is a C closure; its upvalues are the struct section and the stays that are used again
 * and again: who asks for a section while all of them are in use needs a new one.
 *
 * Who is inside leaves in the continuation of lua_pcallk, which needs no memory. The stay is a
 * to-be-closed variable besides: so it also ends when its coroutine is closed, by the program or
 * with its task. Should Lua have no memory to call what closes it, it ends with the task.
 */
#include "api.h"

#include "section.h"

enum { UPVALUE_SECTION = 1, UPVALUE_STAYS = 2 };
/* One for who is inside, one for who enters again. */
#define STAYS_KEPT 2
/* What a call of a section has on its stack; from there on: the function and its arguments. */
enum { INDEX_STAY = 1, INDEX_HANDLER = 2, INDEX_FUNCTION = 3 };

/* Makes a stay in the section at index section; the metatable is on top, and is replaced by it. */
static void
push_stay(lua_State *L, int section)
{
	struct stay *stay = lua_newuserdatauv(L, sizeof *stay, 1);
	*stay = (struct stay){.section = NULL};
	lua_pushvalue(L, section);
	lua_setiuservalue(L, -2, 1); /* so that it lives as long */
	lua_insert(L, -2);
	lua_setmetatable(L, -2);
}

/* Pushes a stay that is not in use. */
static void
push_unused_stay(lua_State *L)
{
	for (int i = UPVALUE_STAYS; i < UPVALUE_STAYS + STAYS_KEPT; i++) {
		const struct stay *stay = lua_touserdata(L, lua_upvalueindex(i));
		if (stay->is_used)
			continue;
		lua_pushvalue(L, lua_upvalueindex(i));
		return;
	}
	(void)lua_getmetatable(L, lua_upvalueindex(UPVALUE_STAYS));
	push_stay(L, lua_upvalueindex(UPVALUE_SECTION));
}

/* The message handler: the error becomes a text with its traceback. */
static int
add_traceback(lua_State *L)
{
	luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
	return 1;
}

static int
function_ended(lua_State *L, int status, lua_KContext context)
{
	(void)context;
	section_leave(engine_of(L), lua_touserdata(L, INDEX_STAY));
	if (status != LUA_OK && status != LUA_YIELD)
		return lua_error(L);
	return lua_gettop(L) - INDEX_HANDLER;
}

static int
run_function(lua_State *L)
{
	int count = lua_gettop(L) - INDEX_FUNCTION;
	return function_ended(
		L, lua_pcallk(L, count, LUA_MULTRET, INDEX_HANDLER, 0, function_ended), 0);
}

/* The task was resumed: as a rule because its turn has come. */
static int
wait_resumed(lua_State *L, int status, lua_KContext context)
{
	const struct stay *stay = lua_touserdata(L, INDEX_STAY);
	(void)status;
	(void)api_resumed_task(L);
	if (!stay->is_inside) /* somebody has used a token that the task had left behind */
		return api_suspend(L, TASK_WAITING, context, wait_resumed);
	return run_function(L);
}

/* section(f, ...) */
static int
call_section(lua_State *L)
{
	struct engine *engine = engine_of(L);
	struct section *section = lua_touserdata(L, lua_upvalueindex(UPVALUE_SECTION));
	if (lua_type(L, 1) != LUA_TFUNCTION) {
		lua_settop(L, 1); /* nothing is nil */
		return luaL_error(L, "bad argument 'f': a function expected, got %s",
				  luaL_typename(L, 1));
	}
	push_unused_stay(L); /* first: a collection may run what enters, too */
	if (!section_admits(engine, section, L))
		(void)api_check_task(L);
	lua_pushcfunction(L, add_traceback);
	lua_rotate(L, INDEX_STAY, 2);
	lua_toclose(L, INDEX_STAY);
	struct stay *stay = lua_touserdata(L, INDEX_STAY);
	stay->is_used = true;
	section_join(L, section, INDEX_STAY);
	if (stay->is_inside)
		return run_function(L);
	return api_suspend(L, TASK_WAITING, 0, wait_resumed);
}

/* __close(stay) */
static int
close_stay(lua_State *L)
{
	struct stay *stay = lua_touserdata(L, 1);
	section_leave(engine_of(L), stay);
	stay->is_used = false;
	return 0;
}

int
api_new_section(lua_State *L)
{
	lua_settop(L, 0);
	section_init(L, lua_newuserdatauv(L, sizeof(struct section), 0));
	lua_createtable(L, 0, 1); /* the metatable of its stays */
	lua_pushcfunction(L, close_stay);
	lua_setfield(L, -2, "__close");
	for (int i = 0; i < STAYS_KEPT; i++) {
		lua_pushvalue(L, 2);
		push_stay(L, 1);
	}
	lua_remove(L, 2);
	lua_pushcclosure(L, call_section, 1 + STAYS_KEPT);
	return 1;
}
