/* command_table_client.c: rows of the command table for CLIENT: facts only, no code.
 *
 * The facts are those that Redis 7.0.15 tells about its commands, so that COMMAND INFO and COMMAND DOCS say the same.
 * The order of flags, categories and arguments is that in which they are shown. Read by command_table.c.
 */
#include "cmd.h"
#include "command_table.h"

static const char *const client_info_tips[] = {"nondeterministic_output", NULL};

static const struct command_history client_kill_history[] = {
    {"2.8.12", "Added new filter format."},
    {"2.8.12", "`ID` option."},
    {"3.2.0", "Added `master` type in for `TYPE` option."},
    {"5.0.0", "Replaced `slave` `TYPE` with `replica`. `slave` still supported for backward compatibility."},
    {"6.2.0", "`LADDR` option."},
    {NULL, NULL},
};

static const struct command_argument client_kill_arguments_filter_new_format_normal_master_slave_pubsub[] = {
    {.name = "normal", .type = ARGUMENT_PURE_TOKEN, .token = "NORMAL"},
    {.name = "master", .type = ARGUMENT_PURE_TOKEN, .token = "MASTER", .since = "3.2.0"},
    {.name = "slave", .type = ARGUMENT_PURE_TOKEN, .token = "SLAVE"},
    {.name = "replica", .type = ARGUMENT_PURE_TOKEN, .token = "REPLICA", .since = "5.0.0"},
    {.name = "pubsub", .type = ARGUMENT_PURE_TOKEN, .token = "PUBSUB"},
    {.name = NULL},
};

static const struct command_argument client_kill_arguments_filter_new_format[] = {
    {.name = "client-id", .type = ARGUMENT_INTEGER, .token = "ID", .since = "2.8.12", .flags = ARGUMENT_OPTIONAL},
    {.name = "normal_master_slave_pubsub",
     .type = ARGUMENT_ONEOF,
     .token = "TYPE",
     .since = "2.8.12",
     .flags = ARGUMENT_OPTIONAL,
     .arguments = client_kill_arguments_filter_new_format_normal_master_slave_pubsub},
    {.name = "username", .type = ARGUMENT_STRING, .token = "USER", .flags = ARGUMENT_OPTIONAL},
    {.name = "ip:port", .type = ARGUMENT_STRING, .token = "ADDR", .flags = ARGUMENT_OPTIONAL},
    {.name = "ip:port", .type = ARGUMENT_STRING, .token = "LADDR", .since = "6.2.0", .flags = ARGUMENT_OPTIONAL},
    {.name = "yes/no", .type = ARGUMENT_STRING, .token = "SKIPME", .flags = ARGUMENT_OPTIONAL},
    {.name = NULL},
};

static const struct command_argument client_kill_arguments_filter[] = {
    {.name = "ip:port", .type = ARGUMENT_STRING, .deprecated_since = "2.8.12"},
    {.name = "new-format",
     .type = ARGUMENT_ONEOF,
     .flags = ARGUMENT_MULTIPLE,
     .arguments = client_kill_arguments_filter_new_format},
    {.name = NULL},
};

static const struct command_argument client_kill_arguments[] = {
    {.name = "filter", .type = ARGUMENT_ONEOF, .arguments = client_kill_arguments_filter},
    {.name = NULL},
};

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

static const struct command_argument client_no_evict_arguments_enabled[] = {
    {.name = "on", .type = ARGUMENT_PURE_TOKEN, .token = "ON"},
    {.name = "off", .type = ARGUMENT_PURE_TOKEN, .token = "OFF"},
    {.name = NULL},
};

static const struct command_argument client_no_evict_arguments[] = {
    {.name = "enabled", .type = ARGUMENT_ONEOF, .arguments = client_no_evict_arguments_enabled},
    {.name = NULL},
};

static const struct command_history client_pause_history[] = {
    {"6.2.0", "`CLIENT PAUSE WRITE` mode added along with the `mode` option."},
    {NULL, NULL},
};

static const struct command_argument client_pause_arguments_mode[] = {
    {.name = "write", .type = ARGUMENT_PURE_TOKEN, .token = "WRITE"},
    {.name = "all", .type = ARGUMENT_PURE_TOKEN, .token = "ALL"},
    {.name = NULL},
};

static const struct command_argument client_pause_arguments[] = {
    {.name = "timeout", .type = ARGUMENT_INTEGER},
    {.name = "mode",
     .type = ARGUMENT_ONEOF,
     .since = "6.2.0",
     .flags = ARGUMENT_OPTIONAL,
     .arguments = client_pause_arguments_mode},
    {.name = NULL},
};

static const struct command_argument client_reply_arguments_on_off_skip[] = {
    {.name = "on", .type = ARGUMENT_PURE_TOKEN, .token = "ON"},
    {.name = "off", .type = ARGUMENT_PURE_TOKEN, .token = "OFF"},
    {.name = "skip", .type = ARGUMENT_PURE_TOKEN, .token = "SKIP"},
    {.name = NULL},
};

static const struct command_argument client_reply_arguments[] = {
    {.name = "on_off_skip", .type = ARGUMENT_ONEOF, .arguments = client_reply_arguments_on_off_skip},
    {.name = NULL},
};

static const struct command_argument client_setname_arguments[] = {
    {.name = "connection-name", .type = ARGUMENT_STRING},
    {.name = NULL},
};

static const struct command_argument client_unblock_arguments_timeout_error[] = {
    {.name = "timeout", .type = ARGUMENT_PURE_TOKEN, .token = "TIMEOUT"},
    {.name = "error", .type = ARGUMENT_PURE_TOKEN, .token = "ERROR"},
    {.name = NULL},
};

static const struct command_argument client_unblock_arguments[] = {
    {.name = "client-id", .type = ARGUMENT_INTEGER},
    {.name = "timeout_error",
     .type = ARGUMENT_ONEOF,
     .flags = ARGUMENT_OPTIONAL,
     .arguments = client_unblock_arguments_timeout_error},
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

static struct command client_subcommands[] = {
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
        .name = "client|getredir",
        .handler = cmd_client_getredir,
        .arity = 2,
        .flags = COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_SLOW | CATEGORY_CONNECTION,
        .since = "6.0.0",
        .group = "connection",
        .summary = "Get tracking notifications redirection client ID if any",
        .complexity = "O(1)",
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
        .name = "client|kill",
        .handler = cmd_client_kill,
        .arity = -3,
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS | CATEGORY_CONNECTION,
        .since = "2.4.0",
        .group = "connection",
        .summary = "Kill the connection of a client",
        .complexity = "O(N) where N is the number of client connections",
        .history = client_kill_history,
        .arguments = client_kill_arguments,
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
        .name = "client|no-evict",
        .handler = cmd_client_no_evict,
        .arity = 3,
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS | CATEGORY_CONNECTION,
        .since = "7.0.0",
        .group = "connection",
        .summary = "Set client eviction mode for the current connection",
        .complexity = "O(1)",
        .arguments = client_no_evict_arguments,
    },
    {
        .name = "client|pause",
        .handler = cmd_client_pause,
        .arity = -3,
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS | CATEGORY_CONNECTION,
        .since = "2.9.50",
        .group = "connection",
        .summary = "Stop processing commands from clients for some time",
        .complexity = "O(1)",
        .history = client_pause_history,
        .arguments = client_pause_arguments,
    },
    {
        .name = "client|reply",
        .handler = cmd_client_reply,
        .arity = 3,
        .flags = COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_SLOW | CATEGORY_CONNECTION,
        .since = "3.2.0",
        .group = "connection",
        .summary = "Instruct the server whether to reply to commands",
        .complexity = "O(1)",
        .arguments = client_reply_arguments,
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
        .name = "client|trackinginfo",
        .handler = cmd_client_trackinginfo,
        .arity = 2,
        .flags = COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_SLOW | CATEGORY_CONNECTION,
        .since = "6.2.0",
        .group = "connection",
        .summary = "Return information about server assisted client side caching for the current connection",
        .complexity = "O(1)",
    },
    {
        .name = "client|unblock",
        .handler = cmd_client_unblock,
        .arity = -3,
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS | CATEGORY_CONNECTION,
        .since = "5.0.0",
        .group = "connection",
        .summary = "Unblock a client blocked in a blocking command from a different connection",
        .complexity = "O(log N) where N is the number of client connections",
        .arguments = client_unblock_arguments,
    },
    {
        .name = "client|unpause",
        .handler = cmd_client_unpause,
        .arity = 2,
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS | CATEGORY_CONNECTION,
        .since = "6.2.0",
        .group = "connection",
        .summary = "Resume processing of clients that were paused",
        .complexity = "O(N) Where N is the number of paused clients",
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
        .name = "client|no-touch",
        .handler = cmd_client_no_touch,
        .arity = 3,
        .flags = COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_SLOW | CATEGORY_CONNECTION,
        .since = "7.2.0",
        .group = "connection",
        .summary = "Controls whether commands sent by the client affect the LRU/LFU of accessed keys.",
        .complexity = "O(1)",
        .arguments = client_no_evict_arguments,
    },
    {.name = NULL},
};

struct command command_group_client[] = {
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
