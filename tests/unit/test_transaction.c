/* test_transaction.c: dm_transact: what it does and what it costs, r = 1, 2, 3. What others see of it is
 * test_transaction_seen.c's, deaths are test_transaction_crash.c's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fusee/session.h"
#include "gate.h"
#include "pool_account.h"
#include "pool_check.h"
#include "transact_call.h"

#define FOR_R(r) for (uint32_t r = 1; r <= 3; r++)

static struct world *open_small(uint32_t replicas, uint32_t sessions) {
    struct world_config config = world_small(replicas, sessions);
    return world_open(&config);
}

/* Everything has come to rest, and no memory is lost. */
static void close_clean(struct world *world) {
    world_poll(world, 300 * MS);
    struct census census = check_at_rest(world);
    assert_int_equal(census.tombstones, 0);
    assert_int_equal(census.provisional, 0);
    assert_int_equal(account_pool(world).objects_used, census.live);
    assert_int_equal(world->fake.warnings, 0);
    assert_int_equal(gate_unordered(world->fabric), 0);
    world_close(world);
}

/* ---- What it does ----------------------------------------------------------------------------------------------- */

static void it_writes_deletes_and_reads_several_keys_at_once(void **state) {
    (void)state;
    FOR_R(r) {
        struct world *world = open_small(r, 2);
        assert_int_equal(world_put(world, 0, "a", "1"), DM_OK);
        assert_int_equal(world_put(world, 0, "b", "2"), DM_OK);
        struct transact_call call =
            transact_make(world, 1, TRANSACT_STEPS({"a", "+"}, {"b", ""}, {"c", "new"}, {"d", NULL}, {"e", ""}));
        transact_run(&call);
        assert_int_equal(call.status, DM_OK);
        assert_string_equal(call.seen[0], "1");
        assert_string_equal(call.seen[1], "2");
        assert_false(call.found[2] || call.found[3] || call.found[4]);
        for (uint32_t turn = 0; turn < 2; turn++) { /* with its intents, and without */
            for (uint32_t s = 0; s < 2; s++) {
                world_expect(world, s, "a", "2");
                world_expect(world, s, "b", NULL);
                world_expect(world, s, "c", "new");
                world_expect(world, s, "d", NULL);
                world_expect(world, s, "e", NULL);
            }
            world_poll(world, 30 * MS);
        }
        close_clean(world);
    }
}

static void every_call_works_on_the_intents_of_a_transaction_that_was_not_cleaned(void **state) {
    (void)state;
    FOR_R(r) {
        static const struct transact_step steps[] = {{"a", "10"}, {"b", ""}, {"c", "30"}, {"d", NULL}};
        for (uint32_t i = 0; i < 8; i++) {
            struct world *world = open_small(r, 2);
            assert_int_equal(world_put(world, 0, "a", "1"), DM_OK);
            assert_int_equal(world_put(world, 0, "b", "2"), DM_OK);
            struct transact_call call = transact_make(world, 0, steps, 4);
            transact_run(&call);
            uint32_t s = i % 2;
            assert_int_equal(call_run(world, s, CALL_INCR, "a", NULL).number, 11);
            assert_int_equal(world_delete(world, s, "b"), DM_NOT_FOUND);
            assert_int_equal(call_run(world, s, i < 4 ? CALL_PUT : CALL_SETNX, "b", "20").status, DM_OK);
            assert_int_equal(call_run(world, s, i < 4 ? CALL_GETDEL : CALL_DELETE, "c", NULL).status, DM_OK);
            assert_int_equal(call_run(world, s, CALL_APPEND, "d", "40").status, DM_OK);
            struct transact_call next =
                transact_make(world, 1 - s, TRANSACT_STEPS({"a", "+"}, {"b", NULL}, {"c", "+"}, {"d", ""}));
            transact_run(&next);
            assert_string_equal(next.seen[0], "11");
            assert_string_equal(next.seen[1], "20");
            assert_false(next.found[2]);
            assert_string_equal(next.seen[3], "40");
            world_expect(world, s, "a", "12");
            world_expect(world, s, "b", "20");
            world_expect(world, s, "c", "1");
            world_expect(world, s, "d", NULL);
            close_clean(world);
        }
    }
}

static void who_changes_nothing_writes_nothing(void **state) {
    (void)state;
    FOR_R(r) {
        struct world *world = open_small(r, 2);
        assert_int_equal(world_put(world, 0, "a", "1"), DM_OK);
        struct transact_call call = transact_make(world, 1, TRANSACT_STEPS({"a", "2"}, {"b", "3"}));
        call.if_absent = true;
        transact_run(&call);
        assert_true(call.refused);
        assert_int_equal(call.cost.writes + call.cost.compare_swaps, 0);
        world_expect(world, 0, "a", "1");
        world_expect(world, 0, "b", NULL);
        close_clean(world);
    }
}

static void a_key_named_twice_counts_once(void **state) {
    (void)state;
    FOR_R(r) {
        struct world *world = open_small(r, 1);
        struct transact_call call = transact_make(world, 0, TRANSACT_STEPS({"a", "1"}, {"a", "2"}, {"b", "3"}));
        transact_run(&call);
        world_expect(world, 0, "a", "2");
        world_expect(world, 0, "b", "3");
        close_clean(world);
    }
}

static void a_version_stays_where_a_transaction_only_reads_or_aborts(void **state) {
    (void)state;
    FOR_R(r) {
        struct world *world = open_small(r, 2);
        assert_int_equal(world_put(world, 0, "a", "1"), DM_OK);
        uint64_t version = call_run(world, 0, CALL_GET, "a", NULL).version;
        struct transact_call call = transact_make(world, 1, TRANSACT_STEPS({"a", NULL}, {"b", "2"}));
        transact_run(&call);
        assert_true(call_run(world, 0, CALL_GET, "a", NULL).version == version);
        world_poll(world, 30 * MS);
        assert_true(call_run(world, 1, CALL_GET, "a", NULL).version == version);
        call = transact_make(world, 1, TRANSACT_STEPS({"a", "1"}));
        transact_run(&call);
        assert_true(call_run(world, 1, CALL_GET, "a", NULL).version != version);
        close_clean(world);
    }
}

static void more_keys_than_an_object_can_name_have_their_slots_apart(void **state) {
    (void)state;
    FOR_R(r) {
        struct world *world = open_small(r, 2);
        struct transact_step steps[TRANSACT_KEYS_MOST];
        char names[TRANSACT_KEYS_MOST][8];
        for (uint32_t i = 0; i < TRANSACT_KEYS_MOST; i++) {
            snprintf(names[i], sizeof names[i], "k%u", i);
            steps[i] = (struct transact_step){names[i], "+"};
        }
        for (uint32_t turn = 0; turn < 3; turn++) {
            struct transact_call call = transact_make(world, turn % 2, steps, TRANSACT_KEYS_MOST);
            transact_run(&call);
            assert_int_equal(call.status, DM_OK);
            for (uint32_t i = 0; i < TRANSACT_KEYS_MOST; i++) {
                char number[8];
                snprintf(number, sizeof number, "%u", turn + 1);
                world_expect(world, 1 - turn % 2, names[i], number);
            }
        }
        close_clean(world);
    }
}

/* What is freed rests for two epochs: more blocks are taken meanwhile, not one object at a time waited for. */
static void many_in_a_row_find_memory_at_once(void **state) {
    (void)state;
    FOR_R(r) {
        struct world *world = open_small(r, 1);
        struct transact_call call = transact_make(world, 0, TRANSACT_STEPS({"a", "+"}, {"b", "+"}));
        uint64_t began_ns = world->fake.now_ns;
        for (uint32_t i = 0; i < 150; i++) {
            transact_run(&call);
            assert_int_equal(call.status, DM_OK);
            world_jobs(world, 0);
        }
        assert_true(world->fake.now_ns - began_ns < 100 * MS);
        world_expect(world, 0, "a", "150");
        close_clean(world);
    }
}

/* ---- What it costs ---------------------------------------------------------------------------------------------- */

static void expect_cost(const struct dm_cost *got, const uint32_t want[4], const char *what, uint32_t r) {
    if (got->round_trips != want[0] || got->reads != want[1] || got->writes != want[2] ||
        got->compare_swaps != want[3]) {
        fail_msg("%s, r = %u: %u round trips, %u reads, %u writes, %u CAS; expected %u, %u, %u, %u", what, r,
                 (unsigned)got->round_trips, (unsigned)got->reads, (unsigned)got->writes, (unsigned)got->compare_swaps,
                 want[0], want[1], want[2], want[3]);
    }
}

static void known_keys_cost_two_round_trips(void **state) {
    (void)state;
    FOR_R(r) {
        for (uint32_t blind = 0; blind < 2; blind++) {
            struct world *world = open_small(r, 2);
            assert_int_equal(world_put(world, 0, "warm", "1"), DM_OK);
            assert_int_equal(world_put(world, 0, "a", "1"), DM_OK);
            assert_int_equal(world_put(world, 0, "b", "1"), DM_OK);
            assert_int_equal(world_put(world, 0, "c", "1"), DM_OK);
            struct transact_call call = transact_make(world, 0, TRANSACT_STEPS({"a", "2"}, {"b", "2"}, {"c", "2"}));
            call.blind = blind != 0;
            transact_run(&call);
            uint32_t backups = r == 1 ? 1 : r - 1;
            expect_cost(&call.cost, (const uint32_t[]){2, 0, 3 * r, 3 * backups + 3}, "EXEC of three known keys", r);
            world_poll(world, 30 * MS);
            transact_run(&call);
            expect_cost(&call.cost, (const uint32_t[]){2, 0, 3 * r, 3 * backups + 3}, "... once more", r);
            close_clean(world);
        }
    }
}

static void new_keys_cost_one_round_trip_more_to_look_for_them(void **state) {
    (void)state;
    FOR_R(r) {
        struct world *world = open_small(r, 1);
        assert_int_equal(world_put(world, 0, "warm", "1"), DM_OK);
        struct transact_call call = transact_make(world, 0, TRANSACT_STEPS({"a", "2"}, {"b", "2"}));
        call.blind = true;
        transact_run(&call);
        uint32_t backups = r == 1 ? 1 : r - 1;
        expect_cost(&call.cost, (const uint32_t[]){3, 8, 2 * r, 2 * backups + 2}, "MSET of two new keys", r);
        close_clean(world);
    }
}

static void an_intent_costs_its_reader_two_round_trips_more_and_later_calls_nothing(void **state) {
    (void)state;
    FOR_R(r) {
        struct world *world = open_small(r, 2);
        assert_int_equal(world_put(world, 0, "warm", "1"), DM_OK);
        assert_int_equal(world_put(world, 1, "warm2", "1"), DM_OK);
        assert_int_equal(world_put(world, 0, "a", "1"), DM_OK);
        assert_int_equal(world_put(world, 0, "b", "1"), DM_OK);
        world_expect(world, 1, "a", "1");
        world_expect(world, 1, "b", "1");
        struct transact_call call = transact_make(world, 0, TRANSACT_STEPS({"a", "2"}, {"b", "2"}));
        transact_run(&call);
        struct call get = call_run(world, 1, CALL_GET, "a", NULL);
        assert_string_equal(get.value, "2");
        assert_int_equal(get.cost.round_trips, 3);
        assert_int_equal(call_run(world, 1, CALL_GET, "a", NULL).cost.round_trips, 1);
        assert_int_equal(call_run(world, 1, CALL_PUT, "a", "3").cost.round_trips, r == 1 ? 1 : 2);
        /* the stale guess, the intent's object, the other slot, the round */
        assert_int_equal(call_run(world, 1, CALL_PUT, "b", "3").cost.round_trips, r == 1 ? 4 : 5);
        close_clean(world);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_writes_deletes_and_reads_several_keys_at_once),
        cmocka_unit_test(every_call_works_on_the_intents_of_a_transaction_that_was_not_cleaned),
        cmocka_unit_test(who_changes_nothing_writes_nothing),
        cmocka_unit_test(a_key_named_twice_counts_once),
        cmocka_unit_test(a_version_stays_where_a_transaction_only_reads_or_aborts),
        cmocka_unit_test(more_keys_than_an_object_can_name_have_their_slots_apart),
        cmocka_unit_test(many_in_a_row_find_memory_at_once),
        cmocka_unit_test(known_keys_cost_two_round_trips),
        cmocka_unit_test(new_keys_cost_one_round_trip_more_to_look_for_them),
        cmocka_unit_test(an_intent_costs_its_reader_two_round_trips_more_and_later_calls_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
