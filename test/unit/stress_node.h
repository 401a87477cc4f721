/* stress_node.h: a whole node with real threads, whose modules are in the file of the test. */
#ifndef STRESS_NODE_H
#define STRESS_NODE_H

/* Its list of modules is added to. */
#include "sk_module.c"

#include "sk_clock.h"
#include "sk_node.h"
#include "sk_service.h"
#include "unit.h"

#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define DEADLINE_MS 60000

static struct sk_node *node;

static inline void
add_module(const char *name, void *(*create)(void),
	   int (*init)(void *, struct skynet_context *, const char *), void (*release)(void *))
{
	struct sk_module *module = skynet_malloc(sizeof *module);
	*module = (struct sk_module){
		.name = name, .create = create, .init = init, .release = release};
	add_locked(node->core.modules, module);
}

static inline int
init_quiet(void *instance, struct skynet_context *ctx, const char *parm)
{
	(void)instance;
	(void)ctx;
	(void)parm;
	return 0; /* without a callback: what is logged is freed unread */
}

static inline void
make_node(const char *workers)
{
	char error[256];
	struct sk_env *env = sk_env_new();
	assert_int_equal(sk_env_set(env, "thread", workers), SK_OK);
	assert_int_equal(sk_env_set(env, "cpath", "./?.so"), SK_OK);
	assert_int_equal(sk_env_set(env, "logservice", "quiet"), SK_OK);
	assert_int_equal(sk_env_set(env, "bootstrap", "boot"), SK_OK);
	node = sk_node_new(env, error, sizeof error);
	if (!node)
		fail_msg("%s", error);
	add_module("quiet", NULL, init_quiet, NULL);
}

static inline void
start_node(void)
{
	char error[256];
	if (sk_node_start(node, error, sizeof error) != SK_OK)
		fail_msg("%s", error);
}

static inline void
stop_node(void)
{
	sk_node_stop(node);
	sk_node_wait(node);
	assert_int_equal(atomic_load(&node->core.living), 0);
	sk_node_free(node);
	node = NULL;
}

/* Sends from a thread that is no worker. Returns false when there is no such service. */
static inline bool
post(uint32_t source, uint32_t destination, int32_t session, void *data, size_t size)
{
	int slot = sk_quiesce_join(&node->core.quiesce);
	if (slot < 0)
		abort();
	sk_this_core = &node->core;
	int result =
		sk_post(&node->core, destination,
			sk_message_new(SK_MESSAGE_PLAIN, PTYPE_TEXT, source, session, data, size));
	sk_this_core = NULL;
	sk_quiesce_leave(&node->core.quiesce, slot);
	return result == SK_OK;
}

/* Waits on the thread of the test for a semaphore. */
static inline void
await(sem_t *event, const char *what)
{
	struct timespec until;
	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += DEADLINE_MS / 1000;
	while (sem_timedwait(event, &until) != 0)
		if (errno != EINTR)
			fail_msg("%s never happens", what);
}

/* An idle gap: from here until the next event all workers sleep. */
static inline void
await_sleep(void)
{
	struct sk_scheduler *s = &node->core.scheduler;
	uint64_t deadline_ms = sk_clock_ms() + DEADLINE_MS;
	while (atomic_load(&s->sleeping) < s->worker_count) {
		if (sk_clock_ms() > deadline_ms)
			fail_msg("%d of %d workers sleep", atomic_load(&s->sleeping),
				 s->worker_count);
		(void)sched_yield();
	}
}

#endif
