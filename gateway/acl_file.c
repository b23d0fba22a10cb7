/* acl_file.c: ACL users in files and in the configuration: lines "user <name> <rule> ..."; see acl.h.
 *
 * Files are read whole before anything changes, and written beside and renamed, so that neither a wrong line nor a
 * full disk leaves half a list.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "acl.h"

#define ERROR_LINES_BYTES 512

/* ---- Reading ---- */

/* Splits a line at blanks; NULL: out of memory. Points into the line. */
static struct resp_arg *line_split(const char *line, size_t length, size_t *count) {
    struct resp_arg *words = malloc((length / 2 + 1) * sizeof *words);

    *count = 0;
    for (size_t at = 0; words != NULL && at < length;) {
        size_t blank = strspn(line + at, " \t\r"), word;

        at += blank;
        if (at >= length) {
            break;
        }
        word = strcspn(line + at, " \t\r\n");
        words[(*count)++] = (struct resp_arg){line + at, word};
        at += word;
    }
    return words;
}

/* One line without "user"; error is the reason. */
static bool line_apply(struct acl *acl, const struct resp_arg *words, size_t count, char *error, size_t error_bytes) {
    char culprit[128] = "";
    bool is_default = words[0].length == 7 && memcmp(words[0].bytes, "default", 7) == 0;
    struct acl_user *before = acl_get(acl, words[0].bytes, words[0].length);

    if (before != NULL && !is_default) {
        snprintf(error, error_bytes, "user '%s' is there twice", before->name);
        return false;
    }
    /* The default user begins like any other: only what its line says. */
    struct acl_user *user = acl_user_create(words[0].bytes, words[0].length);
    const char *reason =
        user == NULL ? "out of memory" : acl_user_apply_all(user, words + 1, count - 1, culprit, sizeof culprit);

    if (reason == NULL && acl_put(acl, user)) {
        return true;
    }
    acl_user_release(user);
    snprintf(error, error_bytes, "'%s': %s", culprit,
             reason == NULL || reason[0] == '\0' ? "unmatched parenthesis" : reason);
    return false;
}

bool acl_read_lines(struct acl *acl, const char *text, const char *source, char *error, size_t error_bytes) {
    int number = 0;
    bool is_file = source[0] != '[', read = true;

    for (const char *line = text; read && *line != '\0';) {
        char reason[ERROR_LINES_BYTES] = "out of memory";
        size_t length = strcspn(line, "\n"), count;
        struct resp_arg *words = line_split(line, length, &count);
        size_t first = is_file ? 1 : 0;

        number++;
        read = words != NULL;
        if (read && count > 0 && words[0].bytes[0] != '#') {
            read = count > first;
            if (!read || (is_file && (words[0].length != 4 || memcmp(words[0].bytes, "user", 4) != 0))) {
                snprintf(reason, sizeof reason, "must be: user <name> <rules>");
                read = false;
            } else {
                read = line_apply(acl, words + first, count - first, reason, sizeof reason);
            }
        }
        free(words);
        if (!read) {
            snprintf(error, error_bytes, "%s:%d: %s", source, number, reason);
        }
        line += length + (line[length] == '\n');
    }
    return read;
}

/* The whole file as a text; NULL: error says why. */
static char *file_read(const char *path, char *error, size_t error_bytes) {
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t capacity = 0;

    errno = 0;
    if (file == NULL || getdelim(&text, &capacity, '\0', file) < 0) {
        if (file == NULL || ferror(file)) {
            snprintf(error, error_bytes, "%s: cannot be read: %s", path, strerror(errno));
            free(text);
            text = NULL;
        } else {
            free(text);
            text = strdup(""); /* empty */
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return text;
}

static void swap(struct acl *acl, struct acl *other) {
    struct acl_user **users = acl->users;
    size_t count = acl->count;

    acl->users = other->users;
    acl->count = other->count;
    acl->next_id = other->next_id;
    other->users = users;
    other->count = count;
}

bool acl_load(struct acl *acl, char *error, size_t error_bytes) {
    char *text = file_read(acl->file, error, error_bytes);
    struct acl_user *user = acl_default_create();
    struct acl fresh = {0};

    pthread_mutex_lock(&acl->lock);
    fresh.next_id = acl->next_id;
    bool loaded = text != NULL && user != NULL && acl_put(&fresh, user);

    if (!loaded) {
        acl_user_release(user);
    }
    loaded = loaded && acl_read_lines(&fresh, text, acl->file, error, error_bytes);
    if (loaded) { /* who is in both lists stays who it is: its connections go on with the new rules */
        for (size_t i = 0; i < fresh.count; i++) {
            const struct acl_user *before = acl_get(acl, fresh.users[i]->name, strlen(fresh.users[i]->name));
            fresh.users[i]->id = before != NULL ? before->id : fresh.users[i]->id;
        }
        swap(acl, &fresh);
        atomic_fetch_add_explicit(&acl->generation, 1, memory_order_release);
    }
    pthread_mutex_unlock(&acl->lock);
    acl_all_release(fresh.users, fresh.count);
    free(text);
    return loaded;
}

/* ---- Writing ---- */

bool acl_save(struct acl *acl, char *error, size_t error_bytes) {
    char path[sizeof acl->file + 32];
    struct acl_user **users;
    size_t count;

    snprintf(path, sizeof path, "%s.tmp-%ld", acl->file, (long)getpid());
    FILE *file = fopen(path, "we");
    bool listed = file != NULL && acl_all(acl, &users, &count);

    for (size_t i = 0; listed && i < count; i++) {
        acl_user_print(file, users[i]);
        fputc('\n', file);
    }
    bool written = listed && fflush(file) == 0 && fsync(fileno(file)) == 0;

    if (listed) {
        acl_all_release(users, count);
    }
    if (file != NULL) {
        written = fclose(file) == 0 && written;
    }
    if (written && rename(path, acl->file) == 0) {
        return true;
    }
    snprintf(error, error_bytes, "%s: cannot be written: %s", acl->file, strerror(errno));
    unlink(path);
    return false;
}
