/* section.c: who is inside of critical sections, and who waits; see section.h.
 *
 * S1  A section's first stay is inside; a section without stays is free.
 * S2  Stays that are inside come before those that wait, and are of the same task.
 * S3  The task of a stay that waits is suspended, or ready to find out whether its turn has come.
 * S4  A stay is in the table engine->stays, under its address, while it is in a section: it is not
 *     collected even if its coroutine is, nor if Lua fails to close it for want of memory.
 * S5  A task that has ended has no stays. Once a service ends, nobody is let in any more.
 */
#include "section.h"

#include <lauxlib.h>

void
section_init(lua_State *L, struct section *section)
{
	struct engine *engine = engine_of(L);
	section->first = NULL;
	section->last = &section->first;
	if (engine->stays != LUA_NOREF)
		return;
	lua_newtable(L);
	engine->stays = luaL_ref(L, LUA_REGISTRYINDEX);
}

bool
section_admits(const struct engine *engine, const struct section *section, const lua_State *co)
{
	const struct stay *stay = section->first;
	if (!stay || stay->task == engine->current)
		return true;
	/* What runs when a task is closed runs in its coroutines, and in no task. */
	while (stay && stay->is_inside && stay->co != co)
		stay = stay->next;
	return stay && stay->is_inside;
}

/* Puts the stay in front of what *link points to. */
static void
insert(struct section *section, struct stay *stay, struct stay **link)
{
	stay->section = section;
	stay->link = link;
	stay->next = *link;
	*link = stay;
	if (stay->next)
		stay->next->link = &stay->next;
	else
		section->last = &stay->next;
}

static void
add_to_task(struct stay *stay, struct task *task)
{
	stay->task = task;
	if (!task)
		return;
	stay->task_link = &task->stays;
	stay->task_next = task->stays;
	task->stays = stay;
	if (stay->task_next)
		stay->task_next->task_link = &stay->task_next;
}

void
section_join(lua_State *L, struct section *section, int index)
{
	struct engine *engine = engine_of(L);
	struct stay *stay = lua_touserdata(L, index);
	lua_rawgeti(L, LUA_REGISTRYINDEX, engine->stays);
	lua_pushvalue(L, index);
	lua_rawsetp(L, -2, stay); /* S4 */
	lua_pop(L, 1);
	const struct stay *first = section->first;
	stay->co = L;
	stay->is_inside = section_admits(engine, section, L);
	add_to_task(stay, first && stay->is_inside ? first->task : engine->current); /* S2 */
	insert(section, stay, stay->is_inside ? &section->first : section->last);
}

static void
remove_stay(struct engine *engine, struct stay *stay)
{
	*stay->link = stay->next;
	if (stay->next)
		stay->next->link = stay->link;
	else
		stay->section->last = stay->link;
	stay->section = NULL;
	if (stay->task) {
		*stay->task_link = stay->task_next;
		if (stay->task_next)
			stay->task_next->task_link = stay->task_link;
	}
	lua_State *L = engine->L;
	if (!lua_checkstack(L, 2))
		return; /* then it is kept until its section is */
	lua_rawgeti(L, LUA_REGISTRYINDEX, engine->stays);
	lua_pushnil(L);
	lua_rawsetp(L, -2, stay); /* needs no memory: the key is there */
	lua_pop(L, 1);
}

/* Somebody has left: keeps S1. */
static void
let_in_next(struct engine *engine, struct section *section)
{
	while (engine->is_exiting && section->first && !section->first->is_inside)
		remove_stay(engine, section->first); /* S5 */
	struct stay *next = section->first;
	if (!next || next->is_inside)
		return;
	next->is_inside = true;
	if (next->task->state == TASK_WAITING)
		engine_ready(engine, next->task, WAKE_TOKEN);
}

static void
leave(struct engine *engine, struct stay *stay)
{
	struct section *section = stay->section;
	remove_stay(engine, stay);
	let_in_next(engine, section);
}

void
section_leave(struct engine *engine, struct stay *stay)
{
	if (!stay->section)
		return;
	bool waits = !stay->is_inside && stay->task->state == TASK_WAITING;
	leave(engine, stay);
	if (waits)
		engine_ready(engine, stay->task, WAKE_TOKEN);
}

void
section_stop_waiting(struct engine *engine, struct task *task)
{
	struct stay *next;
	for (struct stay *stay = task->stays; stay; stay = next) {
		next = stay->task_next;
		if (!stay->is_inside)
			leave(engine, stay);
	}
}

void
section_forget_task(struct engine *engine, struct task *task)
{
	while (task->stays)
		leave(engine, task->stays);
}
