/* buffer.c: the bytes that a socket has received, for libraries that read.
 *
 * One block; what was read is cut off in front, what comes is added behind. The block moves only
 * when it is full, and is given up when it is empty, so an idle socket holds nothing, and each byte
 * is moved a small number of times however it is cut.
 *
 * The search for a separator goes on where the last one for the same separator ended: a long line
 * that comes byte by byte is looked at once.
 *
 * `pool`, an argument of today's functions, was where they kept spare nodes. It is not looked at,
 * except that readline without one only asks whether there is a line. */
#include "driver.h"

#include <string.h>

#define BUFFER "skynet.socketdriver.buffer"
#define LEAST_ROOM 256
/* Longer separators are looked for from the beginning each time. */
#define SEPARATOR_MAX 16

struct buffer {
	char *block; /* NULL: none */
	size_t room; /* of block */
	size_t start;
	size_t size;	 /* of what waits, from start on */
	size_t searched; /* so many bytes of it are no separator's first byte */
	size_t separator_size;
	char separator[SEPARATOR_MAX]; /* what was searched for */
};

static struct buffer *
check_buffer(lua_State *L)
{
	return luaL_checkudata(L, 1, BUFFER);
}

static void
clear(struct buffer *buffer)
{
	skynet_free(buffer->block);
	*buffer = (struct buffer){0};
}

/* Sees to it that size bytes can be added. */
static void
make_room(struct buffer *buffer, size_t size)
{
	if (buffer->start + buffer->size + size <= buffer->room)
		return;
	if (buffer->size + size <= buffer->room / 2) { /* at least half of it moves on for free */
		memmove(buffer->block, buffer->block + buffer->start, buffer->size);
		buffer->start = 0;
		return;
	}
	size_t room = 2 * (buffer->size + size);
	if (room < LEAST_ROOM)
		room = LEAST_ROOM;
	char *block = skynet_malloc(room);
	if (buffer->size > 0)
		memcpy(block, buffer->block + buffer->start, buffer->size);
	skynet_free(buffer->block);
	buffer->block = block;
	buffer->room = room;
	buffer->start = 0;
}

/* So many bytes have been read. */
static void
cut(struct buffer *buffer, size_t size)
{
	buffer->start += size;
	buffer->size -= size;
	buffer->searched -= size < buffer->searched ? size : buffer->searched;
	if (buffer->size == 0)
		clear(buffer);
}

static void
push_and_cut(lua_State *L, struct buffer *buffer, size_t size, size_t more)
{
	lua_pushlstring(L, buffer->size > 0 ? buffer->block + buffer->start : "", size);
	if (size + more > 0)
		cut(buffer, size + more);
}

static int
l_free(lua_State *L)
{
	clear(check_buffer(L));
	return 0;
}

static int
l_length(lua_State *L)
{
	lua_pushinteger(L, (lua_Integer)check_buffer(L)->size);
	return 1;
}

void
driver_register_buffer(lua_State *L)
{
	static const luaL_Reg methods[] = {
		{"__gc", l_free},
		{"__len", l_length},
		{NULL, NULL},
	};
	luaL_newmetatable(L, BUFFER);
	luaL_setfuncs(L, methods, 0);
	lua_pushboolean(L, false);
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 1);
}

/* buffer() -> buffer */
int
driver_buffer(lua_State *L)
{
	struct buffer *buffer = lua_newuserdatauv(L, sizeof *buffer, 0);
	*buffer = (struct buffer){0};
	luaL_setmetatable(L, BUFFER);
	return 1;
}

/* push(buffer, pool, pointer, size) -> how many bytes wait. The pointer is taken. */
int
driver_push(lua_State *L)
{
	struct buffer *buffer = check_buffer(L);
	luaL_checktype(L, 3, LUA_TLIGHTUSERDATA);
	char *bytes = lua_touserdata(L, 3);
	lua_Integer size = luaL_checkinteger(L, 4);
	luaL_argcheck(L, size == 0 || (size > 0 && bytes), 4, "not the size of this block");
	if (size > 0) {
		make_room(buffer, (size_t)size);
		memcpy(buffer->block + buffer->start + buffer->size, bytes, (size_t)size);
		buffer->size += (size_t)size;
	}
	skynet_free(bytes);
	lua_pushinteger(L, (lua_Integer)buffer->size);
	return 1;
}

/* pop(buffer, pool, count) -> string or nil, how many bytes wait then */
int
driver_pop(lua_State *L)
{
	struct buffer *buffer = check_buffer(L);
	lua_Integer count = luaL_checkinteger(L, 3);
	luaL_argcheck(L, count >= 0, 3, "not a number of bytes");
	if ((size_t)count <= buffer->size)
		push_and_cut(L, buffer, (size_t)count, 0);
	else
		lua_pushnil(L);
	lua_pushinteger(L, (lua_Integer)buffer->size);
	return 2;
}

/* --- lines --------------------------------------------------------------------------------- */

/* Where the search begins: it was done up to there. */
static size_t
begin_search(struct buffer *buffer, const char *separator, size_t size)
{
	if (size == buffer->separator_size && memcmp(separator, buffer->separator, size) == 0)
		return buffer->searched;
	buffer->searched = 0;
	buffer->separator_size = 0;
	if (size <= SEPARATOR_MAX) {
		memcpy(buffer->separator, separator, size);
		buffer->separator_size = size;
	}
	return 0;
}

/* Returns the length of the first line, without its separator; SIZE_MAX: it is not complete. */
static size_t
find_line(struct buffer *buffer, const char *separator, size_t size)
{
	size_t from = begin_search(buffer, separator, size);
	const char *bytes = buffer->block + buffer->start;
	while (buffer->size - from >= size) {
		size_t tail = size - 1; /* no first byte can be there */
		const char *at = memchr(bytes + from, separator[0], buffer->size - tail - from);
		from = at ? (size_t)(at - bytes) : buffer->size - tail;
		if (!at)
			break;
		if (memcmp(at, separator, size) == 0) {
			buffer->searched = buffer->separator_size > 0 ? from : 0;
			return from;
		}
		from++;
	}
	buffer->searched = buffer->separator_size > 0 ? from : 0;
	return SIZE_MAX;
}

/* readline(buffer, pool, separator) -> string or nil; without pool: whether there is a line */
int
driver_readline(lua_State *L)
{
	struct buffer *buffer = check_buffer(L);
	size_t size;
	const char *separator = luaL_checklstring(L, 3, &size);
	luaL_argcheck(L, size > 0, 3, "an empty separator");
	size_t length = buffer->size > 0 ? find_line(buffer, separator, size) : SIZE_MAX;
	if (lua_isnil(L, 2))
		lua_pushboolean(L, length != SIZE_MAX);
	else if (length == SIZE_MAX)
		lua_pushnil(L);
	else
		push_and_cut(L, buffer, length, size);
	return 1;
}

/* readall(buffer, pool) -> string */
int
driver_readall(lua_State *L)
{
	struct buffer *buffer = check_buffer(L);
	push_and_cut(L, buffer, buffer->size, 0);
	return 1;
}

/* clear(buffer, pool) */
int
driver_clear(lua_State *L)
{
	if (!lua_isnil(L, 1)) /* as of old: who has none has nothing to clear */
		clear(check_buffer(L));
	return 0;
}
