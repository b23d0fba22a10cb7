/* check.h: is what has happened right? Histories by the simulator's checker (tests/sim/history.h), the pool by looking
 * straight into the nodes' memory and the sessions. Faults go to world->fault. */
#ifndef EXPLORE_CHECK_H
#define EXPLORE_CHECK_H

#include "world.h"

/* A CAS has just changed a word: what a reader can find from now on must be whole everywhere, and alone. */
void check_swap(void *world, const struct dm_op *cas);

/* All calls have returned, or never will: lets the clients do what they owe, looks at the keys, at the history, and
 * at the whole pool. After a crash: what may be left behind, and who may not know what became of his call. */
void check_end(struct world *world);

/* Describes the history; results and their order, not the schedule, decide. */
uint64_t check_outcome(const struct world *world);
void check_print_history(const struct world *world);

#endif
