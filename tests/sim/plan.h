/* plan.h: what one seed means: geometry, network, faults and workload of a run, drawn at random (swarm: most kinds of
 * fault and of work are off in any one run, so that those that are on come often). Pure but for the generator. */
#ifndef SIM_PLAN_H
#define SIM_PLAN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "sim_fabric.h"

#define PLAN_CLIENTS_MAX 8
#define PLAN_COROUTINES_MAX 4
#define PLAN_KEYS_MAX 128
#define PLAN_NAME_BYTES_MAX 400

enum work {
    WORK_GET,
    WORK_GET_MANY,
    WORK_SET,
    WORK_SET_EXPIRING,
    WORK_DELETE,
    WORK_INCR,
    WORK_APPEND,
    WORK_SETNX,
    WORK_GETSET,
    WORK_GETDEL,
    WORK_COUNT
};

enum loss {
    LOSS_NONE,
    LOSS_FOR_GOOD,
    LOSS_KEPT,  /* it comes back with its memory */
    LOSS_EMPTY, /* ... with empty memory */
    LOSS_OTHER, /* ... as a node of another pool, which holds old data of this one */
    LOSS_KIND_COUNT
};

enum keys_kind {
    KEYS_ANY,     /* spread over the index */
    KEYS_CROWDED, /* all in one or two bucket groups */
    KEYS_ALIKE,   /* ... and with few fingerprints */
    KEYS_PACKED,  /* both buckets of each in the same two groups, and more keys than slots there */
    KEYS_KIND_COUNT
};

struct plan {
    uint64_t seed;
    struct prng prng; /* goes on: each part of a run takes its own stream from it */

    uint32_t nodes, replicas, gateways, clients, coroutines;
    uint64_t node_bytes, region_bytes, block_bytes, cache_bytes;

    struct sim_net net;
    uint64_t cpu_ns;           /* most between a completion and its client's turn */
    uint32_t pause_permyriad;  /* of a client's turns */
    uint64_t pause_ns;         /* at most */
    bool long_sleeps;          /* pauses are as long as it takes for tags to come round, give or take pause_ns */
    bool long_thinks;          /* the first client thinks for some epochs: */
    uint32_t think_epochs;     /* so many at the most; 0: as long as it takes for tags to come round */
    uint32_t kills;            /* clients to be killed */
    uint32_t kill_odds;        /* one event in so many */
    uint32_t partitions;       /* links between clients and nodes that break for a while */
    uint32_t partition_odds;   /* one event in so many */
    uint64_t partition_ns;     /* at most */
    enum loss loss;            /* of a memory node, */
    uint32_t loss_node;        /* this one, */
    uint32_t loss_after;       /* behind so many acknowledged operations, */
    uint64_t loss_ns;          /* for so long */
    uint64_t settle_ns;        /* so much later some client settles that (dm_session_settle); 0: nobody does */
    bool churn;                /* clients leave and come back */
    int64_t skew_ms;           /* clocks of gateways differ by so much at the most */
    uint32_t jump_permyriad;   /* of wall clock readings: it jumps */
    uint32_t refuse_permyriad; /* of allocations of client memory */

    enum keys_kind keys_kind;
    uint32_t keys, hot_keys, hot_percent;
    uint32_t name_bytes; /* of a key at the most; 0: short names */
    bool ample;          /* there is memory for all that these keys can hold, and for more: no write may be refused */
    uint32_t weight[WORK_COUNT];
    uint32_t flush_odds; /* of an operation to be a flush, one in so many; 0, or with transactions: never */
    uint32_t many_percent, many_keys; /* operations on so many keys (workload_many.h) among all */
    uint32_t value_bytes, value_spread_bytes;
    uint64_t think_ns;   /* at most, between two operations of a coroutine */
    int64_t expire_ms;   /* at most */
    uint32_t operations; /* acknowledged ones at which the run ends */
};

void plan_draw(struct plan *plan, uint64_t seed);
/* For operations by the million: many in one run, of clients that meet, and nothing that makes them wait. */
void plan_draw_dense(struct plan *plan, uint64_t seed);

/* A plan as text, one field a line: it keeps its meaning when seeds do not. Loading says on stderr what is wrong. */
void plan_save(const struct plan *plan, FILE *file);
bool plan_load(struct plan *plan, const char *path);
/* Can a run be made of it? */
bool plan_is_sound(const struct plan *plan);
/* The next simpler plan behind *step (0 at first), which goes on; false when there are no more. */
bool plan_simpler(const struct plan *plan, uint32_t *step, struct plan *simpler);
/* Clients die, chains break, nodes go: outcomes may be unknown, keys may be held for ever. */
static inline bool plan_is_harsh(const struct plan *plan) {
    return plan->kills != 0 || plan->net.break_permyriad != 0 || plan->partitions != 0 || plan->loss != LOSS_NONE;
}
/* Nodes may be out of reach, so that operations may be refused. */
static inline bool plan_is_cut(const struct plan *plan) {
    return plan->net.break_permyriad != 0 || plan->partitions != 0 || plan->loss != LOSS_NONE;
}
/* A node's memory is gone for good. */
static inline bool plan_loses_memory(const struct plan *plan) {
    return plan->loss != LOSS_NONE && plan->loss != LOSS_KEPT;
}
/* ... and nobody makes up for it. */
static inline bool plan_stays_lost(const struct plan *plan) { return plan_loses_memory(plan) && plan->settle_ns == 0; }
/* Whatever goes wrong passes, and then no round is open: repair ends those of the dead, living clients their own. */
static inline bool plan_is_repaired(const struct plan *plan) { return plan_is_harsh(plan) && !plan_stays_lost(plan); }
void plan_print(const struct plan *plan);
uint64_t plan_stream(struct plan *plan);

#endif
