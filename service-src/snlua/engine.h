/* engine.h: the tasks of one Lua service: who runs, who waits for what.
 *
 * Model      A task is a Lua coroutine that runs one request, fork or timer. It suspends where it
 *            waits (call, sleep, wait) and is resumed by the message it waits for; a finished
 *            coroutine is kept and given the next job as it is. After each message: first the tasks
 *            that were woken, then those whose call has failed, then forks, in that order.
 * Parts      In this order: each calls only those before it. What has to be called the other way
 *            is handed over: struct engine_parts.
 *                engine_vm.c             protected code, texts for others, interrupts
 *                failure.c, traces.c     what is told when something fails; traces
 *                profile.c, coroutine.c  CPU time; coroutines inside of tasks
 *                engine.c                runs tasks
 *                wait.c, section.c       what tasks wait for; critical sections
 *                timer.c, stream.c       functions that wait for a time; sockets, and their readers
 *                closing.c, dispatch.c   the end of a task or the service; messages
 *                api*.c                  what Lua calls
 *                snlua.c                 the module
 * Life       engine_init when the VM is made; closing_close_tasks, before the VM is closed, answers
 *            every request that is still open with an error; engine_fini after that.
 * Threads    [turn]; only engine_interrupt: [any], under the core's signal lock.
 * Memory     the engine belongs to the service; tasks are anchored in a table of the VM.
 */
#ifndef SNLUA_ENGINE_H
#define SNLUA_ENGINE_H

#include "code_cache.h"
#include "codec.h"
#include "session_map.h"
#include "skynet.h"

#include <lua.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Lua counts time in hundredths of a second, the core in milliseconds. */
#define MS_PER_CS 10

/* What a suspended task waits for. */
enum task_state {
	TASK_FREE,     /* in the pool */
	TASK_READY,    /* in a list: will run */
	TASK_RUNNING,  /* the current one */
	TASK_CALLING,  /* for the answer to `session` */
	TASK_SLEEPING, /* for its timer `session`, or a wakeup */
	TASK_WAITING,  /* for a wakeup */
	TASK_READING,  /* for a socket: see stream.h */
};

/* How a resumed task finds out why. */
enum task_wake {
	WAKE_NONE,
	WAKE_ANSWER,  /* the engine's message is the answer */
	WAKE_FAILED,  /* the call failed; `reason` may hold a text */
	WAKE_TIMEOUT, /* the call was not answered in time */
	WAKE_TIMER,   /* the time is over */
	WAKE_TOKEN,   /* somebody called wakeup */
};

struct engine;
struct nested;
struct stay;
struct stream;

struct task {
	lua_State *co;
	struct task *next; /* in the list it is in */
	/* All tasks that are not free. */
	struct task *all_next;
	struct task **all_link;
	enum task_state state;
	enum task_wake wake;
	int32_t session;       /* of its call, while it waits for the answer; 0: none */
	uint32_t callee;       /* of its call, or linked; 0: not known */
	int32_t timer_session; /* of its sleep, or of its call's deadline; 0: none */
	/* The request it answers. */
	uint32_t source;
	int32_t request;  /* its session; 0: none, no answer wanted, or given already */
	bool has_request; /* it runs a request, and has neither answered nor ignored it */
	bool is_start;	  /* it runs the start function */
	bool is_untraced; /* its protocol is never traced */
	bool is_by_name;  /* its call was made with a name */
	bool is_link;	  /* what it waits for is the end of a service of another node */
	bool has_token;	  /* it is in the table of tokens */
	uint8_t protocol; /* index of the request's protocol, for the log */
	int anchor;	  /* reference that keeps co alive */
	int32_t number;	  /* that names it while it waits for a wakeup; 0: none yet */
	uint8_t address;  /* index of the call's address in the frame that waits */
	/* What follows most tasks never need. */
	struct skynet_timer *timer; /* of timer_session; NULL: it is in the mailbox already */
	int64_t deadline_ms;	    /* of its call: how long it waits; 0: for ever */
	int64_t give_up_ms;	    /* when that is over, if it began to wait before; else 0 */
	char *reason;		    /* of WAKE_FAILED, malloc-ed, or NULL */
	char *tag;		    /* of the trace it belongs to, malloc-ed; NULL: none */
	struct stream *stream;	    /* from which it reads, or NULL */
	struct stay *stays;	    /* in critical sections: see section.h */
	/* The coroutines inside of it that wait with it, the innermost first (coroutine.c). */
	struct nested *nested;
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

/* Whether the requests of a protocol are traced. */
enum trace_rule {
	TRACE_ON_DEMAND, /* those whose sender, or handler, wants it */
	TRACE_ALWAYS,
	TRACE_NEVER,
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
	enum trace_rule trace;
};

/* The message in hand. */
struct envelope {
	int type;
	int32_t session;
	uint32_t source;
	const void *data; /* borrowed until the callback returns */
	size_t size;
	bool is_taken; /* skynet.core.keep: the block is the program's now */
};

/* A deferred answer, the upvalue of a response closure. */
struct response {
	struct response *next;
	struct response **link; /* NULL: answered */
	uint32_t source;
	int32_t session;
	char *tag; /* as of a task */
};

/* What the engine has done by parts that stand on it, when a task ends. */
struct engine_parts {
	/* It reads from a stream, and does not any more. */
	void (*leave_stream)(struct engine *engine, struct task *task);
	/* It has stays in critical sections. */
	void (*leave_sections)(struct engine *engine, struct task *task);
};

struct engine {
	struct skynet_context *ctx;
	lua_State *L;
	const struct engine_parts *parts;
	struct task *current;
	/* The coroutine that may wait now: the current task's own, or one that skynet.coroutine has
	 * resumed in it; NULL: the task runs one that may not. */
	lua_State *leaf;
	lua_State *resumer; /* who resumes tasks: the main state, or whoever dispatches a message */
	/* Read by engine_interrupt on other threads. */
	_Atomic(lua_State *) running;
	_Atomic int is_interrupting;
	_Atomic bool was_interrupted; /* a hook may be left in what ran then */
	bool is_started;	      /* the script has called skynet.start */
	bool is_exiting;
	int pool_size;
	struct task *pool;
	struct task *all;
	struct task_list woken;
	struct task_list failed;
	struct task_list forked;
	struct session_map waiters;
	struct session_map streams; /* stream.c, by the ids of sockets */
	bool has_streams;	    /* messages of type "socket" go there */
	struct envelope message;
	/* The task that runs the request in the message in hand, until it waits for the first time;
	 * NULL: it has, or Lua code has dispatched the message itself. */
	struct task *fresh;
	bool is_inside; /* a message is dispatched by Lua code, in the middle of another one */
	struct codec_buffer scratch;
	struct protocol *protocols;
	int protocol_count;
	int profiles;		  /* reference to the table of profile.c; or LUA_NOREF */
	struct trace_mark *marks; /* traces.c: tags of requests that are to come */
	struct response *responses;
	int64_t call_timeout_ms; /* a call's deadline unless it has its own; 0: none */
	int anchors;		 /* reference to the table of coroutines */
	int tokens;		 /* reference to the table token -> task */
	uint8_t index_of[256];	 /* type id -> 1 + index in protocols; 0: unknown */
	/* What follows is seldom needed. */
	char *name;    /* of the service, malloc-ed */
	int32_t *late; /* wait.c: sessions of calls that have ended without their answer */
	uint32_t late_count;
	uint32_t late_capacity;
	uint64_t late_answers;	/* answers to such calls so far */
	uint64_t lost_messages; /* that another node has refused, and nobody waits for, so far */
	uint32_t timer_count;	/* timers with a function */
	uint32_t timer_peak;	/* how many there were since their table was made */
	uint32_t trace_count;	/* traces begun here so far */
	int timers;	   /* reference to the table session -> function; LUA_NOREF: not made */
	int origins;	   /* reference to the table session -> where a timer was set; or NOREF */
	int coroutines;	   /* reference to the table of coroutine.c; or LUA_NOREF */
	int stays;	   /* reference to the table of section.c; or LUA_NOREF */
	int profile_count; /* coroutines that are measured */
	int overload;	   /* reference to who is told that the mailbox grows; LUA_NOREF: nobody */
	enum code_cache_mode code_mode;
	int unknown_request; /* references to handlers; LUA_NOREF: the default */
	int unknown_response;
	bool is_frame_told; /* the log has a line about clients' frames, which it does not handle */
};

/* parameter: borrowed; its first word is the service's name. parts: live as long as the engine. */
void engine_init(struct engine *engine, struct skynet_context *ctx, lua_State *L,
		 const char *parameter, const struct engine_parts *parts);
/* Frees what belongs to no VM. */
void engine_fini(struct engine *engine);

/* The engine of a state. Never NULL in a Lua service. */
static inline struct engine *
engine_of(lua_State *L)
{
	return *(struct engine **)lua_getextraspace(L);
}

/* The task with this coroutine, or NULL. */
static inline struct task *
engine_find_task(const struct engine *engine, const lua_State *co)
{
	struct task *task = engine->all;
	while (task && task->co != co)
		task = task->all_next;
	return task;
}

/* --- outside of tasks, and interrupts (engine_vm.c) --- */

/* Runs body(L) on the main state with argument as light userdata. Outside a task nothing may raise
 * (E3), so what body raises, out of memory as a rule, is swallowed, after a line that says so: then
 * this returns false. */
bool engine_run_protected(struct engine *engine, lua_CFunction body, void *argument);

/* Sends the values from stack index first to the top to a service, as one message, and pops them;
 * nothing happens if there is none of that local name. May raise. */
void engine_tell(lua_State *L, const char *name, int first);
static inline void
engine_tell_launcher(lua_State *L, int first)
{
	engine_tell(L, ".launcher", first);
}

/* A coroutine begins to run inside of what runs now, which is returned. */
lua_State *engine_enter(struct engine *engine, lua_State *co);
/* It has stopped, and who has resumed it goes on: outer is what engine_enter returned. An interrupt
 * that was meant for co and came too late goes to the resumer, if it is not NULL. */
void engine_leave(struct engine *engine, lua_State *outer, lua_State *co, lua_State *resumer);

/* The same for a task: an interrupt that came too late does not hit what it does next. */
void engine_drop_interrupt(struct engine *engine, lua_State *co);
/* Returns when no interrupt is at work any more on a coroutine that does not run. */
void engine_await_interrupt(struct engine *engine);

/* Makes the Lua code that runs now raise an error. */
void engine_interrupt(struct engine *engine);

/* --- tasks (engine.c) --- */

/* A task whose coroutine is empty: push a function and its arguments, then hand it to
 * engine_fork or engine_run. */
struct task *engine_new_task(struct engine *engine);
/* Takes the task back without running it. */
void engine_drop_task(struct engine *engine, struct task *task);
/* Frees a task that unlink has taken out, and that is in no list. */
void engine_free_task(struct engine *engine, struct task *task);
/* Takes a task out of the list of all tasks. It reads from no socket any more. */
void engine_unlink_task(struct engine *engine, struct task *task);
/* Runs a new task at once; the function and its argument_count arguments are on its stack. */
void engine_run(struct engine *engine, struct task *task, int argument_count);
/* Runs what the message in hand has made ready, in the order above. */
void engine_run_ready(struct engine *engine);
/* Has a new task run after the current message. */
void engine_fork(struct engine *engine, struct task *task);
/* Has a waiting task run after the current one has suspended or ended. */
void engine_ready(struct engine *engine, struct task *task, enum task_wake wake);
/* Forgets which tasks are ready. */
void engine_forget_ready(struct engine *engine);
/* Takes one task out of whichever list of ready tasks it is in. */
void engine_forget_task(struct engine *engine, struct task *task);
/* Nobody can wake the task any more: it is about to end. */
void engine_forget_tokens(struct engine *engine, struct task *task);
/* Closes the coroutines of a task that is in no list any more: runs its to-be-closed variables. Its
 * error, if any, is on top of its stack. */
void engine_close_coroutines(struct engine *engine, struct task *task);

#endif
