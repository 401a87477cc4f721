/* engine.h: the tasks of one Lua service: who runs, who waits for what.
 *
 * Model      A task is a Lua coroutine that runs one request, fork or timer. It suspends where it
 *            waits (call, sleep, wait) and is resumed by the message it waits for; a finished
 *            coroutine is kept and given the next job as it is. After each message: first the tasks
 *            that were woken, then those whose call has failed, then forks, in that order.
 * Life       engine_init when the VM is made; engine_close_tasks, before the VM is closed, answers
 *            every request that is still open with an error; engine_fini after that.
 * Threads    [turn]; only engine_interrupt: [any], under the core's signal lock.
 * Memory     the engine belongs to the service; tasks are anchored in a table of the VM.
 */
#ifndef SNLUA_ENGINE_H
#define SNLUA_ENGINE_H

#include "codec.h"
#include "session_map.h"
#include "skynet.h"

#include <lua.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What a suspended task waits for. */
enum task_state {
	TASK_FREE,     /* in the pool */
	TASK_READY,    /* in a list: will run */
	TASK_RUNNING,  /* the current one */
	TASK_CALLING,  /* for the answer to `session` */
	TASK_SLEEPING, /* for its timer `session`, or a wakeup */
	TASK_WAITING,  /* for a wakeup */
};

/* How a resumed task finds out why. */
enum task_wake {
	WAKE_NONE,
	WAKE_ANSWER, /* the engine's message is the answer */
	WAKE_FAILED, /* the call failed; `reason` may hold a text */
	WAKE_TIMER,  /* the time is over */
	WAKE_TOKEN,  /* somebody called wakeup */
};

struct task {
	lua_State *co;
	struct task *next; /* in the list it is in */
	/* All tasks that are not free. */
	struct task *all_next;
	struct task **all_link;
	enum task_state state;
	enum task_wake wake;
	int32_t session;	    /* waits for it; 0: none */
	uint32_t callee;	    /* of a call by number */
	struct skynet_timer *timer; /* of TASK_SLEEPING; NULL: it is in the mailbox already */
	char *reason;		    /* of WAKE_FAILED, malloc-ed, or NULL */
	/* The request it answers. */
	uint32_t source;
	int32_t request;  /* its session; 0: none, no answer wanted, or given already */
	bool has_request; /* it runs a request, and has neither answered nor ignored it */
	bool is_start;	  /* it runs the start function */
	uint8_t protocol; /* index of the request's protocol, for the log */
	int anchor;	  /* reference that keeps co alive */
};

struct task_list {
	struct task *first;
	struct task **last;
};

/* How the bytes of a message become arguments; the built-in ways need no call. */
enum unpack_kind {
	UNPACK_NOTHING,	 /* no unpack function: no arguments */
	UNPACK_LUA,	 /* skynet.unpack */
	UNPACK_TEXT,	 /* skynet.tostring: one string */
	UNPACK_FUNCTION, /* whatever the service brings */
};

/* A message type this service speaks. */
struct protocol {
	const char *name; /* anchored by name_anchor, a reference */
	int name_anchor;
	int pack; /* reference to a function; LUA_NOREF: none */
	int unpack;
	int dispatch;
	uint8_t id;
	bool packs_lua; /* pack is the built-in codec */
	enum unpack_kind kind;
};

/* The message in hand. */
struct envelope {
	int type;
	int32_t session;
	uint32_t source;
	const void *data; /* borrowed until the callback returns */
	size_t size;
};

/* A deferred answer, the upvalue of a response closure. */
struct response {
	struct response *next;
	struct response **link; /* NULL: answered */
	uint32_t source;
	int32_t session;
};

struct engine {
	struct skynet_context *ctx;
	lua_State *L;
	struct task *current;
	struct task *pool;
	int pool_size;
	struct task *all;
	struct task_list woken;
	struct task_list failed;
	struct task_list forked;
	struct session_map waiters;
	struct protocol *protocols;
	int protocol_count;
	uint8_t index_of[256]; /* type id -> 1 + index in protocols; 0: unknown */
	struct envelope message;
	struct codec_buffer scratch;
	struct response *responses;
	int anchors;	     /* reference to the table of coroutines */
	int tokens;	     /* reference to the table token -> task */
	int unknown_request; /* references to handlers; LUA_NOREF: the default */
	int unknown_response;
	bool is_started; /* the script has called skynet.start */
	bool is_exiting;
	/* Read by engine_interrupt on other threads. */
	_Atomic(lua_State *) running;
	_Atomic int is_interrupting;
};

void engine_init(struct engine *engine, struct skynet_context *ctx, lua_State *L);
/* Frees what belongs to no VM. */
void engine_fini(struct engine *engine);

/* The engine of a state. Never NULL in a Lua service. */
static inline struct engine *
engine_of(lua_State *L)
{
	return *(struct engine **)lua_getextraspace(L);
}

/* A task whose coroutine is empty: push a function and its arguments, then hand it to
 * engine_fork or engine_run. */
struct task *engine_new_task(struct engine *engine);
/* Takes the task back without running it. */
void engine_drop_task(struct engine *engine, struct task *task);
/* Runs a new task at once; the function and its argument_count arguments are on its stack. */
void engine_run(struct engine *engine, struct task *task, int argument_count);
/* Runs what the message in hand has made ready, in the order above. */
void engine_run_ready(struct engine *engine);
/* Has a new task run after the current message. */
void engine_fork(struct engine *engine, struct task *task);
/* A session not in use by any waiter. */
int32_t engine_new_session(struct engine *engine);
/* As skynet_timeout, with such a session. */
int32_t engine_start_timer(struct engine *engine, int64_t delay_ms, struct skynet_timer **timer);
/* Wakes a sleeping or waiting task. */
void engine_wake(struct engine *engine, struct task *task, enum task_wake wake);
/* Source is dead: calls to it fail, requests from it want no answer. */
void engine_source_died(struct engine *engine, uint32_t source);
/* Ends the service: it runs no task after the current one has suspended or ended. */
void engine_exit(struct engine *engine);
/* Answers all that is open with errors, closes all tasks but the current one. */
void engine_close_tasks(struct engine *engine);
/* Answers the request of a task, if it has one. data: borrowed, or taken with
 * PTYPE_TAG_DONTCOPY in type. Returns false when nobody gets it. */
bool engine_answer(struct engine *engine, uint32_t source, int32_t session, int type, void *data,
		   size_t size);

/* Sends the values from stack index first to the top to the launcher, as one message, and pops
 * them. May raise. */
void engine_tell_launcher(lua_State *L, int first);

/* Makes the Lua code that runs now raise an error. */
void engine_interrupt(struct engine *engine);

#endif
