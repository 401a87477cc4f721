/* profile.c: how much CPU time a coroutine takes; see profile.h.
 *
 * A table of the VM, with weak keys, has a record for each coroutine that is measured. The clock of
 * the thread's CPU time is read when a slice begins and when it ends; between them a coroutine
 * stays on one thread.
 */
#include "profile.h"

#include <lauxlib.h>
#include <time.h>

#define NS_PER_SECOND 1000000000

struct profile {
	int64_t used_ns;  /* of slices that are over */
	int64_t since_ns; /* where the present slice began */
	bool is_running;
};

static int64_t
cpu_ns(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (int64_t)now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

/* The record of a coroutine, or NULL. Allocates nothing. */
static struct profile *
find_profile(const struct engine *engine, lua_State *co)
{
	if (engine->profiles == LUA_NOREF || !lua_checkstack(co, 3))
		return NULL;
	lua_rawgeti(co, LUA_REGISTRYINDEX, engine->profiles);
	(void)lua_pushthread(co);
	lua_rawget(co, -2);
	struct profile *profile = lua_touserdata(co, -1);
	lua_pop(co, 2);
	return profile;
}

/* The coroutine is not measured any more. Cannot raise: its key is there. */
static void
forget(struct engine *engine, lua_State *co)
{
	lua_rawgeti(co, LUA_REGISTRYINDEX, engine->profiles);
	(void)lua_pushthread(co);
	lua_pushnil(co);
	lua_rawset(co, -3);
	lua_pop(co, 1);
	if (--engine->profile_count > 0)
		return;
	luaL_unref(co, LUA_REGISTRYINDEX, engine->profiles);
	engine->profiles = LUA_NOREF;
}

void
profile_begin(struct engine *engine, lua_State *co)
{
	struct profile *profile = find_profile(engine, co);
	if (!profile)
		return;
	profile->is_running = true;
	profile->since_ns = cpu_ns();
}

void
profile_end(struct engine *engine, lua_State *co, bool is_over)
{
	struct profile *profile = find_profile(engine, co);
	if (!profile)
		return;
	profile->used_ns += cpu_ns() - profile->since_ns;
	profile->is_running = false;
	if (is_over)
		forget(engine, co);
}

/* --- the library --------------------------------------------------------------------------- */

static lua_State *
coroutine_argument(lua_State *L)
{
	if (lua_isnoneornil(L, 1))
		return L;
	luaL_checktype(L, 1, LUA_TTHREAD);
	return lua_tothread(L, 1);
}

static void
push_profiles(lua_State *L, struct engine *engine)
{
	if (engine->profiles == LUA_NOREF) {
		lua_newtable(L);
		lua_createtable(L, 0, 1);
		lua_pushliteral(L, "k");
		lua_setfield(L, -2, "__mode");
		lua_setmetatable(L, -2);
		engine->profiles = luaL_ref(L, LUA_REGISTRYINDEX);
		engine->profile_count = 0;
	}
	lua_rawgeti(L, LUA_REGISTRYINDEX, engine->profiles);
}

/* Whether it runs, itself or what it has resumed. */
static bool
is_running(lua_State *L, lua_State *co)
{
	lua_Debug where;
	return co == L || (lua_status(co) == LUA_OK && lua_getstack(co, 0, &where));
}

static int
l_start(lua_State *L)
{
	struct engine *engine = engine_of(L);
	lua_State *co = coroutine_argument(L);
	if (find_profile(engine, co))
		return luaL_error(L, "profile.start: this coroutine is measured already; stop it "
				     "first");
	lua_settop(L, 1);
	if (lua_isnil(L, 1)) {
		(void)lua_pushthread(L);
		lua_replace(L, 1);
	}
	push_profiles(L, engine);
	lua_pushvalue(L, 1);
	struct profile *profile = lua_newuserdatauv(L, sizeof *profile, 0);
	*profile = (struct profile){.is_running = is_running(L, co)};
	lua_rawset(L, -3);
	engine->profile_count++;
	profile->since_ns = cpu_ns();
	return 0;
}

static int
l_stop(lua_State *L)
{
	struct engine *engine = engine_of(L);
	lua_State *co = coroutine_argument(L);
	struct profile *profile = find_profile(engine, co);
	if (!profile)
		return luaL_error(L, "profile.stop: this coroutine is not measured; start it "
				     "first");
	int64_t used_ns = profile->used_ns;
	if (profile->is_running)
		used_ns += cpu_ns() - profile->since_ns;
	forget(engine, co);
	lua_pushnumber(L, (lua_Number)used_ns / NS_PER_SECOND);
	return 1;
}

int
profile_open(lua_State *L, lua_CFunction resume, lua_CFunction wrap)
{
	lua_createtable(L, 0, 4);
	lua_pushcfunction(L, l_start);
	lua_setfield(L, -2, "start");
	lua_pushcfunction(L, l_stop);
	lua_setfield(L, -2, "stop");
	lua_pushcfunction(L, resume);
	lua_setfield(L, -2, "resume");
	lua_pushcfunction(L, wrap);
	lua_setfield(L, -2, "wrap");
	return 1;
}
