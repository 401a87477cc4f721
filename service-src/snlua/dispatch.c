/* dispatch.c: what a message means to a Lua service: a request of some protocol, the answer to a
 * call, the end of a timer, or the news that somebody has died. See dispatch.h.
 *
 * Requests run in tasks of their own, because only a task may raise (E3 in engine.c).
 */
#include "dispatch.h"

#include "failure.h"
#include "skynet_socket.h"
#include "stream.h"
#include "timer.h"
#include "traces.h"
#include "wait.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

/* A larger scratch buffer is given back before the next message. */
#define SCRATCH_KEPT_BYTES (64 * 1024)

struct protocol *
dispatch_protocol(struct engine *engine, int id)
{
	int index = engine->index_of[id & 0xff];
	return index ? &engine->protocols[index - 1] : NULL;
}

struct protocol *
dispatch_add_protocol(struct engine *engine, const struct protocol *protocol)
{
	size_t count = (size_t)engine->protocol_count + 1;
	engine->protocols = skynet_realloc(engine->protocols, count * sizeof *protocol);
	engine->protocols[count - 1] = *protocol;
	engine->protocol_count = (int)count;
	engine->index_of[protocol->id] = (uint8_t)count;
	return &engine->protocols[count - 1];
}

int
dispatch_push_arguments(lua_State *L, struct engine *engine, const struct protocol *protocol)
{
	const struct envelope *message = &engine->message;
	int top = lua_gettop(L);
	switch (protocol->kind) {
	case UNPACK_NOTHING:
		break;
	case UNPACK_LUA:
		return codec_unpack(L, message->data, message->size);
	case UNPACK_TEXT:
		lua_pushlstring(L, message->data ? message->data : "",
				message->data ? message->size : 0);
		return 1;
	case UNPACK_FUNCTION:
		lua_rawgeti(L, LUA_REGISTRYINDEX, protocol->unpack);
		lua_pushlightuserdata(L, (void *)(uintptr_t)message->data);
		lua_pushinteger(L, (lua_Integer)message->size);
		lua_call(L, 2, LUA_MULTRET);
		break;
	}
	return lua_gettop(L) - top;
}

static int
request_done(lua_State *L, int status, lua_KContext context)
{
	(void)L, (void)status, (void)context;
	return 0;
}

/* The body of a task that runs a request. */
static int
run_request(lua_State *L)
{
	struct engine *engine = engine_of(L);
	const struct protocol *protocol = &engine->protocols[engine->current->protocol];
	lua_rawgeti(L, LUA_REGISTRYINDEX, protocol->dispatch);
	lua_pushinteger(L, engine->message.session);
	lua_pushinteger(L, engine->message.source);
	int count = dispatch_push_arguments(L, engine, protocol);
	lua_callk(L, count + 2, 0, 0, request_done);
	return request_done(L, LUA_OK, 0);
}

/* The body of a task that runs the first request of type "debug": the module that handles them is
 * loaded with it, and sets the handler. */
static int
run_debug_request(lua_State *L)
{
	lua_getglobal(L, "require");
	lua_pushliteral(L, "skynet.debug");
	lua_call(L, 1, 0);
	return run_request(L);
}

/* The body of a task that runs the handler for requests nobody expects. */
static int
run_unknown_request(lua_State *L)
{
	struct engine *engine = engine_of(L);
	const struct envelope *message = &engine->message;
	const struct protocol *protocol = dispatch_protocol(engine, message->type);
	lua_rawgeti(L, LUA_REGISTRYINDEX, engine->unknown_request);
	lua_pushinteger(L, message->session);
	lua_pushinteger(L, message->source);
	lua_pushlightuserdata(L, (void *)(uintptr_t)message->data);
	lua_pushinteger(L, (lua_Integer)message->size);
	if (protocol)
		lua_pushstring(L, protocol->name);
	else
		lua_pushinteger(L, message->type);
	lua_callk(L, 5, 0, 0, request_done);
	return request_done(L, LUA_OK, 0);
}

static void
start_task(struct engine *engine, lua_CFunction body, bool is_request, int protocol)
{
	struct task *task = engine_new_task(engine);
	if (!task) {
		skynet_error(engine->ctx, "lua memory error : [%x to :%x : %d msgsz = %d]",
			     engine->message.source, skynet_current_handle(),
			     (int)engine->message.session, (int)engine->message.size);
		if (engine->message.session != 0)
			(void)failure_answer(engine, engine->message.source,
					     engine->message.session,
					     "not enough memory for a task");
		return;
	}
	task->has_request = is_request;
	task->request = is_request ? engine->message.session : 0;
	task->source = engine->message.source;
	task->protocol = (uint8_t)protocol;
	if (is_request && (engine->marks || engine->protocols[protocol].trace != TRACE_ON_DEMAND))
		traces_begin(engine, task, &engine->protocols[protocol]);
	lua_pushcfunction(task->co, body);
	if (is_request && !engine->is_inside)
		engine->fresh = task;
	engine_run(engine, task, 0);
	engine->fresh = NULL;
}

static void
log_unknown(struct engine *engine, const char *more)
{
	const struct envelope *message = &engine->message;
	const struct protocol *protocol = dispatch_protocol(engine, message->type);
	skynet_error(engine->ctx, "Unknown request (%s, type %d) from :%08x : %d bytes%s",
		     protocol ? protocol->name : "no protocol registered", message->type,
		     message->source, (int)message->size, more);
}

/* The session of a client's frame is the number of its connection. It comes in the name of a
 * service that only writes, so nobody hears that it is refused. Clients send as many as they like:
 * one line must do. */
static void
log_refused_frame(struct engine *engine)
{
	if (!engine->is_frame_told)
		log_unknown(engine, ", a frame of a client; all of them are lost");
	engine->is_frame_told = true;
}

static void
refuse_unknown(struct engine *engine)
{
	const struct envelope *message = &engine->message;
	const struct protocol *protocol = dispatch_protocol(engine, message->type);
	if (message->session != 0) {
		if (message->type == PTYPE_CLIENT)
			log_refused_frame(engine);
		(void)failure_answer(engine, message->source, message->session,
				     "it has no handler for messages of type %d%s%s", message->type,
				     protocol ? ", " : "", protocol ? protocol->name : "");
		return;
	}
	if (engine->unknown_request != LUA_NOREF) {
		start_task(engine, run_unknown_request, false, 0);
		return;
	}
	log_unknown(engine, "");
	if (message->type == PTYPE_SOCKET && message->source == 0)
		free(((const struct skynet_socket_message *)message->data)->buffer);
}

static void
handle_request(struct engine *engine)
{
	int index = engine->index_of[engine->message.type & 0xff];
	if (index != 0 && engine->protocols[index - 1].dispatch != LUA_NOREF)
		start_task(engine, run_request, true, index - 1);
	else if (index != 0 && engine->message.type == PTYPE_RESERVED_DEBUG)
		start_task(engine, run_debug_request, true, index - 1);
	else
		refuse_unknown(engine);
}

/* The body of a task that runs the handler for answers nobody waits for. */
static int
run_unknown_response(lua_State *L)
{
	struct engine *engine = engine_of(L);
	lua_rawgeti(L, LUA_REGISTRYINDEX, engine->unknown_response);
	lua_pushinteger(L, engine->message.session);
	lua_pushinteger(L, engine->message.source);
	lua_pushlightuserdata(L, (void *)(uintptr_t)engine->message.data);
	lua_pushinteger(L, (lua_Integer)engine->message.size);
	lua_callk(L, 4, 0, 0, request_done);
	return request_done(L, LUA_OK, 0);
}

static void
handle_unknown_response(struct engine *engine)
{
	if (engine->unknown_response != LUA_NOREF)
		start_task(engine, run_unknown_response, false, 0);
	else
		skynet_error(engine->ctx, "Unknown response session %d from :%08x",
			     (int)engine->message.session, engine->message.source);
}

static void
handle_response(struct engine *engine)
{
	struct waiter waiter;
	if (!session_map_remove(&engine->waiters, engine->message.session, &waiter)) {
		handle_unknown_response(engine);
		return;
	}
	switch ((enum waiter_kind)waiter.kind) {
	case WAITER_TASK:
		if (waiter.session == waiter.task->session)
			wait_answered(engine, waiter.task);
		else
			wait_timed_out(engine, waiter.task);
		engine_run(engine, waiter.task, 0);
		break;
	case WAITER_TIMER:
		timer_fire(engine, waiter.session);
		break;
	case WAITER_FIRED:
		break;
	case WAITER_LATE:
		engine->late_answers++;
		break;
	}
}

/* The line comes at each power of two: who floods a full mailbox must not flood the log too. */
static void
note_lost(struct engine *engine)
{
	const struct envelope *message = &engine->message;
	uint64_t count = ++engine->lost_messages;
	if ((count & (count - 1)) == 0)
		skynet_error(engine->ctx, "error: message to :%08x lost, %llu so far: %.*s",
			     message->source, (unsigned long long)count,
			     message->data ? (int)message->size : 0,
			     message->data ? (const char *)message->data : "");
}

static void
handle_error(struct engine *engine)
{
	const struct envelope *message = &engine->message;
	if (message->session == SKYNET_SESSION_LOST) {
		note_lost(engine);
		return;
	}
	if (message->session == 0) {
		wait_source_died(engine, message->source, message->data, message->size, true);
		return;
	}
	struct task *task = wait_fail(engine, message->session, message->data, message->size);
	if (task)
		engine_run(engine, task, 0);
}

static void
handle_message(struct engine *engine)
{
	const struct envelope *message = &engine->message;
	switch (message->type) {
	case PTYPE_RESPONSE:
		handle_response(engine);
		break;
	case PTYPE_ERROR:
		handle_error(engine);
		break;
	case PTYPE_HARBOR:
		/* From the harbor, or from somebody who means something else. */
		if (message->size > 0 || !wait_found(engine, message->session, message->source))
			handle_request(engine);
		break;
	case PTYPE_TRACE:
		traces_note(engine, message->source, message->data, message->size);
		break;
	case PTYPE_SOCKET:
		/* From the core, or from somebody who means something else. */
		if (!engine->has_streams || message->source != 0 || !stream_handle_message(engine))
			handle_request(engine);
		break;
	default:
		handle_request(engine);
	}
	engine_run_ready(engine);
}

int
dispatch_message(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
		 const void *msg, size_t sz)
{
	struct engine *engine = ud;
	(void)ctx;
	engine->message = (struct envelope){
		.type = type, .session = session, .source = source, .data = msg, .size = sz};
	engine->scratch.size = 0; /* whatever a failed pack left behind */
	if (engine->scratch.capacity > SCRATCH_KEPT_BYTES)
		codec_buffer_free(&engine->scratch);
	handle_message(engine);
	return engine->message.is_taken ? SKYNET_KEPT : SKYNET_DONE;
}

void
dispatch_inside(lua_State *L, struct engine *engine, const struct envelope *message)
{
	struct envelope outer_message = engine->message;
	struct task *current = engine->current;
	lua_State *leaf = engine->leaf;
	lua_State *resumer = engine->resumer;
	struct task *fresh = engine->fresh;
	bool is_inside = engine->is_inside;
	engine->message = *message;
	engine->resumer = L;
	engine->is_inside = true;
	handle_message(engine);
	engine->is_inside = is_inside;
	engine->fresh = fresh;
	engine->resumer = resumer;
	engine->leaf = leaf;
	engine->current = current;
	/* The same block, most likely: who takes it here takes it there. */
	if (outer_message.data == message->data)
		outer_message.is_taken = engine->message.is_taken;
	engine->message = outer_message;
}
