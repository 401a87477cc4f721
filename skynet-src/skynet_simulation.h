/* skynet_simulation.h: what a test can do to a simulated node (config `simulate = SEED`).
 *
 * Model      Rules lose, delay or double messages between services, by chance if so wished: the
 *            seed decides, so a run can be repeated. An alarm tells a test that nothing can happen
 *            any more. On a node that is not simulated all of this is refused, and costs nothing.
 * Threads    [turn], as in skynet.h.
 */
#ifndef SKYNET_SIMULATION_H
#define SKYNET_SIMULATION_H

#include "skynet.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Stores the node's seed. Returns 1, or 0 when the node is not simulated. */
SKYNET_API int skynet_simulation_seed(struct skynet_context *ctx, uint64_t *seed);

/* 64 random bits that follow from the seed; 0 when the node is not simulated. */
SKYNET_API uint64_t skynet_simulation_random(struct skynet_context *ctx);

enum skynet_fault_kind {
	SKYNET_FAULT_DROP,	/* the message is lost: nobody is told */
	SKYNET_FAULT_DELAY,	/* it comes later; what is sent after it may overtake it */
	SKYNET_FAULT_DUPLICATE, /* it comes a second time, behind what waits in the mailbox */
};

/* A rule for messages from one service to another. Timers, messages of the framework, of sockets,
 * and of a service to itself are not touched, nor are those from and to the log service and the
 * service that has set the alarm. */
struct skynet_fault {
	enum skynet_fault_kind kind;
	uint32_t source;      /* 0: any */
	uint32_t destination; /* 0: any */
	int type;	      /* PTYPE_*; -1: any */
	double chance;	      /* 0.0 to 1.0: of how many it is */
	int64_t count_max;    /* the rule ends after so many; 0: never */
	int64_t delay_min_ms; /* of DELAY: drawn between both */
	int64_t delay_max_ms;
};

/* Adds a rule, behind those that are there; the first one that fits a message decides. Returns its
 * number, above 0, or -1 when the node is not simulated or a field makes no sense. */
SKYNET_API int skynet_simulation_add_fault(struct skynet_context *ctx,
					   const struct skynet_fault *fault);
/* How many messages a rule has met. Returns -1 when there is no such rule. */
SKYNET_API int64_t skynet_simulation_fault_count(struct skynet_context *ctx, int number);
/* Takes a rule away; number 0: all of them, and the messages that they delay are lost. */
SKYNET_API void skynet_simulation_remove_fault(struct skynet_context *ctx, int number);

/* Sets the node's only alarm. When so many milliseconds have passed, the service gets a
 * PTYPE_SYSTEM message with the text "late" (virtual time) or "slow" (real time), or, as soon as
 * nobody has mail and no timer is pending, "stuck". delay_ms below 0: only stops the one that is
 * set. Returns 0, or -1 when the node is not simulated. */
SKYNET_API int skynet_simulation_alarm(struct skynet_context *ctx, int64_t delay_ms,
				       int64_t real_ms);

/* The services of a node, simulated or not, in the order of their handles: returns the next one
 * after handle (0: the first), or 0. module: NULL, or receives the name of its C module, valid
 * until the node ends. */
SKYNET_API uint32_t skynet_simulation_next_service(struct skynet_context *ctx, uint32_t handle,
						   const char **module);

#ifdef __cplusplus
}
#endif

#endif
