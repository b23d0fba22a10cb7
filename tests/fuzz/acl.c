/* acl.c: fuzzes ACL rules (gateway/acl_rule.c, acl_text.c, acl_check.c, acl_file.c): as arguments of ACL SETUSER and as
 * lines of a file. Rules that are accepted must, written as ACL LIST and ACL SAVE do, be accepted again, give the same
 * text, and allow the same commands, keys and channels.
 *
 * Input: rules, separated by newlines, as they would stand behind ACL SETUSER name.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "acl.h"
#include "fuzz.h"

#define RULES_MAX 64
#define KEYS 6

static size_t rules_split(const uint8_t *bytes, size_t length, struct resp_arg rules[RULES_MAX]) {
    size_t count = 0;

    for (size_t at = 0; at < length && count < RULES_MAX;) {
        const uint8_t *newline = memchr(bytes + at, '\n', length - at);
        size_t end = newline == NULL ? length : (size_t)(newline - bytes);
        rules[count++] = (struct resp_arg){(const char *)bytes + at, end - at};
        at = end + 1;
    }
    return count;
}

static char *user_text(const struct acl_user *user) {
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);

    acl_user_print(out, user);
    fputc('\n', out);
    fclose(out);
    if (strlen(text) != length) {
        fuzz_fault("the text of a user holds a zero byte");
    }
    return text;
}

/* The user of the text, read as from a file; NULL: it is refused. */
static struct acl_user *user_read(const char *text, char *error, size_t error_bytes) {
    struct acl acl = {.lock = PTHREAD_MUTEX_INITIALIZER};
    int file = memfd_create("acl", MFD_CLOEXEC);
    struct acl_user *user = NULL;

    if (file < 0 || write(file, text, strlen(text)) != (ssize_t)strlen(text)) {
        fuzz_fault("the text cannot be written");
    }
    snprintf(acl.file, sizeof acl.file, "/proc/self/fd/%d", file);
    if (acl_load(&acl, error, error_bytes)) {
        user = acl_find(&acl, "fuzz", 4);
    }
    acl_all_release(acl.users, acl.count);
    pthread_mutex_destroy(&acl.lock);
    close(file);
    return user;
}

static enum acl_verdict check(const struct acl_user *user, const struct command *command, const char *name,
                              size_t *index) {
    struct resp_arg argv[KEYS];
    size_t count = 0;

    argv[count++] = (struct resp_arg){command->name, strlen(command->name)};
    while (count < KEYS) {
        argv[count++] = (struct resp_arg){name, strlen(name)};
    }
    return acl_user_check(user, command, argv, count, index);
}

static void compare(const struct acl_user *first, const struct acl_user *second) {
    static const char *const names[] = {"", "a", "app:1", "select", "0", "x\\*y"};
    const struct command *const *rows;
    size_t count = command_table_rows(&rows);

    for (size_t i = 0; i < count; i++) {
        const char *name = names[i % (sizeof names / sizeof *names)];
        size_t index[2] = {0, 0};
        if (check(first, rows[i], name, &index[0]) != check(second, rows[i], name, &index[1]) || index[0] != index[1]) {
            fuzz_fault("%s %s is judged another way by what was read again", rows[i]->name, name);
        }
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (acl_user_channel_allowed(first, names[i], strlen(names[i]), i % 2 == 0) !=
            acl_user_channel_allowed(second, names[i], strlen(names[i]), i % 2 == 0)) {
            fuzz_fault("channel %s is judged another way by what was read again", names[i]);
        }
    }
}

/* Lines as somebody may have put them into a file: all that matters is that they are judged at all. */
static void try_as_file(const uint8_t *bytes, size_t length) {
    char error[512], *text = strndup((const char *)bytes, length);

    acl_user_release(user_read(text, error, sizeof error));
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    struct acl_user *user = acl_user_create("fuzz", 4);
    struct resp_arg rules[RULES_MAX];
    char culprit[128], error[512];

    try_as_file(bytes, length);
    size_t count = rules_split(bytes, length, rules);
    if (acl_user_apply_all(user, rules, count, culprit, sizeof culprit) == NULL) {
        char *text = user_text(user);
        struct acl_user *again = user_read(text, error, sizeof error);
        if (again == NULL) {
            fuzz_fault("a user's own text is refused: %s: %s", error, text);
        }
        char *text_again = user_text(again);
        if (strcmp(text, text_again) != 0) {
            fuzz_fault("a user's text is another one when it was read: %s%s", text, text_again);
        }
        compare(user, again);
        acl_user_release(again);
        free(text_again);
        free(text);
    }
    acl_user_release(user);
    return 0;
}
