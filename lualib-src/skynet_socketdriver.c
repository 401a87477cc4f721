/* skynet_socketdriver.c: skynet_socket.h for Lua: `require "skynet.socketdriver"`.
 *
 * All functions return at once; what happens to a socket comes as a message of type "socket", which
 * `unpack` takes apart.
 * Threads    [turn]
 */
#include "skynet.h"
#include "skynet_socket.h"

#include <lauxlib.h>
#include <limits.h>
#include <lua.h>
#include <stdlib.h>
#include <string.h>

SKYNET_API int luaopen_skynet_socketdriver(lua_State *L);

/* The service this VM belongs to: upvalue 1 of every function here. */
static struct skynet_context *
context_of(lua_State *L)
{
	return lua_touserdata(L, lua_upvalueindex(1));
}

static int
check_id(lua_State *L, int index)
{
	lua_Integer id = luaL_checkinteger(L, index);
	luaL_argcheck(L, id >= INT_MIN && id <= INT_MAX, index, "not the id of a socket");
	return (int)id;
}

/* --- addresses ----------------------------------------------------------------------------- */

#define HOST_BYTES_MAX 256
#define PORT_MAX 65535

struct host {
	char name[HOST_BYTES_MAX];
	int port;
};

/* Splits "host:port" or "[v6]:port". Returns the rest behind the host, or NULL. */
static const char *
split_host(const char *address, struct host *host)
{
	const char *start = address[0] == '[' ? address + 1 : address;
	const char *end = address[0] == '[' ? strchr(address, ']') : strrchr(address, ':');
	if (!end || (size_t)(end - start) >= sizeof host->name)
		return NULL;
	memcpy(host->name, start, (size_t)(end - start));
	host->name[end - start] = '\0';
	return address[0] == '[' ? end + 1 : end;
}

/* Reads (host, port) or ("host:port"); raises for a bad one. */
static struct host
check_host(lua_State *L)
{
	struct host host;
	size_t length;
	const char *address = luaL_checklstring(L, 1, &length);
	if (!lua_isnoneornil(L, 2)) {
		if (length >= sizeof host.name)
			luaL_error(L, "Invalid address %s.", address);
		memcpy(host.name, address, length + 1);
		lua_Integer port_number = luaL_checkinteger(L, 2);
		luaL_argcheck(L, port_number >= 0 && port_number <= PORT_MAX, 2,
			      "a port is in 0..65535");
		host.port = (int)port_number;
		return host;
	}
	const char *rest = split_host(address, &host);
	if (!rest || rest[0] != ':')
		luaL_error(L, "Invalid address %s.", address);
	char *end;
	long port = strtol(rest + 1, &end, 10);
	if (end == rest + 1 || *end != '\0' || port < 0 || port > PORT_MAX)
		luaL_error(L, "Invalid port in address %s.", address);
	host.port = (int)port;
	return host;
}

/* Pushes an id, or nil when there is none. */
static int
push_id(lua_State *L, int id)
{
	if (id < 0)
		lua_pushnil(L);
	else
		lua_pushinteger(L, id);
	return 1;
}

static int
l_connect(lua_State *L)
{
	struct host host = check_host(L);
	if (host.port == 0)
		return luaL_error(L, "Invalid port");
	return push_id(L, skynet_socket_connect(context_of(L), host.name, host.port));
}

static int
l_listen(lua_State *L)
{
	struct host host = check_host(L);
	lua_Integer backlog = luaL_optinteger(L, 3, 0);
	luaL_argcheck(L, backlog >= 0 && backlog <= INT_MAX, 3, "not a number of connections");
	int id = skynet_socket_listen(context_of(L), host.name, host.port, (int)backlog);
	if (id < 0)
		return luaL_error(L, "Listen error: %s port %d (the reason is in the log)",
				  host.name, host.port);
	return push_id(L, id);
}

static int
l_bind(lua_State *L)
{
	return push_id(L, skynet_socket_bind(context_of(L), check_id(L, 1)));
}

/* --- control ------------------------------------------------------------------------------- */

static int
l_start(lua_State *L)
{
	skynet_socket_start(context_of(L), check_id(L, 1));
	return 0;
}

static int
l_pause(lua_State *L)
{
	skynet_socket_pause(context_of(L), check_id(L, 1));
	return 0;
}

static int
l_close(lua_State *L)
{
	skynet_socket_close(context_of(L), check_id(L, 1));
	return 0;
}

static int
l_shutdown(lua_State *L)
{
	skynet_socket_shutdown(context_of(L), check_id(L, 1));
	return 0;
}

static int
l_nodelay(lua_State *L)
{
	skynet_socket_nodelay(context_of(L), check_id(L, 1));
	return 0;
}

/* --- sending ------------------------------------------------------------------------------- */

/* Joins the strings of the table at index into one malloc-ed block. */
static void
join_strings(lua_State *L, int index, struct socket_sendbuffer *buffer)
{
	lua_Integer count = (lua_Integer)lua_rawlen(L, index);
	size_t total = 0;
	for (lua_Integer i = 1; i <= count; i++) {
		if (lua_rawgeti(L, index, i) != LUA_TSTRING)
			luaL_error(L, "Invalid strings table");
		total += lua_rawlen(L, -1);
		lua_pop(L, 1);
	}
	char *block = skynet_malloc(total ? total : 1);
	buffer->type = SOCKET_BUFFER_MEMORY;
	buffer->buffer = block;
	buffer->sz = total;
	for (lua_Integer i = 1; i <= count; i++) {
		size_t size;
		lua_rawgeti(L, index, i);
		const char *bytes = lua_tolstring(L, -1, &size);
		memcpy(block, bytes, size);
		block += size;
		lua_pop(L, 1);
	}
}

/* What (id, data[, size]) is to be sent: a string or a full userdata is copied, a table of strings
 * joined, a lightuserdata handed over. */
static struct socket_sendbuffer
check_buffer(lua_State *L)
{
	struct socket_sendbuffer buffer = {.id = check_id(L, 1), .type = SOCKET_BUFFER_RAWPOINTER};
	switch (lua_type(L, 2)) {
	case LUA_TTABLE:
		join_strings(L, 2, &buffer);
		break;
	case LUA_TLIGHTUSERDATA: {
		lua_Integer size = luaL_checkinteger(L, 3);
		buffer.type = SOCKET_BUFFER_MEMORY;
		buffer.buffer = lua_touserdata(L, 2);
		luaL_argcheck(L, size == 0 || (size > 0 && buffer.buffer), 3,
			      "not the size of this block");
		buffer.sz = (size_t)size;
		break;
	}
	case LUA_TUSERDATA:
		buffer.buffer = lua_touserdata(L, 2);
		buffer.sz = (size_t)luaL_optinteger(L, 3, (lua_Integer)lua_rawlen(L, 2));
		luaL_argcheck(L, buffer.sz <= lua_rawlen(L, 2), 3, "larger than the userdata");
		break;
	default:
		buffer.buffer = luaL_checklstring(L, 2, &buffer.sz);
	}
	return buffer;
}

static int
l_send(lua_State *L)
{
	struct socket_sendbuffer buffer = check_buffer(L);
	lua_pushboolean(L, skynet_socket_sendbuffer(context_of(L), &buffer) == 0);
	return 1;
}

static int
l_lsend(lua_State *L)
{
	struct socket_sendbuffer buffer = check_buffer(L);
	lua_pushboolean(L, skynet_socket_sendbuffer_lowpriority(context_of(L), &buffer) == 0);
	return 1;
}

/* --- messages and bytes -------------------------------------------------------------------- */

/* unpack(msg, sz) -> type, id, ud, text or pointer[, udp address]. The pointer must be freed, with
 * drop or skynet.trash. */
static int
l_unpack(lua_State *L)
{
	struct skynet_socket_message *message = lua_touserdata(L, 1);
	lua_Integer size = luaL_checkinteger(L, 2);
	if (!message || size < (lua_Integer)sizeof *message)
		return luaL_error(L, "not a socket message: %d bytes", (int)size);
	lua_pushinteger(L, message->type);
	lua_pushinteger(L, message->id);
	lua_pushinteger(L, message->ud);
	if (message->buffer)
		lua_pushlightuserdata(L, message->buffer);
	else
		lua_pushlstring(L, (const char *)(message + 1), (size_t)size - sizeof *message);
	if (message->type != SKYNET_SOCKET_TYPE_UDP)
		return 4;
	int address_size;
	const char *address = skynet_socket_udp_address(message, &address_size);
	if (!address)
		return 4;
	lua_pushlstring(L, address, (size_t)address_size);
	return 5;
}

/* str2p(string) -> pointer, size: a malloc-ed copy. */
static int
l_str2p(lua_State *L)
{
	size_t size;
	const char *bytes = luaL_checklstring(L, 1, &size);
	char *copy = skynet_malloc(size + 1);
	memcpy(copy, bytes, size + 1);
	lua_pushlightuserdata(L, copy);
	lua_pushinteger(L, (lua_Integer)size);
	return 2;
}

static int
l_drop(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TLIGHTUSERDATA);
	free(lua_touserdata(L, 1));
	return 0;
}

/* header(s) -> integer: 1 to 4 bytes, big-endian. */
static int
l_header(lua_State *L)
{
	size_t size;
	const char *bytes = luaL_checklstring(L, 1, &size);
	lua_Integer value = 0;
	if (size < 1 || size > 4)
		return luaL_error(L, "Invalid header: %d bytes instead of 1 to 4", (int)size);
	for (size_t i = 0; i < size; i++)
		value = value << 8 | (unsigned char)bytes[i];
	lua_pushinteger(L, value);
	return 1;
}

int
luaopen_skynet_socketdriver(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"connect", l_connect},	  {"listen", l_listen},	  {"bind", l_bind},
		{"start", l_start},	  {"pause", l_pause},	  {"close", l_close},
		{"shutdown", l_shutdown}, {"nodelay", l_nodelay}, {"send", l_send},
		{"lsend", l_lsend},	  {"unpack", l_unpack},	  {"str2p", l_str2p},
		{"drop", l_drop},	  {"header", l_header},	  {NULL, NULL},
	};
	luaL_newlibtable(L, functions);
	if (lua_getfield(L, LUA_REGISTRYINDEX, "skynet_context") != LUA_TLIGHTUSERDATA)
		return luaL_error(L, "skynet.socketdriver works only inside a skynet service");
	luaL_setfuncs(L, functions, 1);
	return 1;
}
