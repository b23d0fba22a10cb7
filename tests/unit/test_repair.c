/* test_repair.c: a client that dies at any verb of any operation, its repair, and what must hold behind it: alone; with
 * an operation of a client that lives under way at the same time; and with a repairer that dies, too. LONG=1 in the
 * environment: all combinations of the last. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crash.h"
#include "crash_action.h"
#include "fusee/session.h"

/* All combinations, not some of them. */
static bool is_long(void) { return getenv("LONG") != NULL && getenv("LONG")[0] != 0; }

/* For each pool, operation and point at which U can die in it: fn, which repairs and checks; it may want to be called
 * again for the same point, with a higher `turn`. */
struct visit {
    struct crash crash;
    struct action_run run;
    uint32_t point; /* number of the point within the operation */
    uint32_t turn;
};

static uint32_t visit_points(bool (*fn)(struct visit *visit)) {
    uint32_t visits = 0;
    for (uint32_t p = 0; p < crash_pool_count; p++) {
        for (uint32_t a = 0; a < crash_action_count; a++) {
            struct crash_point point = {0, 0};
            enum crash_result result;
            struct visit visit = {.point = 0};
            bool again;
            do {
                visit.crash = crash_open(&crash_pools[p]);
                action_begin(&visit.run, &crash_actions[a], &visit.crash, U);
                result = crash_at(&visit.crash, U, point);
                again = false;
                if (result == CRASH_DIED) {
                    visits++;
                    again = fn(&visit);
                } else {
                    action_abandon(&visit.run);
                }
                crash_close(&visit.crash);
                visit.turn = again ? visit.turn + 1 : 0;
                visit.point += again ? 0 : 1;
            } while (again || crash_next(&point, result));
        }
    }
    return visits;
}

/* ---- Alone ------------------------------------------------------------------------------------------------------ */

static bool repair_alone(struct visit *visit) {
    action_repair(&visit->run, W);
    action_check(&visit->run);
    return false;
}

static void every_crash_of_every_operation_is_repaired(void **state) {
    (void)state;
    printf("%u crashes\n", visit_points(repair_alone));
}

/* ---- With another client's operation ---------------------------------------------------------------------------- */

static uint64_t random_below(uint64_t *state, uint64_t limit) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (*state >> 33) % limit;
}

/* One verb of a session's oldest batch, on a node by chance; or the end of the batch. */
static void step(struct dm_session *session, uint32_t nodes, uint64_t *random) {
    uint32_t first = (uint32_t)random_below(random, nodes + 1);
    for (uint32_t n = 0; n < nodes && first < nodes; n++) {
        if (gate_apply_next(session, (uint16_t)((first + n) % nodes))) {
            return;
        }
    }
    gate_pass(session);
}

#define STEPS_MAX 20000u
#define OTHER_STEPS 100u
#define MEETINGS 3u /* SET, DEL and GET: one of them for each point, or each */

static const enum call_kind meeting_kinds[MEETINGS] = {CALL_PUT, CALL_DELETE, CALL_GET};

static bool seen_is(const struct call *seen, const char *value) {
    return value == NULL ? seen->status == DM_NOT_FOUND
                         : seen->status == DM_OK && strncmp(seen->value, value, strlen(value)) == 0;
}

/* V's operation and U's, which may have happened: what V saw and what is there now must have an order. */
static void check_meeting(struct visit *visit, const struct call *met) {
    const struct crash_action *action = visit->run.action;
    struct call seen = call_run(visit->crash.world, X, CALL_GET, "k", NULL);
    bool right = seen_is(&seen, action->after);
    switch (met->kind) {
    case CALL_PUT:
        right |= seen_is(&seen, "met");
        break;
    case CALL_DELETE:
        right |= seen.status == DM_NOT_FOUND || (met->status == DM_NOT_FOUND && seen_is(&seen, action->before));
        break;
    default:
        right = (right || seen_is(&seen, action->before)) &&
                (seen_is(met, action->after) || seen_is(met, action->before)) &&
                (seen_is(&seen, action->after) || seen_is(met, action->before));
        break;
    }
    if (!right || (met->status != DM_OK && met->status != DM_NOT_FOUND)) {
        fail_msg("%s, point %u, turn %u: V's operation of kind %d: %s \"%s\", then \"k\" is %s \"%s\"", action->name,
                 visit->point, visit->turn, met->kind, dm_status_text(met->status), met->value,
                 dm_status_text(seen.status), seen.value);
    }
}

/* U is dead. V begins, or has gone on for some verbs before, and then V's verbs and the repair's come in any order. */
static bool repair_met(struct visit *visit) {
    struct world *world = visit->crash.world;
    uint64_t random = visit->point * 7919u + visit->turn;
    enum call_kind kind = meeting_kinds[(visit->point + visit->turn) % MEETINGS];
    struct call met = trap_call(&visit->crash.trap, V, kind, "k", "met");
    trap_begin(&visit->crash.trap, &met);
    for (uint64_t i = random_below(&random, 12); i > 0 && gate_batch(world->session[V]) != NULL; i--) {
        step(world->session[V], world->config.nodes, &random);
    }
    gate_close(world->session[W]);
    struct repair_call repair;
    repair_begin(&repair, &visit->crash, W);
    for (uint32_t i = 0; i < STEPS_MAX && !(met.ended && repair.ended); i++) {
        uint32_t s = random_below(&random, 2) == 0 ? V : W;
        s = gate_batch(world->session[s]) == NULL ? V + W - s : s;
        if (gate_batch(world->session[s]) != NULL && random_below(&random, 8) != 0) {
            step(world->session[s], world->config.nodes, &random);
        } else {
            world_poll(world, MS);
        }
        if (i == OTHER_STEPS && visit->run.other.world != NULL) {
            gate_open(world->session[X]);
        }
        if (met.ended) {
            gate_open(world->session[V]);
        }
    }
    gate_open(world->session[V]);
    gate_open(world->session[W]);
    gate_open(world->session[X]);
    repair_finish(&repair);
    assert_true(met.ended);
    if (visit->run.other.world == NULL) {
        check_meeting(visit, &met);
    }
    assert_int_equal(world_put(world, V, "k", "later"), DM_OK);
    assert_int_equal(world_put(world, X, "k", "last"), DM_OK);
    return is_long() && visit->turn + 1 < MEETINGS;
}

static void every_crash_is_repaired_while_another_client_works_on_the_key(void **state) {
    (void)state;
    printf("%u crashes\n", visit_points(repair_met));
}

/* ---- Repairers that die ----------------------------------------------------------------------------------------- */

/* Carries out what the repairer posts until something has changed memory for the `most`-th time. */
static bool repair_until(struct visit *visit, const struct repair_call *repair, uint32_t most) {
    struct dm_session *session = visit->crash.world->session[W];
    uint32_t changed = 0;
    for (uint32_t i = 0; i < STEPS_MAX && !repair->ended; i++) {
        struct dm_batch *batch = gate_batch(session);
        if (batch == NULL) {
            world_poll(visit->crash.world, MS);
            continue;
        }
        for (uint32_t o = 0; o < batch->count; o++) {
            gate_apply(session, o);
            changed += crash_mutates(&batch->ops[o]);
            if (changed == most) {
                return true;
            }
        }
        gate_pass(session);
    }
    return false;
}

/* W repairs U and dies; V repairs both. */
static bool repair_twice(struct visit *visit) {
    if (visit->run.other.world != NULL || (!is_long() && visit->point % 11 != visit->run.crash->world->config.nodes)) {
        action_repair(&visit->run, W); /* the other's operation would hold the epoch up */
        return false;
    }
    gate_close(visit->crash.world->session[W]);
    struct repair_call repair;
    repair_begin(&repair, &visit->crash, W);
    bool died = repair_until(visit, &repair, visit->turn + 1);
    if (died) {
        crash_kill(&visit->crash, W);
        repair_all(&visit->crash, V);
        assert_int_equal(world_put(visit->crash.world, V, "k", "later"), DM_OK);
        assert_int_equal(world_put(visit->crash.world, X, "k", "last"), DM_OK);
    } else {
        gate_open(visit->crash.world->session[W]);
        repair_finish(&repair);
    }
    return died;
}

static void a_repairer_that_dies_is_repaired_with_what_it_left(void **state) {
    (void)state;
    printf("%u crashes\n", visit_points(repair_twice));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_crash_of_every_operation_is_repaired),
        cmocka_unit_test(every_crash_is_repaired_while_another_client_works_on_the_key),
        cmocka_unit_test(a_repairer_that_dies_is_repaired_with_what_it_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
