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
        report_case(history_search(sample.ops, sample.count, LIMIT, &stuck) == sample.verdict, "search: %s",
                    sample.name);
        report_case(history_sweep(sample.ops, sample.count, LIMIT, &stuck) == sample.verdict, "sweep: %s", sample.name);
        if (history_zones_apply(sample.ops, sample.count)) {
            report_case(history_zones(sample.ops, sample.count) == sample.verdict, "zones: %s", sample.name);
        }
    }
}

/* Draws begins and ends for `count` operations, GETs for now. */
static void draw_times(struct prng *prng, struct history_op *ops, uint32_t count) {
    uint64_t places[RANDOM_OPS_MAX * 2];
    for (uint32_t i = 0; i < count * 2; i++) {
        uint32_t j = (uint32_t)prng_below(prng, i + 1);
        places[i] = places[j];
        places[j] = i;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint64_t a = places[i * 2];
        uint64_t b = places[i * 2 + 1];
        ops[i] = op(HISTORY_GET, a < b ? a : b, a < b ? b : a, 0, 0);
    }
}

/* A history of SETs with distinct values and GETs, some of it nonsense. */
static uint32_t draw_history(struct prng *prng, struct history_op *ops) {
    uint32_t count = 1 + (uint32_t)prng_below(prng, RANDOM_OPS_MAX);
    uint32_t writes = 0;
    draw_times(prng, ops, count);
    for (uint32_t i = 0; i < count; i++) {
        if (prng_chance(prng, 40)) {
            ops[i].kind = HISTORY_SET;
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

/* A history of operations of all kinds, some of it nonsense; now and then with expiry. */
static uint32_t draw_mixed(struct prng *prng, struct history_op *ops) {
    uint32_t count = 1 + (uint32_t)prng_below(prng, RANDOM_OPS_MAX);
    bool expiring = prng_chance(prng, 20);
    draw_times(prng, ops, count);
    for (uint32_t i = 0; i < count; i++) {
        ops[i].kind = (uint8_t)prng_below(prng, HISTORY_GETDEL + 1);
        ops[i].argument = (1 + prng_below(prng, 3)) * 10;
        ops[i].result = prng_chance(prng, 50) ? prng_below(prng, 2) : (1 + prng_below(prng, 3)) * 10;
        ops[i].result_count = prng_below(prng, 2);
        if (ops[i].kind != HISTORY_GET && prng_chance(prng, 20)) {
            ops[i].unknown = true;
            ops[i].ended = HISTORY_OPEN;
        }
        if (expiring) {
            ops[i].wall_low_ms = 100 + (int64_t)prng_below(prng, 10);
            ops[i].wall_high_ms = ops[i].wall_low_ms + (int64_t)prng_below(prng, 10);
            ops[i].expire_ms = ops[i].kind == HISTORY_SET ? 100 + (int64_t)prng_below(prng, 20) : 0;
        }
    }
    return count;
}

/* The definition, without any shortcut: some operation that no end of another one precedes comes next. */
static bool any_order(const struct history_op *ops, uint32_t count, uint32_t done, const struct history_state *state) {
    uint64_t first_end = HISTORY_OPEN;
    for (uint32_t i = 0; i < count; i++) {
        if ((done >> i & 1) == 0 && !ops[i].unknown && ops[i].ended < first_end) {
            first_end = ops[i].ended;
        }
    }
    if (first_end == HISTORY_OPEN) {
        return true;
    }
    for (uint32_t i = 0; i < count * 2; i++) {
        struct history_state after = *state;
        const struct history_op *op = &ops[i / 2];
        if ((done >> (i / 2) & 1) == 0 && op->began < first_end && history_step(op, i % 2 != 0, &after) &&
            any_order(ops, count, done | 1u << i / 2, &after)) {
            return true;
        }
    }
    return false;
}

static void compare_search_and_sweep(void) {
    struct prng prng = {.state = 2};
    uint32_t verdicts[3] = {0};
    uint32_t differences = 0;
    for (uint32_t round = 0; round < RANDOM_ROUNDS * 3; round++) {
        struct history_op ops[RANDOM_OPS_MAX];
        uint32_t stuck;
        uint32_t count = prng_chance(&prng, 30) ? draw_history(&prng, ops) : draw_mixed(&prng, ops);
        enum history_verdict search = history_search(ops, count, LIMIT, &stuck);
        enum history_verdict sweep = history_sweep(ops, count, LIMIT, &stuck);
        enum history_verdict both = history_linearizable(ops, count, LIMIT, &stuck);
        struct history_state absent = {0};
        enum history_verdict truth = any_order(ops, count, 0, &absent) ? HISTORY_RIGHT : HISTORY_WRONG;
        verdicts[truth]++;
        if ((search != truth || sweep != truth || both != truth) && differences++ == 0) {
            printf("search says %d, sweep %d, both %d, and %d is right:\n", search, sweep, both, truth);
            for (uint32_t i = 0; i < count; i++) {
                history_print(&ops[i]);
            }
        }
    }
    report_case(differences == 0,
                "search and sweep agree with the definition on %u random histories (%u right, %u wrong)",
                RANDOM_ROUNDS * 3, verdicts[HISTORY_RIGHT], verdicts[HISTORY_WRONG]);
}

static void compare_checkers(void) {
    struct prng prng = {.state = 1};
    uint32_t verdicts[3] = {0};
    uint32_t differences = 0;
    for (uint32_t round = 0; round < RANDOM_ROUNDS; round++) {
        struct history_op ops[RANDOM_OPS_MAX];
        uint32_t stuck;
        uint32_t count = draw_history(&prng, ops);
        enum history_verdict search = history_search(ops, count, LIMIT, &stuck);
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
    compare_search_and_sweep();
    self_test_many();
    return report_finish();
}
