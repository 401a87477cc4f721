/* failure.c: the texts of errors; see failure.h. */
#include "failure.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A chain of services that fail one after the other adds lines with each; what is longer is cut. */
#define TEXT_BYTES 4096
/* Lines of the traceback that travel; the log has all of them. */
#define TRACEBACK_LINES 5

/* --- texts --------------------------------------------------------------------------------- */

/* A text under construction, of fixed size. */
struct text {
	char bytes[TEXT_BYTES];
	size_t size;
};

static void add(struct text *text, const char *format, ...) SKYNET_PRINTF(2, 3);

static void
add_list(struct text *text, const char *format, va_list arguments)
{
	size_t room = sizeof text->bytes - text->size;
	int length = vsnprintf(text->bytes + text->size, room, format, arguments);
	if (length < 0)
		return;
	if ((size_t)length < room) {
		text->size += (size_t)length;
		return;
	}
	static const char cut[] = " ...";
	text->size = sizeof text->bytes - 1;
	memcpy(text->bytes + sizeof text->bytes - sizeof cut, cut, sizeof cut);
}

static void
add(struct text *text, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	add_list(text, format, arguments);
	va_end(arguments);
}

static void
add_who(struct text *text, const struct engine *engine)
{
	add(text, "%s (:%08x)", engine->name, skynet_current_handle());
}

/* As luaL_traceback, but only Lua functions, and few. */
static void
add_traceback(struct text *text, const struct engine *engine, lua_State *co)
{
	lua_Debug where;
	int lines = 0;
	for (int level = 0; lua_getstack(co, level, &where); level++) {
		if (!lua_getinfo(co, "Sln", &where) || where.currentline < 0)
			continue;
		if (lines++ == 0) {
			add(text, "\n\tin ");
			add_who(text, engine);
			add(text, ":");
		}
		if (lines > TRACEBACK_LINES) {
			add(text, "\n\t\t...");
			return;
		}
		add(text, "\n\t\t%s:%d: in ", where.short_src, where.currentline);
		if (where.name)
			add(text, "%s '%s'", where.namewhat, where.name);
		else
			add(text, "function <%s:%d>", where.short_src, where.linedefined);
	}
}

static bool
send_text(struct engine *engine, uint32_t source, int32_t session, struct text *text)
{
	return skynet_send(engine->ctx, 0, source, PTYPE_ERROR, session, text->bytes, text->size) >=
	       0;
}

/* --- telling the requester ----------------------------------------------------------------- */

bool
failure_answer(struct engine *engine, uint32_t source, int32_t session, const char *format, ...)
{
	struct text text = {.size = 0};
	va_list arguments;
	add_who(&text, engine);
	add(&text, ": ");
	va_start(arguments, format);
	add_list(&text, format, arguments);
	va_end(arguments);
	return send_text(engine, source, session, &text);
}

void
failure_answer_task(struct engine *engine, struct task *task, const char *format, ...)
{
	struct text text = {.size = 0};
	va_list arguments;
	int32_t session = task->request;
	task->has_request = false;
	task->request = 0;
	if (session == 0)
		return;
	add_who(&text, engine);
	add(&text, ": ");
	va_start(arguments, format);
	add_list(&text, format, arguments);
	va_end(arguments);
	(void)send_text(engine, task->source, session, &text);
}

const char *
failure_end_reason(const struct engine *engine)
{
	const char *reason = skynet_command(engine->ctx, "REASON", NULL);
	return reason ? reason : "it has ended";
}

void
failure_tell_death(struct engine *engine, uint32_t callee)
{
	(void)failure_answer(engine, callee, 0, "%s", failure_end_reason(engine));
}

/* --- a task that has raised ---------------------------------------------------------------- */

static int
to_text(lua_State *L)
{
	(void)luaL_tolstring(L, 1, NULL);
	return 1;
}

/* Answers the request of a task with the error, and where it was. */
static void
answer_error(struct engine *engine, struct task *task, const char *error)
{
	struct text text = {.size = 0};
	int32_t session = task->request;
	task->has_request = false;
	task->request = 0;
	if (session == 0)
		return;
	add_who(&text, engine);
	add(&text, ": %s", error);
	add_traceback(&text, engine, task->co);
	(void)send_text(engine, task->source, session, &text);
}

/* The start function has raised. */
static void
tell_launcher(lua_State *L, struct engine *engine, const char *error)
{
	char address[16];
	(void)snprintf(address, sizeof address, ":%08x", skynet_current_handle());
	lua_pushliteral(L, "ERROR");
	lua_pushfstring(L, "%s (%s): %s", engine->name, address, error);
	engine_tell_launcher(L, lua_gettop(L) - 1);
}

/* Called by engine_run_protected with the task. */
static int
report(lua_State *L)
{
	struct engine *engine = engine_of(L);
	struct task *task = lua_touserdata(L, 1);
	lua_pushcfunction(L, to_text);
	lua_pushvalue(task->co, -1); /* the error stays there, for variables to be closed */
	lua_xmove(task->co, L, 1);
	if (lua_pcall(L, 1, 1, 0) != LUA_OK)
		lua_pushliteral(L, "(an error whose __tostring fails)");
	const char *error = lua_tostring(L, -1);
	answer_error(engine, task, error);
	if (task->is_start)
		tell_launcher(L, engine, error);
	luaL_traceback(L, task->co, error, 0);
	error = lua_tostring(L, -1);
	if (task->is_start)
		skynet_error(engine->ctx, "init service failed: %s", error);
	else
		skynet_error(engine->ctx,
			     "lua call [%x to :%x : %d msgsz = %d] error : \x1b[31m%s\x1b[0m",
			     engine->message.source, skynet_current_handle(),
			     (int)engine->message.session, (int)engine->message.size, error);
	return 0;
}

void
failure_report_start_plainly(struct skynet_context *ctx)
{
	static char text[] = "ERROR not enough memory to start";
	(void)skynet_sendname(ctx, 0, ".launcher", PTYPE_TEXT, 0, text, strlen(text));
}

void
failure_report(struct engine *engine, struct task *task)
{
	if (!engine_run_protected(engine, report, task) && task->is_start)
		failure_report_start_plainly(engine->ctx);
	/* Unless the report could. */
	failure_answer_task(engine, task, "not enough memory to tell the error");
}

/* --- telling the caller -------------------------------------------------------------------- */

/* Pushes who the address at index stands for: "MODULE PARAMETER (:ADDRESS)", or the address. */
static void
push_who(lua_State *L, int index)
{
	char text[16];
	struct engine *engine = engine_of(L);
	const char *address = luaL_tolstring(L, index, NULL);
	uint32_t handle = 0;
	if (lua_isnumber(L, index))
		handle = (uint32_t)lua_tointeger(L, index);
	else if (address[0] == ':' || address[0] == '.')
		handle = skynet_queryname(engine->ctx, address);
	if (handle != 0) {
		(void)snprintf(text, sizeof text, ":%08x", handle);
		const char *description = skynet_command(engine->ctx, "DESCRIBE", text);
		if (description)
			lua_pushfstring(L, "%s (%s)", description, text);
		else
			lua_pushfstring(L, "service %s", text);
		lua_remove(L, -2);
	}
}

int
failure_raise(lua_State *L, struct task *task, int address)
{
	luaL_where(L, 1);
	lua_pushliteral(L, "call failed: ");
	if (task->reason) {
		lua_pushstring(L, task->reason);
		free(task->reason);
		task->reason = NULL;
	} else {
		push_who(L, address);
		lua_pushliteral(L, ": it has answered with an error, and does not say which");
		lua_concat(L, 2);
	}
	lua_concat(L, 3);
	return lua_error(L);
}

int
failure_raise_unsent(lua_State *L, int address, const char *reason)
{
	luaL_where(L, 1);
	lua_pushliteral(L, "call failed: ");
	push_who(L, address);
	lua_pushfstring(L, ": %s", reason);
	lua_concat(L, 4);
	return lua_error(L);
}

int
failure_raise_timeout(lua_State *L, const struct task *task, int address)
{
	char seconds[32];
	(void)snprintf(seconds, sizeof seconds, "%.2f", (double)task->deadline_ms / 1000);
	luaL_where(L, 1);
	lua_pushliteral(L, "call failed: ");
	push_who(L, address);
	lua_pushfstring(L, ": no answer within %s s", seconds);
	lua_concat(L, 4);
	return lua_error(L);
}
