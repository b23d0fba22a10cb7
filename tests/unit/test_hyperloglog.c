/* test_hyperloglog.c: HyperLogLogs in both encodings: the same registers, the bytes of Redis, an estimate that is near,
 * and what is corrupt. Without a pool. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hyperloglog.h"

static struct hyperloglog created(void) {
    struct hyperloglog hll = {.bytes = malloc(hyperloglog_capacity(0))};

    hyperloglog_create(&hll);
    return hll;
}

static enum hyperloglog_change add_number(struct hyperloglog *hll, int number) {
    char text[16];

    return hyperloglog_add(hll, text, (size_t)snprintf(text, sizeof text, "%d", number));
}

static void assert_opcodes(const struct hyperloglog *hll, const char *opcodes, size_t length) {
    assert_int_equal(hll->length, HYPERLOGLOG_HEADER_BYTES + length);
    assert_memory_equal(hll->bytes + HYPERLOGLOG_HEADER_BYTES, opcodes, length);
}

static uint64_t estimate_of(const struct hyperloglog *hll) {
    static uint8_t registers[HYPERLOGLOG_REGISTERS];

    memset(registers, 0, sizeof registers);
    assert_true(hyperloglog_merge(hll->bytes, hll->length, registers));
    return hyperloglog_estimate(registers);
}

static void an_empty_one_is_one_run_of_zeros(void **state) {
    struct hyperloglog hll = created();

    (void)state;
    assert_opcodes(&hll, "\x7f\xff", 2);
    assert_memory_equal(hll.bytes, "HYLL\x01\0\0\0\0\0\0\0\0\0\0\0", HYPERLOGLOG_HEADER_BYTES);
    assert_int_equal(estimate_of(&hll), 0);
    free(hll.bytes);
}

static void raising_a_register_splits_a_run(void **state) {
    struct hyperloglog hll = created();

    (void)state;
    assert_int_equal(hyperloglog_raise(&hll, 0, 1), HYPERLOGLOG_CHANGED);
    assert_opcodes(&hll, "\x80\x7f\xfe", 3);
    assert_int_equal(hyperloglog_raise(&hll, 16383, 2), HYPERLOGLOG_CHANGED);
    assert_opcodes(&hll, "\x80\x7f\xfd\x84", 4);
    assert_int_equal(hyperloglog_raise(&hll, 65, 32), HYPERLOGLOG_CHANGED);
    assert_opcodes(&hll, "\x80\x3f\xfc\x7f\xbc\x84", 6);
    assert_int_equal(hyperloglog_raise(&hll, 65, 32), HYPERLOGLOG_SAME);
    assert_int_equal(hyperloglog_raise(&hll, 65, 31), HYPERLOGLOG_SAME);
    free(hll.bytes);
}

static void neighbours_of_the_same_rank_are_joined_up_to_four(void **state) {
    struct hyperloglog hll = created();

    (void)state;
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(hyperloglog_raise(&hll, i, 3), HYPERLOGLOG_CHANGED);
    }
    assert_opcodes(&hll, "\x8b\x88\x7f\xfa", 4);
    assert_int_equal(hyperloglog_raise(&hll, 1, 4), HYPERLOGLOG_CHANGED);
    /* one, the raised one, two: and the last two and the one behind them come together */
    assert_opcodes(&hll, "\x88\x8c\x8a\x7f\xfa", 5);
    free(hll.bytes);
}

static void a_raised_register_is_joined_with_the_one_before_it_wherever_that_is(void **state) {
    struct hyperloglog hll = created();

    (void)state;
    for (uint32_t i = 0; i < 10; i++) {
        assert_int_equal(hyperloglog_raise(&hll, i, 1 + i % 2), HYPERLOGLOG_CHANGED);
    }
    assert_int_equal(hyperloglog_raise(&hll, 10, 2), HYPERLOGLOG_CHANGED);
    assert_opcodes(&hll, "\x80\x84\x80\x84\x80\x84\x80\x84\x80\x85\x7f\xf4", 12);
    free(hll.bytes);
}

/* Made by redis-server 7.0.15 with PFADD h a abcdefgh abcdefghi "" */
static void elements_give_the_bytes_of_redis(void **state) {
    struct hyperloglog hll = created();

    (void)state;
    assert_int_equal(hyperloglog_add(&hll, "a", 1), HYPERLOGLOG_CHANGED);
    assert_int_equal(hyperloglog_add(&hll, "abcdefgh", 8), HYPERLOGLOG_CHANGED);
    assert_int_equal(hyperloglog_add(&hll, "abcdefghi", 9), HYPERLOGLOG_CHANGED);
    assert_int_equal(hyperloglog_add(&hll, "", 0), HYPERLOGLOG_CHANGED);
    assert_opcodes(&hll, "\x45\x66\x80\x51\xc9\x84\x43\xc3\x80\x56\xae\x84\x4e\x57", 14);
    free(hll.bytes);
}

static void what_sparse_cannot_hold_makes_it_dense(void **state) {
    struct hyperloglog hll = created();

    (void)state;
    assert_int_equal(hyperloglog_raise(&hll, 7, 5), HYPERLOGLOG_CHANGED);
    assert_int_equal(hyperloglog_raise(&hll, 8, 33), HYPERLOGLOG_CHANGED);
    assert_int_equal(hll.length, HYPERLOGLOG_DENSE_BYTES);
    assert_false(hyperloglog_is_sparse(hll.bytes));
    uint8_t registers[HYPERLOGLOG_REGISTERS] = {0};

    assert_true(hyperloglog_merge(hll.bytes, hll.length, registers));
    assert_int_equal(registers[7], 5);
    assert_int_equal(registers[8], 33);
    assert_int_equal(registers[9], 0);
    free(hll.bytes);
}

static void sparse_and_dense_hold_the_same_registers_at_every_step(void **state) {
    static uint8_t registers[2][HYPERLOGLOG_REGISTERS];
    struct hyperloglog sparse = created(), dense = created();
    bool was_sparse = true;

    (void)state;
    assert_true(hyperloglog_to_dense(&dense));
    for (int i = 0; i < 4000; i++) {
        assert_int_equal(add_number(&sparse, i), add_number(&dense, i));
        assert_true(hyperloglog_valid(sparse.bytes, sparse.length));
        if (hyperloglog_is_sparse(sparse.bytes)) {
            assert_true(sparse.length <= HYPERLOGLOG_SPARSE_BYTES_MAX);
        }
        was_sparse &= i > 1000 || hyperloglog_is_sparse(sparse.bytes);
        if (i % 50 == 0) {
            memset(registers, 0, sizeof registers);
            assert_true(hyperloglog_merge(sparse.bytes, sparse.length, registers[0]));
            assert_true(hyperloglog_merge(dense.bytes, dense.length, registers[1]));
            assert_memory_equal(registers[0], registers[1], sizeof registers[0]);
        }
    }
    assert_true(was_sparse);
    assert_false(hyperloglog_is_sparse(sparse.bytes));
    free(sparse.bytes);
    free(dense.bytes);
}

static void the_estimate_is_near(void **state) {
    struct hyperloglog hll = created();
    int next = 10;

    (void)state;
    for (int i = 1; i <= 1000000; i++) {
        add_number(&hll, i);
        if (i == next) { /* 3.3 standard errors of 0.81 % */
            assert_in_range(estimate_of(&hll), (uint64_t)(i * 0.973), (uint64_t)(i * 1.027) + 1);
            next *= 10;
        }
    }
    free(hll.bytes);
}

static void the_kept_estimate_is_dropped_by_a_change(void **state) {
    struct hyperloglog hll = created();
    uint64_t estimate;

    (void)state;
    hyperloglog_cache(&hll, 12345678901234);
    assert_true(hyperloglog_cached(hll.bytes, &estimate));
    assert_int_equal(estimate, 12345678901234);
    assert_int_equal(hyperloglog_raise(&hll, 1, 1), HYPERLOGLOG_CHANGED);
    assert_false(hyperloglog_cached(hll.bytes, &estimate));
    free(hll.bytes);
}

static void assert_corrupt(const char *opcodes, size_t length, uint32_t index) {
    static uint8_t registers[HYPERLOGLOG_REGISTERS];
    uint8_t bytes[64];
    struct hyperloglog empty = created(), hll = {.bytes = malloc(hyperloglog_capacity(sizeof bytes))};

    memcpy(bytes, empty.bytes, HYPERLOGLOG_HEADER_BYTES);
    memcpy(bytes + HYPERLOGLOG_HEADER_BYTES, opcodes, length);
    hyperloglog_copy(&hll, bytes, HYPERLOGLOG_HEADER_BYTES + length);
    assert_true(hyperloglog_valid(hll.bytes, hll.length));
    assert_false(hyperloglog_merge(hll.bytes, hll.length, registers));
    assert_false(hyperloglog_to_dense(&hll));
    if (index < HYPERLOGLOG_REGISTERS) {
        assert_int_equal(hyperloglog_raise(&hll, index, 1), HYPERLOGLOG_CORRUPT);
    }
    free(hll.bytes);
    free(empty.bytes);
}

static void opcodes_that_cover_too_few_or_too_many_registers_are_corrupt(void **state) {
    (void)state;
    assert_corrupt("", 0, 0);
    assert_corrupt("\x7f\xfe", 2, 16383);
    assert_corrupt("\x7f\xff\x00", 3, UINT32_MAX);
    assert_corrupt("\x7f\xff\x7f\xff", 4, UINT32_MAX);
    assert_corrupt("\x7f\xfe\x81", 3, UINT32_MAX);
    assert_corrupt("\x7f", 1, 16383);
}

static void what_is_none_is_not_taken_for_one(void **state) {
    uint8_t bytes[HYPERLOGLOG_DENSE_BYTES + 1] = "HYLL";

    (void)state;
    assert_false(hyperloglog_valid(bytes, 4));
    assert_false(hyperloglog_valid(bytes, HYPERLOGLOG_HEADER_BYTES));
    assert_true(hyperloglog_valid(bytes, HYPERLOGLOG_DENSE_BYTES));
    assert_false(hyperloglog_valid(bytes, HYPERLOGLOG_DENSE_BYTES + 1));
    bytes[4] = 1;
    assert_true(hyperloglog_valid(bytes, HYPERLOGLOG_HEADER_BYTES));
    assert_false(hyperloglog_valid(bytes, HYPERLOGLOG_HEADER_BYTES - 1));
    bytes[4] = 2;
    assert_false(hyperloglog_valid(bytes, HYPERLOGLOG_DENSE_BYTES));
    bytes[0] = 'h';
    bytes[4] = 1;
    assert_false(hyperloglog_valid(bytes, HYPERLOGLOG_HEADER_BYTES));
}

/* Registers that only garbage can hold: the estimate is a number all the same. */
static void registers_full_of_garbage_give_some_estimate(void **state) {
    static uint8_t registers[HYPERLOGLOG_REGISTERS];

    (void)state;
    memset(registers, HYPERLOGLOG_RANK_MAX, sizeof registers);
    assert_int_equal(hyperloglog_estimate(registers), UINT64_C(1) << 63);
    memset(registers, 51, sizeof registers);
    assert_true(hyperloglog_estimate(registers) > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_one_is_one_run_of_zeros),
        cmocka_unit_test(raising_a_register_splits_a_run),
        cmocka_unit_test(neighbours_of_the_same_rank_are_joined_up_to_four),
        cmocka_unit_test(a_raised_register_is_joined_with_the_one_before_it_wherever_that_is),
        cmocka_unit_test(elements_give_the_bytes_of_redis),
        cmocka_unit_test(what_sparse_cannot_hold_makes_it_dense),
        cmocka_unit_test(sparse_and_dense_hold_the_same_registers_at_every_step),
        cmocka_unit_test(the_estimate_is_near),
        cmocka_unit_test(the_kept_estimate_is_dropped_by_a_change),
        cmocka_unit_test(opcodes_that_cover_too_few_or_too_many_registers_are_corrupt),
        cmocka_unit_test(what_is_none_is_not_taken_for_one),
        cmocka_unit_test(registers_full_of_garbage_give_some_estimate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
