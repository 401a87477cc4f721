/* service_world.h: a node without threads, for tests of the service layer.
 *
 * All parts are real. The test's thread is the node's only worker: it runs the turns when the test
 * says so, and between them the test speaks for the services, as if it were their turn. So
 * everything happens on one thread, in an order that the test chooses, and time passes when the
 * test says so. The services are actors: they note what they are told and do what the test gave
 * them to do. */
#ifndef SERVICE_WORLD_H
#define SERVICE_WORLD_H

#include "../service-src/scripted.h"
#include "sk_clock.h"
#include "sk_log.h"
#include "sk_node.h"
#include "sk_service.h"
#include "unit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORLD_ACTORS 8
#define ACTOR_MAILS 64
/* A handle of another node. */
#define REMOTE_HANDLE UINT32_C(0x05000001)

struct mail {
	int type;
	int session;
	uint32_t source;
	size_t size;
	bool has_data;
	char text[120]; /* how the data begins */
};

struct actor {
	struct script script; /* first */
	uint32_t handle;      /* 0 until init */
	struct skynet_context *ctx;
	/* What it does. */
	int init_result;
	int result; /* of the callback */
	void (*on_init)(struct actor *actor);
	void (*on_release)(struct actor *actor);
	void (*on_mail)(struct actor *actor, const struct mail *mail);
	struct actor *other; /* whom it deals with */
	/* What happened to it. */
	int inits;
	int releases;
	int signals;
	int signal; /* the last one's number */
	char parm[64];
	struct mail mails[ACTOR_MAILS]; /* the first */
	uint32_t mail_count;
	uint32_t taken; /* by the test */
	void *kept;	/* the last data, when result is SKYNET_KEPT */
};

struct world {
	struct sk_node *node;
	struct sk_core *core;
	struct sk_worker *worker;
	struct actor actors[WORLD_ACTORS];
	int actor_count;
	char log[32768]; /* "HANDLE TEXT\n" for each line */
	size_t log_size;
};

__attribute__((unused)) static struct world *the_world;

/* Adds the settings (key, value, ..., NULL) to those that every node of a test has. */
static inline struct sk_env *
world_env(const char *const *settings)
{
	const char *build = getenv("SKYNET_BUILD");
	struct sk_env *env = sk_env_new();
	char path[512];
	(void)snprintf(path, sizeof path, "%s/test/cservice/?.so", build ? build : "build/plain");
	for (; settings && *settings; settings += 2)
		assert_int_equal(sk_env_set(env, settings[0], settings[1]), SK_OK);
	if (!sk_env_get(env, "cpath"))
		assert_int_equal(sk_env_set(env, "cpath", path), SK_OK);
	return env;
}

/* --- the log ------------------------------------------------------------------------------- */

static inline void
world_log(struct sk_core *core, uint32_t source, char *text, size_t size)
{
	struct world *w = the_world;
	(void)core;
	assert_int_equal(strlen(text), size);
	int n = snprintf(w->log + w->log_size, sizeof w->log - w->log_size, "%08x %s\n", source,
			 text);
	free(text);
	assert_in_range(n, 0, sizeof w->log - w->log_size - 1);
	w->log_size += (size_t)n;
}

/* The lines since the last time were exactly this. */
static inline void
world_expect_log(struct world *w, const char *format, ...)
{
	char lines[1024];
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(lines, sizeof lines, format, arguments);
	va_end(arguments);
	assert_string_equal(w->log, lines);
	w->log[w->log_size = 0] = '\0';
}

static inline void
world_forget_log(struct world *w)
{
	w->log[w->log_size = 0] = '\0';
}

/* --- what workers do ----------------------------------------------------------------------- */

static inline struct sk_mailbox *
world_next(struct world *w)
{
	struct sk_mailbox *box = atomic_exchange(&w->worker->next, NULL);
	if (!box)
		box = sk_run_queue_pop(&w->worker->queue);
	return box ? box : sk_shared_queue_pop(&w->core->scheduler.shared, NULL, 0);
}

/* Runs all that is ready, until nothing is; then frees what nobody can hold any more. */
static inline void
world_run(struct world *w)
{
	struct sk_mailbox *box;
	w->worker->turn_end_ticks = sk_clock_ticks();
	while ((box = world_next(w)))
		sk_service_turn(w->core, w->worker, box);
	sk_quiesce_pass(&w->core->quiesce, w->worker->quiesce_slot);
	sk_quiesce_reclaim(&w->core->quiesce);
	if (sk_quiesce_has_retired(&w->core->quiesce)) { /* what those have retired */
		sk_quiesce_pass(&w->core->quiesce, w->worker->quiesce_slot);
		sk_quiesce_reclaim(&w->core->quiesce);
	}
}

/* It is that time, as sk_clock_ms has it: the timers that are due by then fire. */
static inline void
world_reach_time(struct world *w, uint64_t ms)
{
	sk_service_expired(w->core, sk_timer_expire(w->core->scheduler.timer, ms));
}

/* The timers that are due in so many milliseconds fire. */
static inline void
world_pass_time(struct world *w, uint64_t ms)
{
	world_reach_time(w, sk_clock_ms() + ms);
}

/* --- actors -------------------------------------------------------------------------------- */

static inline int
actor_callback(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
	       const void *msg, size_t sz)
{
	struct actor *actor = ud;
	struct mail mail = {type, session, source, sz, msg != NULL, ""};
	assert_ptr_equal(ctx, actor->ctx);
	assert_int_equal(skynet_current_handle(), actor->handle);
	assert_int_equal(actor->releases, 0);
	if (msg)
		memcpy(mail.text, msg, sz < sizeof mail.text ? sz : sizeof mail.text - 1);
	if (actor->mail_count < ACTOR_MAILS)
		actor->mails[actor->mail_count] = mail;
	actor->mail_count++;
	if (actor->result == SKYNET_KEPT)
		actor->kept = (void *)(uintptr_t)msg;
	if (actor->on_mail)
		actor->on_mail(actor, &mail);
	return actor->result;
}

static inline int
actor_init(struct script *script, struct skynet_context *ctx, const char *parm)
{
	struct actor *actor = (struct actor *)script;
	actor->inits++;
	actor->ctx = ctx;
	actor->handle = skynet_current_handle();
	(void)snprintf(actor->parm, sizeof actor->parm, "%s", parm);
	skynet_callback(ctx, actor, actor_callback);
	if (actor->on_init)
		actor->on_init(actor);
	return actor->init_result;
}

static inline void
actor_release(struct script *script)
{
	struct actor *actor = (struct actor *)script;
	actor->releases++;
	if (actor->on_release)
		actor->on_release(actor);
}

static inline void
actor_signal(struct script *script, int number)
{
	struct actor *actor = (struct actor *)script;
	actor->signals++;
	actor->signal = number;
}

/* An actor that is not launched yet. */
static inline struct actor *
world_actor(struct world *w)
{
	assert_true(w->actor_count < WORLD_ACTORS);
	struct actor *actor = &w->actors[w->actor_count++];
	actor->script = (struct script){actor_init, actor_release, actor_signal};
	return actor;
}

static inline uint32_t
world_launch(struct world *w, struct actor *actor)
{
	char parm[64];
	(void)snprintf(parm, sizeof parm, "%" PRIxPTR, (uintptr_t)actor);
	return sk_service_launch(w->core, "scripted", parm);
}

/* An actor that lives. */
static inline struct actor *
world_add(struct world *w)
{
	struct actor *actor = world_actor(w);
	uint32_t handle = world_launch(w, actor);
	assert_int_not_equal(handle, 0);
	assert_int_equal(handle, actor->handle);
	world_forget_log(w);
	return actor;
}

/* The next mail it got is this one. text: NULL for none. */
static inline void
expect_mail(struct actor *actor, int type, int session, uint32_t source, const char *text)
{
	assert_true(actor->taken < actor->mail_count);
	const struct mail *mail = &actor->mails[actor->taken++];
	assert_int_equal(mail->type, type);
	assert_int_equal(mail->session, session);
	assert_int_equal(mail->source, source);
	assert_int_equal(mail->size, text ? strlen(text) : 0);
	assert_int_equal(mail->has_data, text != NULL);
	assert_string_equal(mail->text, text ? text : "");
}

/* An error whose text ends so. */
static inline void
expect_error(struct actor *actor, int session, uint32_t source, const char *end)
{
	assert_true(actor->taken < actor->mail_count);
	const struct mail *mail = &actor->mails[actor->taken++];
	assert_int_equal(mail->type, PTYPE_ERROR);
	assert_int_equal(mail->session, session);
	assert_int_equal(mail->source, source);
	assert_int_equal(mail->size, strlen(mail->text));
	assert_true(mail->size > strlen(end));
	assert_string_equal(mail->text + mail->size - strlen(end), end);
}

static inline void
expect_no_mail(struct actor *actor)
{
	assert_int_equal(actor->taken, actor->mail_count);
}

static inline int
send_text(struct actor *from, uint32_t to, int session, const char *text)
{
	return skynet_send(from->ctx, 0, to, PTYPE_TEXT, session, (void *)(uintptr_t)text,
			   strlen(text));
}

/* A command with an address as its parameter, and what is to stand behind that. */
static inline const char *
command_to(struct actor *actor, const char *command, uint32_t handle, const char *rest)
{
	char parm[64];
	(void)snprintf(parm, sizeof parm, ":%x%s", handle, rest);
	return skynet_command(actor->ctx, command, parm);
}

/* --- life cycle ---------------------------------------------------------------------------- */

static inline struct world *
world_new(const char *const *settings)
{
	char error[512] = "";
	struct world *w = skynet_calloc(1, sizeof *w);
	the_world = w;
	w->node = sk_node_new(world_env(settings), error, sizeof error);
	if (!w->node)
		fail_msg("%s", error);
	w->core = &w->node->core;
	w->core->log_sink = world_log;
	w->worker = &w->core->scheduler.workers[0];
	sk_quiesce_online(&w->core->quiesce, w->worker->quiesce_slot);
	sk_this_core = w->core;
	sk_this_worker = w->worker;
	return w;
}

static inline void
world_free(struct world *w)
{
	int32_t living = 0;
	world_run(w);
	for (int i = 0; i < w->actor_count; i++)
		living += w->actors[i].inits > w->actors[i].releases;
	assert_int_equal(atomic_load(&w->core->living), living);
	sk_quiesce_offline(&w->core->quiesce, w->worker->quiesce_slot);
	sk_this_worker = NULL;
	sk_this_core = NULL;
	sk_node_free(w->node);
	for (int i = 0; i < w->actor_count; i++)
		assert_int_equal(w->actors[i].inits, w->actors[i].releases);
	free(w);
}

static inline int
world_setup(void **state)
{
	*state = world_new(NULL);
	return 0;
}

static inline int
world_teardown(void **state)
{
	world_free(*state);
	return 0;
}

/* The same for tests that launch the services of service-src/ too; those that still live are ended
 * with the test. */
static inline int
world_setup_services(void **state)
{
	const char *build = getenv("SKYNET_BUILD");
	char path[512];
	build = build ? build : "build/plain";
	(void)snprintf(path, sizeof path, "%s/cservice/?.so;%s/test/cservice/?.so", build, build);
	*state = world_new((const char *[]){"cpath", path, NULL});
	return 0;
}

static inline int
world_teardown_services(void **state)
{
	struct world *w = *state;
	uint32_t handle = 0;
	while ((handle = sk_registry_next(&w->core->registry, handle)) != 0) {
		bool is_actor = false;
		for (int i = 0; i < w->actor_count; i++)
			is_actor = is_actor || w->actors[i].handle == handle;
		if (!is_actor)
			(void)sk_service_kill(w->core, handle, "the test is over");
	}
	world_free(w);
	return 0;
}

#define world_services_test(f) \
	cmocka_unit_test_setup_teardown(f, world_setup_services, world_teardown_services)

#define world_test(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

#endif
