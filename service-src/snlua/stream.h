/* stream.h: the sockets that a Lua service holds: what each has received, and which task waits.
 *
 * Model      A stream stands for a socket that this service has opened or started. Bytes that come
 *            are kept in it; a task that wants more of them than there are waits, and is resumed by
 *            the very message that brings the last one: no Lua function runs in between. What a
 *            message about a socket means otherwise (a new connection, a datagram, a warning) is
 *            handled by lualib/skynet/socket.lua, as a request of type "socket".
 * Life       stream_hold begins; stream_forget ends. A stream whose reader has not run yet stays
 *            until it has.
 * Flow       The core reads a socket again when the message with its last chunk was handled. More
 *            than STREAM_PAUSE_BYTES that no task wants stop it altogether, until one does.
 * Threads    [turn]
 * Memory     streams belong to the engine.
 */
#ifndef SNLUA_STREAM_H
#define SNLUA_STREAM_H

#include "byte_queue.h"
#include "engine.h"

/* So much waits for a task before the socket is stopped: two full chunks. */
#define STREAM_PAUSE_BYTES ((size_t)128 * 1024)
/* What a line may hold, and what is read to the end, unless socket.limit says otherwise: 64 MiB,
 * as may wait on the way out. */
#define STREAM_LIMIT_BYTES ((size_t)64 * 1024 * 1024)

enum stream_kind {
	STREAM_BYTES,	  /* a connection, or a descriptor of somebody else's */
	STREAM_LISTENER,  /* brings new connections */
	STREAM_DATAGRAMS, /* UDP */
};

/* How far it has come. */
enum stream_stage {
	STREAM_OPENING, /* its outcome is not known yet */
	STREAM_OPEN,
	STREAM_BROKEN, /* an error was told; what has come can be read, and the end will be told */
	STREAM_ENDED,  /* nothing more will come */
};

/* What its reader waits for. */
enum stream_want {
	WANT_NOTHING,  /* it does not wait */
	WANT_OUTCOME,  /* that it is open, or why not */
	WANT_READABLE, /* to know that there is a byte */
	WANT_ANY,      /* at least one byte */
	WANT_COUNT,    /* `wanted` bytes */
	WANT_LINE,     /* the separator */
	WANT_END,      /* the end */
};

struct stream {
	int id;
	enum stream_kind kind;
	enum stream_stage stage;
	enum stream_want want;
	/* From its first wait until it has run again, woken or not. */
	struct task *reader;
	struct byte_queue bytes;
	size_t wanted;	 /* of WANT_COUNT */
	char *separator; /* of WANT_LINE, malloc-ed: its coroutine may be closed meanwhile */
	size_t separator_size;
	size_t searched;    /* no separator begins before this */
	size_t limit_bytes; /* of what is kept while no task wants a count */
	int64_t timeout_ms; /* how long a task waits; 0: for ever */
	char *text;	    /* of the outcome, malloc-ed, or NULL */
	char *failure;	    /* of the error that has broken it, malloc-ed, or NULL */
	int number;	    /* of the outcome: a listener's port */
	bool is_nameless;   /* only the task that opens it knows it */
	bool is_quiet;	    /* its reader tells of an error; the log need not */
	bool has_overflowed;
	bool is_paused;
	bool was_paused;  /* because nobody read; the log has a line about it */
	bool was_resumed; /* the same, after that */
	bool is_gone;	  /* not held any more: only its reader keeps it */
};

/* Begins to hold a socket, which is not held. stage: OPENING, or OPEN. */
struct stream *stream_hold(struct engine *engine, int id, enum stream_kind kind,
			   enum stream_stage stage);
/* The stream of a socket, or NULL: this service does not hold it. */
struct stream *stream_find(const struct engine *engine, int id);
/* Closes its socket, and ends it. */
void stream_close(struct engine *engine, struct stream *stream);
/* Ends it. Its reader is woken, behind the current task. */
void stream_forget(struct engine *engine, struct stream *stream);
/* Forgets all, in the end. */
void stream_forget_all(struct engine *engine);

/* Whether what a reader wants is there. */
bool stream_is_satisfied(struct stream *stream);
/* Notes that the current task waits, as `want` and what belongs to it say, at most timeout_ms; 0:
 * for ever. */
void stream_wait(struct engine *engine, struct stream *stream, int64_t timeout_ms);
/* The task waits no more: it goes on, or is ended. */
void stream_leave(struct engine *engine, struct task *task);

/* More is kept than may be, and nobody has asked for so many bytes: closes the socket. A reader
 * that waits runs at once. */
void stream_overflow(struct engine *engine, struct stream *stream);

/* A message of type "socket" from the core. Returns false when it is for Lua, too. */
bool stream_handle_message(struct engine *engine);

#endif
