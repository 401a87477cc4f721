/* snlua.c: the module that runs a Lua service.
 *
 * Launch parameter: `NAME ARGUMENT ...`. init only sends the parameter to the service itself, so
 * that the VM is made, and the script runs, on whichever worker takes that first message, not on
 * the launcher's. The script is found and run by the file named in config `lualoader`.
 */
#include "api.h"
#include "closing.h"
#include "code_cache.h"
#include "code_search.h"
#include "coroutine.h"
#include "engine.h"
#include "failure.h"
#include "print.h"
#include "require.h"
#include "section.h"
#include "skynet.h"
#include "stream.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB (1024.0 * 1024.0)
/* A VM that grows beyond is worth a line in the log; then each time it has doubled. */
#define MEMORY_WARNING_BYTES (32u * 1024 * 1024)
struct snlua {
	struct engine engine;
	struct skynet_context *ctx;
	lua_State *L;
	/* Written by the owner; signal 1 reads it on another thread, for a human. */
	_Atomic size_t memory_bytes;
	size_t memory_warning_bytes;
	size_t memory_limit_bytes; /* 0: none */
	size_t watermark_bytes;	   /* the lower of the two */
	bool has_begun;		   /* the main chunk has ended, the limit counts */
};

/* The module's functions; the framework finds them by name. */
SKYNET_API void *snlua_create(void);
SKYNET_API int snlua_init(void *instance, struct skynet_context *ctx, const char *parm);
SKYNET_API void snlua_release(void *instance);
SKYNET_API void snlua_signal(void *instance, int signal);

/* --- memory -------------------------------------------------------------------------------- */

static void
set_watermark(struct snlua *service)
{
	size_t limit_bytes = service->memory_limit_bytes;
	service->watermark_bytes = service->memory_warning_bytes;
	if (service->has_begun && limit_bytes != 0 && limit_bytes < service->watermark_bytes)
		service->watermark_bytes = limit_bytes;
}

/* The VM is about to grow over the watermark. Returns false when it must not. */
static bool
may_grow(struct snlua *service, size_t bytes)
{
	if (service->has_begun && service->memory_limit_bytes != 0 &&
	    bytes > service->memory_limit_bytes)
		return false;
	if (bytes > service->memory_warning_bytes) {
		skynet_error(service->ctx, "Memory warning %.2f M", (double)bytes / MIB);
		service->memory_warning_bytes *= 2;
		set_watermark(service);
	}
	return true;
}

static void *
allocate(void *ud, void *block, size_t old_size, size_t new_size)
{
	struct snlua *service = ud;
	size_t held = block ? old_size : 0; /* of a new block the size tells what it is for */
	size_t bytes = atomic_load_explicit(&service->memory_bytes, memory_order_relaxed) +
		       new_size - held;
	if (bytes > service->watermark_bytes && new_size > held && !may_grow(service, bytes))
		return NULL;
	void *result = skynet_lalloc(block, old_size, new_size);
	if (result || new_size == 0)
		atomic_store_explicit(&service->memory_bytes, bytes, memory_order_relaxed);
	return result;
}

/* skynet.memlimit(bytes): for the main chunk, once. It counts from the end of the main chunk on. */
static int
l_memlimit(lua_State *L)
{
	struct snlua *service = (struct snlua *)engine_of(L); /* the engine is its first member */
	lua_Integer bytes = luaL_checkinteger(L, 1);
	luaL_argcheck(L, bytes > 0, 1, "a number of bytes expected");
	if (service->has_begun)
		return luaL_error(L, "the memory limit can be set in the main chunk only");
	if (service->memory_limit_bytes != 0)
		return luaL_error(L, "the memory limit is set already");
	service->memory_limit_bytes = (size_t)bytes;
	return 0;
}

const luaL_Reg api_memory_functions[] = {
	{"memlimit", l_memlimit},
	{NULL, NULL},
};

/* The main chunk has ended. */
static void
begin_limit(struct snlua *service)
{
	service->has_begun = true;
	set_watermark(service);
	if (service->memory_limit_bytes != 0)
		skynet_error(service->ctx, "Set memory limit to %.2f M",
			     (double)service->memory_limit_bytes / MIB);
}

/* --- the start of a service ------------------------------------------------------------------ */

static void
preload_engine(lua_State *L)
{
	luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
	lua_pushcfunction(L, api_open);
	lua_setfield(L, -2, "skynet.engine");
	lua_pushcfunction(L, api_open_internals);
	lua_setfield(L, -2, "skynet.internals");
	lua_pushcfunction(L, api_open_streams);
	lua_setfield(L, -2, "skynet.streams");
	lua_pop(L, 1);
}

static int
add_traceback(lua_State *L)
{
	luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
	return 1;
}

/* Called protected, with the service and the parameter text: makes the VM a service's and runs the
 * loader. */
static int
run_loader(lua_State *L)
{
	struct snlua *service = lua_touserdata(L, 1);
	const char *parameter = lua_touserdata(L, 2);
	const char *loader = skynet_command(service->ctx, "GETENV", "lualoader");
	lua_settop(L, 0);
	luaL_openlibs(L);
	lua_pushlightuserdata(L, service->ctx);
	lua_setfield(L, LUA_REGISTRYINDEX, "skynet_context");
	code_search_open(L, service->ctx);
	preload_engine(L);
	coroutine_prepare(L);
	require_open(L);
	print_open(L);
	lua_pushcfunction(L, add_traceback);
	if (code_cache_load(L, loader ? loader : "./lualib/loader.lua", CODE_CACHE_ON) != LUA_OK)
		return luaL_error(L, "can't load the loader (config key lualoader): %s",
				  lua_tostring(L, -1));
	lua_pushstring(L, parameter);
	if (lua_pcall(L, 1, 0, 1) != LUA_OK)
		return lua_error(L); /* with its traceback */
	if (!service->engine.is_started && !service->engine.is_exiting)
		return luaL_error(L, "the script of '%s' has not called skynet.start", parameter);
	lua_settop(L, 0);
	lua_gc(L, LUA_GCGEN, 0, 0); /* frees what only the start has needed */
	return 0;
}

/* Called with the error: reports it to the launcher, without the traceback. */
static int
report_error(lua_State *L)
{
	const char *text = luaL_optstring(L, 1, "");
	const char *traceback = strstr(text, "\nstack traceback:");
	char address[16];
	(void)snprintf(address, sizeof address, ":%08x", skynet_current_handle());
	lua_pushliteral(L, "ERROR");
	lua_pushlstring(L, text, traceback ? (size_t)(traceback - text) : strlen(text));
	lua_pushfstring(L, "%s (%s): %s", engine_of(L)->name, address, lua_tostring(L, -1));
	lua_remove(L, -2);
	engine_tell_launcher(L, 2);
	return 0;
}

/* The script has raised: the service cannot live. The error is on top. */
static void
give_up(struct snlua *service)
{
	lua_State *L = service->L;
	if (service->engine.is_exiting)
		return; /* it called skynet.exit, which is no failure */
	const char *text = lua_tostring(L, -1);
	skynet_error(service->ctx, "lua loader error : %s",
		     text ? text : "(error object is not a string)");
	lua_pushcfunction(L, report_error);
	lua_insert(L, -2);
	if (lua_pcall(L, 1, 0, 0) != LUA_OK)
		failure_report_start_plainly(service->ctx);
	(void)skynet_command(service->ctx, "EXIT", "its start has failed");
}

static const struct engine_parts parts = {
	.leave_stream = stream_leave,
	.leave_sections = section_forget_task,
};

/* The callback of the first message, whose text is the launch parameter. */
static int
launch(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
       const void *msg, size_t sz)
{
	struct snlua *service = ud;
	(void)type, (void)session, (void)source, (void)sz;
	skynet_callback(ctx, NULL, NULL); /* the script sets its own, by skynet.start */
	service->L = lua_newstate(allocate, service);
	if (!service->L) {
		skynet_error(ctx, "lua loader error : not enough memory for a Lua VM");
		failure_report_start_plainly(ctx);
		(void)skynet_command(ctx, "EXIT", "its start has failed");
		return SKYNET_DONE;
	}
	lua_State *L = service->L;
	lua_gc(L, LUA_GCSTOP);
	engine_init(&service->engine, ctx, L, msg, &parts);
	lua_pushcfunction(L, run_loader);
	lua_pushlightuserdata(L, service);
	lua_pushlightuserdata(L, (void *)(uintptr_t)msg);
	/* Release pairs with the load in engine_interrupt: a main chunk can be interrupted too. */
	atomic_store_explicit(&service->engine.running, L, memory_order_release);
	int status = lua_pcall(L, 2, 0, 0);
	atomic_store_explicit(&service->engine.running, NULL, memory_order_release);
	if (status != LUA_OK)
		give_up(service);
	lua_gc(L, LUA_GCRESTART);
	begin_limit(service);
	return SKYNET_DONE;
}

/* --- the module ---------------------------------------------------------------------------- */

void *
snlua_create(void)
{
	struct snlua *service = skynet_calloc(1, sizeof *service);
	service->memory_warning_bytes = MEMORY_WARNING_BYTES;
	set_watermark(service);
	return service;
}

int
snlua_init(void *instance, struct skynet_context *ctx, const char *parm)
{
	struct snlua *service = instance;
	service->ctx = ctx;
	if (!parm || parm[strspn(parm, " \t")] == '\0') {
		skynet_error(
			ctx,
			"error: snlua needs the name of a Lua service: snlua NAME ARGUMENT ...");
		return 1;
	}
	skynet_callback(ctx, service, launch);
	/* A copy with a NUL behind it, as skynet_send makes. */
	(void)skynet_send(ctx, 0, skynet_current_handle(), PTYPE_TEXT, 0, (void *)(uintptr_t)parm,
			  strlen(parm));
	return 0;
}

void
snlua_release(void *instance)
{
	struct snlua *service = instance;
	if (service->L) {
		closing_close_tasks(&service->engine);
		lua_close(service->L);
		stream_forget_all(&service->engine);
		engine_fini(&service->engine);
	}
	free(service);
}

void
snlua_signal(void *instance, int signal)
{
	struct snlua *service = instance;
	skynet_error(service->ctx, "recv a signal %d", signal);
	if (signal == 0)
		engine_interrupt(&service->engine);
	else if (signal == 1)
		skynet_error(
			service->ctx, "Current Memory %.3fK",
			(double)atomic_load_explicit(&service->memory_bytes, memory_order_relaxed) /
				1024);
}
