/* sk_scheduler.pml: a model of sk_scheduler.c, sk_idle.c and sk_watchdog.c for the spin model
 * checker (make model): who runs what, who wakes whom, who polls.
 *
 * Two workers and the watchdog run three services. Each access to memory that threads share is one
 * step, but what happens under a lock is one as a whole, the operations of a mailbox are (for
 * sk_mailbox.pml shows that they may be), and so are steps between which nobody could tell what has
 * been done from what has not. Spin tries every order of the steps, in each of these worlds:
 *
 *   SENDERS  two threads that are no workers send; one of the services hangs in its callback; no
 *            watchdog helps
 *   FAN      a service sends to two others, of which one hangs
 *   EVENTS   a descriptor becomes ready while a service hangs
 *   TIMERS   a timer is set while a thread sends
 *   FREED    a worker sends between two turns (it frees a dead service and answers its mail), to a
 *            service that hangs, while another waits in the worker's queue
 *   BEHIND   a service sends, then hangs, while the watchdog may be asleep
 *
 * Who hangs may come back, or never. Shown, in every order of steps: no service runs on two workers
 * at once; and when nothing moves any more, each message, event and timer has been handled, but for
 * what the service did not that never came back. Nothing moves when everybody sleeps or hangs: so
 * no wake-up is lost (S1 to S3), what waits behind a callback is handled by others (R3),
 * and somebody polls for those who sleep (S4).
 *
 * Not shown: memory orders. Every step here is seen by all at once; the orders named in the files
 * are there to make it so. Time: the watchdog may look at any moment, a timer may be due at any
 * moment, a worker may look at the descriptors before any turn, and before any turn and at any push
 * it may find that something would wait long (R2), or not.
 *
 * The model can fail. Each of these mistakes, built in by name, is found (spin -DNAME -a ...):
 *   LOOK_THEN_SAY       who goes to sleep looks at the queues first, and says so then
 *   WAKER_GIVES_UP      a waker that finds nobody to wake does not look again: somebody may have
 *                       relied on its mark in `searching` meanwhile
 *   FINDER_STAYS_ALONE  the last to search finds work, and wakes nobody for the rest
 *   COMES_BACK_UNSEEN   who stays up because there is work does not count as searching
 *   PARKS_ANYWAY        a worker parks without looking whether the poller role is free
 *   LEAVES_ROLE         the watchdog polls while all workers are awake, and does not look
 *                       afterwards whether they have all parked meanwhile, because the role was
 *                       taken
 *   IGNORES_QUEUE       the watchdog looks after the next slot of a worker that hangs, not its
 *                       queue
 *   IGNORES_NEXT        and the other way round
 *   TIMER_UNTOLD        who sets a timer does not tell the one who sleeps
 *   TIMER_ONCE          the poller does not look at the timers again after it said that it sleeps
 *   NOTICE_ALONE        the watchdog does not look again after it said that it sleeps
 *
 * cc: -DSAFETY
 * pan: -m200000 -w25
 * mutants: LOOK_THEN_SAY WAKER_GIVES_UP FINDER_STAYS_ALONE COMES_BACK_UNSEEN PARKS_ANYWAY
 * mutants: LEAVES_ROLE IGNORES_QUEUE IGNORES_NEXT TIMER_UNTOLD TIMER_ONCE NOTICE_ALONE */

#define WORKERS 2
#define SERVICES 3
#define NONE 255

#define FAN 0	/* handles a message by sending one to each of the others */
#define PLAIN 1	/* just handles it */
#define HANGS 2	/* and this one may take its time, or for ever */

/* --- mailboxes ------------------------------------------------------------------------------ */

byte mail[SERVICES];	   /* how many messages wait */
bool held[SERVICES];	   /* not at REST */
bool is_running[SERVICES];

/* --- the scheduler, by the names of the code ------------------------------------------------ */

chan shared = [SERVICES] of { byte };
chan own[WORKERS] = [SERVICES] of { byte };
byte next[WORKERS] = NONE;
byte sleeping, searching;
bool is_parked[WORKERS], park_token[WORKERS], is_searching[WORKERS];
bool poller_taken;
#define AWAKE 0
#define WAITS 1
#define WOKEN 2
byte poller_state = AWAKE;
bool until_timer;	   /* poller_until_ms: when the timer is due, or never */
bool watchdog_rests;

/* --- the world ------------------------------------------------------------------------------ */

bool is_stuck[WORKERS];	   /* in a long callback: what the watchdog sees */
bool wake_edge;		   /* of the poller's eventfd */
byte events;		   /* descriptors that nobody has heard of */
bool timer;		   /* is pending */
byte letters;		   /* that a worker sends to HANGS between two turns */
bool has_polls;		   /* workers look at the descriptors between turns */
bool can_hang;		   /* HANGS does */
bool sends_first;	   /* and sends to PLAIN before */
bool can_rest;		   /* the watchdog sleeps when all workers do */
bool is_hung;		   /* for ever */
bool is_unwatched;	   /* without a watchdog, so what is behind it in the queue stays there */

/* --- who looks, who wakes ------------------------------------------------------------------- */

/* has_work, but for the own queue. */
inline look_around(found)
{
	found = (len(shared) > 0);
	if
	:: found
	:: else -> found = (len(own[1 - id]) > 0)
	fi
}

inline look(found)
{
	found = (len(shared) > 0);
	if
	:: found
	:: else -> found = (len(own[0]) > 0)
	fi;
	if
	:: found
	:: else -> found = (len(own[1]) > 0)
	fi
}

/* Takes a parked worker off the list and gives it the token. */
inline unpark_one(who)
{
	atomic {
		if
		:: is_parked[0] -> who = 0
		:: is_parked[1] -> who = 1
		:: else -> who = NONE
		fi;
		if
		:: who != NONE ->
			is_parked[who] = false;
			sleeping--;
			is_searching[who] = true;
			park_token[who] = true
		:: else
		fi
	}
}

/* sk_idle_wake_one. yes, who: the caller's, false and NONE before and after. */
inline wake_one()
{
	do
	:: sleeping == 0 -> break
	:: sleeping > 0 ->
		/* The look at `searching` first tells no more than the compare-and-swap. */
		atomic { yes = (searching == 0); searching = (yes -> 1 : searching) };
		if
		:: !yes -> break /* S2 */
		:: else
		fi;
		unpark_one(who);
		if
		:: who != NONE -> break
		:: else
		fi;
		atomic {
			yes = (poller_state == WAITS);
			poller_state = (yes -> WOKEN : poller_state)
		};
		if
		:: yes -> wake_edge = true; break
		:: else
		fi;
		atomic { searching--; yes = (searching == 0) };
#ifdef WAKER_GIVES_UP
		break;
#endif
		if
		:: yes ->
			look(yes);
			yes = yes || !poller_taken
		:: else
		fi;
		if
		:: yes /* once more */
		:: else -> break
		fi
	od;
	atomic { yes = false; who = NONE }
}

/* --- sending -------------------------------------------------------------------------------- */

/* R2 */
inline would_wait_long()
{
	if
	:: wake_one()
	:: true
	fi
}

/* sk_scheduler_ready, on a worker. */
inline send_inside(service)
{
	atomic {
		mail[service]++;
		if
		:: !held[service] -> held[service] = true; who = next[id]; next[id] = service
		:: else
		fi;
		if
		:: who != NONE -> own[id]!who; who = NONE; yes = true
		:: else
		fi
	};
	if
	:: yes -> yes = false; would_wait_long()
	:: else
	fi
}

/* The same on another thread. */
inline send_outside(service)
{
	atomic {
		mail[service]++;
		if
		:: !held[service] -> held[service] = true; shared!service; yes = true
		:: else
		fi
	};
	if
	:: yes -> yes = false; wake_one()
	:: else
	fi
}

/* --- a worker ------------------------------------------------------------------------------- */

/* sk_idle_poll, on a worker. */
inline poll()
{
	if
	:: atomic {
			has_polls && !poller_taken -> poller_taken = true;
			got = events; events = 0; wake_edge = false
		};
		do
		:: got > 0 -> got--; send_inside(PLAIN)
		:: got == 0 -> break
		od;
		if
		:: atomic { timer -> timer = false }; send_inside(PLAIN)
		:: true /* it is not due yet */
		fi;
		poller_taken = false
	:: true
	fi
}

/* What is next, or first in the own queue, or, in the 61st round, in the shared one. Who has
 * nothing begins to search. */
inline find_own()
{
	if
	:: shared?box
	:: atomic { next[id] != NONE -> box = next[id]; next[id] = NONE }
	:: /* the streak is over */
		atomic { next[id] != NONE -> own[id]!next[id]; next[id] = NONE };
		if
		:: own[id]?box
		:: empty(own[id])
		fi
	:: atomic { next[id] == NONE ->
		if
		:: own[id]?box
		:: empty(own[id])
		fi }
	fi;
	if
	:: box != NONE || is_searching[id]
	:: else -> atomic { is_searching[id] = true; searching++ }
	fi
}

/* From the shared queue, perhaps with more; or half of what another has. What is stolen is for a
 * moment in no queue. */
inline find_elsewhere()
{
	if
	:: atomic { shared?box ->
		do
		:: shared?who -> own[id]!who; who = NONE
		:: break
		od }
	:: empty(shared) ->
		atomic {
			if
			:: own[1 - id]?box ->
				if
				:: len(own[1 - id]) > 1 -> own[1 - id]?who
				:: else
				fi
			:: empty(own[1 - id])
			fi
		};
		if
		:: who != NONE -> atomic { own[id]!who; who = NONE }
		:: else
		fi
	fi
}

inline find_work()
{
	find_own();
	if
	:: box == NONE ->
		find_elsewhere()
	:: else
	fi;
	if
	:: is_searching[id] ->
		atomic {
			is_searching[id] = false;
			searching--;
			yes = (searching == 0 && box != NONE)
		};
#ifdef FINDER_STAYS_ALONE
		yes = false;
#endif
		if
		:: yes ->
			look_around(yes);
			if
			:: yes -> yes = false; wake_one() /* S3 */
			:: else
			fi
		:: else
		fi
	:: else
	fi
}

/* run_turn with its hook, and sk_scheduler_end_turn. */
inline turn()
{
	if
	:: len(own[id]) > 0 -> would_wait_long()
	:: else
	fi;
	atomic {
		assert(held[box] && !is_running[box] && mail[box] > 0);
		is_running[box] = true;
		mail[box]--
	};
	do
	:: true ->
		if
		:: box == FAN -> send_inside(PLAIN); send_inside(HANGS)
		:: box == HANGS && can_hang ->
			if
			:: sends_first -> send_inside(PLAIN)
			:: else
			fi;
			is_stuck[id] = true;
			if
			:: is_stuck[id] = false /* it took its time */
			:: is_hung = true;
end_hangs:			false
			fi
		:: else
		fi;
		if
		:: atomic { mail[box] > 0 -> mail[box]-- }
		:: break /* no more, or the turn is over: its messages, its time */
		fi
	od;
	atomic {
		is_running[box] = false;
		yes = (mail[box] != 0);
		held[box] = yes; /* the compare-and-swap of rest */
		if
		:: yes -> own[id]!box; yes = false
		:: else
		fi;
		box = NONE
	}
}

inline sleep_as_poller()
{
#ifdef LOOK_THEN_SAY
	look_around(yes);
#endif
	until = timer;
	atomic { until_timer = until; poller_state = WAITS; sleeping++ };
#ifndef LOOK_THEN_SAY
	look_around(yes);
#endif
#ifndef TIMER_ONCE
	yes = yes || (timer && !until_timer);
#endif
	until = false;
	if
	:: yes
	:: else ->
end_polls:	atomic {
			wake_edge || events > 0 || until_timer;
			got = events; events = 0; wake_edge = false
		}
	fi;
	atomic {
		yes = false;
		sleeping--;
		is_searching[id] = (poller_state == WOKEN);
		poller_state = AWAKE;
		until_timer = false /* nobody looks at it now */
	};
	do
	:: got > 0 -> got--; send_inside(PLAIN)
	:: got == 0 -> break
	od;
	if
	:: atomic { timer -> timer = false }; send_inside(PLAIN)
	:: true
	fi;
	poller_taken = false
}

inline park()
{
	atomic { is_parked[id] = true; sleeping++ };
	look_around(yes);
	atomic {
#ifndef PARKS_ANYWAY
		yes = yes || !poller_taken; /* S4 */
#endif
		yes = yes && is_parked[id]; /* else somebody gives a token */
		if
		:: yes -> is_parked[id] = false; sleeping--
		:: else
		fi
	};
	if
	:: yes -> yes = false
	:: else ->
end_parked:	atomic { park_token[id] -> park_token[id] = false }
	fi
}

proctype worker(byte id)
{
	byte box = NONE, who = NONE, got = 0;
	bool yes, until;
	do
	:: true ->
		if
		:: atomic { letters > 0 -> letters-- }; send_inside(HANGS)
		:: true
		fi;
		poll();
		find_work();
		if
		:: box != NONE -> turn()
		:: else ->
			atomic { yes = poller_taken; poller_taken = true };
			if
			:: !yes -> sleep_as_poller()
			:: else -> yes = false; park()
			fi;
			atomic {
				watchdog_rests = false; /* notice */
#ifndef COMES_BACK_UNSEEN
				if
				:: is_searching[id]
				:: else -> is_searching[id] = true; searching++
				fi
#endif
			}
		fi
	od
}

/* --- the watchdog --------------------------------------------------------------------------- */

/* Each look does one of these things, then wakes a worker if there is need of one. */
/* While all workers are awake, and busy. */
inline watchdog_polls()
{
	if
	:: atomic {
			!poller_taken -> poller_taken = true;
			got = events; events = 0; wake_edge = false
		};
		do
		:: got > 0 -> got--; send_outside(PLAIN)
		:: got == 0 -> break
		od;
		if
		:: atomic { timer -> timer = false }; send_outside(PLAIN)
		:: true
		fi;
		poller_taken = false
	:: poller_taken
	fi
}

inline watchdog_sleeps()
{
	watchdog_rests = true;
#ifndef NOTICE_ALONE
	if
	:: sleeping >= WORKERS
	:: else -> watchdog_rests = false
	fi;
#endif
end_rests:
	!watchdog_rests
}

proctype watchdog()
{
	byte who = NONE, got = 0;
	bool yes;
end_watches:
	if
#ifndef IGNORES_NEXT
	:: atomic { is_stuck[0] && next[0] != NONE -> shared!next[0]; next[0] = NONE }
	:: atomic { is_stuck[1] && next[1] != NONE -> shared!next[1]; next[1] = NONE }
#endif
#ifndef IGNORES_QUEUE
	:: is_stuck[0] && len(own[0]) > 0 && sleeping > 0 && searching == 0
	:: is_stuck[1] && len(own[1]) > 0 && sleeping > 0 && searching == 0
#endif
	:: (is_stuck[0] || is_stuck[1]) && !poller_taken && sleeping > 0 && searching == 0
	:: (is_stuck[0] || is_stuck[1]) && !poller_taken && sleeping == 0 ->
		watchdog_polls();
#ifdef LEAVES_ROLE
		goto end_watches
#endif
	:: can_rest && sleeping >= WORKERS -> watchdog_sleeps()
	fi;
	wake_one();
	goto end_watches
}

/* --- the worlds ----------------------------------------------------------------------------- */

proctype sender(byte service, count)
{
	byte who = NONE;
	bool yes;
	do
	:: count == 0 -> break
	:: count > 0 -> count--; send_outside(service)
	od
}

proctype descriptors(byte count)
{
	do
	:: count == 0 -> break
	:: count > 0 -> atomic { count--; events++ }
	od
}

/* sk_idle_add_timer: the only timer, so it is the first to be due. */
proctype setter()
{
	timer = true;
#ifndef TIMER_UNTOLD
	if
	:: poller_state == AWAKE
	:: poller_state != AWAKE ->
		if
		:: until_timer
		:: !until_timer -> wake_edge = true
		fi
	fi
#endif
}

/* When nothing can move any more. */
proctype last_look()
{
	timeout;
	d_step {
		assert(mail[FAN] == 0 && !held[FAN]);
		assert((mail[PLAIN] == 0 && !held[PLAIN]) ||
		       (is_unwatched && is_hung && len(own[0]) + len(own[1]) > 0));
		assert(is_hung || (mail[HANGS] == 0 && !held[HANGS]));
		assert(events == 0 && !timer)
	}
}

/* WORLD: only one of them. A mistake is looked for in the one that shows it. */
#if defined(PARKS_ANYWAY) || defined(LEAVES_ROLE)
#define WORLD 3
#elif defined(TIMER_UNTOLD) || defined(TIMER_ONCE)
#define WORLD 4
#elif defined(IGNORES_QUEUE)
#define WORLD 5
#elif defined(IGNORES_NEXT) || defined(NOTICE_ALONE)
#define WORLD 6
#elif !defined(WORLD)
#define WORLD 0
#endif
#define HAS(world) (WORLD == 0 || WORLD == world)

init
{
	atomic {
		if
		:: HAS(1) -> /* SENDERS */
			can_hang = true;
			is_unwatched = true;
			run sender(PLAIN, 1);
			run sender(HANGS, 1)
		:: HAS(2) -> /* FAN */
			can_hang = true;
			run watchdog();
			run sender(FAN, 1)
		:: HAS(3) -> /* EVENTS */
			can_hang = true;
			run watchdog();
			run descriptors(1);
			run sender(HANGS, 1)
		:: HAS(4) -> /* TIMERS */
			has_polls = true;
			run setter();
			run sender(HANGS, 1)
		:: HAS(5) -> /* FREED */
			can_hang = true;
			run watchdog();
			letters = 1;
			mail[PLAIN] = 2;
			held[PLAIN] = true;
			shared!PLAIN
		:: HAS(6) -> /* BEHIND */
			can_hang = true;
			sends_first = true;
			can_rest = true;
			run watchdog();
			run sender(HANGS, 1)
		fi;
		run worker(0);
		run worker(1);
		run last_look()
	}
}
