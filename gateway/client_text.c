/* client_text.c: see client_text.h. Numbers of other threads' connections are read while they may change; each is
 * whole. */
#include "client_text.h"

#include <stdlib.h>
#include <string.h>

#include "acl_user.h"

#define NS_PER_S UINT64_C(1000000000)
#define READ(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)
#define FLAGS_BYTES 16

static uint64_t seconds_since(uint64_t then_ns, uint64_t now_ns) {
    return now_ns > then_ns ? (now_ns - then_ns) / NS_PER_S : 0;
}

static const char *text_or_empty(const char *text) { return text == NULL ? "" : text; }

/* Redis's letters, in its order. */
static void flags_print(const struct connection *connection, char out[FLAGS_BYTES]) {
    size_t length = 0;
    uint32_t subscribed = READ(connection->channels) + READ(connection->patterns) + READ(connection->shard_channels);

    if (READ(connection->monitoring)) {
        out[length++] = 'O';
    }
    if (subscribed > 0) {
        out[length++] = 'P';
    }
    if (READ(connection->multi_count) >= 0) {
        out[length++] = 'x';
    }
    if (READ(connection->close_after_reply)) {
        out[length++] = 'c';
    }
    if (connection->kind == CONNECTION_UNIX) {
        out[length++] = 'U';
    }
    if (READ(connection->no_evict)) {
        out[length++] = 'e';
    }
    if (READ(connection->no_touch)) {
        out[length++] = 'T';
    }
    if (length == 0) {
        out[length++] = 'N';
    }
    out[length] = '\0';
}

/* The fields of Redis 7.0, and lib-name and lib-ver of 7.2. What the gateway has no such thing for is zero. */
void client_text_print(FILE *out, const struct connection *connection, uint64_t now_ns) {
    size_t output_bytes = READ(connection->output_bytes);
    const char *last_command = READ(connection->last_command);
    char flags[FLAGS_BYTES];

    flags_print(connection, flags);
    fprintf(out, "id=%llu addr=%s laddr=%s fd=%d name=%s age=%llu idle=%llu flags=%s db=%u sub=%u psub=%u ssub=%u",
            (unsigned long long)connection->id, connection->peer, connection->local, connection->socket,
            text_or_empty(connection->name), (unsigned long long)seconds_since(connection->created_ns, now_ns),
            (unsigned long long)seconds_since(READ(connection->active_ns), now_ns), flags, READ(connection->database),
            READ(connection->channels), READ(connection->patterns), READ(connection->shard_channels));
    fprintf(out, " multi=%d qbuf=%llu qbuf-free=0 argv-mem=0 multi-mem=%zu rbs=0 rbp=0 obl=0 oll=%d",
            READ(connection->multi_count), (unsigned long long)READ(connection->input_bytes),
            READ(connection->multi_bytes), output_bytes > 0);
    fprintf(out, " omem=%zu tot-mem=%zu events=%s cmd=%s user=%s redir=-1 resp=%d lib-name=%s lib-ver=%s\n",
            output_bytes, output_bytes + sizeof *connection + (size_t)READ(connection->input_bytes),
            output_bytes > 0 ? "rw" : "r", last_command == NULL ? "NULL" : last_command,
            connection->user != NULL ? connection->user->name : "default", READ(connection->reply.protocol),
            text_or_empty(connection->library_name), text_or_empty(connection->library_version));
}

char *client_text(const struct connection *connection, uint64_t now_ns) {
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);

    if (out == NULL) {
        return NULL;
    }
    client_text_print(out, connection, now_ns);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    text[length - 1] = '\0'; /* the line end */
    return text;
}
