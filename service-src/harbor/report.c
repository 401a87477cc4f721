/* report.c: what the harbor says: to the log, to .cslave, to the senders of messages that were not
 * delivered. */
#include "harbor.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TEXT_BYTES 512

void
harbor_tell(struct harbor *harbor, const char *format, ...)
{
	char text[TEXT_BYTES];
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	/* Without .cslave there is nobody to be told, and the links stay. */
	(void)skynet_send(harbor->ctx, 0, harbor->settings.owner, PTYPE_TEXT, 0, text,
			  strlen(text));
}

/* As with a local service: the session of a response is none of its sender's, and an error gets no
 * answer. */
void
harbor_refuse(struct harbor *harbor, uint32_t destination, uint32_t source, int type, int session,
	      bool is_gone, const char *format, ...)
{
	char text[TEXT_BYTES];
	va_list arguments;
	if (type == PTYPE_ERROR)
		return;
	if (type == PTYPE_RESPONSE)
		session = 0;
	if (session == 0 && !is_gone)
		session = SKYNET_SESSION_LOST;
	va_start(arguments, format);
	(void)vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	/* A sender that is gone wants no answer. */
	(void)skynet_send(harbor->ctx, destination, source, PTYPE_ERROR, session, text,
			  strlen(text));
}

void
harbor_refuse_absent(struct harbor *harbor, const struct harbor_frame *head)
{
	uint32_t id = head->destination >> 24;
	const struct harbor_peer *peer = harbor->peers[id];
	const char *reason = peer != NULL ? peer->absence : "";
	if (head->kind != HARBOR_FRAME_UNLINK)
		harbor_refuse(harbor, head->destination, head->source, head->type, head->session,
			      true,
			      "service :%08" PRIx32 ": no link to its node, number %" PRIu32 "%s%s",
			      head->destination, id, reason[0] != '\0' ? ": " : "", reason);
}

/* An error counts as an answer, whoever waits for it, and however many: without it they would wait
 * for ever. */
void
harbor_refuse_to_carry(struct harbor_peer *peer, const struct harbor_frame *head,
		       const char *problem)
{
	char text[TEXT_BYTES];
	bool is_answer = head->type == PTYPE_RESPONSE && head->session != 0;
	peer->counters.refused++;
	harbor_refuse(peer->harbor, head->destination, head->source, head->type, head->session,
		      false, "service :%08x: %s", head->destination, problem);
	if (!is_answer && head->type != PTYPE_ERROR)
		return;
	(void)snprintf(text, sizeof text, "service :%08x: its answer: %s", head->source, problem);
	(void)skynet_send(peer->harbor->ctx, head->source, head->destination, PTYPE_ERROR,
			  head->session, text, strlen(text));
}

bool
harbor_count(uint64_t *count)
{
	++*count;
	return (*count & (*count - 1)) == 0;
}

void
harbor_log_stranger(struct harbor *harbor, const struct harbor_pipe *pipe,
		    enum harbor_refusal refusal, const char *reason)
{
	harbor->refused_connections++;
	if (harbor_count(&harbor->strangers[refusal]))
		skynet_error(harbor->ctx,
			     "[harbor] Refused %s: %s (connections refused so: %" PRIu64 ")",
			     pipe->address, reason, harbor->strangers[refusal]);
}

static void
log_incoming(struct harbor *harbor, const struct harbor_pipe *pipe, int id)
{
	const struct harbor_handshake *handshake = pipe->handshake;
	uint32_t bit = UINT32_C(1) << handshake->refusal;
	if (id == 0) {
		harbor_log_stranger(harbor, pipe, handshake->refusal, handshake->text);
		return;
	}
	harbor->refused_connections++;
	/* Nodes that start together do not know each other for a moment. */
	if (handshake->refusal == HARBOR_REFUSED_UNKNOWN || (harbor->refusals_told[id] & bit) != 0)
		return;
	harbor->refusals_told[id] |= bit;
	skynet_error(harbor->ctx, "[harbor] Refused node %d (%s): %s", id, pipe->address,
		     handshake->text);
}

void
harbor_log_refused(struct harbor *harbor, const struct harbor_pipe *pipe, int id)
{
	const struct harbor_handshake *handshake = pipe->handshake;
	if (!pipe->is_out) {
		log_incoming(harbor, pipe, id);
		return;
	}
	struct harbor_peer *peer = pipe->peer;
	uint32_t bit = UINT32_C(1) << handshake->refusal;
	peer->counters.refused_dials++;
	(void)snprintf(peer->problem, sizeof peer->problem, "%.190s", handshake->text);
	if (handshake->refusal == HARBOR_REFUSED_UNKNOWN || (peer->refusals_told & bit) != 0)
		return;
	peer->refusals_told |= bit;
	skynet_error(harbor->ctx,
		     handshake->state == HARBOR_HANDSHAKE_DENIED
			     ? "[harbor] Node %d (%s) refuses this node: %s"
			     : "[harbor] Refused node %d (%s): %s",
		     peer->id, pipe->address, handshake->text);
}
