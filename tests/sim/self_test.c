/* self_test.c: see self_test.h. Histories are written as rows: kind, began, ended, argument, result. */
#include "self_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "history.h"
#include "report.h"

#define LIMIT 1000000
#define RANDOM_ROUNDS 20000
#define RANDOM_OPS_MAX 9

static struct history_op op(enum history_kind kind, uint64_t began, uint64_t ended, uint64_t argument,
                            uint64_t result) {
    return (struct history_op){.kind = (uint8_t)kind,
                               .began = began,
                               .ended = ended,
                               .unknown = ended == HISTORY_OPEN,
                               .argument = argument,
                               .result = result,
                               .result_count = kind == HISTORY_GET ? 0 : result};
}

#define ROWS 6
struct sample {
    const char *name;
    enum history_verdict verdict;
    uint32_t count;
    struct history_op ops[ROWS];
};

static void judge_samples(void) {
    const struct sample samples[] = {
        {"a read sees the last write", HISTORY_RIGHT, 2, {op(HISTORY_SET, 0, 1, 5, 0), op(HISTORY_GET, 2, 3, 0, 5)}},
        {"a read that misses an acknowledged write",
         HISTORY_WRONG,
         2,
         {op(HISTORY_SET, 0, 1, 5, 0), op(HISTORY_GET, 2, 3, 0, 0)}},
        {"a read beside a write sees either",
         HISTORY_RIGHT,
         3,
         {op(HISTORY_SET, 0, 9, 5, 0), op(HISTORY_GET, 1, 2, 0, 0), op(HISTORY_GET, 3, 4, 0, 5)}},
        {"a value that was seen goes away again",
         HISTORY_WRONG,
         3,
         {op(HISTORY_SET, 0, 9, 5, 0), op(HISTORY_GET, 1, 2, 0, 5), op(HISTORY_GET, 3, 4, 0, 0)}},
        {"an unknown write may show late",
         HISTORY_RIGHT,
         3,
         {op(HISTORY_SET, 0, HISTORY_OPEN, 5, 0), op(HISTORY_GET, 1, 2, 0, 0), op(HISTORY_GET, 3, 4, 0, 5)}},
        {"an unknown write shows twice",
         HISTORY_WRONG,
         5,
         {op(HISTORY_SET, 0, HISTORY_OPEN, 5, 0), op(HISTORY_GET, 1, 2, 0, 5), op(HISTORY_SET, 3, 4, 6, 0),
          op(HISTORY_GET, 5, 6, 0, 6), op(HISTORY_GET, 7, 8, 0, 5)}},
        {"a lost increment", HISTORY_WRONG, 2, {op(HISTORY_INCR, 0, 3, 0, 1), op(HISTORY_INCR, 1, 2, 0, 1)}},
        {"two deletes of one value",
         HISTORY_WRONG,
         3,
         {op(HISTORY_SET, 0, 1, 5, 0), op(HISTORY_DELETE, 2, 5, 0, 1), op(HISTORY_DELETE, 3, 4, 0, 1)}},
        {"two winners of SETNX", HISTORY_WRONG, 2, {op(HISTORY_SETNX, 0, 3, 5, 1), op(HISTORY_SETNX, 1, 2, 6, 1)}},
        {"SETNX between two deletes",
         HISTORY_RIGHT,
         4,
         {op(HISTORY_SETNX, 0, 1, 5, 1), op(HISTORY_DELETE, 2, 3, 0, 1), op(HISTORY_SETNX, 4, 7, 6, 1),
          op(HISTORY_DELETE, 5, 6, 0, 1)}},
        {"a blind write lost behind an increment",
         HISTORY_WRONG,
         4,
         {op(HISTORY_SET, 0, 1, 16, 0), op(HISTORY_SET, 2, 5, 32, 0), op(HISTORY_INCR, 3, 4, 0, 17),
          op(HISTORY_GET, 6, 7, 0, 17)}},
        {"a read of a value that nobody wrote",
         HISTORY_WRONG,
         2,
         {op(HISTORY_SET, 0, 1, 5, 0), op(HISTORY_GET, 2, 3, 0, 7)}},
    };
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        struct sample sample = samples[i];
        uint32_t stuck;
        report_case(history_linearizable(sample.ops, sample.count, LIMIT, &stuck) == sample.verdict, "search: %s",
                    sample.name);
        if (history_zones_apply(sample.ops, sample.count)) {
            report_case(history_zones(sample.ops, sample.count) == sample.verdict, "zones: %s", sample.name);
        }
    }
}

/* A history of SETs with distinct values and GETs, some of it nonsense. */
static uint32_t draw_history(struct prng *prng, struct history_op *ops) {
    uint64_t places[RANDOM_OPS_MAX * 2];
    uint32_t count = 1 + (uint32_t)prng_below(prng, RANDOM_OPS_MAX);
    for (uint32_t i = 0; i < count * 2; i++) {
        uint32_t j = (uint32_t)prng_below(prng, i + 1);
        places[i] = places[j];
        places[j] = i;
    }
    uint32_t writes = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t a = places[i * 2];
        uint64_t b = places[i * 2 + 1];
        bool write = prng_chance(prng, 40);
        ops[i] = op(write ? HISTORY_SET : HISTORY_GET, a < b ? a : b, a < b ? b : a, 0, 0);
        if (write) {
            ops[i].argument = ++writes;
            if (prng_chance(prng, 20)) {
                ops[i].unknown = true;
                ops[i].ended = HISTORY_OPEN;
            }
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        if (ops[i].kind == HISTORY_GET) {
            ops[i].result = prng_below(prng, writes + 1);
        }
    }
    return count;
}

static void compare_checkers(void) {
    struct prng prng = {.state = 1};
    uint32_t verdicts[3] = {0};
    uint32_t differences = 0;
    for (uint32_t round = 0; round < RANDOM_ROUNDS; round++) {
        struct history_op ops[RANDOM_OPS_MAX];
        uint32_t stuck;
        uint32_t count = draw_history(&prng, ops);
        enum history_verdict search = history_linearizable(ops, count, LIMIT, &stuck);
        enum history_verdict zones = history_zones(ops, count);
        verdicts[search]++;
        if (search != zones && differences++ == 0) {
            printf("search says %d, zones say %d:\n", search, zones);
            for (uint32_t i = 0; i < count; i++) {
                history_print(&ops[i]);
            }
        }
    }
    report_case(differences == 0, "both checkers agree on %u random histories (%u right, %u wrong)", RANDOM_ROUNDS,
                verdicts[HISTORY_RIGHT], verdicts[HISTORY_WRONG]);
    report_case(verdicts[HISTORY_RIGHT] > RANDOM_ROUNDS / 20 && verdicts[HISTORY_WRONG] > RANDOM_ROUNDS / 20,
                "random histories are of both kinds");
}

static void judge_expiry(void) {
    uint32_t stuck;
    struct history_op ops[2] = {op(HISTORY_SET, 0, 1, 5, 0), op(HISTORY_GET, 2, 3, 0, 0)};
    ops[0].expire_ms = 100;
    ops[1].wall_low_ms = 90;
    ops[1].wall_high_ms = 99;
    report_case(history_linearizable(ops, 2, LIMIT, &stuck) == HISTORY_WRONG,
                "a value is gone before any clock says so");
    ops[1].wall_high_ms = 100;
    report_case(history_linearizable(ops, 2, LIMIT, &stuck) == HISTORY_RIGHT, "a value is gone when one clock says so");
    ops[1].wall_low_ms = 100;
    ops[1].result = 5;
    report_case(history_linearizable(ops, 2, LIMIT, &stuck) == HISTORY_WRONG, "a value is there after its time");
}

int self_test(void) {
    judge_samples();
    judge_expiry();
    compare_checkers();
    return report_finish();
}
