/* tick.c: everything that time does, by two timers for all peers: one while something waits, for an
 * acknowledgement, a connection, a contact; one for the heartbeats, while there is a peer. Nothing
 * runs where there are no peers. Time is counted by these timers as they come: a process that was
 * stopped for a while, or had no processor, does not give up those who have been there all the
 * time. */
#include "harbor.h"

#include <stdio.h>

void
harbor_tick_start(struct harbor *harbor)
{
	if (harbor->tick_session == 0)
		harbor->tick_session = skynet_timeout(harbor->ctx, HARBOR_TICK_MS, NULL);
}

void
harbor_beat_start(struct harbor *harbor)
{
	if (harbor->beat_session == 0)
		harbor->beat_session = skynet_timeout(harbor->ctx, harbor->settings.beat_ms, NULL);
}

/* --- what waits ------------------------------------------------------------------------------ */

/* What has not become open in time never will. */
static void
expire(struct harbor *harbor, struct harbor_pipe *pipe)
{
	if (pipe->is_out) {
		harbor_pipe_lost(harbor, pipe, "it does not answer");
		return;
	}
	harbor_log_stranger(harbor, pipe, HARBOR_REFUSED_SECRET,
			    "it has not proved in time who it is");
	harbor_pipe_close(harbor, pipe);
}

static void
tick_pipes(struct harbor *harbor)
{
	for (size_t i = 0; i < HARBOR_BUCKETS; i++) {
		struct harbor_pipe *next;
		for (struct harbor_pipe *pipe = harbor->buckets[i]; pipe != NULL; pipe = next) {
			next = pipe->next_in_bucket;
			if (pipe->stage != HARBOR_PIPE_OPEN &&
			    ++pipe->age_ticks > harbor->settings.timeout_ticks)
				expire(harbor, pipe);
		}
	}
}

static void
give_up_contact(struct harbor_peer *peer)
{
	const struct harbor_settings *settings = &peer->harbor->settings;
	char reason[HARBOR_REASON_MAX], address[HARBOR_ADDRESS_MAX + 1];
	harbor_write_address(address, settings->host, settings->port);
	if (peer->out != NULL && peer->out->stage == HARBOR_PIPE_OPEN)
		(void)snprintf(reason, sizeof reason,
			       "it can be reached, but does not reach this node at %.120s",
			       address);
	else
		(void)snprintf(reason, sizeof reason, "%.150s",
			       peer->problem[0] != '\0' ? peer->problem : "it does not answer");
	harbor_peer_give_up(peer, reason);
}

static void
tick_peer(struct harbor_peer *peer)
{
	harbor_send_ack(peer);
	if (!peer->is_up && (peer->is_waited_for || peer->other_tie != 0) &&
	    ++peer->contact_ticks > peer->harbor->settings.timeout_ticks)
		give_up_contact(peer);
	if (peer->is_member && peer->out == NULL && harbor_dial_tick(&peer->dial))
		harbor_pipe_dial(peer);
}

static bool
is_waiting(const struct harbor_peer *peer)
{
	bool is_out_open = peer->out != NULL && peer->out->stage == HARBOR_PIPE_OPEN;
	return (peer->is_member && !is_out_open) || peer->received != peer->acknowledged ||
	       (!peer->is_up && peer->other_tie != 0);
}

void
harbor_tick(struct harbor *harbor)
{
	bool goes_on = false;
	harbor->tick_session = 0;
	tick_pipes(harbor);
	for (int id = 0; id < HARBOR_NODES; id++) {
		if (harbor->peers[id] == NULL)
			continue;
		tick_peer(harbor->peers[id]);
		goes_on = goes_on || is_waiting(harbor->peers[id]);
	}
	if (goes_on || harbor->shaking_count > 0)
		harbor_tick_start(harbor);
}

/* --- heartbeats ------------------------------------------------------------------------------ */

static void
give_up_silent(struct harbor_peer *peer)
{
	char reason[HARBOR_REASON_MAX];
	int seconds = peer->harbor->settings.timeout_ticks / HARBOR_TICKS_PER_SECOND;
	(void)snprintf(reason, sizeof reason, "no sign of life for %d s%s%.120s", seconds,
		       peer->problem[0] != '\0' ? ": " : "", peer->problem);
	harbor_peer_give_up(peer, reason);
}

static void
beat_peer(struct harbor_peer *peer)
{
	if (++peer->silent_beats > HARBOR_BEATS) {
		give_up_silent(peer);
		return;
	}
	if (!peer->is_beat_heard)
		peer->counters.late++;
	peer->is_beat_heard = false;
	harbor_send_beat(peer);
}

void
harbor_beat(struct harbor *harbor)
{
	harbor->beat_session = 0;
	for (int id = 0; id < HARBOR_NODES; id++) {
		struct harbor_peer *peer = harbor->peers[id];
		if (peer == NULL || !peer->is_up)
			continue;
		harbor_beat_start(harbor);
		beat_peer(peer);
	}
}
