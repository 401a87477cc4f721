/* handshake.h: what the two ends of a pipe tell each other before the first frame.
 *
 * Model      The dialler begins; who has accepted answers. Each end says first "skynet" and the
 *            version that it speaks (8 bytes, the same in all versions), then records: length (2),
 *            kind (1), and so many bytes of
 *              HELLO    id 1, wanted id 1, flags 1, 0 1, tie 8, the other's tie as far as known 8,
 *                       frames received 8, longest message 4, 32 random bytes
 *              PROOF    HMAC-SHA-256 with the secret, over "dial" or "accept" and both HELLOs
 *              REFUSED  code 1, text
 *
 *            dialler             acceptor
 *              HELLO   ------->            the caller of this looks for the peer: accept or refuse
 *                      <-------  HELLO
 *              PROOF   ------->            the pipe is open here
 *                      <-------  PROOF
 *              the pipe is open
 *
 *            Instead of HELLO or PROOF there may be a REFUSED, which is the last word. Without a
 *            secret the proofs are made with an empty one, and prove nothing.
 * Memory     Nothing is allocated: a handshake holds one record and one answer.
 * Threads    [any]; a handshake belongs to one caller. No input or output happens here.
 */
#ifndef HARBOR_HANDSHAKE_H
#define HARBOR_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The version of all that travels on pipes: of these records, and of frames. */
#define HARBOR_VERSION 1

#define HARBOR_NONCE_BYTES 32u
#define HARBOR_PROOF_BYTES 32u
#define HARBOR_PREAMBLE_BYTES 8u
#define HARBOR_HELLO_BYTES 64u
#define HARBOR_REFUSED_TEXT_MAX 200u
#define HARBOR_RECORD_HEAD 3u
/* The longest record, and what waits to be sent at most: a preamble, a HELLO, a PROOF. */
#define HARBOR_RECORD_MAX (HARBOR_RECORD_HEAD + 1 + HARBOR_REFUSED_TEXT_MAX)
#define HARBOR_HANDSHAKE_OUT_MAX 512u

/* Why there is no pipe, told to the other end as a number, with a text. */
enum harbor_refusal {
	HARBOR_REFUSED_GARBAGE = 1, /* the other end speaks something else */
	HARBOR_REFUSED_VERSION = 2, /* the other end speaks another version of it */
	HARBOR_REFUSED_ID = 3,	    /* it has our own id, or wants somebody else */
	HARBOR_REFUSED_SECRET = 4,  /* it has another secret, or none */
	HARBOR_REFUSED_UNKNOWN = 5, /* it is not part of the network, as far as known; ask again */
	HARBOR_REFUSED_BUSY = 6,    /* not now; ask again */
	HARBOR_REFUSAL_END,
};

struct harbor_hello {
	uint8_t id;
	uint8_t wanted; /* the id of the other end; 0 in an answer: whoever asked */
	bool has_secret;
	uint64_t tie;	    /* of who says hello, with the other end; never 0 */
	uint64_t known_tie; /* the other end's tie, or 0 */
	uint64_t received;  /* so many counted frames, of known_tie */
	uint32_t message_limit;
	unsigned char nonce[HARBOR_NONCE_BYTES]; /* filled in by the handshake */
};

enum harbor_handshake_state {
	HARBOR_HANDSHAKE_GOES_ON,
	HARBOR_HANDSHAKE_ASKED,	  /* acceptor: `other` has come; accept or refuse it */
	HARBOR_HANDSHAKE_DONE,	  /* the pipe is open */
	HARBOR_HANDSHAKE_REFUSED, /* by this end: text, told to the other end too */
	HARBOR_HANDSHAKE_DENIED,  /* by the other end: text */
};

struct harbor_handshake {
	/* For the caller to read. */
	enum harbor_handshake_state state;
	struct harbor_hello own;
	struct harbor_hello other; /* as far as has_other */
	bool has_other;
	bool is_proof_sent;
	enum harbor_refusal refusal; /* when REFUSED or DENIED */
	char text[HARBOR_REFUSED_TEXT_MAX + 1];
	unsigned char out[HARBOR_HANDSHAKE_OUT_MAX]; /* to be sent; the caller sets out_size to 0 */
	size_t out_size;
	/* Its own. */
	const char *secret; /* borrowed */
	bool is_dialler;
	bool is_preamble_sent;
	bool has_preamble; /* the other end's */
	uint16_t other_version;
	unsigned char in[HARBOR_RECORD_MAX];
	size_t in_size;
	unsigned char hellos[2][HARBOR_HELLO_BYTES]; /* the dialler's, the acceptor's */
};

/* Begins as the dialler, who says what `own` says. secret: borrowed for the handshake; "": none. */
void harbor_handshake_dial(struct harbor_handshake *handshake, const struct harbor_hello *own,
			   const char *secret);
/* Begins as the one who waits for a dialler. */
void harbor_handshake_await(struct harbor_handshake *handshake, const char *secret);
/* ASKED: goes on, and says what `own` says. */
void harbor_handshake_accept(struct harbor_handshake *handshake, const struct harbor_hello *own);
/* Ends it, at any time before DONE; or then, if who has accepted has not sent its proof yet: the
 * refusal takes its place. */
void harbor_handshake_refuse(struct harbor_handshake *handshake, enum harbor_refusal refusal,
			     const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Takes bytes of the other end, as long as the state is GOES_ON; what is left of them stands behind
 * the returned count. */
size_t harbor_handshake_input(struct harbor_handshake *handshake, const char *bytes, size_t size);

#endif
