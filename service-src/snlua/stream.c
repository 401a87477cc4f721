/* stream.c: the sockets that a Lua service holds; see stream.h.
 *
 * S1  A task is the reader of at most one stream, and task->stream is that one.
 * S2  A reader that waits has `want` set. Whoever wakes it clears that first, and stops its timer:
 *     so it is woken once.
 * S3  A stream in engine->streams is not gone, and every other one is; those are freed by their
 *     reader, when it leaves.
 * S4  A number in engine->streams without a stream is that of a socket that was closed here, until
 *     its end is told: a chunk of it may still be in the mailbox, and is dropped without a word.
 */
#include "stream.h"

#include "skynet_socket.h"
#include "wait.h"

#include <stdlib.h>
#include <string.h>

/* --- life ---------------------------------------------------------------------------------- */

/* Nothing more comes of a socket that was closed here (S4). */
static void
forget_closed(struct engine *engine, int id)
{
	struct waiter waiter;
	const struct waiter *found = session_map_find(&engine->streams, id);
	if (found && !found->stream)
		(void)session_map_remove(&engine->streams, id, &waiter);
}

struct stream *
stream_hold(struct engine *engine, int id, enum stream_kind kind, enum stream_stage stage)
{
	struct stream *stream = skynet_calloc(1, sizeof *stream);
	stream->id = id;
	stream->kind = kind;
	stream->stage = stage;
	stream->limit_bytes = STREAM_LIMIT_BYTES;
	forget_closed(engine, id); /* the number is that of another socket now */
	session_map_add(&engine->streams, (struct waiter){.session = id, .stream = stream});
	return stream;
}

struct stream *
stream_find(const struct engine *engine, int id)
{
	const struct waiter *found = id > 0 ? session_map_find(&engine->streams, id) : NULL;
	return found ? found->stream : NULL;
}

static void
free_stream(struct stream *stream)
{
	byte_queue_clear(&stream->bytes);
	free(stream->separator);
	free(stream->text);
	free(stream->failure);
	free(stream);
}

/* The reader goes on: at once, or after the current task. */
static void
wake(struct engine *engine, struct stream *stream, bool is_at_once)
{
	struct task *task = stream->reader;
	stream->want = WANT_NOTHING; /* S2 */
	if (task->timer_session != 0)
		wait_stop_timer(engine, task);
	task->wake = WAKE_ANSWER;
	if (is_at_once)
		engine_run(engine, task, 0);
	else
		engine_ready(engine, task, WAKE_ANSWER);
}

void
stream_close(struct engine *engine, struct stream *stream)
{
	int id = stream->id;
	bool is_more = stream->kind == STREAM_BYTES &&
		       (stream->stage == STREAM_OPEN || stream->stage == STREAM_BROKEN);
	skynet_socket_close(engine->ctx, id);
	stream_forget(engine, stream);
	if (is_more)
		session_map_add(&engine->streams, (struct waiter){.session = id}); /* S4 */
}

void
stream_forget(struct engine *engine, struct stream *stream)
{
	struct waiter waiter;
	(void)session_map_remove(&engine->streams, stream->id, &waiter);
	stream->is_gone = true; /* S3 */
	stream->stage = STREAM_ENDED;
	if (!stream->reader)
		free_stream(stream);
	else if (stream->want != WANT_NOTHING)
		wake(engine, stream, false);
}

void
stream_forget_all(struct engine *engine)
{
	for (uint32_t i = 0; i < engine->streams.capacity; i++)
		if (engine->streams.slots[i].session != 0 && engine->streams.slots[i].stream)
			free_stream(engine->streams.slots[i].stream);
	session_map_free(&engine->streams);
}

/* --- waiting ------------------------------------------------------------------------------- */

bool
stream_is_satisfied(struct stream *stream)
{
	if (stream->stage == STREAM_ENDED)
		return true;
	switch (stream->want) {
	case WANT_READABLE:
	case WANT_ANY:
		return stream->bytes.size > 0;
	case WANT_COUNT:
		return stream->bytes.size >= stream->wanted;
	case WANT_LINE:
		return byte_queue_find(&stream->bytes, stream->searched, stream->separator,
				       stream->separator_size, &stream->searched);
	case WANT_OUTCOME:
		return stream->stage != STREAM_OPENING;
	case WANT_NOTHING:
	case WANT_END:
		break;
	}
	return false;
}

/* A task wants more of what was stopped. */
static void
go_on(struct engine *engine, struct stream *stream)
{
	if (stream->was_paused && !stream->was_resumed) { /* once, see pause_unread */
		skynet_error(engine->ctx, "Resume socket (%d)", stream->id);
		stream->was_resumed = true;
	}
	stream->is_paused = false;
	skynet_socket_start(engine->ctx, stream->id);
}

void
stream_wait(struct engine *engine, struct stream *stream, int64_t timeout_ms)
{
	struct task *task = engine->current;
	task->stream = stream; /* S1 */
	stream->reader = task;
	if (stream->is_paused && stream->stage != STREAM_ENDED)
		go_on(engine, stream);
	if (timeout_ms > 0)
		wait_for_time(engine, timeout_ms);
}

void
stream_leave(struct engine *engine, struct task *task)
{
	struct stream *stream = task->stream;
	task->stream = NULL;
	stream->reader = NULL;
	stream->want = WANT_NOTHING;
	free(stream->separator);
	stream->separator = NULL;
	if (stream->is_gone) {
		free_stream(stream); /* S3 */
	} else if (stream->is_nameless) {
		stream_close(engine, stream);
	}
}

/* --- what comes ---------------------------------------------------------------------------- */

void
stream_overflow(struct engine *engine, struct stream *stream)
{
	skynet_error(engine->ctx, "socket buffer overflow: fd=%d size=%zu", stream->id,
		     stream->bytes.size);
	byte_queue_clear(&stream->bytes);
	stream->has_overflowed = true;
	stream->stage = STREAM_ENDED;
	skynet_socket_close(engine->ctx, stream->id);
	if (stream->want != WANT_NOTHING)
		wake(engine, stream, true);
}

/* So much has come that no task wants that the sender shall wait. */
static void
pause_unread(struct engine *engine, struct stream *stream)
{
	if (!stream->was_paused) /* once: a slow service would fill the log */
		skynet_error(engine->ctx, "Pause socket (%d) size : %zu", stream->id,
			     stream->bytes.size);
	stream->was_paused = true;
	stream->is_paused = true;
	skynet_socket_pause(engine->ctx, stream->id);
}

/* Bytes that come while a stream opens were sent before TLS had begun on it: somebody on the way
 * may have put them there. */
static void
refuse_unprotected(struct engine *engine, struct stream *stream)
{
	free(stream->text);
	stream->text = skynet_strdup("bytes have come before TLS had begun");
	stream->stage = STREAM_ENDED;
	skynet_socket_close(engine->ctx, stream->id);
	if (stream->want != WANT_NOTHING)
		wake(engine, stream, true);
}

static void
take_bytes(struct engine *engine, const struct skynet_socket_message *event)
{
	struct stream *stream = stream_find(engine, event->id);
	if (!stream || stream->stage == STREAM_ENDED) {
		free(event->buffer);
		if (!stream && !session_map_find(&engine->streams, event->id))
			skynet_error(engine->ctx, "socket: drop package from %d", event->id);
		return;
	}
	if (stream->stage == STREAM_OPENING) {
		free(event->buffer);
		refuse_unprotected(engine, stream);
		return;
	}
	byte_queue_add(&stream->bytes, event->buffer, (size_t)event->ud);
	if (stream->want != WANT_NOTHING && stream_is_satisfied(stream))
		wake(engine, stream, true);
	else if (stream->want != WANT_COUNT && stream->bytes.size > stream->limit_bytes)
		stream_overflow(engine, stream);
	else if (stream->want == WANT_NOTHING && stream->bytes.size > STREAM_PAUSE_BYTES &&
		 !stream->is_paused)
		pause_unread(engine, stream);
}

static char *
copy_text(const struct engine *engine)
{
	const struct envelope *message = &engine->message;
	size_t size = message->size - sizeof(struct skynet_socket_message);
	char *text = skynet_malloc(size + 1);
	memcpy(text, (const struct skynet_socket_message *)message->data + 1, size);
	text[size] = '\0';
	return text;
}

/* It is known now whether it could be opened. */
static void
settle(struct engine *engine, struct stream *stream, enum stream_stage stage, int number)
{
	stream->stage = stage;
	stream->number = number;
	free(stream->text);
	stream->text = copy_text(engine);
	if (stream->want == WANT_OUTCOME)
		wake(engine, stream, true);
}

static void
take_error(struct engine *engine, const struct skynet_socket_message *event)
{
	struct stream *stream = stream_find(engine, event->id);
	if (stream && stream->stage == STREAM_OPENING) {
		settle(engine, stream, STREAM_ENDED, 0);
		return;
	}
	char *text = copy_text(engine);
	if (!stream)
		skynet_error(engine->ctx, "socket: error on unknown %d %s", event->id, text);
	else if (stream->kind == STREAM_LISTENER)
		skynet_error(engine->ctx, "socket: accept error on %d: %s", event->id, text);
	else if (!stream->is_quiet)
		skynet_error(engine->ctx, "socket: error on %d %s", event->id, text);
	if (stream && stream->kind == STREAM_BYTES && stream->stage == STREAM_OPEN) {
		stream->stage = STREAM_BROKEN;
		stream->failure = text;
	} else {
		free(text);
	}
}

static void
take_end(struct engine *engine, const struct skynet_socket_message *event)
{
	struct stream *stream = stream_find(engine, event->id);
	forget_closed(engine, event->id);
	if (!stream)
		return;
	stream->stage = STREAM_ENDED;
	if (stream->want != WANT_NOTHING)
		wake(engine, stream, true);
}

/* Another service has started the socket. What is told of it goes there; it must not be closed
 * here. */
static void
take_leave(struct engine *engine, const struct skynet_socket_message *event)
{
	struct stream *stream = stream_find(engine, event->id);
	forget_closed(engine, event->id);
	if (!stream)
		return; /* it was abandoned for the other one */
	free(stream->text);
	stream->text = skynet_strdup("another service has taken the socket over");
	stream_forget(engine, stream);
}

bool
stream_handle_message(struct engine *engine)
{
	const struct skynet_socket_message *event = engine->message.data;
	struct stream *stream;
	switch (event->type) {
	case SKYNET_SOCKET_TYPE_DATA:
		take_bytes(engine, event);
		return true;
	case SKYNET_SOCKET_TYPE_CONNECT:
		stream = stream_find(engine, event->id);
		if (stream && stream->stage == STREAM_OPENING) /* otherwise it only goes on */
			settle(engine, stream, STREAM_OPEN, event->ud);
		return true;
	case SKYNET_SOCKET_TYPE_ERROR:
		take_error(engine, event);
		return true;
	case SKYNET_SOCKET_TYPE_CLOSE:
		take_end(engine, event);
		return false;
	case SKYNET_SOCKET_TYPE_TAKEN:
		take_leave(engine, event);
		return false;
	default:
		return false;
	}
}
