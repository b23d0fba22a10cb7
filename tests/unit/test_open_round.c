/* test_open_round.c: trap T7: a failure leaves a write half done, at every place where it can, and its client lives. It
 * ends its own round: the write happens once or not at all, its client is told which, and nobody else waits for ever.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fusee/open_round.h"
#include "fusee/session.h"
#include "pool_check.h"
#include "transact_call.h"
#include "trap.h"

#define PLACES_MAX 200u
#define NODES_MAX 4u
#define KEY_BYTES 48u

static bool has_value_before(enum call_kind kind, bool fresh) { return kind != CALL_SETNX && !fresh; }

/* The value that `calls` calls of this kind leave behind; NULL: none. */
static const char *value_after(enum call_kind kind, bool fresh, uint32_t calls) {
    static const char *const appended[] = {"5", "57", "577"};
    static const char *const counted[] = {"5", "6", "7"};
    static const char *const counted_from_none[] = {NULL, "1", "2"};
    switch (kind) {
    case CALL_INCR:
        return fresh ? counted_from_none[calls] : counted[calls];
    case CALL_APPEND:
        return appended[calls];
    case CALL_DELETE:
    case CALL_GETDEL:
        return calls == 0 ? "5" : NULL;
    default:
        return calls == 0 ? (fresh ? NULL : "5") : "7";
    }
}

struct tried {
    uint32_t places;   /* at which the call was broken */
    uint32_t refused;  /* nothing has happened; but where it had only read, it reads again */
    uint32_t happened; /* where it was told that it had */
    uint32_t unknown;
};

/* One kind of call broken at every place. With a rival: another client does the same meanwhile. */
static void try_places(struct trap *trap, enum call_kind kind, bool fresh, bool rival, struct tried *tried) {
    struct dm_session *session = trap_session(trap, U);
    static char keys[PLACES_MAX * NODES_MAX][KEY_BYTES];
    bool broken = true;
    for (uint32_t place = 0; broken && place < PLACES_MAX; place++) {
        for (uint32_t first = 0; first < trap->replicas && broken; first++) {
            char *key = keys[place * NODES_MAX + first];
            snprintf(key, KEY_BYTES, "k%d%d%d-%u-%u", kind, fresh, rival, place, first);
            if (has_value_before(kind, fresh)) {
                assert_int_equal(world_put(trap->world, U, key, "5"), DM_OK);
            }
            struct call call = trap_call(trap, U, kind, key, "7");
            struct call other = trap_call(trap, V, kind, key, "7");
            trap_begin(trap, &call);
            broken = gate_break_at(session, trap->replicas, first, place);
            if (rival) {
                call_begin(&other);
            }
            gate_open(session);
            call_finish(&call);
            if (rival) {
                call_finish(&other);
                assert_true(other.status == DM_OK || other.status == DM_NOT_FOUND);
            }
            world_poll(trap->world, 50 * MS); /* clears */
            bool wrote = call.status == DM_OK && (kind != CALL_SETNX || !call.found);
            uint32_t calls = wrote + (rival && other.status == DM_OK);
            if (kind == CALL_SETNX && rival) {
                assert_int_equal(wrote + !other.found, call.status == DM_OK ? 1 : !other.found);
            }
            tried->places += broken;
            tried->refused += call.status == DM_UNREACHABLE;
            tried->happened += call.status == DM_OK;
            tried->unknown += call.status == DM_UNKNOWN_OUTCOME;
            if (call.status == DM_UNKNOWN_OUTCOME) { /* r = 1: who removed it? Both may have */
                assert_int_equal(trap->replicas, 1);
                assert_true(kind == CALL_DELETE || kind == CALL_GETDEL);
                calls = 1;
            }
            world_expect(trap->world, W, key, value_after(kind, fresh, calls));
            assert_int_equal(world_put(trap->world, X, key, "free"), DM_OK);
            trap_one_live(trap, key);
        }
    }
    assert_false(broken);
}

static void a_write_broken_at_any_place_happens_once_or_not_at_all(void **state) {
    (void)state;
    static const struct {
        enum call_kind kind;
        bool fresh;
    } calls[] = {{CALL_PUT, false}, {CALL_PUT, true},     {CALL_DELETE, false}, {CALL_INCR, false},
                 {CALL_INCR, true}, {CALL_APPEND, false}, {CALL_SETNX, true},   {CALL_GETDEL, false}};
    for (uint32_t r = 1; r <= NODES_MAX; r++) {
        struct tried tried = {0};
        struct trap trap = trap_open(r);
        for (size_t c = 0; c < sizeof calls / sizeof calls[0]; c++) {
            try_places(&trap, calls[c].kind, calls[c].fresh, false, &tried);
            try_places(&trap, calls[c].kind, calls[c].fresh, true, &tried);
        }
        struct dm_session_stats stats;
        dm_session_stats(trap_session(&trap, U), &stats);
        printf(
            "r = %u: broken at %u places; refused %u, happened %u, unknown %u; %llu rounds gone on with, %llu outcomes "
            "proved by the chain\n",
            r, tried.places, tried.refused, tried.happened, tried.unknown, (unsigned long long)stats.rounds_resumed,
            (unsigned long long)stats.outcomes_proved);
        assert_true(tried.refused == 0 && stats.reads_repeated > 0);
        assert_true(tried.happened > 0 && stats.rounds_resumed > 0);
        assert_true(r == 1 ? stats.outcomes_proved > 0 : tried.unknown == 0);
        assert_int_equal(stats.rounds_open, 0);
        trap_close(&trap);
    }
}

/* Longer than the write waits: it is answered, and its round is ended when the nodes can be reached again. */
static void a_long_outage_leaves_no_round_open(void **state) {
    (void)state;
    for (uint32_t r = 2; r <= NODES_MAX; r++) {
        for (uint32_t place = 0; place < 2 * r; place++) {
            struct trap trap = trap_open(r);
            struct dm_session *session = trap_session(&trap, U);
            assert_int_equal(world_put(trap.world, U, "k", "5"), DM_OK);
            struct call call = trap_call(&trap, U, CALL_INCR, "k", NULL);
            trap_begin_round(&trap, &call);
            gate_cut(session, true);
            assert_true(gate_break_at(session, r, r - 1, place));
            gate_open(session);
            call_finish(&call);
            assert_int_equal(call.status, DM_UNKNOWN_OUTCOME);
            world_poll(trap.world, 2000 * MS);
            struct dm_session_stats stats;
            dm_session_stats(session, &stats);
            assert_int_equal(stats.rounds_open, 1);
            struct call other = trap_call(&trap, V, CALL_INCR, "k", NULL);
            call_begin(&other);
            gate_cut(session, false);
            world_poll(trap.world, 100 * MS);
            call_finish(&other);
            assert_int_equal(other.status, DM_OK);
            dm_session_stats(session, &stats);
            assert_int_equal(stats.rounds_open, 0);
            struct call last = call_run(trap.world, W, CALL_INCR, "k", NULL);
            assert_in_range(last.number, 7, 8); /* the broken one may have happened or not, and once */
            trap.world->fake.warnings = 0;      /* they were right */
            trap_close(&trap);
        }
    }
}

static void a_client_without_nodes_begins_no_writes_without_end(void **state) {
    (void)state;
    struct trap trap = trap_open(2);
    struct dm_session *session = trap_session(&trap, U);
    assert_int_equal(world_put(trap.world, U, "k", "5"), DM_OK);
    gate_cut(session, true);
    for (uint32_t i = 0; i < OPEN_ROUNDS_MAX; i++) { /* all guess the same old value: one will win */
        assert_int_equal(world_put(trap.world, U, "k", "6"), DM_UNKNOWN_OUTCOME);
    }
    assert_int_equal(world_put(trap.world, U, "k", "7"), DM_UNREACHABLE);
    struct dm_session_stats stats;
    dm_session_stats(session, &stats);
    assert_int_equal(stats.rounds_open, OPEN_ROUNDS_MAX);
    gate_cut(session, false);
    world_poll(trap.world, 100 * MS);
    world_expect(trap.world, V, "k", "6");
    assert_int_equal(world_put(trap.world, U, "k", "7"), DM_OK);
    trap.world->fake.warnings = 0; /* they were right */
    trap_close(&trap);
}

struct repairing {
    struct dm_session *by;
    uint32_t client;
    enum dm_status status;
    bool ended;
};

static void repair_client(void *argument) {
    struct repairing *repairing = argument;
    repairing->status = dm_session_repair(repairing->by, &repairing->client, 1);
    repairing->ended = true;
}

/* It is then as good as dead: others repair what it leaves. */
static void a_session_that_closes_with_open_rounds_is_repaired(void **state) {
    (void)state;
    for (uint32_t r = 2; r <= 3; r++) {
        struct trap trap = trap_open(r);
        struct dm_session *session = trap_session(&trap, U);
        assert_int_equal(world_put(trap.world, U, "k", "5"), DM_OK);
        struct call call = trap_call(&trap, U, CALL_INCR, "k", NULL);
        trap_begin_round(&trap, &call);
        gate_apply_node(session, B1);
        gate_cut(session, true);
        gate_break(session);
        gate_open(session);
        call_finish(&call);
        assert_int_equal(call.status, DM_UNKNOWN_OUTCOME);
        struct repairing repairing = {trap_session(&trap, V), session->client, DM_BUSY, false};
        world_session_close(trap.world, U);
        assert_int_equal(dm_sched_spawn(trap.world->sched[V], repair_client, &repairing), DM_OK);
        for (uint32_t i = 0; i < 1000 && !repairing.ended;
             i++) { /* with the others' housekeeping, which it waits for */
            world_poll(trap.world, 10 * MS);
        }
        assert_int_equal(repairing.status, DM_OK);
        struct call other = call_run(trap.world, V, CALL_INCR, "k", NULL);
        assert_int_equal(other.status, DM_OK);
        assert_in_range(other.number, 6, 7);
        world_session_open(trap.world, U);
        trap.world->fake.warnings = 0;
        trap_close(&trap);
    }
}

/* A transaction of a and b that is cut behind its first `batches`. */
static struct transact_call cut_transaction(struct trap *trap, uint32_t batches) {
    struct dm_session *session = trap_session(trap, U);
    assert_int_equal(world_put(trap->world, U, "a", "1"), DM_OK);
    assert_int_equal(world_put(trap->world, U, "b", "1"), DM_OK);
    struct transact_call call = transact_make(trap->world, U, TRANSACT_STEPS({"a", "+"}, {"b", "+"}));
    gate_close(session);
    transact_begin(&call);
    for (uint32_t i = 0; i < batches; i++) {
        gate_pass(session);
    }
    gate_cut(session, true);
    gate_open(session);
    transact_finish(&call);
    return call;
}

/* While it closes the nodes can be reached again: it ends the transaction itself. */
static void a_session_that_closes_ends_its_transaction_before_it_gives_its_record_back(void **state) {
    (void)state;
    uint32_t left = 0;
    for (uint32_t r = 2; r <= 3; r++) {
        for (uint32_t batches = 0; batches <= 6; batches++) {
            for (uint32_t fail = 0; fail <= 2; fail++) {
                struct trap trap = trap_open(r);
                struct dm_session *session = trap_session(&trap, U);
                struct transact_call call = cut_transaction(&trap, batches);
                left += session->transactions != NULL;
                gate_cut_next(session, session->transactions != NULL ? fail : 0);
                world_session_close(trap.world, U);
                struct call a = call_run(trap.world, V, CALL_INCR, "a", NULL);
                struct call b = call_run(trap.world, V, CALL_INCR, "b", NULL);
                assert_int_equal(a.status, DM_OK);
                assert_int_equal(a.number, b.number);
                assert_true(call.status == DM_OK ? a.number == 3 : a.number == 2 || a.number == 3);
                world_session_open(trap.world, U);
                trap.world->fake.warnings = 0; /* of the cut */
                trap_close(&trap);
            }
        }
    }
    assert_true(left >= 12);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_broken_at_any_place_happens_once_or_not_at_all),
        cmocka_unit_test(a_long_outage_leaves_no_round_open),
        cmocka_unit_test(a_client_without_nodes_begins_no_writes_without_end),
        cmocka_unit_test(a_session_that_closes_with_open_rounds_is_repaired),
        cmocka_unit_test(a_session_that_closes_ends_its_transaction_before_it_gives_its_record_back),
    };
    return cmocka_run_group_tests_name("open_round", tests, NULL, NULL);
}
