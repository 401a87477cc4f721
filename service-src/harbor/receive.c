/* receive.c: frames from a peer become messages of this node's services.
 *
 * R1  A counted frame is handled once: a pipe begins with a number that the peer tells, and what
 *     has been counted already is left out.
 * R2  A long message is put together for the peer, not for the pipe: it goes on where it was when a
 *     pipe breaks. Its memory is at most twice what has come of it. */
#include "harbor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ASSEMBLY_FIRST_BYTES (4 * (size_t)HARBOR_FRAME_PAYLOAD_MAX)

/* --- messages -------------------------------------------------------------------------------- */

static void
refuse_delivery(struct harbor *harbor, const struct harbor_frame *head, int result)
{
	bool is_gone = result == -1;
	harbor_refuse(harbor, head->destination, head->source, head->type, head->session, is_gone,
		      is_gone ? "service :%08x: there is no such service"
			      : "service :%08x: its mailbox is full",
		      head->destination);
}

static bool
is_local(const struct harbor *harbor, uint32_t handle)
{
	return handle >> 24 == (uint32_t)harbor->settings.id;
}

/* Delivers a message to a service of this node, or tells its sender, and returns false then.
 * payload: taken. */
static bool
deliver(struct harbor *harbor, const struct harbor_frame *head, void *payload, size_t size)
{
	int result = -1;
	if (is_local(harbor, head->destination))
		result = skynet_send(harbor->ctx, head->source, head->destination,
				     head->type | PTYPE_TAG_DONTCOPY, head->session, payload, size);
	else
		skynet_free(payload);
	/* What has been sent returns its session, which only in an error is negative. */
	if (result >= 0 || head->type == PTYPE_ERROR)
		return true;
	if (result == -4)
		skynet_free(payload); /* the only result that leaves it here */
	refuse_delivery(harbor, head, result);
	return false;
}

/* payload: taken. */
static void
receive_message(struct harbor_peer *peer, const struct harbor_frame *head, void *payload,
		size_t size)
{
	const struct harbor_settings *settings = &peer->harbor->settings;
	struct harbor_frame own = *head;
	/* The local number 0 is the node itself, and .cslave speaks for it. It also answers for it:
	 * an error from that number would say that the node is gone. */
	if (own.destination == (uint32_t)settings->id << 24)
		own.destination = settings->owner;
	peer->counters.received++;
	peer->counters.received_bytes += size;
	if (!deliver(peer->harbor, &own, payload, size))
		peer->counters.refused++;
}

/* A copy with a NUL behind it, as all messages of this node have; NULL for none. */
static void *
copy_of(const char *bytes, size_t size)
{
	if (size == 0)
		return NULL;
	char *copy = skynet_malloc(size + 1);
	memcpy(copy, bytes, size);
	copy[size] = '\0';
	return copy;
}

/* --- messages in parts ----------------------------------------------------------------------- */

void
harbor_assembly_fini(struct harbor_assembly *assembly)
{
	skynet_free(assembly->bytes);
	*assembly = (struct harbor_assembly){0};
}

static void
append(struct harbor_assembly *assembly, const struct harbor_frame *frame, size_t limit)
{
	size_t size = assembly->size + frame->size;
	assembly->size = size;
	if (size > limit) {
		assembly->is_too_large = true;
		skynet_free(assembly->bytes);
		assembly->bytes = NULL;
		return;
	}
	if (size + 1 > assembly->capacity) {
		size_t capacity =
			assembly->capacity > 0 ? assembly->capacity * 2 : ASSEMBLY_FIRST_BYTES;
		assembly->capacity = capacity < size + 1 ? size + 1 : capacity;
		assembly->bytes = skynet_realloc(assembly->bytes, assembly->capacity);
	}
	memcpy(assembly->bytes + size - frame->size, frame->payload, frame->size);
}

static void
refuse_too_large(struct harbor_peer *peer, const struct harbor_frame *head, size_t size)
{
	const struct harbor_settings *settings = &peer->harbor->settings;
	char problem[HARBOR_REASON_MAX];
	(void)snprintf(problem, sizeof problem,
		       "a message of %zu bytes is longer than harbor_message_limit, which is "
		       "%" PRIu32 " on node %d",
		       size, settings->message_limit, settings->id);
	harbor_refuse_to_carry(peer, head, problem);
}

static void
finish(struct harbor_peer *peer)
{
	struct harbor_assembly *assembly = &peer->assembly;
	struct harbor_frame head = assembly->head;
	if (assembly->is_too_large) {
		refuse_too_large(peer, &head, assembly->size);
	} else {
		char *bytes = skynet_realloc(assembly->bytes, assembly->size + 1);
		bytes[assembly->size] = '\0';
		assembly->bytes = NULL;
		receive_message(peer, &head, bytes, assembly->size);
	}
	harbor_assembly_fini(assembly);
}

static const char *
on_part(struct harbor_peer *peer, const struct harbor_frame *frame)
{
	struct harbor_assembly *assembly = &peer->assembly;
	if (frame->kind == HARBOR_FRAME_MESSAGE)
		assembly->head = *frame;
	else if (assembly->head.kind == 0 || assembly->head.source != frame->source ||
		 assembly->head.destination != frame->destination ||
		 assembly->head.session != frame->session || assembly->head.type != frame->type)
		return "a part of a message that has not begun";
	if (!assembly->is_too_large)
		append(assembly, frame, peer->harbor->settings.message_limit);
	else
		assembly->size += frame->size;
	if (frame->flags == 0)
		finish(peer);
	return NULL;
}

/* --- probes and links ------------------------------------------------------------------------ */

static void
refuse_proxy(struct harbor_peer *peer, const struct harbor_frame *frame)
{
	struct harbor *harbor = peer->harbor;
	peer->counters.refused++;
	if (harbor_count(&harbor->refused_proxies))
		skynet_error(harbor->ctx,
			     "[harbor] Refused a link or probe of node %d: services of other nodes "
			     "have %u of them here, the limit (refused so: %" PRIu64 ")",
			     peer->id, HARBOR_PROXIES_MAX, harbor->refused_proxies);
	harbor_refuse(harbor, frame->destination, frame->source, 0, frame->session, false,
		      "service :%08x: its node has too many links and probes from others",
		      frame->destination);
}

static void
on_proxy(struct harbor_peer *peer, const struct harbor_frame *frame)
{
	struct harbor *harbor = peer->harbor;
	struct harbor_proxy proxy = {
		.session = frame->session,
		.source = frame->source,
		.destination = frame->destination,
		.is_link = frame->kind == HARBOR_FRAME_LINK,
	};
	proxy.own_session = -1;
	if (is_local(harbor, frame->destination))
		proxy.own_session = proxy.is_link ? skynet_link(harbor->ctx, frame->destination, 0)
						  : skynet_probe(harbor->ctx, frame->destination);
	if (proxy.own_session < 0) {
		peer->counters.refused++;
		refuse_delivery(harbor, frame, -1);
	} else if (!harbor_proxies_add(&harbor->proxies, &proxy)) {
		if (proxy.is_link)
			skynet_unlink(harbor->ctx, proxy.destination, proxy.own_session);
		refuse_proxy(peer, frame);
	}
}

static void
on_unlink(struct harbor_peer *peer, const struct harbor_frame *frame)
{
	struct harbor *harbor = peer->harbor;
	struct harbor_proxy proxy;
	if (harbor_proxies_take_link(&harbor->proxies, frame->source, frame->destination,
				     frame->session, &proxy))
		skynet_unlink(harbor->ctx, proxy.destination, proxy.own_session);
}

/* --- frames ---------------------------------------------------------------------------------- */

/* Handles a counted frame that is new. Returns what is wrong with it; NULL: nothing. */
static const char *
on_counted(struct harbor_peer *peer, const struct harbor_frame *frame)
{
	if (peer->assembly.head.kind != 0 && frame->kind != HARBOR_FRAME_PART)
		return "another message within one that comes in parts";
	switch ((enum harbor_frame_kind)frame->kind) {
	case HARBOR_FRAME_MESSAGE:
		if (frame->flags != 0)
			return on_part(peer, frame);
		receive_message(peer, frame, copy_of(frame->payload, frame->size), frame->size);
		return NULL;
	case HARBOR_FRAME_PART:
		return on_part(peer, frame);
	case HARBOR_FRAME_PROBE:
	case HARBOR_FRAME_LINK:
		on_proxy(peer, frame);
		return NULL;
	case HARBOR_FRAME_UNLINK:
		on_unlink(peer, frame);
		return NULL;
	case HARBOR_FRAME_ACK:
	case HARBOR_FRAME_BEAT:
	case HARBOR_FRAME_ECHO:
	case HARBOR_FRAME_BEGIN:
		break;
	}
	return NULL; /* not counted */
}

static const char *
count(struct harbor_pipe *pipe, const struct harbor_frame *frame)
{
	struct harbor_peer *peer = pipe->peer;
	if (!pipe->has_begun)
		return "a message before the pipe has begun";
	if (++pipe->number <= peer->received) {
		peer->counters.resent++;
		return NULL; /* R1 */
	}
	peer->received = pipe->number;
	peer->unacknowledged_bytes += HARBOR_FRAME_HEADER + frame->size;
	return on_counted(peer, frame);
}

static const char *
on_begin(struct harbor_pipe *pipe, uint64_t number)
{
	if (pipe->has_begun || number > pipe->peer->received)
		return "a pipe begins where it cannot";
	pipe->has_begun = true;
	pipe->number = number;
	return NULL;
}

/* The peer hears us, and is heard. */
static void
is_heard(struct harbor_peer *peer)
{
	peer->silent_beats = 0;
	harbor_dial_work(&peer->dial);
}

static const char *
on_ack(struct harbor_peer *peer, uint64_t number)
{
	uint64_t before = peer->outbox.acknowledged;
	if (!harbor_outbox_acknowledge(&peer->outbox, number))
		return "it has received what was not sent";
	if (peer->outbox.acknowledged > before) {
		is_heard(peer);
		harbor_send_pieces(peer);
	}
	return NULL;
}

static const char *
on_frame(struct harbor_pipe *pipe, const struct harbor_frame *frame)
{
	struct harbor_peer *peer = pipe->peer;
	switch ((enum harbor_frame_kind)frame->kind) {
	case HARBOR_FRAME_ACK:
		return on_ack(peer, harbor_frame_count(frame));
	case HARBOR_FRAME_BEGIN:
		return on_begin(pipe, harbor_frame_count(frame));
	case HARBOR_FRAME_BEAT:
		peer->echo = frame->session;
		harbor_send_echo(peer);
		return NULL;
	case HARBOR_FRAME_ECHO:
		peer->is_beat_heard = peer->is_beat_heard || frame->session == peer->beat;
		is_heard(peer);
		return NULL;
	case HARBOR_FRAME_MESSAGE:
	case HARBOR_FRAME_PART:
	case HARBOR_FRAME_PROBE:
	case HARBOR_FRAME_LINK:
	case HARBOR_FRAME_UNLINK:
		return count(pipe, frame);
	}
	return "a frame of an unknown kind"; /* the codec lets none through */
}

void
harbor_receive(struct harbor *harbor, struct harbor_pipe *pipe, const char *bytes, size_t size)
{
	struct harbor_peer *peer = pipe->peer;
	struct harbor_frame_input input = {bytes, size};
	struct harbor_frame frame;
	enum harbor_frame_result result;
	const char *problem = NULL;
	if (pipe->is_out) {
		harbor_peer_break(peer, "it writes where only this node writes");
		return;
	}
	while ((result = harbor_frame_next(&pipe->reader, &input, &frame)) == HARBOR_FRAME_READY) {
		problem = on_frame(pipe, &frame);
		if (problem != NULL)
			break;
	}
	if (result == HARBOR_FRAME_INVALID)
		problem = frame.payload;
	if (problem != NULL)
		harbor_peer_break(peer, problem);
	else if (peer->unacknowledged_bytes >= harbor->settings.window / HARBOR_ACKS_PER_WINDOW)
		harbor_send_ack(peer);
	else if (peer->received != peer->acknowledged)
		harbor_tick_start(harbor);
}
