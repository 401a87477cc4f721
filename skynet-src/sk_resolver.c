/* sk_resolver.c: the thread that looks up names with c-ares; see sk_resolver.h.
 *
 * The thread sleeps in one poll(2): on an eventfd that look_up and free write to, and on the
 * sockets of c-ares while look-ups are pending. The channel of c-ares lives only that long, so a
 * changed resolv.conf counts from the next look-up after a pause. Everything of c-ares is touched
 * by this thread alone; callers only hang a request on a list.
 *
 * Not handled: more than 16 sockets of c-ares (one or two for each name server). */
#include "sk_resolver.h"

#include "sk_hosts.h"
#include "sk_quiesce.h"
#include "skynet.h"

#include <ares.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Each name server is asked so often; c-ares waits 5 s for it the first time, then twice as
 * long. */
#define TRIES 2
/* Fits into what a socket message can tell. */
#define ERROR_TEXT_SIZE 129

struct request {
	struct request *next;
	struct sk_resolver *resolver;
	int id;
	int port;
	char name[];
};

struct sk_resolver {
	/* Constant after new. */
	struct sk_core *core;
	sk_resolver_answer answer;
	void *ud;
	pthread_mutex_t lock;
	/* Under lock. */
	struct request *first; /* not yet seen by the thread, oldest first */
	struct request **last;
	bool has_thread;
	bool is_ending;
	pthread_t thread;
	int wake_fd; /* -1: not yet opened; constant while there is a thread */
	/* The thread only. */
	ares_channel channel; /* NULL while nothing is pending */
	int pending;	      /* requests that c-ares has */
	int quiesce_slot;
};

/* --- answers ------------------------------------------------------------------------------- */

static void
answer_error(struct request *request, const char *reason)
{
	struct sk_resolver *resolver = request->resolver;
	char text[ERROR_TEXT_SIZE];
	(void)snprintf(text, sizeof text, "cannot resolve %s: %s", request->name, reason);
	resolver->answer(resolver->ud, request->id, NULL, text);
}

static bool
is_ip(const struct ares_addrinfo_node *node)
{
	return node->ai_family == AF_INET || node->ai_family == AF_INET6;
}

/* Returns NULL if there is no address of use. */
static struct sk_address_list *
list_addresses(const struct ares_addrinfo *found, int port)
{
	int count = 0;
	for (const struct ares_addrinfo_node *node = found->nodes; node; node = node->ai_next)
		count += is_ip(node);
	if (count == 0)
		return NULL;
	struct sk_address_list *list =
		skynet_malloc(sizeof *list + (size_t)count * sizeof(struct sk_address));
	*list = (struct sk_address_list){.count = 0};
	for (const struct ares_addrinfo_node *node = found->nodes; node; node = node->ai_next) {
		union sk_address_system system = {0};
		if (!is_ip(node))
			continue;
		memcpy(&system, node->ai_addr, node->ai_addrlen);
		sk_address_from_system(&list->addresses[list->count], &system);
		sk_address_set_port(&list->addresses[list->count], port);
		list->count++;
	}
	return list;
}

/* Answers what nobody has to be asked for: localhost is known without a hosts file, too. */
static bool
answer_from_here(struct request *request)
{
	struct sk_address address;
	if (sk_hosts_find(NULL, request->name, request->port, &address, 1) != 1)
		return false;
	struct sk_address_list *list = skynet_malloc(sizeof *list + sizeof address);
	*list = (struct sk_address_list){.count = 1};
	list->addresses[0] = address;
	request->resolver->answer(request->resolver->ud, request->id, list, NULL);
	return true;
}

/* c-ares is done with a request. */
static void
on_found(void *ud, int status, int timeouts, struct ares_addrinfo *found)
{
	struct request *request = ud;
	struct sk_resolver *resolver = request->resolver;
	(void)timeouts;
	resolver->pending--;
	if (status == ARES_SUCCESS) {
		struct sk_address_list *list = list_addresses(found, request->port);
		ares_freeaddrinfo(found);
		if (list)
			resolver->answer(resolver->ud, request->id, list, NULL);
		else
			answer_error(request, "it has no IP address");
	} else if (status != ARES_EDESTRUCTION && /* N1: the resolver is being freed */
		   !answer_from_here(request)) {
		answer_error(request, ares_strerror(status));
	}
	skynet_free(request);
}

/* --- the thread ---------------------------------------------------------------------------- */

static bool
open_channel(struct sk_resolver *resolver, const char **error)
{
	struct ares_options options = {.tries = TRIES};
	if (resolver->channel)
		return true;
	int status = ares_init_options(&resolver->channel, &options, ARES_OPT_TRIES);
	if (status == ARES_SUCCESS)
		return true;
	resolver->channel = NULL;
	*error = ares_strerror(status);
	return false;
}

static void
begin(struct sk_resolver *resolver, struct request *request)
{
	struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC};
	const char *error;
	resolver->pending++;
	if (open_channel(resolver, &error)) {
		ares_getaddrinfo(resolver->channel, request->name, NULL, &hints, on_found, request);
		return;
	}
	resolver->pending--;
	answer_error(request, error);
	skynet_free(request);
}

/* Takes the requests that came. Returns false if the resolver is being freed. */
static bool
begin_new_requests(struct sk_resolver *resolver)
{
	(void)pthread_mutex_lock(&resolver->lock);
	bool goes_on = !resolver->is_ending;
	struct request *request = goes_on ? resolver->first : NULL;
	if (goes_on) {
		resolver->first = NULL;
		resolver->last = &resolver->first;
	}
	(void)pthread_mutex_unlock(&resolver->lock);
	while (request) {
		struct request *next = request->next;
		begin(resolver, request);
		request = next;
	}
	return goes_on;
}

/* The eventfd, and what c-ares waits for. Returns how many. */
static nfds_t
collect_descriptors(struct sk_resolver *resolver, struct pollfd *polled)
{
	ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
	nfds_t count = 0;
	polled[count++] = (struct pollfd){.fd = resolver->wake_fd, .events = POLLIN};
	unsigned bits = 0;
	if (resolver->channel)
		bits = (unsigned)ares_getsock(resolver->channel, sockets, ARES_GETSOCK_MAXNUM);
	for (int i = 0; i < ARES_GETSOCK_MAXNUM; i++) {
		short events = 0;
		if (bits & 1u << i)
			events |= POLLIN;
		if (bits & 1u << (i + ARES_GETSOCK_MAXNUM))
			events |= POLLOUT;
		if (events)
			polled[count++] = (struct pollfd){.fd = sockets[i], .events = events};
	}
	return count;
}

/* When c-ares wants to be called at the latest; -1: never. */
static int
timeout_ms(struct sk_resolver *resolver)
{
	struct timeval room;
	struct timeval *timeout =
		resolver->channel ? ares_timeout(resolver->channel, NULL, &room) : NULL;
	if (!timeout)
		return -1;
	return (int)(timeout->tv_sec * 1000 + timeout->tv_usec / 1000 + 1);
}

static void
process(struct sk_resolver *resolver, const struct pollfd *polled, nfds_t count)
{
	uint64_t wakes;
	if (polled[0].revents) {
		ssize_t size = read(resolver->wake_fd, &wakes, sizeof wakes);
		(void)size; /* only makes poll sleep again */
	}
	if (!resolver->channel)
		return;
	for (nfds_t i = 1; i < count; i++) {
		bool is_in = polled[i].revents & (POLLIN | POLLERR | POLLHUP);
		bool is_out = polled[i].revents & (POLLOUT | POLLERR | POLLHUP);
		ares_process_fd(resolver->channel, is_in ? polled[i].fd : ARES_SOCKET_BAD,
				is_out ? polled[i].fd : ARES_SOCKET_BAD);
	}
	ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD); /* timeouts */
}

static void
close_idle_channel(struct sk_resolver *resolver)
{
	if (resolver->pending > 0 || !resolver->channel)
		return;
	ares_destroy(resolver->channel);
	resolver->channel = NULL;
}

static void *
run(void *argument)
{
	struct sk_resolver *resolver = argument;
	struct sk_quiesce *quiesce = &resolver->core->quiesce;
	struct pollfd polled[1 + ARES_GETSOCK_MAXNUM];
	sk_this_core = resolver->core;
	sk_quiesce_online(quiesce, resolver->quiesce_slot);
	while (begin_new_requests(resolver)) {
		close_idle_channel(resolver);
		nfds_t count = collect_descriptors(resolver, polled);
		int wait_ms = timeout_ms(resolver);
		sk_quiesce_offline(quiesce, resolver->quiesce_slot);
		int ready = poll(polled, count, wait_ms);
		sk_quiesce_online(quiesce, resolver->quiesce_slot);
		if (ready >= 0) /* otherwise a signal came */
			process(resolver, polled, count);
	}
	if (resolver->channel)
		ares_destroy(resolver->channel); /* frees the pending requests through on_found */
	sk_quiesce_offline(quiesce, resolver->quiesce_slot);
	return NULL;
}

/* --- for others ---------------------------------------------------------------------------- */

static void
init_library(void)
{
	(void)ares_library_init(ARES_LIB_INIT_ALL); /* has work to do on Windows only */
}

struct sk_resolver *
sk_resolver_new(struct sk_core *core, sk_resolver_answer answer, void *ud)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	(void)pthread_once(&once, init_library);
	struct sk_resolver *resolver = skynet_calloc(1, sizeof *resolver);
	resolver->core = core;
	resolver->answer = answer;
	resolver->ud = ud;
	resolver->last = &resolver->first;
	resolver->wake_fd = -1;
	(void)pthread_mutex_init(&resolver->lock, NULL);
	return resolver;
}

static void
wake(struct sk_resolver *resolver)
{
	/* Fails only when the thread is to be woken anyway. */
	ssize_t size = write(resolver->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
	(void)size;
}

/* Returns 0, or SK_ESYSTEM with errno set. */
static int
start_thread_locked(struct sk_resolver *resolver)
{
	int error;
	struct sk_quiesce *quiesce = &resolver->core->quiesce;
	if (resolver->has_thread)
		return SK_OK;
	resolver->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (resolver->wake_fd < 0)
		return SK_ESYSTEM;
	resolver->quiesce_slot = sk_quiesce_join(quiesce);
	error = EAGAIN;
	if (resolver->quiesce_slot < 0)
		goto close_wake;
	sk_quiesce_offline(quiesce, resolver->quiesce_slot); /* until the thread runs */
	error = pthread_create(&resolver->thread, NULL, run, resolver);
	if (error != 0)
		goto leave_quiesce;
	resolver->has_thread = true;
	return SK_OK;

leave_quiesce:
	sk_quiesce_leave(quiesce, resolver->quiesce_slot);
close_wake:
	(void)close(resolver->wake_fd);
	resolver->wake_fd = -1;
	errno = error;
	return SK_ESYSTEM;
}

/* [locked resolver->lock] */
static int
add_request(struct sk_resolver *resolver, struct request *request)
{
	if (resolver->is_ending) {
		errno = ECANCELED;
		return SK_ESYSTEM;
	}
	if (start_thread_locked(resolver) != SK_OK)
		return SK_ESYSTEM;
	*resolver->last = request;
	resolver->last = &request->next;
	wake(resolver);
	return SK_OK;
}

int
sk_resolver_look_up(struct sk_resolver *resolver, int id, const char *name, int port)
{
	size_t size = strlen(name) + 1;
	struct request *request = skynet_malloc(sizeof *request + size);
	*request = (struct request){.resolver = resolver, .id = id, .port = port};
	memcpy(request->name, name, size);
	(void)pthread_mutex_lock(&resolver->lock);
	int result = add_request(resolver, request);
	(void)pthread_mutex_unlock(&resolver->lock);
	if (result != SK_OK)
		skynet_free(request); /* changes no errno */
	return result;
}

void
sk_resolver_stop(struct sk_resolver *resolver)
{
	(void)pthread_mutex_lock(&resolver->lock);
	bool has_thread = resolver->has_thread;
	resolver->is_ending = true;
	resolver->has_thread = false;
	if (has_thread)
		wake(resolver);
	(void)pthread_mutex_unlock(&resolver->lock);
	if (!has_thread)
		return;
	(void)pthread_join(resolver->thread, NULL);
	sk_quiesce_leave(&resolver->core->quiesce, resolver->quiesce_slot);
	(void)close(resolver->wake_fd);
}

void
sk_resolver_free(struct sk_resolver *resolver)
{
	if (!resolver)
		return;
	sk_resolver_stop(resolver);
	while (resolver->first) {
		struct request *request = resolver->first;
		resolver->first = request->next;
		skynet_free(request);
	}
	(void)pthread_mutex_destroy(&resolver->lock);
	skynet_free(resolver);
}
