/* sk_mailbox.pml: a model of sk_mailbox.c for the spin model checker (make model).
 *
 * Two senders push messages into one mailbox, two workers run its service. Each access to the word
 * is one step; spin tries every order of the steps. A message's block is used again as soon as its
 * message has been handled, by whichever sender comes first, so the same address may come back
 * between a sender's reading of the word and its compare-and-swap (ABA). The word's count of
 * messages is left out: with it, the word differs more often, so the model has more to survive.
 *
 * Shown, in every order of steps:
 *   I1, I2  no two workers are in a turn at the same time, and nobody holds a mailbox at REST;
 *   I3      when nothing moves any more, all messages have been handled and the mailbox is at REST;
 *   I4      the messages of one sender are handled in the order of their pushes.
 *
 * Not shown: memory orders. Every step here is seen by all at once; that the orders named in
 * sk_mailbox.c are enough to make it so is for its comments, and for the thread sanitizer.
 *
 * The model can fail: each of these mistakes, built in by name, is found (spin -DNAME -a ...).
 *   REST_WITHOUT_CAS    rest looks, then stores: a push in between is lost
 *   REST_FORGETS_TAKEN  rest looks at the word only: what was taken but not handled is lost
 *   TAKE_LEAVES_REST    pop leaves REST behind: the next push makes a running service ready
 *   PUSH_ALWAYS_TELLS   every push makes ready: the service is in two queues
 *   STACK_ORDER         what was taken is not turned round: the newest message comes first
 *
 * cc: -DSAFETY
 * mutants: REST_WITHOUT_CAS REST_FORGETS_TAKEN TAKE_LEAVES_REST PUSH_ALWAYS_TELLS STACK_ORDER */

#define SENDERS 2
#define WORKERS 2
#define EACH 2	 /* messages of one sender */
#define BLOCKS 3 /* fewer than messages, so that blocks are used again */

/* The word: a state, or the address of the newest message. */
#define HELD 0
#define REST 1
#define FIRST_BLOCK 2
#define END 0 /* of a list of messages; the same as HELD, as in the code */

byte head = REST;
byte next[FIRST_BLOCK + BLOCKS];
byte sender_of[FIRST_BLOCK + BLOCKS];
byte number_of[FIRST_BLOCK + BLOCKS];
bool is_used[FIRST_BLOCK + BLOCKS];

byte taken = END;         /* the holder's */
byte tickets = 0;         /* how many times the service is in a run queue */
byte holders = 0;         /* how many workers are in a turn of it */
byte handled[SENDERS];

/* malloc: any block that is free. */
inline allocate(block)
{
	atomic {
		select_free(block);
		is_used[block] = true;
	}
}

inline select_free(block)
{
	if
	:: !is_used[FIRST_BLOCK] -> block = FIRST_BLOCK
	:: !is_used[FIRST_BLOCK + 1] -> block = FIRST_BLOCK + 1
	:: !is_used[FIRST_BLOCK + 2] -> block = FIRST_BLOCK + 2
	fi
}

proctype sender(byte id)
{
	byte number = 0, block, old;
	bool swapped;
	do
	:: number == EACH -> break
	:: else ->
		allocate(block);
		d_step { sender_of[block] = id; number_of[block] = number }
		old = head;
		do
		:: /* next is written before the word, and only the pusher's own. */
			next[block] = (old == REST -> END : old);
			d_step {
				swapped = (head == old);
				if
				:: swapped -> head = block
				:: else -> old = head
				fi
			}
			if
			:: swapped -> break
			:: else
			fi
		od;
#ifdef PUSH_ALWAYS_TELLS
		tickets++;
#else
		if
		:: old == REST -> tickets++ /* I1: told to make it ready */
		:: else
		fi;
#endif
		number++
	od
}

/* Takes the stack, and turns it round: the holder's own memory by then, so one step. */
inline take_all(list, message)
{
	if
	:: head == HELD -> skip
	:: else ->
		d_step {
			list = head;
#ifdef TAKE_LEAVES_REST
			head = REST;
#else
			head = HELD;
#endif
#ifdef STACK_ORDER
			taken = list;
			list = END;
#endif
			do
			:: list < FIRST_BLOCK -> break
			:: else ->
				message = list;
				list = next[message];
				next[message] = taken;
				taken = message
			od;
			message = 0
		}
	fi
}

inline pop(message, list)
{
	message = END;
	if
	:: taken == END -> take_all(list, message)
	:: else
	fi;
	d_step {
		message = taken;
		if
		:: message != END -> taken = next[message]
		:: else
		fi
	}
}

inline handle(message)
{
	d_step {
		assert(is_used[message]);
		assert(number_of[message] == handled[sender_of[message]]); /* I4 */
		handled[sender_of[message]]++;
		is_used[message] = false; /* free */
		message = 0
	}
}

inline rest(is_at_rest)
{
#ifdef REST_WITHOUT_CAS
	is_at_rest = (taken == END && head == HELD);
	if
	:: is_at_rest -> head = REST
	:: else
	fi
#else
	d_step {
#ifdef REST_FORGETS_TAKEN
		is_at_rest = (head == HELD);
#else
		is_at_rest = (taken == END && head == HELD);
#endif
		if
		:: is_at_rest -> head = REST
		:: else
		fi
	}
#endif
}

proctype worker()
{
	byte message, list;
	bool is_at_rest;
end_idle:
	do
	:: atomic { tickets > 0 -> tickets-- } ->
		d_step {
			holders++;
			assert(holders == 1); /* I2 */
			assert(head != REST || taken != END) /* I1 */
		}
		do
		:: pop(message, list);
			if
			:: message == END -> break
			:: else -> handle(message)
			fi
		:: break /* the turn is over: its messages, its time */
		od;
		holders--;
		rest(is_at_rest);
		if
		:: is_at_rest
		:: else -> tickets++ /* behind the others */
		fi;
		is_at_rest = false
	od
}

/* When nothing can move any more. */
proctype last_look()
{
	timeout;
	d_step {
		assert(handled[0] == EACH && handled[1] == EACH); /* I3 */
		assert(head == REST && taken == END && tickets == 0)
	}
}

init
{
	atomic {
		run worker();
		run worker();
		run sender(0);
		run sender(1);
		run last_look()
	}
}
