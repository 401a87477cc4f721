/* gate.h: what the files of the gate share: the gate, its connections, who does what.
 *
 * Model      One service, one listening port, many connections. Files, each calling only those
 *            above it; but the three from connection.c on, which are one life in three parts,
 *            call one another:
 *              frame.c       cuts bytes into frames, with length.c, delimiter.c, websocket.c and
 *                            block.c
 *              upgrade.c     the handshake of a websocket
 *              packed.c      the few bytes of the "lua" format that the gate speaks
 *              table.c       finds a connection by its id
 *              waiting.c     lists of connections that wait for something, with deadlines
 *              report.c      log lines, answers, messages to the watchdog
 *              tell.c        what the watchdog is told, in text or as "lua" messages
 *              connection.c  a connection's life, from accept to close
 *              handshake.c   the part of it before TLS and websockets are open
 *              input.c       from bytes to messages, and holding a client back
 *              command.c     the commands
 *              launch.c      the launch text
 *              gate.c        messages in, release
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

/* The handshakes of a connection, of TLS and of a websocket, must be over after this time, in
 * 1/100 s. */
#define GATE_HANDSHAKE_CS 1000

/* The node in a handle. */
#define GATE_NODE_MASK UINT32_C(0xff000000)

/* What is told to the other end of a websocket that is closed from here: RFC 6455, 7.4.1. */
#define GATE_CLOSE_NORMAL 1000
#define GATE_CLOSE_INVALID 1002
#define GATE_CLOSE_TOO_LONG 1009

/* The flow of one connection towards its service: after so much a probe is sent behind it, and
 * after as much again without an answer to the probe, the connection is held until it is there. */
#define GATE_WINDOW_BYTES (64 * 1024)
#define GATE_WINDOW_FRAMES 128

/* Log lines a second that clients can cause; the rest is counted. */
#define GATE_LOG_LINES_PER_SECOND 10

/* A connection's life.
 *
 *   accept   UPGRADING (only with TLS, or of a websocket)
 *   ------->    |
 *      |        | the handshakes are over
 *      v        v    the client ends its stream
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
	GATE_UPGRADING, /* nobody has been told of it yet */
	GATE_OPEN,	/* read, unless a reason in `held` is set */
	GATE_ENDED,	/* the client sends no more; answers may still be on their way */
	GATE_DRAINING,	/* to be closed as soon as a probe to the client service is back */
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

/* A place in a list of connections that wait, oldest first. */
struct gate_link {
	struct gate_connection *previous;
	struct gate_connection *next;
	uint32_t deadline_cs; /* low half of skynet_now() */
};

struct gate_list {
	struct gate_connection *first;
	struct gate_connection *last;
	size_t count;
};

/* What a connection needs only while it is UPGRADING: the first part, and its address behind. */
struct gate_handshake {
	struct gate_link link; /* in gate.handshakes */
	struct gate_block head;
	size_t address_size;
	char address[];
};

/* What a connection needs only while it is ENDED or DRAINING. */
struct gate_ending {
	struct gate_link link; /* in gate.lingering */
	uint32_t waiter;       /* who asked for `kick` and gets an answer, or 0 */
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
	uint8_t is_close_told : 1; /* the watchdog knows the end, or was never told of it */
	uint16_t close_code;	   /* of a websocket that ends: what it is told; 0: nothing */
	union {
		struct gate_handshake *handshake; /* UPGRADING */
		struct {			  /* OPEN */
			union gate_reader reader;
			struct gate_rest *rest; /* NULL: none */
		};
		struct gate_ending ending; /* ENDED, DRAINING */
	};
};

/* How the watchdog is spoken to. */
enum gate_dialect {
	GATE_TEXT, /* "7 open 7 1.2.3.4:5:0" */
	GATE_LUA,  /* skynet.pack("socket", "open", 7, "1.2.3.4:5") */
};

/* A command, and who to answer. */
struct gate_request {
	int session;
	uint32_t source;
	bool is_packed; /* it came as a "lua" message; so does the answer */
	char *rest;	/* the words behind the command's */
};

struct gate {
	struct skynet_context *ctx;
	/* Constant after launch. */
	struct framing framing;
	enum gate_dialect dialect;
	uint32_t watchdog; /* 0: none */
	uint32_t owner;	   /* the gate ends with it, and when it has nothing to do; 0: none */
	int owner_session; /* of the link to it */
	uint32_t source;   /* who speaks to watchdog and agents, in its name; 0: the gate */
	int type;	   /* of the messages that carry frames */
	int event_type;	   /* of the messages that tell of connections */
	size_t max;
	bool has_nodelay;    /* frames go out at once */
	bool tells_requests; /* the watchdog gets the head of a websocket's request */
	bool has_tls;	     /* connections are encrypted */
	bool waits;	     /* nobody is accepted before the first `start` */
	/* The port. */
	int listener;	 /* 0: not listening any more */
	uint32_t broker; /* gets the frames of all connections; 0: none was named */
	char *address;	 /* "IP PORT", where it listens; NULL: not known yet */
	struct gate_request address_request; /* for it, before that; session 0: none */
	/* Connections. */
	struct gate_table connections;
	struct gate_table probes;
	size_t open_count; /* UPGRADING and OPEN */
	struct gate_list lingering;
	struct gate_list handshakes;
	int timer_session; /* 0: no tick is on its way */
	/* Counters since launch, see `stat`. */
	uint64_t accepted_count;
	uint64_t refused_count; /* over max, no websocket, or the watchdog was gone */
	uint64_t too_long_count;
	uint64_t invalid_count;
	uint64_t held_count;
	/* Log lines of this second. */
	uint64_t log_second;
	unsigned log_lines;
	unsigned log_left_out;
	bool is_full_told; /* the log has a line about max since it was reached */
	bool is_watchdog_gone_told;
};

/* waiting.c */

/* Puts a connection, UPGRADING or ENDED or DRAINING, at the end of the list for its state. */
void gate_waiting_add(struct gate *gate, struct gate_connection *connection, uint32_t wait_cs);
void gate_waiting_remove(struct gate *gate, struct gate_connection *connection);
/* The one behind it; NULL: none. */
struct gate_connection *gate_waiting_next(struct gate_connection *connection);
bool gate_waiting_is_over(struct gate_connection *connection);
/* Starts the tick that looks at those who wait, if there are any and none is on its way. */
void gate_waiting_arm(struct gate *gate);

/* report.c */

/* Logs a line that clients can cause: at most GATE_LOG_LINES_PER_SECOND. */
void gate_log(struct gate *gate, const char *format, ...) SKYNET_PRINTF(2, 3);
/* Sends the watchdog a message. bytes: taken. Returns false if there is one and it cannot be
 * reached. */
bool gate_report(struct gate *gate, void *bytes, size_t size);
/* Answers a request; without session there was none. text: borrowed, may be NULL. */
void gate_answer(struct gate *gate, const struct gate_request *request, const char *text);
/* The same, with an error and its reason. */
void gate_answer_error(struct gate *gate, const struct gate_request *request, const char *reason);

/* tell.c: to the watchdog. Text for those that only the "lua" dialect has goes to the log. */

/* Returns false if it is gone. address: "ip:port". */
bool gate_tell_open(struct gate *gate, int id, const char *address, size_t size);
/* The head of the request that a websocket began with, if that is wanted. */
void gate_tell_request(struct gate *gate, int id, const char *head, size_t size);
void gate_tell_close(struct gate *gate, int id);
void gate_tell_error(struct gate *gate, int id, const char *text, size_t size);
/* kib: so much waits to be sent. */
void gate_tell_warning(struct gate *gate, int id, int kib);
/* A frame; its block is taken. Returns false if the watchdog is gone. */
bool gate_tell_data(struct gate *gate, int id, const struct gate_frame *frame);

/* connection.c */

/* Takes in an accepted socket, or closes it when there are too many. address: "ip:port". */
void gate_connection_accept(struct gate *gate, int id, const char *address, size_t address_size);
/* Tells the watchdog of the connection, which is OPEN from now on. Returns false if the watchdog is
 * gone: then so is the connection. */
bool gate_connection_open(struct gate *gate, struct gate_connection *connection,
			  const char *address, size_t address_size);
/* Returns NULL if there is none with that id. */
struct gate_connection *gate_connection_find(struct gate *gate, int id);
/* The same, of those that the watchdog has been told of. */
struct gate_connection *gate_connection_find_told(struct gate *gate, int id);
/* Stops reading for one reason of GATE_HELD_*. gate_input_release goes on. */
void gate_connection_hold(struct gate *gate, struct gate_connection *connection, unsigned reason);
/* Who gets the frames: broker, agent or watchdog; 0: nobody. */
uint32_t gate_connection_service(const struct gate *gate, const struct gate_connection *connection);
/* Sends a probe to a service; false: it is gone. One is on its way at a time: a former one must
 * have been taken or forgotten. */
bool gate_connection_probe(struct gate *gate, struct gate_connection *connection, uint32_t service);
void gate_connection_forget_probe(struct gate *gate, struct gate_connection *connection);
/* Writes a block, which is taken, to the client. */
void gate_connection_write(struct gate *gate, const struct gate_connection *connection,
			   const void *block, size_t size);
/* The client has ended its stream. close_code: what a websocket said, or 0. */
void gate_connection_peer_ended(struct gate *gate, struct gate_connection *connection,
				uint16_t close_code);
/* Ends the connection from this side: what its client service has been told to write goes out
 * first. The request, if not NULL, is answered when it is closed. The connection may be freed. */
void gate_connection_finish(struct gate *gate, struct gate_connection *connection,
			    uint16_t close_code, const struct gate_request *request);
/* Another service has its socket now; frees it. */
void gate_connection_lose(struct gate *gate, struct gate_connection *connection);
/* Ends it at once; frees it. */
void gate_connection_break(struct gate *gate, struct gate_connection *connection);
/* The probes that do not come back, since a whole node is gone: their sessions, in a block that the
 * caller frees. Returns how many. */
size_t gate_connection_lost_probes(const struct gate *gate, uint32_t node, int **sessions);
/* Whose probe has that session: a service, or 0. */
uint32_t gate_connection_probed(const struct gate *gate, int session);
/* Finds whose probe came back, and ends it. Returns NULL if it is nobody's any more. */
struct gate_connection *gate_connection_take_probe(struct gate *gate, int session, uint32_t source);
/* Closes it, UPGRADING or when what an ENDED or DRAINING one waited for has happened; frees it. */
void gate_connection_settle(struct gate *gate, struct gate_connection *connection);
/* Looks at the connections that wait; the timer's tick. */
void gate_connection_tick(struct gate *gate);
/* Ends a gate that has an owner, when it does not listen and has no connection. */
void gate_connections_end(struct gate *gate);
/* Frees everything; nobody is told. */
void gate_connections_fini(struct gate *gate);

/* handshake.c */

/* Begins the handshake of a new connection. */
void gate_handshake_begin(struct gate *gate, struct gate_connection *connection,
			  const char *address, size_t address_size);
/* That of TLS is over: what the socket is told, when it is. The connection may be freed. */
void gate_handshake_secured(struct gate *gate, struct gate_connection *connection);
/* Goes on with that of a websocket. Returns whether the connection is OPEN now; if not, it may have
 * been freed. */
bool gate_handshake_input(struct gate *gate, struct gate_connection *connection,
			  struct gate_input *input);
/* Frees what it needs. */
void gate_handshake_fini(struct gate *gate, struct gate_connection *connection);

/* input.c */

/* All of these may free the connection. */

/* Forwards the frames of one chunk, which is taken. */
void gate_input(struct gate *gate, struct gate_connection *connection, char *chunk, size_t size);
/* One reason for holding the connection is over. When it was the last, what was held back is
 * forwarded, and reading goes on. */
void gate_input_release(struct gate *gate, struct gate_connection *connection, unsigned reason);
/* The service has handled all that was sent to it before the last probe; is_gone: it has ended
 * before that. */
void gate_input_caught_up(struct gate *gate, struct gate_connection *connection, bool is_gone);
/* The client has ended its stream: forwards what was held back, then ends the connection. */
void gate_input_ended(struct gate *gate, struct gate_connection *connection);

/* command.c */

/* Runs one command. */
void gate_command(struct gate *gate, struct gate_request *request, const char *text, size_t size);
/* The port is open, or is not: then ip is NULL. Whoever has asked for the address is answered. */
void gate_command_listening(struct gate *gate, const char *ip, size_t ip_size, int port);
/* Reads a whole number; false: it is none, or not from min to max. */
bool gate_parse_number(const char *word, long min, long max, int *number);
/* Cuts the next word off *rest, which is changed; "" at the end. */
char *gate_next_word(char **rest);

/* launch.c */

/* Reads the launch text, and listens. Returns false after a line in the log that says why not. */
bool gate_launch(struct gate *gate, const char *text);

#endif
