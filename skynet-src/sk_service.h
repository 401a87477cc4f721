/* sk_service.h: one service: its life from launch to release, its turns, its sends.
 *
 * Model      struct skynet_context is the service; a handle names it, a mailbox feeds it, a module
 *            gives it code. Life:
 *              BORN     in the registry; mail collects; create and init run on the launcher's
 *                       thread
 *              ALIVE    turns on workers, one at a time
 *              DYING    out of the registry; its last turn answers what is left in the mailbox with
 *                       errors, then release runs
 *              RETIRED  nobody can find it; freed when no thread can still hold a pointer
 * Threads    marked at each function.
 */
#ifndef SK_SERVICE_H
#define SK_SERVICE_H

#include "sk_base.h"
#include "sk_bound.h"
#include "sk_core.h"
#include "sk_links.h"
#include "sk_mailbox.h"
#include "sk_memory.h"
#include "sk_module.h"
#include "sk_quiesce.h"
#include "sk_scheduler.h"
#include "skynet.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct sk_record;

struct skynet_context {
	/* Any sender writes it. */
	_Alignas(SK_CACHE_LINE) struct sk_mailbox mailbox;
	struct sk_bound bound; /* of the mailbox */
	/* Atomic. */
	_Atomic bool is_dying;
	_Atomic bool is_endless;	    /* set by the watchdog, cleared by STAT endless */
	_Atomic bool owns_sockets;	    /* has ever owned one */
	_Atomic(struct sk_record *) record; /* recording of its messages, or NULL */
	/* Under core->signal_lock. */
	bool has_instance;
	/* Under core->dying_lock. */
	struct skynet_context *next_dying;
	struct skynet_context **dying_link; /* what points to it in the list */
	/* Written under core->dying_lock before is_dying, constant after. */
	char *end_reason;
	/* Constant after launch. */
	_Alignas(SK_CACHE_LINE) struct sk_core *core;
	const struct sk_module *module;
	void *instance;
	uint32_t handle;
	/* Owner only: the thread whose turn it is. */
	int32_t last_session;
	skynet_cb callback;
	void *callback_ud;
	uint64_t message_count;
	uint64_t cpu_ticks; /* of finished messages */
	/* Net bytes allocated in finished turns. Written by the owner, read by anybody: relaxed, it
	 * is a figure for humans. */
	_Atomic int64_t memory_bytes;
	struct sk_overload overload;
	char *description;     /* "MODULE PARM", shortened; constant */
	char result[40];       /* of the last skynet_command */
	struct sk_links links; /* who is to be told when it ends */
	struct sk_retired retired;
};

/* The service that runs on this thread, or NULL. */
extern _Thread_local struct skynet_context *sk_this_service;

/* Launches module with parm (borrowed, may be NULL); create and init run now, on this thread.
 * Returns the handle, or 0 (the reason is in the log).  [turn] [boot] */
uint32_t sk_service_launch(struct sk_core *core, const char *module, const char *parm);

/* Ends a service: it becomes unfindable at once and is released after its current callback. reason:
 * borrowed; what its requesters are told behind its name, as "it was killed". Returns SK_ENOENT
 * when there is none.  [any, online] */
int sk_service_kill(struct sk_core *core, uint32_t handle, const char *reason);

/* A service that was killed does not come to the end of its callback, and others wait for its end:
 * sends it signal 0, which a Lua service takes as the end of what it does.  [any, online] */
void sk_service_interrupt_dying(struct sk_core *core, uint32_t handle);

/* Why a service ends; NULL: it lives.  [turn] */
const char *sk_service_end_reason(const struct skynet_context *service);

/* Sends a service a signal, if it has an instance that takes them.  [any, online] */
void sk_service_signal(struct skynet_context *service, int number);

/* Ends them all; what stays is the log service, which goes when the rest is gone.  [any, online] */
void sk_service_kill_all(struct sk_core *core);

/* Ends what still lives when no worker runs (any more), on the calling thread.  [boot, online] */
void sk_service_release_all(struct sk_core *core);

/* One turn: the hook of the scheduler.  [worker] */
void sk_service_turn(void *core, struct sk_worker *worker, struct sk_mailbox *box);

/* Pushes a message to a local handle. Returns SK_ENOENT, and frees it, when there is no such
 * service. message: taken.  [any, online] */
int sk_service_post(struct sk_core *core, uint32_t handle, struct sk_message *message);

/* Posts a PTYPE_ERROR message with a text to a local handle; one that is gone wants none.
 * [any, online] */
void sk_service_post_error(struct sk_core *core, uint32_t to, uint32_t source, int32_t session,
			   const char *format, ...) SK_PRINTF(5, 6);

/* The hook of the scheduler for timers that are due: hands each to its owner. list: taken.
 * [poller] */
void sk_service_expired(void *core, struct sk_timer_entry *list);

/* Frees an envelope and its payload.  [any] */
void sk_service_discard(struct sk_core *core, struct sk_message *message);

/* Charges bytes to a service, or credits them to it.  [turn] of that service, or its launch */
static inline void
sk_service_charge(struct skynet_context *service, int64_t bytes)
{
	/* Not an atomic addition: there is one writer. */
	atomic_store_explicit(&service->memory_bytes,
			      atomic_load_explicit(&service->memory_bytes, memory_order_relaxed) +
				      bytes,
			      memory_order_relaxed);
}

/* What an envelope and its payload are charged for. A payload is a block for so many bytes and a
 * NUL, as skynet_send makes them. */
static inline int64_t
sk_service_weight(const void *data, size_t size)
{
	return sk_memory_block_bytes(sizeof(struct sk_message)) +
	       (data ? sk_memory_block_bytes(size + 1) : 0);
}

/* What a service is charged for.  [any, online] */
static inline int64_t
sk_service_memory(const struct skynet_context *service)
{
	return atomic_load_explicit(&service->memory_bytes, memory_order_relaxed);
}

/* A session this service has not in use: 1 to 2^31-1, then again from 1.  [turn] */
int32_t sk_service_new_session(struct skynet_context *service);

/* Resolves an address in text form: ":hex" (existence not checked), ".name" or a global name.
 * Returns 0 if unknown. [any, online] */
uint32_t sk_service_resolve(struct sk_core *core, const char *address);

/* Whether handle belongs to another node. [any] */
bool sk_service_is_remote(const struct sk_core *core, uint32_t handle);

#endif
