/* sk_faults.h: loses, delays and doubles messages of a simulated node, as rules say.
 *
 * Model      Its turn and expired functions stand in the scheduler's hooks of a simulated node, in
 *            front of those of the service layer; a node that is not simulated does not know of
 *            them. A message is judged when its receiver's turn comes, before the service sees it.
 *            I1  A message is judged once: what a rule has delayed or doubled is SK_MESSAGE_JUDGED.
 *            I2  Each delayed message is in the list `delayed` and, wrapped, in the timer.
 *            I3  Who is not there any more when a delayed message arrives answers it with an error,
 *                as any service that ends does.
 * Threads    [worker], [turn]; new and free [boot].
 */
#ifndef SK_FAULTS_H
#define SK_FAULTS_H

#include "sk_core.h"
#include "skynet_simulation.h"

#include <stdint.h>

struct sk_faults;

struct sk_faults *sk_faults_new(struct sk_core *core, uint64_t seed);
/* faults: may be NULL. The timer must still be there. */
void sk_faults_free(struct sk_faults *faults);

/* The hooks of the scheduler; owner is the core. */
void sk_faults_turn(void *owner, struct sk_worker *worker, struct sk_mailbox *box);
void sk_faults_expired(void *owner, struct sk_timer_entry *list);

/* As the public functions. */
SK_MUST_CHECK int sk_faults_add(struct sk_faults *faults, const struct skynet_fault *fault);
int64_t sk_faults_count(const struct sk_faults *faults, int number);
void sk_faults_remove(struct sk_faults *faults, int number);
/* 64 bits from the generator that rules draw from. */
uint64_t sk_faults_random(struct sk_faults *faults);

#endif
