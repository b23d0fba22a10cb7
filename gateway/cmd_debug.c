/* cmd_debug.c: DEBUG, as far as it is harmless and test suites use it. In a coroutine of the connection's worker.
 *
 * Not here: what would stop, crash or look into the process.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cmd_object.h"
#include "rdb.h"
#include "word.h"

#define SLEEP_SECONDS_MAX 3600.0
#define SLEEP_PIECE_NS UINT64_C(50000000) /* a gateway that stops does not wait longer */
#define NS_PER_S 1e9
#define NUMBER_BYTES 64
#define TEXT_BYTES 128
#define LOG_BYTES 512

typedef void debug_handler(struct call *call);

static void debug_sleep(struct call *call) {
    char text[NUMBER_BYTES];

    snprintf(text, sizeof text, "%.*s", command_text_length(&call->argv[2], sizeof text - 1), call->argv[2].bytes);
    double seconds = strtod(text, NULL);
    uint64_t left_ns =
        seconds > 0 ? (uint64_t)((seconds < SLEEP_SECONDS_MAX ? seconds : SLEEP_SECONDS_MAX) * NS_PER_S) : 0;

    while (left_ns > 0 && !atomic_load_explicit(&call->server->stopping, memory_order_relaxed)) {
        uint64_t piece_ns = left_ns < SLEEP_PIECE_NS ? left_ns : SLEEP_PIECE_NS;

        dm_coro_sleep(call->worker->sched, piece_ns);
        left_ns -= piece_ns;
    }
    reply_ok(call->reply);
}

static void debug_object(struct call *call) {
    char text[TEXT_BYTES];
    struct dm_read read = {0};
    enum dm_status status = command_read_string(call, 2, &read);

    if (status == DM_NOT_FOUND) {
        command_error(call, "ERR no such key");
    }
    if (status != DM_OK) {
        return;
    }
    uint8_t *dump = malloc((size_t)read.value.length + RDB_OVERHEAD_BYTES);

    if (dump == NULL) {
        command_status_error(call, DM_BUSY, 0);
    } else {
        size_t bytes = rdb_dump(read.value.bytes, read.value.length, dump) - RDB_FRAME_BYTES;

        snprintf(text, sizeof text,
                 "Value at:%p refcount:%" PRId32 " encoding:%s serializedlength:%zu lru:0 lru_seconds_idle:0",
                 (const void *)read.value.bytes, object_references(&read.value), object_encoding(&read.value), bytes);
        reply_status(call->reply, text);
    }
    free(dump);
    dm_read_release(call->session, &read);
}

static void debug_error(struct call *call) {
    command_errorf(call, "%.*s", command_text_length(&call->argv[2], TEXT_BYTES), call->argv[2].bytes);
}

static void debug_log(struct call *call) {
    char text[LOG_BYTES];

    snprintf(text, sizeof text, "DEBUG LOG: %.*s", command_text_length(&call->argv[2], TEXT_BYTES),
             call->argv[2].bytes);
    call->server->env->log(call->server->env->context, DM_LOG_WARNING, text);
    reply_ok(call->reply);
}

/* Expired keys are never shown, whoever removes them and when; and nothing of these has another state. */
static void debug_nothing(struct call *call) { reply_ok(call->reply); }

/* The data is not in this process: after a reload it would be the same. */
static void debug_reload(struct call *call) {
    for (size_t i = 2; i < call->argc; i++) {
        const struct resp_arg *arg = &call->argv[i];

        if (!word_equal(arg, "merge") && !word_equal(arg, "noflush") && !word_equal(arg, "nosave")) {
            command_error(call, "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.");
            return;
        }
    }
    reply_ok(call->reply);
}

/* ---- DEBUG PROTOCOL: one reply of each type ---- */

static void protocol_numbers(struct call *call, bool with_booleans) {
    for (int i = 0; i < 3; i++) {
        reply_integer(call->reply, i);
        if (with_booleans) {
            reply_boolean(call->reply, i == 1);
        }
    }
}

static void debug_protocol(struct call *call) {
    static const char verbatim[] = "This is a verbatim\nstring";
    const struct resp_arg *type = &call->argv[2];

    if (word_equal(type, "string")) {
        reply_bulk_text(call->reply, "Hello World");
    } else if (word_equal(type, "integer")) {
        reply_integer(call->reply, 12345);
    } else if (word_equal(type, "double")) {
        reply_double(call->reply, 3.141);
    } else if (word_equal(type, "null")) {
        reply_null(call->reply);
    } else if (word_equal(type, "array")) {
        reply_array(call->reply, 3);
        protocol_numbers(call, false);
    } else if (word_equal(type, "set")) {
        reply_set(call->reply, 3);
        protocol_numbers(call, false);
    } else if (word_equal(type, "map")) {
        reply_map(call->reply, 3);
        protocol_numbers(call, true);
    } else if (word_equal(type, "verbatim")) {
        reply_verbatim(call->reply, verbatim, sizeof verbatim - 1, "txt");
    } else if (word_equal(type, "true") || word_equal(type, "false")) {
        reply_boolean(call->reply, word_equal(type, "true"));
    } else {
        command_error(call, "ERR Wrong protocol type name. Please use one of the following: string|integer|double|null|"
                            "array|set|map|verbatim|true|false");
    }
}

static void debug_help(struct call *call) {
    static const char *const lines[] = {
        "DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "CHANGE-REPL-ID",
        "    Does nothing: there are no replication ids.",
        "ERROR <string>",
        "    An error reply with this text.",
        "LOG <message>",
        "    Writes the message to the log.",
        "OBJECT <key>",
        "    About the value of a key.",
        "PROTOCOL <type>",
        "    A reply of this type.",
        "QUICKLIST-PACKED-THRESHOLD <size>",
        "    Does nothing.",
        "RELOAD [option ...]",
        "    Does nothing: the data is not in this process.",
        "SET-ACTIVE-EXPIRE <0|1>",
        "    Does nothing: expired keys are never shown.",
        "SLEEP <seconds>",
        "    Answers after so long a time. Other connections do not wait.",
        "HELP",
        "    This text.",
    };
    reply_array(call->reply, sizeof lines / sizeof lines[0]);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        reply_status(call->reply, lines[i]);
    }
}

static const struct {
    const char *name;
    debug_handler *handler;
    size_t argc; /* with both names; 0: any number */
} debug_subcommands[] = {
    {"sleep", debug_sleep, 3},
    {"object", debug_object, 3},
    {"error", debug_error, 3},
    {"log", debug_log, 3},
    {"protocol", debug_protocol, 3},
    {"reload", debug_reload, 0},
    {"set-active-expire", debug_nothing, 3},
    {"quicklist-packed-threshold", debug_nothing, 3},
    {"change-repl-id", debug_nothing, 2},
    {"help", debug_help, 2},
};

void cmd_debug(struct call *call) {
    for (size_t i = 0; i < sizeof debug_subcommands / sizeof debug_subcommands[0]; i++) {
        if (word_equal(&call->argv[1], debug_subcommands[i].name) &&
            (debug_subcommands[i].argc == 0 || debug_subcommands[i].argc == call->argc)) {
            debug_subcommands[i].handler(call);
            return;
        }
    }
    command_errorf(call, "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try DEBUG HELP.",
                   command_text_length(&call->argv[1], TEXT_BYTES), call->argv[1].bytes);
}
