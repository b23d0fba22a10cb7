/* notify_events.c: see notify_events.h.
 *
 * What a command did is read from its reply and arguments, so that handlers need not know of notifications: the reply
 * is written aside, looked at, and then sent behind the messages, as Redis does. DEL and UNLINK say which keys they
 * have removed, because their reply does not.
 */
#include "notify_events.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus.h"
#include "cmd.h"
#include "cmd_rename.h"
#include "live.h"
#include "number.h"
#include "pubsub.h"
#include "string_rule.h"
#include "word.h"

#define CHANNEL_HEAD_BYTES 48
#define MS_PER_S 1000

/* When the reply means that something was done. */
enum when { WHEN_DONE /* no error */, WHEN_NOT_NULL, WHEN_NOT_ZERO };

static const struct rule {
    command_handler *handler;
    const char *event;
    enum notify_class class;
    enum when when;
    uint8_t key, step; /* the first key's argument; 0 = no others */
} rules[] = {
    {cmd_setnx, "set", NOTIFY_STRING, WHEN_NOT_ZERO, 1, 0},
    {cmd_getset, "set", NOTIFY_STRING, WHEN_DONE, 1, 0},
    {cmd_mset, "set", NOTIFY_STRING, WHEN_DONE, 1, 2},
    {cmd_msetnx, "set", NOTIFY_STRING, WHEN_NOT_ZERO, 1, 2},
    {cmd_renamenx, "rename_from", NOTIFY_GENERIC, WHEN_NOT_ZERO, 1, 0},
    {cmd_renamenx, "rename_to", NOTIFY_GENERIC, WHEN_NOT_ZERO, 2, 0},
    {cmd_append, "append", NOTIFY_STRING, WHEN_DONE, 1, 0},
    {cmd_incr, "incrby", NOTIFY_STRING, WHEN_DONE, 1, 0},
    {cmd_decr, "incrby", NOTIFY_STRING, WHEN_DONE, 1, 0},
    {cmd_incrby, "incrby", NOTIFY_STRING, WHEN_DONE, 1, 0},
    {cmd_decrby, "incrby", NOTIFY_STRING, WHEN_DONE, 1, 0},
    {cmd_incrbyfloat, "incrbyfloat", NOTIFY_STRING, WHEN_DONE, 1, 0},
    {cmd_setrange, "setrange", NOTIFY_STRING, WHEN_NOT_ZERO, 1, 0},
    {cmd_setbit, "setbit", NOTIFY_STRING, WHEN_DONE, 1, 0},
    {cmd_bitop, "set", NOTIFY_STRING, WHEN_NOT_ZERO, 2, 0},
    {cmd_pfadd, "pfadd", NOTIFY_STRING, WHEN_NOT_ZERO, 1, 0},
    {cmd_pfmerge, "pfadd", NOTIFY_STRING, WHEN_DONE, 1, 0},
    {cmd_setex, "set", NOTIFY_STRING, WHEN_DONE, 1, 0},
    {cmd_setex, "expire", NOTIFY_GENERIC, WHEN_DONE, 1, 0},
    {cmd_psetex, "set", NOTIFY_STRING, WHEN_DONE, 1, 0},
    {cmd_psetex, "expire", NOTIFY_GENERIC, WHEN_DONE, 1, 0},
    {cmd_getdel, "del", NOTIFY_GENERIC, WHEN_NOT_NULL, 1, 0},
    {cmd_persist, "persist", NOTIFY_GENERIC, WHEN_NOT_ZERO, 1, 0},
    {cmd_restore, "restore", NOTIFY_GENERIC, WHEN_DONE, 1, 0},
};

/* ---- Publishing ---- */

static void publish(struct worker *worker, struct connection *self, const struct resp_arg *channel,
                    const struct resp_arg *message) {
    if (worker->server->bus != NULL) {
        bus_send(worker->server->bus, PUBSUB_CHANNEL, channel, message);
    }
    pubsub_publish(worker->server, worker, self, PUBSUB_CHANNEL, channel, message);
}

void notify_publish(struct worker *worker, struct connection *self, unsigned database, enum notify_class class,
                    const char *event, const struct resp_arg *key) {
    uint32_t wanted = atomic_load_explicit(&worker->server->live->notify_classes, memory_order_relaxed);
    const struct resp_arg text = {event, strlen(event)};
    char *channel = (wanted & class) == 0 ? NULL : malloc(CHANNEL_HEAD_BYTES + key->length);

    if (channel == NULL) {
        return;
    }
    if ((wanted & NOTIFY_KEYSPACE) != 0) {
        int head = snprintf(channel, CHANNEL_HEAD_BYTES, "__keyspace@%u__:", database);
        memcpy(channel + head, key->bytes, key->length);
        const struct resp_arg name = {channel, (size_t)head + key->length};
        publish(worker, self, &name, &text);
    }
    if ((wanted & NOTIFY_KEYEVENT) != 0) {
        int length = snprintf(channel, CHANNEL_HEAD_BYTES, "__keyevent@%u__:%s", database, event);
        const struct resp_arg name = {channel, (size_t)length};
        publish(worker, self, &name, key);
    }
    free(channel);
}

static void event_publish(struct call *call, enum notify_class class, const char *event, const struct resp_arg *key) {
    notify_publish(call->worker, call->connection, call->connection->database, class, event, key);
}

/* ---- What was done ---- */

static bool reply_means(const char *reply, enum when when) {
    if (reply[0] == '-') {
        return false;
    }
    switch (when) {
    case WHEN_NOT_NULL:
        return reply[0] != '_' && strncmp(reply, "$-1", 3) != 0;
    case WHEN_NOT_ZERO:
        return strncmp(reply, ":0\r", 3) != 0;
    case WHEN_DONE:
        break;
    }
    return true;
}

/* SET, by its options; with GET the reply is what was there before. */
static void set_published(struct call *call, const char *reply) {
    struct set_options options;

    if (reply[0] == '-' || !set_options_parse(call->argv + 3, call->argc - 3, SET_OPTIONS_ALLOWED, &options)) {
        return;
    }
    bool null = !reply_means(reply, WHEN_NOT_NULL), done = !null;

    if ((options.flags & SET_GET) != 0) {
        done = (options.flags & SET_NX) != 0 ? null : (options.flags & SET_XX) != 0 ? !null : true;
    }
    if (done) {
        event_publish(call, NOTIFY_STRING, "set", &call->argv[1]);
        if (options.expire != NULL) {
            event_publish(call, NOTIFY_GENERIC, "expire", &call->argv[1]);
        }
    }
}

/* EXPIRE and its kin: a time that has passed deletes. */
static void expire_published(struct call *call, const char *reply) {
    command_handler *handler = call->command->handler;
    bool absolute = handler == cmd_expireat || handler == cmd_pexpireat;
    bool in_ms = handler == cmd_pexpire || handler == cmd_pexpireat;
    int64_t time;

    if (!reply_means(reply, WHEN_NOT_ZERO) || !number_parse(call->argv[2].bytes, call->argv[2].length, &time)) {
        return;
    }
    int64_t now = absolute ? command_now_ms(call) / (in_ms ? 1 : MS_PER_S) : 0;

    event_publish(call, NOTIFY_GENERIC, time <= now ? "del" : "expire", &call->argv[1]);
}

static void bitfield_published(struct call *call, const char *reply) {
    for (size_t i = 2; i < call->argc && reply_means(reply, WHEN_DONE); i++) {
        if (word_equal(&call->argv[i], "set") || word_equal(&call->argv[i], "incrby")) {
            event_publish(call, NOTIFY_STRING, "setbit", &call->argv[1]);
            return;
        }
    }
}

/* A key renamed to itself is left alone. */
static void rename_published(struct call *call, const char *reply) {
    const struct resp_arg *from = &call->argv[1], *to = &call->argv[2];
    bool same = from->length == to->length && memcmp(from->bytes, to->bytes, from->length) == 0;

    if (reply_means(reply, WHEN_DONE) && !same) {
        event_publish(call, NOTIFY_GENERIC, "rename_from", from);
        event_publish(call, NOTIFY_GENERIC, "rename_to", to);
    }
}

/* COPY and MOVE: the destination may be in another database. */
static void transfer_published(struct call *call, const char *reply) {
    bool copies = call->command->handler == cmd_copy;
    unsigned database = call->connection->database;
    const struct resp_arg *to = &call->argv[copies ? 2 : 1];
    struct dm_key other;

    if (!reply_means(reply, WHEN_NOT_ZERO)) {
        return;
    }
    if (rename_other_key(call, &other)) {
        database = other.space;
    }
    if (!copies) {
        event_publish(call, NOTIFY_GENERIC, "move_from", &call->argv[1]);
    }
    notify_publish(call->worker, call->connection, database, NOTIFY_GENERIC, copies ? "copy_to" : "move_to", to);
}

static void rules_published(struct call *call, const char *reply) {
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        const struct rule *rule = &rules[i];
        if (rule->handler != call->command->handler || !reply_means(reply, rule->when)) {
            continue;
        }
        for (size_t key = rule->key; key < call->argc; key += rule->step) {
            event_publish(call, rule->class, rule->event, &call->argv[key]);
            if (rule->step == 0) {
                break;
            }
        }
    }
}

static void published(struct call *call, const char *reply) {
    command_handler *handler = call->command->handler;

    if (handler == cmd_set) {
        set_published(call, reply);
    } else if (handler == cmd_expire || handler == cmd_pexpire || handler == cmd_expireat || handler == cmd_pexpireat) {
        expire_published(call, reply);
    } else if (handler == cmd_rename) {
        rename_published(call, reply);
    } else if (handler == cmd_copy || handler == cmd_move) {
        transfer_published(call, reply);
    } else if (handler == cmd_bitfield) {
        bitfield_published(call, reply);
    } else if (handler == cmd_getex) {
        if (call->argc > 3 && reply_means(reply, WHEN_NOT_NULL)) { /* PERSIST does not tell whether there was a time */
            event_publish(call, NOTIFY_GENERIC, "expire", &call->argv[1]);
        }
    } else {
        rules_published(call, reply);
    }
}

/* ---- Running ---- */

/* Runs the handler with its reply aside. */
static void run_aside(struct call *call, struct reply *aside, struct output *output) {
    struct reply *own = call->reply;

    output_init(output);
    output->pool = call->connection->output.pool;
    output->bytes_max = call->connection->output.bytes_max;
    *aside = *own;
    aside->output = output;
    call->reply = aside;
    call->command->handler(call);
    call->reply = own;
}

static bool deletes(const struct call *call) {
    return call->command->handler == cmd_del || call->command->handler == cmd_unlink;
}

void notify_executed(struct call *call, const char *reply, const bool *deleted) {
    if (!deletes(call)) {
        published(call, reply);
        return;
    }
    for (size_t i = 1; i < call->argc; i++) {
        if (deleted[i]) {
            event_publish(call, NOTIFY_GENERIC, "del", &call->argv[i]);
        }
    }
}

void notify_execute(struct call *call) {
    struct output output;
    struct reply aside;

    bool *deleted = deletes(call) ? calloc(call->argc, sizeof *deleted) : NULL;
    if (deletes(call) && deleted == NULL) {
        command_status_error(call, DM_BUSY, 0);
        return;
    }
    call->deleted = deleted;
    run_aside(call, &aside, &output);
    call->deleted = NULL;
    notify_executed(call, output_peek(&output), deleted);
    free(deleted);
    output_move(call->reply->output, &output);
    output_free(&output);
}
