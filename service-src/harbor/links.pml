/* links.pml: a model of the links between two nodes, for the spin model checker (make model): of
 * peer.c, shake.c, pipe.c, outbox.c, send.c and receive.c. docs/links.md tells what they promise.
 *
 * Node 0 sends messages to node 1, which acknowledges them; the other way round it is the same.
 * Each dials the other. A step is a turn of a harbor, which is one for all others, or what happens
 * to a connection. Spin tries every order of the steps, with up to FAULTS faults anywhere:
 *
 *   - an end of a connection breaks. The other end notices it at any time later, before it has read
 *     what was under way, or behind it;
 *   - a node gives the other up (harbor_peer_give_up), for whatever reason;
 *   - a node dies, and another begins in its place, which knows nothing. With WORDS, which
 *     links_words.pml sets, the registry tells node 0 that this happened to node 1, at any time
 *     behind the last fault, in two words: that process is gone (harbor_peer_leave), and the next
 *     one is a member (harbor_peer_join). An earlier word is as if node 0 gave the other up.
 *
 * A connection that its dialler has given up long ago may come to the other end at any time.
 *
 * Shown, in every order of steps:
 *   L1  no message is delivered twice, or behind one that was sent later, whatever sessions there
 *       have been, and whoever has died;
 *   L2  no message is left out within a session;
 *   L3  each message is delivered, or its sender has got an error, or is dead itself;
 *   L4  nobody acknowledges more than was sent, and no connection begins behind what has come: so
 *       who keeps the rules is never taken for one who breaks them;
 *   L5  who gets a message can answer it: its harbor takes the answer;
 *   L6  behind the last fault, and the last word of it, both ends come up with the same two ties:
 *       there are at most DIALS connections that a node dials when nothing else is under way;
 *       whatever was sent and not answered by an error comes, and so does what is sent then;
 *   L7  the word that a process is gone ends no link with the next one, and who hears of processes
 *       is told "up" of the link that there is in the end, whatever was told between (WORDS).
 *
 * Not shown, because it is not so: that an error means that the message is not delivered. What is
 * not acknowledged at the end of a session may have come, and may even come after the error: the
 * other end goes on reading until it learns that the session has ended.
 *
 * Left out: time (a node may give up, or dial, at any moment), proofs (they tell who speaks, not
 * what), the window, messages in parts, refusals, a second process with the id of a node at a time.
 *
 * The model can fail. Each of these mistakes, built in by name, is found (spin -DNAME -a ...):
 *   KEEPS_TIE        who gives up keeps its tie: the other end does not learn of it
 *   DRAWS_TOO        who learns of a new tie draws another one itself, and so on for ever
 *   TAKES_LATE       a handshake counts whatever has been learned since it was begun (T2)
 *   OWN_TIE_LATE     the same, as to the own tie only
 *   KEEPS_PIPES      the end of a session leaves the connection open that came in
 *   ANY_COUNT        a handshake acknowledges, whichever session its count is of
 *   COUNTS_FIRST     a message is counted when it comes, and delivered later
 *   IGNORES_BEGIN    a new connection is counted on from what has come, wherever it begins
 *   FORGETS_FAILED   the end of a session tells nobody
 *   ACKS_HANDED      what was handed to a socket is taken for delivered
 *   ANSWERS_WHEN_UP  answers are taken when both connections are open, and not before (T3)
 *   TELLS_ONCE       a count that was told in an ACK is not told in the next handshake
 *
 * cc: -DSAFETY -DNOREDUCE -DCOLLAPSE
 * pan: -m100000 -w24
 * mutants: KEEPS_TIE DRAWS_TOO TAKES_LATE OWN_TIE_LATE KEEPS_PIPES ANY_COUNT COUNTS_FIRST
 * mutants: IGNORES_BEGIN FORGETS_FAILED ACKS_HANDED ANSWERS_WHEN_UP TELLS_ONCE */

#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef MESSAGES
#define MESSAGES 2
#endif
#ifndef DIALS
#define DIALS 3
#endif

#define SENDER 0
#define RECEIVER 1
#define NONE 255

/* --- what a node knows of the other: struct harbor_peer ------------------------------------- */

byte tie[2] = 1; /* each new one is greater, which only this model knows */
#ifdef WORDS
#define PROCESS(tie) ((tie) >> 4)
#define NEXT_PROCESS(tie) ((PROCESS(tie) + 1) << 4 | 1)
#else
#define PROCESS(tie) 0 /* nobody asks for it */
#define NEXT_PROCESS(tie) (tie + 1)
#endif
byte other_tie[2]; /* 0: no session */
bool is_up[2];
bool is_kept[2] = true; /* messages to the other are: node_state is not ABSENT */

/* What the sender's harbor is told of the other node, and its .cslave by it. */
bool is_member = true;
byte member;	 /* the process that is, or was last */
bool is_told_up; /* of the present link */
byte out[2] = NONE;     /* connections */
byte in[2] = NONE;

/* The sender's outbox; its frames are numbered from the beginning of the session. */
byte before;	   /* messages that were sent before it */
byte sealed;	   /* messages of this session */
byte handed;	   /* of these, to the present connection */
byte acknowledged; /* of these */

/* The receiver. */
byte received;
byte said; /* of these: acknowledged */

/* --- connections: struct harbor_pipe, at both ends ------------------------------------------ */

/* Two for each node: one that is in use, and one that its dialler has given up. */
#define CONNECTIONS 4
#define DIALLER(c) ((c) / 2)
#define ACCEPTOR(c) (1 - (c) / 2)

/* What is under way, or was last. */
#define FREE 0
#define HELLO 1	       /* the dialler's */
#define HELLO_BACK 2   /* the acceptor's */
#define PROOF 3	       /* the dialler's; then the acceptor holds the connection for open */
#define PROOF_BACK 4   /* the acceptor's; then the dialler does */
#define OPEN 5	       /* frames */

byte stage[CONNECTIONS];
bool has_dialler[CONNECTIONS]; /* its end is not closed */
bool has_acceptor[CONNECTIONS];
/* Both HELLOs: tie, known_tie, received. */
byte dial_tie[CONNECTIONS], dial_known[CONNECTIONS], dial_received[CONNECTIONS];
byte back_tie[CONNECTIONS], back_known[CONNECTIONS], back_received[CONNECTIONS];
byte number[CONNECTIONS]; /* told by BEGIN, then of the last frame */
/* Counted frames, by the numbers of their messages, or ACKs. */
chan frames[CONNECTIONS] = [2] of { byte };

/* --- the books ------------------------------------------------------------------------------ */

byte sent;	     /* messages, ever */
byte last_delivered; /* the number of a message */
byte excused;	     /* a bit for each message that has failed, or whose sender has died */
byte delivered;	     /* the same */
byte faults = FAULTS;
byte dials; /* since there are no more faults */

/* Of a step. */
hidden byte i, old;
hidden byte is_known, is_late;

#ifdef COUNTS_FIRST
byte undelivered;
#endif

/* --- connections ---------------------------------------------------------------------------- */

/* Nobody asks any more for what was said. */
inline forget_hellos(c)
{
	dial_tie[c] = 0; dial_known[c] = 0; dial_received[c] = 0;
	back_tie[c] = 0; back_known[c] = 0; back_received[c] = 0
}

inline forget(c)
{
	stage[c] = FREE;
	forget_hellos(c);
	number[c] = 0
}

inline close_dialler(c)
{
	has_dialler[c] = false;
	if
	:: out[DIALLER(c)] == c -> out[DIALLER(c)] = NONE
	:: else
	fi;
	if
	:: !has_acceptor[c] -> forget(c)
	:: has_acceptor[c] && stage[c] >= PROOF_BACK -> forget_hellos(c)
	:: else
	fi
}

inline close_acceptor(c)
{
	has_acceptor[c] = false;
	if
	:: in[ACCEPTOR(c)] == c -> in[ACCEPTOR(c)] = NONE
	:: else
	fi;
	do
	:: nempty(frames[c]) -> frames[c] ? i
	:: empty(frames[c]) -> break
	od;
	i = 0;
	if
	:: !has_dialler[c] -> forget(c)
	:: else
	fi
}

/* --- sessions: peer.c ----------------------------------------------------------------------- */

/* harbor_outbox_fail: all that is not acknowledged. */
inline fail_messages()
{
	i = before + acknowledged + 1;
	do
	:: i <= before + sealed ->
#ifndef FORGETS_FAILED
		excused = excused | 1 << i;
#endif
		i++
	:: else -> break
	od;
	i = 0;
	before = sent;
	sealed = 0;
	handed = 0;
	acknowledged = 0
}

/* end_session; kept: a connection of its own that stays. */
inline end_session(n, kept)
{
	is_up[n] = false;
	is_kept[n] = false;
	other_tie[n] = 0;
	if
	:: out[n] != NONE && out[n] != kept -> old = out[n]; close_dialler(old)
	:: else
	fi;
#ifndef KEEPS_PIPES
	if
	:: in[n] != NONE -> old = in[n]; close_acceptor(old)
	:: else
	fi;
#endif
	if
	:: n == SENDER ->
		is_told_up = false;
		fail_messages()
	:: else ->
		received = 0;
		said = 0;
#ifdef COUNTS_FIRST
		undelivered = 0
#endif
	fi
}

/* harbor_peer_give_up */
inline give_up(n)
{
#ifndef KEEPS_TIE
	tie[n]++; /* T1 */
#endif
	end_session(n, NONE)
}

/* harbor_peer_check: a connection has become open. */
inline check(n)
{
#ifndef ANSWERS_WHEN_UP
	if
	:: in[n] != NONE -> is_kept[n] = true
	:: else
	fi;
#endif
	if
	:: in[n] != NONE && out[n] != NONE && stage[out[n]] == OPEN ->
		is_up[n] = true;
		is_kept[n] = true;
		if
		:: n == SENDER -> is_told_up = is_member /* nobody listens otherwise */
		:: else
		fi
	:: else
	fi
}

/* harbor_peer_leave */
#define CAN_LEAVE (faults == 0 && is_member && member != PROCESS(tie[RECEIVER]))
inline leave()
{
	is_member = false;
	is_told_up = false;
	if
#ifdef ENDS_NEXT
	:: true ->
#else
	:: other_tie[SENDER] == 0 || PROCESS(other_tie[SENDER]) == member ->
#endif
		assert(!is_up[SENDER] || other_tie[SENDER] != tie[RECEIVER]); /* L7 */
		give_up(SENDER)
	:: else
	fi
}

/* harbor_peer_join, become_member */
#define CAN_JOIN (!is_member)
inline join()
{
	is_member = true;
	member = PROCESS(tie[RECEIVER]);
	if
#ifdef UP_ONCE
	:: is_up[SENDER]
#else
	:: is_up[SENDER] -> is_told_up = true
#endif
	:: else -> is_kept[SENDER] = true
	fi
}
#ifdef WORDS
#define IS_TOLD (is_member && member == PROCESS(tie[RECEIVER]))
#else
#define IS_TOLD true
#endif

/* harbor_outbox_acknowledge */
inline acknowledge(count)
{
	assert(count <= sealed); /* L4 */
	if
	:: count > acknowledged -> acknowledged = count
	:: else
	fi
}

/* harbor_peer_meet, up to what depends on who has dialled; c: the connection if n has dialled it,
 * else NONE. Behind it: what n's own HELLO says, and the other's. */
inline meet(n, c, own_tie, own_known, its_tie, its_known, its_received)
{
	is_known = its_tie == other_tie[n];
	is_late = !is_known && own_known != other_tie[n]; /* T2 */
#ifndef OWN_TIE_LATE
	is_late = is_late || own_tie != tie[n];
#endif
#ifdef TAKES_LATE
	is_late = false;
#endif
	/* T4: refused. */
	is_late = is_late || (!is_known && other_tie[n] != 0 && c == NONE);
	if
	:: !is_late && !is_known && other_tie[n] != 0 ->
		end_session(n, c);
#ifdef DRAWS_TOO
		tie[n]++
#endif
	:: else
	fi;
	if
	:: !is_late && !is_known -> other_tie[n] = its_tie
	:: else
	fi;
	if
#ifdef ANY_COUNT
	:: !is_late && n == SENDER -> acknowledge(its_received)
#else
	:: !is_late && n == SENDER && its_known == tie[n] -> acknowledge(its_received)
#endif
	:: else
	fi;
	is_known = false
}

/* --- handshakes: shake.c, handshake.c ------------------------------------------------------- */

#ifdef TELLS_ONCE
#define COUNT_OF(n) ((n) == RECEIVER && received != said -> received : 0)
#else
#define COUNT_OF(n) ((n) == RECEIVER -> received : 0)
#endif

/* Nothing of a handshake is under way, and no end is closed without the other's knowledge. */
#define IS_STILL(c) \
	(stage[c] == FREE || (stage[c] == OPEN && has_dialler[c] && has_acceptor[c]))

/* harbor_pipe_dial, harbor_shake_begin */
#define CAN_DIAL(c) (out[DIALLER(c)] == NONE && stage[c] == FREE && \
		     ((c) % 2 == 0 || stage[(c) - 1] != FREE))
inline dial(c)
{
	if
	:: faults == 0 && IS_TOLD && out[ACCEPTOR(c)] != NONE && IS_STILL(0) &&
	   IS_STILL(1) && IS_STILL(2) && IS_STILL(3) ->
		dials++;
		assert(dials <= DIALS) /* L6 */
	:: else
	fi;
	out[DIALLER(c)] = c;
	has_dialler[c] = true;
	has_acceptor[c] = true;
	stage[c] = HELLO;
	dial_tie[c] = tie[DIALLER(c)];
	dial_known[c] = other_tie[DIALLER(c)];
	dial_received[c] = COUNT_OF(DIALLER(c))
}

/* answer */
#define CAN_ANSWER(c) (has_acceptor[c] && stage[c] == HELLO)
inline answer(c)
{
	stage[c] = HELLO_BACK;
	back_tie[c] = tie[ACCEPTOR(c)];
	back_known[c] = other_tie[ACCEPTOR(c)];
	back_received[c] = COUNT_OF(ACCEPTOR(c))
}

/* on_hello */
#define CAN_PROVE(c) (has_dialler[c] && stage[c] == HELLO_BACK)
inline prove(c)
{
	stage[c] = PROOF
}

/* open_pipe of the acceptor, meet_in */
#define CAN_OPEN_IN(c) (has_acceptor[c] && stage[c] == PROOF)
inline open_in(c)
{
	meet(ACCEPTOR(c), NONE, back_tie[c], back_known[c], dial_tie[c], dial_known[c],
	     dial_received[c]);
	if
	:: is_late -> close_acceptor(c)
	:: else ->
		if
		:: in[ACCEPTOR(c)] != NONE -> old = in[ACCEPTOR(c)]; close_acceptor(old)
		:: else
		fi;
		in[ACCEPTOR(c)] = c;
		stage[c] = PROOF_BACK;
		check(ACCEPTOR(c))
	fi;
	is_late = false
}

/* open_pipe of the dialler, meet_out. A piece has two messages: harbor_outbox_rewind begins again
 * with the first of them when only that one is acknowledged. */
#define CAN_OPEN_OUT(c) (has_dialler[c] && stage[c] == PROOF_BACK)
inline open_out(c)
{
	meet(DIALLER(c), c, dial_tie[c], dial_known[c], back_tie[c], back_known[c],
	     back_received[c]);
	if
	:: is_late -> close_dialler(c)
	:: else ->
		stage[c] = OPEN;
		forget_hellos(c);
		if
		:: DIALLER(c) == SENDER ->
			handed = acknowledged - acknowledged % 2;
#ifdef IGNORES_BEGIN
			number[c] = received
#else
			number[c] = handed
#endif
		:: else
		fi;
		check(DIALLER(c))
	fi;
	is_late = false
}

/* --- messages: send.c, receive.c ------------------------------------------------------------ */

/* What is written to a connection that is closed at the other end is lost. */
inline put(c, frame)
{
	if
	:: has_acceptor[c] -> frames[c] ! frame
	:: else
	fi
}

/* harbor_send; who sends while messages are not kept gets an error from the core. */
#define CAN_SEND (is_kept[SENDER] && sent < MESSAGES)
inline send()
{
	sent++;
	sealed++
}

/* harbor_send_pieces */
#define CAN_HAND (is_up[SENDER] && out[SENDER] != NONE && stage[out[SENDER]] == OPEN && \
		  handed < sealed && nfull(frames[out[SENDER]]))
inline hand()
{
	handed++;
	put(out[SENDER], before + handed);
#ifdef ACKS_HANDED
	acknowledged = handed
#endif
}

/* harbor_deliver */
inline deliver(message)
{
	assert(message > last_delivered);		     /* L1 */
	assert(received == 1 || message == last_delivered + 1); /* L2 */
	assert(is_kept[RECEIVER]);			     /* L5 */
	last_delivered = message;
	delivered = delivered | 1 << message
}

#define CAN_READ(c) (has_acceptor[c] && stage[c] == OPEN && nempty(frames[c]))

/* count, of receive.c. What comes from a connection that is not `in` finds nobody
 * (harbor_pipe_find), because that is closed. */
#ifdef COUNTS_FIRST
#define CAN_COUNT(c) (CAN_READ(c) && ACCEPTOR(c) == RECEIVER && undelivered == 0)
#else
#define CAN_COUNT(c) (CAN_READ(c) && ACCEPTOR(c) == RECEIVER)
#endif
inline count(c)
{
	frames[c] ? i;
	assert(number[c] <= received); /* L4: on_begin; since then it has counted in step */
	number[c]++;
	if
	:: number[c] > received ->
		received = number[c];
#ifdef COUNTS_FIRST
		undelivered = i
#else
		deliver(i)
#endif
	:: else
	fi;
	i = 0
}

/* harbor_send_ack */
#define CAN_SAY (is_up[RECEIVER] && out[RECEIVER] != NONE && stage[out[RECEIVER]] == OPEN && \
		 said != received && nfull(frames[out[RECEIVER]]))
inline say()
{
	said = received;
	put(out[RECEIVER], received)
}

/* on_ack */
#define CAN_HEAR(c) (CAN_READ(c) && ACCEPTOR(c) == SENDER)
inline hear(c)
{
	frames[c] ? i;
	acknowledge(i);
	i = 0
}

/* --- faults --------------------------------------------------------------------------------- */

inline fault()
{
	faults--
}

/* A node dies, with all its ends of connections. */
inline restart(n)
{
	tie[n] = NEXT_PROCESS(tie[n]);
	end_session(n, NONE);
	is_kept[n] = true; /* become_member */
	if
	:: n == SENDER ->
		is_member = true;
		member = PROCESS(tie[RECEIVER])
	:: else
	fi;
	/* And those that came in and were not open, or that were closed in its own stead. */
	close_all(n)
}

inline close_all(n)
{
	if
	:: has_acceptor[2 - 2 * n] -> close_acceptor(2 - 2 * n)
	:: else
	fi;
	if
	:: has_acceptor[3 - 2 * n] -> close_acceptor(3 - 2 * n)
	:: else
	fi
}

/* --- the end -------------------------------------------------------------------------------- */

/* L3, L6 and L7; `all`: the bits of all messages. */
inline look(all)
{
	assert(is_up[SENDER] && is_up[RECEIVER]);
	assert(is_told_up);
	assert(other_tie[SENDER] == tie[RECEIVER] && other_tie[RECEIVER] == tie[SENDER]);
	assert(sent == MESSAGES && acknowledged == sealed);
	assert((excused | delivered) == all)
}

#define EACH_NODE(can, step) \
	:: d_step { can(0) -> step(0) } \
	:: d_step { can(1) -> step(1) }
#define EACH_CONNECTION(can, step) \
	:: d_step { can(0) -> step(0) } \
	:: d_step { can(1) -> step(1) } \
	:: d_step { can(2) -> step(2) } \
	:: d_step { can(3) -> step(3) }

/* An end of a connection learns that the other one is closed. */
#define DIALLER_NOTICES(c) (has_dialler[c] && !has_acceptor[c])
#define ACCEPTOR_NOTICES(c) (has_acceptor[c] && !has_dialler[c])

#define DIALLER_BREAKS(c) (faults > 0 && has_dialler[c])
#define ACCEPTOR_BREAKS(c) (faults > 0 && has_acceptor[c])
#define break_dialler(c) fault(); close_dialler(c)
#define break_acceptor(c) fault(); close_acceptor(c)

#define GIVES_UP(n) (faults > 0 && (other_tie[n] != 0 || is_kept[n]))
#define fault_give_up(n) fault(); give_up(n)
#define DIES(n) (faults > 0)
#define fault_restart(n) fault(); restart(n)

active proctype world()
{
	do
	EACH_CONNECTION(CAN_DIAL, dial)
	EACH_CONNECTION(CAN_ANSWER, answer)
	EACH_CONNECTION(CAN_PROVE, prove)
	EACH_CONNECTION(CAN_OPEN_IN, open_in)
	EACH_CONNECTION(CAN_OPEN_OUT, open_out)
	:: d_step { CAN_SEND -> send() }
	:: d_step { CAN_HAND -> hand() }
	EACH_CONNECTION(CAN_COUNT, count)
#ifdef COUNTS_FIRST
	:: d_step { undelivered != 0 -> deliver(undelivered); undelivered = 0 }
#endif
	:: d_step { CAN_SAY -> say() }
	EACH_CONNECTION(CAN_HEAR, hear)
	EACH_CONNECTION(DIALLER_NOTICES, close_dialler)
	EACH_CONNECTION(ACCEPTOR_NOTICES, close_acceptor)
	EACH_CONNECTION(DIALLER_BREAKS, break_dialler)
	EACH_CONNECTION(ACCEPTOR_BREAKS, break_acceptor)
#ifdef WORDS
	:: d_step { CAN_LEAVE -> leave() }
	:: d_step { CAN_JOIN -> join() }
#endif
	EACH_NODE(GIVES_UP, fault_give_up)
	EACH_NODE(DIES, fault_restart)
	:: faults > 0 -> faults = 0
	:: else -> break
	od;
	look((1 << (MESSAGES + 1)) - 2)
}
