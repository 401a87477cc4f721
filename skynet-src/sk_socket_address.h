/* sk_socket_address.h: where a socket is, or its peer: an IP address and a port.
 *
 * Model      The bytes that a UDP message carries are the form used everywhere: one byte kind (1 is
 *            IPv4, 2 is IPv6), two bytes port in network order, 4 or 16 bytes address. Kind 0 is no
 *            address. The zone of a link-local IPv6 address is not kept.
 * Threads    [any]
 */
#ifndef SK_SOCKET_ADDRESS_H
#define SK_SOCKET_ADDRESS_H

#include "sk_base.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#define SK_ADDRESS_NONE 0
#define SK_ADDRESS_IPV4 1
#define SK_ADDRESS_IPV6 2
#define SK_ADDRESS_SIZE_MAX 19
#define SK_ADDRESS_PORT_MAX 65535
/* Room for "ip:port" and its NUL. */
#define SK_ADDRESS_TEXT_SIZE 56

struct sk_address {
	unsigned char bytes[SK_ADDRESS_SIZE_MAX];
};

/* What a name stands for: addresses in the order in which they are to be tried. One malloc-ed
 * block. */
struct sk_address_list {
	int count;
	int next; /* the first that was not tried yet */
	struct sk_address addresses[];
};

/* Room for what the system calls take and give. */
union sk_address_system {
	struct sockaddr any;
	struct sockaddr_in ipv4;
	struct sockaddr_in6 ipv6;
	struct sockaddr_un unix_domain;
	struct sockaddr_storage room;
};

/* How many bytes an address of this kind has: 7, 19, or 0 for no kind that is known. */
size_t sk_address_size_of_kind(int kind);

static inline int
sk_address_kind(const struct sk_address *address)
{
	return address->bytes[0];
}

static inline size_t
sk_address_size(const struct sk_address *address)
{
	return sk_address_size_of_kind(sk_address_kind(address));
}

/* Reads a numeric address; port: 0 to 65535. Returns 0, or SK_EINVAL if host is no number, such as
 * a name, or NULL. */
SK_MUST_CHECK int sk_address_parse(struct sk_address *address, const char *host, int port);

/* Reads the bytes of a UDP message's address. Returns 0, or SK_EINVAL for an unknown kind. */
SK_MUST_CHECK int sk_address_decode(struct sk_address *address, const char *bytes);

/* From and to the form of the system calls. A family that is not IP gives no address. */
void sk_address_from_system(struct sk_address *address, const union sk_address_system *system);
socklen_t sk_address_to_system(const struct sk_address *address, union sk_address_system *system);

/* Reads back what address a descriptor is bound to. */
void sk_address_of_descriptor(struct sk_address *address, int fd);

/* AF_INET or AF_INET6. */
int sk_address_family(const struct sk_address *address);
int sk_address_port(const struct sk_address *address);
void sk_address_set_port(struct sk_address *address, int port);

/* Writes "ip" or "ip:port"; the port is what follows the last colon. An IPv4 address that is packed
 * in an IPv6 one is written as IPv4. No address: "". */
void sk_address_print_ip(const struct sk_address *address, char text[SK_ADDRESS_TEXT_SIZE]);
void sk_address_print(const struct sk_address *address, char text[SK_ADDRESS_TEXT_SIZE]);

#endif
