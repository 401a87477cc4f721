/* handshake.c: the records before the first frame; see handshake.h.
 *
 * H1  Nothing that an unproved end has said is believed beyond this handshake: the caller acts on
 *     `other` only when DONE.
 * H2  The proofs cover both HELLOs with their random bytes, and who of both is the dialler: none
 *     can be used for another handshake, or sent back to its maker.
 * H3  The buffer holds the record that comes now, whose length was checked. */
#include "handshake.h"

#include "frame.h"
#include "skynet.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum record_kind { RECORD_HELLO = 1, RECORD_PROOF = 2, RECORD_REFUSED = 3 };

static const char magic[] = "skynet"; /* 6 bytes, then the version in 2 */
#define MAGIC_BYTES 6u

#define FLAG_HAS_SECRET 1u

/* --- output ---------------------------------------------------------------------------------- */

static void
put(struct harbor_handshake *handshake, const void *bytes, size_t size)
{
	assert(size <= HARBOR_HANDSHAKE_OUT_MAX - handshake->out_size);
	memcpy(handshake->out + handshake->out_size, bytes, size);
	handshake->out_size += size;
}

static void
put_record(struct harbor_handshake *handshake, enum record_kind kind, const void *body, size_t size)
{
	char head[HARBOR_RECORD_HEAD];
	harbor_put_number(head, size, 2);
	head[2] = (char)kind;
	put(handshake, head, sizeof head);
	put(handshake, body, size);
}

/* Says the first word, once. */
static void
put_preamble(struct harbor_handshake *handshake)
{
	char preamble[HARBOR_PREAMBLE_BYTES];
	if (handshake->is_preamble_sent)
		return;
	handshake->is_preamble_sent = true;
	memcpy(preamble, magic, MAGIC_BYTES);
	harbor_put_number(preamble + MAGIC_BYTES, HARBOR_VERSION, 2);
	put(handshake, preamble, sizeof preamble);
}

static void
put_hello(struct harbor_handshake *handshake)
{
	struct harbor_hello *own = &handshake->own;
	unsigned char *to = handshake->hellos[handshake->is_dialler ? 0 : 1];
	/* Without chance there is no safe handshake: OpenSSL's generator fails only where the
	 * system has none. */
	if (RAND_bytes(own->nonce, sizeof own->nonce) != 1) {
		harbor_handshake_refuse(handshake, HARBOR_REFUSED_BUSY,
					"there are no random numbers");
		return;
	}
	to[0] = own->id;
	to[1] = own->wanted;
	to[2] = own->has_secret ? FLAG_HAS_SECRET : 0;
	to[3] = 0;
	harbor_put_number((char *)to + 4, own->tie, 8);
	harbor_put_number((char *)to + 12, own->known_tie, 8);
	harbor_put_number((char *)to + 20, own->received, 8);
	harbor_put_number((char *)to + 28, own->message_limit, 4);
	memcpy(to + 32, own->nonce, HARBOR_NONCE_BYTES);
	put_record(handshake, RECORD_HELLO, to, HARBOR_HELLO_BYTES);
}

/* What proves that the dialler, or the acceptor, knows the secret (H2). */
static void
make_proof(const struct harbor_handshake *handshake, bool of_dialler,
	   unsigned char proof[HARBOR_PROOF_BYTES])
{
	unsigned char text[8 + 2 * HARBOR_HELLO_BYTES] = {0};
	unsigned int size = 0;
	memcpy(text, of_dialler ? "dial" : "accept", of_dialler ? 4 : 6);
	memcpy(text + 8, handshake->hellos, sizeof handshake->hellos);
	const unsigned char *made =
		HMAC(EVP_sha256(), handshake->secret, (int)strlen(handshake->secret), text,
		     sizeof text, proof, &size);
	assert(made != NULL && size == HARBOR_PROOF_BYTES);
	(void)made;
}

static void
put_proof(struct harbor_handshake *handshake)
{
	unsigned char proof[HARBOR_PROOF_BYTES];
	make_proof(handshake, handshake->is_dialler, proof);
	put_record(handshake, RECORD_PROOF, proof, sizeof proof);
	handshake->is_proof_sent = true;
}

void
harbor_handshake_refuse(struct harbor_handshake *handshake, enum harbor_refusal refusal,
			const char *format, ...)
{
	char body[1 + HARBOR_REFUSED_TEXT_MAX + 1];
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(handshake->text, sizeof handshake->text, format, arguments);
	va_end(arguments);
	size_t size = strlen(handshake->text);
	if (handshake->state == HARBOR_HANDSHAKE_DONE)
		handshake->out_size = 0; /* the proof */
	body[0] = (char)refusal;
	memcpy(body + 1, handshake->text, size);
	put_preamble(handshake);
	put_record(handshake, RECORD_REFUSED, body, 1 + size);
	handshake->refusal = refusal;
	handshake->state = HARBOR_HANDSHAKE_REFUSED;
}

static void
refuse_secret(struct harbor_handshake *handshake)
{
	bool has_own = handshake->secret[0] != '\0';
	harbor_handshake_refuse(handshake, HARBOR_REFUSED_SECRET, "%s",
				has_own == handshake->other.has_secret
					? "both have a harbor_secret, and not the same"
					: "one has a harbor_secret, and the other has none");
}

/* --- beginning ------------------------------------------------------------------------------- */

void
harbor_handshake_dial(struct harbor_handshake *handshake, const struct harbor_hello *own,
		      const char *secret)
{
	*handshake = (struct harbor_handshake){.own = *own, .secret = secret, .is_dialler = true};
	put_preamble(handshake);
	put_hello(handshake);
}

void
harbor_handshake_await(struct harbor_handshake *handshake, const char *secret)
{
	*handshake = (struct harbor_handshake){.secret = secret};
}

void
harbor_handshake_accept(struct harbor_handshake *handshake, const struct harbor_hello *own)
{
	assert(handshake->state == HARBOR_HANDSHAKE_ASKED);
	handshake->own = *own;
	handshake->state = HARBOR_HANDSHAKE_GOES_ON;
	if (handshake->other.has_secret != (handshake->secret[0] != '\0')) {
		refuse_secret(handshake);
		return;
	}
	put_preamble(handshake);
	put_hello(handshake);
}

/* --- input ----------------------------------------------------------------------------------- */

/* Collects bytes until the buffer has `wanted` (H3). Returns whether it has. */
static bool
gather(struct harbor_handshake *handshake, const char **bytes, size_t *size, size_t wanted)
{
	size_t missing = wanted - handshake->in_size;
	size_t count = *size < missing ? *size : missing;
	if (count > 0)
		memcpy(handshake->in + handshake->in_size, *bytes, count);
	handshake->in_size += count;
	*bytes += count;
	*size -= count;
	return count == missing;
}

static void
on_preamble(struct harbor_handshake *handshake)
{
	handshake->in_size = 0;
	handshake->has_preamble = true;
	handshake->other_version =
		(uint16_t)harbor_get_number((char *)handshake->in + MAGIC_BYTES, 2);
	/* A dialler waits for the other end's word: it says itself that it refuses. */
	if (handshake->other_version != HARBOR_VERSION && !handshake->is_dialler)
		harbor_handshake_refuse(
			handshake, HARBOR_REFUSED_VERSION,
			"version %u of the protocol comes in, and version %d is spoken",
			(unsigned)handshake->other_version, HARBOR_VERSION);
}

/* The bytes so far cannot be the beginning of a preamble? */
static bool
is_garbage(const struct harbor_handshake *handshake)
{
	size_t size = handshake->in_size < MAGIC_BYTES ? handshake->in_size : MAGIC_BYTES;
	return memcmp(handshake->in, magic, size) != 0;
}

static void
refuse_garbage(struct harbor_handshake *handshake)
{
	bool is_tls = handshake->in[0] == 22; /* a record of a TLS handshake begins so */
	harbor_handshake_refuse(handshake, HARBOR_REFUSED_GARBAGE, "%s",
				is_tls ? "TLS comes in where none is configured"
				       : "what comes in is not from a node");
}

static void
read_hello(struct harbor_handshake *handshake)
{
	const unsigned char *from = handshake->in + HARBOR_RECORD_HEAD;
	struct harbor_hello *other = &handshake->other;
	memcpy(handshake->hellos[handshake->is_dialler ? 1 : 0], from, HARBOR_HELLO_BYTES);
	other->id = from[0];
	other->wanted = from[1];
	other->has_secret = (from[2] & FLAG_HAS_SECRET) != 0;
	other->tie = harbor_get_number((const char *)from + 4, 8);
	other->known_tie = harbor_get_number((const char *)from + 12, 8);
	other->received = harbor_get_number((const char *)from + 20, 8);
	other->message_limit = (uint32_t)harbor_get_number((const char *)from + 28, 4);
	memcpy(other->nonce, from + 32, HARBOR_NONCE_BYTES);
	handshake->has_other = true;
}

static void
on_hello(struct harbor_handshake *handshake)
{
	const struct harbor_hello *other = &handshake->other;
	read_hello(handshake);
	if (other->id == 0 || other->tie == 0 || other->message_limit == 0) {
		harbor_handshake_refuse(handshake, HARBOR_REFUSED_GARBAGE,
					"a hello comes in that has a 0 where none can be");
	} else if (!handshake->is_dialler) {
		handshake->state = HARBOR_HANDSHAKE_ASKED;
	} else if (other->id != handshake->own.wanted) {
		harbor_handshake_refuse(handshake, HARBOR_REFUSED_ID,
					"node %u was wanted, and node %u answers",
					(unsigned)handshake->own.wanted, (unsigned)other->id);
	} else if (other->has_secret != (handshake->secret[0] != '\0')) {
		refuse_secret(handshake);
	} else {
		put_proof(handshake);
	}
}

static void
on_proof(struct harbor_handshake *handshake)
{
	unsigned char proof[HARBOR_PROOF_BYTES];
	make_proof(handshake, !handshake->is_dialler, proof);
	if (CRYPTO_memcmp(proof, handshake->in + HARBOR_RECORD_HEAD, sizeof proof) != 0) {
		refuse_secret(handshake);
		return;
	}
	if (!handshake->is_dialler)
		put_proof(handshake);
	handshake->state = HARBOR_HANDSHAKE_DONE;
}

/* The other end has refused. Its text is for logs: what is no plain character becomes a '?'. */
static void
on_refused(struct harbor_handshake *handshake, size_t size)
{
	const unsigned char *from = handshake->in + HARBOR_RECORD_HEAD;
	for (size_t i = 1; i < size; i++)
		handshake->text[i - 1] = from[i] >= ' ' && from[i] < 0x7f ? (char)from[i] : '?';
	handshake->text[size - 1] = '\0';
	bool is_known = from[0] >= HARBOR_REFUSED_GARBAGE && from[0] < HARBOR_REFUSAL_END;
	handshake->refusal = is_known ? (enum harbor_refusal)from[0] : HARBOR_REFUSED_GARBAGE;
	handshake->state = HARBOR_HANDSHAKE_DENIED;
}

/* Whether a record of that kind and length may come now. */
static bool
can_come(const struct harbor_handshake *handshake, unsigned kind, size_t size)
{
	switch (kind) {
	case RECORD_HELLO:
		return !handshake->has_other && size == HARBOR_HELLO_BYTES &&
		       handshake->other_version == HARBOR_VERSION;
	case RECORD_PROOF:
		return handshake->has_other && size == HARBOR_PROOF_BYTES &&
		       (handshake->is_dialler ? handshake->is_proof_sent : true);
	case RECORD_REFUSED:
		return size >= 1 && size <= 1 + HARBOR_REFUSED_TEXT_MAX;
	default:
		return false;
	}
}

static void
on_record(struct harbor_handshake *handshake, size_t size)
{
	handshake->in_size = 0;
	switch ((enum record_kind)handshake->in[2]) {
	case RECORD_HELLO:
		on_hello(handshake);
		break;
	case RECORD_PROOF:
		on_proof(handshake);
		break;
	case RECORD_REFUSED:
		on_refused(handshake, size);
		break;
	}
}

/* Takes a piece of the preamble. */
static bool
take_preamble(struct harbor_handshake *handshake, const char **bytes, size_t *size)
{
	bool is_complete = gather(handshake, bytes, size, HARBOR_PREAMBLE_BYTES);
	if (is_garbage(handshake)) {
		refuse_garbage(handshake);
		return false;
	}
	if (is_complete)
		on_preamble(handshake);
	return is_complete;
}

/* Takes a piece of a record. */
static bool
take_record(struct harbor_handshake *handshake, const char **bytes, size_t *size)
{
	if (handshake->in_size < HARBOR_RECORD_HEAD &&
	    !gather(handshake, bytes, size, HARBOR_RECORD_HEAD))
		return false;
	size_t body = (size_t)harbor_get_number((char *)handshake->in, 2);
	if (!can_come(handshake, handshake->in[2], body)) {
		if (handshake->other_version != HARBOR_VERSION)
			harbor_handshake_refuse(
				handshake, HARBOR_REFUSED_VERSION,
				"version %u of the protocol comes back, and version %d "
				"is spoken",
				(unsigned)handshake->other_version, HARBOR_VERSION);
		else
			harbor_handshake_refuse(handshake, HARBOR_REFUSED_GARBAGE,
						"what comes in has no place in a handshake");
		return false;
	}
	if (!gather(handshake, bytes, size, HARBOR_RECORD_HEAD + body))
		return false;
	on_record(handshake, body);
	return true;
}

size_t
harbor_handshake_input(struct harbor_handshake *handshake, const char *bytes, size_t size)
{
	const char *rest = bytes;
	bool is_complete = true;
	while (is_complete && handshake->state == HARBOR_HANDSHAKE_GOES_ON && size > 0)
		is_complete = handshake->has_preamble ? take_record(handshake, &rest, &size)
						      : take_preamble(handshake, &rest, &size);
	return (size_t)(rest - bytes);
}
