/* multicast.c: a group: what is sent to this service goes to all its members.
 *
 * Launch     By the command GROUP, one for each group: multicast NUMBER, which is only for the log.
 * Messages   Any type but PTYPE_SYSTEM: goes to all members with its type, bytes and source, and
 *            session 0, as one packet that they share. A request is answered with an error at once,
 *            for no member can answer it.
 *            PTYPE_SYSTEM is what GROUP tells (sk_groups.h): "E HEX", "L HEX", "C". It comes from
 *            source 0, which no service can be.
 * Members    Each is linked to (skynet_link), all with one session: so whoever ends drops out by
 *            itself. A member may get nothing when its mailbox is full; that is counted there.
 * Threads    [turn], as every service. */
#include "address_set.h"
#include "skynet.h"

#include <inttypes.h>
#include <stdlib.h>

struct group {
	struct address_set members;
	int link_session; /* of all links; 0: there was no member yet */
};

SKYNET_API struct group *multicast_create(void);
SKYNET_API void multicast_release(struct group *group);
SKYNET_API int multicast_init(struct group *group, struct skynet_context *ctx, const char *parm);

struct group *
multicast_create(void)
{
	return skynet_calloc(1, sizeof(struct group));
}

void
multicast_release(struct group *group)
{
	address_set_fini(&group->members);
	skynet_free(group);
}

/* Who has ended already becomes no member. */
static void
enter(struct group *group, struct skynet_context *ctx, uint32_t member)
{
	if (!address_set_add(&group->members, member))
		return;
	int session = skynet_link(ctx, member, group->link_session);
	if (session < 0)
		(void)address_set_remove(&group->members, member);
	else
		group->link_session = session;
}

static void
leave(struct group *group, struct skynet_context *ctx, uint32_t member)
{
	if (address_set_remove(&group->members, member))
		skynet_unlink(ctx, member, group->link_session);
	else
		skynet_error(ctx, "Try to remove a none exist handle : %" PRIx32, member);
}

/* text ends in NUL. */
static void
obey(struct group *group, struct skynet_context *ctx, const char *text)
{
	uint32_t member = (uint32_t)strtoul(text + 1, NULL, 16);
	switch (text[0]) {
	case 'E':
		enter(group, ctx, member);
		break;
	case 'L':
		leave(group, ctx, member);
		break;
	case 'C':
		skynet_command(ctx, "EXIT", "the group was cleared");
		break;
	default:
		break; /* GROUP says nothing else */
	}
}

/* A request gets no answer from here; who waits for one is to know. */
static void
refuse(struct skynet_context *ctx, int type, int session, uint32_t source, const char *reason)
{
	if (session == 0 || source == 0 || type == PTYPE_RESPONSE || type == PTYPE_ERROR)
		return;
	/* Who is gone waits for nothing. */
	(void)skynet_send(ctx, 0, source, PTYPE_ERROR, session, (void *)(uintptr_t)reason,
			  strlen(reason));
}

static void
pass_on(const struct group *group, struct skynet_context *ctx, int type, uint32_t source,
	const void *msg, size_t sz)
{
	if (group->members.count == 0)
		return;
	struct skynet_packet *packet = skynet_packet_new(msg, sz); /* no message is too large */
	(void)skynet_packet_send_all(ctx, source, group->members.list, group->members.count, type,
				     packet);
	skynet_packet_release(packet);
}

static int
callback(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
	 const void *msg, size_t sz)
{
	struct group *group = ud;
	if (type == PTYPE_SYSTEM) {
		if (source == 0)
			obey(group, ctx, msg);
		else
			refuse(ctx, type, session, source, "a group takes no system messages");
	} else if (type == PTYPE_ERROR && session != 0 && session == group->link_session) {
		(void)address_set_remove(&group->members, source); /* it has ended */
	} else {
		pass_on(group, ctx, type, source, msg, sz);
		refuse(ctx, type, session, source,
		       "it is a group, whose members have got the message and cannot answer");
	}
	return SKYNET_DONE;
}

int
multicast_init(struct group *group, struct skynet_context *ctx, const char *parm)
{
	(void)parm;
	skynet_callback(ctx, group, callback);
	return 0;
}
