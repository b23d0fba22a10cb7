/* pubsub.c: see pubsub.h. */
#define _GNU_SOURCE
#include "pubsub.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus.h"
#include "glob.h"
#include "log.h"
#include "worker.h"

#define WAIT_NS UINT64_C(100000) /* between looks at a worker that has much to do */

struct subscriptions { /* of a connection */
    struct channel_map maps[PUBSUB_KINDS];
};

struct subscribers { /* of a channel, among the connections of one worker */
    struct connection **items;
    uint32_t count, capacity;
};

/* ---- Opening ---- */

bool pubsub_open(struct pubsub *pubsub, uint32_t worker_count) {
    *pubsub = (struct pubsub){.worker_count = worker_count, .own = calloc(worker_count, sizeof *pubsub->own)};
    pthread_mutex_init(&pubsub->lock, NULL);
    return pubsub->own != NULL;
}

void pubsub_close(struct pubsub *pubsub) {
    for (int kind = 0; kind < PUBSUB_KINDS; kind++) {
        for (uint32_t i = 0; pubsub->own != NULL && i < pubsub->worker_count; i++) {
            channel_map_free(&pubsub->own[i][kind]);
        }
        channel_map_free(&pubsub->all[kind]);
    }
    free(pubsub->own);
    pthread_mutex_destroy(&pubsub->lock);
}

/* ---- Subscribing ---- */

static uint32_t *count_of(struct connection *connection, enum pubsub_kind kind) {
    return kind == PUBSUB_CHANNEL   ? &connection->channels
           : kind == PUBSUB_PATTERN ? &connection->patterns
                                    : &connection->shard_channels;
}

static void count_change(struct connection *connection, enum pubsub_kind kind, uint32_t by) {
    uint32_t *count = count_of(connection, kind);

    __atomic_store_n(count, *count + by, __ATOMIC_RELAXED);
}

/* In the table of all workers: one subscriber of this worker more, or less. False: out of memory. */
static bool all_change(struct connection *connection, enum pubsub_kind kind, const char *name, size_t length,
                       bool more) {
    struct pubsub *pubsub = connection->worker->server->pubsub;
    struct channel_map *map = &pubsub->all[kind];
    bool changed = false;

    pthread_mutex_lock(&pubsub->lock);
    struct channel_entry *entry = more ? channel_map_add(map, name, length) : channel_map_find(map, name, length);

    if (entry != NULL && entry->data == NULL) {
        entry->data = calloc(pubsub->worker_count, sizeof(uint32_t));
    }
    if (entry != NULL && entry->data != NULL) {
        ((uint32_t *)entry->data)[connection->worker->index] += more ? 1 : -1u;
        entry->count += more ? 1 : -1u;
        changed = true;
    }
    if (entry != NULL && entry->count == 0) {
        free(entry->data);
        channel_map_remove(map, entry);
    }
    pthread_mutex_unlock(&pubsub->lock);
    return changed;
}

static void own_remove(struct connection *connection, enum pubsub_kind kind, const char *name, size_t length) {
    struct worker *worker = connection->worker;
    struct channel_map *map = &worker->server->pubsub->own[worker->index][kind];
    struct channel_entry *entry = channel_map_find(map, name, length);
    struct subscribers *subscribers = entry != NULL ? entry->data : NULL;
    uint32_t at = 0;

    while (subscribers != NULL && at < subscribers->count && subscribers->items[at] != connection) {
        at++;
    }
    if (subscribers != NULL && at < subscribers->count) {
        subscribers->items[at] = subscribers->items[--subscribers->count];
    }
    if (entry != NULL && (subscribers == NULL || subscribers->count == 0)) {
        if (subscribers != NULL) {
            free(subscribers->items);
        }
        free(subscribers);
        channel_map_remove(map, entry);
    }
}

static bool own_add(struct connection *connection, enum pubsub_kind kind, const char *name, size_t length) {
    struct worker *worker = connection->worker;
    struct channel_entry *entry = channel_map_add(&worker->server->pubsub->own[worker->index][kind], name, length);

    if (entry == NULL) {
        return false;
    }
    if (entry->data == NULL) {
        entry->data = calloc(1, sizeof(struct subscribers));
    }
    struct subscribers *subscribers = entry->data;

    if (subscribers != NULL && subscribers->count == subscribers->capacity) {
        uint32_t capacity = subscribers->capacity == 0 ? 2 : subscribers->capacity * 2;
        struct connection **items = realloc(subscribers->items, capacity * sizeof(struct connection *));
        if (items != NULL) {
            subscribers->items = items;
            subscribers->capacity = capacity;
        }
    }
    if (subscribers == NULL || subscribers->count == subscribers->capacity) {
        own_remove(connection, kind, name, length);
        return false;
    }
    subscribers->items[subscribers->count++] = connection;
    return true;
}

bool pubsub_subscribe(struct connection *connection, enum pubsub_kind kind, const char *name, size_t length) {
    if (connection->subscriptions == NULL) {
        connection->subscriptions = calloc(1, sizeof *connection->subscriptions);
    }
    if (connection->subscriptions == NULL) {
        return false;
    }
    struct channel_map *mine = &connection->subscriptions->maps[kind];

    if (channel_map_find(mine, name, length) != NULL) {
        return true;
    }
    struct channel_entry *entry = channel_map_add(mine, name, length);

    if (entry != NULL && own_add(connection, kind, name, length)) {
        if (all_change(connection, kind, name, length, true)) {
            count_change(connection, kind, 1);
            return true;
        }
        own_remove(connection, kind, name, length);
    }
    if (entry != NULL) {
        channel_map_remove(mine, entry);
    }
    return false;
}

void pubsub_unsubscribe(struct connection *connection, enum pubsub_kind kind, const char *name, size_t length) {
    struct channel_entry *entry = connection->subscriptions == NULL
                                      ? NULL
                                      : channel_map_find(&connection->subscriptions->maps[kind], name, length);

    if (entry == NULL) {
        return;
    }
    own_remove(connection, kind, name, length);
    all_change(connection, kind, name, length, false);
    count_change(connection, kind, -1u);
    channel_map_remove(&connection->subscriptions->maps[kind], entry); /* `name` may be the entry's own */
}

const struct channel_entry *pubsub_any(const struct connection *connection, enum pubsub_kind kind) {
    return connection->subscriptions == NULL ? NULL : channel_map_any(&connection->subscriptions->maps[kind]);
}

void pubsub_leave(struct connection *connection) {
    for (int kind = 0; kind < PUBSUB_KINDS && connection->subscriptions != NULL; kind++) {
        const struct channel_entry *entry;
        while ((entry = pubsub_any(connection, (enum pubsub_kind)kind)) != NULL) {
            pubsub_unsubscribe(connection, (enum pubsub_kind)kind, entry->name, entry->length);
        }
        channel_map_free(&connection->subscriptions->maps[kind]);
    }
    free(connection->subscriptions);
    connection->subscriptions = NULL;
}

bool pubsub_permitted(const struct connection *connection, const struct acl_user *user) {
    for (int kind = 0; kind < PUBSUB_KINDS && connection->subscriptions != NULL; kind++) {
        const struct channel_map *map = &connection->subscriptions->maps[kind];
        for (const struct channel_entry *e = channel_map_next(map, NULL); e != NULL; e = channel_map_next(map, e)) {
            if (!acl_user_channel_allowed(user, e->name, e->length, kind == PUBSUB_PATTERN)) {
                return false;
            }
        }
    }
    return true;
}

/* ---- Delivery ---- */

/* A message as a subscriber gets it; RESP3 differs in its first byte. */
static char *message_make(const char *word, const struct channel_entry *pattern, const struct resp_arg *channel,
                          const struct resp_arg *message, size_t *length) {
    size_t most = 160 + (pattern != NULL ? pattern->length : 0) + channel->length + message->length;
    char *bytes = malloc(most), *at = bytes;

    if (bytes == NULL) {
        return NULL;
    }
    at += sprintf(at, "*%d\r\n$%zu\r\n%s\r\n", pattern != NULL ? 4 : 3, strlen(word), word);
    if (pattern != NULL) {
        at += sprintf(at, "$%u\r\n", pattern->length);
        at = (char *)mempcpy(at, pattern->name, pattern->length);
        at = (char *)mempcpy(at, "\r\n", 2);
    }
    at += sprintf(at, "$%zu\r\n", channel->length);
    at = (char *)mempcpy(at, channel->bytes, channel->length);
    at += sprintf(at, "\r\n$%zu\r\n", message->length);
    at = (char *)mempcpy(at, message->bytes, message->length);
    at = (char *)mempcpy(at, "\r\n", 2);
    *length = (size_t)(at - bytes);
    return bytes;
}

static void send_to_all(const struct subscribers *subscribers, const struct connection *self, const char *bytes,
                        size_t length) {
    for (uint32_t i = 0; i < subscribers->count; i++) {
        struct connection *connection = subscribers->items[i];
        void (*push)(struct connection *, const void *, size_t) =
            connection == self ? connection_push_first : connection_push;

        push(connection, connection->reply.protocol == 2 ? "*" : ">", 1);
        push(connection, bytes + 1, length - 1);
    }
}

/* To this worker's own subscribers. On its thread. */
static void deliver(struct worker *worker, const struct connection *self, enum pubsub_kind kind,
                    const struct resp_arg *channel, const struct resp_arg *message) {
    struct channel_map *own = worker->server->pubsub->own[worker->index];
    const struct channel_entry *entry = channel_map_find(&own[kind], channel->bytes, channel->length);
    size_t length = 0;

    if (entry != NULL) {
        char *bytes = message_make(kind == PUBSUB_SHARD ? "smessage" : "message", NULL, channel, message, &length);
        if (bytes != NULL) {
            send_to_all(entry->data, self, bytes, length);
        }
        free(bytes);
    }
    if (kind == PUBSUB_SHARD) {
        return;
    }
    for (const struct channel_entry *p = channel_map_next(&own[PUBSUB_PATTERN], NULL); p != NULL;
         p = channel_map_next(&own[PUBSUB_PATTERN], p)) {
        if (glob_match_case(p->name, p->length, channel->bytes, channel->length)) {
            char *bytes = message_make("pmessage", p, channel, message, &length);
            if (bytes != NULL) {
                send_to_all(p->data, self, bytes, length);
            }
            free(bytes);
        }
    }
}

struct deliver_task {
    struct worker_task task;
    enum pubsub_kind kind;
    size_t channel_length, message_length;
    char bytes[]; /* the channel, then the message */
};

static void deliver_run(struct worker *worker, struct worker_task *task) {
    struct deliver_task *delivery = (struct deliver_task *)task;
    const struct resp_arg channel = {delivery->bytes, delivery->channel_length};
    const struct resp_arg message = {delivery->bytes + delivery->channel_length, delivery->message_length};

    deliver(worker, NULL, delivery->kind, &channel, &message);
    free(delivery);
}

static void deliver_post(struct worker *to, enum pubsub_kind kind, const struct resp_arg *channel,
                         const struct resp_arg *message) {
    size_t bytes = sizeof(struct deliver_task) + channel->length + message->length;
    struct deliver_task *delivery = malloc(bytes);

    if (delivery == NULL) {
        log_write(DM_LOG_WARNING, "no memory for a published message: subscribers miss it");
        return;
    }
    delivery->task = (struct worker_task){.run = deliver_run, .bytes = bytes};
    delivery->kind = kind;
    delivery->channel_length = channel->length;
    delivery->message_length = message->length;
    memcpy(delivery->bytes, channel->bytes, channel->length);
    memcpy(delivery->bytes + channel->length, message->bytes, message->length);
    worker_post(to, &delivery->task);
}

/* Which workers have subscribers: bits of *workers. Returns how many subscribers there are. */
static uint64_t find_subscribers(struct pubsub *pubsub, enum pubsub_kind kind, const struct resp_arg *channel,
                                 uint64_t *workers) {
    const struct channel_map *patterns = &pubsub->all[PUBSUB_PATTERN];
    uint64_t receivers = 0;

    *workers = 0;
    pthread_mutex_lock(&pubsub->lock);
    const struct channel_entry *entry = channel_map_find(&pubsub->all[kind], channel->bytes, channel->length);
    const struct channel_entry *pattern = kind == PUBSUB_SHARD ? NULL : channel_map_next(patterns, NULL);

    while (entry != NULL || pattern != NULL) {
        const struct channel_entry *found = entry != NULL ? entry : pattern;
        if (found == entry || glob_match_case(found->name, found->length, channel->bytes, channel->length)) {
            receivers += found->count;
            for (uint32_t i = 0; i < pubsub->worker_count; i++) {
                *workers |= ((const uint32_t *)found->data)[i] > 0 ? UINT64_C(1) << i : 0;
            }
        }
        pattern = entry != NULL ? pattern : channel_map_next(patterns, pattern);
        entry = NULL;
    }
    pthread_mutex_unlock(&pubsub->lock);
    return receivers;
}

uint64_t pubsub_publish(struct server *server, struct worker *worker, struct connection *self, enum pubsub_kind kind,
                        const struct resp_arg *channel, const struct resp_arg *message) {
    struct pubsub *pubsub = server->pubsub;
    uint64_t workers, receivers = find_subscribers(pubsub, kind, channel, &workers);

    atomic_fetch_add_explicit(&pubsub->published, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&pubsub->delivered, receivers, memory_order_relaxed);
    for (uint32_t i = 0; i < pubsub->worker_count; i++) {
        struct worker *to = &server->workers[i];
        if ((workers >> i & 1) == 0) {
            continue;
        }
        if (to == worker) {
            worker_run_tasks(worker); /* what others published before comes first */
            deliver(worker, self, kind, channel, message);
            continue;
        }
        while (worker != NULL && worker_tasks_full(to) &&
               !atomic_load_explicit(&server->stopping, memory_order_relaxed)) {
            dm_coro_sleep(worker->sched, WAIT_NS);
        }
        if (worker != NULL || !worker_tasks_full(to)) { /* another gateway's message does not wait */
            deliver_post(to, kind, channel, message);
        }
    }
    return receivers;
}

uint64_t pubsub_publish_everywhere(struct call *call, enum pubsub_kind kind, const struct resp_arg *channel,
                                   const struct resp_arg *message) {
    if (call->server->bus != NULL) {
        bus_send(call->server->bus, kind, channel, message);
    }
    return pubsub_publish(call->server, call->worker, call->connection, kind, channel, message);
}
