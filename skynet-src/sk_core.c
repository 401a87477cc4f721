/* sk_core.c: the clock of a node, its log lines, and which node a thread works for. */
#include "sk_core.h"

#include "sk_clock.h"
#include "skynet.h"

#include <stdio.h>

_Thread_local struct sk_core *sk_this_core;

uint64_t
sk_core_now_ns(const struct sk_core *core)
{
	if (SK_UNLIKELY(core->simulation) && sk_this_worker)
		sk_virtual_clock_count(core->scheduler.hooks.clock);
	return sk_scheduler_now_ns(&core->scheduler);
}

uint64_t
sk_core_now_cs(const struct sk_core *core)
{
	return core->start_wall_cs + (sk_core_now_ns(core) - core->start_ns) / SK_NS_PER_CS;
}

uint64_t
skynet_now(void)
{
	return sk_this_core ? sk_core_now_cs(sk_this_core) : 0;
}

uint64_t
skynet_wall_ns(void)
{
	const struct sk_core *core = sk_this_core;
	if (SK_LIKELY(!core || !core->simulation))
		return sk_clock_wall_ns();
	return core->start_wall_s * SK_NS_PER_SECOND + sk_core_now_ns(core) - core->start_ns;
}

uint64_t
skynet_hpc(void)
{
	return sk_this_core ? sk_core_now_ns(sk_this_core) : sk_clock_ns();
}

void
sk_core_vlog(struct sk_core *core, uint32_t source, const char *format, va_list arguments)
{
	char first_try[256];
	va_list again;
	va_copy(again, arguments);
	int length = vsnprintf(first_try, sizeof first_try, format, arguments);
	if (length < 0) /* an encoding error in the format's arguments: log the format itself */
		length = snprintf(first_try, sizeof first_try, "%s", format);
	char *text = skynet_malloc((size_t)length + 1);
	if ((size_t)length < sizeof first_try)
		(void)snprintf(text, (size_t)length + 1, "%s", first_try);
	else
		(void)vsnprintf(text, (size_t)length + 1, format, again);
	va_end(again);
	core->log_sink(core, source, text, (size_t)length);
}

void
sk_core_log(struct sk_core *core, uint32_t source, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	sk_core_vlog(core, source, format, arguments);
	va_end(arguments);
}
