/* sk_record.c: writes messages as lines of text: where from, type, session, when, and the bytes in
 * hex. A socket message shows its fields and text instead of the pointer inside. */
#include "sk_record.h"

#include "skynet.h"
#include "skynet_socket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct sk_record {
	struct sk_core *core;
	uint32_t handle;
	FILE *file;
	struct sk_retired retired;
};

struct sk_record *
sk_record_open(struct sk_core *core, uint32_t source, uint32_t handle)
{
	const char *folder = sk_env_get(core->env, "logpath");
	char path[1024];
	if (!folder)
		return NULL;
	(void)snprintf(path, sizeof path, "%s/%08x.log", folder, handle);
	FILE *file = fopen(path, "ae");
	if (!file) {
		sk_core_log(core, source, "Open log file %s fail: %s", path, strerror(errno));
		return NULL;
	}
	sk_core_log(core, source, "Open log file %s", path);
	time_t now = (time_t)(core->start_wall_s + sk_core_now_cs(core) / 100);
	char date[32];
	(void)fprintf(file, "open time: %u %s", (unsigned)sk_core_now_cs(core),
		      ctime_r(&now, date) ? date : "\n");
	(void)fflush(file);
	struct sk_record *record = skynet_malloc(sizeof *record);
	*record = (struct sk_record){.core = core, .handle = handle, .file = file};
	return record;
}

static void
finish(struct sk_retired *retired)
{
	struct sk_record *record = SK_CONTAINER_OF(retired, struct sk_record, retired);
	(void)fprintf(record->file, "close time: %u\n", (unsigned)sk_core_now_cs(record->core));
	(void)fclose(record->file);
	free(record);
}

void
sk_record_close(struct sk_core *core, uint32_t source, struct sk_record *record)
{
	if (!record)
		return;
	sk_core_log(core, source, "Close log file :%08x", record->handle);
	sk_quiesce_retire(&core->quiesce, &record->retired, finish);
}

static void
write_hex(FILE *file, const unsigned char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		(void)fprintf(file, "%02x", bytes[i]);
}

static void
write_socket(FILE *file, const struct skynet_socket_message *message, size_t size)
{
	(void)fprintf(file, "[socket] %d %d %d ", message->type, message->id, message->ud);
	if (message->buffer)
		write_hex(file, (const unsigned char *)message->buffer,
			  message->ud > 0 ? (size_t)message->ud : 0);
	else
		(void)fprintf(file, "[%.*s]", (int)(size - sizeof *message),
			      (const char *)(message + 1));
}

void
sk_record_message(struct sk_record *record, const struct sk_core *core,
		  const struct sk_message *message)
{
	FILE *file = record->file;
	if (message->type == PTYPE_SOCKET && message->source == 0 && message->data) {
		write_socket(file, message->data, message->size);
	} else {
		(void)fprintf(file, ":%08x %d %d %u ", message->source, (int)message->type,
			      (int)message->session, (unsigned)sk_core_now_cs(core));
		write_hex(file, message->data, message->size);
	}
	(void)fputc('\n', file);
	(void)fflush(file);
}
