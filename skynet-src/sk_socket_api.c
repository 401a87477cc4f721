/* sk_socket_api.c: what services call; skynet_socket.h has the contract.
 *
 * A request that cannot be done logs one line with the reason, as the service that made it. A
 * socket that is gone is no such request: its end may cross with anything. */
#include "skynet_socket.h"

#include "sk_hosts.h"
#include "sk_memory.h"
#include "sk_packet.h"
#include "sk_service.h"
#include "sk_socket_connect.h"
#include "sk_socket_control.h"
#include "sk_socket_life.h"
#include "sk_socket_listen.h"
#include "sk_socket_ready.h"
#include "sk_socket_tls.h"
#include "sk_socket_udp.h"
#include "sk_socket_write.h"

/* A request of a service, while the layer works on it. */
struct request {
	struct skynet_context *ctx;
	int64_t bytes; /* what the counter of memory said when it began */
	char error[SK_SOCKET_LINE_SIZE];
};

static struct sk_sockets *
begin(struct request *request, struct skynet_context *ctx)
{
	request->ctx = ctx;
	request->bytes = sk_memory_thread_bytes();
	return ctx->core->sockets;
}

/* What the layer has allocated and freed is its own: output is freed when it has left, and a socket
 * when it ends, in whosever turn that is. */
static void
end(const struct request *request)
{
	sk_memory_disown_since(request->bytes);
}

/* From now on the death of the service has to end its sockets. */
static void
becomes_owner(struct skynet_context *ctx)
{
	/* Relaxed: read at the end of this very service's life. */
	atomic_store_explicit(&ctx->owns_sockets, true, memory_order_relaxed);
}

static void
log_error(const struct request *request)
{
	sk_core_log(request->ctx->core, request->ctx->handle, "error: %s", request->error);
}

/* Returns the id, or -1 after logging the reason. */
static int
end_with_id(const struct request *request, int result)
{
	end(request);
	if (result > 0)
		return result;
	log_error(request);
	return -1;
}

/* Returns 0, or -1 after logging the reason, if it is worth a line. */
static int
end_done(const struct request *request, int result)
{
	end(request);
	if (result == SK_OK)
		return 0;
	if (request->error[0] != '\0')
		log_error(request);
	return -1;
}

/* --- TCP and foreign descriptors ----------------------------------------------------------- */

static const struct skynet_socket_options no_options;

int
skynet_socket_listen_with(struct skynet_context *ctx, const char *host, int port, int backlog,
			  const struct skynet_socket_options *options)
{
	struct request request;
	struct sk_sockets *sockets = begin(&request, ctx);
	(void)backlog; /* as long as the system allows */
	becomes_owner(ctx);
	return end_with_id(&request,
			   sk_socket_listen(sockets, ctx->handle, host, port,
					    options ? options : &no_options, request.error));
}

int
skynet_socket_listen(struct skynet_context *ctx, const char *host, int port, int backlog)
{
	return skynet_socket_listen_with(ctx, host, port, backlog, NULL);
}

int
skynet_socket_connect_with(struct skynet_context *ctx, const char *host, int port,
			   const struct skynet_socket_options *options)
{
	struct request request;
	struct sk_sockets *sockets = begin(&request, ctx);
	becomes_owner(ctx);
	return end_with_id(&request,
			   sk_socket_connect(sockets, ctx->handle, host, port,
					     options ? options : &no_options, request.error));
}

int
skynet_socket_connect(struct skynet_context *ctx, const char *host, int port)
{
	return skynet_socket_connect_with(ctx, host, port, NULL);
}

int
skynet_socket_bind(struct skynet_context *ctx, int fd)
{
	struct request request;
	struct sk_sockets *sockets = begin(&request, ctx);
	becomes_owner(ctx);
	return end_with_id(&request, sk_socket_bind(sockets, ctx->handle, fd, request.error));
}

int
skynet_socket_watch(struct skynet_context *ctx, int fd)
{
	struct request request;
	struct sk_sockets *sockets = begin(&request, ctx);
	becomes_owner(ctx);
	return end_with_id(&request, sk_socket_ready_open(sockets, ctx->handle, fd, request.error));
}

int
skynet_socket_rearm(struct skynet_context *ctx, int id, int what)
{
	struct request request;
	struct sk_sockets *sockets = begin(&request, ctx);
	return end_done(&request, sk_socket_ready_await(sockets, id, what, request.error));
}

void
skynet_socket_start(struct skynet_context *ctx, int id)
{
	struct request request;
	becomes_owner(ctx);
	sk_socket_start(begin(&request, ctx), ctx->handle, id);
	end(&request);
}

void
skynet_socket_pause(struct skynet_context *ctx, int id)
{
	struct request request;
	sk_socket_pause(begin(&request, ctx), id);
	end(&request);
}

void
skynet_socket_close(struct skynet_context *ctx, int id)
{
	struct request request;
	sk_socket_ask_close(begin(&request, ctx), id);
	end(&request);
}

void
skynet_socket_shutdown(struct skynet_context *ctx, int id)
{
	struct request request;
	sk_socket_shutdown(begin(&request, ctx), id);
	end(&request);
}

void
skynet_socket_nodelay(struct skynet_context *ctx, int id)
{
	struct request request;
	sk_socket_nodelay(begin(&request, ctx), id);
	end(&request);
}

/* --- names --------------------------------------------------------------------------------- */

/* So many addresses of one name are enough for anybody. */
#define RESOLVED_MAX 64

_Static_assert(SKYNET_SOCKET_IP_SIZE == SK_ADDRESS_TEXT_SIZE, "one is printed into the other");

int
skynet_socket_resolve(const char *host, char ips[][SKYNET_SOCKET_IP_SIZE], int max)
{
	struct sk_address addresses[RESOLVED_MAX];
	int count =
		sk_hosts_find(NULL, host, 0, addresses, max < RESOLVED_MAX ? max : RESOLVED_MAX);
	for (int i = 0; i < count; i++)
		sk_address_print_ip(&addresses[i], ips[i]);
	return count;
}

/* --- TLS ----------------------------------------------------------------------------------- */

int
skynet_socket_secure(struct skynet_context *ctx, int id, const struct skynet_tls_options *options,
		     int is_server)
{
	struct request request;
	struct sk_sockets *sockets = begin(&request, ctx);
	int result = SK_EINVAL;
	struct sk_socket_tls *tls = sk_socket_tls_new(
		sockets, options, is_server ? SK_TLS_SERVER : SK_TLS_CLIENT, NULL, request.error);
	if (tls)
		result = sk_socket_secure(sockets, id, tls, request.error);
	return end_done(&request, result);
}

int
skynet_socket_tls_info(struct skynet_context *ctx, int id, struct skynet_tls_info *info)
{
	struct request request;
	int result = sk_socket_tls_describe(begin(&request, ctx), id, info);
	end(&request);
	return result == SK_OK ? 0 : -1;
}

int
skynet_tls_reload(struct skynet_context *ctx)
{
	struct request request;
	int failed = sk_sockets_reload_tls(begin(&request, ctx));
	end(&request);
	return failed;
}

/* --- output -------------------------------------------------------------------------------- */

/* The type of a buffer with a negative size. */
#define NO_BUFFER (-1)

/* Whether a buffer can be sent at all. */
static bool
is_known_type(struct skynet_context *ctx, const struct socket_sendbuffer *buffer)
{
	bool is_object = buffer->type == SOCKET_BUFFER_OBJECT;
	if (buffer->type == SOCKET_BUFFER_MEMORY || buffer->type == SOCKET_BUFFER_RAWPOINTER ||
	    (is_object && buffer->buffer))
		return true;
	sk_core_log(ctx->core, ctx->handle, "error: socket: cannot send on %d: %s (type %d)",
		    buffer->id, is_object ? "the object is NULL" : "neither memory nor an object",
		    buffer->type);
	return false;
}

static const struct skynet_packet *
packet_of(const struct socket_sendbuffer *buffer)
{
	return buffer->type == SOCKET_BUFFER_OBJECT ? buffer->buffer : NULL;
}

static size_t
size_of(const struct socket_sendbuffer *buffer)
{
	const struct skynet_packet *packet = packet_of(buffer);
	return packet ? packet->size : buffer->sz;
}

static const void *
bytes_of(const struct socket_sendbuffer *buffer)
{
	const struct skynet_packet *packet = packet_of(buffer);
	return packet ? packet->bytes : buffer->buffer;
}

static struct sk_output_piece *
make_piece(const struct socket_sendbuffer *buffer)
{
	if (buffer->type == SOCKET_BUFFER_MEMORY)
		return sk_output_piece_take((void *)buffer->buffer, buffer->sz);
	if (buffer->type == SOCKET_BUFFER_OBJECT)
		return sk_output_piece_share((struct skynet_packet *)buffer->buffer);
	return sk_output_piece_copy(buffer->buffer, buffer->sz);
}

static int
send_buffer(struct skynet_context *ctx, const struct socket_sendbuffer *buffer, bool is_low)
{
	struct request request;
	int result;
	if (!is_known_type(ctx, buffer))
		return -1;
	if (buffer->type == SOCKET_BUFFER_MEMORY) /* which is taken */
		sk_memory_disown(sk_memory_bytes_of((void *)buffer->buffer));
	struct sk_sockets *sockets = begin(&request, ctx);
	if (size_of(buffer) > 0) {
		result = sk_socket_send(sockets, buffer->id, make_piece(buffer), is_low,
					request.error);
	} else {
		result = sk_socket_send_nothing(sockets, buffer->id, request.error);
		if (buffer->type == SOCKET_BUFFER_MEMORY)
			skynet_free((void *)buffer->buffer);
	}
	return end_done(&request, result);
}

/* The buffer that the older functions mean. */
static struct socket_sendbuffer
old_buffer(int id, const void *buffer, int sz)
{
	return (struct socket_sendbuffer){
		.id = id,
		.type = sz < 0 ? NO_BUFFER : SOCKET_BUFFER_MEMORY,
		.buffer = buffer,
		.sz = sz < 0 ? 0 : (size_t)sz,
	};
}

int
skynet_socket_sendbuffer(struct skynet_context *ctx, struct socket_sendbuffer *buffer)
{
	return send_buffer(ctx, buffer, false);
}

int
skynet_socket_sendbuffer_lowpriority(struct skynet_context *ctx, struct socket_sendbuffer *buffer)
{
	return send_buffer(ctx, buffer, true);
}

int
skynet_socket_send(struct skynet_context *ctx, int id, void *buffer, int sz)
{
	struct socket_sendbuffer all = old_buffer(id, buffer, sz);
	return send_buffer(ctx, &all, false);
}

int
skynet_socket_send_lowpriority(struct skynet_context *ctx, int id, void *buffer, int sz)
{
	struct socket_sendbuffer all = old_buffer(id, buffer, sz);
	return send_buffer(ctx, &all, true);
}

/* --- UDP ----------------------------------------------------------------------------------- */

int
skynet_socket_udp(struct skynet_context *ctx, const char *host, int port)
{
	struct request request;
	struct sk_sockets *sockets = begin(&request, ctx);
	becomes_owner(ctx);
	return end_with_id(&request,
			   sk_socket_udp_open(sockets, ctx->handle, host, port, request.error));
}

int
skynet_socket_udp_connect(struct skynet_context *ctx, int id, const char *host, int port)
{
	struct request request;
	struct sk_sockets *sockets = begin(&request, ctx);
	return end_done(&request, sk_socket_udp_connect(sockets, id, host, port, request.error));
}

int
skynet_socket_udp_dial(struct skynet_context *ctx, const char *host, int port)
{
	struct request request;
	struct sk_sockets *sockets = begin(&request, ctx);
	becomes_owner(ctx);
	return end_with_id(&request,
			   sk_socket_udp_dial(sockets, ctx->handle, host, port, request.error));
}

int
skynet_socket_udp_listen(struct skynet_context *ctx, const char *host, int port)
{
	if (port == 0) {
		sk_core_log(ctx->core, ctx->handle,
			    "error: socket: udp_listen needs a port, not 0");
		return -1;
	}
	return skynet_socket_udp(ctx, host, port);
}

static int
send_datagram(struct skynet_context *ctx, const struct socket_sendbuffer *buffer,
	      const struct sk_address *to)
{
	struct request request;
	struct sk_sockets *sockets = begin(&request, ctx);
	return end_done(&request, sk_socket_udp_send(sockets, buffer->id, to, bytes_of(buffer),
						     size_of(buffer), request.error));
}

int
skynet_socket_udp_sendbuffer(struct skynet_context *ctx, const char *address,
			     struct socket_sendbuffer *buffer)
{
	struct sk_address to = {0};
	int result = SK_EINVAL;
	if (!is_known_type(ctx, buffer))
		return -1;
	if (address && sk_address_decode(&to, address) != SK_OK)
		sk_core_log(
			ctx->core, ctx->handle,
			"error: socket: udp %d: an address begins with 1 (IPv4) or 2 (IPv6), not "
			"%d",
			buffer->id, (unsigned char)address[0]);
	else
		result = send_datagram(ctx, buffer, &to);
	if (buffer->type == SOCKET_BUFFER_MEMORY)
		skynet_free((void *)buffer->buffer);
	return result == SK_OK ? 0 : -1;
}

int
skynet_socket_udp_send(struct skynet_context *ctx, int id, const char *address, const void *buffer,
		       int sz)
{
	struct socket_sendbuffer all = old_buffer(id, buffer, sz);
	return skynet_socket_udp_sendbuffer(ctx, address, &all);
}

const char *
skynet_socket_udp_address(struct skynet_socket_message *msg, int *addrsz)
{
	*addrsz = 0;
	if (msg->type != SKYNET_SOCKET_TYPE_UDP || !msg->buffer)
		return NULL;
	const char *address = msg->buffer + msg->ud;
	*addrsz = (int)sk_address_size_of_kind((unsigned char)address[0]);
	return *addrsz > 0 ? address : NULL;
}
