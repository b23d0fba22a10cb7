/* cmd_client.c: the CLIENT command. In a coroutine of the connection's worker.
 *
 * CLIENT LIST looks at connections of other workers: under their worker's connections_lock, which guards the list and
 * the texts that a connection owns. Numbers are read while their owner may change them; each is whole.
 */
#include "cmd_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "number.h"
#include "word.h"

#define NS_PER_S UINT64_C(1000000000)
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

#define READ(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)

static uint64_t seconds_since(uint64_t then_ns, uint64_t now_ns) {
    return now_ns > then_ns ? (now_ns - then_ns) / NS_PER_S : 0;
}

static const char *text_or_empty(const char *text) { return text == NULL ? "" : text; }

/* One line with the fields of Redis 7.0, and lib-name and lib-ver of 7.2. What the gateway has no such thing for is
 * zero. The worker's connections_lock is held. */
static void connection_describe(FILE *out, const struct connection *connection, uint64_t now_ns) {
    size_t output_bytes = READ(connection->output.bytes);
    const char *last_command = READ(connection->last_command);

    fprintf(out, "id=%llu addr=%s laddr=%s fd=%d name=%s age=%llu idle=%llu flags=N db=%u",
            (unsigned long long)connection->id, connection->peer, connection->local, connection->socket,
            text_or_empty(connection->name), (unsigned long long)seconds_since(connection->created_ns, now_ns),
            (unsigned long long)seconds_since(READ(connection->active_ns), now_ns), READ(connection->database));
    fprintf(out, " sub=0 psub=0 ssub=0 multi=-1 qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=%d",
            output_bytes > 0);
    fprintf(out, " omem=%zu tot-mem=%zu events=%s cmd=%s user=default redir=-1 resp=%d lib-name=%s lib-ver=%s\n",
            output_bytes, output_bytes + sizeof *connection, output_bytes > 0 ? "rw" : "r",
            last_command == NULL ? "NULL" : last_command, READ(connection->reply.protocol),
            text_or_empty(connection->library_name), text_or_empty(connection->library_version));
}

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
    connection_describe(out, call->connection, now_ns(call));
    pthread_mutex_unlock(&call->worker->connections_lock);
    reply_stream(call, out, &text, &length);
}

/* Which connections CLIENT LIST shows. */
struct list_filter {
    const struct resp_arg *ids; /* NULL: all */
    size_t id_count;
    bool none; /* of a type that the gateway does not have */
};

static bool filter_matches(const struct list_filter *filter, uint64_t id) {
    int64_t wanted;

    if (filter->ids == NULL) {
        return !filter->none;
    }
    for (size_t i = 0; i < filter->id_count; i++) {
        if (number_parse(filter->ids[i].bytes, filter->ids[i].length, &wanted) && wanted == (int64_t)id) {
            return true;
        }
    }
    return false;
}

static bool filter_parse_type(struct call *call, struct list_filter *filter) {
    const struct resp_arg *type = &call->argv[3];

    if (word_equal(type, "master") || word_equal(type, "replica") || word_equal(type, "slave") ||
        word_equal(type, "pubsub")) {
        filter->none = true;
    } else if (!word_equal(type, "normal")) {
        command_errorf(call, "ERR Unknown client type '%.*s'", command_text_length(type, ERROR_ARGUMENT_BYTES),
                       type->bytes);
        return false;
    }
    return true;
}

/* False: the error was replied. */
static bool filter_parse(struct call *call, struct list_filter *filter) {
    int64_t id;

    if (call->argc == 2) {
        return true;
    }
    if (call->argc == 4 && word_equal(&call->argv[2], "type")) {
        return filter_parse_type(call, filter);
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
    struct list_filter filter = {0};
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
            if (filter_matches(&filter, c->id)) {
                connection_describe(out, c, now);
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
        "ID",
        "    The number of this connection.",
        "INFO",
        "    A line about this connection.",
        "LIST [TYPE (NORMAL|MASTER|REPLICA|PUBSUB) | ID <client-id> [<client-id> ...]]",
        "    A line about each connection.",
        "SETINFO (LIB-NAME|LIB-VER) <value>",
        "    Tell the name or version of the client library.",
        "SETNAME <name>",
        "    Give this connection a name.",
    };
    command_help(call, lines, sizeof lines / sizeof lines[0]);
}
