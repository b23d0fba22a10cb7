/* command_table_hyperloglog.c: rows of the command table for HyperLogLogs: facts only, no code.
 *
 * The facts are those that Redis 7.0.15 tells about its commands, so that COMMAND INFO and COMMAND DOCS say the same.
 * The order of flags, categories and arguments is that in which they are shown. Read by command_table.c.
 */
#include "cmd.h"
#include "command_table.h"

static const struct command_key_spec pfadd_keys[] = {
    {.flags = KEY_RW | KEY_INSERT, .begin_index = 1, .last_key = 0, .key_step = 1},
    {.flags = 0},
};

static const struct command_argument pfadd_arguments[] = {
    {.name = "key", .type = ARGUMENT_KEY},
    {.name = "element", .type = ARGUMENT_STRING, .flags = ARGUMENT_OPTIONAL | ARGUMENT_MULTIPLE},
    {.name = NULL},
};

static const struct command_key_spec pfcount_keys[] = {
    {.flags = KEY_RW | KEY_ACCESS,
     .notes = "RW because it may change the internal representation of the key, and propagate to replicas",
     .begin_index = 1,
     .last_key = -1,
     .key_step = 1},
    {.flags = 0},
};

static const struct command_argument pfcount_arguments[] = {
    {.name = "key", .type = ARGUMENT_KEY, .flags = ARGUMENT_MULTIPLE},
    {.name = NULL},
};

static const struct command_key_spec pfmerge_keys[] = {
    {.flags = KEY_RW | KEY_ACCESS | KEY_INSERT, .begin_index = 1, .last_key = 0, .key_step = 1},
    {.flags = KEY_RO | KEY_ACCESS, .begin_index = 2, .last_key = -1, .key_step = 1},
    {.flags = 0},
};

static const struct command_argument pfmerge_arguments[] = {
    {.name = "destkey", .type = ARGUMENT_KEY},
    {.name = "sourcekey", .type = ARGUMENT_KEY, .key_spec = 1, .flags = ARGUMENT_MULTIPLE},
    {.name = NULL},
};

static const struct command_key_spec pfdebug_keys[] = {
    {.flags = KEY_RW | KEY_ACCESS, .begin_index = 2, .last_key = 0, .key_step = 1},
    {.flags = 0},
};

static const struct command_argument pfdebug_arguments[] = {
    {.name = "subcommand", .type = ARGUMENT_STRING},
    {.name = "key", .type = ARGUMENT_KEY},
    {.name = NULL},
};

struct command command_group_hyperloglog[] = {
    {
        .name = "pfadd",
        .handler = cmd_pfadd,
        .arity = -2,
        .flags = COMMAND_WRITE | COMMAND_DENYOOM | COMMAND_FAST,
        .categories = CATEGORY_WRITE | CATEGORY_HYPERLOGLOG | CATEGORY_FAST,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .key_specs = pfadd_keys,
        .since = "2.8.9",
        .group = "hyperloglog",
        .summary = "Adds the specified elements to the specified HyperLogLog.",
        .complexity = "O(1) to add every element.",
        .arguments = pfadd_arguments,
    },
    {
        .name = "pfcount",
        .handler = cmd_pfcount,
        .arity = -2,
        .flags = COMMAND_READONLY,
        .categories = CATEGORY_READ | CATEGORY_HYPERLOGLOG | CATEGORY_SLOW,
        .first_key = 1,
        .last_key = -1,
        .key_step = 1,
        .key_specs = pfcount_keys,
        .since = "2.8.9",
        .group = "hyperloglog",
        .summary = "Return the approximated cardinality of the set(s) observed by the HyperLogLog at key(s).",
        .complexity = "O(1) with a very small average constant time when called with a single key. O(N) with N being "
                      "the number of keys, and much bigger constant times, when called with multiple keys.",
        .arguments = pfcount_arguments,
    },
    {
        .name = "pfmerge",
        .handler = cmd_pfmerge,
        .arity = -2,
        .flags = COMMAND_WRITE | COMMAND_DENYOOM,
        .categories = CATEGORY_WRITE | CATEGORY_HYPERLOGLOG | CATEGORY_SLOW,
        .first_key = 1,
        .last_key = -1,
        .key_step = 1,
        .key_specs = pfmerge_keys,
        .since = "2.8.9",
        .group = "hyperloglog",
        .summary = "Merge N different HyperLogLogs into a single one.",
        .complexity = "O(N) to merge N HyperLogLogs, but with high constant times.",
        .arguments = pfmerge_arguments,
    },
    {
        .name = "pfdebug",
        .handler = cmd_pfdebug,
        .arity = 3,
        .flags = COMMAND_WRITE | COMMAND_DENYOOM | COMMAND_ADMIN,
        .categories = CATEGORY_WRITE | CATEGORY_HYPERLOGLOG | CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .first_key = 2,
        .last_key = 2,
        .key_step = 1,
        .key_specs = pfdebug_keys,
        .since = "2.8.9",
        .group = "hyperloglog",
        .summary = "Internal commands for debugging HyperLogLog values",
        .complexity = "N/A",
        .internal = true,
        .arguments = pfdebug_arguments,
    },
    {
        .name = "pfselftest",
        .handler = cmd_pfselftest,
        .arity = 1,
        .flags = COMMAND_ADMIN,
        .categories = CATEGORY_HYPERLOGLOG | CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .since = "2.8.9",
        .group = "hyperloglog",
        .summary = "An internal command for testing HyperLogLog values",
        .complexity = "N/A",
        .internal = true,
    },
    {.name = NULL},
};
