/* test_transaction_seen.c: what others see of a transaction while it is under way, verb by verb, r = 1, 2, 3. See
 * test_transaction.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fusee/session.h"
#include "transact_call.h"
#include "trap.h"

#define FOR_R(r) for (uint32_t r = 1; r <= 3; r++)

#define STEPS_MAX 400u

/* Lets a transaction of U go on verb by verb, nodes in the order that `pick` says; `look` is called in between. */
static void step_by_step(struct trap *trap, struct transact_call *call, uint32_t pick,
                         void (*look)(struct trap *trap)) {
    struct dm_session *session = trap_session(trap, U);
    for (uint32_t step = 0; step < STEPS_MAX && !call->ended; step++) {
        bool applied = false;
        for (uint16_t n = 0; n < trap->replicas && !applied; n++) {
            uint16_t node = (uint16_t)((n + pick) % trap->replicas);
            applied = gate_apply_next(session, node);
        }
        if (!applied) {
            gate_pass(session);
        }
        look(trap);
    }
    assert_true(call->ended);
}

/* Three readers, none of which ever waits: both keys old, or both new, and never old again. */
static bool seen_new;
static void look_at_both(struct trap *trap) {
    struct call a = call_run(trap->world, V, CALL_GET, "a", NULL);
    struct call b = call_run(trap->world, W, CALL_GET, "b", NULL);
    if (seen_new || strcmp(a.value, "new") == 0) {
        assert_string_equal(a.value, "new");
        assert_string_equal(b.value, "new");
        seen_new = true;
    }
    assert_true(strcmp(b.value, "new") == 0 ? strcmp(call_run(trap->world, X, CALL_GET, "a", NULL).value, "new") == 0
                                            : strcmp(b.value, "old") == 0);
}

static void readers_never_wait_and_never_see_half_of_it(void **state) {
    (void)state;
    FOR_R(r) {
        for (uint32_t pick = 0; pick < r; pick++) {
            struct trap trap = trap_open(r);
            assert_int_equal(world_put(trap.world, U, "a", "old"), DM_OK);
            assert_int_equal(world_put(trap.world, U, "b", "old"), DM_OK);
            struct transact_call call = transact_make(trap.world, U, TRANSACT_STEPS({"a", "new"}, {"b", "new"}));
            seen_new = false;
            gate_close(trap_session(&trap, U));
            transact_begin(&call);
            step_by_step(&trap, &call, pick, look_at_both);
            assert_int_equal(call.status, DM_OK);
            look_at_both(&trap);
            assert_true(seen_new);
            trap_close(&trap);
        }
    }
}

/* A writer of one of the keys at every point: it comes before or behind, and waits for the owner if it must. */
static void a_writer_comes_before_or_behind(void **state) {
    (void)state;
    static const enum call_kind kinds[] = {CALL_PUT, CALL_INCR, CALL_DELETE};
    FOR_R(r) {
        for (uint32_t k = 0; k < 3; k++) {
            for (uint32_t point = 0; point < 40; point++) {
                struct trap trap = trap_open(r);
                assert_int_equal(world_put(trap.world, U, "a", "100"), DM_OK);
                assert_int_equal(world_put(trap.world, U, "b", "100"), DM_OK);
                struct transact_call call = transact_make(trap.world, U, TRANSACT_STEPS({"a", "+"}, {"b", "+"}));
                gate_close(trap_session(&trap, U));
                transact_begin(&call);
                for (uint32_t step = 0; step < point && !call.ended; step++) {
                    bool applied = false;
                    for (uint16_t n = 0; n < r && !applied; n++) {
                        applied = gate_apply_next(trap_session(&trap, U), n);
                    }
                    if (!applied) {
                        gate_pass(trap_session(&trap, U));
                    }
                }
                bool over = call.ended;
                struct call other = call_make(trap.world, V, kinds[k], "b", "500");
                gate_close(trap_session(&trap, V));
                call_begin(&other);
                for (uint32_t i = 0; i < 4; i++) { /* it has time to lose, and to wait */
                    if (gate_batch(trap_session(&trap, V)) != NULL) {
                        gate_pass(trap_session(&trap, V));
                    }
                }
                gate_open(trap_session(&trap, U));
                gate_open(trap_session(&trap, V));
                transact_finish(&call);
                call_finish(&other);
                assert_int_equal(call.status, DM_OK);
                assert_int_equal(other.status, DM_OK);
                world_expect(trap.world, W, "a", "101");
                struct call b = call_run(trap.world, W, CALL_GET, "b", NULL);
                if (kinds[k] == CALL_INCR) {
                    assert_string_equal(b.value, "102");
                } else if (kinds[k] == CALL_PUT) {
                    assert_true(strcmp(b.value, "500") == 0 || strcmp(b.value, "501") == 0);
                } else {
                    assert_true(b.status == DM_NOT_FOUND || strcmp(b.value, "1") == 0);
                }
                trap_close(&trap);
                if (over) {
                    break;
                }
            }
        }
    }
}

/* Two that want the same keys abort each other at worst; both happen. */
static void two_transactions_on_the_same_keys_both_happen(void **state) {
    (void)state;
    FOR_R(r) {
        for (uint32_t seed = 1; seed < 60; seed++) {
            struct trap trap = trap_open(r);
            bool there = seed % 2 == 0;
            if (there) {
                assert_int_equal(world_put(trap.world, W, "a", "0"), DM_OK);
                assert_int_equal(world_put(trap.world, W, "b", "0"), DM_OK);
            }
            struct transact_call calls[] = {
                transact_make(trap.world, U, TRANSACT_STEPS({"a", "+"}, {"b", "+"}, {"c", "+"})),
                transact_make(trap.world, V, TRANSACT_STEPS({"c", "+"}, {"b", "+"}, {"a", "+"}))};
            uint64_t random = seed;
            for (uint32_t s = U; s <= V; s++) {
                gate_close(trap_session(&trap, s));
                transact_begin(&calls[s]);
            }
            for (uint32_t step = 0; step < 3000 && !(calls[0].ended && calls[1].ended); step++) {
                random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
                uint32_t s = random >> 40 & 1;
                if (gate_batch(trap_session(&trap, s)) == NULL) {
                    world_run(trap.world);
                } else if ((random >> 44 & 3) == 0 ||
                           !gate_apply_next(trap_session(&trap, s), (uint16_t)((random >> 50) % r))) {
                    gate_pass(trap_session(&trap, s));
                }
            }
            for (uint32_t s = U; s <= V; s++) {
                gate_open(trap_session(&trap, s));
                transact_finish(&calls[s]);
                assert_int_equal(calls[s].status, DM_OK);
            }
            world_expect(trap.world, W, "a", "2");
            world_expect(trap.world, X, "b", "2");
            world_expect(trap.world, W, "c", "2");
            trap_close(&trap);
        }
    }
}

/* ---- Pictures that are not of one moment ------------------------------------------------------------------------- */

#define KEYS 3u
static const char *const names[KEYS] = {"a", "b", "c"};

static const struct transact_step steps[][KEYS] = {
    {{"a", "new"}, {"b", "new"}, {"c", "new"}},
    {{"b", "new"}, {"c", "new"}, {"a", "new"}},
    {{"c", "new"}, {"a", "new"}, {"b", "new"}},
};

/* A transaction of U on three keys that has published the first `published` of them and waits. */
static void publish_some(struct trap *trap, struct transact_call *call, uint32_t order, uint32_t published) {
    struct dm_session *session = trap_session(trap, U);
    for (uint32_t k = 0; k < KEYS; k++) {
        assert_int_equal(world_put(trap->world, U, names[k], "old"), DM_OK);
    }
    *call = transact_make(trap->world, U, steps[order], KEYS);
    gate_close(session);
    transact_begin(call);
    while (gate_batch(session)->count != KEYS || gate_batch(session)->ops[0].kind != DM_OP_CAS) {
        gate_pass(session); /* memory, and what comes before the primaries */
    }
    for (uint32_t k = 0; k < published; k++) {
        gate_apply(session, k);
    }
}

static void end_clean(struct trap *trap, struct transact_call *call) {
    gate_open(trap_session(trap, U));
    transact_finish(call);
    assert_int_equal(call->status, DM_OK);
    trap_close(trap);
}

/* The one that is not published yet may be any of the other slots. */
static void a_reader_looks_at_every_other_slot(void **state) {
    (void)state;
    FOR_R(r) {
        for (uint32_t point = 0; point < KEYS * KEYS; point++) {
            struct trap trap = trap_open(r);
            struct transact_call call;
            publish_some(&trap, &call, point / KEYS, point % KEYS);
            for (uint32_t k = 0; k < KEYS; k++) {
                world_expect(trap.world, V, names[k], "old");
                world_expect(trap.world, V, names[k], "old");
            }
            end_clean(&trap, &call);
        }
    }
}

/* If it did not wait, its value would be seen in front of the rest of the transaction. */
static void a_writer_of_a_published_key_waits_for_the_others(void **state) {
    (void)state;
    static const enum call_kind kinds[] = {CALL_PUT, CALL_DELETE, CALL_INCR};
    FOR_R(r) {
        for (uint32_t k = 0; k < 3; k++) {
            struct trap trap = trap_open(r);
            struct transact_call call;
            publish_some(&trap, &call, 0, 1);
            struct call other = call_make(trap.world, V, kinds[k], "a", "7");
            gate_close(trap_session(&trap, V));
            call_begin(&other);
            for (uint32_t i = 0; i < 20 && !other.ended; i++) {
                gate_pass(trap_session(&trap, V));
            }
            assert_false(other.ended);
            world_expect(trap.world, W, "a", "old");
            gate_open(trap_session(&trap, U));
            transact_finish(&call);
            gate_open(trap_session(&trap, V));
            call_finish(&other);
            assert_int_equal(other.status, DM_OK);
            world_expect(trap.world, W, "a", kinds[k] == CALL_PUT ? "7" : kinds[k] == CALL_DELETE ? NULL : "1");
            world_expect(trap.world, W, "b", "new");
            end_clean(&trap, &call);
        }
    }
}

/* The key was deleted by a transaction whose intent stands in the primary still, but not on the first backup: who
 * inserts the key into another slot finds nothing in its way. A reader that hits the intent has to look at both. */
static void a_hit_that_meets_a_deleted_intent_looks_for_the_key_elsewhere(void **state) {
    (void)state;
    for (uint32_t r = 2; r <= 3; r++) {
        struct trap trap = trap_open(r);
        struct dm_session *owner = trap_session(&trap, U);
        struct call insert = trap_call(&trap, V, CALL_PUT, "k", "new");
        assert_int_equal(world_put(trap.world, X, "other", "1"), DM_OK);
        trap_insert_in_b(&trap, &insert);
        assert_int_equal(world_put(trap.world, W, "k", "old"), DM_OK);
        world_expect(trap.world, W, "k", "old");
        struct transact_call call = transact_make(trap.world, U, TRANSACT_STEPS({"k", ""}, {"other", "2"}));
        gate_close(owner);
        transact_begin(&call);
        for (uint32_t i = 0; i < STEPS_MAX && !call.ended; i++) {
            gate_pass(owner);
        }
        assert_int_equal(call.status, DM_OK);
        struct call jobs = call_make(trap.world, U, CALL_JOBS, NULL, NULL);
        call_begin(&jobs);
        gate_pass(owner); /* the backups are clean */
        assert_false(jobs.ended);
        trap_end(&trap, &insert, DM_OK);
        world_expect(trap.world, W, "k", "new");
        gate_open(owner);
        call_finish(&jobs);
        world_expect(trap.world, W, "k", "new");
        trap_close(&trap);
    }
}

struct pair_call {
    struct world *world;
    bool ended;
    char values[2][8];
};

static void pair_coroutine(void *argument) {
    struct pair_call *call = argument;
    struct dm_session *session = call->world->session[V];
    struct dm_key keys[2] = {{"a", 1, 0}, {"b", 1, 0}};
    struct dm_read reads[2] = {0};
    enum dm_status statuses[2];
    dm_get_many(session, keys, 2, reads, statuses);
    for (uint32_t k = 0; k < 2; k++) {
        assert_int_equal(statuses[k], DM_OK);
        snprintf(call->values[k], sizeof call->values[k], "%.*s", (int)reads[k].value.length,
                 (const char *)reads[k].value.bytes);
        dm_read_release(session, &reads[k]);
    }
    call->ended = true;
}

/* V reads a and b, whose intents are there. It looks for a while c is not published, and for b when it is: neither
 * intent changes between its two looks. */
static void a_read_of_many_keys_looks_twice_at_what_showed_a_transaction_open(void **state) {
    (void)state;
    FOR_R(r) {
        struct trap trap = trap_open(r);
        struct transact_call call;
        struct pair_call pair = {.world = trap.world};
        publish_some(&trap, &call, 0, 2);
        gate_close(trap_session(&trap, V));
        assert_int_equal(dm_sched_spawn(trap.world->sched[V], pair_coroutine, &pair), DM_OK);
        gate_pass(trap_session(&trap, V)); /* the buckets */
        gate_pass(trap_session(&trap, V)); /* the intents' objects */
        uint32_t half = gate_batch(trap_session(&trap, V))->count / 2;
        assert_int_equal(half, KEYS + 1);
        for (uint32_t i = 0; i < half; i++) {
            gate_apply(trap_session(&trap, V), i);
        }
        gate_pass(trap_session(&trap, U)); /* c is published; nothing is cleaned yet */
        gate_open(trap_session(&trap, V));
        world_run(trap.world);
        assert_true(pair.ended);
        assert_string_equal(pair.values[0], pair.values[1]);
        end_clean(&trap, &call);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_never_wait_and_never_see_half_of_it),
        cmocka_unit_test(a_reader_looks_at_every_other_slot),
        cmocka_unit_test(a_writer_of_a_published_key_waits_for_the_others),
        cmocka_unit_test(a_hit_that_meets_a_deleted_intent_looks_for_the_key_elsewhere),
        cmocka_unit_test(a_read_of_many_keys_looks_twice_at_what_showed_a_transaction_open),
        cmocka_unit_test(a_writer_comes_before_or_behind),
        cmocka_unit_test(two_transactions_on_the_same_keys_both_happen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
