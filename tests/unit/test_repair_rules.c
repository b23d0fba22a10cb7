/* test_repair_rules.c: the rules of the repair of open rounds (fusee/repair_rule.h), as fixed interleavings of verbs,
 * each named after the counterexample that breaks a repair without it; and claims, records, orphans. See crash.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "crash.h"
#include "fusee/block.h"
#include "fusee/repair_rule.h"
#include "fusee/sweep.h"
#include "pool_check.h"

#define FOR_R(r) for (uint32_t r = 2; r <= 3; r++)
#define TORN_NODES 4u /* more than replicas: a word's backups need not hold its object */

static struct crash open_pool(uint32_t replicas) {
    return crash_open(&(struct crash_pool){.replicas = replicas, .nodes = replicas});
}

static struct dm_session *session_of(const struct crash *crash, uint32_t s) { return crash->world->session[s]; }

/* Passes the repairer's batches until one waits that holds a CAS from this word. */
static void pass_to_cas_from(struct dm_session *session, uint64_t word) {
    for (uint32_t i = 0; i < 1000 && gate_batch(session) != NULL; i++) {
        const struct dm_batch *batch = gate_batch(session);
        for (uint32_t o = 0; o < batch->count; o++) {
            if (batch->ops[o].kind == DM_OP_CAS && batch->ops[o].compare == word) {
                return;
            }
        }
        gate_pass(session);
    }
    fail_msg("the repair does not come to a CAS from that word");
}

/* ---- Rules ------------------------------------------------------------------------------------------------------ */

static void the_rules_tell_how_a_round_ends(void **state) {
    (void)state;
    struct word_parts parts = {.fingerprint = 1, .size_class = 2, .tag = 3, .address = 1 << 20};
    uint64_t live = (parts.kind = WORD_LIVE_BLIND, word_make(parts));
    uint64_t tombstone = (parts.kind = WORD_TOMBSTONE, parts.address += 128, word_make(parts));
    uint64_t other = (parts.kind = WORD_LIVE_RMW, parts.address += 128, word_make(parts));
    for (uint32_t whole = 0; whole < 2; whole++) {
        assert_int_equal(repair_rule_end(word_emptied(tombstone), live, whole), REPAIR_EMPTY);
        assert_int_equal(repair_rule_end(0, live, whole), REPAIR_EMPTY);
        assert_int_equal(repair_rule_end(tombstone, word_emptied(tombstone), whole), REPAIR_FORWARD);
        assert_int_equal(repair_rule_end(0, word_emptied(live), whole), REPAIR_FORWARD);
    }
    assert_int_equal(repair_rule_end(live, other, true), REPAIR_FORWARD);
    assert_int_equal(repair_rule_end(live, tombstone, true), REPAIR_FORWARD);
    assert_int_equal(repair_rule_end(tombstone, live, true), REPAIR_FORWARD);
    assert_int_equal(repair_rule_end(live, other, false), REPAIR_COPY);
    assert_int_equal(repair_rule_end(live, tombstone, false), REPAIR_COPY);
    assert_int_equal(repair_rule_end(tombstone, live, false), REPAIR_EMPTY);
}

/* U has taken B1 and dies. The repair has looked; then V takes B2. Decided on what it saw, V's would stay on B2. */
static void repair_partial_list(void **state) {
    (void)state;
    struct crash crash = open_pool(3);
    assert_int_equal(world_put(crash.world, X, "k", "old"), DM_OK);
    uint64_t old;
    check_slot_of(crash.world, "k", &old);
    struct call u = trap_call(&crash.trap, U, CALL_PUT, "k", "u");
    struct call v = trap_call(&crash.trap, V, CALL_PUT, "k", "v");
    trap_begin_round(&crash.trap, &u);
    trap_begin_round(&crash.trap, &v);
    for (uint16_t node = P; node <= B2; node++) {
        gate_apply_kind(session_of(&crash, U), node, DM_OP_WRITE); /* the object is whole */
    }
    gate_apply_kind(session_of(&crash, U), B1, DM_OP_CAS);
    crash_kill(&crash, U);
    gate_close(session_of(&crash, W));
    struct repair_call repair;
    repair_begin(&repair, &crash, W);
    pass_to_cas_from(session_of(&crash, W), old);
    gate_apply_node(session_of(&crash, V), B2);
    gate_open(session_of(&crash, W));
    world_poll(crash.world, 100 * MS);
    trap_end(&crash.trap, &v, DM_OK);
    repair_finish(&repair);
    crash_close(&crash);
}

/* U holds all backups, but its object is not whole, and dies. V has lost and waits: P has to move. */
static void repair_back_to_old(void **state) {
    (void)state;
    FOR_R(r) {
        struct crash crash = open_pool(r);
        assert_int_equal(world_put(crash.world, X, "k", "5"), DM_OK);
        uint64_t old;
        check_slot_of(crash.world, "k", &old);
        struct call u = trap_call(&crash.trap, U, CALL_PUT, "k", "u");
        struct call v = trap_call(&crash.trap, V, CALL_INCR, "k", NULL);
        trap_begin_round(&crash.trap, &u);
        trap_begin_round(&crash.trap, &v);
        for (uint16_t node = B1; node < r; node++) {
            gate_apply_node(session_of(&crash, U), node); /* the copy on P's node is missing */
        }
        crash_kill(&crash, U);
        gate_pass(session_of(&crash, V));
        gate_pass(session_of(&crash, V));
        assert_false(v.ended);
        struct repair_call repair;
        repair_begin(&repair, &crash, W);
        world_poll(crash.world, 50 * MS);
        uint64_t now;
        check_slot_of(crash.world, "k", &now);
        assert_int_not_equal(now, old);
        assert_int_equal(word_kind(now), WORD_LIVE_RMW);
        world_expect(crash.world, X, "k", "5");
        gate_open(session_of(&crash, V));
        repair_finish(&repair);
        assert_true(v.ended);
        assert_int_equal(v.number, 6);
        crash_close(&crash);
    }
}

/* V, which lives, has taken B1, U has taken B2 and dies: the round is V's, and nobody else's to end. */
static void repair_commits_live(void **state) {
    (void)state;
    struct crash crash = open_pool(3);
    assert_int_equal(world_put(crash.world, X, "k", "5"), DM_OK);
    uint64_t old;
    check_slot_of(crash.world, "k", &old);
    struct call u = trap_call(&crash.trap, U, CALL_PUT, "k", "u");
    struct call v = trap_call(&crash.trap, V, CALL_INCR, "k", NULL);
    trap_begin_round(&crash.trap, &u);
    trap_begin_round(&crash.trap, &v);
    for (uint16_t node = P; node <= B2; node++) {
        gate_apply_kind(session_of(&crash, U), node, DM_OP_WRITE);
        gate_apply_kind(session_of(&crash, V), node, DM_OP_WRITE);
    }
    gate_apply_kind(session_of(&crash, U), B2, DM_OP_CAS);
    gate_apply_kind(session_of(&crash, V), B1, DM_OP_CAS);
    crash_kill(&crash, U);
    struct repair_call repair;
    repair_begin(&repair, &crash, W);
    world_poll(crash.world, 100 * MS);
    uint64_t now;
    check_slot_of(crash.world, "k", &now);
    assert_int_equal(now, old);
    trap_end(&crash.trap, &v, DM_OK);
    assert_int_equal(v.number, 6);
    assert_int_equal(v.decisions, 1);
    repair_finish(&repair);
    world_expect(crash.world, X, "k", "6");
    crash_close(&crash);
}

/* What the fence is for. U is not dead: the repair is over, and then its CAS arrives. From then on every writer of
 * the key waits for a client that is none any more. */
static void unfenced_late_cas(void **state) {
    (void)state;
    FOR_R(r) {
        struct crash crash = open_pool(r);
        assert_int_equal(world_put(crash.world, X, "k", "5"), DM_OK);
        struct call u = trap_call(&crash.trap, U, CALL_PUT, "k", "u");
        trap_begin_round(&crash.trap, &u);
        struct dm_session *unfenced = session_of(&crash, U);
        struct dm_sched *sched = crash.world->sched[U];
        crash.clients[crash.client_count++] = unfenced->client;
        crash.world->session[U] = NULL; /* it is paused: not run, but not dead */
        crash.world->sched[U] = NULL;
        repair_all(&crash, W);
        gate_apply_node(unfenced, B1);
        assert_int_equal(world_put(crash.world, V, "k", "v"), DM_UNKNOWN_OUTCOME);
        world_expect(crash.world, V, "k", "5");
        gate_kill(unfenced);
        crash.world->session[U] = unfenced;
        crash.world->sched[U] = sched;
        world_close(crash.world);
    }
}

/* X has inserted the key in slot b. U has taken B1 in slot a and has not looked yet, and dies: forward would make
 * two. */
static void insert_rolled_forward(void **state) {
    (void)state;
    for (uint32_t r = 1; r <= 3; r++) {
        struct crash crash = open_pool(r);
        struct call x = trap_call(&crash.trap, V, CALL_PUT, "k", "in b");
        trap_insert_in_b(&crash.trap, &x);
        struct call u = trap_call(&crash.trap, U, CALL_PUT, "k", "in a");
        trap_begin_round(&crash.trap, &u);
        trap_end(&crash.trap, &x, DM_OK);
        for (uint16_t node = r; node-- > 0;) {
            gate_apply_node(session_of(&crash, U), node);
        }
        crash_kill(&crash, U);
        repair_all(&crash, W);
        assert_int_equal(check_live_slots(crash.world, "k"), 1);
        world_expect(crash.world, X, "k", "in b");
        crash_close(&crash);
    }
}

/* The word of a round whose object nobody has written, in a block of the dead, tells whose it is. With a writer that
 * waits for it: the epoch cannot tell. */
static void an_object_that_was_never_written_is_its_blocks_owners(void **state) {
    (void)state;
    struct crash crash = crash_open(&(struct crash_pool){.replicas = 2, .nodes = TORN_NODES});
    assert_int_equal(world_put(crash.world, X, "k", "5"), DM_OK);
    struct call u = trap_call(&crash.trap, U, CALL_PUT, "k", "u");
    struct call v = trap_call(&crash.trap, V, CALL_INCR, "k", NULL);
    trap_begin_round(&crash.trap, &u);
    trap_begin_round(&crash.trap, &v);
    const struct dm_batch *batch = gate_batch(session_of(&crash, U));
    for (uint32_t i = 0; i < batch->count; i++) {
        assert_true(batch->ops[i].kind != DM_OP_WRITE || batch->ops[i].node != B1);
    }
    gate_apply_node(session_of(&crash, U), B1);
    crash_kill(&crash, U);
    struct repair_call repair;
    repair_begin(&repair, &crash, W);
    gate_open(session_of(&crash, V));
    world_poll(crash.world, 200 * MS);
    assert_true(v.ended);
    assert_int_equal(v.status, DM_OK);
    assert_int_equal(v.number, 6);
    repair_finish(&repair);
    crash_close(&crash);
}

/* ---- Many ------------------------------------------------------------------------------------------------------- */

#define MANY 200u

static void all_rounds_that_were_open_at_a_time_are_ended(void **state) {
    (void)state;
    FOR_R(r) {
        struct crash crash = open_pool(r);
        static struct call calls[MANY];
        static char names[MANY][16];
        for (uint32_t i = 0; i < MANY; i++) {
            snprintf(names[i], sizeof names[i], "key%u", i);
            assert_int_equal(world_put(crash.world, U, names[i], "old"), DM_OK);
        }
        world_poll(crash.world, 30 * MS);
        gate_close(session_of(&crash, U));
        for (uint32_t i = 0; i < MANY; i++) {
            calls[i] = trap_call(&crash.trap, U, CALL_PUT, names[i], "new");
            call_begin(&calls[i]);
        }
        for (uint32_t i = 0; i < MANY; i++) { /* each has got a little further than the one before */
            for (uint32_t o = 0; o < gate_batch(session_of(&crash, U))->count && o <= i % 8; o++) {
                gate_apply(session_of(&crash, U), o);
            }
            gate_rotate(session_of(&crash, U));
        }
        crash_kill(&crash, U);
        uint64_t before = session_of(&crash, W)->endpoint->total.round_trips;
        repair_all(&crash, W);
        struct dm_session_stats stats;
        dm_session_stats(session_of(&crash, W), &stats);
        printf("r = %u: %llu of %u rounds were open; %llu round trips of the repairer in all\n", r,
               (unsigned long long)stats.rounds_repaired, MANY,
               (unsigned long long)(session_of(&crash, W)->endpoint->total.round_trips - before));
        assert_in_range(stats.rounds_repaired, MANY / 4, MANY);
        for (uint32_t i = 0; i < MANY; i++) {
            assert_int_equal(world_put(crash.world, V, names[i], "v"), DM_OK);
        }
        crash_close(&crash);
    }
}

/* ---- Memory ----------------------------------------------------------------------------------------------------- */

/* Passes the repairer's batches until it is about to READ the index for the `nth` time. */
static void pass_to_index(struct crash *crash, struct dm_session *session, uint32_t nth) {
    for (uint32_t i = 0; i < 5000; i++) {
        const struct dm_batch *batch = gate_batch(session);
        if (batch == NULL) {
            world_poll(crash->world, MS);
            continue;
        }
        if (batch->ops[0].kind == DM_OP_READ && batch->ops[0].length == INDEX_SUBTABLE_BYTES && --nth == 0) {
            return;
        }
        gate_pass(session);
        world_poll(crash->world, MS); /* the others tick */
    }
    fail_msg("the repairer does not look at the index");
}

/* V replaces an object of the dead client's, and has not marked it yet, because it looks for memory: before the
 * repair has begun, or just before it looks at the index. The repair must not mark it, too. */
static void a_mark_that_is_still_owed_is_waited_for(void **state) {
    (void)state;
    for (uint32_t late = 0; late < 2; late++) {
        struct crash crash = open_pool(1);
        assert_int_equal(world_put(crash.world, U, "k", "u"), DM_OK);
        world_poll(crash.world, 30 * MS);
        crash_kill(&crash, U);
        gate_close(session_of(&crash, W));
        struct repair_call repair;
        repair_begin(&repair, &crash, W);
        if (late != 0) {
            pass_to_index(&crash, session_of(&crash, W), 2); /* once for the rounds, then for the memory */
        }
        session_of(&crash, V)->memory_busy = true;
        assert_int_equal(world_put(crash.world, V, "k", "v"), DM_OK);
        gate_open(session_of(&crash, W));
        world_poll(crash.world, 3000 * MS);
        assert_false(repair.ended);
        session_of(&crash, V)->memory_busy = false;
        repair_finish(&repair);
        crash_close(&crash);
    }
}

struct sweep_call {
    struct dm_session *session;
    enum dm_status status;
    uint64_t lost;
    bool ended;
};

static void sweep_coroutine(void *argument) {
    struct sweep_call *call = argument;
    call->status = sweep_own(call->session, &call->lost);
    call->ended = true;
}

/* The same for an owner that looks for lost objects in its own blocks. */
static void an_owner_waits_for_marks_too(void **state) {
    (void)state;
    struct crash crash = open_pool(1);
    assert_int_equal(world_put(crash.world, V, "k", "v"), DM_OK);
    gate_close(session_of(&crash, V));
    struct sweep_call call = {.session = session_of(&crash, V)};
    assert_int_equal(dm_sched_spawn(crash.world->sched[V], sweep_coroutine, &call), DM_OK);
    pass_to_index(&crash, session_of(&crash, V), 1);
    session_of(&crash, X)->memory_busy = true;
    assert_int_equal(world_put(crash.world, X, "k", "x"), DM_OK);
    gate_open(session_of(&crash, V));
    world_poll(crash.world, 3000 * MS);
    assert_false(call.ended);
    session_of(&crash, X)->memory_busy = false;
    world_poll(crash.world, 3000 * MS);
    assert_true(call.ended);
    assert_int_equal(call.status, DM_OK);
    assert_int_equal(call.lost, 0);
    crash_close(&crash);
}

/* What only the dead client knew to be free in V's block and in an orphan: V finds the one, the repair the other. */
static void what_only_the_dead_knew_to_be_free_comes_back(void **state) {
    (void)state;
    FOR_R(r) {
        struct crash crash = open_pool(r);
        assert_int_equal(world_put(crash.world, V, "k", "v"), DM_OK);
        assert_int_equal(world_put(crash.world, X, "l", "x"), DM_OK);
        crash_kill(&crash, X);
        repair_all(&crash, W); /* its block is an orphan now */
        session_of(&crash, U)->memory_busy = true;
        assert_int_equal(world_put(crash.world, U, "k", "u"), DM_OK);
        assert_int_equal(world_put(crash.world, U, "l", "u"), DM_OK);
        assert_int_equal(session_of(&crash, U)->foreign_count, 2);
        crash_kill(&crash, U);
        crash.clients[0] = crash.clients[--crash.client_count]; /* X has been repaired */
        repair_all(&crash, W);
        world_poll(crash.world, 2000 * MS);
        struct dm_session_stats stats;
        dm_session_stats(session_of(&crash, V), &stats);
        assert_int_equal(stats.objects_recovered, 1);
        crash_close(&crash);
    }
}

/* ---- Claims and records ----------------------------------------------------------------------------------------- */

struct list {
    struct dm_session *session;
    struct dm_client clients[8];
    uint32_t count;
};

static void list_clients(void *argument) {
    struct list *list = argument;
    assert_int_equal(dm_session_clients(list->session, list->clients, 8, &list->count), DM_OK);
}

static void one_repairs_at_a_time_and_a_paused_repairer_keeps_its_claim(void **state) {
    (void)state;
    struct crash crash = open_pool(2);
    crash_kill(&crash, U);
    gate_close(session_of(&crash, W));
    struct repair_call first;
    struct repair_call second;
    repair_begin(&first, &crash, W);
    for (uint32_t i = 0; i < 6; i++) {
        gate_pass(session_of(&crash, W));
    }
    repair_begin(&second, &crash, X);
    world_poll(crash.world, 10 * MS);
    assert_true(second.ended);
    assert_int_equal(second.status, DM_NOT_FOUND);
    assert_false(first.ended);
    gate_open(session_of(&crash, W));
    repair_finish(&first);
    repair_begin(&second, &crash, X); /* nothing is left of it */
    world_poll(crash.world, 10 * MS);
    assert_int_equal(second.status, DM_NOT_FOUND);
    crash_close(&crash);
}

static void clients_are_listed_and_a_repaired_number_is_given_to_the_next(void **state) {
    (void)state;
    struct crash crash = open_pool(3);
    uint32_t number = session_of(&crash, U)->client;
    uint64_t nonce = session_of(&crash, U)->client_nonce;
    struct list list = {.session = session_of(&crash, W)};
    crash_kill(&crash, U);
    world_call(crash.world, W, list_clients, &list);
    assert_int_equal(list.count, 4);
    assert_int_equal(list.clients[number].client, number);
    assert_int_equal(list.clients[number].owner, nonce);
    assert_int_not_equal(list.clients[number].announced, 0);
    assert_false(list.clients[number].gone); /* this fabric cannot tell */
    repair_all(&crash, W);
    world_call(crash.world, W, list_clients, &list);
    assert_int_equal(list.count, 3);
    world_session_open(crash.world, 4);
    assert_int_equal(session_of(&crash, 4)->client, number);
    assert_int_equal(world_put(crash.world, 4, "k", "new"), DM_OK);
    world_expect(crash.world, X, "k", "new");
    world_session_close(crash.world, 4);
    crash_close(&crash);
}

static void a_session_cannot_repair_itself_or_what_is_not_there(void **state) {
    (void)state;
    struct crash crash = open_pool(1);
    struct repair_call call;
    crash.clients[crash.client_count++] = session_of(&crash, W)->client;
    repair_begin(&call, &crash, W);
    assert_int_equal(call.status, DM_INVALID);
    crash.clients[0] = 5000;
    repair_begin(&call, &crash, W);
    assert_int_equal(call.status, DM_INVALID);
    crash.clients[0] = 100; /* nobody */
    repair_begin(&call, &crash, W);
    assert_int_equal(call.status, DM_NOT_FOUND);
    crash_close(&crash);
}

static void an_orphan_rests_until_the_operations_of_its_owner_have_ended(void **state) {
    (void)state;
    struct crash crash = open_pool(1);
    struct dm_session *session = session_of(&crash, V);
    uint64_t word = block_word(BLOCK_ORPHAN, 3, block_orphan_since(session));
    assert_true(block_orphan_is_ripe(word, session->epoch)); /* nothing is under way */
    session->in_flight_total++;
    word = block_word(BLOCK_ORPHAN, 3, block_orphan_since(session));
    session->in_flight_total--;
    assert_false(block_orphan_is_ripe(word, session->epoch));
    assert_false(block_orphan_is_ripe(word, session->epoch + 1));
    assert_true(block_orphan_is_ripe(word, session->epoch + 2));
    crash_close(&crash);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rules_tell_how_a_round_ends),
        cmocka_unit_test(repair_partial_list),
        cmocka_unit_test(repair_back_to_old),
        cmocka_unit_test(repair_commits_live),
        cmocka_unit_test(unfenced_late_cas),
        cmocka_unit_test(insert_rolled_forward),
        cmocka_unit_test(an_object_that_was_never_written_is_its_blocks_owners),
        cmocka_unit_test(all_rounds_that_were_open_at_a_time_are_ended),
        cmocka_unit_test(a_mark_that_is_still_owed_is_waited_for),
        cmocka_unit_test(an_owner_waits_for_marks_too),
        cmocka_unit_test(what_only_the_dead_knew_to_be_free_comes_back),
        cmocka_unit_test(one_repairs_at_a_time_and_a_paused_repairer_keeps_its_claim),
        cmocka_unit_test(clients_are_listed_and_a_repaired_number_is_given_to_the_next),
        cmocka_unit_test(a_session_cannot_repair_itself_or_what_is_not_there),
        cmocka_unit_test(an_orphan_rests_until_the_operations_of_its_owner_have_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
