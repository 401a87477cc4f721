/* socket_probe.c: does with sockets what a test tells it, and tells the test what happens to them.
 *
 * Launched without parameter; logs "control on PORT". The first connection to that port controls
 * the probe: it sends commands, a line each, and gets events, a line each.
 *
 *   listen              opens a port of 127.0.0.1           -> listening ID PORT
 *   serve ID MODE       what to do with connections that listener ID accepts:
 *                         echo   start them, send back what comes, close them when the peer ends
 *                         sink   start them, tell of data
 *                         mute   tell of them, nothing more
 *   connect HOST PORT   -> connecting ID
 *   bind FD             -> bound ID
 *   start ID, pause ID, close ID, shutdown ID
 *   send ID COUNT       sends COUNT bytes, 64 KiB at a time -> sent ID RESULT (of the last piece)
 *   limit COUNT         lets the process have at most so many descriptors
 *   block MS            spends so long in the callback      -> blocked
 *   info                -> info ID TYPE WBUFFER NAME, for each socket, then: info end
 *   exit                ends the service
 *
 * Events of sockets: connect ID UD TEXT, data ID COUNT, close ID, accept ID NEW TEXT, error ID
 * TEXT, warning ID K. Sockets in mode echo tell of no data and no close. */
#include "skynet.h"
#include "skynet_socket.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define LINE_MAX_BYTES 256
#define PIECE_BYTES 65536
#define IDS_MAX 65536

enum mode { MODE_TELL, MODE_ECHO, MODE_SINK, MODE_MUTE };

struct socket_probe {
	struct skynet_context *ctx;
	int control_listener;
	int control;		     /* 0: nobody controls yet */
	unsigned char mode[IDS_MAX]; /* by id modulo IDS_MAX; of a listener: for what it accepts */
	char line[LINE_MAX_BYTES];   /* the beginning of a command */
	size_t line_size;
};

SKYNET_API void *socket_probe_create(void);
SKYNET_API void socket_probe_release(void *instance);
SKYNET_API int socket_probe_init(void *instance, struct skynet_context *ctx, const char *parm);

void *
socket_probe_create(void)
{
	return skynet_calloc(1, sizeof(struct socket_probe));
}

void
socket_probe_release(void *instance)
{
	skynet_free(instance);
}

static void tell(struct socket_probe *self, const char *format, ...) SKYNET_PRINTF(2, 3);

static void
tell(struct socket_probe *self, const char *format, ...)
{
	char text[LINE_MAX_BYTES];
	va_list arguments;
	va_start(arguments, format);
	int size = vsnprintf(text, sizeof text - 1, format, arguments);
	va_end(arguments);
	if (size > (int)sizeof text - 2)
		size = (int)sizeof text - 2;
	text[size++] = '\n';
	struct socket_sendbuffer buffer = {.id = self->control,
					   .type = SOCKET_BUFFER_RAWPOINTER,
					   .buffer = text,
					   .sz = (size_t)size};
	(void)skynet_socket_sendbuffer(self->ctx, &buffer); /* the test may be gone */
}

/* --- commands ------------------------------------------------------------------------------ */

static unsigned char *
mode_of(struct socket_probe *self, int id)
{
	return &self->mode[(unsigned)id % IDS_MAX];
}

static enum mode
mode_named(const char *name)
{
	if (strcmp(name, "echo") == 0)
		return MODE_ECHO;
	return strcmp(name, "sink") == 0 ? MODE_SINK : MODE_MUTE;
}

static int
send_bytes(struct socket_probe *self, int id, long count)
{
	int result = 0;
	for (long sent = 0; sent < count; sent += PIECE_BYTES) {
		long size = count - sent < PIECE_BYTES ? count - sent : PIECE_BYTES;
		char *bytes = skynet_malloc((size_t)size);
		for (long i = 0; i < size; i++)
			bytes[i] = (char)((sent + i) % 251);
		result = skynet_socket_send(self->ctx, id, bytes, (int)size);
	}
	return result;
}

static void
limit_descriptors(long count)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = (rlim_t)count;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static void
block(long ms)
{
	struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	while (nanosleep(&time, &time) != 0)
		;
}

static void
tell_info(struct socket_probe *self)
{
	struct socket_info *list = skynet_socket_info();
	for (struct socket_info *info = list; info; info = info->next)
		tell(self, "info %d %d %lld %s", info->id, info->type, (long long)info->wbuffer,
		     info->name);
	socket_info_release(list);
	tell(self, "info end");
}

/* Commands with an id in front. Returns 0 if there is no such command. */
static int
command_on(struct socket_probe *self, const char *verb, int id, const char *rest)
{
	if (strcmp(verb, "serve") == 0)
		*mode_of(self, id) = (unsigned char)mode_named(rest);
	else if (strcmp(verb, "start") == 0)
		skynet_socket_start(self->ctx, id);
	else if (strcmp(verb, "pause") == 0)
		skynet_socket_pause(self->ctx, id);
	else if (strcmp(verb, "close") == 0)
		skynet_socket_close(self->ctx, id);
	else if (strcmp(verb, "shutdown") == 0)
		skynet_socket_shutdown(self->ctx, id);
	else if (strcmp(verb, "bind") == 0)
		tell(self, "bound %d", skynet_socket_bind(self->ctx, id));
	else if (strcmp(verb, "send") == 0)
		tell(self, "sent %d %d", id, send_bytes(self, id, strtol(rest, NULL, 10)));
	else
		return 0;
	return 1;
}

static void
command(struct socket_probe *self, char *line)
{
	char *verb = line;
	char *first = verb + strcspn(verb, " ");
	if (*first)
		*first++ = '\0';
	char *rest = first + strcspn(first, " ");
	if (*rest)
		*rest++ = '\0';
	long number = strtol(first, NULL, 10);
	if (strcmp(verb, "listen") == 0)
		*mode_of(self, skynet_socket_listen(self->ctx, "127.0.0.1", 0, 32)) = MODE_MUTE;
	else if (strcmp(verb, "connect") == 0)
		tell(self, "connecting %d",
		     skynet_socket_connect(self->ctx, first, (int)strtol(rest, NULL, 10)));
	else if (strcmp(verb, "limit") == 0)
		limit_descriptors(number);
	else if (strcmp(verb, "info") == 0)
		tell_info(self);
	else if (strcmp(verb, "exit") == 0)
		(void)skynet_command(self->ctx, "EXIT", NULL);
	else if (strcmp(verb, "block") == 0) {
		block(number);
		tell(self, "blocked");
	} else if (!command_on(self, verb, (int)number, rest))
		tell(self, "unknown command %s", verb);
}

static void
on_control(struct socket_probe *self, const char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (bytes[i] != '\n' && self->line_size < sizeof self->line - 1) {
			self->line[self->line_size++] = bytes[i];
			continue;
		}
		self->line[self->line_size] = '\0';
		self->line_size = 0;
		command(self, self->line);
	}
}

/* --- events -------------------------------------------------------------------------------- */

static void
on_data(struct socket_probe *self, const struct skynet_socket_message *event)
{
	if (event->id == self->control) {
		on_control(self, event->buffer, (size_t)event->ud);
		skynet_free(event->buffer);
	} else if (*mode_of(self, event->id) == MODE_ECHO) {
		(void)skynet_socket_send(self->ctx, event->id, event->buffer, event->ud);
	} else {
		skynet_free(event->buffer);
		tell(self, "data %d %d", event->id, event->ud);
	}
}

static void
on_accept(struct socket_probe *self, const struct skynet_socket_message *event, const char *text)
{
	if (event->id == self->control_listener) {
		self->control = event->ud;
		*mode_of(self, event->ud) = MODE_TELL;
		skynet_socket_start(self->ctx, event->ud);
		return;
	}
	enum mode mode = *mode_of(self, event->id);
	*mode_of(self, event->ud) = (unsigned char)mode;
	if (mode != MODE_MUTE)
		skynet_socket_start(self->ctx, event->ud);
	if (mode != MODE_ECHO)
		tell(self, "accept %d %d %s", event->id, event->ud, text);
}

static void
on_connect(struct socket_probe *self, const struct skynet_socket_message *event, const char *text)
{
	if (event->id == self->control_listener && event->ud != 0) {
		skynet_error(self->ctx, "control on %d", event->ud);
		skynet_socket_start(self->ctx, event->id);
	} else if (event->ud != 0) {
		tell(self, "listening %d %d", event->id, event->ud);
		skynet_socket_start(self->ctx, event->id);
	} else if (event->id != self->control && *mode_of(self, event->id) != MODE_ECHO) {
		tell(self, "connect %d %d %s", event->id, event->ud, text);
	}
}

static void
on_end(struct socket_probe *self, const struct skynet_socket_message *event, const char *text)
{
	enum mode mode = *mode_of(self, event->id);
	if (event->id == self->control)
		skynet_socket_close(self->ctx, event->id);
	else if (event->type == SKYNET_SOCKET_TYPE_ERROR)
		tell(self, "error %d %s", event->id, text);
	else if (mode == MODE_ECHO)
		skynet_socket_close(self->ctx, event->id);
	else
		tell(self, "close %d", event->id);
}

static int
callback(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
	 const void *msg, size_t sz)
{
	struct socket_probe *self = ud;
	const struct skynet_socket_message *event = msg;
	char text[129] = "";
	(void)ctx;
	(void)session;
	(void)source;
	if (type != PTYPE_SOCKET)
		return SKYNET_DONE;
	memcpy(text, event + 1, sz - sizeof *event);
	switch (event->type) {
	case SKYNET_SOCKET_TYPE_DATA:
		on_data(self, event);
		break;
	case SKYNET_SOCKET_TYPE_ACCEPT:
		on_accept(self, event, text);
		break;
	case SKYNET_SOCKET_TYPE_CONNECT:
		on_connect(self, event, text);
		break;
	case SKYNET_SOCKET_TYPE_CLOSE:
	case SKYNET_SOCKET_TYPE_ERROR:
		on_end(self, event, text);
		break;
	case SKYNET_SOCKET_TYPE_WARNING:
		tell(self, "warning %d %d", event->id, event->ud);
		break;
	}
	return SKYNET_DONE;
}

int
socket_probe_init(void *instance, struct skynet_context *ctx, const char *parm)
{
	struct socket_probe *self = instance;
	(void)parm;
	self->ctx = ctx;
	skynet_callback(ctx, self, callback);
	self->control_listener = skynet_socket_listen(ctx, "127.0.0.1", 0, 1);
	return self->control_listener > 0 ? 0 : -1;
}
