/* server.h: what all workers of one gateway process share, and the process's life from start to stop. */
#ifndef SERVER_H
#define SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "dm.h"

#define FUSEGATE_VERSION "0.1.0"
#define FUSEGATE_REDIS_VERSION "7.0.15"
#define FUSEGATE_DATABASES 16
#define FUSEGATE_COMMANDS_MAX 512 /* rows of the command table, subcommands included */

struct connection;

/* One per worker, written by its thread only, read by others with relaxed loads. */
struct worker_stats {
    _Atomic uint64_t connections_received, connections_rejected, connections_now, commands, errors;
    _Atomic uint64_t bytes_in, bytes_out, keyspace_hits, keyspace_misses;
    struct {
        _Atomic uint64_t calls, nanoseconds, rejected, failed;
    } command[FUSEGATE_COMMANDS_MAX];
};

struct worker {
    struct server *server;
    uint32_t index;
    pthread_t thread;
    struct dm_sched *sched;
    struct dm_session *session;
    struct worker_stats stats;
    struct connection *connections; /* list; guarded by connections_lock (CLIENT LIST from other workers) */
    pthread_mutex_t connections_lock;
    struct dm_session_stats session_stats; /* copy for INFO, refreshed a few times a second and when idle */
    pthread_mutex_t session_stats_lock;
    struct worker_io *io; /* see worker.h */
};

struct server {
    const struct config *config;
    const struct dm_env *env;
    struct dm_fabric *fabric;
    struct dm_pool *pool;
    struct worker *workers;
    uint32_t worker_count;
    _Atomic uint64_t next_connection_id;
    _Atomic uint64_t connections_now;
    _Atomic bool stopping;
    uint64_t started_ns;
    int64_t started_wall_ms;
    char run_id[41];
};

/* Starts everything, serves until SIGTERM or SIGINT, and stops gracefully. Main thread.
 * Returns the exit code of the process; the log says why when it is not 0. */
int server_run(const struct config *config);

#endif
