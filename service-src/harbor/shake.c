/* shake.c: from a connection to an open pipe: gives the handshake its bytes, and answers it what it
 * asks about the peer. */
#include "harbor.h"

#include <string.h>

static void
send_out(struct harbor *harbor, struct harbor_pipe *pipe)
{
	struct harbor_handshake *handshake = pipe->handshake;
	if (handshake->out_size > 0)
		harbor_pipe_send(harbor, pipe, handshake->out, handshake->out_size);
	handshake->out_size = 0;
}

static struct harbor_hello
hello_to(const struct harbor *harbor, const struct harbor_peer *peer)
{
	return (struct harbor_hello){
		.id = (uint8_t)harbor->settings.id,
		.wanted = peer->id,
		.has_secret = harbor->settings.secret[0] != '\0',
		.tie = peer->tie,
		.known_tie = peer->other_tie,
		.received = peer->received,
		.message_limit = harbor->settings.message_limit,
	};
}

void
harbor_shake_begin(struct harbor *harbor, struct harbor_pipe *pipe)
{
	pipe->stage = HARBOR_PIPE_SHAKING;
	pipe->handshake = skynet_malloc(sizeof *pipe->handshake);
	if (!pipe->is_out) {
		harbor_handshake_await(pipe->handshake, harbor->settings.secret);
		return;
	}
	struct harbor_hello own = hello_to(harbor, pipe->peer);
	skynet_socket_nodelay(harbor->ctx, pipe->id);
	harbor_handshake_dial(pipe->handshake, &own, harbor->settings.secret);
	send_out(harbor, pipe);
}

/* A node has said who it is: goes on, or refuses it. */
static void
answer(struct harbor *harbor, struct harbor_handshake *handshake)
{
	unsigned own = (unsigned)harbor->settings.id, id = handshake->other.id;
	const struct harbor_peer *peer = harbor->peers[id];
	if (id == own) {
		harbor_handshake_refuse(handshake, HARBOR_REFUSED_ID,
					"two nodes have the id %u: the one that dials, and the one "
					"that is dialled",
					id);
	} else if (handshake->other.wanted != own) {
		harbor_handshake_refuse(handshake, HARBOR_REFUSED_ID,
					"node %u was wanted, and node %u answers",
					(unsigned)handshake->other.wanted, own);
	} else if (peer == NULL || !peer->is_member) {
		harbor_handshake_refuse(handshake, HARBOR_REFUSED_UNKNOWN,
					"node %u does not know node %u yet", own, id);
	} else {
		struct harbor_hello hello = hello_to(harbor, peer);
		harbor_handshake_accept(handshake, &hello);
	}
}

/* Somebody was refused, and is told so; or it is too late. */
static void
close_unopened(struct harbor *harbor, struct harbor_pipe *pipe)
{
	const struct harbor_handshake *handshake = pipe->handshake;
	if (handshake->state != HARBOR_HANDSHAKE_DONE) {
		send_out(harbor, pipe);
		harbor_log_refused(harbor, pipe,
				   handshake->has_other && !pipe->is_out ? handshake->other.id : 0);
	}
	harbor_pipe_close(harbor, pipe);
}

/* The handshake is over, and nobody was refused. */
static void
open_pipe(struct harbor *harbor, struct harbor_pipe *pipe, const char *rest, size_t size)
{
	struct harbor_peer *peer = harbor->peers[pipe->handshake->other.id];
	int id = pipe->id;
	if (peer == NULL || !peer->is_member || !harbor_peer_meet(peer, pipe)) {
		close_unopened(harbor, pipe);
		return;
	}
	send_out(harbor, pipe);
	pipe->stage = HARBOR_PIPE_OPEN;
	skynet_free(pipe->handshake);
	pipe->handshake = NULL;
	harbor_peer_check(peer);
	if (size > 0 && harbor_pipe_find(harbor, id) == pipe)
		harbor_receive(harbor, pipe, rest, size);
}

void
harbor_shake_input(struct harbor *harbor, struct harbor_pipe *pipe, const char *bytes, size_t size)
{
	struct harbor_handshake *handshake = pipe->handshake;
	do {
		size_t used = harbor_handshake_input(handshake, bytes, size);
		bytes += used;
		size -= used;
		if (handshake->state == HARBOR_HANDSHAKE_ASKED)
			answer(harbor, handshake);
	} while (handshake->state == HARBOR_HANDSHAKE_GOES_ON && size > 0);
	switch (handshake->state) {
	case HARBOR_HANDSHAKE_ASKED: /* was answered */
	case HARBOR_HANDSHAKE_GOES_ON:
		send_out(harbor, pipe);
		return;
	case HARBOR_HANDSHAKE_DONE:
		open_pipe(harbor, pipe, bytes, size);
		return;
	case HARBOR_HANDSHAKE_REFUSED:
	case HARBOR_HANDSHAKE_DENIED:
		close_unopened(harbor, pipe);
		return;
	}
}
