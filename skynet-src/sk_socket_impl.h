/* sk_socket_impl.h: what the files of the socket layer share. Nobody else includes it.
 *
 * Files, each calling only those above it, except for the calls marked (late) below:
 *   sk_socket_address   IP addresses in the form that messages carry
 *   sk_output           what one socket has still to send
 *   sk_resolver         names to addresses, on a thread of its own
 *   sk_socket           the table; a socket's slot, what its owner is told, its end
 *   sk_socket_write     the way out
 *   sk_socket_udp       datagrams, both ways
 *   sk_socket_listen    ports, and the connections that come in
 *   sk_socket_read      the way in
 *   sk_socket_connect   connections that go out
 *   sk_socket_control   start, pause, close, descriptors of others
 *   sk_socket_info      the list that a monitor sees
 *   sk_socket_node      what the node calls: events, ends of turns, deaths of owners
 *   sk_socket_api       what services call: skynet_socket.h
 *
 * A socket's stages. "watched": registered with the poller, once, for the descriptor's life.
 *
 *   connect     +-----------+  address known  +------------+  connected
 *   ----------> | RESOLVING | --------------> | CONNECTING | ---------+
 *    by name    +-----------+                 +------------+          v
 *                                                ^              +----------+
 *   connect by number ---------------------------+              |   OPEN   |
 *   bind, udp ------------------------------------------------> | watched  |
 *   listen, accept  +---------+        start                    |          |
 *   --------------> | WAITING | ------------------------------> +----------+
 *                   +---------+                                       | close, output waits
 *                        | close, output waits                        v
 *                        +-------------------------------------> +---------+
 *                                                                | CLOSING |
 *   every stage, when nothing waits (or at once: shutdown)       +---------+
 *   ---------> GONE: the slot is free when the lock is released <-----+ drained, or failed
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
 * C1  CLOSE is told exactly once to the owner of a socket that ends, except when it never was
 *     connected (ERROR is told instead) or the owner is dead. Nothing is told after that in
 *     CLOSING.
 *
 * Locks. A slot's lock comes first; under it are taken: spare_lock, the resolver's lock, and
 * those of sk_service_post (which are the scheduler's). Messages are posted under the slot's lock,
 * so that the owner gets them in the order in which things happened.
 */
#ifndef SK_SOCKET_IMPL_H
#define SK_SOCKET_IMPL_H

#include "sk_core.h"
#include "sk_output.h"
#include "sk_socket.h"
#include "sk_socket_address.h"
#include "skynet_socket.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct sk_resolver;

/* How many sockets exist at most; a slot's index is its socket's id modulo this. */
#define SK_SOCKETS_MAX 65536
#define SK_SOCKET_CHUNK_SLOTS 64
#define SK_SOCKET_CHUNKS (SK_SOCKETS_MAX / SK_SOCKET_CHUNK_SLOTS)
#define SK_SOCKET_CLAIMED (-1)

/* One read, at most. */
#define SK_SOCKET_READ_BYTES 65536
/* The longest text of a message. */
#define SK_SOCKET_TEXT_MAX 128
/* Room for a line that is logged. */
#define SK_SOCKET_LINE_SIZE 512

enum sk_socket_kind {
	SK_SOCKET_STREAM,   /* a TCP connection */
	SK_SOCKET_LISTENER, /* a TCP port */
	SK_SOCKET_DATAGRAM, /* UDP */
	SK_SOCKET_FOREIGN,  /* a descriptor that somebody else opened and closes */
};

enum sk_socket_stage {
	SK_SOCKET_RESOLVING,
	SK_SOCKET_CONNECTING,
	SK_SOCKET_WAITING,
	SK_SOCKET_OPEN,
	SK_SOCKET_CLOSING,
	SK_SOCKET_GONE,
};

struct sk_socket {
	_Alignas(SK_CACHE_LINE) pthread_mutex_t lock;
	/* Atomic; changes only under lock, except from 0 and from CLAIMED (T2). */
	_Atomic int id;
	/* Under lock, from here on. */
	int fd;		    /* -1: none yet */
	uint32_t owner;	    /* see also sk_socket_chunk.owners */
	uint8_t kind;	    /* enum sk_socket_kind */
	uint8_t stage;	    /* enum sk_socket_stage */
	uint8_t unconsumed; /* R1 */
	uint8_t warnings;   /* told since the output was empty */
	uint8_t ip_kind;    /* of a datagram socket: which addresses it can send to */
	bool is_reading;    /* the owner wants input */
	bool is_readable;   /* R2 */
	bool is_hung_up;    /* the poller said HANGUP: read on until the kernel says how it ended */
	bool is_read_over;  /* the peer's stream has ended, or the descriptor cannot be read */
	bool is_writable;   /* W1, W2 */
	bool is_write_over; /* a write has failed */
	bool is_close_told; /* C1 */
	bool is_orphan;	    /* the owner is dead: to be closed when the lock is released */
	bool is_watched;
	bool wants_nodelay;
	bool is_plain_file; /* always ready, and cannot be watched */
	bool is_resolving;  /* a datagram socket waits for its peer's address: all output waits */
	struct sk_address address; /* of the peer; a listener's own */
	int saved_flags;	   /* of a foreign descriptor, to be restored; -1: not changed */
	int lost_id;		/* an accepted socket whose owner could not be told: to be ended */
	uint64_t complained_ms; /* when the owner was last told an error of accept; 0: never */
	struct sk_output output;
	uint64_t read_count; /* bytes; a listener: connections */
	uint64_t write_bytes;
	uint64_t read_ticks; /* of the last activity, as sk_clock_ticks */
	uint64_t write_ticks;
	struct sk_address_list *alternatives; /* or NULL */
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
	size_t output_limit_bytes; /* 0: none */
	unsigned linger_ms;	   /* 0: for ever */
	/* Atomic. */
	_Atomic uint64_t last_number; /* ids are drawn from it */
	_Atomic int32_t count;	      /* of sockets */
	_Atomic int starved_id;	      /* a listener that cannot accept for want of descriptors */
	_Atomic uint64_t counters[SK_SOCKET_COUNTERS];
	/* Under spare_lock. */
	pthread_mutex_t spare_lock;
	int spare_fd; /* given up to accept and refuse when there are no other; -1: none */
	/* Atomic: NULL until one of its ids was drawn. */
	_Atomic(struct sk_socket_chunk *) chunks[SK_SOCKET_CHUNKS];
};

/* --- sk_socket.c: the table ---------------------------------------------------------------- */

/* What a new socket begins with. */
struct sk_socket_seed {
	enum sk_socket_kind kind;
	enum sk_socket_stage stage;
	uint32_t owner;
	int fd; /* taken when there is room for the socket; or -1 */
	bool is_reading;
	bool is_writable;
	bool is_resolving;
	int ip_kind;
	struct sk_address address;
};

/* Makes a socket. Returns its id, or SK_ELIMIT. From then on others may have closed it already. */
SK_MUST_CHECK int sk_socket_add(struct sk_sockets *sockets, const struct sk_socket_seed *seed);
/* Writes the line for SK_ELIMIT. what: what could not be done. Returns SK_ELIMIT. */
int sk_socket_too_many(const char *what, char error[SK_SOCKET_LINE_SIZE]);
/* Ends a socket at once, if it still exists. Tells nothing.  [no lock held] */
void sk_socket_end_by_id(struct sk_sockets *sockets, int id);

/* Locks the slot of a socket. Returns NULL when there is no such socket. Each enter that returned a
 * slot is followed by one leave. */
struct sk_socket *sk_socket_enter(struct sk_sockets *sockets, int id);
/* Unlocks the slot, and before that gives it back if the socket is GONE. */
void sk_socket_leave(struct sk_sockets *sockets, struct sk_socket *s);

/* The same for any slot that is in use, for walks over the table. index: 0 to SK_SOCKETS_MAX -
 * 1. */
struct sk_socket *sk_socket_enter_slot(struct sk_sockets *sockets, int index);

static inline int
sk_socket_id(const struct sk_socket *s)
{
	return atomic_load_explicit(&s->id, memory_order_relaxed); /* [locked s->lock] */
}

/* Bytes are read here first, because nobody knows how many there are. One for each thread. */
extern _Thread_local char sk_socket_scratch[SK_SOCKET_READ_BYTES];

void sk_socket_count(struct sk_sockets *sockets, enum sk_socket_counter counter);

/* All functions below that take a socket: [locked s->lock]. They may end it (stage GONE). */

void sk_socket_set_owner(struct sk_socket *s, uint32_t owner);

/* Has the descriptor watched, if it is not yet. Returns 0, or SK_ESYSTEM with errno set. A plain
 * file is none that can be watched: is_plain_file is set. */
SK_MUST_CHECK int sk_socket_watch(struct sk_sockets *sockets, struct sk_socket *s);

/* --- sk_socket.c: what services are told --- */

/* Tells the owner. text: at most SK_SOCKET_TEXT_MAX bytes of it are told; or NULL. */
void sk_socket_tell(struct sk_sockets *sockets, struct sk_socket *s, int type, int ud,
		    const char *text);
/* Hands the owner a DATA, UDP or ACCEPT message (R1). buffer: taken, or NULL. Returns false when
 * the owner is dead. */
bool sk_socket_hand_over(struct sk_sockets *sockets, struct sk_socket *s, int type, int ud,
			 char *buffer, const char *text);
/* Tells the owner CLOSE, once (C1). */
void sk_socket_tell_close(struct sk_sockets *sockets, struct sk_socket *s);
/* Tells anybody about a socket.  [no lock needed] */
void sk_socket_tell_handle(struct sk_sockets *sockets, uint32_t handle, int id, int type,
			   const char *text);
/* Whether this thread is posting a message of a socket, whose lock it holds. */
bool sk_socket_is_telling(void);

/* --- sk_socket.c: the end of a socket --- */

/* Ends it at once. Tells nothing. */
void sk_socket_end(struct sk_sockets *sockets, struct sk_socket *s);
/* Tells ERROR and CLOSE, and ends it at once. */
void sk_socket_fail(struct sk_sockets *sockets, struct sk_socket *s, const char *reason);
/* The same, with the system's text for an error number. */
void sk_socket_fail_system(struct sk_sockets *sockets, struct sk_socket *s, int error);
/* Tells ERROR only, and ends it at once: for a socket that was never connected (C1). */
void sk_socket_fail_birth(struct sk_sockets *sockets, struct sk_socket *s, const char *reason);
/* Tells CLOSE, sends what waits, then ends it. */
void sk_socket_close(struct sk_sockets *sockets, struct sk_socket *s);

/* The system's text for an error number. Returns text. */
const char *sk_socket_error_text(int error, char text[SK_SOCKET_TEXT_MAX]);

/* --- sk_socket_write.c --- */

/* Queues a piece, and sees to it that it leaves: at the end of the turn if one runs. piece: taken.
 * Returns 0, SK_ENOENT (no such socket, or it does not send any more) or SK_ELIMIT (it had too much
 * waiting and is closed now).  [any, no lock held] */
int sk_socket_send(struct sk_sockets *sockets, int id, struct sk_output_piece *piece, bool is_low);
/* Sends what waits, until the kernel takes no more. (late: sk_socket.c calls it) */
void sk_socket_flush(struct sk_sockets *sockets, struct sk_socket *s);
/* Tells WARNING when the output has grown past a mark, or is empty again. */
void sk_socket_check_output(struct sk_sockets *sockets, struct sk_socket *s);

/* --- sk_socket_udp.c --- */

/* Reads datagrams until there is none, or enough are with the owner. */
void sk_socket_read_datagrams(struct sk_sockets *sockets, struct sk_socket *s);
/* Sends datagrams that wait. (late: sk_socket_flush calls it) */
void sk_socket_flush_datagrams(struct sk_sockets *sockets, struct sk_socket *s);
/* The resolver found the peer of a datagram socket. (late) list: borrowed. */
void sk_socket_datagram_resolved(struct sk_sockets *sockets, struct sk_socket *s,
				 const struct sk_address_list *list);
/* The same when there is none. (late) */
void sk_socket_datagram_unresolved(struct sk_sockets *sockets, struct sk_socket *s,
				   const char *reason);
/* host NULL with port 0: not bound. Returns an id; or a negative sk_error, with one line in
 * error. */
int sk_socket_udp_open(struct sk_sockets *sockets, uint32_t owner, const char *host, int port,
		       char error[SK_SOCKET_LINE_SIZE]);
int sk_socket_udp_dial(struct sk_sockets *sockets, uint32_t owner, const char *host, int port,
		       char error[SK_SOCKET_LINE_SIZE]);
/* Sets the default peer. Returns 0; or a negative sk_error, with one line in error. */
int sk_socket_udp_connect(struct sk_sockets *sockets, int id, const char *host, int port,
			  char error[SK_SOCKET_LINE_SIZE]);
/* Sends one datagram. to: kind NONE means the default peer. bytes: borrowed. Returns 0; or a
 * negative sk_error, with one line in error, "" if it is not worth one. */
int sk_socket_udp_send(struct sk_sockets *sockets, int id, const struct sk_address *to,
		       const void *bytes, size_t size, char error[SK_SOCKET_LINE_SIZE]);

/* --- sk_socket_listen.c --- */

/* Finds the address to bind. host NULL or "": all IPv4 addresses. A name is looked up on this
 * thread, which blocks: meant for names from the hosts file. Returns 0, or SK_EINVAL with one line
 * in error. [no lock held] */
SK_MUST_CHECK int sk_socket_local_address(struct sk_address *address, const char *host, int port,
					  char error[SK_SOCKET_LINE_SIZE]);
/* Reads back what address a descriptor is bound to. */
void sk_socket_bound_address(int fd, struct sk_address *address);
/* Returns an id; or a negative sk_error, with one line in error.  [no lock held] */
int sk_socket_listen(struct sk_sockets *sockets, uint32_t owner, const char *host, int port,
		     int backlog, char error[SK_SOCKET_LINE_SIZE]);
/* Accepts until there is none left, or enough are with the owner. */
void sk_socket_accept(struct sk_sockets *sockets, struct sk_socket *s);
/* A descriptor has become free: goes on with a listener that had none. (late)  [no lock held] */
void sk_socket_retry_starved(struct sk_sockets *sockets);

/* --- sk_socket_read.c --- */

/* Reads, if that is wanted, possible and allowed (R1). */
void sk_socket_read_on(struct sk_sockets *sockets, struct sk_socket *s);
/* Reads what has arrived and drops it, so that closing ends the stream and does not reset it.
 * (late: sk_socket.c calls it) */
void sk_socket_swallow_input(struct sk_socket *s);

/* --- sk_socket_connect.c --- */

/* Returns an id; or a negative sk_error, with one line in error.  [no lock held] */
int sk_socket_connect(struct sk_sockets *sockets, uint32_t owner, const char *host, int port,
		      char error[SK_SOCKET_LINE_SIZE]);
/* The poller said something about a socket that is CONNECTING. */
void sk_socket_connect_event(struct sk_sockets *sockets, struct sk_socket *s, unsigned flags);
/* The resolver's answer; see sk_resolver.h. ud: the sockets. */
void sk_socket_resolved(void *ud, int id, struct sk_address_list *list, const char *error);

/* --- sk_socket_control.c --- [no lock held] */

int sk_socket_bind(struct sk_sockets *sockets, uint32_t owner, int fd,
		   char error[SK_SOCKET_LINE_SIZE]);
void sk_socket_start(struct sk_sockets *sockets, uint32_t caller, int id);
void sk_socket_pause(struct sk_sockets *sockets, int id);
void sk_socket_ask_close(struct sk_sockets *sockets, int id);
void sk_socket_shutdown(struct sk_sockets *sockets, int id);
void sk_socket_nodelay(struct sk_sockets *sockets, int id);

#endif
