/* socket.c: TCP for Lua programs that are clients and no services: `require "client.socket"`.
 *
 * Connecting and sending wait; receiving does not, so that a program can look after the connection
 * and the keyboard by turns. It knows no service, and works in every Lua. Inside a service it would
 * hold up a worker: there, skynet.socket is the library.
 * Threads    the program's only one. Standard input is read by this library alone: what it has
 *            read already, io.read does not see.
 */
#include "skynet.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <limits.h>
#include <lua.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

SKYNET_API int luaopen_client_socket(lua_State *L);

/* A send to a peer that is gone is an error, and no signal. */
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* macOS: see ignore_signal */
#endif

enum {
	RECEIVE_BYTES = 16 * 1024, /* at a time */
	LINE_BYTES_MAX = 64 * 1024,
	PORT_MAX = 65535,
};

static int
check_fd(lua_State *L)
{
	lua_Integer fd = luaL_checkinteger(L, 1);
	luaL_argcheck(L, fd >= 0 && fd <= INT_MAX, 1, "not a socket");
	return (int)fd;
}

static int
raise_errno(lua_State *L, const char *what)
{
	return luaL_error(L, "%s failed: %s", what, strerror(errno));
}

/* --- connecting ---------------------------------------------------------------------------- */

static void
ignore_signal(int fd)
{
#ifdef SO_NOSIGPIPE
	int yes = 1;
	(void)setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &yes, sizeof yes); /* of help only */
#else
	(void)fd;
#endif
}

/* Finishes what a signal has interrupted: the connection is made meanwhile. */
static int
wait_connected(int fd)
{
	struct pollfd entry = {.fd = fd, .events = POLLOUT};
	int error = 0;
	socklen_t size = sizeof error;
	while (poll(&entry, 1, -1) < 0)
		if (errno != EINTR)
			return -1;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
		return -1;
	errno = error;
	return error ? -1 : 0;
}

/* Connects, and makes the descriptor one that does not wait. Returns it, or -1 with errno set. */
static int
connect_to(const struct addrinfo *address)
{
	int yes = 1;
	int fd = socket(address->ai_family, address->ai_socktype, address->ai_protocol);
	if (fd < 0)
		return -1;
	if (connect(fd, address->ai_addr, address->ai_addrlen) != 0 &&
	    (errno != EINTR || wait_connected(fd) != 0))
		goto close_fd;
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
		goto close_fd;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes); /* it is only slower */
	ignore_signal(fd);
	return fd;
close_fd:;
	int reason = errno;
	(void)close(fd); /* nothing was sent that could be lost */
	errno = reason;
	return -1;
}

/* connect(host, port) -> descriptor. Waits. */
static int
l_connect(lua_State *L)
{
	const char *host = luaL_checkstring(L, 1);
	lua_Integer port_number = luaL_checkinteger(L, 2);
	luaL_argcheck(L, port_number > 0 && port_number <= PORT_MAX, 2, "a port is in 1..65535");
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *addresses;
	char port[8];
	(void)snprintf(port, sizeof port, "%d", (int)port_number); /* it fits */
	int problem = getaddrinfo(host, port, &hints, &addresses);
	if (problem)
		return luaL_error(L, "connect to %s failed: %s", host, gai_strerror(problem));
	int fd = -1;
	for (struct addrinfo *a = addresses; a && fd < 0; a = a->ai_next)
		fd = connect_to(a);
	int reason = errno;
	freeaddrinfo(addresses);
	if (fd < 0)
		return luaL_error(L, "connect to %s port %s failed: %s", host, port,
				  strerror(reason));
	lua_pushinteger(L, fd);
	return 1;
}

/* --- bytes --------------------------------------------------------------------------------- */

static void
wait_writable(lua_State *L, int fd)
{
	struct pollfd entry = {.fd = fd, .events = POLLOUT};
	if (poll(&entry, 1, -1) < 0 && errno != EINTR)
		raise_errno(L, "send");
}

/* send(fd, bytes). Waits until the system has taken all of them. */
static int
l_send(lua_State *L)
{
	int fd = check_fd(L);
	size_t size;
	const char *bytes = luaL_checklstring(L, 2, &size);
	while (size > 0) {
		ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
		if (sent >= 0) {
			bytes += sent;
			size -= (size_t)sent;
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			wait_writable(L, fd);
		} else if (errno != EINTR) {
			return raise_errno(L, "send");
		}
	}
	return 0;
}

/* recv(fd) -> bytes; "" when the stream has ended; nil when there are none yet. */
static int
l_recv(lua_State *L)
{
	int fd = check_fd(L);
	char bytes[RECEIVE_BYTES];
	ssize_t size;
	do
		size = recv(fd, bytes, sizeof bytes, 0);
	while (size < 0 && errno == EINTR);
	if (size >= 0)
		lua_pushlstring(L, bytes, (size_t)size);
	else if (errno == EAGAIN || errno == EWOULDBLOCK)
		lua_pushnil(L);
	else
		return raise_errno(L, "recv");
	return 1;
}

/* --- its end ------------------------------------------------------------------------------- */

/* close(fd) */
static int
l_close(lua_State *L)
{
	if (close(check_fd(L)) != 0 && errno == EBADF)
		return raise_errno(L, "close");
	return 0;
}

/* shutdown(fd, "r", "w" or "rw"): ends one direction, or both */
static int
l_shutdown(lua_State *L)
{
	static const char *const names[] = {"r", "w", "rw", NULL};
	static const int modes[] = {SHUT_RD, SHUT_WR, SHUT_RDWR};
	int fd = check_fd(L);
	int mode = modes[luaL_checkoption(L, 2, NULL, names)];
	if (shutdown(fd, mode) != 0 && errno != ENOTCONN) /* the peer may have ended it */
		return raise_errno(L, "shutdown");
	return 0;
}

/* --- time and the keyboard ----------------------------------------------------------------- */

/* usleep(microseconds). Waits; not shorter when a signal comes. */
static int
l_usleep(lua_State *L)
{
	lua_Integer us = luaL_checkinteger(L, 1);
	luaL_argcheck(L, us >= 0, 1, "not a time");
	struct timespec rest = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
	while (nanosleep(&rest, &rest) != 0 && errno == EINTR)
		continue;
	return 0;
}

/* What has been read of standard input, and given to nobody yet. One for each Lua VM. */
struct input {
	size_t size;
	int is_ended;
	char bytes[LINE_BYTES_MAX];
};

/* Reads what there is, without waiting. */
static void
fill(struct input *input)
{
	struct pollfd entry = {.fd = STDIN_FILENO, .events = POLLIN};
	if (input->is_ended || input->size == sizeof input->bytes || poll(&entry, 1, 0) <= 0)
		return;
	ssize_t size =
		read(STDIN_FILENO, input->bytes + input->size, sizeof input->bytes - input->size);
	if (size > 0)
		input->size += (size_t)size;
	else if (size == 0 || (errno != EINTR && errno != EAGAIN))
		input->is_ended = 1;
}

/* Gives the first bytes away, and drops so many characters behind them. */
static int
take(lua_State *L, struct input *input, size_t size, size_t behind)
{
	lua_pushlstring(L, input->bytes, size);
	input->size -= size + behind;
	memmove(input->bytes, input->bytes + size + behind, input->size);
	return 1;
}

/* readstdin() -> line, or nil when there is none yet. A line too long comes in pieces. At the end
 * of the input the program ends, with status 1. */
static int
l_readstdin(lua_State *L)
{
	struct input *input = lua_touserdata(L, lua_upvalueindex(1));
	const char *end = memchr(input->bytes, '\n', input->size);
	if (!end) {
		fill(input);
		end = memchr(input->bytes, '\n', input->size);
	}
	if (end)
		return take(L, input, (size_t)(end - input->bytes), 1);
	if (input->size == sizeof input->bytes || (input->is_ended && input->size > 0))
		return take(L, input, input->size, 0);
	if (input->is_ended)
		exit(1);
	lua_pushnil(L);
	return 1;
}

int
luaopen_client_socket(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"connect", l_connect}, {"send", l_send},	  {"recv", l_recv},
		{"close", l_close},	{"shutdown", l_shutdown}, {"usleep", l_usleep},
		{NULL, NULL},
	};
	luaL_newlib(L, functions);
	struct input *input = lua_newuserdatauv(L, sizeof *input, 0);
	input->size = 0;
	input->is_ended = 0;
	lua_pushcclosure(L, l_readstdin, 1);
	lua_setfield(L, -2, "readstdin");
	return 1;
}
