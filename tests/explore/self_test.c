/* self_test.c: see self_test.h. */
#include "self_test.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "search.h"

#define WALKS 3000u

/* The outcomes of the reduced search must be those of the whole one, or, where that takes too long, hold those of many
 * walks. */
struct trial {
    struct program program;
    uint32_t replicas;
    bool crash;
    bool whole;
};

#define PRESENT .setup = "x SET k 40"
#define KNOWN .setup = "x SET k 40; u GET k; v GET k"
#define STALE .setup = "u SET k 30; v SET k 35; x SET k 40"

static const struct trial trials[] = {
    {{.name = "SET | GET r=1", PRESENT, .calls = {"SET k 100", "GET k"}}, 1, true, true},
    {{.name = "INCR | INCR r=1", PRESENT, .calls = {"INCR k", "INCR k"}}, 1, true, true},
    {{.name = "DEL | SETNX r=1", PRESENT, .calls = {"DEL k", "SETNX k 200"}}, 1, true, true},
    {{.name = "known DEL JOBS | GET r=2", KNOWN, .calls = {"DEL k; JOBS", "GET k"}}, 2, true, true},
    {{.name = "new SET | GET r=2", .calls = {"SET k 100", "GET k"}}, 2, true, true},
    {{.name = "known SET | SET r=2", KNOWN, .calls = {"SET k 100", "SET k 200"}}, 2, true, false},
    {{.name = "known SET | INCR r=3", KNOWN, .calls = {"SET k 100", "INCR k"}}, 3, true, false},
    {{.name = "stale SET | SET r=3", STALE, .calls = {"SET k 100", "SET k 200"}}, 3, true, false},
    {{.name = "stale INCR | SET, GET r=2", STALE, .calls = {"INCR k", "SET k 100; GET k"}}, 2, true, false},
    {{.name = "new SET | SET r=2", .calls = {"SET k 100", "SET k 200"}}, 2, true, false},
    {{.name = "new SETNX | SETNX r=1", .calls = {"SETNX k 100", "SETNX k 200"}}, 1, true, false},
    {{.name = "SET | INCR | REPAIR r=2", KNOWN, .calls = {"SET k 100", "INCR k", "REPAIR"}}, 2, true, false},
    {{.name = "new SET | SET | REPAIR r=2", .calls = {"SET k 100", "SET k 200", "REPAIR"}}, 2, true, false},
    {{.name = "SET | DEL, JOBS | GET r=2", KNOWN, .calls = {"SET k 100", "DEL k; JOBS", "GET k"}}, 2, false, false},
    {{.name = "INCR | INCR | INCR r=2", KNOWN, .calls = {"INCR k", "INCR k", "INCR k"}}, 2, false, false},
};

/* Is every outcome of `part` one of `whole`? Both are sorted. */
static bool is_within(const struct search_result *part, const struct search_result *whole) {
    uint32_t j = 0;
    for (uint32_t i = 0; i < part->outcome_count; i++) {
        while (j < whole->outcome_count && whole->outcomes[j] < part->outcomes[i]) {
            j++;
        }
        if (j == whole->outcome_count || whole->outcomes[j] != part->outcomes[i]) {
            return false;
        }
    }
    return true;
}

int self_test(void) {
    uint32_t passed = 0;
    uint32_t failed = 0;
    for (size_t i = 0; i < sizeof trials / sizeof trials[0]; i++) {
        const struct trial *trial = &trials[i];
        struct search_options how = {.crash = trial->crash, .tell = true};
        struct search_result reduced = search_run(&trial->program, trial->replicas, &how);
        how.unreduced = trial->whole;
        how.walks = trial->whole ? 0 : WALKS;
        struct search_result other = search_run(&trial->program, trial->replicas, &how);
        bool right = reduced.fault[0] == 0 && other.fault[0] == 0 && is_within(&other, &reduced) &&
                     (!trial->whole || is_within(&reduced, &other));
        printf("%s - %-28s %6" PRIu64 " schedules, %3u outcomes; %s %6" PRIu64 ", %3u %s%s\n", right ? "ok" : "FAIL",
               trial->program.name, reduced.schedules, reduced.outcome_count, trial->whole ? "whole" : "walks",
               other.schedules, other.outcome_count, reduced.fault, other.fault);
        passed += right;
        failed += !right;
        free(reduced.outcomes);
        free(other.outcomes);
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed != 0;
}
