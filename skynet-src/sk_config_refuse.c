/* sk_config_refuse.c: how a bad setting is told. */
#include "sk_config_parts.h"

#include "skynet.h"

#include <stdarg.h>

int
sk_config_refuse(const struct sk_config_loading *l, const struct sk_setting *setting,
		 const char *format, ...)
{
	int length =
		snprintf(l->error, l->error_size, "%skey '%s': ", setting->where, setting->key);
	if (length < 0 || (size_t)length >= l->error_size)
		return SK_EINVAL;
	va_list args;
	va_start(args, format);
	(void)vsnprintf(l->error + length, l->error_size - (size_t)length, format, args);
	va_end(args);
	return SK_EINVAL;
}
