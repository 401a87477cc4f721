/* sk_socket_total.c: see sk_socket_total.h. */
#include "sk_socket_total.h"

/* A socket with less than this is not what fills the memory: 1 MiB, the first warning. */
#define LARGE_BYTES ((size_t)1 << 20)

void
sk_socket_total_follow(struct sk_sockets *sockets, struct sk_socket *s)
{
	size_t steps = sk_socket_waiting_bytes(s) / SK_SOCKET_TOTAL_STEP;
	if (SK_LIKELY(steps == s->summed_steps))
		return;
	if (steps > UINT32_MAX)
		steps = UINT32_MAX;
	/* Relaxed: whoever looks may be a little late. */
	atomic_fetch_add_explicit(&sockets->waiting_steps, (int64_t)steps - s->summed_steps,
				  memory_order_relaxed);
	s->summed_steps = (uint32_t)steps;
}

bool
sk_socket_total_is_over(const struct sk_sockets *sockets, const struct sk_socket *s)
{
	if (sockets->output_total_bytes == 0 || sk_socket_waiting_bytes(s) < LARGE_BYTES)
		return false;
	int64_t steps = atomic_load_explicit(&sockets->waiting_steps, memory_order_relaxed);
	return steps > (int64_t)(sockets->output_total_bytes / SK_SOCKET_TOTAL_STEP);
}
