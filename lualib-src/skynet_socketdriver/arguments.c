/* arguments.c: ids, hosts and options, as Lua gives them. */
#include "driver.h"

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define PORT_MAX 65535
#define UNIX_PREFIX "unix:"

int
driver_check_id(lua_State *L, int index)
{
	lua_Integer id = luaL_checkinteger(L, index);
	luaL_argcheck(L, id >= INT_MIN && id <= INT_MAX, index, "not the id of a socket");
	return (int)id;
}

int
driver_push_id(lua_State *L, int id)
{
	if (id < 0)
		lua_pushnil(L);
	else
		lua_pushinteger(L, id);
	return 1;
}

/* --- hosts --------------------------------------------------------------------------------- */

bool
driver_is_unix_host(const struct driver_host *host)
{
	return strncmp(host->name, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0;
}

/* Splits "host:port" or "[v6]:port". Returns the rest behind the host, or NULL. */
static const char *
split_host(const char *address, struct driver_host *host)
{
	const char *start = address[0] == '[' ? address + 1 : address;
	const char *end = address[0] == '[' ? strchr(address, ']') : strrchr(address, ':');
	if (!end || (size_t)(end - start) >= sizeof host->name)
		return NULL;
	memcpy(host->name, start, (size_t)(end - start));
	host->name[end - start] = '\0';
	return address[0] == '[' ? end + 1 : end;
}

static int
check_port(lua_State *L, int index)
{
	lua_Integer port = luaL_checkinteger(L, index);
	luaL_argcheck(L, port >= 0 && port <= PORT_MAX, index, "a port is in 0..65535");
	return (int)port;
}

/* The port in "host:port". */
static int
parse_port(lua_State *L, const char *text, const char *address)
{
	char *end;
	long port = strtol(text, &end, 10);
	/* strtol would take blanks and signs, too */
	if (!isdigit((unsigned char)text[0]) || *end != '\0' || port > PORT_MAX)
		luaL_error(L, "Invalid port in address %s.", address);
	return (int)port;
}

struct driver_host
driver_check_host(lua_State *L, int index)
{
	struct driver_host host = {.port = 0};
	size_t length;
	const char *address = luaL_checklstring(L, index, &length);
	luaL_argcheck(L, strlen(address) == length, index, "a zero byte in an address");
	bool has_port = !lua_isnoneornil(L, index + 1);
	if (has_port || strncmp(address, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0) {
		if (length >= sizeof host.name)
			luaL_error(L, "Invalid address %s.", address);
		memcpy(host.name, address, length + 1);
		if (has_port)
			host.port = check_port(L, index + 1);
		return host;
	}
	const char *rest = split_host(address, &host);
	if (!rest || rest[0] != ':')
		luaL_error(L, "Invalid address %s.", address);
	host.port = parse_port(L, rest + 1, address);
	return host;
}

/* --- options ------------------------------------------------------------------------------- */

/* The value of an option, on top of the stack, is true or false. */
static int
check_boolean(lua_State *L, int index, const char *name)
{
	if (!lua_isboolean(L, -1))
		luaL_argerror(L, index,
			      lua_pushfstring(L, "option '%s' is a %s, not true or false", name,
					      luaL_typename(L, -1)));
	return lua_toboolean(L, -1);
}

struct skynet_socket_options
driver_check_options(lua_State *L, int index, const char *what)
{
	struct skynet_socket_options options = {0};
	bool is_listen = strcmp(what, "listen") == 0;
	if (lua_isnoneornil(L, index))
		return options;
	luaL_checktype(L, index, LUA_TTABLE);
	lua_newtable(L);
	int anchor = lua_gettop(L);
	lua_pushnil(L);
	while (lua_next(L, index)) {
		/* A copy: lua_tostring would change a key that is a number. */
		lua_pushvalue(L, -2);
		const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
		lua_insert(L, -2); /* key, copy, value */
		if (name && is_listen && strcmp(name, "shares_port") == 0)
			options.shares_port = check_boolean(L, index, name);
		else if (name && strcmp(name, "tls") == 0)
			options.tls = driver_check_tls(L, index, anchor);
		else
			luaL_argerror(L, index,
				      lua_pushfstring(L, "%s has no option '%s'", what,
						      luaL_tolstring(L, -2, NULL)));
		lua_pop(L, 2);
	}
	return options;
}
