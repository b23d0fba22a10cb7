/* command.c: executes one parsed command: lookup, arity, authentication, counting, handler; and the helpers that
 * handlers share, above all the one place that turns a dm_status into an error reply.
 *
 * Called by connection.c, in a coroutine of the connection's worker. Statistics are written by that thread only.
 */
#include "command.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "acl_connection.h"
#include "cmd.h"
#include "command_table.h"
#include "latency.h"
#include "live.h"
#include "monitor.h"
#include "multi.h"
#include "notify_events.h"
#include "number.h"
#include "slowlog.h"
#include "ticks.h"
#include "word.h"
#include "worker.h"

#define ERROR_NAME_BYTES 128  /* of a name or of arguments in an error text */
#define ERROR_TEXT_BYTES 4096 /* longest formatted error */
#define HELP_LINE_BYTES 128

#define NS_PER_US 1000u
#define NS_PER_MS 1000000u
#define MS_PER_S 1000
#define SLOW_NS NS_PER_MS /* from here on the settings of SLOWLOG and LATENCY are looked at */
#define TIMED_EVERY 16u
#define PAUSE_LOOK_NS UINT64_C(5000000) /* how soon a command goes on when a pause is over */

static void count(_Atomic uint64_t *counter, uint64_t by) {
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + by, memory_order_relaxed);
}

/* ---- Errors ---- */

int command_text_length(const struct resp_arg *arg, size_t most) {
    return (int)strnlen(arg->bytes, arg->length < most ? arg->length : most);
}

static void count_failed(struct call *call) {
    count(&call->worker->stats.errors, 1);
    count(&call->worker->stats.command[call->command->index].failed, 1);
}

void command_error(struct call *call, const char *text) {
    count_failed(call);
    reply_error(call->reply, text);
}

void command_errorf(struct call *call, const char *format, ...) {
    char text[ERROR_TEXT_BYTES];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    count_failed(call);
    reply_errorf(call->reply, "%s", text); /* which takes line ends out of what came from the client */
}

static const char *status_error_text(enum dm_status status) {
    switch (status) {
    case DM_NO_MEMORY:
        return "OOM command not allowed when used memory > 'maxmemory'.";
    case DM_UNREACHABLE:
        return "CLUSTERDOWN A memory node cannot be reached";
    case DM_UNKNOWN_OUTCOME:
        return "UNKNOWN The outcome is not known: the command may or may not have been executed";
    case DM_BUSY:
        return "TRYAGAIN A limit of this gateway is reached, try again";
    case DM_NO_LEASE:
        return "CLUSTERDOWN The lease of this gateway has run out; nothing was changed";
    case DM_CORRUPT:
        return "CORRUPT The pool does not hold what it must at this key";
    case DM_INCOMPATIBLE:
        return "CLUSTERDOWN The pool has another format or geometry than this gateway";
    case DM_OK:
    case DM_NOT_FOUND:
    case DM_INVALID:
    case DM_TOO_LARGE:
        break;
    }
    return "ERR The store refused the command as invalid";
}

void command_status_error(struct call *call, enum dm_status status, uint64_t bytes) {
    if (status != DM_TOO_LARGE) {
        command_error(call, status_error_text(status));
        return;
    }
    struct dm_pool_info info;

    dm_pool_info(call->server->pool, &info);
    command_errorf(call, "ERR value is too large for this pool: %llu bytes, at most %llu", (unsigned long long)bytes,
                   (unsigned long long)info.value_bytes_max);
}

void command_arity_error(struct call *call) {
    command_errorf(call, "ERR wrong number of arguments for '%s' command", call->command->name);
}

void command_expire_error(struct call *call) {
    command_errorf(call, "ERR invalid expire time in '%s' command", call->command->name);
}

/* ---- Arguments and reading ---- */

bool command_key(struct call *call, size_t index, struct dm_key *key) {
    const struct resp_arg *arg = &call->argv[index];

    if (arg->length > DM_KEY_BYTES_MAX) {
        command_errorf(call, "ERR key is too large: %zu bytes, at most %u", arg->length, DM_KEY_BYTES_MAX);
        return false;
    }
    key->bytes = arg->bytes;
    key->length = (uint32_t)arg->length;
    key->space = call->connection->database;
    return true;
}

bool command_value(struct call *call, size_t index, struct dm_bytes *value) {
    const struct resp_arg *arg = &call->argv[index];

    if (arg->length > UINT32_MAX) {
        command_status_error(call, DM_TOO_LARGE, arg->length);
        return false;
    }
    value->bytes = arg->bytes;
    value->length = (uint32_t)arg->length;
    return true;
}

bool command_integer(struct call *call, size_t index, int64_t *value) {
    if (!number_parse(call->argv[index].bytes, call->argv[index].length, value)) {
        command_error(call, ERROR_NOT_INTEGER);
        return false;
    }
    return true;
}

void command_count_reads(struct call *call, uint64_t hits, uint64_t misses) {
    if (hits > 0) {
        count(&call->worker->stats.keyspace_hits, hits);
    }
    if (misses > 0) {
        count(&call->worker->stats.keyspace_misses, misses);
    }
}

enum dm_status command_read_string(struct call *call, size_t index, struct dm_read *read) {
    struct dm_key key;

    if (!command_key(call, index, &key)) {
        return DM_TOO_LARGE;
    }
    enum dm_status status = dm_get(call->session, &key, read);

    if (status == DM_OK) {
        command_count_reads(call, 1, 0);
        if (read->value.type == DM_TYPE_STRING) {
            return DM_OK;
        }
        dm_read_release(call->session, read);
        command_error(call, ERROR_WRONG_TYPE);
        return DM_INVALID;
    }
    if (status == DM_NOT_FOUND) {
        command_count_reads(call, 0, 1);
    } else {
        command_status_error(call, status, 0);
    }
    return status;
}

int64_t command_now_ms(const struct call *call) { return call->server->env->wall_ms(call->server->env->context); }

/* ---- HELP ---- */

void command_help(struct call *call, const char *const *lines, size_t count) {
    char first[HELP_LINE_BYTES], name[HELP_LINE_BYTES];
    size_t length = strlen(call->command->parent->name);

    for (size_t i = 0; i <= length; i++) {
        name[i] = (char)toupper((unsigned char)call->command->parent->name[i]);
    }
    snprintf(first, sizeof first, "%.64s <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", name);
    reply_array(call->reply, count + 3);
    reply_status(call->reply, first);
    for (size_t i = 0; i < count; i++) {
        reply_status(call->reply, lines[i]);
    }
    reply_status(call->reply, "HELP");
    reply_status(call->reply, "    This text.");
}

/* ---- Execution ---- */

static void unknown_command(struct call *call) {
    char args[ERROR_NAME_BYTES + 8];
    size_t length = 0;

    for (size_t i = 1; i < call->argc && length < ERROR_NAME_BYTES; i++) {
        int shown = command_text_length(&call->argv[i], ERROR_NAME_BYTES - length);

        args[length++] = '\'';
        memcpy(args + length, call->argv[i].bytes, (size_t)shown);
        length += (size_t)shown;
        args[length++] = '\'';
        args[length++] = ' ';
    }
    count(&call->worker->stats.errors, 1);
    reply_errorf(call->reply, "ERR unknown command '%.*s', with args beginning with: %.*s",
                 command_text_length(&call->argv[0], ERROR_NAME_BYTES), call->argv[0].bytes, (int)length, args);
}

/* A browser that was made to talk to us begins like this: closed without a word, as Redis does, so that nothing
 * hidden in the rest of its request is executed. */
static bool is_http(const struct resp_arg *name) {
    return (name->length == 4 && strncasecmp(name->bytes, "post", 4) == 0) ||
           (name->length == 5 && strncasecmp(name->bytes, "host:", 5) == 0);
}

static void unknown_subcommand(struct call *call) {
    char command[32]; /* longer than any name in the table */
    size_t length = call->argv[0].length;

    for (size_t i = 0; i < length; i++) {
        command[i] = (char)toupper((unsigned char)call->argv[0].bytes[i]);
    }
    count(&call->worker->stats.errors, 1);
    reply_errorf(call->reply, "ERR unknown subcommand '%.*s'. Try %.*s HELP.",
                 command_text_length(&call->argv[1], ERROR_NAME_BYTES), call->argv[1].bytes, (int)length, command);
}

/* The row that the arguments mean; NULL when an error was replied. */
static const struct command *command_find(struct call *call) {
    const struct command *command = command_lookup(call->argv[0].bytes, call->argv[0].length);

    if (command == NULL && is_http(&call->argv[0])) {
        call->connection->close_after_reply = true;
        return NULL;
    }
    if (command == NULL) {
        unknown_command(call);
        return NULL;
    }
    if (command->subcommands == NULL || call->argc < 2) {
        return command;
    }
    const struct command *sub = command_subcommand_lookup(command, call->argv[1].bytes, call->argv[1].length);

    if (sub == NULL) {
        unknown_subcommand(call);
    }
    return sub;
}

/* What a RESP2 client may do that gets messages between replies. */
static bool subscriber_allowed(const struct command *command) {
    return command->handler == cmd_subscribe || command->handler == cmd_unsubscribe ||
           command->handler == cmd_psubscribe || command->handler == cmd_punsubscribe ||
           command->handler == cmd_ssubscribe || command->handler == cmd_sunsubscribe || command->handler == cmd_ping ||
           command->handler == cmd_quit || command->handler == cmd_reset;
}

static bool command_allowed(struct call *call) {
    const struct command *command = call->command;

    if (!command_arity_ok(command, call->argc) && command->handler == cmd_exec) {
        multi_forget(call->connection);
        reply_errorf(call->reply,
                     "EXECABORT Transaction discarded because of: wrong number of arguments for '%s' command",
                     command->name);
    } else if (!command_arity_ok(command, call->argc)) {
        reply_errorf(call->reply, "ERR wrong number of arguments for '%s' command", command->name);
    } else if (call->reply->protocol == 2 && connection_subscribed(call->connection) > 0 &&
               !subscriber_allowed(command)) {
        reply_errorf(
            call->reply,
            "ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in "
            "this context",
            command->name);
    } else if (acl_connection_plain(call->connection, call->server->acl) || acl_connection_allows(call)) {
        return true;
    }
    count(&call->worker->stats.errors, 1);
    count(&call->worker->stats.command[command->index].rejected, 1);
    return false;
}

size_t command_secret_from(const struct call *call) {
    if (word_equal(&call->argv[0], "auth")) {
        return 1;
    }
    for (size_t i = 2; i < call->argc && word_equal(&call->argv[0], "hello"); i++) {
        if (word_equal(&call->argv[i], "auth")) {
            return i + 1;
        }
    }
    return call->argc;
}

/* ---- What is rare: somebody watches, or all have to wait ---- */

static bool paused(const struct call *call) {
    const struct pause *pause = &call->server->pause;
    uint64_t until_ns = atomic_load_explicit(&pause->until_ns, memory_order_relaxed);
    bool meant = atomic_load_explicit(&pause->all, memory_order_relaxed) ||
                 (call->command->flags & (COMMAND_WRITE | COMMAND_MAY_REPLICATE)) != 0;

    return meant && until_ns > call->server->env->clock_ns(call->server->env->context) &&
           (call->command->flags & COMMAND_ADMIN) == 0 &&
           !atomic_load_explicit(&call->server->stopping, memory_order_relaxed);
}

static void attend(struct call *call, uint32_t attention) {
    while ((attention & ATTENTION_PAUSE) != 0 && paused(call)) {
        dm_coro_sleep(call->worker->sched, PAUSE_LOOK_NS);
    }
    if ((attention & ATTENTION_MONITOR) != 0) {
        monitor_show(call);
    }
}

/* ---- Times ---- */

/* Would SLOWLOG take a command of this duration? For short ones: the setting is mostly above. */
static bool slowlog_takes(const struct live *live, uint64_t ns) {
    int64_t slow_us = atomic_load_explicit(&live->slowlog_slower_us, memory_order_relaxed);

    return slow_us >= 0 && (int64_t)(ns / NS_PER_US) >= slow_us;
}

/* It may belong into SLOWLOG, and into LATENCY's events. */
static void note_slow(struct call *call, uint64_t ns) {
    struct live *live = call->server->live;
    int64_t slow_us = atomic_load_explicit(&live->slowlog_slower_us, memory_order_relaxed);
    uint32_t spike_ms = atomic_load_explicit(&live->latency_threshold_ms, memory_order_relaxed);

    if (slow_us >= 0 && (int64_t)(ns / NS_PER_US) >= slow_us && (call->command->flags & COMMAND_SKIP_SLOWLOG) == 0) {
        slowlog_add(call->server->slowlog, call, ns / NS_PER_US,
                    atomic_load_explicit(&live->slowlog_max_len, memory_order_relaxed));
    }
    if (spike_ms > 0 && ns / NS_PER_MS >= spike_ms) {
        latency_add(call->server->latency,
                    (call->command->flags & COMMAND_FAST) != 0 ? LATENCY_FAST_COMMAND : LATENCY_COMMAND,
                    command_now_ms(call) / MS_PER_S, (uint32_t)(ns / NS_PER_MS));
    }
}

/* `weight`: how many calls this one stands for; 0: it is only looked at whether it was slow. */
static void measure(struct call *call, uint64_t ticks, uint64_t weight) {
    struct worker_stats *stats = &call->worker->stats;
    uint16_t index = call->command->index;
    uint64_t ns = ticks > INT64_MAX ? 0 : ticks_to_ns(ticks, call->worker->io->ticks_rate); /* another CPU's counter */

    count(&stats->command[index].nanoseconds, ns * weight);
    if (weight > 0 && atomic_load_explicit(&call->server->live->latency_tracking, memory_order_relaxed) != 0) {
        histogram_add(stats->histogram[index], ns, weight);
    }
    if (ns >= SLOW_NS || slowlog_takes(call->server->live, ns)) {
        note_slow(call, ns);
    }
}

/* What takes the same time always, and did not wait, is timed once in TIMED_EVERY calls: reading the counter costs as
 * much as a cheap command. */
static bool timed(const struct call *call, uint64_t calls) {
    return !call->command->constant_time || calls < TIMED_EVERY || calls % TIMED_EVERY == 0 ||
           slowlog_takes(call->server->live, SLOW_NS);
}

static uint64_t weight(const struct call *call, uint64_t calls) {
    bool sampled = call->command->constant_time && calls >= TIMED_EVERY && !slowlog_takes(call->server->live, SLOW_NS);

    return sampled ? TIMED_EVERY : 1;
}

static void run(struct call *call, uint32_t attention) {
    if ((attention & ATTENTION_NOTIFY) != 0 && (call->command->flags & COMMAND_WRITE) != 0) {
        notify_execute(call);
    } else {
        call->command->handler(call);
    }
}

void command_execute(struct call *call) {
    struct connection *connection = call->connection;

    call->command = command_find(call);
    if (call->command == NULL) {
        multi_refused(connection);
        return;
    }
    __atomic_store_n(&connection->last_command, call->command->name, __ATOMIC_RELAXED);
    if (!command_allowed(call)) {
        multi_refused(connection);
        return;
    }
    if (multi_wants(connection, call->command)) {
        multi_queue(call);
        return;
    }
    uint32_t attention = atomic_load_explicit(&call->server->attention, memory_order_relaxed);

    if (attention != 0) {
        attend(call, attention);
        connection->ticks_fresh = false;
    }
    struct worker_stats *stats = &call->worker->stats;
    uint16_t index = call->command->index;
    uint64_t calls = atomic_load_explicit(&stats->command[index].calls, memory_order_relaxed);
    uint64_t turn = call->worker->io->turns;
    bool exact = timed(call, calls);

    count(&stats->command[index].calls, 1);
    count(&stats->commands, 1);
    if (exact && !connection->ticks_fresh) {
        connection->ticks = ticks_now();
    }
    run(call, attention);
    connection->ticks_fresh = exact || call->worker->io->turns != turn; /* it has waited */
    if (connection->ticks_fresh) {
        uint64_t now = ticks_now(), took = now - connection->ticks;

        connection->ticks = now;
        measure(call, took, exact ? weight(call, calls) : 0);
    }
}
