/* test_number.c: numbers as Redis reads and writes them. Pure. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "number.h"

static void assert_integer(const char *text, int64_t expected) {
    int64_t value = 42;

    assert_true(number_parse(text, strlen(text), &value));
    assert_int_equal(value, expected);
}

static void assert_no_integer(const char *text, size_t length) {
    int64_t value = 42;

    assert_false(number_parse(text, length, &value));
    assert_int_equal(value, 42);
}

static void integers_are_read_to_both_ends_of_64_bits(void **state) {
    (void)state;
    assert_integer("0", 0);
    assert_integer("7", 7);
    assert_integer("-1", -1);
    assert_integer("1234567890", 1234567890);
    assert_integer("9223372036854775807", INT64_MAX);
    assert_integer("-9223372036854775808", INT64_MIN);
}

static void what_is_not_a_canonical_integer_is_refused(void **state) {
    static const char *const texts[] = {"",   "-",   "+1",  "01", "-0", "-01", " 1",
                                        "1 ", "1.0", "0x1", "a",  "1a", "--1", "00"};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_no_integer(texts[i], strlen(texts[i]));
    }
    assert_no_integer("1\0", 2);
}

static void integers_beyond_64_bits_are_refused(void **state) {
    static const char *const texts[] = {"9223372036854775808",  "-9223372036854775809",  "18446744073709551616",
                                        "99999999999999999999", "-99999999999999999999", "100000000000000000000"};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_no_integer(texts[i], strlen(texts[i]));
    }
}

static void integers_are_written_as_they_are_read(void **state) {
    static const int64_t values[] = {0, 9, 10, -1, -10, 99, 100, INT64_MAX, INT64_MIN, INT64_MIN + 1, 1000000007};

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char text[NUMBER_TEXT_BYTES];
        size_t length = number_format(values[i], text);
        int64_t back = ~values[i];

        assert_true(length <= sizeof text);
        assert_true(number_parse(text, length, &back));
        assert_int_equal(back, values[i]);
    }
}

static void assert_float_text(const char *text, const char *expected) {
    static char out[NUMBER_FLOAT_BYTES];
    long double value;

    assert_true(number_parse_float(text, strlen(text), &value));
    size_t length = number_format_float(value, out, sizeof out);

    assert_int_equal(length, strlen(expected));
    assert_memory_equal(out, expected, length);
}

static void floats_are_written_without_trailing_zeros(void **state) {
    (void)state;
    assert_float_text("3.0e3", "3000");
    assert_float_text("10.50", "10.5");
    assert_float_text("0.1", "0.1");
    assert_float_text("-7.5000", "-7.5");
    assert_float_text("0x10", "16");
    assert_float_text("100", "100");
}

static void a_float_that_rounds_to_zero_has_no_sign(void **state) {
    (void)state;
    assert_float_text("-0", "0");
    assert_float_text("-1e-30", "0");
    assert_float_text("1e-30", "0");
}

static void what_is_not_a_float_is_refused(void **state) {
    static const char *const texts[] = {"", " 1", "1 ", "abc", "nan", "1e5000", "-1e5000", "1e-5000", "1.2.3"};
    long double value = 42;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_false(number_parse_float(texts[i], strlen(texts[i]), &value));
    }
    assert_false(number_parse_float("1\0", 2, &value));
    assert_true(value == 42);
}

static void infinity_is_read(void **state) {
    long double value = 0;

    (void)state;
    assert_true(number_parse_float("-inf", 4, &value));
    assert_true(isinf(value) && value < 0);
}

static void a_float_longer_than_the_limit_is_refused(void **state) {
    static char text[NUMBER_FLOAT_BYTES];
    long double value;

    (void)state;
    memset(text, '0', sizeof text);
    assert_false(number_parse_float(text, NUMBER_FLOAT_BYTES, &value));
    assert_true(number_parse_float(text, NUMBER_FLOAT_BYTES - 1, &value));
}

static void a_float_that_does_not_fit_is_not_written(void **state) {
    char text[20];

    (void)state;
    assert_int_equal(number_format_float(1e10L, text, sizeof text), 0);
    assert_int_equal(number_format_float(1, text, sizeof text), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_read_to_both_ends_of_64_bits),
        cmocka_unit_test(what_is_not_a_canonical_integer_is_refused),
        cmocka_unit_test(integers_beyond_64_bits_are_refused),
        cmocka_unit_test(integers_are_written_as_they_are_read),
        cmocka_unit_test(floats_are_written_without_trailing_zeros),
        cmocka_unit_test(a_float_that_rounds_to_zero_has_no_sign),
        cmocka_unit_test(what_is_not_a_float_is_refused),
        cmocka_unit_test(infinity_is_read),
        cmocka_unit_test(a_float_longer_than_the_limit_is_refused),
        cmocka_unit_test(a_float_that_does_not_fit_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
