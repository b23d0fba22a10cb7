/* cmd_pubsub.c: PUBLISH, SUBSCRIBE and their kin, PUBSUB. In a coroutine of the connection's worker. */
#include <string.h>

#include "cmd.h"
#include "glob.h"
#include "pubsub.h"

/* ---- Subscribing ---- */

/* What subscribing and unsubscribing answer: with RESP3 it is no reply, but a message like the others. `gone`: one
 * that is still counted. */
static void change_reply(struct call *call, const char *word, enum pubsub_kind kind, const struct resp_arg *name,
                         uint32_t gone) {
    const struct connection *connection = call->connection;
    uint32_t count = kind == PUBSUB_SHARD ? connection->shard_channels : connection->channels + connection->patterns;

    reply_push(call->reply, 3);
    reply_bulk_text(call->reply, word);
    if (name != NULL) {
        reply_bulk(call->reply, name->bytes, name->length);
    } else {
        reply_null(call->reply);
    }
    reply_integer(call->reply, count - gone);
}

static void subscribe(struct call *call, enum pubsub_kind kind, const char *word) {
    for (size_t i = 1; i < call->argc; i++) {
        const struct resp_arg *name = &call->argv[i];
        if (!pubsub_subscribe(call->connection, kind, name->bytes, name->length)) {
            command_status_error(call, DM_BUSY, 0);
            return;
        }
        change_reply(call, word, kind, name, 0);
    }
}

static void unsubscribe(struct call *call, enum pubsub_kind kind, const char *word) {
    const struct channel_entry *entry = pubsub_any(call->connection, kind);

    for (size_t i = 1; i < call->argc; i++) {
        const struct resp_arg *name = &call->argv[i];
        pubsub_unsubscribe(call->connection, kind, name->bytes, name->length);
        change_reply(call, word, kind, name, 0);
    }
    if (call->argc > 1) {
        return;
    }
    if (entry == NULL) {
        change_reply(call, word, kind, NULL, 0);
    }
    while (entry != NULL) {
        const struct resp_arg name = {entry->name, entry->length};

        change_reply(call, word, kind, &name, 1);
        pubsub_unsubscribe(call->connection, kind, entry->name, entry->length);
        entry = pubsub_any(call->connection, kind);
    }
}

void cmd_subscribe(struct call *call) { subscribe(call, PUBSUB_CHANNEL, "subscribe"); }
void cmd_psubscribe(struct call *call) { subscribe(call, PUBSUB_PATTERN, "psubscribe"); }
void cmd_ssubscribe(struct call *call) { subscribe(call, PUBSUB_SHARD, "ssubscribe"); }
void cmd_unsubscribe(struct call *call) { unsubscribe(call, PUBSUB_CHANNEL, "unsubscribe"); }
void cmd_punsubscribe(struct call *call) { unsubscribe(call, PUBSUB_PATTERN, "punsubscribe"); }
void cmd_sunsubscribe(struct call *call) { unsubscribe(call, PUBSUB_SHARD, "sunsubscribe"); }

/* ---- Publishing ---- */

static void publish(struct call *call, enum pubsub_kind kind) {
    uint64_t receivers = pubsub_publish_everywhere(call, kind, &call->argv[1], &call->argv[2]);

    reply_integer(call->reply, (long long)receivers);
}

void cmd_publish(struct call *call) { publish(call, PUBSUB_CHANNEL); }
void cmd_spublish(struct call *call) { publish(call, PUBSUB_SHARD); }

/* ---- PUBSUB: about this gateway ---- */

static void channels_reply(struct call *call, enum pubsub_kind kind) {
    struct pubsub *pubsub = call->server->pubsub;
    const struct channel_map *map = &pubsub->all[kind];
    const struct resp_arg all = {"*", 1}, *pattern = call->argc == 3 ? &call->argv[2] : &all;
    size_t matching = 0;

    pthread_mutex_lock(&pubsub->lock);
    for (const struct channel_entry *e = channel_map_next(map, NULL); e != NULL; e = channel_map_next(map, e)) {
        matching += glob_match_case(pattern->bytes, pattern->length, e->name, e->length);
    }
    reply_array(call->reply, matching);
    for (const struct channel_entry *e = channel_map_next(map, NULL); e != NULL; e = channel_map_next(map, e)) {
        if (glob_match_case(pattern->bytes, pattern->length, e->name, e->length)) {
            reply_bulk(call->reply, e->name, e->length);
        }
    }
    pthread_mutex_unlock(&pubsub->lock);
}

static void subcommand_arity_error(struct call *call) {
    command_errorf(call, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try PUBSUB HELP.",
                   command_text_length(&call->argv[1], 128), call->argv[1].bytes);
}

void cmd_pubsub_channels(struct call *call) {
    if (call->argc > 3) {
        subcommand_arity_error(call);
    } else {
        channels_reply(call, PUBSUB_CHANNEL);
    }
}

void cmd_pubsub_shardchannels(struct call *call) {
    if (call->argc > 3) {
        subcommand_arity_error(call);
    } else {
        channels_reply(call, PUBSUB_SHARD);
    }
}

static void numbers_reply(struct call *call, enum pubsub_kind kind) {
    struct pubsub *pubsub = call->server->pubsub;

    pthread_mutex_lock(&pubsub->lock);
    reply_array(call->reply, (call->argc - 2) * 2);
    for (size_t i = 2; i < call->argc; i++) {
        const struct resp_arg *name = &call->argv[i];
        const struct channel_entry *entry = channel_map_find(&pubsub->all[kind], name->bytes, name->length);

        reply_bulk(call->reply, name->bytes, name->length);
        reply_integer(call->reply, entry == NULL ? 0 : entry->count);
    }
    pthread_mutex_unlock(&pubsub->lock);
}

void cmd_pubsub_numsub(struct call *call) { numbers_reply(call, PUBSUB_CHANNEL); }
void cmd_pubsub_shardnumsub(struct call *call) { numbers_reply(call, PUBSUB_SHARD); }

void cmd_pubsub_numpat(struct call *call) {
    struct pubsub *pubsub = call->server->pubsub;

    pthread_mutex_lock(&pubsub->lock);
    reply_integer(call->reply, (long long)pubsub->all[PUBSUB_PATTERN].count);
    pthread_mutex_unlock(&pubsub->lock);
}

void cmd_pubsub_help(struct call *call) {
    static const char *const lines[] = {
        "CHANNELS [<pattern>]",
        "    Channels that somebody of this gateway has subscribed to.",
        "NUMPAT",
        "    How many patterns have subscribers.",
        "NUMSUB [<channel> ...]",
        "    How many subscribers these channels have, patterns apart.",
        "SHARDCHANNELS [<pattern>]",
        "    The same of SSUBSCRIBE.",
        "SHARDNUMSUB [<channel> ...]",
        "    The same of SSUBSCRIBE.",
    };
    command_help(call, lines, sizeof lines / sizeof lines[0]);
}
