/* udp.c: datagrams. An address is the bytes that a UDP message ends with: kind (1 is IPv4, 2 is
 * IPv6), port, IP. */
#include "driver.h"

#include <arpa/inet.h>
#include <string.h>

#define ADDRESS_IPV4 1
#define ADDRESS_IPV6 2
#define ADDRESS_IPV4_SIZE 7
#define ADDRESS_IPV6_SIZE 19
#define PORT_AT 1
#define IP_AT 3

/* Pushes an id, or raises; the reason is in the log. */
static int
id_or_error(lua_State *L, int id, const char *what, const struct driver_host *host)
{
	if (id < 0)
		return luaL_error(L, "%s: %s port %d (the reason is in the log)", what, host->name,
				  host->port);
	lua_pushinteger(L, id);
	return 1;
}

/* udp([host[, port]]) -> id */
int
driver_udp(lua_State *L)
{
	struct driver_host host = {.port = 0};
	if (!lua_isnoneornil(L, 1)) {
		if (lua_isnoneornil(L, 2)) { /* only a host: any port */
			lua_settop(L, 1);
			lua_pushinteger(L, 0);
		}
		host = driver_check_host(L, 1);
	}
	const char *name = lua_isnoneornil(L, 1) ? NULL : host.name;
	return id_or_error(L, skynet_socket_udp(driver_context(L), name, host.port),
			   "udp init failed", &host);
}

/* udp_listen(host[, port]) -> id */
int
driver_udp_listen(lua_State *L)
{
	struct driver_host host = driver_check_host(L, 1);
	return id_or_error(L, skynet_socket_udp_listen(driver_context(L), host.name, host.port),
			   "udp listen host failed", &host);
}

/* udp_dial(host[, port]) -> id */
int
driver_udp_dial(lua_State *L)
{
	struct driver_host host = driver_check_host(L, 1);
	return id_or_error(L, skynet_socket_udp_dial(driver_context(L), host.name, host.port),
			   "udp dial host failed", &host);
}

/* udp_connect(id, host[, port]) */
int
driver_udp_connect(lua_State *L)
{
	int id = driver_check_id(L, 1);
	struct driver_host host = driver_check_host(L, 2);
	if (skynet_socket_udp_connect(driver_context(L), id, host.name, host.port) != 0)
		return luaL_error(L, "udp connect failed: %s port %d (the reason is in the log)",
				  host.name, host.port);
	return 0;
}

/* Whether bytes are an address. */
static bool
is_address(const char *bytes, size_t size)
{
	return (size == ADDRESS_IPV4_SIZE && bytes[0] == ADDRESS_IPV4) ||
	       (size == ADDRESS_IPV6_SIZE && bytes[0] == ADDRESS_IPV6);
}

static const char *
check_address(lua_State *L, int index)
{
	size_t size;
	const char *bytes = luaL_checklstring(L, index, &size);
	luaL_argcheck(L, is_address(bytes, size), index, "not the address of a datagram");
	return bytes;
}

/* udp_send(id, address|nil, data[, size]) -> boolean; nil: to the default peer */
int
driver_udp_send(lua_State *L)
{
	int id = driver_check_id(L, 1);
	const char *address = lua_isnil(L, 2) ? NULL : check_address(L, 2);
	struct socket_sendbuffer buffer = driver_check_buffer(L, id, 3);
	int result = skynet_socket_udp_sendbuffer(driver_context(L), address, &buffer);
	lua_pushboolean(L, result == 0);
	return 1;
}

/* udp_address(address) -> ip, port */
int
driver_udp_address(lua_State *L)
{
	char text[INET6_ADDRSTRLEN];
	const char *bytes = check_address(L, 1);
	int family = bytes[0] == ADDRESS_IPV4 ? AF_INET : AF_INET6;
	(void)inet_ntop(family, bytes + IP_AT, text, sizeof text); /* there is room */
	lua_pushstring(L, text);
	lua_pushinteger(L, (unsigned char)bytes[PORT_AT] << 8 | (unsigned char)bytes[PORT_AT + 1]);
	return 2;
}
