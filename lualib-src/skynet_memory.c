/* skynet_memory.c: what the allocator and the node's accounts tell: `require "skynet.memory"`.
 *
 * jemalloc's control functions are looked up when they are needed: a build without it, as those
 * under a sanitizer are, has none, and says so.
 * Threads    [turn]
 */
#include "skynet.h"

#include <dlfcn.h>
#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

SKYNET_API int luaopen_skynet_memory(lua_State *L);

typedef int (*control_function)(const char *name, void *old, size_t *old_size, void *new,
				size_t new_size);
typedef void (*print_function)(void (*write)(void *, const char *), void *ud, const char *options);

/* A function of jemalloc, which some systems build with a prefix, or NULL. */
static void *
look_up_function(lua_State *L, const char *name)
{
	void *function = dlsym(RTLD_DEFAULT, name);
	if (!function)
		function = dlsym(RTLD_DEFAULT, lua_pushfstring(L, "je_%s", name));
	return function;
}

/* The same; raises when there is none. */
static void *
find_function(lua_State *L, const char *name)
{
	void *function = look_up_function(L, name);
	if (!function)
		luaL_error(L, "this build of skynet has another allocator than jemalloc");
	return function;
}

static control_function
as_control(void *function)
{
	control_function control;
	memcpy(&control, &function, sizeof control); /* ISO C knows no cast between these */
	return control;
}

static control_function
find_control(lua_State *L)
{
	return as_control(find_function(L, "mallctl"));
}

/* Pushes the value called `name`; raises when there is none. jemalloc wants to be asked with the
 * very size of the value, so the sizes that there are are tried. */
static void
push_value(lua_State *L, control_function control, const char *name)
{
	uint64_t number;
	uint32_t word;
	bool boolean = false;
	size_t size = sizeof number;
	if (control(name, &number, &size, NULL, 0) == 0) {
		lua_pushinteger(L, (lua_Integer)number);
		return;
	}
	size = sizeof word;
	if (control(name, &word, &size, NULL, 0) == 0) {
		lua_pushinteger(L, (lua_Integer)word);
		return;
	}
	size = sizeof boolean;
	if (control(name, &boolean, &size, NULL, 0) != 0)
		luaL_error(L, "jemalloc has no value '%s'", name);
	lua_pushboolean(L, boolean);
}

/* jemalloc's statistics are taken when its epoch advances. */
static void
refresh(control_function control)
{
	uint64_t epoch = 1;
	(void)control("epoch", NULL, NULL, &epoch, sizeof epoch); /* else they stay a little old */
}

/* mallctl(name) -> number or boolean */
static int
l_mallctl(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);
	control_function control = find_control(L);
	refresh(control);
	push_value(L, control, name);
	return 1;
}

/* jestat() -> the sums that matter, in bytes */
static int
l_jestat(lua_State *L)
{
	static const char *const names[] = {
		"stats.allocated", "stats.resident", "stats.retained",
		"stats.mapped",	   "stats.active",
	};
	control_function control = find_control(L);
	refresh(control);
	lua_newtable(L);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		push_value(L, control, names[i]);
		lua_setfield(L, -2, names[i]);
	}
	return 1;
}

/* dumpinfo([options]): jemalloc's own report, on stderr */
static int
l_dumpinfo(lua_State *L)
{
	const char *options = luaL_optstring(L, 1, NULL);
	print_function print;
	void *function = find_function(L, "malloc_stats_print");
	memcpy(&print, &function, sizeof print);
	print(NULL, NULL, options);
	return 0;
}

/* dumpheap(): a profile of the heap, into a file that jemalloc names */
static int
l_dumpheap(lua_State *L)
{
	if (find_control(L)("prof.dump", NULL, NULL, NULL, 0) != 0)
		return luaL_error(L, "heap profiling is off: it needs a jemalloc that has it, and "
				     "MALLOC_CONF=prof:true in the environment");
	return 0;
}

/* profactive([flag]) -> whether the heap is being profiled */
static int
l_profactive(lua_State *L)
{
	control_function control = find_control(L);
	bool is_active = lua_toboolean(L, 1);
	if (!lua_isnoneornil(L, 1) &&
	    control("prof.active", NULL, NULL, &is_active, sizeof is_active) != 0)
		return luaL_error(L, "heap profiling is off: it needs a jemalloc that has it, and "
				     "MALLOC_CONF=prof:true in the environment");
	size_t size = sizeof is_active;
	if (control("prof.active", &is_active, &size, NULL, 0) != 0)
		is_active = false;
	lua_pushboolean(L, is_active);
	return 1;
}

/* current() -> the bytes that this service is charged for */
static int
l_current(lua_State *L)
{
	struct skynet_context *ctx = lua_touserdata(L, lua_upvalueindex(1));
	lua_pushinteger(L, strtoll(skynet_command(ctx, "STAT", "memory"), NULL, 10));
	return 1;
}

/* Calls each with the address and the bytes of every service. */
static void
for_each_service(lua_State *L, void (*each)(lua_State *L, uint32_t handle, int64_t bytes))
{
	struct skynet_context *ctx = lua_touserdata(L, lua_upvalueindex(1));
	char address[16] = "";
	const char *next;
	while ((next = skynet_command(ctx, "NEXT", address))) {
		(void)snprintf(address, sizeof address, "%s", next);
		const char *bytes = skynet_command(ctx, "MEMORY", address);
		if (bytes) /* it may have ended meanwhile */
			each(L, (uint32_t)strtoul(address + 1, NULL, 16), strtoll(bytes, NULL, 10));
	}
}

static void
add_to_table(lua_State *L, uint32_t handle, int64_t bytes)
{
	lua_pushinteger(L, bytes);
	lua_rawseti(L, -2, handle);
}

/* info() -> what each service is charged for: {[handle] = bytes} */
static int
l_info(lua_State *L)
{
	lua_newtable(L);
	for_each_service(L, add_to_table);
	return 1;
}

static void
add_to_number(lua_State *L, uint32_t handle, int64_t bytes)
{
	(void)handle;
	lua_pushinteger(L, lua_tointeger(L, -1) + bytes);
	lua_replace(L, -2);
}

/* total() -> what all services are charged for */
static int
l_total(lua_State *L)
{
	lua_pushinteger(L, 0);
	for_each_service(L, add_to_number);
	return 1;
}

/* A count of jemalloc's over all arenas, such as "small.nmalloc". */
static uint64_t
count_of_arenas(control_function control, const char *what)
{
	/* MALLCTL_ARENAS_ALL; the header has it as a constant for good. */
	static const unsigned all_arenas = 4096;
	char name[64];
	uint64_t count;
	size_t size = sizeof count;
	(void)snprintf(name, sizeof name, "stats.arenas.%u.%s", all_arenas, what);
	return control(name, &count, &size, NULL, 0) == 0 ? count : 0;
}

/* block() -> how many blocks are allocated, or 0 where the allocator does not count */
static int
l_block(lua_State *L)
{
	control_function control = as_control(look_up_function(L, "mallctl"));
	uint64_t count = 0;
	if (control) {
		refresh(control);
		count = count_of_arenas(control, "small.nmalloc") -
			count_of_arenas(control, "small.ndalloc") +
			count_of_arenas(control, "large.nmalloc") -
			count_of_arenas(control, "large.ndalloc");
	}
	lua_pushinteger(L, (lua_Integer)count);
	return 1;
}

static void
log_line(lua_State *L, uint32_t handle, int64_t bytes)
{
	struct skynet_context *ctx = lua_touserdata(L, lua_upvalueindex(1));
	skynet_error(ctx, ":%08x -> %lld bytes", handle, (long long)bytes);
}

/* dump(): logs a line for each service */
static int
l_dump(lua_State *L)
{
	for_each_service(L, log_line);
	return 0;
}

int
luaopen_skynet_memory(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"mallctl", l_mallctl},
		{"jestat", l_jestat},
		{"dumpinfo", l_dumpinfo},
		{"dumpheap", l_dumpheap},
		{"profactive", l_profactive},
		{"current", l_current},
		{"info", l_info},
		{"total", l_total},
		{"block", l_block},
		{"dump", l_dump},
		{NULL, NULL},
	};
	luaL_newlibtable(L, functions);
	if (lua_getfield(L, LUA_REGISTRYINDEX, "skynet_context") != LUA_TLIGHTUSERDATA)
		return luaL_error(L, "skynet.memory works only inside a skynet service");
	luaL_setfuncs(L, functions, 1);
	return 1;
}
