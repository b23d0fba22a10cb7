/* command_table_generic.c: rows of the command table for keys of any type: facts only, no code.
 *
 * The facts are those that Redis 7.0.15 tells about its commands, so that COMMAND INFO and COMMAND DOCS say the same.
 * The order of flags, categories and arguments is that in which they are shown. Read by command_table.c.
 */
#include "cmd.h"
#include "command_table.h"

static const struct command_key_spec key_rm_delete_all[] = {
    {.flags = KEY_RM | KEY_DELETE, .begin_index = 1, .last_key = -1, .key_step = 1},
    {.flags = 0},
};

static const char *const del_tips[] = {"request_policy:multi_shard", "response_policy:agg_sum", NULL};

static const struct command_argument keys_arguments[] = {
    {.name = "key", .type = ARGUMENT_KEY, .flags = ARGUMENT_MULTIPLE},
    {.name = NULL},
};

static const char *const unlink_tips[] = {"request_policy:multi_shard", "response_policy:agg_sum", NULL};

static const struct command_key_spec key_ro_all[] = {
    {.flags = KEY_RO, .begin_index = 1, .last_key = -1, .key_step = 1},
    {.flags = 0},
};

static const char *const exists_tips[] = {"request_policy:multi_shard", "response_policy:agg_sum", NULL};

static const struct command_history exists_history[] = {
    {"3.0.3", "Accepts multiple `key` arguments."},
    {NULL, NULL},
};

static const struct command_key_spec type_keys[] = {
    {.flags = KEY_RO, .begin_index = 1, .last_key = 0, .key_step = 1},
    {.flags = 0},
};

static const struct command_argument key_arguments[] = {
    {.name = "key", .type = ARGUMENT_KEY},
    {.name = NULL},
};

static const char *const touch_tips[] = {"request_policy:multi_shard", "response_policy:agg_sum", NULL};

static const struct command_key_spec key_rw_update[] = {
    {.flags = KEY_RW | KEY_UPDATE, .begin_index = 1, .last_key = 0, .key_step = 1},
    {.flags = 0},
};

static const struct command_history expire_history[] = {
    {"7.0.0", "Added options: `NX`, `XX`, `GT` and `LT`."},
    {NULL, NULL},
};

static const struct command_argument expire_condition_arguments[] = {
    {.name = "nx", .type = ARGUMENT_PURE_TOKEN, .token = "NX"},
    {.name = "xx", .type = ARGUMENT_PURE_TOKEN, .token = "XX"},
    {.name = "gt", .type = ARGUMENT_PURE_TOKEN, .token = "GT"},
    {.name = "lt", .type = ARGUMENT_PURE_TOKEN, .token = "LT"},
    {.name = NULL},
};

static const struct command_argument expire_arguments[] = {
    {.name = "key", .type = ARGUMENT_KEY},
    {.name = "seconds", .type = ARGUMENT_INTEGER},
    {.name = "condition",
     .type = ARGUMENT_ONEOF,
     .since = "7.0.0",
     .flags = ARGUMENT_OPTIONAL,
     .arguments = expire_condition_arguments},
    {.name = NULL},
};

static const struct command_history pexpire_history[] = {
    {"7.0.0", "Added options: `NX`, `XX`, `GT` and `LT`."},
    {NULL, NULL},
};

static const struct command_argument pexpire_arguments[] = {
    {.name = "key", .type = ARGUMENT_KEY},
    {.name = "milliseconds", .type = ARGUMENT_INTEGER},
    {.name = "condition",
     .type = ARGUMENT_ONEOF,
     .since = "7.0.0",
     .flags = ARGUMENT_OPTIONAL,
     .arguments = expire_condition_arguments},
    {.name = NULL},
};

static const struct command_history expireat_history[] = {
    {"7.0.0", "Added options: `NX`, `XX`, `GT` and `LT`."},
    {NULL, NULL},
};

static const struct command_argument expireat_arguments[] = {
    {.name = "key", .type = ARGUMENT_KEY},
    {.name = "unix-time-seconds", .type = ARGUMENT_UNIX_TIME},
    {.name = "condition",
     .type = ARGUMENT_ONEOF,
     .since = "7.0.0",
     .flags = ARGUMENT_OPTIONAL,
     .arguments = expire_condition_arguments},
    {.name = NULL},
};

static const struct command_history pexpireat_history[] = {
    {"7.0.0", "Added options: `NX`, `XX`, `GT` and `LT`."},
    {NULL, NULL},
};

static const struct command_argument pexpireat_arguments[] = {
    {.name = "key", .type = ARGUMENT_KEY},
    {.name = "unix-time-milliseconds", .type = ARGUMENT_UNIX_TIME},
    {.name = "condition",
     .type = ARGUMENT_ONEOF,
     .since = "7.0.0",
     .flags = ARGUMENT_OPTIONAL,
     .arguments = expire_condition_arguments},
    {.name = NULL},
};

static const struct command_key_spec key_ro_access[] = {
    {.flags = KEY_RO | KEY_ACCESS, .begin_index = 1, .last_key = 0, .key_step = 1},
    {.flags = 0},
};

static const char *const ttl_tips[] = {"nondeterministic_output", NULL};

static const struct command_history ttl_history[] = {
    {"2.8.0", "Added the -2 reply."},
    {NULL, NULL},
};

static const char *const pttl_tips[] = {"nondeterministic_output", NULL};

static const struct command_history pttl_history[] = {
    {"2.8.0", "Added the -2 reply."},
    {NULL, NULL},
};

struct command command_group_generic[] = {
    {
        .name = "del",
        .handler = cmd_del,
        .arity = -2,
        .flags = COMMAND_WRITE,
        .categories = CATEGORY_KEYSPACE | CATEGORY_WRITE | CATEGORY_SLOW,
        .first_key = 1,
        .last_key = -1,
        .key_step = 1,
        .key_specs = key_rm_delete_all,
        .tips = del_tips,
        .since = "1.0.0",
        .group = "generic",
        .summary = "Delete a key",
        .complexity =
            "O(N) where N is the number of keys that will be removed. When a key to remove holds a value other than a "
            "string, the individual complexity for this key is O(M) where M is the number of elements in the list, "
            "set, sorted set or hash. Removing a single key that holds a string value is O(1).",
        .arguments = keys_arguments,
    },
    {
        .name = "unlink",
        .handler = cmd_unlink,
        .arity = -2,
        .flags = COMMAND_WRITE | COMMAND_FAST,
        .categories = CATEGORY_KEYSPACE | CATEGORY_WRITE | CATEGORY_FAST,
        .first_key = 1,
        .last_key = -1,
        .key_step = 1,
        .key_specs = key_rm_delete_all,
        .tips = unlink_tips,
        .since = "4.0.0",
        .group = "generic",
        .summary = "Delete a key asynchronously in another thread. Otherwise it is just as DEL, but non blocking.",
        .complexity =
            "O(1) for each key removed regardless of its size. Then the command does O(N) work in a different thread "
            "in order to reclaim memory, where N is the number of allocations the deleted objects where composed of.",
        .arguments = keys_arguments,
    },
    {
        .name = "exists",
        .handler = cmd_exists,
        .arity = -2,
        .flags = COMMAND_READONLY | COMMAND_FAST,
        .categories = CATEGORY_KEYSPACE | CATEGORY_READ | CATEGORY_FAST,
        .first_key = 1,
        .last_key = -1,
        .key_step = 1,
        .key_specs = key_ro_all,
        .tips = exists_tips,
        .since = "1.0.0",
        .group = "generic",
        .summary = "Determine if a key exists",
        .complexity = "O(N) where N is the number of keys to check.",
        .history = exists_history,
        .arguments = keys_arguments,
    },
    {
        .name = "type",
        .handler = cmd_type,
        .arity = 2,
        .flags = COMMAND_READONLY | COMMAND_FAST,
        .categories = CATEGORY_KEYSPACE | CATEGORY_READ | CATEGORY_FAST,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .key_specs = type_keys,
        .since = "1.0.0",
        .group = "generic",
        .summary = "Determine the type stored at key",
        .complexity = "O(1)",
        .arguments = key_arguments,
    },
    {
        .name = "touch",
        .handler = cmd_touch,
        .arity = -2,
        .flags = COMMAND_READONLY | COMMAND_FAST,
        .categories = CATEGORY_KEYSPACE | CATEGORY_READ | CATEGORY_FAST,
        .first_key = 1,
        .last_key = -1,
        .key_step = 1,
        .key_specs = key_ro_all,
        .tips = touch_tips,
        .since = "3.2.1",
        .group = "generic",
        .summary = "Alters the last access time of a key(s). Returns the number of existing keys specified.",
        .complexity = "O(N) where N is the number of keys that will be touched.",
        .arguments = keys_arguments,
    },
    {
        .name = "expire",
        .handler = cmd_expire,
        .arity = -3,
        .flags = COMMAND_WRITE | COMMAND_FAST,
        .categories = CATEGORY_KEYSPACE | CATEGORY_WRITE | CATEGORY_FAST,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .key_specs = key_rw_update,
        .since = "1.0.0",
        .group = "generic",
        .summary = "Set a key's time to live in seconds",
        .complexity = "O(1)",
        .history = expire_history,
        .arguments = expire_arguments,
    },
    {
        .name = "pexpire",
        .handler = cmd_pexpire,
        .arity = -3,
        .flags = COMMAND_WRITE | COMMAND_FAST,
        .categories = CATEGORY_KEYSPACE | CATEGORY_WRITE | CATEGORY_FAST,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .key_specs = key_rw_update,
        .since = "2.6.0",
        .group = "generic",
        .summary = "Set a key's time to live in milliseconds",
        .complexity = "O(1)",
        .history = pexpire_history,
        .arguments = pexpire_arguments,
    },
    {
        .name = "expireat",
        .handler = cmd_expireat,
        .arity = -3,
        .flags = COMMAND_WRITE | COMMAND_FAST,
        .categories = CATEGORY_KEYSPACE | CATEGORY_WRITE | CATEGORY_FAST,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .key_specs = key_rw_update,
        .since = "1.2.0",
        .group = "generic",
        .summary = "Set the expiration for a key as a UNIX timestamp",
        .complexity = "O(1)",
        .history = expireat_history,
        .arguments = expireat_arguments,
    },
    {
        .name = "pexpireat",
        .handler = cmd_pexpireat,
        .arity = -3,
        .flags = COMMAND_WRITE | COMMAND_FAST,
        .categories = CATEGORY_KEYSPACE | CATEGORY_WRITE | CATEGORY_FAST,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .key_specs = key_rw_update,
        .since = "2.6.0",
        .group = "generic",
        .summary = "Set the expiration for a key as a UNIX timestamp specified in milliseconds",
        .complexity = "O(1)",
        .history = pexpireat_history,
        .arguments = pexpireat_arguments,
    },
    {
        .name = "ttl",
        .handler = cmd_ttl,
        .arity = 2,
        .flags = COMMAND_READONLY | COMMAND_FAST,
        .categories = CATEGORY_KEYSPACE | CATEGORY_READ | CATEGORY_FAST,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .key_specs = key_ro_access,
        .tips = ttl_tips,
        .since = "1.0.0",
        .group = "generic",
        .summary = "Get the time to live for a key in seconds",
        .complexity = "O(1)",
        .history = ttl_history,
        .arguments = key_arguments,
    },
    {
        .name = "pttl",
        .handler = cmd_pttl,
        .arity = 2,
        .flags = COMMAND_READONLY | COMMAND_FAST,
        .categories = CATEGORY_KEYSPACE | CATEGORY_READ | CATEGORY_FAST,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .key_specs = key_ro_access,
        .tips = pttl_tips,
        .since = "2.6.0",
        .group = "generic",
        .summary = "Get the time to live for a key in milliseconds",
        .complexity = "O(1)",
        .history = pttl_history,
        .arguments = key_arguments,
    },
    {
        .name = "expiretime",
        .handler = cmd_expiretime,
        .arity = 2,
        .flags = COMMAND_READONLY | COMMAND_FAST,
        .categories = CATEGORY_KEYSPACE | CATEGORY_READ | CATEGORY_FAST,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .key_specs = key_ro_access,
        .since = "7.0.0",
        .group = "generic",
        .summary = "Get the expiration Unix timestamp for a key",
        .complexity = "O(1)",
        .arguments = key_arguments,
    },
    {
        .name = "pexpiretime",
        .handler = cmd_pexpiretime,
        .arity = 2,
        .flags = COMMAND_READONLY | COMMAND_FAST,
        .categories = CATEGORY_KEYSPACE | CATEGORY_READ | CATEGORY_FAST,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .key_specs = key_ro_access,
        .since = "7.0.0",
        .group = "generic",
        .summary = "Get the expiration Unix timestamp for a key in milliseconds",
        .complexity = "O(1)",
        .arguments = key_arguments,
    },
    {
        .name = "persist",
        .handler = cmd_persist,
        .arity = 2,
        .flags = COMMAND_WRITE | COMMAND_FAST,
        .categories = CATEGORY_KEYSPACE | CATEGORY_WRITE | CATEGORY_FAST,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .key_specs = key_rw_update,
        .since = "2.2.0",
        .group = "generic",
        .summary = "Remove the expiration from a key",
        .complexity = "O(1)",
        .arguments = key_arguments,
    },
    {.name = NULL},
};
