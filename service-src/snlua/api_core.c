/* api_core.c: the module "skynet.core": functions closer to the core than those of `skynet`, for
 * wrappers and tools.
 *
 * The function given to `callback` runs on the main state, outside any task: it must not wait. What
 * it raises is logged, and the request at hand fails.
 */
#include "api.h"

#include "failure.h"
#include "wait.h"

#include <stdlib.h>

/* The registry's function that was given to `callback`; its address is the key. */
static char callback_key;

/* --- a callback in Lua --------------------------------------------------------------------- */

static int
add_traceback(lua_State *L)
{
	luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
	return 1;
}

/* The message in hand was not handled to its end. */
static void
report_callback_error(struct engine *engine, const char *text)
{
	const struct envelope *message = &engine->message;
	skynet_error(engine->ctx, "lua call [%x to :%x : %d msgsz = %d] error : \x1b[31m%s\x1b[0m",
		     message->source, skynet_current_handle(), (int)message->session,
		     (int)message->size, text);
	/* If dispatch_message has answered it already, nobody waits for this any more. */
	if (message->session != 0 && message->type != PTYPE_RESPONSE &&
	    message->type != PTYPE_ERROR)
		(void)failure_answer(engine, message->source, message->session,
				     "its callback has raised an error");
}

/* Calls the function given to `callback`. */
static void
run_callback(struct engine *engine, int type, int session, uint32_t source, const void *msg,
	     size_t sz)
{
	lua_State *L = engine->L;
	int top = lua_gettop(L);
	engine->message = (struct envelope){
		.type = type, .session = session, .source = source, .data = msg, .size = sz};
	engine->scratch.size = 0; /* whatever a failed pack left behind */
	if (!lua_checkstack(L, 8)) {
		report_callback_error(engine, "not enough memory");
		return;
	}
	lua_pushcfunction(L, add_traceback);
	lua_rawgetp(L, LUA_REGISTRYINDEX, &callback_key);
	lua_pushinteger(L, type);
	lua_pushlightuserdata(L, (void *)(uintptr_t)msg);
	lua_pushinteger(L, (lua_Integer)sz);
	lua_pushinteger(L, session);
	lua_pushinteger(L, source);
	/* Release pairs with the acquire in engine_interrupt. */
	atomic_store_explicit(&engine->running, L, memory_order_release);
	if (lua_pcall(L, 5, 0, top + 1) != LUA_OK)
		report_callback_error(engine, lua_isstring(L, -1) ? lua_tostring(L, -1)
								  : "an error without a text");
	atomic_store_explicit(&engine->running, NULL, memory_order_release);
	lua_settop(L, top);
	engine_run_ready(engine); /* what it has forked or woken */
}

static int
lua_callback(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
	     const void *msg, size_t sz)
{
	(void)ctx;
	struct engine *engine = ud;
	run_callback(engine, type, session, source, msg, sz);
	return engine->message.is_taken ? SKYNET_KEPT : SKYNET_DONE;
}

static int
lua_callback_keeping(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
		     const void *msg, size_t sz)
{
	run_callback(ud, type, session, source, skynet_message_own(ctx, msg, sz), sz);
	return SKYNET_KEPT;
}

/* callback(f[, keeps]): f(type, msg, sz, session, source) gets all messages from now on. With keeps
 * it owns their blocks. */
static int
l_callback(lua_State *L)
{
	struct engine *engine = engine_of(L);
	luaL_checktype(L, 1, LUA_TFUNCTION);
	bool keeps = lua_toboolean(L, 2);
	lua_settop(L, 1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &callback_key);
	skynet_callback(engine->ctx, engine, keeps ? lua_callback_keeping : lua_callback);
	engine->is_started = true;
	return 0;
}

/* --- messages ------------------------------------------------------------------------------ */

/* keep(msg, sz) -> block, sz: the block of the message in hand is the caller's now, who frees it or
 * sends it on. A message that others share is copied. Works as the unpack function of a
 * protocol. */
static int
l_keep(lua_State *L)
{
	struct engine *engine = engine_of(L);
	struct envelope *message = &engine->message;
	luaL_checktype(L, 1, LUA_TLIGHTUSERDATA);
	(void)luaL_checkinteger(L, 2);
	luaL_argcheck(L, lua_touserdata(L, 1) == message->data, 1,
		      "not the block of the message in hand");
	luaL_argcheck(L, !message->is_taken, 1, "it is kept already");
	message->is_taken = true;
	lua_settop(L, 2);
	lua_pushlightuserdata(L, skynet_message_own(engine->ctx, message->data, message->size));
	lua_replace(L, 1);
	return 2;
}

/* What send and redirect have in common; session and payload are at index session_index. */
static int
send_message(lua_State *L, uint32_t source, int type_index, int session_index)
{
	struct engine *engine = engine_of(L);
	struct api_address address = api_check_address(L, 1);
	lua_Integer type = luaL_checkinteger(L, type_index);
	luaL_argcheck(L, type >= 0 && type <= UINT8_MAX, type_index, "not a message type");
	lua_Integer session = luaL_optinteger(L, session_index, 0);
	luaL_argcheck(L, session == (int32_t)session, session_index, "not a session");
	struct api_payload payload = api_check_payload(L, session_index + 1);
	if (lua_isnoneornil(L, session_index))
		session = wait_new_session(engine);
	int tagged = (int)type | payload.tag;
	int sent = address.handle != 0 ? skynet_send(engine->ctx, source, address.handle, tagged,
						     (int)session, payload.data, payload.size)
				       : skynet_sendname(engine->ctx, source, address.name, tagged,
							 (int)session, payload.data, payload.size);
	if (sent == SENT_WAIT) /* here nobody can: the block is still ours */
		api_drop_payload(&payload);
	return api_push_sent(L, sent == SENT_WAIT ? SENT_FULL : sent);
}

/* send(address, type, session or nil, msg[, sz]) */
static int
l_send(lua_State *L)
{
	return send_message(L, 0, 2, 3);
}

/* redirect(address, source, type, session or nil, msg[, sz]) */
static int
l_redirect(lua_State *L)
{
	lua_Integer source = luaL_checkinteger(L, 2);
	luaL_argcheck(L, source >= 0 && source <= UINT32_MAX, 2, "not an address");
	return send_message(L, (uint32_t)source, 3, 4);
}

/* --- commands ------------------------------------------------------------------------------ */

/* Runs the framework command that the arguments name. Returns its result, or NULL. */
static const char *
run_command(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	const char *parameter = luaL_optstring(L, 2, NULL); /* a number becomes its text */
	return skynet_command(engine_of(L)->ctx, name, parameter);
}

static int
l_command(lua_State *L)
{
	const char *result = run_command(L);
	if (!result)
		return 0;
	lua_pushstring(L, result);
	return 1;
}

static int
l_intcommand(lua_State *L)
{
	const char *result = run_command(L);
	if (!result)
		return 0;
	if (!lua_stringtonumber(L, result))
		lua_pushinteger(L, 0);
	return 1;
}

static int
l_addresscommand(lua_State *L)
{
	const char *result = run_command(L);
	if (!result || result[0] != ':')
		return 0;
	lua_pushinteger(L, (lua_Integer)strtoul(result + 1, NULL, 16));
	return 1;
}

/* --- links --------------------------------------------------------------------------------- */

static lua_Integer
check_session(lua_State *L, int index)
{
	lua_Integer session = luaL_checkinteger(L, index);
	luaL_argcheck(L, session > 0 && session <= INT32_MAX, index, "not a session");
	return session;
}

/* link(address) -> session; nothing: there is no such service. A task may wait for it with
 * await_end, as long as the message that brought it here is in hand. */
static int
l_link(lua_State *L)
{
	struct engine *engine = engine_of(L);
	struct api_address address = api_check_service(L, 1);
	int session = -1;
	if (address.handle != 0)
		session = skynet_link(engine->ctx, address.handle, wait_new_session(engine));
	if (session < 0)
		return 0;
	lua_pushinteger(L, session);
	return 1;
}

static int
end_awaited(lua_State *L, int status, lua_KContext context)
{
	struct task *task = api_resumed_task(L);
	(void)status, (void)context;
	lua_pushstring(L, task->reason ? task->reason : "it has ended");
	free(task->reason);
	task->reason = NULL;
	return 1;
}

/* await_end(session[, address]) -> the reason why the linked service has ended. Waits. The end of
 * another node ends its services. */
static int
l_await_end(lua_State *L)
{
	struct engine *engine = engine_of(L);
	int32_t session = (int32_t)check_session(L, 1);
	(void)api_check_task(L);
	luaL_argcheck(L, !session_map_find(&engine->waiters, session), 1,
		      "somebody waits for this session already");
	uint32_t handle = lua_isnoneornil(L, 2) ? 0 : api_check_address(L, 2).handle;
	bool is_link = skynet_isremote(engine->ctx, handle, NULL);
	wait_for_answer(engine, session, is_link ? handle : 0, 0);
	engine->current->is_link = is_link;
	return api_suspend(L, TASK_CALLING, 0, end_awaited);
}

/* unlink(address, session): nobody is to be told any more; await_end returns. */
static int
l_unlink(lua_State *L)
{
	static const char text[] = "it was unlinked";
	struct engine *engine = engine_of(L);
	struct api_address address = api_check_address(L, 1);
	int32_t session = (int32_t)check_session(L, 2);
	if (address.handle != 0)
		skynet_unlink(engine->ctx, address.handle, session);
	struct task *task = wait_fail(engine, session, text, sizeof text - 1);
	if (task)
		engine_ready(engine, task, WAKE_FAILED);
	return 0;
}

/* --- the module ---------------------------------------------------------------------------- */

static const luaL_Reg core_functions[] = {
	{"callback", l_callback},
	{"send", l_send},
	{"redirect", l_redirect},
	{"keep", l_keep},
	{"command", l_command},
	{"intcommand", l_intcommand},
	{"addresscommand", l_addresscommand},
	{"link", l_link},
	{"await_end", l_await_end},
	{"unlink", l_unlink},
	{NULL, NULL},
};

int
api_core_open(lua_State *L)
{
	/* The same as in `skynet`. */
	static const char *const shared[] = {
		"genid",  "error",	"harbor", "tostring", "pack",
		"unpack", "packstring", "trash",  "now",      "hpc",
	};
	luaL_newlib(L, core_functions);
	lua_getglobal(L, "require");
	lua_pushliteral(L, "skynet.engine");
	lua_call(L, 1, 1);
	for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) {
		lua_getfield(L, -1, shared[i]);
		lua_setfield(L, -3, shared[i]);
	}
	lua_pop(L, 1);
	return 1;
}
