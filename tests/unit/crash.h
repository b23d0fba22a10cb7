/* crash.h: what the tests of the repair share: every state in which a client can die within an operation, enumerated;
 * the repair of dead clients; and what must hold behind it. See trap.h and gate.h. One thread. */
#ifndef CRASH_H
#define CRASH_H

#include "trap.h"

/* A small pool whose gateways die. */
struct crash {
    struct trap trap;
    struct world *world;                         /* trap's */
    struct dm_session *dead[WORLD_SESSIONS_MAX]; /* by session; the world does not run them any more */
    struct dm_sched *dead_sched[WORLD_SESSIONS_MAX];
    uint32_t clients[WORLD_SESSIONS_MAX]; /* the dead ones' numbers in the pool */
    uint32_t client_count;
};

/* nodes: as many as replicas, so that a word and its object share all nodes, or more, so that they need not. */
struct crash_pool {
    uint32_t replicas, nodes;
};
extern const struct crash_pool crash_pools[];
extern const uint32_t crash_pool_count;

struct crash crash_open(const struct crash_pool *pool);

/* Polls, then: replicas equal, one live slot a key, no tombstone, no provisional word, no object lost or had twice, no
 * record taken by the dead. Closes everything. */
void crash_close(struct crash *crash);

/* The session dies: its gate lets nothing through any more. */
void crash_kill(struct crash *crash, uint32_t s);

#define CRASH_BATCHES_MAX 12u /* of an operation: one that waits for another's only looks, behind so many */

/* Where a client dies: behind so many batches of its operation, of the next one a prefix of each node's chain. */
struct crash_point {
    uint32_t batch;
    uint32_t index; /* numbers the combinations of prefixes; 0: nothing of this batch */
};

enum crash_result {
    CRASH_DIED,
    CRASH_BATCH_OVER, /* this batch has no such combination: go to the next one */
    CRASH_ENDED,      /* the operation has no such batch: all points are done */
};

/* Session s, whose gate is closed and whose operation has begun, dies there. Only prefixes that end with something that
 * changes memory are told apart. */
enum crash_result crash_at(struct crash *crash, uint32_t s, struct crash_point point);

/* The point after `point`, given its result; false: that was the last one. */
bool crash_next(struct crash_point *point, enum crash_result result);

/* A repair of all the dead, in a coroutine of session s. */
struct repair_call {
    struct crash *crash;
    uint32_t s;
    bool ended;
    enum dm_status status;
};
/* `call` must stay where it is until it has ended. */
void repair_begin(struct repair_call *call, struct crash *crash, uint32_t s);
/* Polls the world until it has ended; it must end well, sooner or later (who is held at a gate makes it DM_BUSY). */
void repair_finish(struct repair_call *call);
void repair_all(struct crash *crash, uint32_t s);

/* Does this operation change memory? */
bool crash_mutates(const struct dm_op *op);

#endif
