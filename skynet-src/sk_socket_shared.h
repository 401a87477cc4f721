/* sk_socket_shared.h: bytes that several sockets send without a copy each.
 *
 * Model      A block with a counter of references. Its bytes never change, so any thread may read
 *            them; the last reference that goes frees it.
 * Threads    [any]
 * Memory     skynet_socket_share (skynet_socket.h) makes one with one reference.
 */
#ifndef SK_SOCKET_SHARED_H
#define SK_SOCKET_SHARED_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct skynet_socket_shared {
	_Atomic uint32_t references;
	/* Constant. */
	size_t size;
	char bytes[];
};

/* Adds a reference, to be given back with skynet_socket_unshare. Returns shared. */
struct skynet_socket_shared *sk_socket_shared_ref(struct skynet_socket_shared *shared);

#endif
