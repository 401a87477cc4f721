/* api.c: the table that `require "skynet"` returns. It is empty at first: a field is made when it
 * is first touched, so that a service pays for nothing that it does not use. */
#include "api.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define FUNCTIONS_MAX 256

struct constant {
	const char *name;
	int value;
};

/* A function that is written in Lua: a field of the table that the module returns. */
struct lua_function {
	const char *name;
	const char *module;
};

static const luaL_Reg *const c_functions[] = {
	api_message_functions, api_answer_functions,  api_protocol_functions, api_task_functions,
	api_service_functions, api_mailbox_functions, api_memory_functions,   api_trace_functions,
};

static const struct lua_function lua_functions[] = {
	{"_proto", "skynet.protocols"},
	{"cache", "skynet.cache"},
	{"cancel", "skynet.timer"},
	{"clear_group", "skynet.group"},
	{"enter_group", "skynet.group"},
	{"filter", "skynet.message_filter"},
	{"forward_type", "skynet.message_filter"},
	{"info_func", "skynet.debug"},
	{"interval", "skynet.timer"},
	{"interval_ms", "skynet.timer"},
	{"killthread", "skynet.task"},
	{"leave_group", "skynet.group"},
	{"link", "skynet.link"},
	{"monitor", "skynet.unique_service"},
	{"query_group", "skynet.group"},
	{"queryservice", "skynet.unique_service"},
	{"remote_bind", "skynet.remote"},
	{"remote_create", "skynet.remote"},
	{"remote_handle", "skynet.remote"},
	{"remote_release", "skynet.remote"},
	{"remote_root", "skynet.remote"},
	{"request", "skynet.select"},
	{"task", "skynet.task"},
	{"uniqtask", "skynet.task"},
	{"uniqueservice", "skynet.unique_service"},
	{NULL, NULL},
};

static const struct constant constants[] = {
	{"PTYPE_TEXT", PTYPE_TEXT},
	{"PTYPE_RESPONSE", PTYPE_RESPONSE},
	{"PTYPE_MULTICAST", PTYPE_MULTICAST},
	{"PTYPE_CLIENT", PTYPE_CLIENT},
	{"PTYPE_SYSTEM", PTYPE_SYSTEM},
	{"PTYPE_HARBOR", PTYPE_HARBOR},
	{"PTYPE_SOCKET", PTYPE_SOCKET},
	{"PTYPE_ERROR", PTYPE_ERROR},
	{"PTYPE_QUEUE", PTYPE_RESERVED_QUEUE},
	{"PTYPE_DEBUG", PTYPE_RESERVED_DEBUG},
	{"PTYPE_LUA", PTYPE_RESERVED_LUA},
	{"PTYPE_SNAX", PTYPE_RESERVED_SNAX},
	{"PTYPE_TRACE", PTYPE_TRACE},
	{"PTYPE_REMOTE", PTYPE_RESERVED_REMOTE},
	{NULL, 0},
};

/* All C functions in the order of their names. */
static luaL_Reg by_name[FUNCTIONS_MAX];
static size_t by_name_count;
static pthread_once_t by_name_once = PTHREAD_ONCE_INIT;

static int
compare_names(const void *a, const void *b)
{
	return strcmp(((const luaL_Reg *)a)->name, ((const luaL_Reg *)b)->name);
}

static void
sort_by_name(void)
{
	for (size_t i = 0; i < sizeof c_functions / sizeof *c_functions; i++) {
		for (const luaL_Reg *entry = c_functions[i]; entry->name; entry++) {
			assert(by_name_count < FUNCTIONS_MAX);
			by_name[by_name_count++] = *entry;
		}
	}
	qsort(by_name, by_name_count, sizeof *by_name, compare_names);
}

/* Pushes the field called `name`, as far as it is written in C. Returns false when it is not. */
static bool
push_c_field(lua_State *L, const char *name)
{
	luaL_Reg wanted = {name, NULL};
	luaL_Reg *found = bsearch(&wanted, by_name, by_name_count, sizeof *by_name, compare_names);
	if (found) {
		lua_pushcfunction(L, found->func);
		return true;
	}
	for (const struct constant *constant = constants; constant->name; constant++) {
		if (strcmp(constant->name, name) != 0)
			continue;
		lua_pushinteger(L, constant->value);
		return true;
	}
	return false;
}

/* The same for what is written in Lua. */
static bool
push_lua_field(lua_State *L, const char *name)
{
	for (const struct lua_function *entry = lua_functions; entry->name; entry++) {
		if (strcmp(entry->name, name) != 0)
			continue;
		lua_getglobal(L, "require");
		lua_pushstring(L, entry->module);
		lua_call(L, 1, 1);
		lua_getfield(L, -1, name);
		lua_remove(L, -2);
		return true;
	}
	return false;
}

/* __index(table, key) */
static int
make_field(lua_State *L)
{
	if (lua_type(L, 2) != LUA_TSTRING)
		return 0;
	const char *name = lua_tostring(L, 2);
	if (!push_c_field(L, name) && !push_lua_field(L, name))
		return 0;
	lua_pushvalue(L, 2);
	lua_pushvalue(L, -2);
	lua_rawset(L, 1);
	return 1;
}

/* Makes field `name` of the table at index 1 unless it is there. */
static void
touch_field(lua_State *L, const char *name)
{
	lua_getfield(L, 1, name);
	lua_pop(L, 1);
}

/* __pairs(table): who looks at all of it shall see all of it. */
static int
make_all_fields(lua_State *L)
{
	for (size_t i = 0; i < by_name_count; i++)
		touch_field(L, by_name[i].name);
	for (const struct constant *constant = constants; constant->name; constant++)
		touch_field(L, constant->name);
	for (const struct lua_function *entry = lua_functions; entry->name; entry++)
		touch_field(L, entry->name);
	lua_getglobal(L, "next");
	lua_pushvalue(L, 1);
	return 2;
}

int
api_open(lua_State *L)
{
	(void)pthread_once(&by_name_once, sort_by_name);
	lua_settop(L, 0);
	api_add_protocols(L);
	lua_createtable(L, 0, 16);
	lua_createtable(L, 0, 2);
	lua_pushcfunction(L, make_field);
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, make_all_fields);
	lua_setfield(L, -2, "__pairs");
	lua_setmetatable(L, -2);
	lua_getglobal(L, "pcall"); /* kept for programs of old */
	lua_setfield(L, -2, "pcall");
	return 1;
}
