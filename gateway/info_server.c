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

#include "command_table.h"
#include "info.h"

#define NS_PER_S UINT64_C(1000000000)
#define NS_PER_US 1000
#define US_PER_S 1000000
#define S_PER_DAY 86400
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

void info_sum(const struct call *call, struct info_sums *sums) {
    memset(sums, 0, sizeof *sums);
    for (uint32_t i = 0; i < call->server->worker_count; i++) {
        struct worker *worker = &call->server->workers[i];
        struct dm_session_stats stats;

        sum_worker(&worker->stats, sums);
        if (worker == call->worker) { /* what this thread has done is known exactly */
            dm_session_stats(call->session, &stats);
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
            "\r\nuptime_in_days:%" PRIu64 "\r\nio_threads_active:%d\r\n",
            server->run_id, server->config->port, (long long)now.tv_sec * US_PER_S + now.tv_nsec / NS_PER_US, uptime_s,
            uptime_s / S_PER_DAY, server->worker_count > 1);
    fprintf(info->out, "worker_threads:%u\r\nconfig_file:%s\r\n", server->worker_count, server->config->path);
}

void info_clients(const struct info *info) {
    fprintf(info->out,
            "# Clients\r\nconnected_clients:%" PRIu64 "\r\ncluster_connections:0\r\nmaxclients:%u\r\n"
            "blocked_clients:0\r\ntracking_clients:0\r\n",
            info->sums.connections_now, info->call->server->config->maxclients);
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
    fprintf(info->out, "maxmemory_policy:noeviction\r\nmem_allocator:libc\r\n");
}

/* Data is in the pool's memory, replicated; nothing is loaded from or saved to disk by a gateway. */
void info_persistence(const struct info *info) {
    fputs("# Persistence\r\nloading:0\r\nasync_loading:0\r\nrdb_bgsave_in_progress:0\r\naof_enabled:0\r\n"
          "aof_rewrite_in_progress:0\r\n",
          info->out);
}

void info_stats(const struct info *info) {
    const struct info_sums *sums = &info->sums;

    fprintf(info->out,
            "# Stats\r\ntotal_connections_received:%" PRIu64 "\r\ntotal_commands_processed:%" PRIu64
            "\r\ntotal_net_input_bytes:%" PRIu64 "\r\ntotal_net_output_bytes:%" PRIu64
            "\r\nrejected_connections:%" PRIu64 "\r\n",
            sums->connections_received, sums->commands, sums->bytes_in, sums->bytes_out, sums->connections_rejected);
    fprintf(info->out,
            "expired_keys:%" PRIu64 "\r\nevicted_keys:0\r\nkeyspace_hits:%" PRIu64 "\r\nkeyspace_misses:%" PRIu64
            "\r\npubsub_channels:0\r\npubsub_patterns:0\r\ntotal_error_replies:%" PRIu64 "\r\n",
            sums->sessions.expired_keys, sums->keyspace_hits, sums->keyspace_misses, sums->errors);
}

/* Every gateway serves reads and writes of the whole pool: to a client it is a master without replicas. */
void info_replication(const struct info *info) {
    fputs("# Replication\r\nrole:master\r\nconnected_slaves:0\r\n", info->out);
}

static void print_cpu(FILE *out, const char *name, const struct timeval *time) {
    fprintf(out, "%s:%lld.%06lld\r\n", name, (long long)time->tv_sec, (long long)time->tv_usec);
}

void info_cpu(const struct info *info) {
    struct rusage self, children;

    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &children);
    fputs("# CPU\r\n", info->out);
    print_cpu(info->out, "used_cpu_sys", &self.ru_stime);
    print_cpu(info->out, "used_cpu_user", &self.ru_utime);
    print_cpu(info->out, "used_cpu_sys_children", &children.ru_stime);
    print_cpu(info->out, "used_cpu_user_children", &children.ru_utime);
}

void info_modules(const struct info *info) { fputs("# Modules\r\n", info->out); }

/* Times are estimated from samples (see command.c), and include waiting for memory nodes. */
static void print_command(const struct info *info, const struct command *command) {
    const struct server *server = info->call->server;
    uint64_t calls = 0, nanoseconds = 0, rejected = 0, failed = 0;

    for (uint32_t i = 0; i < server->worker_count; i++) {
        calls += load(&server->workers[i].stats.command[command->index].calls);
        nanoseconds += load(&server->workers[i].stats.command[command->index].nanoseconds);
        rejected += load(&server->workers[i].stats.command[command->index].rejected);
        failed += load(&server->workers[i].stats.command[command->index].failed);
    }
    if (calls + rejected == 0) {
        return;
    }
    fprintf(info->out,
            "cmdstat_%s:calls=%" PRIu64 ",usec=%" PRIu64 ",usec_per_call=%.2f,rejected_calls=%" PRIu64
            ",failed_calls=%" PRIu64 "\r\n",
            command->name, calls, nanoseconds / NS_PER_US,
            calls == 0 ? 0 : (double)nanoseconds / NS_PER_US / (double)calls, rejected, failed);
}

void info_commandstats(const struct info *info) {
    const struct command *const *rows;
    size_t count = command_table_rows(&rows);

    fputs("# Commandstats\r\n", info->out);
    for (size_t i = 0; i < count; i++) {
        print_command(info, rows[i]);
    }
}

void info_cluster(const struct info *info) { fputs("# Cluster\r\ncluster_enabled:0\r\n", info->out); }

/* Keys are not counted, so there is no line for a database rather than a wrong one. */
void info_keyspace(const struct info *info) { fputs("# Keyspace\r\n", info->out); }
