/* test_traps.c: the traps of rounds on a slot that exists (T1, T2, T3, T5) as fixed interleavings of verbs, each named
 * after the counterexample of the checked protocol that breaks an engine without the cure. See trap.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fusee/session.h"
#include "pool_check.h"
#include "trap.h"

#define FOR_R(r) for (uint32_t r = 2; r <= 3; r++)

/* ---- T1: losing is success only for a blind SET that lost to a blind write -------------------------------------- */

/* U (SET) loses to V, which had read before; then V's word stands in P. U must come after it. */
static void blind_set_loses_to(enum call_kind kind) {
    FOR_R(r) {
        struct trap trap = trap_open(r);
        assert_int_equal(world_put(trap.world, W, "k", "5"), DM_OK);
        struct call u = trap_call(&trap, U, CALL_PUT, "k", "40");
        struct call v = trap_call(&trap, V, kind, "k", "9");
        trap_begin_round(&trap, &v);
        gate_apply_node(trap_session(&trap, V), B1);
        trap_begin_round(&trap, &u);
        gate_pass(trap_session(&trap, U));
        gate_pass(trap_session(&trap, U));
        assert_false(u.ended);
        trap_end(&trap, &v, DM_OK);
        trap_end(&trap, &u, DM_OK);
        assert_string_equal(v.value, "5"); /* V did not see U's write, so U's write stands behind V's */
        world_expect(trap.world, W, "k", "40");
        trap_close(&trap);
    }
}

static void t1_blind_loses_to_rmw(void **state) {
    (void)state;
    blind_set_loses_to(CALL_INCR);
    blind_set_loses_to(CALL_APPEND);
}

/* The tombstone of a GETDEL is as little blind as an INCR's word: it answers with the value that it deletes. */
static void t1_blind_loses_to_getdel(void **state) {
    (void)state;
    blind_set_loses_to(CALL_GETDEL);
}

/* Nobody has called a DEL: an expiry must not swallow a SET that was answered OK. */
static void t1_blind_loses_to_expiry(void **state) {
    (void)state;
    FOR_R(r) {
        struct trap trap = trap_open(r);
        struct call old = trap_call(&trap, V, CALL_PUT, "k", "old");
        old.write.expire_ms = trap.world->fake.wall_ms + 10;
        call_begin(&old);
        call_finish(&old);
        trap.world->fake.wall_ms += 20;
        world_expect(trap.world, V, "k", NULL); /* V owes the key's removal now */
        struct call u = trap_call(&trap, U, CALL_PUT, "k", "new");
        struct call v = trap_call(&trap, V, CALL_JOBS, NULL, NULL);
        trap_begin_round(&trap, &v);
        trap_begin_round(&trap, &u);
        gate_apply_node(trap_session(&trap, V), B1);
        gate_pass(trap_session(&trap, U));
        for (uint32_t i = 0; i < 4 && check_live_slots(trap.world, "k") != 0; i++) {
            gate_pass(trap_session(&trap, V)); /* until the tombstone stands in P */
        }
        gate_pass_all(trap_session(&trap, U), 3);
        trap_end(&trap, &v, DM_OK);
        trap_end(&trap, &u, DM_OK);
        world_expect(trap.world, W, "k", "new");
        trap_close(&trap);
    }
}

static void t1_blind_loses_to_blind_and_is_done(void **state) {
    (void)state;
    FOR_R(r) {
        struct trap trap = trap_open(r);
        assert_int_equal(world_put(trap.world, W, "k", "5"), DM_OK);
        struct call u = trap_call(&trap, U, CALL_PUT, "k", "u");
        struct call v = trap_call(&trap, V, CALL_PUT, "k", "v");
        trap_begin_round(&trap, &v);
        gate_apply_node(trap_session(&trap, V), B1);
        trap_begin_round(&trap, &u);
        gate_pass(trap_session(&trap, U));
        trap_end(&trap, &v, DM_OK);
        trap_end(&trap, &u, DM_OK);
        world_expect(trap.world, W, "k", "v");
        struct dm_session_stats stats;
        dm_session_stats(trap_session(&trap, U), &stats);
        assert_int_equal(stats.conflicts_blind_ok, 1);
        assert_int_equal(u.cost.writes, r); /* no second round */
        trap_close(&trap);
    }
}

static void t1_two_increments_both_count(void **state) {
    (void)state;
    FOR_R(r) {
        struct trap trap = trap_open(r);
        assert_int_equal(world_put(trap.world, W, "k", "5"), DM_OK);
        struct call u = trap_call(&trap, U, CALL_INCR, "k", NULL);
        struct call v = trap_call(&trap, V, CALL_INCR, "k", NULL);
        trap_begin_round(&trap, &v);
        trap_begin_round(&trap, &u);
        gate_apply_node(trap_session(&trap, V), B1);
        gate_pass(trap_session(&trap, U));
        trap_end(&trap, &v, DM_OK);
        trap_end(&trap, &u, DM_OK);
        assert_int_equal(u.number + v.number, 6 + 7);
        world_expect(trap.world, W, "k", "7");
        trap_close(&trap);
    }
}

/* ---- The round -------------------------------------------------------------------------------------------------- */

static void loser_must_wait(void **state) {
    (void)state;
    FOR_R(r) {
        struct trap trap = trap_open(r);
        assert_int_equal(world_put(trap.world, W, "k", "old"), DM_OK);
        struct call u = trap_call(&trap, U, CALL_PUT, "k", "u");
        struct call v = trap_call(&trap, V, CALL_PUT, "k", "v");
        trap_begin_round(&trap, &v);
        gate_pass(trap_session(&trap, V)); /* V holds all backups */
        trap_begin_round(&trap, &u);
        for (uint32_t i = 0; i < 20; i++) {
            gate_pass(trap_session(&trap, U));
            assert_false(u.ended); /* "old" is still what a GET gives */
            world_expect(trap.world, W, "k", "old");
        }
        trap_end(&trap, &v, DM_OK);
        trap_end(&trap, &u, DM_OK);
        world_expect(trap.world, W, "k", "v");
        trap_close(&trap);
    }
}

/* With r = 3, 4 writers can each hold some backups: the first one decides, and its owner fixes the others. */
static void split_round_the_first_backup_decides(void **state) {
    (void)state;
    for (uint32_t r = 3; r <= 4; r++) {
        struct trap trap = trap_open(r);
        assert_int_equal(world_put(trap.world, W, "k", "5"), DM_OK);
        struct call u = trap_call(&trap, U, CALL_INCR, "k", NULL);
        struct call v = trap_call(&trap, V, CALL_INCR, "k", NULL);
        trap_begin_round(&trap, &u);
        trap_begin_round(&trap, &v);
        for (uint16_t node = B2; node < r; node++) {
            gate_apply_node(trap_session(&trap, V), node); /* a majority at r = 4 */
        }
        gate_apply_node(trap_session(&trap, U), B1);
        gate_pass(trap_session(&trap, V));
        gate_pass(trap_session(&trap, V));
        assert_false(v.ended);
        trap_end(&trap, &u, DM_OK);
        assert_int_equal(u.number, 6);
        trap_end(&trap, &v, DM_OK);
        assert_int_equal(v.number, 7);
        struct dm_session_stats stats;
        dm_session_stats(trap_session(&trap, U), &stats);
        assert_int_equal(stats.rounds_split, 1);
        trap_close(&trap);
    }
}

/* A word seen on a backup only is no v_old: V begins from what P holds while U's word is on B1. */
static void guess_uncommitted(void **state) {
    (void)state;
    FOR_R(r) {
        struct trap trap = trap_open(r);
        assert_int_equal(world_put(trap.world, W, "k", "5"), DM_OK);
        world_expect(trap.world, V, "k", "5");
        struct call u = trap_call(&trap, U, CALL_INCR, "k", NULL);
        struct call v = trap_call(&trap, V, CALL_INCR, "k", NULL);
        trap_begin_round(&trap, &u);
        gate_pass(trap_session(&trap, U)); /* on all backups, not in P */
        trap_begin_round(&trap, &v);
        gate_pass(trap_session(&trap, V));
        gate_pass(trap_session(&trap, V));
        trap_end(&trap, &u, DM_OK);
        trap_end(&trap, &v, DM_OK);
        assert_int_equal(v.number, 7);
        world_expect(trap.world, W, "k", "7");
        trap_close(&trap);
    }
}

static void t2_stale_guess(void **state) {
    (void)state;
    FOR_R(r) {
        struct trap trap = trap_open(r);
        assert_int_equal(world_put(trap.world, U, "k", "z"), DM_OK); /* U remembers this word */
        assert_int_equal(world_put(trap.world, V, "k", "a"), DM_OK);
        assert_int_equal(world_put(trap.world, U, "k", "u"), DM_OK);
        world_expect(trap.world, W, "k", "u");
        assert_int_equal(world_put(trap.world, V, "k", "10"), DM_OK);
        assert_int_equal(call_run(trap.world, U, CALL_INCR, "k", NULL).number, 11);
        assert_int_equal(world_put(trap.world, V, "k", "b"), DM_OK);
        assert_int_equal(world_delete(trap.world, U, "k"), DM_OK);
        world_expect(trap.world, W, "k", NULL);
        trap_close(&trap);
    }
}

/* ---- T3: ABA ---------------------------------------------------------------------------------------------------- */

/* While an operation is in flight, no address that it may have seen is used again, however long it takes. */
static void t3_an_address_rests_while_an_operation_may_follow_it(void **state) {
    (void)state;
    FOR_R(r) {
        struct trap trap = trap_open(r);
        assert_int_equal(world_put(trap.world, V, "k", "5"), DM_OK);
        struct call u = trap_call(&trap, U, CALL_INCR, "k", NULL);
        trap_begin_round(&trap, &u);
        uint64_t seen;
        uint64_t now;
        check_slot_of(trap.world, "k", &seen);
        for (uint32_t i = 0; i < 1000; i++) {
            assert_int_equal(world_put(trap.world, V, "k", "50"), DM_OK);
            world_poll(trap.world, 1 * MS);
            check_slot_of(trap.world, "k", &now);
            assert_int_not_equal(word_address(now), word_address(seen));
        }
        trap_end(&trap, &u, DM_OK);
        assert_int_equal(u.number, 51);
        trap_close(&trap);
    }
}

/* ... afterwards it is, and then under another tag. */
static void t3_a_reused_address_has_another_tag(void **state) {
    (void)state;
    FOR_R(r) {
        struct trap trap = trap_open(r);
        uint64_t last[2048] = {0}; /* words by address, hashed */
        uint32_t reused = 0;
        for (uint32_t i = 0; i < 3000; i++) {
            uint64_t word;
            assert_int_equal(world_put(trap.world, V, "k", "5"), DM_OK);
            check_slot_of(trap.world, "k", &word);
            uint64_t *before = &last[word_address(word) / 128 % 2048];
            if (word_address(*before) == word_address(word)) {
                assert_int_not_equal(word_identity(*before), word_identity(word));
                reused++;
            }
            *before = word;
            world_poll(trap.world, 2 * MS);
        }
        assert_true(reused > 100);
        trap_close(&trap);
    }
}

/* A GET whose object was read before its slot: other writers come between, the old object stays what it was. */
static void t3_a_read_object_stays_whole_under_its_word(void **state) {
    (void)state;
    FOR_R(r) {
        struct trap trap = trap_open(r);
        assert_int_equal(world_put(trap.world, V, "k", "before"), DM_OK);
        world_expect(trap.world, U, "k", "before");
        struct call u = trap_call(&trap, U, CALL_GET, "k", NULL);
        trap_begin(&trap, &u);
        gate_apply(trap_session(&trap, U), 0); /* the slot; the object comes last */
        for (uint32_t i = 0; i < 500; i++) {
            assert_int_equal(world_put(trap.world, V, "k", "after"), DM_OK);
            world_poll(trap.world, 1 * MS);
        }
        trap_end(&trap, &u, DM_OK);
        assert_string_equal(u.value, "before");
        assert_int_equal(u.cost.round_trips, 1);
        trap_close(&trap);
    }
}

/* ---- T5: DELETE ------------------------------------------------------------------------------------------------- */

static void del_plain_zero(void **state) {
    (void)state;
    for (uint32_t r = 1; r <= 3; r++) {
        struct trap trap = trap_open(r);
        assert_int_equal(world_put(trap.world, W, "k", "5"), DM_OK);
        struct call u = trap_call(&trap, U, CALL_DELETE, "k", NULL);
        struct call v = trap_call(&trap, V, CALL_DELETE, "k", NULL);
        trap_begin_round(&trap, &u);
        trap_begin_round(&trap, &v);
        trap_end(&trap, &u, DM_OK);
        /* At r = 1 the word is (address, tag) of what was deleted, whoever deletes: V must not take it for its own. */
        trap_end(&trap, &v, DM_NOT_FOUND);
        world_expect(trap.world, W, "k", NULL);
        trap_close(&trap);
    }
}

static void clear_plain_zero(void **state) {
    (void)state;
    FOR_R(r) {
        struct trap trap = trap_open(r);
        struct call u = trap_call(&trap, U, CALL_PUT, "k", "u");
        trap_begin_round(&trap, &u); /* v_old = 0, the slot was never used */
        assert_int_equal(world_put(trap.world, V, "k", "v"), DM_OK);
        assert_int_equal(world_delete(trap.world, V, "k"), DM_OK);
        struct call clear = trap_call(&trap, V, CALL_JOBS, NULL, NULL);
        trap_begin_round(&trap, &clear);
        gate_apply_node(trap_session(&trap, V), B1);
        gate_pass(trap_session(&trap, U));
        gate_pass_all(trap_session(&trap, U), 2);
        trap_end(&trap, &clear, DM_OK);
        trap_end(&trap, &u, DM_OK);
        world_expect(trap.world, W, "k", "u");
        trap_close(&trap);
    }
}

static void clear_primary_first(void **state) {
    (void)state;
    FOR_R(r) {
        struct trap trap = trap_open(r);
        assert_int_equal(world_put(trap.world, V, "k", "v"), DM_OK);
        assert_int_equal(world_delete(trap.world, V, "k"), DM_OK);
        struct call u = trap_call(&trap, U, CALL_PUT, "k", "u");
        struct call clear = trap_call(&trap, V, CALL_JOBS, NULL, NULL);
        trap_begin_round(&trap, &u);
        gate_apply_node(trap_session(&trap, U), B1); /* T -> u */
        trap_begin_round(&trap, &clear);
        gate_pass(trap_session(&trap, V));
        trap_end(&trap, &u, DM_OK);
        trap_end(&trap, &clear, DM_OK);
        world_expect(trap.world, W, "k", "u");
        struct dm_session_stats stats;
        dm_session_stats(trap_session(&trap, V), &stats);
        assert_int_equal(stats.clears_lost, 1);
        dm_session_stats(trap_session(&trap, U), &stats);
        assert_int_equal(stats.tombstones_reused, 1);
        trap_close(&trap);
    }
}

static void hit_sees_tombstone(void **state) {
    (void)state;
    FOR_R(r) {
        struct trap trap = trap_open(r);
        struct call u = trap_call(&trap, U, CALL_PUT, "k", "in b");
        trap_insert_in_b(&trap, &u);
        assert_int_equal(world_put(trap.world, V, "k", "in a"), DM_OK);
        world_expect(trap.world, W, "k", "in a"); /* W remembers slot a */
        assert_int_equal(world_delete(trap.world, V, "k"), DM_OK);
        struct call clear = trap_call(&trap, V, CALL_JOBS, NULL, NULL);
        trap_begin_round(&trap, &clear);
        gate_apply_node(trap_session(&trap, V), B1);
        trap_end(&trap, &u, DM_OK);
        world_expect(trap.world, W, "k", "in b");
        trap_end(&trap, &clear, DM_OK);
        world_expect(trap.world, W, "k", "in b");
        trap_close(&trap);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t1_blind_loses_to_rmw),
        cmocka_unit_test(t1_blind_loses_to_getdel),
        cmocka_unit_test(t1_blind_loses_to_expiry),
        cmocka_unit_test(t1_blind_loses_to_blind_and_is_done),
        cmocka_unit_test(t1_two_increments_both_count),
        cmocka_unit_test(loser_must_wait),
        cmocka_unit_test(split_round_the_first_backup_decides),
        cmocka_unit_test(guess_uncommitted),
        cmocka_unit_test(t2_stale_guess),
        cmocka_unit_test(t3_an_address_rests_while_an_operation_may_follow_it),
        cmocka_unit_test(t3_a_reused_address_has_another_tag),
        cmocka_unit_test(t3_a_read_object_stays_whole_under_its_word),
        cmocka_unit_test(del_plain_zero),
        cmocka_unit_test(clear_plain_zero),
        cmocka_unit_test(clear_primary_first),
        cmocka_unit_test(hit_sees_tombstone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
