/* cmd_client.c: the CLIENT command. In a coroutine of the connection's worker.
 *
 * CLIENT LIST looks at connections of other workers: under their worker's connections_lock, which guards the list and
 * the texts that a connection owns. Numbers are read while their owner may change them; each is whole.
 */
#include "cmd_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client_text.h"
#include "number.h"
#include "word.h"

#define READ(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)
#define ERROR_ARGUMENT_BYTES 1000 /* of an argument in an error text */

/* ---- Names ---- */

static bool text_printable(const struct resp_arg *text) {
    for (size_t i = 0; i < text->length; i++) {
        if (text->bytes[i] < '!' || text->bytes[i] > '~') {
            return false;
        }
    }
    return true;
}

/* Replaces a text of the call's connection. False: the error was replied. */
static bool text_replace(struct call *call, char **text, const struct resp_arg *value) {
    char *copy = NULL;

    if (value->length > 0) {
        copy = strndup(value->bytes, value->length);
        if (copy == NULL) {
            command_status_error(call, DM_BUSY, 0);
            return false;
        }
    }
    pthread_mutex_lock(&call->worker->connections_lock);
    char *old = *text;
    *text = copy;
    pthread_mutex_unlock(&call->worker->connections_lock);
    free(old);
    return true;
}

bool client_set_name(struct call *call, const struct resp_arg *name) {
    if (!text_printable(name)) {
        command_error(call, "ERR Client names cannot contain spaces, newlines or special characters.");
        return false;
    }
    return text_replace(call, &call->connection->name, name);
}

void cmd_client_setname(struct call *call) {
    if (client_set_name(call, &call->argv[2])) {
        reply_ok(call->reply);
    }
}

void cmd_client_getname(struct call *call) {
    if (call->connection->name != NULL) {
        reply_bulk_text(call->reply, call->connection->name);
    } else {
        reply_null(call->reply);
    }
}

/* As in Redis 7.2: most clients send it on every connection. */
void cmd_client_setinfo(struct call *call) {
    const struct resp_arg *attribute = &call->argv[2];
    int shown = command_text_length(attribute, ERROR_ARGUMENT_BYTES);
    char **text;

    if (word_equal(attribute, "lib-name")) {
        text = &call->connection->library_name;
    } else if (word_equal(attribute, "lib-ver")) {
        text = &call->connection->library_version;
    } else {
        command_errorf(call, "ERR Unrecognized option '%.*s'", shown, attribute->bytes);
        return;
    }
    if (!text_printable(&call->argv[3])) {
        command_errorf(call, "ERR %.*s cannot contain spaces, newlines or special characters.", shown,
                       attribute->bytes);
    } else if (text_replace(call, text, &call->argv[3])) {
        reply_ok(call->reply);
    }
}

void cmd_client_id(struct call *call) { reply_integer(call->reply, (long long)call->connection->id); }

/* ---- Descriptions ---- */

static uint64_t now_ns(const struct call *call) { return call->server->env->clock_ns(call->server->env->context); }

static void reply_stream(struct call *call, FILE *out, char **text, const size_t *length) {
    if (fclose(out) == 0) {
        reply_verbatim(call->reply, *text, *length, "txt");
    } else {
        command_status_error(call, DM_BUSY, 0);
    }
    free(*text);
}

void cmd_client_info(struct call *call) {
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);

    if (out == NULL) {
        command_status_error(call, DM_BUSY, 0);
        return;
    }
    pthread_mutex_lock(&call->worker->connections_lock);
    client_text_print(out, call->connection, now_ns(call));
    pthread_mutex_unlock(&call->worker->connections_lock);
    reply_stream(call, out, &text, &length);
}

/* ---- Types ---- */

enum client_type client_type_of(const struct connection *connection) {
    return READ(connection->channels) + READ(connection->patterns) + READ(connection->shard_channels) > 0
               ? CLIENT_TYPE_PUBSUB
               : CLIENT_TYPE_NORMAL;
}

bool client_type_parse(struct call *call, const struct resp_arg *name, int *type) {
    if (word_equal(name, "normal")) {
        *type = CLIENT_TYPE_NORMAL;
    } else if (word_equal(name, "pubsub")) {
        *type = CLIENT_TYPE_PUBSUB;
    } else if (word_equal(name, "master") || word_equal(name, "replica") || word_equal(name, "slave")) {
        *type = CLIENT_TYPE_NONE;
    } else {
        command_errorf(call, "ERR Unknown client type '%.*s'", command_text_length(name, ERROR_ARGUMENT_BYTES),
                       name->bytes);
        return false;
    }
    return true;
}

/* Which connections CLIENT LIST shows. */
struct list_filter {
    const struct resp_arg *ids; /* NULL: all */
    size_t id_count;
    int type; /* -1: all */
};

static bool filter_matches(const struct list_filter *filter, const struct connection *connection) {
    int64_t wanted;

    if (filter->type >= 0 && filter->type != (int)client_type_of(connection)) {
        return false;
    }
    for (size_t i = 0; i < filter->id_count; i++) {
        if (number_parse(filter->ids[i].bytes, filter->ids[i].length, &wanted) && wanted == (int64_t)connection->id) {
            return true;
        }
    }
    return filter->ids == NULL;
}

/* False: the error was replied. */
static bool filter_parse(struct call *call, struct list_filter *filter) {
    int64_t id;

    if (call->argc == 2) {
        return true;
    }
    if (call->argc == 4 && word_equal(&call->argv[2], "type")) {
        return client_type_parse(call, &call->argv[3], &filter->type);
    }
    if (call->argc == 3 || !word_equal(&call->argv[2], "id")) {
        command_error(call, ERROR_SYNTAX);
        return false;
    }
    filter->ids = call->argv + 3;
    filter->id_count = call->argc - 3;
    for (size_t i = 0; i < filter->id_count; i++) {
        if (!number_parse(filter->ids[i].bytes, filter->ids[i].length, &id)) {
            command_error(call, "ERR Invalid client ID");
            return false;
        }
    }
    return true;
}

void cmd_client_list(struct call *call) {
    struct list_filter filter = {.type = -1};
    char *text = NULL;
    size_t length = 0;

    if (!filter_parse(call, &filter)) {
        return;
    }
    FILE *out = open_memstream(&text, &length);

    if (out == NULL) {
        command_status_error(call, DM_BUSY, 0);
        return;
    }
    uint64_t now = now_ns(call);

    for (uint32_t i = 0; i < call->server->worker_count; i++) {
        struct worker *worker = &call->server->workers[i];

        pthread_mutex_lock(&worker->connections_lock);
        for (const struct connection *c = worker->connections; c != NULL; c = c->next) {
            if (filter_matches(&filter, c)) {
                client_text_print(out, c, now);
            }
        }
        pthread_mutex_unlock(&worker->connections_lock);
    }
    reply_stream(call, out, &text, &length);
}

void cmd_client_help(struct call *call) {
    static const char *const lines[] = {
        "GETNAME",
        "    The name of this connection.",
        "GETREDIR",
        "    -1: there is no tracking.",
        "ID",
        "    The number of this connection.",
        "INFO",
        "    A line about this connection.",
        "KILL <ip:port>",
        "    Close the connection from there.",
        "KILL <option> <value> [<option> <value> ...]",
        "    Close connections that match all of: ID, ADDR, LADDR, TYPE (NORMAL|PUBSUB), USER; SKIPME (YES|NO).",
        "LIST [TYPE (NORMAL|MASTER|REPLICA|PUBSUB) | ID <client-id> [<client-id> ...]]",
        "    A line about each connection.",
        "NO-EVICT (ON|OFF)",
        "    Taken note of; nothing is evicted here.",
        "PAUSE <timeout> [WRITE|ALL]",
        "    Hold back all commands, or those that write, for so many milliseconds.",
        "REPLY (ON|OFF|SKIP)",
        "    Whether this connection gets replies.",
        "SETINFO (LIB-NAME|LIB-VER) <value>",
        "    Tell the name or version of the client library.",
        "SETNAME <name>",
        "    Give this connection a name.",
        "TRACKINGINFO",
        "    Off: there is no tracking.",
        "UNBLOCK <client-id> [TIMEOUT|ERROR]",
        "    0: no command blocks here.",
        "UNPAUSE",
        "    End a pause.",
    };
    command_help(call, lines, sizeof lines / sizeof lines[0]);
}
