/* command.c: the commands of the gate: texts, or "lua" messages of one string with the same words.
 *
 *      start ID                     begin to read the connection, or go on
 *      start                        begin to accept, if the gate was launched to wait for that
 *      pause ID                     stop reading it until `start ID`
 *      forward ID :agent :client    frames go to agent, which answers through client
 *      accept ID                    frames go to the watchdog again; read it
 *      kick ID                      close it, once what was sent to client has gone out
 *      broker ADDRESS               frames of all connections go there
 *      close                        stop listening; connections stay
 *      address                      "IP PORT", where it listens
 *      stat                         counters
 *
 * A command that comes as a request (with a session) is answered: an empty response when it is done
 * (`kick`: when the connection is closed), what was asked for, or an error. Sent without a session,
 * nothing is answered. A connection that is gone by now is no mistake of the sender: clients leave
 * when they like. */
#include "gate.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longer than any command. */
#define COMMAND_BYTES 256

enum outcome {
	DONE,	   /* answer: empty */
	GONE,	   /* answer: an error, there is no such connection */
	MALFORMED, /* answer: an error; and a log line */
	ANSWERED,  /* is answered elsewhere */
};

bool
gate_parse_number(const char *word, long min, long max, int *number)
{
	char *end;
	errno = 0;
	long value = strtol(word, &end, 10);
	if (errno != 0 || end == word || *end != '\0' || value < min || value > max)
		return false;
	*number = (int)value;
	return true;
}

char *
gate_next_word(char **rest)
{
	static const char blanks[] = " \t\r\n";
	char *word = *rest + strspn(*rest, blanks);
	char *end = word + strcspn(word, blanks);
	*rest = *end != '\0' ? end + 1 : end;
	*end = '\0';
	return word;
}

/* Reads an id, of a connection in whichever state. */
static enum outcome
next_connection(struct gate *gate, struct gate_request *request,
		struct gate_connection **connection)
{
	int id;
	if (!gate_parse_number(gate_next_word(&request->rest), 1, INT32_MAX, &id))
		return MALFORMED;
	*connection = gate_connection_find_told(gate, id);
	return *connection != NULL ? DONE : GONE;
}

/* The same, of one that is OPEN. */
static enum outcome
next_open(struct gate *gate, struct gate_request *request, struct gate_connection **connection)
{
	enum outcome outcome = next_connection(gate, request, connection);
	return outcome == DONE && (*connection)->state != GATE_OPEN ? GONE : outcome;
}

static enum outcome
start_accepting(struct gate *gate)
{
	if (gate->waits && gate->listener != 0)
		skynet_socket_start(gate->ctx, gate->listener);
	gate->waits = false;
	return DONE;
}

static enum outcome
start(struct gate *gate, struct gate_request *request)
{
	if (request->rest[strspn(request->rest, " \t\r\n")] == '\0')
		return start_accepting(gate);
	struct gate_connection *connection;
	enum outcome outcome = next_open(gate, request, &connection);
	if (outcome == DONE)
		gate_input_release(gate, connection, GATE_HELD_BEFORE_START);
	return outcome;
}

static enum outcome
pause_reading(struct gate *gate, struct gate_request *request)
{
	struct gate_connection *connection;
	enum outcome outcome = next_open(gate, request, &connection);
	if (outcome == DONE)
		gate_connection_hold(gate, connection, GATE_HELD_BEFORE_START);
	return outcome;
}

/* Reads an address. Returns 0 if there is none. */
static uint32_t
next_address(struct gate *gate, struct gate_request *request)
{
	const char *word = gate_next_word(&request->rest);
	return *word != '\0' ? skynet_queryname(gate->ctx, word) : 0;
}

/* Frames go to another service: a new window, because what a former one has not handled is not this
 * one's. The connection may be freed. */
static void
change_service(struct gate *gate, struct gate_connection *connection, uint32_t agent,
	       uint32_t client)
{
	connection->agent = agent;
	connection->client = client;
	gate_connection_forget_probe(gate, connection);
	connection->window_bytes = 0;
	connection->window_frames = 0;
	gate_input_release(gate, connection, GATE_HELD_BY_SERVICE);
}

static enum outcome
forward(struct gate *gate, struct gate_request *request)
{
	struct gate_connection *connection;
	enum outcome outcome = next_open(gate, request, &connection);
	if (outcome == MALFORMED)
		return outcome;
	uint32_t agent = next_address(gate, request);
	uint32_t client = next_address(gate, request);
	if (agent == 0 || client == 0)
		return MALFORMED;
	if (outcome == DONE)
		change_service(gate, connection, agent, client);
	return outcome;
}

static enum outcome
accept_frames(struct gate *gate, struct gate_request *request)
{
	struct gate_connection *connection;
	enum outcome outcome = next_open(gate, request, &connection);
	if (outcome != DONE)
		return outcome;
	int id = connection->id;
	change_service(gate, connection, 0, 0);
	connection = gate_connection_find_told(gate, id);
	if (connection != NULL && connection->state == GATE_OPEN)
		gate_input_release(gate, connection, GATE_HELD_BEFORE_START);
	return DONE;
}

static enum outcome
kick(struct gate *gate, struct gate_request *request)
{
	struct gate_connection *connection;
	enum outcome outcome = next_connection(gate, request, &connection);
	if (outcome == GONE)
		return DONE; /* it is closed: what was asked for */
	if (outcome != DONE)
		return outcome;
	gate_connection_finish(gate, connection, GATE_CLOSE_NORMAL, request);
	return ANSWERED;
}

static enum outcome
broker(struct gate *gate, struct gate_request *request)
{
	uint32_t address = next_address(gate, request);
	if (address == 0)
		return MALFORMED;
	gate->broker = address;
	return DONE;
}

static enum outcome
close_port(struct gate *gate, struct gate_request *request)
{
	if (gate->listener != 0)
		skynet_socket_close(gate->ctx, gate->listener);
	gate->listener = 0;
	gate_answer(gate, request, NULL);
	gate_connections_end(gate);
	return ANSWERED;
}

static enum outcome
tell_address(struct gate *gate, struct gate_request *request)
{
	if (gate->address != NULL) {
		gate_answer(gate, request, gate->address);
		return ANSWERED;
	}
	if (gate->address_request.session != 0)
		gate_answer_error(gate, &gate->address_request, "another one asks for the address");
	gate->address_request = *request;
	return ANSWERED;
}

void
gate_command_listening(struct gate *gate, const char *ip, size_t ip_size, int port)
{
	char text[COMMAND_BYTES];
	if (ip != NULL) {
		(void)snprintf(text, sizeof(text), "%.*s %d", (int)ip_size, ip, port);
		skynet_free(gate->address);
		gate->address = skynet_strdup(text);
		gate_answer(gate, &gate->address_request, gate->address);
	} else {
		gate_answer_error(gate, &gate->address_request, "it cannot listen");
	}
	gate->address_request.session = 0;
}

static enum outcome
tell_counters(struct gate *gate, struct gate_request *request)
{
	char text[COMMAND_BYTES];
	(void)snprintf(text, sizeof(text),
		       "open %zu lingering %zu accepted %" PRIu64 " refused %" PRIu64
		       " too_long %" PRIu64 " invalid %" PRIu64 " held %" PRIu64,
		       gate->open_count, gate->lingering.count, gate->accepted_count,
		       gate->refused_count, gate->too_long_count, gate->invalid_count,
		       gate->held_count);
	gate_answer(gate, request, text);
	return ANSWERED;
}

static const struct command {
	const char *word;
	enum outcome (*run)(struct gate *gate, struct gate_request *request);
} commands[] = {
	{"start", start},	   {"forward", forward},    {"kick", kick},
	{"pause", pause_reading},  {"broker", broker},	    {"close", close_port},
	{"accept", accept_frames}, {"stat", tell_counters}, {"address", tell_address},
};

/* Returns NULL for a word that is none. */
static const struct command *
find_command(const char *word)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].word, word) == 0)
			return &commands[i];
	}
	return NULL;
}

/* Answers what a command has not answered itself. */
static void
answer_outcome(struct gate *gate, const struct gate_request *request, enum outcome outcome)
{
	switch (outcome) {
	case DONE:
		gate_answer(gate, request, NULL);
		break;
	case GONE:
		gate_answer_error(gate, request, "there is no such connection");
		break;
	case MALFORMED:
		gate_answer_error(gate, request, "the command has wrong arguments");
		break;
	case ANSWERED:
		break;
	}
}

void
gate_command(struct gate *gate, struct gate_request *request, const char *text, size_t size)
{
	/* A message need not end with a NUL, and the words are cut in place. */
	char words[COMMAND_BYTES];
	size_t length = size < sizeof(words) ? size : sizeof(words) - 1;
	if (length > 0)
		memcpy(words, text, length);
	words[length] = '\0';
	request->rest = words;
	const struct command *command = find_command(gate_next_word(&request->rest));
	if (command == NULL || size >= sizeof(words)) {
		skynet_error(gate->ctx, "[gate] Unknown command : %.*s", (int)length, text);
		gate_answer_error(gate, request, "it does not know this command");
		return;
	}
	enum outcome outcome = command->run(gate, request);
	if (outcome == MALFORMED)
		skynet_error(gate->ctx, "[gate] Invalid %s command : %.*s", command->word,
			     (int)length, text);
	answer_outcome(gate, request, outcome);
}
