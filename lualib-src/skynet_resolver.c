/* skynet_resolver.c: looks up names with c-ares, without a thread: `require "skynet.resolver"`.
 *
 * A resolver is a channel of c-ares that belongs to one service. The descriptors that c-ares opens
 * are watched by the core, and the READY messages about them, which Lua hands to `ready`, make
 * c-ares go on; so does `expire`, when the time that `timeout_ms` tells is over. What was found
 * waits in a list until Lua takes it.
 *
 * R1  A descriptor is watched exactly as long as c-ares wants to hear of it. c-ares takes its
 *     interest back (on_interest without any) before it closes a descriptor, so the number of a
 *     closed one, which may come back for another file, is never watched.
 * R2  Each watch is one-shot: whoever handles READY asks for the next one when c-ares has read. So
 *     nothing is lost when c-ares leaves something unread.
 * R3  c-ares never calls Lua, and no Lua error can jump through it.
 *
 * Threads    [turn]
 * Memory     A request is c-ares' until on_found, which c-ares calls once for each, at the latest
 *            when the channel is destroyed. The rest belongs to the userdata.
 */
#include "skynet.h"
#include "skynet_socket.h"

#include <ares.h>
#include <arpa/inet.h>
#include <lauxlib.h>
#include <limits.h>
#include <lua.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/time.h>

SKYNET_API int luaopen_skynet_resolver(lua_State *L);

#define RESOLVER_CLASS "skynet.resolver"

/* A name server is asked so often; c-ares waits so long for the first answer, and each time twice
 * as long as before: 30 s together. */
#define TRIES 4
#define FIRST_WAIT_MS 2000

/* A descriptor of c-ares, and what c-ares wants to hear of it: never neither (R1). */
struct watch {
	struct watch *next;
	ares_socket_t fd;
	int id;
	int events; /* SKYNET_SOCKET_READABLE, WRITABLE */
};

/* What was found for a request: addresses, or the reason why there is none. */
struct answer {
	struct answer *next;
	lua_Integer number;
	const char *reason; /* NULL: addresses follow */
	bool is_final;	    /* there is none, and not only no answer */
	int ttl_s;
	size_t count;
	char addresses[][INET6_ADDRSTRLEN];
};

struct resolver {
	struct skynet_context *ctx;
	ares_channel channel; /* NULL: closed */
	struct watch *watches;
	struct answer *first;
	struct answer **last;
};

struct request {
	struct resolver *resolver;
	lua_Integer number;
};

/* --- descriptors --------------------------------------------------------------------------- */

static struct watch **
find_watch(struct resolver *resolver, ares_socket_t fd)
{
	struct watch **place = &resolver->watches;
	while (*place && (*place)->fd != fd)
		place = &(*place)->next;
	return place;
}

static void
end_watch(struct resolver *resolver, struct watch **place)
{
	struct watch *watch = *place;
	*place = watch->next;
	skynet_socket_close(resolver->ctx, watch->id);
	skynet_free(watch);
}

static void
begin_watch(struct resolver *resolver, ares_socket_t fd, int events)
{
	int id = skynet_socket_watch(resolver->ctx, fd);
	if (id < 0)
		return; /* the log says why; c-ares gives the server up when its time is over */
	struct watch *watch = skynet_malloc(sizeof *watch);
	*watch = (struct watch){.next = resolver->watches, .fd = fd, .id = id, .events = events};
	resolver->watches = watch;
	(void)skynet_socket_rearm(resolver->ctx, id, events);
}

/* c-ares calls it whenever it wants to hear of something else than before. */
static void
on_interest(void *ud, ares_socket_t fd, int wants_read, int wants_write)
{
	struct resolver *resolver = ud;
	struct watch **place = find_watch(resolver, fd);
	int events = (wants_read ? SKYNET_SOCKET_READABLE : 0) |
		     (wants_write ? SKYNET_SOCKET_WRITABLE : 0);
	if (!*place) {
		if (events != 0)
			begin_watch(resolver, fd, events);
	} else if (events == 0) {
		end_watch(resolver, place);
	} else {
		(*place)->events = events;
		(void)skynet_socket_rearm(resolver->ctx, (*place)->id, events);
	}
}

/* --- answers ------------------------------------------------------------------------------- */

static void
add_answer(struct resolver *resolver, struct answer *answer)
{
	answer->next = NULL;
	*resolver->last = answer;
	resolver->last = &answer->next;
}

static struct answer *
new_answer(lua_Integer number, size_t room)
{
	struct answer *answer = skynet_calloc(1, sizeof *answer + room * sizeof *answer->addresses);
	answer->number = number;
	return answer;
}

static void
add_failure(struct resolver *resolver, lua_Integer number, int status)
{
	struct answer *answer = new_answer(number, 0);
	answer->reason = ares_strerror(status);
	answer->is_final = status == ARES_ENOTFOUND || status == ARES_ENODATA;
	add_answer(resolver, answer);
}

static const void *
address_bytes(const struct ares_addrinfo_node *node)
{
	const void *address = node->ai_addr; /* c-ares aligns it for all families */
	if (node->ai_family == AF_INET)
		return &((const struct sockaddr_in *)address)->sin_addr;
	if (node->ai_family == AF_INET6)
		return &((const struct sockaddr_in6 *)address)->sin6_addr;
	return NULL;
}

static bool
is_in(const struct answer *answer, const char *address)
{
	for (size_t i = 0; i < answer->count; i++)
		if (strcmp(answer->addresses[i], address) == 0)
			return true;
	return false;
}

/* An answer holds for as long as the record in it that holds the shortest. */
static void
limit_ttl(struct answer *answer, int ttl_s)
{
	if (ttl_s < answer->ttl_s)
		answer->ttl_s = ttl_s < 0 ? 0 : ttl_s;
}

static void
add_addresses(struct resolver *resolver, lua_Integer number, const struct ares_addrinfo *found)
{
	size_t room = 0;
	for (const struct ares_addrinfo_node *node = found->nodes; node; node = node->ai_next)
		room++;
	struct answer *answer = new_answer(number, room);
	answer->ttl_s = INT_MAX;
	for (const struct ares_addrinfo_cname *name = found->cnames; name; name = name->next)
		limit_ttl(answer, name->ttl);
	for (const struct ares_addrinfo_node *node = found->nodes; node; node = node->ai_next) {
		char *text = answer->addresses[answer->count];
		const void *bytes = address_bytes(node);
		if (!bytes || !inet_ntop(node->ai_family, bytes, text, INET6_ADDRSTRLEN))
			continue;
		if (is_in(answer, text))
			continue;
		answer->count++;
		limit_ttl(answer, node->ai_ttl);
	}
	if (answer->count > 0) {
		add_answer(resolver, answer);
	} else {
		skynet_free(answer);
		add_failure(resolver, number, ARES_ENODATA);
	}
}

static void
on_found(void *ud, int status, int timeouts, struct ares_addrinfo *found)
{
	struct request *request = ud;
	(void)timeouts;
	if (status == ARES_SUCCESS) {
		add_addresses(request->resolver, request->number, found);
		ares_freeaddrinfo(found);
	} else if (status != ARES_EDESTRUCTION) { /* otherwise the resolver is being closed */
		add_failure(request->resolver, request->number, status);
	}
	skynet_free(request);
}

/* --- Lua: life ----------------------------------------------------------------------------- */

static struct resolver *
check_resolver(lua_State *L)
{
	struct resolver *resolver = luaL_checkudata(L, 1, RESOLVER_CLASS);
	luaL_argcheck(L, resolver->channel, 1, "this resolver is closed");
	return resolver;
}

static int
open_channel(struct resolver *resolver, const char *resolv_conf)
{
	struct ares_options options = {
		.timeout = FIRST_WAIT_MS,
		.tries = TRIES,
		.lookups = (char *)(uintptr_t) "b", /* name servers only: the hosts are Lua's */
		.sock_state_cb = on_interest,
		.sock_state_cb_data = resolver,
		.resolvconf_path = (char *)(uintptr_t)resolv_conf,
	};
	int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB;
	if (resolv_conf)
		mask |= ARES_OPT_RESOLVCONF;
	return ares_init_options(&resolver->channel, &options, mask);
}

/* open(servers or nil, resolv_conf or nil) -> resolver, or nil and the reason */
static int
l_open(lua_State *L)
{
	const char *servers = luaL_optstring(L, 1, NULL);
	const char *resolv_conf = luaL_optstring(L, 2, NULL);
	struct resolver *resolver = lua_newuserdatauv(L, sizeof *resolver, 0);
	*resolver = (struct resolver){.ctx = lua_touserdata(L, lua_upvalueindex(1))};
	resolver->last = &resolver->first;
	luaL_setmetatable(L, RESOLVER_CLASS);
	int status = open_channel(resolver, resolv_conf);
	if (status != ARES_SUCCESS)
		resolver->channel = NULL;
	else if (servers)
		status = ares_set_servers_ports_csv(resolver->channel, servers);
	if (status == ARES_SUCCESS)
		return 1;
	lua_pushnil(L);
	lua_pushstring(L, ares_strerror(status));
	return 2;
}

static void
drop_first(struct resolver *resolver)
{
	struct answer *answer = resolver->first;
	resolver->first = answer->next;
	if (!resolver->first)
		resolver->last = &resolver->first;
	skynet_free(answer);
}

/* Also __gc and __close. What is asked gets no answer any more. */
static int
l_close(lua_State *L)
{
	struct resolver *resolver = luaL_checkudata(L, 1, RESOLVER_CLASS);
	if (resolver->channel)
		ares_destroy(resolver->channel);
	resolver->channel = NULL;
	while (resolver->watches) /* none are left, by R1 */
		end_watch(resolver, &resolver->watches);
	while (resolver->first)
		drop_first(resolver);
	return 0;
}

/* --- Lua: asking --------------------------------------------------------------------------- */

/* resolver:query(number, name, is_ipv6): the answer has that number. */
static int
l_query(lua_State *L)
{
	struct resolver *resolver = check_resolver(L);
	lua_Integer number = luaL_checkinteger(L, 2);
	const char *name = luaL_checkstring(L, 3);
	/* c-ares orders addresses by how near they are; without that they stay as the server wants
	 * them, which spreads the load. */
	struct ares_addrinfo_hints hints = {
		.ai_flags = ARES_AI_NOSORT,
		.ai_family = lua_toboolean(L, 4) ? AF_INET6 : AF_INET,
	};
	struct request *request = skynet_malloc(sizeof *request);
	*request = (struct request){.resolver = resolver, .number = number};
	ares_getaddrinfo(resolver->channel, name, NULL, &hints, on_found, request);
	return 0;
}

/* resolver:ready(id, events) -> whether the id is one of this resolver */
static int
l_ready(lua_State *L)
{
	struct resolver *resolver = check_resolver(L);
	lua_Integer id = luaL_checkinteger(L, 2);
	lua_Integer events = luaL_checkinteger(L, 3);
	struct watch *watch = resolver->watches;
	while (watch && watch->id != id)
		watch = watch->next;
	lua_pushboolean(L, watch != NULL);
	if (!watch)
		return 1;
	bool may_read = events & (SKYNET_SOCKET_READABLE | SKYNET_SOCKET_HANGUP);
	bool may_write = events & (SKYNET_SOCKET_WRITABLE | SKYNET_SOCKET_HANGUP);
	ares_socket_t fd = watch->fd;
	ares_process_fd(resolver->channel, may_read ? fd : ARES_SOCKET_BAD,
			may_write ? fd : ARES_SOCKET_BAD);
	watch = *find_watch(resolver, fd); /* another one, or none, when c-ares has closed it */
	if (watch && watch->id == id)
		(void)skynet_socket_rearm(resolver->ctx, watch->id, watch->events);
	return 1;
}

/* resolver:expire(): the time that timeout_ms told is over. */
static int
l_expire(lua_State *L)
{
	struct resolver *resolver = check_resolver(L);
	ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	return 0;
}

/* resolver:timeout_ms() -> when expire is to be called, or nil: nothing is asked */
static int
l_timeout_ms(lua_State *L)
{
	struct timeval room;
	struct timeval *timeout = ares_timeout(check_resolver(L)->channel, NULL, &room);
	if (!timeout)
		return 0;
	lua_pushinteger(L, (lua_Integer)timeout->tv_sec * 1000 + timeout->tv_usec / 1000 + 1);
	return 1;
}

/* resolver:take() -> number, addresses, ttl in s; or number, nil, reason, is_final; or nothing */
static int
l_take(lua_State *L)
{
	struct resolver *resolver = check_resolver(L);
	struct answer *answer = resolver->first;
	if (!answer)
		return 0;
	lua_pushinteger(L, answer->number);
	if (answer->reason) {
		lua_pushnil(L);
		lua_pushstring(L, answer->reason);
		lua_pushboolean(L, answer->is_final);
	} else {
		lua_createtable(L, (int)answer->count, 0);
		for (size_t i = 0; i < answer->count; i++) {
			lua_pushstring(L, answer->addresses[i]);
			lua_rawseti(L, -2, (lua_Integer)i + 1);
		}
		lua_pushinteger(L, answer->ttl_s);
	}
	int count = answer->reason ? 4 : 3;
	drop_first(resolver); /* only now: pushing may have raised */
	return count;
}

/* family(text) -> 4 or 6 when it is a numeric address, else nil */
static int
l_family(lua_State *L)
{
	const char *text = luaL_checkstring(L, 1);
	struct in6_addr room;
	if (inet_pton(AF_INET, text, &room) == 1)
		lua_pushinteger(L, 4);
	else if (inet_pton(AF_INET6, text, &room) == 1)
		lua_pushinteger(L, 6);
	else
		lua_pushnil(L);
	return 1;
}

int
luaopen_skynet_resolver(lua_State *L)
{
	static const luaL_Reg methods[] = {
		{"query", l_query},   {"ready", l_ready},
		{"expire", l_expire}, {"timeout_ms", l_timeout_ms},
		{"take", l_take},     {"close", l_close},
		{"__gc", l_close},    {"__close", l_close},
		{NULL, NULL},
	};
	static const luaL_Reg functions[] = {
		{"open", l_open},
		{"family", l_family},
		{NULL, NULL},
	};
	luaL_checkversion(L);
	luaL_newmetatable(L, RESOLVER_CLASS);
	luaL_setfuncs(L, methods, 0);
	lua_pushvalue(L, -1);
	lua_setfield(L, -2, "__index");
	luaL_newlibtable(L, functions);
	lua_getfield(L, LUA_REGISTRYINDEX, "skynet_context");
	luaL_setfuncs(L, functions, 1);
	return 1;
}
