/* sk_socket_address.c: see sk_socket_address.h.
 *
 * Layout of the bytes: [0] kind, [1..2] port, most significant first, [3..] address. */
#include "sk_socket_address.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define PORT_AT 1
#define IP_AT 3

size_t
sk_address_size_of_kind(int kind)
{
	switch (kind) {
	case SK_ADDRESS_IPV4:
		return IP_AT + sizeof(struct in_addr);
	case SK_ADDRESS_IPV6:
		return IP_AT + sizeof(struct in6_addr);
	default: /* not an enum of ours: the byte may come from a user */
		return 0;
	}
}

int
sk_address_parse(struct sk_address *address, const char *host, int port)
{
	*address = (struct sk_address){0};
	if (!host || port < 0 || port > SK_ADDRESS_PORT_MAX)
		return SK_EINVAL;
	if (inet_pton(AF_INET, host, address->bytes + IP_AT) == 1)
		address->bytes[0] = SK_ADDRESS_IPV4;
	else if (inet_pton(AF_INET6, host, address->bytes + IP_AT) == 1)
		address->bytes[0] = SK_ADDRESS_IPV6;
	else
		return SK_EINVAL;
	sk_address_set_port(address, port);
	return SK_OK;
}

int
sk_address_decode(struct sk_address *address, const char *bytes)
{
	*address = (struct sk_address){0};
	size_t size = sk_address_size_of_kind((unsigned char)bytes[0]);
	if (size == 0)
		return SK_EINVAL;
	memcpy(address->bytes, bytes, size);
	return SK_OK;
}

void
sk_address_from_system(struct sk_address *address, const union sk_address_system *system)
{
	*address = (struct sk_address){0};
	if (system->any.sa_family == AF_INET) {
		address->bytes[0] = SK_ADDRESS_IPV4;
		memcpy(address->bytes + PORT_AT, &system->ipv4.sin_port, sizeof(in_port_t));
		memcpy(address->bytes + IP_AT, &system->ipv4.sin_addr, sizeof(struct in_addr));
	} else if (system->any.sa_family == AF_INET6) {
		address->bytes[0] = SK_ADDRESS_IPV6;
		memcpy(address->bytes + PORT_AT, &system->ipv6.sin6_port, sizeof(in_port_t));
		memcpy(address->bytes + IP_AT, &system->ipv6.sin6_addr, sizeof(struct in6_addr));
	}
}

socklen_t
sk_address_to_system(const struct sk_address *address, union sk_address_system *system)
{
	memset(system, 0, sizeof *system);
	if (sk_address_kind(address) == SK_ADDRESS_IPV6) {
		system->ipv6.sin6_family = AF_INET6;
		memcpy(&system->ipv6.sin6_port, address->bytes + PORT_AT, sizeof(in_port_t));
		memcpy(&system->ipv6.sin6_addr, address->bytes + IP_AT, sizeof(struct in6_addr));
		return sizeof system->ipv6;
	}
	system->ipv4.sin_family = AF_INET;
	memcpy(&system->ipv4.sin_port, address->bytes + PORT_AT, sizeof(in_port_t));
	memcpy(&system->ipv4.sin_addr, address->bytes + IP_AT, sizeof(struct in_addr));
	return sizeof system->ipv4;
}

int
sk_address_family(const struct sk_address *address)
{
	return sk_address_kind(address) == SK_ADDRESS_IPV6 ? AF_INET6 : AF_INET;
}

int
sk_address_port(const struct sk_address *address)
{
	return address->bytes[PORT_AT] << 8 | address->bytes[PORT_AT + 1];
}

void
sk_address_set_port(struct sk_address *address, int port)
{
	address->bytes[PORT_AT] = (unsigned char)(port >> 8);
	address->bytes[PORT_AT + 1] = (unsigned char)port;
}

void
sk_address_of_descriptor(struct sk_address *address, int fd)
{
	union sk_address_system system = {0};
	socklen_t size = sizeof system;
	if (getsockname(fd, &system.any, &size) == 0)
		sk_address_from_system(address, &system);
}

static bool
is_packed_ipv4(const struct sk_address *address)
{
	struct in6_addr ip;
	memcpy(&ip, address->bytes + IP_AT, sizeof ip);
	return IN6_IS_ADDR_V4MAPPED(&ip);
}

void
sk_address_print_ip(const struct sk_address *address, char text[SK_ADDRESS_TEXT_SIZE])
{
	int family = sk_address_family(address);
	const unsigned char *ip = address->bytes + IP_AT;
	text[0] = '\0';
	if (sk_address_kind(address) == SK_ADDRESS_NONE)
		return;
	if (family == AF_INET6 && is_packed_ipv4(address)) {
		family = AF_INET;
		ip += sizeof(struct in6_addr) - sizeof(struct in_addr);
	}
	(void)inet_ntop(family, ip, text, SK_ADDRESS_TEXT_SIZE); /* there is room for the longest */
}

void
sk_address_print(const struct sk_address *address, char text[SK_ADDRESS_TEXT_SIZE])
{
	sk_address_print_ip(address, text);
	size_t length = strlen(text);
	if (length > 0)
		(void)snprintf(text + length, SK_ADDRESS_TEXT_SIZE - length, ":%d",
			       sk_address_port(address));
}
