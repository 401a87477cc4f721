/* api_answer.c: answering requests, at once or later, from Lua.
 *
 * A request is answered exactly once (E4 in engine.c). A response closure takes the request over
 * from its task; one that is dropped without an answer sends an error, so that no caller waits for
 * ever.
 */
#include "api.h"

#include "failure.h"
#include "traces.h"

#include <stdlib.h>
#include <string.h>

/* The session to answer; raises when there is no request any more. */
static int32_t
take_request(lua_State *L, struct task *task, const char *text)
{
	if (!task || !task->has_request)
		luaL_error(L, "%s", text);
	int32_t session = task->request;
	task->has_request = false;
	task->request = 0;
	if (task->tag)
		traces_log(engine_of(L), task->tag, "response", NULL, 0);
	return session;
}

static int
answer(lua_State *L, struct engine *engine, uint32_t source, int32_t session,
       const struct api_payload *payload)
{
	if (session == 0) { /* a send wants no answer */
		api_drop_payload(payload);
		lua_pushboolean(L, 0);
		return 1;
	}
	int sent = skynet_send(engine->ctx, 0, source, PTYPE_RESPONSE | payload->tag, session,
			       payload->data, payload->size);
	if (sent == -2) /* the requester is told so instead */
		(void)failure_answer(engine, source, session, "its answer is too large: %zu bytes",
				     payload->size);
	lua_pushboolean(L, sent >= 0);
	return 1;
}

static int
l_ret(lua_State *L)
{
	struct engine *engine = engine_of(L);
	struct task *task = engine->current;
	struct api_payload payload = api_check_payload(L, 1);
	if (!task || !task->has_request)
		api_drop_payload(&payload);
	int32_t session = take_request(L, task, "No session");
	return answer(L, engine, task->source, session, &payload);
}

static int
l_retpack(lua_State *L)
{
	struct engine *engine = engine_of(L);
	struct task *task = engine->current;
	size_t base = engine->scratch.size;
	codec_pack(L, 1, &engine->scratch);
	struct api_payload payload = {.data = engine->scratch.data + base,
				      .size = engine->scratch.size - base};
	engine->scratch.size = base; /* nothing packs before the bytes are sent */
	int32_t session = take_request(L, task, "No session");
	return answer(L, engine, task->source, session, &payload);
}

static int
l_ignoreret(lua_State *L)
{
	struct task *task = engine_of(L)->current;
	if (task) {
		task->has_request = false;
		task->request = 0;
	}
	return 0;
}

/* forward(address): the request in hand goes on to another service, as it is, when the handler
 * waits for the first time or ends. It is that one's to answer. */
static int
l_forward(lua_State *L)
{
	struct engine *engine = engine_of(L);
	struct api_address address = api_check_service(L, 1);
	const struct task *task = engine->current;
	if (!task || engine->fresh != task || !task->has_request || engine->message.is_taken)
		return luaL_error(L, "only a handler can forward its request, once, and before it "
				     "answers or waits");
	if (address.handle == 0 || skynet_forward(engine->ctx, address.handle) != 0) {
		lua_pushnil(L);
		lua_pushfstring(L, "there is no service %s", address.name ? address.name : ":0");
		return 2;
	}
	engine->fresh = NULL;
	lua_pushboolean(L, 1);
	(void)l_ignoreret(L);
	return 1;
}

static int
l_context(lua_State *L)
{
	const struct task *task = engine_of(L)->current;
	if (!task || !task->has_request)
		return 0;
	lua_pushinteger(L, task->request);
	lua_pushinteger(L, task->source);
	return 2;
}

static void
unlink_response(struct response *response)
{
	*response->link = response->next;
	if (response->next)
		response->next->link = response->link;
	response->link = NULL;
}

/* It is about to be answered, or never will be. */
static void
drop_tag(struct engine *engine, struct response *response, bool is_answered)
{
	if (!response->tag)
		return;
	if (is_answered)
		traces_log(engine, response->tag, "response", NULL, 0);
	free(response->tag);
	response->tag = NULL;
}

/* A closure that was dropped without an answer: its requester must not wait for ever. */
static int
response_gc(lua_State *L)
{
	struct response *response = lua_touserdata(L, 1);
	struct engine *engine = engine_of(L);
	drop_tag(engine, response, false);
	if (!response->link)
		return 0;
	unlink_response(response);
	(void)failure_answer(engine, response->source, response->session,
			     "it has dropped the request without an answer");
	return 0;
}

/* r(false[, text[, source]]) */
static int
respond_error(lua_State *L, struct engine *engine, struct response *response)
{
	size_t size;
	const char *text = luaL_optlstring(L, 2, NULL, &size);
	bool is_relayed = !lua_isnoneornil(L, 3);
	uint32_t source = is_relayed ? api_check_address(L, 3).handle : 0;
	int32_t session = response->session;
	luaL_argcheck(L, !is_relayed || (source != 0 && text), 3,
		      "the address of who has failed expected, behind a text");
	drop_tag(engine, response, true);
	unlink_response(response);
	response->session = 0;
	bool is_sent;
	if (is_relayed)
		is_sent = skynet_send(engine->ctx, source, response->source, PTYPE_ERROR, session,
				      (void *)(uintptr_t)text, size) >= 0;
	else
		is_sent = failure_answer(engine, response->source, session, "%s",
					 text ? text : "it has answered with an error");
	lua_pushboolean(L, is_sent);
	return 1;
}

/* The closure: r(true, ...), r(false[, text[, source]]), r("TEST"). Upvalues: response, pack
 * function. */
static int
respond(lua_State *L)
{
	struct engine *engine = engine_of(L);
	struct response *response = lua_touserdata(L, lua_upvalueindex(1));
	if (lua_type(L, 1) == LUA_TSTRING && strcmp(lua_tostring(L, 1), "TEST") == 0) {
		lua_pushboolean(L, response->link != NULL);
		return 1;
	}
	if (response->session == 0)
		return luaL_error(L, "Can't response more than once");
	int32_t session = response->session;
	if (!response->link) { /* the requester has died */
		response->session = 0;
		lua_pushboolean(L, 0);
		return 1;
	}
	if (!lua_toboolean(L, 1))
		return respond_error(L, engine, response);
	lua_pushvalue(L, lua_upvalueindex(2));
	lua_replace(L, 1);
	lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
	struct api_payload payload = api_check_payload(L, 1);
	if (!response->link) { /* the pack function has used this very closure */
		api_drop_payload(&payload);
		return luaL_error(L, "Can't response more than once");
	}
	drop_tag(engine, response, true);
	unlink_response(response); /* not before packing has succeeded */
	response->session = 0;
	return answer(L, engine, response->source, session, &payload);
}

static int
respond_nothing(lua_State *L)
{
	(void)L;
	return 0;
}

static int
l_response(lua_State *L)
{
	struct engine *engine = engine_of(L);
	struct task *task = engine->current;
	lua_settop(L, 1);
	if (!lua_isnil(L, 1))
		luaL_checktype(L, 1, LUA_TFUNCTION);
	if (!task || !task->has_request || task->request == 0) {
		(void)take_request(L, task, "no session");
		lua_pushcfunction(L, respond_nothing);
		return 1;
	}
	struct response *response = lua_newuserdatauv(L, sizeof *response, 0);
	*response = (struct response){.source = task->source};
	if (luaL_newmetatable(L, "skynet.response")) {
		lua_pushcfunction(L, response_gc);
		lua_setfield(L, -2, "__gc");
	}
	lua_setmetatable(L, -2);
	if (lua_isnil(L, 1))
		lua_pushcfunction(L, api_packstring);
	else
		lua_pushvalue(L, 1);
	lua_pushcclosure(L, respond, 2);
	/* Nothing can fail any more: the request changes hands. */
	response->session = task->request;
	response->tag = task->tag ? skynet_strdup(task->tag) : NULL;
	task->has_request = false;
	task->request = 0;
	response->next = engine->responses;
	response->link = &engine->responses;
	if (response->next)
		response->next->link = &response->next;
	engine->responses = response;
	return 1;
}

const luaL_Reg api_answer_functions[] = {
	{"ret", l_ret},
	{"retpack", l_retpack},
	{"response", l_response},
	{"ignoreret", l_ignoreret},
	{"context", l_context},
	{"forward", l_forward},
	{NULL, NULL},
};
