/* command_table_connection.c: rows of the command table for the connection itself: facts only, no code.
 *
 * The facts are those that Redis 7.0.15 tells about its commands, so that COMMAND INFO and COMMAND DOCS say the same.
 * The order of flags, categories and arguments is that in which they are shown. Read by command_table.c.
 */
#include "cmd.h"
#include "command_table.h"

static const char *const ping_tips[] = {"request_policy:all_shards", "response_policy:all_succeeded", NULL};

static const struct command_argument ping_arguments[] = {
    {.name = "message", .type = ARGUMENT_STRING, .flags = ARGUMENT_OPTIONAL},
    {.name = NULL},
};

static const struct command_argument echo_arguments[] = {
    {.name = "message", .type = ARGUMENT_STRING},
    {.name = NULL},
};

static const struct command_history hello_history[] = {
    {"6.2.0",
     "`protover` made optional; when called without arguments the command reports the current connection's context."},
    {NULL, NULL},
};

static const struct command_argument hello_arguments_arguments_username_password[] = {
    {.name = "username", .type = ARGUMENT_STRING},
    {.name = "password", .type = ARGUMENT_STRING},
    {.name = NULL},
};

static const struct command_argument hello_arguments_arguments[] = {
    {.name = "protover", .type = ARGUMENT_INTEGER},
    {.name = "username_password",
     .type = ARGUMENT_BLOCK,
     .token = "AUTH",
     .flags = ARGUMENT_OPTIONAL,
     .arguments = hello_arguments_arguments_username_password},
    {.name = "clientname", .type = ARGUMENT_STRING, .token = "SETNAME", .flags = ARGUMENT_OPTIONAL},
    {.name = NULL},
};

static const struct command_argument hello_arguments[] = {
    {.name = "arguments", .type = ARGUMENT_BLOCK, .flags = ARGUMENT_OPTIONAL, .arguments = hello_arguments_arguments},
    {.name = NULL},
};

static const struct command_history auth_history[] = {
    {"6.0.0", "Added ACL style (username and password)."},
    {NULL, NULL},
};

static const struct command_argument auth_arguments[] = {
    {.name = "username", .type = ARGUMENT_STRING, .since = "6.0.0", .flags = ARGUMENT_OPTIONAL},
    {.name = "password", .type = ARGUMENT_STRING},
    {.name = NULL},
};

static const struct command_argument select_arguments[] = {
    {.name = "index", .type = ARGUMENT_INTEGER},
    {.name = NULL},
};

static const struct command_argument client_setname_arguments[] = {
    {.name = "connection-name", .type = ARGUMENT_STRING},
    {.name = NULL},
};

static const char *const client_setinfo_tips[] = {"request_policy:all_nodes", "response_policy:all_succeeded", NULL};

static const struct command_argument client_setinfo_arguments_attr[] = {
    {.name = "libname", .type = ARGUMENT_STRING, .token = "LIB-NAME"},
    {.name = "libver", .type = ARGUMENT_STRING, .token = "LIB-VER"},
    {.name = NULL},
};

static const struct command_argument client_setinfo_arguments[] = {
    {.name = "attr", .type = ARGUMENT_ONEOF, .arguments = client_setinfo_arguments_attr},
    {.name = NULL},
};

static const char *const client_info_tips[] = {"nondeterministic_output", NULL};

static const char *const client_list_tips[] = {"nondeterministic_output", NULL};

static const struct command_history client_list_history[] = {
    {"2.8.12", "Added unique client `id` field."},
    {"5.0.0", "Added optional `TYPE` filter."},
    {"6.0.0", "Added `user` field."},
    {"6.2.0", "Added `argv-mem`, `tot-mem`, `laddr` and `redir` fields and the optional `ID` filter."},
    {"7.0.0", "Added `resp`, `multi-mem`, `rbs` and `rbp` fields."},
    {"7.0.3", "Added `ssub` field."},
    {NULL, NULL},
};

static const struct command_argument client_list_arguments_normal_master_replica_pubsub[] = {
    {.name = "normal", .type = ARGUMENT_PURE_TOKEN, .token = "NORMAL"},
    {.name = "master", .type = ARGUMENT_PURE_TOKEN, .token = "MASTER"},
    {.name = "replica", .type = ARGUMENT_PURE_TOKEN, .token = "REPLICA"},
    {.name = "pubsub", .type = ARGUMENT_PURE_TOKEN, .token = "PUBSUB"},
    {.name = NULL},
};

static const struct command_argument client_list_arguments_id[] = {
    {.name = "client-id", .type = ARGUMENT_INTEGER, .flags = ARGUMENT_MULTIPLE},
    {.name = NULL},
};

static const struct command_argument client_list_arguments[] = {
    {.name = "normal_master_replica_pubsub",
     .type = ARGUMENT_ONEOF,
     .token = "TYPE",
     .since = "5.0.0",
     .flags = ARGUMENT_OPTIONAL,
     .arguments = client_list_arguments_normal_master_replica_pubsub},
    {.name = "id",
     .type = ARGUMENT_BLOCK,
     .token = "ID",
     .since = "6.2.0",
     .flags = ARGUMENT_OPTIONAL,
     .arguments = client_list_arguments_id},
    {.name = NULL},
};

static struct command client_subcommands[] = {
    {
        .name = "client|id",
        .handler = cmd_client_id,
        .arity = 2,
        .flags = COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_SLOW | CATEGORY_CONNECTION,
        .since = "5.0.0",
        .group = "connection",
        .summary = "Returns the client ID for the current connection",
        .complexity = "O(1)",
    },
    {
        .name = "client|setname",
        .handler = cmd_client_setname,
        .arity = 3,
        .flags = COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_SLOW | CATEGORY_CONNECTION,
        .since = "2.6.9",
        .group = "connection",
        .summary = "Set the current connection name",
        .complexity = "O(1)",
        .arguments = client_setname_arguments,
    },
    {
        .name = "client|getname",
        .handler = cmd_client_getname,
        .arity = 2,
        .flags = COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_SLOW | CATEGORY_CONNECTION,
        .since = "2.6.9",
        .group = "connection",
        .summary = "Get the current connection name",
        .complexity = "O(1)",
    },
    {
        .name = "client|setinfo",
        .handler = cmd_client_setinfo,
        .arity = 4,
        .flags = COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_SLOW | CATEGORY_CONNECTION,
        .tips = client_setinfo_tips,
        .since = "7.2.0",
        .group = "connection",
        .summary = "Sets information specific to the client or connection.",
        .complexity = "O(1)",
        .arguments = client_setinfo_arguments,
    },
    {
        .name = "client|info",
        .handler = cmd_client_info,
        .arity = 2,
        .flags = COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_SLOW | CATEGORY_CONNECTION,
        .tips = client_info_tips,
        .since = "6.2.0",
        .group = "connection",
        .summary = "Returns information about the current client connection.",
        .complexity = "O(1)",
    },
    {
        .name = "client|list",
        .handler = cmd_client_list,
        .arity = -2,
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS | CATEGORY_CONNECTION,
        .tips = client_list_tips,
        .since = "2.4.0",
        .group = "connection",
        .summary = "Get the list of client connections",
        .complexity = "O(N) where N is the number of client connections",
        .history = client_list_history,
        .arguments = client_list_arguments,
    },
    {
        .name = "client|help",
        .handler = cmd_client_help,
        .arity = 2,
        .flags = COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_SLOW | CATEGORY_CONNECTION,
        .since = "5.0.0",
        .group = "connection",
        .summary = "Show helpful text about the different subcommands",
        .complexity = "O(1)",
    },
    {.name = NULL},
};

struct command command_group_connection[] = {
    {
        .name = "ping",
        .handler = cmd_ping,
        .arity = -1,
        .flags = COMMAND_FAST,
        .categories = CATEGORY_FAST | CATEGORY_CONNECTION,
        .tips = ping_tips,
        .since = "1.0.0",
        .group = "connection",
        .summary = "Ping the server",
        .complexity = "O(1)",
        .arguments = ping_arguments,
    },
    {
        .name = "echo",
        .handler = cmd_echo,
        .arity = 2,
        .flags = COMMAND_LOADING | COMMAND_STALE | COMMAND_FAST,
        .categories = CATEGORY_FAST | CATEGORY_CONNECTION,
        .since = "1.0.0",
        .group = "connection",
        .summary = "Echo the given string",
        .complexity = "O(1)",
        .arguments = echo_arguments,
    },
    {
        .name = "quit",
        .handler = cmd_quit,
        .arity = -1,
        .flags =
            COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE | COMMAND_FAST | COMMAND_NO_AUTH | COMMAND_ALLOW_BUSY,
        .categories = CATEGORY_FAST | CATEGORY_CONNECTION,
        .since = "1.0.0",
        .group = "connection",
        .summary = "Close the connection",
        .complexity = "O(1)",
    },
    {
        .name = "hello",
        .handler = cmd_hello,
        .arity = -1,
        .flags =
            COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE | COMMAND_FAST | COMMAND_NO_AUTH | COMMAND_ALLOW_BUSY,
        .categories = CATEGORY_FAST | CATEGORY_CONNECTION,
        .since = "6.0.0",
        .group = "connection",
        .summary = "Handshake with Redis",
        .complexity = "O(1)",
        .history = hello_history,
        .arguments = hello_arguments,
    },
    {
        .name = "auth",
        .handler = cmd_auth,
        .arity = -2,
        .flags =
            COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE | COMMAND_FAST | COMMAND_NO_AUTH | COMMAND_ALLOW_BUSY,
        .categories = CATEGORY_FAST | CATEGORY_CONNECTION,
        .since = "1.0.0",
        .group = "connection",
        .summary = "Authenticate to the server",
        .complexity = "O(N) where N is the number of passwords defined for the user",
        .history = auth_history,
        .arguments = auth_arguments,
    },
    {
        .name = "reset",
        .handler = cmd_reset,
        .arity = 1,
        .flags =
            COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE | COMMAND_FAST | COMMAND_NO_AUTH | COMMAND_ALLOW_BUSY,
        .categories = CATEGORY_FAST | CATEGORY_CONNECTION,
        .since = "6.2.0",
        .group = "connection",
        .summary = "Reset the connection",
        .complexity = "O(1)",
    },
    {
        .name = "select",
        .handler = cmd_select,
        .arity = 2,
        .flags = COMMAND_LOADING | COMMAND_STALE | COMMAND_FAST,
        .categories = CATEGORY_FAST | CATEGORY_CONNECTION,
        .since = "1.0.0",
        .group = "connection",
        .summary = "Change the selected database for the current connection",
        .complexity = "O(1)",
        .arguments = select_arguments,
    },
    {
        .name = "client",
        .arity = -2,
        .categories = CATEGORY_SLOW,
        .since = "2.4.0",
        .group = "connection",
        .summary = "A container for client connection commands",
        .complexity = "Depends on subcommand.",
        .subcommands = client_subcommands,
    },
    {.name = NULL},
};
