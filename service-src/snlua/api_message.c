/* api_message.c: sending and calling, from Lua.
 *
 * The way of a call: pack into the engine's scratch buffer, send a copy of just the right size,
 * note the session, yield. The answer's message resumes the task in call_resumed, which unpacks
 * straight onto the task's stack: no Lua function runs in between.
 */
#include "api.h"

#include "dispatch.h"

#include <stdlib.h>

/* Packs the values from first to the top. The built-in format stays in the scratch buffer, from
 * `base` on; the caller cuts it back once the bytes were sent. */
static struct api_payload
pack_arguments(lua_State *L, struct engine *engine, const struct protocol *protocol, int first)
{
	if (protocol->packs_lua) {
		size_t base = engine->scratch.size;
		codec_pack(L, first, &engine->scratch);
		return (struct api_payload){.data = engine->scratch.data + base,
					    .size = engine->scratch.size - base};
	}
	const char *name = protocol->name; /* the call below may add protocols, which moves them */
	if (protocol->pack == LUA_NOREF)
		luaL_error(L, "protocol '%s' has no pack function", name);
	int count = lua_gettop(L) - first + 1;
	lua_rawgeti(L, LUA_REGISTRYINDEX, protocol->pack);
	lua_insert(L, first);
	lua_call(L, count, LUA_MULTRET);
	if (lua_isnoneornil(L, first))
		luaL_error(L, "invalid param nil: the pack function of '%s' returned nothing",
			   name);
	return api_check_payload(L, first);
}

static int
send_to(struct engine *engine, const struct api_address *address, uint32_t source, int type,
	int session, const struct api_payload *payload)
{
	if (address->handle != 0)
		return skynet_send(engine->ctx, source, address->handle, type | payload->tag,
				   session, payload->data, payload->size);
	return skynet_sendname(engine->ctx, source, address->name, type | payload->tag, session,
			       payload->data, payload->size);
}

/* What send and redirect return: the session; nil: no such service; false: too large. */
static int
push_sent(lua_State *L, int sent)
{
	if (sent >= 0)
		lua_pushinteger(L, sent);
	else if (sent == -2)
		lua_pushboolean(L, 0);
	else
		lua_pushnil(L);
	return 1;
}

/* --- sending ------------------------------------------------------------------------------- */

static int
l_send(lua_State *L)
{
	struct engine *engine = engine_of(L);
	struct api_address address = api_check_address(L, 1);
	const struct protocol *protocol = &engine->protocols[api_check_protocol(L, engine, 2)];
	int type = protocol->id;
	size_t base = engine->scratch.size;
	struct api_payload payload = pack_arguments(L, engine, protocol, 3);
	int sent = send_to(engine, &address, 0, type, 0, &payload);
	engine->scratch.size = base;
	return push_sent(L, sent);
}

static int
l_rawsend(lua_State *L)
{
	struct engine *engine = engine_of(L);
	struct api_address address = api_check_address(L, 1);
	int type = engine->protocols[api_check_protocol(L, engine, 2)].id;
	struct api_payload payload = api_check_payload(L, 3);
	return push_sent(L, send_to(engine, &address, 0, type, 0, &payload));
}

static int
l_redirect(lua_State *L)
{
	struct engine *engine = engine_of(L);
	struct api_address address = api_check_address(L, 1);
	lua_Integer source = luaL_checkinteger(L, 2);
	luaL_argcheck(L, source >= 0 && source <= UINT32_MAX, 2, "not an address");
	int type = engine->protocols[api_check_protocol(L, engine, 3)].id;
	lua_Integer session = luaL_optinteger(L, 4, 0);
	luaL_argcheck(L, session == (int32_t)session, 4, "not a session");
	struct api_payload payload = api_check_payload(L, 5);
	return push_sent(L,
			 send_to(engine, &address, (uint32_t)source, type, (int)session, &payload));
}

static int
l_genid(lua_State *L)
{
	lua_pushinteger(L, engine_new_session(engine_of(L)));
	return 1;
}

/* --- calling ------------------------------------------------------------------------------- */

struct task *
api_check_task(lua_State *L)
{
	struct engine *engine = engine_of(L);
	struct task *task = engine->current;
	if (!task)
		luaL_error(
			L,
			"this function may wait, so it can't be used in the main chunk, nor in "
			"what is run when a task is closed: use it in the start function or in a "
			"handler");
	if (task->co != L)
		luaL_error(L,
			   "this function may wait, so it can't be used inside a coroutine of your "
			   "own: use skynet.fork");
	if (!lua_isyieldable(L))
		luaL_error(
			L,
			"this function may wait, and Lua can't wait here, inside a function that "
			"C calls: a sort function, a metamethod, a module that is being loaded");
	return task;
}

struct task *
api_resumed_task(lua_State *L)
{
	struct task *task = engine_of(L)->current;
	if (!task || task->co != L)
		luaL_error(L, "a task of skynet waits here: coroutine.resume can't end its wait");
	return task;
}

int
api_suspend(lua_State *L, enum task_state state, lua_KContext context, lua_KFunction resumed)
{
	engine_of(L)->current->state = state;
	return lua_yieldk(L, 0, context, resumed);
}

/* Raises what a failed call raises. */
static int
raise_failed(lua_State *L, struct task *task)
{
	if (!task->reason)
		return luaL_error(L, "call failed");
	luaL_where(L, 1);
	lua_pushfstring(L, "call failed: %s", task->reason);
	free(task->reason);
	task->reason = NULL;
	lua_concat(L, 2);
	return lua_error(L);
}

/* protocol: index of the one to unpack with, or -1 for pointer and size. */
static int
call_resumed(lua_State *L, int status, lua_KContext protocol)
{
	struct engine *engine = engine_of(L);
	const struct envelope *message = &engine->message;
	struct task *task = api_resumed_task(L);
	(void)status;
	if (task->wake == WAKE_FAILED)
		return raise_failed(L, task);
	if (protocol >= 0)
		return dispatch_push_arguments(L, engine, &engine->protocols[protocol]);
	lua_pushlightuserdata(L, (void *)(uintptr_t)message->data);
	lua_pushinteger(L, (lua_Integer)message->size);
	return 2;
}

/* Sends a request and waits for its answer. */
static int
request(lua_State *L, struct engine *engine, const struct api_address *address, int type,
	const struct api_payload *payload, size_t base, int protocol)
{
	struct task *task = engine->current;
	int32_t session = engine_new_session(engine);
	int sent = send_to(engine, address, 0, type, session, payload);
	engine->scratch.size = base;
	if (sent == -2)
		return luaL_error(L, "call failed: the request is too large");
	if (sent < 0)
		return luaL_error(L, "call to invalid address %s", luaL_tolstring(L, 1, NULL));
	session_map_add(&engine->waiters, (struct waiter){.session = session, .task = task});
	task->session = session;
	task->callee = address->handle;
	return api_suspend(L, TASK_CALLING, protocol, call_resumed);
}

static int
l_call(lua_State *L)
{
	struct engine *engine = engine_of(L);
	struct api_address address = api_check_address(L, 1);
	int index = api_check_protocol(L, engine, 2);
	int type = engine->protocols[index].id;
	size_t base = engine->scratch.size;
	(void)api_check_task(L);
	struct api_payload payload = pack_arguments(L, engine, &engine->protocols[index], 3);
	return request(L, engine, &address, type, &payload, base, index);
}

static int
l_rawcall(lua_State *L)
{
	struct engine *engine = engine_of(L);
	struct api_address address = api_check_address(L, 1);
	int type = engine->protocols[api_check_protocol(L, engine, 2)].id;
	(void)api_check_task(L);
	struct api_payload payload = api_check_payload(L, 3);
	return request(L, engine, &address, type, &payload, engine->scratch.size, -1);
}

/* newservice(name, ...) is call(".launcher", "lua", "LAUNCH", "snlua", name, ...). */
static int
l_newservice(lua_State *L)
{
	api_check_words(L);
	lua_pushliteral(L, ".launcher");
	lua_pushliteral(L, "lua");
	lua_pushliteral(L, "LAUNCH");
	lua_pushliteral(L, "snlua");
	lua_rotate(L, 1, 4);
	return l_call(L);
}

const luaL_Reg api_message_functions[] = {
	{"send", l_send}, {"rawsend", l_rawsend}, {"redirect", l_redirect},	{"genid", l_genid},
	{"call", l_call}, {"rawcall", l_rawcall}, {"newservice", l_newservice}, {NULL, NULL},
};
