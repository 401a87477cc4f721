/* account_test.c: what services are charged for. Each kind of work is done over and over, in real
 * turns; when it is over, no account may be another than before, not by a byte. */
#include "service_world.h"
#include "sk_memory.h"
#include "sk_packet.h"
#include "sk_poller.h"
#include "sk_socket.h"
#include "sk_socket_tell.h"
#include "skynet_socket.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

/* Sizes up to here meet the borders of many of the allocator's classes. */
#define SIZE_MAX_TRIED 700
#define DEADLINE_MS 60000

static struct world *w;
static struct actor *a, *b;
static void (*work)(void); /* done in a's turn when it gets a PTYPE_TEXT message */
static size_t size_now;
static struct skynet_socket_message told; /* the last to a, its buffer freed */
static int told_count;

static void
on_mail(struct actor *actor, const struct mail *mail)
{
	if (mail->type == PTYPE_SOCKET) {
		memcpy(&told, mail->text, sizeof told);
		free(told.buffer);
		told_count++;
	} else if (mail->type == PTYPE_TEXT && actor == a && work) {
		work();
	}
}

static int
setup(void **state)
{
	(void)signal(SIGPIPE, SIG_IGN);
	w = *state = world_new(NULL);
	a = world_add(w);
	b = world_add(w);
	a->on_mail = b->on_mail = on_mail;
	work = NULL;
	told_count = 0;
	world_run(w);
	return 0;
}

/* Has a do something in a turn of its own. */
static void
in_turn(void (*what)(void))
{
	work = what;
	(void)send_text(b, a->handle, 0, "work");
	/* What the test has sent for b is no turn of b's: */
	sk_context_charge(b->ctx, sk_post_weight("", strlen("work")));
	world_run(w);
	work = NULL;
}

/* Lets the sockets do what they can, until a has been told so often. */
static void
until_told(int count)
{
	uint64_t deadline_ms = sk_clock_ms() + DEADLINE_MS;
	while (told_count < count) {
		struct sk_poller_event events[8];
		bool woken;
		int found = sk_poller_wait(&w->core->scheduler.poller, events, 8, 10, &woken);
		for (int i = 0; i < found; i++)
			sk_sockets_event(w->core->sockets, events[i].token, events[i].flags);
		world_run(w);
		assert_true(sk_clock_ms() < deadline_ms);
	}
}

/* Does it with every size, and says how much the accounts have changed. The first round does not
 * count: what a table holds stays. */
static void
expect_no_change(void (*what)(void))
{
	int64_t of_a = 0, of_b = 0;
	for (int round = 0; round < 2; round++) {
		of_a = sk_context_memory(a->ctx);
		of_b = sk_context_memory(b->ctx);
		for (size_now = 0; size_now <= SIZE_MAX_TRIED; size_now++)
			what();
	}
	assert_int_equal(sk_context_memory(a->ctx), of_a);
	assert_int_equal(sk_context_memory(b->ctx), of_b);
}

static const char *
text_now(void)
{
	static char text[SIZE_MAX_TRIED + 1];
	memset(text, 'x', size_now);
	text[size_now] = '\0';
	return text;
}

/* --- messages ------------------------------------------------------------------------------- */

static void
send_now(void)
{
	(void)skynet_send(a->ctx, 0, b->handle, PTYPE_CLIENT, 0, (void *)(uintptr_t)text_now(),
			  size_now);
	(void)skynet_send(a->ctx, 0, b->handle, PTYPE_CLIENT | PTYPE_TAG_DONTCOPY, 0,
			  skynet_strdup(text_now()), size_now);
	sk_post_error(w->core, b->handle, a->handle, 1, "%s", text_now());
	skynet_error(a->ctx, "%s", text_now());
	struct skynet_packet *packet = skynet_packet_new(text_now(), size_now);
	(void)skynet_packet_send(a->ctx, 0, b->handle, PTYPE_CLIENT, packet);
	skynet_packet_release(packet);
	world_forget_log(w);
}

static void
send_in_turn(void)
{
	in_turn(send_now);
}

static void
messages_leave_nothing(void **state)
{
	(void)state;
	expect_no_change(send_in_turn);
}

static void
ask_now(void)
{
	struct skynet_timer *timer;
	(void)skynet_probe(a->ctx, b->handle);
	skynet_unlink(a->ctx, b->handle, skynet_link(a->ctx, b->handle, 0));
	(void)skynet_timeout(a->ctx, 0, NULL);
	(void)skynet_timeout(a->ctx, 1000, &timer);
	(void)skynet_timer_cancel(a->ctx, timer);
	(void)skynet_send(a->ctx, 0, REMOTE_HANDLE, PTYPE_CLIENT, 1, (void *)(uintptr_t)text_now(),
			  size_now);
}

static void
ask_in_turn(void)
{
	in_turn(ask_now);
}

static void
questions_leave_nothing(void **state)
{
	(void)state;
	expect_no_change(ask_in_turn);
}

static void
begin_timer(void)
{
	(void)skynet_timeout(a->ctx, 1, NULL);
}

static void
wait_in_turn(void)
{
	in_turn(begin_timer);
	world_pass_time(w, 1000);
	world_run(w);
}

static void
timers_leave_nothing(void **state)
{
	(void)state;
	expect_no_change(wait_in_turn);
}

/* --- names and services --------------------------------------------------------------------- */

static void
name_now(void)
{
	char parm[32];
	(void)snprintf(parm, sizeof parm, ".name%zu", size_now);
	(void)skynet_command(a->ctx, "REG", parm);
	(void)snprintf(parm, sizeof parm, "key%zu value", size_now);
	(void)skynet_command(a->ctx, "SETENV", parm);
	world_forget_log(w);
}

static void
name_in_turn(void)
{
	in_turn(name_now);
}

static void
names_are_charged_to_nobody(void **state)
{
	(void)state;
	int64_t before = sk_context_memory(a->ctx);
	expect_no_change(name_in_turn);
	assert_int_equal(sk_context_memory(a->ctx), before);
}

static void
launch_now(void)
{
	char parm[64];
	static struct actor child;
	child = (struct actor){.script = {actor_init, actor_release, actor_signal}};
	(void)snprintf(parm, sizeof parm, "scripted %" PRIxPTR, (uintptr_t)&child);
	assert_non_null(skynet_command(a->ctx, "LAUNCH", parm));
	(void)command_to(a, "KILL", child.handle, "");
	assert_null(skynet_command(a->ctx, "LAUNCH", "no_such_module"));
	world_forget_log(w);
}

static void
launch_in_turn(void)
{
	in_turn(launch_now);
}

static void
services_are_not_charged_to_their_parents(void **state)
{
	(void)state;
	expect_no_change(launch_in_turn);
}

/* --- what sockets tell ---------------------------------------------------------------------- */

static void
tell_now(void)
{
	sk_socket_tell_handle(w->core->sockets, a->handle, 1, SKYNET_SOCKET_TYPE_ERROR, text_now());
	world_run(w);
}

static void
what_sockets_tell_leaves_nothing(void **state)
{
	(void)state;
	expect_no_change(tell_now);
}

static int udp;
static struct sockaddr_in udp_address;

static void
open_udp(void)
{
	udp = skynet_socket_udp(a->ctx, "127.0.0.1", 0);
	assert_true(udp > 0);
}

static void
send_datagram(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(sendto(fd, text_now(), size_now, 0, (struct sockaddr *)&udp_address,
				sizeof udp_address),
			 size_now);
	until_told(told_count + 1);
	assert_int_equal(told.type, SKYNET_SOCKET_TYPE_UDP);
	(void)close(fd);
}

static void
datagrams_leave_nothing(void **state)
{
	(void)state;
	in_turn(open_udp);
	struct socket_info *info = skynet_socket_info();
	assert_int_equal(info->id, udp);
	udp_address = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)strtol(strrchr(info->name, ':') + 1, NULL, 10)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socket_info_release(info);
	expect_no_change(send_datagram);
}

/* --- connections ---------------------------------------------------------------------------- */

static int ours, peer; /* an id, and the descriptor at its other end */

static void
bind_now(void)
{
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	peer = fds[1];
	ours = skynet_socket_bind(a->ctx, fds[0]);
	assert_true(ours > 0);
}

static void
send_to_us(void)
{
	size_now += size_now == 0;
	assert_int_equal(send(peer, text_now(), size_now, MSG_NOSIGNAL), size_now);
	until_told(told_count + 1);
	assert_int_equal(told.type, SKYNET_SOCKET_TYPE_DATA);
}

static void
data_leaves_nothing(void **state)
{
	(void)state;
	in_turn(bind_now);
	until_told(1);
	expect_no_change(send_to_us);
	(void)close(peer);
}

static void
write_now(void)
{
	struct skynet_packet *packet = skynet_packet_new(text_now(), size_now);
	/* The block is larger than what is sent of it. */
	void *block = memset(skynet_malloc(size_now * 2 + 1), 'x', size_now * 2 + 1);
	struct socket_sendbuffer buffers[] = {
		{ours, SOCKET_BUFFER_RAWPOINTER, text_now(), size_now},
		{ours, SOCKET_BUFFER_MEMORY, block, size_now},
		{ours, SOCKET_BUFFER_OBJECT, packet, 0},
	};
	for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
		(void)skynet_socket_sendbuffer(a->ctx, &buffers[i]);
	skynet_packet_release(packet);
}

static void
drain_peer(void)
{
	static char bytes[1 << 16];
	while (recv(peer, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
		;
}

static void
write_in_turn(void)
{
	in_turn(write_now);
	drain_peer();
}

static void
what_is_sent_at_the_end_of_the_turn_leaves_nothing(void **state)
{
	(void)state;
	in_turn(bind_now);
	until_told(1);
	expect_no_change(write_in_turn);
	(void)close(peer);
	expect_no_change(write_in_turn); /* to nobody */
}

static void
close_ours(void)
{
	skynet_socket_shutdown(a->ctx, ours);
}

static void
output_that_waits_is_charged_to_nobody(void **state)
{
	(void)state;
	int64_t before = sk_context_memory(a->ctx);
	for (size_now = 1; size_now <= SIZE_MAX_TRIED; size_now++) {
		in_turn(bind_now);
		for (int i = 0; i < 400; i++) /* more than the system takes */
			in_turn(write_now);
		assert_int_equal(sk_context_memory(a->ctx), before);
		in_turn(close_ours);
		(void)close(peer);
		size_now += 100;
	}
	world_run(w);
	assert_int_equal(sk_context_memory(a->ctx), before);
}

/* --- the figure ----------------------------------------------------------------------------- */

static void
look_now(void)
{
	int64_t before = strtoll(skynet_command(a->ctx, "STAT", "memory"), NULL, 10);
	void *block = skynet_malloc(4096);
	int64_t with_it = strtoll(skynet_command(a->ctx, "STAT", "memory"), NULL, 10);
	assert_int_equal(with_it - before, sk_memory_bytes_of(block));
	free(block);
	assert_int_equal(strtoll(command_to(a, "MEMORY", a->handle, ""), NULL, 10), before);
}

static void
the_own_account_is_up_to_date_within_a_turn(void **state)
{
	(void)state;
	in_turn(look_now);
	expect_no_change(send_in_turn);
}

#define account_test(f) cmocka_unit_test_setup_teardown(f, setup, world_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		account_test(messages_leave_nothing),
		account_test(questions_leave_nothing),
		account_test(timers_leave_nothing),
		account_test(names_are_charged_to_nobody),
		account_test(services_are_not_charged_to_their_parents),
		account_test(what_sockets_tell_leaves_nothing),
		account_test(datagrams_leave_nothing),
		account_test(data_leaves_nothing),
		account_test(what_is_sent_at_the_end_of_the_turn_leaves_nothing),
		account_test(output_that_waits_is_charged_to_nobody),
		account_test(the_own_account_is_up_to_date_within_a_turn),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
