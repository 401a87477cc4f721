/* api.h: the functions of `require "skynet"` that are written in C.
 *
 * Model      All are plain C functions without upvalues: they find the engine in the state itself,
 *            so a service pays for the table entries it touches and nothing more.
 * Threads    [turn]
 */
#ifndef SNLUA_API_H
#define SNLUA_API_H

#include "engine.h"

#include <lauxlib.h>
#include <lua.h>

extern const luaL_Reg api_message_functions[];	/* send, call ... */
extern const luaL_Reg api_answer_functions[];	/* ret, response ... */
extern const luaL_Reg api_protocol_functions[]; /* dispatch, pack ... */
extern const luaL_Reg api_task_functions[];	/* start, fork, sleep ... */
extern const luaL_Reg api_service_functions[];	/* names, environment, clock, statistics ... */
extern const luaL_Reg api_mailbox_functions[];	/* mailbox */
extern const luaL_Reg api_trace_functions[];	/* trace, tracelog ... */
extern const luaL_Reg api_memory_functions[];	/* memlimit (snlua.c) */

/* --- arguments (api_arguments.c) --- */

/* What an argument addresses: a handle, or else a name. */
struct api_address {
	uint32_t handle;  /* 0: see name */
	const char *name; /* ":hex", ".local" or global; borrowed from the argument */
};

/* Whether the argument is a name, local or global. */
static inline bool
api_is_name(const struct api_address *address)
{
	return address->name && address->name[0] != ':';
}

/* Reads an address argument; raises for what is none. */
struct api_address api_check_address(lua_State *L, int index);
/* The same, but a name that this node knows becomes the handle it stands for now. */
struct api_address api_check_service(lua_State *L, int index);

/* Checks the arguments that become the words of a launch parameter: strings and numbers. Drops nils
 * at the end. */
void api_check_words(lua_State *L, int first);

/* The index of the protocol that the argument names, by name or id, or -1. */
int api_find_protocol(lua_State *L, const struct engine *engine, int index);
/* The same; raises when there is none. */
int api_check_protocol(lua_State *L, const struct engine *engine, int index);

/* true, false or nil: whether the requests of a protocol are traced. */
enum trace_rule api_check_trace_rule(lua_State *L, int index);

/* Bytes to be sent. */
struct api_payload {
	void *data;
	size_t size;
	int tag; /* PTYPE_TAG_DONTCOPY when data is handed over */
};

/* The message argument: nothing, a string, or a pointer and a size. */
struct api_payload api_check_payload(lua_State *L, int index);
/* Frees what was handed over and goes nowhere. */
void api_drop_payload(const struct api_payload *payload);

/* What skynet_send returns instead of a session; -1: no such service. */
enum { SENT_TOO_LARGE = -2, SENT_FULL = -3, SENT_WAIT = -4 };

/* Pushes what send and redirect return: the session; nil: no such service; false: too large, or its
 * mailbox is full. */
int api_push_sent(lua_State *L, int sent);

/* --- shared between the files --- */

/* skynet.packstring, with which response closures pack by default. */
int api_packstring(lua_State *L);

/* Suspends the current task until engine_run resumes it: use as `return api_suspend(...)`. Call
 * api_check_task before anything is noted about the wait: then this cannot fail. */
int api_suspend(lua_State *L, enum task_state state, lua_KContext context, lua_KFunction resumed);

/* Raises unless the calling coroutine is the current task itself, and can suspend. */
struct task *api_check_task(lua_State *L);

/* The current task, for what api_suspend continues with; raises when not the engine has resumed
 * it. */
struct task *api_resumed_task(lua_State *L);

/* Adds the protocols that every Lua service speaks: lua, response, error,
 * debug. */
void api_add_protocols(lua_State *L);

/* What the module "skynet.queue" returns: makes a critical section (api_section.c). */
int api_new_section(lua_State *L);

/* The loader of the module "skynet.internals". */
int api_open_internals(lua_State *L);

/* The loader of the module "skynet.streams". */
int api_open_streams(lua_State *L);

/* The loader of the module "skynet.engine", which is also what `require "skynet"` returns. */
int api_open(lua_State *L);

/* The loader of the module "skynet.core": functions closer to the core, for wrappers and tools. */
int api_core_open(lua_State *L);

#endif
