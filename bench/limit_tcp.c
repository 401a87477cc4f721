/* limit_tcp.c: two processes and bare TCP between them, over loopback: what messages between two
 * nodes on this machine can reach at most.
 *
 *   limit_tcp call WINDOW SIZE SECONDS  messages that come back, WINDOW of them under way
 *   limit_tcp send SIZE SECONDS         messages one way, one after the other
 *
 * Like the links of nodes, each direction has a connection of its own. A message is SIZE bytes, the
 * length in the first two; each is looked at where it arrives.
 * Prints RESULT per_s=N, round trips or messages. */
#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define BUFFER_BYTES ((size_t)1 << 16)

/* The end of the bytes on one connection, read a buffer at a time. */
struct reader {
	int fd;
	size_t size; /* bytes of a message whose rest has not come yet, at the beginning of bytes */
	unsigned char bytes[BUFFER_BYTES];
};

static void
fail(const char *what)
{
	fprintf(stderr, "limit_tcp: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* A connection of this process with itself, whose ends are then used by two. */
static void
connection_make(int ends[2])
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	int yes = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, length) != 0 ||
	    listen(listener, 1) != 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &length) != 0)
		fail("listen");
	ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (ends[0] < 0 || connect(ends[0], (struct sockaddr *)&address, sizeof address) != 0)
		fail("connect");
	ends[1] = accept(listener, NULL, NULL);
	if (ends[1] < 0 || setsockopt(ends[0], IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) != 0)
		fail("accept");
	close(listener);
}

static void
write_all(int fd, const unsigned char *bytes, size_t size)
{
	while (size > 0) {
		ssize_t n = send(fd, bytes, size, MSG_NOSIGNAL);
		if (n < 0)
			fail("send");
		bytes += n;
		size -= (size_t)n;
	}
}

/* Waits for more bytes. Returns how many messages are complete now, at the beginning of the bytes;
 * 0 at the end of the stream. *used: their bytes. */
static size_t
read_messages(struct reader *reader, size_t *used)
{
	size_t count = 0;
	*used = 0;
	while (count == 0) {
		ssize_t n = recv(reader->fd, reader->bytes + reader->size,
				 BUFFER_BYTES - reader->size, 0);
		if (n < 0)
			fail("recv");
		if (n == 0)
			return 0;
		reader->size += (size_t)n;
		while (reader->size - *used >= FRAME_HEADER) {
			const unsigned char *at = reader->bytes + *used;
			size_t whole = FRAME_HEADER + ((size_t)at[0] << 8 | at[1]);
			if (reader->size - *used < whole)
				break;
			*used += whole;
			count++;
		}
	}
	return count;
}

static void
drop_messages(struct reader *reader, size_t used)
{
	reader->size -= used;
	memmove(reader->bytes, reader->bytes + used, reader->size);
}

/* Fills the buffer with as many messages as asked for, or as it takes. Returns how many. */
static size_t
write_messages(unsigned char *buffer, size_t count, size_t size)
{
	static unsigned char message[BUFFER_BYTES];
	if (count > BUFFER_BYTES / size)
		count = BUFFER_BYTES / size;
	message[0] = (unsigned char)((size - FRAME_HEADER) >> 8);
	message[1] = (unsigned char)(size - FRAME_HEADER);
	for (size_t i = 0; i < count; i++)
		memcpy(buffer + i * size, message, size);
	return count;
}

static void
send_messages(int fd, size_t count, size_t size)
{
	static unsigned char buffer[BUFFER_BYTES];
	while (count > 0) {
		size_t written = write_messages(buffer, count, size);
		write_all(fd, buffer, written * size);
		count -= written;
	}
}

static void
answer_all(struct reader *from, int to)
{
	size_t used;
	while (read_messages(from, &used) > 0) {
		write_all(to, from->bytes, used);
		drop_messages(from, used);
	}
}

static double
call(struct reader *answers, int to, size_t window, size_t size, double seconds)
{
	uint64_t begin = now_ns(), limit = (uint64_t)(seconds * 1e9), elapsed = 0, count = 0;
	send_messages(to, window, size);
	while (elapsed < limit) {
		size_t used, got = read_messages(answers, &used);
		drop_messages(answers, used);
		count += got;
		send_messages(to, got, size);
		elapsed = now_ns() - begin;
	}
	return (double)count * 1e9 / (double)elapsed;
}

static void
send_for(int to, size_t size, double seconds)
{
	uint64_t begin = now_ns(), limit = (uint64_t)(seconds * 1e9);
	while (now_ns() - begin < limit)
		send_messages(to, BUFFER_BYTES / size, size);
}

/* Until the end of the stream; the rate counts from the first message on. */
static double
receive_all(struct reader *from)
{
	size_t used, got;
	uint64_t begin = 0, count = 0;
	while ((got = read_messages(from, &used)) > 0) {
		if (begin == 0)
			begin = now_ns();
		else
			count += got;
		drop_messages(from, used);
	}
	return (double)count * 1e9 / (double)(now_ns() - begin);
}

static void
report(double per_s)
{
	printf("RESULT per_s=%.0f\n", per_s);
}

static size_t
message_size(const char *text)
{
	double size = positive_number("SIZE", text);
	if (size < FRAME_HEADER || size > (double)(BUFFER_BYTES / 2)) {
		fprintf(stderr, "SIZE must be %d to %zu\n", FRAME_HEADER, BUFFER_BYTES / 2);
		exit(2);
	}
	return (size_t)size;
}

/* The child answers; the parent calls and reports. */
static void
run_call(size_t window, size_t size, double seconds)
{
	static struct reader reader;
	int there[2], back[2];
	connection_make(there);
	connection_make(back);
	pid_t child = fork();
	if (child < 0)
		fail("fork");
	reader.fd = child == 0 ? there[1] : back[1];
	close(child == 0 ? there[0] : back[0]);
	close(child == 0 ? back[1] : there[1]);
	if (child == 0) {
		answer_all(&reader, back[0]);
		_exit(0);
	}
	report(call(&reader, there[0], window, size, seconds));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

/* The child sends; the parent receives and reports. */
static void
run_send(size_t size, double seconds)
{
	static struct reader reader;
	int ends[2];
	connection_make(ends);
	pid_t child = fork();
	if (child < 0)
		fail("fork");
	close(child == 0 ? ends[1] : ends[0]);
	if (child == 0) {
		send_for(ends[0], size, seconds);
		_exit(0);
	}
	reader.fd = ends[1];
	report(receive_all(&reader));
	waitpid(child, NULL, 0);
}

int
main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "call") == 0) {
		run_call((size_t)positive_number("WINDOW", argv[2]), message_size(argv[3]),
			 positive_number("SECONDS", argv[4]));
	} else if (argc == 4 && strcmp(argv[1], "send") == 0) {
		run_send(message_size(argv[2]), positive_number("SECONDS", argv[3]));
	} else {
		fprintf(stderr, "usage: limit_tcp call WINDOW SIZE SECONDS | send SIZE SECONDS\n");
		return 2;
	}
	return 0;
}
