/* watchdog_test.c: what the watchdog does while callbacks take long, on a whole node with threads.
 * With STUCK_SECONDS 0 a message is reported as soon as two looks have seen it, so nobody has to
 * wait. The services run on workers: they note what they find, and the test looks at it later. */
#define STUCK_SECONDS 0
#include "sk_watchdog.c"

#include "service_world.h"

#include <sched.h>
#include <semaphore.h>

#define DEADLINE_S 60

struct game {
	struct script log; /* first */
	struct script stuck;
	struct script member; /* of the crowd */
	struct sk_node *node;
	_Atomic uint32_t stuck_handle;
	sem_t reported; /* while the service is stuck */
	sem_t ended;	/* its callback has */
	_Atomic bool is_stuck;
	_Atomic int timeouts;
	_Atomic int handled; /* by the crowd */
	/* Of the log service. */
	char report[128]; /* the first */
	/* Of the service that is stuck. */
	bool was_endless;
};

static struct game game;

static bool
await(sem_t *event)
{
	struct timespec until;
	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += DEADLINE_S;
	while (sem_timedwait(event, &until) != 0)
		if (errno != EINTR)
			return false;
	return true;
}

/* --- services ------------------------------------------------------------------------------- */

static int
on_line(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
	const void *msg, size_t sz)
{
	(void)ctx, (void)ud, (void)type, (void)session, (void)source;
	if (sz == 0 || !strstr(msg, "endless loop") || !atomic_load(&game.is_stuck))
		return SKYNET_DONE;
	if (game.report[0] == '\0')
		(void)snprintf(game.report, sizeof game.report, "%s", (const char *)msg);
	(void)sem_post(&game.reported);
	return SKYNET_DONE;
}

static int
init_log(struct script *script, struct skynet_context *ctx, const char *parm)
{
	(void)script, (void)parm;
	skynet_callback(ctx, NULL, on_line);
	return 0;
}

static bool
is_endless(struct skynet_context *ctx)
{
	return strcmp(skynet_command(ctx, "STAT", "endless"), "1") == 0;
}

/* Does not come back before it has been reported. */
static void
wait_for_report(struct skynet_context *ctx)
{
	atomic_store(&game.is_stuck, true);
	if (!await(&game.reported))
		atomic_fetch_add(&game.timeouts, 1);
	atomic_store(&game.is_stuck, false);
	game.was_endless = is_endless(ctx);
	while (sem_trywait(&game.reported) == 0)
		continue;
}

/* Does not come back before the node's only timer has fired. */
static void
wait_for_timer(struct skynet_context *ctx)
{
	uint64_t deadline_ns = sk_clock_ns() + DEADLINE_S * SK_NS_PER_SECOND;
	(void)skynet_timeout(ctx, 1, NULL);
	while (sk_timer_count(game.node->core.scheduler.timer) > 0 && sk_clock_ns() < deadline_ns)
		(void)sched_yield();
	if (sk_timer_count(game.node->core.scheduler.timer) > 0)
		atomic_fetch_add(&game.timeouts, 1);
}

/* More than a worker's queue holds. */
#define CROWD 300

static int
on_gift(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
	const void *msg, size_t sz)
{
	(void)ctx, (void)ud, (void)type, (void)session, (void)source, (void)msg, (void)sz;
	atomic_fetch_add(&game.handled, 1);
	return SKYNET_DONE;
}

static int
init_member(struct script *script, struct skynet_context *ctx, const char *parm)
{
	(void)script, (void)parm;
	skynet_callback(ctx, NULL, on_gift);
	return 0;
}

/* Sends to many others, and does not come back before they have all handled it. */
static void
wait_for_crowd(struct skynet_context *ctx)
{
	char launch[48];
	uint64_t deadline_ns = sk_clock_ns() + DEADLINE_S * SK_NS_PER_SECOND;
	(void)snprintf(launch, sizeof launch, "scripted %" PRIxPTR, (uintptr_t)&game.member);
	for (int i = 0; i < CROWD; i++)
		(void)skynet_sendname(ctx, 0, skynet_command(ctx, "LAUNCH", launch), PTYPE_TEXT, 0,
				      "", 0);
	while (atomic_load(&game.handled) < CROWD && sk_clock_ns() < deadline_ns)
		(void)sched_yield();
	if (atomic_load(&game.handled) < CROWD)
		atomic_fetch_add(&game.timeouts, 1);
}

static int
on_order(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
	 const void *msg, size_t sz)
{
	(void)ud, (void)session, (void)source, (void)msg;
	if (type == PTYPE_RESPONSE)
		return SKYNET_DONE; /* the timer */
	if (sz == 0)
		wait_for_report(ctx);
	else if (sz == 1)
		wait_for_timer(ctx);
	else
		wait_for_crowd(ctx);
	(void)sem_post(&game.ended);
	return SKYNET_DONE;
}

static int
init_stuck(struct script *script, struct skynet_context *ctx, const char *parm)
{
	(void)script, (void)parm;
	atomic_store(&game.stuck_handle, skynet_current_handle());
	skynet_callback(ctx, NULL, on_order);
	return 0;
}

/* --- the node ------------------------------------------------------------------------------- */

static void
start(const char *workers)
{
	char error[256] = "", logger[32], bootstrap[48];
	game = (struct game){.log = {init_log, NULL, NULL},
			     .stuck = {init_stuck, NULL, NULL},
			     .member = {init_member, NULL, NULL}};
	assert_int_equal(sem_init(&game.reported, 0, 0), 0);
	assert_int_equal(sem_init(&game.ended, 0, 0), 0);
	(void)snprintf(logger, sizeof logger, "%" PRIxPTR, (uintptr_t)&game.log);
	(void)snprintf(bootstrap, sizeof bootstrap, "scripted %" PRIxPTR, (uintptr_t)&game.stuck);
	const char *settings[] = {"thread", workers,	 "logservice", "scripted", "logger",
				  logger,   "bootstrap", bootstrap,    NULL};
	game.node = sk_node_new(world_env(settings), error, sizeof error);
	if (!game.node || sk_node_start(game.node, error, sizeof error) != SK_OK)
		fail_msg("%s", error);
}

/* Sends the service a message and waits until it has been handled. */
static void
order(uint32_t source, size_t size)
{
	struct sk_core *core = &game.node->core;
	int slot = sk_quiesce_join(&core->quiesce);
	assert_true(slot >= 0);
	assert_int_equal(sk_post(core, atomic_load(&game.stuck_handle),
				 sk_message_new(SK_MESSAGE_PLAIN, PTYPE_TEXT, source, 0,
						size > 0 ? skynet_malloc(size) : NULL, size)),
			 SK_OK);
	sk_quiesce_leave(&core->quiesce, slot);
	assert_true(await(&game.ended));
	assert_int_equal(atomic_load(&game.timeouts), 0);
}

static void
stop(void)
{
	sk_node_stop(game.node);
	assert_int_equal(sk_node_wait(game.node), 0);
	sk_node_free(game.node);
	(void)sem_destroy(&game.reported);
	(void)sem_destroy(&game.ended);
}

static void
a_message_that_takes_long_is_reported(void **state)
{
	char expected[128];
	int length;
	(void)state;
	start("2");
	order(0xabc, 0);
	length = snprintf(expected, sizeof expected,
			  "error: A message from [ :00000abc ] to [ :%08x ] maybe in an endless "
			  "loop (version = ",
			  atomic_load(&game.stuck_handle));
	if (strncmp(game.report, expected, (size_t)length) != 0)
		fail_msg("'%s' does not begin with '%s'", game.report, expected);
	assert_true(game.was_endless);
	stop();
}

/* W1 */
static void
it_sleeps_while_nothing_runs_and_wakes_in_time(void **state)
{
	(void)state;
	start("2");
	for (int i = 0; i < 5; i++) {
		uint64_t deadline_ns = sk_clock_ns() + DEADLINE_S * SK_NS_PER_SECOND;
		while (!atomic_load(&game.node->watchdog->is_asleep)) {
			assert_true(sk_clock_ns() < deadline_ns);
			(void)sched_yield();
		}
		order(1, 0);
	}
	stop();
}

static void
it_polls_while_no_worker_can(void **state)
{
	(void)state;
	start("1");
	for (int i = 0; i < 5; i++)
		order(1, 1);
	stop();
}

/* R3 of sk_scheduler.c: in the next slot, in the queue, and in the shared queue. */
static void
others_take_what_waits_behind_a_long_callback(void **state)
{
	(void)state;
	start("2");
	order(1, 2);
	stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_that_takes_long_is_reported),
		cmocka_unit_test(it_sleeps_while_nothing_runs_and_wakes_in_time),
		cmocka_unit_test(it_polls_while_no_worker_can),
		cmocka_unit_test(others_take_what_waits_behind_a_long_callback),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
