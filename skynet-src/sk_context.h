/* sk_context.h: what a service consists of. sk_service.h tells how it lives; here is what its parts
 * belong to, and its account of memory.
 */
#ifndef SK_CONTEXT_H
#define SK_CONTEXT_H

#include "sk_base.h"
#include "sk_bound.h"
#include "sk_core.h"
#include "sk_links.h"
#include "sk_mailbox.h"
#include "sk_memory.h"
#include "sk_module.h"
#include "sk_quiesce.h"
#include "skynet.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct sk_record;
struct skynet_remote;

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
	uint32_t forward_to; /* where the message in hand goes after the callback; 0: nowhere */
	bool has_packet;     /* others share the message in hand: sk_packet.h */
	const struct skynet_remote *remote; /* where the message in hand goes, see sk_remote.h */
	uint64_t cpu_ticks;		    /* of finished messages */
	/* Net bytes allocated, as of the last settlement. Written by the owner, read by anybody:
	 * relaxed, it is a figure for humans. */
	_Atomic int64_t memory_bytes;
	int64_t settled_bytes; /* what the counter of the thread said then */
	struct sk_overload overload;
	char *description;     /* "MODULE PARM", shortened; constant */
	char result[40];       /* of the last skynet_command */
	struct sk_links links; /* who is to be told when it ends */
	struct sk_retired retired;
};

/* The service that runs on this thread, or NULL. */
extern _Thread_local struct skynet_context *sk_this_service;

/* Charges bytes to a service, or credits them to it.  [turn] of that service, or its launch */
static inline void
sk_context_charge(struct skynet_context *service, int64_t bytes)
{
	/* Not an atomic addition: there is one writer. */
	atomic_store_explicit(&service->memory_bytes,
			      atomic_load_explicit(&service->memory_bytes, memory_order_relaxed) +
				      bytes,
			      memory_order_relaxed);
}

/* What the thread allocates and frees from now on is the service's.  [turn] or launch, as above */
static inline void
sk_context_open_account(struct skynet_context *service)
{
	service->settled_bytes = sk_memory_thread_bytes();
}

/* Charges it for what that was until now.  [turn] or launch */
static inline void
sk_context_settle(struct skynet_context *service)
{
	int64_t bytes = sk_memory_thread_bytes();
	sk_context_charge(service, bytes - service->settled_bytes);
	service->settled_bytes = bytes;
}

/* What a service is charged for.  [any, online] */
static inline int64_t
sk_context_memory(const struct skynet_context *service)
{
	return atomic_load_explicit(&service->memory_bytes, memory_order_relaxed);
}

#endif
