/* test_fusee_failures.c: what fails in FUSEE's published code, measured there on real verbs, must not fail here. One
 * test for each failure, in the order and with the numbers of the measurement: 3.1 - 3.5 wrong results and dead
 * writers, 3.7 and 3.8 recovery, 3.9 memory nodes; each does here what failed there.
 *
 * Not here: memory, cache and index (test_fusee_failures_memory.c), the protocol's counterexamples (test_traps*.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fusee/session.h"
#include "pool_check.h"
#include "trap.h"

#define NAME_BYTES 16u
#define STEPS_MAX 4000u
#define REPAIR_MAX_MS 5000u
#define DEAD_ROUND_MAX_NS (UINT64_C(30000) * MS)
#define FOR_R(r) for (uint32_t r = 1; r <= 3; r++)

/* ---- Two operations, verb by verb, at random -------------------------------------------------------------------- */

static uint32_t draw(struct trap *trap, uint32_t below) {
    const struct dm_env *env = &trap->world->fake.env;
    return (uint32_t)(env->random_u64(env->context) % below);
}

/* Lets the batches of U and V, both begun, happen in a drawn order, operation by operation, until both have ended. */
static void interleave(struct trap *trap, struct call *calls) {
    for (uint32_t step = 0; step < STEPS_MAX && !(calls[U].ended && calls[V].ended); step++) {
        uint32_t s = draw(trap, 2);
        if (gate_batch(trap_session(trap, s)) == NULL) {
            continue;
        }
        if (draw(trap, 4) != 0) {
            gate_apply_next(trap_session(trap, s), (uint16_t)draw(trap, trap->replicas));
        } else {
            gate_pass(trap_session(trap, s));
        }
        for (uint32_t i = U; i <= V; i++) {
            assert_in_range(check_live_slots(trap->world, calls[i].key.bytes), 0, 1);
        }
    }
    for (uint32_t s = U; s <= V; s++) {
        gate_open(trap_session(trap, s));
        call_finish(&calls[s]);
        assert_int_equal(calls[s].status, DM_OK);
    }
}

/* ---- 3.1 - 3.4: wrong results ----------------------------------------------------------------------------------- */

/* There: 300 of 300 cached reads gave the value from before. */
static void f3_1_a_cached_read_sees_what_another_client_has_written(void **state) {
    (void)state;
    FOR_R(r) {
        struct trap trap = trap_open(r);
        assert_int_equal(world_put(trap.world, V, "k", "before"), DM_OK);
        world_expect(trap.world, U, "k", "before");
        for (uint32_t i = 0; i < 300; i++) {
            char value[NAME_BYTES];
            snprintf(value, sizeof value, "value %u", i);
            assert_int_equal(world_put(trap.world, V, "k", value), DM_OK);
            world_expect(trap.world, U, "k", value);
            if (i % 3 == 0) {
                assert_int_equal(world_delete(trap.world, V, "k"), DM_OK);
                world_expect(trap.world, U, "k", NULL);
            }
            world_poll(trap.world, 1 * MS);
        }
        trap_close(&trap);
    }
}

/* There: 300 of 300 updates through a stale entry were dropped, and answered with success. */
static void f3_2_a_write_through_a_stale_cache_entry_is_not_lost(void **state) {
    (void)state;
    FOR_R(r) {
        struct trap trap = trap_open(r);
        assert_int_equal(world_put(trap.world, U, "k", "0"), DM_OK);
        for (uint32_t i = 0; i < 300; i++) {
            char value[NAME_BYTES];
            snprintf(value, sizeof value, "%u", i * 10);
            assert_int_equal(world_put(trap.world, V, "k", "stale for U"), DM_OK);
            assert_int_equal(world_put(trap.world, U, "k", value), DM_OK);
            world_expect(trap.world, W, "k", value);
            assert_int_equal(call_run(trap.world, V, CALL_INCR, "k", NULL).number, i * 10 + 1);
            assert_int_equal(call_run(trap.world, U, CALL_INCR, "k", NULL).number, i * 10 + 2);
            assert_int_equal(world_put(trap.world, V, "k", "stale for U"), DM_OK);
            if (i % 3 == 0) {
                assert_int_equal(world_delete(trap.world, U, "k"), DM_OK);
                world_expect(trap.world, W, "k", NULL);
            }
            world_poll(trap.world, 1 * MS);
        }
        trap_close(&trap);
    }
}

/* There: the loser answered with success, and its key was nowhere. */
static void f3_3_two_inserts_of_different_keys_on_one_slot_both_stay(void **state) {
    (void)state;
    FOR_R(r) {
        struct trap trap = trap_open(r);
        for (uint32_t i = 0; i < 150; i++) {
            char rival[NAME_BYTES];
            trap_rival(&trap, "k", rival);
            struct call calls[2] = {trap_call(&trap, U, CALL_PUT, "k", "u"), trap_call(&trap, V, CALL_PUT, rival, "v")};
            trap_begin(&trap, &calls[U]);
            trap_begin(&trap, &calls[V]);
            interleave(&trap, calls);
            world_expect(trap.world, W, "k", "u");
            world_expect(trap.world, W, rival, "v");
            assert_int_equal(world_delete(trap.world, W, "k"), DM_OK);
            assert_int_equal(world_delete(trap.world, W, rival), DM_OK);
            world_poll(trap.world, 30 * MS);
        }
        trap_close(&trap);
    }
}

/* There: 100 of 100 repeated inserts were accepted, reads gave the old value, and a DELETE uncovered the other copy. */
static void f3_4_an_insert_of_a_key_that_is_there_makes_no_second_one(void **state) {
    (void)state;
    FOR_R(r) {
        struct trap trap = trap_open(r);
        for (uint32_t i = 0; i < 100; i++) {
            struct call calls[2] = {trap_call(&trap, U, CALL_PUT, "k", "u"), trap_call(&trap, V, CALL_PUT, "k", "v")};
            if (i % 2 == 0) {
                trap_insert_in_b(&trap, &calls[U]); /* V will choose another slot */
            } else {
                trap_begin(&trap, &calls[U]);
            }
            trap_begin(&trap, &calls[V]);
            interleave(&trap, calls);
            assert_int_equal(world_put(trap.world, X, "k", "the last"), DM_OK); /* X has never seen it */
            assert_int_equal(check_live_slots(trap.world, "k"), 1);
            world_expect(trap.world, U, "k", "the last");
            assert_true(call_run(trap.world, W, CALL_SETNX, "k", "no").found);
            assert_int_equal(world_delete(trap.world, W, "k"), DM_OK);
            for (uint32_t s = U; s <= X; s++) {
                world_expect(trap.world, s, "k", NULL);
            }
            world_poll(trap.world, 30 * MS);
        }
        trap_close(&trap);
    }
}

/* ---- 3.5, 3.7, 3.8: a client dies ------------------------------------------------------------------------------- */

/* Begins a call, lets so many of its operations happen, and kills its client. False: it had ended before. */
static bool die_after(struct trap *trap, struct call *call, uint32_t operations) {
    struct dm_session *session = trap_session(trap, call->s);
    trap_begin(trap, call);
    for (uint32_t done = 0; done < operations && gate_batch(session) != NULL;) {
        bool more = false;
        for (uint16_t node = 0; node < trap->replicas && done < operations; node++) {
            bool happened = gate_apply_next(session, node);
            more |= happened;
            done += happened;
        }
        if (!more) {
            gate_pass(session);
        }
    }
    bool ended = call->ended;
    gate_kill(session);
    return !ended;
}

struct repair {
    struct trap *trap;
    enum dm_status status;
    bool ended;
};

static void repair_coroutine(void *argument) {
    struct repair *repair = argument;
    uint32_t client = trap_session(repair->trap, U)->client;
    repair->status = dm_session_repair(trap_session(repair->trap, W), &client, 1);
    repair->ended = true;
}

/* W repairs what U has left behind; the others go on meanwhile. */
static void repair_u(struct trap *trap) {
    struct repair repair = {trap, DM_BUSY, true};
    for (uint32_t ms = 0; ms < REPAIR_MAX_MS && repair.status == DM_BUSY; ms++) {
        if (repair.ended) {
            repair.ended = false;
            assert_int_equal(dm_sched_spawn(trap->world->sched[W], repair_coroutine, &repair), DM_OK);
        }
        world_poll(trap->world, MS);
    }
    assert_int_equal(repair.status, DM_OK);
}

/* What a GET says: before or after, and not before again when it was after. */
static struct call expect_either(struct trap *trap, const char *before, const char *after, bool was_after) {
    struct call read = call_run(trap->world, W, CALL_GET, "k", NULL);
    assert_true(read.status == DM_OK || read.status == DM_NOT_FOUND);
    if (read.status == DM_NOT_FOUND) {
        snprintf(read.value, sizeof read.value, "absent");
    }
    assert_true((!was_after && strcmp(read.value, before) == 0) || strcmp(read.value, after) == 0);
    return read;
}

/* What V says about the key must be so, whatever the dead U has left behind; when that was repaired, V must succeed. */
static void expect_truth(struct trap *trap, const char *before, const char *after, bool repaired) {
    struct world *world = trap->world;
    struct call read = expect_either(trap, before, after, false);
    if (repaired) {
        repair_u(trap);
        read = expect_either(trap, before, after, strcmp(read.value, after) == 0);
    }
    uint64_t began_ns = world->fake.now_ns;
    enum dm_status status = world_put(world, V, "k", "v");
    assert_true(world->fake.now_ns - began_ns < DEAD_ROUND_MAX_NS);
    assert_true(status == DM_OK || (status == DM_UNKNOWN_OUTCOME && !repaired));
    assert_true(check_live_slots(world, "k") <= 1);
    if (status == DM_OK) {
        world_expect(world, W, "k", "v");
        assert_int_equal(world_delete(world, V, "k"), DM_OK);
        world_expect(world, W, "k", NULL);
        world_expect(world, X, "k", NULL);
    } else {
        assert_string_equal(expect_either(trap, before, after, false).value, read.value);
    }
    assert_int_equal(world_put(world, V, "other", "o"), DM_OK);
    world_expect(world, W, "other", "o");
}

static void die_at_every_verb(enum call_kind kind, const char *before, const char *after, bool repaired) {
    FOR_R(r) {
        bool died = true;
        for (uint32_t verbs = 0; died; verbs++) {
            struct trap trap = trap_open(r);
            if (before != NULL) {
                assert_int_equal(world_put(trap.world, W, "k", before), DM_OK);
                world_expect(trap.world, U, "k", before);
            }
            struct call call = trap_call(&trap, U, kind, "k", after);
            died = die_after(&trap, &call, verbs);
            assert_true(verbs < 100);
            expect_truth(&trap, before == NULL ? "absent" : before, after == NULL ? "absent" : after, repaired);
            world_close(trap.world);
        }
    }
}

/* There: writers of its key span for ever, or answered with success and wrote nothing. */
static void f3_5_a_writer_dead_at_any_verb_stops_nobody_for_ever_and_makes_nobody_lie(void **state) {
    (void)state;
    die_at_every_verb(CALL_PUT, "before", "after", false);
    die_at_every_verb(CALL_PUT, "before", "after", true);
}

static void put_numbered(struct world *world, uint32_t s, const char *prefix, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        char name[NAME_BYTES];
        snprintf(name, sizeof name, "%s%u", prefix, i);
        assert_int_equal(world_put(world, s, name, name), DM_OK);
    }
}

static void expect_numbered(struct world *world, uint32_t s, const char *prefix, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        char name[NAME_BYTES];
        snprintf(name, sizeof name, "%s%u", prefix, i);
        world_expect(world, s, name, name);
    }
}

/* There: all that was inserted behind a DELETE was lost, and its memory handed out again. */
static void f3_7_what_a_client_wrote_behind_a_delete_outlives_it(void **state) {
    (void)state;
    FOR_R(r) {
        struct trap trap = trap_open(r);
        put_numbered(trap.world, U, "before", 100);
        assert_int_equal(world_put(trap.world, U, "gone", "x"), DM_OK);
        assert_int_equal(world_delete(trap.world, U, "gone"), DM_OK);
        put_numbered(trap.world, U, "behind", 20);
        struct call last = trap_call(&trap, U, CALL_PUT, "last", "x");
        assert_true(die_after(&trap, &last, 2 + r));
        repair_u(&trap);
        world_poll(trap.world, 3000 * MS); /* its memory may be handed out again */
        put_numbered(trap.world, V, "later", 100);
        world_poll(trap.world, 300 * MS);
        put_numbered(trap.world, V, "later", 100);
        expect_numbered(trap.world, W, "before", 100);
        expect_numbered(trap.world, W, "behind", 20);
        expect_numbered(trap.world, W, "later", 100);
        world_expect(trap.world, W, "gone", NULL);
        world_close(trap.world);
    }
}

/* There: recovery inserted once more what was inserted already, and a DELETE left the key readable. */
static void f3_8_an_insert_of_a_dead_client_is_there_once_or_not_at_all(void **state) {
    (void)state;
    die_at_every_verb(CALL_PUT, NULL, "after", false);
    die_at_every_verb(CALL_PUT, NULL, "after", true);
}

/* Its DELETE and its clear, as well. */
static void f3_8_a_delete_of_a_dead_client_happened_once_or_not_at_all(void **state) {
    (void)state;
    die_at_every_verb(CALL_DELETE, "before", NULL, false);
    die_at_every_verb(CALL_DELETE, "before", NULL, true);
    die_at_every_verb(CALL_GETDEL, "before", NULL, true);
}

/* ---- 3.9: a memory node is gone --------------------------------------------------------------------------------- */

#define NODES 4u
#define KEYS 20u

/* A fabric whose node `gone` does not answer. `deaf`: what is posted to it is lost; else it happens, unanswered. */
static struct {
    struct dm_fabric_ops ops;
    const struct dm_fabric_ops *inner;
    uint32_t gone;
    bool deaf;
} broken;

static void broken_execute(struct dm_endpoint *endpoint, struct dm_batch *batch) {
    struct dm_batch *rest = malloc(sizeof *rest);
    uint16_t places[DM_BATCH_OPS];
    assert_non_null(rest);
    dm_batch_init(rest, batch->account);
    for (uint16_t i = 0; i < batch->count; i++) {
        if (batch->ops[i].node != broken.gone || !broken.deaf) {
            places[rest->count] = i;
            rest->ops[rest->count++] = batch->ops[i];
        }
    }
    broken.inner->execute(endpoint, rest);
    for (uint16_t i = 0; i < rest->count; i++) {
        batch->ops[places[i]] = rest->ops[i];
    }
    batch->failed = 0;
    for (uint16_t i = 0; i < batch->count; i++) {
        if (batch->ops[i].node == broken.gone) {
            batch->ops[i].status = DM_OP_FAILED;
            batch->ops[i].result = 0;
            batch->failed++;
        }
    }
    free(rest);
}

static void break_node(struct world *world, uint32_t node, bool deaf) {
    broken.inner = world->fabric->ops;
    broken.ops = *broken.inner;
    broken.ops.execute = broken_execute;
    broken.gone = node;
    broken.deaf = deaf;
    world->fabric->ops = &broken.ops;
}

/* Writes `value` to each key of space "k" by session 0 while a node is gone. What it says must be so afterwards, when
 * the node is back. Returns how many succeeded. */
static uint32_t write_with_a_node_gone(struct world *world, uint32_t node, bool deaf, enum call_kind kind) {
    struct call calls[KEYS];
    char names[KEYS][NAME_BYTES];
    uint32_t succeeded = 0;
    break_node(world, node, deaf);
    for (uint32_t i = 0; i < KEYS; i++) {
        snprintf(names[i], sizeof names[i], "k%u", i);
        uint64_t began_ns = world->fake.now_ns;
        calls[i] = call_run(world, i % 2, kind, names[i], "new");
        assert_true(world->fake.now_ns - began_ns < DEAD_ROUND_MAX_NS);
        assert_true(calls[i].status == DM_OK || calls[i].status == DM_UNREACHABLE ||
                    calls[i].status == DM_UNKNOWN_OUTCOME || calls[i].status == DM_NO_MEMORY);
    }
    world->fabric->ops = broken.inner;
    for (uint32_t i = 0; i < KEYS; i++) {
        struct call read = call_run(world, 2, CALL_GET, names[i], NULL);
        const char *seen = read.status == DM_NOT_FOUND ? "absent" : read.value;
        const char *after = kind == CALL_DELETE ? "absent" : kind == CALL_APPEND ? "oldnew" : "new";
        assert_true(read.status == DM_OK || read.status == DM_NOT_FOUND);
        if (calls[i].status == DM_OK) {
            assert_string_equal(seen, after);
            succeeded++;
        } else if (calls[i].status == DM_UNKNOWN_OUTCOME) {
            assert_true(strcmp(seen, "old") == 0 || strcmp(seen, after) == 0);
        } else {
            assert_string_equal(seen, "old");
        }
    }
    return succeeded;
}

static struct world *open_spread(uint32_t replicas) {
    struct world_config config = world_small(replicas, 3);
    config.nodes = NODES;
    config.subtables = 8;
    return world_open(&config);
}

/* There: with one of two nodes dead, 10 of 20 UPDATEs answered with success although nothing of them had happened. */
static void f3_9_with_a_memory_node_gone_nothing_succeeds_that_did_not_happen(void **state) {
    (void)state;
    const enum call_kind kinds[] = {CALL_PUT, CALL_APPEND, CALL_DELETE};
    uint32_t succeeded = 0;
    uint32_t failed = 0;
    FOR_R(r) {
        for (uint32_t turn = 0; turn < NODES * 2 * 3; turn++) {
            struct world *world = open_spread(r);
            for (uint32_t i = 0; i < KEYS; i++) {
                char name[NAME_BYTES];
                snprintf(name, sizeof name, "k%u", i);
                assert_int_equal(world_put(world, i % 3, name, "old"), DM_OK);
                world_expect(world, 0, name, "old");
            }
            uint32_t right = write_with_a_node_gone(world, turn % NODES, turn / NODES % 2 == 0, kinds[turn / 8]);
            succeeded += right;
            failed += KEYS - right;
            world_close(world);
        }
    }
    assert_true(succeeded > 100); /* what does not need that node goes on */
    assert_true(failed > 100);
}

static void f3_9_with_a_memory_node_gone_no_read_is_wrong(void **state) {
    (void)state;
    uint32_t read_well = 0;
    FOR_R(r) {
        for (uint32_t node = 0; node < NODES; node++) {
            struct world *world = open_spread(r);
            put_numbered(world, 0, "k", KEYS);
            break_node(world, node, true);
            for (uint32_t i = 0; i < KEYS * 2; i++) {
                char name[NAME_BYTES];
                snprintf(name, sizeof name, "k%u", i / 2);
                struct call read = call_run(world, i % 2, CALL_GET, name, NULL); /* cached, and not */
                assert_true(read.status == DM_OK || read.status == DM_UNREACHABLE);
                if (read.status == DM_OK) {
                    assert_string_equal(read.value, name);
                    read_well++;
                }
            }
            world->fabric->ops = broken.inner;
            expect_numbered(world, 2, "k", KEYS);
            world_close(world);
        }
    }
    assert_in_range(read_well, 3 * NODES * KEYS / 2, 3 * NODES * KEYS * 2 - 1); /* those of the nodes that are there */
}

/* Who has been silent announces itself first, and that needs node 0. */
static void f3_9_who_cannot_announce_itself_says_that_a_node_is_gone(void **state) {
    (void)state;
    const enum call_kind kinds[] = {CALL_GET, CALL_PUT, CALL_DELETE, CALL_INCR};
    FOR_R(r) {
        struct world *world = open_spread(r);
        put_numbered(world, 0, "k", KEYS);
        world_poll(world, 2000 * MS);
        assert_false(world->session[1]->announced);
        break_node(world, 0, true);
        for (uint32_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
            assert_int_equal(call_run(world, 1, kinds[i], "k0", "new").status, DM_UNREACHABLE);
        }
        world->fabric->ops = broken.inner;
        assert_int_equal(world_put(world, 1, "k0", "k0"), DM_OK);
        expect_numbered(world, 2, "k", KEYS);
        world_close(world);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f3_1_a_cached_read_sees_what_another_client_has_written),
        cmocka_unit_test(f3_2_a_write_through_a_stale_cache_entry_is_not_lost),
        cmocka_unit_test(f3_3_two_inserts_of_different_keys_on_one_slot_both_stay),
        cmocka_unit_test(f3_4_an_insert_of_a_key_that_is_there_makes_no_second_one),
        cmocka_unit_test(f3_5_a_writer_dead_at_any_verb_stops_nobody_for_ever_and_makes_nobody_lie),
        cmocka_unit_test(f3_7_what_a_client_wrote_behind_a_delete_outlives_it),
        cmocka_unit_test(f3_8_an_insert_of_a_dead_client_is_there_once_or_not_at_all),
        cmocka_unit_test(f3_8_a_delete_of_a_dead_client_happened_once_or_not_at_all),
        cmocka_unit_test(f3_9_with_a_memory_node_gone_nothing_succeeds_that_did_not_happen),
        cmocka_unit_test(f3_9_with_a_memory_node_gone_no_read_is_wrong),
        cmocka_unit_test(f3_9_who_cannot_announce_itself_says_that_a_node_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
