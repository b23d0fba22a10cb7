/* workload.h: what the clients of a run do, and the record of it: operations on few keys with values that tell which
 * operation wrote them. Coroutines of the clients' schedulers; one thread. */
#ifndef SIM_WORKLOAD_H
#define SIM_WORKLOAD_H

#include "world.h"

/* The client has just opened its session: starts its coroutines (in PHASE_SAFETY). Draws the keys the first time. */
void workload_start(struct world *world, struct client *client);
/* One coroutine a client that GETs every key. */
void workload_verify(struct world *world);
/* The client is dead: what it was at has an unknown outcome. */
void workload_killed(struct world *world, struct client *client);
/* Is an operation of this client under way? */
bool workload_is_busy(const struct world *world, const struct client *client);
/* A gateway's wall clock was read. */
void workload_clock_read(struct world *world, const struct gateway *gateway, int64_t now_ms);

/* Enough operations are acknowledged. */
bool workload_is_enough(struct world *world);
bool workload_has_ended(struct world *world);

/* The run is over: what has not ended has an unknown outcome. */
void workload_end_all(struct world *world);

/* Name of a key by its number; for messages. */
struct dm_key workload_key(const struct world *world, uint32_t key);
void workload_close(struct world *world);

#endif
