/* sk_tls_error.h: what OpenSSL notes when something fails.
 *
 * Threads    [any]; the notes are those of the calling thread.
 */
#ifndef SK_TLS_ERROR_H
#define SK_TLS_ERROR_H

#include <stddef.h>

/* The first thing in OpenSSL's queue of this thread, in words. Valid as long as text. */
const char *sk_tls_error_text(char *text, size_t text_size);
/* Empties that queue, which belongs to the thread and not to a connection: what one has left there
 * must not be taken for an error of the next. */
void sk_tls_clear_errors(void);

#endif
