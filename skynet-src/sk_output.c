/* sk_output.c: see sk_output.h, also for the invariants O1 to O3. */
#include "sk_output.h"

#include "sk_packet.h"
#include "skynet_socket.h"

#include <assert.h>
#include <string.h>
#include <sys/uio.h>

/* inside: how many of the bytes it has room for itself. */
static struct sk_output_piece *
new_piece(const char *start, size_t size, size_t inside)
{
	assert(size > 0); /* O3 */
	struct sk_output_piece *piece = skynet_malloc(sizeof *piece + inside);
	piece->next = NULL;
	piece->size = size;
	piece->start = start ? start : piece->bytes;
	piece->block = NULL;
	piece->packet = NULL;
	return piece;
}

struct sk_output_piece *
sk_output_piece_copy(const void *bytes, size_t size)
{
	struct sk_output_piece *piece = new_piece(NULL, size, size);
	memcpy(piece->bytes, bytes, size);
	return piece;
}

struct sk_output_piece *
sk_output_piece_take(void *block, size_t size)
{
	struct sk_output_piece *piece = new_piece(block, size, 0);
	piece->block = block;
	return piece;
}

struct sk_output_piece *
sk_output_piece_share(struct skynet_packet *packet)
{
	struct sk_output_piece *piece = new_piece(packet->bytes, packet->size, 0);
	piece->packet = sk_packet_hold(packet);
	return piece;
}

void
sk_output_piece_free(struct sk_output_piece *piece)
{
	skynet_free(piece->block);
	skynet_packet_release(piece->packet);
	skynet_free(piece);
}

void
sk_output_init(struct sk_output *out)
{
	*out = (struct sk_output){0};
}

static void
free_list(struct sk_output_list *list)
{
	while (list->first) {
		struct sk_output_piece *piece = list->first;
		list->first = piece->next;
		sk_output_piece_free(piece);
	}
}

void
sk_output_clear(struct sk_output *out)
{
	free_list(&out->normal);
	free_list(&out->low);
	sk_output_init(out);
}

void
sk_output_add(struct sk_output *out, struct sk_output_piece *piece, bool is_low)
{
	struct sk_output_list *list = is_low ? &out->low : &out->normal;
	if (list->first)
		list->last->next = piece;
	else
		list->first = piece;
	list->last = piece;
	out->bytes += piece->size;
}

/* Adds the pieces of one list to the vectors. sent: how much of its first one has left. */
static int
describe(const struct sk_output_list *list, size_t sent, struct iovec *vectors, int count, int max)
{
	const struct sk_output_piece *piece = list->first;
	for (; piece && count < max; piece = piece->next, sent = 0) {
		vectors[count].iov_base = (char *)piece->start + sent;
		vectors[count].iov_len = piece->size - sent;
		count++;
	}
	return count;
}

int
sk_output_vector(const struct sk_output *out, struct iovec *vectors, int max, size_t *size)
{
	int count = describe(&out->normal, out->sent, vectors, 0, max);
	count = describe(&out->low, 0, vectors, count, max); /* O1 */
	*size = 0;
	for (int i = 0; i < count; i++)
		*size += vectors[i].iov_len;
	return count;
}

/* A low-priority piece becomes the first normal one (O2). */
static void
promote_first_low(struct sk_output *out)
{
	assert(!out->normal.first); /* O1 */
	struct sk_output_piece *piece = out->low.first;
	out->low.first = piece->next;
	piece->next = NULL;
	out->normal.first = piece;
	out->normal.last = piece;
}

static void
drop_first_normal(struct sk_output *out)
{
	struct sk_output_piece *piece = out->normal.first;
	out->normal.first = piece->next;
	out->bytes -= piece->size - out->sent;
	out->sent = 0;
	sk_output_piece_free(piece);
}

void
sk_output_advance(struct sk_output *out, size_t sent)
{
	while (sent > 0) {
		if (!out->normal.first)
			promote_first_low(out);
		size_t left = out->normal.first->size - out->sent;
		if (sent < left) {
			out->sent += sent;
			out->bytes -= sent;
			return;
		}
		sent -= left;
		drop_first_normal(out);
	}
}

const struct sk_output_piece *
sk_output_first(const struct sk_output *out)
{
	return out->normal.first ? out->normal.first : out->low.first;
}

void
sk_output_drop_first(struct sk_output *out)
{
	if (!out->normal.first)
		promote_first_low(out);
	drop_first_normal(out);
}
