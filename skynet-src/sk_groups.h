/* sk_groups.h: groups of services by number: the command GROUP.
 *
 * Model      A group is a service of the module `multicast` (service-src/multicast.c): what is sent
 *            to its handle goes to all members. Only the table from numbers to handles is here; so
 *            whoever sends to one service pays nothing for groups.
 *            G1  A number has at most one group. One that was killed is replaced when its number is
 *                asked for next.
 *            G2  The group is told of its members by messages of type PTYPE_SYSTEM from source 0,
 *                which no service can send, in one queue with what is sent to the members: "E HEX"
 *                enters, "L HEX" leaves, "C" ends the group. So each takes effect between the
 *                messages that its sender sent before and after.
 * Threads    new and free: [boot]. All others: [turn].
 */
#ifndef SK_GROUPS_H
#define SK_GROUPS_H

#include <stdint.h>

struct skynet_context;
struct sk_groups;

struct sk_groups *sk_groups_new(void);
void sk_groups_free(struct sk_groups *groups);

/* The handle of the group, which is made when there is none. Returns 0 when it cannot be made; the
 * reason is in the log. */
uint32_t sk_groups_query(struct skynet_context *ctx, int32_t number);

/* A local service becomes a member, or is one no more. */
void sk_groups_enter(struct skynet_context *ctx, int32_t number, uint32_t handle);
void sk_groups_leave(struct skynet_context *ctx, int32_t number, uint32_t handle);

/* Ends the group, if there is one, behind what was sent to it before. The number is free at
 * once. */
void sk_groups_clear(struct skynet_context *ctx, int32_t number);

#endif
