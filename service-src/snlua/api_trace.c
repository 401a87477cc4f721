/* api_trace.c: traces, and what stands for the engine itself, from Lua: trace, tracelog, tracetag,
 * traceproto, trace_timeout, term, dispatch_message. */
#include "api.h"

#include "dispatch.h"
#include "timer.h"
#include "traces.h"
#include "wait.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- traces -------------------------------------------------------------------------------- */

static int
l_trace(lua_State *L)
{
	struct engine *engine = engine_of(L);
	struct task *task = engine->current;
	const char *text = luaL_optstring(L, 1, NULL);
	if (!task)
		return luaL_error(L, "skynet.trace begins the trace of a task: use it in the start "
				     "function, in a handler, or in a fork");
	if (task->is_untraced)
		return 0;
	if (text)
		text = lua_pushfstring(L, "trace %s", text);
	free(task->tag);
	task->tag = traces_new_tag(engine);
	traces_log(engine, task->tag, text ? text : "trace", NULL, 0);
	return 0;
}

static int
l_tracetag(lua_State *L)
{
	const struct task *task = engine_of(L)->current;
	if (task && task->is_untraced)
		lua_pushboolean(L, 0);
	else
		lua_pushstring(L, task ? task->tag : NULL); /* NULL: nil */
	return 1;
}

/* traceproto(type, flag) */
static int
l_traceproto(lua_State *L)
{
	struct engine *engine = engine_of(L);
	struct protocol *protocol = &engine->protocols[api_check_protocol(L, engine, 1)];
	protocol->trace = api_check_trace_rule(L, 2);
	return 0;
}

/* tracelog(tag, text[, co][, level]) */
static int
l_tracelog(lua_State *L)
{
	const char *tag = luaL_checkstring(L, 1);
	const char *text = luaL_checkstring(L, 2);
	lua_State *co = lua_isthread(L, 3) ? lua_tothread(L, 3) : L;
	int level_index = lua_isthread(L, 3) ? 4 : 3;
	lua_Integer level = luaL_optinteger(L, level_index, -1);
	luaL_argcheck(L, level >= -1 && level <= INT32_MAX, level_index, "not a stack level");
	traces_log(engine_of(L), tag, text, level < 0 ? NULL : co, (int)level);
	return 0;
}

static int
l_trace_timeout(lua_State *L)
{
	luaL_checkany(L, 1);
	timer_trace(L, engine_of(L), lua_toboolean(L, 1));
	return 0;
}

/* --- the engine itself --------------------------------------------------------------------- */

static int
l_term(lua_State *L)
{
	struct engine *engine = engine_of(L);
	char text[80];
	struct api_address address = api_check_address(L, 1);
	bool is_name = lua_type(L, 1) == LUA_TSTRING && address.handle == 0;
	(void)snprintf(text, sizeof text, "%.40s: it was declared dead by skynet.term",
		       luaL_tolstring(L, 1, NULL));
	if (is_name)
		wait_name_died(engine, address.name, text);
	else
		wait_source_died(engine, address.handle, text, strlen(text), false);
	return 0;
}

/* dispatch_message(type, msg, sz, session, source) */
static int
l_dispatch_message(lua_State *L)
{
	struct engine *engine = engine_of(L);
	lua_Integer type = luaL_checkinteger(L, 1);
	luaL_argcheck(L, type >= 0 && type <= UINT8_MAX, 1, "not a message type: 0..255 expected");
	luaL_argcheck(L,
		      lua_isnoneornil(L, 2) || lua_islightuserdata(L, 2) ||
			      lua_type(L, 2) == LUA_TSTRING,
		      2, "a lightuserdata, a string or nil expected");
	lua_Integer size = luaL_optinteger(L, 3, 0);
	luaL_argcheck(L, size >= 0 && (size == 0 || !lua_isnoneornil(L, 2)), 3,
		      "not the size of this block");
	lua_Integer session = luaL_checkinteger(L, 4);
	luaL_argcheck(L, session == (int32_t)session, 4, "not a session");
	lua_Integer source = luaL_checkinteger(L, 5);
	luaL_argcheck(L, source >= 0 && source <= UINT32_MAX, 5, "not an address");
	struct envelope message = {.type = (int)type,
				   .session = (int32_t)session,
				   .source = (uint32_t)source,
				   .data = lua_touserdata(L, 2),
				   .size = (size_t)size};
	if (lua_type(L, 2) == LUA_TSTRING)
		message.data = lua_tolstring(L, 2, &message.size);
	dispatch_inside(L, engine, &message);
	return 0;
}

const luaL_Reg api_trace_functions[] = {
	{"trace", l_trace},
	{"tracetag", l_tracetag},
	{"traceproto", l_traceproto},
	{"tracelog", l_tracelog},
	{"trace_timeout", l_trace_timeout},
	{"term", l_term},
	{"dispatch_message", l_dispatch_message},
	{NULL, NULL},
};
