/* skynet.h: everything a service written in C needs.
 *
 * Model      A service is an address (a 32-bit handle), a mailbox and a callback. Services share
 *            nothing; they send each other messages: a pointer and a length, with a type (which
 *            protocol the bytes speak) and a session (which request a reply answers).
 * Life       A module NAME.so exports NAME_init (required), NAME_create, NAME_release and
 *            NAME_signal (all optional); the framework calls create, then init, then the callback
 *            for every message, then release. See docs/c-services.md.
 * Threads    Unless a comment says otherwise, a function may be called only by the running
 *            service itself: inside its init, or inside its callback ([turn]). A service's
 *            callback never runs on two threads at once.
 * Memory     "takes": the callee owns the block from the call on, on failure too. "borrows": until
 *            the call returns. Blocks handed over come from malloc or skynet_malloc, which are
 *            interchangeable.
 */
#ifndef SKYNET_H
#define SKYNET_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SKYNET_API __attribute__((visibility("default")))
#define SKYNET_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define SKYNET_API
#define SKYNET_PRINTF(text, first)
#endif

/* Message types: which protocol the bytes of a message speak. 0 to 255. */
#define PTYPE_TEXT 0
#define PTYPE_RESPONSE 1
#define PTYPE_MULTICAST 2
#define PTYPE_CLIENT 3
#define PTYPE_SYSTEM 4
#define PTYPE_HARBOR 5
#define PTYPE_SOCKET 6
#define PTYPE_ERROR 7
#define PTYPE_RESERVED_QUEUE 8
#define PTYPE_RESERVED_DEBUG 9
#define PTYPE_RESERVED_LUA 10
#define PTYPE_RESERVED_SNAX 11
#define PTYPE_TRACE 12
#define PTYPE_RESERVED_REMOTE 13

/* The session of a PTYPE_ERROR that tells of one message that was lost, which had no session, while
 * the service it was for lives: its mailbox on another node was full, or the message too large.
 * Session 0 would tell that its source is dead: a service, or with NODE << 24 a whole node. */
#define SKYNET_SESSION_LOST (-1)

/* Tags, OR-ed into the type argument of the send functions; never delivered. */
#define PTYPE_TAG_DONTCOPY 0x10000
#define PTYPE_TAG_ALLOCSESSION 0x20000

/* What a callback returns. */
#define SKYNET_DONE 0 /* the framework frees the message */
#define SKYNET_KEPT 1 /* the service owns the message now, and must free it */

/* The running service, opaque. */
struct skynet_context;

/* Handles one message. msg: borrowed until return, or kept when SKYNET_KEPT is returned; may be
 * NULL when sz is 0. source: the sender, 0 for the framework.  [turn] */
typedef int (*skynet_cb)(struct skynet_context *ctx, void *ud, int type, int session,
			 uint32_t source, const void *msg, size_t sz);

/* Sends a message. source 0 means the caller. With PTYPE_TAG_DONTCOPY msg is taken, otherwise it
 * is borrowed and copied (with one NUL behind the copy that sz does not count). With
 * PTYPE_TAG_ALLOCSESSION session must be 0 and a fresh one is drawn. Destination 0 without data
 * only draws the session. An error reply (PTYPE_ERROR) comes back with the session when the
 * destination is on another node that cannot be reached, or ends before it took the message.
 * Returns the session (>= 0), -1 (no such destination), -2 (too large: over 2^48-1 bytes), -3 (its
 * mailbox is full, see skynet_mailbox), or -4 (the same, and it wants its senders to wait: then msg
 * is not taken, and skynet_probe tells when to try again). */
SKYNET_API int skynet_send(struct skynet_context *ctx, uint32_t source, uint32_t destination,
			   int type, int session, void *msg, size_t sz);

/* Sends to an address in text form: ":hex", ".localname", or a global name. Otherwise as
 * skynet_send. In a network a global name need not be known yet: then the message waits until some
 * service has the name; an empty PTYPE_HARBOR message with the session of a request tells which
 * one has got it. Then -3 says that too much waits for names, and -4 is never returned. */
SKYNET_API int skynet_sendname(struct skynet_context *ctx, uint32_t source, const char *addr,
			       int type, int session, void *msg, size_t sz);

/* A packet: bytes that many messages, or the output of many sockets (skynet_socket.h), share, so
 * that what goes to a thousand is copied once. Whoever gets such a message must not write to it; it
 * is borrowed until the callback returns, whatever that returns.
 *
 * new: bytes are copied; NULL: the caller writes them, where skynet_packet_bytes says, before
 * anybody else gets the packet. The caller holds it until it releases it. Returns NULL when it is
 * too large (over 2^48-1 bytes). send: a message of that type, with session 0, from source (0: the
 * caller) to a service; one of another node gets a copy. Returns 0, -1 (no such service), or -3:
 * its mailbox is full, whatever its policy is, which is counted there. Nobody is told when a
 * service ends before it has taken such a message. send_all: the same to count services, at less
 * cost for each; returns how many got it. release of NULL does nothing.  new, bytes, release:
 * [any] */
struct skynet_packet;
SKYNET_API struct skynet_packet *skynet_packet_new(const void *bytes, size_t size);
SKYNET_API void *skynet_packet_bytes(struct skynet_packet *packet);
SKYNET_API void skynet_packet_release(struct skynet_packet *packet);
SKYNET_API int skynet_packet_send(struct skynet_context *ctx, uint32_t source, uint32_t destination,
				  int type, struct skynet_packet *packet);
SKYNET_API size_t skynet_packet_send_all(struct skynet_context *ctx, uint32_t source,
					 const uint32_t *destinations, size_t count, int type,
					 struct skynet_packet *packet);

/* Passes the message in hand on: when the callback returns, whatever it returns, the message goes
 * to destination with its source, session and type, and without a copy; the callback may read it
 * until then. A packet stays one. When there is no such service, or its mailbox is full, the source
 * of a request gets PTYPE_ERROR; the first is logged, the second counted there. Returns 0, or -1:
 * destination is 0, or this callback has passed it on already.  [turn], in a callback only */
SKYNET_API int skynet_forward(struct skynet_context *ctx, uint32_t destination);

/* The message in hand as a block of the service's own: to be called once by a callback that returns
 * SKYNET_KEPT and may be sent packets. msg, sz: as it got them. Returns msg, or a copy where others
 * share it. */
SKYNET_API void *skynet_message_own(struct skynet_context *ctx, const void *msg, size_t sz);

/* Asks to be told when destination has handled everything this service sent it before: a
 * PTYPE_RESPONSE without data and with the returned session then arrives (PTYPE_ERROR if the
 * destination ended first). The destination's callback is not called. Use it to bound what waits
 * in another service's mailbox. Returns the session, or -1 (no such destination). */
SKYNET_API int skynet_probe(struct skynet_context *ctx, uint32_t destination);

/* Asks to be told when destination has ended: a PTYPE_ERROR with the returned session then arrives
 * from it, when its handle, names and sockets are free. session 0 draws one. The destination's
 * callback is not called. Returns the session, or -1 (no such destination). */
SKYNET_API int skynet_link(struct skynet_context *ctx, uint32_t destination, int session);
/* Takes that back. What tells of the end may be on its way already. */
SKYNET_API void skynet_unlink(struct skynet_context *ctx, uint32_t destination, int session);

/* Sets the function that handles this service's messages; any number of times. Without one,
 * messages are freed unread, and requests refused. ud: borrowed until the next skynet_callback or
 * release. */
SKYNET_API void skynet_callback(struct skynet_context *ctx, void *ud, skynet_cb cb);

/* What the senders to a full mailbox get. */
#define SKYNET_FULL_ERROR 0 /* skynet_send returns -3 */
#define SKYNET_FULL_DROP 1  /* the message vanishes; a request (session not 0) as above */
#define SKYNET_FULL_BLOCK 2 /* skynet_send returns -4; a Lua service's task waits */

/* Bounds what waits in this service's mailbox. warning: from so many messages on the length is
 * logged, again each time it has doubled; 0: never. limit: so many other services' messages may
 * wait, at most 65535; 0: any number. Answers, errors and system messages always pass. policy: one
 * of SKYNET_FULL_... Begins as the config says. Returns 0, or -1: a number out of range. */
SKYNET_API int skynet_mailbox(struct skynet_context *ctx, int warning, int limit, int policy);

/* Called when the length is logged, before the next message is handled.  [turn] */
typedef void (*skynet_overload_cb)(struct skynet_context *ctx, void *ud, uint32_t length);

/* Sets who is called; NULL: nobody. ud: borrowed until the next skynet_overload or release. */
SKYNET_API void skynet_overload(struct skynet_context *ctx, void *ud, skynet_overload_cb tell);

/* Runs a framework command (docs/c-services.md lists them). Unknown: NULL. The result is valid
 * until this service's next command; values of GETENV and registered names stay valid. */
SKYNET_API const char *skynet_command(struct skynet_context *ctx, const char *cmd,
				      const char *parm);

/* Resolves ":hex" (existence not checked) or ".localname". Returns 0 if there is none. */
SKYNET_API uint32_t skynet_queryname(struct skynet_context *ctx, const char *name);

/* Tells whether handle belongs to another node. harbor: NULL, or receives the node id. */
SKYNET_API int skynet_isremote(struct skynet_context *ctx, uint32_t handle, int *harbor);

/* Starts a timer: a PTYPE_RESPONSE without data and with the returned session arrives after
 * delay_ms (0 or less: at once, behind the mail already waiting). timer: NULL, or receives what
 * skynet_timer_cancel takes, valid until that message has been handled; NULL for delay 0 or
 * less. */
struct skynet_timer;
SKYNET_API int skynet_timeout(struct skynet_context *ctx, int64_t delay_ms,
			      struct skynet_timer **timer);

/* Stops a timer and frees it. Returns 1; or 0 when it has fired already: its message is in the
 * mailbox, and timer stays valid until that has been handled. */
SKYNET_API int skynet_timer_cancel(struct skynet_context *ctx, struct skynet_timer *timer);

/* Logs one line, without newline. ctx NULL: a line of the framework. "%*s" alone, with (int,
 * pointer), logs exactly that many raw bytes.  [any thread] */
SKYNET_API void skynet_error(struct skynet_context *ctx, const char *format, ...)
	SKYNET_PRINTF(2, 3);

/* The handle of the service running in this thread; 0 for an idle worker.  [any thread] */
SKYNET_API uint32_t skynet_current_handle(void);

/* The node's clock in 1/100 s. STARTTIME + skynet_now() / 100 is the wall time; it follows the
 * monotonic clock, so it never jumps.  [any thread of a node] */
SKYNET_API uint64_t skynet_now(void);

/* Nanoseconds since 1970, UTC, by the system's clock: jumps when somebody sets that.
 * [any thread] */
SKYNET_API uint64_t skynet_wall_ns(void);

/* Nanoseconds of the node's monotonic clock; only differences mean something.  [any thread] */
SKYNET_API uint64_t skynet_hpc(void);

/* Writes the bytes accounted to the running service to stderr, headed by info. */
SKYNET_API void skynet_debug_memory(const char *info);

/* The malloc family, interchangeable with libc's, except that these never return NULL: out of
 * memory ends the process with a line on stderr.  [any thread] */
SKYNET_API void *skynet_malloc(size_t size);
SKYNET_API void *skynet_calloc(size_t count, size_t size);
SKYNET_API void *skynet_realloc(void *ptr, size_t size);
SKYNET_API void skynet_free(void *ptr);
SKYNET_API void *skynet_memalign(size_t alignment, size_t size);
SKYNET_API void *skynet_aligned_alloc(size_t alignment, size_t size);
SKYNET_API int skynet_posix_memalign(void **ptr, size_t alignment, size_t size);
SKYNET_API char *skynet_strdup(const char *text);

/* A Lua allocator: nsize 0 frees. Returns NULL when there is no memory (Lua raises).  [any] */
SKYNET_API void *skynet_lalloc(void *ptr, size_t osize, size_t nsize);

#ifdef __cplusplus
}
#endif

#endif
