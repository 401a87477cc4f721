/* command.c: the text commands of the gate.
 *
 *      start ID                     begin to read the connection, or go on
 *      start                        nothing: gates of old needed it once, after launch
 *      pause ID                     stop reading it until `start ID`
 *      forward ID :agent :client    frames go to agent, which answers through client
 *      kick ID                      close it, once what was sent to client has gone out
 *      broker ADDRESS               frames of all connections go there
 *      close                        stop listening; connections stay
 *      stat                         counters
 *
 * A command that comes as a request (with a session) is answered: an empty response when it is done
 * (`kick`: when the connection is closed), the counters, or an error. Sent without a session,
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
	FAILED,	   /* answer: an error */
	MALFORMED, /* the same, and a log line */
	ANSWERED,  /* is answered elsewhere */
};

struct request {
	int session;
	uint32_t source;
	char *rest; /* the words behind the command's */
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

/* Reads an id. The connection is NULL if it is gone, or no longer open. */
static enum outcome
next_connection(struct gate *gate, struct request *request, struct gate_connection **connection)
{
	int id;
	if (!gate_parse_number(gate_next_word(&request->rest), 1, INT32_MAX, &id))
		return MALFORMED;
	*connection = gate_connection_find(gate, id);
	return *connection != NULL ? DONE : FAILED;
}

static enum outcome
start(struct gate *gate, struct request *request)
{
	if (request->rest[strspn(request->rest, " \t\r\n")] == '\0')
		return DONE;
	struct gate_connection *connection;
	enum outcome outcome = next_connection(gate, request, &connection);
	if (outcome != DONE)
		return outcome;
	if (connection->state != GATE_OPEN)
		return FAILED;
	gate_input_release(gate, connection, GATE_HELD_BEFORE_START);
	return DONE;
}

static enum outcome
pause_reading(struct gate *gate, struct request *request)
{
	struct gate_connection *connection;
	enum outcome outcome = next_connection(gate, request, &connection);
	if (outcome != DONE)
		return outcome;
	if (connection->state != GATE_OPEN)
		return FAILED;
	gate_connection_hold(gate, connection, GATE_HELD_BEFORE_START);
	return DONE;
}

/* Reads an address. Returns 0 if there is none. */
static uint32_t
next_address(struct gate *gate, struct request *request)
{
	const char *word = gate_next_word(&request->rest);
	return *word != '\0' ? skynet_queryname(gate->ctx, word) : 0;
}

static enum outcome
forward(struct gate *gate, struct request *request)
{
	struct gate_connection *connection;
	enum outcome outcome = next_connection(gate, request, &connection);
	if (outcome != DONE)
		return outcome;
	uint32_t agent = next_address(gate, request);
	uint32_t client = next_address(gate, request);
	if (agent == 0 || client == 0)
		return MALFORMED;
	if (connection->state != GATE_OPEN)
		return FAILED;
	connection->agent = agent;
	connection->client = client;
	/* A new window: what a former service has not handled is not this one's. */
	gate_connection_forget_probe(gate, connection);
	connection->window_bytes = 0;
	connection->window_frames = 0;
	gate_input_release(gate, connection, GATE_HELD_BY_SERVICE);
	return DONE;
}

static enum outcome
kick(struct gate *gate, struct request *request)
{
	struct gate_connection *connection;
	enum outcome outcome = next_connection(gate, request, &connection);
	if (outcome == FAILED)
		return DONE; /* it is closed: what was asked for */
	if (outcome != DONE)
		return outcome;
	gate_connection_finish(gate, connection, request->source, request->session);
	return ANSWERED;
}

static enum outcome
broker(struct gate *gate, struct request *request)
{
	uint32_t address = next_address(gate, request);
	if (address == 0)
		return MALFORMED;
	gate->broker = address;
	return DONE;
}

static enum outcome
close_port(struct gate *gate, struct request *request)
{
	(void)request;
	if (gate->listener != 0)
		skynet_socket_close(gate->ctx, gate->listener);
	gate->listener = 0;
	return DONE;
}

static enum outcome
tell_counters(struct gate *gate, struct request *request)
{
	char text[COMMAND_BYTES];
	(void)snprintf(text, sizeof(text),
		       "open %zu lingering %zu accepted %" PRIu64 " refused %" PRIu64
		       " too_long %" PRIu64 " held %" PRIu64,
		       gate->open_count, gate->linger_count, gate->accepted_count,
		       gate->refused_count, gate->too_long_count, gate->held_count);
	gate_answer(gate, request->source, request->session, PTYPE_RESPONSE, text);
	return ANSWERED;
}

static const struct command {
	const char *word;
	enum outcome (*run)(struct gate *gate, struct request *request);
} commands[] = {
	{"start", start},	  {"forward", forward}, {"kick", kick},
	{"pause", pause_reading}, {"broker", broker},	{"close", close_port},
	{"stat", tell_counters},
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

void
gate_command(struct gate *gate, int session, uint32_t source, const char *text, size_t size)
{
	/* A message need not end with a NUL, and the words are cut in place. */
	char words[COMMAND_BYTES];
	size_t length = size < sizeof(words) ? size : sizeof(words) - 1;
	if (length > 0)
		memcpy(words, text, length);
	words[length] = '\0';
	struct request request = {session, source, words};
	const struct command *command = find_command(gate_next_word(&request.rest));
	if (command == NULL || size >= sizeof(words)) {
		skynet_error(gate->ctx, "[gate] Unknown command : %.*s", (int)length, text);
		gate_answer(gate, source, session, PTYPE_ERROR, "it does not know this command");
		return;
	}
	enum outcome outcome = command->run(gate, &request);
	if (outcome == MALFORMED)
		skynet_error(gate->ctx, "[gate] Invalid %s command : %.*s", command->word,
			     (int)length, text);
	if (outcome == DONE)
		gate_answer(gate, source, session, PTYPE_RESPONSE, NULL);
	else if (outcome != ANSWERED)
		gate_answer(gate, source, session, PTYPE_ERROR,
			    outcome == MALFORMED ? "the command has wrong arguments"
						 : "it can't do this");
}
