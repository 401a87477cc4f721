/* sk_socket_table.h: the sockets, and the table that they are in.
 *
 * The files of the socket layer; each calls only those above it:
 *   sk_socket_address   IP addresses in the form that messages carry
 *   sk_hosts            names that need no network
 *   sk_output           what one socket has still to send
 *   sk_resolver         names to addresses, on a thread of its own
 *   sk_socket_table     slots and ids
 *   sk_socket_unix      Unix-domain sockets: names and files
 *   sk_socket_total     how much output waits in all sockets together
 *   sk_socket_tell      what a socket's owner is told
 *   sk_socket_life      what every socket does: read on, flush, fail, close, end
 *   sk_socket_write     what services send, until the end of the turn
 *   sk_socket_stream    bytes: connections, and descriptors of others
 *   sk_socket_tls       connections that speak TLS
 *   sk_socket_listen    ports, and the connections that come in
 *   sk_socket_udp       datagrams
 *   sk_socket_connect   connections that go out
 *   sk_socket_ready     descriptors of others, watched for readiness only
 *   sk_socket_control   start, pause, close, bind
 *   sk_socket_info      the list that a monitor sees
 *   sk_socket_node      what the node calls (sk_socket.h): events, ends of turns, deaths of owners
 *   sk_socket_api       what services call (skynet_socket.h)
 * The calls the other way, from what is common to all sockets to what a kind of socket does, go
 * through struct sk_socket_ops.
 *
 * A socket's stages. "watched": registered with the poller, once, for the descriptor's life.
 *
 *   connect     +-----------+  address known  +------------+  connected
 *   ----------> | RESOLVING | --------------> | CONNECTING | ---------+
 *    by name    +-----------+                 +------------+          v
 *                                                ^              +----------+
 *   connect by number ---------------------------+              |   OPEN   |
 *   bind, udp, watch -----------------------------------------> | watched  |
 *   listen, accept  +---------+        start                    |          |
 *   --------------> | WAITING | ------------------------------> +----------+
 *                   +---------+                                       | close, output waits
 *                        | close, output waits                        v
 *                        +-------------------------------------> +---------+
 *                                                                | CLOSING |
 *   every stage, when nothing waits (or at once: shutdown)       +---------+
 *   ---------> GONE: the slot is free when the lock is released <-----+ drained, or failed
 *
 * A connection with TLS comes to OPEN through one stage more, SECURING: watched, and shaking hands.
 *
 * T1  A slot's memory stays until the node ends, so a pointer to a slot is always valid; whose it
 *     is tells its id, read under its lock. 0: free. CLAIMED: being filled by who claimed it, the
 *     only one who touches it (but for the fields of the worker that has it on its dirty list).
 * T2  A claimed slot is filled before its id is stored (release), and a slot that is given back is
 *     not touched after 0 is stored (release). Whoever finds an id (acquire) sees it filled.
 * T3  No thread holds two slots' locks.
 * R1  No more than UNCONSUMED_MAX of its kind (1 for a stream) of a socket's DATA, UDP or ACCEPT
 *     messages are with services; reading goes on when the last was consumed.
 * R2  is_readable is true whenever a read might find something: set by an edge, cleared only when
 *     the kernel said that there is no more. So no edge is lost while reading is off.
 * W1  Output waits, is_writable, and not is_resolving  =>  the slot is on the dirty list of one
 *     worker, which flushes it at the end of its turn.
 * W2  Output waits and not is_writable  =>  an edge WRITABLE is to come (or, before the socket is
 *     open, the connection).
 * W3  dirty_worker is not NULL exactly while the slot is on that worker's list. It belongs to the
 *     slot, not to the socket in it: a slot that is freed and claimed again meanwhile stays on the
 *     list, and its new socket is flushed once too often, which does no harm.
 * D1  timer is an entry that is pending, or that has fired and is on its way here. It is freed by
 *     who cancels it under the lock, or else by sk_sockets_expired, which takes the lock first.
 * C1  CLOSE is told exactly once to the owner of a socket that ends, except when it never was
 *     connected (ERROR is told instead) or the owner is dead. Nothing is told after that in
 *     CLOSING.
 *
 * Locks. A slot's lock comes first; under it are taken: spare_lock, the resolver's lock, the one of
 * the TLS options, and those of sk_post and of timers (which are the scheduler's). Messages are
 * posted under the slot's lock, so that the owner gets them in the order in which things happened.
 */
#ifndef SK_SOCKET_TABLE_H
#define SK_SOCKET_TABLE_H

#include "sk_core.h"
#include "sk_output.h"
#include "sk_socket.h"
#include "sk_socket_address.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct sk_resolver;
struct sk_socket_unix;
struct sk_timer_entry;
struct sk_tls;
struct sk_tls_store;

/* How many sockets exist at most; a slot's index is its socket's id modulo this. */
#define SK_SOCKETS_MAX 65536
#define SK_SOCKET_CHUNK_SLOTS 64
#define SK_SOCKET_CHUNKS (SK_SOCKETS_MAX / SK_SOCKET_CHUNK_SLOTS)
#define SK_SOCKET_CLAIMED (-1)

/* The longest text of a message. */
#define SK_SOCKET_TEXT_MAX 128
/* Room for a line that is logged. */
#define SK_SOCKET_LINE_SIZE 512

enum sk_socket_kind {
	SK_SOCKET_STREAM,    /* a TCP connection, or a Unix-domain one */
	SK_SOCKET_LISTENER,  /* a TCP port, or a Unix-domain one */
	SK_SOCKET_DATAGRAM,  /* UDP */
	SK_SOCKET_FOREIGN,   /* a descriptor that somebody else opened and closes */
	SK_SOCKET_READINESS, /* a duplicate of such a one, watched only */
};

enum sk_socket_stage {
	SK_SOCKET_RESOLVING,
	SK_SOCKET_CONNECTING,
	SK_SOCKET_SECURING,
	SK_SOCKET_WAITING,
	SK_SOCKET_OPEN,
	SK_SOCKET_CLOSING,
	SK_SOCKET_GONE,
};

enum sk_socket_owner_state {
	SK_SOCKET_OWNER_LIVES, /* as far as known */
	SK_SOCKET_OWNER_DIES,  /* it gets nothing any more, but its last turn may still write */
	SK_SOCKET_OWNER_GONE,  /* to be closed when the lock is released */
};

struct sk_socket;
struct sk_sockets;

/* What differs between the kinds. Constant. read and flush may end the socket.  [locked s->lock] */
struct sk_socket_ops {
	enum sk_socket_kind kind;
	/* Reads, and hands the owner what there is. Called when that is wanted and possible, and
	 * nothing is with the owner (R1). NULL: nothing is ever read. */
	void (*read)(struct sk_sockets *sockets, struct sk_socket *s);
	/* Sends what waits, until the kernel takes no more. Called when something waits and
	 * is_writable. NULL: nothing can be sent, so nothing ever waits. */
	void (*flush)(struct sk_sockets *sockets, struct sk_socket *s);
	/* Reads what has arrived and drops it, so that closing ends the stream and does not reset
	 * it. NULL: closing does no harm. */
	void (*swallow)(struct sk_socket *s);
	/* Sends bytes (borrowed) that are not queued as part of a stream. Returns 0; or a negative
	 * sk_error, with one line in error, "" if it is not worth one. NULL: they are queued. */
	int (*send)(struct sk_sockets *sockets, struct sk_socket *s, const void *bytes, size_t size,
		    char error[SK_SOCKET_LINE_SIZE]);
	/* The service closes: adds what the protocol has to say at the end to what waits, if it is
	 * not to be said behind output that waits itself. NULL: nothing is to be said. */
	void (*finish)(struct sk_socket *s);
};

/* What a socket with TLS has besides. Of a listener: what its connections get. */
struct sk_socket_tls {
	struct sk_tls *session;
	struct sk_output plain; /* sent before TLS; leaves before the handshake */
	const char *text;	/* of the CONNECT when it is over; NULL: the peer's IP */
	bool is_announced;	/* the owner knows it as a connection: ERROR is not enough (C1) */
};

struct sk_socket {
	_Alignas(SK_CACHE_LINE) pthread_mutex_t lock;
	/* Atomic; changes only under lock, except from 0 and from CLAIMED (T2). */
	_Atomic int id;
	/* Under lock, from here on. */
	int fd;		       /* -1: none yet */
	uint32_t owner;	       /* see also sk_socket_chunk.owners */
	uint32_t summed_steps; /* what sk_sockets.waiting_steps has of this socket's output */
	uint8_t stage;	       /* enum sk_socket_stage */
	uint8_t owner_state;   /* enum sk_socket_owner_state */
	uint8_t unconsumed;    /* R1 */
	uint8_t warnings;      /* told since the output was empty */
	uint8_t ip_kind;       /* of a datagram socket: which addresses it can send to */
	bool is_reading;       /* the owner wants input */
	bool is_readable;      /* R2 */
	bool is_hung_up;    /* the poller said HANGUP: read on until the kernel says how it ended */
	bool is_read_over;  /* the peer's stream has ended, or the descriptor cannot be read */
	bool is_writable;   /* W1, W2 */
	bool is_write_over; /* a write has failed */
	bool is_close_told; /* C1 */
	bool is_watched;
	uint8_t awaited; /* of one that is watched for readiness: what to tell (sk_socket_ready) */
	bool wants_nodelay;
	bool is_plain_file; /* always ready, and cannot be watched */
	bool is_resolving;  /* a datagram socket waits for its peer's address: all output waits */
	const struct sk_socket_ops *ops;  /* constant while the slot is in use, but for STARTTLS */
	struct sk_address address;	  /* of the peer; a listener's own; Unix-domain: NONE */
	struct sk_socket_unix *unix_name; /* the same of a Unix-domain socket, if it has a name */
	int saved_flags;	/* of a foreign descriptor, to be restored; -1: not changed */
	int lost_id;		/* an accepted socket whose owner could not be told: to be ended */
	uint64_t complained_ms; /* when the owner was last told an error of accept; 0: never */
	struct sk_output output;
	uint64_t read_count; /* bytes; a listener: connections */
	uint64_t write_bytes;
	uint64_t read_ticks; /* of the last activity, as sk_clock_ticks */
	uint64_t write_ticks;
	struct sk_address_list *alternatives; /* or NULL */
	struct sk_timer_entry *timer;	      /* D1; or NULL */
	struct sk_socket_tls *tls;	      /* or NULL: plain */
	/* Under lock, but they stay when the slot changes hands (W3). next_dirty: only the worker
	 * on whose list the slot is. */
	struct sk_worker *dirty_worker;
	struct sk_socket *next_dirty;
	/* Constant: the slot's index in its chunk. */
	uint8_t place;
};

struct sk_socket_chunk {
	struct sk_socket slots[SK_SOCKET_CHUNK_SLOTS];
	/* Atomic copies of slots[i].owner, together, so that a dead owner's sockets are found fast.
	 * 0: the slot is free. */
	_Atomic uint32_t owners[SK_SOCKET_CHUNK_SLOTS];
};

struct sk_sockets {
	/* Constant after new. */
	struct sk_core *core;
	struct sk_resolver *resolver;
	size_t output_limit_bytes; /* of one socket; 0: none */
	size_t output_total_bytes; /* of all; 0: none */
	unsigned linger_ms;	   /* 0: for ever */
	unsigned handshake_ms;	   /* 0: for ever */
	struct sk_tls_store *tls_store;
	/* Atomic. */
	_Atomic uint64_t last_number; /* ids are drawn from it */
	_Atomic int32_t count;	      /* of sockets */
	_Atomic int starved_id; /* who cannot read for want of descriptors: a listener; or 0 */
	_Atomic uint64_t counters[SK_SOCKET_COUNTERS];
	_Atomic int64_t waiting_steps; /* output of all sockets: sk_socket_total.h */
	/* Under spare_lock. */
	pthread_mutex_t spare_lock;
	int spare_fd; /* given up to accept and refuse when there are no other; -1: none */
	/* Atomic: NULL until one of its ids was drawn. */
	_Atomic(struct sk_socket_chunk *) chunks[SK_SOCKET_CHUNKS];
};

/* What a new socket begins with. */
struct sk_socket_seed {
	const struct sk_socket_ops *ops;
	enum sk_socket_stage stage;
	uint32_t owner;
	int fd; /* taken when there is room for the socket; or -1 */
	bool is_reading;
	bool is_writable;
	bool is_resolving;
	int ip_kind;
	struct sk_address address;
	struct sk_socket_unix *unix_name; /* taken as fd is */
	struct sk_socket_tls *tls;	  /* taken when there is room for the socket; or NULL */
};

/* Makes a socket. Returns its id, or SK_ELIMIT. From then on others may have closed it already. */
SK_MUST_CHECK int sk_socket_add(struct sk_sockets *sockets, const struct sk_socket_seed *seed);
/* Writes the line for SK_ELIMIT. what: what could not be done. Returns SK_ELIMIT. */
int sk_socket_too_many(const char *what, char error[SK_SOCKET_LINE_SIZE]);
/* Counts how often a limit was hit.  [any] */
void sk_socket_count(struct sk_sockets *sockets, enum sk_socket_counter counter);

/* Locks the slot of a socket. Returns NULL when there is no such socket. Each enter that returned a
 * slot is followed by one sk_socket_leave (sk_socket_life.h). */
struct sk_socket *sk_socket_enter(struct sk_sockets *sockets, int id);
/* The same for any slot that is in use, for walks over the table. index: 0 to SK_SOCKETS_MAX -
 * 1. */
struct sk_socket *sk_socket_enter_slot(struct sk_sockets *sockets, int index);

/* All functions below: [locked s->lock]. */

static inline int
sk_socket_id(const struct sk_socket *s)
{
	return atomic_load_explicit(&s->id, memory_order_relaxed); /* [locked s->lock] */
}

/* Changes it, here and where a dead owner's sockets are looked for. */
void sk_socket_set_owner(struct sk_socket *s, uint32_t owner);

/* Gives the slot of a socket that is GONE back, and unlocks it. */
void sk_socket_give_back(struct sk_sockets *sockets, struct sk_socket *s);

size_t sk_socket_tls_waiting_bytes(const struct sk_socket *s);

/* What the service has sent, and the kernel has not taken. */
static inline size_t
sk_socket_waiting_bytes(const struct sk_socket *s)
{
	return SK_LIKELY(!s->tls) ? s->output.bytes : sk_socket_tls_waiting_bytes(s);
}

/* NULL: does nothing. */
void sk_socket_tls_free(struct sk_socket_tls *tls);

/* Has the descriptor watched, if it is not yet; its id is what the poller will tell. Returns 0, or
 * SK_ESYSTEM with errno set. A plain file is none that can be watched: is_plain_file is set. */
SK_MUST_CHECK int sk_socket_watch(struct sk_sockets *sockets, struct sk_socket *s);

#endif
