/* delimiter.c: frames that end with a mark: the end of a line, a NUL, or any few bytes.
 *
 * The mark may itself be cut by the end of a chunk. So before a new chunk is searched, the seam is:
 * the last bytes of what is kept and the first ones of the chunk, as many as a mark that begins
 * before the seam can reach. What is kept never holds a whole mark, so the first one is found in
 * that order, and no byte is looked at twice but for those at seams.
 *
 * A frame that is longer than allowed is found when its mark is, or when so many bytes have come
 * that no mark can help any more: whichever way the stream is cut, the frames before it come out,
 * and it does not. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem */
#endif
#include "frame.h"

#include "skynet.h"

/* Finds the mark in a piece. Returns NULL if it is not there. */
static const char *
find_mark(const struct framing *framing, const char *bytes, size_t size)
{
	if (framing->delimiter_size == 1)
		return memchr(bytes, framing->delimiter[0], size);
	return memmem(bytes, size, framing->delimiter, framing->delimiter_size);
}

/* How many bytes of the input belong to a mark that begins in what is kept; 0: there is none. The
 * bytes of that mark are cut off what is kept. */
static size_t
find_at_seam(const struct framing *framing, struct gate_block *kept, const struct gate_input *input)
{
	size_t reach = framing->delimiter_size - 1u;
	if (reach == 0 || kept->size == 0)
		return 0;
	char seam[2 * FRAMING_DELIMITER_MAX];
	size_t before = kept->size < reach ? kept->size : reach;
	size_t behind = input->size < reach ? input->size : reach;
	memcpy(seam, kept->bytes + kept->size - before, before);
	memcpy(seam + before, input->data, behind);
	const char *mark = find_mark(framing, seam, before + behind);
	if (mark == NULL)
		return 0;
	size_t begin = (size_t)(mark - seam);
	kept->size -= (uint32_t)(before - begin);
	return begin + framing->delimiter_size - before;
}

/* How many bytes the frame has without a CR at its end. */
static uint32_t
strip(const struct framing *framing, const char *bytes, uint32_t size)
{
	return framing->strips_return && size > 0 && bytes[size - 1] == '\r' ? size - 1 : size;
}

/* The most bytes of a frame and the mark behind it that wait for the rest of the mark. */
static uint32_t
room(const struct framing *framing)
{
	return framing->max_frame + framing->strips_return + framing->delimiter_size - 1u;
}

/* Keeps `count` bytes of the input. Returns whether they are few enough. */
static bool
keep(const struct framing *framing, struct gate_block *kept, struct gate_input *input, size_t count)
{
	if (count > room(framing) - kept->size)
		return false;
	gate_block_append(kept, input->data, (uint32_t)count, room(framing));
	input->data += count;
	input->size -= count;
	return true;
}

/* A frame whose end has been found: the first `count` bytes of the input, with what is kept in
 * front of them. Returns whether it is short enough. */
static bool
cut(const struct framing *framing, struct gate_block *kept, struct gate_input *input, size_t count,
    struct gate_frame *frame)
{
	if (count > room(framing))
		return false;
	if (kept->size == 0) {
		gate_block_fini(kept); /* a mark at the seam may have been all of it */
		gate_frame_view(input, (uint32_t)count, frame);
	} else {
		if (!keep(framing, kept, input, count))
			return false;
		frame->size = kept->size;
		frame->block = gate_block_take(kept);
		frame->data = frame->block;
	}
	frame->size = strip(framing, frame->data, frame->size);
	if (frame->size <= framing->max_frame)
		return true;
	skynet_free(frame->block);
	return false;
}

/* Cuts the next frame, empty or not. */
static enum gate_frame_result
next(const struct framing *framing, struct gate_block *kept, struct gate_input *input,
     struct gate_frame *frame)
{
	if (input->size == 0)
		return GATE_FRAME_MORE;
	size_t mark_size = find_at_seam(framing, kept, input);
	size_t count = 0;
	if (mark_size == 0) {
		const char *mark = find_mark(framing, input->data, input->size);
		if (mark == NULL)
			return keep(framing, kept, input, input->size) ? GATE_FRAME_MORE
								       : GATE_FRAME_TOO_LONG;
		count = (size_t)(mark - input->data);
		mark_size = framing->delimiter_size;
	}
	if (!cut(framing, kept, input, count, frame))
		return GATE_FRAME_TOO_LONG;
	input->data += mark_size;
	input->size -= mark_size;
	return GATE_FRAME_READY;
}

enum gate_frame_result
gate_delimiter_next(const struct framing *framing, struct gate_block *kept,
		    struct gate_input *input, struct gate_frame *frame)
{
	for (;;) {
		enum gate_frame_result result = next(framing, kept, input, frame);
		if (result != GATE_FRAME_READY || frame->size > 0 || !framing->skips_empty)
			return result;
		skynet_free(frame->block); /* a CR that was kept was all of it */
	}
}
