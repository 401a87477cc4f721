/* sk_output.h: what one socket has still to send.
 *
 * Model      Two lists of pieces, normal and low priority; a piece is one buffer of the user's.
 *            O1  Low-priority pieces leave only when no normal one waits.
 *            O2  The bytes of a piece leave together: what is sent in part stands first among the
 *                normal ones, also when it came with low priority. So only the first normal piece
 *                can be sent in part.
 *            O3  bytes is the sum of all that has not been sent. No piece is empty.
 * Threads    the caller locks.
 * Memory     A piece owns its bytes: they lie in it, or in a block that it has taken. Or it
 *            holds a packet, whose bytes it shares with pieces of other outputs.
 * Use        sk_output_add(out, sk_output_piece_copy(bytes, size), false);
 *            n = sk_output_vector(out, vectors, max, &size); sent = writev(fd, vectors, n);
 *            sk_output_advance(out, sent);
 */
#ifndef SK_OUTPUT_H
#define SK_OUTPUT_H

#include "sk_base.h"

#include <stdbool.h>
#include <stddef.h>

struct iovec;
struct skynet_packet;

struct sk_output_piece {
	struct sk_output_piece *next;
	size_t size;
	const char *start;	      /* the bytes */
	void *block;		      /* malloc-ed, with the bytes; or NULL */
	struct skynet_packet *packet; /* the same, held; or NULL */
	char bytes[];		      /* when both are NULL */
};

struct sk_output_list {
	struct sk_output_piece *first;
	struct sk_output_piece *last; /* undefined while first is NULL */
};

struct sk_output {
	struct sk_output_list normal;
	struct sk_output_list low;
	size_t sent;  /* of the first normal piece (O2) */
	size_t bytes; /* O3 */
};

/* A piece with a copy of the bytes. size: not 0. One allocation. */
struct sk_output_piece *sk_output_piece_copy(const void *bytes, size_t size);
/* A piece with the bytes themselves. block: taken, malloc-ed. size: not 0. */
struct sk_output_piece *sk_output_piece_take(void *block, size_t size);
/* A piece with the bytes of a packet, which is not empty and gets a holder more. */
struct sk_output_piece *sk_output_piece_share(struct skynet_packet *packet);
void sk_output_piece_free(struct sk_output_piece *piece);

/* All zero is an empty output too. */
void sk_output_init(struct sk_output *out);
/* Frees all pieces; the output is empty then. */
void sk_output_clear(struct sk_output *out);

/* Adds a piece behind all others of its priority. piece: taken. */
void sk_output_add(struct sk_output *out, struct sk_output_piece *piece, bool is_low);

/* Describes the first pieces, in the order in which they are to leave, in up to max vectors.
 * Returns how many, and in *size the sum of their bytes. */
int sk_output_vector(const struct sk_output *out, struct iovec *vectors, int max, size_t *size);

/* The first `sent` bytes have left. Not more than sk_output_vector described. */
void sk_output_advance(struct sk_output *out, size_t sent);

/* The piece that leaves first, or NULL. */
const struct sk_output_piece *sk_output_first(const struct sk_output *out);
/* Frees that one, whole; there must be one. */
void sk_output_drop_first(struct sk_output *out);

#endif
