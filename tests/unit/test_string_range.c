/* test_string_range.c: which bytes a range means, and writing into the midst of a string. Without a pool. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "string_range.h"

#define BYTES_MAX (UINT64_C(512) << 20)

static void assert_range(int64_t start, int64_t end, uint64_t length, uint64_t first, uint64_t count) {
    uint64_t found_first;

    assert_int_equal(string_range_clip(start, end, length, &found_first), count);
    if (count > 0) {
        assert_int_equal(found_first, first);
    }
}

static void a_range_includes_both_ends(void **state) {
    (void)state;
    assert_range(0, 0, 10, 0, 1);
    assert_range(3, 7, 10, 3, 5);
    assert_range(0, -1, 10, 0, 10);
    assert_range(-3, -1, 10, 7, 3);
}

static void a_range_is_clipped_to_what_is_there(void **state) {
    (void)state;
    assert_range(0, INT64_MAX, 10, 0, 10);
    assert_range(INT64_MIN, INT64_MAX, 10, 0, 10);
    assert_range(-100, 2, 10, 0, 3);
    assert_range(-100, -50, 10, 0, 1);
}

static void a_range_behind_the_end_or_the_wrong_way_round_is_empty(void **state) {
    (void)state;
    assert_range(10, 20, 10, 0, 0);
    assert_range(5, 4, 10, 0, 0);
    assert_range(-1, -3, 10, 0, 0);
    assert_range(-50, -100, 10, 0, 0);
    assert_range(0, -1, 0, 0, 0);
    assert_range(0, 0, 0, 0, 0);
    assert_range(INT64_MAX, INT64_MAX, 10, 0, 0);
}

/* The bytes that an overlay writes; asserts what it says of the length. */
static const char *overlay_text(const char *old_text, uint64_t offset, const char *patch) {
    static char text[64];
    struct dm_value old = {.bytes = (const uint8_t *)old_text, .expire_ms = 5};
    struct string_overlay overlay = {
        .patch = {patch, (uint32_t)strlen(patch)}, .offset = offset, .bytes_max = BYTES_MAX};
    struct dm_write write = {0};
    size_t length = 0;

    if (old_text != NULL) {
        old.length = (uint32_t)strlen(old_text);
    }
    assert_int_equal(string_overlay_decide(&overlay, old_text == NULL ? NULL : &old, &write), DM_WRITE);
    assert_int_equal(overlay.result, STRING_OK);
    for (size_t i = 0; i < 3; i++) {
        if (write.part[i].length > 0) {
            memcpy(text + length, write.part[i].bytes, write.part[i].length);
        }
        length += write.part[i].length;
    }
    assert_int_equal(length, overlay.length);
    assert_int_equal(write.encoding, STRING_RAW);
    assert_int_equal(write.expire_ms, old_text == NULL ? DM_NO_EXPIRY : 5);
    for (size_t i = 0; i < length; i++) { /* zeros, made visible */
        text[i] = text[i] == '\0' ? '_' : text[i];
    }
    text[length] = '\0';
    return text;
}

static void an_overlay_replaces_bytes_or_goes_on_behind_the_end(void **state) {
    (void)state;
    assert_string_equal(overlay_text("abcdef", 2, "XY"), "abXYef");
    assert_string_equal(overlay_text("abcdef", 0, "XYZXYZ"), "XYZXYZ");
    assert_string_equal(overlay_text("abcdef", 4, "XYZ"), "abcdXYZ");
    assert_string_equal(overlay_text("abcdef", 6, "XYZ"), "abcdefXYZ");
}

static void an_overlay_fills_a_gap_with_zeros(void **state) {
    (void)state;
    assert_string_equal(overlay_text("ab", 5, "X"), "ab___X");
    assert_string_equal(overlay_text(NULL, 3, "X"), "___X");
    assert_string_equal(overlay_text(NULL, 0, "X"), "X");
    assert_string_equal(overlay_text("", 2, "X"), "__X");
}

static void an_empty_patch_changes_nothing_wherever_it_goes(void **state) {
    struct dm_value old = {.bytes = (const uint8_t *)"abc", .length = 3};
    struct string_overlay overlay = {.patch = {"", 0}, .offset = UINT64_C(1) << 60, .bytes_max = BYTES_MAX};
    struct dm_write write = {0};

    (void)state;
    assert_int_equal(string_overlay_decide(&overlay, &old, &write), DM_KEEP);
    assert_int_equal(overlay.result, STRING_OK);
    assert_int_equal(overlay.length, 3);
    assert_int_equal(string_overlay_decide(&overlay, NULL, &write), DM_KEEP);
    assert_int_equal(overlay.length, 0);
}

static void what_is_too_long_or_no_string_is_refused(void **state) {
    struct dm_value other = {.bytes = (const uint8_t *)"abc", .length = 3, .type = 7};
    struct string_overlay overlay = {.patch = {"xy", 2}, .offset = BYTES_MAX - 1, .bytes_max = BYTES_MAX};
    struct dm_write write = {0};

    (void)state;
    assert_int_equal(string_overlay_decide(&overlay, NULL, &write), DM_KEEP);
    assert_int_equal(overlay.result, STRING_TOO_LONG);
    overlay.offset = 0;
    assert_int_equal(string_overlay_decide(&overlay, &other, &write), DM_KEEP);
    assert_int_equal(overlay.result, STRING_WRONG_TYPE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_range_includes_both_ends),
        cmocka_unit_test(a_range_is_clipped_to_what_is_there),
        cmocka_unit_test(a_range_behind_the_end_or_the_wrong_way_round_is_empty),
        cmocka_unit_test(an_overlay_replaces_bytes_or_goes_on_behind_the_end),
        cmocka_unit_test(an_overlay_fills_a_gap_with_zeros),
        cmocka_unit_test(an_empty_patch_changes_nothing_wherever_it_goes),
        cmocka_unit_test(what_is_too_long_or_no_string_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
