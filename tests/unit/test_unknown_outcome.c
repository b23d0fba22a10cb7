/* test_unknown_outcome.c: commands that write, when the memory nodes are cut off in the middle and stay away: the
 * client is told that the outcome is not known, and later all of the command has happened or nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gateway_call.h"
#include "output.h"
#include "pool_check.h"
#include "trap.h"

#define PLACES_MAX 200u
#define UNKNOWN "-UNKNOWN "

static void run_finish(const struct gateway_call *run, struct trap *trap) {
    for (uint32_t ms = 0; ms < 20000 && !run->ended; ms++) {
        world_run(trap->world);
        world_poll(trap->world, MS);
    }
    assert_true(run->ended);
}

static const struct tried {
    const char *command;
    const char *before[3], *after[3]; /* of the keys a, b, c; NULL: absent */
} tries[] = {
    {"set a 2", {"1", NULL, NULL}, {"2", NULL, NULL}},
    {"del a", {"1", NULL, NULL}, {NULL, NULL, NULL}},
    {"del a b c", {"1", "2", NULL}, {NULL, NULL, NULL}},
    {"unlink b a", {"1", "2", "3"}, {NULL, NULL, "3"}},
    {"rename a b", {"1", "2", NULL}, {NULL, "1", NULL}},
    {"rename a c", {"1", "2", NULL}, {NULL, "2", "1"}},
    {"renamenx a c", {"1", "2", NULL}, {NULL, "2", "1"}},
    {"copy a c", {"1", NULL, NULL}, {"1", NULL, "1"}},
    {"copy a b replace", {"1", "2", NULL}, {"1", "1", NULL}},
    {"move a 3", {"1", NULL, NULL}, {NULL, NULL, NULL}},
    {"mset a 5 b 6 c 7", {"1", NULL, "3"}, {"5", "6", "7"}},
    {"msetnx a 5 b 6 c 7", {NULL, NULL, NULL}, {"5", "6", "7"}},
};

static const char *const keys[] = {"a", "b", "c"};

static bool keys_are(struct trap *trap, const char *const values[3]) {
    bool same = true;
    for (size_t k = 0; k < 3; k++) {
        struct call call = call_run(trap->world, W, CALL_GET, keys[k], NULL);
        assert_true(call.status == DM_OK || call.status == DM_NOT_FOUND);
        same &= values[k] == NULL ? call.status == DM_NOT_FOUND
                                  : call.status == DM_OK && strcmp(call.value, values[k]) == 0;
    }
    return same;
}

/* Carries out `places` operations, of node after node, and cuts the session off. False: the command ended before. */
static bool cut_at(struct dm_session *session, uint32_t nodes, uint32_t places) {
    while (gate_batch(session) != NULL) {
        bool any = false;
        if (places == 0) {
            gate_cut(session, true);
            gate_break(session);
            return true;
        }
        for (uint32_t n = nodes; n-- > 0 && !any;) {
            any = gate_apply_next(session, (uint16_t)n);
        }
        places -= any;
        if (!any) {
            gate_pass(session);
        }
    }
    return false;
}

/* True: the command was cut off. */
static bool try_place(const struct tried *tried, uint32_t replicas, uint32_t place, uint32_t *unknown) {
    struct gateway_call run = {.pool = NULL};
    struct trap trap = trap_open(replicas);
    struct dm_session *session = trap_session(&trap, U);
    for (size_t k = 0; k < 3; k++) {
        if (tried->before[k] != NULL) {
            assert_int_equal(world_put(trap.world, U, keys[k], tried->before[k]), DM_OK);
        }
    }
    gate_close(session);
    run.pool = trap.world->pool[U];
    run.sched = trap.world->sched[U];
    run.session = session;
    gateway_call_begin(&run, tried->command);
    bool cut = cut_at(session, replicas, place);
    gate_open(session);
    run_finish(&run, &trap);
    const char *reply = output_peek(&run.output);
    bool told = strncmp(reply, UNKNOWN, strlen(UNKNOWN)) == 0;
    *unknown += told;
    if (cut && !told) { /* before anything was written, or behind the end */
        assert_true(reply[0] != '-' || strncmp(reply, "-CLUSTERDOWN ", 13) == 0);
    }
    bool failed = reply[0] == '-';
    output_free(&run.output);
    gate_cut(session, false);
    world_poll(trap.world, 200 * MS);
    bool before = keys_are(&trap, tried->before);
    bool after = keys_are(&trap, tried->after);
    assert_true(before != after);
    assert_true(told || after == !failed);
    trap.world->fake.warnings = 0; /* they were right */
    trap_close(&trap);
    return cut;
}

static void all_or_nothing_of_a_command_of_unknown_outcome_has_happened(void **state) {
    (void)state;
    for (size_t t = 0; t < sizeof tries / sizeof tries[0]; t++) {
        for (uint32_t r = 2; r <= 3; r++) {
            uint32_t place = 0;
            uint32_t unknown = 0;
            while (place < PLACES_MAX && try_place(&tries[t], r, place, &unknown)) {
                place++;
            }
            assert_true(place < PLACES_MAX);
            assert_true(unknown > 0);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_or_nothing_of_a_command_of_unknown_outcome_has_happened),
    };
    return cmocka_run_group_tests_name("unknown_outcome", tests, NULL, NULL);
}
