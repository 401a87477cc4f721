/* text_fuzz.c: a libFuzzer target for bytes as text: any text is refused, or read into the room
 * that there is for it, and what was written is read again. `make fuzz` builds and runs it. */
#include "../../lualib-src/skynet_crypt/text.c"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A block of its own, so that a byte too many is found. */
static char *
allocate(size_t size)
{
	char *block = malloc(size ? size : 1);
	if (!block)
		abort();
	return block;
}

static void
check_equal(const char *bytes, ptrdiff_t size, const char *expected, size_t expected_size)
{
	if (size < 0 || (size_t)size != expected_size ||
	    memcmp(bytes, expected, expected_size) != 0)
		abort();
}

static void
try_base64(const char *input, size_t size)
{
	char *bytes = allocate(text_base64_room(size));
	(void)text_base64_decode(input, size, bytes); /* the sanitizers judge */
	free(bytes);
	size_t text_size = text_base64_size(size);
	char *text = allocate(text_size);
	text_base64_encode(input, size, text);
	bytes = allocate(text_base64_room(text_size));
	check_equal(bytes, text_base64_decode(text, text_size, bytes), input, size);
	free(bytes);
	free(text);
}

static void
try_hex(const char *input, size_t size)
{
	char *bytes = allocate(size / 2);
	(void)text_hex_decode(input, size, bytes);
	free(bytes);
	size_t text_size = text_hex_size(size);
	char *text = allocate(text_size);
	text_hex_encode(input, size, text);
	bytes = allocate(size);
	check_equal(bytes, text_hex_decode(text, text_size, bytes), input, size);
	free(bytes);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_base64((const char *)data, size);
	try_hex((const char *)data, size);
	return 0;
}
