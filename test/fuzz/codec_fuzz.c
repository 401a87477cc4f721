/* codec_fuzz.c: a libFuzzer target for the "lua" message format. Any bytes give values or an error;
 * values can be packed and read again. `make fuzz` builds and runs it. */
#include "../../service-src/snlua/codec.c"

#include <lualib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#ifndef HAS_CORE /* as a unit test has */
/* The format needs this one of the core. */
void *
skynet_realloc(void *ptr, size_t size)
{
	return realloc(ptr, size);
}
#endif

struct input {
	const char *data;
	size_t size;
};

static int
l_unpack(lua_State *L)
{
	const struct input *input = lua_touserdata(L, 1);
	lua_settop(L, 0);
	return codec_unpack(L, input->data, input->size);
}

/* Makes an object of a handle, as skynet.remote does: one that is packed as that handle again. */
static int
l_make_object(lua_State *L)
{
	lua_settop(L, 1);
	lua_newtable(L);
	lua_insert(L, 1);
	lua_setfield(L, 1, "__remote");
	return 1;
}

/* What was packed must be readable, and as many values. Its bytes may change when it is packed
 * again: the order of pairs, and the length of an array with holes. */
static void
check_again(lua_State *L, const struct codec_buffer *buffer)
{
	struct codec_buffer again = {.has_references = true};
	int count = lua_gettop(L);
	if (!lua_checkstack(L, count + LUA_MINSTACK))
		abort();
	if (codec_unpack(L, buffer->data, buffer->size) != count || lua_gettop(L) != 2 * count)
		abort();
	for (int i = 1; i <= count; i++)
		if (lua_type(L, i) != lua_type(L, count + i))
			abort();
	codec_pack(L, count + 1, &again);
	codec_buffer_free(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {(const char *)data, size};
	struct codec_buffer buffer = {.has_references = true};
	lua_State *L = luaL_newstate();
	if (!L)
		return 0;
	lua_pushcfunction(L, l_make_object);
	lua_setfield(L, LUA_REGISTRYINDEX, CODEC_REFERENCES);
	lua_pushcfunction(L, l_unpack);
	lua_pushlightuserdata(L, &input);
	if (lua_pcall(L, 1, LUA_MULTRET, 0) == LUA_OK) {
		codec_pack(L, 1, &buffer);
		check_again(L, &buffer);
	} else if (lua_gettop(L) != 1 || !strstr(lua_tostring(L, 1), "Invalid serialize stream")) {
		abort();
	}
	codec_buffer_free(&buffer);
	lua_close(L);
	return 0;
}
