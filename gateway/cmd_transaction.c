/* cmd_transaction.c: MULTI, EXEC, DISCARD, WATCH and UNWATCH.
 *
 * EXEC makes one transaction of the store out of all queued commands with keys and all watched keys (dm_transact): the
 * handlers run inside its function, against the transaction's view, perhaps several times; each writes its reply aside.
 * When the transaction has taken effect, the replies go out in order, and commands without keys are executed at their
 * place among them. A watched key whose version is another than at WATCH makes the function change nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "acl_connection.h"
#include "acl_user.h"
#include "cmd.h"
#include "cmd_rename.h"
#include "command_table.h"
#include "monitor.h"
#include "multi.h"
#include "multi_picture.h"
#include "notify_events.h"
#include "number.h"
#include "worker.h"

/* ---- MULTI, DISCARD, WATCH, UNWATCH ---- */

void cmd_multi(struct call *call) {
    struct multi *multi = multi_of(call->connection);

    if (multi == NULL) {
        command_status_error(call, DM_BUSY, 0);
    } else if (multi->open) {
        command_error(call, "ERR MULTI calls can not be nested");
    } else {
        multi->open = true;
        multi->dirty = false;
        __atomic_store_n(&call->connection->multi_count, 0, __ATOMIC_RELAXED);
        reply_ok(call->reply);
    }
}

void cmd_discard(struct call *call) {
    if (call->connection->multi == NULL || !call->connection->multi->open) {
        command_error(call, "ERR DISCARD without MULTI");
        return;
    }
    multi_forget(call->connection);
    reply_ok(call->reply);
}

static bool key_equal(const struct dm_key *a, const struct dm_key *b) {
    return a->length == b->length && a->space == b->space && memcmp(a->bytes, b->bytes, a->length) == 0;
}

static bool is_watched(const struct multi *multi, const struct dm_key *key) {
    for (size_t i = 0; i < multi->watch_count; i++) {
        if (key_equal(&multi->watches[i].key, key)) {
            return true;
        }
    }
    return false;
}

/* Notes what the key holds now. False: an error was replied. */
static bool watch_key(struct call *call, struct multi *multi, const struct dm_key *key) {
    struct multi_watch *watches = realloc(multi->watches, (multi->watch_count + 1) * sizeof *watches);

    multi->watches = watches == NULL ? multi->watches : watches;
    char *bytes = watches == NULL ? NULL : malloc(key->length + 1u);

    if (bytes == NULL) {
        command_status_error(call, DM_BUSY, 0);
        return false;
    }
    memcpy(bytes, key->bytes, key->length);
    struct multi_watch watch = {.key = {bytes, key->length, key->space}, .renewed_ns = call->worker->io->now_ns};
    enum dm_status status = dm_watch(call->session, key, &watch.seen);

    if (status != DM_OK) {
        free(bytes);
        command_status_error(call, status, 0);
        return false;
    }
    multi->watches[multi->watch_count++] = watch;
    watch_renewal_add(call->worker);
    atomic_fetch_add_explicit(&call->server->absences_noted, watch.seen.absent, memory_order_relaxed);
    return true;
}

void cmd_watch(struct call *call) {
    struct multi *multi = multi_of(call->connection);
    struct dm_key key;

    if (multi == NULL) {
        command_status_error(call, DM_BUSY, 0);
        return;
    }
    if (multi->open) {
        command_error(call, "ERR WATCH inside MULTI is not allowed");
        return;
    }
    for (size_t i = 1; i < call->argc; i++) {
        if (!command_key(call, i, &key)) {
            return;
        }
        if (is_watched(multi, &key)) {
            continue;
        }
        if (multi->watch_count == MULTI_WATCHED_MAX) {
            command_errorf(call, "ERR too many watched keys, at most %u", (unsigned)MULTI_WATCHED_MAX);
            return;
        }
        if (!watch_key(call, multi, &key)) {
            return;
        }
    }
    reply_ok(call->reply);
}

/* Inside MULTI it is queued, and has no effect there: EXEC ends the watch anyway. */
void cmd_unwatch(struct call *call) {
    const struct multi *multi = call->connection->multi;

    if (multi != NULL && multi->count == 0) { /* else it is being executed */
        multi_forget(call->connection);
    }
    reply_ok(call->reply);
}

/* ---- EXEC ---- */

struct exec {
    struct call *call;
    struct multi *multi;
    struct dm_key *keys;
    size_t key_count, key_capacity;
    uint16_t database; /* at EXEC */
    bool changed;      /* a watched key has */
    bool *after;       /* which keys are there when all has taken effect; NULL: nobody asks */
};

/* The call that a queued command is. */
static struct call item_call(const struct exec *exec, const struct multi_item *item) {
    struct call call = *exec->call;

    call.command = item->command;
    call.argc = item->argc;
    call.argv = item->argv;
    return call;
}

/* Channels of a slot stand where keys do. */
static bool names_channels(const struct command *command) {
    return command->handler == cmd_spublish || command->handler == cmd_ssubscribe ||
           command->handler == cmd_sunsubscribe;
}

static bool has_keys(const struct multi_item *item) {
    size_t first, step;

    return command_keys(item->command, item->argc, &first, &step) > 0 && item->command->handler != cmd_watch &&
           !names_channels(item->command);
}

/* SELECT, as far as what comes behind it is concerned. */
static void follow_select(const struct exec *exec, const struct multi_item *item) {
    int64_t index;

    if (item->command->handler == cmd_select && !item->denied &&
        number_parse(item->argv[1].bytes, item->argv[1].length, &index) && index >= 0 && index < FUSEGATE_DATABASES) {
        __atomic_store_n(&exec->call->connection->database, (uint16_t)index, __ATOMIC_RELAXED);
    }
}

static void database_back(const struct exec *exec) {
    __atomic_store_n(&exec->call->connection->database, exec->database, __ATOMIC_RELAXED);
}

static bool key_add(struct exec *exec, const struct dm_key *key) {
    if (exec->key_count == exec->key_capacity) {
        size_t capacity = exec->key_capacity == 0 ? 16 : exec->key_capacity * 2;
        struct dm_key *keys = realloc(exec->keys, capacity * sizeof *keys);

        if (keys == NULL) {
            return false;
        }
        exec->keys = keys;
        exec->key_capacity = capacity;
    }
    exec->keys[exec->key_count++] = *key;
    return true;
}

static bool item_keys_add(struct exec *exec, const struct multi_item *item) {
    struct call call = item_call(exec, item);
    size_t first, step, count = command_keys(item->command, item->argc, &first, &step);
    struct dm_key key;
    bool added = true;

    for (size_t i = 0; i < count && added; i++) {
        const struct resp_arg *arg = &item->argv[first + i * step];

        if (arg->length <= DM_KEY_BYTES_MAX) { /* else the command itself refuses it */
            key = (struct dm_key){arg->bytes, (uint32_t)arg->length, exec->call->connection->database};
            added = key_add(exec, &key);
        }
    }
    return added && (!rename_other_key(&call, &key) || key_add(exec, &key));
}

/* All keys of the transaction. */
static bool keys_collect(struct exec *exec) {
    bool added = true;

    for (size_t i = 0; i < exec->multi->watch_count && added; i++) {
        added = key_add(exec, &exec->multi->watches[i].key);
    }
    for (size_t i = 0; i < exec->multi->count && added; i++) {
        const struct multi_item *item = exec->multi->items[i];

        follow_select(exec, item);
        added = item->denied || !has_keys(item) || item_keys_add(exec, item);
    }
    database_back(exec);
    return added;
}

static bool flushes(const struct multi_item *item) {
    command_handler *handler = item->command->handler;

    return handler == cmd_flushdb || handler == cmd_flushall || handler == cmd_swapdb;
}

/* A flush or swap is a step of its own for the store: it cannot be one with other commands. */
static bool flush_is_alone(const struct multi *multi) {
    size_t count = 0, others = multi->watch_count;

    for (size_t i = 0; i < multi->count; i++) {
        count += flushes(multi->items[i]);
        others += has_keys(multi->items[i]) || multi_picture_wanted(multi->items[i]->command);
    }
    return count == 0 || (count == 1 && others == 0);
}

/* Makes room for what commands that look at all keys are to be shown. */
static bool pictures_make(struct exec *exec) {
    bool wanted = false, made = true;

    for (size_t i = 0; i < exec->multi->count; i++) {
        wanted = wanted || multi_picture_wanted(exec->multi->items[i]->command);
    }
    if (!wanted) {
        return true;
    }
    exec->key_count = multi_picture_sort(exec->keys, exec->key_count);
    exec->after = calloc(exec->key_count + 1, sizeof *exec->after);
    made = exec->after != NULL;
    for (size_t i = 0; i < exec->multi->count && made; i++) {
        struct multi_item *item = exec->multi->items[i];

        if (multi_picture_wanted(item->command)) {
            item->there = calloc(exec->key_count + 1, sizeof *item->there);
            made = item->there != NULL;
        }
    }
    return made;
}

static bool watch_changed(const struct exec *exec, const struct multi_watch *watch) {
    struct dm_watched now;

    return watch->changed || dm_watch(exec->call->session, &watch->key, &now) != DM_OK ||
           !dm_watched_same(&watch->seen, &now);
}

/* Runs a queued command's handler, its reply goes aside. */
static void item_run(const struct exec *exec, struct multi_item *item) {
    struct call call = item_call(exec, item);
    struct reply aside = *exec->call->reply;

    output_free(&item->output);
    output_init(&item->output);
    item->output.pool = exec->call->connection->output.pool;
    aside.output = &item->output;
    call.reply = &aside;
    call.deleted = item->deleted;
    item->command->handler(&call);
    item->ran = true;
}

/* Which keys of the transaction are there now; see multi_picture.h. */
static void picture_note(const struct exec *exec, bool *there) {
    if (there != NULL) {
        multi_picture_note(exec->call->session, exec->keys, exec->key_count, there);
    }
}

/* The function of the transaction: everything here happens in memory. */
static void exec_decide(void *context) {
    struct exec *exec = context;

    exec->changed = false;
    for (size_t i = 0; i < exec->multi->watch_count && !exec->changed; i++) {
        exec->changed = watch_changed(exec, &exec->multi->watches[i]);
    }
    for (size_t i = 0; i < exec->multi->count && !exec->changed; i++) {
        struct multi_item *item = exec->multi->items[i];

        follow_select(exec, item);
        if (!item->denied && has_keys(item)) {
            item_run(exec, item);
        }
        picture_note(exec, item->there);
    }
    picture_note(exec, exec->after);
    database_back(exec);
}

/* Rules may have changed since the command was queued. */
static void check_rules(struct exec *exec) {
    struct connection *connection = exec->call->connection;

    for (size_t i = 0; i < exec->multi->count; i++) {
        struct multi_item *item = exec->multi->items[i];
        size_t index;

        item->denied = !acl_connection_plain(connection, exec->call->server->acl) &&
                       acl_user_check(connection->user, item->command, item->argv, item->argc, &index) != ACL_ALLOWED;
    }
}

static void count_call(const struct exec *exec, const struct multi_item *item) {
    struct worker_stats *stats = &exec->call->worker->stats;
    _Atomic uint64_t *calls = &stats->command[item->command->index].calls;

    atomic_store_explicit(calls, atomic_load_explicit(calls, memory_order_relaxed) + 1, memory_order_relaxed);
    atomic_store_explicit(&stats->commands, atomic_load_explicit(&stats->commands, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

/* As Redis: what would make the connection a listener of another kind. */
static bool blocks(const struct command *command) {
    return command->handler == cmd_ssubscribe || command->handler == cmd_monitor;
}

static void refuse_to_block(struct call *call) {
    bool monitor = call->command->handler == cmd_monitor;

    command_error(call, monitor ? "ERR MONITOR isn't allowed for DENY BLOCKING client"
                                : "ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client");
}

static void item_reply(const struct exec *exec, struct multi_item *item, uint32_t attention) {
    struct call call = item_call(exec, item);

    if (item->denied) {
        reply_error(call.reply,
                    "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. "
                    "This command is no longer allowed for the following reason: no permission to execute the command "
                    "or subcommand");
        return;
    }
    count_call(exec, item);
    if ((attention & ATTENTION_MONITOR) != 0) {
        monitor_show(&call);
    }
    if (!item->ran) {
        const struct multi_picture picture = {exec->keys, exec->key_count, item->there, exec->after};

        call.picture = item->there != NULL ? &picture : NULL;
        (blocks(item->command) ? refuse_to_block : item->command->handler)(&call);
        return;
    }
    if ((attention & ATTENTION_NOTIFY) != 0 && (item->command->flags & COMMAND_WRITE) != 0) {
        notify_executed(&call, output_peek(&item->output), item->deleted);
    }
    output_move(call.reply->output, &item->output);
    follow_select(exec, item);
}

static enum dm_status run_transaction(struct exec *exec) {
    struct dm_transact request = {
        .keys = exec->keys, .count = (uint32_t)exec->key_count, .decide = exec_decide, .context = exec};

    if (exec->key_count == 0) {
        return DM_OK;
    }
    return exec->key_count > UINT32_MAX ? DM_TOO_LARGE : dm_transact(exec->call->session, &request);
}

static void exec_reply(struct exec *exec, enum dm_status status) {
    struct call *call = exec->call;
    uint32_t attention = atomic_load_explicit(&call->server->attention, memory_order_relaxed);

    if (status == DM_TOO_LARGE) {
        command_errorf(call, "ERR too many keys in one transaction, at most %u", (unsigned)DM_KEYS_MAX);
    } else if (status != DM_OK) {
        command_status_error(call, status, 0);
    } else if (exec->changed) {
        reply_null_array(call->reply);
    } else {
        reply_array(call->reply, exec->multi->count);
        for (size_t i = 0; i < exec->multi->count; i++) {
            item_reply(exec, exec->multi->items[i], attention);
        }
    }
}

void cmd_exec(struct call *call) {
    struct exec exec = {.call = call, .multi = call->connection->multi, .database = call->connection->database};

    if (exec.multi == NULL || !exec.multi->open) {
        command_error(call, "ERR EXEC without MULTI");
        return;
    }
    if (exec.multi->dirty) {
        multi_forget(call->connection);
        command_error(call, "EXECABORT Transaction discarded because of previous errors.");
        return;
    }
    if (!flush_is_alone(exec.multi)) {
        multi_forget(call->connection);
        command_error(call, "EXECABORT Transaction discarded because of: FLUSHDB, FLUSHALL and SWAPDB must be the only "
                            "command on data, and nothing may be watched");
        return;
    }
    exec.multi->open = false; /* what is executed from here on is not queued again */
    check_rules(&exec);
    if (keys_collect(&exec) && pictures_make(&exec)) {
        exec_reply(&exec, run_transaction(&exec));
    } else {
        command_status_error(call, DM_BUSY, 0);
    }
    free(exec.keys);
    free(exec.after);
    multi_forget(call->connection);
}
