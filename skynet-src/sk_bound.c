/* sk_bound.c: see sk_bound.h. */
#include "sk_bound.h"

#include "sk_clock.h"

#include <string.h>

int
sk_bound_policy(const char *name)
{
	static const char *const names[] = {
		[SKYNET_FULL_ERROR] = "error",
		[SKYNET_FULL_DROP] = "drop",
		[SKYNET_FULL_BLOCK] = "block",
	};
	for (int i = 0; i < (int)(sizeof names / sizeof *names); i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return SK_EINVAL;
}

void
sk_overload_set(struct sk_overload *overload, uint32_t first_mark)
{
	overload->first_mark = first_mark;
	overload->next_mark = first_mark ? first_mark : UINT32_MAX;
}

bool
sk_overload_begins(struct sk_overload *overload, uint32_t length, uint64_t now_ticks)
{
	if (SK_LIKELY(length <= overload->next_mark))
		return false;
	while (length > overload->next_mark && overload->next_mark < UINT32_MAX / 2)
		overload->next_mark *= 2;
	overload->told_ticks = now_ticks;
	return true;
}

void
sk_overload_ends(struct sk_overload *overload, uint32_t length, uint64_t now_ticks)
{
	if (SK_LIKELY(overload->next_mark == overload->first_mark) || length > 0 ||
	    sk_clock_ticks_to_ns(now_ticks - overload->told_ticks) < SK_NS_PER_SECOND)
		return;
	sk_overload_set(overload, overload->first_mark);
}
