/* sk_socket_shared.c: see sk_socket_shared.h. */
#include "sk_socket_shared.h"

#include "skynet_socket.h"

#include <string.h>

struct skynet_socket_shared *
skynet_socket_share(const void *bytes, size_t size)
{
	struct skynet_socket_shared *shared = skynet_malloc(sizeof *shared + size);
	atomic_init(&shared->references, 1);
	shared->size = size;
	if (size > 0)
		memcpy(shared->bytes, bytes, size);
	return shared;
}

struct skynet_socket_shared *
sk_socket_shared_ref(struct skynet_socket_shared *shared)
{
	/* Relaxed: who adds one has one, so the block stays in any case. */
	atomic_fetch_add_explicit(&shared->references, 1, memory_order_relaxed);
	return shared;
}

void
skynet_socket_unshare(struct skynet_socket_shared *shared)
{
	if (!shared)
		return;
	/* Release: what others did with the bytes is over before they are freed; it pairs with the
	 * acquire of the last one, who frees them. */
	if (atomic_fetch_sub_explicit(&shared->references, 1, memory_order_acq_rel) == 1)
		skynet_free(shared);
}
