/* api_stream.c: the module "skynet.streams": reading from sockets, for lualib/skynet/socket.lua.
 *
 * A read whose bytes are there returns at once. Otherwise its task waits; the message with the
 * missing bytes resumes it in read_resumed, which puts them straight onto the task's stack.
 */
#include "api.h"

#include "skynet_socket.h"
#include "stream.h"

#include <limits.h>
#include <string.h>

/* --- arguments ----------------------------------------------------------------------------- */

static int
check_id(lua_State *L)
{
	lua_Integer id = luaL_checkinteger(L, 1);
	luaL_argcheck(L, id > 0 && id <= INT_MAX, 1, "not the id of a socket");
	return (int)id;
}

/* The stream that the first argument names, or NULL. */
static struct stream *
find_stream(lua_State *L, const struct engine *engine)
{
	lua_Integer id = luaL_checkinteger(L, 1);
	return id > 0 && id <= INT_MAX ? stream_find(engine, (int)id) : NULL;
}

static struct stream *
check_stream(lua_State *L, const struct engine *engine)
{
	struct stream *stream = find_stream(L, engine);
	if (!stream)
		luaL_error(L,
			   "this service does not hold socket %I: it has not started it, or has "
			   "closed it",
			   (LUAI_UACINT)lua_tointeger(L, 1));
	return stream;
}

static struct stream *
check_readable(lua_State *L, const struct engine *engine)
{
	struct stream *stream = check_stream(L, engine);
	if (stream->kind != STREAM_BYTES)
		luaL_error(L, "socket %d is a %s: there is nothing to read", stream->id,
			   stream->kind == STREAM_LISTENER ? "listener" : "UDP socket");
	if (stream->reader)
		luaL_error(L, "another task reads from socket %d already", stream->id);
	return stream;
}

/* A time in hundredths of a second; nothing, false or 0: none. */
static int64_t
check_timeout_ms(lua_State *L, int index)
{
	if (!lua_toboolean(L, index))
		return 0;
	lua_Integer timeout_cs = luaL_checkinteger(L, index);
	luaL_argcheck(L, timeout_cs >= 0 && timeout_cs <= INT32_MAX, index,
		      "0 to 2^31-1 hundredths of a second expected");
	return timeout_cs * MS_PER_CS;
}

/* --- reading ------------------------------------------------------------------------------- */

/* Moves the first bytes to the Lua stack. skip: so many behind them are dropped too. */
static int
push_front(lua_State *L, struct stream *stream, size_t size, size_t skip)
{
	lua_pushlstring(L, byte_queue_front(&stream->bytes), size);
	byte_queue_drop(&stream->bytes, size + skip);
	return 1;
}

/* What a read returns when the stream has ended before: false, and what is left. */
static int
push_end(lua_State *L, struct stream *stream)
{
	lua_pushboolean(L, 0);
	(void)push_front(L, stream, stream->bytes.size, 0);
	return 2;
}

static int
push_line(lua_State *L, struct stream *stream)
{
	size_t at, separator_size;
	const char *separator = lua_tolstring(L, 2, &separator_size);
	if (!byte_queue_find(&stream->bytes, stream->searched, separator, separator_size, &at))
		return push_end(L, stream);
	return push_front(L, stream, at, separator_size);
}

/* What the read gets, now that it is there, or that the stream has ended. */
static int
push_result(lua_State *L, struct stream *stream, enum stream_want want)
{
	size_t size = stream->bytes.size;
	switch (want) {
	case WANT_COUNT:
		return size >= stream->wanted ? push_front(L, stream, stream->wanted, 0)
					      : push_end(L, stream);
	case WANT_ANY:
		return size > 0 ? push_front(L, stream, size, 0) : push_end(L, stream);
	case WANT_LINE:
		return push_line(L, stream);
	case WANT_END:
		return stream->has_overflowed ? push_end(L, stream)
					      : push_front(L, stream, size, 0);
	case WANT_READABLE:
	case WANT_OUTCOME:
	case WANT_NOTHING:
		break;
	}
	lua_pushboolean(L, size > 0);
	return 1;
}

static int
push_timeout(lua_State *L)
{
	lua_pushnil(L);
	lua_pushliteral(L, "timeout");
	return 2;
}

static int
read_resumed(lua_State *L, int status, lua_KContext want)
{
	struct task *task = api_resumed_task(L);
	(void)status;
	int count = task->wake == WAKE_TIMER ? push_timeout(L)
					     : push_result(L, task->stream, (enum stream_want)want);
	stream_leave(engine_of(L), task);
	return count;
}

/* Keeps the separator, argument 2 of readline, for the time of the wait. */
static void
note_separator(lua_State *L, struct stream *stream)
{
	const char *separator = lua_tolstring(L, 2, &stream->separator_size);
	stream->separator = skynet_malloc(stream->separator_size);
	memcpy(stream->separator, separator, stream->separator_size);
}

/* Suspends the task until what it wants is there. */
static int
wait_for(lua_State *L, struct engine *engine, struct stream *stream, enum stream_want want)
{
	(void)api_check_task(L);
	if (want != WANT_COUNT && stream->bytes.size > stream->limit_bytes) {
		stream_overflow(engine, stream); /* the limit was set when all had come */
		return push_result(L, stream, want);
	}
	if (want == WANT_LINE)
		note_separator(L, stream);
	stream->want = want;
	stream_wait(engine, stream, stream->timeout_ms);
	return api_suspend(L, TASK_READING, want, read_resumed);
}

/* read(id[, n]) */
static int
l_read(lua_State *L)
{
	struct engine *engine = engine_of(L);
	struct stream *stream = check_readable(L, engine);
	bool is_over = stream->stage == STREAM_ENDED;
	if (lua_isnoneornil(L, 2)) {
		if (stream->bytes.size > 0 || is_over)
			return push_result(L, stream, WANT_ANY);
		return wait_for(L, engine, stream, WANT_ANY);
	}
	lua_Integer wanted = luaL_checkinteger(L, 2);
	luaL_argcheck(L, wanted >= 0, 2, "a number of bytes expected");
	stream->wanted = (size_t)wanted;
	if (stream->bytes.size >= stream->wanted || is_over)
		return push_result(L, stream, WANT_COUNT);
	return wait_for(L, engine, stream, WANT_COUNT);
}

/* readline(id[, separator]) */
static int
l_readline(lua_State *L)
{
	struct engine *engine = engine_of(L);
	struct stream *stream = check_readable(L, engine);
	size_t size = 1;
	lua_settop(L, 2);
	if (lua_isnil(L, 2)) {
		lua_pushliteral(L, "\n");
		lua_replace(L, 2);
	}
	const char *separator = luaL_checklstring(L, 2, &size);
	luaL_argcheck(L, size > 0, 2, "an empty separator");
	stream->searched = 0;
	if (stream->stage == STREAM_ENDED ||
	    byte_queue_find(&stream->bytes, 0, separator, size, &stream->searched))
		return push_result(L, stream, WANT_LINE);
	return wait_for(L, engine, stream, WANT_LINE);
}

/* readall(id) */
static int
l_readall(lua_State *L)
{
	struct engine *engine = engine_of(L);
	struct stream *stream = check_readable(L, engine);
	if (stream->stage != STREAM_ENDED)
		return wait_for(L, engine, stream, WANT_END);
	if (stream->bytes.size > 0)
		return push_result(L, stream, WANT_END);
	lua_pushboolean(L, 0);
	return 1;
}

/* block(id) -> whether there is something to read; false: the stream has ended */
static int
l_block(lua_State *L)
{
	struct engine *engine = engine_of(L);
	struct stream *stream = check_readable(L, engine);
	if (stream->bytes.size > 0 || stream->stage == STREAM_ENDED)
		return push_result(L, stream, WANT_READABLE);
	return wait_for(L, engine, stream, WANT_READABLE);
}

/* --- opening ------------------------------------------------------------------------------- */

/* Where it could not be opened: nobody else will close it. */
static int
push_failure(lua_State *L, struct engine *engine, struct task *task)
{
	struct stream *stream = task->stream;
	lua_pushnil(L);
	lua_pushstring(L, stream->text ? stream->text : "socket closed");
	bool is_held = !stream->is_gone;
	stream->is_nameless = false;
	stream_leave(engine, task);
	if (is_held)
		stream_close(engine, stream);
	return 2;
}

static int
outcome_known(lua_State *L, int status, lua_KContext context)
{
	struct engine *engine = engine_of(L);
	struct task *task = api_resumed_task(L);
	struct stream *stream = task->stream;
	(void)status, (void)context;
	if (task->wake == WAKE_TIMER) {
		int count = push_timeout(L);
		stream_leave(engine, task);
		return count;
	}
	if (stream->stage == STREAM_ENDED)
		return push_failure(L, engine, task);
	lua_pushinteger(L, stream->id);
	lua_pushstring(L, stream->text ? stream->text : "");
	lua_pushinteger(L, stream->number);
	stream->is_nameless = false;
	stream_leave(engine, task);
	return 3;
}

static int
await_outcome(lua_State *L, struct engine *engine, struct stream *stream, int64_t timeout_ms)
{
	stream->want = WANT_OUTCOME;
	stream_wait(engine, stream, timeout_ms);
	return api_suspend(L, TASK_READING, 0, outcome_known);
}

/* check(): raises where a task cannot wait. */
static int
l_check(lua_State *L)
{
	(void)api_check_task(L);
	return 0;
}

/* What open and listen have in common: the socket is new, and its outcome will be told. */
static int
open_new(lua_State *L, enum stream_kind kind)
{
	struct engine *engine = engine_of(L);
	int id = check_id(L);
	int64_t timeout_ms = check_timeout_ms(L, 2);
	(void)api_check_task(L);
	luaL_argcheck(L, !stream_find(engine, id), 1, "this service holds it already");
	struct stream *stream = stream_hold(engine, id, kind, STREAM_OPENING);
	stream->is_nameless = true;
	stream->is_quiet = lua_toboolean(L, 3);
	return await_outcome(L, engine, stream, timeout_ms);
}

/* open(id[, timeout[, is_quiet]]) -> id, text of the CONNECT message, 0; or nil, reason. For an id
 * that was just made. If that fails, or the task is ended meanwhile, the socket is closed. */
static int
l_open(lua_State *L)
{
	return open_new(L, STREAM_BYTES);
}

/* listen(id) -> id, address, port. The same for a listener. */
static int
l_listen(lua_State *L)
{
	return open_new(L, STREAM_LISTENER);
}

/* start(id, is_listener) -> id; or nil, reason. */
static int
l_start(lua_State *L)
{
	struct engine *engine = engine_of(L);
	int id = check_id(L);
	(void)api_check_task(L);
	struct stream *stream = stream_find(engine, id);
	if (!stream)
		stream = stream_hold(engine, id,
				     lua_toboolean(L, 2) ? STREAM_LISTENER : STREAM_BYTES,
				     STREAM_OPENING);
	else if (stream->kind != STREAM_LISTENER || stream->reader)
		return luaL_error(L, "socket is not closed: this service holds it already");
	stream->stage = STREAM_OPENING;
	skynet_socket_start(engine->ctx, id);
	return await_outcome(L, engine, stream, 0);
}

/* unread(id) -> how many bytes have come that were not read yet. Raises where nothing can be
 * read. */
static int
l_unread(lua_State *L)
{
	const struct stream *stream = check_readable(L, engine_of(L));
	lua_pushinteger(L, (lua_Integer)stream->bytes.size);
	return 1;
}

/* reopen(id[, timeout]) -> as open. For a stream that is open and of which CONNECT or ERROR will be
 * told once more. */
static int
l_reopen(lua_State *L)
{
	struct engine *engine = engine_of(L);
	struct stream *stream = check_readable(L, engine);
	int64_t timeout_ms = check_timeout_ms(L, 2);
	(void)api_check_task(L);
	if (stream->stage == STREAM_OPEN)
		stream->stage = STREAM_OPENING;
	return await_outcome(L, engine, stream, timeout_ms);
}

/* hold(id): holds a UDP socket. */
static int
l_hold(lua_State *L)
{
	(void)stream_hold(engine_of(L), check_id(L), STREAM_DATAGRAMS, STREAM_OPEN);
	return 0;
}

/* --- the end ------------------------------------------------------------------------------- */

static int
closed(lua_State *L, int status, lua_KContext context)
{
	(void)L, (void)status, (void)context;
	return 0;
}

/* close(id): a task that reads from it runs first. */
static int
l_close(lua_State *L)
{
	struct engine *engine = engine_of(L);
	struct stream *stream = find_stream(L, engine);
	if (!stream)
		return 0;
	bool has_reader = stream->reader;
	stream_close(engine, stream);
	if (!has_reader || !engine->current || engine->leaf != L || !lua_isyieldable(L) ||
	    engine->is_exiting)
		return 0;
	engine_ready(engine, engine->current, WAKE_TOKEN); /* behind the reader */
	return api_suspend(L, TASK_READY, 0, closed);
}

static int
l_shutdown(lua_State *L)
{
	struct engine *engine = engine_of(L);
	const struct stream *stream = find_stream(L, engine);
	if (stream)
		skynet_socket_shutdown(engine->ctx, stream->id);
	return 0;
}

static int
l_abandon(lua_State *L)
{
	struct engine *engine = engine_of(L);
	struct stream *stream = find_stream(L, engine);
	if (!stream)
		return 0;
	byte_queue_clear(&stream->bytes);
	stream_forget(engine, stream);
	return 0;
}

/* --- state and settings -------------------------------------------------------------------- */

static int
l_pause(lua_State *L)
{
	struct engine *engine = engine_of(L);
	struct stream *stream = find_stream(L, engine);
	if (!stream || stream->is_paused)
		return 0;
	stream->is_paused = true;
	skynet_socket_pause(engine->ctx, stream->id);
	return 0;
}

static int
l_invalid(lua_State *L)
{
	lua_pushboolean(L, find_stream(L, engine_of(L)) == NULL);
	return 1;
}

/* disconnected(id) -> whether it has ended, and the error that has broken it, or nil */
static int
l_disconnected(lua_State *L)
{
	const struct stream *stream = find_stream(L, engine_of(L));
	if (!stream) {
		lua_pushnil(L);
		return 1;
	}
	lua_pushboolean(L, stream->stage >= STREAM_BROKEN);
	lua_pushstring(L, stream->failure); /* nil where it is NULL */
	return 2;
}

/* limit(id, bytes) */
static int
l_limit(lua_State *L)
{
	struct stream *stream = check_stream(L, engine_of(L));
	lua_Integer bytes = luaL_checkinteger(L, 2);
	luaL_argcheck(L, bytes > 0, 2, "a number of bytes expected");
	stream->limit_bytes = (size_t)bytes;
	return 0;
}

/* timeout(id, cs) */
static int
l_timeout(lua_State *L)
{
	struct stream *stream = check_stream(L, engine_of(L));
	stream->timeout_ms = check_timeout_ms(L, 2);
	return 0;
}

/* begin(): messages of type "socket" go to the streams from now on. */
static int
l_begin(lua_State *L)
{
	engine_of(L)->has_streams = true;
	return 0;
}

int
api_open_streams(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"begin", l_begin},	{"check", l_check},
		{"open", l_open},	{"listen", l_listen},
		{"start", l_start},	{"hold", l_hold},
		{"unread", l_unread},	{"reopen", l_reopen},
		{"read", l_read},	{"readline", l_readline},
		{"readall", l_readall}, {"block", l_block},
		{"close", l_close},	{"shutdown", l_shutdown},
		{"abandon", l_abandon}, {"pause", l_pause},
		{"invalid", l_invalid}, {"disconnected", l_disconnected},
		{"limit", l_limit},	{"timeout", l_timeout},
		{NULL, NULL},
	};
	luaL_newlib(L, functions);
	return 1;
}
