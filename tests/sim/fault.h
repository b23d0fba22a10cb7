/* fault.h: when which link breaks and which memory node goes away, as the plan says. The world calls it; one thread. */
#ifndef SIM_FAULT_H
#define SIM_FAULT_H

#include "world.h"

/* Something has happened in the network: lets faults come and go (in PHASE_SAFETY). */
void fault_step(struct world *world);
/* Faults are over: links are whole, a node that can come back does. */
void fault_end(struct world *world);
/* Is this node's memory not what it was, or out of reach? */
bool fault_has_lost(const struct world *world, uint32_t node);
/* Nodes that the pool goes on without, one bit each, as the nodes' own memory says. */
uint64_t fault_left_out(const struct world *world);
/* Whoever attaches to a pool that has lost a node's memory must be told so. */
void fault_check_attach(struct world *world);

#endif
