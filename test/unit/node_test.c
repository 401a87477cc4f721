/* node_test.c: whole nodes with their threads: they start, work and end, several at a time and
 * again and again; and what a node says that cannot start. The services' functions run on workers,
 * so they only count; the test looks when the workers are joined. */
#include "service_world.h"
#include "sk_watchdog.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

/* Nothing here takes a second; who waits for so many waits for ever. */
#define DEADLINE_S 300
#define NODES 2
#define STARTS 5
#define PINGS 200
#define ROUNDS 300
#define REQUESTS 20

struct player {
	struct script script; /* first */
	struct game *game;
	struct skynet_context *ctx;
	int releases; /* under release_lock, until the node has ended */
};

/* What the services of one node share. */
struct game {
	struct player log;
	struct player boot;
	struct player peer;
	struct player killer;
	struct sk_node *node;
	/* Of the log service. */
	int lines;
	bool was_last; /* nobody else was left when it ended */
	char last_line[64];
	/* Of the boot service. */
	int pings;
	int rounds;
	uint32_t killer_handle;
	int sent;     /* requests of this round */
	int answered; /* of these */
	int served;   /* of all, with a response */
	int refused;  /* of all, with an error */
	bool is_wrong;
};

static const char *
launch(struct player *by, struct player *player)
{
	char parm[64];
	(void)snprintf(parm, sizeof parm, "scripted %" PRIxPTR, (uintptr_t)player);
	return skynet_command(by->ctx, "LAUNCH", parm);
}

static uint32_t
handle_of(const char *address)
{
	return address ? (uint32_t)strtoul(address + 1, NULL, 16) : 0;
}

static pthread_mutex_t release_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t release_signal = PTHREAD_COND_INITIALIZER;

static void
count_release(struct script *script)
{
	struct player *player = (struct player *)script;
	(void)pthread_mutex_lock(&release_lock);
	player->releases++;
	(void)pthread_cond_broadcast(&release_signal);
	(void)pthread_mutex_unlock(&release_lock);
}

static void
await_releases(struct player *player, int count)
{
	(void)pthread_mutex_lock(&release_lock);
	while (player->releases < count)
		(void)pthread_cond_wait(&release_signal, &release_lock);
	(void)pthread_mutex_unlock(&release_lock);
}

static struct player
new_player(struct game *game,
	   int (*init)(struct script *script, struct skynet_context *ctx, const char *parm))
{
	return (struct player){.script = {init, count_release, NULL}, .game = game};
}

/* --- services ------------------------------------------------------------------------------ */

static int
on_log(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
       const void *msg, size_t sz)
{
	struct game *game = ud;
	(void)ctx, (void)session, (void)source;
	if (type == PTYPE_TEXT) {
		game->lines++;
		(void)snprintf(game->last_line, sizeof game->last_line, "%.*s", (int)sz,
			       (const char *)msg);
	}
	return SKYNET_DONE;
}

static int
init_log(struct script *script, struct skynet_context *ctx, const char *parm)
{
	struct player *log = (struct player *)script;
	(void)parm;
	skynet_callback(ctx, log->game, on_log);
	return 0;
}

static void
release_log(struct script *script)
{
	struct player *log = (struct player *)script;
	count_release(script);
	log->game->was_last = atomic_load(&log->game->node->core.living) == 1;
}

/* Sends requests back as responses. */
static int
on_peer(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
	const void *msg, size_t sz)
{
	(void)ud, (void)type;
	(void)skynet_send(ctx, 0, source, PTYPE_RESPONSE | PTYPE_TAG_DONTCOPY, session,
			  (void *)(uintptr_t)msg, sz);
	return SKYNET_KEPT;
}

static int
init_peer(struct script *script, struct skynet_context *ctx, const char *parm)
{
	(void)parm;
	((struct player *)script)->ctx = ctx;
	skynet_callback(ctx, script, on_peer);
	return 0;
}

static int
on_pong(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
	const void *msg, size_t sz)
{
	struct game *game = ud;
	(void)session;
	if (type != PTYPE_RESPONSE || (source != 0 && (sz != 4 || memcmp(msg, "ping", 4) != 0)))
		game->is_wrong = true;
	if (source == 0) { /* the timer, at the end */
		skynet_error(ctx, "good bye");
		(void)skynet_command(ctx, "ABORT", NULL);
	} else if (++game->pings < PINGS) {
		(void)skynet_send(ctx, 0, source, PTYPE_TEXT, game->pings, "ping", 4);
	} else {
		(void)skynet_timeout(ctx, 1, NULL);
	}
	return SKYNET_DONE;
}

static int
init_ping(struct script *script, struct skynet_context *ctx, const char *parm)
{
	struct player *boot = (struct player *)script;
	(void)parm;
	boot->ctx = ctx;
	skynet_callback(ctx, boot->game, on_pong);
	uint32_t peer = handle_of(launch(boot, &boot->game->peer));
	return skynet_send(ctx, 0, peer, PTYPE_TEXT, 1, "ping", 4) == 1 ? 0 : 1;
}

/* Kills whoever it is told to. */
static int
on_victim(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
	  const void *msg, size_t sz)
{
	(void)ud, (void)type, (void)session, (void)source;
	if (sz > 0)
		(void)skynet_command(ctx, "KILL", msg);
	return SKYNET_DONE;
}

static int
init_killer(struct script *script, struct skynet_context *ctx, const char *parm)
{
	(void)script, (void)parm;
	skynet_callback(ctx, NULL, on_victim);
	return 0;
}

/* A new peer gets requests while the killer is told to kill it. */
static void
begin_round(struct player *boot)
{
	struct game *game = boot->game;
	const char *address = launch(boot, &game->peer);
	uint32_t peer = handle_of(address);
	game->sent = game->answered = 0;
	for (int i = 0; i < REQUESTS; i++) {
		if (i == REQUESTS / 2)
			(void)skynet_send(boot->ctx, 0, game->killer_handle, PTYPE_TEXT, 0,
					  (void *)(uintptr_t)address, strlen(address));
		if (skynet_send(boot->ctx, 0, peer, PTYPE_TEXT, i + 1, "x", 1) > 0)
			game->sent++;
	}
}

static int
on_answer(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
	  const void *msg, size_t sz)
{
	struct player *boot = ud;
	struct game *game = boot->game;
	(void)source, (void)msg, (void)sz;
	if (session == 0) /* an error that says only that a service is gone */
		return SKYNET_DONE;
	game->answered++;
	game->served += type == PTYPE_RESPONSE;
	game->refused += type == PTYPE_ERROR;
	if (game->answered < game->sent)
		return SKYNET_DONE;
	if (game->answered > game->sent)
		game->is_wrong = true;
	if (++game->rounds < ROUNDS)
		begin_round(boot);
	else
		(void)skynet_command(ctx, "ABORT", NULL);
	return SKYNET_DONE;
}

static int
init_rounds(struct script *script, struct skynet_context *ctx, const char *parm)
{
	struct player *boot = (struct player *)script;
	(void)parm;
	boot->ctx = ctx;
	skynet_callback(ctx, boot, on_answer);
	boot->game->killer_handle = handle_of(launch(boot, &boot->game->killer));
	begin_round(boot);
	return 0;
}

static int
init_fails(struct script *script, struct skynet_context *ctx, const char *parm)
{
	(void)script, (void)ctx, (void)parm;
	return 1;
}

/* Launches and never stops to: what is launched launches the next. */
static int
on_relay(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
	 const void *msg, size_t sz)
{
	struct player *player = ud;
	struct player self = {.ctx = ctx};
	(void)type, (void)session, (void)source, (void)msg, (void)sz;
	const char *address = launch(&self, player);
	(void)skynet_send(ctx, 0, handle_of(address), PTYPE_TEXT, 0, "go", 2);
	(void)skynet_command(ctx, "EXIT", NULL);
	return SKYNET_DONE;
}

static int
init_relay(struct script *script, struct skynet_context *ctx, const char *parm)
{
	(void)parm;
	skynet_callback(ctx, script, on_relay);
	return skynet_timeout(ctx, 0, NULL) > 0 ? 0 : 1;
}

/* --- nodes --------------------------------------------------------------------------------- */

static void
new_game(struct game *game,
	 int (*init)(struct script *script, struct skynet_context *ctx, const char *parm))
{
	char error[256] = "", logger[32], bootstrap[48];
	*game = (struct game){.node = NULL};
	game->log = new_player(game, init_log);
	game->log.script.release = release_log;
	game->boot = new_player(game, init);
	game->peer = new_player(game, init_peer);
	game->killer = new_player(game, init_killer);
	(void)snprintf(logger, sizeof logger, "%" PRIxPTR, (uintptr_t)&game->log);
	(void)snprintf(bootstrap, sizeof bootstrap, "scripted %" PRIxPTR, (uintptr_t)&game->boot);
	const char *settings[] = {"thread", "3",	 "logservice", "scripted", "logger",
				  logger,   "bootstrap", bootstrap,    NULL};
	game->node = sk_node_new(world_env(settings), error, sizeof error);
	if (!game->node)
		fail_msg("%s", error);
}

static void
start(struct game *game)
{
	char error[256] = "";
	if (sk_node_start(game->node, error, sizeof error) != SK_OK)
		fail_msg("%s", error);
}

static void
nodes_in_one_process_start_and_end_again_and_again(void **state)
{
	static struct game games[NODES];
	(void)state;
	for (int i = 0; i < STARTS; i++) {
		for (int n = 0; n < NODES; n++)
			new_game(&games[n], init_ping);
		for (int n = 0; n < NODES; n++)
			start(&games[n]);
		for (int n = 0; n < NODES; n++) {
			struct game *game = &games[n];
			assert_int_equal(sk_node_wait(game->node), 0);
			sk_node_free(game->node);
			assert_int_equal(game->pings, PINGS);
			assert_false(game->is_wrong);
			assert_int_equal(game->boot.releases, 1);
			assert_int_equal(game->peer.releases, 1);
			assert_int_equal(game->log.releases, 1);
			assert_true(game->was_last);
			/* The launches of the other two, and the one line of boot. */
			assert_int_equal(game->lines, 3);
			assert_string_equal(game->last_line, "good bye");
		}
	}
}

static void
a_node_is_freed_that_never_ran(void **state)
{
	static struct game game;
	(void)state;
	new_game(&game, init_ping);
	sk_node_free(game.node);
	assert_int_equal(game.log.releases, 0);
}

/* V5, with threads: each request is answered once, whenever its receiver is killed. */
static void
each_request_is_answered_once_while_services_die(void **state)
{
	static struct game game;
	(void)state;
	new_game(&game, init_rounds);
	start(&game);
	assert_int_equal(sk_node_wait(game.node), 0);
	sk_node_free(game.node);
	assert_int_equal(game.rounds, ROUNDS);
	assert_false(game.is_wrong);
	assert_int_equal(game.peer.releases, ROUNDS);
	assert_true(game.served + game.refused >= ROUNDS * REQUESTS / 2);
}

static void
a_node_can_be_stopped_from_outside_while_it_launches(void **state)
{
	static struct game game;
	(void)state;
	for (int i = 0; i < STARTS; i++) {
		new_game(&game, init_relay);
		start(&game);
		/* The boot service ends when it has launched its successor. */
		await_releases(&game.boot, 10);
		sk_node_reopen_log(game.node);
		sk_node_stop(game.node);
		assert_int_equal(sk_node_wait(game.node), 0);
		sk_node_free(game.node);
		assert_true(game.was_last);
	}
}

/* The watchdog looks for the first time while a worker is about to begin its first message. */
static void
a_worker_at_its_first_message_is_not_stuck(void **state)
{
	struct world *w = world_new(NULL);
	struct sk_scheduler *scheduler = &w->core->scheduler;
	(void)state;
	atomic_store(&scheduler->last_poll_ticks, 0);
	atomic_store(&w->worker->running_handle, 1);
	assert_int_equal(sk_watchdog_start(w->node->watchdog), SK_OK);
	while (atomic_load(&scheduler->last_poll_ticks) == 0) /* then it has looked */
		(void)sched_yield();
	sk_scheduler_stop(scheduler);
	sk_watchdog_stop(w->node->watchdog);
	world_expect_log(w, "%s", "");
	world_free(w);
}

/* --- nodes that cannot start --------------------------------------------------------------- */

static void
a_node_without_its_log_service_does_not_start(void **state)
{
	static struct game game;
	char error[256];
	(void)state;
	new_game(&game, init_ping);
	game.log.script.init = init_fails;
	assert_int_equal(sk_node_start(game.node, error, sizeof error), SK_EINVAL);
	assert_string_equal(error,
			    "Can't launch scripted service (config keys logservice and logger)");
	sk_node_free(game.node);
	assert_int_equal(game.boot.releases, 0);
}

static void
a_node_without_its_bootstrap_does_not_start(void **state)
{
	static struct game game;
	char error[256];
	(void)state;
	new_game(&game, init_fails);
	assert_int_equal(sk_node_start(game.node, error, sizeof error), SK_EINVAL);
	assert_non_null(strstr(error, "Bootstrap error : scripted "));
	sk_node_free(game.node);
	assert_int_equal(game.boot.releases, 1);
	assert_int_equal(game.log.releases, 1);
	assert_string_equal(game.last_line,
			    "error: launch scripted FAILED"); /* it got the reason */
}

static void
a_cpath_without_a_template_is_refused(void **state)
{
	static const char *const settings[] = {"cpath", "./cservice.so", NULL};
	char error[256] = "";
	(void)state;
	assert_null(sk_node_new(world_env(settings), error, sizeof error));
	assert_non_null(strstr(error, "'./cservice.so' has no '?'"));
}

/* At each of the places that need one, until there are enough. */
static void
a_node_without_descriptors_is_refused(void **state)
{
	struct rlimit limit, few;
	struct sk_node *node = NULL;
	int failures = 0, lowest = dup(STDERR_FILENO);
	(void)state;
	assert_true(lowest >= 0);
	(void)close(lowest);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	for (few = limit, few.rlim_cur = (rlim_t)lowest; !node; few.rlim_cur++) {
		char error[256] = "";
		struct sk_env *env = world_env(NULL);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
		node = sk_node_new(env, error, sizeof error);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		assert_true(fcntl(STDIN_FILENO, F_GETFD) >= 0); /* nothing else was closed */
		if (!node)
			assert_string_equal(
				error, "can't build a node with 1 workers: Too many open files");
		failures += !node;
	}
	sk_node_free(node);
	assert_int_equal(failures, 3); /* poller, its wake-up, the spare one */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nodes_in_one_process_start_and_end_again_and_again),
		cmocka_unit_test(a_node_is_freed_that_never_ran),
		cmocka_unit_test(each_request_is_answered_once_while_services_die),
		cmocka_unit_test(a_node_can_be_stopped_from_outside_while_it_launches),
		cmocka_unit_test(a_worker_at_its_first_message_is_not_stuck),
		cmocka_unit_test(a_node_without_its_log_service_does_not_start),
		cmocka_unit_test(a_node_without_its_bootstrap_does_not_start),
		cmocka_unit_test(a_cpath_without_a_template_is_refused),
		cmocka_unit_test(a_node_without_descriptors_is_refused),
	};
	(void)alarm(DEADLINE_S);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
