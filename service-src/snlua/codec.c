/* codec.c: packs and unpacks the "lua" message format. */
#include "codec.h"

#include "skynet.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum kind {
	KIND_NIL = 0,
	KIND_BOOLEAN = 1,
	KIND_NUMBER = 2,
	KIND_POINTER = 3,
	KIND_SHORT_STRING = 4,
	KIND_LONG_STRING = 5,
	KIND_TABLE = 6,
	KIND_REFERENCE = 7,
};

/* Details of KIND_NUMBER: which bytes follow. */
enum number_detail {
	NUMBER_ZERO = 0,
	NUMBER_BYTE = 1,
	NUMBER_WORD = 2,
	NUMBER_DWORD = 4,
	NUMBER_QWORD = 6,
	NUMBER_REAL = 8,
};

#define SHORT_STRING_MAX 31
#define ARRAY_DETAIL_MAX 31 /* this detail: the size follows as a number */
#define DEPTH_MAX 32
#define BUFFER_FIRST_BYTES 256
/* So many values of a table are looked at before it is made. */
#define LOOK_AHEAD_VALUES 64

/* --- packing ------------------------------------------------------------------------------- */

static void
grow(struct codec_buffer *buffer, size_t size)
{
	size_t capacity = buffer->capacity ? buffer->capacity * 2 : BUFFER_FIRST_BYTES;
	while (capacity - buffer->size < size)
		capacity *= 2;
	buffer->data = skynet_realloc(buffer->data, capacity);
	buffer->capacity = capacity;
}

static inline char *
reserve(struct codec_buffer *buffer, size_t size)
{
	if (__builtin_expect(buffer->capacity - buffer->size < size, 0))
		grow(buffer, size);
	char *place = buffer->data + buffer->size;
	buffer->size += size;
	return place;
}

static inline void
put_tagged(struct codec_buffer *buffer, enum kind kind, unsigned detail, const void *bytes,
	   size_t size)
{
	char *place = reserve(buffer, 1 + size);
	place[0] = (char)(kind | detail << 3);
	if (size)
		memcpy(place + 1, bytes, size);
}

static void
put_integer(struct codec_buffer *buffer, lua_Integer value)
{
	if (value == 0) {
		put_tagged(buffer, KIND_NUMBER, NUMBER_ZERO, NULL, 0);
	} else if (value != (int32_t)value) {
		int64_t qword = value;
		put_tagged(buffer, KIND_NUMBER, NUMBER_QWORD, &qword, sizeof qword);
	} else if (value < 0 || value > UINT16_MAX) {
		int32_t dword = (int32_t)value;
		put_tagged(buffer, KIND_NUMBER, NUMBER_DWORD, &dword, sizeof dword);
	} else if (value > UINT8_MAX) {
		uint16_t word = (uint16_t)value;
		put_tagged(buffer, KIND_NUMBER, NUMBER_WORD, &word, sizeof word);
	} else {
		uint8_t byte = (uint8_t)value;
		put_tagged(buffer, KIND_NUMBER, NUMBER_BYTE, &byte, sizeof byte);
	}
}

static void
put_string(lua_State *L, struct codec_buffer *buffer, int index)
{
	size_t size;
	const char *bytes = lua_tolstring(L, index, &size);
	if (size <= SHORT_STRING_MAX) {
		put_tagged(buffer, KIND_SHORT_STRING, (unsigned)size, bytes, size);
		return;
	}
	if (size <= UINT16_MAX) {
		uint16_t length = (uint16_t)size;
		put_tagged(buffer, KIND_LONG_STRING, sizeof length, &length, sizeof length);
	} else if (size <= INT32_MAX) {
		uint32_t length = (uint32_t)size;
		put_tagged(buffer, KIND_LONG_STRING, sizeof length, &length, sizeof length);
	} else {
		luaL_error(L, "Unsupport string of %f bytes to serialize", (double)size);
	}
	memcpy(reserve(buffer, size), bytes, size);
}

static void pack_value(lua_State *L, struct codec_buffer *buffer, int index, int depth);

/* Packs the pair on top of the stack, its key at index `key`, and pops its value. */
static void
pack_pair(lua_State *L, struct codec_buffer *buffer, int key, int depth)
{
	pack_value(L, buffer, key, depth);
	pack_value(L, buffer, key + 1, depth);
	lua_pop(L, 1);
}

/* Calls a function of the user, which may pack too, and fail at it, in the same buffer. */
static void
call(lua_State *L, struct codec_buffer *buffer, int argument_count, int result_count)
{
	size_t size = buffer->size;
	lua_call(L, argument_count, result_count);
	buffer->size = size;
}

/* A table that says itself what its pairs are. Its __pairs function is on top. */
static void
pack_by_metamethod(lua_State *L, struct codec_buffer *buffer, int index, int depth)
{
	int next = lua_gettop(L); /* with state and control behind it, as the call leaves them */
	put_tagged(buffer, KIND_TABLE, 0, NULL, 0);
	lua_pushvalue(L, index);
	call(L, buffer, 1, 3);
	for (;;) {
		lua_pushvalue(L, next);
		lua_pushvalue(L, next + 1);
		lua_pushvalue(L, next + 2);
		call(L, buffer, 2, 2);
		if (lua_isnil(L, -2))
			break;
		pack_pair(L, buffer, next + 3, depth);
		lua_replace(L, next + 2); /* the key is the next control */
	}
	lua_settop(L, next - 1);
	put_tagged(buffer, KIND_NIL, 0, NULL, 0);
}

static void
put_array_size(struct codec_buffer *buffer, size_t size)
{
	if (size < ARRAY_DETAIL_MAX) {
		put_tagged(buffer, KIND_TABLE, (unsigned)size, NULL, 0);
		return;
	}
	put_tagged(buffer, KIND_TABLE, ARRAY_DETAIL_MAX, NULL, 0);
	put_integer(buffer, (lua_Integer)size);
}

static bool
is_integer_key(lua_State *L, int index, lua_Integer key)
{
	return lua_isinteger(L, index) && lua_tointeger(L, index) == key;
}

static bool
is_array_key(lua_State *L, int index, size_t array_size)
{
	if (!lua_isinteger(L, index))
		return false;
	lua_Integer key = lua_tointeger(L, index);
	return key >= 1 && (lua_Unsigned)key <= array_size;
}

/* For a table whose array lies in part among its pairs: from element i on one by one, then all
 * pairs that are no element. The key that lua_next has left off at is on top, and popped. */
static void
pack_scattered(lua_State *L, struct codec_buffer *buffer, int index, size_t i, size_t array_size,
	       int depth)
{
	int key = lua_gettop(L);
	lua_pop(L, 1);
	for (; i <= array_size; i++) {
		lua_rawgeti(L, index, (lua_Integer)i);
		pack_value(L, buffer, key, depth);
		lua_pop(L, 1);
	}
	lua_pushnil(L);
	while (lua_next(L, index)) {
		if (is_array_key(L, key, array_size))
			lua_pop(L, 1);
		else
			pack_pair(L, buffer, key, depth);
	}
}

/* lua_next goes through most arrays in order, before all else: then one pass does. */
static void
pack_pairs(lua_State *L, struct codec_buffer *buffer, int index, size_t array_size, int depth)
{
	int key = lua_gettop(L) + 1;
	lua_pushnil(L);
	for (size_t i = 1; i <= array_size; i++) {
		if (!lua_next(L, index)) {
			lua_pushnil(L); /* elements that are nil, at the end */
			pack_scattered(L, buffer, index, i, array_size, depth);
			return;
		}
		if (!is_integer_key(L, key, (lua_Integer)i)) {
			lua_pop(L, 1);
			pack_scattered(L, buffer, index, i, array_size, depth);
			return;
		}
		pack_value(L, buffer, key + 1, depth);
		lua_pop(L, 1);
	}
	while (lua_next(L, index))
		pack_pair(L, buffer, key, depth);
}

/* A remote object, or what stands for one, is packed as its handle. Returns whether it is one. */
static bool
pack_reference(lua_State *L, struct codec_buffer *buffer, int index)
{
	lua_pushliteral(L, "__remote");
	lua_rawget(L, index);
	bool is_reference = lua_isinteger(L, -1);
	int64_t handle = lua_tointeger(L, -1);
	lua_pop(L, 1);
	if (is_reference)
		put_tagged(buffer, KIND_REFERENCE, 0, &handle, sizeof handle);
	return is_reference;
}

static void
pack_table(lua_State *L, struct codec_buffer *buffer, int index, int depth)
{
	if (depth > DEPTH_MAX)
		luaL_error(L, "serialize can't pack too depth table");
	luaL_checkstack(L, LUA_MINSTACK, "to pack a table");
	if (buffer->has_references && pack_reference(L, buffer, index))
		return;
	if (luaL_getmetafield(L, index, "__pairs") != LUA_TNIL) {
		pack_by_metamethod(L, buffer, index, depth);
		return;
	}
	size_t array_size = lua_rawlen(L, index);
	put_array_size(buffer, array_size);
	pack_pairs(L, buffer, index, array_size, depth);
	put_tagged(buffer, KIND_NIL, 0, NULL, 0);
}

static void
pack_value(lua_State *L, struct codec_buffer *buffer, int index, int depth)
{
	switch (lua_type(L, index)) {
	case LUA_TNIL:
		put_tagged(buffer, KIND_NIL, 0, NULL, 0);
		break;
	case LUA_TBOOLEAN:
		put_tagged(buffer, KIND_BOOLEAN, lua_toboolean(L, index) ? 1 : 0, NULL, 0);
		break;
	case LUA_TNUMBER:
		if (lua_isinteger(L, index)) {
			put_integer(buffer, lua_tointeger(L, index));
		} else {
			double real = lua_tonumber(L, index);
			put_tagged(buffer, KIND_NUMBER, NUMBER_REAL, &real, sizeof real);
		}
		break;
	case LUA_TSTRING:
		put_string(L, buffer, index);
		break;
	case LUA_TLIGHTUSERDATA: {
		void *pointer = lua_touserdata(L, index);
		put_tagged(buffer, KIND_POINTER, 0, &pointer, sizeof pointer);
		break;
	}
	case LUA_TTABLE:
		pack_table(L, buffer, index, depth + 1);
		break;
	default:
		luaL_error(L, "Unsupport type %s to serialize", luaL_typename(L, index));
	}
}

void
codec_pack(lua_State *L, int first, struct codec_buffer *buffer)
{
	int top = lua_gettop(L);
	if (!buffer->data) /* no value at all has an address too */
		grow(buffer, 0);
	for (int i = first; i <= top; i++)
		pack_value(L, buffer, i, 0);
}

void
codec_buffer_free(struct codec_buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct codec_buffer){.has_references = buffer->has_references};
}

/* --- unpacking ----------------------------------------------------------------------------- */

struct reader {
	lua_State *L;
	const unsigned char *next;
	const unsigned char *end;
	size_t size; /* of the whole, for the error text */
	size_t owed; /* elements that the open arrays still claim */
};

static void
fail(const struct reader *reader, int line)
{
	luaL_error(reader->L, "Invalid serialize stream %d (line:%d)", (int)reader->size, line);
}

static const unsigned char *
take(struct reader *reader, size_t size, int line)
{
	const unsigned char *bytes = reader->next;
	if ((size_t)(reader->end - bytes) < size)
		fail(reader, line);
	reader->next += size;
	return bytes;
}

static lua_Integer
take_integer(struct reader *reader, unsigned detail)
{
	switch (detail) {
	case NUMBER_ZERO:
		return 0;
	case NUMBER_BYTE:
		return *take(reader, 1, __LINE__);
	case NUMBER_WORD: {
		uint16_t word;
		memcpy(&word, take(reader, sizeof word, __LINE__), sizeof word);
		return word;
	}
	case NUMBER_DWORD: {
		int32_t dword;
		memcpy(&dword, take(reader, sizeof dword, __LINE__), sizeof dword);
		return dword;
	}
	case NUMBER_QWORD: {
		int64_t qword;
		memcpy(&qword, take(reader, sizeof qword, __LINE__), sizeof qword);
		return qword;
	}
	default:
		fail(reader, __LINE__);
		return 0;
	}
}

static void
unpack_number(struct reader *reader, unsigned detail)
{
	if (detail != NUMBER_REAL) {
		lua_pushinteger(reader->L, take_integer(reader, detail));
		return;
	}
	double real;
	memcpy(&real, take(reader, sizeof real, __LINE__), sizeof real);
	lua_pushnumber(reader->L, real);
}

static void
unpack_long_string(struct reader *reader, unsigned detail)
{
	uint32_t size = 0;
	if (detail == sizeof(uint16_t)) {
		uint16_t word;
		memcpy(&word, take(reader, sizeof word, __LINE__), sizeof word);
		size = word;
	} else if (detail == sizeof(uint32_t)) {
		memcpy(&size, take(reader, sizeof size, __LINE__), sizeof size);
	} else {
		fail(reader, __LINE__);
	}
	lua_pushlstring(reader->L, (const char *)take(reader, size, __LINE__), size);
}

static void unpack_value(struct reader *reader, int depth);

static size_t
take_array_size(struct reader *reader, unsigned detail)
{
	if (detail < ARRAY_DETAIL_MAX)
		return detail;
	unsigned tag = *take(reader, 1, __LINE__);
	if ((tag & 7) != KIND_NUMBER)
		fail(reader, __LINE__);
	lua_Integer size = take_integer(reader, tag >> 3);
	/* Each element takes a byte at least, those of the tables around too, so a size beyond the
	 * rest is a lie. */
	if (size < 0 || size > reader->end - reader->next - (ptrdiff_t)reader->owed)
		fail(reader, __LINE__);
	return (size_t)size;
}

/* How many bytes follow the tag of a value, but for what stands in a table. More than there are
 * when the value is broken: whoever unpacks it will tell. */
static size_t
bytes_behind(const unsigned char *tag, const unsigned char *end)
{
	static const unsigned char number_bytes[32] = {
		[NUMBER_BYTE] = 1,  [NUMBER_WORD] = 2, [NUMBER_DWORD] = 4,
		[NUMBER_QWORD] = 8, [NUMBER_REAL] = 8,
	};
	unsigned detail = *tag >> 3;
	uint32_t length = 0;
	switch (*tag & 7) {
	case KIND_NUMBER:
		return number_bytes[detail];
	case KIND_POINTER:
		return sizeof(void *);
	case KIND_REFERENCE:
		return sizeof(int64_t);
	case KIND_SHORT_STRING:
		return detail;
	case KIND_LONG_STRING:
		if (detail > sizeof length || (size_t)(end - tag) <= detail)
			return SIZE_MAX;
		memcpy(&length, tag + 1, detail);
		return detail + (size_t)length;
	default:
		return 0;
	}
}

/* About how many pairs the table has whose array, of so many elements, comes next: so its hash part
 * is made in one piece. Looks ahead a bounded way, so that tables in tables cost no more than their
 * bytes; what is nested counts as well as it is met. Little-endian, as the format. */
static int
guess_pairs(const struct reader *reader, size_t array_size)
{
	const unsigned char *at = reader->next;
	size_t values = 0;
	int open = 1;
	for (int steps = 0; open > 0 && at < reader->end && steps < LOOK_AHEAD_VALUES; steps++) {
		bool is_table = (*at & 7) == KIND_TABLE;
		size_t behind = bytes_behind(at, reader->end);
		if (open == 1 && *at != KIND_NIL)
			values++;
		if (is_table)
			open++;
		else if (*at == KIND_NIL)
			open--;
		if (behind >= (size_t)(reader->end - at))
			break;
		at += 1 + behind;
	}
	return values > array_size ? (int)((values - array_size) / 2) : 0;
}

/* Sets the pairs of the table on top of the stack, up to the nil that ends them. */
static void
unpack_pairs(struct reader *reader, int depth)
{
	lua_State *L = reader->L;
	for (;;) {
		unsigned tag = *take(reader, 1, __LINE__);
		if (tag == KIND_NIL)
			return;
		reader->next--;
		unpack_value(reader, depth);
		/* NaN cannot be a key. */
		if (tag == (KIND_NUMBER | NUMBER_REAL << 3) &&
		    lua_tonumber(L, -1) != lua_tonumber(L, -1))
			fail(reader, __LINE__);
		unpack_value(reader, depth);
		lua_rawset(L, -3);
	}
}

static void
unpack_table(struct reader *reader, unsigned detail, int depth)
{
	lua_State *L = reader->L;
	size_t array_size = take_array_size(reader, detail);
	if (depth > DEPTH_MAX)
		fail(reader, __LINE__);
	luaL_checkstack(L, LUA_MINSTACK, "to unpack a table");
	lua_createtable(L, (int)array_size, guess_pairs(reader, array_size));
	reader->owed += array_size;
	for (size_t i = 1; i <= array_size; i++) {
		reader->owed--;
		unpack_value(reader, depth);
		lua_rawseti(L, -2, (lua_Integer)i);
	}
	unpack_pairs(reader, depth);
}

/* Pushes what makes an object of a handle. A service that meets its first reference may not have
 * loaded the library yet. */
static void
push_maker(struct reader *reader)
{
	lua_State *L = reader->L;
	if (lua_getfield(L, LUA_REGISTRYINDEX, CODEC_REFERENCES) == LUA_TFUNCTION)
		return;
	lua_pop(L, 1);
	if (lua_getglobal(L, "require") != LUA_TFUNCTION)
		fail(reader, __LINE__);
	lua_pushliteral(L, "skynet.remote");
	lua_call(L, 1, 0);
	lua_getfield(L, LUA_REGISTRYINDEX, CODEC_REFERENCES);
}

static void
unpack_reference(struct reader *reader, unsigned detail)
{
	int64_t handle;
	if (detail != 0)
		fail(reader, __LINE__);
	memcpy(&handle, take(reader, sizeof handle, __LINE__), sizeof handle);
	push_maker(reader);
	lua_pushinteger(reader->L, handle);
	lua_call(reader->L, 1, 1);
}

static void
unpack_value(struct reader *reader, int depth)
{
	unsigned tag = *take(reader, 1, __LINE__);
	unsigned detail = tag >> 3;
	switch (tag & 7) {
	case KIND_NIL:
		if (detail != 0)
			fail(reader, __LINE__);
		lua_pushnil(reader->L);
		break;
	case KIND_BOOLEAN:
		if (detail > 1)
			fail(reader, __LINE__);
		lua_pushboolean(reader->L, (int)detail);
		break;
	case KIND_NUMBER:
		unpack_number(reader, detail);
		break;
	case KIND_POINTER: {
		void *pointer;
		if (detail != 0)
			fail(reader, __LINE__);
		memcpy(&pointer, take(reader, sizeof pointer, __LINE__), sizeof pointer);
		lua_pushlightuserdata(reader->L, pointer);
		break;
	}
	case KIND_SHORT_STRING:
		lua_pushlstring(reader->L, (const char *)take(reader, detail, __LINE__), detail);
		break;
	case KIND_LONG_STRING:
		unpack_long_string(reader, detail);
		break;
	case KIND_TABLE:
		unpack_table(reader, detail, depth + 1);
		break;
	default: /* KIND_REFERENCE: all three bits are used */
		unpack_reference(reader, detail);
	}
}

int
codec_unpack(lua_State *L, const char *data, size_t size)
{
	if (size == 0)
		return 0; /* data may be NULL */
	struct reader reader = {.L = L,
				.next = (const unsigned char *)data,
				.end = (const unsigned char *)data + size,
				.size = size};
	int count = 0;
	for (; reader.next < reader.end; count++) {
		if (count % 8 == 0)
			luaL_checkstack(L, LUA_MINSTACK, "to unpack a message");
		unpack_value(&reader, 0);
	}
	return count;
}
