/* multi.c: see multi.h. */
#include "multi.h"

#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "command_table.h"
#include "config.h"
#include "worker.h"

#define ITEMS_FIRST 8u

struct multi *multi_of(struct connection *connection) {
    if (connection->multi == NULL) {
        connection->multi = calloc(1, sizeof *connection->multi);
    }
    return connection->multi;
}

static void count_show(struct connection *connection, int count, size_t bytes) {
    __atomic_store_n(&connection->multi_count, count, __ATOMIC_RELAXED);
    __atomic_store_n(&connection->multi_bytes, bytes, __ATOMIC_RELAXED);
}

void multi_forget(struct connection *connection) {
    struct multi *multi = connection->multi;

    if (multi == NULL) {
        return;
    }
    for (size_t i = 0; i < multi->count; i++) {
        output_free(&multi->items[i]->output);
        free(multi->items[i]->there);
        free(multi->items[i]);
    }
    for (size_t i = 0; i < multi->watch_count; i++) {
        free((void *)(uintptr_t)multi->watches[i].key.bytes);
    }
    watch_renewal_remove(connection->worker, multi->watch_count);
    free(multi->items);
    free(multi->watches);
    *multi = (struct multi){0};
    count_show(connection, -1, 0);
}

void multi_close(struct connection *connection) {
    multi_forget(connection);
    free(connection->multi);
    connection->multi = NULL;
}

void multi_refused(struct connection *connection) {
    if (connection->multi != NULL && connection->multi->open) {
        connection->multi->dirty = true;
    }
}

bool multi_wants(const struct connection *connection, const struct command *command) {
    command_handler *handler = command->handler;

    return connection->multi != NULL && connection->multi->open && handler != cmd_exec && handler != cmd_discard &&
           handler != cmd_multi && handler != cmd_watch && handler != cmd_quit && handler != cmd_reset;
}

/* A copy of the command in one piece. */
static struct multi_item *item_make(const struct call *call, size_t *bytes) {
    size_t texts = 0;

    for (size_t i = 0; i < call->argc; i++) {
        texts += call->argv[i].length;
    }
    *bytes = sizeof(struct multi_item) + call->argc * (sizeof(struct resp_arg) + sizeof(bool)) + texts;
    struct multi_item *item = calloc(1, *bytes);

    if (item == NULL) {
        return NULL;
    }
    item->command = call->command;
    item->argc = call->argc;
    item->argv = (struct resp_arg *)(item + 1);
    item->deleted = (bool *)(item->argv + call->argc);
    char *text = (char *)(item->deleted + call->argc);

    for (size_t i = 0; i < call->argc; i++) {
        memcpy(text, call->argv[i].bytes, call->argv[i].length);
        item->argv[i].bytes = text;
        item->argv[i].length = call->argv[i].length;
        text += call->argv[i].length;
    }
    output_init(&item->output);
    item->output.pool = call->connection->output.pool;
    return item;
}

static bool item_add(struct multi *multi, struct multi_item *item) {
    if (multi->count == multi->capacity) {
        size_t capacity = multi->capacity == 0 ? ITEMS_FIRST : multi->capacity * 2;
        struct multi_item **items = realloc(multi->items, capacity * sizeof *items);

        if (items == NULL) {
            return false;
        }
        multi->items = items;
        multi->capacity = capacity;
    }
    multi->items[multi->count++] = item;
    return true;
}

void multi_queue(struct call *call) {
    struct connection *connection = call->connection;
    struct multi *multi = connection->multi;
    size_t bytes = 0;

    if ((call->command->flags & COMMAND_NO_MULTI) != 0) {
        command_error(call, "ERR Command not allowed inside a transaction");
        multi->dirty = true;
        return;
    }
    struct multi_item *item = item_make(call, &bytes);

    if (item == NULL || multi->bytes + bytes > call->server->config->query_buffer_limit_bytes ||
        !item_add(multi, item)) {
        free(item);
        command_error(call, "ERR the transaction is too large (query_buffer_limit)");
        multi->dirty = true;
        return;
    }
    multi->bytes += bytes;
    count_show(connection, (int)multi->count, multi->bytes);
    reply_status(call->reply, "QUEUED");
}
