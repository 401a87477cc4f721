/* upgrade.h: the handshake of a websocket: a request of HTTP that asks for one, and its answer.
 *
 * Model      What the client sends is kept until the head of the request is complete; then there is
 *            an answer: it is a websocket from now on, or why not. RFC 6455, 4.2.
 * Threads    [any]. No input or output happens here. */
#ifndef GATE_UPGRADE_H
#define GATE_UPGRADE_H

#include "frame.h"

/* A longer head is refused. */
#define GATE_UPGRADE_HEAD_MAX 8192
/* Longer than any answer. */
#define GATE_UPGRADE_ANSWER_MAX 512

enum gate_upgrade_result {
	GATE_UPGRADE_MORE,    /* the input is used up */
	GATE_UPGRADE_DONE,    /* what is left of the input are frames */
	GATE_UPGRADE_REFUSED, /* the answer says why */
};

/* Reads the head; head holds what has come of it. answer: a text, written unless MORE is returned.
 * When it is DONE, head is the whole one, with its empty line. */
enum gate_upgrade_result gate_upgrade_next(struct gate_block *head, struct gate_input *input,
					   char answer[GATE_UPGRADE_ANSWER_MAX]);

#endif
