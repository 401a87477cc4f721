/* outbox.c: pending messages, pieces of frames, acknowledgements; see outbox.h. */
#include "outbox.h"

#include <assert.h>
#include <string.h>

/* The bytes of frames in one piece, at most. */
#define PIECE_BYTES \
	((size_t)HARBOR_OUTBOX_PIECE_FRAMES * (HARBOR_FRAME_HEADER + HARBOR_FRAME_PAYLOAD_MAX))
/* And of what may stand before them. */
#define CONTROL_BYTES ((size_t)HARBOR_FRAME_HEADER + HARBOR_FRAME_COUNT_BYTES)

/* --- pending --------------------------------------------------------------------------------- */

bool
harbor_outbox_add(struct harbor_outbox *outbox, const struct harbor_frame *head, void *payload,
		  size_t size)
{
	assert(outbox->pending_count < HARBOR_OUTBOX_PENDING_MESSAGES);
	if (outbox->pending == NULL)
		outbox->pending =
			skynet_malloc(HARBOR_OUTBOX_PENDING_MESSAGES * sizeof *outbox->pending);
	outbox->pending[outbox->pending_count++] =
		(struct harbor_pending){.head = *head, .size = size, .payload = payload};
	outbox->pending_bytes += HARBOR_FRAME_HEADER + size;
	outbox->bytes += HARBOR_FRAME_HEADER + size;
	return outbox->pending_count == HARBOR_OUTBOX_PENDING_MESSAGES ||
	       outbox->pending_bytes >= HARBOR_OUTBOX_PENDING_BYTES;
}

static void
free_pending(struct harbor_outbox *outbox)
{
	for (uint32_t i = 0; i < outbox->pending_count; i++)
		skynet_free(outbox->pending[i].payload);
	outbox->pending_count = 0;
	outbox->pending_bytes = 0;
}

/* --- sealing --------------------------------------------------------------------------------- */

/* A place between two frames of what is pending. */
struct cursor {
	uint32_t message;
	size_t offset; /* in its payload */
	uint64_t frames;
};

/* Describes the frame behind the cursor, which moves on. Returns false at the end. */
static bool
next_frame(const struct harbor_outbox *outbox, struct cursor *cursor, struct harbor_frame *frame)
{
	if (cursor->message == outbox->pending_count)
		return false;
	const struct harbor_pending *pending = &outbox->pending[cursor->message];
	size_t rest = pending->size - cursor->offset;
	*frame = pending->head;
	if (cursor->offset > 0)
		frame->kind = HARBOR_FRAME_PART;
	frame->payload = (const char *)pending->payload + cursor->offset;
	frame->size = HARBOR_FRAME_PAYLOAD_MAX;
	cursor->frames++;
	if (rest > HARBOR_FRAME_PAYLOAD_MAX) {
		frame->flags = HARBOR_FRAME_HAS_MORE;
		cursor->offset += frame->size;
	} else {
		frame->size = (uint32_t)rest;
		cursor->message++;
		cursor->offset = 0;
	}
	return true;
}

/* The bytes of the frames that fit into one piece. */
static size_t
measure(const struct harbor_outbox *outbox, struct cursor cursor)
{
	struct harbor_frame frame;
	size_t size = 0;
	while (next_frame(outbox, &cursor, &frame)) {
		if (size + HARBOR_FRAME_HEADER + frame.size > PIECE_BYTES)
			break;
		size += HARBOR_FRAME_HEADER + frame.size;
	}
	return size;
}

static void
append_piece(struct harbor_outbox *outbox, struct skynet_packet *packet, size_t size, uint64_t last)
{
	struct harbor_piece *piece = skynet_malloc(sizeof *piece);
	*piece = (struct harbor_piece){.packet = packet, .size = size, .last = last};
	if (outbox->first == NULL)
		outbox->first = piece;
	else
		outbox->last->next = piece;
	outbox->last = piece;
	if (outbox->next == NULL)
		outbox->next = piece; /* O1 */
	outbox->bytes += size;
}

/* Makes one piece of the frames behind the cursor, which moves on. */
static void
seal_piece(struct harbor_outbox *outbox, struct cursor *cursor, const char *control,
	   size_t control_size)
{
	size_t size = control_size + measure(outbox, *cursor);
	struct skynet_packet *packet = skynet_packet_new(NULL, size);
	char *start = skynet_packet_bytes(packet);
	char *to = start;
	if (control_size > 0)
		memcpy(to, control, control_size);
	to += control_size;
	struct harbor_frame frame;
	while ((size_t)(to - start) < size && next_frame(outbox, cursor, &frame))
		to = harbor_frame_write(to, &frame);
	append_piece(outbox, packet, size, outbox->sealed_count + cursor->frames);
}

void
harbor_outbox_seal(struct harbor_outbox *outbox, const char *control, size_t control_size)
{
	struct cursor cursor = {0};
	while (cursor.message < outbox->pending_count) {
		seal_piece(outbox, &cursor, control, control_size);
		control_size = 0;
	}
	outbox->sealed_count += cursor.frames;
	outbox->bytes -= outbox->pending_bytes;
	free_pending(outbox);
}

/* --- handing, acknowledging ------------------------------------------------------------------ */

bool
harbor_outbox_has_room(const struct harbor_outbox *outbox, size_t window)
{
	return outbox->next == NULL &&
	       (outbox->handed_bytes == 0 ||
		outbox->handed_bytes + CONTROL_BYTES + PIECE_BYTES <= window);
}

struct harbor_piece *
harbor_outbox_hand(struct harbor_outbox *outbox, size_t window)
{
	struct harbor_piece *piece = outbox->next;
	if (piece == NULL)
		return NULL;
	if (outbox->handed_bytes > 0 && outbox->handed_bytes + piece->size > window)
		return NULL; /* O2 */
	outbox->next = piece->next;
	outbox->handed_bytes += piece->size;
	return piece;
}

/* Frees the first piece. */
static void
drop_first(struct harbor_outbox *outbox)
{
	struct harbor_piece *piece = outbox->first;
	outbox->first = piece->next;
	outbox->bytes -= piece->size;
	outbox->dropped = piece->last;
	if (outbox->next == piece)
		outbox->next = piece->next;
	else
		outbox->handed_bytes -= piece->size;
	skynet_packet_release(piece->packet);
	skynet_free(piece);
}

bool
harbor_outbox_acknowledge(struct harbor_outbox *outbox, uint64_t count)
{
	if (count > outbox->sealed_count)
		return false;
	if (count <= outbox->acknowledged)
		return true; /* an old one that came again */
	outbox->acknowledged = count;
	while (outbox->first != NULL && outbox->first->last <= count)
		drop_first(outbox);
	return true;
}

uint64_t
harbor_outbox_rewind(struct harbor_outbox *outbox)
{
	outbox->next = outbox->first;
	outbox->handed_bytes = 0;
	return outbox->dropped;
}

uint64_t
harbor_outbox_unacknowledged(const struct harbor_outbox *outbox)
{
	return outbox->sealed_count - outbox->acknowledged;
}

/* --- the end --------------------------------------------------------------------------------- */

/* Visits the messages of one piece that are not acknowledged. A message that goes on behind the
 * acknowledged part of it begins with a PART here. */
static void
visit_piece(const struct harbor_outbox *outbox, const struct harbor_piece *piece, uint64_t *number,
	    bool *is_inside, harbor_outbox_visit visit, void *ud)
{
	const char *at = skynet_packet_bytes(piece->packet);
	const char *end = at + piece->size;
	while (at < end) {
		struct harbor_frame frame;
		at += harbor_frame_read(at, &frame);
		if (!harbor_frame_is_counted(frame.kind) || ++*number <= outbox->acknowledged)
			continue;
		if (frame.kind != HARBOR_FRAME_PART || !*is_inside) {
			bool is_part = frame.kind == HARBOR_FRAME_PART;
			frame.kind = is_part ? HARBOR_FRAME_MESSAGE : frame.kind;
			visit(ud, &frame);
		}
		*is_inside = frame.flags == HARBOR_FRAME_HAS_MORE;
	}
}

void
harbor_outbox_fail(struct harbor_outbox *outbox, harbor_outbox_visit visit, void *ud)
{
	/* Taken out first, so that the visitor may use the outbox. */
	struct harbor_outbox old = *outbox;
	uint64_t number = old.dropped;
	bool is_inside = false;
	*outbox = (struct harbor_outbox){0};
	for (struct harbor_piece *piece = old.first; piece != NULL; piece = piece->next)
		visit_piece(&old, piece, &number, &is_inside, visit, ud);
	for (uint32_t i = 0; i < old.pending_count; i++)
		visit(ud, &old.pending[i].head);
	harbor_outbox_fini(&old);
}

void
harbor_outbox_fini(struct harbor_outbox *outbox)
{
	while (outbox->first != NULL)
		drop_first(outbox);
	free_pending(outbox);
	skynet_free(outbox->pending);
	*outbox = (struct harbor_outbox){0};
}
