/* sk_config_address.c: what an address looks like, and the URL of an etcd; which of them only this
 * machine reaches. Nothing is looked up. */
#include "sk_config_parts.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define HOST_BYTES 256 /* of a host's name or number, with the NUL */
#define PORT_DIGITS 5

/* Only a number in brackets has a colon in it, so that nobody takes "etcd:HOST:PORT" for a host. */
static bool
is_host(const char *text, size_t length)
{
	bool is_bracketed = length > 2 && text[0] == '[' && text[length - 1] == ']';
	return is_bracketed || strcspn(text, ":[]") >= length;
}

/* As text, up to length. A host has no slash, so that nobody takes a URL for one. */
static bool
is_address(const char *text, size_t length, long port_min)
{
	char port[PORT_DIGITS + 1];
	size_t host = length;
	while (host > 0 && text[host - 1] != ':')
		host--;
	size_t digits = length - host;
	if (host < 2 || host > HOST_BYTES || !is_host(text, host - 1) || digits < 1 ||
	    digits > PORT_DIGITS || strcspn(text, "/ \t\r\n") < host ||
	    strspn(text + host, "0123456789") < digits)
		return false;
	memcpy(port, text + host, digits);
	port[digits] = '\0';
	long number = strtol(port, NULL, 10);
	return number >= port_min && number <= 65535;
}

bool
sk_config_is_address(const char *text, long port_min)
{
	return is_address(text, strlen(text), port_min);
}

/* "HOST:PORT,HOST:PORT" */
static bool
is_list_of_addresses(const char *text, size_t length)
{
	for (;;) {
		const char *comma = memchr(text, ',', length);
		size_t first = comma != NULL ? (size_t)(comma - text) : length;
		if (!is_address(text, first, 1))
			return false;
		if (comma == NULL)
			return true;
		text += first + 1;
		length -= first + 1;
	}
}

/* What stands behind the scheme, or NULL. */
static const char *
behind_scheme(const char *text)
{
	static const char *const schemes[] = {"etcd://", "etcds://"};
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (strncmp(text, schemes[i], strlen(schemes[i])) == 0)
			return text + strlen(schemes[i]);
	return NULL;
}

bool
sk_config_is_etcd(const char *text)
{
	const char *rest = behind_scheme(text);
	if (rest == NULL || strpbrk(rest, " \t\r\n") != NULL)
		return false;
	size_t length = strcspn(rest, "/");
	for (size_t i = length; i > 0; i--) { /* who asks stands before the last '@' */
		if (rest[i - 1] == '@')
			return is_list_of_addresses(rest + i, length - i);
	}
	return is_list_of_addresses(rest, length);
}

/* Copies the host of an address, without brackets; "" when it is too long for any. */
static void
copy_host(const char *address, char host[static HOST_BYTES])
{
	const char *colon = strrchr(address, ':');
	size_t length = colon != NULL ? (size_t)(colon - address) : strlen(address);
	if (length > 1 && address[0] == '[' && address[length - 1] == ']') {
		address++;
		length -= 2;
	}
	if (length >= HOST_BYTES)
		length = 0;
	memcpy(host, address, length);
	host[length] = '\0';
}

bool
sk_config_is_loopback(const char *address)
{
	char host[HOST_BYTES];
	struct in_addr v4;
	struct in6_addr v6;
	copy_host(address, host);
	if (strcmp(host, "localhost") == 0)
		return true;
	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET;
	return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

bool
sk_config_is_unspecified(const char *address)
{
	char host[HOST_BYTES];
	struct in_addr v4;
	struct in6_addr v6;
	copy_host(address, host);
	if (inet_pton(AF_INET, host, &v4) == 1)
		return v4.s_addr == htonl(INADDR_ANY);
	return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_UNSPECIFIED(&v6);
}
