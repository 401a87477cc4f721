/* skynet_socket.h: TCP and UDP sockets for services written in C.
 *
 * Model      A socket is a positive id, counted up from 1, never an operating system descriptor. It
 *            belongs to the service that started it last; that service gets what happens to it as
 *            PTYPE_SOCKET messages (source 0, session 0) whose payload is a struct
 *            skynet_socket_message. Every function returns at once; nothing here waits.
 * Flow       At most one unread chunk per socket: the next read happens when the callback that got
 *            the last chunk has returned. What is sent during a callback leaves at its end,
 *            together.
 * Threads    [turn], like skynet.h.
 * Memory     msg->buffer, when not NULL, must be freed by the receiver.
 */
#ifndef SKYNET_SOCKET_H
#define SKYNET_SOCKET_H

#include "skynet.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What happened: the `type` of a skynet_socket_message. */
#define SKYNET_SOCKET_TYPE_DATA 1    /* ud bytes in buffer */
#define SKYNET_SOCKET_TYPE_CONNECT 2 /* connected, listening (ud = port) or started; text says */
#define SKYNET_SOCKET_TYPE_CLOSE 3   /* the stream ended; told exactly once per TCP socket */
#define SKYNET_SOCKET_TYPE_ACCEPT 4  /* id: the listener, ud: the new socket, text "ip:port" */
#define SKYNET_SOCKET_TYPE_ERROR 5   /* text: the reason */
#define SKYNET_SOCKET_TYPE_UDP 6     /* ud bytes in buffer, then the sender's address */
#define SKYNET_SOCKET_TYPE_WARNING 7 /* ud KiB wait to be sent; 0: all gone out */
#define SKYNET_SOCKET_TYPE_READY 8   /* a watched descriptor is ready; ud: for what (below) */
#define SKYNET_SOCKET_TYPE_TAKEN 9   /* another service has started what was ours: the last word */

/* The payload of a PTYPE_SOCKET message. When buffer is NULL, text may follow the struct: as many
 * bytes as the message is longer than it, at most 128, without a NUL. */
struct skynet_socket_message {
	int type;
	int id;
	int ud;
	char *buffer;
};

/* What `buffer` of a socket_sendbuffer is. */
#define SOCKET_BUFFER_MEMORY 0	   /* malloc-ed: taken */
#define SOCKET_BUFFER_OBJECT 1	   /* a struct skynet_packet: borrowed, sz is ignored */
#define SOCKET_BUFFER_RAWPOINTER 2 /* borrowed: copied where needed */

struct socket_sendbuffer {
	int id;
	int type;
	const void *buffer;
	size_t sz;
};

/* Whether the other end has to prove who it is. */
#define SKYNET_TLS_VERIFY_DEFAULT 0  /* a server has to; a client if authorities are given */
#define SKYNET_TLS_VERIFY_NONE 1     /* nobody is asked */
#define SKYNET_TLS_VERIFY_OPTIONAL 2 /* servers are let pass; clients may have no certificate */
#define SKYNET_TLS_VERIFY_REQUIRED 3 /* or there is no connection */

/* How TLS is spoken. All zero: the defaults. Files are in PEM form; docs/tls.md tells more. */
struct skynet_tls_options {
	const char *certificate; /* file: ours, with its chain; or several, behind commas */
	const char *key;	 /* file: its key; or as many. NULL: in the certificate's file */
	const char *authorities; /* file or folder: whom to trust. NULL: as the system does */
	const char *server_name; /* connect: who it must be. NULL: the host connected to */
	const char *alpn;	 /* names of protocols, behind commas, the best one first */
	const char *minimum_version; /* "1.2" (the default) or "1.3" */
	const char *ciphers;	     /* of TLS 1.2, in OpenSSL's notation */
	const char *ciphersuites;    /* of TLS 1.3, in OpenSSL's notation */
	int verify;		     /* SKYNET_TLS_VERIFY_... */
};

/* Sets the field of that name, from a text: for verify "true", "false" or "optional". value:
 * borrowed as long as the options are used. Returns 0, or -1: no such field, or no such way to
 * verify.  [any] */
SKYNET_API int skynet_tls_option(struct skynet_tls_options *options, const char *name,
				 const char *value);

/* How a socket is opened. All zero: as the functions without options do. */
struct skynet_socket_options {
	/* listen: others may listen on the same port, if they say so too. The system spreads the
	 * clients over them. */
	int shares_port;
	/* The connection, or all that come in, speak TLS (borrowed); NULL: they do not. CONNECT is
	 * told when the handshake is over. */
	const struct skynet_tls_options *tls;
};

/* Listens on host:port (host NULL or "": all IPv4 addresses; a name: one from the hosts file; port
 * 0: any free one). Or, here and in connect, host is "unix:/path" for a Unix-domain socket, or
 * "unix:@name" for one without a file; then the port does not count. The port is bound at once; a
 * CONNECT message with the bound address follows; accepting begins at start. Returns an id, or -1
 * (reason in the log). */
SKYNET_API int skynet_socket_listen(struct skynet_context *ctx, const char *host, int port,
				    int backlog);
/* The same, with options (borrowed; NULL: none). */
SKYNET_API int skynet_socket_listen_with(struct skynet_context *ctx, const char *host, int port,
					 int backlog, const struct skynet_socket_options *options);
/* Connects; CONNECT or ERROR follows. Returns an id, or -1. */
SKYNET_API int skynet_socket_connect(struct skynet_context *ctx, const char *host, int port);
/* The same, with options (borrowed; NULL: none). */
SKYNET_API int skynet_socket_connect_with(struct skynet_context *ctx, const char *host, int port,
					  const struct skynet_socket_options *options);
/* Adopts an operating system descriptor, which is never closed here. Returns an id, or -1. */
SKYNET_API int skynet_socket_bind(struct skynet_context *ctx, int fd);
/* Watches a descriptor that somebody else opened, reads, writes and closes, such as a client
 * library. Nothing is told before skynet_socket_rearm asks for it. Close the id when the descriptor
 * is closed: what it stands for stays open until then. Returns an id, or -1. */
SKYNET_API int skynet_socket_watch(struct skynet_context *ctx, int fd);
/* Asks for one READY message: as soon as the watched descriptor is ready for what is asked, or hung
 * up; also if it is so already. So it must be asked again after each. what: READABLE, WRITABLE, or
 * both; it takes the place of what was asked before; 0: nothing more is told. READY tells in ud
 * what it is ready for, and HANGUP (then read and write, to learn why). Returns 0, or -1. */
SKYNET_API int skynet_socket_rearm(struct skynet_context *ctx, int id, int what);
#define SKYNET_SOCKET_READABLE 1
#define SKYNET_SOCKET_WRITABLE 2
#define SKYNET_SOCKET_HANGUP 4

/* Makes the caller the owner and begins reading or accepting. CONNECT with the text "start" or
 * "transfer" follows, or ERROR. A former owner that had started it is told TAKEN. */
SKYNET_API void skynet_socket_start(struct skynet_context *ctx, int id);
/* Stops reading until the next start. */
SKYNET_API void skynet_socket_pause(struct skynet_context *ctx, int id);
/* Stops reading, sends what waits, then closes. */
SKYNET_API void skynet_socket_close(struct skynet_context *ctx, int id);
/* Closes at once; output that waits is lost. */
SKYNET_API void skynet_socket_shutdown(struct skynet_context *ctx, int id);
/* Sets TCP_NODELAY. */
SKYNET_API void skynet_socket_nodelay(struct skynet_context *ctx, int id);

/* Goes on in TLS on a connection that is open or was accepted, as the client or the server of the
 * handshake. What was sent before leaves first. CONNECT with the text "secure" follows when the
 * handshake is over, or ERROR and CLOSE. Returns 0, or -1 (reason in the log). */
SKYNET_API int skynet_socket_secure(struct skynet_context *ctx, int id,
				    const struct skynet_tls_options *options, int is_server);

/* What a TLS connection has agreed on. Texts that are too long are cut. */
struct skynet_tls_info {
	char version[16];      /* "TLSv1.3" */
	char cipher[64];       /* OpenSSL's name */
	char alpn[64];	       /* the protocol; "": none */
	char server_name[256]; /* whom the client asked for; "": nobody */
	char subject[256];     /* of the peer's certificate (RFC 2253); "": it has none */
	char problem[128];     /* why that proves nothing; "": it does, or was not looked at */
	int is_verified;       /* 1: the peer has proved who it is */
};

/* Returns 0, or -1: no such socket, or its handshake is not over. */
SKYNET_API int skynet_socket_tls_info(struct skynet_context *ctx, int id,
				      struct skynet_tls_info *info);
/* Reads the files of all TLS options in use again, for the connections to come, as SIGHUP does.
 * What cannot be used is logged, and the old one stays. Returns how many options that was. */
SKYNET_API int skynet_tls_reload(struct skynet_context *ctx);

/* Sends buffer->buffer, whole and in order. Returns 0, or -1 (no such socket, closing, or over the
 * output limit; a MEMORY buffer is freed). */
SKYNET_API int skynet_socket_sendbuffer(struct skynet_context *ctx,
					struct socket_sendbuffer *buffer);
/* The same, behind all normal output. */
SKYNET_API int skynet_socket_sendbuffer_lowpriority(struct skynet_context *ctx,
						    struct socket_sendbuffer *buffer);
/* Older forms: buffer is taken. sz < 0 is refused, and then it is not. udp_send below is one,
 * too. */
SKYNET_API int skynet_socket_send(struct skynet_context *ctx, int id, void *buffer, int sz);
SKYNET_API int skynet_socket_send_lowpriority(struct skynet_context *ctx, int id, void *buffer,
					      int sz);

/* UDP. host NULL and port 0: an unbound IPv4 socket. dial sets a default peer; listen refuses port
 * 0. An address is 7 (IPv4) or 19 (IPv6) bytes: kind (1 or 2), port in network order, address. */
SKYNET_API int skynet_socket_udp(struct skynet_context *ctx, const char *host, int port);
SKYNET_API int skynet_socket_udp_connect(struct skynet_context *ctx, int id, const char *host,
					 int port);
SKYNET_API int skynet_socket_udp_dial(struct skynet_context *ctx, const char *host, int port);
SKYNET_API int skynet_socket_udp_listen(struct skynet_context *ctx, const char *host, int port);
SKYNET_API int skynet_socket_udp_sendbuffer(struct skynet_context *ctx, const char *address,
					    struct socket_sendbuffer *buffer);
SKYNET_API int skynet_socket_udp_send(struct skynet_context *ctx, int id, const char *address,
				      const void *buffer, int sz);
/* The sender's address inside a UDP message, or NULL. addrsz: receives 7 or 19. */
SKYNET_API const char *skynet_socket_udp_address(struct skynet_socket_message *msg, int *addrsz);

/* Room for the text of an IP address and its NUL. */
#define SKYNET_SOCKET_IP_SIZE 56
/* Finds the IP addresses of a host as far as nobody has to be asked: a number, localhost, or a name
 * from the hosts file. Stores up to max texts. Returns how many; 0: it is not known here.  [any] */
SKYNET_API int skynet_socket_resolve(const char *host, char ips[][SKYNET_SOCKET_IP_SIZE], int max);

/* What a socket is. */
enum socket_info_type {
	SOCKET_INFO_UNKNOWN,
	SOCKET_INFO_LISTEN,
	SOCKET_INFO_TCP,
	SOCKET_INFO_UDP,
	SOCKET_INFO_BIND,
	SOCKET_INFO_CLOSING,
};

/* One socket as seen by a monitor. read/write: bytes so far (a listener: read = accepted). rtime,
 * wtime: skynet_now() of the last activity. wbuffer: bytes that wait to be sent. */
struct socket_info {
	int id;
	int type;
	uint64_t opaque; /* the owner's handle */
	uint64_t read;
	uint64_t write;
	uint64_t rtime;
	uint64_t wtime;
	int64_t wbuffer;
	uint8_t reading;
	uint8_t writing;
	char name[128]; /* peer, or the address listened on */
	struct socket_info *next;
};

/* Lists all sockets of the node. The caller releases the list with socket_info_release. */
SKYNET_API struct socket_info *skynet_socket_info(void);
SKYNET_API void socket_info_release(struct socket_info *list);

#ifdef __cplusplus
}
#endif

#endif
