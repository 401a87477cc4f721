/* links_words.pml: the model of links.pml, in which the registry tells of a node that was started
 * anew as well (WORDS). Its words come at any time behind the only fault: with two faults there are
 * more states than a machine at home can hold.
 *
 * Each of these mistakes is found:
 *   ENDS_NEXT   the word that a process is gone ends the session, whichever process it is with
 *   UP_ONCE     who was met before it was a member is not told of once more
 *
 * cc: -DSAFETY -DNOREDUCE -DCOLLAPSE
 * pan: -m100000 -w24
 * mutants: ENDS_NEXT UP_ONCE */

#define WORDS
#define FAULTS 1
#include "links.pml"
