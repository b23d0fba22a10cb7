/* test_transaction_crash.c: a client that dies at any verb of a transaction, and its repair: all of it has happened, or
 * nothing; alone, and with operations of clients that live under way at the same time. LONG=1: all pools for these. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crash.h"
#include "fusee/session.h"
#include "transact_call.h"

static bool is_long(void) { return getenv("LONG") != NULL && getenv("LONG")[0] != 0; }

/* Transactions on keys a, b, c; values before and after, "" is absent. */
struct scene {
    const char *name;
    const char *before[3];
    struct transact_step steps[3];
    const char *after[3];
};

static const char *const names[3] = {"a", "b", "c"};
static const struct scene scenes[] = {
    {"update", {"1", "1", "1"}, {{"a", "2"}, {"b", "2"}, {"c", NULL}}, {"2", "2", "1"}},
    {"insert", {"1", "", ""}, {{"a", "2"}, {"b", "2"}, {"c", NULL}}, {"2", "2", ""}},
    {"delete", {"1", "1", ""}, {{"a", ""}, {"b", "2"}, {"c", "2"}}, {"", "2", "2"}},
};
#define SCENES (sizeof scenes / sizeof scenes[0])

struct run {
    struct crash crash;
    const struct scene *scene;
    struct transact_call *call; /* a dead coroutine may still write to it */
    bool acknowledged;
};

static void run_begin(struct run *run, const struct crash_pool *pool, const struct scene *scene) {
    *run = (struct run){.crash = crash_open(pool), .scene = scene, .call = calloc(1, sizeof *run->call)};
    for (uint32_t k = 0; k < 3; k++) {
        if (scene->before[k][0] != 0) {
            assert_int_equal(world_put(run->crash.world, U, names[k], scene->before[k]), DM_OK);
        }
    }
    *run->call = transact_make(run->crash.world, U, scene->steps, 3);
    gate_close(run->crash.world->session[U]);
    transact_begin(run->call);
}

/* Behind the reply what is left of it is the session's: a poll starts that. */
static enum crash_result run_to_crash(struct run *run, struct crash_point point) {
    struct dm_session *session = run->crash.world->session[U];
    for (uint32_t b = 0; b < point.batch && (gate_batch(session) != NULL || run->call->ended); b++) {
        if (gate_batch(session) != NULL) {
            gate_pass(session);
        }
        if (run->call->ended && gate_batch(session) == NULL && session->transactions != NULL) {
            (void)dm_session_poll(session);
        }
    }
    run->acknowledged = run->call->ended;
    return crash_at(&run->crash, U, (struct crash_point){0, point.index});
}

static bool holds(struct run *run, const char *const values[3]) {
    bool all = true;
    for (uint32_t k = 0; k < 3; k++) {
        struct call get = call_run(run->crash.world, X, CALL_GET, names[k], NULL);
        all &=
            values[k][0] == 0 ? get.status == DM_NOT_FOUND : get.status == DM_OK && strcmp(get.value, values[k]) == 0;
    }
    return all;
}

static void each_point(uint32_t pools, void (*fn)(struct run *run, const struct crash_point *point)) {
    uint32_t deaths = 0;
    for (uint32_t p = 0; p < pools; p++) {
        for (uint32_t i = 0; i < SCENES; i++) {
            struct crash_point point = {0, 0};
            enum crash_result result;
            do {
                struct run run;
                run_begin(&run, &crash_pools[p], &scenes[i]);
                result = run_to_crash(&run, point);
                if (result == CRASH_DIED) {
                    deaths++;
                    fn(&run, &point);
                } else {
                    gate_open(run.crash.world->session[U]);
                    world_run(run.crash.world);
                }
                crash_close(&run.crash);
                free(run.call);
            } while (crash_next(&point, result));
        }
    }
    printf("%u deaths\n", deaths);
}

static void repair_and_check(struct run *run, const struct crash_point *point) {
    repair_all(&run->crash, W);
    bool happened = holds(run, run->scene->after);
    if (!(happened || (!run->acknowledged && holds(run, run->scene->before)))) {
        fail_msg("%s, r = %u, batch %u, combination %u: torn, or undone behind its reply", run->scene->name,
                 run->crash.trap.replicas, point->batch, point->index);
    }
}

static void a_dead_clients_transaction_happens_whole_or_not_at_all(void **state) {
    (void)state;
    each_point(crash_pool_count, repair_and_check);
}

/* V adds one to a and b, a transaction too, from before the death until behind the repair; a GET of X sees no half. */
static void meet_and_check(struct run *run, const struct crash_point *point) {
    struct world *world = run->crash.world;
    struct transact_call met = transact_make(world, V, TRANSACT_STEPS({"a", "+"}, {"b", "+"}));
    gate_close(world->session[V]);
    transact_begin(&met);
    for (uint32_t i = 0; i < 1 + point->index % 5 && gate_batch(world->session[V]) != NULL; i++) {
        gate_pass(world->session[V]);
    }
    gate_open(world->session[V]);
    struct repair_call repair;
    repair_begin(&repair, &run->crash, W);
    repair_finish(&repair);
    transact_finish(&met);
    assert_int_equal(met.status, DM_OK);
    const char *const *base = NULL;
    const char *const *bases[2] = {run->scene->before, run->scene->after};
    for (uint32_t i = 0; i < 2; i++) {
        bool same = true;
        for (uint32_t k = 0; k < 2; k++) {
            same &= strcmp(met.seen[k], bases[i][k]) == 0;
        }
        base = same ? bases[i] : base;
    }
    if (base == NULL || (run->acknowledged && base != run->scene->after)) {
        fail_msg("%s, r = %u, batch %u, combination %u: a transaction beside it saw \"%s\", \"%s\"", run->scene->name,
                 run->crash.trap.replicas, point->batch, point->index, met.seen[0], met.seen[1]);
    }
    for (uint32_t k = 0; k < 2; k++) { /* the dead one's comes before, or it was taken back */
        char text[16];
        snprintf(text, sizeof text, "%d", (base[k][0] == 0 ? 0 : atoi(base[k])) + 1);
        struct call get = call_run(world, X, CALL_GET, names[k], NULL);
        bool behind = base == run->scene->before && holds(run, run->scene->after);
        if (!behind && (get.status != DM_OK || strcmp(get.value, text) != 0)) {
            fail_msg("%s, r = %u, batch %u, combination %u: \"%s\" is \"%s\", not \"%s\"", run->scene->name,
                     run->crash.trap.replicas, point->batch, point->index, names[k], get.value, text);
        }
    }
}

static void a_transaction_beside_a_dead_one_sees_all_of_it_or_nothing(void **state) {
    (void)state;
    each_point(is_long() ? crash_pool_count : 3, meet_and_check);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dead_clients_transaction_happens_whole_or_not_at_all),
        cmocka_unit_test(a_transaction_beside_a_dead_one_sees_all_of_it_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
