/* settings.c: the launch text, and the keys of the config that the harbor reads; docs/config.md
 * tells what they mean. Their forms were checked when the config was loaded; what is checked here
 * again is what would make the harbor itself go wrong. */
#include "harbor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_TIMEOUT_S 5
#define TIMEOUT_MAX_S 3600
#define DEFAULT_OUTPUT_LIMIT (64L * 1024 * 1024)
#define OUTPUT_LIMIT_MIN 65536
/* The longest message that harbors of old carried. */
#define DEFAULT_MESSAGE_LIMIT 16777203
#define MESSAGE_LIMIT_MIN 1024
#define MESSAGE_LIMIT_MAX (1L << 30)

bool
harbor_parse_address(const char *text, char host[HARBOR_HOST_MAX + 1], int *port)
{
	const char *colon = strrchr(text, ':');
	if (colon == NULL || colon[1] < '0' || colon[1] > '9')
		return false;
	char *end;
	long number = strtol(colon + 1, &end, 10);
	size_t size = (size_t)(colon - text);
	if (size >= 2 && text[0] == '[' && colon[-1] == ']') {
		text++;
		size -= 2;
	}
	if (*end != '\0' || number > 65535 || size == 0 || size > HARBOR_HOST_MAX)
		return false;
	memcpy(host, text, size);
	host[size] = '\0';
	*port = (int)number;
	return true;
}

void
harbor_write_address(char address[HARBOR_ADDRESS_MAX + 1], const char *host, int port)
{
	(void)snprintf(address, HARBOR_ADDRESS_MAX + 1,
		       strchr(host, ':') != NULL ? "[%s]:%d" : "%s:%d", host, port);
}

/* A text of the config; NULL: there is none, or an empty one. */
static const char *
text_of(struct harbor *harbor, const char *key)
{
	const char *value = skynet_command(harbor->ctx, "GETENV", key);
	return value != NULL && value[0] != '\0' ? value : NULL;
}

/* Reads a whole number from min to max. Returns false after a log line. */
static bool
read_number(struct harbor *harbor, const char *key, long min, long max, long *number)
{
	const char *text = text_of(harbor, key);
	char *end;
	if (text == NULL)
		return true;
	*number = strtol(text, &end, 10);
	if (*end == '\0' && *number >= min && *number <= max)
		return true;
	skynet_error(harbor->ctx, "[harbor] The config's %s is %s, and must be from %ld to %ld",
		     key, text, min, max);
	return false;
}

static bool
read_numbers(struct harbor *harbor)
{
	struct harbor_settings *settings = &harbor->settings;
	long timeout_s = DEFAULT_TIMEOUT_S;
	long output_limit = DEFAULT_OUTPUT_LIMIT;
	long message_limit = DEFAULT_MESSAGE_LIMIT;
	long socket_limit = 0;
	if (!read_number(harbor, "harbor_timeout", 1, TIMEOUT_MAX_S, &timeout_s) ||
	    !read_number(harbor, "harbor_output_limit", OUTPUT_LIMIT_MIN, INT64_MAX / 4,
			 &output_limit) ||
	    !read_number(harbor, "harbor_message_limit", MESSAGE_LIMIT_MIN, MESSAGE_LIMIT_MAX,
			 &message_limit) ||
	    !read_number(harbor, "socket_output_limit", 0, INT64_MAX / 4, &socket_limit))
		return false;
	settings->timeout_ticks = (int)timeout_s * HARBOR_TICKS_PER_SECOND;
	settings->beat_ms = (int)timeout_s * 1000 / HARBOR_BEATS;
	settings->output_limit = (size_t)output_limit;
	settings->message_limit = (uint32_t)message_limit;
	/* A socket that has more waiting is closed: nothing of the harbor may come near it. */
	settings->window = socket_limit > 0 && socket_limit / 2 < HARBOR_WINDOW_BYTES
				   ? (size_t)socket_limit / 2
				   : (size_t)HARBOR_WINDOW_BYTES;
	return true;
}

static bool
read_policy(struct harbor *harbor)
{
	const char *policy = text_of(harbor, "harbor_output_policy");
	harbor->settings.blocks = policy != NULL && strcmp(policy, "block") == 0;
	if (policy == NULL || harbor->settings.blocks || strcmp(policy, "error") == 0)
		return true;
	skynet_error(harbor->ctx,
		     "[harbor] The config's harbor_output_policy is %s, and must be error or block",
		     policy);
	return false;
}

static bool
read_tls(struct harbor *harbor)
{
	struct harbor_settings *settings = &harbor->settings;
	settings->tls = (struct skynet_tls_options){
		.certificate = text_of(harbor, "harbor_certificate"),
		.key = text_of(harbor, "harbor_key"),
		.authorities = text_of(harbor, "harbor_authorities"),
		.verify = SKYNET_TLS_VERIFY_REQUIRED,
	};
	settings->has_tls = settings->tls.certificate != NULL && settings->tls.authorities != NULL;
	if (settings->has_tls || (settings->tls.certificate == NULL && settings->tls.key == NULL &&
				  settings->tls.authorities == NULL))
		return true;
	skynet_error(harbor->ctx, "[harbor] TLS between nodes needs both harbor_certificate and "
				  "harbor_authorities in the config");
	return false;
}

static bool
read_address(struct harbor *harbor)
{
	const char *address = text_of(harbor, "address");
	if (address != NULL &&
	    harbor_parse_address(address, harbor->settings.host, &harbor->settings.port))
		return true;
	skynet_error(harbor->ctx, "[harbor] The config's address is %s, and must be HOST:PORT",
		     address != NULL ? address : "missing");
	return false;
}

/* ID HANDLE, both decimal. */
static bool
read_parm(struct harbor *harbor, const char *parm)
{
	char *end;
	long id = strtol(parm, &end, 10);
	unsigned long owner = *end == ' ' ? strtoul(end + 1, &end, 10) : 0;
	if (*end == '\0' && id > 0 && id < HARBOR_NODES && owner > 0 && owner <= UINT32_MAX &&
	    (uint32_t)id == skynet_current_handle() >> 24) {
		harbor->settings.id = (int)id;
		harbor->settings.owner = (uint32_t)owner;
		return true;
	}
	skynet_error(harbor->ctx,
		     "[harbor] Invalid parm %s: it must be the id of this node, and the handle of "
		     "the service that controls it",
		     parm);
	return false;
}

bool
harbor_settings_read(struct harbor *harbor, const char *parm)
{
	const char *secret;
	if (!read_parm(harbor, parm) || !read_address(harbor) || !read_numbers(harbor) ||
	    !read_policy(harbor) || !read_tls(harbor))
		return false;
	secret = text_of(harbor, "harbor_secret");
	harbor->settings.secret = secret != NULL ? secret : "";
	return true;
}
