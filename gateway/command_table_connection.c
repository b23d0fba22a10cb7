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
    {.name = NULL},
};
