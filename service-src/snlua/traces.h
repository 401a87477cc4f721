/* traces.h: traces: which tasks of which services a request runs through.
 *
 * Model      A trace is a tag, ":ADDRESS-NUMBER" of where it began. While a task has a tag, what it
 *            does is logged as "<TRACE TAG> NANOSECONDS EVENT". Before each call the callee gets a
 *            PTYPE_TRACE message with the tag: its next request from that source has it too.
 * Threads    [turn]
 */
#ifndef SNLUA_TRACES_H
#define SNLUA_TRACES_H

#include "engine.h"

/* Logs an event. L: NULL, or whose stack tells where, from that level on. */
void traces_log(struct engine *engine, const char *tag, const char *event, lua_State *L, int level);
/* A PTYPE_TRACE message: the next request from that source has this tag. text: borrowed. */
void traces_note(struct engine *engine, uint32_t source, const void *text, size_t size);
/* A new task begins with a request: gives it the tag that it inherits, or a new one. */
void traces_begin(struct engine *engine, struct task *task, const struct protocol *protocol);
/* A new tag. Gives malloc-ed memory. */
char *traces_new_tag(struct engine *engine);
void traces_free(struct engine *engine);

#endif
