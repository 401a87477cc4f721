/* dial.c: see dial.h. */
#include "dial.h"

void
harbor_dial_introduce(struct harbor_dial *dial, bool has_moved)
{
	dial->next_pause_ticks = 1;
	if (has_moved)
		dial->refused = 0;
}

void
harbor_dial_begin(struct harbor_dial *dial)
{
	int pause = dial->next_pause_ticks > 0 ? dial->next_pause_ticks : 1;
	dial->pause_ticks = pause;
	dial->next_pause_ticks =
		pause * 2 < HARBOR_PAUSE_TICKS_MAX ? pause * 2 : HARBOR_PAUSE_TICKS_MAX;
	dial->must_wait = false;
}

void
harbor_dial_open(struct harbor_dial *dial)
{
	dial->next_pause_ticks = 1;
	dial->refused = 0;
	dial->has_worked = false;
}

void
harbor_dial_work(struct harbor_dial *dial)
{
	dial->has_worked = true;
}

bool
harbor_dial_lose(struct harbor_dial *dial, bool was_open, bool is_refusal)
{
	dial->refused = is_refusal ? dial->refused + 1 : 0;
	if (!was_open || dial->has_worked)
		return was_open;
	dial->pause_ticks = 1;
	dial->must_wait = true; /* D1 */
	return false;
}

void
harbor_dial_end(struct harbor_dial *dial)
{
	dial->pause_ticks = 1;
}

void
harbor_dial_break(struct harbor_dial *dial)
{
	dial->pause_ticks = HARBOR_PAUSE_TICKS_MAX;
	dial->must_wait = true; /* D2 */
}

bool
harbor_dial_tick(struct harbor_dial *dial)
{
	return --dial->pause_ticks <= 0;
}

bool
harbor_dial_answers(const struct harbor_dial *dial)
{
	return !dial->must_wait;
}

bool
harbor_dial_is_hopeless(const struct harbor_dial *dial)
{
	return dial->refused >= HARBOR_REFUSED_DIALS;
}
