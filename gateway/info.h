/* info.h: the sections of INFO, each written by one function. In a coroutine of the connection's worker. */
#ifndef INFO_H
#define INFO_H

#include <stdio.h>

#include "cmd.h"

/* Sums over all workers, taken once for an INFO. */
struct info_sums {
    uint64_t connections_received, connections_rejected, connections_now, commands, errors;
    uint64_t bytes_in, bytes_out, keyspace_hits, keyspace_misses;
    uint64_t denied_auth, denied_command, denied_key, denied_channel;
    uint64_t output_limit_disconnections, unauthenticated_closed;
    uint64_t rate_commands, rate_bytes_in, rate_bytes_out;                 /* a second */
    uint64_t input_bytes_max, output_bytes_max, client_bytes, subscribers; /* of the connections there are */
    struct dm_session_stats sessions;
};

struct info {
    const struct call *call;
    FILE *out;
    struct info_sums sums;
    struct dm_pool_info pool;
};

typedef void info_section(const struct info *info);

/* info_server.c: about this process */
info_section info_server, info_clients, info_memory, info_persistence;
/* info_stats.c: what is counted */
info_section info_stats, info_replication, info_cpu, info_modules, info_commandstats, info_errorstats,
    info_latencystats, info_cluster, info_keyspace;
/* info_dm.c: about the pool and the operations on it */
info_section info_dm;
/* What all workers have timed of a memory node. Any thread. */
void info_node_latency(struct server *server, uint32_t node, struct dm_node_latency *sum);

/* Any thread; `own`: the worker whose thread it is, or NULL. */
void info_sum(struct server *server, const struct worker *own, struct info_sums *sums);

#endif
