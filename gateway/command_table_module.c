/* command_table_module.c: rows of the command table for
 * modules, of which there are none: facts only, no code.
 *
 * The facts are those that Redis 7.0.15 tells about its commands, so that COMMAND INFO and COMMAND DOCS say the same.
 * The order of flags, categories and arguments is that in which they are shown. Read by command_table.c.
 */
#include "cmd.h"
#include "command_table.h"

static const struct command_argument module_loadex_arguments_configs[] = {
    {.name = "name", .type = ARGUMENT_STRING},
    {.name = "value", .type = ARGUMENT_STRING},
    {.name = NULL},
};

static const struct command_argument module_loadex_arguments_args[] = {
    {.name = "arg", .type = ARGUMENT_STRING},
    {.name = NULL},
};

static const struct command_argument module_loadex_arguments[] = {
    {.name = "path", .type = ARGUMENT_STRING},
    {.name = "configs",
     .type = ARGUMENT_BLOCK,
     .token = "CONFIG",
     .flags = ARGUMENT_OPTIONAL | ARGUMENT_MULTIPLE | ARGUMENT_MULTIPLE_TOKEN,
     .arguments = module_loadex_arguments_configs},
    {.name = "args",
     .type = ARGUMENT_BLOCK,
     .token = "ARGS",
     .flags = ARGUMENT_OPTIONAL | ARGUMENT_MULTIPLE,
     .arguments = module_loadex_arguments_args},
    {.name = NULL},
};

static const struct command_argument module_unload_arguments[] = {
    {.name = "name", .type = ARGUMENT_STRING},
    {.name = NULL},
};

static const struct command_argument module_load_arguments[] = {
    {.name = "path", .type = ARGUMENT_STRING},
    {.name = "arg", .type = ARGUMENT_STRING, .flags = ARGUMENT_OPTIONAL | ARGUMENT_MULTIPLE},
    {.name = NULL},
};

static const char *const module_list_tips[] = {
    "nondeterministic_output_order",
    NULL,
};

static struct command module_subcommands[] = {
    {
        .name = "module|loadex",
        .handler = cmd_module_forbidden,
        .arity = -3,
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT | COMMAND_NO_ASYNC_LOADING,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .since = "7.0.0",
        .group = "server",
        .summary = "Load a module with extended parameters",
        .complexity = "O(1)",
        .arguments = module_loadex_arguments,
    },
    {
        .name = "module|help",
        .handler = cmd_module_help,
        .arity = 2,
        .flags = COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_SLOW,
        .since = "5.0.0",
        .group = "server",
        .summary = "Show helpful text about the different subcommands",
        .complexity = "O(1)",
    },
    {
        .name = "module|unload",
        .handler = cmd_module_forbidden,
        .arity = 3,
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT | COMMAND_NO_ASYNC_LOADING,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .since = "4.0.0",
        .group = "server",
        .summary = "Unload a module",
        .complexity = "O(1)",
        .arguments = module_unload_arguments,
    },
    {
        .name = "module|load",
        .handler = cmd_module_forbidden,
        .arity = -3,
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT | COMMAND_NO_ASYNC_LOADING,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .since = "4.0.0",
        .group = "server",
        .summary = "Load a module",
        .complexity = "O(1)",
        .arguments = module_load_arguments,
    },
    {
        .name = "module|list",
        .handler = cmd_module_list,
        .arity = 2,
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .tips = module_list_tips,
        .since = "4.0.0",
        .group = "server",
        .summary = "List all modules loaded by the server",
        .complexity = "O(N) where N is the number of loaded modules.",
    },
    {.name = NULL},
};

struct command command_group_module[] = {
    {
        .name = "module",
        .arity = -2,
        .categories = CATEGORY_SLOW,
        .since = "4.0.0",
        .group = "server",
        .summary = "A container for module commands",
        .complexity = "Depends on subcommand.",
        .subcommands = module_subcommands,
    },
    {.name = NULL},
};
