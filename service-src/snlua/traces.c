/* traces.c: traces; see traces.h. */
#include "traces.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Stack levels that an event names. */
#define PLACES 3
#define PLACES_BYTES 512
#define TAG_BYTES 32
/* Requests from so many sources can be announced; who announces and does not send is forgotten. */
#define MARKS_MAX 256

/* The next request from this source has this tag. */
struct trace_mark {
	struct trace_mark *next;
	uint32_t source;
	char tag[]; /* ends with a NUL */
};

static void
add_places(char *text, size_t size, lua_State *L, int level)
{
	lua_Debug where;
	size_t used = 0;
	for (int i = 0; i < PLACES && lua_getstack(L, level + i, &where); i++) {
		if (!lua_getinfo(L, "Sl", &where) || where.currentline < 0)
			continue;
		int length = snprintf(text + used, size - used, " %s:%d", where.short_src,
				      where.currentline);
		if (length < 0 || (size_t)length >= size - used)
			return;
		used += (size_t)length;
	}
}

void
traces_log(struct engine *engine, const char *tag, const char *event, lua_State *L, int level)
{
	char places[PLACES_BYTES] = "";
	if (L)
		add_places(places, sizeof places, L, level);
	skynet_error(engine->ctx, "<TRACE %s> %" PRIu64 " %s%s%s", tag, skynet_hpc(), event,
		     places[0] ? " :" : "", places);
}

/* Takes out the mark of a source; with 0 the oldest. Gives it, or NULL. */
static struct trace_mark *
take_mark(struct engine *engine, uint32_t source)
{
	for (struct trace_mark **link = &engine->marks; *link; link = &(*link)->next) {
		struct trace_mark *mark = *link;
		if (source == 0 ? mark->next != NULL : mark->source != source)
			continue;
		*link = mark->next;
		return mark;
	}
	return NULL;
}

static int
count_marks(const struct engine *engine)
{
	int count = 0;
	for (const struct trace_mark *mark = engine->marks; mark; mark = mark->next)
		count++;
	return count;
}

void
traces_note(struct engine *engine, uint32_t source, const void *text, size_t size)
{
	if (source == 0)
		return;
	free(take_mark(engine, source));
	if (count_marks(engine) >= MARKS_MAX)
		free(take_mark(engine, 0));
	struct trace_mark *mark = skynet_malloc(sizeof *mark + size + 1);
	mark->next = engine->marks;
	mark->source = source;
	if (size > 0)
		memcpy(mark->tag, text, size);
	mark->tag[size] = '\0';
	engine->marks = mark;
}

char *
traces_new_tag(struct engine *engine)
{
	char tag[TAG_BYTES];
	(void)snprintf(tag, sizeof tag, ":%08x-%" PRIu32, skynet_current_handle(),
		       ++engine->trace_count);
	return skynet_strdup(tag);
}

void
traces_begin(struct engine *engine, struct task *task, const struct protocol *protocol)
{
	struct trace_mark *mark = take_mark(engine, task->source);
	if (protocol->trace == TRACE_NEVER)
		task->is_untraced = true;
	else if (mark)
		task->tag = skynet_strdup(mark->tag);
	else if (protocol->trace == TRACE_ALWAYS)
		task->tag = traces_new_tag(engine);
	free(mark);
	if (task->tag)
		traces_log(engine, task->tag, "request", NULL, 0);
}

void
traces_free(struct engine *engine)
{
	while (engine->marks)
		free(take_mark(engine, 0));
}
