/* self_test_many.c: the checker for several keys (history_many.h) tells right histories from wrong ones. Called by
 * self_test.c. */
#include <string.h>

#include "history_many.h"
#include "report.h"
#include "self_test.h"

#define LIMIT 100000
#define ROWS 5

/* "r": what it saw of keys 0 and 1, -1: did not look. "w": what it wrote, -1: nothing, 0: deleted. */
struct row {
    uint64_t began, ended;
    int r[2], w[2];
    bool if_absent;
};

struct sample {
    const char *name;
    enum history_verdict verdict;
    uint32_t count;
    struct row rows[ROWS];
};

static struct many_op op_of(const struct row *row) {
    struct many_op op = {.began = row->began, .ended = row->ended, .if_absent = row->if_absent};
    op.unknown = row->ended == HISTORY_OPEN;
    for (uint32_t k = 0; k < 2; k++) {
        op.saw[k] = row->r[k] >= 0;
        op.seen[k] = op.saw[k] ? (uint64_t)row->r[k] : 0;
        op.effect[k] = (uint8_t)(row->w[k] < 0 ? MANY_NOTHING : row->w[k] == 0 ? MANY_DELETE : MANY_SET);
        op.written[k] = row->w[k] > 0 ? (uint64_t)row->w[k] : 0;
    }
    return op;
}

static const struct sample samples[] = {
    {"both keys are seen written", HISTORY_RIGHT, 2, {{0, 1, {-1, -1}, {5, 6}, 0}, {2, 3, {5, 6}, {-1, -1}, 0}}},
    {"half of a transaction is seen", HISTORY_WRONG, 2, {{0, 1, {-1, -1}, {5, 6}, 0}, {2, 3, {5, 0}, {-1, -1}, 0}}},
    {"a key is new and another one old later",
     HISTORY_WRONG,
     3,
     {{0, 9, {-1, -1}, {5, 6}, 0}, {1, 2, {5, -1}, {-1, -1}, 0}, {3, 4, {-1, 0}, {-1, -1}, 0}}},
    {"write skew", HISTORY_WRONG, 2, {{0, 9, {0, 0}, {5, -1}, 0}, {1, 8, {0, 0}, {-1, 6}, 0}}},
    {"no skew: one comes first", HISTORY_RIGHT, 2, {{0, 9, {0, 0}, {5, -1}, 0}, {1, 8, {5, 0}, {-1, 6}, 0}}},
    {"an unknown transaction shows whole, late",
     HISTORY_RIGHT,
     3,
     {{0, HISTORY_OPEN, {-1, -1}, {5, 6}, 0}, {1, 2, {0, 0}, {-1, -1}, 0}, {3, 4, {5, 6}, {-1, -1}, 0}}},
    {"an unknown transaction shows half",
     HISTORY_WRONG,
     2,
     {{0, HISTORY_OPEN, {-1, -1}, {5, 6}, 0}, {1, 2, {5, 0}, {-1, -1}, 0}}},
    {"an unknown transaction shows twice",
     HISTORY_WRONG,
     4,
     {{0, HISTORY_OPEN, {-1, -1}, {5, 6}, 0},
      {1, 2, {5, 6}, {-1, -1}, 0},
      {3, 4, {-1, -1}, {0, 7}, 0},
      {5, 6, {5, 6}, {-1, -1}, 0}}},
    {"only-if-absent writes nothing where one is there",
     HISTORY_RIGHT,
     3,
     {{0, 1, {-1, -1}, {5, -1}, 0}, {2, 3, {5, 0}, {7, 8}, 1}, {4, 5, {5, 0}, {-1, -1}, 0}}},
    {"only-if-absent writes although one is there",
     HISTORY_WRONG,
     3,
     {{0, 1, {-1, -1}, {5, -1}, 0}, {2, 3, {5, 0}, {7, 8}, 1}, {4, 5, {7, 8}, {-1, -1}, 0}}},
    {"two reads disagree on the order of two writes",
     HISTORY_WRONG,
     4,
     {{0, 9, {-1, -1}, {5, -1}, 0},
      {0, 9, {-1, -1}, {-1, 6}, 0},
      {1, 2, {5, 0}, {-1, -1}, 0},
      {3, 4, {0, 6}, {-1, -1}, 0}}},
};

void self_test_many(void) {
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        struct many_op ops[ROWS];
        uint32_t stuck;
        for (uint32_t k = 0; k < samples[i].count; k++) {
            ops[k] = op_of(&samples[i].rows[k]);
        }
        report_case(history_many(ops, samples[i].count, LIMIT, &stuck) == samples[i].verdict, "many keys: %s",
                    samples[i].name);
    }
}
