/* limit_fanout.c: what the machine allows for a job done on several cores at once: threads that
 * sleep on a condition variable are woken, each does the job, and the first thread, which has done
 * one too, waits for them all. On Linux each thread stays on a core of its own: left to itself, the
 * system may put a thread that wakes on the core of the one that woke it, and leave the other core
 * idle.
 *
 * limit_fanout THREADS ROUNDS: prints RESULT alone_us=N all_us=N times=N (medians; times is the
 * median of all_us divided by that of alone_us). */
#include "bench.h"

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>

#define JOB_NS 1000000
#define GAP_NS 11000000 /* between rounds, so that the threads fall asleep */
#define THREADS_MAX 1024

struct helper {
	pthread_t thread;
	/* Under lock. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool has_work;
};

static struct helper helpers[THREADS_MAX];
static uint64_t steps;

static uint64_t
work(uint64_t n)
{
	volatile uint64_t sum = 0;
	for (uint64_t i = 0; i < n; i++)
		sum = sum + i % 7;
	return sum;
}

static void
set_work(struct helper *helper, bool has_work)
{
	pthread_mutex_lock(&helper->lock);
	helper->has_work = has_work;
	pthread_cond_signal(&helper->changed);
	pthread_mutex_unlock(&helper->lock);
}

static void
await_work(struct helper *helper, bool has_work)
{
	pthread_mutex_lock(&helper->lock);
	while (helper->has_work != has_work)
		pthread_cond_wait(&helper->changed, &helper->lock);
	pthread_mutex_unlock(&helper->lock);
}

static void *
help(void *argument)
{
	struct helper *helper = argument;
	for (;;) {
		await_work(helper, true);
		work(steps);
		set_work(helper, false);
	}
	return NULL;
}

/* Gives the thread the nth of the cores that this process may use, and no other. */
static void
keep_on_core(pthread_t thread, int nth)
{
#ifdef __linux__
	cpu_set_t usable, one;
	if (sched_getaffinity(0, sizeof usable, &usable) != 0)
		return;
	for (int core = 0; core < CPU_SETSIZE; core++) {
		if (!CPU_ISSET(core, &usable) || nth-- > 0)
			continue;
		CPU_ZERO(&one);
		CPU_SET(core, &one);
		(void)pthread_setaffinity_np(thread, sizeof one, &one); /* only a better place */
		return;
	}
#else
	(void)thread;
	(void)nth;
#endif
}

static double
round_us(int threads)
{
	struct timespec gap = {.tv_nsec = GAP_NS};
	(void)nanosleep(&gap, NULL); /* shorter does no harm */
	uint64_t begin = now_ns();
	for (int i = 1; i < threads; i++)
		set_work(&helpers[i], true);
	work(steps);
	for (int i = 1; i < threads; i++)
		await_work(&helpers[i], false);
	return (double)(now_ns() - begin) / 1e3;
}

static void
calibrate(void)
{
	uint64_t fastest = UINT64_MAX, tried = 20000;
	for (int i = 0; i < 50; i++) {
		uint64_t begin = now_ns();
		work(tried);
		uint64_t elapsed = now_ns() - begin;
		fastest = elapsed < fastest ? elapsed : fastest;
	}
	steps = tried * JOB_NS / (fastest ? fastest : 1);
}

int
main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: limit_fanout THREADS ROUNDS\n");
		return 2;
	}
	int threads = (int)positive_number("THREADS", argv[1]);
	int rounds = (int)positive_number("ROUNDS", argv[2]);
	double *alone = calloc((size_t)rounds, sizeof *alone);
	double *all = calloc((size_t)rounds, sizeof *all);
	if (alone == NULL || all == NULL || threads > THREADS_MAX) {
		fprintf(stderr, "limit_fanout: at most %d threads\n", THREADS_MAX);
		return 2;
	}
	calibrate();
	for (int i = 1; i < threads; i++) {
		pthread_mutex_init(&helpers[i].lock, NULL);
		pthread_cond_init(&helpers[i].changed, NULL);
		if (pthread_create(&helpers[i].thread, NULL, help, &helpers[i]) != 0) {
			fprintf(stderr, "limit_fanout: cannot start a thread\n");
			return 1;
		}
	}
	for (int i = threads - 1; i > 0; i--)
		keep_on_core(helpers[i].thread, i);
	keep_on_core(pthread_self(), 0); /* last: it narrows what the others would be given */
	for (int i = 0; i < rounds; i++) {
		alone[i] = round_us(1);
		all[i] = round_us(threads);
	}
	double alone_us = median(alone, (size_t)rounds), all_us = median(all, (size_t)rounds);
	printf("RESULT alone_us=%.1f all_us=%.1f times=%.3f\n", alone_us, all_us,
	       all_us / alone_us);
	free(alone);
	free(all);
	return 0; /* the helpers end with the process */
}
