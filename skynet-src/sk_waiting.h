/* sk_waiting.h: messages for global names that this node does not know yet: they wait here until
 * somebody gets the name.
 *
 * Model      The table of names (sk_names.h) is read without a lock. Only who does not find a name
 *            there comes here, takes the lock, and looks once more. Whoever gives a name to a
 *            service holds the same lock while it sends on what has waited, and then writes the
 *            name into the table.
 *            W1  While a message waits for a name, the table does not have that name.
 *            W2  What one service sends by a name comes to whoever has the name in the order in
 *                which it was sent: what does not find the name waits behind what waits; what
 *                finds it goes when all that waited has gone.
 *            W3  Nothing waits when the node has no harbor: without a network nobody would ever
 *                bring the name.
 *            W4  What waits is bounded, in names and in bytes, whoever has sent it.
 *            sk_waiting.pml is a model of W1 and W2 for the spin model checker.
 * Threads    [any, online] (sk_quiesce.h) unless a comment says otherwise
 * Memory     A message that waits is a plain one, and charged to nobody, as one in a mailbox.
 */
#ifndef SK_WAITING_H
#define SK_WAITING_H

#include "sk_base.h"
#include "sk_message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of a global name in a network. */
#define SK_GLOBAL_NAME_MAX 16
/* Names that are waited for at a time, and the bytes of all messages with their envelopes (W4). */
#define SK_WAITING_NAMES_MAX 1024
#define SK_WAITING_BYTES_MAX ((size_t)16 * 1024 * 1024)

struct sk_core;
struct sk_waiting;

/* The waiting room of a node.  [boot] */
struct sk_waiting *sk_waiting_new(void);
/* What still waits is freed, and nobody is told. NULL does nothing. */
void sk_waiting_free(struct sk_waiting *waiting);

/* Has a plain message wait for a name of at most SK_GLOBAL_NAME_MAX bytes, or sends it on if
 * somebody has the name by now. Returns SK_OK; SK_ESTOPPED: who has it has just ended; SK_ENOENT:
 * the node has no harbor; SK_ELIMIT: too much waits. message: taken if it is SK_OK. */
SK_MUST_CHECK int sk_waiting_add(struct sk_core *core, const char *name,
				 struct sk_message *message);

/* Gives a global name to a handle, and sends on what waits for it; the sources of requests are told
 * who has got them (PTYPE_HARBOR). Returns the name in the table, or NULL: there is no such service
 * on this node, or somebody else has the name and it may not be replaced. */
const char *sk_waiting_name(struct sk_core *core, const char *name, uint32_t handle,
			    bool may_replace);

/* The node has no harbor any more: all that waits is refused in its name (W3). */
void sk_waiting_refuse_all(struct sk_core *core, uint32_t harbor);

/* How many names are waited for; *bytes: what W4 counts; *refused: messages so far for which there
 * was no room. */
uint32_t sk_waiting_count(struct sk_waiting *waiting, size_t *bytes, uint64_t *refused);

#endif
