/* limit_lua.c: what the same Lua work costs at least: stock Lua states on one thread, messages from
 * malloc, no service, no scheduler, no protocol.
 *
 * call    two states; `call` is one C function that packs, yields, and unpacks in its continuation
 * send    two states, one way: one packs and sends, the other runs a handler for each message
 * ring    a thousand states; each handles the token by sending it to the next
 * timer   one state; N coroutines are made, kept, then resumed one by one
 * launch  N states with the standard libraries are made and kept
 * build   one state; makes a small object with two tables in it, again and again
 *
 * A message is an envelope and a payload, each a block of its own. A handler runs in a Lua thread
 * that is used again as it is. Each mode prints one line, RESULT key=value... */
#include "bench.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdbool.h>
#include <string.h>

#define RING_SIZE 1000
#define TAG_INTEGER 2

struct payload {
	uint8_t tag;
	uint8_t bytes[sizeof(lua_Integer)];
};

struct envelope {
	struct envelope *next;
	struct payload *payload;
	size_t size;
	uint32_t source;
	int32_t session;
};

/* One state: the thread that runs handlers, and what it has sent last. */
struct actor {
	lua_State *main;
	lua_State *thread;
	struct envelope *sent, *last_sent; /* oldest first */
	struct envelope *answer;
};

static uint64_t length_ns; /* how long to measure */
static uint64_t begin_ns;

static void
fail(lua_State *L, const char *what)
{
	fprintf(stderr, "limit_lua: %s: %s\n", what, lua_tostring(L, -1));
	exit(1);
}

static struct actor *
actor_of(lua_State *L)
{
	return *(struct actor **)lua_getextraspace(L);
}

/* Packs the integer at the bottom of the stack and leaves it for the driver. */
static void
send_integer(lua_State *L, int32_t session)
{
	struct envelope *message = malloc(sizeof *message);
	struct payload *payload = malloc(sizeof *payload);
	if (message == NULL || payload == NULL)
		abort();
	lua_Integer n = luaL_checkinteger(L, 1);
	payload->tag = TAG_INTEGER;
	memcpy(payload->bytes, &n, sizeof n);
	*message = (struct envelope){
		.payload = payload, .size = sizeof *payload, .source = 1, .session = session};
	struct actor *self = actor_of(L);
	if (self->sent == NULL)
		self->sent = message;
	else
		self->last_sent->next = message;
	self->last_sent = message;
}

static void
unpack(lua_State *L, struct envelope *message)
{
	lua_Integer n = 0;
	if (message->payload->tag == TAG_INTEGER)
		memcpy(&n, message->payload->bytes, sizeof n);
	lua_pushinteger(L, n);
	free(message->payload);
	free(message);
}

static int
continue_call(lua_State *L, int status, lua_KContext context)
{
	(void)status;
	(void)context;
	struct actor *self = actor_of(L);
	unpack(L, self->answer);
	self->answer = NULL;
	return 1;
}

static int
lua_call_peer(lua_State *L)
{
	send_integer(L, 1);
	return lua_yieldk(L, 0, 0, continue_call);
}

static int
lua_send_peer(lua_State *L)
{
	send_integer(L, 0);
	return 0;
}

static int
lua_running(lua_State *L)
{
	lua_pushboolean(L, now_ns() - begin_ns < length_ns);
	return 1;
}

/* Opens a state; its handler, or main function, is what the chunk returns. */
static void
actor_open(struct actor *actor, const char *chunk)
{
	lua_State *L = luaL_newstate();
	if (L == NULL)
		abort();
	luaL_openlibs(L);
	*(struct actor **)lua_getextraspace(L) = actor;
	lua_register(L, "call", lua_call_peer);
	lua_register(L, "send", lua_send_peer);
	lua_register(L, "running", lua_running);
	actor->main = L;
	actor->thread = lua_newthread(L);
	if (luaL_dostring(L, chunk) != LUA_OK)
		fail(L, "chunk");
	lua_gc(L, LUA_GCGEN, 0, 0);
}

/* Stack of main: the thread, the function. */
static void
actor_handle(struct actor *actor, struct envelope *message)
{
	int results;
	lua_pushvalue(actor->main, 2);
	lua_xmove(actor->main, actor->thread, 1);
	unpack(actor->thread, message);
	if (lua_resume(actor->thread, actor->main, 1, &results) != LUA_OK)
		fail(actor->thread, "handler");
	lua_settop(actor->thread, 0);
}

/* Starts or goes on with the main function. Returns false when it has ended. */
static bool
actor_run(struct actor *actor)
{
	int results;
	int status = lua_resume(actor->thread, actor->main, 0, &results);
	if (status != LUA_OK && status != LUA_YIELD)
		fail(actor->thread, "main function");
	if (status == LUA_YIELD)
		lua_pop(actor->thread, results);
	return status == LUA_YIELD;
}

static void
actor_begin(struct actor *actor)
{
	lua_pushvalue(actor->main, 2);
	lua_xmove(actor->main, actor->thread, 1);
}

static struct envelope *
actor_take(struct actor *actor)
{
	struct envelope *message = actor->sent;
	actor->sent = message->next;
	return message;
}

static void
bench_call(void)
{
	struct actor client = {0}, server = {0};
	actor_open(&client, "local call = call return function()\n"
			    "	while running() do for i = 1, 256 do call(i) end end\n"
			    "end");
	actor_open(&server, "local send = send return function(n) send(n) end");
	uint64_t count = 0;
	begin_ns = now_ns();
	actor_begin(&client);
	while (actor_run(&client)) {
		actor_handle(&server, actor_take(&client));
		client.answer = actor_take(&server);
		count++;
	}
	printf("RESULT per_s=%.0f\n", (double)count * 1e9 / (double)(now_ns() - begin_ns));
	lua_close(client.main);
	lua_close(server.main);
}

static void
bench_send(void)
{
	struct actor client = {0}, server = {0};
	actor_open(&client, "local send, yield = send, coroutine.yield return function()\n"
			    "	while running() do for i = 1, 256 do send(i) end yield() end\n"
			    "end");
	actor_open(&server, "local sum = 0 return function(n) sum = sum + n end");
	uint64_t count = 0;
	begin_ns = now_ns();
	actor_begin(&client);
	while (actor_run(&client)) {
		for (; client.sent != NULL; count++)
			actor_handle(&server, actor_take(&client));
	}
	printf("RESULT per_s=%.0f\n", (double)count * 1e9 / (double)(now_ns() - begin_ns));
	lua_close(client.main);
	lua_close(server.main);
}

static void
bench_ring(void)
{
	static struct actor ring[RING_SIZE];
	for (int i = 0; i < RING_SIZE; i++)
		actor_open(&ring[i], "local send = send return function(n) send(n) end");
	lua_pushinteger(ring[0].thread, 1);
	send_integer(ring[0].thread, 0);
	lua_settop(ring[0].thread, 0);
	struct envelope *token = actor_take(&ring[0]);
	uint64_t count = 0;
	begin_ns = now_ns();
	while (now_ns() - begin_ns < length_ns) {
		for (int i = 0; i < RING_SIZE; i++) {
			actor_handle(&ring[i], token);
			token = actor_take(&ring[i]);
		}
		count += RING_SIZE;
	}
	printf("RESULT per_s=%.0f\n", (double)count * 1e9 / (double)(now_ns() - begin_ns));
	unpack(ring[0].main, token);
	for (int i = 0; i < RING_SIZE; i++)
		lua_close(ring[i].main);
}

static void
bench_timer(int n)
{
	struct actor actor = {0};
	actor_open(&actor, "local fired = 0 return function() fired = fired + 1 end");
	lua_State *L = actor.main;
	uint64_t begin = now_ns();
	lua_createtable(L, n, 0);
	for (int i = 1; i <= n; i++) {
		lua_State *thread = lua_newthread(L);
		lua_pushvalue(L, 2);
		lua_xmove(L, thread, 1);
		lua_rawseti(L, 3, i);
	}
	for (int i = 1; i <= n; i++) {
		int results;
		lua_rawgeti(L, 3, i);
		if (lua_resume(lua_tothread(L, -1), L, 0, &results) != LUA_OK)
			fail(L, "timer");
		lua_pop(L, 1);
		lua_pushnil(L);
		lua_rawseti(L, 3, i);
	}
	printf("RESULT per_s=%.0f\n", n * 1e9 / (double)(now_ns() - begin));
	lua_close(L);
}

static void
bench_launch(int n)
{
	lua_State **states = calloc((size_t)n, sizeof *states);
	if (states == NULL)
		abort();
	uint64_t before = resident_bytes(), begin = now_ns();
	for (int i = 0; i < n; i++) {
		states[i] = luaL_newstate();
		if (states[i] == NULL)
			abort();
		luaL_openlibs(states[i]);
	}
	uint64_t elapsed = now_ns() - begin;
	printf("RESULT per_s=%.0f kb_each=%.1f\n", n * 1e9 / (double)elapsed,
	       (double)(resident_bytes() - before) / 1024 / n);
	for (int i = 0; i < n; i++)
		lua_close(states[i]);
	free(states);
}

#define BUILD_ROUNDS 10000

static void
bench_build(void)
{
	static const char code[] =
		"local rounds = ...\n"
		"local kept\n"
		"for i = 1, rounds do\n"
		"	kept = { id = i, name = 'some player', hp = 0.75, alive = true,\n"
		"		pos = { x = 1.5, y = 2.5 }, items = { 1, 2, 3, 4, 5, 6, 7, 8 } }\n"
		"end\n"
		"return kept\n";
	lua_State *L = luaL_newstate();
	if (L == NULL || luaL_loadstring(L, code) != LUA_OK)
		abort();
	uint64_t count = 0, begin = now_ns();
	while (now_ns() - begin < length_ns) {
		lua_pushvalue(L, 1);
		lua_pushinteger(L, BUILD_ROUNDS);
		if (lua_pcall(L, 1, 0, 0) != LUA_OK)
			fail(L, "build");
		count += BUILD_ROUNDS;
	}
	printf("RESULT per_s=%.0f\n", (double)count * 1e9 / (double)(now_ns() - begin));
	lua_close(L);
}

int
main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr,
			"usage: limit_lua call|send|ring|build SECONDS | timer|launch COUNT\n");
		return 2;
	}
	const char *mode = argv[1];
	double number = positive_number("SECONDS or COUNT", argv[2]);
	length_ns = (uint64_t)(number * 1e9);
	if (strcmp(mode, "call") == 0) {
		bench_call();
	} else if (strcmp(mode, "send") == 0) {
		bench_send();
	} else if (strcmp(mode, "ring") == 0) {
		bench_ring();
	} else if (strcmp(mode, "build") == 0) {
		bench_build();
	} else if (strcmp(mode, "timer") == 0) {
		bench_timer((int)number);
	} else if (strcmp(mode, "launch") == 0) {
		bench_launch((int)number);
	} else {
		fprintf(stderr,
			"limit_lua: no mode '%s': call, send, ring, build, timer or launch\n",
			mode);
		return 2;
	}
	return 0;
}
