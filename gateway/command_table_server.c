/* command_table_server.c: rows of the command table for the server: facts only, no code.
 *
 * The facts are those that Redis 7.0.15 tells about its commands, so that COMMAND INFO and COMMAND DOCS say the same.
 * The order of flags, categories and arguments is that in which they are shown. Read by command_table.c.
 */
#include "cmd.h"
#include "command_table.h"

static const char *const command_info_tips[] = {"nondeterministic_output_order", NULL};

static const struct command_history command_info_history[] = {
    {"7.0.0", "Allowed to be called with no argument to get info on all commands."},
    {NULL, NULL},
};

static const struct command_argument command_names_arguments[] = {
    {.name = "command-name", .type = ARGUMENT_STRING, .flags = ARGUMENT_OPTIONAL | ARGUMENT_MULTIPLE},
    {.name = NULL},
};

static const char *const command_docs_tips[] = {"nondeterministic_output_order", NULL};

static const char *const command_list_tips[] = {"nondeterministic_output_order", NULL};

static const struct command_argument command_list_arguments_filterby[] = {
    {.name = "module-name", .type = ARGUMENT_STRING, .token = "MODULE"},
    {.name = "category", .type = ARGUMENT_STRING, .token = "ACLCAT"},
    {.name = "pattern", .type = ARGUMENT_PATTERN, .token = "PATTERN"},
    {.name = NULL},
};

static const struct command_argument command_list_arguments[] = {
    {.name = "filterby",
     .type = ARGUMENT_ONEOF,
     .token = "FILTERBY",
     .flags = ARGUMENT_OPTIONAL,
     .arguments = command_list_arguments_filterby},
    {.name = NULL},
};

static struct command command_subcommands[] = {
    {
        .name = "command|count",
        .handler = cmd_command_count,
        .arity = 2,
        .flags = COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_SLOW | CATEGORY_CONNECTION,
        .since = "2.8.13",
        .group = "server",
        .summary = "Get total number of Redis commands",
        .complexity = "O(1)",
    },
    {
        .name = "command|info",
        .handler = cmd_command_info,
        .arity = -2,
        .flags = COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_SLOW | CATEGORY_CONNECTION,
        .tips = command_info_tips,
        .since = "2.8.13",
        .group = "server",
        .summary = "Get array of specific Redis command details, or all when no argument is given.",
        .complexity = "O(N) where N is the number of commands to look up",
        .history = command_info_history,
        .arguments = command_names_arguments,
    },
    {
        .name = "command|docs",
        .handler = cmd_command_docs,
        .arity = -2,
        .flags = COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_SLOW | CATEGORY_CONNECTION,
        .tips = command_docs_tips,
        .since = "7.0.0",
        .group = "server",
        .summary = "Get array of specific Redis command documentation",
        .complexity = "O(N) where N is the number of commands to look up",
        .arguments = command_names_arguments,
    },
    {
        .name = "command|list",
        .handler = cmd_command_list,
        .arity = -2,
        .flags = COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_SLOW | CATEGORY_CONNECTION,
        .tips = command_list_tips,
        .since = "7.0.0",
        .group = "server",
        .summary = "Get an array of Redis command names",
        .complexity = "O(N) where N is the total number of Redis commands",
        .arguments = command_list_arguments,
    },
    {
        .name = "command|getkeys",
        .handler = cmd_command_getkeys,
        .arity = -4,
        .flags = COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_SLOW | CATEGORY_CONNECTION,
        .since = "2.8.13",
        .group = "server",
        .summary = "Extract keys given a full Redis command",
        .complexity = "O(N) where N is the number of arguments to the command",
    },
    {
        .name = "command|getkeysandflags",
        .handler = cmd_command_getkeysandflags,
        .arity = -4,
        .flags = COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_SLOW | CATEGORY_CONNECTION,
        .since = "7.0.0",
        .group = "server",
        .summary = "Extract keys and access flags given a full Redis command",
        .complexity = "O(N) where N is the number of arguments to the command",
    },
    {
        .name = "command|help",
        .handler = cmd_command_help,
        .arity = 2,
        .flags = COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_SLOW | CATEGORY_CONNECTION,
        .since = "5.0.0",
        .group = "server",
        .summary = "Show helpful text about the different subcommands",
        .complexity = "O(1)",
    },
    {.name = NULL},
};

static const char *const command_tips[] = {"nondeterministic_output_order", NULL};

static const struct command_history config_get_history[] = {
    {"7.0.0", "Added the ability to pass multiple pattern parameters in one call"},
    {NULL, NULL},
};

static const struct command_argument config_get_arguments_parameter[] = {
    {.name = "parameter", .type = ARGUMENT_STRING},
    {.name = NULL},
};

static const struct command_argument config_get_arguments[] = {
    {.name = "parameter",
     .type = ARGUMENT_BLOCK,
     .flags = ARGUMENT_MULTIPLE,
     .arguments = config_get_arguments_parameter},
    {.name = NULL},
};

static const char *const config_set_tips[] = {"request_policy:all_nodes", "response_policy:all_succeeded", NULL};

static const struct command_history config_set_history[] = {
    {"7.0.0", "Added the ability to set multiple parameters in one call."},
    {NULL, NULL},
};

static const struct command_argument config_set_arguments_parameter_value[] = {
    {.name = "parameter", .type = ARGUMENT_STRING},
    {.name = "value", .type = ARGUMENT_STRING},
    {.name = NULL},
};

static const struct command_argument config_set_arguments[] = {
    {.name = "parameter_value",
     .type = ARGUMENT_BLOCK,
     .flags = ARGUMENT_MULTIPLE,
     .arguments = config_set_arguments_parameter_value},
    {.name = NULL},
};

static struct command config_subcommands[] = {

    {
        .name = "config|resetstat",
        .handler = cmd_config_resetstat,
        .arity = 2,
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .since = "2.0.0",
        .group = "server",
        .summary = "Reset the stats returned by INFO",
        .complexity = "O(1)",
    },

    {
        .name = "config|rewrite",
        .handler = cmd_config_rewrite,
        .arity = 2,
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .since = "2.8.0",
        .group = "server",
        .summary = "Rewrite the configuration file with the in memory configuration",
        .complexity = "O(1)",
    },
    {
        .name = "config|set",
        .handler = cmd_config_set,
        .arity = -4,
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .tips = config_set_tips,
        .since = "2.0.0",
        .group = "server",
        .summary = "Set configuration parameters to the given values",
        .complexity = "O(N) when N is the number of configuration parameters provided",
        .history = config_set_history,
        .arguments = config_set_arguments,
    },
    {
        .name = "config|get",
        .handler = cmd_config_get,
        .arity = -3,
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .since = "2.0.0",
        .group = "server",
        .summary = "Get the values of configuration parameters",
        .complexity = "O(N) when N is the number of configuration parameters provided",
        .history = config_get_history,
        .arguments = config_get_arguments,
    },
    {
        .name = "config|help",
        .handler = cmd_config_help,
        .arity = 2,
        .flags = COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_SLOW,
        .since = "5.0.0",
        .group = "server",
        .summary = "Show helpful text about the different subcommands",
        .complexity = "O(1)",
    },
    {.name = NULL},
};

static const char *const info_tips[] = {"nondeterministic_output", "request_policy:all_shards",
                                        "response_policy:special", NULL};

static const struct command_history info_history[] = {
    {"7.0.0", "Added support for taking multiple section arguments."},
    {NULL, NULL},
};

static const struct command_argument info_arguments[] = {
    {.name = "section", .type = ARGUMENT_STRING, .flags = ARGUMENT_OPTIONAL | ARGUMENT_MULTIPLE},
    {.name = NULL},
};

static const char *const time_tips[] = {"nondeterministic_output", NULL};

struct command command_group_server[] = {
    {
        .name = "command",
        .handler = cmd_command,
        .arity = -1,
        .flags = COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_SLOW | CATEGORY_CONNECTION,
        .tips = command_tips,
        .since = "2.8.13",
        .group = "server",
        .summary = "Get array of Redis command details",
        .complexity = "O(N) where N is the total number of Redis commands",
        .subcommands = command_subcommands,
    },
    {
        .name = "config",
        .arity = -2,
        .categories = CATEGORY_SLOW,
        .since = "2.0.0",
        .group = "server",
        .summary = "A container for server configuration commands",
        .complexity = "Depends on subcommand.",
        .subcommands = config_subcommands,
    },
    {
        .name = "info",
        .handler = cmd_info,
        .arity = -1,
        .flags = COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .tips = info_tips,
        .since = "1.0.0",
        .group = "server",
        .summary = "Get information and statistics about the server",
        .complexity = "O(1)",
        .history = info_history,
        .arguments = info_arguments,
    },
    {
        .name = "time",
        .handler = cmd_time,
        .arity = 1,
        .flags = COMMAND_LOADING | COMMAND_STALE | COMMAND_FAST,
        .categories = CATEGORY_FAST,
        .tips = time_tips,
        .since = "2.6.0",
        .group = "server",
        .summary = "Return the current server time",
        .complexity = "O(1)",
    },
    {.name = NULL},
};
