/* test_acl.c: ACL rules, what they allow, and how they are written out again; the log of refusals. Pure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "acl.h"
#include "acl_log.h"

#define WORDS_MAX 16

/* A user with these rules, separated by spaces; NULL when one is refused. */
static struct acl_user *user_with(const char *rules) {
    struct acl_user *user = acl_user_create("u", 1);
    struct resp_arg words[WORDS_MAX];
    size_t count = 0;
    char culprit[64];

    assert_non_null(user);
    for (const char *at = rules; *at != '\0'; at += words[count++].length) {
        at += strspn(at, " ");
        words[count] = (struct resp_arg){at, strcspn(at, " ")};
    }
    if (acl_user_apply_all(user, words, count, culprit, sizeof culprit) != NULL) {
        acl_user_release(user);
        return NULL;
    }
    return user;
}

static enum acl_verdict verdict(const struct acl_user *user, const char *line, size_t *index) {
    struct resp_arg argv[WORDS_MAX] = {{NULL, 0}};
    size_t argc = 0;

    for (const char *at = line; *at != '\0'; at += argv[argc++].length) {
        at += strspn(at, " ");
        argv[argc] = (struct resp_arg){at, strcspn(at, " ")};
    }
    const struct command *command = command_lookup(argv[0].bytes, argv[0].length);

    assert_non_null(command);
    if (command->subcommands != NULL && argc > 1) {
        command = command_subcommand_lookup(command, argv[1].bytes, argv[1].length);
        assert_non_null(command);
    }
    return acl_user_check(user, command, argv, argc, index);
}

static void assert_verdict(const char *rules, const char *line, enum acl_verdict expected) {
    struct acl_user *user = user_with(rules);
    size_t index;

    assert_non_null(user);
    assert_int_equal(verdict(user, line, &index), expected);
    acl_user_release(user);
}

static void assert_text(const char *rules, const char *expected) {
    struct acl_user *user = user_with(rules);
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);

    assert_non_null(user);
    assert_non_null(out);
    acl_user_print(out, user);
    fclose(out);
    assert_string_equal(text, expected);
    free(text);
    acl_user_release(user);
}

static void a_new_user_may_do_nothing_but_authenticate(void **state) {
    (void)state;
    assert_verdict("", "get k", ACL_DENIED_COMMAND);
    assert_verdict("", "auth u p", ACL_ALLOWED);
    assert_verdict("", "hello", ACL_ALLOWED);
    assert_verdict("", "quit", ACL_ALLOWED);
    assert_text("", "user u off resetchannels -@all");
}

static void later_rules_for_commands_undo_earlier_ones(void **state) {
    (void)state;
    assert_verdict("~* +get -get", "get k", ACL_DENIED_COMMAND);
    assert_verdict("~* -get +get", "get k", ACL_ALLOWED);
    assert_verdict("~* +@all -@string", "get k", ACL_DENIED_COMMAND);
    assert_verdict("~* +@all -@string +get", "get k", ACL_ALLOWED);
    assert_verdict("~* +get +@all -@all", "get k", ACL_DENIED_COMMAND);
    assert_text("+get -get +set", "user u off resetchannels -@all -get +set");
    assert_text("+get +set +@all", "user u off resetchannels +@all");
}

static void subcommands_are_allowed_with_their_command_or_one_by_one(void **state) {
    (void)state;
    assert_verdict("+client", "client id", ACL_ALLOWED);
    assert_verdict("+client|id", "client id", ACL_ALLOWED);
    assert_verdict("+client|id", "client list", ACL_DENIED_COMMAND);
    assert_verdict("+client -client|id", "client id", ACL_DENIED_COMMAND);
    assert_verdict("+client -client|id", "client list", ACL_ALLOWED);
    assert_text("+client|id +client", "user u off resetchannels -@all +client");
}

static void a_first_argument_can_be_all_that_is_allowed(void **state) {
    (void)state;
    assert_verdict("+select|0", "select 0", ACL_ALLOWED);
    assert_verdict("+select|0", "select 1", ACL_DENIED_COMMAND);
    assert_verdict("+select|0 +select", "select 1", ACL_ALLOWED);
    assert_verdict("+select|0 -select", "select 0", ACL_DENIED_COMMAND);
}

static void keys_must_match_for_what_is_done_with_them(void **state) {
    (void)state;
    assert_verdict("+@all ~a*", "get abc", ACL_ALLOWED);
    assert_verdict("+@all ~a*", "get Abc", ACL_DENIED_KEY);
    assert_verdict("+@all %R~a*", "get abc", ACL_ALLOWED);
    assert_verdict("+@all %R~a*", "set abc v", ACL_DENIED_KEY);
    assert_verdict("+@all %W~a*", "set abc v", ACL_ALLOWED);
    assert_verdict("+@all %W~a*", "set abc v get", ACL_DENIED_KEY);
    assert_verdict("+@all %W~a*", "append abc v", ACL_ALLOWED);
    assert_verdict("+@all %W~a*", "getdel abc", ACL_DENIED_KEY);
    assert_verdict("+@all %R~a* %W~a*", "getdel abc", ACL_ALLOWED);
}

static void the_key_that_was_refused_is_named(void **state) {
    struct acl_user *user = user_with("+@all ~a*");
    size_t index;

    (void)state;
    assert_int_equal(verdict(user, "mset a 1 b 2", &index), ACL_DENIED_KEY);
    assert_int_equal(index, 3);
    acl_user_release(user);
}

static void selectors_allow_all_of_a_command_or_nothing(void **state) {
    (void)state;
    assert_verdict("(+get ~a*) (+set ~b*)", "get a", ACL_ALLOWED);
    assert_verdict("(+get ~a*) (+set ~b*)", "set b v", ACL_ALLOWED);
    assert_verdict("(+get ~a*) (+set ~b*)", "set a v", ACL_DENIED_KEY);
    assert_verdict("(+get ~a*) (+set ~b*) clearselectors", "get a", ACL_DENIED_COMMAND);
    assert_text("(+get ~a*)", "user u off resetchannels -@all (~a* resetchannels -@all +get)");
    assert_null(user_with("(+get"));
    assert_null(user_with("(on)"));
}

/* Redis 7.0 takes it, and then cannot read the file that it has written. */
static void a_rule_that_would_be_another_one_in_a_file_is_refused(void **state) {
    (void)state;
    assert_null(user_with("(&*(&*))"));
    assert_null(user_with("(~a) +get)"));
    struct acl_user *user = user_with("");
    assert_non_null(acl_user_apply(user, "+select|a b", 11)); /* another rule when it is read */
    assert_non_null(acl_user_apply(user, "+select|\0b", 10));
    assert_non_null(acl_user_apply(user, "~a\0b", 4));
    acl_user_release(user);
    assert_null(user_with("~* ~")); /* would be "~*~" there */
    assert_text("&a) (~a)b +get)", "user u off resetchannels &a) -@all (~a)b resetchannels -@all +get)");
}

static void channels_match_and_patterns_must_be_the_same(void **state) {
    (void)state;
    assert_verdict("+@all &news*", "publish news1 x", ACL_ALLOWED);
    assert_verdict("+@all &news*", "publish other x", ACL_DENIED_CHANNEL);
    assert_verdict("+@all &news*", "subscribe news1 other", ACL_DENIED_CHANNEL);
    assert_verdict("+@all &news*", "psubscribe news*", ACL_ALLOWED);
    assert_verdict("+@all &news*", "psubscribe news1*", ACL_DENIED_CHANNEL);
    assert_verdict("+@all &*", "psubscribe *", ACL_ALLOWED);
    assert_verdict("+@all &news*", "spublish other x", ACL_DENIED_CHANNEL);
}

static void only_who_may_do_everything_is_unrestricted(void **state) {
    struct acl_user *all = user_with("+@all ~* &*"), *less = user_with("+@all ~* &* -get");
    struct acl_user *selector = user_with("(+@all ~* &*)");

    (void)state;
    assert_true(all->unrestricted);
    assert_false(less->unrestricted);
    assert_false(selector->unrestricted);
    acl_user_release(all);
    acl_user_release(less);
    acl_user_release(selector);
}

static void passwords_are_kept_as_hashes(void **state) {
    struct acl_user *user = user_with(">secret >other <other");

    (void)state;
    assert_true(acl_user_password_right(user, "secret", 6));
    assert_false(acl_user_password_right(user, "other", 5));
    assert_false(acl_user_password_right(user, "", 0));
    acl_user_release(user);
    assert_text(">secret", "user u off #2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b resetchannels "
                           "-@all");
    assert_null(user_with("#2bb8"));
    assert_null(user_with("<never"));
    user = user_with("nopass");
    assert_true(acl_user_password_right(user, "anything", 8));
    acl_user_release(user);
}

static void a_clone_means_the_same_and_lives_on_its_own(void **state) {
    struct acl_user *user = user_with("on >pw ~a* %R~b* &c +@read -get +select|1 (+set ~z*)"), *clone;
    size_t index;

    (void)state;
    clone = acl_user_clone(user);
    assert_non_null(clone);
    assert_null(acl_user_apply(user, "reset", 5));
    acl_user_release(user);
    assert_int_equal(verdict(clone, "strlen a1", &index), ACL_ALLOWED);
    assert_int_equal(verdict(clone, "set z v", &index), ACL_ALLOWED);
    assert_int_equal(verdict(clone, "get a1", &index), ACL_DENIED_COMMAND);
    assert_int_equal(verdict(clone, "select 1", &index), ACL_ALLOWED);
    assert_true(acl_user_password_right(clone, "pw", 2));
    acl_user_release(clone);
}

/* ---- The list ---- */

static void open_list(struct acl *acl, const char *users, const char *password) {
    static struct config config;
    char error[256];

    config_defaults(&config);
    snprintf(config.users, sizeof config.users, "%s", users);
    snprintf(config.requirepass, sizeof config.requirepass, "%s", password);
    assert_true(acl_open(acl, &config, error, sizeof error));
}

static struct resp_arg word(const char *text) { return (struct resp_arg){text, strlen(text)}; }

static void changes_make_new_versions_and_deleted_users_do_not_come_back(void **state) {
    struct acl acl;
    char error[256];
    const struct resp_arg name = word("u"), rules[] = {word("on"), word(">pw"), word("+get")};

    (void)state;
    open_list(&acl, "", "");
    uint64_t before = acl.generation;
    assert_true(acl_set(&acl, &name, rules, 3, error, sizeof error));
    assert_int_not_equal(acl.generation, before);
    struct acl_user *first = acl_find(&acl, "u", 1), *current;
    assert_true(acl_set(&acl, &name, rules, 1, error, sizeof error));
    current = acl_current(&acl, first);
    assert_non_null(current);
    assert_ptr_not_equal(current, first);
    acl_user_release(current);
    assert_true(acl_delete(&acl, &name));
    assert_null(acl_current(&acl, first));
    assert_true(acl_set(&acl, &name, rules, 3, error, sizeof error));
    assert_null(acl_current(&acl, first)); /* the same name, another user */
    acl_user_release(first);
    acl_close(&acl);
}

static void a_refused_rule_changes_nothing(void **state) {
    struct acl acl;
    char error[256];
    const struct resp_arg name = word("u"), rules[] = {word("on"), word("+nosuch")};

    (void)state;
    open_list(&acl, "", "");
    assert_false(acl_set(&acl, &name, rules, 2, error, sizeof error));
    assert_string_equal(error, "ERR Error in ACL SETUSER modifier '+nosuch': Unknown command or category name in ACL");
    assert_null(acl_find(&acl, "u", 1));
    acl_close(&acl);
}

static void users_of_the_configuration_and_requirepass(void **state) {
    const struct resp_arg alice = word("alice"), general = word("default"), right = word("pw"), secret = word("secret");
    struct acl acl;
    struct acl_user *user;

    (void)state;
    open_list(&acl, "alice on >pw +get\nbob off >pw\n", "secret");
    user = acl_authenticate(&acl, &alice, &right);
    assert_non_null(user);
    acl_user_release(user);
    assert_null(acl_authenticate(&acl, &alice, &secret));
    user = acl_authenticate(&acl, &general, &secret);
    assert_non_null(user);
    assert_true(acl_password_needed(user));
    acl_user_release(user);
    const struct resp_arg bob = word("bob");
    assert_null(acl_authenticate(&acl, &bob, &right));
    acl_close(&acl);
}

/* ---- The log ---- */

static void add(struct acl_log *log, const char *object, int64_t wall_ms) {
    struct acl_log_entry entry = {.reason = ACL_DENIED_KEY,
                                  .object = (char *)(uintptr_t)object,
                                  .user = (char *)(uintptr_t) "u",
                                  .client = (char *)(uintptr_t) "c",
                                  .wall_ms = wall_ms};

    acl_log_add(log, &entry, 3);
}

static void the_log_counts_what_is_alike_and_is_bounded(void **state) {
    struct acl_log log;

    (void)state;
    acl_log_open(&log);
    add(&log, "a", 0);
    add(&log, "b", 10);
    add(&log, "a", 20);
    assert_int_equal(log.count, 2);
    assert_string_equal(log.first->object, "a");
    assert_int_equal(log.first->count, 2);
    add(&log, "a", 200000); /* long after: another entry */
    assert_int_equal(log.count, 3);
    assert_int_equal(log.first->count, 1);
    for (int i = 0; i < 100; i++) {
        char object[8];
        snprintf(object, sizeof object, "%d", i);
        add(&log, object, 200001);
    }
    assert_int_equal(log.count, 3);
    acl_log_close(&log);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_user_may_do_nothing_but_authenticate),
        cmocka_unit_test(later_rules_for_commands_undo_earlier_ones),
        cmocka_unit_test(subcommands_are_allowed_with_their_command_or_one_by_one),
        cmocka_unit_test(a_first_argument_can_be_all_that_is_allowed),
        cmocka_unit_test(keys_must_match_for_what_is_done_with_them),
        cmocka_unit_test(the_key_that_was_refused_is_named),
        cmocka_unit_test(selectors_allow_all_of_a_command_or_nothing),
        cmocka_unit_test(a_rule_that_would_be_another_one_in_a_file_is_refused),
        cmocka_unit_test(channels_match_and_patterns_must_be_the_same),
        cmocka_unit_test(only_who_may_do_everything_is_unrestricted),
        cmocka_unit_test(passwords_are_kept_as_hashes),
        cmocka_unit_test(a_clone_means_the_same_and_lives_on_its_own),
        cmocka_unit_test(changes_make_new_versions_and_deleted_users_do_not_come_back),
        cmocka_unit_test(a_refused_rule_changes_nothing),
        cmocka_unit_test(users_of_the_configuration_and_requirepass),
        cmocka_unit_test(the_log_counts_what_is_alike_and_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
