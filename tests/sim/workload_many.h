/* workload_many.h: operations on groups of two or three keys: transactions, and single-key operations and reads of all
 * keys beside them. Groups are used one after the other, so that each group's history stays short enough to be judged
 * exactly. Called by workload.c, in its coroutines. */
#ifndef SIM_WORKLOAD_MANY_H
#define SIM_WORKLOAD_MANY_H

#include "world.h"

/* One operation of coroutine `index` of the client. False: all histories are full. */
bool many_run(struct world *world, struct client *client, uint32_t index, struct prng *prng);
/* Reads all keys of all groups, each group at once. */
void many_verify(struct world *world, struct client *client, uint32_t index);
/* The client is dead: what it was at has an unknown outcome. */
void many_killed(struct world *world, const struct client *client);
bool many_is_busy(const struct world *world, const struct client *client);
/* Every group's history through the checker. Returns how many were too hard. */
uint32_t many_judge(struct world *world);
void many_close(struct world *world);

#endif
