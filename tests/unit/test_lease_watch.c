/* test_lease_watch.c: when a watcher may say that a lease is over (coordinator/lease_watch.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lease_watch.h"

#define MS UINT64_C(1000000)
#define LEASE_MS 1000u
#define LOOK_MS 50u

static struct lease_sight sight_at(uint64_t ms, uint64_t lease) {
    return (struct lease_sight){
        .owner = 7, .lease = lease, .lease_ms = LEASE_MS, .began_ns = ms * MS, .ended_ns = ms * MS + MS / 10};
}

/* Looks every LOOK_MS from `from_ms` on at a word that stays; returns when it is said to be over, or to_ms. */
static uint64_t over_at(struct lease_watch *watch, uint64_t from_ms, uint64_t to_ms, uint64_t lease) {
    for (uint64_t ms = from_ms; ms < to_ms; ms += LOOK_MS) {
        struct lease_sight sight = sight_at(ms, lease);
        if (lease_watch_look(watch, &sight)) {
            return ms;
        }
    }
    return to_ms;
}

static void a_word_that_stays_is_over_behind_the_lease_and_a_quarter(void **state) {
    struct lease_watch watch = {0};
    (void)state;
    uint64_t ms = over_at(&watch, 10000, 20000, 1);
    assert_in_range(ms, 10000 + LEASE_MS * 5 / 4, 10000 + LEASE_MS * 5 / 4 + 2 * LOOK_MS);
    struct lease_sight again = sight_at(ms + LOOK_MS, 1);
    assert_true(lease_watch_look(&watch, &again)); /* and stays so */
}

static void a_word_that_changes_within_the_lease_is_never_over(void **state) {
    struct lease_watch watch = {0};
    (void)state;
    for (uint64_t lease = 1; lease < 50; lease++) {
        uint64_t from_ms = 1000 + lease * LEASE_MS;
        assert_int_equal(over_at(&watch, from_ms, from_ms + LEASE_MS, lease), from_ms + LEASE_MS);
    }
}

static void another_owner_begins_anew(void **state) {
    struct lease_watch watch = {0};
    (void)state;
    assert_int_equal(over_at(&watch, 1000, 2200, 1), 2200);
    struct lease_sight other = sight_at(2200, 1);
    other.owner = 8;
    assert_false(lease_watch_look(&watch, &other));
    other = sight_at(2250, 1);
    other.owner = 8;
    assert_false(lease_watch_look(&watch, &other));
}

/* The watcher was paused: it cannot tell whether the client was, too, or has not had the CPU since. */
static void a_watcher_that_was_away_begins_anew(void **state) {
    struct lease_watch watch = {0};
    (void)state;
    assert_int_equal(over_at(&watch, 1000, 2200, 1), 2200);
    struct lease_sight late = sight_at(9000, 1);
    assert_false(lease_watch_look(&watch, &late));
    uint64_t ms = over_at(&watch, 9000 + LOOK_MS, 20000, 1);
    assert_true(ms >= 9000 + LEASE_MS * 5 / 4);
    assert_true(ms < 20000);
}

static void two_looks_prove_nothing(void **state) {
    struct lease_watch watch = {0};
    (void)state;
    struct lease_sight sight = sight_at(1000, 1);
    sight.lease_ms = 0xffffff; /* looks may be far apart */
    assert_false(lease_watch_look(&watch, &sight));
    sight.lease_ms = 1; /* now it is said to be short */
    sight.began_ns += MS / 5;
    sight.ended_ns += MS / 5;
    assert_false(lease_watch_look(&watch, &sight));
}

static void who_promises_nothing_is_never_over(void **state) {
    struct lease_watch watch = {0};
    (void)state;
    for (uint64_t ms = 1000; ms < 100000; ms += LOOK_MS) {
        struct lease_sight sight = sight_at(ms, 0);
        sight.lease_ms = 0;
        assert_false(lease_watch_look(&watch, &sight));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_word_that_stays_is_over_behind_the_lease_and_a_quarter),
        cmocka_unit_test(a_word_that_changes_within_the_lease_is_never_over),
        cmocka_unit_test(another_owner_begins_anew),
        cmocka_unit_test(a_watcher_that_was_away_begins_anew),
        cmocka_unit_test(two_looks_prove_nothing),
        cmocka_unit_test(who_promises_nothing_is_never_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
