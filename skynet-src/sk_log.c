/* sk_log.c: skynet_error, and where log lines go. */
#include "sk_log.h"

#include "sk_service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
log_online(struct sk_core *core, uint32_t source, char *text, size_t size)
{
	/* The name comes first: whoever takes ".logger" gets the lines. */
	uint32_t logger = sk_names_find(&core->names, "logger", strlen("logger"));
	if (logger == 0)
		logger = atomic_load(&core->logger);
	struct skynet_context *service = sk_registry_find(&core->registry, logger);
	if (!service) {
		(void)fprintf(stderr, "[:%08x] %.*s\n", source, (int)size, text);
		free(text);
		return;
	}
	(void)sk_post(core, logger,
		      sk_message_new(SK_MESSAGE_PLAIN, PTYPE_TEXT, source, 0, text, size));
}

/* From a thread that a module has made, and that is not among the readers (sk_quiesce.h) yet. */
static void
log_as_visitor(struct sk_core *core, uint32_t source, char *text, size_t size)
{
	int slot = sk_quiesce_join(&core->quiesce);
	if (slot < 0) {
		(void)fprintf(stderr, "[:%08x] %.*s\n", source, (int)size, text);
		free(text);
		return;
	}
	log_online(core, source, text, size);
	sk_quiesce_leave(&core->quiesce, slot);
}

void
sk_log_line(struct sk_core *core, uint32_t source, char *text, size_t size)
{
	if (sk_this_core == core)
		log_online(core, source, text, size);
	else
		log_as_visitor(core, source, text, size);
}

/* The line that "%*s" stands for: bytes that are not a C string. */
static void
log_raw(struct sk_core *core, uint32_t source, va_list arguments)
{
	int size = va_arg(arguments, int);
	const char *bytes = va_arg(arguments, const char *);
	if (size < 0 || !bytes)
		size = 0;
	if (!core) {
		(void)fwrite(bytes ? bytes : "", 1, (size_t)size, stderr);
		(void)fputc('\n', stderr);
		return;
	}
	char *text = skynet_malloc((size_t)size + 1);
	if (size > 0)
		memcpy(text, bytes, (size_t)size);
	text[size] = '\0';
	core->log_sink(core, source, text, (size_t)size);
}

void
skynet_error(struct skynet_context *ctx, const char *format, ...)
{
	struct sk_core *core = ctx ? ctx->core : sk_this_core;
	uint32_t source = ctx ? ctx->handle : 0;
	va_list arguments;
	va_start(arguments, format);
	if (strcmp(format, "%*s") == 0) {
		log_raw(core, source, arguments);
	} else if (!core) {
		(void)vfprintf(stderr, format, arguments);
		(void)fputc('\n', stderr);
	} else {
		sk_core_vlog(core, source, format, arguments);
	}
	va_end(arguments);
}
