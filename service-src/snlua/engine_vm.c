/* engine_vm.c: what the engine does in its VM that has nothing to do with tasks: protected code,
 * texts for other services, interrupts; see engine.h. */
#include "engine.h"

#include <lauxlib.h>

/* --- outside of tasks ---------------------------------------------------------------------- */

bool
engine_run_protected(struct engine *engine, lua_CFunction body, void *argument)
{
	lua_State *L = engine->L;
	lua_pushcfunction(L, body);
	lua_pushlightuserdata(L, argument);
	if (lua_pcall(L, 1, 0, 0) == LUA_OK)
		return true;
	skynet_error(engine->ctx, "lua memory error : [%x to :%x : %d msgsz = %d]",
		     engine->message.source, skynet_current_handle(), (int)engine->message.session,
		     (int)engine->message.size);
	lua_pop(L, 1);
	return false;
}

void
engine_tell(lua_State *L, const char *name, int first)
{
	struct engine *engine = engine_of(L);
	size_t base = engine->scratch.size;
	codec_pack(L, first, &engine->scratch);
	(void)skynet_sendname(engine->ctx, 0, name, PTYPE_RESERVED_LUA, 0,
			      engine->scratch.data + base, engine->scratch.size - base);
	engine->scratch.size = base;
	lua_settop(L, first - 1);
}

/* --- interrupts ---------------------------------------------------------------------------- */

/* engine_interrupt may hold a coroutine that does not run any more. Both do a read-modify-write of
 * the same word, so either this finds it at work, or it finds what runs now. */
void
engine_await_interrupt(struct engine *engine)
{
	while (atomic_fetch_or_explicit(&engine->is_interrupting, 0, memory_order_acq_rel))
		;
}

/* Raises in the code that runs now: once, or, when the service was killed, again and again until
 * nothing runs any more, even if the program catches the error. */
static void
raise_interrupt(lua_State *L, lua_Debug *where)
{
	(void)where;
	if (!skynet_command(engine_of(L)->ctx, "REASON", NULL))
		lua_sethook(L, NULL, 0, 0);
	luaL_where(L, 0);
	lua_pushliteral(L, "signal 0");
	lua_concat(L, 2);
	(void)lua_error(L);
}

lua_State *
engine_enter(struct engine *engine, lua_State *co)
{
	/* Only this thread writes it. Release pairs with the acquire in engine_interrupt. */
	lua_State *outer = atomic_load_explicit(&engine->running, memory_order_relaxed);
	atomic_store_explicit(&engine->running, co, memory_order_release);
	return outer;
}

/* An interrupt that came too late does not hit what this coroutine does next. */
void
engine_drop_interrupt(struct engine *engine, lua_State *co)
{
	atomic_store_explicit(&engine->was_interrupted, false, memory_order_relaxed);
	if (lua_gethook(co) == raise_interrupt)
		lua_sethook(co, NULL, 0, 0);
}

void
engine_leave(struct engine *engine, lua_State *outer, lua_State *co, lua_State *resumer)
{
	atomic_store_explicit(&engine->running, outer, memory_order_release);
	engine_await_interrupt(engine);
	if (lua_gethook(co) != raise_interrupt)
		return;
	lua_sethook(co, NULL, 0, 0);
	if (resumer)
		lua_sethook(resumer, raise_interrupt, LUA_MASKCOUNT, 1);
}

void
engine_interrupt(struct engine *engine)
{
	/* Pairs with the read-modify-write in engine_await_interrupt. */
	(void)atomic_exchange_explicit(&engine->is_interrupting, 1, memory_order_acq_rel);
	lua_State *co = atomic_load_explicit(&engine->running, memory_order_acquire);
	if (co)
		lua_sethook(co, raise_interrupt, LUA_MASKCOUNT, 1);
	atomic_store_explicit(&engine->was_interrupted, true, memory_order_relaxed);
	atomic_store_explicit(&engine->is_interrupting, 0, memory_order_release);
}
