/* judge.c: see judge.h. */
#include "judge.h"

#include <stdio.h>
#include <stdlib.h>

#include "workload.h"
#include "workload_many.h"

#define SEARCH_STEPS_MAX 40000000

static int compare_keys(const void *a, const void *b) {
    const struct history_op *x = a;
    const struct history_op *y = b;
    return x->key != y->key ? (x->key < y->key ? -1 : 1) : x->began < y->began ? -1 : x->began > y->began;
}

static void explain(struct world *world, const struct history_op *ops, uint32_t count, uint32_t stuck) {
    struct dm_key name = workload_key(world, ops[0].key);
    printf("history of %.*s around the operation that nothing explains (marked):\n", (int)name.length,
           (const char *)name.bytes);
    uint32_t from = stuck < 25 ? 0 : stuck - 25;
    for (uint32_t i = from; i < count && i < stuck + 12; i++) {
        printf("%s", i == stuck ? "->" : "  ");
        history_print(&ops[i]);
    }
}

static bool check_key(struct world *world, struct history_op *ops, uint32_t count) {
    uint32_t stuck = 0;
    enum history_verdict verdict = history_linearizable(ops, count, SEARCH_STEPS_MAX, &stuck);
    if (history_zones_apply(ops, count)) {
        enum history_verdict zones = history_zones(ops, count);
        if (verdict != HISTORY_TOO_HARD && zones != verdict) {
            explain(world, ops, count, stuck);
            world_fail(world, "the two checkers disagree: search %d, zones %d", verdict, zones);
        }
        verdict = zones;
    }
    if (verdict == HISTORY_WRONG) {
        explain(world, ops, count, stuck);
        world_fail(world, "not linearizable");
    }
    return verdict == HISTORY_TOO_HARD;
}

uint32_t judge_histories(struct world *world) {
    uint32_t too_hard = 0;
    uint32_t count = 0;
    workload_end_all(world);
    for (uint32_t i = 0; i < world->op_count; i++) {
        if (world->ops[i].key != UINT32_MAX) {
            world->ops[count++] = world->ops[i];
        }
    }
    qsort(world->ops, count, sizeof *world->ops, compare_keys);
    for (uint32_t i = 0; i < count;) {
        uint32_t j = i;
        while (j < count && world->ops[j].key == world->ops[i].key) {
            j++;
        }
        too_hard += check_key(world, &world->ops[i], j - i);
        i = j;
    }
    world->op_count = count;
    return too_hard + many_judge(world);
}
