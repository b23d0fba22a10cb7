/* test_count.c: the number of keys without a walk: what it costs, who knows it when, what closes, dies or is flushed.
 * That every operation, broken or left by a death at any verb, is counted exactly once is pool_check.h's and crash.h's
 * part: all tests that end with them check it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "crash.h"
#include "fusee/recount.h"
#include "fusee/session.h"
#include "pool_check.h"
#include "transact_call.h"

#define KEYS 300u
#define LATE_MS 20u /* behind a change all other processes know it */

struct count_call {
    struct dm_session *session;
    uint16_t space;
    struct dm_count counts[DM_SPACES];
    enum dm_status status;
    bool ended;
};

static void count_coroutine(void *argument) {
    struct count_call *call = argument;
    call->status = dm_count(call->session, call->space, call->counts);
    call->ended = true;
}

static uint64_t expiring_of(struct world *world, uint32_t s) {
    struct count_call call = {.session = world->session[s]};
    world_call(world, s, count_coroutine, &call);
    assert_int_equal(call.status, DM_OK);
    return call.counts[0].expiring;
}

static uint64_t count_of(struct world *world, uint32_t s, uint16_t space) {
    struct count_call call = {.session = world->session[s], .space = space};
    world_call(world, s, count_coroutine, &call);
    assert_int_equal(call.status, DM_OK);
    return call.counts[0].keys;
}

static void put_keys(struct world *world, uint32_t s, const char *prefix, uint32_t count) {
    static char names[KEYS][24];
    for (uint32_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "%s%u", prefix, i);
        assert_int_equal(world_put(world, s, names[i], "1"), DM_OK);
    }
}

static struct world *open_small(uint32_t replicas, uint32_t sessions, bool one_process) {
    struct world_config config = world_small(replicas, sessions);
    config.polled = true;
    config.one_process = one_process;
    return world_open(&config);
}

/* ---- Rules ------------------------------------------------------------------------------------------------------ */

static void only_words_of_the_number_are_added_up(void **state) {
    (void)state;
    const uint64_t words[] = {count_word(5, 10), count_word(21, 1000), 0, count_word(5, COUNT_KEYS_MASK),
                              count_word(5, 1) | UINT64_C(7) << COUNT_KEYS_BITS};
    assert_int_equal(count_sum(words, 5, 5), 10);
    assert_int_equal(count_sum(words, 5, 21), 1000);
    assert_int_equal(count_sum(words, 5, 0), 0);
}

static void numbers_are_compared_around_their_end(void **state) {
    (void)state;
    assert_true(count_is_old(count_word(5, 1), 21));
    assert_false(count_is_old(count_word(21, 1), 5));
    assert_false(count_is_old(count_word(21, 1), 21));
    assert_true(count_is_old(count_word(0xfff5, 1), 5));
}

/* ---- A pool ----------------------------------------------------------------------------------------------------- */

static void one_round_trip_however_many_keys_there_are(void **state) {
    (void)state;
    for (uint32_t r = 1; r <= 3; r++) {
        struct world *world = open_small(r, 2, false);
        struct dm_cost cost[2];
        for (uint32_t i = 0; i < 2; i++) {
            put_keys(world, 0, "k", i == 0 ? 1 : KEYS);
            assert_int_equal(count_of(world, 0, 0), i == 0 ? 1 : KEYS);
            dm_session_last_cost(world->session[0], &cost[i]);
        }
        assert_memory_equal(&cost[0], &cost[1], sizeof cost[0]);
        assert_int_equal(cost[0].round_trips, 1);
        assert_int_equal(cost[0].reads, 3);
        assert_int_equal(cost[0].writes + cost[0].compare_swaps + cost[0].fetch_adds, 0);
        world_close(world);
    }
}

static void sessions_of_one_process_know_at_once_and_others_soon(void **state) {
    (void)state;
    struct world *world = open_small(2, 3, true);
    put_keys(world, 0, "k", 10);
    assert_int_equal(world_delete(world, 1, "k3"), DM_OK);
    assert_int_equal(count_of(world, 2, 0), 9);
    assert_int_equal(count_of(world, 0, 0), 9);
    world_close(world);

    world = open_small(2, 3, false);
    put_keys(world, 0, "k", 10);
    assert_int_equal(world_delete(world, 1, "k3"), DM_OK);
    world_poll(world, LATE_MS * MS);
    for (uint32_t s = 0; s < 3; s++) {
        assert_int_equal(count_of(world, s, 0), 9);
    }
    world_close(world);
}

static void what_creates_and_removes_nothing_writes_no_counts(void **state) {
    (void)state;
    struct world *world = open_small(2, 1, false);
    const struct counts *counts = &world->session[0]->counts;
    put_keys(world, 0, "k", 3);
    world_poll(world, LATE_MS * MS);
    uint64_t changes = counts->words[COUNT_CHANGES_ROW];
    assert_int_equal(changes, 3);
    assert_int_equal(world_put(world, 0, "k1", "2"), DM_OK);
    assert_int_equal(call_run(world, 0, CALL_INCR, "k1", NULL).status, DM_OK);
    assert_true(call_run(world, 0, CALL_SETNX, "k1", "3").found);
    assert_int_equal(world_delete(world, 0, "none"), DM_NOT_FOUND);
    assert_int_equal(counts->unwritten, 0);
    assert_int_equal(counts->words[COUNT_CHANGES_ROW], changes);
    world_close(world);
}

static void transactions_count_each_key_once(void **state) {
    (void)state;
    for (uint32_t r = 1; r <= 3; r++) {
        struct world *world = open_small(r, 2, false);
        struct transact_call call =
            transact_make(world, 0, TRANSACT_STEPS({"a", "1"}, {"b", "1"}, {"c", "1"}, {"d", NULL}));
        transact_run(&call);
        assert_int_equal(call.status, DM_OK);
        assert_int_equal(count_of(world, 0, 0), 3);
        call = transact_make(world, 0, TRANSACT_STEPS({"a", ""}, {"b", "2"}, {"c", NULL}, {"d", "1"}, {"e", "1"}));
        transact_run(&call);
        assert_int_equal(call.status, DM_OK);
        assert_int_equal(count_of(world, 0, 0), 4);
        world_poll(world, 2 * LATE_MS * MS);
        assert_int_equal(count_of(world, 1, 0), 4);
        assert_false(check_counts(world));
        world_close(world);
    }
}

static void put_for_a_second(struct world *world, uint32_t s, const char *key) {
    struct call call = call_make(world, s, CALL_PUT, key, "1");
    call.write.expire_ms = world->fake.wall_ms + 1000;
    call_begin(&call);
    call_finish(&call);
}

static void keys_that_will_expire_are_counted_apart(void **state) {
    (void)state;
    struct world *world = open_small(2, 2, false);
    put_for_a_second(world, 0, "k");
    put_for_a_second(world, 1, "j");
    put_for_a_second(world, 0, "i");
    assert_int_equal(world_put(world, 0, "k", "1"), DM_OK); /* does not any more */
    assert_int_equal(world_delete(world, 1, "j"), DM_OK);
    put_for_a_second(world, 1, "i");
    world_poll(world, LATE_MS * MS);
    for (uint32_t s = 0; s < 2; s++) {
        assert_int_equal(count_of(world, s, 0), 2);
        assert_int_equal(expiring_of(world, s), 1);
    }
    assert_false(check_counts(world));
    world_close(world);
}

static void an_expired_key_counts_until_it_is_removed(void **state) {
    (void)state;
    struct world *world = open_small(2, 2, false);
    put_for_a_second(world, 0, "k");
    world->fake.wall_ms += 2000;
    world_poll(world, LATE_MS * MS);
    assert_int_equal(count_of(world, 1, 0), 1);
    world_expect(world, 1, "k", NULL);
    world_poll(world, LATE_MS * MS);
    assert_int_equal(count_of(world, 0, 0), 0);
    assert_int_equal(count_of(world, 1, 0), 0);
    assert_false(check_counts(world));
    world_close(world);
}

static void who_comes_after_a_client_goes_on_from_its_counts(void **state) {
    (void)state;
    struct world *world = open_small(2, 2, false);
    put_keys(world, 0, "k", 10);
    uint16_t client = world->session[0]->client;
    world_session_close(world, 0);
    assert_int_equal(count_of(world, 1, 0), 10);
    world_session_open(world, 0);
    assert_int_equal(world->session[0]->client, client);
    assert_int_equal(world_delete(world, 0, "k1"), DM_OK);
    assert_int_equal(world_delete(world, 1, "k2"), DM_OK);
    world_poll(world, LATE_MS * MS);
    assert_int_equal(count_of(world, 0, 0), 8);
    assert_int_equal(count_of(world, 1, 0), 8);
    world_close(world);
}

/* ---- Spaces ----------------------------------------------------------------------------------------------------- */

struct space_call {
    struct dm_session *session;
    bool swap, purge;
    enum dm_status status;
    bool ended;
};

static void space_coroutine(void *argument) {
    struct space_call *call = argument;
    call->status = call->swap ? dm_space_swap(call->session, 0, 3) : dm_space_flush(call->session, 0);
    if (call->purge && call->status == DM_OK) {
        call->status = dm_space_purge(call->session);
    }
    call->ended = true;
}

static void change_space(struct world *world, uint32_t s, bool swap, bool purge) {
    struct space_call call = {.session = world->session[s], .swap = swap, .purge = purge};
    assert_int_equal(dm_sched_spawn(world->sched[s], space_coroutine, &call), DM_OK);
    for (uint32_t ms = 0; ms < 1000 && !call.ended; ms++) {
        world_poll(world, MS);
    }
    assert_true(call.ended);
    assert_int_equal(call.status, DM_OK);
}

static void a_flush_counts_from_nothing_and_a_swap_exchanges(void **state) {
    (void)state;
    struct world *world = open_small(2, 2, false);
    put_keys(world, 0, "k", 10);
    put_keys(world, 1, "j", 5);
    change_space(world, 1, true, false);
    assert_int_equal(count_of(world, 0, 0), 0);
    assert_int_equal(count_of(world, 0, 3), 15);
    put_keys(world, 0, "k", 2);
    change_space(world, 0, true, false);
    assert_int_equal(count_of(world, 1, 0), 15);
    change_space(world, 1, false, false);
    assert_int_equal(count_of(world, 0, 0), 0);
    put_keys(world, 0, "i", 1);
    change_space(world, 0, false, true); /* what is removed behind it was counted under older numbers */
    put_keys(world, 1, "i", 4);
    world_poll(world, LATE_MS * MS);
    struct count_call all = {.session = world->session[0], .space = DM_SPACE_ALL};
    world_call(world, 0, count_coroutine, &all);
    assert_int_equal(all.status, DM_OK);
    for (uint32_t s = 0; s < DM_SPACES; s++) {
        assert_int_equal(all.counts[s].keys, s == 0 ? 4 : s == 3 ? 2 : 0);
    }
    assert_false(check_counts(world));
    world_close(world);
}

/* A number comes back one day: nobody may have a count from its first time then. */
static void counts_of_older_numbers_are_forgotten(void **state) {
    (void)state;
    struct world *world = open_small(2, 3, false);
    for (uint32_t s = 0; s < 3; s++) {
        char prefix[] = {(char)('a' + s), '\0'};
        put_keys(world, s, prefix, 5);
    }
    world_session_close(world, 0);
    change_space(world, 1, false, true);
    world_poll(world, 2000 * MS); /* an idle client looks once a second */
    const struct layout *layout = check_layout(world);
    for (uint32_t c = 0; c < layout_count_words(layout); c++) {
        uint64_t word;
        memcpy(&word, (const uint8_t *)world->memory[0].base + layout_count_offset(layout, 0, c), sizeof word);
        assert_true(word == 0 || word == count_word(DM_SPACES, 0));
    }
    world_session_open(world, 0);
    for (uint32_t s = 0; s < 3; s++) {
        uint64_t word = world->session[s]->counts.words[0];
        assert_true(word == 0 || word == count_word(DM_SPACES, 0));
    }
    world_close(world);
}

/* ---- Doubt ------------------------------------------------------------------------------------------------------ */

static void order_coroutine(void *argument) {
    struct count_call *call = argument;
    call->status = recount_order(call->session);
    call->ended = true;
}

/* As a death leaves them: some keys of session 0 were never written, and all are told. */
static void make_wrong(struct world *world) {
    uint64_t word = count_word(0, 7);
    world_session_close(world, 0);
    memcpy((uint8_t *)world->memory[0].base + layout_count_offset(check_layout(world), 0, 0), &word, sizeof word);
    struct count_call call = {.session = world->session[1]};
    world_call(world, 1, order_coroutine, &call);
    assert_int_equal(call.status, DM_OK);
}

static void wrong_counts_are_mended_and_not_shown_meanwhile(void **state) {
    (void)state;
    struct world *world = open_small(2, 3, false);
    assert_int_equal(world->session[0]->client, 0);
    put_keys(world, 0, "k", 10);
    make_wrong(world);
    struct dm_cost cost;
    assert_int_equal(count_of(world, 2, 0), 10); /* by a walk */
    dm_session_last_cost(world->session[2], &cost);
    assert_int_not_equal(cost.reads, 3);
    assert_true(check_counts(world));
    world_poll(world, 1500 * MS); /* the idle look once a second */
    assert_false(check_counts(world));
    assert_int_equal(count_of(world, 2, 0), 10);
    dm_session_last_cost(world->session[2], &cost);
    assert_int_equal(cost.round_trips, 1);
    assert_int_equal(cost.reads, 3);
    world_close(world);
}

static void counts_are_not_mended_while_keys_come_and_go(void **state) {
    (void)state;
    struct world *world = open_small(2, 3, false);
    put_keys(world, 0, "k", 10);
    make_wrong(world);
    for (uint32_t i = 0; i < 20; i++) { /* as many as before, but others */
        assert_int_equal(world_put(world, 1, "j", "1"), DM_OK);
        world_poll(world, 10 * MS);
        assert_int_equal(world_delete(world, 1, "j"), DM_OK);
        world_poll(world, 10 * MS);
        assert_true(check_counts(world));
    }
    for (uint32_t ms = 0; ms < 5000 && check_counts(world); ms += 100) {
        world_poll(world, 100 * MS);
    }
    assert_false(check_counts(world));
    assert_int_equal(count_of(world, 2, 0), 10);
    world_close(world);
}

static void behind_a_death_the_count_is_right(void **state) {
    (void)state;
    struct crash crash = crash_open(&crash_pools[0]);
    struct world *world = crash.world;
    uint64_t before = count_of(world, X, 0);
    put_keys(world, U, "k", 10); /* and dies before it writes how many */
    crash_kill(&crash, U);
    repair_all(&crash, X);
    assert_int_equal(count_of(world, X, 0), before + 10);
    crash_close(&crash); /* waits until they are mended, and checks */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_words_of_the_number_are_added_up),
        cmocka_unit_test(numbers_are_compared_around_their_end),
        cmocka_unit_test(one_round_trip_however_many_keys_there_are),
        cmocka_unit_test(sessions_of_one_process_know_at_once_and_others_soon),
        cmocka_unit_test(what_creates_and_removes_nothing_writes_no_counts),
        cmocka_unit_test(transactions_count_each_key_once),
        cmocka_unit_test(keys_that_will_expire_are_counted_apart),
        cmocka_unit_test(an_expired_key_counts_until_it_is_removed),
        cmocka_unit_test(who_comes_after_a_client_goes_on_from_its_counts),
        cmocka_unit_test(a_flush_counts_from_nothing_and_a_swap_exchanges),
        cmocka_unit_test(counts_of_older_numbers_are_forgotten),
        cmocka_unit_test(wrong_counts_are_mended_and_not_shown_meanwhile),
        cmocka_unit_test(counts_are_not_mended_while_keys_come_and_go),
        cmocka_unit_test(behind_a_death_the_count_is_right),
    };
    return cmocka_run_group_tests_name("count", tests, NULL, NULL);
}
