/* launch.c: the launch text of the gate.
 *
 *      gate H WATCHDOG BINDING TAG MAX [BUFFER] [KEY=VALUE ...]
 *        H         a framing: S, L or a name of ../framing.h
 *        WATCHDOG  ":hex" or ".name": the service that is told of every client; "!": none
 *        BINDING   PORT or HOST:PORT ("[::1]:8888" for IPv6), or unix:/PATH
 *        TAG       type of the messages that carry frames; 0: PTYPE_CLIENT
 *        MAX       most connections at a time
 *        BUFFER    a size that gates of old needed
 *        KEY=VALUE options below; %HH in a value is a byte
 *
 * It listens before launch returns. Whatever is wrong has a line in the log that names it. */
#include "gate.h"

#include <string.h>

/* The kernel lowers it to what the system allows. */
#define BACKLOG 65535

/* The launch text, read so far. */
struct launch {
	struct gate *gate;
	const char *text;
	const char *binding;
	int backlog;
	int event_type; /* -1: the dialect's */
	struct skynet_socket_options options;
	struct skynet_tls_options tls; /* its texts are words of the launch text */
};

/* --- options --------------------------------------------------------------------------------- */

static bool
set_flag(const char *value, int *flag)
{
	return gate_parse_number(value, 0, 1, flag);
}

static bool
set_address(const struct launch *launch, const char *value, uint32_t *address)
{
	*address = skynet_queryname(launch->gate->ctx, value);
	return *address != 0;
}

static bool
set_backlog(struct launch *launch, const char *value)
{
	return gate_parse_number(value, 1, INT32_MAX, &launch->backlog);
}

static bool
set_shares_port(struct launch *launch, const char *value)
{
	return set_flag(value, &launch->options.shares_port);
}

static bool
set_nodelay(struct launch *launch, const char *value)
{
	return framing_parse_flag(value, &launch->gate->has_nodelay);
}

static bool
set_request(struct launch *launch, const char *value)
{
	return framing_parse_flag(value, &launch->gate->tells_requests);
}

static bool
set_waits(struct launch *launch, const char *value)
{
	return framing_parse_flag(value, &launch->gate->waits);
}

static bool
set_dialect(struct launch *launch, const char *value)
{
	bool is_lua = strcmp(value, "lua") == 0;
	launch->gate->dialect = is_lua ? GATE_LUA : GATE_TEXT;
	return is_lua || strcmp(value, "text") == 0;
}

static bool
set_events(struct launch *launch, const char *value)
{
	return gate_parse_number(value, 0, UINT8_MAX, &launch->event_type);
}

static bool
set_broker(struct launch *launch, const char *value)
{
	return set_address(launch, value, &launch->gate->broker);
}

static bool
set_owner(struct launch *launch, const char *value)
{
	return set_address(launch, value, &launch->gate->owner);
}

static bool
set_source(struct launch *launch, const char *value)
{
	return set_address(launch, value, &launch->gate->source);
}

static const struct option {
	const char *key;
	bool (*set)(struct launch *launch, const char *value);
} option_table[] = {
	{"backlog", set_backlog}, {"shares_port", set_shares_port}, {"nodelay", set_nodelay},
	{"dialect", set_dialect}, {"events", set_events},	    {"broker", set_broker},
	{"owner", set_owner},	  {"source", set_source},	    {"request", set_request},
	{"waits", set_waits},
};

/* Sets an option of TLS; any of them asks for it. */
static enum framing_option
set_tls(struct launch *launch, const char *name, const char *value)
{
	launch->options.tls = &launch->tls;
	launch->gate->has_tls = true;
	return framing_option_result(skynet_tls_option(&launch->tls, name, value) == 0);
}

/* Sets one option. value: decoded, `size` bytes. */
static enum framing_option
set_option(struct launch *launch, const char *key, const char *value, size_t size)
{
	static const char tls_prefix[] = "tls.";
	if (strncmp(key, tls_prefix, strlen(tls_prefix)) == 0)
		return set_tls(launch, key + strlen(tls_prefix), value);
	for (size_t i = 0; i < sizeof(option_table) / sizeof(option_table[0]); i++) {
		if (strcmp(option_table[i].key, key) == 0)
			return framing_option_result(option_table[i].set(launch, value));
	}
	return framing_set(&launch->gate->framing, key, value, size);
}

/* Reads one word KEY=VALUE. Returns false if it is none; then a line says so. */
static bool
read_option(struct launch *launch, char *word)
{
	char *value = strchr(word, '=');
	enum framing_option result = FRAMING_OPTION_UNKNOWN;
	if (value != NULL) {
		*value++ = '\0';
		ptrdiff_t size = framing_decode(value);
		result = size < 0 ? FRAMING_OPTION_WRONG
				  : set_option(launch, word, value, (size_t)size);
	}
	if (result == FRAMING_OPTION_UNKNOWN)
		skynet_error(launch->gate->ctx,
			     "Invalid gate option %s: it is unknown, or not for this framing",
			     word);
	if (result == FRAMING_OPTION_WRONG)
		skynet_error(launch->gate->ctx, "Invalid gate option %s: its value %s is wrong",
			     word, value);
	return result == FRAMING_OPTION_SET;
}

static void
choose_event_type(const struct launch *launch)
{
	struct gate *gate = launch->gate;
	gate->event_type = gate->dialect == GATE_LUA ? PTYPE_RESERVED_LUA : PTYPE_TEXT;
	if (launch->event_type >= 0)
		gate->event_type = launch->event_type;
}

/* Reads what stands behind MAX. */
static bool
read_options(struct launch *launch, char *rest)
{
	char *word = gate_next_word(&rest);
	int buffer;
	if (gate_parse_number(word, 0, INT32_MAX, &buffer))
		word = gate_next_word(&rest);
	for (; *word != '\0'; word = gate_next_word(&rest)) {
		if (!read_option(launch, word))
			return false;
	}
	if (!framing_is_complete(&launch->gate->framing)) {
		skynet_error(launch->gate->ctx, "Need a delimiter, such as delimiter=%%0d%%0a");
		return false;
	}
	choose_event_type(launch);
	return true;
}

/* --- the port -------------------------------------------------------------------------------- */

/* Splits "PORT" or "HOST:PORT", in place; brackets around HOST are dropped. */
static bool
parse_binding(char *binding, const char **host, int *port)
{
	static const char unix_prefix[] = "unix:";
	char *colon = strrchr(binding, ':');
	*host = NULL;
	*port = 0;
	if (strncmp(binding, unix_prefix, strlen(unix_prefix)) == 0) {
		*host = binding;
		return binding[strlen(unix_prefix)] != '\0';
	}
	if (colon == NULL)
		return gate_parse_number(binding, 0, 65535, port);
	*colon = '\0';
	if (*binding == '[' && colon[-1] == ']') {
		colon[-1] = '\0';
		binding++;
	}
	*host = binding;
	return gate_parse_number(colon + 1, 0, 65535, port);
}

/* Listens. Returns whether it could. */
static bool
listen_on(const struct launch *launch)
{
	struct gate *gate = launch->gate;
	char *binding = skynet_strdup(launch->binding);
	const char *host;
	int port;
	int id = -1;
	if (!parse_binding(binding, &host, &port))
		skynet_error(gate->ctx, "Invalid gate address %s", launch->binding);
	else /* it logs its failure */
		id = skynet_socket_listen_with(gate->ctx, host, port, launch->backlog,
					       &launch->options);
	skynet_free(binding);
	if (id < 0)
		return false;
	gate->listener = id;
	if (!gate->waits)
		skynet_socket_start(gate->ctx, id);
	return true;
}

/* --- the whole text -------------------------------------------------------------------------- */

/* Asks to be told of the owner's end. Returns false if that has come already. */
static bool
link_owner(struct gate *gate)
{
	if (gate->owner == 0)
		return true;
	gate->owner_session = skynet_link(gate->ctx, gate->owner, 0);
	if (gate->owner_session <= 0)
		skynet_error(gate->ctx, "Invalid gate option owner: :%08x is gone", gate->owner);
	return gate->owner_session > 0;
}

/* Reads the words in front of the options. Returns false after a line. */
static bool
read_words(struct launch *launch, char **rest)
{
	struct gate *gate = launch->gate;
	const char *framing = gate_next_word(rest);
	const char *watchdog = gate_next_word(rest);
	launch->binding = gate_next_word(rest);
	const char *tag = gate_next_word(rest);
	const char *max = gate_next_word(rest);
	int max_count;
	if (*launch->binding == '\0' ||
	    !gate_parse_number(*tag != '\0' ? tag : "0", 0, UINT8_MAX, &gate->type)) {
		skynet_error(gate->ctx, "Invalid gate parm %s", launch->text);
		return false;
	}
	if (!gate_parse_number(max, 1, INT32_MAX, &max_count)) {
		skynet_error(gate->ctx, "Need max connection");
		return false;
	}
	if (!framing_choose(&gate->framing, framing)) {
		skynet_error(gate->ctx, "Invalid data header style %s", framing);
		return false;
	}
	gate->type = gate->type != 0 ? gate->type : PTYPE_CLIENT;
	gate->max = (size_t)max_count;
	gate->watchdog = *watchdog != '!' ? skynet_queryname(gate->ctx, watchdog) : 0;
	if (*watchdog != '!' && gate->watchdog == 0) {
		skynet_error(gate->ctx, "Invalid watchdog %s", watchdog);
		return false;
	}
	return true;
}

bool
gate_launch(struct gate *gate, const char *text)
{
	struct launch launch = {.gate = gate, .text = text, .backlog = BACKLOG, .event_type = -1};
	char *words = skynet_strdup(text);
	char *rest = words;
	gate->has_nodelay = true;
	bool is_listening = read_words(&launch, &rest) && read_options(&launch, rest) &&
			    link_owner(gate) && listen_on(&launch);
	skynet_free(words);
	return is_listening;
}
