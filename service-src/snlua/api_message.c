/* api_message.c: sending and calling, from Lua.
 *
 * The way of a call: pack into the engine's scratch buffer, send a copy of just the right size,
 * note the session, yield. The answer's message resumes the task in call_resumed, which unpacks
 * straight onto the task's stack: no Lua function runs in between.
 */
#include "api.h"

#include "dispatch.h"
#include "failure.h"
#include "traces.h"
#include "wait.h"

#include <stdlib.h>
#include <string.h>

/* Packs the values from first to the top. The built-in format stays in the scratch buffer, from
 * `base` on; the caller cuts it back once the bytes were sent. Others leave theirs at first. */
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

int
api_push_sent(lua_State *L, int sent)
{
	if (sent >= 0)
		lua_pushinteger(L, sent);
	else if (sent == SENT_TOO_LARGE || sent == SENT_FULL)
		lua_pushboolean(L, 0);
	else
		lua_pushnil(L);
	return 1;
}

/* --- waiting for room ---------------------------------------------------------------------- */

/* Where a block was handed over for a message that could not be sent yet, at index `at`: makes a
 * string of it, which the collector frees should the task be killed while it waits. */
static void
keep_payload(lua_State *L, int at, const struct api_payload *payload)
{
	if (!(payload->tag & PTYPE_TAG_DONTCOPY))
		return;
	lua_pushlstring(L, payload->data, payload->size);
	lua_replace(L, at);
	lua_settop(L, at);
	api_drop_payload(payload);
}

/* The receiver's mailbox is full, or the link to its node, and its senders are to wait: the current
 * task goes on with `again` when all that waits there now was handled. Its service goes on
 * meanwhile, and answers always pass, so services that fill each other do not wait for ever. */
static int
await_room(lua_State *L, const struct api_address *address, int address_index, int64_t deadline_ms,
	   lua_KContext context, lua_KFunction again)
{
	struct engine *engine = engine_of(L);
	struct task *task = api_check_task(L);
	task->address = (uint8_t)address_index;
	if (!wait_for_room(engine, address->handle, deadline_ms))
		return again(L, LUA_OK, context); /* it has just ended: the send will tell */
	task->is_by_name = api_is_name(address);
	return api_suspend(L, TASK_CALLING, context, again);
}

/* For `again`: whether to try again; false: the deadline has passed. */
static bool
has_time(lua_State *L, int status)
{
	if (status == LUA_OK)
		return true;
	struct task *task = api_resumed_task(L);
	free(task->reason); /* it has ended: the send will tell */
	task->reason = NULL;
	return task->wake != WAKE_TIMEOUT;
}

/* --- sending ------------------------------------------------------------------------------- */

static int send_again(lua_State *L, int status, lua_KContext is_packed);

/* send(address, type, ...); is_packed: rawsend(address, type, message[, size]). */
static int
send(lua_State *L, bool is_packed)
{
	struct engine *engine = engine_of(L);
	struct api_address address = api_check_service(L, 1);
	const struct protocol *protocol = &engine->protocols[api_check_protocol(L, engine, 2)];
	int type = protocol->id;
	bool has_arguments = !is_packed && protocol->packs_lua;
	size_t base = engine->scratch.size;
	struct api_payload payload =
		is_packed ? api_check_payload(L, 3) : pack_arguments(L, engine, protocol, 3);
	int sent = send_to(engine, &address, 0, type, 0, &payload);
	engine->scratch.size = base;
	if (sent != SENT_WAIT)
		return api_push_sent(L, sent);
	keep_payload(L, 3, &payload);
	return await_room(L, &address, 1, engine->call_timeout_ms, !has_arguments, send_again);
}

static int
send_again(lua_State *L, int status, lua_KContext is_packed)
{
	struct task *task = engine_of(L)->current;
	int count = has_time(L, status) ? send(L, is_packed) : api_push_sent(L, SENT_FULL);
	task->give_up_ms = 0; /* it does not wait again */
	return count;
}

static int
l_send(lua_State *L)
{
	return send(L, false);
}

static int
l_rawsend(lua_State *L)
{
	return send(L, true);
}

static int redirect_again(lua_State *L, int status, lua_KContext context);

static int
l_redirect(lua_State *L)
{
	struct engine *engine = engine_of(L);
	struct api_address address = api_check_service(L, 1);
	lua_Integer source = luaL_checkinteger(L, 2);
	luaL_argcheck(L, source >= 0 && source <= UINT32_MAX, 2, "not an address");
	int type = engine->protocols[api_check_protocol(L, engine, 3)].id;
	lua_Integer session = luaL_optinteger(L, 4, 0);
	luaL_argcheck(L, session == (int32_t)session, 4, "not a session");
	struct api_payload payload = api_check_payload(L, 5);
	int sent = send_to(engine, &address, (uint32_t)source, type, (int)session, &payload);
	if (sent != SENT_WAIT)
		return api_push_sent(L, sent);
	keep_payload(L, 5, &payload);
	return await_room(L, &address, 1, engine->call_timeout_ms, 0, redirect_again);
}

static int
redirect_again(lua_State *L, int status, lua_KContext context)
{
	struct task *task = engine_of(L)->current;
	int count = has_time(L, status) ? l_redirect(L) : api_push_sent(L, SENT_FULL);
	(void)context;
	task->give_up_ms = 0;
	return count;
}

static int
l_genid(lua_State *L)
{
	lua_pushinteger(L, wait_new_session(engine_of(L)));
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
	if (engine->leaf != L)
		luaL_error(L,
			   "this function may wait, so it can't be used inside a coroutine of your "
			   "own: use skynet.fork, or the library skynet.coroutine");
	if (!lua_isyieldable(L))
		luaL_error(
			L,
			"this function may wait, and Lua can't wait here, inside a function that "
			"C calls: a sort function, a finalizer");
	return task;
}

struct task *
api_resumed_task(lua_State *L)
{
	const struct engine *engine = engine_of(L);
	if (!engine->current || engine->leaf != L)
		luaL_error(L, "a task of skynet waits here: coroutine.resume can't end its wait");
	return engine->current;
}

int
api_suspend(lua_State *L, enum task_state state, lua_KContext context, lua_KFunction resumed)
{
	engine_of(L)->current->state = state;
	return lua_yieldk(L, 0, context, resumed);
}

/* How an answer is read, and where the address of the call is, in one number: a lua_KContext. */
enum { RAW_ANSWER = -1 }; /* as pointer and size; else the index of a protocol */

static lua_KContext
call_context(int protocol, int address)
{
	return (lua_KContext)(protocol + 1) * 4 + address;
}

static int
call_resumed(lua_State *L, int status, lua_KContext context)
{
	struct engine *engine = engine_of(L);
	const struct envelope *message = &engine->message;
	struct task *task = api_resumed_task(L);
	int address = (int)(context % 4);
	int protocol = (int)(context / 4) - 1;
	(void)status;
	if (task->wake == WAKE_FAILED)
		return failure_raise(L, task, address);
	if (task->wake == WAKE_TIMEOUT)
		return failure_raise_timeout(L, task, address);
	if (protocol != RAW_ANSWER)
		return dispatch_push_arguments(L, engine, &engine->protocols[protocol]);
	lua_pushlightuserdata(L, (void *)(uintptr_t)message->data);
	lua_pushinteger(L, (lua_Integer)message->size);
	return 2;
}

/* A call in the making. */
struct call {
	struct api_address address;
	int address_index;
	int type;
	int protocol;	    /* index, or RAW_ANSWER */
	bool has_arguments; /* behind the type; otherwise what they were packed to */
	int64_t deadline_ms;
	struct api_payload payload;
	size_t base; /* of the payload in the scratch buffer */
};

/* What is left to do when a call has to be sent again, in a lua_KContext. */
enum { AGAIN_ADDRESS = 3, AGAIN_RAW = 4, AGAIN_PACKED = 8 };

static int call_again(lua_State *L, int status, lua_KContext context);

static int
await_room_for_call(lua_State *L, const struct call *call)
{
	lua_KContext context = call->address_index;
	if (call->protocol == RAW_ANSWER)
		context |= AGAIN_RAW;
	if (!call->has_arguments)
		context |= AGAIN_PACKED;
	keep_payload(L, call->address_index + 2, &call->payload);
	return await_room(L, &call->address, call->address_index, call->deadline_ms, context,
			  call_again);
}

/* Has the callee know that the next request belongs to a trace. */
static void
announce_trace(lua_State *L, struct engine *engine, const struct call *call, const char *tag)
{
	struct api_payload payload = {.data = (void *)(uintptr_t)tag, .size = strlen(tag)};
	traces_log(engine, tag, "call", L, 1);
	(void)send_to(engine, &call->address, 0, PTYPE_TRACE, 0, &payload);
}

static int
raise_unsent(lua_State *L, const struct call *call, int sent)
{
	engine_of(L)->current->give_up_ms = 0;
	if (sent == SENT_TOO_LARGE)
		return failure_raise_unsent(L, call->address_index, "the request is too large");
	if (sent == SENT_FULL)
		return failure_raise_unsent(L, call->address_index,
					    call->address.handle != 0
						    ? "its mailbox is full"
						    : "too much waits for names that nobody has");
	return luaL_error(L, "call to invalid address %s",
			  luaL_tolstring(L, call->address_index, NULL));
}

/* Sends a request and waits for its answer. */
static int
request(lua_State *L, struct engine *engine, const struct call *call, const char *tag)
{
	if (tag)
		announce_trace(L, engine, call, tag);
	int32_t session = wait_new_session(engine);
	int sent = send_to(engine, &call->address, 0, call->type, session, &call->payload);
	engine->scratch.size = call->base;
	if (sent == SENT_WAIT)
		return await_room_for_call(L, call);
	if (sent < 0)
		return raise_unsent(L, call, sent);
	engine->current->address = (uint8_t)call->address_index;
	wait_for_answer(engine, session, call->address.handle, call->deadline_ms);
	engine->current->is_by_name = api_is_name(&call->address);
	return api_suspend(L, TASK_CALLING, call_context(call->protocol, call->address_index),
			   call_resumed);
}

/* call(address, type, ...) with the address at index `first`; is_packed: the bytes stand there
 * instead of the arguments. */
static int
call_packed(lua_State *L, int first, int64_t deadline_ms, bool is_packed)
{
	struct engine *engine = engine_of(L);
	struct call call = {.address = api_check_service(L, first),
			    .address_index = first,
			    .protocol = api_check_protocol(L, engine, first + 1),
			    .deadline_ms = deadline_ms,
			    .base = engine->scratch.size};
	call.type = engine->protocols[call.protocol].id;
	call.has_arguments = !is_packed && engine->protocols[call.protocol].packs_lua;
	const struct task *task = api_check_task(L);
	call.payload =
		is_packed ? api_check_payload(L, first + 2)
			  : pack_arguments(L, engine, &engine->protocols[call.protocol], first + 2);
	return request(L, engine, &call, task->tag);
}

static int
l_call(lua_State *L)
{
	return call_packed(L, 1, engine_of(L)->call_timeout_ms, false);
}

/* A deadline in hundredths of a second, or false: none. */
static int64_t
check_deadline_ms(lua_State *L, int index)
{
	if (lua_isboolean(L, index) && !lua_toboolean(L, index))
		return 0;
	lua_Integer deadline_cs = luaL_checkinteger(L, index);
	luaL_argcheck(L, deadline_cs > 0 && deadline_cs <= INT32_MAX, index,
		      "1 to 2^31-1 hundredths of a second expected, or false: no deadline");
	return deadline_cs * MS_PER_CS;
}

/* call_within(deadline, address, type, ...) */
static int
l_call_within(lua_State *L)
{
	return call_packed(L, 2, check_deadline_ms(L, 1), false);
}

/* call_timeout([deadline]): sets the deadline of calls that have none of their own, and returns the
 * former one. */
static int
l_call_timeout(lua_State *L)
{
	struct engine *engine = engine_of(L);
	int64_t former_ms = engine->call_timeout_ms;
	if (!lua_isnoneornil(L, 1))
		engine->call_timeout_ms = check_deadline_ms(L, 1);
	if (former_ms == 0)
		lua_pushboolean(L, 0);
	else
		lua_pushinteger(L, former_ms / MS_PER_CS);
	return 1;
}

/* rawcall(address, type, message[, size]) with the address at index `first`. tag: of the trace it
 * belongs to, or NULL. */
static int
call_raw(lua_State *L, int first, const char *tag)
{
	struct engine *engine = engine_of(L);
	struct call call = {.address = api_check_service(L, first),
			    .address_index = first,
			    .protocol = RAW_ANSWER,
			    .deadline_ms = engine->call_timeout_ms,
			    .base = engine->scratch.size};
	call.type = engine->protocols[api_check_protocol(L, engine, first + 1)].id;
	const struct task *task = api_check_task(L);
	call.payload = api_check_payload(L, first + 2);
	return request(L, engine, &call, tag ? tag : task->tag);
}

static int
l_rawcall(lua_State *L)
{
	return call_raw(L, 1, NULL);
}

/* tracecall(tag, address, type, message[, size]) */
static int
l_tracecall(lua_State *L)
{
	return call_raw(L, 2, luaL_checkstring(L, 1));
}

/* Goes on with a call for which there was no room: call(...), call_within(deadline, ...),
 * rawcall(...) or tracecall(tag, ...). */
static int
call_again(lua_State *L, int status, lua_KContext context)
{
	struct engine *engine = engine_of(L);
	int first = (int)(context & AGAIN_ADDRESS);
	if (!has_time(L, status)) {
		engine->current->give_up_ms = 0;
		return failure_raise_timeout(L, engine->current, first);
	}
	if (context & AGAIN_RAW)
		return call_raw(L, first, first > 1 ? lua_tostring(L, 1) : NULL);
	return call_packed(L, first, first > 1 ? check_deadline_ms(L, 1) : engine->call_timeout_ms,
			   context & AGAIN_PACKED);
}

/* newservice(name, ...), with the name at index `first`, is
 * call(".launcher", "lua", "LAUNCH", "snlua", name, ...). */
static int
start_service(lua_State *L, int first, int64_t deadline_ms)
{
	api_check_words(L, first);
	lua_pushliteral(L, ".launcher");
	lua_pushliteral(L, "lua");
	lua_pushliteral(L, "LAUNCH");
	lua_pushliteral(L, "snlua");
	lua_rotate(L, first, 4);
	return call_packed(L, first, deadline_ms, false);
}

static int
l_newservice(lua_State *L)
{
	return start_service(L, 1, engine_of(L)->call_timeout_ms);
}

/* newservice_within(deadline, name, ...) */
static int
l_newservice_within(lua_State *L)
{
	return start_service(L, 2, check_deadline_ms(L, 1));
}

const luaL_Reg api_message_functions[] = {
	{"send", l_send},
	{"rawsend", l_rawsend},
	{"redirect", l_redirect},
	{"genid", l_genid},
	{"call", l_call},
	{"call_within", l_call_within},
	{"call_timeout", l_call_timeout},
	{"rawcall", l_rawcall},
	{"tracecall", l_tracecall},
	{"newservice", l_newservice},
	{"newservice_within", l_newservice_within},
	{NULL, NULL},
};
