/* info_server.c: the sections of INFO about this process. In a coroutine of the connection's worker.
 *
 * Statistics of other workers are read with relaxed loads: sums are of a moment, not of an instant.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "info.h"
#include "live.h"

#define READ(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)
#define NS_PER_S UINT64_C(1000000000)
#define NS_PER_US 1000
#define US_PER_S 1000000
#define S_PER_DAY 86400
#define MS_PER_S 1000
#define KIB 1024.0

static uint64_t load(const _Atomic uint64_t *counter) { return atomic_load_explicit(counter, memory_order_relaxed); }

static void sum_worker(const struct worker_stats *stats, struct info_sums *sums) {
    sums->connections_received += load(&stats->connections_received);
    sums->connections_rejected += load(&stats->connections_rejected);
    sums->connections_now += load(&stats->connections_now);
    sums->commands += load(&stats->commands);
    sums->errors += load(&stats->errors);
    sums->bytes_in += load(&stats->bytes_in);
    sums->bytes_out += load(&stats->bytes_out);
    sums->keyspace_hits += load(&stats->keyspace_hits);
    sums->keyspace_misses += load(&stats->keyspace_misses);
    sums->denied_auth += load(&stats->denied_auth);
    sums->denied_command += load(&stats->denied_command);
    sums->denied_key += load(&stats->denied_key);
    sums->denied_channel += load(&stats->denied_channel);
    sums->output_limit_disconnections += load(&stats->output_limit_disconnections);
    sums->unauthenticated_closed += load(&stats->unauthenticated_closed);
}

/* Rates of a worker that has done nothing since are of the past. */
static void sum_rates(const struct worker_stats *stats, uint64_t now_ns, struct info_sums *sums) {
    if (now_ns - load(&stats->rate_ns) < NS_PER_S) {
        sums->rate_commands += load(&stats->rate_commands);
        sums->rate_bytes_in += load(&stats->rate_bytes_in);
        sums->rate_bytes_out += load(&stats->rate_bytes_out);
    }
}

static void sum_connections(struct worker *worker, struct info_sums *sums) {
    pthread_mutex_lock(&worker->connections_lock);
    for (const struct connection *c = worker->connections; c != NULL; c = c->next) {
        uint64_t in = READ(c->input_bytes), out = READ(c->output_bytes);

        sums->input_bytes_max = in > sums->input_bytes_max ? in : sums->input_bytes_max;
        sums->output_bytes_max = out > sums->output_bytes_max ? out : sums->output_bytes_max;
        sums->client_bytes += sizeof *c + in + out;
        sums->subscribers += READ(c->channels) + READ(c->patterns) + READ(c->shard_channels) > 0;
    }
    pthread_mutex_unlock(&worker->connections_lock);
}

/* dm_session_stats is nothing but counters, all of them uint64_t. */
static void sum_session(const struct dm_session_stats *stats, struct dm_session_stats *sums) {
    const unsigned char *from = (const unsigned char *)stats;
    unsigned char *to = (unsigned char *)sums;

    _Static_assert(sizeof *stats % sizeof(uint64_t) == 0, "counters only");
    for (size_t at = 0; at < sizeof *stats; at += sizeof(uint64_t)) {
        uint64_t a, b;

        memcpy(&a, from + at, sizeof a);
        memcpy(&b, to + at, sizeof b);
        b += a;
        memcpy(to + at, &b, sizeof b);
    }
}

void info_sum(struct server *server, const struct worker *own, struct info_sums *sums) {
    uint64_t now_ns = server->env->clock_ns(server->env->context);

    memset(sums, 0, sizeof *sums);
    for (uint32_t i = 0; i < server->worker_count; i++) {
        struct worker *worker = &server->workers[i];
        struct dm_session_stats stats;

        sum_worker(&worker->stats, sums);
        sum_rates(&worker->stats, now_ns, sums);
        sum_connections(worker, sums);
        if (worker == own) { /* what this thread has done is known exactly */
            dm_session_stats(worker->session, &stats);
        } else {
            pthread_mutex_lock(&worker->session_stats_lock);
            stats = worker->session_stats;
            pthread_mutex_unlock(&worker->session_stats_lock);
        }
        sum_session(&stats, &sums->sessions);
    }
}

void info_server(const struct info *info) {
    const struct server *server = info->call->server;
    uint64_t uptime_s = (server->env->clock_ns(server->env->context) - server->started_ns) / NS_PER_S;
    struct utsname system;
    struct timespec now;

    uname(&system);
    clock_gettime(CLOCK_REALTIME, &now);
    fprintf(info->out,
            "# Server\r\nredis_version:%s\r\nredis_mode:standalone\r\nserver_name:fusegate\r\nfusegate_version:%s\r\n",
            FUSEGATE_REDIS_VERSION, FUSEGATE_VERSION);
    fprintf(info->out,
            "os:%s %s %s\r\narch_bits:%zu\r\nmultiplexing_api:libevent\r\ngcc_version:%d.%d.%d\r\nprocess_id:%ld\r\n",
            system.sysname, system.release, system.machine, sizeof(void *) * 8, __GNUC__, __GNUC_MINOR__,
            __GNUC_PATCHLEVEL__, (long)getpid());
    fprintf(info->out,
            "run_id:%s\r\ntcp_port:%u\r\nserver_time_usec:%lld\r\nuptime_in_seconds:%" PRIu64
            "\r\nuptime_in_days:%" PRIu64 "\r\nhz:10\r\nconfigured_hz:10\r\nio_threads_active:%d\r\n",
            server->run_id, server->config->port, (long long)now.tv_sec * US_PER_S + now.tv_nsec / NS_PER_US, uptime_s,
            uptime_s / S_PER_DAY, server->worker_count > 1);
    fprintf(info->out, "worker_threads:%u\r\nconfig_file:%s\r\n", server->worker_count, server->config->path);
}

void info_clients(const struct info *info) {
    fprintf(info->out,
            "# Clients\r\nconnected_clients:%" PRIu64 "\r\ncluster_connections:0\r\nmaxclients:%u\r\n"
            "blocked_clients:0\r\ntracking_clients:0\r\n",
            info->sums.connections_now, atomic_load(&info->call->server->live->maxclients));
    fprintf(info->out,
            "client_recent_max_input_buffer:%" PRIu64 "\r\nclient_recent_max_output_buffer:%" PRIu64
            "\r\nclients_in_timeout_table:0\r\npubsub_clients:%" PRIu64 "\r\nmonitor_clients:%u\r\n",
            info->sums.input_bytes_max, info->sums.output_bytes_max, info->sums.subscribers,
            atomic_load(&info->call->server->monitors));
}

static void print_human(FILE *out, const char *name, uint64_t bytes) {
    static const char units[] = "KMGTPE";
    double value = (double)bytes / KIB;
    size_t unit = 0;

    if (bytes < KIB) {
        fprintf(out, "%s:%" PRIu64 "B\r\n", name, bytes);
        return;
    }
    while (value >= KIB && units[unit + 1] != '\0') {
        value /= KIB;
        unit++;
    }
    fprintf(out, "%s:%.2f%c\r\n", name, value, units[unit]);
}

/* Resident memory of this process; 0 when the system does not tell. */
static uint64_t resident_bytes(void) {
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");

    if (file == NULL) {
        return 0;
    }
    if (fscanf(file, "%*u %llu", &pages) != 1) {
        pages = 0;
    }
    fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

void info_memory(const struct info *info) {
    struct rusage usage;
    uint64_t resident = resident_bytes();
    uint64_t system_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);

    getrusage(RUSAGE_SELF, &usage);
    uint64_t peak = (uint64_t)usage.ru_maxrss * 1024;

    peak = peak < resident ? resident : peak;
    fprintf(info->out, "# Memory\r\nused_memory:%" PRIu64 "\r\n", resident);
    print_human(info->out, "used_memory_human", resident);
    fprintf(info->out, "used_memory_rss:%" PRIu64 "\r\n", resident);
    print_human(info->out, "used_memory_rss_human", resident);
    fprintf(info->out, "used_memory_peak:%" PRIu64 "\r\n", peak);
    print_human(info->out, "used_memory_peak_human", peak);
    fprintf(info->out, "total_system_memory:%" PRIu64 "\r\n", system_bytes);
    print_human(info->out, "total_system_memory_human", system_bytes);
    fprintf(info->out, "maxmemory:%" PRIu64 "\r\n", info->pool.data_bytes_total);
    print_human(info->out, "maxmemory_human", info->pool.data_bytes_total);
    fprintf(info->out,
            "maxmemory_policy:noeviction\r\nmem_clients_normal:%" PRIu64
            "\r\nmem_fragmentation_ratio:1.00\r\nmem_allocator:libc\r\nactive_defrag_running:0\r\n"
            "lazyfree_pending_objects:0\r\n",
            info->sums.client_bytes);
}

/* Data is in the pool's memory, replicated; nothing is loaded from or saved to disk by a gateway. */
void info_persistence(const struct info *info) {
    const struct server *server = info->call->server;

    fprintf(info->out,
            "# Persistence\r\nloading:0\r\nasync_loading:0\r\nrdb_changes_since_last_save:0\r\n"
            "rdb_bgsave_in_progress:0\r\nrdb_last_save_time:%" PRId64 "\r\nrdb_last_bgsave_status:ok\r\n"
            "aof_enabled:0\r\naof_rewrite_in_progress:0\r\naof_rewrite_scheduled:0\r\n"
            "aof_last_bgrewrite_status:ok\r\naof_last_write_status:ok\r\n",
            server->started_wall_ms / MS_PER_S);
}
