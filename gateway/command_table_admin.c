/* command_table_admin.c: rows of the command table for running a server, and for its developers: facts only, no code.
 *
 * The facts are those that Redis 7.0.15 tells about its commands, so that COMMAND INFO and COMMAND DOCS say the same.
 * The order of flags, categories and arguments is that in which they are shown. Read by command_table.c.
 */
#include "cmd.h"
#include "command_table.h"

static const struct command_argument lolwut_arguments[] = {
    {.name = "version", .type = ARGUMENT_INTEGER, .token = "VERSION", .flags = ARGUMENT_OPTIONAL},
    {.name = NULL},
};

static const struct command_argument replicaof_arguments_args_host_port[] = {
    {.name = "host", .type = ARGUMENT_STRING},
    {.name = "port", .type = ARGUMENT_INTEGER},
    {.name = NULL},
};

static const struct command_argument replicaof_arguments_args_no_one[] = {
    {.name = "no", .type = ARGUMENT_PURE_TOKEN, .token = "NO"},
    {.name = "one", .type = ARGUMENT_PURE_TOKEN, .token = "ONE"},
    {.name = NULL},
};

static const struct command_argument replicaof_arguments_args[] = {
    {.name = "host-port", .type = ARGUMENT_BLOCK, .arguments = replicaof_arguments_args_host_port},
    {.name = "no-one", .type = ARGUMENT_BLOCK, .arguments = replicaof_arguments_args_no_one},
    {.name = NULL},
};

static const struct command_argument replicaof_arguments[] = {
    {.name = "args", .type = ARGUMENT_ONEOF, .arguments = replicaof_arguments_args},
    {.name = NULL},
};

static const struct command_argument failover_arguments_target[] = {
    {.name = "host", .type = ARGUMENT_STRING},
    {.name = "port", .type = ARGUMENT_INTEGER},
    {.name = "force", .type = ARGUMENT_PURE_TOKEN, .token = "FORCE", .flags = ARGUMENT_OPTIONAL},
    {.name = NULL},
};

static const struct command_argument failover_arguments[] = {
    {.name = "target",
     .type = ARGUMENT_BLOCK,
     .token = "TO",
     .flags = ARGUMENT_OPTIONAL,
     .arguments = failover_arguments_target},
    {.name = "abort", .type = ARGUMENT_PURE_TOKEN, .token = "ABORT", .flags = ARGUMENT_OPTIONAL},
    {.name = "milliseconds", .type = ARGUMENT_INTEGER, .token = "TIMEOUT", .flags = ARGUMENT_OPTIONAL},
    {.name = NULL},
};

static const char *const memory_doctor_tips[] = {
    "nondeterministic_output",
    "request_policy:all_shards",
    "response_policy:special",
    NULL,
};

static const char *const memory_purge_tips[] = {
    "request_policy:all_shards",
    "response_policy:all_succeeded",
    NULL,
};

static const struct command_key_spec memory_usage_keys[] = {
    {.flags = KEY_RO, .begin_index = 2, .last_key = 0, .key_step = 1},
    {.flags = 0},
};

static const struct command_argument memory_usage_arguments[] = {
    {.name = "key", .type = ARGUMENT_KEY},
    {.name = "count", .type = ARGUMENT_INTEGER, .token = "SAMPLES", .flags = ARGUMENT_OPTIONAL},
    {.name = NULL},
};

static struct command memory_subcommands[] = {
    {
        .name = "memory|doctor",
        .handler = cmd_memory_doctor,
        .arity = 2,
        .categories = CATEGORY_SLOW,
        .tips = memory_doctor_tips,
        .since = "4.0.0",
        .group = "server",
        .summary = "Outputs memory problems report",
        .complexity = "O(1)",
    },
    {
        .name = "memory|stats",
        .handler = cmd_memory_stats,
        .arity = 2,
        .categories = CATEGORY_SLOW,
        .tips = memory_doctor_tips,
        .since = "4.0.0",
        .group = "server",
        .summary = "Show memory usage details",
        .complexity = "O(1)",
    },
    {
        .name = "memory|help",
        .handler = cmd_memory_help,
        .arity = 2,
        .flags = COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_SLOW,
        .since = "4.0.0",
        .group = "server",
        .summary = "Show helpful text about the different subcommands",
        .complexity = "O(1)",
    },
    {
        .name = "memory|purge",
        .handler = cmd_memory_purge,
        .arity = 2,
        .categories = CATEGORY_SLOW,
        .tips = memory_purge_tips,
        .since = "4.0.0",
        .group = "server",
        .summary = "Ask the allocator to release memory",
        .complexity = "Depends on how much memory is allocated, could be slow",
    },
    {
        .name = "memory|usage",
        .handler = cmd_memory_usage,
        .arity = -3,
        .flags = COMMAND_READONLY,
        .categories = CATEGORY_READ | CATEGORY_SLOW,
        .first_key = 2,
        .last_key = 2,
        .key_step = 1,
        .key_specs = memory_usage_keys,
        .since = "4.0.0",
        .group = "server",
        .summary = "Estimate the memory usage of a key",
        .complexity = "O(N) where N is the number of samples.",
        .arguments = memory_usage_arguments,
    },
    {
        .name = "memory|malloc-stats",
        .handler = cmd_memory_malloc_stats,
        .arity = 2,
        .categories = CATEGORY_SLOW,
        .tips = memory_doctor_tips,
        .since = "4.0.0",
        .group = "server",
        .summary = "Show allocator internal stats",
        .complexity = "Depends on how much memory is allocated, could be slow",
    },
    {.name = NULL},
};

struct command command_group_admin[] = {
    {
        .name = "debug",
        .handler = cmd_debug,
        .arity = -2,
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .since = "1.0.0",
        .group = "server",
        .summary = "A container for debugging commands",
        .complexity = "Depends on subcommand.",
        .internal = true,
    },
    {
        .name = "lolwut",
        .handler = cmd_lolwut,
        .arity = -1,
        .flags = COMMAND_READONLY | COMMAND_FAST,
        .categories = CATEGORY_READ | CATEGORY_FAST,
        .since = "5.0.0",
        .group = "server",
        .summary = "Display some computer art and the Redis version",
        .arguments = lolwut_arguments,
    },
    {
        .name = "role",
        .handler = cmd_role,
        .arity = 1,
        .flags = COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE | COMMAND_FAST,
        .categories = CATEGORY_ADMIN | CATEGORY_FAST | CATEGORY_DANGEROUS,
        .since = "2.8.12",
        .group = "server",
        .summary = "Return the role of the instance in the context of replication",
        .complexity = "O(1)",
    },
    {
        .name = "replicaof",
        .handler = cmd_replicaof,
        .arity = 3,
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT | COMMAND_STALE | COMMAND_NO_ASYNC_LOADING,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .since = "5.0.0",
        .group = "server",
        .summary = "Make the server a replica of another instance, or promote it as master.",
        .complexity = "O(1)",
        .arguments = replicaof_arguments,
    },
    {
        .name = "slaveof",
        .handler = cmd_slaveof,
        .arity = 3,
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT | COMMAND_STALE | COMMAND_NO_ASYNC_LOADING,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .since = "1.0.0",
        .group = "server",
        .summary = "Make the server a replica of another instance, or promote it as master.",
        .complexity = "O(1)",
        .deprecated_since = "5.0.0",
        .replaced_by = "`REPLICAOF`",
        .arguments = replicaof_arguments,
    },
    {
        .name = "failover",
        .handler = cmd_failover,
        .arity = -1,
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT | COMMAND_STALE,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .since = "6.2.0",
        .group = "server",
        .summary = "Start a coordinated failover between this server and one of its replicas.",
        .complexity = "O(1)",
        .arguments = failover_arguments,
    },
    {
        .name = "memory",
        .arity = -2,
        .categories = CATEGORY_SLOW,
        .since = "4.0.0",
        .group = "server",
        .summary = "A container for memory diagnostics commands",
        .complexity = "Depends on subcommand.",
        .subcommands = memory_subcommands,
    },
    {.name = NULL},
};
