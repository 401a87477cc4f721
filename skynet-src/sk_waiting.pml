/* sk_waiting.pml: a model of sk_waiting.c for the spin model checker (make model).
 *
 * Two services send numbered messages by one global name, while another one gives the name to a
 * service, takes it away, and gives it again. Looking into the table is one step, for it is read
 * without a lock; what is done under the lock of the waiting room is many steps, between which
 * everybody else may move. A mailbox is a queue, whose push is one step (sk_mailbox.pml).
 *
 * Shown, in every order of steps:
 *   W1  while a message waits, the table does not have the name, but for who holds the lock;
 *   W2  the owner gets the messages of each sender in their order;
 *   and when nothing moves any more, the owner has got all of them: none is left waiting.
 *
 * Not shown: memory orders, which is for the comments of sk_names.c and the thread sanitizer.
 *
 * The model can fail: each of these mistakes, built in by name, is found (spin -DNAME -a ...).
 *   NO_SECOND_LOOK     who did not find the name waits, though somebody has got it meanwhile
 *   TABLE_FIRST        the name is written into the table before what waits is sent on
 *   LOOK_BEFORE_LOCK   the second look is taken before the lock
 *   LOCK_LEFT_EARLY    the lock is given back between sending on and writing
 *
 * cc: -DSAFETY
 * mutants: NO_SECOND_LOOK TABLE_FIRST LOOK_BEFORE_LOCK LOCK_LEFT_EARLY */

#define SENDERS 2
#define EACH 3 /* messages of one sender */
#define ALL (SENDERS * EACH)

bool is_known = false; /* the table has the name */
bool is_locked = false;
byte senders_left = SENDERS;

chan waiting = [ALL] of { byte, byte }; /* sender, number */
chan mailbox = [ALL] of { byte, byte }; /* the owner's */
byte handled[SENDERS];

inline lock()
{
	atomic { !is_locked -> is_locked = true }
}

inline unlock()
{
	is_locked = false
}

proctype sender(byte id)
{
	byte number = 0;
	bool found;
	do
	:: number == EACH -> break
	:: else ->
		found = is_known; /* skynet_sendname */
		if
		:: found -> mailbox!id, number
		:: else -> /* sk_waiting_add */
#ifdef LOOK_BEFORE_LOCK
			found = is_known;
			lock();
#else
			lock();
#ifndef NO_SECOND_LOOK
			found = is_known;
#endif
#endif
			if
			:: found -> unlock(); mailbox!id, number
			:: else -> waiting!id, number; unlock()
			fi
		fi;
		number++
	od;
	senders_left--
}

inline give_name(who, what)
{
	lock();
#ifdef TABLE_FIRST
	is_known = true;
#endif
	do
	:: waiting?[who, what] -> waiting?who, what; mailbox!who, what
	:: empty(waiting) -> break
	od;
#ifdef LOCK_LEFT_EARLY
	unlock();
	is_known = true
#else
	is_known = true;
	unlock()
#endif
}

/* .cslave: the name comes, goes when it likes, and comes for good. */
proctype control()
{
	byte who, what;
	give_name(who, what);
	if
	:: is_known = false; /* sk_names_forget: without the lock */
		give_name(who, what)
	:: skip
	fi
}

proctype owner()
{
	byte who, what;
end_idle:
	do
	:: mailbox?who, what ->
		d_step {
			assert(what == handled[who]); /* W2 */
			handled[who]++
		}
	od
}

/* When nothing can move any more. */
proctype last_look()
{
	timeout;
	assert(senders_left == 0);
	assert(handled[0] == EACH && handled[1] == EACH);
	assert(empty(waiting) && empty(mailbox) && !is_locked)
}

/* Whoever sees the room unlocked sees W1. */
proctype look_in()
{
end_look:
	atomic { !is_locked && is_known && nempty(waiting) -> assert(false) }
}

init
{
	atomic {
		run control();
		run owner();
		run sender(0);
		run sender(1);
		run last_look();
		run look_in()
	}
}
