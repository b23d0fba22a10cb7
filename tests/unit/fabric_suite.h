/* fabric_suite.h: what every provider of fabric.h must do, as a table of cases written against fabric.h alone. A test
 * program opens a fabric of its kind and runs all cases over it. Cases clear what they rely on and leave what they like
 * in the nodes' memory. */
#ifndef FABRIC_SUITE_H
#define FABRIC_SUITE_H

#include <stdbool.h>

#include "fabric/fabric.h"

#define SUITE_NODES 3
#define SUITE_NODE_BYTES (UINT64_C(4) << 20)

struct fabric_world {
    struct dm_fabric *fabric; /* SUITE_NODES nodes of SUITE_NODE_BYTES each */
    struct dm_fabric *other;  /* the same nodes, opened once more (another mapping, another connection) */
    struct dm_sched *sched;   /* NULL: a batch is waited for inside dm_fabric_execute */
    uint32_t slowness;        /* loops are this many times shorter; at least 1 */
    bool remote;              /* what goes beyond a node's memory can be sent, and is refused there */
};

struct fabric_case {
    const char *name; /* a sentence */
    void (*run)(const struct fabric_world *world);
    bool remote; /* only for worlds that are remote */
};

extern const struct fabric_case fabric_cases[];
extern const unsigned fabric_case_count;

/* Runs all cases as a cmocka group; returns how many failed. */
int fabric_suite_run(const char *group, const struct fabric_world *world);

#endif
