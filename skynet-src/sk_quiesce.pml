/* sk_quiesce.pml: a model of sk_quiesce.c for the spin model checker (make model).
 *
 * Two threads read one cell, replace what is in it, retire what was, pass quiescent points,
 * reclaim, and sleep, in any order, until they sleep for good. A third that reads nothing reclaims
 * as well. Each access to memory that they share is one step; what happens under the lock is one as
 * a whole. Spin tries every order of the steps.
 *
 * Shown: nothing is released that a thread still holds; and when both sleep for good, nothing that
 * was retired is left (I4).
 *
 * Not shown: memory orders. Every step here is seen by both at once; the file comment of
 * sk_quiesce.c tells what makes it so.
 *
 * The model can fail. Each of these mistakes, built in by name, is found (spin -DNAME -a ...):
 *   HOLDS_ON         a thread passes a quiescent point while it holds something
 *   ASKS_SLOTS_ONLY  reclaim takes what the slots have seen, however new: also what was retired
 *                    while it looked, and after it had found a slot offline
 *   SLEEPS_BLINDLY   who goes offline does not look whether something waited for it alone
 *
 * cc: -DSAFETY
 * mutants: HOLDS_ON ASKS_SLOTS_ONLY SLEEPS_BLINDLY */

#define THREADS 2
#define RETIRES 3
#define THINGS 4 /* one more than can be retired */
#define NOTHING 255
#define OFFLINE 255

byte cell = 0;		     /* which thing is in it */
byte retired_at[THINGS] = 0; /* the epoch, 0: not retired */
bool is_released[THINGS];

byte epoch = 1;
byte retired_count;
byte seen[THREADS] = 1;
byte newest;		     /* the last thing that was put into the cell */

/* Takes what is due off the list, and releases it. */
inline reclaim()
{
	limit = epoch; /* C */
#ifdef ASKS_SLOTS_ONLY
	limit = OFFLINE;
#endif
	atomic { limit = (seen[0] < limit -> seen[0] : limit) };
	atomic { limit = (seen[1] < limit -> seen[1] : limit) };
	d_step {
		i = 0;
		do
		:: i == THINGS -> break
		:: i < THINGS ->
			if
			:: retired_at[i] != 0 && retired_at[i] <= limit && !is_released[i] ->
				is_released[i] = true;
				retired_count--
			:: else
			fi;
			i++
		od;
		i = 0;
		limit = 0
	}
}

inline retire(thing)
{
	atomic {
		retired_count++;
		epoch++; /* B */
		retired_at[thing] = epoch;
		thing = NOTHING
	}
}

inline pass()
{
	at = epoch;
	seen[id] = at;
	at = 0;
	if
	:: retired_count > 0 -> reclaim()
	:: else
	fi
}

inline online()
{
	at = epoch;
	seen[id] = at; /* A: that the epoch is touched then is what makes this a step for both */
	at = 0
}

proctype thread(byte id)
{
	byte held = NOTHING, at = 0, limit = 0, i = 0;
	do
	:: /* a turn: reads, perhaps replaces what it has read */
		held = cell;
		if
		:: true
		:: atomic { newest < RETIRES && held == cell -> newest++; cell = newest };
			retire(held)
		fi;
#ifdef HOLDS_ON
		pass();
#endif
		assert(held == NOTHING || !is_released[held]);
		held = NOTHING;
		pass()
	:: /* sleeps */
		do
		:: at = seen[id];
			seen[id] = OFFLINE;
#ifndef SLEEPS_BLINDLY
			if
			:: epoch != at && retired_count > 0 -> online(); pass() /* D */
			:: else -> break
			fi
#else
			break
#endif
		od;
		at = 0;
		if
		:: online()
		:: break /* for good */
		fi
	od;
end_sleeps:
	false
}

proctype stranger()
{
	byte limit = 0, i = 0;
	reclaim();
	reclaim()
}

proctype last_look()
{
	timeout;
	assert(retired_count == 0)
}

init
{
	atomic {
		run thread(0);
		run thread(1);
		run stranger();
		run last_look()
	}
}
