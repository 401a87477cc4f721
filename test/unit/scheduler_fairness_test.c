/* scheduler_fairness_test.c: a whole node with real threads: whoever has mail gets a turn, however
 * busy others are, and what waits in the slot of a worker is taken by another one. */
#include "stress_node.h"

/* --- fairness ------------------------------------------------------------------------------- */

static _Atomic uint32_t flooder, partner, victim;
static _Atomic uint64_t floods;
static sem_t answered;

/* Each message makes two of the same kind possible: one to itself, one to and fro. */
static int
run_flooder(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
	    const void *msg, size_t size)
{
	(void)ud;
	(void)type;
	(void)msg;
	(void)size;
	atomic_fetch_add(&floods, 1);
	(void)skynet_send(ctx, 0, session == 1 ? atomic_load(&flooder) : source, PTYPE_TEXT,
			  session, NULL, 0);
	return SKYNET_DONE;
}

/* Answers after a timer. */
static int
run_victim(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
	   const void *msg, size_t size)
{
	(void)ud;
	(void)session;
	(void)source;
	(void)msg;
	(void)size;
	if (type == PTYPE_TEXT)
		(void)skynet_timeout(ctx, 1, NULL);
	else
		(void)sem_post(&answered);
	return SKYNET_DONE;
}

static int
init_flooder(void *instance, struct skynet_context *ctx, const char *parm)
{
	(void)instance;
	(void)parm;
	skynet_callback(ctx, NULL, run_flooder);
	return 0;
}

static int
init_victim(void *instance, struct skynet_context *ctx, const char *parm)
{
	(void)instance;
	(void)parm;
	skynet_callback(ctx, NULL, run_victim);
	return 0;
}

static uint32_t
launch(struct skynet_context *ctx, const char *name)
{
	return (uint32_t)strtoul(skynet_command(ctx, "LAUNCH", name) + 1, NULL, 16);
}

static int
init_flood(void *instance, struct skynet_context *ctx, const char *parm)
{
	(void)instance;
	(void)parm;
	atomic_store(&flooder, launch(ctx, "flooder"));
	atomic_store(&partner, launch(ctx, "flooder"));
	atomic_store(&victim, launch(ctx, "victim"));
	for (int i = 0; i < 200; i++) /* more than one turn takes */
		(void)skynet_send(ctx, atomic_load(&flooder), atomic_load(&flooder), PTYPE_TEXT, 1,
				  NULL, 0);
	(void)skynet_send(ctx, atomic_load(&flooder), atomic_load(&partner), PTYPE_TEXT, 2, NULL,
			  0);
	return 0;
}

static void
a_flood_does_not_starve_others_nor_timers(void **state)
{
	(void)state;
	assert_int_equal(sem_init(&answered, 0, 0), 0);
	make_node("1");
	add_module("boot", NULL, init_flood, NULL);
	add_module("flooder", NULL, init_flooder, NULL);
	add_module("victim", NULL, init_victim, NULL);
	start_node();
	for (int i = 0; i < 50; i++) {
		assert_true(post(0, atomic_load(&victim), 0, NULL, 0));
		await(&answered, "the answer beside a flood");
	}
	assert_true(atomic_load(&floods) > 0);
	stop_node();
	(void)sem_destroy(&answered);
}

/* --- the next slot -------------------------------------------------------------------------- */

static sem_t helped, blocked_ended;
static _Atomic uint32_t timeouts;

static int
run_helper(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
	   const void *msg, size_t size)
{
	(void)ctx;
	(void)ud;
	(void)type;
	(void)session;
	(void)source;
	(void)msg;
	(void)size;
	(void)sem_post(&helped);
	return SKYNET_DONE;
}

/* Makes another service ready, and stays in this callback until that one has run. */
static int
run_blocked(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
	    const void *msg, size_t size)
{
	struct timespec until;
	(void)ud;
	(void)type;
	(void)session;
	(void)source;
	(void)msg;
	(void)size;
	(void)skynet_send(ctx, 0, atomic_load(&partner), PTYPE_TEXT, 0, NULL, 0);
	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += DEADLINE_MS / 1000 / 2;
	while (sem_timedwait(&helped, &until) != 0) {
		if (errno == EINTR)
			continue;
		atomic_fetch_add(&timeouts, 1);
		break;
	}
	(void)sem_post(&blocked_ended);
	return SKYNET_DONE;
}

static int
init_helper(void *instance, struct skynet_context *ctx, const char *parm)
{
	(void)instance;
	(void)parm;
	skynet_callback(ctx, NULL, run_helper);
	return 0;
}

static int
init_blocked(void *instance, struct skynet_context *ctx, const char *parm)
{
	(void)instance;
	(void)parm;
	skynet_callback(ctx, NULL, run_blocked);
	atomic_store(&victim, (uint32_t)strtoul(skynet_command(ctx, "REG", NULL) + 1, NULL, 16));
	atomic_store(&partner, launch(ctx, "helper"));
	return 0;
}

static void
what_waits_behind_a_long_callback_runs_elsewhere(void **state)
{
	(void)state;
	assert_int_equal(sem_init(&helped, 0, 0), 0);
	assert_int_equal(sem_init(&blocked_ended, 0, 0), 0);
	make_node("2");
	add_module("boot", NULL, init_blocked, NULL);
	add_module("helper", NULL, init_helper, NULL);
	start_node();
	for (int i = 0; i < 50; i++) {
		assert_true(post(0, atomic_load(&victim), 0, NULL, 0));
		await(&blocked_ended, "the end of a long callback");
		if (i % 2 == 0)
			await_sleep();
		assert_int_equal(atomic_load(&timeouts), 0);
	}
	stop_node();
	(void)sem_destroy(&helped);
	(void)sem_destroy(&blocked_ended);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flood_does_not_starve_others_nor_timers),
		cmocka_unit_test(what_waits_behind_a_long_callback_runs_elsewhere),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
