/* pipe.c: the sockets of pipes: dialled or accepted, found by their ids, until they are closed.
 *
 * A pipe that is closed here is forgotten at once; what its socket still tells is for nobody. */
#include "harbor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct harbor_pipe **
bucket_of(struct harbor *harbor, int id)
{
	return &harbor->buckets[(unsigned)id % HARBOR_BUCKETS]; /* ids count up */
}

static struct harbor_pipe *
new_pipe(struct harbor *harbor, int id)
{
	struct harbor_pipe **bucket = bucket_of(harbor, id);
	struct harbor_pipe *pipe = skynet_calloc(1, sizeof *pipe);
	pipe->id = id;
	pipe->next_in_bucket = *bucket;
	*bucket = pipe;
	harbor_tick_start(harbor);
	return pipe;
}

struct harbor_pipe *
harbor_pipe_find(const struct harbor *harbor, int id)
{
	struct harbor_pipe *pipe = harbor->buckets[(unsigned)id % HARBOR_BUCKETS];
	while (pipe != NULL && pipe->id != id)
		pipe = pipe->next_in_bucket;
	return pipe;
}

void
harbor_pipe_dial(struct harbor_peer *peer)
{
	struct harbor *harbor = peer->harbor;
	const struct skynet_socket_options options = {
		.tls = harbor->settings.has_tls ? &harbor->settings.tls : NULL,
	};
	harbor_dial_begin(&peer->dial);
	peer->counters.dials++;
	int id = skynet_socket_connect_with(harbor->ctx, peer->host, peer->port, &options);
	if (id < 0) {
		(void)snprintf(peer->problem, sizeof peer->problem, "it cannot be dialled");
		return;
	}
	struct harbor_pipe *pipe = new_pipe(harbor, id);
	pipe->is_out = true;
	pipe->peer = peer;
	peer->out = pipe;
	harbor_write_address(pipe->address, peer->host, peer->port);
}

/* Closes the oldest connection that came in and has not proved who it is, so that those who say
 * nothing hold up nobody. */
static void
make_room(struct harbor *harbor)
{
	struct harbor_pipe *oldest = NULL;
	for (size_t i = 0; i < HARBOR_BUCKETS; i++) {
		struct harbor_pipe *pipe = harbor->buckets[i];
		for (; pipe != NULL; pipe = pipe->next_in_bucket) {
			if (pipe->peer == NULL && (oldest == NULL || pipe->id < oldest->id))
				oldest = pipe;
		}
	}
	harbor_log_stranger(harbor, oldest, HARBOR_REFUSED_BUSY,
			    "too many connections have not proved who they are");
	harbor_pipe_close(harbor, oldest);
}

void
harbor_pipe_accept(struct harbor *harbor, int id, const char *address, size_t size)
{
	if (harbor->shaking_count == HARBOR_SHAKING_MAX)
		make_room(harbor);
	struct harbor_pipe *pipe = new_pipe(harbor, id);
	harbor->shaking_count++;
	(void)snprintf(pipe->address, sizeof pipe->address, "%.*s", (int)size, address);
	skynet_socket_nodelay(harbor->ctx, id);
	skynet_socket_start(harbor->ctx, id);
	if (!harbor->settings.has_tls)
		harbor_shake_begin(harbor, pipe);
}

void
harbor_pipe_send(struct harbor *harbor, const struct harbor_pipe *pipe, const void *bytes,
		 size_t size)
{
	struct socket_sendbuffer buffer = {
		.id = pipe->id,
		.type = SOCKET_BUFFER_RAWPOINTER,
		.buffer = bytes,
		.sz = size,
	};
	/* When it fails, the end of the socket is told too. */
	(void)skynet_socket_sendbuffer(harbor->ctx, &buffer);
}

void
harbor_pipe_close(struct harbor *harbor, struct harbor_pipe *pipe)
{
	struct harbor_pipe **place = bucket_of(harbor, pipe->id);
	while (*place != pipe)
		place = &(*place)->next_in_bucket;
	*place = pipe->next_in_bucket;
	if (pipe->peer == NULL)
		harbor->shaking_count--;
	else if (pipe->is_out)
		pipe->peer->out = NULL;
	else
		pipe->peer->in = NULL;
	/* An open one has more to send than anybody wants to have now; but at the end of the node
	 * these are its last words. */
	if (pipe->is_out && pipe->stage == HARBOR_PIPE_OPEN && !harbor->is_ending)
		skynet_socket_shutdown(harbor->ctx, pipe->id);
	else
		skynet_socket_close(harbor->ctx, pipe->id);
	harbor_frame_reader_fini(&pipe->reader);
	skynet_free(pipe->handshake);
	skynet_free(pipe);
}

/* Whether nobody listens there. */
static bool
is_refused(const struct harbor_pipe *pipe, const char *reason)
{
	char refused[HARBOR_REASON_MAX];
	return pipe->stage == HARBOR_PIPE_CONNECTING &&
	       strerror_r(ECONNREFUSED, refused, sizeof refused) == 0 &&
	       strcmp(reason, refused) == 0;
}

/* The way to the peer is lost, or was not found; it is dialled again. One that has closed its own
 * pipe, and refuses several dials, has ended: those who wait for it need not wait until it has been
 * silent long enough. */
static void
out_lost(struct harbor_peer *peer, bool was_open, bool is_refusal, const char *reason)
{
	bool is_due = harbor_dial_lose(&peer->dial, was_open, is_refusal);
	(void)snprintf(peer->problem, sizeof peer->problem, "%s", reason);
	if (peer->is_up && peer->in == NULL && harbor_dial_is_hopeless(&peer->dial))
		harbor_peer_give_up(peer, "it has ended: nobody listens at its address");
	if (is_due && peer->is_member)
		harbor_pipe_dial(peer);
}

void
harbor_pipe_lost(struct harbor *harbor, struct harbor_pipe *pipe, const char *reason)
{
	struct harbor_peer *peer = pipe->is_out ? pipe->peer : NULL;
	bool was_open = pipe->stage == HARBOR_PIPE_OPEN;
	bool is_refusal = is_refused(pipe, reason);
	if (peer == NULL && pipe->stage == HARBOR_PIPE_CONNECTING)
		/* TLS has not begun */
		harbor_log_stranger(harbor, pipe, HARBOR_REFUSED_GARBAGE, reason);
	harbor_pipe_close(harbor, pipe);
	harbor_tick_start(harbor); /* dials the peer when the pause is over */
	if (peer != NULL)
		out_lost(peer, was_open, is_refusal, reason);
}
