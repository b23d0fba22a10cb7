/* test_command_table.c: the rows of the command table are whole, and are found. Without a pool. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "command_table.h"
#include "glob.h"

static const struct command *find(const char *name) { return command_full_name_lookup(name, strlen(name)); }

static void every_row_says_what_it_is(void **state) {
    const struct command *const *rows;
    size_t count = command_table_rows(&rows);

    (void)state;
    assert_true(count >= 50);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(rows[i]->index, i);
        assert_true(rows[i]->handler != NULL || rows[i]->subcommands != NULL);
        assert_true(rows[i]->arity != 0);
        assert_true(rows[i]->categories != 0);
        assert_true(strlen(rows[i]->summary) > 0 && strlen(rows[i]->since) > 0 && strlen(rows[i]->group) > 0);
        assert_true(rows[i]->complexity == NULL || strlen(rows[i]->complexity) > 0);
        assert_true((rows[i]->deprecated_since != NULL) == (rows[i]->replaced_by != NULL));
    }
}

static void every_row_is_found_in_any_case(void **state) {
    const struct command *const *rows;
    size_t count = command_table_rows(&rows);
    char upper[64];

    (void)state;
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(rows[i]->name);

        for (size_t c = 0; c <= length; c++) {
            upper[c] = (char)toupper((unsigned char)rows[i]->name[c]);
        }
        assert_ptr_equal(find(rows[i]->name), rows[i]);
        assert_ptr_equal(find(upper), rows[i]);
        upper[0] = (char)tolower((unsigned char)upper[0]);
        assert_ptr_equal(find(upper), rows[i]);
    }
}

static void no_name_occurs_twice(void **state) {
    const struct command *const *rows;
    size_t count = command_table_rows(&rows);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = i + 1; k < count; k++) {
            assert_string_not_equal(rows[i]->name, rows[k]->name);
        }
    }
}

static void names_that_are_no_commands_are_not_found(void **state) {
    static const char *const names[] = {"",         "ge",
                                        "gett",     "get ",
                                        "g\x05t",   "client|",
                                        "client|x", "|",
                                        "|id",      "get|x",
                                        "set\n",    "clientid",
                                        "\x47\x45", "gettttttttttttttttttttttttttttttttttttttttttttttttttttttt"};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_null(find(names[i]));
    }
    assert_null(command_lookup("get\0", 4));
    assert_null(find("memory|malloc\rstats")); /* a letter would be folded to it */
    assert_null(find("bitfield\x7fro"));
    assert_null(command_lookup("\0et", 3));
    const struct command *config = find("config"); /* names of rows may be followed by anything, zeros for one */
    for (size_t zeros = 1; zeros < 24; zeros++) {
        char name[40] = "config|get";
        assert_null(command_subcommand_lookup(config, name + strlen("config|"), strlen("get") + zeros));
        assert_null(command_full_name_lookup(name, strlen("config|get") + zeros));
    }
}

static void a_name_ends_where_its_length_says(void **state) {
    (void)state;
    assert_ptr_equal(command_lookup("getdel", 3), find("get"));
    assert_ptr_equal(command_lookup("getdel", 6), find("getdel"));
}

static void subcommands_know_their_command(void **state) {
    const struct command *const *rows;
    size_t count = command_table_rows(&rows), commands = 0;

    (void)state;
    for (size_t i = 0; i < count; i++) {
        bool is_sub = strchr(rows[i]->name, '|') != NULL;

        assert_int_equal(rows[i]->parent != NULL, is_sub);
        commands += !is_sub;
        if (is_sub) {
            size_t length = strlen(rows[i]->parent->name);
            assert_memory_equal(rows[i]->name, rows[i]->parent->name, length);
            assert_int_equal(rows[i]->name[length], '|');
        }
    }
    assert_int_equal(commands, command_table_commands());
}

static void arity_counts_the_name(void **state) {
    (void)state;
    assert_true(command_arity_ok(find("get"), 2));
    assert_false(command_arity_ok(find("get"), 1));
    assert_false(command_arity_ok(find("get"), 3));
    assert_false(command_arity_ok(find("set"), 2));
    assert_true(command_arity_ok(find("set"), 3));
    assert_true(command_arity_ok(find("set"), 9));
    assert_true(command_arity_ok(find("client|setname"), 3));
}

static void flags_agree_with_key_positions_and_with_each_other(void **state) {
    const struct command *const *rows;
    size_t count = command_table_rows(&rows);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        const struct command *row = rows[i];
        uint32_t access = row->flags & (COMMAND_WRITE | COMMAND_READONLY);

        bool channels = row->key_specs != NULL && (row->key_specs[0].flags & KEY_NOT_KEY) != 0;

        assert_int_equal(row->first_key != 0, row->key_specs != NULL);
        if (channels) {
            assert_int_equal(access, 0);
        } else if (row->first_key != 0) {
            bool watch = strcmp(row->name, "watch") == 0; /* which Redis counts for neither */

            assert_true(access == COMMAND_WRITE || access == COMMAND_READONLY || (watch && access == 0));
            assert_true(row->key_step > 0);
        } else {
            assert_true((access & COMMAND_WRITE) == 0 || strncmp(row->name, "flush", 5) == 0 ||
                        strcmp(row->name, "swapdb") == 0); /* these write to all keys */
        }
        assert_int_equal((row->flags & COMMAND_WRITE) != 0, (row->categories & CATEGORY_WRITE) != 0);
        assert_int_equal((row->categories & CATEGORY_FAST) != 0, (row->categories & CATEGORY_SLOW) == 0);
    }
}

static void assert_keys(const char *name, size_t argc, size_t expected, size_t expected_step) {
    size_t first = 0, step = 0;

    assert_int_equal(command_keys(find(name), argc, &first, &step), expected);
    if (expected > 0) {
        assert_int_equal(first, 1);
        assert_int_equal(step, expected_step);
    }
}

static void keys_are_counted_by_position(void **state) {
    (void)state;
    assert_keys("get", 2, 1, 1);
    assert_keys("get", 1, 0, 0);
    assert_keys("set", 9, 1, 1);
    assert_keys("mget", 4, 3, 1);
    assert_keys("mset", 5, 2, 2);
    assert_keys("mset", 4, 2, 2);
    assert_keys("mset", 1, 0, 0);
    assert_keys("lcs", 3, 2, 1);
    assert_keys("ping", 2, 0, 0);
}

static void assert_glob(const char *pattern, const char *text, bool expected) {
    assert_int_equal(glob_match(pattern, strlen(pattern), text, strlen(text)), expected);
}

static void patterns_match_as_in_redis(void **state) {
    (void)state;
    assert_glob("*", "", true);
    assert_glob("*", "anything", true);
    assert_glob("", "", true);
    assert_glob("", "a", false);
    assert_glob("MAX*", "maxmemory", true);
    assert_glob("*memory", "maxmemory", true);
    assert_glob("*mem*pol*", "maxmemory-policy", true);
    assert_glob("*mem*pol", "maxmemory-policy", false);
    assert_glob("s?ve", "save", true);
    assert_glob("s?ve", "sve", false);
    assert_glob("[rs]ave", "save", true);
    assert_glob("[^rs]ave", "save", false);
    assert_glob("[a-t]ave", "save", true);
    assert_glob("[t-a]ave", "save", true);
    assert_glob("\\*", "*", true);
    assert_glob("\\*", "a", false);
    assert_glob("[", "a", false);
    assert_glob("a*", "b", false);
}

static void a_hostile_pattern_is_answered_quickly(void **state) {
    char pattern[200], text[2000];

    (void)state;
    for (size_t i = 0; i < sizeof pattern; i += 2) {
        pattern[i] = 'a';
        pattern[i + 1] = '*';
    }
    pattern[sizeof pattern - 1] = 'b';
    memset(text, 'a', sizeof text);
    assert_false(glob_match(pattern, sizeof pattern, text, sizeof text));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_says_what_it_is),
        cmocka_unit_test(every_row_is_found_in_any_case),
        cmocka_unit_test(no_name_occurs_twice),
        cmocka_unit_test(names_that_are_no_commands_are_not_found),
        cmocka_unit_test(a_name_ends_where_its_length_says),
        cmocka_unit_test(subcommands_know_their_command),
        cmocka_unit_test(arity_counts_the_name),
        cmocka_unit_test(flags_agree_with_key_positions_and_with_each_other),
        cmocka_unit_test(keys_are_counted_by_position),
        cmocka_unit_test(patterns_match_as_in_redis),
        cmocka_unit_test(a_hostile_pattern_is_answered_quickly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
