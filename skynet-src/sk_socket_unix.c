/* sk_socket_unix.c: see sk_socket_unix.h.
 *
 * A listener makes a file, which stays when the process dies, and then stands in the way of the
 * next one. Whether it is such a left-over tells an attempt to connect: nobody answers. Two
 * processes that do this at the same moment may replace one another's file, as if the later had
 * been started a moment later still; a lock would be one file more to be left over.
 * At the end the file is removed only if it is still the same one, not a successor's. */
#include "sk_socket_unix.h"

#include "skynet.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const char prefix[] = "unix:";
#define PREFIX_LENGTH (sizeof prefix - 1)
/* How the first byte, 0, of an abstract name is written. */
#define ABSTRACT '@'

struct sk_socket_unix {
	struct sockaddr_un system;
	socklen_t system_size;
	/* Of the file that was made by listening. */
	bool has_file;
	dev_t device;
	ino_t inode;
	char host[]; /* as it was given */
};

bool
sk_socket_unix_is_host(const char *host)
{
	return host && strncmp(host, prefix, PREFIX_LENGTH) == 0;
}

struct sk_socket_unix *
sk_socket_unix_new(const char *host, char error[SK_SOCKET_LINE_SIZE])
{
	const char *path = host + PREFIX_LENGTH;
	size_t length = strlen(path);
	struct sockaddr_un system = {.sun_family = AF_UNIX};
	bool is_abstract = path[0] == ABSTRACT;
	if (length < (is_abstract ? 2 : 1) || length >= sizeof system.sun_path) {
		(void)snprintf(error, SK_SOCKET_LINE_SIZE,
			       "socket: %.200s: the path of a Unix-domain socket has from 1 to %zu "
			       "bytes, not %zu",
			       host, sizeof system.sun_path - 1, length - is_abstract);
		return NULL;
	}
	size_t host_size = PREFIX_LENGTH + length + 1;
	struct sk_socket_unix *name = skynet_calloc(1, sizeof *name + host_size);
	memcpy(name->host, host, host_size);
	memcpy(system.sun_path, path, length);
	if (is_abstract)
		system.sun_path[0] = '\0';
	name->system = system;
	/* An abstract name ends with the address; a path has its NUL. */
	name->system_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length +
					(is_abstract ? 0 : 1));
	return name;
}

static bool
is_same_file(const struct sk_socket_unix *name)
{
	struct stat file;
	return lstat(name->system.sun_path, &file) == 0 && file.st_dev == name->device &&
	       file.st_ino == name->inode;
}

void
sk_socket_unix_free(struct sk_socket_unix *name)
{
	if (!name)
		return;
	/* May fail: somebody else may have removed it meanwhile. */
	if (name->has_file && is_same_file(name))
		(void)unlink(name->system.sun_path);
	skynet_free(name);
}

const char *
sk_socket_unix_host(const struct sk_socket_unix *name)
{
	return name->host;
}

socklen_t
sk_socket_unix_to_system(const struct sk_socket_unix *name, union sk_address_system *system)
{
	system->unix_domain = name->system;
	return name->system_size;
}

/* --- listening ----------------------------------------------------------------------------- */

static int
open_stream(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* Whether the file is one that a listener has left behind. */
static bool
is_left_over(const struct sk_socket_unix *name)
{
	struct stat file;
	if (name->system.sun_path[0] == '\0' || lstat(name->system.sun_path, &file) < 0 ||
	    !S_ISSOCK(file.st_mode))
		return false;
	int fd = open_stream();
	if (fd < 0)
		return false;
	bool is_refused =
		connect(fd, (const struct sockaddr *)&name->system, name->system_size) < 0 &&
		errno == ECONNREFUSED;
	(void)close(fd);
	return is_refused;
}

/* Returns 0, or -1 with errno set. */
static int
bind_name(const struct sk_socket_unix *name, int fd)
{
	const struct sockaddr *system = (const struct sockaddr *)&name->system;
	if (bind(fd, system, name->system_size) == 0)
		return 0;
	int error = errno;
	if (error == EADDRINUSE && is_left_over(name) && unlink(name->system.sun_path) == 0)
		return bind(fd, system, name->system_size);
	errno = error;
	return -1;
}

/* Notes which file is ours. */
static void
note_file(struct sk_socket_unix *name)
{
	struct stat file;
	if (name->system.sun_path[0] == '\0' || lstat(name->system.sun_path, &file) < 0)
		return;
	name->has_file = true;
	name->device = file.st_dev;
	name->inode = file.st_ino;
}

int
sk_socket_unix_listen(struct sk_socket_unix *name)
{
	int fd = open_stream();
	if (fd < 0)
		return -1;
	if (bind_name(name, fd) == 0) {
		note_file(name);
		if (listen(fd, INT_MAX) == 0) /* the kernel cuts it to what it allows */
			return fd;
	}
	int error = errno;
	(void)close(fd);
	errno = error;
	return -1;
}

/* --- peers --------------------------------------------------------------------------------- */

void
sk_socket_unix_print(const union sk_address_system *system, socklen_t size,
		     char text[SK_SOCKET_TEXT_MAX])
{
	const char *path = system->unix_domain.sun_path;
	size_t start = offsetof(struct sockaddr_un, sun_path);
	size_t length = size > start ? size - start : 0;
	bool is_abstract = length > 0 && path[0] == '\0';
	if (is_abstract)
		(void)snprintf(text, SK_SOCKET_TEXT_MAX, "%s%c%.*s", prefix, ABSTRACT,
			       (int)length - 1, path + 1);
	else
		(void)snprintf(text, SK_SOCKET_TEXT_MAX, "%s%.*s", prefix, (int)length, path);
}
