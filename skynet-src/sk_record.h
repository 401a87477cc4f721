/* sk_record.h: recording of the messages that one service gets, in a file below config `logpath`.
 *
 * Threads    open and close: [any, online]; message: [turn] of the recorded service.
 */
#ifndef SK_RECORD_H
#define SK_RECORD_H

#include "sk_core.h"
#include "sk_message.h"

#include <stdint.h>

struct sk_record;

/* Opens LOGPATH/HANDLE.log for append. Returns NULL, and logs why as a line of service `source`,
 * when it cannot; also when no logpath is configured (then silently). */
struct sk_record *sk_record_open(struct sk_core *core, uint32_t source, uint32_t handle);
/* Ends a recording that new turns cannot find any more: the file is closed once no running turn can
 * be writing to it. record: taken; NULL is ignored. */
void sk_record_close(struct sk_core *core, uint32_t source, struct sk_record *record);
/* Appends one message. */
void sk_record_message(struct sk_record *record, const struct sk_core *core,
		       const struct sk_message *message);

#endif
