/* gate.h: what the files of the gate share: the gate, its connections, who does what.
 *
 * Model      One service, one listening port, many connections. Files, each calling only those
 *            above it:
 *              frame.c       cuts bytes into frames
 *              table.c       finds a connection by its id
 *              report.c      log lines, answers, and what the watchdog is told
 *              connection.c  a connection's life, from accept to close
 *              input.c       from bytes to messages, and holding a client back
 *              command.c     the text commands
 *              gate.c        launch, messages in, release
 * Threads    [turn] everywhere: a service runs on one thread at a time.
 */
#ifndef GATE_H
#define GATE_H

#include "frame.h"
#include "skynet.h"
#include "skynet_socket.h"
#include "table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Connections whose client has ended its stream may still be written to. They are closed when their
 * service is done with them (kick), is gone, or after this time, in 1/100 s. At most so many wait,
 * or as many as may be open, if that is more. */
#define GATE_LINGER_CS 3000
#define GATE_LINGER_MAX 1024
/* How often the ones that wait are looked at. No timer runs while none waits. */
#define GATE_LINGER_TICK_MS 500

/* The flow of one connection towards its service: after so much a probe is sent behind it, and
 * after as much again without an answer to the probe, the connection is held until it is there. */
#define GATE_WINDOW_BYTES (64 * 1024)
#define GATE_WINDOW_FRAMES 128

/* Log lines a second that clients can cause; the rest is counted. */
#define GATE_LOG_LINES_PER_SECOND 10

/* A connection's life.
 *
 *   accept         the client ends its stream
 *   -----> OPEN ------------------------------> ENDED
 *           |                                     |
 *           | kick, bad frame, its service gone   | kick
 *           v                                     v
 *        DRAINING <-------------------------------+
 *           |
 *           | its client service has written what was waiting
 *           v
 *         (freed)          also from every state: reset, time over, its service gone
 */
enum gate_state {
	GATE_OPEN,     /* read, unless a reason in `held` is set */
	GATE_ENDED,    /* the client sends no more; answers may still be on their way */
	GATE_DRAINING, /* to be closed as soon as a probe to the client service is back */
};

/* Why a connection is not read, a bit each. */
#define GATE_HELD_BEFORE_START 1u /* nobody has said `start` yet, or somebody said `pause` */
#define GATE_HELD_BY_SERVICE 2u	  /* its service is behind */
#define GATE_HELD_BY_OUTPUT 4u	  /* the client does not take what is sent to it */

/* What a connection that is held has been sent and may not be forwarded yet: the end of a chunk. */
struct gate_rest {
	size_t size;
	char bytes[];
};

/* What a connection needs only while it is ENDED or DRAINING. */
struct gate_ending {
	struct gate_connection *previous; /* in gate.linger, oldest first */
	struct gate_connection *next;
	uint32_t deadline_cs; /* low half of skynet_now() */
	uint32_t waiter;      /* who asked for `kick` and gets an answer, or 0 */
	int waiter_session;
};

struct gate_connection {
	int id;		       /* key in gate.connections */
	int probe_session;     /* key in gate.probes; 0: none is on its way */
	uint32_t probed;       /* to whom */
	uint32_t agent;	       /* gets the frames; 0: none was named */
	uint32_t client;       /* the service that writes to the socket; 0: none was named */
	uint32_t window_bytes; /* forwarded since the last probe */
	uint32_t window_frames;
	uint8_t state;		   /* enum gate_state */
	uint8_t held : 3;	   /* GATE_HELD_* */
	uint8_t is_close_told : 1; /* the watchdog knows the end */
	union {
		struct { /* OPEN */
			struct gate_frame_reader reader;
			struct gate_rest *rest; /* NULL: none */
		};
		struct gate_ending ending; /* ENDED, DRAINING */
	};
};

struct gate {
	struct skynet_context *ctx;
	/* Constant after launch. */
	uint32_t watchdog; /* 0: none */
	int type;	   /* of the messages that carry frames */
	int header_bytes;
	size_t max;
	/* The port. */
	int listener;	 /* 0: not listening any more */
	uint32_t broker; /* gets the frames of all connections; 0: none was named */
	/* Connections. */
	struct gate_table connections;
	struct gate_table probes;
	size_t open_count;
	struct gate_connection *linger_first;
	struct gate_connection *linger_last;
	size_t linger_count;
	int timer_session; /* 0: no tick is on its way */
	/* Counters since launch, see `stat`. */
	uint64_t accepted_count;
	uint64_t refused_count; /* over max, or the watchdog was gone */
	uint64_t too_long_count;
	uint64_t held_count;
	/* Log lines of this second. */
	uint64_t log_second;
	unsigned log_lines;
	unsigned log_left_out;
	bool is_full_told; /* the log has a line about max since it was reached */
	bool is_watchdog_gone_told;
};

/* report.c */

/* Logs a line that clients can cause: at most GATE_LOG_LINES_PER_SECOND. */
void gate_log(struct gate *gate, const char *format, ...) SKYNET_PRINTF(2, 3);
/* Tells the watchdog, in text. Returns false if there is one and it cannot be reached. */
bool gate_report(struct gate *gate, const char *format, ...) SKYNET_PRINTF(2, 3);
/* Answers a request; without session there was none. type: PTYPE_RESPONSE, or PTYPE_ERROR with the
 * reason as text. text: borrowed, may be NULL. */
void gate_answer(struct gate *gate, uint32_t requester, int session, int type, const char *text);

/* connection.c */

/* Takes in an accepted socket, or closes it when there are too many. address: "ip:port". */
void gate_connection_open(struct gate *gate, int id, const char *address, size_t address_size);
/* Returns NULL if there is none with that id. */
struct gate_connection *gate_connection_find(struct gate *gate, int id);
/* Stops reading for one reason of GATE_HELD_*. gate_input_release goes on. */
void gate_connection_hold(struct gate *gate, struct gate_connection *connection, unsigned reason);
/* Who gets the frames: broker, agent or watchdog; 0: nobody. */
uint32_t gate_connection_service(const struct gate *gate, const struct gate_connection *connection);
/* Sends a probe to a service; false: it is gone. One is on its way at a time: a former one must
 * have been taken or forgotten. */
bool gate_connection_probe(struct gate *gate, struct gate_connection *connection, uint32_t service);
void gate_connection_forget_probe(struct gate *gate, struct gate_connection *connection);
/* The client has ended its stream. */
void gate_connection_peer_ended(struct gate *gate, struct gate_connection *connection);
/* Ends the connection from this side: what its client service has been told to write goes out
 * first. The requester, if not 0, gets an answer when it is closed. The connection may be freed. */
void gate_connection_finish(struct gate *gate, struct gate_connection *connection,
			    uint32_t requester, int session);
/* Ends it at once; frees it. */
void gate_connection_break(struct gate *gate, struct gate_connection *connection);
/* Finds whose probe came back, and ends it. Returns NULL if it is nobody's any more. */
struct gate_connection *gate_connection_take_probe(struct gate *gate, int session, uint32_t source);
/* What an ENDED or DRAINING connection waited for has happened; frees it. */
void gate_connection_settle(struct gate *gate, struct gate_connection *connection);
/* Looks at the connections that linger; the timer's tick. */
void gate_connection_tick(struct gate *gate);
/* Frees everything; nobody is told. */
void gate_connections_fini(struct gate *gate);

/* input.c */

/* All of these may free the connection. */

/* Forwards the frames of one chunk. */
void gate_input(struct gate *gate, struct gate_connection *connection, const char *data,
		size_t size);
/* One reason for holding the connection is over. When it was the last, what was held back is
 * forwarded, and reading goes on. */
void gate_input_release(struct gate *gate, struct gate_connection *connection, unsigned reason);
/* The service has handled all that was sent to it before the last probe. */
void gate_input_caught_up(struct gate *gate, struct gate_connection *connection);
/* The client has ended its stream: forwards what was held back, then ends the connection. */
void gate_input_ended(struct gate *gate, struct gate_connection *connection);

/* command.c */

/* Runs one text command. source, session: who to answer if it was a request. */
void gate_command(struct gate *gate, int session, uint32_t source, const char *text, size_t size);
/* Reads a whole number; false: it is none, or not from min to max. */
bool gate_parse_number(const char *word, long min, long max, int *number);
/* Cuts the next word off *rest, which is changed; "" at the end. */
char *gate_next_word(char **rest);

#endif
