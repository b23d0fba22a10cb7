/* test_sizeclass.c: the 32 sizes of objects (fusee/sizeclass.h), every size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fusee/sizeclass.h"

#define BYTES_MAX 1048576u

static void classes_grow_and_are_whole_units(void **state) {
    (void)state;
    assert_int_equal(sizeclass_bytes(0), SIZECLASS_BYTES_MIN);
    assert_int_equal(sizeclass_bytes(SIZECLASS_COUNT - 1), BYTES_MAX);
    for (uint8_t c = 0; c < SIZECLASS_COUNT; c++) {
        assert_int_equal(sizeclass_bytes(c) % 64, 0);
        if (c > 0) {
            assert_true(sizeclass_bytes(c) > sizeclass_bytes((uint8_t)(c - 1)));
            assert_true(sizeclass_bytes(c) <= 2 * sizeclass_bytes((uint8_t)(c - 1)));
        }
    }
}

static void every_size_goes_into_the_smallest_class_that_holds_it(void **state) {
    (void)state;
    uint8_t expected = 0;
    for (uint32_t bytes = 0; bytes <= BYTES_MAX; bytes++) {
        while (sizeclass_bytes(expected) < bytes) {
            expected++;
        }
        if (sizeclass_for(bytes) != expected) {
            fail_msg("%u bytes go into class %u, not %u", bytes, sizeclass_for(bytes), expected);
        }
    }
}

static void nothing_holds_more_than_the_largest(void **state) {
    (void)state;
    assert_int_equal(sizeclass_for(BYTES_MAX + 1), SIZECLASS_COUNT);
    assert_int_equal(sizeclass_for(UINT32_MAX), SIZECLASS_COUNT);
    assert_int_equal(sizeclass_for(UINT64_C(1) << 32 | 100), SIZECLASS_COUNT);
    assert_int_equal(sizeclass_for(UINT64_MAX), SIZECLASS_COUNT);
}

static void the_largest_class_fits_into_its_block(void **state) {
    (void)state;
    for (uint64_t block = 16384; block <= 16777216; block *= 2) {
        uint8_t largest = sizeclass_largest(block);
        assert_true(sizeclass_bytes(largest) <= block);
        assert_true(largest == SIZECLASS_COUNT - 1 || sizeclass_bytes((uint8_t)(largest + 1)) > block);
    }
    assert_int_equal(sizeclass_largest(0), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_grow_and_are_whole_units),
        cmocka_unit_test(every_size_goes_into_the_smallest_class_that_holds_it),
        cmocka_unit_test(nothing_holds_more_than_the_largest),
        cmocka_unit_test(the_largest_class_fits_into_its_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
