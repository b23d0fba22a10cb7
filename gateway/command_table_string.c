/* command_table_string.c: rows of the command table for strings: facts only, no code.
 *
 * The facts are those that Redis 7.0.15 tells about its commands, so that COMMAND INFO and COMMAND DOCS say the same.
 * The order of flags, categories and arguments is that in which they are shown. Read by command_table.c.
 */
#include "cmd.h"
#include "command_table.h"

static const struct command_key_spec get_keys[] = {
    {.flags = KEY_RO | KEY_ACCESS, .begin_index = 1, .last_key = 0, .key_step = 1},
    {.flags = 0},
};

static const struct command_argument key_arguments[] = {
    {.name = "key", .type = ARGUMENT_KEY},
    {.name = NULL},
};

static const struct command_key_spec set_keys[] = {
    {.flags = KEY_RW | KEY_ACCESS | KEY_UPDATE | KEY_VARIABLE_FLAGS,
     .notes = "RW and ACCESS due to the optional `GET` argument",
     .begin_index = 1,
     .last_key = 0,
     .key_step = 1},
    {.flags = 0},
};

static const struct command_history set_history[] = {
    {"2.6.12", "Added the `EX`, `PX`, `NX` and `XX` options."},
    {"6.0.0", "Added the `KEEPTTL` option."},
    {"6.2.0", "Added the `GET`, `EXAT` and `PXAT` option."},
    {"7.0.0", "Allowed the `NX` and `GET` options to be used together."},
    {NULL, NULL},
};

static const struct command_argument set_arguments_condition[] = {
    {.name = "nx", .type = ARGUMENT_PURE_TOKEN, .token = "NX"},
    {.name = "xx", .type = ARGUMENT_PURE_TOKEN, .token = "XX"},
    {.name = NULL},
};

static const struct command_argument set_arguments_expiration[] = {
    {.name = "seconds", .type = ARGUMENT_INTEGER, .token = "EX", .since = "2.6.12"},
    {.name = "milliseconds", .type = ARGUMENT_INTEGER, .token = "PX", .since = "2.6.12"},
    {.name = "unix-time-seconds", .type = ARGUMENT_UNIX_TIME, .token = "EXAT", .since = "6.2.0"},
    {.name = "unix-time-milliseconds", .type = ARGUMENT_UNIX_TIME, .token = "PXAT", .since = "6.2.0"},
    {.name = "keepttl", .type = ARGUMENT_PURE_TOKEN, .token = "KEEPTTL", .since = "6.0.0"},
    {.name = NULL},
};

static const struct command_argument set_arguments[] = {
    {.name = "key", .type = ARGUMENT_KEY},
    {.name = "value", .type = ARGUMENT_STRING},
    {.name = "condition",
     .type = ARGUMENT_ONEOF,
     .since = "2.6.12",
     .flags = ARGUMENT_OPTIONAL,
     .arguments = set_arguments_condition},
    {.name = "get", .type = ARGUMENT_PURE_TOKEN, .token = "GET", .since = "6.2.0", .flags = ARGUMENT_OPTIONAL},
    {.name = "expiration", .type = ARGUMENT_ONEOF, .flags = ARGUMENT_OPTIONAL, .arguments = set_arguments_expiration},
    {.name = NULL},
};

static const struct command_key_spec setnx_keys[] = {
    {.flags = KEY_OW | KEY_INSERT, .begin_index = 1, .last_key = 0, .key_step = 1},
    {.flags = 0},
};

static const struct command_argument key_value_arguments[] = {
    {.name = "key", .type = ARGUMENT_KEY},
    {.name = "value", .type = ARGUMENT_STRING},
    {.name = NULL},
};

static const struct command_key_spec key_ow_update[] = {
    {.flags = KEY_OW | KEY_UPDATE, .begin_index = 1, .last_key = 0, .key_step = 1},
    {.flags = 0},
};

static const struct command_argument setex_arguments[] = {
    {.name = "key", .type = ARGUMENT_KEY},
    {.name = "seconds", .type = ARGUMENT_INTEGER},
    {.name = "value", .type = ARGUMENT_STRING},
    {.name = NULL},
};

static const struct command_argument psetex_arguments[] = {
    {.name = "key", .type = ARGUMENT_KEY},
    {.name = "milliseconds", .type = ARGUMENT_INTEGER},
    {.name = "value", .type = ARGUMENT_STRING},
    {.name = NULL},
};

static const struct command_key_spec key_rw_access_update[] = {
    {.flags = KEY_RW | KEY_ACCESS | KEY_UPDATE, .begin_index = 1, .last_key = 0, .key_step = 1},
    {.flags = 0},
};

static const struct command_key_spec getdel_keys[] = {
    {.flags = KEY_RW | KEY_ACCESS | KEY_DELETE, .begin_index = 1, .last_key = 0, .key_step = 1},
    {.flags = 0},
};

static const struct command_key_spec getex_keys[] = {
    {.flags = KEY_RW | KEY_ACCESS | KEY_UPDATE,
     .notes = "RW and UPDATE because it changes the TTL",
     .begin_index = 1,
     .last_key = 0,
     .key_step = 1},
    {.flags = 0},
};

static const struct command_argument getex_arguments_expiration[] = {
    {.name = "seconds", .type = ARGUMENT_INTEGER, .token = "EX"},
    {.name = "milliseconds", .type = ARGUMENT_INTEGER, .token = "PX"},
    {.name = "unix-time-seconds", .type = ARGUMENT_UNIX_TIME, .token = "EXAT"},
    {.name = "unix-time-milliseconds", .type = ARGUMENT_UNIX_TIME, .token = "PXAT"},
    {.name = "persist", .type = ARGUMENT_PURE_TOKEN, .token = "PERSIST"},
    {.name = NULL},
};

static const struct command_argument getex_arguments[] = {
    {.name = "key", .type = ARGUMENT_KEY},
    {.name = "expiration", .type = ARGUMENT_ONEOF, .flags = ARGUMENT_OPTIONAL, .arguments = getex_arguments_expiration},
    {.name = NULL},
};

static const struct command_key_spec mget_keys[] = {
    {.flags = KEY_RO | KEY_ACCESS, .begin_index = 1, .last_key = -1, .key_step = 1},
    {.flags = 0},
};

static const char *const mget_tips[] = {"request_policy:multi_shard", NULL};

static const struct command_argument mget_arguments[] = {
    {.name = "key", .type = ARGUMENT_KEY, .flags = ARGUMENT_MULTIPLE},
    {.name = NULL},
};

static const struct command_key_spec mset_keys[] = {
    {.flags = KEY_OW | KEY_UPDATE, .begin_index = 1, .last_key = -1, .key_step = 2},
    {.flags = 0},
};

static const char *const mset_tips[] = {"request_policy:multi_shard", "response_policy:all_succeeded", NULL};

static const struct command_argument mset_arguments[] = {
    {.name = "key_value", .type = ARGUMENT_BLOCK, .flags = ARGUMENT_MULTIPLE, .arguments = key_value_arguments},
    {.name = NULL},
};

static const struct command_key_spec strlen_keys[] = {
    {.flags = KEY_RO, .begin_index = 1, .last_key = 0, .key_step = 1},
    {.flags = 0},
};

static const struct command_key_spec append_keys[] = {
    {.flags = KEY_RW | KEY_INSERT, .begin_index = 1, .last_key = 0, .key_step = 1},
    {.flags = 0},
};

static const struct command_argument incrby_arguments[] = {
    {.name = "key", .type = ARGUMENT_KEY},
    {.name = "increment", .type = ARGUMENT_INTEGER},
    {.name = NULL},
};

static const struct command_argument decrby_arguments[] = {
    {.name = "key", .type = ARGUMENT_KEY},
    {.name = "decrement", .type = ARGUMENT_INTEGER},
    {.name = NULL},
};

static const struct command_argument incrbyfloat_arguments[] = {
    {.name = "key", .type = ARGUMENT_KEY},
    {.name = "increment", .type = ARGUMENT_DOUBLE},
    {.name = NULL},
};

struct command command_group_string[] = {
    {
        .name = "get",
        .handler = cmd_get,
        .arity = 2,
        .flags = COMMAND_READONLY | COMMAND_FAST,
        .categories = CATEGORY_READ | CATEGORY_STRING | CATEGORY_FAST,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .key_specs = get_keys,
        .since = "1.0.0",
        .group = "string",
        .summary = "Get the value of a key",
        .complexity = "O(1)",
        .arguments = key_arguments,
    },
    {
        .name = "set",
        .handler = cmd_set,
        .arity = -3,
        .flags = COMMAND_WRITE | COMMAND_DENYOOM,
        .categories = CATEGORY_WRITE | CATEGORY_STRING | CATEGORY_SLOW,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .key_specs = set_keys,
        .since = "1.0.0",
        .group = "string",
        .summary = "Set the string value of a key",
        .complexity = "O(1)",
        .history = set_history,
        .arguments = set_arguments,
    },
    {
        .name = "setnx",
        .handler = cmd_setnx,
        .arity = 3,
        .flags = COMMAND_WRITE | COMMAND_DENYOOM | COMMAND_FAST,
        .categories = CATEGORY_WRITE | CATEGORY_STRING | CATEGORY_FAST,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .key_specs = setnx_keys,
        .since = "1.0.0",
        .group = "string",
        .summary = "Set the value of a key, only if the key does not exist",
        .complexity = "O(1)",
        .arguments = key_value_arguments,
    },
    {
        .name = "setex",
        .handler = cmd_setex,
        .arity = 4,
        .flags = COMMAND_WRITE | COMMAND_DENYOOM,
        .categories = CATEGORY_WRITE | CATEGORY_STRING | CATEGORY_SLOW,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .key_specs = key_ow_update,
        .since = "2.0.0",
        .group = "string",
        .summary = "Set the value and expiration of a key",
        .complexity = "O(1)",
        .arguments = setex_arguments,
    },
    {
        .name = "psetex",
        .handler = cmd_psetex,
        .arity = 4,
        .flags = COMMAND_WRITE | COMMAND_DENYOOM,
        .categories = CATEGORY_WRITE | CATEGORY_STRING | CATEGORY_SLOW,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .key_specs = key_ow_update,
        .since = "2.6.0",
        .group = "string",
        .summary = "Set the value and expiration in milliseconds of a key",
        .complexity = "O(1)",
        .arguments = psetex_arguments,
    },
    {
        .name = "getset",
        .handler = cmd_getset,
        .arity = 3,
        .flags = COMMAND_WRITE | COMMAND_DENYOOM | COMMAND_FAST,
        .categories = CATEGORY_WRITE | CATEGORY_STRING | CATEGORY_FAST,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .key_specs = key_rw_access_update,
        .since = "1.0.0",
        .group = "string",
        .summary = "Set the string value of a key and return its old value",
        .complexity = "O(1)",
        .deprecated_since = "6.2.0",
        .replaced_by = "`SET` with the `!GET` argument",
        .arguments = key_value_arguments,
    },
    {
        .name = "getdel",
        .handler = cmd_getdel,
        .arity = 2,
        .flags = COMMAND_WRITE | COMMAND_FAST,
        .categories = CATEGORY_WRITE | CATEGORY_STRING | CATEGORY_FAST,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .key_specs = getdel_keys,
        .since = "6.2.0",
        .group = "string",
        .summary = "Get the value of a key and delete the key",
        .complexity = "O(1)",
        .arguments = key_arguments,
    },
    {
        .name = "getex",
        .handler = cmd_getex,
        .arity = -2,
        .flags = COMMAND_WRITE | COMMAND_FAST,
        .categories = CATEGORY_WRITE | CATEGORY_STRING | CATEGORY_FAST,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .key_specs = getex_keys,
        .since = "6.2.0",
        .group = "string",
        .summary = "Get the value of a key and optionally set its expiration",
        .complexity = "O(1)",
        .arguments = getex_arguments,
    },
    {
        .name = "mget",
        .handler = cmd_mget,
        .arity = -2,
        .flags = COMMAND_READONLY | COMMAND_FAST,
        .categories = CATEGORY_READ | CATEGORY_STRING | CATEGORY_FAST,
        .first_key = 1,
        .last_key = -1,
        .key_step = 1,
        .key_specs = mget_keys,
        .tips = mget_tips,
        .since = "1.0.0",
        .group = "string",
        .summary = "Get the values of all the given keys",
        .complexity = "O(N) where N is the number of keys to retrieve.",
        .arguments = mget_arguments,
    },
    {
        .name = "mset",
        .handler = cmd_mset,
        .arity = -3,
        .flags = COMMAND_WRITE | COMMAND_DENYOOM,
        .categories = CATEGORY_WRITE | CATEGORY_STRING | CATEGORY_SLOW,
        .first_key = 1,
        .last_key = -1,
        .key_step = 2,
        .key_specs = mset_keys,
        .tips = mset_tips,
        .since = "1.0.1",
        .group = "string",
        .summary = "Set multiple keys to multiple values",
        .complexity = "O(N) where N is the number of keys to set.",
        .arguments = mset_arguments,
    },
    {
        .name = "strlen",
        .handler = cmd_strlen,
        .arity = 2,
        .flags = COMMAND_READONLY | COMMAND_FAST,
        .categories = CATEGORY_READ | CATEGORY_STRING | CATEGORY_FAST,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .key_specs = strlen_keys,
        .since = "2.2.0",
        .group = "string",
        .summary = "Get the length of the value stored in a key",
        .complexity = "O(1)",
        .arguments = key_arguments,
    },
    {
        .name = "append",
        .handler = cmd_append,
        .arity = 3,
        .flags = COMMAND_WRITE | COMMAND_DENYOOM | COMMAND_FAST,
        .categories = CATEGORY_WRITE | CATEGORY_STRING | CATEGORY_FAST,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .key_specs = append_keys,
        .since = "2.0.0",
        .group = "string",
        .summary = "Append a value to a key",
        .complexity = "O(1). The amortized time complexity is O(1) assuming the appended value is small and the "
                      "already present value is of any size, since the dynamic string library used by Redis will "
                      "double the free space available on every reallocation.",
        .arguments = key_value_arguments,
    },
    {
        .name = "incr",
        .handler = cmd_incr,
        .arity = 2,
        .flags = COMMAND_WRITE | COMMAND_DENYOOM | COMMAND_FAST,
        .categories = CATEGORY_WRITE | CATEGORY_STRING | CATEGORY_FAST,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .key_specs = key_rw_access_update,
        .since = "1.0.0",
        .group = "string",
        .summary = "Increment the integer value of a key by one",
        .complexity = "O(1)",
        .arguments = key_arguments,
    },
    {
        .name = "decr",
        .handler = cmd_decr,
        .arity = 2,
        .flags = COMMAND_WRITE | COMMAND_DENYOOM | COMMAND_FAST,
        .categories = CATEGORY_WRITE | CATEGORY_STRING | CATEGORY_FAST,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .key_specs = key_rw_access_update,
        .since = "1.0.0",
        .group = "string",
        .summary = "Decrement the integer value of a key by one",
        .complexity = "O(1)",
        .arguments = key_arguments,
    },
    {
        .name = "incrby",
        .handler = cmd_incrby,
        .arity = 3,
        .flags = COMMAND_WRITE | COMMAND_DENYOOM | COMMAND_FAST,
        .categories = CATEGORY_WRITE | CATEGORY_STRING | CATEGORY_FAST,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .key_specs = key_rw_access_update,
        .since = "1.0.0",
        .group = "string",
        .summary = "Increment the integer value of a key by the given amount",
        .complexity = "O(1)",
        .arguments = incrby_arguments,
    },
    {
        .name = "decrby",
        .handler = cmd_decrby,
        .arity = 3,
        .flags = COMMAND_WRITE | COMMAND_DENYOOM | COMMAND_FAST,
        .categories = CATEGORY_WRITE | CATEGORY_STRING | CATEGORY_FAST,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .key_specs = key_rw_access_update,
        .since = "1.0.0",
        .group = "string",
        .summary = "Decrement the integer value of a key by the given number",
        .complexity = "O(1)",
        .arguments = decrby_arguments,
    },
    {
        .name = "incrbyfloat",
        .handler = cmd_incrbyfloat,
        .arity = 3,
        .flags = COMMAND_WRITE | COMMAND_DENYOOM | COMMAND_FAST,
        .categories = CATEGORY_WRITE | CATEGORY_STRING | CATEGORY_FAST,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .key_specs = key_rw_access_update,
        .since = "2.6.0",
        .group = "string",
        .summary = "Increment the float value of a key by the given amount",
        .complexity = "O(1)",
        .arguments = incrbyfloat_arguments,
    },
    {.name = NULL},
};
