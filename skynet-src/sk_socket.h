/* sk_socket.h: the socket layer as the node sees it; services use skynet_socket.h.
 *
 * Model      A table of sockets. What happens to one is told to its owner as a PTYPE_SOCKET
 *            message; at most one chunk (or accepted connection batch) is with the owner at a time,
 *            and the next is read when the callback that got it has returned. Messages of kind
 *            SK_MESSAGE_SOCKET are those: DATA, ACCEPT and UDP. The others (CONNECT, CLOSE, ERROR,
 *            WARNING) hold nothing that would have to be given back, so they are SK_MESSAGE_PLAIN,
 *            with source 0.
 * Life       new after the env is loaded; from then on any thread may use it; stop when the workers
 *            have been joined; free while the core's quiesce and scheduler still stand.
 * Threads    marked at each function.
 */
#ifndef SK_SOCKET_H
#define SK_SOCKET_H

#include "sk_base.h"

#include <stddef.h>
#include <stdint.h>

struct sk_core;
struct sk_sockets;
struct sk_timer_entry;
struct sk_worker;
struct skynet_socket_message;

/* How often a limit was hit. */
enum sk_socket_counter {
	SK_SOCKET_REFUSED_DESCRIPTORS, /* a connection: the process had no descriptor left */
	SK_SOCKET_REFUSED_TABLE,       /* a connection, or a new socket: 65536 exist already */
	SK_SOCKET_OUTPUT_LIMIT,	       /* a socket: more than socket_output_limit bytes waited */
	SK_SOCKET_OUTPUT_TOTAL,	       /* a socket: all sockets had more than socket_output_total */
	SK_SOCKET_LINGER,	       /* a closed socket: its output did not leave in time */
	SK_SOCKET_DATAGRAM_DROPPED, /* a datagram: it could not be sent, or had to wait too long */
	SK_SOCKET_COUNTERS,	    /* how many counters there are */
};

/* Reads the settings socket_output_limit, socket_output_total (bytes), socket_linger and
 * tls_handshake_timeout (seconds) from core->env.
 * Returns NULL when out of descriptors. [boot] */
struct sk_sockets *sk_sockets_new(struct sk_core *core);
/* Gives up the look-ups that are under way and ends the layer's own thread, if it has one. To be
 * called when the workers have been joined, before the last services are released.  [boot] */
void sk_sockets_stop(struct sk_sockets *sockets);
/* Stops, if that was not done yet, and closes every socket. NULL: does nothing.  [boot] */
void sk_sockets_free(struct sk_sockets *sockets);

/* The scheduler's hook: the descriptor of socket `token` became ready.  [poller] */
void sk_sockets_event(struct sk_sockets *sockets, uint64_t token, unsigned flags);

/* The owner's callback has returned from the message about socket id that was kind DATA, ACCEPT or
 * UDP: read on.  [turn] */
void sk_sockets_consumed(struct sk_sockets *sockets, int id);

/* Sends what was written during the turn that ends now.  [worker] */
void sk_sockets_flush(struct sk_sockets *sockets, struct sk_worker *worker);

/* Closes what a dead service still owns; what waits to be sent still goes out.  [any, online] */
void sk_sockets_release_owner(struct sk_sockets *sockets, uint32_t handle);

/* Frees the buffer that the payload of an unread socket message holds. The payload itself remains
 * the caller's. A connection announced by an unread ACCEPT is closed.  [any, online] */
void sk_sockets_discard(struct sk_sockets *sockets, struct skynet_socket_message *payload);

/* The time of a socket is up: sk_socket_set_timer. entry: taken, in no timer any more.  [poller] */
void sk_sockets_expired(struct sk_sockets *sockets, struct sk_timer_entry *entry);

/* Reads the files of all TLS options in use again; see skynet_tls_reload.  [any, online, no lock
 * held] */
int sk_sockets_reload_tls(struct sk_sockets *sockets);

/* How many sockets exist.  [any] */
int sk_sockets_count(const struct sk_sockets *sockets);

/* How often a limit was hit since the start.  [any] */
uint64_t sk_sockets_counter(const struct sk_sockets *sockets, enum sk_socket_counter counter);
/* A name for it, as in a monitor's list.  [any] */
const char *sk_sockets_counter_name(enum sk_socket_counter counter);

#endif
