/* command_table_object.c: rows of the command table for looking into objects and moving them between stores:
 * facts only, no code.
 *
 * The facts are those that Redis 7.0.15 tells about its commands, so that COMMAND INFO and COMMAND DOCS say the same.
 * The order of flags, categories and arguments is that in which they are shown. Read by command_table.c.
 */
#include "cmd.h"
#include "command_table.h"

static const struct command_key_spec object_freq_keys[] = {
    {.flags = KEY_RO, .begin_index = 2, .last_key = 0, .key_step = 1},
    {.flags = 0},
};

static const char *const object_freq_tips[] = {
    "nondeterministic_output",
    NULL,
};

static const struct command_argument object_freq_arguments[] = {
    {.name = "key", .type = ARGUMENT_KEY},
    {.name = NULL},
};

static struct command object_subcommands[] = {
    {
        .name = "object|freq",
        .handler = cmd_object_freq,
        .arity = 3,
        .flags = COMMAND_READONLY,
        .categories = CATEGORY_KEYSPACE | CATEGORY_READ | CATEGORY_SLOW,
        .first_key = 2,
        .last_key = 2,
        .key_step = 1,
        .key_specs = object_freq_keys,
        .tips = object_freq_tips,
        .since = "4.0.0",
        .group = "generic",
        .summary = "Get the logarithmic access frequency counter of a Redis object",
        .complexity = "O(1)",
        .arguments = object_freq_arguments,
    },
    {
        .name = "object|encoding",
        .handler = cmd_object_encoding,
        .arity = 3,
        .flags = COMMAND_READONLY,
        .categories = CATEGORY_KEYSPACE | CATEGORY_READ | CATEGORY_SLOW,
        .first_key = 2,
        .last_key = 2,
        .key_step = 1,
        .key_specs = object_freq_keys,
        .tips = object_freq_tips,
        .since = "2.2.3",
        .group = "generic",
        .summary = "Inspect the internal encoding of a Redis object",
        .complexity = "O(1)",
        .arguments = object_freq_arguments,
    },
    {
        .name = "object|idletime",
        .handler = cmd_object_idletime,
        .arity = 3,
        .flags = COMMAND_READONLY,
        .categories = CATEGORY_KEYSPACE | CATEGORY_READ | CATEGORY_SLOW,
        .first_key = 2,
        .last_key = 2,
        .key_step = 1,
        .key_specs = object_freq_keys,
        .tips = object_freq_tips,
        .since = "2.2.3",
        .group = "generic",
        .summary = "Get the time since a Redis object was last accessed",
        .complexity = "O(1)",
        .arguments = object_freq_arguments,
    },
    {
        .name = "object|help",
        .handler = cmd_object_help,
        .arity = 2,
        .flags = COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_KEYSPACE | CATEGORY_SLOW,
        .since = "6.2.0",
        .group = "generic",
        .summary = "Show helpful text about the different subcommands",
        .complexity = "O(1)",
    },
    {
        .name = "object|refcount",
        .handler = cmd_object_refcount,
        .arity = 3,
        .flags = COMMAND_READONLY,
        .categories = CATEGORY_KEYSPACE | CATEGORY_READ | CATEGORY_SLOW,
        .first_key = 2,
        .last_key = 2,
        .key_step = 1,
        .key_specs = object_freq_keys,
        .tips = object_freq_tips,
        .since = "2.2.3",
        .group = "generic",
        .summary = "Get the number of references to the value of the key",
        .complexity = "O(1)",
        .arguments = object_freq_arguments,
    },
    {.name = NULL},
};

static const struct command_key_spec dump_keys[] = {
    {.flags = KEY_RO | KEY_ACCESS, .begin_index = 1, .last_key = 0, .key_step = 1},
    {.flags = 0},
};

static const struct command_key_spec restore_keys[] = {
    {.flags = KEY_OW | KEY_UPDATE, .begin_index = 1, .last_key = 0, .key_step = 1},
    {.flags = 0},
};

static const struct command_history restore_history[] = {
    {"3.0.0", "Added the `REPLACE` modifier."},
    {"5.0.0", "Added the `ABSTTL` modifier."},
    {"5.0.0", "Added the `IDLETIME` and `FREQ` options."},
    {NULL, NULL},
};

static const struct command_argument restore_arguments[] = {
    {.name = "key", .type = ARGUMENT_KEY},
    {.name = "ttl", .type = ARGUMENT_INTEGER},
    {.name = "serialized-value", .type = ARGUMENT_STRING},
    {.name = "replace", .type = ARGUMENT_PURE_TOKEN, .token = "REPLACE", .since = "3.0.0", .flags = ARGUMENT_OPTIONAL},
    {.name = "absttl", .type = ARGUMENT_PURE_TOKEN, .token = "ABSTTL", .since = "5.0.0", .flags = ARGUMENT_OPTIONAL},
    {.name = "seconds", .type = ARGUMENT_INTEGER, .token = "IDLETIME", .since = "5.0.0", .flags = ARGUMENT_OPTIONAL},
    {.name = "frequency", .type = ARGUMENT_INTEGER, .token = "FREQ", .since = "5.0.0", .flags = ARGUMENT_OPTIONAL},
    {.name = NULL},
};

static const char *const wait_tips[] = {
    "request_policy:all_shards",
    "response_policy:agg_min",
    NULL,
};

static const struct command_argument wait_arguments[] = {
    {.name = "numreplicas", .type = ARGUMENT_INTEGER},
    {.name = "timeout", .type = ARGUMENT_INTEGER},
    {.name = NULL},
};

struct command command_group_object[] = {
    {
        .name = "object",
        .arity = -2,
        .categories = CATEGORY_SLOW,
        .since = "2.2.3",
        .group = "generic",
        .summary = "A container for object introspection commands",
        .complexity = "Depends on subcommand.",
        .subcommands = object_subcommands,
    },
    {
        .name = "dump",
        .handler = cmd_dump,
        .arity = 2,
        .flags = COMMAND_READONLY,
        .categories = CATEGORY_KEYSPACE | CATEGORY_READ | CATEGORY_SLOW,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .key_specs = dump_keys,
        .tips = object_freq_tips,
        .since = "2.6.0",
        .group = "generic",
        .summary = "Return a serialized version of the value stored at the specified key.",
        .complexity = "O(1) to access the key and additional O(N*M) to serialize it, where N is the number of Redis "
                      "objects composing the value and M their average size. For small string values the time "
                      "complexity is thus O(1)+O(1*M) where M is small, so simply O(1).",
        .arguments = object_freq_arguments,
    },
    {
        .name = "restore",
        .handler = cmd_restore,
        .arity = -4,
        .flags = COMMAND_WRITE | COMMAND_DENYOOM,
        .categories = CATEGORY_KEYSPACE | CATEGORY_WRITE | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .key_specs = restore_keys,
        .since = "2.6.0",
        .group = "generic",
        .summary = "Create a key using the provided serialized value, previously obtained using DUMP.",
        .complexity =
            "O(1) to create the new key and additional O(N*M) to reconstruct the serialized value, where N is the "
            "number of Redis objects composing the value and M their average size. For small string values the time "
            "complexity is thus O(1)+O(1*M) where M is small, so simply O(1). However for sorted set values the "
            "complexity is O(N*M*log(N)) because inserting values into sorted sets is O(log(N)).",
        .history = restore_history,
        .arguments = restore_arguments,
    },
    {
        .name = "wait",
        .handler = cmd_wait,
        .arity = 3,
        .flags = COMMAND_NOSCRIPT,
        .categories = CATEGORY_SLOW | CATEGORY_CONNECTION,
        .tips = wait_tips,
        .since = "3.0.0",
        .group = "generic",
        .summary = "Wait for the synchronous replication of all the write commands sent in the context of the current "
                   "connection",
        .complexity = "O(1)",
        .arguments = wait_arguments,
    },
    {.name = NULL},
};
