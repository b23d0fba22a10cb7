/* history_many.c: see history_many.h. */
#include "history_many.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assert.h"

#define WORDS (MANY_OPS_MAX / 64)
#define TABLE_FIRST 4096u

/* What was executed, and what that has made of the keys. */
struct node {
    uint64_t done[WORDS];
    uint64_t value[MANY_KEYS_MAX];
};

struct search {
    const struct many_op *ops;
    uint32_t count;
    uint64_t steps, limit;
    uint32_t furthest; /* known operations executed, at most; and the first one that was not then */
    uint32_t stuck;
    struct node *table; /* seen before; open addressing, all zero: free */
    uint64_t capacity, used;
};

static uint64_t node_hash(const struct node *node) {
    uint64_t hash = 1;
    const uint64_t *words = (const uint64_t *)node;
    for (size_t i = 0; i < sizeof *node / sizeof *words; i++) {
        hash = history_scramble(hash ^ words[i]);
    }
    return hash;
}

static bool table_put(struct node *table, uint64_t capacity, const struct node *node) {
    static const struct node none;
    for (uint64_t at = node_hash(node) & (capacity - 1);; at = (at + 1) & (capacity - 1)) {
        if (memcmp(&table[at], &none, sizeof none) == 0) {
            table[at] = *node;
            return true;
        }
        if (memcmp(&table[at], node, sizeof *node) == 0) {
            return false;
        }
    }
}

/* False: it was there. */
static bool is_new(struct search *search, const struct node *node) {
    if (search->used * 2 >= search->capacity) {
        uint64_t capacity = search->capacity == 0 ? TABLE_FIRST : search->capacity * 2;
        struct node *larger = calloc(capacity, sizeof *larger);
        static const struct node none;
        dm_assert(larger != NULL);
        for (uint64_t i = 0; i < search->capacity; i++) {
            if (memcmp(&search->table[i], &none, sizeof none) != 0) {
                (void)table_put(larger, capacity, &search->table[i]);
            }
        }
        free(search->table);
        search->table = larger;
        search->capacity = capacity;
    }
    bool put = table_put(search->table, search->capacity, node);
    search->used += put;
    return put;
}

/* Executes the operation; false when what it saw does not allow it here. */
static bool execute(const struct many_op *op, uint64_t *value) {
    bool any = false;
    for (uint32_t k = 0; k < MANY_KEYS_MAX; k++) {
        if (op->saw[k] && op->seen[k] != value[k]) {
            return false;
        }
        any |= op->effect[k] != MANY_NOTHING && value[k] != 0;
    }
    for (uint32_t k = 0; k < MANY_KEYS_MAX && !(op->if_absent && any); k++) {
        if (op->effect[k] != MANY_NOTHING) {
            value[k] = op->effect[k] == MANY_SET ? op->written[k] : 0;
        }
    }
    return true;
}

static bool is_done(const struct node *node, uint32_t i) { return (node->done[i / 64] >> (i % 64) & 1) != 0; }

static bool search_from(struct search *search, const struct node *node) {
    uint64_t first_end = HISTORY_OPEN; /* nothing that began behind it may go before it */
    uint32_t known = 0;
    uint32_t open = 0;
    for (uint32_t i = 0; i < search->count; i++) {
        bool is_known = !search->ops[i].unknown;
        if (is_known && !is_done(node, i)) {
            first_end = search->ops[i].ended < first_end ? search->ops[i].ended : first_end;
            search->stuck = open++ == 0 && known >= search->furthest ? i : search->stuck;
        }
        known += is_known && is_done(node, i);
    }
    search->furthest = known > search->furthest ? known : search->furthest;
    if (open == 0) {
        return true;
    }
    for (uint32_t i = 0; i < search->count && search->ops[i].began <= first_end; i++) {
        struct node next = *node;
        if (is_done(node, i) || ++search->steps > search->limit || !execute(&search->ops[i], next.value)) {
            continue;
        }
        next.done[i / 64] |= UINT64_C(1) << (i % 64);
        if (is_new(search, &next) && search_from(search, &next)) {
            return true;
        }
    }
    return false;
}

static int compare_began(const void *a, const void *b) {
    const struct many_op *x = a;
    const struct many_op *y = b;
    return x->began < y->began ? -1 : x->began > y->began;
}

enum history_verdict history_many(struct many_op *ops, uint32_t count, uint64_t limit, uint32_t *stuck) {
    dm_assert(count <= MANY_OPS_MAX);
    struct search search = {.ops = ops, .count = count, .limit = limit};
    struct node start = {0};
    qsort(ops, count, sizeof *ops, compare_began);
    bool right = search_from(&search, &start);
    free(search.table);
    *stuck = search.stuck;
    return right ? HISTORY_RIGHT : search.steps > limit ? HISTORY_TOO_HARD : HISTORY_WRONG;
}

void many_op_print(const struct many_op *op) {
    printf("%8" PRIu64 " - %-8" PRId64 " client %u%s%s:", op->began,
           op->ended == HISTORY_OPEN ? -1 : (int64_t)op->ended, op->client, op->unknown ? ", unknown" : "",
           op->if_absent ? ", if absent" : "");
    for (uint32_t k = 0; k < MANY_KEYS_MAX; k++) {
        if (op->saw[k]) {
            printf("  %u was %" PRIu64, k, op->seen[k]);
        }
        if (op->effect[k] != MANY_NOTHING) {
            printf("  %u := %" PRIu64, k, op->effect[k] == MANY_SET ? op->written[k] : 0);
        }
    }
    printf("\n");
}
