/* outbox.h: what is sent to one node, until that has acknowledged it.
 *
 * Model      A message goes three steps:
 *              pending   a list of payloads, untouched
 *              sealed    copied into a piece, a packet of frames: the only copy
 *              handed    the piece was given to the socket, which shares the packet
 *            and is freed when the other node has all frames of its piece. A pipe that breaks
 *            rewinds: the pieces are handed again, from the first that is not acknowledged as a
 *            whole. Counted frames (frame.h) are numbered from 1, so that the other node knows what
 *            it has already; frames that are not counted may come twice.
 *            O1  Pieces stand in the order of their frames; `next` is the first that was not
 *                handed.
 *            O2  Only so much is handed and not acknowledged (the window), or one piece: a socket
 *                never holds more, and what serves the pipe never waits behind more.
 * Memory     Payloads are taken; pieces are packets.
 * Threads    its owner only.
 */
#ifndef HARBOR_OUTBOX_H
#define HARBOR_OUTBOX_H

#include "frame.h"
#include "skynet.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of payload that are pending at most before they are sealed. */
#define HARBOR_OUTBOX_PENDING_BYTES 65536u
/* Messages that are pending at most. */
#define HARBOR_OUTBOX_PENDING_MESSAGES 256u
/* A long message is cut into pieces of at most so many frames. */
#define HARBOR_OUTBOX_PIECE_FRAMES 4u

struct harbor_piece {
	struct harbor_piece *next;
	struct skynet_packet *packet;
	size_t size;
	uint64_t last; /* the number of the last counted frame that is in it */
};

struct harbor_pending {
	struct harbor_frame head; /* size and payload: of the whole message */
	size_t size;
	void *payload; /* owned */
};

struct harbor_outbox {
	struct harbor_piece *first;
	struct harbor_piece *last; /* undefined while first is NULL */
	struct harbor_piece *next; /* NULL: all are handed (O1) */
	size_t bytes;		   /* of all pieces and all that is pending */
	size_t handed_bytes;	   /* of the pieces before next */
	uint64_t sealed_count;	   /* counted frames in pieces so far */
	uint64_t acknowledged;	   /* of these */
	uint64_t dropped;	   /* of these: in pieces that were freed */
	struct harbor_pending *pending;
	uint32_t pending_count;
	size_t pending_bytes;
};

/* All zero is an empty outbox. */

/* Adds a message, or what head says it is: kind, type, addresses, session. payload: taken. Returns
 * whether it is time to seal. */
bool harbor_outbox_add(struct harbor_outbox *outbox, const struct harbor_frame *head, void *payload,
		       size_t size);
/* Seals what is pending. control: frames that are not counted, to stand in front of it, and not
 * sent if nothing is pending. */
void harbor_outbox_seal(struct harbor_outbox *outbox, const char *control, size_t control_size);
/* Whether what is sealed now is handed at once, or at least its first piece. */
bool harbor_outbox_has_room(const struct harbor_outbox *outbox, size_t window);
/* The piece to be handed now, which counts as handed then; NULL: none, or the window is full. */
struct harbor_piece *harbor_outbox_hand(struct harbor_outbox *outbox, size_t window);
/* The other node has so many counted frames. Returns false if that cannot be. */
bool harbor_outbox_acknowledge(struct harbor_outbox *outbox, uint64_t count);
/* All pieces are to be handed again. Returns how many counted frames stand before the first. */
uint64_t harbor_outbox_rewind(struct harbor_outbox *outbox);
/* Counted frames that are not acknowledged. */
uint64_t harbor_outbox_unacknowledged(const struct harbor_outbox *outbox);

/* Called for every message that is not acknowledged, in their order. head: its size and payload
 * mean nothing. */
typedef void (*harbor_outbox_visit)(void *ud, const struct harbor_frame *head);
/* Visits all of them, then empties the outbox; numbers begin anew. */
void harbor_outbox_fail(struct harbor_outbox *outbox, harbor_outbox_visit visit, void *ud);
/* Frees all. */
void harbor_outbox_fini(struct harbor_outbox *outbox);

#endif
