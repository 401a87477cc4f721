/* report.c: what the gate says: to the log, to those who ask, and to its watchdog.
 *
 * Whatever a client can cause as often as it likes goes through gate_log, so that no client fills
 * the disk of the machine. */
#include "gate.h"
#include "packed.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The longest text of its own that the gate sends: an address (128 bytes) and some words. */
#define TEXT_BYTES 256

/* Opens a new second for log lines. Says how many were left out in the last one. */
static void
next_second(struct gate *gate, uint64_t second)
{
	if (gate->log_left_out > 0)
		skynet_error(gate->ctx, "[gate] %u more log lines were left out",
			     gate->log_left_out);
	gate->log_second = second;
	gate->log_lines = 0;
	gate->log_left_out = 0;
}

void
gate_log(struct gate *gate, const char *format, ...)
{
	uint64_t second = skynet_now() / 100;
	if (second != gate->log_second)
		next_second(gate, second);
	if (gate->log_lines == GATE_LOG_LINES_PER_SECOND) {
		gate->log_left_out++;
		return;
	}
	gate->log_lines++;
	char text[TEXT_BYTES];
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments); /* cut where too long */
	va_end(arguments);
	skynet_error(gate->ctx, "%s", text);
}

bool
gate_report(struct gate *gate, void *bytes, size_t size)
{
	if (gate->watchdog == 0) {
		skynet_free(bytes);
		return true;
	}
	if (skynet_send(gate->ctx, gate->source, gate->watchdog,
			gate->event_type | PTYPE_TAG_DONTCOPY, 0, bytes, size) >= 0)
		return true;
	if (!gate->is_watchdog_gone_told)
		skynet_error(gate->ctx, "[gate] Watchdog :%08x is gone, new connections are closed",
			     gate->watchdog);
	gate->is_watchdog_gone_told = true;
	return false;
}

/* Borrowed and copied: the cast is for the parameter that DONTCOPY shares. A requester that is gone
 * needs no answer. */
static void
send_answer(struct gate *gate, const struct gate_request *request, int type, const char *bytes,
	    size_t size)
{
	if (request->source != 0 && request->session != 0)
		(void)skynet_send(gate->ctx, 0, request->source, type, request->session,
				  (char *)bytes, size);
}

void
gate_answer(struct gate *gate, const struct gate_request *request, const char *text)
{
	char packed[GATE_PACKED_STRING_HEAD + TEXT_BYTES];
	size_t size = text != NULL ? strnlen(text, TEXT_BYTES) : 0;
	if (text != NULL && request->is_packed) {
		size = gate_packed_string(packed, text, size);
		text = packed;
	}
	send_answer(gate, request, PTYPE_RESPONSE, text, size);
}

void
gate_answer_error(struct gate *gate, const struct gate_request *request, const char *reason)
{
	char text[TEXT_BYTES]; /* as all errors: who, and why */
	(void)snprintf(text, sizeof text, "gate (:%08x): %s", skynet_current_handle(), reason);
	send_answer(gate, request, PTYPE_ERROR, text, strlen(text));
}
