/* harbor_world.h: several nodes in this process, with their threads, and what the test can see of
 * them. Each node has a service that plays .cslave, one or more that talk, and a log service whose
 * lines can be waited for. What a service is to do is handed to it as a function, which runs in its
 * turn; what it was sent is noted, and the test waits for it. */
#ifndef HARBOR_WORLD_H
#define HARBOR_WORLD_H

#include "service_world.h"
#include "sk_message.h"
#include "sk_post.h"
#include "sk_quiesce.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Every wait of a test has an end; one that passes never gets near it. */
#define DEADLINE_S 60
#define VOICES 4

/* What a service was sent, or a log line: then only the text. */
struct heard {
	int type;
	int session;
	uint32_t source;
	size_t size;
	char text[1024]; /* how it begins */
};

/* A service of the test. */
struct voice {
	struct script script; /* first */
	struct host *host;
	struct skynet_context *ctx;
	uint32_t handle;
	/* Under lock. */
	struct heard *heard;
	size_t count, capacity;
	size_t taken;
	bool is_deaf;	   /* does not note what it is sent */
	bool echoes;	   /* answers requests with what they say */
	uint64_t messages; /* all, also those that were not noted */
	void (*job)(struct voice *voice, void *argument);
	void *argument;
	bool is_job_done;
};

struct host {
	int id;
	struct sk_node *node;
	struct voice log;
	struct voice control; /* .cslave */
	struct voice voices[VOICES];
	uint32_t harbor;
	char address[64];
	int port;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t news = PTHREAD_COND_INITIALIZER;

/* --- services -------------------------------------------------------------------------------- */

static inline void
note(struct voice *voice, const struct heard *heard)
{
	(void)pthread_mutex_lock(&lock);
	voice->messages++;
	if (!voice->is_deaf) {
		if (voice->count == voice->capacity) {
			voice->capacity = voice->capacity > 0 ? voice->capacity * 2 : 16;
			voice->heard =
				realloc(voice->heard, voice->capacity * sizeof *voice->heard);
		}
		voice->heard[voice->count++] = *heard;
	}
	(void)pthread_cond_broadcast(&news);
	(void)pthread_mutex_unlock(&lock);
}

static inline void
run_job(struct voice *voice)
{
	voice->job(voice, voice->argument);
	(void)pthread_mutex_lock(&lock);
	voice->is_job_done = true;
	(void)pthread_cond_broadcast(&news);
	(void)pthread_mutex_unlock(&lock);
}

static inline int
on_voice(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
	 const void *msg, size_t sz)
{
	struct voice *voice = ud;
	struct heard heard = {type, session, source, sz, ""};
	if (type == PTYPE_SYSTEM && source == 0) {
		run_job(voice);
		return SKYNET_DONE;
	}
	if (msg)
		memcpy(heard.text, msg, sz < sizeof heard.text ? sz : sizeof heard.text - 1);
	if (voice->echoes && session > 0 && type != PTYPE_RESPONSE && type != PTYPE_ERROR)
		(void)skynet_send(ctx, 0, source, PTYPE_RESPONSE, session, (void *)(uintptr_t)msg,
				  sz);
	note(voice, &heard);
	return SKYNET_DONE;
}

static inline int
init_voice(struct script *script, struct skynet_context *ctx, const char *parm)
{
	struct voice *voice = (struct voice *)script;
	(void)parm;
	voice->ctx = ctx;
	voice->handle = skynet_current_handle();
	skynet_callback(ctx, voice, on_voice);
	return 0;
}

/* The log service: a line is an empty heard with its text. */
static inline int
on_line(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
	const void *msg, size_t sz)
{
	struct heard heard = {0};
	(void)ctx, (void)session, (void)source;
	if (type != PTYPE_TEXT)
		return SKYNET_DONE;
	memcpy(heard.text, msg, sz < sizeof heard.text ? sz : sizeof heard.text - 1);
	note(ud, &heard);
	if (getenv("HARBOR_TEST_LOG"))
		fprintf(stderr, "%08x %s\n", source, heard.text);
	return SKYNET_DONE;
}

static inline int
init_log(struct script *script, struct skynet_context *ctx, const char *parm)
{
	(void)parm;
	skynet_callback(ctx, script, on_line);
	return 0;
}

/* --- waiting --------------------------------------------------------------------------------- */

/* Waits for something new, under lock; fails at the deadline. */
static inline void
wait_news(const struct timespec *deadline, const char *what)
{
	if (pthread_cond_timedwait(&news, &lock, deadline) == 0)
		return;
	(void)pthread_mutex_unlock(&lock);
	fail_msg("nothing came for %d s: %s", DEADLINE_S, what);
}

static inline struct timespec
deadline_from_now(void)
{
	struct timespec deadline;
	(void)clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += DEADLINE_S;
	return deadline;
}

/* Takes the next thing that a voice has heard. */
static inline struct heard
take_heard(struct voice *voice, const char *what)
{
	struct timespec deadline = deadline_from_now();
	(void)pthread_mutex_lock(&lock);
	while (voice->taken == voice->count)
		wait_news(&deadline, what);
	struct heard heard = voice->heard[voice->taken++];
	(void)pthread_mutex_unlock(&lock);
	return heard;
}

/* The next thing that it hears is this; text is a pattern of fnmatch. */
static inline void
hears(struct voice *voice, int type, int session, uint32_t source, const char *text)
{
	struct heard heard = take_heard(voice, text);
	if (heard.type != type || heard.session != session || heard.source != source ||
	    fnmatch(text, heard.text, 0) != 0)
		fail_msg("heard type %d session %d source %x: %s\nnot type %d session %d source "
			 "%x: %s",
			 heard.type, heard.session, heard.source, heard.text, type, session, source,
			 text);
}

/* Waits until a text to .cslave matches; passes over others. */
static inline void
awaits(struct voice *voice, const char *pattern)
{
	while (fnmatch(pattern, take_heard(voice, pattern).text, 0) != 0)
		;
}

static inline int
count_locked(const struct voice *voice, const char *pattern)
{
	int count = 0;
	for (size_t i = 0; i < voice->count; i++)
		count += fnmatch(pattern, voice->heard[i].text, 0) == 0;
	return count;
}

/* How many of what it has heard so far match. */
static inline int
count_heard(struct voice *voice, const char *pattern)
{
	(void)pthread_mutex_lock(&lock);
	int count = count_locked(voice, pattern);
	(void)pthread_mutex_unlock(&lock);
	return count;
}

/* Waits until so many lines of the node's log match. */
static inline void
logs_times(struct host *host, int times, const char *pattern)
{
	struct timespec deadline = deadline_from_now();
	(void)pthread_mutex_lock(&lock);
	while (count_locked(&host->log, pattern) < times)
		wait_news(&deadline, pattern);
	(void)pthread_mutex_unlock(&lock);
}

static inline void
logs(struct host *host, const char *pattern)
{
	logs_times(host, 1, pattern);
}

/* Waits until it has been sent so many messages. */
static inline void
await_messages(struct voice *voice, uint64_t count)
{
	struct timespec deadline = deadline_from_now();
	(void)pthread_mutex_lock(&lock);
	while (voice->messages < count)
		wait_news(&deadline, "messages");
	(void)pthread_mutex_unlock(&lock);
}

/* --- doing ----------------------------------------------------------------------------------- */

/* Has the service run a function in its turn, and waits for its end. */
static inline void
in_turn(struct voice *voice, void (*job)(struct voice *voice, void *argument), void *argument)
{
	struct sk_core *core = &voice->host->node->core;
	struct timespec deadline = deadline_from_now();
	(void)pthread_mutex_lock(&lock);
	voice->job = job;
	voice->argument = argument;
	voice->is_job_done = false;
	(void)pthread_mutex_unlock(&lock);
	struct sk_core *outer = sk_this_core;
	int slot = sk_quiesce_join(&core->quiesce);
	sk_this_core = core;
	int result = sk_post(core, voice->handle,
			     sk_message_new(SK_MESSAGE_PLAIN, PTYPE_SYSTEM, 0, 0, NULL, 0));
	sk_quiesce_leave(&core->quiesce, slot);
	sk_this_core = outer;
	assert_int_equal(result, SK_OK);
	(void)pthread_mutex_lock(&lock);
	while (!voice->is_job_done)
		wait_news(&deadline, "a job");
	(void)pthread_mutex_unlock(&lock);
}

struct letter {
	uint32_t to;
	const char *name; /* when to is 0 */
	int type;
	int session;
	const char *bytes;
	size_t size;
	int result;
};

static inline void
do_send(struct voice *voice, void *argument)
{
	struct letter *letter = argument;
	void *bytes = (void *)(uintptr_t)letter->bytes;
	if (letter->to != 0)
		letter->result = skynet_send(voice->ctx, 0, letter->to, letter->type,
					     letter->session, bytes, letter->size);
	else
		letter->result = skynet_sendname(voice->ctx, 0, letter->name, letter->type,
						 letter->session, bytes, letter->size);
}

static inline int
say_bytes(struct voice *voice, uint32_t to, int type, int session, const char *bytes, size_t size)
{
	struct letter letter = {
		.to = to, .type = type, .session = session, .bytes = bytes, .size = size};
	in_turn(voice, do_send, &letter);
	return letter.result;
}

static inline int
say(struct voice *voice, uint32_t to, int session, const char *text)
{
	return say_bytes(voice, to, PTYPE_TEXT, session, text, strlen(text));
}

static inline int
say_by_name(struct voice *voice, const char *name, int session, const char *text)
{
	struct letter letter = {.name = name,
				.type = PTYPE_TEXT,
				.session = session,
				.bytes = text,
				.size = strlen(text)};
	in_turn(voice, do_send, &letter);
	return letter.result;
}

/* Says something to the harbor, as .cslave. */
static inline void
command(struct host *host, const char *format, ...)
{
	char text[512];
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	assert_int_equal(say(&host->control, host->harbor, 0, text), 0);
}

struct launch {
	const char *parm;
	uint32_t handle;
};

static inline void
do_launch(struct voice *voice, void *argument)
{
	struct launch *launch = argument;
	const char *address = skynet_command(voice->ctx, "LAUNCH", launch->parm);
	launch->handle = address ? (uint32_t)strtoul(address + 1, NULL, 16) : 0;
}

static inline uint32_t
launch(struct voice *by, const char *parm)
{
	struct launch launch = {.parm = parm};
	in_turn(by, do_launch, &launch);
	return launch.handle;
}

static inline void
do_exit(struct voice *voice, void *argument)
{
	(void)argument;
	(void)skynet_command(voice->ctx, "EXIT", NULL);
}

static inline void
do_kill(struct voice *voice, void *argument)
{
	(void)skynet_command(voice->ctx, "KILL", argument);
}

/* --- nodes ----------------------------------------------------------------------------------- */

static inline struct voice
voice_of(struct host *host)
{
	return (struct voice){.script = {init_voice, NULL, NULL}, .host = host};
}

static inline void
add_setting(struct sk_env *env, const char *key, const char *value)
{
	assert_int_equal(sk_env_set(env, key, value), SK_OK);
}

static inline struct sk_env *
host_env(struct host *host, const char *const *settings)
{
	char path[600], text[64];
	const char *build = getenv("SKYNET_BUILD");
	build = build ? build : "build/plain";
	(void)snprintf(path, sizeof path, "%s/cservice/?.so;%s/test/cservice/?.so", build, build);
	struct sk_env *env = sk_env_new();
	add_setting(env, "cpath", path);
	add_setting(env, "logservice", "scripted");
	for (; settings && *settings; settings += 2)
		add_setting(env, settings[0], settings[1]);
	if (!sk_env_get(env, "thread"))
		add_setting(env, "thread", "2");
	if (!sk_env_get(env, "address"))
		add_setting(env, "address", "127.0.0.1:0");
	(void)snprintf(text, sizeof text, "%d", host->id);
	add_setting(env, "harbor", text);
	(void)snprintf(text, sizeof text, "%" PRIxPTR, (uintptr_t)&host->log);
	add_setting(env, "logger", text);
	(void)snprintf(text, sizeof text, "scripted %" PRIxPTR, (uintptr_t)&host->control);
	add_setting(env, "bootstrap", text);
	return env;
}

/* Starts a node with its voices, and no harbor. settings: key, value, ..., NULL, or NULL. */
static inline void
host_start_bare(struct host *host, int id, const char *const *settings)
{
	char error[512] = "", parm[64];
	*host = (struct host){.id = id};
	host->log = voice_of(host);
	host->log.script.init = init_log;
	host->control = voice_of(host);
	host->node = sk_node_new(host_env(host, settings), error, sizeof error);
	if (!host->node || sk_node_start(host->node, error, sizeof error) != SK_OK)
		fail_msg("%s", error);
	for (int i = 0; i < VOICES; i++) {
		host->voices[i] = voice_of(host);
		(void)snprintf(parm, sizeof parm, "scripted %" PRIxPTR,
			       (uintptr_t)&host->voices[i]);
		assert_int_not_equal(launch(&host->control, parm), 0);
	}
}

/* The same with its harbor, which listens. */
static inline void
host_start(struct host *host, int id, const char *const *settings)
{
	char parm[64];
	host_start_bare(host, id, settings);
	(void)snprintf(parm, sizeof parm, "harbor %d %u", id, (unsigned)host->control.handle);
	host->harbor = launch(&host->control, parm);
	assert_int_not_equal(host->harbor, 0);
	struct heard heard = take_heard(&host->control, "listen");
	assert_int_equal(strncmp(heard.text, "listen ", 7), 0);
	(void)snprintf(host->address, sizeof host->address, "%.60s", heard.text + 7);
	host->port = atoi(strrchr(host->address, ':') + 1);
}

static inline void
host_stop(struct host *host)
{
	if (host->node == NULL) /* a test that has failed has stopped it */
		return;
	sk_node_stop(host->node);
	(void)sk_node_wait(host->node);
	sk_node_free(host->node);
	host->node = NULL;
	free(host->log.heard);
	free(host->control.heard);
	for (int i = 0; i < VOICES; i++)
		free(host->voices[i].heard);
}

/* The value of a counter: of the link to a node, or, with its own id, of the harbor. */
static inline long
stat_of(struct host *host, int node, const char *key)
{
	static int session = 1000000;
	char text[2048], line[32], word[64];
	struct voice *asker = &host->voices[VOICES - 1];
	int own = ++session;
	assert_int_equal(say(asker, host->harbor, own, "stat"), own);
	struct heard heard = take_heard(asker, "stat");
	assert_int_equal(heard.type, PTYPE_RESPONSE);
	(void)snprintf(text, sizeof text, "%s", heard.text);
	(void)snprintf(line, sizeof line, "node=%d ", node);
	(void)snprintf(word, sizeof word, " %s=", key);
	char *at = strstr(text, line);
	if (!at)
		return -1;
	at[strcspn(at, "\n")] = '\0';
	at = strstr(at, word);
	return at ? atol(at + strlen(word)) : -1;
}

/* Tells a node of the other, at an address. */
static inline void
introduce(struct host *host, const struct host *other, int port)
{
	command(host, "node %d 127.0.0.1:%d", other->id, port);
	(void)stat_of(host, other->id, "sent"); /* the command was heard before */
}

/* Both nodes know each other, and are up. */
static inline void
connect_hosts(struct host *a, struct host *b)
{
	char up[16];
	introduce(a, b, b->port);
	introduce(b, a, a->port);
	(void)snprintf(up, sizeof up, "up %d", b->id);
	hears(&a->control, PTYPE_TEXT, 0, a->harbor, up);
	(void)snprintf(up, sizeof up, "up %d", a->id);
	hears(&b->control, PTYPE_TEXT, 0, b->harbor, up);
}

#endif
