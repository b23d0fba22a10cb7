/* test_rdb.c: strings in the form of DUMP and RESTORE: the checksum, all forms of a length, compression, and what is
 * wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lzf.h"
#include "rdb.h"

#define LENGTH_MAX 100000u
#define BODY_BYTES_MAX 200u

static void the_checksum_is_the_one_that_redis_names(void **state) {
    (void)state;
    assert_int_equal(rdb_checksum("123456789", 9), UINT64_C(0xe9c6d914c4b8d9ca));
    assert_int_equal(rdb_checksum("", 0), 0);
}

static void assert_dump(const char *text, const char *body, size_t body_length) {
    uint8_t dump[BODY_BYTES_MAX];
    size_t length = rdb_dump(text, strlen(text), dump);

    assert_int_equal(length, body_length + 10);
    assert_memory_equal(dump, body, body_length);
    assert_memory_equal(dump + body_length, "\x0a\x00", 2);
}

static void integers_of_up_to_32_bits_are_dumped_as_such(void **state) {
    (void)state;
    assert_dump("10", "\x00\xc0\x0a", 3);
    assert_dump("-128", "\x00\xc0\x80", 3);
    assert_dump("128", "\x00\xc1\x80\x00", 4);
    assert_dump("-32768", "\x00\xc1\x00\x80", 4);
    assert_dump("32768", "\x00\xc2\x00\x80\x00\x00", 6);
    assert_dump("-2147483648", "\x00\xc2\x00\x00\x00\x80", 6);
    assert_dump("2147483648",
                "\x00\x0a"
                "2147483648",
                12);
    assert_dump("010",
                "\x00\x03"
                "010",
                5);
    assert_dump("", "\x00\x00", 2);
}

static void every_length_comes_back(void **state) {
    static uint8_t bytes[LENGTH_MAX], dump[LENGTH_MAX + RDB_OVERHEAD_BYTES];
    static const size_t lengths[] = {0, 1, 20, 63, 64, 16383, 16384, 65536, LENGTH_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        uint8_t *back;
        uint64_t back_length;

        memset(bytes, 'a' + (int)i, lengths[i]);
        size_t length = rdb_dump(bytes, lengths[i], dump);

        assert_true(length <= lengths[i] + RDB_OVERHEAD_BYTES);
        assert_int_equal(rdb_restore(dump, length, LENGTH_MAX, &back, &back_length), RDB_OK);
        assert_int_equal(back_length, lengths[i]);
        assert_memory_equal(back, bytes, lengths[i]);
        free(back);
    }
}

/* Restores a body with a right version and checksum behind it. */
static enum rdb_result restore(const char *body, size_t body_length, uint8_t **bytes, uint64_t *length) {
    uint8_t dump[BODY_BYTES_MAX + 10];

    memcpy(dump, body, body_length);
    dump[body_length] = RDB_VERSION;
    dump[body_length + 1] = 0;
    uint64_t sum = rdb_checksum(dump, body_length + 2);

    for (size_t i = 0; i < 8; i++) {
        dump[body_length + 2 + i] = (uint8_t)(sum >> 8 * i);
    }
    return rdb_restore(dump, body_length + 10, LENGTH_MAX, bytes, length);
}

static void assert_restored(const char *body, size_t body_length, const char *expected) {
    uint8_t *bytes;
    uint64_t length;

    assert_int_equal(restore(body, body_length, &bytes, &length), RDB_OK);
    assert_int_equal(length, strlen(expected));
    assert_memory_equal(bytes, expected, length);
    free(bytes);
}

static void lengths_are_read_in_all_forms(void **state) {
    (void)state;
    assert_restored("\x00\x03"
                    "abc",
                    5, "abc");
    assert_restored("\x00\x40\x03"
                    "abc",
                    6, "abc");
    assert_restored("\x00\x80\x00\x00\x00\x03"
                    "abc",
                    9, "abc");
    assert_restored("\x00\x81\x00\x00\x00\x00\x00\x00\x00\x03"
                    "abc",
                    13, "abc");
    assert_restored("\x00\xc0\xff", 3, "-1");
    assert_restored("\x00\xc1\xff\x7f", 4, "32767");
    assert_restored("\x00\xc2\x00\x00\x00\x80", 6, "-2147483648");
    assert_restored("\x00\xc3\x05\x0b\x00"
                    "a\xe0\x01\x00",
                    9, "aaaaaaaaaaa");
}

static void assert_bad(const char *body, size_t body_length) {
    uint8_t *bytes = NULL;
    uint64_t length;

    assert_int_equal(restore(body, body_length, &bytes, &length), RDB_BAD_DATA);
    assert_null(bytes);
}

static void what_is_no_string_or_ends_too_early_is_bad(void **state) {
    uint8_t *bytes;
    uint64_t length;

    (void)state;
    assert_bad("\x01\x03"
               "abc",
               5); /* a list */
    assert_bad("\x00\x3f"
               "abc",
               5);                 /* longer than what is there, footer included */
    assert_bad("\x00\xc4\x00", 3); /* no such encoding */
    assert_bad("\x00\x82"
               "abcdefghi",
               11); /* no such length */
    assert_bad("\x00\xc3\x02\x0b\x00"
               "a",
               6); /* not as long as it says */
    assert_bad("\x00\xc3\x3f\x0b\x00"
               "a",
               6);
    assert_bad("\x00\xc3\xc0\x0b\x00"
               "a",
               6);
    assert_int_equal(restore("\x00\xc3\x05\x80\x7f\xff\xff\xff\x00"
                             "a\xe0\x01\x00",
                             13, &bytes, &length),
                     RDB_TOO_LARGE);
    assert_int_equal(length, 0x7fffffff);
}

static void a_wrong_checksum_or_a_newer_version_is_refused(void **state) {
    uint8_t dump[BODY_BYTES_MAX], *bytes;
    uint64_t length;
    size_t dump_length = rdb_dump("abc", 3, dump);

    (void)state;
    for (size_t i = 0; i < dump_length; i++) {
        dump[i] ^= 4;
        assert_int_equal(rdb_restore(dump, dump_length, LENGTH_MAX, &bytes, &length), RDB_BAD_CHECKSUM);
        dump[i] ^= 4;
    }
    for (size_t i = 0; i < dump_length; i++) {
        assert_int_equal(rdb_restore(dump, i, LENGTH_MAX, &bytes, &length), RDB_BAD_CHECKSUM);
    }
    dump[dump_length - 10] = RDB_VERSION + 1;
    uint64_t sum = rdb_checksum(dump, dump_length - 8);

    memcpy(dump + dump_length - 8, &sum, sizeof sum);
    assert_int_equal(rdb_restore(dump, dump_length, LENGTH_MAX, &bytes, &length), RDB_BAD_CHECKSUM);
}

static void assert_lzf(const char *in, size_t in_length, size_t out_length, const char *expected) {
    uint8_t *out = malloc(out_length + 1); /* exact, so that a sanitizer sees what goes beyond */
    bool right = lzf_decompress((const uint8_t *)in, in_length, out, out_length);

    assert_int_equal(right, expected != NULL);
    if (expected != NULL) {
        assert_memory_equal(out, expected, out_length);
    }
    free(out);
}

static void compressed_bytes_are_literals_and_copies(void **state) {
    (void)state;
    assert_lzf("\x02"
               "abc",
               4, 3, "abc");
    assert_lzf("\x02"
               "abc\x20\x02",
               6, 6, "abcabc");
    assert_lzf("\x00"
               "a\xc0\x00",
               4, 9, "aaaaaaaaa");
    assert_lzf("\x00"
               "a\xe0\x05\x00",
               5, 15, "aaaaaaaaaaaaaaa");
    assert_lzf("", 0, 0, "");
}

static void bad_compressed_bytes_read_and_write_nothing_outside(void **state) {
    (void)state;
    assert_lzf("\x02"
               "ab",
               3, 3, NULL); /* literals missing */
    assert_lzf("\x02"
               "abc",
               4, 2, NULL); /* more than asked for */
    assert_lzf("\x02"
               "abc",
               4, 4, NULL); /* less */
    assert_lzf("\x02"
               "abc\x20\x03",
               6, 6, NULL); /* from before the beginning */
    assert_lzf("\x20\x00", 2, 3, NULL);
    assert_lzf("\x02"
               "abc\x20",
               5, 6, NULL); /* offset missing */
    assert_lzf("\x02"
               "abc\xe0",
               5, 12, NULL); /* length missing */
    assert_lzf("\x02"
               "abc\xe0\x00",
               6, 12, NULL);
    assert_lzf("\x02"
               "abc\xe0\xff\x00",
               7, 12, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_checksum_is_the_one_that_redis_names),
        cmocka_unit_test(integers_of_up_to_32_bits_are_dumped_as_such),
        cmocka_unit_test(every_length_comes_back),
        cmocka_unit_test(lengths_are_read_in_all_forms),
        cmocka_unit_test(what_is_no_string_or_ends_too_early_is_bad),
        cmocka_unit_test(a_wrong_checksum_or_a_newer_version_is_refused),
        cmocka_unit_test(compressed_bytes_are_literals_and_copies),
        cmocka_unit_test(bad_compressed_bytes_read_and_write_nothing_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
