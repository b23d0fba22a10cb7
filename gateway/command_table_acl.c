/* command_table_acl.c: rows of the command table for users and their rights: facts only, no code.
 *
 * The facts are those that Redis 7.0.15 tells about its commands, so that COMMAND INFO and COMMAND DOCS say the same.
 * The order of flags, categories and arguments is that in which they are shown. Read by command_table.c.
 */
#include "cmd.h"
#include "command_table.h"

static const struct command_argument acl_cat_arguments[] = {
    {.name = "categoryname", .type = ARGUMENT_STRING, .flags = ARGUMENT_OPTIONAL},
    {.name = NULL},
};

static const struct command_argument acl_deluser_arguments[] = {
    {.name = "username", .type = ARGUMENT_STRING, .flags = ARGUMENT_MULTIPLE},
    {.name = NULL},
};

static const struct command_argument acl_dryrun_arguments[] = {
    {.name = "username", .type = ARGUMENT_STRING},
    {.name = "command", .type = ARGUMENT_STRING},
    {.name = "arg", .type = ARGUMENT_STRING, .flags = ARGUMENT_OPTIONAL | ARGUMENT_MULTIPLE},
    {.name = NULL},
};

static const struct command_argument acl_genpass_arguments[] = {
    {.name = "bits", .type = ARGUMENT_INTEGER, .flags = ARGUMENT_OPTIONAL},
    {.name = NULL},
};

static const struct command_history acl_getuser_history[] = {
    {"6.2.0", "Added Pub/Sub channel patterns."},
    {"7.0.0",
     "Added selectors and changed the format of key and channel patterns from a list to their rule representation."},
    {NULL, NULL},
};

static const struct command_argument acl_getuser_arguments[] = {
    {.name = "username", .type = ARGUMENT_STRING},
    {.name = NULL},
};

static const struct command_argument acl_log_arguments_operation[] = {
    {.name = "count", .type = ARGUMENT_INTEGER},
    {.name = "reset", .type = ARGUMENT_PURE_TOKEN, .token = "RESET"},
    {.name = NULL},
};

static const struct command_argument acl_log_arguments[] = {
    {.name = "operation", .type = ARGUMENT_ONEOF, .flags = ARGUMENT_OPTIONAL, .arguments = acl_log_arguments_operation},
    {.name = NULL},
};

static const struct command_history acl_setuser_history[] = {
    {"6.2.0", "Added Pub/Sub channel patterns."},
    {"7.0.0", "Added selectors and key based permissions."},
    {NULL, NULL},
};

static const struct command_argument acl_setuser_arguments[] = {
    {.name = "username", .type = ARGUMENT_STRING},
    {.name = "rule", .type = ARGUMENT_STRING, .flags = ARGUMENT_OPTIONAL | ARGUMENT_MULTIPLE},
    {.name = NULL},
};

static struct command acl_subcommands[] = {
    {
        .name = "acl|cat",
        .handler = cmd_acl_cat,
        .arity = -2,
        .flags = COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_SLOW,
        .since = "6.0.0",
        .group = "server",
        .summary = "List the ACL categories or the commands inside a category",
        .complexity = "O(1) since the categories and commands are a fixed set.",
        .arguments = acl_cat_arguments,
    },
    {
        .name = "acl|deluser",
        .handler = cmd_acl_deluser,
        .arity = -3,
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .since = "6.0.0",
        .group = "server",
        .summary = "Remove the specified ACL users and the associated rules",
        .complexity = "O(1) amortized time considering the typical user.",
        .arguments = acl_deluser_arguments,
    },
    {
        .name = "acl|dryrun",
        .handler = cmd_acl_dryrun,
        .arity = -4,
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .since = "7.0.0",
        .group = "server",
        .summary = "Returns whether the user can execute the given command without executing the command.",
        .complexity = "O(1).",
        .arguments = acl_dryrun_arguments,
    },
    {
        .name = "acl|genpass",
        .handler = cmd_acl_genpass,
        .arity = -2,
        .flags = COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_SLOW,
        .since = "6.0.0",
        .group = "server",
        .summary = "Generate a pseudorandom secure password to use for ACL users",
        .complexity = "O(1)",
        .arguments = acl_genpass_arguments,
    },
    {
        .name = "acl|getuser",
        .handler = cmd_acl_getuser,
        .arity = 3,
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .since = "6.0.0",
        .group = "server",
        .summary = "Get the rules for a specific ACL user",
        .complexity = "O(N). Where N is the number of password, command and pattern rules that the user has.",
        .history = acl_getuser_history,
        .arguments = acl_getuser_arguments,
    },
    {
        .name = "acl|help",
        .handler = cmd_acl_help,
        .arity = 2,
        .flags = COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_SLOW,
        .since = "6.0.0",
        .group = "server",
        .summary = "Show helpful text about the different subcommands",
        .complexity = "O(1)",
    },
    {
        .name = "acl|list",
        .handler = cmd_acl_list,
        .arity = 2,
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .since = "6.0.0",
        .group = "server",
        .summary = "List the current ACL rules in ACL config file format",
        .complexity = "O(N). Where N is the number of configured users.",
    },
    {
        .name = "acl|load",
        .handler = cmd_acl_load,
        .arity = 2,
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .since = "6.0.0",
        .group = "server",
        .summary = "Reload the ACLs from the configured ACL file",
        .complexity = "O(N). Where N is the number of configured users.",
    },
    {
        .name = "acl|log",
        .handler = cmd_acl_log,
        .arity = -2,
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .since = "6.0.0",
        .group = "server",
        .summary = "List latest events denied because of ACLs in place",
        .complexity = "O(N) with N being the number of entries shown.",
        .arguments = acl_log_arguments,
    },
    {
        .name = "acl|save",
        .handler = cmd_acl_save,
        .arity = 2,
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .since = "6.0.0",
        .group = "server",
        .summary = "Save the current ACL rules in the configured ACL file",
        .complexity = "O(N). Where N is the number of configured users.",
    },
    {
        .name = "acl|setuser",
        .handler = cmd_acl_setuser,
        .arity = -3,
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .since = "6.0.0",
        .group = "server",
        .summary = "Modify or create the rules for a specific ACL user",
        .complexity = "O(N). Where N is the number of rules provided.",
        .history = acl_setuser_history,
        .arguments = acl_setuser_arguments,
    },
    {
        .name = "acl|users",
        .handler = cmd_acl_users,
        .arity = 2,
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .since = "6.0.0",
        .group = "server",
        .summary = "List the username of all the configured ACL rules",
        .complexity = "O(N). Where N is the number of configured users.",
    },
    {
        .name = "acl|whoami",
        .handler = cmd_acl_whoami,
        .arity = 2,
        .flags = COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_SLOW,
        .since = "6.0.0",
        .group = "server",
        .summary = "Return the name of the user associated to the current connection",
        .complexity = "O(1)",
    },
    {.name = NULL},
};

struct command command_group_acl[] = {
    {
        .name = "acl",
        .arity = -2,
        .categories = CATEGORY_SLOW,
        .since = "6.0.0",
        .group = "server",
        .summary = "A container for Access List Control commands ",
        .complexity = "Depends on subcommand.",
        .subcommands = acl_subcommands,
    },
    {.name = NULL},
};
