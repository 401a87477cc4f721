/* sk_tls_error.c: see sk_tls_error.h. */
#include "sk_tls_error.h"

#include <openssl/err.h>
#include <stdio.h>
#include <string.h>

void
sk_tls_clear_errors(void)
{
	if (ERR_peek_error() != 0)
		ERR_clear_error();
}

const char *
sk_tls_error_text(char *text, size_t text_size)
{
	unsigned long error = ERR_peek_error();
	if (ERR_SYSTEM_ERROR(error) && strerror_r(ERR_GET_REASON(error), text, text_size) == 0)
		return text;
	const char *reason = ERR_reason_error_string(error);
	(void)snprintf(text, text_size, "%s", reason ? reason : "unknown error of OpenSSL");
	return text;
}
