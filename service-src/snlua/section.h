/* section.h: critical sections: which task is inside, and who waits for that.
 *
 * Model      A stay is one call of a section: it begins when a coroutine asks for the section, and
 *            ends when it leaves, or is given up. The stays of a section are in one list: first
 *            those that are inside, all of one task, then those that wait, in the order in which
 *            they came. Whoever leaves last lets the first that waits in, before that one runs.
 * Life       section_admits, then section_join, then section_leave.
 * Failure    Only section_join may raise, and then it has done nothing: leaving needs no memory.
 * Threads    [turn]
 * Memory     sections and stays are userdata that api_section.c makes. A stay keeps its section
 *            alive, and a table of the engine keeps the stay until it is over.
 */
#ifndef SNLUA_SECTION_H
#define SNLUA_SECTION_H

#include "engine.h"

struct section {
	struct stay *first;
	struct stay **last;
};

struct stay {
	struct section *section; /* NULL: it has not begun, or is over */
	struct task *task;	 /* NULL: of what runs outside of tasks */
	lua_State *co;
	bool is_inside; /* its turn has come */
	bool is_used;	/* api_section.c: a call has it, though the stay may be over */
	/* In the list of the section. */
	struct stay *next;
	struct stay **link;
	/* In the list of the task. */
	struct stay *task_next;
	struct stay **task_link;
};

/* May raise. */
void section_init(lua_State *L, struct section *section);
/* Whether co may enter at once: nobody is inside, or its task is. */
bool section_admits(const struct engine *engine, const struct section *section,
		    const lua_State *co);
/* Begins the stay at this index of the stack of L, which enters. It is inside at once, or its task
 * is woken when its turn has come: so it must be able to wait. May raise. */
void section_join(lua_State *L, struct section *section, int index);
/* Ends a stay, unless it is over. A task that has waited there, and whose coroutine is closed now,
 * goes on. */
void section_leave(struct engine *engine, struct stay *stay);

/* The task is about to be closed: its turn does not come any more. */
void section_stop_waiting(struct engine *engine, struct task *task);
/* The task has ended: ends what is left of its stays. */
void section_forget_task(struct engine *engine, struct task *task);

#endif
