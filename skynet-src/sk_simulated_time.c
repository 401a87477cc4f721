/* sk_simulated_time.c: the C library's time(), so that libraries see virtual time too.
 *
 * Lua seeds the hash of its strings, and so the order in which pairs() walks a table, from time()
 * and some addresses; os.time and os.date call it as well. In a thread of a simulated node this one
 * tells the node's time, which follows from the seed; everywhere else it tells what the system's
 * does. It takes the place of the C library's where the dynamic linker looks at the executable
 * first, as on Linux. */
#include "sk_clock.h"
#include "skynet.h"

#include <time.h>

SKYNET_API time_t time(time_t *result);

time_t
time(time_t *result)
{
	time_t seconds = (time_t)(skynet_wall_ns() / SK_NS_PER_SECOND);
	if (result)
		*result = seconds;
	return seconds;
}
