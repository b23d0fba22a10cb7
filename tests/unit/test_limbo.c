/* test_limbo.c: freed objects wait for their grace period (fusee/limbo.h, trap T3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "fusee/limbo.h"
#include "fusee/slab.h"

struct bench {
    struct fake_env fake;
    struct limbo limbo;
};

static int setup(void **state) {
    static struct bench bench;
    memset(&bench, 0, sizeof bench);
    fake_env_init(&bench.fake);
    assert_true(limbo_open(&bench.limbo, &bench.fake.env));
    *state = &bench;
    return 0;
}

static int teardown(void **state) {
    struct bench *bench = *state;
    limbo_close(&bench->limbo);
    assert_int_equal(bench->fake.allocations, bench->fake.releases);
    return 0;
}

static void nothing_leaves_before_the_epoch_has_advanced_twice(void **state) {
    struct limbo *limbo = &((struct bench *)*state)->limbo;
    uint64_t address;
    assert_false(limbo_pop(limbo, UINT64_MAX, &address));
    assert_true(limbo_push(limbo, 4096));
    assert_false(limbo_pop(limbo, UINT64_MAX, &address)); /* not sealed */
    limbo_seal(limbo, limbo->tail, 10);
    assert_false(limbo_pop(limbo, 10, &address));
    assert_false(limbo_pop(limbo, 11, &address));
    assert_true(limbo_pop(limbo, 12, &address));
    assert_int_equal(address, 4096);
    assert_int_equal(limbo_count(limbo), 0);
}

static void what_was_freed_behind_the_look_at_the_epoch_is_not_sealed_with_it(void **state) {
    struct limbo *limbo = &((struct bench *)*state)->limbo;
    uint64_t address;
    assert_true(limbo_push(limbo, 64));
    uint64_t before = limbo->tail;
    assert_true(limbo_push(limbo, 128)); /* while the epoch was being read */
    limbo_seal(limbo, before, 10);
    assert_true(limbo_pop(limbo, 12, &address));
    assert_int_equal(address, 64);
    assert_false(limbo_pop(limbo, 100, &address));
    limbo_seal(limbo, limbo->tail, 20);
    assert_true(limbo_pop(limbo, 22, &address));
    assert_int_equal(address, 128);
}

static void all_leave_in_the_order_in_which_they_came_however_many(void **state) {
    struct limbo *limbo = &((struct bench *)*state)->limbo;
    uint64_t pushed = 0;
    uint64_t popped = 0;
    for (uint64_t epoch = 1; epoch < 3000; epoch++) {
        for (uint64_t i = 0; i < epoch % 97 * 7; i++) {
            assert_true(limbo_push(limbo, ++pushed * 64));
        }
        limbo_seal(limbo, limbo->tail, epoch);
        uint64_t address;
        while (epoch % 50 == 0 && limbo_pop(limbo, epoch, &address)) {
            assert_int_equal(address, ++popped * 64);
        }
        assert_int_equal(limbo_count(limbo), pushed - popped);
    }
    assert_true(limbo->capacity > 4096); /* it has grown on the way */
    assert_true(popped > 900000);
}

static void more_segments_than_there_is_room_for_share_the_last(void **state) {
    struct limbo *limbo = &((struct bench *)*state)->limbo;
    for (uint64_t i = 1; i <= LIMBO_SEGMENTS * 2; i++) {
        assert_true(limbo_push(limbo, i * 64));
        limbo_seal(limbo, limbo->tail, i);
    }
    uint64_t address;
    uint64_t count = 0;
    while (limbo_pop(limbo, UINT64_MAX, &address)) {
        assert_int_equal(address, ++count * 64);
    }
    assert_int_equal(count, LIMBO_SEGMENTS); /* the others are not sealed yet */
    limbo_seal(limbo, limbo->tail, 1000);
    while (limbo_pop(limbo, UINT64_MAX, &address)) {
        assert_int_equal(address, ++count * 64);
    }
    assert_int_equal(count, LIMBO_SEGMENTS * 2);
}

static void a_segment_is_never_sealed_twice(void **state) {
    struct limbo *limbo = &((struct bench *)*state)->limbo;
    uint64_t address;
    assert_true(limbo_push(limbo, 64));
    limbo_seal(limbo, limbo->tail, 10);
    limbo_seal(limbo, limbo->tail, 5); /* a slower tick comes late */
    limbo_seal(limbo, 0, 5);
    assert_int_equal(limbo->segment_count, 1);
    assert_false(limbo_pop(limbo, 11, &address));
    assert_true(limbo_pop(limbo, 12, &address));
}

static void without_memory_a_push_says_so_and_keeps_the_others(void **state) {
    struct bench *bench = *state;
    uint64_t count = 0;
    bench->fake.allowed = 0;
    while (limbo_push(&bench->limbo, (count + 1) * 64)) {
        count++;
    }
    assert_int_equal(count, bench->limbo.capacity);
    limbo_seal(&bench->limbo, bench->limbo.tail, 1);
    uint64_t address;
    for (uint64_t i = 1; i <= count; i++) {
        assert_true(limbo_pop(&bench->limbo, 3, &address));
        assert_int_equal(address, i * 64);
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(nothing_leaves_before_the_epoch_has_advanced_twice),
        TEST(what_was_freed_behind_the_look_at_the_epoch_is_not_sealed_with_it),
        TEST(all_leave_in_the_order_in_which_they_came_however_many),
        TEST(more_segments_than_there_is_room_for_share_the_last),
        TEST(a_segment_is_never_sealed_twice),
        TEST(without_memory_a_push_says_so_and_keeps_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
