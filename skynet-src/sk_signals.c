/* sk_signals.c: waits for signals on a thread of its own, where everything may be called.
 *
 * I1  The node is touched only under the lock, and only between started and fini.
 *
 * What comes before the node runs is done by started, but for a second stop: a start that hangs is
 * one of the reasons for it. */
#include "sk_signals.h"

#include "sk_clock.h"
#include "sk_daemon.h"
#include "sk_node.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Who ends a process and then its group, as timeout(1) does, sends two signals at a time and means
 * one. Nobody loses his patience that fast. */
#define SAME_STOP_MS 200
/* What a shell reports for a process that a signal has ended. */
#define STATUS_OF_SIGNAL(number) (128 + (number))

static _Noreturn void
end_at_once(const struct sk_signals *signals, int number)
{
	(void)fprintf(stderr, "skynet: a second signal (%s): ended without waiting for services\n",
		      strsignal(number));
	sk_daemon_remove_file(signals->daemon);
	_exit(STATUS_OF_SIGNAL(number));
}

/* I1 */
static void
do_wanted_locked(struct sk_signals *signals)
{
	if (signals->wants_reload) {
		sk_node_reopen_log(signals->node);
		sk_node_reload_tls(signals->node);
	}
	signals->wants_reload = false;
	if (signals->stop_ms != 0)
		sk_node_stop(signals->node);
}

static void
stop_locked(struct sk_signals *signals, int number)
{
	uint64_t now_ms = sk_clock_ms();
	if (signals->stop_ms == 0)
		signals->stop_ms = now_ms;
	else if (now_ms - signals->stop_ms > SAME_STOP_MS)
		end_at_once(signals, number);
}

static void
act_locked(struct sk_signals *signals, int number)
{
	if (number == SIGHUP)
		signals->wants_reload = true;
	else
		stop_locked(signals, number);
	if (signals->has_started)
		do_wanted_locked(signals);
}

/* A stop that comes as the thread ends would be lost with it: the process may go on. */
static void
act_late_locked(struct sk_signals *signals, int number)
{
	if (number != SIGHUP && signals->stop_ms == 0)
		signals->stop_ms = sk_clock_ms();
}

static void *
wait_for_signals(void *arg)
{
	struct sk_signals *signals = arg;
	bool is_over = false;
	while (!is_over) {
		int number;
		if (sigwait(&signals->set, &number) != 0)
			continue; /* EINTR, by a handler that somebody else has installed */
		(void)pthread_mutex_lock(&signals->lock);
		is_over = signals->is_over;
		if (is_over)
			act_late_locked(signals, number);
		else
			act_locked(signals, number);
		(void)pthread_mutex_unlock(&signals->lock);
	}
	return NULL;
}

int
sk_signals_init(struct sk_signals *signals, struct sk_node *node, const struct sk_daemon *daemon)
{
	*signals = (struct sk_signals){.node = node, .daemon = daemon};
	(void)sigemptyset(&signals->set);
	(void)sigaddset(&signals->set, SIGHUP);
	(void)sigaddset(&signals->set, SIGINT);
	(void)sigaddset(&signals->set, SIGTERM);
	(void)pthread_sigmask(SIG_BLOCK, &signals->set, NULL); /* fails for a wrong SIG_ only */
	(void)pthread_mutex_init(&signals->lock, NULL);
	errno = pthread_create(&signals->thread, NULL, wait_for_signals, signals);
	if (errno == 0)
		return SK_OK;
	(void)pthread_mutex_destroy(&signals->lock);
	return SK_ESYSTEM;
}

void
sk_signals_started(struct sk_signals *signals)
{
	(void)pthread_mutex_lock(&signals->lock);
	signals->has_started = true;
	do_wanted_locked(signals);
	(void)pthread_mutex_unlock(&signals->lock);
}

void
sk_signals_fini(struct sk_signals *signals)
{
	(void)pthread_mutex_lock(&signals->lock);
	signals->is_over = true;
	(void)pthread_mutex_unlock(&signals->lock);
	(void)pthread_kill(signals->thread, SIGHUP); /* to be read by sigwait */
	(void)pthread_join(signals->thread, NULL);
	(void)pthread_mutex_destroy(&signals->lock);
}
