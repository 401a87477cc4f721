/* watchdog_time_test.c: by which clock the watchdog calls a message long. Its clocks are set by
 * hand, and each of its looks is made by the test: no thread runs. */
#include "sk_clock.h"

static uint64_t test_now_ns;
static uint64_t test_processor_ns;
#define sk_clock_ns() test_now_ns
#define sk_clock_processor_ns() test_processor_ns
#include "sk_watchdog.c"
#undef sk_clock_ns
#undef sk_clock_processor_ns

#include "unit.h"

#define HANDLE 0x23
#define SOURCE 0x42

struct watch {
	struct sk_quiesce quiesce;
	struct sk_scheduler scheduler;
	struct sk_virtual_clock clock;
	struct sk_watchdog *watchdog;
	int reports;
};

static void
count_report(void *owner, uint32_t handle, uint32_t source, uint64_t number)
{
	struct watch *watch = owner;
	assert_int_equal(handle, HANDLE);
	assert_int_equal(source, SOURCE);
	assert_int_equal(number, atomic_load(&watch->scheduler.workers[0].message_number));
	watch->reports++;
}

/* The only worker begins a message. */
static void
begin_message(struct watch *watch)
{
	struct sk_worker *worker = &watch->scheduler.workers[0];
	atomic_fetch_add(&worker->message_number, 1);
	atomic_store(&worker->running_handle, HANDLE);
	atomic_store(&worker->running_source, SOURCE);
}

static void
begin(struct watch *watch, bool is_simulated)
{
	struct sk_scheduler_hooks hooks = {.clock = is_simulated ? &watch->clock : NULL};
	*watch = (struct watch){0};
	test_now_ns = test_processor_ns = SK_NS_PER_SECOND;
	sk_virtual_clock_init(&watch->clock, SK_NS_PER_SECOND);
	assert_int_equal(sk_quiesce_init(&watch->quiesce), SK_OK);
	assert_int_equal(sk_scheduler_init(&watch->scheduler, 1, &watch->quiesce, &hooks), SK_OK);
	watch->watchdog = sk_watchdog_new(&watch->scheduler, count_report, watch);
	assert_non_null(watch->watchdog);
	watch->watchdog->sightings = calloc(1, sizeof(struct sighting));
	assert_non_null(watch->watchdog->sightings);
	watch->watchdog->quiesce_slot = sk_quiesce_join(&watch->quiesce);
	forget_sightings(watch->watchdog);
	begin_message(watch);
	(void)look(watch->watchdog);
}

static void
end(struct watch *watch)
{
	sk_quiesce_leave(&watch->quiesce, watch->watchdog->quiesce_slot);
	sk_watchdog_free(watch->watchdog);
	sk_scheduler_fini(&watch->scheduler);
	sk_quiesce_fini(&watch->quiesce);
}

/* How many reports a look makes when so much time has passed since the last. */
static int
reports_after(struct watch *watch, uint64_t *clock_ns, uint64_t passed_ns)
{
	int before = watch->reports;
	*clock_ns += passed_ns;
	(void)look(watch->watchdog);
	return watch->reports - before;
}

/* Which a message takes by one clock, while the other may do what it likes. */
static void
check_clock(bool is_simulated, uint64_t *decides_ns, uint64_t *other_ns)
{
	struct watch watch;
	const uint64_t five_seconds_ns = 5 * SK_NS_PER_SECOND;
	begin(&watch, is_simulated);
	assert_int_equal(reports_after(&watch, other_ns, 1000 * SK_NS_PER_SECOND), 0);
	assert_int_equal(reports_after(&watch, decides_ns, five_seconds_ns - 1), 0);
	assert_int_equal(reports_after(&watch, decides_ns, 1), 1);
	assert_int_equal(reports_after(&watch, decides_ns, five_seconds_ns - 1), 0);
	assert_int_equal(reports_after(&watch, decides_ns, 1), 1);
	begin_message(&watch);
	assert_int_equal(reports_after(&watch, decides_ns, five_seconds_ns),
			 0); /* its first look */
	assert_int_equal(reports_after(&watch, decides_ns, five_seconds_ns - 1), 0);
	assert_int_equal(reports_after(&watch, decides_ns, 1), 1);
	end(&watch);
}

static void
a_message_is_long_after_five_seconds_of_time(void **state)
{
	(void)state;
	check_clock(false, &test_now_ns, &test_processor_ns);
}

static void
a_simulated_message_is_long_after_five_seconds_of_processor_time(void **state)
{
	(void)state;
	check_clock(true, &test_processor_ns, &test_now_ns);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_is_long_after_five_seconds_of_time),
		cmocka_unit_test(a_simulated_message_is_long_after_five_seconds_of_processor_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
