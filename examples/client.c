/* client.c: a small client for a gate with 2-byte lengths: lines become frames, frames lines.
 *
 *      client [HOST [PORT]]         by default 127.0.0.1 8888
 *
 * On a terminal lines are edited, with a history, and frames appear above the line being typed.
 * Otherwise it is a filter: each line of the input is sent, each frame is printed as a line; at the
 * end of the input it tells the server that nothing more comes, and prints until the server ends
 * the stream too. Empty lines are not sent, and empty frames not printed. The exit status is 0 when
 * everything was sent and the server ended in order, else 1, with a line on stderr. 2: wrong usage.
 *
 * One thread waits in one poll for both sides. Input is read only while little output waits, so a
 * server that is slow to read makes the client slow, not big. */
#include <errno.h>
#include <fcntl.h>
#include <histedit.h>
#include <locale.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <wchar.h>

#define HEADER_BYTES 2
#define FRAME_BYTES_MAX 65535
/* Output that may wait before no more input is read. */
#define OUTPUT_BYTES_MAX (1024 * 1024)
/* How long a server may be silent after the end of our input, before it ends the stream. */
#define SILENCE_MS 60000
#define HISTORY_LINES 1000

struct buffer {
	char *data;
	size_t size;
	size_t capacity;
};

struct client {
	int fd;
	struct buffer output; /* frames that the socket did not take yet */
	struct buffer frame;  /* what came from the server and is not a whole frame yet */
	struct buffer line;   /* the input line that has no end yet */
	unsigned long line_number;
	bool is_line_too_long; /* the rest of the line is to be skipped */
	bool is_input_over;    /* nothing more will be sent */
	bool is_server_over;   /* nothing more will come */
	bool has_failed;
	/* On a terminal. */
	EditLine *editor; /* NULL: no terminal */
	mbstate_t decoder;
};

/* Prints why something failed. */
static void
complain(struct client *client, const char *what, const char *why)
{
	client->has_failed = true;
	(void)fprintf(stderr, "client: %s%s%s\n", what, why != NULL ? ": " : "",
		      why != NULL ? why : "");
}

static void
buffer_add(struct buffer *buffer, const void *data, size_t size)
{
	if (buffer->size + size > buffer->capacity) {
		buffer->capacity = (buffer->size + size) * 2;
		buffer->data = realloc(buffer->data, buffer->capacity);
		if (buffer->data == NULL) {
			(void)fputs("client: out of memory\n", stderr);
			exit(1);
		}
	}
	if (size > 0)
		memcpy(buffer->data + buffer->size, data, size);
	buffer->size += size;
}

static void
buffer_drop(struct buffer *buffer, size_t size)
{
	buffer->size -= size;
	if (size > 0 && buffer->size > 0)
		memmove(buffer->data, buffer->data + size, buffer->size);
}

/* --- towards the server --------------------------------------------------------------------- */

/* Writes what waits, as far as the socket takes it. */
static void
flush_output(struct client *client)
{
	size_t sent = 0;
	while (sent < client->output.size) {
		ssize_t count =
			write(client->fd, client->output.data + sent, client->output.size - sent);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (count < 0) {
			complain(client, "cannot send to the server", strerror(errno));
			client->is_input_over = true;
			client->is_server_over = true;
			return;
		}
		sent += (size_t)count;
	}
	buffer_drop(&client->output, sent);
}

static void
complain_too_long(struct client *client)
{
	char text[128];
	(void)snprintf(text, sizeof(text),
		       "line %lu is too long: a frame holds at most %d bytes; not sent",
		       client->line_number, FRAME_BYTES_MAX);
	complain(client, text, NULL);
}

/* Sends one line as a frame. */
static void
send_line(struct client *client, const char *line, size_t size)
{
	if (size > 0 && line[size - 1] == '\r')
		size--;
	if (size == 0)
		return;
	if (size > FRAME_BYTES_MAX) {
		complain_too_long(client);
		return;
	}
	unsigned char header[HEADER_BYTES] = {(unsigned char)(size >> 8), (unsigned char)size};
	buffer_add(&client->output, header, sizeof(header));
	buffer_add(&client->output, line, size);
}

/* No more lines: what waits goes out, then the server learns of the end. */
static void
end_input(struct client *client)
{
	client->is_input_over = true;
	if (client->output.size == 0 && !client->is_server_over)
		(void)shutdown(client->fd, SHUT_WR); /* it can only fail when the server is gone */
}

/* --- from the server ------------------------------------------------------------------------ */

/* Prints a frame as a line. What could take over a terminal is not sent to one. */
static void
print_frame(struct client *client, char *text, size_t size)
{
	if (size == 0)
		return;
	for (size_t i = 0; client->editor != NULL && i < size; i++) {
		if (((unsigned char)text[i] < ' ' && text[i] != '\t') || text[i] == 0x7f)
			text[i] = '?';
	}
	(void)fwrite(text, 1, size, stdout);
	(void)putchar('\n');
}

/* Prints the whole frames that have come. Returns whether there was one. */
static bool
print_frames(struct client *client)
{
	char *data = client->frame.data;
	size_t at = 0;
	while (client->frame.size - at >= HEADER_BYTES) {
		size_t size = (size_t)(unsigned char)data[at] << 8 | (unsigned char)data[at + 1];
		if (client->frame.size - at - HEADER_BYTES < size)
			break;
		print_frame(client, data + at + HEADER_BYTES, size);
		at += HEADER_BYTES + size;
	}
	buffer_drop(&client->frame, at);
	return at > 0;
}

/* The server has ended the stream. */
static void
server_over(struct client *client, const char *why)
{
	client->is_server_over = true;
	if (!client->is_input_over || client->output.size > 0)
		complain(client, "the server closed the connection", why);
	else if (why != NULL)
		complain(client, "the connection broke", why);
	else if (client->frame.size > 0)
		complain(client, "the server ended the stream in the middle of a frame", NULL);
}

/* Reads what has come, and prints it. */
static void
receive(struct client *client)
{
	char chunk[65536];
	ssize_t count = read(client->fd, chunk, sizeof(chunk));
	if (count < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK))
		return;
	if (client->editor != NULL)
		(void)fputs("\r\033[K", stdout); /* the line being typed is drawn again below */
	if (count > 0) {
		buffer_add(&client->frame, chunk, (size_t)count);
		(void)print_frames(client);
	} else {
		server_over(client, count < 0 ? strerror(errno) : NULL);
	}
	if (fflush(stdout) != 0) { /* whoever reads our output has left */
		complain(client, "cannot print", strerror(errno));
		client->is_input_over = true;
		client->is_server_over = true;
	}
	if (client->editor != NULL && !client->is_server_over)
		(void)el_set(client->editor, EL_REFRESH);
}

/* Waits until one of both sides can go on, and serves the server's. Returns whether the input can
 * be read. */
static bool
wait_for_both(struct client *client)
{
	bool wants_input = !client->is_input_over && client->output.size < OUTPUT_BYTES_MAX;
	bool wants_output = client->output.size > 0;
	struct pollfd fds[2] = {
		{client->fd, POLLIN | (wants_output ? POLLOUT : 0), 0},
		{wants_input ? STDIN_FILENO : -1, POLLIN, 0},
	};
	int ready = poll(fds, 2, client->is_input_over ? SILENCE_MS : -1);
	if (ready == 0) {
		complain(client, "the server neither answered nor ended the stream", NULL);
		client->is_server_over = true;
	}
	if (ready <= 0)
		return false; /* or a signal: the caller looks again */
	if (fds[0].revents & POLLOUT) {
		flush_output(client);
		if (client->is_input_over)
			end_input(client);
	}
	if (!client->is_server_over && (fds[0].revents & (POLLIN | POLLHUP | POLLERR)))
		receive(client);
	return fds[1].revents != 0;
}

/* --- input from a pipe or a file ------------------------------------------------------------ */

/* Takes in a part of the input that has no line end in it. */
static void
add_to_line(struct client *client, const char *data, size_t size)
{
	if (client->line.size + size > FRAME_BYTES_MAX + 1) { /* one more may be a '\r' */
		client->is_line_too_long = true;
		client->line.size = 0;
	}
	if (!client->is_line_too_long)
		buffer_add(&client->line, data, size);
}

static void
end_line(struct client *client)
{
	client->line_number++;
	if (client->is_line_too_long)
		complain_too_long(client);
	else
		send_line(client, client->line.data, client->line.size);
	client->is_line_too_long = false;
	client->line.size = 0;
}

static void
read_input(struct client *client)
{
	char chunk[65536];
	ssize_t count = read(STDIN_FILENO, chunk, sizeof(chunk));
	if (count < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (count < 0)
		complain(client, "cannot read the input", strerror(errno));
	const char *at = chunk;
	size_t left = count > 0 ? (size_t)count : 0;
	while (left > 0) {
		const char *end = memchr(at, '\n', left);
		size_t size = end != NULL ? (size_t)(end - at) : left;
		add_to_line(client, at, size);
		if (end != NULL)
			end_line(client);
		size += end != NULL;
		at += size;
		left -= size;
	}
	if (count <= 0 && (client->line.size > 0 || client->is_line_too_long))
		end_line(client); /* the last line had no end */
	flush_output(client);
	if (count <= 0)
		end_input(client);
}

/* Until everything has been sent and answered. */
static void
run_filter(struct client *client)
{
	while (!client->is_server_over) {
		if (wait_for_both(client) && !client->is_server_over)
			read_input(client);
	}
}

/* --- input from a terminal ------------------------------------------------------------------ */

static char *
prompt(EditLine *editor)
{
	static char text[] = "> ";
	(void)editor;
	return text;
}

/* Gives the line editor one character; until there is one, prints what the server sends. */
static int
get_character(EditLine *editor, wchar_t *character)
{
	struct client *client;
	if (el_get(editor, EL_CLIENTDATA, &client) != 0)
		return -1;
	while (!client->is_server_over) {
		if (!wait_for_both(client) || client->is_server_over)
			continue;
		char byte;
		ssize_t count = read(STDIN_FILENO, &byte, 1);
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return (int)count;
		size_t used = mbrtowc(character, &byte, 1, &client->decoder);
		if (used == (size_t)-1) { /* not a character of this locale: taken as it is */
			memset(&client->decoder, 0, sizeof(client->decoder));
			*character = (unsigned char)byte;
		}
		if (used != (size_t)-2) /* else there is more to come of it */
			return 1;
	}
	return 0;
}

/* Sends line after line until the user or the server ends it. */
static void
read_lines(struct client *client, History *past)
{
	HistEvent event;
	int length;
	const char *line;
	while (!client->is_server_over && (line = el_gets(client->editor, &length)) != NULL &&
	       length > 0) {
		client->line_number++;
		if (line[length - 1] == '\n')
			length--;
		if (length > 0)
			(void)history(past, &event, H_ENTER, line);
		send_line(client, line, (size_t)length);
		flush_output(client);
	}
}

static void
run_terminal(struct client *client)
{
	HistEvent event;
	History *past = history_init();
	client->editor = el_init("client", stdin, stdout, stderr);
	if (past == NULL || client->editor == NULL) {
		complain(client, "cannot edit lines on this terminal", strerror(errno));
		return;
	}
	(void)history(past, &event, H_SETSIZE, HISTORY_LINES);
	(void)el_set(client->editor, EL_EDITOR, "emacs");
	(void)el_set(client->editor, EL_SIGNAL, 1);
	(void)el_set(client->editor, EL_PROMPT, prompt);
	(void)el_set(client->editor, EL_HIST, history, past);
	(void)el_set(client->editor, EL_CLIENTDATA, client);
	(void)el_set(client->editor, EL_GETCFN, get_character);
	(void)el_source(client->editor, NULL); /* the user's own key bindings, if there are any */
	read_lines(client, past);
	el_end(client->editor);
	history_end(past);
	client->editor = NULL;
	if (!client->is_server_over)
		(void)putchar('\n'); /* the cursor stands behind the prompt */
	end_input(client);
	run_filter(client);
}

/* --- start ---------------------------------------------------------------------------------- */

/* Connects to the first address that answers. Returns a descriptor, or -1 with errno set. */
static int
connect_to_one(const struct addrinfo *addresses)
{
	int error = 0;
	for (const struct addrinfo *at = addresses; at != NULL; at = at->ai_next) {
		int fd = socket(at->ai_family, at->ai_socktype, at->ai_protocol);
		if (fd >= 0 && connect(fd, at->ai_addr, at->ai_addrlen) == 0)
			return fd;
		error = errno;
		if (fd >= 0)
			(void)close(fd);
	}
	errno = error;
	return -1;
}

/* Returns a descriptor that does not block, or -1 when it has said why not. */
static int
connect_to(struct client *client, const char *host, const char *port)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *addresses;
	char text[512];
	int result = getaddrinfo(host, port, &hints, &addresses);
	if (result != 0) {
		(void)snprintf(text, sizeof(text), "no address for %s port %s", host, port);
		complain(client, text, gai_strerror(result));
		return -1;
	}
	int fd = connect_to_one(addresses);
	freeaddrinfo(addresses);
	if (fd < 0) {
		(void)snprintf(text, sizeof(text), "cannot connect to %s port %s", host, port);
		complain(client, text,
			 errno == ECONNREFUSED ? "Connection refused; is the server running?"
					       : strerror(errno));
		return -1;
	}
	(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); /* a fresh socket allows it */
	return fd;
}

int
main(int argc, char **argv)
{
	if (argc > 3 || (argc > 1 && argv[1][0] == '-')) {
		(void)fputs("usage: client [HOST [PORT]]\n"
			    "Sends each line of the input to a gate, prints each answer.\n"
			    "HOST is 127.0.0.1 and PORT 8888 when not given.\n",
			    stderr);
		return 2;
	}
	(void)setlocale(LC_CTYPE, "");
	(void)signal(SIGPIPE, SIG_IGN); /* the writes themselves tell */
	struct client client = {0};
	client.fd =
		connect_to(&client, argc > 1 ? argv[1] : "127.0.0.1", argc > 2 ? argv[2] : "8888");
	if (client.fd < 0)
		return 1;
	if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
		run_terminal(&client);
	else
		run_filter(&client);
	(void)close(client.fd);
	free(client.output.data);
	free(client.frame.data);
	free(client.line.data);
	return client.has_failed ? 1 : 0;
}
