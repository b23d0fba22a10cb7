/* check.h: is the pool in order? Looks straight into the nodes' memory and the sessions, as no client could. Called
 * by the simulator at every CAS that succeeds, and when nothing is under way. */
#ifndef SIM_CHECK_H
#define SIM_CHECK_H

#include "world.h"

/* A CAS has just changed a word: whatever becomes visible to readers must be whole everywhere, and alone. */
void check_swap(struct world *world, const struct dm_op *op);

/* No record of a client belongs to a dead one. */
bool check_repaired(struct world *world);

/* Every session has looked for what the dead have left in its blocks. */
bool check_swept(struct world *world);

/* At rest: replicas agree, objects are whole and where they belong, one live slot a key, no block with two owners, no
 * object free and in use, none lost. After a harsh run only what must hold all the same. */
void check_pool(struct world *world);

#endif
