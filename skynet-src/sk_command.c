/* sk_command.c: skynet_command: the framework's functions as words of text.
 *
 * One table, exact match, one function a command. A command returns NULL where it has no result, or
 * where it failed; what went wrong is a line in the log.
 */
#include "sk_clock.h"
#include "sk_groups.h"
#include "sk_memory.h"
#include "sk_record.h"
#include "sk_service.h"
#include "sk_waiting.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *result(struct skynet_context *ctx, const char *format, ...) SK_PRINTF(2, 3);

static const char *
result(struct skynet_context *ctx, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(ctx->result, sizeof ctx->result, format, arguments);
	va_end(arguments);
	return ctx->result;
}

/* Resolves ":hex" or ".name"; 0, and a line in the log, for anything else or an unknown name. */
static uint32_t
to_handle(struct skynet_context *ctx, const char *address)
{
	if (address && (address[0] == ':' || address[0] == '.'))
		return sk_service_resolve(ctx->core, address);
	skynet_error(ctx, "error: Can't convert %s to handle", address ? address : "nothing");
	return 0;
}

static const char *
command_timeout(struct skynet_context *ctx, const char *parm)
{
	long delay_cs = parm ? strtol(parm, NULL, 10) : 0;
	if (delay_cs > INT_MAX)
		delay_cs = INT_MAX;
	return result(ctx, "%d", skynet_timeout(ctx, (int64_t)delay_cs * 10, NULL));
}

static const char *
command_reg(struct skynet_context *ctx, const char *parm)
{
	if (!parm || parm[0] == '\0')
		return result(ctx, ":%x", ctx->handle);
	if (parm[0] != '.') {
		skynet_error(ctx, "error: Can't register global name %s in C", parm);
		return NULL;
	}
	struct sk_core *core = ctx->core;
	const char *name = sk_names_add(&core->names, parm + 1, ctx->handle);
	/* Killed meanwhile: its names are forgotten already, so this one has to go too. */
	if (name && !sk_registry_find(&core->registry, ctx->handle)) {
		sk_names_remove(&core->names, ctx->handle);
		return NULL;
	}
	return name;
}

static const char *
command_query(struct skynet_context *ctx, const char *parm)
{
	uint32_t handle = parm && parm[0] == '.' ? sk_service_resolve(ctx->core, parm) : 0;
	return handle ? result(ctx, ":%x", handle) : NULL;
}

static const char *
command_name(struct skynet_context *ctx, const char *parm)
{
	size_t length = parm ? strcspn(parm, " ") : 0;
	if (length == 0 || parm[length] == '\0' || parm[length + 1] != ':')
		return NULL;
	uint32_t handle = (uint32_t)strtoul(parm + length + 2, NULL, 16);
	if (handle == 0)
		return NULL;
	char *name = skynet_strdup(parm);
	const char *stored = NULL;
	name[length] = '\0';
	if (name[0] == '.')
		stored = sk_names_add(&ctx->core->names, name + 1, handle);
	else
		skynet_error(ctx, "error: Can't set global name %s in C", name);
	free(name);
	return stored;
}

/* Gives a global name to a handle. On a node of a network a name that is taken changes its owner,
 * who may live on another node; handle 0 takes the name away. */
static const char *
set_global_name(struct skynet_context *ctx, const char *name, uint32_t handle)
{
	struct sk_core *core = ctx->core;
	bool has_network = core->registry.node_bits != 0;
	if (has_network && strlen(name) > SK_GLOBAL_NAME_MAX) {
		skynet_error(ctx, "error: global name %s is longer than %d bytes", name,
			     SK_GLOBAL_NAME_MAX);
		return NULL;
	}
	if (handle == 0) {
		if (has_network)
			(void)sk_names_forget(&core->global_names, name);
		return NULL;
	}
	const char *stored = sk_waiting_name(core, name, handle, has_network);
	/* Dead meanwhile: its names are forgotten already, so this one has to go too. */
	if (stored && !sk_registry_is_remote(&core->registry, handle) &&
	    !sk_registry_find(&core->registry, handle)) {
		sk_names_remove(&core->global_names, handle);
		stored = NULL;
	}
	return stored;
}

static const char *
command_globalname(struct skynet_context *ctx, const char *parm)
{
	struct sk_core *core = ctx->core;
	size_t length = parm ? strcspn(parm, " ") : 0;
	if (length == 0 || parm[0] == '.' || parm[0] == ':')
		return NULL;
	if (parm[length] == '\0') { /* who has it? */
		uint32_t owner = sk_service_resolve(core, parm);
		return owner ? result(ctx, ":%x", owner) : NULL;
	}
	if (parm[length + 1] != ':')
		return NULL;
	uint32_t handle = (uint32_t)strtoul(parm + length + 2, NULL, 16);
	char *name = skynet_strdup(parm);
	name[length] = '\0';
	const char *stored = set_global_name(ctx, name, handle);
	free(name);
	return stored;
}

/* The number that the last service got, ":HEX"; or the next one is to be higher than parm's. */
static const char *
command_lasthandle(struct skynet_context *ctx, const char *parm)
{
	struct sk_registry *registry = &ctx->core->registry;
	if (!parm || parm[0] == '\0')
		return result(ctx, ":%" PRIx32, sk_registry_last_number(registry));
	char *end;
	unsigned long handle = parm[0] == ':' ? strtoul(parm + 1, &end, 16) : ULONG_MAX;
	if (handle > UINT32_MAX || end == parm + 1 || *end != '\0' ||
	    sk_registry_is_remote(&ctx->core->registry, (uint32_t)handle)) {
		skynet_error(ctx, "error: LASTHANDLE takes a handle of this node as :HEX, not %s",
			     parm);
		return NULL;
	}
	sk_registry_skip(registry, (uint32_t)handle & SK_HANDLE_MASK);
	return result(ctx, ":%" PRIx32, sk_registry_last_number(registry));
}

static const char *
command_exit(struct skynet_context *ctx, const char *parm)
{
	skynet_error(ctx, "KILL self");
	(void)sk_service_kill(ctx->core, ctx->handle, parm && *parm ? parm : "it has ended");
	return NULL;
}

static const char *
command_kill(struct skynet_context *ctx, const char *parm)
{
	uint32_t handle = to_handle(ctx, parm);
	if (handle == 0)
		return NULL;
	if (handle == ctx->handle)
		return command_exit(ctx, NULL);
	if (sk_registry_is_remote(&ctx->core->registry, handle)) {
		skynet_error(ctx, "error: can't kill :%08x: only its own node, number %u, can",
			     handle, handle >> 24);
		return NULL;
	}
	skynet_error(ctx, "KILL :%0x", handle);
	char reason[40];
	(void)snprintf(reason, sizeof reason, "it was killed by :%08x", ctx->handle);
	/* One that is gone already is as good as killed. */
	(void)sk_service_kill(ctx->core, handle, reason);
	return NULL;
}

static const char *
command_launch(struct skynet_context *ctx, const char *parm)
{
	size_t name_length = parm ? strcspn(parm, " \t\r\n") : 0;
	if (name_length == 0)
		return NULL;
	char *name = skynet_strdup(parm);
	char *rest = name + name_length;
	if (*rest)
		*rest++ = '\0';
	rest[strcspn(rest, "\r\n")] = '\0';
	uint32_t handle = sk_service_launch(ctx->core, name, *rest ? rest : NULL);
	free(name);
	return handle ? result(ctx, ":%08X", handle) : NULL;
}

static const char *
command_getenv(struct skynet_context *ctx, const char *parm)
{
	return parm ? sk_env_get(ctx->core->env, parm) : NULL;
}

static const char *
command_setenv(struct skynet_context *ctx, const char *parm)
{
	size_t length = parm ? strcspn(parm, " ") : 0;
	if (length == 0 || parm[length] == '\0')
		return NULL;
	int64_t bytes = sk_memory_thread_bytes();
	char *key = skynet_strdup(parm);
	key[length] = '\0';
	if (sk_env_set(ctx->core->env, key, parm + length + 1) != SK_OK)
		skynet_error(ctx, "error: Can't setenv exist key : %s", key);
	free(key);
	sk_memory_disown_since(bytes); /* the entry stays when the service ends */
	return NULL;
}

static const char *
command_describe(struct skynet_context *ctx, const char *parm)
{
	struct skynet_context *service =
		sk_registry_find(&ctx->core->registry, to_handle(ctx, parm));
	return service ? service->description : NULL;
}

/* What a service is charged for: up to now, when it asks itself, else up to its last turn. */
static const char *
charged_bytes(struct skynet_context *ctx, struct skynet_context *service)
{
	if (service == sk_this_service)
		sk_context_settle(service);
	return result(ctx, "%" PRId64, sk_context_memory(service));
}

/* The service after the one that parm names, in the order of handles; the first, without. */
static const char *
command_next(struct skynet_context *ctx, const char *parm)
{
	uint32_t after = parm && parm[0] != '\0' ? to_handle(ctx, parm) : 0;
	uint32_t handle = sk_registry_next(&ctx->core->registry, after);
	return handle ? result(ctx, ":%x", handle) : NULL;
}

static const char *
command_memory(struct skynet_context *ctx, const char *parm)
{
	struct skynet_context *service =
		sk_registry_find(&ctx->core->registry, to_handle(ctx, parm));
	return service ? charged_bytes(ctx, service) : NULL;
}

static const char *
command_reason(struct skynet_context *ctx, const char *parm)
{
	(void)parm;
	return sk_service_end_reason(ctx);
}

static const char *
command_time(struct skynet_context *ctx, const char *parm)
{
	(void)ctx, (void)parm;
	return result(ctx, "%" PRIu64, skynet_wall_ns() / SK_NS_PER_CS);
}

static const char *
command_starttime(struct skynet_context *ctx, const char *parm)
{
	(void)parm;
	return result(ctx, "%" PRIu64, ctx->core->start_wall_s);
}

static const char *
command_now(struct skynet_context *ctx, const char *parm)
{
	(void)parm;
	return result(ctx, "%" PRIu64, sk_core_now_cs(ctx->core));
}

static const char *
command_abort(struct skynet_context *ctx, const char *parm)
{
	if (parm && *parm)
		atomic_store(&ctx->core->exit_status, (int)strtol(parm, NULL, 10));
	sk_service_kill_all(ctx->core);
	return NULL;
}

static const char *
command_monitor(struct skynet_context *ctx, const char *parm)
{
	if (!parm || parm[0] == '\0') {
		uint32_t monitor = atomic_load(&ctx->core->monitor);
		return monitor ? result(ctx, ":%x", monitor) : NULL;
	}
	atomic_store(&ctx->core->monitor, to_handle(ctx, parm));
	return NULL;
}

/* Seconds that ticks stand for; 0 while profiling is off. */
static const char *
cpu_seconds(struct skynet_context *ctx, uint64_t ticks)
{
	double seconds = ctx->core->is_profiled ? (double)sk_clock_ticks_to_ns(ticks) / 1e9 : 0;
	return result(ctx, "%lf", seconds);
}

static uint64_t
message_ticks(void)
{
	return sk_this_worker ? sk_clock_ticks() - sk_this_worker->turn_end_ticks : 0;
}

static const char *
command_stat(struct skynet_context *ctx, const char *parm)
{
	if (!parm)
		return "";
	if (strcmp(parm, "mqlen") == 0)
		return result(ctx, "%" PRIu32, sk_mailbox_length(&ctx->mailbox));
	if (strcmp(parm, "endless") == 0)
		/* Relaxed: a flag for a human, it guards nothing. */
		return atomic_exchange_explicit(&ctx->is_endless, false, memory_order_relaxed)
			       ? "1"
			       : "0";
	if (strcmp(parm, "cpu") == 0)
		return cpu_seconds(ctx, ctx->cpu_ticks + message_ticks());
	if (strcmp(parm, "time") == 0)
		return ctx->core->is_profiled ? cpu_seconds(ctx, message_ticks()) : "0";
	if (strcmp(parm, "message") == 0)
		return result(ctx, "%" PRIu64, ctx->message_count);
	if (strcmp(parm, "refused") == 0)
		return result(ctx, "%" PRIu64,
			      atomic_load_explicit(&ctx->bound.refused, memory_order_relaxed));
	if (strcmp(parm, "memory") == 0)
		return charged_bytes(ctx, ctx);
	return "";
}

static const char *
command_logon(struct skynet_context *ctx, const char *parm)
{
	struct sk_core *core = ctx->core;
	uint32_t handle = to_handle(ctx, parm);
	struct skynet_context *service = sk_registry_find(&core->registry, handle);
	if (!service || atomic_load(&service->record))
		return NULL;
	int64_t bytes = sk_memory_thread_bytes();
	struct sk_record *record = sk_record_open(core, ctx->handle, handle);
	struct sk_record *none = NULL;
	/* Two services may ask at once: the second closes what it opened. */
	if (record && !atomic_compare_exchange_strong(&service->record, &none, record))
		sk_record_close(core, ctx->handle, record);
	sk_memory_disown_since(bytes); /* it is closed in nobody's turn */
	return NULL;
}

static const char *
command_logoff(struct skynet_context *ctx, const char *parm)
{
	struct sk_core *core = ctx->core;
	struct skynet_context *service = sk_registry_find(&core->registry, to_handle(ctx, parm));
	if (service)
		sk_record_close(core, ctx->handle, atomic_exchange(&service->record, NULL));
	return NULL;
}

static const char *
command_signal(struct skynet_context *ctx, const char *parm)
{
	struct sk_core *core = ctx->core;
	char *address = skynet_strdup(parm ? parm : "");
	size_t length = strcspn(address, " ");
	int number = address[length] ? (int)strtol(address + length + 1, NULL, 0) : 0;
	address[length] = '\0';
	struct skynet_context *service = sk_registry_find(&core->registry, to_handle(ctx, address));
	free(address);
	if (service)
		sk_service_signal(service, number);
	return NULL;
}

/* The member that a GROUP command is about: who gives it, unless there is an address. 0, and a line
 * in the log, when there is none. */
static uint32_t
group_member(struct skynet_context *ctx, const char *address)
{
	uint32_t handle = *address ? to_handle(ctx, address) : ctx->handle;
	if (handle == 0 || !sk_registry_is_remote(&ctx->core->registry, handle))
		return handle;
	skynet_error(ctx, "Can't add remote handle %x", handle);
	return 0;
}

/* Reads "WORD NUMBER", and what stands behind it; nothing does unless takes_address. Returns
 * whether that is what parm says. */
static bool
read_group(const char *parm, const char *word, bool takes_address, int32_t *number,
	   const char **rest)
{
	size_t length = strlen(word);
	char *end;
	if (strncmp(parm, word, length) != 0 || parm[length] != ' ')
		return false;
	errno = 0;
	long value = strtol(parm + length, &end, 10);
	if (end == parm + length || errno != 0 || value < INT32_MIN || value > INT32_MAX ||
	    (*end != '\0' && (*end != ' ' || !takes_address)))
		return false;
	*number = (int32_t)value;
	*rest = end + strspn(end, " ");
	return true;
}

static const char *
command_group(struct skynet_context *ctx, const char *parm)
{
	int32_t number;
	const char *rest;
	uint32_t member, group;
	if (parm && read_group(parm, "QUERY", false, &number, &rest)) {
		group = sk_groups_query(ctx, number);
		return group ? result(ctx, ":%08X", group) : NULL;
	}
	if (parm && read_group(parm, "CLEAR", false, &number, &rest)) {
		sk_groups_clear(ctx, number);
	} else if (parm && read_group(parm, "ENTER", true, &number, &rest)) {
		if ((member = group_member(ctx, rest)) != 0)
			sk_groups_enter(ctx, number, member);
	} else if (parm && read_group(parm, "LEAVE", true, &number, &rest)) {
		if ((member = group_member(ctx, rest)) != 0)
			sk_groups_leave(ctx, number, member);
	} else {
		skynet_error(ctx,
			     "error: GROUP takes ENTER, LEAVE, QUERY or CLEAR and a number, "
			     "not '%s'",
			     parm ? parm : "");
	}
	return NULL;
}

struct command {
	const char *name;
	const char *(*run)(struct skynet_context *ctx, const char *parm);
};

static const struct command commands[] = {
	{"TIMEOUT", command_timeout},
	{"REG", command_reg},
	{"QUERY", command_query},
	{"NAME", command_name},
	{"GLOBALNAME", command_globalname},
	{"LASTHANDLE", command_lasthandle},
	{"EXIT", command_exit},
	{"KILL", command_kill},
	{"LAUNCH", command_launch},
	{"GETENV", command_getenv},
	{"SETENV", command_setenv},
	{"STARTTIME", command_starttime},
	{"NOW", command_now},
	{"ABORT", command_abort},
	{"MONITOR", command_monitor},
	{"STAT", command_stat},
	{"LOGON", command_logon},
	{"LOGOFF", command_logoff},
	{"SIGNAL", command_signal},
	{"DESCRIBE", command_describe},
	{"NEXT", command_next},
	{"MEMORY", command_memory},
	{"REASON", command_reason},
	{"TIME", command_time},
	{"GROUP", command_group},
};

const char *
skynet_command(struct skynet_context *ctx, const char *cmd, const char *parm)
{
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
		if (strcmp(cmd, commands[i].name) == 0)
			return commands[i].run(ctx, parm);
	return NULL;
}

void
skynet_debug_memory(const char *info)
{
	struct skynet_context *service = sk_this_service;
	if (!service)
		return;
	sk_context_settle(service);
	(void)fprintf(stderr, "[:%08x] %s %p\n", service->handle, info,
		      (void *)(uintptr_t)sk_context_memory(service));
}
