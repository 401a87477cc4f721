/* sk_tls_error.c: see sk_tls_error.h. */
#include "sk_tls_error.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>

void
sk_tls_clear_errors(void)
{
	if (ERR_peek_error() != 0)
		ERR_clear_error();
}

/* What OpenSSL's words leave open: who has said it, and what mostly is behind it. */
static const char *
explanation(unsigned long error)
{
	if (ERR_GET_LIB(error) != ERR_LIB_SSL)
		return "";
	if (ERR_GET_REASON(error) >= SSL_AD_REASON_OFFSET)
		return " (the peer says so)"; /* by an alert */
	if (ERR_GET_REASON(error) == SSL_R_WRONG_VERSION_NUMBER)
		return " (the peer does not speak TLS)";
	return "";
}

const char *
sk_tls_error_text(char *text, size_t text_size)
{
	unsigned long error = ERR_peek_error();
	if (ERR_SYSTEM_ERROR(error) && strerror_r(ERR_GET_REASON(error), text, text_size) == 0)
		return text;
	const char *reason = ERR_reason_error_string(error);
	(void)snprintf(text, text_size, "%s%s", reason ? reason : "unknown error of OpenSSL",
		       explanation(error));
	return text;
}
