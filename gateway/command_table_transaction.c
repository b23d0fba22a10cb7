/* command_table_transaction.c: rows of the command table for several keys at once: facts only, no code.
 *
 * The facts are those that Redis 7.0.15 tells about its commands, so that COMMAND INFO and COMMAND DOCS say the same.
 * The order of flags, categories and arguments is that in which they are shown. Read by command_table.c.
 */
#include "cmd.h"
#include "command_table.h"

static const struct command_key_spec watch_keys[] = {
    {.flags = KEY_RO, .begin_index = 1, .last_key = -1, .key_step = 1},
    {.flags = 0},
};

static const struct command_argument watch_arguments[] = {
    {.name = "key", .type = ARGUMENT_KEY, .flags = ARGUMENT_MULTIPLE},
    {.name = NULL},
};

static const struct command_key_spec msetnx_keys[] = {
    {.flags = KEY_OW | KEY_INSERT, .begin_index = 1, .last_key = -1, .key_step = 2},
    {.flags = 0},
};

static const char *const msetnx_tips[] = {"request_policy:multi_shard", "response_policy:agg_min", NULL};

static const struct command_argument key_value_arguments[] = {
    {.name = "key", .type = ARGUMENT_KEY},
    {.name = "value", .type = ARGUMENT_STRING},
    {.name = NULL},
};

static const struct command_argument msetnx_arguments[] = {
    {.name = "key_value", .type = ARGUMENT_BLOCK, .flags = ARGUMENT_MULTIPLE, .arguments = key_value_arguments},
    {.name = NULL},
};

static const struct command_key_spec rename_keys[] = {
    {.flags = KEY_RW | KEY_ACCESS | KEY_DELETE, .begin_index = 1, .last_key = 0, .key_step = 1},
    {.flags = KEY_OW | KEY_UPDATE, .begin_index = 2, .last_key = 0, .key_step = 1},
    {.flags = 0},
};

static const struct command_argument rename_arguments[] = {
    {.name = "key", .type = ARGUMENT_KEY},
    {.name = "newkey", .type = ARGUMENT_KEY, .key_spec = 1},
    {.name = NULL},
};

static const struct command_key_spec renamenx_keys[] = {
    {.flags = KEY_RW | KEY_ACCESS | KEY_DELETE, .begin_index = 1, .last_key = 0, .key_step = 1},
    {.flags = KEY_OW | KEY_INSERT, .begin_index = 2, .last_key = 0, .key_step = 1},
    {.flags = 0},
};

static const struct command_history renamenx_history[] = {
    {"3.2.0", "The command no longer returns an error when source and destination names are the same."},
    {NULL, NULL},
};

static const struct command_key_spec copy_keys[] = {
    {.flags = KEY_RO | KEY_ACCESS, .begin_index = 1, .last_key = 0, .key_step = 1},
    {.flags = KEY_OW | KEY_UPDATE, .begin_index = 2, .last_key = 0, .key_step = 1},
    {.flags = 0},
};

static const struct command_argument copy_arguments[] = {
    {.name = "source", .type = ARGUMENT_KEY},
    {.name = "destination", .type = ARGUMENT_KEY, .key_spec = 1},
    {.name = "destination-db", .type = ARGUMENT_INTEGER, .token = "DB", .flags = ARGUMENT_OPTIONAL},
    {.name = "replace", .type = ARGUMENT_PURE_TOKEN, .token = "REPLACE", .flags = ARGUMENT_OPTIONAL},
    {.name = NULL},
};

static const struct command_key_spec move_keys[] = {
    {.flags = KEY_RW | KEY_ACCESS | KEY_UPDATE, .begin_index = 1, .last_key = 0, .key_step = 1},
    {.flags = 0},
};

static const struct command_argument move_arguments[] = {
    {.name = "key", .type = ARGUMENT_KEY},
    {.name = "db", .type = ARGUMENT_INTEGER},
    {.name = NULL},
};

struct command command_group_transaction[] = {
    {
        .name = "multi",
        .handler = cmd_multi,
        .arity = 1,
        .flags = COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE | COMMAND_FAST | COMMAND_ALLOW_BUSY,
        .categories = CATEGORY_FAST | CATEGORY_TRANSACTION,
        .since = "1.2.0",
        .group = "transactions",
        .summary = "Mark the start of a transaction block",
        .complexity = "O(1)",
    },
    {
        .name = "exec",
        .handler = cmd_exec,
        .arity = 1,
        .flags = COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE | COMMAND_SKIP_SLOWLOG,
        .categories = CATEGORY_SLOW | CATEGORY_TRANSACTION,
        .since = "1.2.0",
        .group = "transactions",
        .summary = "Execute all commands issued after MULTI",
        .complexity = "Depends on commands in the transaction",
    },
    {
        .name = "discard",
        .handler = cmd_discard,
        .arity = 1,
        .flags = COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE | COMMAND_FAST | COMMAND_ALLOW_BUSY,
        .categories = CATEGORY_FAST | CATEGORY_TRANSACTION,
        .since = "2.0.0",
        .group = "transactions",
        .summary = "Discard all commands issued after MULTI",
        .complexity = "O(N), when N is the number of queued commands",
    },
    {
        .name = "watch",
        .handler = cmd_watch,
        .arity = -2,
        .flags = COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE | COMMAND_FAST | COMMAND_ALLOW_BUSY,
        .categories = CATEGORY_FAST | CATEGORY_TRANSACTION,
        .first_key = 1,
        .last_key = -1,
        .key_step = 1,
        .key_specs = watch_keys,
        .since = "2.2.0",
        .group = "transactions",
        .summary = "Watch the given keys to determine execution of the MULTI/EXEC block",
        .complexity = "O(1) for every key.",
        .arguments = watch_arguments,
    },
    {
        .name = "unwatch",
        .handler = cmd_unwatch,
        .arity = 1,
        .flags = COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE | COMMAND_FAST | COMMAND_ALLOW_BUSY,
        .categories = CATEGORY_FAST | CATEGORY_TRANSACTION,
        .since = "2.2.0",
        .group = "transactions",
        .summary = "Forget about all watched keys",
        .complexity = "O(1)",
    },
    {
        .name = "msetnx",
        .handler = cmd_msetnx,
        .arity = -3,
        .flags = COMMAND_WRITE | COMMAND_DENYOOM,
        .categories = CATEGORY_WRITE | CATEGORY_STRING | CATEGORY_SLOW,
        .first_key = 1,
        .last_key = -1,
        .key_step = 2,
        .key_specs = msetnx_keys,
        .tips = msetnx_tips,
        .since = "1.0.1",
        .group = "string",
        .summary = "Set multiple keys to multiple values, only if none of the keys exist",
        .complexity = "O(N) where N is the number of keys to set.",
        .arguments = msetnx_arguments,
    },
    {
        .name = "rename",
        .handler = cmd_rename,
        .arity = 3,
        .flags = COMMAND_WRITE,
        .categories = CATEGORY_KEYSPACE | CATEGORY_WRITE | CATEGORY_SLOW,
        .first_key = 1,
        .last_key = 2,
        .key_step = 1,
        .key_specs = rename_keys,
        .since = "1.0.0",
        .group = "generic",
        .summary = "Rename a key",
        .complexity = "O(1)",
        .arguments = rename_arguments,
    },
    {
        .name = "renamenx",
        .handler = cmd_renamenx,
        .arity = 3,
        .flags = COMMAND_WRITE | COMMAND_FAST,
        .categories = CATEGORY_KEYSPACE | CATEGORY_WRITE | CATEGORY_FAST,
        .first_key = 1,
        .last_key = 2,
        .key_step = 1,
        .key_specs = renamenx_keys,
        .since = "1.0.0",
        .group = "generic",
        .summary = "Rename a key, only if the new key does not exist",
        .complexity = "O(1)",
        .history = renamenx_history,
        .arguments = rename_arguments,
    },
    {
        .name = "copy",
        .handler = cmd_copy,
        .arity = -3,
        .flags = COMMAND_WRITE | COMMAND_DENYOOM,
        .categories = CATEGORY_KEYSPACE | CATEGORY_WRITE | CATEGORY_SLOW,
        .first_key = 1,
        .last_key = 2,
        .key_step = 1,
        .key_specs = copy_keys,
        .since = "6.2.0",
        .group = "generic",
        .summary = "Copy a key",
        .complexity = "O(N) worst case for collections, where N is the number of nested items. O(1) for string values.",
        .arguments = copy_arguments,
    },
    {
        .name = "move",
        .handler = cmd_move,
        .arity = 3,
        .flags = COMMAND_WRITE | COMMAND_FAST,
        .categories = CATEGORY_KEYSPACE | CATEGORY_WRITE | CATEGORY_FAST,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .key_specs = move_keys,
        .since = "1.0.0",
        .group = "generic",
        .summary = "Move a key to another database",
        .complexity = "O(1)",
        .arguments = move_arguments,
    },
    {.name = NULL},
};
