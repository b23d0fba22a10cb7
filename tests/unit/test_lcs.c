/* test_lcs.c: the longest common subsequence, also against a table that keeps everything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lcs.h"

#define LENGTH_MAX 70 /* more than a word of direction bits */

static void run(struct lcs *lcs, const char *a, size_t a_length, const char *b, size_t b_length) {
    *lcs = (struct lcs){.a = (const uint8_t *)a,
                        .b = (const uint8_t *)b,
                        .a_length = (uint32_t)a_length,
                        .b_length = (uint32_t)b_length};
    assert_true(lcs_begin(lcs));
    while (!lcs_step(lcs, 1)) {
    }
    assert_true(lcs_trace(lcs));
}

static void assert_lcs(const char *a, const char *b, const char *expected) {
    struct lcs lcs;

    run(&lcs, a, strlen(a), b, strlen(b));
    assert_int_equal(lcs.length, strlen(expected));
    assert_memory_equal(lcs.bytes, expected, lcs.length);
    lcs_free(&lcs);
}

static void it_is_found(void **state) {
    (void)state;
    assert_lcs("ohmytext", "mynewtext", "mytext");
    assert_lcs("", "abc", "");
    assert_lcs("abc", "", "");
    assert_lcs("", "", "");
    assert_lcs("abc", "abc", "abc");
    assert_lcs("abc", "def", "");
}

static void of_several_the_one_of_redis_is_found(void **state) {
    (void)state;
    /* On equal lengths the way back goes left in b first. */
    assert_lcs("ab", "ba", "b");
    assert_lcs("ba", "ab", "a");
}

static void matches_come_from_the_end(void **state) {
    struct lcs lcs;

    (void)state;
    run(&lcs, "ohmytext", 8, "mynewtext", 9);
    assert_int_equal(lcs.match_count, 2);
    assert_int_equal(lcs.matches[0].a_first, 4);
    assert_int_equal(lcs.matches[0].b_first, 5);
    assert_int_equal(lcs.matches[0].length, 4);
    assert_int_equal(lcs.matches[1].a_first, 2);
    assert_int_equal(lcs.matches[1].b_first, 0);
    assert_int_equal(lcs.matches[1].length, 2);
    lcs_free(&lcs);
}

static void the_length_alone_needs_no_way_back(void **state) {
    struct lcs lcs = {.a = (const uint8_t *)"ohmytext",
                      .b = (const uint8_t *)"mynewtext",
                      .a_length = 8,
                      .b_length = 9,
                      .length_only = true};

    (void)state;
    assert_true(lcs_begin(&lcs));
    assert_null(lcs.up);
    assert_true(lcs_step(&lcs, 1000));
    assert_int_equal(lcs.length, 6);
    lcs_free(&lcs);
}

static void the_table_that_redis_would_need_is_measured_in_64_bits(void **state) {
    (void)state;
    assert_int_equal(lcs_table_bytes(0, 0), 4);
    assert_int_equal(lcs_table_bytes(9, 9), 400);
    assert_true(lcs_table_bytes(UINT32_MAX, UINT32_MAX / 16) > UINT64_C(1) << 61);
}

/* The whole table and the way back through it. */
static size_t reference(const char *a, size_t a_length, const char *b, size_t b_length, char *out) {
    static uint32_t table[LENGTH_MAX + 1][LENGTH_MAX + 1];
    size_t i = a_length, j = b_length;

    for (size_t x = 0; x <= a_length; x++) {
        for (size_t y = 0; y <= b_length; y++) {
            if (x == 0 || y == 0) {
                table[x][y] = 0;
            } else if (a[x - 1] == b[y - 1]) {
                table[x][y] = table[x - 1][y - 1] + 1;
            } else {
                table[x][y] = table[x - 1][y] > table[x][y - 1] ? table[x - 1][y] : table[x][y - 1];
            }
        }
    }
    size_t length = table[a_length][b_length], left = length;

    while (i > 0 && j > 0) {
        if (a[i - 1] == b[j - 1]) {
            out[--left] = a[--i];
            j--;
        } else if (table[i - 1][j] > table[i][j - 1]) {
            i--;
        } else {
            j--;
        }
    }
    return length;
}

static void it_is_the_same_as_by_the_whole_table(void **state) {
    char a[LENGTH_MAX], b[LENGTH_MAX], expected[LENGTH_MAX];

    (void)state;
    srand(7);
    for (int round = 0; round < 2000; round++) {
        size_t a_length = (size_t)rand() % (LENGTH_MAX + 1), b_length = (size_t)rand() % (LENGTH_MAX + 1);
        int letters = 1 + rand() % 6;
        struct lcs lcs;

        for (size_t i = 0; i < LENGTH_MAX; i++) {
            a[i] = (char)(rand() % letters);
            b[i] = (char)(rand() % letters);
        }
        size_t length = reference(a, a_length, b, b_length, expected);

        run(&lcs, a, a_length, b, b_length);
        assert_int_equal(lcs.length, length);
        assert_memory_equal(lcs.bytes, expected, length);
        lcs_free(&lcs);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_found),
        cmocka_unit_test(of_several_the_one_of_redis_is_found),
        cmocka_unit_test(matches_come_from_the_end),
        cmocka_unit_test(the_length_alone_needs_no_way_back),
        cmocka_unit_test(the_table_that_redis_would_need_is_measured_in_64_bits),
        cmocka_unit_test(it_is_the_same_as_by_the_whole_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
