/* simulation_test.c: whole simulated nodes on their one worker: equal seeds give equal runs, time
 * jumps, and the alarm tells when nothing can happen any more. The services' functions run on the
 * worker, so they only note; the test looks when the node has ended. */
#include "service_world.h"
#include "sk_simulation.h"
#include "skynet_simulation.h"

#include <sched.h>

#define PLAYERS 5
#define HOPS 40
#define TRACE_MAX (PLAYERS * HOPS + 16)
#define HOUR_MS INT64_C(3600000)

struct play;

struct role {
	struct script script; /* first */
	struct play *play;
	int index;
	struct skynet_context *ctx;
	uint32_t handle;
	int left; /* hops */
};

struct play {
	struct role log;
	struct role boot;
	struct role players[PLAYERS];
	struct sk_node *node;
	/* Of the worker. */
	int trace[TRACE_MAX]; /* who was told something, in order */
	int trace_count;
	int done;
	uint64_t begin_ns;
	uint64_t end_ns;
	char alarm[16];
	int mails;
};

static uint32_t
launch(struct role *by, struct role *role)
{
	char parm[64];
	(void)snprintf(parm, sizeof parm, "scripted %" PRIxPTR, (uintptr_t)role);
	const char *address = skynet_command(by->ctx, "LAUNCH", parm);
	return address ? (uint32_t)strtoul(address + 1, NULL, 16) : 0;
}

static int
init_log(struct script *script, struct skynet_context *ctx, const char *parm)
{
	(void)script, (void)ctx, (void)parm;
	return 0; /* lines are freed unread */
}

static void
new_play(struct play *play, const char *seed,
	 int (*init)(struct script *script, struct skynet_context *ctx, const char *parm))
{
	char error[256] = "", logger[32], bootstrap[48];
	*play = (struct play){.node = NULL};
	play->log = (struct role){.script = {init_log, NULL, NULL}};
	play->boot = (struct role){.script = {init, NULL, NULL}, .play = play};
	(void)snprintf(logger, sizeof logger, "%" PRIxPTR, (uintptr_t)&play->log);
	(void)snprintf(bootstrap, sizeof bootstrap, "scripted %" PRIxPTR, (uintptr_t)&play->boot);
	const char *settings[] = {"thread",   "4",    "logservice", "scripted",
				  "logger",   logger, "bootstrap",  bootstrap,
				  "simulate", seed,   NULL};
	play->node = sk_node_new(world_env(settings), error, sizeof error);
	if (!play->node)
		fail_msg("%s", error);
}

static void
run_play(struct play *play, const char *seed,
	 int (*init)(struct script *script, struct skynet_context *ctx, const char *parm))
{
	char error[256] = "";
	new_play(play, seed, init);
	if (sk_node_start(play->node, error, sizeof error) != SK_OK)
		fail_msg("%s", error);
	assert_int_equal(sk_node_wait(play->node), 0);
	sk_node_free(play->node);
}

/* --- a game of passing on ------------------------------------------------------------------ */

static int
on_hop(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
       const void *msg, size_t sz)
{
	struct role *role = ud;
	struct play *play = role->play;
	(void)type, (void)session, (void)source, (void)msg, (void)sz;
	play->trace[play->trace_count++] = role->index;
	if (--role->left > 0)
		(void)skynet_send(ctx, 0, role->handle, PTYPE_TEXT, 0, NULL, 0);
	else if (++play->done == PLAYERS)
		(void)skynet_command(ctx, "ABORT", NULL);
	return SKYNET_DONE;
}

static int
init_player(struct script *script, struct skynet_context *ctx, const char *parm)
{
	struct role *role = (struct role *)script;
	(void)parm;
	role->ctx = ctx;
	role->handle = skynet_current_handle();
	role->left = HOPS;
	skynet_callback(ctx, role, on_hop);
	return skynet_send(ctx, 0, role->handle, PTYPE_TEXT, 0, NULL, 0) == 0 ? 0 : 1;
}

static int
init_game(struct script *script, struct skynet_context *ctx, const char *parm)
{
	struct role *boot = (struct role *)script;
	(void)parm;
	boot->ctx = ctx;
	for (int i = 0; i < PLAYERS; i++) {
		struct role *player = &boot->play->players[i];
		*player = (struct role){
			.script = {init_player, NULL, NULL}, .play = boot->play, .index = i};
		if (launch(boot, player) == 0)
			return 1;
	}
	return 0;
}

static void
equal_seeds_give_equal_orders_and_others_do_not(void **state)
{
	(void)state;
	static struct play first, again, other;
	run_play(&first, "1", init_game);
	run_play(&again, "1", init_game);
	run_play(&other, "2", init_game);
	assert_int_equal(first.trace_count, PLAYERS * HOPS);
	assert_int_equal(again.trace_count, PLAYERS * HOPS);
	assert_int_equal(other.trace_count, PLAYERS * HOPS);
	assert_memory_equal(first.trace, again.trace, sizeof first.trace);
	assert_memory_not_equal(first.trace, other.trace, sizeof first.trace);
}

/* --- time ---------------------------------------------------------------------------------- */

static int
on_timer(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
	 const void *msg, size_t sz)
{
	struct play *play = ud;
	(void)type, (void)source, (void)msg, (void)sz;
	play->trace[play->trace_count++] = session;
	if (play->trace_count < 3)
		return SKYNET_DONE;
	play->end_ns = skynet_hpc();
	(void)skynet_command(ctx, "ABORT", NULL);
	return SKYNET_DONE;
}

static int
init_timers(struct script *script, struct skynet_context *ctx, const char *parm)
{
	struct play *play = ((struct role *)script)->play;
	(void)parm;
	skynet_callback(ctx, play, on_timer);
	play->begin_ns = skynet_hpc();
	(void)skynet_timeout(ctx, 1000 * HOUR_MS, NULL); /* session 1 */
	(void)skynet_timeout(ctx, 1, NULL);		 /* session 2 */
	(void)skynet_timeout(ctx, HOUR_MS, NULL);	 /* session 3 */
	return 0;
}

static void
time_jumps_from_timer_to_timer(void **state)
{
	(void)state;
	static struct play play;
	run_play(&play, "3", init_timers);
	static const int expected[] = {2, 3, 1};
	assert_memory_equal(play.trace, expected, sizeof expected);
	assert_true(play.end_ns - play.begin_ns == (uint64_t)HOUR_MS * 1000 * SK_NS_PER_MS);
}

static int
init_busy(struct script *script, struct skynet_context *ctx, const char *parm)
{
	struct play *play = ((struct role *)script)->play;
	(void)parm;
	play->begin_ns = skynet_hpc();
	return skynet_timeout(ctx, 1, NULL) > 0 ? 0 : 1;
}

/* Its init runs before the worker does; what it waits for is waited for here. */
static int
on_busy(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
	const void *msg, size_t sz)
{
	struct play *play = ud;
	uint64_t until_ns = skynet_hpc() + 50 * SK_NS_PER_MS;
	(void)type, (void)session, (void)source, (void)msg, (void)sz;
	while (skynet_hpc() < until_ns)
		play->mails++;
	(void)skynet_command(ctx, "ABORT", NULL);
	return SKYNET_DONE;
}

static int
init_busy_waiter(struct script *script, struct skynet_context *ctx, const char *parm)
{
	skynet_callback(ctx, ((struct role *)script)->play, on_busy);
	return init_busy(script, ctx, parm);
}

static void
who_waits_by_reading_the_clock_does_not_wait_for_ever(void **state)
{
	(void)state;
	static struct play play;
	run_play(&play, "4", init_busy_waiter);
	assert_in_range(play.mails, 1000, 100000);
}

/* --- the alarm ----------------------------------------------------------------------------- */

static int
on_alarm(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
	 const void *msg, size_t sz)
{
	struct play *play = ud;
	(void)session;
	if (type == PTYPE_TEXT) { /* for ever */
		play->mails++;
		(void)skynet_send(ctx, 0, source, PTYPE_TEXT, 0, NULL, 0);
	} else if (type == PTYPE_SYSTEM) {
		(void)snprintf(play->alarm, sizeof play->alarm, "%.*s", (int)sz, (const char *)msg);
		play->end_ns = skynet_hpc();
		(void)skynet_command(ctx, "ABORT", NULL);
	}
	return SKYNET_DONE;
}

static int
set_alarm(struct script *script, struct skynet_context *ctx, int64_t delay_ms, int64_t real_ms)
{
	struct play *play = ((struct role *)script)->play;
	skynet_callback(ctx, play, on_alarm);
	play->begin_ns = skynet_hpc();
	return skynet_simulation_alarm(ctx, delay_ms, real_ms) == 0 ? 0 : 1;
}

static int
init_late(struct script *script, struct skynet_context *ctx, const char *parm)
{
	(void)parm;
	(void)skynet_timeout(ctx, 2 * HOUR_MS, NULL);
	return set_alarm(script, ctx, HOUR_MS, HOUR_MS);
}

static int
init_stuck(struct script *script, struct skynet_context *ctx, const char *parm)
{
	(void)parm;
	return set_alarm(script, ctx, HOUR_MS, HOUR_MS);
}

static int
init_slow(struct script *script, struct skynet_context *ctx, const char *parm)
{
	(void)parm;
	(void)skynet_send(ctx, 0, skynet_current_handle(), PTYPE_TEXT, 0, NULL, 0);
	return set_alarm(script, ctx, 1000 * HOUR_MS, 10);
}

static int
init_overdue(struct script *script, struct skynet_context *ctx, const char *parm)
{
	(void)parm;
	(void)skynet_send(ctx, 0, skynet_current_handle(), PTYPE_TEXT, 0, NULL, 0);
	return set_alarm(script, ctx, 10, HOUR_MS);
}

static void
the_alarm_goes_off_when_its_time_is_over(void **state)
{
	(void)state;
	static struct play play;
	run_play(&play, "5", init_late);
	assert_string_equal(play.alarm, "late");
	assert_true(play.end_ns - play.begin_ns == (uint64_t)HOUR_MS * SK_NS_PER_MS);
}

static void
the_alarm_goes_off_when_nothing_can_happen_any_more(void **state)
{
	(void)state;
	static struct play play;
	run_play(&play, "6", init_stuck);
	assert_string_equal(play.alarm, "stuck");
	assert_true(play.end_ns == play.begin_ns);
}

static void
the_alarm_goes_off_while_somebody_always_has_mail(void **state)
{
	(void)state;
	static struct play play;
	run_play(&play, "7", init_slow);
	assert_string_equal(play.alarm, "slow");
	assert_true(play.mails > 0);
	run_play(&play, "8", init_overdue);
	assert_string_equal(play.alarm, "late");
}

/* --- the outside --------------------------------------------------------------------------- */

static int
init_idle(struct script *script, struct skynet_context *ctx, const char *parm)
{
	(void)script, (void)ctx, (void)parm;
	return 0;
}

static void
a_node_that_waits_for_nothing_can_be_stopped(void **state)
{
	(void)state;
	static struct play play;
	char error[256] = "";
	new_play(&play, "9", init_idle);
	assert_int_equal(sk_node_start(play.node, error, sizeof error), SK_OK);
	while (atomic_load(&play.node->core.scheduler.sleeping) == 0)
		(void)sched_yield();
	sk_node_stop(play.node);
	assert_int_equal(sk_node_wait(play.node), 0);
	assert_int_equal(play.node->core.scheduler.worker_count, 1);
	sk_node_free(play.node);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_seeds_give_equal_orders_and_others_do_not),
		cmocka_unit_test(time_jumps_from_timer_to_timer),
		cmocka_unit_test(who_waits_by_reading_the_clock_does_not_wait_for_ever),
		cmocka_unit_test(the_alarm_goes_off_when_its_time_is_over),
		cmocka_unit_test(the_alarm_goes_off_when_nothing_can_happen_any_more),
		cmocka_unit_test(the_alarm_goes_off_while_somebody_always_has_mail),
		cmocka_unit_test(a_node_that_waits_for_nothing_can_be_stopped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
