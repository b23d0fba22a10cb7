/* acl.h: the gateway's ACL users: who there is, changes, the file, authentication. Any thread; a lock inside.
 *
 * A user that was handed out never changes; changes make another version of it. Whoever holds on to one (a
 * connection) compares `generation` now and then, and asks for the current version when it has moved.
 */
#ifndef ACL_H
#define ACL_H

#include <pthread.h>

#include "acl_user.h"
#include "config.h"

#define ACL_USERS_MAX 100000u
#define ACL_NAME_BYTES_MAX 1024u

struct acl {
    _Atomic uint64_t generation; /* counts changes */
    pthread_mutex_t lock;        /* of what follows */
    struct acl_user **users;     /* by name; "default" is always among them */
    size_t count;
    uint64_t next_id;
    char file[1024]; /* empty: none */
};

/* Users of the configuration or of its aclfile, and requirepass. False: error says what is wrong. Main thread. */
bool acl_open(struct acl *acl, const struct config *config, char *error, size_t error_bytes);
void acl_close(struct acl *acl);

/* A reference to the user of that name, NULL when there is none. */
struct acl_user *acl_find(struct acl *acl, const char *name, size_t length);
/* A reference to the current version of a user, NULL when it has been deleted since. */
struct acl_user *acl_current(struct acl *acl, const struct acl_user *user);
/* References to all users, by name; *users is malloc'ed. False: out of memory. */
bool acl_all(struct acl *acl, struct acl_user ***users, size_t *count);
void acl_all_release(struct acl_user **users, size_t count);

/* A reference to the user, if it is enabled and the password right; else NULL. */
struct acl_user *acl_authenticate(struct acl *acl, const struct resp_arg *name, const struct resp_arg *password);
/* Must a client that has not authenticated do so first? Then the default user is off, or has a password. */
bool acl_password_needed(const struct acl_user *default_user);

/* Creates or changes a user. False: `error` is the text of the reply, and nothing has changed. */
bool acl_set(struct acl *acl, const struct resp_arg *name, const struct resp_arg *rules, size_t count, char *error,
             size_t error_bytes);
/* Deletes a user that is not "default"; false: there is none. */
bool acl_delete(struct acl *acl, const struct resp_arg *name);
/* The default user's only password; empty: none is needed. False: out of memory. */
bool acl_set_requirepass(struct acl *acl, const char *password);

/* ---- acl_file.c ---- */

/* Replaces all users by those of the file. False: error says which lines are wrong, and nothing has changed. */
bool acl_load(struct acl *acl, char *error, size_t error_bytes);
bool acl_save(struct acl *acl, char *error, size_t error_bytes);
/* Adds the users of some lines ("user" may be left out when `bare`) to a list under construction. */
bool acl_read_lines(struct acl *acl, const char *text, const char *source, char *error, size_t error_bytes);

/* Under acl->lock or before it is shared: adds or replaces a user, which becomes the list's. False: out of memory. */
bool acl_put(struct acl *acl, struct acl_user *user);
struct acl_user *acl_get(const struct acl *acl, const char *name, size_t length);
/* The user that must be there: everything allowed, no password. */
struct acl_user *acl_default_create(void);

#endif
