/* sk_hosts.h: names that need no network: those of the hosts file, and localhost.
 *
 * Reads a local file, so it may be called where nobody may wait for a name server; other names are
 * for sk_resolver.
 * Threads    [any]
 */
#ifndef SK_HOSTS_H
#define SK_HOSTS_H

#include "sk_socket_address.h"

/* Stores up to max addresses of a number or a name, all with that port, in the order of the file.
 * A name is compared without regard to case. path: of the hosts file; NULL: the system's. Returns
 * how many; 0: the name is not known here. */
int sk_hosts_find(const char *path, const char *host, int port, struct sk_address *addresses,
		  int max);

/* Finds the address to bind. host NULL or "": all IPv4 addresses. A name must be in the hosts file,
 * or localhost. Returns 0, or SK_EINVAL with one line in error.  [no lock held] */
SK_MUST_CHECK int sk_hosts_find_local(struct sk_address *address, const char *host, int port,
				      char *error, size_t error_size);

#endif
