/* test_engine_cost.c: what the data calls of dm.h cost, r = 1, 2, 3: round trips and verbs, asserted from the fabric's
 * own counters against the design's table of budgets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "fusee/session.h"
#include "gate.h"
#include "pool_check.h"

#define REPLICAS_MOST 3u

static struct world *open_small(uint32_t replicas, uint32_t sessions) {
    struct world_config config = world_small(replicas, sessions);
    return world_open(&config);
}

/* ---- Cost ------------------------------------------------------------------------------------------------------- */

struct expected_cost {
    const char *what;
    enum call_kind kind;
    bool present, cached;
    struct dm_cost cost[REPLICAS_MOST]; /* r = 1, 2, 3; bytes are not compared */
};

#define COST(trips, read, written, swapped)                                                                            \
    { .round_trips = trips, .reads = read, .writes = written, .compare_swaps = swapped }

/* Column "goal" of the design's table of budgets where a copy is held, "first" otherwise, and the verbs. Each node
 * holds all, so at r = 1 slot and object share a queue pair. */
static const struct expected_cost costs[] = {
    {"GET, hit", CALL_GET, true, true, {COST(1, 2, 0, 0), COST(1, 2, 0, 0), COST(1, 2, 0, 0)}},
    {"GET, miss", CALL_GET, true, false, {COST(2, 3, 0, 0), COST(2, 3, 0, 0), COST(2, 3, 0, 0)}},
    {"GET, absent", CALL_GET, false, false, {COST(1, 2, 0, 0), COST(1, 2, 0, 0), COST(1, 2, 0, 0)}},
    {"SET existing, hit", CALL_PUT, true, true, {COST(1, 0, 1, 1), COST(2, 1, 2, 2), COST(2, 1, 3, 3)}},
    {"SET existing, miss", CALL_PUT, true, false, {COST(3, 3, 1, 1), COST(4, 3, 2, 2), COST(4, 3, 3, 3)}},
    {"SET new", CALL_PUT, false, false, {COST(3, 4, 1, 2), COST(3, 4, 2, 2), COST(3, 4, 3, 3)}},
    {"DEL, hit", CALL_DELETE, true, true, {COST(1, 0, 0, 1), COST(2, 1, 2, 2), COST(2, 1, 3, 3)}},
    {"DEL, miss", CALL_DELETE, true, false, {COST(3, 3, 0, 1), COST(4, 3, 2, 2), COST(4, 3, 3, 3)}},
    {"DEL, absent", CALL_DELETE, false, false, {COST(1, 2, 0, 0), COST(1, 2, 0, 0), COST(1, 2, 0, 0)}},
    {"INCR, hit", CALL_INCR, true, true, {COST(1, 0, 1, 1), COST(2, 1, 2, 2), COST(2, 1, 3, 3)}},
    {"INCR, miss", CALL_INCR, true, false, {COST(3, 3, 1, 1), COST(4, 3, 2, 2), COST(4, 3, 3, 3)}},
    {"INCR, new", CALL_INCR, false, false, {COST(3, 4, 1, 2), COST(3, 4, 2, 2), COST(3, 4, 3, 3)}},
    {"SETNX, present, hit", CALL_SETNX, true, true, {COST(1, 2, 0, 0), COST(1, 2, 0, 0), COST(1, 2, 0, 0)}},
    {"GETDEL, hit", CALL_GETDEL, true, true, {COST(1, 0, 0, 1), COST(2, 1, 2, 2), COST(2, 1, 3, 3)}},
};

static void check_cost(const struct dm_cost *got, const struct dm_cost *want, const char *what, uint32_t r) {
    if (got->round_trips != want->round_trips || got->reads != want->reads || got->writes != want->writes ||
        got->compare_swaps != want->compare_swaps || got->fetch_adds != want->fetch_adds) {
        fail_msg("%s, r = %u: %u round trips, %u reads, %u writes, %u CAS, %u FAA; expected %u, %u, %u, %u, %u", what,
                 r, (unsigned)got->round_trips, (unsigned)got->reads, (unsigned)got->writes,
                 (unsigned)got->compare_swaps, (unsigned)got->fetch_adds, (unsigned)want->round_trips,
                 (unsigned)want->reads, (unsigned)want->writes, (unsigned)want->compare_swaps,
                 (unsigned)want->fetch_adds);
    }
}

static void operations_cost_the_round_trips_and_verbs_of_the_design(void **state) {
    (void)state;
    for (uint32_t r = 1; r <= REPLICAS_MOST; r++) {
        for (size_t i = 0; i < sizeof costs / sizeof costs[0]; i++) {
            const struct expected_cost *expected = &costs[i];
            struct world *world = open_small(r, 2);
            assert_int_equal(world_put(world, 0, "warm", "1"), DM_OK); /* a block, a log head */
            assert_int_equal(world_put(world, 1, "up", "1"), DM_OK);
            if (expected->present) { /* written by another process: this one's cache knows it after a read */
                assert_int_equal(world_put(world, 1, "k", "1"), DM_OK);
            }
            if (expected->cached) {
                world_expect(world, 0, "k", "1");
            }
            struct call call = call_run(world, 0, expected->kind, "k", "7");
            bool absent = !expected->present && (expected->kind == CALL_GET || expected->kind == CALL_DELETE);
            assert_int_equal(call.status, absent ? DM_NOT_FOUND : DM_OK);
            check_cost(&call.cost, &expected->cost[r - 1], expected->what, r);
            assert_int_equal(gate_unordered(world->fabric), 0);
            world_close(world);
        }
    }
}

static void the_writer_of_a_value_has_it_cached(void **state) {
    (void)state;
    struct world *world = open_small(2, 1);
    assert_int_equal(world_put(world, 0, "k", "1"), DM_OK);
    assert_int_equal(call_run(world, 0, CALL_GET, "k", NULL).cost.round_trips, 1);
    assert_int_equal(call_run(world, 0, CALL_PUT, "k", "2").cost.round_trips, 2);
    assert_int_equal(call_run(world, 0, CALL_GET, "k", NULL).cost.round_trips, 1);
    assert_int_equal(call_run(world, 0, CALL_INCR, "k", NULL).cost.round_trips, 2);
    assert_int_equal(call_run(world, 0, CALL_GET, "k", NULL).cost.round_trips, 1);
    world_close(world);
}

static void a_stale_cache_entry_costs_one_round_trip_more(void **state) {
    (void)state;
    struct world *world = open_small(2, 2);
    assert_int_equal(world_put(world, 0, "k", "1"), DM_OK);
    assert_int_equal(world_put(world, 1, "k", "2"), DM_OK);
    struct call call = call_run(world, 0, CALL_GET, "k", NULL);
    assert_string_equal(call.value, "2");
    assert_int_equal(call.cost.round_trips, 2);
    assert_int_equal(call_run(world, 0, CALL_GET, "k", NULL).cost.round_trips, 1);
    world_close(world);
}

/* A guess that is wrong costs two round trips: its own batch, and the READ of the object that is there now. So does a
 * stale entry of the index cache, but without objects sent for nothing: a key that others keep writing is read first
 * after a while. */
static void a_stale_guess_costs_what_a_stale_cache_entry_costs_and_is_given_up_where_it_is_the_rule(void **state) {
    (void)state;
    for (uint32_t r = 1; r <= REPLICAS_MOST; r++) {
        struct world *world = open_small(r, 2);
        for (uint32_t i = 0; i < 100; i++) {
            assert_int_equal(world_put(world, 0, "k", "1"), DM_OK);
            assert_int_equal(world_put(world, 1, "k", "2"), DM_OK);
            struct call call = call_run(world, 0, i % 2 == 0 ? CALL_PUT : CALL_APPEND, "k", "3");
            assert_int_equal(call.status, DM_OK);
            world_expect(world, 1, "k", i % 2 == 0 ? "3" : "23");
            assert_int_equal(call.cost.round_trips, r == 1 ? 3 : 4);
        }
        struct dm_session_stats stats;
        dm_session_stats(world->session[0], &stats);
        assert_in_range(stats.guesses_stale, 5, 60); /* of 200 writes */
        world_close(world);
    }
}

/* SETNX of a key that a copy shows must not answer from the copy: the key may be gone. */
static void what_a_copy_shows_is_no_answer(void **state) {
    (void)state;
    for (uint32_t r = 1; r <= REPLICAS_MOST; r++) {
        struct world *world = open_small(r, 2);
        assert_int_equal(world_put(world, 0, "k", "1"), DM_OK);
        assert_int_equal(world_delete(world, 1, "k"), DM_OK);
        assert_int_equal(call_run(world, 0, CALL_SETNX, "k", "2").found, 0);
        world_expect(world, 1, "k", "2");
        assert_int_equal(world_delete(world, 1, "k"), DM_OK);
        assert_int_equal(world_delete(world, 0, "k"), DM_NOT_FOUND);
        world_close(world);
    }
}

/* The epochs go by. Whenever the word's tag may come back, the slot is read first, and the object behind it: else the
 * old object could be read before its memory is used again, and the slot when it holds the same word once more. */
static void t3_a_cached_word_that_may_have_come_back_is_read_before_its_object(void **state) {
    (void)state;
    for (uint32_t r = 1; r <= REPLICAS_MOST; r++) {
        struct world *world = open_small(r, 1);
        struct dm_session *session = world->session[0];
        assert_int_equal(world_put(world, 0, "k", "1"), DM_OK);
        uint64_t word;
        check_slot_of(world, "k", &word);
        uint32_t twice = 0;
        uint64_t written = session->epoch;
        for (uint32_t i = 0; i < 300; i++) {
            session->epoch = written + i;
            struct call call = call_run(world, 0, CALL_GET, "k", NULL);
            assert_string_equal(call.value, "1");
            twice += call.cost.round_trips == 2;
            bool may_be_back = i > 1 && (word_tag(word) == (session->epoch & WORD_TAG_MASK) ||
                                         word_tag(word) == ((session->epoch + 1) & WORD_TAG_MASK));
            assert_true(!may_be_back || call.cost.round_trips == 2);
        }
        assert_in_range(twice, 4, 12); /* and only then */
        session->epoch = written;
        world_close(world);
    }
}

static void a_put_reads_no_more_of_the_old_value_than_its_key(void **state) {
    (void)state;
    struct world *world = open_small(2, 1);
    static char large[4001];
    memset(large, 'x', sizeof large - 1);
    assert_int_equal(world_put(world, 0, "k", large), DM_OK);
    struct call call = call_run(world, 0, CALL_PUT, "k", "small");
    assert_in_range(call.cost.bytes_read, 1, 128 + 8 * 3);
    call = call_run(world, 0, CALL_GET, "k", NULL);
    assert_string_equal(call.value, "small");
    world_close(world);
}

/* The word of a key that another process keeps overwriting is stale nearly always: after a while, the slot is read
 * first and the object of the old word is left alone. */
static void a_key_that_others_keep_writing_bypasses_the_cached_word(void **state) {
    (void)state;
    struct world *world = open_small(2, 2);
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(world_put(world, 1, "k", "1"), DM_OK);
        assert_int_equal(call_run(world, 0, CALL_GET, "k", NULL).status, DM_OK);
        world_poll(world, 10 * MS);
    }
    struct dm_session_stats stats;
    dm_session_stats(world->session[0], &stats);
    assert_true(stats.cache_bypassed > 0);
    world_close(world);
}

static void deletes_pay_for_the_clear_off_the_request_path(void **state) {
    (void)state;
    for (uint32_t r = 2; r <= REPLICAS_MOST; r++) {
        struct world *world = open_small(r, 1);
        assert_int_equal(world_put(world, 0, "k", "1"), DM_OK);
        assert_int_equal(world_delete(world, 0, "k"), DM_OK);
        assert_int_equal(check_at_rest(world).tombstones, 1);
        struct dm_session_stats stats;
        world_jobs(world, 0);
        dm_session_stats(world->session[0], &stats);
        assert_int_equal(check_at_rest(world).tombstones, 0);
        assert_int_equal(stats.kind[DM_KIND_CLEAR].operations, 1);
        assert_int_equal(stats.kind[DM_KIND_CLEAR].cost.round_trips, 2);
        assert_int_equal(stats.kind[DM_KIND_CLEAR].cost.compare_swaps, r);
        assert_int_equal(stats.kind[DM_KIND_CLEAR].cost.writes, 0);
        world_close(world);
    }
}

/* ---- Many keys -------------------------------------------------------------------------------------------------- */

#define MANY 100u

struct many {
    struct world *world;
    uint32_t s, count;
    char names[MANY][8];
    struct dm_key keys[MANY];
    struct dm_cost cost;
};

static void many_coroutine(void *argument) {
    struct many *many = argument;
    struct dm_session *session = many->world->session[many->s];
    struct dm_read reads[MANY] = {0};
    enum dm_status statuses[MANY];
    dm_get_many(session, many->keys, many->count, reads, statuses);
    dm_session_last_cost(session, &many->cost);
    for (uint32_t i = 0; i < many->count; i++) {
        if (i % 5 == 4) { /* never written */
            assert_int_equal(statuses[i], DM_NOT_FOUND);
        } else {
            assert_int_equal(statuses[i], DM_OK);
            assert_int_equal(reads[i].value.length, many->keys[i].length);
            assert_memory_equal(reads[i].value.bytes, many->names[i], reads[i].value.length);
        }
        dm_read_release(session, &reads[i]);
    }
}

static void many_keys_share_their_round_trips(void **state) {
    (void)state;
    for (uint32_t r = 1; r <= REPLICAS_MOST; r++) {
        struct world *world = open_small(r, 2);
        struct many many = {.world = world, .s = 1};
        for (uint32_t i = 0; i < MANY; i++) {
            snprintf(many.names[i], sizeof many.names[i], "m%u", i);
            many.keys[i] = (struct dm_key){many.names[i], (uint32_t)strlen(many.names[i]), 0};
            if (i % 5 != 4) {
                assert_int_equal(world_put(world, 0, many.names[i], many.names[i]), DM_OK);
            }
        }
        assert_int_equal(world_put(world, 1, "up", "1"), DM_OK);
        many.count = 32;
        world_call(world, 1, many_coroutine, &many);
        assert_int_equal(many.cost.round_trips, 3); /* all missed; then once more, for one picture of all */
        many.count = 4;
        world_call(world, 1, many_coroutine, &many);
        assert_int_equal(many.cost.round_trips, 2);
        assert_int_equal(many.cost.reads, 12);
        many.count = 32;
        world_call(world, 1, many_coroutine, &many);
        assert_int_equal(many.cost.round_trips, 2); /* hits, and absent keys in the same batch */
        many.count = MANY;
        world_call(world, 1, many_coroutine, &many);
        world_call(world, 1, many_coroutine, &many);
        world_close(world);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_cost_the_round_trips_and_verbs_of_the_design),
        cmocka_unit_test(the_writer_of_a_value_has_it_cached),
        cmocka_unit_test(a_stale_cache_entry_costs_one_round_trip_more),
        cmocka_unit_test(a_stale_guess_costs_what_a_stale_cache_entry_costs_and_is_given_up_where_it_is_the_rule),
        cmocka_unit_test(what_a_copy_shows_is_no_answer),
        cmocka_unit_test(t3_a_cached_word_that_may_have_come_back_is_read_before_its_object),
        cmocka_unit_test(a_put_reads_no_more_of_the_old_value_than_its_key),
        cmocka_unit_test(a_key_that_others_keep_writing_bypasses_the_cached_word),
        cmocka_unit_test(deletes_pay_for_the_clear_off_the_request_path),
        cmocka_unit_test(many_keys_share_their_round_trips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
