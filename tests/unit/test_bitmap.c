/* test_bitmap.c: bits of strings, and integers among them, each against a way that takes bit by bit. Without a pool. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bitfield.h"

#define BYTES 40u
#define BITS (BYTES * 8)
#define BYTES_MAX (UINT64_C(512) << 20)

static struct resp_arg arg_of(const char *text) { return (struct resp_arg){text, strlen(text)}; }

static void fill(uint8_t bytes[BYTES], int kind) {
    for (size_t i = 0; i < BYTES; i++) {
        bytes[i] = kind == 0 ? 0 : kind == 1 ? 0xff : (uint8_t)(rand() & rand());
    }
}

static bool bit_at(const uint8_t *bytes, uint64_t offset) { return (bytes[offset / 8] >> (7 - offset % 8) & 1) != 0; }

static void bit_0_is_the_highest_of_the_first_byte(void **state) {
    const uint8_t bytes[] = {0x80, 0x01};

    (void)state;
    assert_true(bitmap_get(bytes, 2, 0));
    assert_false(bitmap_get(bytes, 2, 1));
    assert_true(bitmap_get(bytes, 2, 15));
    assert_false(bitmap_get(bytes, 2, 16));
    assert_false(bitmap_get(bytes, 0, 0));
    assert_false(bitmap_get(bytes, 2, UINT64_MAX));
}

static void counting_and_finding_are_as_bit_by_bit(void **state) {
    uint8_t bytes[BYTES];

    (void)state;
    srand(1);
    for (int round = 0; round < 5000; round++) {
        uint64_t first = (uint64_t)rand() % BITS, count = (uint64_t)rand() % (BITS - first + 1), set = 0;
        uint64_t found[2] = {BITMAP_NONE, BITMAP_NONE};

        fill(bytes, round % 4);
        for (uint64_t i = first + count; i-- > first;) {
            set += bit_at(bytes, i);
            found[bit_at(bytes, i)] = i;
        }
        assert_int_equal(bitmap_count(bytes, first, count), set);
        assert_int_equal(bitmap_find(bytes, false, first, count), found[0]);
        assert_int_equal(bitmap_find(bytes, true, first, count), found[1]);
    }
}

static void combining_pads_the_shorter_one_with_zeros(void **state) {
    (void)state;
    srand(2);
    for (int round = 0; round < 3000; round++) {
        uint8_t into[BYTES], from[BYTES], before[BYTES];
        uint64_t a = (uint64_t)rand() % (BYTES + 1), b = (uint64_t)rand() % (BYTES + 1);
        enum bitmap_operation operation = (enum bitmap_operation)(round % 3);

        fill(into, 2);
        fill(from, 2);
        memcpy(before, into, BYTES);
        assert_int_equal(bitmap_combine(operation, into, a, from, b), a > b ? a : b);
        for (uint64_t i = 0; i < (a > b ? a : b); i++) {
            uint8_t x = i < a ? before[i] : 0, y = i < b ? from[i] : 0;

            assert_int_equal(into[i], operation == BITMAP_AND ? x & y : operation == BITMAP_OR ? x | y : x ^ y);
        }
    }
}

static void offsets_are_integers_within_limits(void **state) {
    struct resp_arg arg;
    uint64_t offset = 0;

    (void)state;
    arg = arg_of("4294967295");
    assert_true(bitmap_offset_parse(&arg, 0, BYTES_MAX, &offset));
    assert_int_equal(offset, UINT32_MAX);
    arg = arg_of("#3");
    assert_true(bitmap_offset_parse(&arg, 5, BYTES_MAX, &offset));
    assert_int_equal(offset, 15);
    assert_false(bitmap_offset_parse(&arg, 0, BYTES_MAX, &offset));
    static const char *const wrong[] = {"4294967296", "-1", "", "#", "#-1", "1.5", "01", "##1", "9223372036854775808"};

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        arg = arg_of(wrong[i]);
        assert_false(bitmap_offset_parse(&arg, 8, BYTES_MAX, &offset));
    }
}

static void setting_a_bit_that_is_so_already_writes_only_to_grow(void **state) {
    const uint8_t bytes[] = {0x80};
    struct dm_value old = {.bytes = bytes, .length = 1, .encoding = STRING_RAW};
    struct dm_write write = {0};
    struct bitmap_set set = {.offset = 0, .bit = true};

    (void)state;
    assert_int_equal(bitmap_set_decide(&set, &old, &write), DM_KEEP);
    assert_true(set.before);
    set.bit = false;
    assert_int_equal(bitmap_set_decide(&set, &old, &write), DM_WRITE);
    set.offset = 8;
    assert_int_equal(bitmap_set_decide(&set, &old, &write), DM_WRITE);
    assert_int_equal(set.length, 2);
    assert_false(set.before);
}

/* ---- Fields ---- */

static struct bitfield_operation field_of(const char *type, uint64_t offset, enum bitfield_kind kind, int64_t value,
                                          enum bitfield_overflow overflow) {
    return (struct bitfield_operation){
        .offset = offset,
        .value = value,
        .bits = (uint8_t)atoi(type + 1),
        .has_sign = *type == 'i',
        .kind = kind,
        .overflow = overflow,
    };
}

static void assert_apply(const char *type, enum bitfield_overflow overflow, int64_t before, enum bitfield_kind kind,
                         int64_t value, int64_t after) {
    uint8_t bytes[BYTES] = {0};
    int64_t out;
    struct bitfield_operation put = field_of(type, 3, BITFIELD_SET, before, BITFIELD_WRAP);
    struct bitfield_operation change = field_of(type, 3, kind, value, overflow);

    assert_true(bitfield_apply(bytes, BYTES, &put, &out));
    assert_int_equal(bitfield_get(bytes, BYTES, &put), before);
    assert_true(bitfield_apply(bytes, BYTES, &change, &out));
    assert_int_equal(bitfield_get(bytes, BYTES, &change), after);
    assert_int_equal(out, kind == BITFIELD_ADD ? after : before);
}

static void overflow_wraps_or_saturates(void **state) {
    (void)state;
    assert_apply("u8", BITFIELD_WRAP, 250, BITFIELD_ADD, 10, 4);
    assert_apply("u8", BITFIELD_SATURATE, 250, BITFIELD_ADD, 10, 255);
    assert_apply("u8", BITFIELD_SATURATE, 5, BITFIELD_ADD, -10, 0);
    assert_apply("u8", BITFIELD_WRAP, 5, BITFIELD_ADD, -10, 251);
    assert_apply("u8", BITFIELD_SATURATE, 5, BITFIELD_SET, -1, 255);
    assert_apply("i8", BITFIELD_WRAP, 120, BITFIELD_ADD, 10, -126);
    assert_apply("i8", BITFIELD_SATURATE, 120, BITFIELD_ADD, 10, 127);
    assert_apply("i8", BITFIELD_SATURATE, -120, BITFIELD_ADD, -10, -128);
    assert_apply("i8", BITFIELD_WRAP, 1, BITFIELD_SET, 255, -1);
    assert_apply("i64", BITFIELD_WRAP, INT64_MAX, BITFIELD_ADD, 1, INT64_MIN);
    assert_apply("i64", BITFIELD_SATURATE, INT64_MAX, BITFIELD_ADD, INT64_MAX, INT64_MAX);
    assert_apply("i64", BITFIELD_SATURATE, INT64_MIN, BITFIELD_ADD, INT64_MIN, INT64_MIN);
    assert_apply("u63", BITFIELD_SATURATE, INT64_MAX, BITFIELD_ADD, 1, INT64_MAX);
    assert_apply("u1", BITFIELD_WRAP, 1, BITFIELD_ADD, 1, 0);
    assert_apply("i1", BITFIELD_WRAP, -1, BITFIELD_ADD, -1, 0);
}

static void what_just_fits_does_not_fail(void **state) {
    (void)state;
    assert_apply("i8", BITFIELD_FAIL, -100, BITFIELD_ADD, -28, -128);
    assert_apply("i8", BITFIELD_FAIL, 100, BITFIELD_ADD, 27, 127);
    assert_apply("u8", BITFIELD_FAIL, 5, BITFIELD_ADD, -5, 0);
    assert_apply("u8", BITFIELD_FAIL, 5, BITFIELD_SET, 255, 255);
    assert_apply("i64", BITFIELD_FAIL, 0, BITFIELD_SET, INT64_MIN, INT64_MIN);
}

static void a_failed_operation_changes_nothing(void **state) {
    uint8_t bytes[BYTES], before[BYTES];
    int64_t out;
    struct bitfield_operation operation = field_of("u8", 5, BITFIELD_SET, 256, BITFIELD_FAIL);

    (void)state;
    fill(bytes, 2);
    memcpy(before, bytes, BYTES);
    assert_false(bitfield_apply(bytes, BYTES, &operation, &out));
    assert_memory_equal(bytes, before, BYTES);
}

static void a_field_touches_no_other_bits(void **state) {
    (void)state;
    srand(3);
    for (int round = 0; round < 3000; round++) {
        uint8_t bytes[BYTES], before[BYTES];
        struct bitfield_operation operation = {
            .bits = (uint8_t)(1 + rand() % 63), .kind = BITFIELD_SET, .value = rand()};
        int64_t out;

        operation.offset = (uint64_t)rand() % (BITS - operation.bits);
        fill(bytes, 2);
        memcpy(before, bytes, BYTES);
        assert_true(bitfield_apply(bytes, BYTES, &operation, &out));
        for (uint64_t i = 0; i < BITS; i++) {
            if (i < operation.offset || i >= operation.offset + operation.bits) {
                assert_int_equal(bit_at(bytes, i), bit_at(before, i));
            }
        }
        assert_int_equal(bitfield_get(bytes, BYTES, &operation),
                         (int64_t)((uint64_t)operation.value & (UINT64_MAX >> (64 - operation.bits))));
    }
}

static enum bitfield_result parse_one(const char *text) {
    static struct resp_arg args[16];
    struct bitfield_parser parser = {.args = args, .bytes_max = BYTES_MAX};
    struct bitfield_operation operation;
    enum bitfield_result result;

    while (*text != '\0') {
        args[parser.count] = (struct resp_arg){text, strcspn(text, " ")};
        text += args[parser.count++].length;
        text += *text == ' ';
    }
    while ((result = bitfield_parse(&parser, &operation)) == BITFIELD_OK) {
    }
    return result;
}

static void operations_are_parsed_to_the_end_or_to_the_first_error(void **state) {
    (void)state;
    assert_int_equal(parse_one(""), BITFIELD_END);
    assert_int_equal(parse_one("GET u8 0 SET i64 #1 -5 OVERFLOW sat INCRBY u63 7 1"), BITFIELD_END);
    assert_int_equal(parse_one("overflow fail"), BITFIELD_END);
    assert_int_equal(parse_one("overflow nosuch"), BITFIELD_BAD_OVERFLOW);
    assert_int_equal(parse_one("overflow"), BITFIELD_SYNTAX);
    assert_int_equal(parse_one("GET u8"), BITFIELD_SYNTAX);
    assert_int_equal(parse_one("SET u8 0"), BITFIELD_SYNTAX);
    assert_int_equal(parse_one("nosuch u8 0"), BITFIELD_SYNTAX);
    assert_int_equal(parse_one("GET u64 0"), BITFIELD_BAD_TYPE);
    assert_int_equal(parse_one("GET i65 0"), BITFIELD_BAD_TYPE);
    assert_int_equal(parse_one("GET i0 0"), BITFIELD_BAD_TYPE);
    assert_int_equal(parse_one("GET u8 -1"), BITFIELD_BAD_OFFSET);
    assert_int_equal(parse_one("SET u8 0 x"), BITFIELD_BAD_VALUE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bit_0_is_the_highest_of_the_first_byte),
        cmocka_unit_test(counting_and_finding_are_as_bit_by_bit),
        cmocka_unit_test(combining_pads_the_shorter_one_with_zeros),
        cmocka_unit_test(offsets_are_integers_within_limits),
        cmocka_unit_test(setting_a_bit_that_is_so_already_writes_only_to_grow),
        cmocka_unit_test(overflow_wraps_or_saturates),
        cmocka_unit_test(what_just_fits_does_not_fail),
        cmocka_unit_test(a_failed_operation_changes_nothing),
        cmocka_unit_test(a_field_touches_no_other_bits),
        cmocka_unit_test(operations_are_parsed_to_the_end_or_to_the_first_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
