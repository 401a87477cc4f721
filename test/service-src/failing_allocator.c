/* failing_allocator.c: `require "failing_allocator"`, no service: one allocation of this VM fails,
 * to see what becomes of who needed it.
 *
 * Lua collects garbage when an allocation fails, and tries once more, so two requests fail.
 * Threads    [turn]
 */
#define _GNU_SOURCE /* dladdr */
#include "skynet.h"

#include <dlfcn.h>
#include <lauxlib.h>
#include <lua.h>
#include <stdatomic.h>
#include <stdbool.h>

SKYNET_API int luaopen_failing_allocator(lua_State *L);

/* One for each VM that has used it; they are needed until a VM is closed, so nothing frees them. */
#define ALLOCATORS_MAX 4096
#define REQUESTS_THAT_FAIL 2

static struct allocator {
	lua_Alloc function; /* of the service */
	void *ud;
	int passing; /* requests until one fails; < 0: it has failed, or none is to */
	int failing;
} allocators[ALLOCATORS_MAX];

static atomic_int allocator_count;

static void *
allocate(void *ud, void *block, size_t old_size, size_t new_size)
{
	struct allocator *allocator = ud;
	bool grows = new_size > (block ? old_size : 0);
	if (grows && allocator->passing >= 0 && allocator->passing-- == 0)
		allocator->failing = REQUESTS_THAT_FAIL;
	if (grows && allocator->failing > 0) {
		allocator->failing--;
		return NULL;
	}
	return allocator->function(allocator->ud, block, old_size, new_size);
}

static struct allocator *
allocator_of(lua_State *L)
{
	return lua_touserdata(L, lua_upvalueindex(1));
}

/* fail_at(n): the n-th allocation from now on fails. */
static int
l_fail_at(lua_State *L)
{
	int n = (int)luaL_checkinteger(L, 1);
	luaL_argcheck(L, n >= 1, 1, "a positive number expected");
	allocator_of(L)->passing = n - 1;
	return 0;
}

/* stop() -> whether an allocation has failed since fail_at */
static int
l_stop(lua_State *L)
{
	struct allocator *allocator = allocator_of(L);
	bool has_failed = allocator->passing < 0;
	allocator->passing = -1;
	allocator->failing = 0;
	lua_pushboolean(L, has_failed);
	return 1;
}

/* Lua unloads its libraries before it frees its last blocks: with this one's allocator. */
static void
stay_loaded(lua_State *L)
{
	Dl_info library;
	if (!dladdr(allocators, &library) ||
	    !dlopen(library.dli_fname, RTLD_NOW | RTLD_NODELETE | RTLD_NOLOAD))
		luaL_error(L, "the library can't be kept loaded: %s", dlerror());
}

int
luaopen_failing_allocator(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"fail_at", l_fail_at},
		{"stop", l_stop},
		{NULL, NULL},
	};
	int number = atomic_fetch_add(&allocator_count, 1);
	if (number >= ALLOCATORS_MAX)
		return luaL_error(L, "only %d VMs may have a failing allocator", ALLOCATORS_MAX);
	stay_loaded(L);
	struct allocator *allocator = &allocators[number];
	allocator->function = lua_getallocf(L, &allocator->ud);
	allocator->passing = -1;
	luaL_newlibtable(L, functions);
	lua_pushlightuserdata(L, allocator);
	luaL_setfuncs(L, functions, 1);
	lua_setallocf(L, allocate, allocator);
	return 1;
}
