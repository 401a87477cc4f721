/* send.c: messages on their way to a peer: collected, handed to the socket, bounded.
 *
 * What comes to the harbor's mailbox is collected as long as mail waits: the first message that is
 * pending has the harbor send one to itself, and when that comes, all of it leaves. */
#include "harbor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* So many of the services that have sent to a peer are kept without a look whether they live. */
#define SOURCES_TO_LOOK_THROUGH 1024

static bool
is_open(const struct harbor_peer *peer)
{
	return peer->out != NULL && peer->out->stage == HARBOR_PIPE_OPEN && peer->is_up;
}

/* --- control frames -------------------------------------------------------------------------- */

/* Writes what there is to acknowledge. Returns its size. */
static size_t
write_ack(struct harbor_peer *peer, char ack[HARBOR_FRAME_HEADER + HARBOR_FRAME_COUNT_BYTES])
{
	if (peer->received == peer->acknowledged || !is_open(peer))
		return 0;
	peer->acknowledged = peer->received;
	peer->unacknowledged_bytes = 0;
	return (size_t)(harbor_frame_write_count(ack, HARBOR_FRAME_ACK, peer->received) - ack);
}

void
harbor_send_ack(struct harbor_peer *peer)
{
	char ack[HARBOR_FRAME_HEADER + HARBOR_FRAME_COUNT_BYTES];
	size_t size = write_ack(peer, ack);
	if (size > 0)
		harbor_pipe_send(peer->harbor, peer->out, ack, size);
}

static void
send_empty(struct harbor_peer *peer, enum harbor_frame_kind kind, int32_t number)
{
	char bytes[HARBOR_FRAME_HEADER];
	struct harbor_frame frame = {.kind = (uint8_t)kind, .session = number};
	(void)harbor_frame_write(bytes, &frame);
	harbor_pipe_send(peer->harbor, peer->out, bytes, sizeof bytes);
}

void
harbor_send_beat(struct harbor_peer *peer)
{
	peer->beat = peer->beat == INT32_MAX ? 1 : peer->beat + 1;
	if (is_open(peer))
		send_empty(peer, HARBOR_FRAME_BEAT, peer->beat);
}

void
harbor_send_echo(struct harbor_peer *peer)
{
	if (peer->echo == 0 || !is_open(peer))
		return;
	send_empty(peer, HARBOR_FRAME_ECHO, peer->echo);
	peer->echo = 0;
}

/* --- flow ------------------------------------------------------------------------------------ */

void
harbor_set_node(struct harbor_peer *peer, int state, const char *reason)
{
	peer->node_state = state;
	peer->late_bytes = 0;
	if (state == SKYNET_NODE_ABSENT)
		(void)snprintf(peer->absence, sizeof peer->absence, "%s", reason);
	(void)skynet_harbor_node(peer->harbor->ctx, peer->id, state, reason);
}

static void
become_full(struct harbor_peer *peer)
{
	struct harbor *harbor = peer->harbor;
	peer->counters.full++;
	harbor_set_node(peer, harbor->settings.blocks ? SKYNET_NODE_BLOCKED : SKYNET_NODE_FULL,
			NULL);
	skynet_error(harbor->ctx,
		     "[harbor] Node %d is behind: %zu bytes wait for it or for its word that they "
		     "have come, the limit of harbor_output_limit: senders %s",
		     peer->id, peer->outbox.bytes, harbor->settings.blocks ? "wait" : "get errors");
}

/* What waits has become more or less. */
static void
check_flow(struct harbor_peer *peer)
{
	size_t limit = peer->harbor->settings.output_limit;
	if (peer->node_state == SKYNET_NODE_OPEN && peer->outbox.bytes >= limit) {
		become_full(peer);
	} else if ((peer->node_state == SKYNET_NODE_FULL ||
		    peer->node_state == SKYNET_NODE_BLOCKED) &&
		   peer->outbox.bytes <= limit / 2) {
		harbor_set_node(peer, SKYNET_NODE_OPEN, NULL);
		skynet_error(peer->harbor->ctx, "[harbor] Node %d has caught up", peer->id);
	}
}

void
harbor_send_pieces(struct harbor_peer *peer)
{
	struct harbor_piece *piece;
	while (is_open(peer) &&
	       (piece = harbor_outbox_hand(&peer->outbox, peer->harbor->settings.window)) != NULL) {
		struct socket_sendbuffer buffer = {
			.id = peer->out->id,
			.type = SOCKET_BUFFER_OBJECT,
			.buffer = piece->packet,
		};
		/* When it fails, the end of the socket is told too. */
		(void)skynet_socket_sendbuffer(peer->harbor->ctx, &buffer);
	}
	check_flow(peer);
}

/* --- batches --------------------------------------------------------------------------------- */

static void
mark(struct harbor_peer *peer)
{
	struct harbor *harbor = peer->harbor;
	if (peer->is_dirty)
		return;
	peer->is_dirty = true;
	peer->next_dirty = harbor->dirty;
	harbor->dirty = peer;
	if (harbor->mark_session == 0)
		harbor->mark_session = skynet_timeout(harbor->ctx, 0, NULL);
}

static void
send_batch(struct harbor_peer *peer)
{
	char ack[HARBOR_FRAME_HEADER + HARBOR_FRAME_COUNT_BYTES];
	size_t size = 0;
	/* An ACK in a piece that has to wait would wait with it: for one of the peer, which may
	 * wait for this one. */
	if (peer->outbox.pending_count > 0 &&
	    harbor_outbox_has_room(&peer->outbox, peer->harbor->settings.window))
		size = write_ack(peer, ack);
	harbor_outbox_seal(&peer->outbox, ack, size);
	harbor_send_pieces(peer);
}

void
harbor_send_all(struct harbor *harbor)
{
	struct harbor_peer *peer = harbor->dirty;
	harbor->dirty = NULL;
	while (peer != NULL) {
		struct harbor_peer *next = peer->next_dirty;
		peer->is_dirty = false;
		send_batch(peer);
		peer = next;
	}
}

/* Before the set grows: forgets those that have ended, so that a node whose services come and go
 * for months keeps only those that live. */
static void
forget_ended(struct harbor_peer *peer)
{
	struct address_set *set = &peer->sources;
	size_t kept = 0;
	for (size_t i = 0; i < set->count; i++) {
		char address[16];
		(void)snprintf(address, sizeof address, ":%" PRIx32, set->list[i]);
		if (skynet_command(peer->harbor->ctx, "DESCRIBE", address) != NULL)
			set->list[kept++] = set->list[i];
	}
	set->count = kept;
	/* Not again too soon. */
	if (kept > set->capacity / 2)
		address_set_resize(set, set->capacity * 2);
}

static void
note_source(struct harbor_peer *peer, const struct harbor_frame *head)
{
	bool is_answer = head->kind == HARBOR_FRAME_MESSAGE &&
			 (head->type == PTYPE_RESPONSE || head->type == PTYPE_ERROR);
	if (is_answer || head->kind == HARBOR_FRAME_UNLINK || head->source == peer->last_source ||
	    head->source >> 24 != (uint32_t)peer->harbor->settings.id)
		return;
	peer->last_source = head->source;
	if (peer->sources.count == peer->sources.capacity &&
	    peer->sources.count >= SOURCES_TO_LOOK_THROUGH)
		forget_ended(peer);
	(void)address_set_add(&peer->sources, head->source);
}

/* Why a message cannot travel, as a text; "": it can. */
static void
find_problem(const struct harbor_peer *peer, const struct harbor_frame *head, size_t size,
	     char problem[HARBOR_REASON_MAX])
{
	problem[0] = '\0';
	if (head->kind == HARBOR_FRAME_MESSAGE && head->type == PTYPE_SOCKET)
		(void)snprintf(problem, HARBOR_REASON_MAX,
			       "events of sockets cannot go to another node");
	else if (size > peer->message_limit)
		(void)snprintf(problem, HARBOR_REASON_MAX,
			       "a message of %zu bytes is longer than harbor_message_limit, which "
			       "is %" PRIu32 " between nodes %d and %d",
			       size, peer->message_limit, peer->harbor->settings.id, peer->id);
}

/* Whether the message comes also when the core says that the peer is full. */
static bool
always_passes(const struct harbor_frame *head)
{
	return head->kind != HARBOR_FRAME_MESSAGE || head->type == PTYPE_RESPONSE ||
	       head->type == PTYPE_ERROR || head->type == PTYPE_SYSTEM;
}

/* Counts a message. Returns false if there is no room for it.
 *
 * What always passes is bounded too: by twice the limit, but for one message, however long. What
 * else comes when the peer is full was taken by the core before: there is no more of it than the
 * harbor's mailbox holds, and it takes no room from the others. */
static bool
take_room(struct harbor_peer *peer, const struct harbor_frame *head, size_t size)
{
	bool is_full = peer->node_state != SKYNET_NODE_OPEN;
	if (is_full && !always_passes(head))
		peer->late_bytes += HARBOR_FRAME_HEADER + size;
	else if (peer->outbox.bytes > 2 * peer->harbor->settings.output_limit + peer->late_bytes)
		return false;
	return true;
}

/* It takes nothing, and answers and errors for it come on: it is as good as gone. */
static void
give_up_overrun(struct harbor_peer *peer, const struct harbor_frame *head)
{
	harbor_peer_give_up(peer, "it does not take what is sent to it (twice "
				  "harbor_output_limit waits)");
	harbor_refuse_absent(peer->harbor, head);
}

void
harbor_send(struct harbor_peer *peer, const struct harbor_frame *head, void *payload, size_t size)
{
	char problem[HARBOR_REASON_MAX];
	find_problem(peer, head, size, problem);
	if (problem[0] != '\0') {
		skynet_free(payload);
		harbor_refuse_to_carry(peer, head, problem);
		return;
	}
	if (!take_room(peer, head, size)) {
		skynet_free(payload);
		give_up_overrun(peer, head);
		return;
	}
	note_source(peer, head);
	peer->counters.sent++;
	peer->counters.sent_bytes += size;
	mark(peer);
	if (harbor_outbox_add(&peer->outbox, head, payload, size))
		send_batch(peer);
	else
		check_flow(peer);
}
