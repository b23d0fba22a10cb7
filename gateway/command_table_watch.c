/* command_table_watch.c: rows of the command table for watching the server: facts only, no code.
 *
 * The facts are those that Redis 7.0.15 tells about its commands, so that COMMAND INFO and COMMAND DOCS say the same.
 * The order of flags, categories and arguments is that in which they are shown. Read by command_table.c.
 */
#include "cmd.h"
#include "command_table.h"

static const char *const slowlog_get_tips[] = {"request_policy:all_nodes", "nondeterministic_output", NULL};

static const struct command_history slowlog_get_history[] = {
    {"4.0.0", "Added client IP address, port and name to the reply."},
    {NULL, NULL},
};

static const struct command_argument slowlog_get_arguments[] = {
    {.name = "count", .type = ARGUMENT_INTEGER, .flags = ARGUMENT_OPTIONAL},
    {.name = NULL},
};

static const char *const slowlog_len_tips[] = {"request_policy:all_nodes", "response_policy:agg_sum",
                                               "nondeterministic_output", NULL};

static const char *const slowlog_reset_tips[] = {"request_policy:all_nodes", "response_policy:all_succeeded", NULL};

static struct command slowlog_subcommands[] = {
    {
        .name = "slowlog|get",
        .handler = cmd_slowlog_get,
        .arity = -2,
        .flags = COMMAND_ADMIN | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .tips = slowlog_get_tips,
        .since = "2.2.12",
        .group = "server",
        .summary = "Get the slow log's entries",
        .complexity = "O(N) where N is the number of entries returned",
        .history = slowlog_get_history,
        .arguments = slowlog_get_arguments,
    },
    {
        .name = "slowlog|help",
        .handler = cmd_slowlog_help,
        .arity = 2,
        .flags = COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_SLOW,
        .since = "6.2.0",
        .group = "server",
        .summary = "Show helpful text about the different subcommands",
        .complexity = "O(1)",
    },
    {
        .name = "slowlog|len",
        .handler = cmd_slowlog_len,
        .arity = 2,
        .flags = COMMAND_ADMIN | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .tips = slowlog_len_tips,
        .since = "2.2.12",
        .group = "server",
        .summary = "Get the slow log's length",
        .complexity = "O(1)",
    },
    {
        .name = "slowlog|reset",
        .handler = cmd_slowlog_reset,
        .arity = 2,
        .flags = COMMAND_ADMIN | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .tips = slowlog_reset_tips,
        .since = "2.2.12",
        .group = "server",
        .summary = "Clear all entries from the slow log",
        .complexity = "O(N) where N is the number of entries in the slowlog",
    },
    {.name = NULL},
};

static const char *const latency_doctor_tips[] = {"nondeterministic_output", "request_policy:all_nodes",
                                                  "response_policy:special", NULL};

static const char *const latency_graph_tips[] = {"nondeterministic_output", "request_policy:all_nodes",
                                                 "response_policy:special", NULL};

static const struct command_argument latency_graph_arguments[] = {
    {.name = "event", .type = ARGUMENT_STRING},
    {.name = NULL},
};

static const char *const latency_histogram_tips[] = {"nondeterministic_output", "request_policy:all_nodes",
                                                     "response_policy:special", NULL};

static const struct command_argument latency_histogram_arguments[] = {
    {.name = "command", .type = ARGUMENT_STRING, .flags = ARGUMENT_OPTIONAL | ARGUMENT_MULTIPLE},
    {.name = NULL},
};

static const char *const latency_history_tips[] = {"nondeterministic_output", "request_policy:all_nodes",
                                                   "response_policy:special", NULL};

static const struct command_argument latency_history_arguments[] = {
    {.name = "event", .type = ARGUMENT_STRING},
    {.name = NULL},
};

static const char *const latency_latest_tips[] = {"nondeterministic_output", "request_policy:all_nodes",
                                                  "response_policy:special", NULL};

static const char *const latency_reset_tips[] = {"request_policy:all_nodes", "response_policy:all_succeeded", NULL};

static const struct command_argument latency_reset_arguments[] = {
    {.name = "event", .type = ARGUMENT_STRING, .flags = ARGUMENT_OPTIONAL | ARGUMENT_MULTIPLE},
    {.name = NULL},
};

static struct command latency_subcommands[] = {
    {
        .name = "latency|doctor",
        .handler = cmd_latency_doctor,
        .arity = 2,
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .tips = latency_doctor_tips,
        .since = "2.8.13",
        .group = "server",
        .summary = "Return a human readable latency analysis report.",
        .complexity = "O(1)",
    },
    {
        .name = "latency|graph",
        .handler = cmd_latency_graph,
        .arity = 3,
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .tips = latency_graph_tips,
        .since = "2.8.13",
        .group = "server",
        .summary = "Return a latency graph for the event.",
        .complexity = "O(1)",
        .arguments = latency_graph_arguments,
    },
    {
        .name = "latency|help",
        .handler = cmd_latency_help,
        .arity = 2,
        .flags = COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_SLOW,
        .since = "2.8.13",
        .group = "server",
        .summary = "Show helpful text about the different subcommands.",
        .complexity = "O(1)",
    },
    {
        .name = "latency|histogram",
        .handler = cmd_latency_histogram,
        .arity = -2,
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .tips = latency_histogram_tips,
        .since = "7.0.0",
        .group = "server",
        .summary = "Return the cumulative distribution of latencies of a subset of commands or all.",
        .complexity = "O(N) where N is the number of commands with latency information being retrieved.",
        .arguments = latency_histogram_arguments,
    },
    {
        .name = "latency|history",
        .handler = cmd_latency_history,
        .arity = 3,
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .tips = latency_history_tips,
        .since = "2.8.13",
        .group = "server",
        .summary = "Return timestamp-latency samples for the event.",
        .complexity = "O(1)",
        .arguments = latency_history_arguments,
    },
    {
        .name = "latency|latest",
        .handler = cmd_latency_latest,
        .arity = 2,
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .tips = latency_latest_tips,
        .since = "2.8.13",
        .group = "server",
        .summary = "Return the latest latency samples for all events.",
        .complexity = "O(1)",
    },
    {
        .name = "latency|reset",
        .handler = cmd_latency_reset,
        .arity = -2,
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .tips = latency_reset_tips,
        .since = "2.8.13",
        .group = "server",
        .summary = "Reset latency data for one or more events.",
        .complexity = "O(1)",
        .arguments = latency_reset_arguments,
    },
    {.name = NULL},
};

struct command command_group_watch[] = {
    {
        .name = "slowlog",
        .arity = -2,
        .categories = CATEGORY_SLOW,
        .since = "2.2.12",
        .group = "server",
        .summary = "A container for slow log commands",
        .complexity = "Depends on subcommand.",
        .subcommands = slowlog_subcommands,
    },
    {
        .name = "latency",
        .arity = -2,
        .categories = CATEGORY_SLOW,
        .since = "2.8.13",
        .group = "server",
        .summary = "A container for latency diagnostics commands",
        .complexity = "Depends on subcommand.",
        .subcommands = latency_subcommands,
    },
    {
        .name = "monitor",
        .handler = cmd_monitor,
        .arity = 1,
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .since = "1.0.0",
        .group = "server",
        .summary = "Listen for all requests received by the server in real time",
    },
    {.name = NULL},
};
