/* test_command_string.c: what SET, GETEX, INCR, APPEND, EXPIRE and their kin decide, without a pool or a clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "string_rule.h"

#define NOW_MS INT64_C(1700000000000)
#define LATER_MS (NOW_MS + 5000)
#define OTHER_TYPE 7 /* not a string */

static struct dm_value value_of(const char *text, int64_t expire_ms) {
    return (struct dm_value){.bytes = (const uint8_t *)text, .length = (uint32_t)strlen(text), .expire_ms = expire_ms};
}

static struct resp_arg arg_of(const char *text) { return (struct resp_arg){text, strlen(text)}; }

/* `text` holds the words, separated by spaces. */
static bool parse(const char *text, unsigned allowed, struct set_options *options) {
    static struct resp_arg args[16];
    size_t count = 0;

    while (*text != '\0') {
        args[count] = (struct resp_arg){text, strcspn(text, " ")};
        text += args[count].length;
        text += *text == ' ';
        count++;
    }
    return set_options_parse(args, count, allowed, options);
}

static void assert_options(const char *text, unsigned flags) {
    struct set_options options;

    assert_true(parse(text, SET_OPTIONS_ALLOWED, &options));
    assert_int_equal(options.flags, flags);
}

static void assert_set_syntax_error(const char *text) {
    struct set_options options;

    assert_false(parse(text, SET_OPTIONS_ALLOWED, &options));
}

static void set_takes_its_options_in_any_order_and_case(void **state) {
    (void)state;
    assert_options("", 0);
    assert_options("NX", SET_NX);
    assert_options("nx get", SET_NX | SET_GET);
    assert_options("GET Ex 10 xX", SET_GET | SET_EX | SET_XX);
    assert_options("PXAT 1 NX", SET_PXAT | SET_NX);
    assert_options("keepttl get", SET_KEEPTTL | SET_GET);
}

static void set_refuses_options_that_exclude_each_other(void **state) {
    (void)state;
    assert_set_syntax_error("NX XX");
    assert_set_syntax_error("XX NX");
    assert_set_syntax_error("EX 1 PX 1");
    assert_set_syntax_error("EXAT 1 EX 1");
    assert_set_syntax_error("KEEPTTL EX 1");
    assert_set_syntax_error("EX 1 KEEPTTL");
}

static void set_refuses_what_it_does_not_know(void **state) {
    (void)state;
    assert_set_syntax_error("FOO");
    assert_set_syntax_error("PERSIST");
    assert_set_syntax_error("EX");
    assert_set_syntax_error("NX EX");
    assert_set_syntax_error("N");
    assert_set_syntax_error("NXX");
}

static void the_last_of_two_equal_times_counts(void **state) {
    struct set_options options;

    (void)state;
    assert_true(parse("EX 10 EX 20", SET_OPTIONS_ALLOWED, &options));
    assert_memory_equal(options.expire->bytes, "20", 2);
}

static void getex_takes_times_and_persist_only(void **state) {
    struct set_options options;

    (void)state;
    assert_true(parse("PERSIST", GETEX_OPTIONS_ALLOWED, &options));
    assert_true(parse("EXAT 5", GETEX_OPTIONS_ALLOWED, &options));
    assert_false(parse("NX", GETEX_OPTIONS_ALLOWED, &options));
    assert_false(parse("KEEPTTL", GETEX_OPTIONS_ALLOWED, &options));
    assert_false(parse("GET", GETEX_OPTIONS_ALLOWED, &options));
    assert_false(parse("PERSIST EX 1", GETEX_OPTIONS_ALLOWED, &options));
    assert_false(parse("PX 1 PERSIST", GETEX_OPTIONS_ALLOWED, &options));
}

static void assert_option_time(const char *text, bool seconds, bool relative, enum expire_result result,
                               int64_t expected_ms) {
    struct resp_arg arg = arg_of(text);
    int64_t ms = -1;

    assert_int_equal(expire_from_option(&arg, (struct expire_unit){seconds, relative}, NOW_MS, &ms), result);
    assert_int_equal(ms, expected_ms);
}

static void times_of_set_become_absolute_milliseconds(void **state) {
    (void)state;
    assert_option_time("10", true, true, EXPIRE_OK, NOW_MS + 10000);
    assert_option_time("10", false, true, EXPIRE_OK, NOW_MS + 10);
    assert_option_time("10", true, false, EXPIRE_OK, 10000);
    assert_option_time("10", false, false, EXPIRE_OK, 10);
    assert_option_time("9223372036854775807", false, false, EXPIRE_OK, INT64_MAX);
    assert_option_time("9223372036854775", true, false, EXPIRE_OK, INT64_C(9223372036854775000));
}

static void times_of_set_must_be_positive_and_fit(void **state) {
    (void)state;
    assert_option_time("0", true, true, EXPIRE_INVALID, -1);
    assert_option_time("-1", false, false, EXPIRE_INVALID, -1);
    assert_option_time("9223372036854775807", false, true, EXPIRE_INVALID, -1);
    assert_option_time("9223372036854776", true, false, EXPIRE_INVALID, -1);
    assert_option_time("9223372036854775", true, true, EXPIRE_INVALID, -1);
    assert_option_time("1.5", true, true, EXPIRE_NOT_INTEGER, -1);
}

static void times_of_expire_may_be_past_but_must_fit(void **state) {
    const struct expire_unit seconds = {true, true}, ms = {false, true}, at_ms = {false, false};
    struct resp_arg past = arg_of("-10"), most = arg_of("9223372036854775807"), least = arg_of("-9223372036854775808");
    int64_t at = 0;

    (void)state;
    assert_int_equal(expire_from_argument(&past, seconds, NOW_MS, &at), EXPIRE_OK);
    assert_int_equal(at, NOW_MS - 10000);
    assert_int_equal(expire_from_argument(&most, seconds, NOW_MS, &at), EXPIRE_INVALID);
    assert_int_equal(expire_from_argument(&least, seconds, NOW_MS, &at), EXPIRE_INVALID);
    assert_int_equal(expire_from_argument(&most, ms, NOW_MS, &at), EXPIRE_INVALID);
    assert_int_equal(expire_from_argument(&most, at_ms, NOW_MS, &at), EXPIRE_OK);
    assert_int_equal(at, INT64_MAX);
}

static void conditions_of_expire_compare_with_never_as_the_latest_time(void **state) {
    (void)state;
    assert_true(expire_allowed(0, DM_NO_EXPIRY, 5));
    assert_true(expire_allowed(EXPIRE_NX, DM_NO_EXPIRY, 5));
    assert_false(expire_allowed(EXPIRE_NX, 3, 5));
    assert_true(expire_allowed(EXPIRE_XX, 3, 5));
    assert_false(expire_allowed(EXPIRE_XX, DM_NO_EXPIRY, 5));
    assert_true(expire_allowed(EXPIRE_GT, 3, 5));
    assert_false(expire_allowed(EXPIRE_GT, 5, 5));
    assert_false(expire_allowed(EXPIRE_GT, DM_NO_EXPIRY, 5));
    assert_true(expire_allowed(EXPIRE_LT, 6, 5));
    assert_false(expire_allowed(EXPIRE_LT, 5, 5));
    assert_true(expire_allowed(EXPIRE_LT, DM_NO_EXPIRY, 5));
    assert_false(expire_allowed(EXPIRE_XX | EXPIRE_LT, DM_NO_EXPIRY, 5));
}

static void conditions_of_expire_may_exclude_each_other(void **state) {
    struct resp_arg args[] = {arg_of("nx"), arg_of("XX"), arg_of("gt"), arg_of("lt"), arg_of("foo")};
    const struct resp_arg *unknown = NULL;
    unsigned conditions = 0;

    (void)state;
    assert_int_equal(expire_conditions_parse(args, 1, &conditions, &unknown), EXPIRE_CONDITIONS_OK);
    assert_int_equal(conditions, EXPIRE_NX);
    assert_int_equal(expire_conditions_parse(args, 2, &conditions, &unknown), EXPIRE_CONDITIONS_NX_MIXED);
    assert_int_equal(expire_conditions_parse(args + 1, 2, &conditions, &unknown), EXPIRE_CONDITIONS_OK);
    assert_int_equal(conditions, EXPIRE_XX | EXPIRE_GT);
    assert_int_equal(expire_conditions_parse(args + 2, 2, &conditions, &unknown), EXPIRE_CONDITIONS_GT_LT);
    assert_int_equal(expire_conditions_parse(args, 5, &conditions, &unknown), EXPIRE_CONDITIONS_UNKNOWN);
    assert_ptr_equal(unknown, &args[4]);
}

static void expire_removes_a_key_whose_time_has_come(void **state) {
    struct dm_value old = value_of("v", DM_NO_EXPIRY);
    struct expire_update update = {.expire_ms = NOW_MS, .now_ms = NOW_MS};
    struct dm_write write = {0};

    (void)state;
    assert_int_equal(expire_decide(&update, &old, &write), DM_DELETE);
    assert_true(update.changed);
}

/* The time 0 looks like "no expiry" to the store. */
static void expire_at_zero_removes_a_key_without_expiry(void **state) {
    struct dm_value old = value_of("v", DM_NO_EXPIRY);
    struct expire_update update = {.expire_ms = 0, .now_ms = NOW_MS};
    struct dm_write write = {0};

    (void)state;
    assert_int_equal(expire_decide(&update, &old, &write), DM_DELETE);
    assert_true(update.changed);
}

static void expire_writes_the_same_value_of_any_type_again(void **state) {
    struct dm_value old = value_of("v", NOW_MS + 1);
    struct expire_update update = {.expire_ms = LATER_MS, .now_ms = NOW_MS};
    struct dm_write write = {0};

    (void)state;
    old.type = OTHER_TYPE;
    old.encoding = 3;
    assert_int_equal(expire_decide(&update, &old, &write), DM_WRITE);
    assert_ptr_equal(write.part[0].bytes, old.bytes);
    assert_int_equal(write.type, OTHER_TYPE);
    assert_int_equal(write.encoding, 3);
    assert_int_equal(write.expire_ms, LATER_MS);
    assert_int_equal(expire_decide(&update, NULL, &write), DM_KEEP);
    assert_false(update.changed);
}

static void persist_changes_only_what_expires(void **state) {
    struct dm_value with = value_of("v", LATER_MS), without = value_of("v", DM_NO_EXPIRY);
    struct expire_update update = {0};
    struct dm_write write = {.expire_ms = 1};

    (void)state;
    assert_int_equal(expire_persist_decide(&update, &with, &write), DM_WRITE);
    assert_true(update.changed);
    assert_int_equal(write.expire_ms, DM_NO_EXPIRY);
    assert_int_equal(expire_persist_decide(&update, &without, &write), DM_KEEP);
    assert_false(update.changed);
    assert_int_equal(expire_persist_decide(&update, NULL, &write), DM_KEEP);
}

static void seconds_are_rounded_to_the_nearest(void **state) {
    (void)state;
    assert_int_equal(expire_seconds(499), 0);
    assert_int_equal(expire_seconds(500), 1);
    assert_int_equal(expire_seconds(1499), 1);
    assert_int_equal(expire_seconds(INT64_MAX), INT64_C(9223372036854776));
}

static void set_obeys_nx_and_xx(void **state) {
    struct dm_value old = value_of("old", LATER_MS);
    struct string_set set = {.value = {"new", 3}, .flags = SET_NX};
    struct dm_write write = {0};

    (void)state;
    assert_int_equal(string_set_decide(&set, &old, &write), DM_KEEP);
    assert_int_equal(set.result, STRING_SKIPPED);
    assert_int_equal(string_set_decide(&set, NULL, &write), DM_WRITE);
    assert_int_equal(set.result, STRING_OK);
    set.flags = SET_XX;
    assert_int_equal(string_set_decide(&set, NULL, &write), DM_KEEP);
    assert_int_equal(set.result, STRING_SKIPPED);
    assert_int_equal(string_set_decide(&set, &old, &write), DM_WRITE);
    assert_int_equal(write.expire_ms, DM_NO_EXPIRY);
}

static void set_keeps_the_expiry_only_when_told(void **state) {
    struct dm_value old = value_of("old", LATER_MS);
    struct string_set set = {.value = {"new", 3}, .flags = SET_KEEPTTL};
    struct dm_write write = {0};

    (void)state;
    assert_int_equal(string_set_decide(&set, &old, &write), DM_WRITE);
    assert_int_equal(write.expire_ms, LATER_MS);
    assert_int_equal(string_set_decide(&set, NULL, &write), DM_WRITE);
    assert_int_equal(write.expire_ms, DM_NO_EXPIRY);
}

static void set_replaces_another_type_unless_it_must_return_it(void **state) {
    struct dm_value old = value_of("old", DM_NO_EXPIRY);
    struct string_set set = {.value = {"new", 3}};
    struct dm_write write = {0};

    (void)state;
    old.type = OTHER_TYPE;
    assert_int_equal(string_set_decide(&set, &old, &write), DM_WRITE);
    assert_int_equal(write.type, DM_TYPE_STRING);
    set.flags = SET_GET;
    assert_int_equal(string_set_decide(&set, &old, &write), DM_KEEP);
    assert_int_equal(set.result, STRING_WRONG_TYPE);
}

static void append_joins_and_keeps_the_expiry(void **state) {
    struct dm_value old = value_of("ab", LATER_MS);
    struct string_append append = {.suffix = {"cde", 3}, .bytes_max = 5};
    struct dm_write write = {0};

    (void)state;
    assert_int_equal(string_append_decide(&append, &old, &write), DM_WRITE);
    assert_int_equal(append.length, 5);
    assert_ptr_equal(write.part[0].bytes, old.bytes);
    assert_int_equal(write.part[1].length, 3);
    assert_int_equal(write.expire_ms, LATER_MS);
}

static void append_stops_at_the_largest_string(void **state) {
    struct dm_value old = value_of("ab", DM_NO_EXPIRY);
    struct string_append append = {.suffix = {"cde", 3}, .bytes_max = 4};
    struct dm_write write = {0};

    (void)state;
    assert_int_equal(string_append_decide(&append, &old, &write), DM_KEEP);
    assert_int_equal(append.result, STRING_TOO_LONG);
}

static void append_of_nothing_counts_as_a_change(void **state) {
    struct dm_value old = value_of("ab", DM_NO_EXPIRY);
    struct string_append append = {.suffix = {"", 0}, .bytes_max = 4};
    struct dm_write write = {0};

    (void)state;
    assert_int_equal(string_append_decide(&append, &old, &write), DM_WRITE);
    assert_int_equal(write.encoding, STRING_RAW);
    old.encoding = STRING_RAW;
    assert_int_equal(string_append_decide(&append, &old, &write), DM_WRITE); /* WATCH notices it, as in Redis */
    assert_int_equal(append.length, 2);
    assert_int_equal(string_append_decide(&append, NULL, &write), DM_WRITE);
    assert_int_equal(append.length, 0);
}

static void assert_add(const char *old_text, int64_t by, enum string_result result, const char *expected) {
    struct dm_value old = value_of(old_text == NULL ? "" : old_text, LATER_MS);
    struct string_add add = {.by = by};
    struct dm_write write = {0};
    enum dm_action action = string_add_decide(&add, old_text == NULL ? NULL : &old, &write);

    assert_int_equal(add.result, result);
    assert_int_equal(action, result == STRING_OK ? DM_WRITE : DM_KEEP);
    if (result == STRING_OK) {
        assert_int_equal(write.part[0].length, strlen(expected));
        assert_memory_equal(write.part[0].bytes, expected, strlen(expected));
        assert_int_equal(write.expire_ms, old_text == NULL ? DM_NO_EXPIRY : LATER_MS);
    }
}

static void incr_counts_from_zero_and_keeps_the_expiry(void **state) {
    (void)state;
    assert_add(NULL, 1, STRING_OK, "1");
    assert_add("41", 1, STRING_OK, "42");
    assert_add("-1", -9, STRING_OK, "-10");
    assert_add("9223372036854775806", 1, STRING_OK, "9223372036854775807");
}

static void incr_refuses_overflow_and_what_is_no_integer(void **state) {
    (void)state;
    assert_add("9223372036854775807", 1, STRING_OVERFLOW, NULL);
    assert_add("-9223372036854775808", -1, STRING_OVERFLOW, NULL);
    assert_add("", 1, STRING_NOT_INTEGER, NULL);
    assert_add("1.5", 1, STRING_NOT_INTEGER, NULL);
    assert_add(" 1", 1, STRING_NOT_INTEGER, NULL);
}

static void a_repeated_decision_forgets_the_one_before(void **state) {
    struct dm_value bad = value_of("x", DM_NO_EXPIRY), good = value_of("5", DM_NO_EXPIRY);
    struct string_add add = {.by = 1};
    struct dm_write write = {0};

    (void)state;
    assert_int_equal(string_add_decide(&add, &bad, &write), DM_KEEP);
    assert_int_equal(string_add_decide(&add, &good, &write), DM_WRITE);
    assert_int_equal(add.result, STRING_OK);
    assert_int_equal(add.value, 6);
}

static void incrbyfloat_refuses_a_result_that_is_not_finite(void **state) {
    struct dm_value old = value_of("1e4932", DM_NO_EXPIRY), text = value_of("abc", DM_NO_EXPIRY);
    static struct string_add_float add;
    struct dm_write write = {0};

    (void)state;
    add.by = 1.5L;
    assert_int_equal(string_add_float_decide(&add, NULL, &write), DM_WRITE);
    assert_memory_equal(write.part[0].bytes, "1.5", 3);
    assert_int_equal(string_add_float_decide(&add, &text, &write), DM_KEEP);
    assert_int_equal(add.result, STRING_NOT_FLOAT);
    assert_true(number_parse_float("1e4932", 6, &add.by));
    assert_int_equal(string_add_float_decide(&add, &old, &write), DM_KEEP);
    assert_int_equal(add.result, STRING_NOT_FINITE);
}

static void getdel_removes_strings_only(void **state) {
    struct dm_value old = value_of("v", DM_NO_EXPIRY);
    struct string_take take;
    struct dm_write write = {0};

    (void)state;
    assert_int_equal(string_take_decide(&take, &old, &write), DM_DELETE);
    assert_int_equal(string_take_decide(&take, NULL, &write), DM_KEEP);
    assert_int_equal(take.result, STRING_SKIPPED);
    old.type = OTHER_TYPE;
    assert_int_equal(string_take_decide(&take, &old, &write), DM_KEEP);
    assert_int_equal(take.result, STRING_WRONG_TYPE);
}

static void getex_removes_persists_or_writes_again(void **state) {
    struct dm_value old = value_of("v", LATER_MS);
    struct string_expire expire = {.expire_ms = NOW_MS, .now_ms = NOW_MS};
    struct dm_write write = {0};

    (void)state;
    assert_int_equal(string_expire_decide(&expire, &old, &write), DM_DELETE);
    expire.expire_ms = DM_NO_EXPIRY;
    assert_int_equal(string_expire_decide(&expire, &old, &write), DM_WRITE);
    assert_int_equal(write.expire_ms, DM_NO_EXPIRY);
    expire.expire_ms = LATER_MS + 1;
    assert_int_equal(string_expire_decide(&expire, &old, &write), DM_WRITE);
    assert_int_equal(write.expire_ms, LATER_MS + 1);
    assert_int_equal(string_expire_decide(&expire, NULL, &write), DM_KEEP);
    assert_int_equal(expire.result, STRING_SKIPPED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_takes_its_options_in_any_order_and_case),
        cmocka_unit_test(set_refuses_options_that_exclude_each_other),
        cmocka_unit_test(set_refuses_what_it_does_not_know),
        cmocka_unit_test(the_last_of_two_equal_times_counts),
        cmocka_unit_test(getex_takes_times_and_persist_only),
        cmocka_unit_test(times_of_set_become_absolute_milliseconds),
        cmocka_unit_test(times_of_set_must_be_positive_and_fit),
        cmocka_unit_test(times_of_expire_may_be_past_but_must_fit),
        cmocka_unit_test(conditions_of_expire_compare_with_never_as_the_latest_time),
        cmocka_unit_test(conditions_of_expire_may_exclude_each_other),
        cmocka_unit_test(expire_removes_a_key_whose_time_has_come),
        cmocka_unit_test(expire_at_zero_removes_a_key_without_expiry),
        cmocka_unit_test(expire_writes_the_same_value_of_any_type_again),
        cmocka_unit_test(persist_changes_only_what_expires),
        cmocka_unit_test(seconds_are_rounded_to_the_nearest),
        cmocka_unit_test(set_obeys_nx_and_xx),
        cmocka_unit_test(set_keeps_the_expiry_only_when_told),
        cmocka_unit_test(set_replaces_another_type_unless_it_must_return_it),
        cmocka_unit_test(append_joins_and_keeps_the_expiry),
        cmocka_unit_test(append_stops_at_the_largest_string),
        cmocka_unit_test(append_of_nothing_counts_as_a_change),
        cmocka_unit_test(incr_counts_from_zero_and_keeps_the_expiry),
        cmocka_unit_test(incr_refuses_overflow_and_what_is_no_integer),
        cmocka_unit_test(a_repeated_decision_forgets_the_one_before),
        cmocka_unit_test(incrbyfloat_refuses_a_result_that_is_not_finite),
        cmocka_unit_test(getdel_removes_strings_only),
        cmocka_unit_test(getex_removes_persists_or_writes_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
