/* test_accepted.c: settings that are taken and shown, though nothing follows from them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "accepted.h"

static void assert_set(const char *name, const char *text, const char *shown) {
    char error[256] = "", value[ACCEPTED_TEXT_BYTES];

    assert_int_equal(accepted_set(name, text, error, sizeof error), ACCEPTED_SET);
    assert_true(accepted_get(name, value, sizeof value));
    assert_string_equal(value, shown);
}

static void assert_refused(const char *name, const char *text, const char *reason) {
    char error[256] = "", before[ACCEPTED_TEXT_BYTES], after[ACCEPTED_TEXT_BYTES];

    assert_true(accepted_get(name, before, sizeof before));
    assert_int_equal(accepted_set(name, text, error, sizeof error), ACCEPTED_REFUSED);
    assert_string_equal(error, reason);
    assert_true(accepted_get(name, after, sizeof after));
    assert_string_equal(before, after);
}

static void values_are_shown_as_they_were_set(void **state) {
    (void)state;
    assert_set("hz", "20", "20");
    assert_set("HZ", "10", "10");
    assert_set("maxmemory-policy", "AllKeys-LRU", "allkeys-lru");
    assert_set("lazyfree-lazy-expire", "YES", "yes");
    assert_set("stream-node-max-bytes", "1kb", "1024");
    assert_set("stream-node-max-bytes", "1k", "1000");
    assert_set("stream-node-max-bytes", "2GB", "2147483648");
    assert_set("oom-score-adj-values", "0 200 800", "0 200 800");
    assert_set("save", "", "");
}

static void another_name_means_the_same_value(void **state) {
    char value[ACCEPTED_TEXT_BYTES];

    (void)state;
    assert_set("slave-priority", "50", "50");
    assert_true(accepted_get("replica-priority", value, sizeof value));
    assert_string_equal(value, "50");
}

static void what_redis_refuses_is_refused_in_its_words(void **state) {
    (void)state;
    assert_refused("hz", "abc", "argument couldn't be parsed into an integer");
    assert_refused("hz", "-1", "argument must be between 0 and 2147483647 inclusive");
    assert_refused("active-defrag-threshold-lower", "1001", "argument must be between 0 and 1000 inclusive");
    assert_refused("stream-node-max-bytes", "1tb", "argument must be a memory value");
    assert_refused("stream-node-max-bytes", "-1", "argument must be a memory value");
    assert_refused("stream-node-max-bytes", "", "argument must be a memory value");
    assert_refused("stream-node-max-bytes", "99999999999gb", "argument must be a memory value");
    assert_refused("activedefrag", "maybe", "argument must be 'yes' or 'no'");
    assert_refused("appendfsync", "n", "argument(s) must be one of the following: everysec, always, no");
    assert_refused("databases", "16", "can't set immutable config");
}

static void what_would_be_a_promise_is_refused(void **state) {
    (void)state;
    assert_refused("appendonly", "yes", "argument(s) must be one of the following: no");
    assert_refused("save", "3600 1", "nothing is saved to files: memory nodes keep the data");
    assert_refused("cluster-enabled", "yes", "can't set immutable config");
}

static void unknown_names_and_values_that_others_know_are_not_answered(void **state) {
    char error[256], value[ACCEPTED_TEXT_BYTES];

    (void)state;
    assert_int_equal(accepted_set("nosuch", "1", error, sizeof error), ACCEPTED_UNKNOWN);
    assert_false(accepted_get("nosuch", value, sizeof value));
    assert_false(accepted_get("maxmemory", value, sizeof value)); /* the pool's size, as long as nobody sets it */
    assert_set("maxmemory", "100mb", "104857600");
}

static void every_row_is_whole_and_its_value_would_be_taken(void **state) {
    (void)state;
    for (const struct accepted_row *row = accepted_rows; row->name != NULL; row++) {
        char error[256], value[ACCEPTED_TEXT_BYTES];
        bool known = accepted_get(row->name, value, sizeof value);

        assert_true(known || row->value == NULL);
        for (const struct accepted_row *other = accepted_rows; other != row; other++) {
            assert_int_not_equal(strcasecmp(row->name, other->name), 0);
        }
        if (known && row->kind != ACCEPTED_FIXED) {
            assert_int_equal(accepted_set(row->name, value, error, sizeof error), ACCEPTED_SET);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_shown_as_they_were_set),
        cmocka_unit_test(another_name_means_the_same_value),
        cmocka_unit_test(what_redis_refuses_is_refused_in_its_words),
        cmocka_unit_test(what_would_be_a_promise_is_refused),
        cmocka_unit_test(unknown_names_and_values_that_others_know_are_not_answered),
        cmocka_unit_test(every_row_is_whole_and_its_value_would_be_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
