/* framing_test.c: every framing against a model: the same bytes cut at every place, and random
 * streams. */
#include "framing_model.h"

/* --- every framing ---------------------------------------------------------------------------- */

static const struct {
	const char *name;
	const char *delimiter;
} framings[] = {
	{"S", NULL},	    {"L", NULL},	 {"u8", NULL},		{"u16be", NULL},
	{"u16le", NULL},    {"u32be", NULL},	 {"u32le", NULL},	{"line", NULL},
	{"nul", NULL},	    {"delimiter", "--"}, {"delimiter", "\r\n"}, {"delimiter", "aab"},
	{"delimiter", ";"}, {"websocket", NULL},
};

#define FOR_EACH_FRAMING(i) for (size_t i = 0; i < sizeof(framings) / sizeof(framings[0]); i++)

/* A body without any of the marks in it, but with beginnings of them. */
static void
fill_body(char *body, size_t size, uint64_t *chance)
{
	static const char letters[] = "a-\rxyz";
	for (size_t i = 0; i < size; i++) {
		body[i] = letters[unit_random_below(chance, 6)];
		if (i > 0 && (body[i - 1] == '-' || body[i - 1] == '\r') && body[i] == body[i - 1])
			body[i] = 'x'; /* no "--" */
	}
	if (size > 0) /* a '-' or CR would belong to the mark behind it */
		body[size - 1] = 'z';
}

static void
add_sample(struct model *model)
{
	char body[300];
	static const uint32_t sizes[] = {1, 0, 2, 5, 0, 0, 63, 64, 65, 255, 1, 0};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		fill_body(body, sizes[i], &model->chance);
		add_frame(model, body, sizes[i]);
	}
}

static void
cut_at_every_place(void **state)
{
	(void)state;
	FOR_EACH_FRAMING(i)
	{
		struct model model;
		make_model(&model, framings[i].name, framings[i].delimiter);
		add_sample(&model);
		for (size_t place = 0; place <= model.stream.size; place++)
			read_cut(&model, &place, 1);
		free_model(&model);
	}
}

static void
cut_at_every_two_places(void **state)
{
	(void)state;
	FOR_EACH_FRAMING(i)
	{
		struct model model;
		make_model(&model, framings[i].name, framings[i].delimiter);
		add_frame(&model, "hello", 5);
		add_frame(&model, "", 0);
		add_frame(&model, "w", 1);
		add_frame(&model, "0123456789012345678901234567890123456789", 40);
		for (size_t first = 0; first <= model.stream.size; first++) {
			for (size_t second = first; second <= model.stream.size; second++)
				read_cut(&model, (size_t[]){first, second}, 2);
		}
		free_model(&model);
	}
}

static void
byte_by_byte(void **state)
{
	(void)state;
	FOR_EACH_FRAMING(i)
	{
		struct model model;
		make_model(&model, framings[i].name, framings[i].delimiter);
		add_sample(&model);
		size_t *places = malloc(model.stream.size * sizeof(*places));
		assert_non_null(places);
		for (size_t k = 0; k < model.stream.size; k++)
			places[k] = k + 1;
		read_cut(&model, places, model.stream.size);
		free(places);
		free_model(&model);
	}
}

static void
read_in_random_chunks(struct model *model, uint32_t limit)
{
	union gate_reader reader = {0};
	struct result result = {0};
	for (size_t at = 0; at < model->stream.size;) {
		size_t size = 1 + unit_random_below(&model->chance, limit);
		if (size > model->stream.size - at)
			size = model->stream.size - at;
		feed(&model->framing, &reader, model->stream.at + at, size, &result);
		at += size;
	}
	check_result(model, &reader, &result);
}

static void
random_streams(void **state)
{
	(void)state;
	char *body = malloc(70000);
	assert_non_null(body);
	FOR_EACH_FRAMING(i)
	{
		for (int round = 0; round < 40; round++) {
			struct model model;
			make_model(&model, framings[i].name, framings[i].delimiter);
			model.chance += (uint64_t)round;
			uint32_t most = (uint32_t)framing_longest(&model.framing);
			most = most < 70000 ? most : 70000;
			uint32_t count = 1 + unit_random_below(&model.chance, 20);
			for (uint32_t k = 0; k < count; k++) {
				uint32_t limit = k % 5 == 4 ? most : 100;
				uint32_t size = unit_random_below(&model.chance, limit);
				fill_body(body, size, &model.chance);
				add_frame(&model, body, size);
			}
			read_in_random_chunks(&model, round % 3 == 0 ? 8 : 20000);
			free_model(&model);
		}
	}
	free(body);
}

static void
whole_frames_are_not_copied(void **state)
{
	(void)state;
	FOR_EACH_FRAMING(i)
	{
		struct model model;
		make_model(&model, framings[i].name, framings[i].delimiter);
		model.chance = 1; /* no fragments */
		if (model.framing.kind == FRAMING_WEBSOCKET) {
			add_websocket(&model, 0x81, "ab", 2);
			add_websocket(&model, 0x82, "cd", 2);
		} else {
			add_frame(&model, "ab", 2);
			add_frame(&model, "cd", 2);
		}
		union gate_reader reader = {0};
		struct gate_input input = {model.stream.at, model.stream.size, NULL};
		struct gate_frame frame;
		for (int k = 0; k < 2; k++) {
			assert_int_equal(gate_frame_next(&model.framing, &reader, &input, &frame),
					 GATE_FRAME_READY);
			assert_null(frame.block);
			assert_int_equal(frame.size, 2);
			assert_memory_equal(frame.data, k == 0 ? "ab" : "cd", 2);
			assert_true(frame.data >= model.stream.at &&
				    frame.data + 2 <= model.stream.at + model.stream.size);
		}
		gate_frame_fini(&model.framing, &reader);
		free_model(&model);
	}
}

/* Whether a frame of so many bytes is read, with a limit of 100, cut into chunks of that size. */
static enum gate_frame_result
read_limited(size_t framing, uint32_t size, size_t chunk_size)
{
	struct model model;
	char body[200];
	make_model(&model, framings[framing].name, framings[framing].delimiter);
	assert_int_equal(framing_set(&model.framing, "max_frame", "100", 3), FRAMING_OPTION_SET);
	memset(body, 'x', sizeof(body));
	add_frame(&model, "first", 5);
	add_frame(&model, body, size);
	union gate_reader reader = {0};
	struct result result = {0};
	for (size_t at = 0; at < model.stream.size && result.last <= GATE_FRAME_REPLY;
	     at += chunk_size) {
		size_t left = model.stream.size - at;
		feed(&model.framing, &reader, model.stream.at + at,
		     left < chunk_size ? left : chunk_size, &result);
	}
	/* The one in front of it has come out in any case. */
	assert_true(result.bodies.size >= 9 && memcmp(result.bodies.at + 4, "first", 5) == 0);
	gate_frame_fini(&model.framing, &reader);
	free(result.bodies.at);
	free(result.replies.at);
	free_model(&model);
	return result.last;
}

static void
limit_is_exact_however_it_is_cut(void **state)
{
	(void)state;
	FOR_EACH_FRAMING(i)
	{
		for (size_t chunk_size = 1; chunk_size < 250; chunk_size += 1 + chunk_size / 8) {
			assert_int_equal(read_limited(i, 100, chunk_size), GATE_FRAME_MORE);
			assert_int_equal(read_limited(i, 101, chunk_size), GATE_FRAME_TOO_LONG);
			assert_int_equal(read_limited(i, 199, chunk_size), GATE_FRAME_TOO_LONG);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cut_at_every_place),
		cmocka_unit_test(cut_at_every_two_places),
		cmocka_unit_test(byte_by_byte),
		cmocka_unit_test(random_streams),
		cmocka_unit_test(whole_frames_are_not_copied),
		cmocka_unit_test(limit_is_exact_however_it_is_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
