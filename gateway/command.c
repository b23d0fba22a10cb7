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

#include "cmd.h"
#include "command_table.h"
#include "number.h"
#include "word.h"

#define ERROR_NAME_BYTES 128  /* of a name or of arguments in an error text */
#define ERROR_TEXT_BYTES 4096 /* longest formatted error */
#define HELP_LINE_BYTES 128

/* A clock costs as much as a cheap command, so beyond the first calls only one in TIMED_EVERY is timed and counts for
 * all of them. */
#define TIMED_EVERY 16

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

static bool command_allowed(struct call *call) {
    const struct command *command = call->command;

    if (!command_arity_ok(command, call->argc)) {
        reply_errorf(call->reply, "ERR wrong number of arguments for '%s' command", command->name);
    } else if (!call->connection->authenticated && call->server->config->requirepass[0] != '\0' &&
               (command->flags & COMMAND_NO_AUTH) == 0) {
        reply_error(call->reply, "NOAUTH Authentication required.");
    } else {
        return true;
    }
    count(&call->worker->stats.errors, 1);
    count(&call->worker->stats.command[command->index].rejected, 1);
    return false;
}

static uint64_t now_ns(const struct call *call) { return call->server->env->clock_ns(call->server->env->context); }

void command_execute(struct call *call) {
    call->command = command_find(call);
    if (call->command == NULL) {
        return;
    }
    __atomic_store_n(&call->connection->last_command, call->command->name, __ATOMIC_RELAXED);
    if (!command_allowed(call)) {
        return;
    }
    struct worker_stats *stats = &call->worker->stats;
    uint16_t index = call->command->index;
    uint64_t calls = atomic_load_explicit(&stats->command[index].calls, memory_order_relaxed);

    count(&stats->command[index].calls, 1);
    count(&stats->commands, 1);
    if (calls >= TIMED_EVERY && calls % TIMED_EVERY != 0) {
        call->command->handler(call);
        return;
    }
    uint64_t started_ns = now_ns(call);

    call->command->handler(call);
    count(&stats->command[index].nanoseconds, (now_ns(call) - started_ns) * (calls < TIMED_EVERY ? 1 : TIMED_EVERY));
}
