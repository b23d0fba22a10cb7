/* acl.c: the list of ACL users; see acl.h. Any thread. */
#include "acl.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char default_name[] = "default";
#define DEFAULT_LENGTH (sizeof default_name - 1)

/* ---- The list, under the lock ---- */

static int name_compare(const struct acl_user *user, const char *name, size_t length) {
    size_t own = strlen(user->name);
    int order = memcmp(user->name, name, own < length ? own : length);

    return order != 0 ? order : (own > length) - (own < length);
}

/* Where the user of that name is, or would be. */
static size_t place(const struct acl *acl, const char *name, size_t length, bool *found) {
    size_t low = 0, high = acl->count;

    *found = false;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = name_compare(acl->users[middle], name, length);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct acl_user *acl_get(const struct acl *acl, const char *name, size_t length) {
    bool found;
    size_t at = place(acl, name, length, &found);

    return found ? acl->users[at] : NULL;
}

bool acl_put(struct acl *acl, struct acl_user *user) {
    bool found;
    size_t at = place(acl, user->name, strlen(user->name), &found);

    if (found) {
        user->id = acl->users[at]->id;
        acl_user_release(acl->users[at]);
        acl->users[at] = user;
        return true;
    }
    struct acl_user **users = realloc(acl->users, (acl->count + 1) * sizeof *users);

    if (users == NULL) {
        return false;
    }
    acl->users = users;
    memmove(&users[at + 1], &users[at], (acl->count - at) * sizeof *users);
    user->id = ++acl->next_id;
    users[at] = user;
    acl->count++;
    return true;
}

static void changed(struct acl *acl) { atomic_fetch_add_explicit(&acl->generation, 1, memory_order_release); }

struct acl_user *acl_default_create(void) {
    static const char *const rules[] = {"on", "nopass", "+@all", "~*", "&*"};
    struct acl_user *user = acl_user_create(default_name, DEFAULT_LENGTH);

    for (size_t i = 0; user != NULL && i < sizeof rules / sizeof rules[0]; i++) {
        if (acl_user_apply(user, rules[i], strlen(rules[i])) != NULL) {
            acl_user_release(user);
            return NULL;
        }
    }
    return user;
}

/* ---- Opening ---- */

static bool open_users(struct acl *acl, const struct config *config, char *error, size_t error_bytes) {
    struct acl_user *user = acl_default_create();

    if (user == NULL || !acl_put(acl, user)) {
        acl_user_release(user);
        snprintf(error, error_bytes, "out of memory");
        return false;
    }
    if (config->users[0] != '\0' && acl->file[0] != '\0') {
        snprintf(error, error_bytes, "[gateway] user and aclfile cannot both be given");
        return false;
    }
    if (!acl_read_lines(acl, config->users, "[gateway] user", error, error_bytes)) {
        return false;
    }
    if (config->requirepass[0] != '\0' && !acl_set_requirepass(acl, config->requirepass)) {
        snprintf(error, error_bytes, "out of memory");
        return false;
    }
    return acl->file[0] == '\0' || acl_load(acl, error, error_bytes);
}

bool acl_open(struct acl *acl, const struct config *config, char *error, size_t error_bytes) {
    *acl = (struct acl){.generation = 1};
    pthread_mutex_init(&acl->lock, NULL);
    snprintf(acl->file, sizeof acl->file, "%s", config->aclfile);
    if (!open_users(acl, config, error, error_bytes)) {
        acl_close(acl);
        return false;
    }
    return true;
}

void acl_close(struct acl *acl) {
    for (size_t i = 0; i < acl->count; i++) {
        acl_user_release(acl->users[i]);
    }
    free(acl->users);
    acl->users = NULL;
    acl->count = 0;
    pthread_mutex_destroy(&acl->lock);
}

/* ---- Looking up ---- */

struct acl_user *acl_find(struct acl *acl, const char *name, size_t length) {
    pthread_mutex_lock(&acl->lock);
    struct acl_user *user = acl_get(acl, name, length);

    if (user != NULL) {
        acl_user_hold(user);
    }
    pthread_mutex_unlock(&acl->lock);
    return user;
}

struct acl_user *acl_current(struct acl *acl, const struct acl_user *user) {
    struct acl_user *current = acl_find(acl, user->name, strlen(user->name));

    if (current != NULL && current->id != user->id) {
        acl_user_release(current);
        return NULL;
    }
    return current;
}

bool acl_all(struct acl *acl, struct acl_user ***users, size_t *count) {
    pthread_mutex_lock(&acl->lock);
    *count = acl->count;
    *users = malloc(acl->count * sizeof **users);
    for (size_t i = 0; *users != NULL && i < acl->count; i++) {
        (*users)[i] = acl_user_hold(acl->users[i]);
    }
    pthread_mutex_unlock(&acl->lock);
    return *users != NULL;
}

void acl_all_release(struct acl_user **users, size_t count) {
    for (size_t i = 0; i < count; i++) {
        acl_user_release(users[i]);
    }
    free(users);
}

struct acl_user *acl_authenticate(struct acl *acl, const struct resp_arg *name, const struct resp_arg *password) {
    struct acl_user *user = acl_find(acl, name->bytes, name->length);

    if (user == NULL) {
        return NULL;
    }
    if (user->enabled && acl_user_password_right(user, password->bytes, password->length)) {
        return user;
    }
    acl_user_release(user);
    return NULL;
}

bool acl_password_needed(const struct acl_user *default_user) {
    return !default_user->nopass || !default_user->enabled;
}

/* ---- Changing ---- */

static bool name_allowed(const struct resp_arg *name) {
    for (size_t i = 0; i < name->length; i++) {
        if (isspace((unsigned char)name->bytes[i]) || name->bytes[i] == '\0') {
            return false;
        }
    }
    return name->length <= ACL_NAME_BYTES_MAX;
}

/* The error of rules as Redis words it. */
static void rules_error(const char *culprit, const char *reason, char *error, size_t error_bytes) {
    if (reason[0] == '\0') {
        snprintf(error, error_bytes, "ERR Unmatched parenthesis in acl selector starting at '%s'.", culprit);
    } else {
        snprintf(error, error_bytes, "ERR Error in ACL SETUSER modifier '%s': %s", culprit, reason);
    }
}

bool acl_set(struct acl *acl, const struct resp_arg *name, const struct resp_arg *rules, size_t count, char *error,
             size_t error_bytes) {
    char culprit[256] = "";
    const char *reason = NULL;

    if (!name_allowed(name)) {
        snprintf(error, error_bytes, "ERR Usernames can't contain spaces or null characters");
        return false;
    }
    pthread_mutex_lock(&acl->lock);
    struct acl_user *before = acl_get(acl, name->bytes, name->length);
    struct acl_user *user = before != NULL ? acl_user_clone(before) : acl_user_create(name->bytes, name->length);
    bool full = before == NULL && acl->count >= ACL_USERS_MAX;

    if (user != NULL) {
        reason = acl_user_apply_all(user, rules, count, culprit, sizeof culprit);
    }
    bool set = user != NULL && !full && reason == NULL && acl_put(acl, user);

    if (set) {
        changed(acl);
    } else {
        acl_user_release(user);
    }
    pthread_mutex_unlock(&acl->lock);
    if (!set && reason != NULL) {
        rules_error(culprit, reason, error, error_bytes);
    } else if (!set) {
        snprintf(error, error_bytes, full ? "ERR too many ACL users" : "ERR out of memory");
    }
    return set;
}

bool acl_delete(struct acl *acl, const struct resp_arg *name) {
    bool found;

    pthread_mutex_lock(&acl->lock);
    size_t at = place(acl, name->bytes, name->length, &found);

    if (found) {
        acl_user_release(acl->users[at]);
        acl->count--;
        memmove(&acl->users[at], &acl->users[at + 1], (acl->count - at) * sizeof *acl->users);
        changed(acl);
    }
    pthread_mutex_unlock(&acl->lock);
    return found;
}

bool acl_set_requirepass(struct acl *acl, const char *password) {
    bool set = false;

    pthread_mutex_lock(&acl->lock);
    struct acl_user *user = acl_user_clone(acl_get(acl, default_name, DEFAULT_LENGTH));

    if (user != NULL) {
        char rule[sizeof((struct config *)NULL)->requirepass + 1];
        int length = snprintf(rule, sizeof rule, "%s%s", password[0] != '\0' ? ">" : "nopass", password);
        set = acl_user_apply(user, "resetpass", 9) == NULL && acl_user_apply(user, rule, (size_t)length) == NULL &&
              acl_put(acl, user);
        if (!set) {
            acl_user_release(user);
        } else {
            changed(acl);
        }
    }
    pthread_mutex_unlock(&acl->lock);
    return set;
}
