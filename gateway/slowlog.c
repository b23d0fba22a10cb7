/* slowlog.c: see slowlog.h. Any thread. */
#include "slowlog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS_PER_S 1000

void slowlog_open(struct slowlog *log) {
    *log = (struct slowlog){0};
    pthread_mutex_init(&log->lock, NULL);
}

static void entry_free(struct slowlog_entry *entry) {
    for (uint32_t i = 0; i < entry->argc; i++) {
        free((void *)(uintptr_t)entry->argv[i].bytes);
    }
    free(entry->peer);
    free(entry->name);
    free(entry);
}

static void trim(struct slowlog *log, uint64_t entries_max) {
    struct slowlog_entry **link = &log->first;

    for (uint64_t i = 0; i < entries_max && *link != NULL; i++) {
        link = &(*link)->next;
    }
    while (*link != NULL) {
        struct slowlog_entry *entry = *link;
        *link = entry->next;
        entry_free(entry);
        log->count--;
    }
}

void slowlog_reset(struct slowlog *log) {
    pthread_mutex_lock(&log->lock);
    trim(log, 0);
    pthread_mutex_unlock(&log->lock);
}

void slowlog_close(struct slowlog *log) {
    slowlog_reset(log);
    pthread_mutex_destroy(&log->lock);
}

/* An argument, or as much of it as is kept, as Redis words the rest. */
static bool argument_copy(struct resp_arg *to, const struct resp_arg *from) {
    char rest[48] = "";
    size_t kept = from->length;

    if (kept > SLOWLOG_ARG_BYTES_MAX) {
        kept = SLOWLOG_ARG_BYTES_MAX;
        snprintf(rest, sizeof rest, "... (%zu more bytes)", from->length - kept);
    }
    char *bytes = malloc(kept + strlen(rest) + 1);

    if (bytes == NULL) {
        return false;
    }
    memcpy(bytes, from->bytes, kept);
    strcpy(bytes + kept, rest);
    *to = (struct resp_arg){bytes, kept + strlen(rest)};
    return true;
}

static bool arguments_copy(struct slowlog_entry *entry, const struct call *call) {
    size_t shown = call->argc > SLOWLOG_ARGS_MAX ? SLOWLOG_ARGS_MAX - 1 : call->argc;
    size_t secret = command_secret_from(call);
    const struct resp_arg redacted = {"(redacted)", 10};
    char rest[48];

    for (size_t i = 0; i < shown; i++) {
        if (!argument_copy(&entry->argv[entry->argc], i < secret ? &call->argv[i] : &redacted)) {
            return false;
        }
        entry->argc++;
    }
    if (shown < call->argc) {
        int length = snprintf(rest, sizeof rest, "... (%zu more arguments)", call->argc - shown);
        const struct resp_arg argument = {rest, (size_t)length};
        if (!argument_copy(&entry->argv[entry->argc], &argument)) {
            return false;
        }
        entry->argc++;
    }
    return true;
}

void slowlog_add(struct slowlog *log, const struct call *call, uint64_t duration_us, uint32_t entries_max) {
    struct slowlog_entry *entry = entries_max == 0 ? NULL : calloc(1, sizeof *entry);

    if (entry == NULL) {
        return;
    }
    entry->wall_s = call->server->env->wall_ms(call->server->env->context) / MS_PER_S;
    entry->duration_us = duration_us;
    entry->peer = strdup(call->connection->peer);
    entry->name = strdup(call->connection->name != NULL ? call->connection->name : "");
    if (entry->peer == NULL || entry->name == NULL || !arguments_copy(entry, call)) {
        entry_free(entry);
        return;
    }
    pthread_mutex_lock(&log->lock);
    entry->id = log->next_id++;
    entry->next = log->first;
    log->first = entry;
    log->count++;
    trim(log, entries_max);
    pthread_mutex_unlock(&log->lock);
}
