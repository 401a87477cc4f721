/* dial.h: when another node is dialled.
 *
 * Model      A pipe that is lost is dialled again at once, for it may be the network only; a dial
 *            that fails after a pause, of 1, 2, 4, ... ticks. Whoever comes in is there, so he is
 *            dialled at once, too. No node can make another one dial without a pause:
 *              D1  A pipe that was open, but brought the other node nothing that it has told of,
 *                  is followed by a pause, however it was lost.
 *              D2  A node that has broken the rules of the protocol is not dialled before the
 *                  longest pause is over.
 *            In such a pause nothing but its end, or the word of .cslave, leads to a dial.
 * Time       Counted in ticks, by who calls this; nothing is read from a clock.
 * Threads    [any]; a dial belongs to one caller.
 */
#ifndef HARBOR_DIAL_H
#define HARBOR_DIAL_H

#include <stdbool.h>

/* A pause has so many ticks at most. */
#define HARBOR_PAUSE_TICKS_MAX 10
/* So many dials that nobody takes, one after another, and the process of the other node is gone. */
#define HARBOR_REFUSED_DIALS 3

/* All zero is one that is due. */
struct harbor_dial {
	int pause_ticks;      /* until the next try */
	int next_pause_ticks; /* when that fails */
	int refused;	      /* the last tries, at which nobody listened */
	bool must_wait;	      /* for the end of the pause (D1, D2) */
	bool has_worked;      /* since the pipe was open: the other node has told of what came */
};

/* The other node was told of, at a new address or not. */
void harbor_dial_introduce(struct harbor_dial *dial, bool has_moved);
/* It is dialled now. */
void harbor_dial_begin(struct harbor_dial *dial);
/* The pipe is open. */
void harbor_dial_open(struct harbor_dial *dial);
/* Something that was sent has come, as the other node says. */
void harbor_dial_work(struct harbor_dial *dial);
/* The pipe is lost, or was not taken. is_refusal: nobody listens there. Returns whether it is to be
 * dialled at once. */
bool harbor_dial_lose(struct harbor_dial *dial, bool was_open, bool is_refusal);
/* The session has ended, and the pipe with it. */
void harbor_dial_end(struct harbor_dial *dial);
/* The same, because the other node has broken the rules. */
void harbor_dial_break(struct harbor_dial *dial);
/* A tick is over in which there was no pipe. Returns whether to dial. */
bool harbor_dial_tick(struct harbor_dial *dial);
/* The other node has come in, and there is no pipe to it. Returns whether to dial. */
bool harbor_dial_answers(const struct harbor_dial *dial);
/* Whether its process has ended, if nothing of it is left: a node listens as long as it lives. */
bool harbor_dial_is_hopeless(const struct harbor_dial *dial);

#endif
