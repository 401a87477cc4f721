/* dispatch.h: from a message to the task that handles it.
 *
 * Threads    [turn]
 */
#ifndef SNLUA_DISPATCH_H
#define SNLUA_DISPATCH_H

#include "engine.h"

/* The callback of a started service. ud: its engine. */
int dispatch_message(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
		     const void *msg, size_t sz);

/* Handles a message in the middle of what runs on L now, which goes on after that. data of the
 * message: borrowed. */
void dispatch_inside(lua_State *L, struct engine *engine, const struct envelope *message);

/* The protocol with this id, or NULL. Valid until a protocol is added. */
struct protocol *dispatch_protocol(struct engine *engine, int id);
/* Adds one; its id must be new. */
struct protocol *dispatch_add_protocol(struct engine *engine, const struct protocol *protocol);

/* Pushes what the message in hand says, by that protocol, and returns how many values. */
int dispatch_push_arguments(lua_State *L, struct engine *engine, const struct protocol *protocol);

#endif
