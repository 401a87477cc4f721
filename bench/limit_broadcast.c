/* limit_broadcast.c: what the machine allows for one frame to many connections: a bare loop of
 * write.
 *
 * limit_broadcast PORT COUNT BYTES SECONDS: prints READY when it listens. When COUNT connections
 * are there, writes BYTES to each of them in rounds, for SECONDS; each round begins when the client
 * has said that all has arrived (load drain). Prints RESULT ns_each=N: the median round, divided by
 * COUNT. */
#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define ROUNDS_MAX 100000

static void
fail(const char *what)
{
	fprintf(stderr, "limit_broadcast: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int
listen_on(int port)
{
	int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons((uint16_t)port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
	    bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
	    listen(fd, SOMAXCONN) != 0)
		fail("listen");
	return fd;
}

/* Writes to all, then waits for the client. Returns the nanoseconds that the writing took. */
static double
run_round(const int *fds, long count, const char *frame, size_t size)
{
	char byte;
	uint64_t begin = now_ns();
	for (long i = 0; i < count; i++)
		if (write(fds[i], frame, size) != (ssize_t)size)
			fail("write");
	double elapsed = (double)(now_ns() - begin);
	if (read(fds[0], &byte, 1) != 1)
		fail("read");
	return elapsed;
}

int
main(int argc, char **argv)
{
	static double rounds[ROUNDS_MAX];
	size_t done = 0;
	if (argc != 5) {
		fprintf(stderr, "usage: limit_broadcast PORT COUNT BYTES SECONDS\n");
		return 2;
	}
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files); /* if not, accept will tell */
	}
	int listener = listen_on((int)positive_number("PORT", argv[1]));
	long count = (long)positive_number("COUNT", argv[2]);
	size_t size = (size_t)positive_number("BYTES", argv[3]);
	double seconds = positive_number("SECONDS", argv[4]);
	int *fds = calloc((size_t)count, sizeof *fds);
	char *frame = calloc(1, size);
	if (fds == NULL || frame == NULL)
		abort();
	printf("READY\n");
	fflush(stdout);
	for (long i = 0; i < count; i++)
		if ((fds[i] = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) < 0)
			fail("accept");
	uint64_t end = now_ns() + (uint64_t)(seconds * 1e9);
	do
		rounds[done++] = run_round(fds, count, frame, size) / (double)count;
	while (done < ROUNDS_MAX && now_ns() < end);
	printf("RESULT ns_each=%.1f\n", median(rounds, done));
	free(frame);
	free(fds);
	return 0;
}
