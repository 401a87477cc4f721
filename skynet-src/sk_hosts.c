/* sk_hosts.c: see sk_hosts.h. A line of the file is an address and its names, then perhaps a
 * comment after #. Lines that are not of this form are skipped, as the system does it. */
#include "sk_hosts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HOSTS_FILE "/etc/hosts"
static const char separators[] = " \t\r\n";

/* Cuts the next word from the line. Returns NULL when there is none. */
static char *
next_word(char **line)
{
	char *word = *line + strspn(*line, separators);
	size_t length = strcspn(word, separators);
	if (length == 0)
		return NULL;
	*line = word + length + (word[length] != '\0');
	word[length] = '\0';
	return word;
}

/* Whether a line is about that host; then address is what it says. line: changed. */
static bool
read_line(char *line, const char *host, int port, struct sk_address *address)
{
	line[strcspn(line, "#")] = '\0';
	const char *number = next_word(&line);
	if (!number || sk_address_parse(address, number, port) != SK_OK)
		return false;
	for (const char *name; (name = next_word(&line));)
		if (strcasecmp(name, host) == 0)
			return true;
	return false;
}

static int
search_file(FILE *file, const char *host, int port, struct sk_address *addresses, int max)
{
	char *line = NULL;
	size_t room = 0;
	int count = 0;
	while (count < max && getline(&line, &room, file) >= 0)
		count += read_line(line, host, port, &addresses[count]);
	free(line); /* getline is the system's */
	return count;
}

int
sk_hosts_find(const char *path, const char *host, int port, struct sk_address *addresses, int max)
{
	int count = 0;
	if (max < 1)
		return 0;
	if (sk_address_parse(&addresses[0], host, port) == SK_OK)
		return 1;
	FILE *file = fopen(path ? path : HOSTS_FILE, "re");
	if (file) {
		count = search_file(file, host, port, addresses, max);
		(void)fclose(file); /* it was only read */
	}
	if (count == 0 && strcasecmp(host, "localhost") == 0)
		count = sk_address_parse(&addresses[0], "127.0.0.1", port) == SK_OK;
	return count;
}

int
sk_hosts_find_local(struct sk_address *address, const char *host, int port, char *error,
		    size_t error_size)
{
	if (port < 0 || port > SK_ADDRESS_PORT_MAX) {
		(void)snprintf(error, error_size, "socket: %d is no port: give one from 0 to 65535",
			       port);
		return SK_EINVAL;
	}
	if (!host || host[0] == '\0')
		host = "0.0.0.0";
	if (sk_hosts_find(NULL, host, port, address, 1) == 1)
		return SK_OK;
	(void)snprintf(error, error_size,
		       "socket: %s is no local address: give a number, or a name from the hosts "
		       "file",
		       host);
	return SK_EINVAL;
}
