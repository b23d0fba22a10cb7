/* main.c: runs the table of runs.h rows and says which verdicts are as expected. `model` runs what ends quickly,
 * LONG=1 everything, `model NAME...` those runs, with their counterexamples. Exit 1 on any unexpected verdict.
 * Columns: run, replicas, program (a client between bars; small letters: the second key), slots at the start, states,
 * seconds, verdict.
 */
#include <stdlib.h>
#include <string.h>

#include "run_rows.h"

#define STATES_SHORT_MAX UINT64_C(6000000)
#define STATES_LONG_MAX UINT64_C(60000000) /* 2 GB at most */
#define SECONDS_SHORT_MAX 60.0
#define SECONDS_LONG_MAX 600.0

static const struct run *const run_tables[] = {
    runs_one_slot, runs_reuse, runs_inserts, runs_keys, runs_expiry, runs_crash, runs_failover, NULL,
};

struct totals {
    uint32_t passed, failed;
    uint64_t states;
    double seconds;
};

static void print_row(const struct run *run, const struct explore_result *result, bool good) {
    char verdict[200];
    char program[40];
    bool reuse = run->bucket.program == NULL;
    const char *cut = result->verdict == EXPLORE_CUT ? ">" : " ";
    switch (result->verdict) {
    case EXPLORE_RIGHT:
        snprintf(verdict, sizeof verdict, "right");
        break;
    case EXPLORE_CUT:
        snprintf(verdict, sizeof verdict, "no error so far (cut)");
        break;
    case EXPLORE_VIOLATED:
        snprintf(verdict, sizeof verdict, "FAILS: %s", result->violation);
        break;
    }
    snprintf(program, sizeof program, "%s", reuse ? run->reuse.program : run->bucket.program);
    printf("%s %-28s %u %-12s %-4s %s%9llu %6.2f s  %s%s\n", good ? "ok  " : "BAD ", run->name,
           reuse ? 2 : run->bucket.replicas, program, reuse ? "" : run->bucket.slots, cut,
           (unsigned long long)result->states, result->seconds, verdict, good ? "" : "  <-- not expected");
}

static struct explore_result explore(const struct run *run, bool lengthy, FILE *trace) {
    struct explore_limits limits = {
        .states = lengthy ? STATES_LONG_MAX : STATES_SHORT_MAX,
        .seconds = lengthy ? SECONDS_LONG_MAX : SECONDS_SHORT_MAX,
        .every_state_ends = (run->class & RUN_ENDS) != 0,
        .trace = trace,
    };
    struct explore_result result = {.verdict = EXPLORE_VIOLATED};
    const char *error = NULL;
    if (run->bucket.program == NULL) {
        struct reuse *reuse = reuse_open(&run->reuse, &error);
        if (reuse != NULL) {
            struct explore_model model = reuse_model(reuse);
            result = explore_run(&model, &limits);
            reuse_close(reuse);
        }
    } else {
        struct bucket *bucket = bucket_open(&run->bucket, &error);
        if (bucket != NULL) {
            struct explore_model model = bucket_model(bucket);
            result = explore_run(&model, &limits);
            bucket_close(bucket);
        }
    }
    if (error != NULL) {
        snprintf(result.violation, sizeof result.violation, "bad row: %s", error);
        result.depth = 0;
    }
    return result;
}

static bool as_expected(const struct run *run, const struct explore_result *result) {
    switch (run->expectation) {
    case MUST_PASS:
        return result->verdict == EXPLORE_RIGHT;
    case MUST_BREAK:
        return result->verdict == EXPLORE_VIOLATED && result->depth != 0;
    case MAY_BE_CUT:
        return result->verdict != EXPLORE_VIOLATED;
    }
    return false;
}

static void run_row(const struct run *run, bool lengthy, bool tell, struct totals *totals) {
    bool surprise = run->expectation != MUST_BREAK;
    struct explore_result result = explore(run, lengthy, tell || surprise ? stdout : NULL);
    bool good = as_expected(run, &result);
    print_row(run, &result, good);
    fflush(stdout);
    totals->passed += good;
    totals->failed += !good;
    totals->states += result.states;
    totals->seconds += result.seconds;
}

static bool wanted(const struct run *run, int names, char **name, bool lengthy) {
    if (names == 0) {
        return lengthy || (run->class & RUN_LONG) == 0;
    }
    for (int i = 0; i < names; i++) {
        if (strcmp(run->name, name[i]) == 0) {
            return true;
        }
    }
    return false;
}

int main(int count, char **arguments) {
    const char *setting = getenv("LONG");
    bool lengthy = setting != NULL && setting[0] != 0;
    struct totals totals = {0};
    for (const struct run *const *table = run_tables; *table != NULL; table++) {
        for (const struct run *run = *table; run->name != NULL; run++) {
            if (run->heading) {
                if (count == 1) {
                    printf("-- %s\n", run->name);
                }
            } else if (wanted(run, count - 1, arguments + 1, lengthy)) {
                run_row(run, lengthy || (run->class & RUN_LONG) != 0, count > 1, &totals);
            }
        }
    }
    printf("%llu states in %.1f s\n", (unsigned long long)totals.states, totals.seconds);
    printf("%u passed, %u failed\n", totals.passed, totals.failed);
    return totals.failed != 0 || totals.passed == 0;
}
