/* sk_settings.c: runs a config file in a Lua state of its own and collects what it sets.
 *
 * The file's environment is an empty table. Reading goes to the table of values and from there to
 * `include`; writing is seen by note_assignment, which remembers the order of the keys and where
 * each was set last. A Lua error unwinds to sk_settings_read, which owns everything a run allocates
 * outside of Lua (struct run), so nothing leaks on the way.
 *
 * I1  run.files[0..depth) are the files being run now, the including before the included.
 * I2  run.bytes is what the Lua state holds, and at most MEMORY_MAX.
 *
 * Threads  [boot] */
#include "sk_settings.h"

#include "sk_config_text.h"
#include "skynet.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <lauxlib.h>
#include <lua.h>

/* Lua instructions: far more than setting values can take, and a fraction of a second. */
#define STEPS_MAX 10000000
#define STEPS_PER_CHECK 10000
#define MEMORY_MAX (64 * 1024 * 1024)
#define DEPTH_MAX 32
/* Included files in all: an include in a loop ends soon. */
#define FILES_MAX 1000
#define ERROR_SIZE 1024

/* One file that is being run, on the list that shows a circle. */
struct running_file {
	char *path;
	dev_t device;
	ino_t inode;
};

/* One sk_settings_read. */
struct run {
	struct sk_settings *settings;
	struct running_file files[DEPTH_MAX];
	int depth;
	int file_count; /* so far */
	int steps;	/* so far */
	size_t bytes;	/* I2 */
	char error[ERROR_SIZE];
};

/* --- the list of settings --- */

struct sk_setting *
sk_settings_find(const struct sk_settings *settings, const char *key)
{
	for (size_t i = 0; i < settings->count; i++) {
		if (strcmp(settings->items[i].key, key) == 0)
			return &settings->items[i];
	}
	return NULL;
}

static struct sk_setting *
append_setting(struct sk_settings *settings, const char *key)
{
	if (settings->count == settings->cap_slots) {
		settings->cap_slots = settings->cap_slots > 0 ? settings->cap_slots * 2 : 32;
		settings->items = skynet_realloc(settings->items,
						 settings->cap_slots * sizeof(*settings->items));
	}
	struct sk_setting *setting = &settings->items[settings->count++];
	*setting = (struct sk_setting){.key = skynet_strdup(key)};
	return setting;
}

static void
replace_text(char **text, const char *with)
{
	char *copy = skynet_strdup(with);
	skynet_free(*text);
	*text = copy;
}

void
sk_settings_put(struct sk_settings *settings, const char *key, const char *value,
		enum sk_setting_type type, const char *where)
{
	struct sk_setting *setting = sk_settings_find(settings, key);
	if (setting == NULL)
		setting = append_setting(settings, key);
	setting->type = type;
	replace_text(&setting->value, value);
	replace_text(&setting->where, where);
}

static void
fini_setting(struct sk_setting *setting)
{
	skynet_free(setting->key);
	skynet_free(setting->value);
	skynet_free(setting->where);
}

void
sk_settings_fini(struct sk_settings *settings)
{
	for (size_t i = 0; i < settings->count; i++)
		fini_setting(&settings->items[i]);
	skynet_free(settings->items);
	*settings = (struct sk_settings){0};
}

/* --- the limits --- */

static struct run *
run_of(lua_State *L)
{
	return *(struct run **)lua_getextraspace(L);
}

/* A Lua allocator that stops at MEMORY_MAX. */
static void *
allocate(void *ud, void *block, size_t old_size, size_t new_size)
{
	struct run *run = ud;
	if (block == NULL)
		old_size = 0; /* Lua then passes a kind of object */
	if (new_size > old_size && new_size - old_size > MEMORY_MAX - run->bytes)
		return NULL;
	void *result = skynet_lalloc(block, old_size, new_size);
	if (result != NULL || new_size == 0)
		run->bytes += new_size - old_size; /* I2 */
	return result;
}

static void
count_steps(lua_State *L, lua_Debug *record)
{
	(void)record;
	struct run *run = run_of(L);
	run->steps += STEPS_PER_CHECK;
	if (run->steps < STEPS_MAX)
		return;
	luaL_where(L, 0); /* in a hook, level 0 is the function that was interrupted */
	lua_pushfstring(L, "the config does not come to an end (stopped after %d million steps)",
			STEPS_MAX / 1000000);
	lua_concat(L, 2);
	lua_error(L);
}

/* --- the file's environment --- */

/* The tables behind the environment, at the bottom of read_settings' stack and as upvalues of
 * note_assignment. */
enum table {
	VALUES = 1, /* key -> value */
	PLACES = 2, /* key -> "FILE:LINE: " of its last assignment */
	ORDER = 3,  /* 1, 2 ... -> key, as they were first set */
};

/* __newindex(environment, key, value) */
static int
note_assignment(lua_State *L)
{
	if (lua_type(L, 2) != LUA_TSTRING)
		return luaL_error(L, "a key must be a text, not a %s", luaL_typename(L, 2));
	if (strlen(lua_tostring(L, 2)) != lua_rawlen(L, 2))
		return luaL_error(L, "key '%s' goes on behind a zero byte", lua_tostring(L, 2));
	lua_pushvalue(L, 2);
	if (lua_rawget(L, lua_upvalueindex(PLACES)) == LUA_TNIL) {
		lua_pushvalue(L, 2);
		lua_rawseti(L, lua_upvalueindex(ORDER),
			    (lua_Integer)lua_rawlen(L, lua_upvalueindex(ORDER)) + 1);
	}
	lua_pushvalue(L, 2);
	luaL_where(L, 1);
	lua_rawset(L, lua_upvalueindex(PLACES));
	lua_settop(L, 3);
	lua_rawset(L, lua_upvalueindex(VALUES));
	return 0;
}

/* --- running files --- */

/* Pushes path; a relative one is taken from the folder of the file that is being run. */
static const char *
push_path(lua_State *L, const struct run *run, const char *path)
{
	const char *from = run->depth > 0 ? run->files[run->depth - 1].path : "";
	const char *slash = strrchr(from, '/');
	if (path[0] == '/' || slash == NULL)
		return lua_pushstring(L, path);
	lua_pushlstring(L, from, (size_t)(slash - from) + 1);
	lua_pushstring(L, path);
	lua_concat(L, 2);
	return lua_tostring(L, -1);
}

/* Raises an error when the file is already being run. */
static void
check_circle(lua_State *L, const struct run *run, const char *path, const struct stat *status)
{
	int first = 0;
	while (first < run->depth && (run->files[first].device != status->st_dev ||
				      run->files[first].inode != status->st_ino))
		first++;
	if (first == run->depth)
		return;
	luaL_Buffer text;
	luaL_buffinit(L, &text);
	for (int i = first; i < run->depth; i++) {
		luaL_addstring(&text, run->files[i].path);
		luaL_addstring(&text, " -> ");
	}
	luaL_addstring(&text, path);
	luaL_pushresult(&text);
	luaL_error(L, "a file includes itself: %s", lua_tostring(L, -1));
}

/* Puts the file on the list of those being run, or raises an error. */
static void
enter_file(lua_State *L, struct run *run, const char *path)
{
	struct stat status;
	if (stat(path, &status) != 0)
		luaL_error(L, "%s: cannot be opened: %s", path, strerror(errno));
	check_circle(L, run, path, &status);
	if (run->depth == DEPTH_MAX)
		luaL_error(L, "%s: is included more than %d files deep", path, DEPTH_MAX);
	if (++run->file_count > FILES_MAX)
		luaL_error(L, "%s: is the file number %d, which is over the limit", path,
			   FILES_MAX + 1);
	run->files[run->depth] = (struct running_file){
		.path = skynet_strdup(path),
		.device = status.st_dev,
		.inode = status.st_ino,
	};
	run->depth++; /* I1 */
}

static void
leave_file(struct run *run)
{
	run->depth--;
	skynet_free(run->files[run->depth].path);
}

/* Pushes the file as a function, or raises an error. */
static void
load_file(lua_State *L, struct run *run, const char *path)
{
	const char *chunk_name = lua_pushfstring(L, "@%s", path);
	struct sk_config_text text;
	if (sk_config_text_init(&text, path, run->error, sizeof(run->error)) != SK_OK)
		luaL_error(L, "%s", run->error);
	bool is_text = text.text[0] != LUA_SIGNATURE[0];
	int status = LUA_OK;
	if (is_text)
		status = luaL_loadbufferx(L, text.text, text.length, chunk_name, "t");
	sk_config_text_fini(&text);
	if (!is_text)
		luaL_error(L, "%s: is compiled Lua; a config must be a text", path);
	if (status != LUA_OK)
		lua_error(L);
	lua_remove(L, -2);
}

static void
run_file(lua_State *L, const char *path)
{
	struct run *run = run_of(L);
	const char *full = push_path(L, run, path);
	enter_file(L, run, full);
	load_file(L, run, full);
	lua_call(L, 0, 0);
	leave_file(run);
	lua_pop(L, 1);
}

/* include(path) */
static int
include(lua_State *L)
{
	if (lua_type(L, 1) != LUA_TSTRING)
		return luaL_error(L, "include needs the name of a file in quotes, not a %s",
				  luaL_typename(L, 1));
	run_file(L, lua_tostring(L, 1));
	return 0;
}

/* --- a whole run --- */

/* Makes the environment the table of globals; leaves VALUES, PLACES, ORDER on the stack. */
static void
make_environment(lua_State *L)
{
	lua_newtable(L);
	lua_newtable(L);
	lua_newtable(L);
	/* What values does not have: include. */
	lua_createtable(L, 0, 1);
	lua_createtable(L, 0, 1);
	lua_pushcfunction(L, include);
	lua_setfield(L, -2, "include");
	lua_setfield(L, -2, "__index");
	lua_setmetatable(L, VALUES);
	/* The environment itself stays empty. */
	lua_newtable(L);
	lua_createtable(L, 0, 2);
	lua_pushvalue(L, VALUES);
	lua_setfield(L, -2, "__index");
	lua_pushvalue(L, VALUES);
	lua_pushvalue(L, PLACES);
	lua_pushvalue(L, ORDER);
	lua_pushcclosure(L, note_assignment, 3);
	lua_setfield(L, -2, "__newindex");
	lua_setmetatable(L, -2);
	lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
}

/* Adds the setting whose key, where and value are the topmost three of the stack. */
static void
take_setting(lua_State *L, struct run *run)
{
	const char *key = lua_tostring(L, -3);
	const char *where = lua_tostring(L, -2);
	enum sk_setting_type type = SK_SETTING_TEXT;
	if (lua_type(L, -1) == LUA_TNUMBER)
		type = SK_SETTING_NUMBER;
	else if (lua_type(L, -1) == LUA_TBOOLEAN)
		type = SK_SETTING_BOOLEAN;
	else if (lua_type(L, -1) != LUA_TSTRING)
		luaL_error(
			L,
			"%skey '%s': a %s cannot be a setting; a text, a number, true or false can",
			where, key, luaL_typename(L, -1));
	size_t length;
	const char *value = luaL_tolstring(L, -1, &length);
	if (strlen(value) != length)
		luaL_error(L, "%skey '%s': the text goes on behind a zero byte", where, key);
	struct sk_setting *setting = append_setting(run->settings, key);
	setting->value = skynet_strdup(value);
	setting->where = skynet_strdup(where);
	setting->type = type;
	lua_pop(L, 1);
}

/* The whole run, in protected mode. path: a light userdata. */
static int
read_settings(lua_State *L)
{
	struct run *run = run_of(L);
	const char *path = lua_touserdata(L, 1);
	lua_settop(L, 0);
	make_environment(L);
	run_file(L, path);
	lua_sethook(L, NULL, 0, 0);
	lua_Integer count = (lua_Integer)lua_rawlen(L, ORDER);
	for (lua_Integer i = 1; i <= count; i++) {
		lua_rawgeti(L, ORDER, i);
		lua_pushvalue(L, -1);
		lua_rawget(L, PLACES);
		lua_pushvalue(L, -2);
		if (lua_rawget(L, VALUES) != LUA_TNIL)
			take_setting(L, run);
		lua_settop(L, ORDER);
	}
	return 0;
}

/* Writes the one line that is left of a Lua error. */
static void
describe(lua_State *L, int status, const char *path, char *error, size_t error_size)
{
	const char *text = lua_tostring(L, -1);
	if (status == LUA_ERRMEM)
		(void)snprintf(error, error_size, "%s: takes more than %d MiB of memory to run",
			       path, MEMORY_MAX / (1024 * 1024));
	else
		(void)snprintf(error, error_size, "%s", text != NULL ? text : "unknown Lua error");
	for (char *at = error; *at != '\0'; at++)
		if ((unsigned char)*at < ' ')
			*at = ' ';
}

int
sk_settings_read(struct sk_settings *settings, const char *path, char *error, size_t error_size)
{
	struct run run = {.settings = settings};
	lua_State *L = lua_newstate(allocate, &run);
	if (L == NULL) {
		(void)snprintf(error, error_size, "%s: no memory to run it", path);
		return SK_EINVAL;
	}
	*(struct run **)lua_getextraspace(L) = &run;
	lua_sethook(L, count_steps, LUA_MASKCOUNT, STEPS_PER_CHECK);
	lua_pushcfunction(L, read_settings);
	lua_pushlightuserdata(L, (void *)(uintptr_t)path);
	int status = lua_pcall(L, 1, 0, 0);
	if (status != LUA_OK)
		describe(L, status, path, error, error_size);
	lua_close(L);
	while (run.depth > 0)
		leave_file(&run);
	return status == LUA_OK ? SK_OK : SK_EINVAL;
}
