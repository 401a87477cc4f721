/* sk_log.h: the way of a log line to the log service.
 *
 * Threads    [any, online]
 */
#ifndef SK_LOG_H
#define SK_LOG_H

#include "sk_core.h"

#include <stddef.h>
#include <stdint.h>

/* The core's log_sink: posts the line to the log service, or writes it to stderr when there is
 * none. text: taken. */
void sk_log_line(struct sk_core *core, uint32_t source, char *text, size_t size);

#endif
