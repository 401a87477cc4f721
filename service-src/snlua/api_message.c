/* api_message.c: sending, calling and answering, from Lua.
 *
 * The way of a call: pack into the engine's scratch buffer, send a copy of just the right size, note
 * the session, yield. The answer's message resumes the task in call_resumed, which unpacks straight
 * onto the task's stack: no Lua function runs in between.
 */
#include "api.h"

#include <stdlib.h>
#include <string.h>

/* --- arguments ----------------------------------------------------------------------------- */

struct api_address
api_check_address(lua_State *L, int index)
{
	struct api_address address = {0};
	if (lua_isnumber(L, index)) { /* a number, or a string that reads as one */
		lua_Integer handle = lua_tointeger(L, index);
		if (handle < 1 || handle > UINT32_MAX)
			luaL_error(L, "Invalid service address %s", luaL_tolstring(L, index, NULL));
		address.handle = (uint32_t)handle;
	} else if (lua_type(L, index) == LUA_TSTRING) {
		address.name = lua_tostring(L, index);
		if (address.name[0] == ':') {
			address.handle = (uint32_t)strtoul(address.name + 1, NULL, 16);
			if (address.handle == 0)
				luaL_error(L, "Invalid service address %s", address.name);
		}
	} else {
		luaL_error(L, "dest address type (%s) must be a string or number.",
			   luaL_typename(L, index));
	}
	return address;
}

/* The index of the protocol that the argument names, by name or id, or -1. */
static int
find_protocol(lua_State *L, const struct engine *engine, int index)
{
	if (lua_type(L, index) == LUA_TNUMBER) {
		lua_Integer id = lua_tointeger(L, index);
		return id >= 0 && id <= UINT8_MAX ? engine->index_of[id] - 1 : -1;
	}
	const char *name = luaL_checkstring(L, index);
	/* Short strings are interned, so mostly the first comparison finds it. */
	for (int i = 0; i < engine->protocol_count; i++)
		if (engine->protocols[i].name == name)
			return i;
	for (int i = 0; i < engine->protocol_count; i++)
		if (strcmp(engine->protocols[i].name, name) == 0)
			return i;
	return -1;
}

/* The same; raises when there is none. */
static int
check_protocol(lua_State *L, const struct engine *engine, int index)
{
	int found = find_protocol(L, engine, index);
	if (found >= 0)
		return found;
	return luaL_argerror(L, index,
			     lua_pushfstring(L, "no protocol '%s' is registered in this service",
					     luaL_tolstring(L, index, NULL)));
}

/* Bytes to be sent. */
struct payload {
	void *data;
	size_t size;
	int tag; /* PTYPE_TAG_DONTCOPY when data is handed over */
};

/* The message argument: nothing, a string, or a pointer and a size. */
static struct payload
check_payload(lua_State *L, int index)
{
	struct payload payload = {0};
	switch (lua_type(L, index)) {
	case LUA_TNONE:
	case LUA_TNIL:
		break;
	case LUA_TSTRING:
		payload.data = (void *)(uintptr_t)lua_tolstring(L, index, &payload.size);
		break;
	case LUA_TLIGHTUSERDATA: {
		lua_Integer size = luaL_checkinteger(L, index + 1);
		luaL_argcheck(L, size >= 0, index + 1, "a negative size");
		payload.data = lua_touserdata(L, index);
		payload.size = (size_t)size;
		payload.tag = PTYPE_TAG_DONTCOPY;
		break;
	}
	default:
		luaL_error(L,
			   "invalid param %s: a message is a string, or a lightuserdata and a size",
			   luaL_typename(L, index));
	}
	return payload;
}

/* Frees what was handed over and goes nowhere. */
static void
drop_payload(const struct payload *payload)
{
	if (payload->tag & PTYPE_TAG_DONTCOPY)
		free(payload->data);
}

/* Packs the values from first to the top. The built-in format stays in the scratch buffer, from
 * `base` on; the caller cuts it back once the bytes were sent. */
static struct payload
pack_arguments(lua_State *L, struct engine *engine, const struct protocol *protocol, int first)
{
	if (protocol->packs_lua) {
		size_t base = engine->scratch.size;
		codec_pack(L, first, &engine->scratch);
		return (struct payload){.data = engine->scratch.data + base,
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
	return check_payload(L, first);
}

static int
send_to(struct engine *engine, const struct api_address *address, uint32_t source, int type,
	int session, const struct payload *payload)
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
	const struct protocol *protocol = &engine->protocols[check_protocol(L, engine, 2)];
	int type = protocol->id;
	size_t base = engine->scratch.size;
	struct payload payload = pack_arguments(L, engine, protocol, 3);
	int sent = send_to(engine, &address, 0, type, 0, &payload);
	engine->scratch.size = base;
	return push_sent(L, sent);
}

static int
l_rawsend(lua_State *L)
{
	struct engine *engine = engine_of(L);
	struct api_address address = api_check_address(L, 1);
	int type = engine->protocols[check_protocol(L, engine, 2)].id;
	struct payload payload = check_payload(L, 3);
	return push_sent(L, send_to(engine, &address, 0, type, 0, &payload));
}

static int
l_redirect(lua_State *L)
{
	struct engine *engine = engine_of(L);
	struct api_address address = api_check_address(L, 1);
	lua_Integer source = luaL_checkinteger(L, 2);
	luaL_argcheck(L, source >= 0 && source <= UINT32_MAX, 2, "not an address");
	int type = engine->protocols[check_protocol(L, engine, 3)].id;
	lua_Integer session = luaL_optinteger(L, 4, 0);
	luaL_argcheck(L, session == (int32_t)session, 4, "not a session");
	struct payload payload = check_payload(L, 5);
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
		return engine_push_arguments(L, engine, &engine->protocols[protocol]);
	lua_pushlightuserdata(L, (void *)(uintptr_t)message->data);
	lua_pushinteger(L, (lua_Integer)message->size);
	return 2;
}

/* Sends a request and waits for its answer. */
static int
request(lua_State *L, struct engine *engine, const struct api_address *address, int type,
	const struct payload *payload, size_t base, int protocol)
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
	int index = check_protocol(L, engine, 2);
	int type = engine->protocols[index].id;
	size_t base = engine->scratch.size;
	(void)api_check_task(L);
	struct payload payload = pack_arguments(L, engine, &engine->protocols[index], 3);
	return request(L, engine, &address, type, &payload, base, index);
}

static int
l_rawcall(lua_State *L)
{
	struct engine *engine = engine_of(L);
	struct api_address address = api_check_address(L, 1);
	int type = engine->protocols[check_protocol(L, engine, 2)].id;
	(void)api_check_task(L);
	struct payload payload = check_payload(L, 3);
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

/* --- answering ----------------------------------------------------------------------------- */

/* The session to answer; raises when there is no request any more. */
static int32_t
take_request(lua_State *L, struct task *task, const char *text)
{
	if (!task || !task->has_request)
		luaL_error(L, "%s", text);
	int32_t session = task->request;
	task->has_request = false;
	task->request = 0;
	return session;
}

static int
answer(lua_State *L, struct engine *engine, uint32_t source, int32_t session,
       const struct payload *payload)
{
	if (session == 0) { /* a send wants no answer */
		drop_payload(payload);
		lua_pushboolean(L, 0);
		return 1;
	}
	lua_pushboolean(L, engine_answer(engine, source, session, PTYPE_RESPONSE | payload->tag,
					 payload->data, payload->size));
	return 1;
}

static int
l_ret(lua_State *L)
{
	struct engine *engine = engine_of(L);
	struct task *task = engine->current;
	struct payload payload = check_payload(L, 1);
	if (!task || !task->has_request)
		drop_payload(&payload);
	int32_t session = take_request(L, task, "No session");
	return answer(L, engine, task->source, session, &payload);
}

static int
l_retpack(lua_State *L)
{
	struct engine *engine = engine_of(L);
	struct task *task = engine->current;
	size_t base = engine->scratch.size;
	codec_pack(L, 1, &engine->scratch);
	struct payload payload = {.data = engine->scratch.data + base,
				  .size = engine->scratch.size - base};
	engine->scratch.size = base; /* nothing packs before the bytes are sent */
	int32_t session = take_request(L, task, "No session");
	return answer(L, engine, task->source, session, &payload);
}

static int
l_ignoreret(lua_State *L)
{
	struct task *task = engine_of(L)->current;
	if (task) {
		task->has_request = false;
		task->request = 0;
	}
	return 0;
}

static int
l_context(lua_State *L)
{
	const struct task *task = engine_of(L)->current;
	if (!task || !task->has_request)
		return 0;
	lua_pushinteger(L, task->request);
	lua_pushinteger(L, task->source);
	return 2;
}

static void
unlink_response(struct response *response)
{
	*response->link = response->next;
	if (response->next)
		response->next->link = response->link;
	response->link = NULL;
}

/* A closure that was dropped without an answer: its requester must not wait for ever. */
static int
response_gc(lua_State *L)
{
	struct response *response = lua_touserdata(L, 1);
	static char text[] = "its response was dropped";
	if (!response->link)
		return 0;
	unlink_response(response);
	(void)skynet_send(engine_of(L)->ctx, 0, response->source, PTYPE_ERROR, response->session,
			  text, strlen(text));
	return 0;
}

/* r(false[, text]) */
static int
respond_error(lua_State *L, struct engine *engine, struct response *response)
{
	size_t size = 0;
	const char *text = luaL_optlstring(L, 2, NULL, &size);
	int32_t session = response->session;
	unlink_response(response);
	response->session = 0;
	lua_pushboolean(L, skynet_send(engine->ctx, 0, response->source, PTYPE_ERROR, session,
				       (void *)(uintptr_t)text, size) >= 0);
	return 1;
}

/* The closure: r(true, ...), r(false[, text]), r("TEST"). Upvalues: response, pack function. */
static int
respond(lua_State *L)
{
	struct engine *engine = engine_of(L);
	struct response *response = lua_touserdata(L, lua_upvalueindex(1));
	if (lua_type(L, 1) == LUA_TSTRING && strcmp(lua_tostring(L, 1), "TEST") == 0) {
		lua_pushboolean(L, response->link != NULL);
		return 1;
	}
	if (response->session == 0)
		return luaL_error(L, "Can't response more than once");
	int32_t session = response->session;
	if (!response->link) { /* the requester has died */
		response->session = 0;
		lua_pushboolean(L, 0);
		return 1;
	}
	if (!lua_toboolean(L, 1))
		return respond_error(L, engine, response);
	lua_pushvalue(L, lua_upvalueindex(2));
	lua_replace(L, 1);
	lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
	struct payload payload = check_payload(L, 1);
	if (!response->link) { /* the pack function has used this very closure */
		drop_payload(&payload);
		return luaL_error(L, "Can't response more than once");
	}
	unlink_response(response); /* not before packing has succeeded */
	response->session = 0;
	return answer(L, engine, response->source, session, &payload);
}

static int
respond_nothing(lua_State *L)
{
	(void)L;
	return 0;
}

static int l_packstring(lua_State *L);

static int
l_response(lua_State *L)
{
	struct engine *engine = engine_of(L);
	struct task *task = engine->current;
	lua_settop(L, 1);
	if (!lua_isnil(L, 1))
		luaL_checktype(L, 1, LUA_TFUNCTION);
	if (!task || !task->has_request || task->request == 0) {
		(void)take_request(L, task, "no session");
		lua_pushcfunction(L, respond_nothing);
		return 1;
	}
	struct response *response = lua_newuserdatauv(L, sizeof *response, 0);
	*response = (struct response){.source = task->source};
	if (luaL_newmetatable(L, "skynet.response")) {
		lua_pushcfunction(L, response_gc);
		lua_setfield(L, -2, "__gc");
	}
	lua_setmetatable(L, -2);
	if (lua_isnil(L, 1))
		lua_pushcfunction(L, l_packstring);
	else
		lua_pushvalue(L, 1);
	lua_pushcclosure(L, respond, 2);
	/* Nothing can fail any more: the request changes hands. */
	response->session = take_request(L, task, "no session");
	response->next = engine->responses;
	response->link = &engine->responses;
	if (response->next)
		response->next->link = &response->next;
	engine->responses = response;
	return 1;
}

/* --- bytes --------------------------------------------------------------------------------- */

static int
l_pack(lua_State *L)
{
	struct engine *engine = engine_of(L);
	size_t base = engine->scratch.size;
	codec_pack(L, 1, &engine->scratch);
	size_t size = engine->scratch.size - base;
	engine->scratch.size = base;
	char *copy = skynet_malloc(size ? size : 1);
	memcpy(copy, engine->scratch.data + base, size);
	lua_pushlightuserdata(L, copy);
	lua_pushinteger(L, (lua_Integer)size);
	return 2;
}

static int
l_packstring(lua_State *L)
{
	struct engine *engine = engine_of(L);
	size_t base = engine->scratch.size;
	codec_pack(L, 1, &engine->scratch);
	size_t size = engine->scratch.size - base;
	engine->scratch.size = base;
	lua_pushlstring(L, engine->scratch.data + base, size);
	return 1;
}

static int
l_unpack(lua_State *L)
{
	if (lua_isnoneornil(L, 1))
		return 0;
	if (lua_type(L, 1) == LUA_TSTRING) {
		size_t length;
		const char *bytes = lua_tolstring(L, 1, &length);
		return codec_unpack(L, bytes, length);
	}
	luaL_checktype(L, 1, LUA_TLIGHTUSERDATA);
	const char *data = lua_touserdata(L, 1);
	lua_Integer size = luaL_checkinteger(L, 2);
	if (size == 0)
		return 0;
	if (!data || size < 0)
		return luaL_error(L, "can't unpack %d bytes at %p", (int)size, data);
	return codec_unpack(L, data, (size_t)size);
}

static int
l_tostring(lua_State *L)
{
	if (lua_isnoneornil(L, 1))
		return 0;
	luaL_checktype(L, 1, LUA_TLIGHTUSERDATA);
	const char *data = lua_touserdata(L, 1);
	lua_Integer size = luaL_checkinteger(L, 2);
	luaL_argcheck(L, size == 0 || (data && size > 0), 2, "not the size of this block");
	lua_pushlstring(L, size ? data : "", (size_t)size);
	return 1;
}

static int
l_trash(lua_State *L)
{
	switch (lua_type(L, 1)) {
	case LUA_TSTRING:
		break;
	case LUA_TLIGHTUSERDATA:
		luaL_checkinteger(L, 2);
		free(lua_touserdata(L, 1));
		break;
	default:
		return luaL_error(L, "skynet.trash invalid param %s", luaL_typename(L, 1));
	}
	return 0;
}

/* --- protocols ----------------------------------------------------------------------------- */

/* Raises unless field `name` of the class at index 1 is a function or missing. */
static void
check_function_field(lua_State *L, const char *name)
{
	int type = lua_getfield(L, 1, name);
	luaL_argcheck(L, type == LUA_TNIL || type == LUA_TFUNCTION, 1,
		      lua_pushfstring(L, "field '%s' must be a function, not a %s", name,
				      lua_typename(L, type)));
	lua_pop(L, 1);
}

/* References the function in field `name` of the class at index 1. */
static int
reference_field(lua_State *L, const char *name)
{
	if (lua_getfield(L, 1, name) == LUA_TFUNCTION)
		return luaL_ref(L, LUA_REGISTRYINDEX);
	lua_pop(L, 1);
	return LUA_NOREF;
}

static lua_CFunction
c_function(lua_State *L, int reference)
{
	lua_rawgeti(L, LUA_REGISTRYINDEX, reference);
	lua_CFunction function = lua_tocfunction(L, -1);
	lua_pop(L, 1);
	return function;
}

static enum unpack_kind
kind_of_unpack(lua_State *L, int reference)
{
	if (reference == LUA_NOREF)
		return UNPACK_NOTHING;
	lua_CFunction function = c_function(L, reference);
	if (function == l_unpack)
		return UNPACK_LUA;
	return function == l_tostring ? UNPACK_TEXT : UNPACK_FUNCTION;
}

static void
check_new(lua_State *L, struct engine *engine, lua_Integer id, const char *name)
{
	luaL_argcheck(L, id >= 0 && id <= UINT8_MAX, 1, "field 'id' must be in 0..255");
	luaL_argcheck(L, engine->protocol_count < UINT8_MAX, 1,
		      "255 protocols are registered already");
	if (engine->index_of[id])
		luaL_error(L, "protocol id %d is registered already, as '%s'", (int)id,
			   engine->protocols[engine->index_of[id] - 1].name);
	for (int i = 0; i < engine->protocol_count; i++)
		if (strcmp(engine->protocols[i].name, name) == 0)
			luaL_error(L, "protocol '%s' is registered already", name);
}

static int
l_register_protocol(lua_State *L)
{
	struct engine *engine = engine_of(L);
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	luaL_argcheck(L, lua_getfield(L, 1, "name") == LUA_TSTRING, 1,
		      "field 'name' must be a string");
	luaL_argcheck(L, lua_getfield(L, 1, "id") == LUA_TNUMBER && lua_isinteger(L, 3), 1,
		      "field 'id' must be an integer");
	const char *name = lua_tostring(L, 2);
	lua_Integer id = lua_tointeger(L, 3);
	check_new(L, engine, id, name);
	check_function_field(L, "pack");
	check_function_field(L, "unpack");
	check_function_field(L, "dispatch");
	struct protocol protocol = {.name = name, .id = (uint8_t)id};
	protocol.pack = reference_field(L, "pack");
	protocol.unpack = reference_field(L, "unpack");
	protocol.dispatch = reference_field(L, "dispatch");
	protocol.packs_lua = c_function(L, protocol.pack) == l_pack;
	protocol.kind = kind_of_unpack(L, protocol.unpack);
	lua_pushvalue(L, 2);
	protocol.name_anchor = luaL_ref(L, LUA_REGISTRYINDEX);
	(void)engine_add_protocol(engine, &protocol);
	return 0;
}

static int
l_dispatch(lua_State *L)
{
	struct engine *engine = engine_of(L);
	bool has_function = !lua_isnoneornil(L, 2);
	if (has_function)
		luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 2);
	if (!has_function && find_protocol(L, engine, 1) < 0) {
		lua_pushnil(L);
		return 1;
	}
	struct protocol *protocol = &engine->protocols[check_protocol(L, engine, 1)];
	lua_rawgeti(L, LUA_REGISTRYINDEX, protocol->dispatch); /* the previous one, or nil */
	if (has_function) {
		luaL_unref(L, LUA_REGISTRYINDEX, protocol->dispatch);
		lua_pushvalue(L, 2);
		protocol->dispatch = luaL_ref(L, LUA_REGISTRYINDEX);
	}
	return 1;
}

/* Replaces the handler in *reference by the function at index 1 and returns the previous one. */
static int
replace_handler(lua_State *L, int *reference)
{
	luaL_checktype(L, 1, LUA_TFUNCTION);
	lua_settop(L, 1);
	lua_rawgeti(L, LUA_REGISTRYINDEX, *reference);
	luaL_unref(L, LUA_REGISTRYINDEX, *reference);
	lua_pushvalue(L, 1);
	*reference = luaL_ref(L, LUA_REGISTRYINDEX);
	return 1;
}

static int
l_dispatch_unknown_request(lua_State *L)
{
	return replace_handler(L, &engine_of(L)->unknown_request);
}

static int
l_dispatch_unknown_response(lua_State *L)
{
	return replace_handler(L, &engine_of(L)->unknown_response);
}

const luaL_Reg api_message_functions[] = {
	{"send", l_send},
	{"rawsend", l_rawsend},
	{"redirect", l_redirect},
	{"genid", l_genid},
	{"call", l_call},
	{"rawcall", l_rawcall},
	{"newservice", l_newservice},
	{"ret", l_ret},
	{"retpack", l_retpack},
	{"response", l_response},
	{"ignoreret", l_ignoreret},
	{"context", l_context},
	{"pack", l_pack},
	{"packstring", l_packstring},
	{"unpack", l_unpack},
	{"tostring", l_tostring},
	{"trash", l_trash},
	{"register_protocol", l_register_protocol},
	{"dispatch", l_dispatch},
	{"dispatch_unknown_request", l_dispatch_unknown_request},
	{"dispatch_unknown_response", l_dispatch_unknown_response},
	{NULL, NULL},
};
