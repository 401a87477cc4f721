/* scheduler_stress_test.c: a whole node with real threads, for the thread sanitizer and what the
 * scheduler promises: never two threads in one service (V1), the order of each sender is kept, each
 * message is handled or answered (V5), and nothing is left lying while workers sleep (S1, S5). */
#include "stress_node.h"

enum { SLOTS = 200, ACTORS_MAX = 1200, SENDERS = ACTORS_MAX + 8, OUTSIDERS = 2, HELD_MAX = 8 };

static _Atomic uint32_t alone; /* the service that boots, and gets the answers */

/* --- chains of messages --------------------------------------------------------------------- */

/* A chain is one message at a time: each receiver sends it on, until its hops are used up. */
struct chain {
	uint32_t sender; /* who sent this hop */
	uint32_t number; /* ascending for each sender */
	uint32_t hops;
};

struct actor {
	_Atomic bool is_inside;
	uint32_t index;
	uint32_t number; /* of what it sent last */
	uint64_t seed;
	uint32_t handled; /* not atomic: V1 */
	struct {
		int session; /* 0: free */
		uint32_t hops;
	} held[HELD_MAX]; /* chains that wait for a timer */
	uint32_t last[SENDERS];
};

static _Atomic uint32_t slots[SLOTS]; /* handles; 0: nobody */
static _Atomic uint32_t actor_count;
static _Atomic uint32_t release_count;
static _Atomic uint32_t kills_wanted;
static _Atomic uint64_t sent, handled, refused;
static _Atomic int64_t open_chains;
static _Atomic uint32_t overlaps, disorders;
static sem_t all_ended;

static void
enter(struct actor *self)
{
	if (atomic_exchange_explicit(&self->is_inside, true, memory_order_relaxed))
		atomic_fetch_add(&overlaps, 1);
}

static void
leave(struct actor *self)
{
	atomic_store_explicit(&self->is_inside, false, memory_order_relaxed);
}

static void
end_chain(void)
{
	if (atomic_fetch_sub(&open_chains, 1) == 1)
		(void)sem_post(&all_ended);
}

static struct chain *
new_chain(uint32_t sender, uint32_t *number, uint32_t hops)
{
	struct chain *chain = skynet_malloc(sizeof *chain);
	*chain = (struct chain){.sender = sender, .number = ++*number, .hops = hops};
	return chain;
}

static void
send_on(struct actor *self, struct skynet_context *ctx, uint32_t hops)
{
	uint32_t to = atomic_load(&slots[unit_random_below(&self->seed, SLOTS)]);
	atomic_fetch_add(&sent, 1);
	/* Answers go to the one that counts them. */
	if (to != 0 &&
	    skynet_send(ctx, atomic_load(&alone), to, PTYPE_TEXT | PTYPE_TAG_DONTCOPY, 1,
			new_chain(self->index, &self->number, hops), sizeof(struct chain)) >= 0)
		return;
	atomic_fetch_sub(&sent, 1);
	end_chain();
}

static bool
hold(struct actor *self, struct skynet_context *ctx, uint32_t hops)
{
	for (int i = 0; i < HELD_MAX; i++) {
		if (self->held[i].session != 0)
			continue;
		self->held[i].hops = hops;
		self->held[i].session =
			skynet_timeout(ctx, unit_random_below(&self->seed, 4), NULL);
		return true;
	}
	return false;
}

static void
launch_into(struct skynet_context *ctx, uint32_t slot)
{
	const char *address = skynet_command(ctx, "LAUNCH", "actor");
	if (address)
		atomic_store(&slots[slot], (uint32_t)strtoul(address + 1, NULL, 16));
}

/* Ends one, perhaps itself, and starts another. */
static void
replace_one(struct actor *self, struct skynet_context *ctx)
{
	uint32_t wanted = atomic_load(&kills_wanted);
	uint32_t slot = unit_random_below(&self->seed, SLOTS);
	if (wanted == 0 || !atomic_compare_exchange_strong(&kills_wanted, &wanted, wanted - 1))
		return;
	uint32_t victim = atomic_exchange(&slots[slot], 0);
	if (victim == 0)
		return;
	char address[16];
	(void)snprintf(address, sizeof address, ":%x", victim);
	launch_into(ctx, slot);
	(void)skynet_command(ctx, "KILL", address);
}

static void
work(struct actor *self, uint32_t us)
{
	uint64_t until_ns = sk_clock_ns() + us * 1000;
	while (sk_clock_ns() < until_ns)
		self->handled++;
}

static void
handle_chain(struct actor *self, struct skynet_context *ctx, const struct chain *chain)
{
	atomic_fetch_add(&handled, 1);
	if (chain->number <= self->last[chain->sender])
		atomic_fetch_add(&disorders, 1);
	self->last[chain->sender] = chain->number;
	uint32_t hops = chain->hops;
	uint32_t chance = unit_random_below(&self->seed, 100);
	if (chance == 0)
		replace_one(self, ctx);
	if (chance == 1)
		work(self, unit_random_below(&self->seed, 3000));
	if (hops == 0) {
		end_chain();
	} else if (chance >= 10 || !hold(self, ctx, hops - 1)) {
		uint32_t half = chance > 80 ? (hops - 1) / 2 : 0;
		if (half > 0) {
			atomic_fetch_add(&open_chains, 1);
			send_on(self, ctx, half);
		}
		send_on(self, ctx, hops - 1 - half);
	}
}

static int
run_actor(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
	  const void *msg, size_t size)
{
	struct actor *self = ud;
	(void)source;
	(void)size;
	enter(self);
	if (type == PTYPE_TEXT)
		handle_chain(self, ctx, msg);
	for (int i = 0; type == PTYPE_RESPONSE && i < HELD_MAX; i++) {
		if (self->held[i].session != session)
			continue;
		self->held[i].session = 0;
		send_on(self, ctx, self->held[i].hops);
		break;
	}
	leave(self);
	return SKYNET_DONE;
}

static void *
create_actor(void)
{
	struct actor *self = skynet_calloc(1, sizeof *self);
	self->index = atomic_fetch_add(&actor_count, 1);
	self->seed = self->index + 1;
	return self;
}

static int
init_actor(void *instance, struct skynet_context *ctx, const char *parm)
{
	struct actor *self = instance;
	(void)parm;
	enter(self);
	skynet_callback(ctx, self, run_actor);
	leave(self);
	return self->index < ACTORS_MAX ? 0 : 1;
}

static void
release_actor(void *instance)
{
	struct actor *self = instance;
	enter(self);
	for (int i = 0; i < HELD_MAX; i++)
		if (self->held[i].session != 0)
			end_chain(); /* its timer tells nobody */
	atomic_fetch_add(&release_count, 1);
	free(self);
}

static int
count_answer(struct skynet_context *ctx, void *ud, int type, int session, uint32_t source,
	     const void *msg, size_t size)
{
	(void)ctx;
	(void)ud;
	(void)session;
	(void)source;
	(void)msg;
	(void)size;
	if (type == PTYPE_ERROR) {
		atomic_fetch_add(&refused, 1);
		end_chain();
	}
	return SKYNET_DONE;
}

static int
init_stress(void *instance, struct skynet_context *ctx, const char *parm)
{
	(void)instance;
	(void)parm;
	atomic_store(&alone, (uint32_t)strtoul(skynet_command(ctx, "REG", NULL) + 1, NULL, 16));
	skynet_callback(ctx, NULL, count_answer);
	for (uint32_t i = 0; i < SLOTS; i++)
		launch_into(ctx, i);
	return 0;
}

/* --- many services and threads --------------------------------------------------------------- */

struct outsider {
	uint32_t index;
	uint32_t number;
	uint32_t chains;
	uint32_t hops;
	uint64_t seed;
};

static void *
run_outsider(void *argument)
{
	struct outsider *self = argument;
	for (uint32_t i = 0; i < self->chains; i++) {
		uint32_t to = atomic_load(&slots[unit_random_below(&self->seed, SLOTS)]);
		struct chain *chain = new_chain(self->index, &self->number, self->hops);
		atomic_fetch_add(&open_chains, 1);
		atomic_fetch_add(&sent, 1);
		if (to == 0)
			free(chain);
		if (to == 0 || !post(atomic_load(&alone), to, 1, chain, sizeof *chain)) {
			atomic_fetch_sub(&sent, 1);
			end_chain();
		}
	}
	return NULL;
}

/* The outside threads send so many chains at a time; waits for the last to end. */
static void
play_round(struct outsider *outsiders, uint32_t chains, uint32_t hops)
{
	pthread_t threads[OUTSIDERS];
	atomic_store(&open_chains, 1); /* ours: so that it ends once */
	for (int i = 0; i < OUTSIDERS; i++) {
		outsiders[i].chains = chains;
		outsiders[i].hops = hops;
		assert_int_equal(pthread_create(&threads[i], NULL, run_outsider, &outsiders[i]), 0);
	}
	for (int i = 0; i < OUTSIDERS; i++)
		(void)pthread_join(threads[i], NULL);
	end_chain();
	await(&all_ended, "the end of all chains");
}

static void
random_traffic_loses_nothing_and_keeps_all_promises(void **state)
{
	struct outsider outsiders[OUTSIDERS];
	(void)state;
	for (uint32_t i = 0; i < OUTSIDERS; i++)
		outsiders[i] = (struct outsider){.index = ACTORS_MAX + i, .seed = i + 99};
	assert_int_equal(sem_init(&all_ended, 0, 0), 0);
	make_node("4");
	add_module("boot", NULL, init_stress, NULL);
	add_module("actor", create_actor, init_actor, release_actor);
	start_node();
	for (int i = 0; i < 12; i++) {
		atomic_store(&kills_wanted, 60);
		play_round(outsiders, 100, 60);
		await_sleep();
	}
	for (int i = 0; i < 300; i++) { /* hardly any work, so workers fall asleep all the time */
		play_round(outsiders, 1, 4);
		if (i % 3 == 0)
			await_sleep();
	}
	assert_int_equal(atomic_load(&overlaps), 0);
	assert_int_equal(atomic_load(&disorders), 0);
	assert_int_equal(atomic_load(&handled) + atomic_load(&refused), atomic_load(&sent));
	assert_true(atomic_load(&actor_count) > SLOTS + 100);
	stop_node();
	assert_int_equal(atomic_load(&release_count), atomic_load(&actor_count));
	(void)sem_destroy(&all_ended);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_traffic_loses_nothing_and_keeps_all_promises),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
