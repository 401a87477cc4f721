/* codec.h: the "lua" message format: Lua values as bytes.
 *
 * Model      Values one after another, no count in front. Each begins with a byte: low 3 bits the
 *            kind, high 5 bits a detail; docs/lua-messages.md has the table. Depth is limited to 32
 *            tables, so neither a cycle nor hostile input can exhaust the C stack.
 * References Remote objects travel as 64-bit handles; what they mean says skynet.remote, in Lua.
 * Threads    [turn]
 */
#ifndef SNLUA_CODEC_H
#define SNLUA_CODEC_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

/* In the registry: the function that makes an object of a handle. */
#define CODEC_REFERENCES "skynet.references"

/* Bytes under construction. A stack of users: each begins at the size it finds and cuts back to it
 * when done, because a __pairs function may pack while its table is being packed. */
struct codec_buffer {
	char *data;
	size_t size;
	size_t capacity;
	bool has_references; /* a table with an integer __remote is packed as that handle */
};

/* Appends the values from stack index first to the top. Raises a Lua error for what cannot be
 * packed; the buffer is then longer than before. */
void codec_pack(lua_State *L, int first, struct codec_buffer *buffer);

/* Pushes the values that the bytes stand for and returns how many. Raises a Lua error for broken
 * bytes. data: borrowed. */
int codec_unpack(lua_State *L, const char *data, size_t size);

void codec_buffer_free(struct codec_buffer *buffer);

#endif
