/* command_table_keyspace.c: rows of the command table for all keys at once: facts only, no code.
 *
 * The facts are those that Redis 7.0.15 tells about its commands, so that COMMAND INFO and COMMAND DOCS say the same.
 * The order of flags, categories and arguments is that in which they are shown. Read by command_table.c.
 */
#include "cmd.h"
#include "command_table.h"

static const char *const scan_tips[] = {
    "nondeterministic_output",
    "request_policy:special",
    NULL,
};

static const struct command_history scan_history[] = {
    {"6.0.0", "Added the `TYPE` subcommand."},
    {NULL, NULL},
};

static const struct command_argument scan_arguments[] = {
    {.name = "cursor", .type = ARGUMENT_INTEGER},
    {.name = "pattern", .type = ARGUMENT_PATTERN, .token = "MATCH", .flags = ARGUMENT_OPTIONAL},
    {.name = "count", .type = ARGUMENT_INTEGER, .token = "COUNT", .flags = ARGUMENT_OPTIONAL},
    {.name = "type", .type = ARGUMENT_STRING, .token = "TYPE", .since = "6.0.0", .flags = ARGUMENT_OPTIONAL},
    {.name = NULL},
};

static const char *const keys_tips[] = {
    "request_policy:all_shards",
    "nondeterministic_output_order",
    NULL,
};

static const struct command_argument keys_arguments[] = {
    {.name = "pattern", .type = ARGUMENT_PATTERN},
    {.name = NULL},
};

static const char *const randomkey_tips[] = {
    "request_policy:all_shards",
    "nondeterministic_output",
    NULL,
};

static const char *const dbsize_tips[] = {
    "request_policy:all_shards",
    "response_policy:agg_sum",
    NULL,
};

static const char *const flushdb_tips[] = {
    "request_policy:all_shards",
    "response_policy:all_succeeded",
    NULL,
};

static const struct command_history flushdb_history[] = {
    {"4.0.0", "Added the `ASYNC` flushing mode modifier."},
    {"6.2.0", "Added the `SYNC` flushing mode modifier."},
    {NULL, NULL},
};

static const struct command_argument flushdb_arguments_async[] = {
    {.name = "async", .type = ARGUMENT_PURE_TOKEN, .token = "ASYNC", .since = "4.0.0"},
    {.name = "sync", .type = ARGUMENT_PURE_TOKEN, .token = "SYNC", .since = "6.2.0"},
    {.name = NULL},
};

static const struct command_argument flushdb_arguments[] = {
    {.name = "async", .type = ARGUMENT_ONEOF, .flags = ARGUMENT_OPTIONAL, .arguments = flushdb_arguments_async},
    {.name = NULL},
};

static const struct command_argument swapdb_arguments[] = {
    {.name = "index1", .type = ARGUMENT_INTEGER},
    {.name = "index2", .type = ARGUMENT_INTEGER},
    {.name = NULL},
};

struct command command_group_keyspace[] = {
    {
        .name = "scan",
        .handler = cmd_scan,
        .arity = -2,
        .flags = COMMAND_READONLY,
        .categories = CATEGORY_KEYSPACE | CATEGORY_READ | CATEGORY_SLOW,
        .tips = scan_tips,
        .since = "2.8.0",
        .group = "generic",
        .summary = "Incrementally iterate the keys space",
        .complexity = "O(1) for every call. O(N) for a complete iteration, including enough command calls for the "
                      "cursor to return back to 0. N is the number of elements inside the collection.",
        .history = scan_history,
        .arguments = scan_arguments,
    },
    {
        .name = "keys",
        .handler = cmd_keys,
        .arity = 2,
        .flags = COMMAND_READONLY,
        .categories = CATEGORY_KEYSPACE | CATEGORY_READ | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .tips = keys_tips,
        .since = "1.0.0",
        .group = "generic",
        .summary = "Find all keys matching the given pattern",
        .complexity = "O(N) with N being the number of keys in the database, under the assumption that the key names "
                      "in the database and the given pattern have limited length.",
        .arguments = keys_arguments,
    },
    {
        .name = "randomkey",
        .handler = cmd_randomkey,
        .arity = 1,
        .flags = COMMAND_READONLY,
        .categories = CATEGORY_KEYSPACE | CATEGORY_READ | CATEGORY_SLOW,
        .tips = randomkey_tips,
        .since = "1.0.0",
        .group = "generic",
        .summary = "Return a random key from the keyspace",
        .complexity = "O(1)",
    },
    {
        .name = "dbsize",
        .handler = cmd_dbsize,
        .arity = 1,
        .flags = COMMAND_READONLY | COMMAND_FAST,
        .categories = CATEGORY_KEYSPACE | CATEGORY_READ | CATEGORY_FAST,
        .tips = dbsize_tips,
        .since = "1.0.0",
        .group = "server",
        .summary = "Return the number of keys in the selected database",
        .complexity = "O(1)",
    },
    {
        .name = "flushdb",
        .handler = cmd_flushdb,
        .arity = -1,
        .flags = COMMAND_WRITE,
        .categories = CATEGORY_KEYSPACE | CATEGORY_WRITE | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .tips = flushdb_tips,
        .since = "1.0.0",
        .group = "server",
        .summary = "Remove all keys from the current database",
        .complexity = "O(N) where N is the number of keys in the selected database",
        .history = flushdb_history,
        .arguments = flushdb_arguments,
    },
    {
        .name = "flushall",
        .handler = cmd_flushall,
        .arity = -1,
        .flags = COMMAND_WRITE,
        .categories = CATEGORY_KEYSPACE | CATEGORY_WRITE | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .tips = flushdb_tips,
        .since = "1.0.0",
        .group = "server",
        .summary = "Remove all keys from all databases",
        .complexity = "O(N) where N is the total number of keys in all databases",
        .history = flushdb_history,
        .arguments = flushdb_arguments,
    },
    {
        .name = "swapdb",
        .handler = cmd_swapdb,
        .arity = 3,
        .flags = COMMAND_WRITE | COMMAND_FAST,
        .categories = CATEGORY_KEYSPACE | CATEGORY_WRITE | CATEGORY_FAST | CATEGORY_DANGEROUS,
        .since = "4.0.0",
        .group = "server",
        .summary = "Swaps two Redis databases",
        .complexity = "O(N) where N is the count of clients watching or blocking on keys from both databases.",
        .arguments = swapdb_arguments,
    },
    {.name = NULL},
};
