/* test_cache.c: the index cache of a process (fusee/cache.h): what it remembers, replaces and bypasses, and two threads
 * at one set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>

#include "fixture.h"
#include "fusee/cache.h"

#define SETS 4u
#define ROUNDS 200000u

static struct fake_env fake;
static struct cache cache;

static int setup(void **state) {
    (void)state;
    fake_env_init(&fake);
    memset(&cache, 0, sizeof cache);
    return cache_open(&cache, &fake.env, SETS * sizeof(struct cache_set)) ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    cache_close(&cache);
    assert_int_equal(fake.allocations, fake.releases);
    return 0;
}

/* i-th key of set 1. */
static uint64_t hash_of(uint32_t i) { return (uint64_t)(i + 1) << 32 | 1; }

static void what_was_stored_is_found(void **state) {
    (void)state;
    struct cache_hit hit;
    assert_false(cache_find(&cache, hash_of(0), &hit));
    cache_store(&cache, hash_of(0), 1007, UINT64_C(0xfedcba9876543210), 0);
    assert_true(cache_find(&cache, hash_of(0), &hit));
    assert_int_equal(hit.slot, 1007);
    assert_int_equal(hit.word, UINT64_C(0xfedcba9876543210));
    assert_false(hit.bypass);
    assert_false(cache_find(&cache, hash_of(1), &hit));
    cache_store(&cache, hash_of(0), 3, 4, 0);
    assert_true(cache_find(&cache, hash_of(0), &hit));
    assert_int_equal(hit.slot, 3);
    assert_int_equal(hit.word, 4);
    cache_drop(&cache, hash_of(0));
    assert_false(cache_find(&cache, hash_of(0), &hit));
    cache_drop(&cache, hash_of(0));
}

static void a_hash_whose_check_would_be_zero_is_kept_too(void **state) {
    (void)state;
    struct cache_hit hit;
    assert_false(cache_find(&cache, 1, &hit));
    cache_store(&cache, 1, 5, 6, 0);
    assert_true(cache_find(&cache, 1, &hit));
    assert_int_equal(hit.slot, 5);
}

static void the_entry_not_seen_for_the_longest_time_makes_room(void **state) {
    (void)state;
    struct cache_hit hit;
    for (uint32_t i = 0; i < CACHE_WAYS; i++) {
        cache_store(&cache, hash_of(i), (uint16_t)i, i + 1, i * 10);
    }
    cache_store(&cache, hash_of(0), 0, 1, 100); /* seen again */
    cache_store(&cache, hash_of(7), 7, 8, 101);
    assert_false(cache_find(&cache, hash_of(1), &hit));
    for (uint32_t i = 0; i < CACHE_WAYS; i++) {
        assert_int_equal(cache_find(&cache, hash_of(i), &hit), i != 1);
    }
    assert_true(cache_find(&cache, hash_of(7), &hit));
}

static void sets_do_not_disturb_each_other(void **state) {
    (void)state;
    struct cache_hit hit;
    cache_store(&cache, hash_of(0), 1, 1, 0);
    for (uint32_t i = 0; i < 100; i++) {
        cache_store(&cache, (uint64_t)(i + 1) << 32 | 2, 2, 2, i);
    }
    assert_true(cache_find(&cache, hash_of(0), &hit));
}

static void entries_are_counted(void **state) {
    (void)state;
    assert_int_equal(cache_entries(&cache), 0);
    for (uint32_t i = 0; i < 3; i++) {
        cache_store(&cache, hash_of(i), 1, 1, 0);
    }
    assert_int_equal(cache_entries(&cache), 3);
    for (uint32_t i = 0; i < 100; i++) { /* SET and DEL of the same keys */
        cache_drop(&cache, hash_of(i % 3));
        cache_store(&cache, hash_of(i % 3), 1, 1, 0);
    }
    assert_int_equal(cache_entries(&cache), 3);
    for (uint32_t i = 0; i < 100; i++) {
        cache_store(&cache, hash_of(i), 1, 1, 0);
    }
    assert_int_equal(cache_entries(&cache), CACHE_WAYS);
    assert_int_equal(cache_bytes(&cache), SETS * 128);
}

/* As the engine uses it: a stale use is noted, and the new word stored behind it. */
static void use(bool stale, uint64_t word) {
    cache_note(&cache, hash_of(0), stale);
    if (stale) {
        cache_store(&cache, hash_of(0), 1, word, 0);
    }
}

static void an_entry_that_is_mostly_stale_is_bypassed_until_it_is_right_again(void **state) {
    (void)state;
    struct cache_hit hit;
    cache_store(&cache, hash_of(0), 1, 1, 0);
    for (uint32_t i = 0; i < 100; i++) {
        use(true, i + 2);
    }
    assert_true(cache_find(&cache, hash_of(0), &hit));
    assert_true(hit.bypass);
    assert_int_equal(hit.word, 101);
    for (uint32_t i = 0; i < 100; i++) {
        use(false, 0);
    }
    assert_true(cache_find(&cache, hash_of(0), &hit));
    assert_false(hit.bypass);
}

static void an_entry_that_is_mostly_right_is_not_bypassed(void **state) {
    (void)state;
    struct cache_hit hit;
    cache_store(&cache, hash_of(0), 1, 1, 0);
    for (uint32_t i = 0; i < 1000; i++) {
        use(i % 3 == 0, i + 2);
        assert_true(cache_find(&cache, hash_of(0), &hit));
        assert_false(hit.bypass);
    }
}

/* ---- Two threads ------------------------------------------------------------------------------------------------ */

/* Slot and word of an entry always belong together, whoever writes. */
static void *storing_thread(void *argument) {
    uint32_t key = *(uint32_t *)argument;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        uint16_t slot = (uint16_t)((i * 7 + key) % 1008);
        cache_store(&cache, hash_of(i % 7), slot, (uint64_t)slot << 32 | i % 7, i);
        if (i % 16 == 0) {
            cache_drop(&cache, hash_of(i % 5));
            cache_note(&cache, hash_of(i % 3), i % 32 == 0);
        }
    }
    return NULL;
}

static void *finding_thread(void *argument) {
    uint64_t *wrong = argument;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        struct cache_hit hit;
        if (cache_find(&cache, hash_of(i % 7), &hit)) {
            *wrong += hit.word != ((uint64_t)hit.slot << 32 | i % 7);
        }
    }
    return NULL;
}

static void readers_never_see_half_an_entry(void **state) {
    (void)state;
    uint32_t keys[2] = {1, 2};
    uint64_t wrong[2] = {0, 0};
    pthread_t threads[4];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, storing_thread, &keys[i]), 0);
        assert_int_equal(pthread_create(&threads[2 + i], NULL, finding_thread, &wrong[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(wrong[0] + wrong[1], 0);
    struct cache_hit hit;
    cache_store(&cache, hash_of(0), 9, 9, 0);
    assert_true(cache_find(&cache, hash_of(0), &hit)); /* no set stayed locked */
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_was_stored_is_found),
        TEST(a_hash_whose_check_would_be_zero_is_kept_too),
        TEST(the_entry_not_seen_for_the_longest_time_makes_room),
        TEST(sets_do_not_disturb_each_other),
        TEST(entries_are_counted),
        TEST(an_entry_that_is_mostly_stale_is_bypassed_until_it_is_right_again),
        TEST(an_entry_that_is_mostly_right_is_not_bypassed),
        TEST(readers_never_see_half_an_entry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
