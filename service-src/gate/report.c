/* report.c: what the gate says: to the log, to those who ask, and to its watchdog.
 *
 * Whatever a client can cause as often as it likes goes through gate_log, so that no client fills
 * the disk of the machine. */
#include "gate.h"

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
gate_report(struct gate *gate, const char *format, ...)
{
	if (gate->watchdog == 0)
		return true;
	char text[TEXT_BYTES];
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (skynet_send(gate->ctx, 0, gate->watchdog, PTYPE_TEXT, 0, text, strlen(text)) >= 0)
		return true;
	if (!gate->is_watchdog_gone_told)
		skynet_error(gate->ctx, "[gate] Watchdog :%08x is gone, new connections are closed",
			     gate->watchdog);
	gate->is_watchdog_gone_told = true;
	return false;
}

void
gate_answer(struct gate *gate, uint32_t requester, int session, int type, const char *text)
{
	if (requester == 0 || session == 0)
		return;
	char error[TEXT_BYTES];
	if (type == PTYPE_ERROR) { /* as all errors: who, and why */
		(void)snprintf(error, sizeof error, "gate (:%08x): %s", skynet_current_handle(),
			       text);
		text = error;
	}
	/* Borrowed and copied: the cast is for the parameter that DONTCOPY shares. A requester that
	 * is gone needs no answer. */
	(void)skynet_send(gate->ctx, 0, requester, type, session, (char *)text,
			  text != NULL ? strlen(text) : 0);
}
