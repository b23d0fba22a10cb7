/* acl_log.c: see acl_log.h. Any thread. */
#include "acl_log.h"

#include <stdlib.h>
#include <string.h>

#define RECENT_ENTRIES 10      /* looked through for one that is alike */
#define RECENT_MS (60 * 1000)  /* older ones are not added to */
#define OBJECT_BYTES_MAX 1024u /* longer names of keys and channels are cut */

void acl_log_open(struct acl_log *log) {
    *log = (struct acl_log){0};
    pthread_mutex_init(&log->lock, NULL);
}

static void entry_free(struct acl_log_entry *entry) {
    free(entry->object);
    free(entry->user);
    free(entry->client);
    free(entry);
}

static void trim(struct acl_log *log, uint32_t entries_max) {
    struct acl_log_entry **link = &log->first;

    if (log->count <= entries_max) {
        return;
    }
    for (uint32_t i = 0; i < entries_max && *link != NULL; i++) {
        link = &(*link)->next;
    }
    while (*link != NULL) {
        struct acl_log_entry *entry = *link;
        *link = entry->next;
        entry_free(entry);
        log->count--;
    }
}

void acl_log_reset(struct acl_log *log) {
    pthread_mutex_lock(&log->lock);
    trim(log, 0);
    pthread_mutex_unlock(&log->lock);
}

void acl_log_close(struct acl_log *log) {
    acl_log_reset(log);
    pthread_mutex_destroy(&log->lock);
}

static bool alike(const struct acl_log_entry *a, const struct acl_log_entry *b) {
    return a->reason == b->reason && a->in_transaction == b->in_transaction && b->wall_ms - a->wall_ms <= RECENT_MS &&
           strcmp(a->user, b->user) == 0 && strcmp(a->object, b->object) == 0;
}

/* A recent entry that is alike, taken out of the list; NULL: there is none. */
static struct acl_log_entry *take_alike(struct acl_log *log, const struct acl_log_entry *entry) {
    struct acl_log_entry **link = &log->first;

    for (int i = 0; i < RECENT_ENTRIES && *link != NULL; i++, link = &(*link)->next) {
        struct acl_log_entry *found = *link;
        if (alike(found, entry)) {
            *link = found->next;
            log->count--;
            return found;
        }
    }
    return NULL;
}

static struct acl_log_entry *entry_copy(const struct acl_log_entry *entry) {
    struct acl_log_entry *copy = malloc(sizeof *copy);

    if (copy == NULL) {
        return NULL;
    }
    *copy = *entry;
    copy->count = 0;
    copy->object = strndup(entry->object, OBJECT_BYTES_MAX);
    copy->user = strndup(entry->user, OBJECT_BYTES_MAX);
    copy->client = strdup(entry->client);
    if (copy->object == NULL || copy->user == NULL || copy->client == NULL) {
        entry_free(copy);
        return NULL;
    }
    return copy;
}

void acl_log_add(struct acl_log *log, const struct acl_log_entry *entry, uint32_t entries_max) {
    pthread_mutex_lock(&log->lock);
    struct acl_log_entry *noted = take_alike(log, entry);
    char *client = noted != NULL ? strdup(entry->client) : NULL;

    if (noted == NULL) {
        noted = entry_copy(entry);
    } else if (client != NULL) {
        free(noted->client);
        noted->client = client;
    }
    if (noted != NULL) {
        noted->count++;
        noted->wall_ms = entry->wall_ms;
        noted->next = log->first;
        log->first = noted;
        log->count++;
        trim(log, entries_max);
    }
    pthread_mutex_unlock(&log->lock);
}
