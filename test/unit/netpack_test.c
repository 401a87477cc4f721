/* netpack_test.c: the packets of skynet.netpack against a model: the same bytes cut at every place,
 * sockets mixed, and random streams. */
#include "../../lualib-src/skynet_netpack/packets.c"

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#define STREAM_MAX (1 << 20)

/* What a socket sends, written down packet by packet. */
struct model {
	char *bytes;
	size_t size;
	uint32_t sizes[64]; /* of the packets */
	size_t count;
};

static void
add(struct model *model, const char *body, uint32_t size)
{
	assert_true(model->size + size + 2 <= STREAM_MAX);
	if (!model->bytes)
		model->bytes = malloc(STREAM_MAX);
	model->bytes[model->size] = (char)(size >> 8);
	model->bytes[model->size + 1] = (char)size;
	memcpy(model->bytes + model->size + 2, body, size);
	model->size += 2 + size;
	model->sizes[model->count++] = size;
}

/* Takes what is complete, which must be the next packets of the model. at: where they begin. */
static void
take(struct packets *packets, const struct model *model, int id, size_t *index, size_t *at)
{
	struct packet packet;
	while (packets_pop(packets, &packet)) {
		assert_true(*index < model->count);
		assert_int_equal(packet.id, id);
		assert_int_equal(packet.size, model->sizes[*index]);
		assert_non_null(packet.block);
		assert_memory_equal(packet.block, model->bytes + *at + 2, packet.size);
		*at += 2 + packet.size;
		++*index;
		skynet_free(packet.block);
	}
}

/* Feeds a chunk from a block of its own size, so that a read beyond it is seen. */
static void
feed(struct packets *packets, int id, const char *bytes, size_t size)
{
	char *chunk = malloc(size ? size : 1);
	memcpy(chunk, bytes, size);
	packets_feed(packets, id, chunk, size);
	free(chunk);
}

static struct model
small_model(void)
{
	struct model model = {0};
	char body[300];
	for (size_t i = 0; i < sizeof body; i++)
		body[i] = (char)(i * 7 + 3);
	static const uint32_t sizes[] = {3, 0, 1, 0, 0, 70, 2, 257, 0};
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
		add(&model, body, sizes[i]);
	return model;
}

static void
every_cut_gives_the_same_packets(void **state)
{
	(void)state;
	struct model model = small_model();
	for (size_t first = 0; first <= model.size; first++)
		for (size_t second = first; second <= model.size; second++) {
			struct packets packets = {0};
			size_t index = 0, at = 0;
			feed(&packets, 7, model.bytes, first);
			take(&packets, &model, 7, &index, &at);
			feed(&packets, 7, model.bytes + first, second - first);
			take(&packets, &model, 7, &index, &at);
			feed(&packets, 7, model.bytes + second, model.size - second);
			take(&packets, &model, 7, &index, &at);
			assert_int_equal(index, model.count);
			assert_int_equal(packets.part_count, 0); /* N1 */
			packets_fini(&packets);
		}
	free(model.bytes);
}

static void
chunks_of_every_size_give_the_same_packets(void **state)
{
	(void)state;
	struct model model = small_model();
	for (size_t chunk = 1; chunk <= model.size; chunk++) {
		struct packets packets = {0};
		size_t index = 0, at = 0;
		for (size_t from = 0; from < model.size; from += chunk)
			feed(&packets, 1, model.bytes + from,
			     chunk < model.size - from ? chunk : model.size - from);
		take(&packets, &model, 1, &index, &at);
		assert_int_equal(index, model.count);
		packets_fini(&packets);
	}
	free(model.bytes);
}

static void
the_largest_packet_comes_whole(void **state)
{
	(void)state;
	struct model model = {0};
	char *body = malloc(PACKET_SIZE_MAX);
	for (size_t i = 0; i < PACKET_SIZE_MAX; i++)
		body[i] = (char)(i / 3);
	add(&model, body, PACKET_SIZE_MAX);
	add(&model, body, PACKET_SIZE_MAX);
	for (size_t chunk = 1; chunk < 200000; chunk = chunk * 3 + 1) {
		struct packets packets = {0};
		size_t index = 0, at = 0;
		for (size_t from = 0; from < model.size; from += chunk)
			feed(&packets, 1, model.bytes + from,
			     chunk < model.size - from ? chunk : model.size - from);
		take(&packets, &model, 1, &index, &at);
		assert_int_equal(index, 2);
		packets_fini(&packets);
	}
	free(body);
	free(model.bytes);
}

/* N2 */
static void
a_promise_costs_no_memory(void **state)
{
	(void)state;
	struct packets packets = {0};
	feed(&packets, 5, "\xff\xff", 2);
	struct packet_part *part = *find_part(&packets, 5);
	assert_null(part->block);
	for (uint32_t have = 1; have < 5000; have++) {
		feed(&packets, 5, "x", 1);
		assert_true(part->room <= 2 * have || part->room == PACKET_LEAST_ROOM);
	}
	packets_forget(&packets, 5);
	assert_int_equal(packets.part_count, 0);
	packets_forget(&packets, 5);
	feed(&packets, 5, "\0\1y", 3); /* a new stream begins at its beginning */
	struct packet packet = {0};
	assert_true(packets_pop(&packets, &packet));
	assert_int_equal(packet.size, 1);
	skynet_free(packet.block);
	packets_fini(&packets);
}

static void
the_queue_keeps_its_order_while_it_grows(void **state)
{
	(void)state;
	struct packets packets = {0};
	uint32_t fed = 0, taken = 0;
	for (int turn = 0; turn < 200; turn++) { /* three in, two out: it wraps, then it grows */
		for (int i = 0; i < 3; i++) {
			char bytes[6] = {0, 4};
			memcpy(bytes + 2, &fed, sizeof fed);
			feed(&packets, (int)fed++, bytes, sizeof bytes);
		}
		for (int i = 0; i < 2; i++) {
			struct packet packet = {0};
			assert_true(packets_pop(&packets, &packet));
			assert_int_equal(packet.id, taken);
			assert_int_equal(packet.size, sizeof taken);
			assert_memory_equal(packet.block, &taken, sizeof taken);
			skynet_free(packet.block);
			taken++;
		}
	}
	assert_int_equal(packets.count, fed - taken);
	packets_fini(&packets);
}

#define SOCKETS 100

/* Ids whose chains meet, streams cut and mixed at random, some forgotten in the middle. */
static void
sockets_do_not_disturb_one_another(void **state)
{
	(void)state;
	uint64_t seed = 4711;
	struct packets packets = {0};
	struct model model = small_model();
	size_t at[SOCKETS] = {0}, expected = 0, taken = 0;
	for (int step = 0; step < 20000; step++) {
		int i = (int)unit_random_below(&seed, SOCKETS);
		int id = i * 1024 + 1;
		if (unit_random_below(&seed, 50) == 0) {
			packets_forget(&packets, id);
			at[i] = 0;
			continue;
		}
		size_t size = 1 + unit_random_below(&seed, 40);
		if (size > model.size - at[i])
			size = model.size - at[i];
		feed(&packets, id, model.bytes + at[i], size);
		for (size_t end = 0, k = 0; k < model.count; k++) {
			end += 2 + model.sizes[k];
			expected += end > at[i] && end <= at[i] + size;
		}
		at[i] = (at[i] + size) % model.size;
		struct packet packet;
		while (unit_random_below(&seed, 3) && packets_pop(&packets, &packet)) {
			assert_memory_equal(packet.block, model.bytes + 2,
					    packet.size < 3 ? packet.size : 3);
			skynet_free(packet.block);
			taken++;
		}
	}
	assert_int_equal(taken + packets.count, expected);
	packets_fini(&packets); /* with packets and parts in it */
	assert_int_equal(packets.count, 0);
	free(model.bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_cut_gives_the_same_packets),
		cmocka_unit_test(chunks_of_every_size_give_the_same_packets),
		cmocka_unit_test(the_largest_packet_comes_whole),
		cmocka_unit_test(a_promise_costs_no_memory),
		cmocka_unit_test(the_queue_keeps_its_order_while_it_grows),
		cmocka_unit_test(sockets_do_not_disturb_one_another),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
