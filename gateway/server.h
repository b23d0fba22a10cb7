/* server.h: what all workers of one gateway process share, and the process's life from start to stop. */
#ifndef SERVER_H
#define SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "config.h"
#include "dm.h"
#include "histogram.h"
#include "reply.h"

#define FUSEGATE_VERSION "0.1.0"
#define FUSEGATE_REDIS_VERSION "7.0.15"
#define FUSEGATE_DATABASES 16
#define FUSEGATE_COMMANDS_MAX 512 /* rows of the command table, subcommands included */

struct connection;
struct live;
struct acl;
struct acl_log;
struct tls;
struct slowlog;
struct latency;
struct pubsub;
struct bus;

/* One per worker, written by its thread only, read by others with relaxed loads. */
struct worker_stats {
    _Atomic uint64_t connections_received, connections_rejected, connections_now, commands, errors;
    _Atomic uint64_t bytes_in, bytes_out, keyspace_hits, keyspace_misses;
    _Atomic uint64_t denied_auth, denied_command, denied_key, denied_channel; /* by ACL rules */
    _Atomic uint64_t output_limit_disconnections, unauthenticated_closed;
    struct {
        _Atomic uint64_t calls, nanoseconds, rejected, failed;
    } command[FUSEGATE_COMMANDS_MAX];
    _Atomic uint64_t rate_commands, rate_bytes_in, rate_bytes_out; /* a second, lately; rate_ns: when that was */
    _Atomic uint64_t rate_ns;
    struct reply_errors errors_by_code;
    /* Of what the commands took, see histogram.h. In pages that are touched only for commands that are used. */
    _Atomic uint64_t (*histogram)[HISTOGRAM_BUCKETS];
};

/* What commands must look at beyond the ordinary, while it lasts: bits of server->attention. */
enum attention {
    ATTENTION_MONITOR = 1 << 0, /* somebody watches all commands */
    ATTENTION_PAUSE = 1 << 1,   /* CLIENT PAUSE */
    ATTENTION_NOTIFY = 1 << 2,  /* keyspace notifications */
};

/* CLIENT PAUSE. */
struct pause {
    pthread_mutex_t lock;
    _Atomic uint64_t until_ns; /* 0: none */
    _Atomic bool all;          /* else writes only */
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
    struct dm_session_stats session_stats;             /* copy for INFO, refreshed a few times a second and when idle */
    struct dm_node_latency node_latency[DM_NODES_MAX]; /* the same */
    pthread_mutex_t session_stats_lock;                /* of both */
    struct worker_io *io;                              /* see worker.h */
};

struct server {
    const struct config *config;
    const struct dm_env *env;
    struct dm_fabric *fabric;
    struct dm_pool *pool;
    struct worker *workers;
    uint32_t worker_count;
    struct live *live;
    struct acl *acl;
    struct acl_log *acl_log;
    struct tls *tls; /* NULL: no tls_port */
    struct slowlog *slowlog;
    struct latency *latency;
    struct pubsub *pubsub;
    struct bus *bus; /* NULL: no other gateways */
    struct pause pause;
    _Atomic uint32_t attention; /* of enum attention */
    _Atomic uint32_t monitors;  /* connections in MONITOR */
    _Atomic uint64_t next_connection_id;
    _Atomic uint64_t connections_now;
    _Atomic uint64_t absences_noted; /* by WATCH; expired.c */
    _Atomic bool stopping;
    uint64_t started_ns;
    int64_t started_wall_ms;
    char run_id[41];
};

/* Starts everything, serves until SIGTERM or SIGINT, and stops gracefully. Main thread.
 * Returns the exit code of the process; the log says why when it is not 0. */
int server_run(const struct config *config);

#endif
