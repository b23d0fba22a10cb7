/* command_table_cluster.c: rows of the command table for
 * Redis Cluster, which a gateway is no part of: facts only, no code.
 *
 * The facts are those that Redis 7.0.15 tells about its commands, so that COMMAND INFO and COMMAND DOCS say the same.
 * The order of flags, categories and arguments is that in which they are shown. Read by command_table.c.
 */
#include "cmd.h"
#include "command_table.h"

static const struct command_argument cluster_reset_arguments_hard_soft[] = {
    {.name = "hard", .type = ARGUMENT_PURE_TOKEN, .token = "HARD"},
    {.name = "soft", .type = ARGUMENT_PURE_TOKEN, .token = "SOFT"},
    {.name = NULL},
};

static const struct command_argument cluster_reset_arguments[] = {
    {.name = "hard_soft",
     .type = ARGUMENT_ONEOF,
     .flags = ARGUMENT_OPTIONAL,
     .arguments = cluster_reset_arguments_hard_soft},
    {.name = NULL},
};

static const char *const cluster_nodes_tips[] = {
    "nondeterministic_output",
    NULL,
};

static const struct command_argument cluster_setslot_arguments_subcommand[] = {
    {.name = "node-id", .type = ARGUMENT_STRING, .token = "IMPORTING"},
    {.name = "node-id", .type = ARGUMENT_STRING, .token = "MIGRATING"},
    {.name = "node-id", .type = ARGUMENT_STRING, .token = "NODE"},
    {.name = "stable", .type = ARGUMENT_PURE_TOKEN, .token = "STABLE"},
    {.name = NULL},
};

static const struct command_argument cluster_setslot_arguments[] = {
    {.name = "slot", .type = ARGUMENT_INTEGER},
    {.name = "subcommand", .type = ARGUMENT_ONEOF, .arguments = cluster_setslot_arguments_subcommand},
    {.name = NULL},
};

static const struct command_argument cluster_delslotsrange_arguments_start_slot_end_slot[] = {
    {.name = "start-slot", .type = ARGUMENT_INTEGER},
    {.name = "end-slot", .type = ARGUMENT_INTEGER},
    {.name = NULL},
};

static const struct command_argument cluster_delslotsrange_arguments[] = {
    {.name = "start-slot_end-slot",
     .type = ARGUMENT_BLOCK,
     .flags = ARGUMENT_MULTIPLE,
     .arguments = cluster_delslotsrange_arguments_start_slot_end_slot},
    {.name = NULL},
};

static const struct command_history cluster_slots_history[] = {
    {"4.0.0", "Added node IDs."},
    {"7.0.0", "Added additional networking metadata field."},
    {NULL, NULL},
};

static const struct command_argument cluster_set_config_epoch_arguments[] = {
    {.name = "config-epoch", .type = ARGUMENT_INTEGER},
    {.name = NULL},
};

static const struct command_argument cluster_replicas_arguments[] = {
    {.name = "node-id", .type = ARGUMENT_STRING},
    {.name = NULL},
};

static const struct command_argument cluster_addslots_arguments[] = {
    {.name = "slot", .type = ARGUMENT_INTEGER, .flags = ARGUMENT_MULTIPLE},
    {.name = NULL},
};

static const struct command_history cluster_meet_history[] = {
    {"4.0.0", "Added the optional `cluster_bus_port` argument."},
    {NULL, NULL},
};

static const struct command_argument cluster_meet_arguments[] = {
    {.name = "ip", .type = ARGUMENT_STRING},
    {.name = "port", .type = ARGUMENT_INTEGER},
    {.name = "cluster_bus_port", .type = ARGUMENT_INTEGER, .since = "4.0.0", .flags = ARGUMENT_OPTIONAL},
    {.name = NULL},
};

static const struct command_argument cluster_countkeysinslot_arguments[] = {
    {.name = "slot", .type = ARGUMENT_INTEGER},
    {.name = NULL},
};

static const struct command_argument cluster_keyslot_arguments[] = {
    {.name = "key", .type = ARGUMENT_STRING},
    {.name = NULL},
};

static const struct command_argument cluster_getkeysinslot_arguments[] = {
    {.name = "slot", .type = ARGUMENT_INTEGER},
    {.name = "count", .type = ARGUMENT_INTEGER},
    {.name = NULL},
};

static const struct command_argument cluster_failover_arguments_options[] = {
    {.name = "force", .type = ARGUMENT_PURE_TOKEN, .token = "FORCE"},
    {.name = "takeover", .type = ARGUMENT_PURE_TOKEN, .token = "TAKEOVER"},
    {.name = NULL},
};

static const struct command_argument cluster_failover_arguments[] = {
    {.name = "options",
     .type = ARGUMENT_ONEOF,
     .flags = ARGUMENT_OPTIONAL,
     .arguments = cluster_failover_arguments_options},
    {.name = NULL},
};

static struct command cluster_subcommands[] = {
    {
        .name = "cluster|reset",
        .handler = cmd_cluster_disabled,
        .arity = -2,
        .flags = COMMAND_ADMIN | COMMAND_NOSCRIPT | COMMAND_STALE,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .since = "3.0.0",
        .group = "cluster",
        .summary = "Reset a Redis Cluster node",
        .complexity = "O(N) where N is the number of known nodes. The command may execute a FLUSHALL as a side effect.",
        .arguments = cluster_reset_arguments,
    },
    {
        .name = "cluster|nodes",
        .handler = cmd_cluster_disabled,
        .arity = 2,
        .flags = COMMAND_STALE,
        .categories = CATEGORY_SLOW,
        .tips = cluster_nodes_tips,
        .since = "3.0.0",
        .group = "cluster",
        .summary = "Get Cluster config for the node",
        .complexity = "O(N) where N is the total number of Cluster nodes",
    },
    {
        .name = "cluster|info",
        .handler = cmd_cluster_disabled,
        .arity = 2,
        .flags = COMMAND_STALE,
        .categories = CATEGORY_SLOW,
        .tips = cluster_nodes_tips,
        .since = "3.0.0",
        .group = "cluster",
        .summary = "Provides info about Redis Cluster node state",
        .complexity = "O(1)",
    },
    {
        .name = "cluster|setslot",
        .handler = cmd_cluster_disabled,
        .arity = -4,
        .flags = COMMAND_ADMIN | COMMAND_STALE | COMMAND_NO_ASYNC_LOADING,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .since = "3.0.0",
        .group = "cluster",
        .summary = "Bind a hash slot to a specific node",
        .complexity = "O(1)",
        .arguments = cluster_setslot_arguments,
    },
    {
        .name = "cluster|myid",
        .handler = cmd_cluster_disabled,
        .arity = 2,
        .flags = COMMAND_STALE,
        .categories = CATEGORY_SLOW,
        .since = "3.0.0",
        .group = "cluster",
        .summary = "Return the node id",
        .complexity = "O(1)",
    },
    {
        .name = "cluster|delslotsrange",
        .handler = cmd_cluster_disabled,
        .arity = -4,
        .flags = COMMAND_ADMIN | COMMAND_STALE | COMMAND_NO_ASYNC_LOADING,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .since = "7.0.0",
        .group = "cluster",
        .summary = "Set hash slots as unbound in receiving node",
        .complexity = "O(N) where N is the total number of the slots between the start slot and end slot arguments.",
        .arguments = cluster_delslotsrange_arguments,
    },
    {
        .name = "cluster|slots",
        .handler = cmd_cluster_disabled,
        .arity = 2,
        .flags = COMMAND_STALE,
        .categories = CATEGORY_SLOW,
        .tips = cluster_nodes_tips,
        .since = "3.0.0",
        .group = "cluster",
        .summary = "Get array of Cluster slot to node mappings",
        .complexity = "O(N) where N is the total number of Cluster nodes",
        .deprecated_since = "7.0.0",
        .replaced_by = "`CLUSTER SHARDS`",
        .history = cluster_slots_history,
    },
    {
        .name = "cluster|bumpepoch",
        .handler = cmd_cluster_disabled,
        .arity = 2,
        .flags = COMMAND_ADMIN | COMMAND_STALE | COMMAND_NO_ASYNC_LOADING,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .tips = cluster_nodes_tips,
        .since = "3.0.0",
        .group = "cluster",
        .summary = "Advance the cluster config epoch",
        .complexity = "O(1)",
    },
    {
        .name = "cluster|links",
        .handler = cmd_cluster_disabled,
        .arity = 2,
        .flags = COMMAND_STALE,
        .categories = CATEGORY_SLOW,
        .tips = cluster_nodes_tips,
        .since = "7.0.0",
        .group = "cluster",
        .summary = "Returns a list of all TCP links to and from peer nodes in cluster",
        .complexity = "O(N) where N is the total number of Cluster nodes",
    },
    {
        .name = "cluster|set-config-epoch",
        .handler = cmd_cluster_disabled,
        .arity = 3,
        .flags = COMMAND_ADMIN | COMMAND_STALE | COMMAND_NO_ASYNC_LOADING,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .since = "3.0.0",
        .group = "cluster",
        .summary = "Set the configuration epoch in a new node",
        .complexity = "O(1)",
        .arguments = cluster_set_config_epoch_arguments,
    },
    {
        .name = "cluster|replicas",
        .handler = cmd_cluster_disabled,
        .arity = 3,
        .flags = COMMAND_ADMIN | COMMAND_STALE,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .tips = cluster_nodes_tips,
        .since = "5.0.0",
        .group = "cluster",
        .summary = "List replica nodes of the specified master node",
        .complexity = "O(1)",
        .arguments = cluster_replicas_arguments,
    },
    {
        .name = "cluster|addslots",
        .handler = cmd_cluster_disabled,
        .arity = -3,
        .flags = COMMAND_ADMIN | COMMAND_STALE | COMMAND_NO_ASYNC_LOADING,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .since = "3.0.0",
        .group = "cluster",
        .summary = "Assign new hash slots to receiving node",
        .complexity = "O(N) where N is the total number of hash slot arguments",
        .arguments = cluster_addslots_arguments,
    },
    {
        .name = "cluster|slaves",
        .handler = cmd_cluster_disabled,
        .arity = 3,
        .flags = COMMAND_ADMIN | COMMAND_STALE,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .tips = cluster_nodes_tips,
        .since = "3.0.0",
        .group = "cluster",
        .summary = "List replica nodes of the specified master node",
        .complexity = "O(1)",
        .deprecated_since = "5.0.0",
        .replaced_by = "`CLUSTER REPLICAS`",
        .arguments = cluster_replicas_arguments,
    },
    {
        .name = "cluster|addslotsrange",
        .handler = cmd_cluster_disabled,
        .arity = -4,
        .flags = COMMAND_ADMIN | COMMAND_STALE | COMMAND_NO_ASYNC_LOADING,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .since = "7.0.0",
        .group = "cluster",
        .summary = "Assign new hash slots to receiving node",
        .complexity = "O(N) where N is the total number of the slots between the start slot and end slot arguments.",
        .arguments = cluster_delslotsrange_arguments,
    },
    {
        .name = "cluster|meet",
        .handler = cmd_cluster_disabled,
        .arity = -4,
        .flags = COMMAND_ADMIN | COMMAND_STALE | COMMAND_NO_ASYNC_LOADING,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .since = "3.0.0",
        .group = "cluster",
        .summary = "Force a node cluster to handshake with another node",
        .complexity = "O(1)",
        .history = cluster_meet_history,
        .arguments = cluster_meet_arguments,
    },
    {
        .name = "cluster|countkeysinslot",
        .handler = cmd_cluster_disabled,
        .arity = 3,
        .flags = COMMAND_STALE,
        .categories = CATEGORY_SLOW,
        .since = "3.0.0",
        .group = "cluster",
        .summary = "Return the number of local keys in the specified hash slot",
        .complexity = "O(1)",
        .arguments = cluster_countkeysinslot_arguments,
    },
    {
        .name = "cluster|keyslot",
        .handler = cmd_cluster_disabled,
        .arity = 3,
        .flags = COMMAND_STALE,
        .categories = CATEGORY_SLOW,
        .since = "3.0.0",
        .group = "cluster",
        .summary = "Returns the hash slot of the specified key",
        .complexity = "O(N) where N is the number of bytes in the key",
        .arguments = cluster_keyslot_arguments,
    },
    {
        .name = "cluster|replicate",
        .handler = cmd_cluster_disabled,
        .arity = 3,
        .flags = COMMAND_ADMIN | COMMAND_STALE | COMMAND_NO_ASYNC_LOADING,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .since = "3.0.0",
        .group = "cluster",
        .summary = "Reconfigure a node as a replica of the specified master node",
        .complexity = "O(1)",
        .arguments = cluster_replicas_arguments,
    },
    {
        .name = "cluster|saveconfig",
        .handler = cmd_cluster_disabled,
        .arity = 2,
        .flags = COMMAND_ADMIN | COMMAND_STALE | COMMAND_NO_ASYNC_LOADING,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .since = "3.0.0",
        .group = "cluster",
        .summary = "Forces the node to save cluster state on disk",
        .complexity = "O(1)",
    },
    {
        .name = "cluster|shards",
        .handler = cmd_cluster_disabled,
        .arity = 2,
        .flags = COMMAND_STALE,
        .categories = CATEGORY_SLOW,
        .tips = cluster_nodes_tips,
        .since = "7.0.0",
        .group = "cluster",
        .summary = "Get array of cluster slots to node mappings",
        .complexity = "O(N) where N is the total number of cluster nodes",
    },
    {
        .name = "cluster|forget",
        .handler = cmd_cluster_disabled,
        .arity = 3,
        .flags = COMMAND_ADMIN | COMMAND_STALE | COMMAND_NO_ASYNC_LOADING,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .since = "3.0.0",
        .group = "cluster",
        .summary = "Remove a node from the nodes table",
        .complexity = "O(1)",
        .arguments = cluster_replicas_arguments,
    },
    {
        .name = "cluster|getkeysinslot",
        .handler = cmd_cluster_disabled,
        .arity = 4,
        .flags = COMMAND_STALE,
        .categories = CATEGORY_SLOW,
        .tips = cluster_nodes_tips,
        .since = "3.0.0",
        .group = "cluster",
        .summary = "Return local key names in the specified hash slot",
        .complexity = "O(log(N)) where N is the number of requested keys",
        .arguments = cluster_getkeysinslot_arguments,
    },
    {
        .name = "cluster|help",
        .handler = cmd_cluster_disabled,
        .arity = 2,
        .flags = COMMAND_LOADING | COMMAND_STALE,
        .categories = CATEGORY_SLOW,
        .since = "5.0.0",
        .group = "cluster",
        .summary = "Show helpful text about the different subcommands",
        .complexity = "O(1)",
    },
    {
        .name = "cluster|delslots",
        .handler = cmd_cluster_disabled,
        .arity = -3,
        .flags = COMMAND_ADMIN | COMMAND_STALE | COMMAND_NO_ASYNC_LOADING,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .since = "3.0.0",
        .group = "cluster",
        .summary = "Set hash slots as unbound in receiving node",
        .complexity = "O(N) where N is the total number of hash slot arguments",
        .arguments = cluster_addslots_arguments,
    },
    {
        .name = "cluster|flushslots",
        .handler = cmd_cluster_disabled,
        .arity = 2,
        .flags = COMMAND_ADMIN | COMMAND_STALE | COMMAND_NO_ASYNC_LOADING,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .since = "3.0.0",
        .group = "cluster",
        .summary = "Delete a node's own slots information",
        .complexity = "O(1)",
    },
    {
        .name = "cluster|count-failure-reports",
        .handler = cmd_cluster_disabled,
        .arity = 3,
        .flags = COMMAND_ADMIN | COMMAND_STALE,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .tips = cluster_nodes_tips,
        .since = "3.0.0",
        .group = "cluster",
        .summary = "Return the number of failure reports active for a given node",
        .complexity = "O(N) where N is the number of failure reports",
        .arguments = cluster_replicas_arguments,
    },
    {
        .name = "cluster|failover",
        .handler = cmd_cluster_disabled,
        .arity = -2,
        .flags = COMMAND_ADMIN | COMMAND_STALE | COMMAND_NO_ASYNC_LOADING,
        .categories = CATEGORY_ADMIN | CATEGORY_SLOW | CATEGORY_DANGEROUS,
        .since = "3.0.0",
        .group = "cluster",
        .summary = "Forces a replica to perform a manual failover of its master.",
        .complexity = "O(1)",
        .arguments = cluster_failover_arguments,
    },
    {.name = NULL},
};

struct command command_group_cluster[] = {
    {
        .name = "cluster",
        .arity = -2,
        .categories = CATEGORY_SLOW,
        .since = "3.0.0",
        .group = "cluster",
        .summary = "A container for cluster commands",
        .complexity = "Depends on subcommand.",
        .subcommands = cluster_subcommands,
    },
    {
        .name = "readonly",
        .handler = cmd_cluster_disabled,
        .arity = 1,
        .flags = COMMAND_LOADING | COMMAND_STALE | COMMAND_FAST,
        .categories = CATEGORY_FAST | CATEGORY_CONNECTION,
        .since = "3.0.0",
        .group = "cluster",
        .summary = "Enables read queries for a connection to a cluster replica node",
        .complexity = "O(1)",
    },
    {
        .name = "readwrite",
        .handler = cmd_cluster_disabled,
        .arity = 1,
        .flags = COMMAND_LOADING | COMMAND_STALE | COMMAND_FAST,
        .categories = CATEGORY_FAST | CATEGORY_CONNECTION,
        .since = "3.0.0",
        .group = "cluster",
        .summary = "Disables read queries for a connection to a cluster replica node",
        .complexity = "O(1)",
    },
    {
        .name = "asking",
        .handler = cmd_cluster_disabled,
        .arity = 1,
        .flags = COMMAND_FAST,
        .categories = CATEGORY_FAST | CATEGORY_CONNECTION,
        .since = "3.0.0",
        .group = "cluster",
        .summary = "Sent by cluster clients after an -ASK redirect",
        .complexity = "O(1)",
    },
    {.name = NULL},
};
