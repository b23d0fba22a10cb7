/* command_table_pubsub.c: rows of the command table for messages to subscribers: facts only, no code.
 *
 * The facts are those that Redis 7.0.15 tells about its commands, so that COMMAND INFO and COMMAND DOCS say the same.
 * The order of flags, categories and arguments is that in which they are shown. Read by command_table.c.
 */
#include "cmd.h"
#include "command_table.h"

static const struct command_argument publish_arguments[] = {
    {.name = "channel", .type = ARGUMENT_STRING},
    {.name = "message", .type = ARGUMENT_STRING},
    {.name = NULL},
};

static const struct command_argument subscribe_arguments[] = {
    {.name = "channel", .type = ARGUMENT_STRING, .flags = ARGUMENT_MULTIPLE},
    {.name = NULL},
};

static const struct command_argument unsubscribe_arguments[] = {
    {.name = "channel", .type = ARGUMENT_STRING, .flags = ARGUMENT_OPTIONAL | ARGUMENT_MULTIPLE},
    {.name = NULL},
};

static const struct command_argument psubscribe_arguments_pattern[] = {
    {.name = "pattern", .type = ARGUMENT_PATTERN},
    {.name = NULL},
};

static const struct command_argument psubscribe_arguments[] = {
    {.name = "pattern", .type = ARGUMENT_BLOCK, .flags = ARGUMENT_MULTIPLE, .arguments = psubscribe_arguments_pattern},
    {.name = NULL},
};

static const struct command_argument punsubscribe_arguments[] = {
    {.name = "pattern", .type = ARGUMENT_PATTERN, .flags = ARGUMENT_OPTIONAL | ARGUMENT_MULTIPLE},
    {.name = NULL},
};

static const struct command_key_spec spublish_keys[] = {
    {.flags = KEY_NOT_KEY, .begin_index = 1, .last_key = 0, .key_step = 1},
    {.flags = 0},
};

static const struct command_argument spublish_arguments[] = {
    {.name = "shardchannel", .type = ARGUMENT_STRING},
    {.name = "message", .type = ARGUMENT_STRING},
    {.name = NULL},
};

static const struct command_key_spec ssubscribe_keys[] = {
    {.flags = KEY_NOT_KEY, .begin_index = 1, .last_key = -1, .key_step = 1},
    {.flags = 0},
};

static const struct command_argument ssubscribe_arguments[] = {
    {.name = "shardchannel", .type = ARGUMENT_STRING, .flags = ARGUMENT_MULTIPLE},
    {.name = NULL},
};

static const struct command_key_spec sunsubscribe_keys[] = {
    {.flags = KEY_NOT_KEY, .begin_index = 1, .last_key = -1, .key_step = 1},
    {.flags = 0},
};

static const struct command_argument sunsubscribe_arguments[] = {
    {.name = "shardchannel", .type = ARGUMENT_STRING, .flags = ARGUMENT_OPTIONAL | ARGUMENT_MULTIPLE},
    {.name = NULL},
};

static const struct command_argument pubsub_channels_arguments[] = {
    {.name = "pattern", .type = ARGUMENT_PATTERN, .flags = ARGUMENT_OPTIONAL},
    {.name = NULL},
};

static const struct command_argument pubsub_numsub_arguments[] = {
    {.name = "channel", .type = ARGUMENT_STRING, .flags = ARGUMENT_OPTIONAL | ARGUMENT_MULTIPLE},
    {.name = NULL},
};

static const struct command_argument pubsub_shardchannels_arguments[] = {
    {.name = "pattern", .type = ARGUMENT_PATTERN, .flags = ARGUMENT_OPTIONAL},
    {.name = NULL},
};

static const struct command_argument pubsub_shardnumsub_arguments[] = {
    {.name = "shardchannel", .type = ARGUMENT_STRING, .flags = ARGUMENT_OPTIONAL | ARGUMENT_MULTIPLE},
    {.name = NULL},
};

static struct command pubsub_subcommands[] = {
    {
        .name = "pubsub|channels",
        .handler = cmd_pubsub_channels,
        .arity = -2,
        .flags = COMMAND_PUBSUB | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_PUBSUB | CATEGORY_SLOW,
        .since = "2.8.0",
        .group = "pubsub",
        .summary = "List active channels",
        .complexity = "O(N) where N is the number of active channels, and assuming constant time pattern matching "
                      "(relatively short channels and patterns)",
        .arguments = pubsub_channels_arguments,
    },
    {
        .name = "pubsub|help",
        .handler = cmd_pubsub_help,
        .arity = 2,
        .flags = COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_SLOW,
        .since = "6.2.0",
        .group = "pubsub",
        .summary = "Show helpful text about the different subcommands",
        .complexity = "O(1)",
    },
    {
        .name = "pubsub|numpat",
        .handler = cmd_pubsub_numpat,
        .arity = 2,
        .flags = COMMAND_PUBSUB | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_PUBSUB | CATEGORY_SLOW,
        .since = "2.8.0",
        .group = "pubsub",
        .summary = "Get the count of unique patterns pattern subscriptions",
        .complexity = "O(1)",
    },
    {
        .name = "pubsub|numsub",
        .handler = cmd_pubsub_numsub,
        .arity = -2,
        .flags = COMMAND_PUBSUB | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_PUBSUB | CATEGORY_SLOW,
        .since = "2.8.0",
        .group = "pubsub",
        .summary = "Get the count of subscribers for channels",
        .complexity = "O(N) for the NUMSUB subcommand, where N is the number of requested channels",
        .arguments = pubsub_numsub_arguments,
    },
    {
        .name = "pubsub|shardchannels",
        .handler = cmd_pubsub_shardchannels,
        .arity = -2,
        .flags = COMMAND_PUBSUB | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_PUBSUB | CATEGORY_SLOW,
        .since = "7.0.0",
        .group = "pubsub",
        .summary = "List active shard channels",
        .complexity = "O(N) where N is the number of active shard channels, and assuming constant time pattern "
                      "matching (relatively short shard channels).",
        .arguments = pubsub_shardchannels_arguments,
    },
    {
        .name = "pubsub|shardnumsub",
        .handler = cmd_pubsub_shardnumsub,
        .arity = -2,
        .flags = COMMAND_PUBSUB | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_PUBSUB | CATEGORY_SLOW,
        .since = "7.0.0",
        .group = "pubsub",
        .summary = "Get the count of subscribers for shard channels",
        .complexity = "O(N) for the SHARDNUMSUB subcommand, where N is the number of requested shard channels",
        .arguments = pubsub_shardnumsub_arguments,
    },
    {.name = NULL},
};

struct command command_group_pubsub[] = {
    {
        .name = "publish",
        .handler = cmd_publish,
        .arity = 3,
        .flags = COMMAND_PUBSUB | COMMAND_LOADING | COMMAND_STALE | COMMAND_FAST,
        .categories = CATEGORY_PUBSUB | CATEGORY_FAST,
        .since = "2.0.0",
        .group = "pubsub",
        .summary = "Post a message to a channel",
        .complexity = "O(N+M) where N is the number of clients subscribed to the receiving channel and M is the total "
                      "number of subscribed patterns (by any client).",
        .arguments = publish_arguments,
        .channels = CHANNELS_FIRST,
    },
    {
        .name = "subscribe",
        .handler = cmd_subscribe,
        .arity = -2,
        .flags = COMMAND_PUBSUB | COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_PUBSUB | CATEGORY_SLOW,
        .since = "2.0.0",
        .group = "pubsub",
        .summary = "Listen for messages published to the given channels",
        .complexity = "O(N) where N is the number of channels to subscribe to.",
        .arguments = subscribe_arguments,
        .channels = CHANNELS_ALL,
    },
    {
        .name = "unsubscribe",
        .handler = cmd_unsubscribe,
        .arity = -1,
        .flags = COMMAND_PUBSUB | COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_PUBSUB | CATEGORY_SLOW,
        .since = "2.0.0",
        .group = "pubsub",
        .summary = "Stop listening for messages posted to the given channels",
        .complexity = "O(N) where N is the number of clients already subscribed to a channel.",
        .arguments = unsubscribe_arguments,
    },
    {
        .name = "psubscribe",
        .handler = cmd_psubscribe,
        .arity = -2,
        .flags = COMMAND_PUBSUB | COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_PUBSUB | CATEGORY_SLOW,
        .since = "2.0.0",
        .group = "pubsub",
        .summary = "Listen for messages published to channels matching the given patterns",
        .complexity = "O(N) where N is the number of patterns the client is already subscribed to.",
        .arguments = psubscribe_arguments,
        .channels = CHANNELS_PATTERNS,
    },
    {
        .name = "punsubscribe",
        .handler = cmd_punsubscribe,
        .arity = -1,
        .flags = COMMAND_PUBSUB | COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_PUBSUB | CATEGORY_SLOW,
        .since = "2.0.0",
        .group = "pubsub",
        .summary = "Stop listening for messages posted to channels matching the given patterns",
        .complexity = "O(N+M) where N is the number of patterns the client is already subscribed and M is the number "
                      "of total patterns subscribed in the system (by any client).",
        .arguments = punsubscribe_arguments,
    },
    {
        .name = "spublish",
        .handler = cmd_spublish,
        .arity = 3,
        .flags = COMMAND_PUBSUB | COMMAND_LOADING | COMMAND_STALE | COMMAND_FAST,
        .first_key = 1,
        .last_key = 1,
        .key_step = 1,
        .categories = CATEGORY_PUBSUB | CATEGORY_FAST,
        .key_specs = spublish_keys,
        .since = "7.0.0",
        .group = "pubsub",
        .summary = "Post a message to a shard channel",
        .complexity = "O(N) where N is the number of clients subscribed to the receiving shard channel.",
        .arguments = spublish_arguments,
        .channels = CHANNELS_FIRST,
    },
    {
        .name = "ssubscribe",
        .handler = cmd_ssubscribe,
        .arity = -2,
        .flags = COMMAND_PUBSUB | COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .first_key = 1,
        .last_key = -1,
        .key_step = 1,
        .categories = CATEGORY_PUBSUB | CATEGORY_SLOW,
        .key_specs = ssubscribe_keys,
        .since = "7.0.0",
        .group = "pubsub",
        .summary = "Listen for messages published to the given shard channels",
        .complexity = "O(N) where N is the number of shard channels to subscribe to.",
        .arguments = ssubscribe_arguments,
        .channels = CHANNELS_ALL,
    },
    {
        .name = "sunsubscribe",
        .handler = cmd_sunsubscribe,
        .arity = -1,
        .flags = COMMAND_PUBSUB | COMMAND_NOSCRIPT | COMMAND_LOADING | COMMAND_STALE,
        .first_key = 1,
        .last_key = -1,
        .key_step = 1,
        .categories = CATEGORY_PUBSUB | CATEGORY_SLOW,
        .key_specs = sunsubscribe_keys,
        .since = "7.0.0",
        .group = "pubsub",
        .summary = "Stop listening for messages posted to the given shard channels",
        .complexity = "O(N) where N is the number of clients already subscribed to a shard channel.",
        .arguments = sunsubscribe_arguments,
    },
    {
        .name = "pubsub",
        .arity = -2,
        .categories = CATEGORY_SLOW,
        .since = "2.8.0",
        .group = "pubsub",
        .summary = "A container for Pub/Sub commands",
        .complexity = "Depends on subcommand.",
        .subcommands = pubsub_subcommands,
    },
    {.name = NULL},
};
