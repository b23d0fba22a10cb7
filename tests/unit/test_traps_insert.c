/* test_traps_insert.c: the traps of inserts (T4), of torn objects (T6), of the fabric's order (T9), and of clients that
 * die (T7), as fixed interleavings of verbs, each named after the counterexample that breaks an engine without the
 * cure. See trap.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fusee/session.h"
#include "pool_check.h"
#include "provider.h"
#include "trap.h"

#define FOR_R(r) for (uint32_t r = 2; r <= 3; r++)

/* ---- T4: two inserts of one new key ----------------------------------------------------------------------------- */

/* U in b, V in a. U's check comes before V's CAS, V's behind both. */
static void t4_two_inserts_in_two_slots(void **state) {
    (void)state;
    FOR_R(r) {
        struct trap trap = trap_open(r);
        struct call u = trap_call(&trap, U, CALL_PUT, "k", "u");
        struct call v = trap_call(&trap, V, CALL_PUT, "k", "v");
        trap_insert_in_b(&trap, &u);
        trap_begin_round(&trap, &v);
        gate_apply_node(trap_session(&trap, U), B1);
        gate_apply_node(trap_session(&trap, V), B1);
        gate_pass_all(trap_session(&trap, U), 2);
        assert_true(u.ended);
        for (uint32_t i = 0; i < 6 && !v.ended; i++) {
            gate_pass(trap_session(&trap, V));
            trap_one_live(&trap, "k");
        }
        trap_end(&trap, &u, DM_OK);
        trap_end(&trap, &v, DM_OK);
        world_expect(trap.world, W, "k", "v");
        struct dm_session_stats stats;
        dm_session_stats(trap_session(&trap, V), &stats);
        assert_int_equal(stats.insert_conflicts, 1);
        trap_close(&trap);
    }
}

/* The loser of two SETNX in two slots must see the winner's value, even if it committed first by position. */
static void t4_lowest_stays(void **state) {
    (void)state;
    FOR_R(r) {
        for (uint32_t first = U; first <= V; first++) {
            struct trap trap = trap_open(r);
            struct call call[2] = {trap_call(&trap, U, CALL_SETNX, "k", "u"),
                                   trap_call(&trap, V, CALL_SETNX, "k", "v")};
            trap_insert_in_b(&trap, &call[U]);
            trap_begin_round(&trap, &call[V]);
            gate_apply_node(trap_session(&trap, first), B1);
            gate_pass(trap_session(&trap, first)); /* its check has found nothing; not yet in P */
            gate_pass_all(trap_session(&trap, 1 - first), 3);
            trap_one_live(&trap, "k");
            trap_end(&trap, &call[first], DM_OK);
            trap_one_live(&trap, "k");
            world_expect(trap.world, W, "k", first == U ? "u" : "v");
            trap_end(&trap, &call[1 - first], DM_OK);
            assert_false(call[first].found);
            assert_true(call[1 - first].found);
            world_expect(trap.world, W, "k", first == U ? "u" : "v");
            trap_close(&trap);
        }
    }
}

/* Verb by verb in turn: each one's CAS comes before each one's check, so both see each other, and both step back. */
static void insert_check_before_cas(void **state) {
    (void)state;
    FOR_R(r) {
        struct trap trap = trap_open(r);
        struct call u = trap_call(&trap, U, CALL_PUT, "k", "u");
        struct call v = trap_call(&trap, V, CALL_PUT, "k", "v");
        trap_insert_in_b(&trap, &u);
        trap_begin_round(&trap, &v);
        for (bool more = true; more;) {
            more = gate_apply_next(trap_session(&trap, U), B1);
            more |= gate_apply_next(trap_session(&trap, V), B1);
        }
        for (uint32_t i = 0; i < 5; i++) {
            gate_pass_all(trap_session(&trap, U), 1);
            trap_one_live(&trap, "k");
            gate_pass_all(trap_session(&trap, V), 1);
            trap_one_live(&trap, "k");
        }
        gate_open(trap_session(&trap, U));
        gate_open(trap_session(&trap, V));
        world_run(trap.world);
        assert_int_equal(u.status, DM_OK);
        assert_int_equal(v.status, DM_OK);
        trap_one_live(&trap, "k");
        trap_close(&trap);
    }
}

/* A tombstone in another slot is a conflict, committed or not: its DEL must not be overtaken by an insert that began
 * before it. */
static void del_without_tombstone(void **state) {
    (void)state;
    FOR_R(r) {
        struct trap trap = trap_open(r);
        struct call u = trap_call(&trap, U, CALL_PUT, "k", "u");
        struct call del = trap_call(&trap, V, CALL_DELETE, "k", NULL);
        trap_insert_in_b(&trap, &u);
        assert_int_equal(world_put(trap.world, V, "k", "v"), DM_OK); /* in a */
        trap_begin_round(&trap, &del);
        gate_apply_kind(trap_session(&trap, U), B1, DM_OP_WRITE);
        gate_apply_kind(trap_session(&trap, U), B1, DM_OP_CAS);
        gate_apply_node(trap_session(&trap, V), B1);
        for (uint32_t i = 0; i < 2; i++) {
            gate_pass_all(trap_session(&trap, U), 1);
            trap_one_live(&trap, "k");
            assert_false(u.ended);
        }
        trap_end(&trap, &del, DM_OK);
        trap_end(&trap, &u, DM_OK);
        world_expect(trap.world, W, "k", "u");
        trap_close(&trap);
    }
}

/* Two keys, one free slot: the loser's key goes elsewhere, and never counts as written by the winner's word. */
static void two_keys_meet_in_one_free_slot(void **state) {
    (void)state;
    for (uint32_t r = 1; r <= 3; r++) {
        for (uint32_t first = U; first <= V; first++) {
            struct trap trap = trap_open(r);
            char rival[16];
            trap_rival(&trap, "k", rival);
            struct call call[2] = {trap_call(&trap, U, CALL_PUT, "k", "u"), trap_call(&trap, V, CALL_PUT, rival, "v")};
            trap_begin_round(&trap, &call[U]);
            trap_begin_round(&trap, &call[V]);
            if (r == 3) {
                gate_apply_node(trap_session(&trap, 1 - first), B2); /* a split round */
            }
            gate_apply_node(trap_session(&trap, first), r == 1 ? P : B1);
            gate_pass(trap_session(&trap, 1 - first));
            trap_end(&trap, &call[first], DM_OK);
            trap_end(&trap, &call[1 - first], DM_OK);
            world_expect(trap.world, W, "k", "u");
            world_expect(trap.world, W, rival, "v");
            trap_close(&trap);
        }
    }
}

/* r = 1: an insert that has not passed its check is absent for readers and a conflict for inserters. */
static void insert_without_provisional_word(void **state) {
    (void)state;
    struct trap trap = trap_open(1);
    struct call u = trap_call(&trap, U, CALL_PUT, "k", "u");
    struct call v = trap_call(&trap, V, CALL_PUT, "k", "v");
    trap_insert_in_b(&trap, &u);
    trap_begin_round(&trap, &v);
    for (bool more = true; more;) {
        more = gate_apply_next(trap_session(&trap, U), P);
        more |= gate_apply_next(trap_session(&trap, V), P);
    }
    world_expect(trap.world, W, "k", NULL);
    for (uint32_t i = 0; i < 4; i++) {
        gate_pass_all(trap_session(&trap, U), 1);
        trap_one_live(&trap, "k");
        gate_pass_all(trap_session(&trap, V), 1);
        trap_one_live(&trap, "k");
    }
    gate_open(trap_session(&trap, U));
    gate_open(trap_session(&trap, V));
    world_run(trap.world);
    assert_int_equal(u.status, DM_OK);
    assert_int_equal(v.status, DM_OK);
    trap_one_live(&trap, "k");
    trap_close(&trap);
}

/* A writer's word in P that is not committed elsewhere yet: a SET of the key that died on the way back to empty. */
static void an_aborted_insert_leaves_a_unique_empty_word(void **state) {
    (void)state;
    FOR_R(r) {
        struct trap trap = trap_open(r);
        struct call u = trap_call(&trap, U, CALL_PUT, "k", "u");
        trap_insert_in_b(&trap, &u);
        uint16_t b = INDEX_NO_SLOT;
        assert_int_equal(world_put(trap.world, V, "k", "v"), DM_OK);
        const struct dm_batch *batch = gate_batch(trap_session(&trap, U));
        uint64_t slots = layout_subtable_address(check_layout(trap.world), 0) + INDEX_CONTROL_BYTES;
        for (uint32_t i = 0; i < batch->count; i++) {
            if (batch->ops[i].kind == DM_OP_CAS && batch->ops[i].node == B1) {
                b = (uint16_t)((batch->ops[i].remote - layout_locate(check_layout(trap.world), slots, 1).offset) / 8);
            }
        }
        uint64_t before = check_word(trap.world, 0, b, 0);
        trap_end(&trap, &u, DM_OK);
        uint64_t after = check_word(trap.world, 0, b, 0);
        assert_int_equal(word_kind(after), WORD_EMPTY);
        assert_int_not_equal(after, before);
        assert_int_not_equal(after, 0);
        world_expect(trap.world, W, "k", "u");
        trap_close(&trap);
    }
}

/* ---- T6: torn and half-written objects -------------------------------------------------------------------------- */

/* U's word is on B1, its object on no other node yet: V cannot tell whose key that is, and must take it for its own. */
static void t6_a_word_whose_object_is_not_written_is_a_conflict(void **state) {
    (void)state;
    FOR_R(r) {
        struct trap trap = trap_open(r);
        struct call u = trap_call(&trap, U, CALL_PUT, "k", "u");
        struct call v = trap_call(&trap, V, CALL_PUT, "k", "v");
        trap_insert_in_b(&trap, &u);
        trap_begin_round(&trap, &v);
        gate_apply_node(trap_session(&trap, U), B1); /* nothing of P's chain */
        for (uint32_t i = 0; i < 4 && !v.ended; i++) {
            gate_pass(trap_session(&trap, V));
        }
        assert_false(v.ended);
        gate_pass_all(trap_session(&trap, U), 2);
        trap_one_live(&trap, "k");
        trap_end(&trap, &u, DM_OK);
        trap_end(&trap, &v, DM_OK);
        trap_one_live(&trap, "k");
        world_expect(trap.world, W, "k", "v");
        trap_close(&trap);
    }
}

/* A letter of the value behind the key "k", on all replicas. */
static void flip_letter(const struct world *world, uint64_t word) {
    for (uint32_t j = 0; j < world->config.replicas; j++) {
        uint8_t *object = check_at(world, word_address(word), j);
        object[sizeof(struct object_header) + 1 + 3] ^= 0x20;
    }
}

static void t6_a_damaged_object_is_never_shown_and_never_waited_for_for_ever(void **state) {
    (void)state;
    for (uint32_t r = 1; r <= 3; r++) {
        struct trap trap = trap_open(r);
        assert_int_equal(world_put(trap.world, V, "k", "precious"), DM_OK);
        world_expect(trap.world, W, "k", "precious");
        uint64_t word;
        check_slot_of(trap.world, "k", &word);
        flip_letter(trap.world, word);
        for (uint32_t s = V; s <= X; s++) { /* cached by its writer, by a reader, by nobody */
            struct call call = call_run(trap.world, s, CALL_GET, "k", NULL);
            assert_int_equal(call.status, DM_CORRUPT);
        }
        struct call append = call_run(trap.world, X, CALL_APPEND, "k", "more"); /* X has no copy of its own */
        assert_int_equal(append.status, DM_CORRUPT);
        flip_letter(trap.world, word);
        world_expect(trap.world, X, "k", "precious");
        trap.world->fake.warnings = 0; /* they were right */
        trap_close(&trap);
    }
}

/* ---- T9: what the fabric orders --------------------------------------------------------------------------------- */

static void t9_no_chain_relies_on_a_read_before_a_cas(void **state) {
    (void)state;
    for (uint32_t r = 1; r <= 4; r++) {
        struct world_config config = world_small(r, 3);
        config.nodes = 4; /* objects and slots on different nodes, too */
        struct world *world = world_open(&config);
        char name[16];
        for (uint32_t i = 0; i < (provider_is_remote() ? 200 : 2000); i++) {
            snprintf(name, sizeof name, "k%u", i % 97);
            enum call_kind kinds[] = {CALL_PUT, CALL_GET, CALL_DELETE, CALL_SETNX, CALL_APPEND, CALL_GETDEL};
            struct call call = call_run(world, i % 3, kinds[i % 6], name, "value");
            assert_true(call.status == DM_OK || call.status == DM_NOT_FOUND);
            world_poll(world, 1 * MS);
        }
        check_at_rest(world);
        assert_int_equal(gate_unordered(world->fabric), 0);
        world_close(world);
    }
}

/* ---- Clients that die ------------------------------------------------------------------------------------------- */

/* Until there is repair, the writers of a dead winner's key wait for a bounded time and say that they do not know.
 * Readers go on with the old value, and other keys are none of its business. */
static void a_dead_winner_holds_up_only_writers_of_its_key(void **state) {
    (void)state;
    FOR_R(r) {
        struct trap trap = trap_open(r);
        assert_int_equal(world_put(trap.world, W, "k", "5"), DM_OK);
        struct call u = trap_call(&trap, U, CALL_INCR, "k", NULL);
        trap_begin_round(&trap, &u);
        gate_apply_node(trap_session(&trap, U), B1);
        gate_kill(trap_session(&trap, U));
        assert_true(u.ended);
        assert_int_equal(u.status, DM_UNKNOWN_OUTCOME);
        assert_int_equal(world_put(trap.world, V, "k", "v"), DM_UNKNOWN_OUTCOME);
        world_expect(trap.world, V, "k", "5");
        assert_int_equal(world_put(trap.world, V, "other", "v"), DM_OK);
        world_expect(trap.world, W, "other", "v");
        world_close(trap.world);
    }
}

/* Dead before anything of its round took effect: nobody notices. */
static void a_client_that_dies_before_its_round_leaves_nothing(void **state) {
    (void)state;
    for (uint32_t r = 1; r <= 3; r++) {
        struct trap trap = trap_open(r);
        assert_int_equal(world_put(trap.world, W, "k", "5"), DM_OK);
        struct call u = trap_call(&trap, U, CALL_INCR, "k", NULL);
        trap_begin_round(&trap, &u);
        gate_kill(trap_session(&trap, U));
        assert_true(u.ended);
        assert_true(u.status != DM_OK);
        assert_int_equal(call_run(trap.world, V, CALL_INCR, "k", NULL).number, 6);
        world_expect(trap.world, W, "k", "6");
        world_close(trap.world);
    }
}

/* Dead behind the CAS of P: it happened, whatever its client is told. */
static void a_client_that_dies_behind_its_round_has_written(void **state) {
    (void)state;
    FOR_R(r) {
        struct trap trap = trap_open(r);
        assert_int_equal(world_put(trap.world, W, "k", "5"), DM_OK);
        struct call u = trap_call(&trap, U, CALL_INCR, "k", NULL);
        trap_begin_round(&trap, &u);
        gate_pass(trap_session(&trap, U));
        gate_apply_node(trap_session(&trap, U), P);
        gate_kill(trap_session(&trap, U));
        assert_int_equal(u.status, DM_UNKNOWN_OUTCOME);
        assert_int_equal(call_run(trap.world, V, CALL_INCR, "k", NULL).number, 7);
        check_at_rest(trap.world);
        world_close(trap.world);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t4_two_inserts_in_two_slots),
        cmocka_unit_test(t4_lowest_stays),
        cmocka_unit_test(insert_check_before_cas),
        cmocka_unit_test(del_without_tombstone),
        cmocka_unit_test(two_keys_meet_in_one_free_slot),
        cmocka_unit_test(insert_without_provisional_word),
        cmocka_unit_test(an_aborted_insert_leaves_a_unique_empty_word),
        cmocka_unit_test(t6_a_word_whose_object_is_not_written_is_a_conflict),
        cmocka_unit_test(t6_a_damaged_object_is_never_shown_and_never_waited_for_for_ever),
        cmocka_unit_test(t9_no_chain_relies_on_a_read_before_a_cas),
        cmocka_unit_test(a_dead_winner_holds_up_only_writers_of_its_key),
        cmocka_unit_test(a_client_that_dies_before_its_round_leaves_nothing),
        cmocka_unit_test(a_client_that_dies_behind_its_round_has_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
