/* driver.h: what the files of skynet.socketdriver share.
 *
 *   arguments.c   ids, hosts and options, as Lua gives them
 *   send.c        what is sent: texts, tables, blocks, shared buffers; to one or to many
 *   tls.c         TLS options, and what a connection has agreed on
 *   udp.c         datagrams
 *   buffer.c      the bytes that a socket has received, for libraries that read
 *   message.c     socket messages, and blocks of bytes
 *   info.c        what there is: sockets, names
 *   driver.c      opening and control; the list of all functions
 *
 * Threads    [turn]
 */
#ifndef DRIVER_H
#define DRIVER_H

#include "skynet.h"
#include "skynet_socket.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>

/* The service this VM belongs to: upvalue 1 of every function. */
static inline struct skynet_context *
driver_context(lua_State *L)
{
	return lua_touserdata(L, lua_upvalueindex(1));
}

/* --- arguments.c: each raises for a bad one -------------------------------------------------- */

#define DRIVER_HOST_BYTES_MAX 256

struct driver_host {
	char name[DRIVER_HOST_BYTES_MAX];
	int port;
};

int driver_check_id(lua_State *L, int index);
/* Reads (host, port), ("host:port"), ("[v6]:port") or ("unix:..."), which has port 0. index: of the
 * host; the port follows. */
struct driver_host driver_check_host(lua_State *L, int index);
bool driver_is_unix_host(const struct driver_host *host);
/* Reads a table of options, or none. what: "connect" or "listen", which differ in their options.
 * Leaves one value on the stack, which keeps what the options point to. */
struct skynet_socket_options driver_check_options(lua_State *L, int index, const char *what);

/* Pushes an id, or nil when it is negative. Returns 1. */
int driver_push_id(lua_State *L, int id);

/* --- tls.c ----------------------------------------------------------------------------------- */

/* Reads the value on top of the stack: false (gives NULL), true, or a table of TLS options. index:
 * the argument that an error names. anchor: a table that keeps what the options point to. */
const struct skynet_tls_options *driver_check_tls(lua_State *L, int index, int anchor);

/* --- send.c ---------------------------------------------------------------------------------- */

/* What (data[, size]) at index is: a string or a full userdata is borrowed, a table of strings
 * joined, a lightuserdata taken, what share has made is an object. Raises for all else. */
struct socket_sendbuffer driver_check_buffer(lua_State *L, int id, int index);

/* --- functions for Lua ----------------------------------------------------------------------- */

int driver_send(lua_State *L);
int driver_lsend(lua_State *L);
int driver_share(lua_State *L);
int driver_broadcast(lua_State *L);

int driver_secure(lua_State *L);
int driver_tls_info(lua_State *L);
int driver_tls_reload(lua_State *L);

int driver_udp(lua_State *L);
int driver_udp_listen(lua_State *L);
int driver_udp_dial(lua_State *L);
int driver_udp_connect(lua_State *L);
int driver_udp_send(lua_State *L);
int driver_udp_address(lua_State *L);

int driver_buffer(lua_State *L);
int driver_push(lua_State *L);
int driver_pop(lua_State *L);
int driver_readline(lua_State *L);
int driver_readall(lua_State *L);
int driver_clear(lua_State *L);

int driver_unpack(lua_State *L);
int driver_str2p(lua_State *L);
int driver_drop(lua_State *L);
int driver_header(lua_State *L);

int driver_info(lua_State *L);
int driver_resolve(lua_State *L);

/* Makes the metatables of what share and buffer give. */
void driver_register_shared(lua_State *L);
void driver_register_buffer(lua_State *L);

#endif
