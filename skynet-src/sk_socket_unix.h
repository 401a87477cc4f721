/* sk_socket_unix.h: Unix-domain sockets: their names, and the files that stand for them.
 *
 * Model      Where a host is given, "unix:/path" means a socket in the file system, "unix:@name"
 *            one in Linux' abstract name space, which has no file. A stream or listener whose
 *            address has kind NONE is such a socket; unix_name tells its name, or the peer's, if
 *            it has one.
 * Threads    [any]; where a function takes a socket: [locked s->lock].
 */
#ifndef SK_SOCKET_UNIX_H
#define SK_SOCKET_UNIX_H

#include "sk_socket_table.h"

/* One malloc-ed block. */
struct sk_socket_unix;

/* Whether a host means a Unix-domain socket. host: may be NULL. */
bool sk_socket_unix_is_host(const char *host);

/* Reads such a host. Returns NULL, with one line in error, if the path is empty or too long. To be
 * freed with sk_socket_unix_free. */
struct sk_socket_unix *sk_socket_unix_new(const char *host, char error[SK_SOCKET_LINE_SIZE]);
/* Removes the file first, if it is still the one that was made by listening. NULL: does nothing. */
void sk_socket_unix_free(struct sk_socket_unix *name);

/* The host again. */
const char *sk_socket_unix_host(const struct sk_socket_unix *name);
socklen_t sk_socket_unix_to_system(const struct sk_socket_unix *name,
				   union sk_address_system *system);

/* Opens a descriptor that listens. The file of a listener that is gone is replaced; one that still
 * answers is not. Returns -1 with errno set when it cannot. */
int sk_socket_unix_listen(struct sk_socket_unix *name);

/* Writes the host of what accept told; "unix:" if that has no name. */
void sk_socket_unix_print(const union sk_address_system *system, socklen_t size,
			  char text[SK_SOCKET_TEXT_MAX]);

#endif
