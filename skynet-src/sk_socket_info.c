/* sk_socket_info.c: the list of sockets that a monitor sees. */
#include "skynet_socket.h"

#include "sk_clock.h"
#include "sk_socket_life.h"
#include "sk_socket_unix.h"

#include <stdio.h>

static int
info_type(const struct sk_socket *s)
{
	if (s->stage == SK_SOCKET_CLOSING)
		return SOCKET_INFO_CLOSING;
	switch (s->ops->kind) {
	case SK_SOCKET_LISTENER:
		return SOCKET_INFO_LISTEN;
	case SK_SOCKET_STREAM:
		return SOCKET_INFO_TCP;
	case SK_SOCKET_DATAGRAM:
		return SOCKET_INFO_UDP;
	case SK_SOCKET_FOREIGN:
	case SK_SOCKET_READINESS:
		return SOCKET_INFO_BIND;
	}
	return SOCKET_INFO_UNKNOWN;
}

/* A datagram socket without a default peer is known by where it receives. */
static void
print_name(const struct sk_socket *s, char text[SK_SOCKET_TEXT_MAX])
{
	struct sk_address address = s->address;
	bool has_port = s->ops->kind == SK_SOCKET_STREAM || s->ops->kind == SK_SOCKET_LISTENER;
	if (has_port && sk_address_kind(&address) == SK_ADDRESS_NONE) {
		(void)snprintf(text, SK_SOCKET_TEXT_MAX, "%s",
			       s->unix_name ? sk_socket_unix_host(s->unix_name) : "unix:");
		return;
	}
	if (s->ops->kind == SK_SOCKET_DATAGRAM && sk_address_kind(&address) == SK_ADDRESS_NONE)
		sk_address_of_descriptor(&address, s->fd);
	sk_address_print(&address, text);
}

/* The node's clock at a moment that was noted in ticks; 0: never. */
static uint64_t
cs_of_ticks(uint64_t ticks, uint64_t now_ticks, uint64_t now_cs)
{
	if (ticks == 0)
		return 0;
	uint64_t age_cs = sk_clock_ticks_to_ns(now_ticks - ticks) / SK_NS_PER_CS;
	return age_cs < now_cs ? now_cs - age_cs : 0;
}

static struct socket_info *
describe(const struct sk_sockets *sockets, const struct sk_socket *s)
{
	struct socket_info *info = skynet_calloc(1, sizeof *info);
	char name[SK_SOCKET_TEXT_MAX];
	uint64_t now_ticks = sk_clock_ticks();
	uint64_t now_cs = sk_core_now_cs(sockets->core);
	info->id = sk_socket_id(s);
	info->type = info_type(s);
	info->opaque = s->owner;
	info->read = s->read_count;
	info->write = s->write_bytes;
	info->rtime = cs_of_ticks(s->read_ticks, now_ticks, now_cs);
	info->wtime = cs_of_ticks(s->write_ticks, now_ticks, now_cs);
	info->wbuffer = (int64_t)sk_socket_waiting_bytes(s);
	info->reading = s->is_reading && s->stage == SK_SOCKET_OPEN && !s->is_read_over;
	info->writing = info->wbuffer > 0;
	print_name(s, name);
	(void)snprintf(info->name, sizeof info->name, "%s", name);
	return info;
}

struct socket_info *
skynet_socket_info(void)
{
	struct sk_sockets *sockets = sk_this_core ? sk_this_core->sockets : NULL;
	struct socket_info *list = NULL;
	struct socket_info **last = &list;
	for (int i = 0; sockets && i < SK_SOCKETS_MAX; i++) {
		struct sk_socket *s = sk_socket_enter_slot(sockets, i);
		if (!s)
			continue;
		*last = describe(sockets, s);
		last = &(*last)->next;
		sk_socket_leave(sockets, s);
	}
	return list;
}

void
socket_info_release(struct socket_info *list)
{
	while (list) {
		struct socket_info *next = list->next;
		skynet_free(list);
		list = next;
	}
}
