/* info.h: the sections of INFO, each written by one function. In a coroutine of the connection's worker. */
#ifndef INFO_H
#define INFO_H

#include <stdio.h>

#include "cmd.h"

/* Sums over all workers, taken once for an INFO. */
struct info_sums {
    uint64_t connections_received, connections_rejected, connections_now, commands, errors;
    uint64_t bytes_in, bytes_out, keyspace_hits, keyspace_misses;
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
info_section info_server, info_clients, info_memory, info_persistence, info_stats, info_replication, info_cpu,
    info_modules, info_commandstats, info_cluster, info_keyspace;
/* info_dm.c: about the pool and the operations on it */
info_section info_dm;

void info_sum(const struct call *call, struct info_sums *sums);

#endif
