/* harbor.h: what the files of the harbor share: the harbor, the other nodes, the pipes to them.
 *
 * Model      The harbor is the one service that carries messages between this node and others. A
 *            peer is another node. Two pipes join it to this one, each a TCP connection that is
 *            dialled by the node that writes frames to it: `out` is ours, `in` is the peer's.
 *            Files, each calling only those above it, except for what peer.c begins and ends, and
 *            the timers of tick.c:
 *              frame.c      frames, as bytes
 *              handshake.c  what stands before the first frame, as bytes
 *              outbox.c     what a peer has not acknowledged
 *              dial.c       when a peer is dialled
 *              settings.c   the keys of the config
 *              report.c     log lines, errors to senders, events to .cslave
 *              proxy.c      probes and links of services on other nodes
 *              pipe.c       a socket's life: dialled or accepted, until it is lost
 *              send.c       messages to a peer, flow, what is due to be sent
 *              receive.c    frames from a peer, to services
 *              shake.c      from a connection to an open pipe
 *              peer.c       what two nodes know of each other, from contact to loss
 *              tick.c       everything that time does
 *              command.c    the commands
 *              harbor.c     messages in, launch, release
 * Ties       For each peer there is a random number, our tie, told in every handshake; its upper
 *            half is the same for all peers, and tells the process. A session is a pair of ties:
 *            what is counted is counted from its beginning to its end, and it ends when either end
 *            draws another tie: because it has given the other up, or has started anew.
 *              T1  Whoever gives a peer up draws a new tie; whoever learns of a new tie keeps its
 *                  own. So both ends begin anew, and once.
 *              T2  A handshake counts only if both ties are still what it has told, or what it has
 *                  brought is known already: a late one changes nothing.
 *              T3  Messages leave when both pipes have been open in this session: then the peer
 *                  can answer. Answers are kept from the moment on when its messages may come.
 *              T4  A session ends by a new tie only if that was found at the address that .cslave
 *                  has told, by a pipe that was dialled. Who comes in with another may be a second
 *                  process with the id of the peer; if it is the peer, which has begun anew, the
 *                  pipe to what it was before breaks, and is dialled.
 *            links.pml shows that this is enough.
 * Threads    [turn] everywhere: a service runs on one thread at a time.
 */
#ifndef HARBOR_H
#define HARBOR_H

#include "../address_set.h"
#include "dial.h"
#include "frame.h"
#include "handshake.h"
#include "outbox.h"
#include "proxy.h"
#include "skynet.h"
#include "skynet_harbor.h"
#include "skynet_socket.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HARBOR_NODES 256
#define HARBOR_HOST_MAX 255
#define HARBOR_ADDRESS_MAX (HARBOR_HOST_MAX + 8) /* brackets, colon, port */
#define HARBOR_REASON_MAX 200

/* What waits is looked at so often, as long as something does. */
#define HARBOR_TICK_MS 100
#define HARBOR_TICKS_PER_SECOND (1000 / HARBOR_TICK_MS)
/* Beats within the time after which a silent peer is given up. */
#define HARBOR_BEATS 5

/* Bytes that a socket holds, or the network: enough for 100 MB/s over 20 ms, and so few that an ACK
 * is not late behind them. */
#define HARBOR_WINDOW_BYTES (2L * 1024 * 1024)
/* After this part of a window an ACK does not wait for a batch, or the next tick. The windows of
 * both ends are the same, unless their configs differ. */
#define HARBOR_ACKS_PER_WINDOW 8

/* Connections that have not proved who they are, at a time. */
#define HARBOR_SHAKING_MAX 512
/* Pipes are found by hashing; there are at most two for each node, and those. */
#define HARBOR_BUCKETS 512
/* Services' messages that wait in the harbor's mailbox, and when their number is logged. */
#define HARBOR_MAILBOX_LIMIT 65535
#define HARBOR_MAILBOX_WARNING 32768

struct harbor_settings {
	int id;
	uint32_t process;		/* the upper half of all ties; 0: not told yet */
	uint32_t owner;			/* .cslave */
	char host[HARBOR_HOST_MAX + 1]; /* of the config's `address` */
	int port;
	const char *secret; /* "": none */
	bool has_tls;
	struct skynet_tls_options tls;
	int timeout_ticks;
	int beat_ms; /* between two beats */
	size_t output_limit;
	bool blocks; /* senders wait at it */
	uint32_t message_limit;
	size_t window; /* of bytes that a socket is handed before it is known that they have come */
};

enum harbor_pipe_stage {
	HARBOR_PIPE_CONNECTING, /* no connection, or no TLS, yet */
	HARBOR_PIPE_SHAKING,
	HARBOR_PIPE_OPEN,
};

struct harbor_pipe {
	int id; /* the socket's */
	enum harbor_pipe_stage stage;
	bool is_out;
	bool has_begun;			    /* in: a BEGIN has come */
	int age_ticks;			    /* until it is OPEN */
	struct harbor_peer *peer;	    /* NULL: in, and not OPEN */
	struct harbor_handshake *handshake; /* NULL when OPEN */
	struct harbor_frame_reader reader;  /* in */
	uint64_t number;		    /* in: of the last counted frame */
	struct harbor_pipe *next_in_bucket;
	char address[HARBOR_ADDRESS_MAX + 1]; /* of the other end */
};

/* Whole messages, and what became of them. */
struct harbor_counters {
	uint64_t sent;
	uint64_t sent_bytes;
	uint64_t received;
	uint64_t received_bytes;
	uint64_t refused; /* answered by an error: no such service, its mailbox full, too large,
			     too many probes and links */
	uint64_t failed;  /* answered by an error, at the end of a session */
	uint64_t resent;  /* frames that had to be sent again, and had come */
	uint64_t late;	  /* beats that were not echoed when the next was due */
	uint64_t dials;
	uint64_t refused_dials; /* by either end, in a handshake */
	uint64_t pipes;		/* out, opened */
	uint64_t lost;		/* sessions in which it was up */
	uint64_t broken;	/* sessions in which it broke the rules */
	uint64_t full;		/* times that the limit of the output was reached */
};

/* A message that comes in parts. */
struct harbor_assembly {
	struct harbor_frame head; /* kind 0: there is none */
	char *bytes;
	size_t size;
	size_t capacity;
	bool is_too_large; /* its bytes are not kept */
};

struct harbor_peer {
	struct harbor *harbor;
	uint8_t id;
	bool is_member; /* .cslave has told of it, and not that it has gone */
	char host[HARBOR_HOST_MAX + 1];
	int port;
	/* The session. */
	uint64_t tie;
	uint64_t other_tie; /* 0: not known, no session */
	bool is_waited_for; /* it is new: messages wait for the first contact */
	bool is_up;	    /* both pipes have been open in this session (T3) */
	int contact_ticks;  /* since the session began, or it was told of, until it is up */
	int silent_beats;   /* since the peer was known to hear us and to be heard */
	struct harbor_pipe *out;
	struct harbor_pipe *in;
	/* Dialling. */
	struct harbor_dial dial;
	char problem[HARBOR_REASON_MAX]; /* why the last try failed */
	/* To it. */
	struct harbor_outbox outbox;
	uint32_t message_limit;		 /* the smaller of both */
	int node_state;			 /* SKYNET_NODE_*, as the core was told */
	char absence[HARBOR_REASON_MAX]; /* why it was ABSENT last */
	size_t late_bytes; /* that were on their way when it was told that the peer is full */
	bool is_dirty;	   /* in harbor.dirty */
	struct harbor_peer *next_dirty;
	struct address_set sources; /* of this node, that have sent to it, and not only answers */
	uint32_t last_source;	    /* one of them */
	/* From it. */
	uint64_t received;     /* counted frames */
	uint64_t acknowledged; /* of these, as far as said */
	size_t unacknowledged_bytes;
	struct harbor_assembly assembly;
	/* Heartbeats. */
	int32_t beat;	    /* the last one's number */
	bool is_beat_heard; /* it was echoed */
	int32_t echo;	    /* a beat of the peer that is to be echoed; 0: none */
	/* Reports. */
	bool is_unreached_told;
	uint32_t refusals_told; /* a bit for each enum harbor_refusal, until it is up */
	struct harbor_counters counters;
};

struct harbor {
	struct skynet_context *ctx;
	struct harbor_settings settings;
	int listener;
	bool is_listening;
	bool is_ending;
	struct harbor_peer *peers[HARBOR_NODES]; /* NULL: never heard of */
	int member_count;
	struct harbor_peer *dirty; /* with messages that are pending, or an ACK to be sent */
	int mark_session; /* of the message to itself behind the mail that waits; 0: none */
	int tick_session; /* of the timer for what waits; 0: it does not run */
	int beat_session; /* of the timer for the beats; 0: the same */
	struct harbor_pipe *buckets[HARBOR_BUCKETS]; /* by the ids of sockets */
	int shaking_count;			     /* in, not OPEN */
	uint32_t refusals_told[HARBOR_NODES];	     /* of who came in; 0: of no node */
	uint64_t refused_connections;
	uint64_t strangers[HARBOR_REFUSAL_END]; /* of these, who did not say who they are */
	uint64_t refused_proxies;
	struct harbor_proxies proxies;
};

/* settings.c */

/* Reads the launch text and the config. Returns false after a log line that says what is wrong. */
bool harbor_settings_read(struct harbor *harbor, const char *parm);
/* Splits HOST:PORT; a host of IPv6 stands in brackets, which are left out. Returns false if it is
 * none. */
bool harbor_parse_address(const char *text, char host[HARBOR_HOST_MAX + 1], int *port);
/* Writes HOST:PORT, with brackets where there are colons in host. */
void harbor_write_address(char address[HARBOR_ADDRESS_MAX + 1], const char *host, int port);

/* report.c */

/* Tells .cslave. */
void harbor_tell(struct harbor *harbor, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Tells the sender of a message, which was for destination, that it was not delivered. is_gone: the
 * destination is, and not only this message. */
void harbor_refuse(struct harbor *harbor, uint32_t destination, uint32_t source, int type,
		   int session, bool is_gone, const char *format, ...)
	__attribute__((format(printf, 7, 8)));
/* The same of a message for a node that is ABSENT, with the reason. */
void harbor_refuse_absent(struct harbor *harbor, const struct harbor_frame *head);
/* Tells that a message cannot travel between this node and the peer, in either direction: its
 * sender, and who waits for it, if it is an answer. */
void harbor_refuse_to_carry(struct harbor_peer *peer, const struct harbor_frame *head,
			    const char *problem);
/* Counts what may come again and again. Returns whether it is worth a line of the log: the 1st,
 * 2nd, 4th, 8th ... time. */
bool harbor_count(uint64_t *count);
/* Logs that somebody was refused who came in, or that a peer has refused us; once for each reason
 * and node, until it is up. id: 0 if it did not come so far. */
void harbor_log_refused(struct harbor *harbor, const struct harbor_pipe *pipe, int id);
/* The same of one that came in and did not say who it is; of each kind of refusal the 1st, 2nd,
 * 4th, 8th ... */
void harbor_log_stranger(struct harbor *harbor, const struct harbor_pipe *pipe,
			 enum harbor_refusal refusal, const char *reason);

/* pipe.c */

/* Dials the peer, which has no out. */
void harbor_pipe_dial(struct harbor_peer *peer);
/* Takes in a new connection. */
void harbor_pipe_accept(struct harbor *harbor, int id, const char *address, size_t size);
struct harbor_pipe *harbor_pipe_find(const struct harbor *harbor, int id);
/* Sends bytes, which are copied. */
void harbor_pipe_send(struct harbor *harbor, const struct harbor_pipe *pipe, const void *bytes,
		      size_t size);
/* Ends it and frees it; its peer has one pipe less. What was sent leaves if it can. */
void harbor_pipe_close(struct harbor *harbor, struct harbor_pipe *pipe);
/* The same, when the other end has ended it, or nothing comes: the peer is dialled again. */
void harbor_pipe_lost(struct harbor *harbor, struct harbor_pipe *pipe, const char *reason);

/* send.c */

/* Sends a message, or what head says. payload: taken. The peer must not be ABSENT. */
void harbor_send(struct harbor_peer *peer, const struct harbor_frame *head, void *payload,
		 size_t size);
/* Sends what may be sent now. */
void harbor_send_pieces(struct harbor_peer *peer);
/* Sends all that is pending, of all peers. */
void harbor_send_all(struct harbor *harbor);
/* Tells the peer what has come, in a frame of its own, if there is anything to tell. */
void harbor_send_ack(struct harbor_peer *peer);
/* Sends the next beat. */
void harbor_send_beat(struct harbor_peer *peer);
/* Echoes the last beat that has come, if that was not done, as soon as there is a pipe. */
void harbor_send_echo(struct harbor_peer *peer);
/* Tells the core what becomes of messages to the peer. */
void harbor_set_node(struct harbor_peer *peer, int state, const char *reason);

/* receive.c */

/* Handles the bytes of an open pipe. The pipe may be freed. */
void harbor_receive(struct harbor *harbor, struct harbor_pipe *pipe, const char *bytes,
		    size_t size);
void harbor_assembly_fini(struct harbor_assembly *assembly);

/* shake.c: all may free the pipe */

/* The connection, with its TLS, is there. */
void harbor_shake_begin(struct harbor *harbor, struct harbor_pipe *pipe);
void harbor_shake_input(struct harbor *harbor, struct harbor_pipe *pipe, const char *bytes,
			size_t size);

/* peer.c */

/* The node is part of the network, at that address. */
void harbor_peer_join(struct harbor *harbor, int id, const char *host, int port);
/* That process is not any more; 0: whichever it is. A session with another one goes on, which is to
 * be a member next. */
void harbor_peer_leave(struct harbor_peer *peer, uint32_t process, const char *reason);
/* A handshake is over; its pipe has no peer yet if it came in. Returns false if the pipe is to be
 * closed: it is a late one, or the handshake is REFUSED now (T4). */
bool harbor_peer_meet(struct harbor_peer *peer, struct harbor_pipe *pipe);
/* A pipe has become open: something may be possible now. */
void harbor_peer_check(struct harbor_peer *peer);
/* Ends the session from this side (T1). */
void harbor_peer_give_up(struct harbor_peer *peer, const char *reason);
/* The same, for one that breaks the rules of the protocol. */
void harbor_peer_break(struct harbor_peer *peer, const char *problem);
/* Tells all services that have sent there that the node is gone; the harbor ends. */
void harbor_peers_fini(struct harbor *harbor);

/* tick.c */

/* Something waits: lets the timer for it run. */
void harbor_tick_start(struct harbor *harbor);
/* A peer is up: lets its heart beat. */
void harbor_beat_start(struct harbor *harbor);
/* What the two timers do. */
void harbor_tick(struct harbor *harbor);
void harbor_beat(struct harbor *harbor);

/* command.c */

void harbor_command(struct harbor *harbor, int session, uint32_t source, const char *text,
		    size_t size);

#endif
