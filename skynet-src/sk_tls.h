/* sk_tls.h: one TLS connection over a descriptor: bytes in the open to sealed ones and back.
 *
 * Model      OpenSSL never touches the descriptor, but for reading during the handshake. What it
 *            seals is collected on the thread and sent by sk_tls_push; what the kernel does not
 *            take is kept here. What is to be opened is handed in, and opened whole.
 *            S1  Whatever may have sealed something (shake, open, seal) is followed by sk_tls_push
 *                or sk_tls_drop before the caller lets go of the connection: what was collected
 *                belongs to it alone.
 *            S2  A connection that is ready holds no input that could still be opened: all that was
 *                handed in has been opened, or is the beginning of a record.
 *            S3  OpenSSL's error queue, which belongs to the thread, is empty when a function
 *                returns.
 * Threads    the caller locks; one thread at a time, any.
 * Memory     A connection that is idle has no buffers.
 * Use        shake until DONE; then open what was read, seal what is to be sent, push.
 */
#ifndef SK_TLS_H
#define SK_TLS_H

#include "sk_base.h"
#include "sk_tls_config.h"

#include <stdbool.h>
#include <stddef.h>

/* The most that one record holds, in the open and sealed. */
#define SK_TLS_RECORD_BYTES 16384
#define SK_TLS_SEALED_BYTES (SK_TLS_RECORD_BYTES + 256 + 5)
/* So much is sealed before it is sent. */
#define SK_TLS_BATCH_BYTES (4 * SK_TLS_SEALED_BYTES)

enum sk_tls_result {
	SK_TLS_DONE,
	SK_TLS_AGAIN,  /* the kernel has nothing more, or no room: an edge will tell */
	SK_TLS_ENDED,  /* the peer has said that it sends no more */
	SK_TLS_FAILED, /* sk_tls_reason tells why; there is no going on */
};

struct sk_tls;

/* For a connection that begins later. config: taken. name: whom a client wants to talk to, a name
 * or an IP address; NULL: nobody in particular. */
struct sk_tls *sk_tls_new(struct sk_tls_config *config, const char *name);
/* NULL: does nothing. */
void sk_tls_free(struct sk_tls *tls);
/* The same again, for one of a listener's connections. */
struct sk_tls *sk_tls_of_listener(const struct sk_tls *listener);

/* Makes it ready to shake hands over fd. Returns DONE or FAILED. */
enum sk_tls_result sk_tls_begin(struct sk_tls *tls, int fd);
/* Goes on with the handshake, as far as what has arrived allows. Returns DONE (it is over), AGAIN
 * or FAILED. */
enum sk_tls_result sk_tls_shake(struct sk_tls *tls);
/* Whether the handshake is over. */
bool sk_tls_is_ready(const struct sk_tls *tls);

/* Opens what has been read. bytes: room for all of it, and a record more. Returns DONE, ENDED or
 * FAILED; in all of them *size says how much there is. */
enum sk_tls_result sk_tls_open(struct sk_tls *tls, const char *sealed, size_t sealed_size,
			       char *bytes, size_t room, size_t *size);
/* Whether there is room for one more record before the next push. */
bool sk_tls_has_room(void);
/* Seals up to SK_TLS_RECORD_BYTES as one record. Returns DONE or FAILED. */
enum sk_tls_result sk_tls_seal(struct sk_tls *tls, const char *bytes, size_t size);
/* Sends what is sealed (S1). Returns DONE (all), AGAIN or FAILED, with errno set. */
enum sk_tls_result sk_tls_push(struct sk_tls *tls, int fd);
/* Seals that no more will be sent (close_notify), once; it counts as unsent. */
void sk_tls_finish(struct sk_tls *tls);
/* Forgets what is sealed. */
void sk_tls_drop(struct sk_tls *tls);
/* What is sealed, and not with the kernel. */
size_t sk_tls_unsent_bytes(const struct sk_tls *tls);

/* Why it FAILED. Returns text. */
const char *sk_tls_reason(const struct sk_tls *tls, char *text, size_t text_size);
/* What was agreed on; of a connection that is ready. */
void sk_tls_describe(const struct sk_tls *tls, struct skynet_tls_info *info);

#endif
