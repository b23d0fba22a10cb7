/* history_zones.c: the zone test of Gibbons and Korach, for histories of GETs and SETs with distinct values. See
 * history.h. */
#include <stdlib.h>

#include "assert.h"
#include "history.h"

/* All operations on one value. Its zone reaches from the first end to the last begin (forward), or, when some instant
 * lies in all of its operations, from the last begin to the first end (backward). */
struct zone {
    uint64_t low, high;
    bool forward;
};

struct cluster {
    uint64_t value;
    uint64_t write_began, first_end, last_begin;
    uint64_t first_read_end;
    bool written, read;
};

static int compare_values(const void *a, const void *b) {
    const struct history_op *x = *(const struct history_op *const *)a;
    const struct history_op *y = *(const struct history_op *const *)b;
    uint64_t p = x->kind == HISTORY_SET ? x->argument : x->result;
    uint64_t q = y->kind == HISTORY_SET ? y->argument : y->result;
    return p < q ? -1 : p > q;
}

static int compare_zones(const void *a, const void *b) {
    uint64_t x = ((const struct zone *)a)->low;
    uint64_t y = ((const struct zone *)b)->low;
    return x < y ? -1 : x > y;
}

bool history_zones_apply(const struct history_op *ops, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (ops[i].kind > HISTORY_SET || ops[i].expire_ms != 0 || (ops[i].kind == HISTORY_GET && ops[i].unknown)) {
            return false;
        }
    }
    return true;
}

static void cluster_add(struct cluster *cluster, const struct history_op *op) {
    bool is_write = op->kind == HISTORY_SET;
    uint64_t ended = op->unknown ? HISTORY_OPEN : op->ended + 1; /* 0 is before all */
    uint64_t began = op->began + 1;
    if (is_write) {
        cluster->written = true;
        cluster->write_began = began;
    } else {
        cluster->read = true;
        cluster->first_read_end = ended < cluster->first_read_end ? ended : cluster->first_read_end;
    }
    cluster->first_end = ended < cluster->first_end ? ended : cluster->first_end;
    cluster->last_begin = began > cluster->last_begin ? began : cluster->last_begin;
}

/* Forward zones must not overlap, and no backward zone may lie within a forward one. */
static bool zones_agree(struct zone *zones, uint32_t count) {
    qsort(zones, count, sizeof *zones, compare_zones);
    uint64_t reach = 0; /* the highest end of a forward zone so far, and so of any that is open here */
    bool any = false;
    for (uint32_t i = 0; i < count; i++) {
        if (zones[i].forward) {
            if (any && zones[i].low < reach) {
                return false;
            }
            any = true;
            reach = zones[i].high;
        } else if (any && zones[i].high < reach) {
            return false;
        }
    }
    return true;
}

enum history_verdict history_zones(const struct history_op *ops, uint32_t count) {
    const struct history_op **sorted = calloc((size_t)count + 1, sizeof *sorted);
    struct zone *zones = calloc((size_t)count + 1, sizeof *zones);
    dm_assert(sorted != NULL && zones != NULL);
    uint32_t zone_count = 0;
    bool right = true;
    for (uint32_t i = 0; i < count; i++) {
        sorted[i] = &ops[i];
    }
    qsort(sorted, count, sizeof *sorted, compare_values);
    for (uint32_t i = 0; i < count && right;) {
        uint32_t j = i;
        uint64_t value = sorted[i]->kind == HISTORY_SET ? sorted[i]->argument : sorted[i]->result;
        struct cluster cluster = {.value = value, .first_end = HISTORY_OPEN, .first_read_end = HISTORY_OPEN};
        bool lost = true; /* only a write of unknown outcome that nobody has read: it may never have happened */
        if (value == 0) { /* the beginning: written before all */
            cluster.written = true;
            cluster.first_end = 0;
        }
        for (; j < count && compare_values(&sorted[i], &sorted[j]) == 0; j++) {
            cluster_add(&cluster, sorted[j]);
            lost &= sorted[j]->unknown;
        }
        i = j;
        if (lost && value != 0) {
            continue;
        }
        right = cluster.written && !(cluster.read && cluster.first_read_end < cluster.write_began);
        bool forward = cluster.first_end < cluster.last_begin;
        zones[zone_count++] = (struct zone){
            .low = forward ? cluster.first_end : cluster.last_begin,
            .high = forward ? cluster.last_begin : cluster.first_end,
            .forward = forward,
        };
    }
    right = right && zones_agree(zones, zone_count);
    free(sorted);
    free(zones);
    return right ? HISTORY_RIGHT : HISTORY_WRONG;
}
