/* peer.c: what two nodes know of each other: contact, sessions, loss. harbor.h tells what ties are.
 *
 *                    a handshake brings its tie          both pipes are open
 *   no session (ABSENT) -----------------> contact -------------------------> up
 *        ^                                    |                               |
 *        |      another tie, given up         |                               |
 *        +------------------------------------+-------------------------------+
 *
 * A peer that .cslave has just told of is waited for: its messages are kept already before there is
 * a session, for as long as a contact may take. */
#include "harbor.h"

#include <inttypes.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#define PROCESS_SHIFT 32 /* in a tie */

/* Without chance, the clocks make a number that no earlier run of this node has had. */
static uint64_t
draw(void)
{
	uint64_t number = 0;
	if (RAND_bytes((unsigned char *)&number, sizeof number) != 1)
		number = skynet_wall_ns() ^ skynet_hpc() << 20;
	return number;
}

/* Another one than the last. Never 0. */
static uint64_t
draw_tie(const struct harbor *harbor, uint64_t last)
{
	uint64_t process = (uint64_t)harbor->settings.process << PROCESS_SHIFT;
	uint64_t tie;
	do
		tie = process != 0 ? process | (uint32_t)draw() : draw();
	while (tie == 0 || tie == last);
	return tie;
}

/* --- the end of a session -------------------------------------------------------------------- */

struct failure {
	struct harbor *harbor;
	uint64_t count;
};

static void
fail_message(void *ud, const struct harbor_frame *head)
{
	struct failure *failure = ud;
	if (head->kind == HARBOR_FRAME_UNLINK)
		return;
	failure->count++;
	harbor_refuse_absent(failure->harbor, head);
}

/* All that have sent there learn that the node is gone. */
static void
tell_sources(struct harbor_peer *peer, const char *reason)
{
	struct skynet_context *ctx = peer->harbor->ctx;
	char text[HARBOR_REASON_MAX + 64];
	struct address_set sources = peer->sources;
	(void)snprintf(text, sizeof text, "node %d is gone: %s", peer->id, reason);
	peer->sources = (struct address_set){0};
	peer->last_source = 0;
	for (size_t i = 0; i < sources.count; i++) /* who is gone wants no word */
		(void)skynet_send(ctx, (uint32_t)peer->id << 24, sources.list[i], PTYPE_ERROR, 0,
				  text, strlen(text));
	address_set_fini(&sources);
}

/* What services of the peer have asked for here is asked for no more. */
static void
drop_proxies(struct harbor_peer *peer)
{
	struct harbor_proxy proxy;
	size_t at = 0;
	while (harbor_proxies_take_of_node(&peer->harbor->proxies, peer->id, &at, &proxy)) {
		if (proxy.is_link)
			skynet_unlink(peer->harbor->ctx, proxy.destination, proxy.own_session);
	}
}

static void
close_pipes(struct harbor_peer *peer)
{
	if (peer->out != NULL)
		harbor_pipe_close(peer->harbor, peer->out);
	if (peer->in != NULL)
		harbor_pipe_close(peer->harbor, peer->in);
}

static void
report_end(struct harbor_peer *peer, const char *reason, uint64_t failed, bool was_up)
{
	struct harbor *harbor = peer->harbor;
	char address[HARBOR_ADDRESS_MAX + 1];
	harbor_write_address(address, peer->host, peer->port);
	if (was_up)
		skynet_error(harbor->ctx,
			     "[harbor] Node %d (%s) lost: %s (messages failed: %" PRIu64 ")",
			     peer->id, address, reason, failed);
	else if (!peer->is_unreached_told)
		skynet_error(harbor->ctx,
			     "[harbor] Node %d (%s) not reached: %s (messages failed: %" PRIu64 ")",
			     peer->id, address, reason, failed);
	if (was_up || !peer->is_unreached_told)
		harbor_tell(harbor, "down %d %s", peer->id, reason);
	peer->is_unreached_told = true;
}

/* Ends what there is of a session, and of waiting for one. */
static void
end_session(struct harbor_peer *peer, const char *reason)
{
	struct failure failure = {peer->harbor, 0};
	bool was_up = peer->is_up;
	bool was_waited_for = peer->is_waited_for || peer->node_state != SKYNET_NODE_ABSENT;
	peer->is_up = false;
	peer->is_waited_for = false;
	peer->other_tie = 0;
	peer->contact_ticks = 0;
	harbor_set_node(peer, SKYNET_NODE_ABSENT, reason);
	close_pipes(peer);
	harbor_outbox_fail(&peer->outbox, fail_message, &failure);
	peer->counters.failed += failure.count;
	tell_sources(peer, reason);
	drop_proxies(peer);
	harbor_assembly_fini(&peer->assembly);
	peer->received = 0;
	peer->acknowledged = 0;
	peer->unacknowledged_bytes = 0;
	peer->echo = 0;
	peer->counters.lost += was_up;
	if (was_up || was_waited_for)
		report_end(peer, reason, failure.count, was_up);
}

void
harbor_peer_give_up(struct harbor_peer *peer, const char *reason)
{
	peer->tie = draw_tie(peer->harbor, peer->tie); /* T1 */
	end_session(peer, reason);
	harbor_dial_end(&peer->dial);
	if (peer->is_member)
		harbor_tick_start(peer->harbor);
}

void
harbor_peer_break(struct harbor_peer *peer, const char *problem)
{
	char reason[HARBOR_REASON_MAX];
	(void)snprintf(reason, sizeof reason, "it breaks the protocol: %s", problem);
	harbor_peer_give_up(peer, reason);
	harbor_dial_break(&peer->dial);
	peer->counters.broken++;
}

/* --- contact --------------------------------------------------------------------------------- */

static void
begin_session(struct harbor_peer *peer, uint64_t other_tie)
{
	peer->other_tie = other_tie;
	if (!peer->is_waited_for)
		peer->contact_ticks = 0;
	harbor_tick_start(peer->harbor);
}

static void
meet_out(struct harbor_peer *peer, struct harbor_pipe *pipe)
{
	char begin[HARBOR_FRAME_HEADER + HARBOR_FRAME_COUNT_BYTES];
	const struct harbor_hello *other = &pipe->handshake->other;
	peer->message_limit = other->message_limit < peer->harbor->settings.message_limit
				      ? other->message_limit
				      : peer->harbor->settings.message_limit;
	harbor_dial_open(&peer->dial);
	peer->problem[0] = '\0';
	peer->counters.pipes++;
	(void)harbor_frame_write_count(begin, HARBOR_FRAME_BEGIN,
				       harbor_outbox_rewind(&peer->outbox));
	harbor_pipe_send(peer->harbor, pipe, begin, sizeof begin);
}

static void
meet_in(struct harbor_peer *peer, struct harbor_pipe *pipe)
{
	if (peer->in != NULL)
		harbor_pipe_close(peer->harbor, peer->in); /* the peer has given it up */
	peer->harbor->shaking_count--;
	pipe->peer = peer;
	peer->in = pipe;
}

/* T4 */
static void
refuse_twin(const struct harbor_peer *peer, struct harbor_handshake *handshake)
{
	char address[HARBOR_ADDRESS_MAX + 1];
	harbor_write_address(address, peer->host, peer->port);
	harbor_handshake_refuse(handshake, HARBOR_REFUSED_BUSY,
				"another process with the id %d is connected, at %s", peer->id,
				address);
}

/* The process at the peer's address has another tie than the one that is known. */
static void
end_old_session(struct harbor_peer *peer, struct harbor_pipe *pipe)
{
	peer->out = NULL; /* this one stays */
	end_session(peer, "it has started anew, or has given this node up");
	peer->out = pipe;
}

bool
harbor_peer_meet(struct harbor_peer *peer, struct harbor_pipe *pipe)
{
	const struct harbor_hello *own = &pipe->handshake->own, *other = &pipe->handshake->other;
	bool is_known = other->tie == peer->other_tie;
	if (own->tie != peer->tie || (!is_known && own->known_tie != peer->other_tie))
		return false; /* T2 */
	if (!is_known && peer->other_tie != 0 && !pipe->is_out) {
		refuse_twin(peer, pipe->handshake);
		return false;
	}
	if (!is_known && peer->other_tie != 0)
		end_old_session(peer, pipe);
	if (!is_known)
		begin_session(peer, other->tie);
	/* The ACK that has told the same may have been lost with an earlier pipe. */
	if (other->known_tie == peer->tie &&
	    !harbor_outbox_acknowledge(&peer->outbox, other->received))
		return false;
	if (pipe->is_out)
		meet_out(peer, pipe);
	else
		meet_in(peer, pipe);
	return true;
}

static void
come_up(struct harbor_peer *peer)
{
	struct harbor *harbor = peer->harbor;
	peer->is_up = true;
	peer->is_waited_for = false;
	peer->is_unreached_told = false;
	peer->refusals_told = 0;
	harbor->refusals_told[peer->id] = 0;
	peer->silent_beats = 0;
	peer->is_beat_heard = true;
	harbor_beat_start(harbor);
	skynet_error(harbor->ctx, "[harbor] Node %d connected (%s)%s", peer->id, peer->out->address,
		     harbor->settings.has_tls ? ", with TLS" : "");
	harbor_tell(harbor, "up %d", peer->id);
}

void
harbor_peer_check(struct harbor_peer *peer)
{
	const struct harbor_pipe *out = peer->out, *in = peer->in;
	bool is_out_open = out != NULL && out->stage == HARBOR_PIPE_OPEN;
	bool is_in_open = in != NULL && in->stage == HARBOR_PIPE_OPEN;
	/* From now on messages may come that want answers: the peer may hold our out for open while
	 * it was closed here, or its proof has not come yet. So answers wait. */
	if (is_in_open && peer->node_state == SKYNET_NODE_ABSENT)
		harbor_set_node(peer, SKYNET_NODE_OPEN, NULL);
	if (is_in_open && out == NULL && harbor_dial_answers(&peer->dial))
		harbor_pipe_dial(peer); /* whoever has come in is there */
	if (is_in_open && is_out_open && !peer->is_up)
		come_up(peer);
	if (is_out_open && peer->is_up) {
		harbor_send_echo(peer);
		harbor_send_pieces(peer);
	}
}

/* --- members --------------------------------------------------------------------------------- */

static struct harbor_peer *
new_peer(struct harbor *harbor, int id)
{
	struct harbor_peer *peer = skynet_calloc(1, sizeof *peer);
	peer->harbor = harbor;
	peer->id = (uint8_t)id;
	peer->tie = draw_tie(harbor, 0);
	peer->message_limit = harbor->settings.message_limit;
	peer->node_state = SKYNET_NODE_ABSENT;
	harbor->peers[id] = peer;
	return peer;
}

/* It was told of for the first time, or again after it had left. */
static void
become_member(struct harbor_peer *peer)
{
	peer->is_member = true;
	peer->harbor->member_count++;
	if (peer->is_up) { /* it was met before */
		harbor_tell(peer->harbor, "up %d", peer->id);
		return;
	}
	peer->is_waited_for = true;
	peer->is_unreached_told = false;
	peer->refusals_told = 0;
	peer->contact_ticks = 0;
	harbor_set_node(peer, SKYNET_NODE_OPEN, NULL);
}

void
harbor_peer_join(struct harbor *harbor, int id, const char *host, int port)
{
	struct harbor_peer *peer =
		harbor->peers[id] != NULL ? harbor->peers[id] : new_peer(harbor, id);
	bool has_moved = strcmp(peer->host, host) != 0 || peer->port != port;
	(void)snprintf(peer->host, sizeof peer->host, "%s", host);
	peer->port = port;
	if (!peer->is_member)
		become_member(peer);
	if (has_moved && peer->out != NULL)
		harbor_pipe_close(harbor, peer->out);
	harbor_dial_introduce(&peer->dial, has_moved);
	harbor_tick_start(harbor);
	if (peer->out == NULL)
		harbor_pipe_dial(peer);
}

void
harbor_peer_leave(struct harbor_peer *peer, uint32_t process, const char *reason)
{
	if (!peer->is_member)
		return;
	peer->is_member = false;
	peer->harbor->member_count--;
	/* The session may be with the one that has taken its place: .cslave will tell of it. */
	if (process == 0 || peer->other_tie == 0 || peer->other_tie >> PROCESS_SHIFT == process)
		harbor_peer_give_up(peer, reason);
}

void
harbor_peers_fini(struct harbor *harbor)
{
	const char *reason = "the harbor of this node has ended";
	for (int id = 0; id < HARBOR_NODES; id++) {
		struct harbor_peer *peer = harbor->peers[id];
		if (peer == NULL)
			continue;
		struct failure failure = {harbor, 0};
		harbor_set_node(peer, SKYNET_NODE_ABSENT, reason);
		harbor_outbox_fail(&peer->outbox, fail_message, &failure);
		tell_sources(peer, reason);
		close_pipes(peer);
		harbor_assembly_fini(&peer->assembly);
		skynet_free(peer);
		harbor->peers[id] = NULL;
	}
}
