/* acl_log.h: what was refused to whom: the entries of ACL LOG. Any thread; a lock inside. */
#ifndef ACL_LOG_H
#define ACL_LOG_H

#include <pthread.h>

#include "acl_user.h"

struct acl_log_entry {
    struct acl_log_entry *next; /* the one before it in time */
    uint64_t count;
    enum acl_verdict reason;
    bool in_transaction;
    char *object, *user, *client; /* what, to whom, and the line of CLIENT INFO */
    int64_t wall_ms;              /* of the last time */
};

struct acl_log {
    pthread_mutex_t lock;
    struct acl_log_entry *first;
    uint32_t count;
};

void acl_log_open(struct acl_log *log);
void acl_log_close(struct acl_log *log);

/* Notes a refusal; the texts are copied. One that is like a recent one is counted there. Beyond `entries_max` the
 * oldest ones go. */
void acl_log_add(struct acl_log *log, const struct acl_log_entry *entry, uint32_t entries_max);
void acl_log_reset(struct acl_log *log);

#endif
