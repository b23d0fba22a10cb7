/* info_stats.c: the sections of INFO that count: statistics, replication, CPU, commands, errors, latencies. In a
 * coroutine of the connection's worker.
 */
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>

#include "bus.h"
#include "command_table.h"
#include "info.h"
#include "pubsub.h"

#define NS_PER_US 1000
#define KB 1024.0

static uint64_t load(const _Atomic uint64_t *counter) { return atomic_load_explicit(counter, memory_order_relaxed); }

/* Other gateways, and what went to and came from them. */
static void print_bus(const struct info *info) {
    struct bus_stats stats = {0};

    if (info->call->server->bus != NULL) {
        bus_stats(info->call->server->bus, &stats);
    }
    fprintf(info->out,
            "bus_peers:%u\r\nbus_peers_connected:%u\r\nbus_links_in:%u\r\nbus_messages_sent:%" PRIu64
            "\r\nbus_messages_received:%" PRIu64 "\r\nbus_messages_dropped:%" PRIu64 "\r\nbus_links_refused:%" PRIu64
            "\r\n",
            stats.peers, stats.peers_connected, stats.links_in, stats.sent, stats.received, stats.dropped,
            stats.refused);
}

void info_stats(const struct info *info) {
    const struct info_sums *sums = &info->sums;
    struct pubsub *pubsub = info->call->server->pubsub;

    fprintf(info->out,
            "# Stats\r\ntotal_connections_received:%" PRIu64 "\r\ntotal_commands_processed:%" PRIu64
            "\r\ninstantaneous_ops_per_sec:%" PRIu64 "\r\ntotal_net_input_bytes:%" PRIu64
            "\r\ntotal_net_output_bytes:%" PRIu64 "\r\n",
            sums->connections_received, sums->commands, sums->rate_commands, sums->bytes_in, sums->bytes_out);
    fprintf(info->out,
            "instantaneous_input_kbps:%.2f\r\ninstantaneous_output_kbps:%.2f\r\nrejected_connections:%" PRIu64
            "\r\nsync_full:0\r\nsync_partial_ok:0\r\nsync_partial_err:0\r\n",
            (double)sums->rate_bytes_in / KB, (double)sums->rate_bytes_out / KB, sums->connections_rejected);
    pthread_mutex_lock(&pubsub->lock);
    size_t channels = pubsub->all[PUBSUB_CHANNEL].count, patterns = pubsub->all[PUBSUB_PATTERN].count;
    size_t shard = pubsub->all[PUBSUB_SHARD].count;
    pthread_mutex_unlock(&pubsub->lock);
    fprintf(info->out,
            "expired_keys:%" PRIu64 "\r\nevicted_keys:0\r\nevicted_clients:0\r\nkeyspace_hits:%" PRIu64
            "\r\nkeyspace_misses:%" PRIu64
            "\r\npubsub_channels:%zu\r\npubsub_patterns:%zu\r\npubsubshard_channels:%zu\r\n",
            sums->sessions.expired_keys, sums->keyspace_hits, sums->keyspace_misses, channels, patterns, shard);
    fprintf(info->out,
            "latest_fork_usec:0\r\ntotal_forks:0\r\ntotal_error_replies:%" PRIu64 "\r\nacl_access_denied_auth:%" PRIu64
            "\r\nacl_access_denied_cmd:%" PRIu64 "\r\nacl_access_denied_key:%" PRIu64
            "\r\nacl_access_denied_channel:%" PRIu64 "\r\n",
            sums->errors, sums->denied_auth, sums->denied_command, sums->denied_key, sums->denied_channel);
    fprintf(info->out,
            "client_output_buffer_limit_disconnections:%" PRIu64 "\r\nunauthenticated_timeouts:%" PRIu64
            "\r\npubsub_messages_published:%" PRIu64 "\r\npubsub_messages_delivered:%" PRIu64 "\r\n",
            sums->output_limit_disconnections, sums->unauthenticated_closed, load(&pubsub->published),
            load(&pubsub->delivered));
    print_bus(info);
}

/* Every gateway serves reads and writes of the whole pool: to a client it is a master without replicas. */
void info_replication(const struct info *info) {
    fprintf(info->out,
            "# Replication\r\nrole:master\r\nconnected_slaves:0\r\nmaster_failover_state:no-failover\r\n"
            "master_replid:%s\r\nmaster_repl_offset:0\r\nsecond_repl_offset:-1\r\nrepl_backlog_active:0\r\n"
            "repl_backlog_size:0\r\nrepl_backlog_first_byte_offset:0\r\nrepl_backlog_histlen:0\r\n",
            info->call->server->run_id);
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

void info_errorstats(const struct info *info) {
    const struct server *server = info->call->server;
    struct {
        char code[REPLY_CODE_BYTES];
        uint64_t count;
    } sums[REPLY_ERROR_CODES];
    size_t known = 0;

    for (uint32_t i = 0; i < server->worker_count; i++) {
        const struct reply_errors *errors = &server->workers[i].stats.errors_by_code;
        uint32_t count = atomic_load_explicit(&errors->known, memory_order_acquire);
        for (uint32_t e = 0; e < count; e++) {
            size_t at = 0;
            while (at < known && strcmp(sums[at].code, errors->code[e]) != 0) {
                at++;
            }
            if (at == known && known < REPLY_ERROR_CODES) {
                memcpy(sums[known].code, errors->code[e], REPLY_CODE_BYTES);
                sums[known++].count = 0;
            }
            sums[at < known ? at : known - 1].count += load(&errors->count[e]);
        }
    }
    fputs("# Errorstats\r\n", info->out);
    for (size_t i = 0; i < known; i++) {
        fprintf(info->out, "errorstat_%s:count=%" PRIu64 "\r\n", sums[i].code, sums[i].count);
    }
}

void info_latencystats(const struct info *info) {
    const struct command *const *rows;
    size_t count = command_table_rows(&rows);
    uint64_t counts[HISTOGRAM_BUCKETS];

    fputs("# Latencystats\r\n", info->out);
    for (size_t i = 0; i < count; i++) {
        if (command_calls(info->call->server, rows[i]->index) == 0) {
            continue;
        }
        command_histogram(info->call->server, rows[i]->index, counts);
        fprintf(info->out, "latency_percentiles_usec_%s:p50=%.3f,p99=%.3f,p99.9=%.3f\r\n", rows[i]->name,
                (double)histogram_percentile_ns(counts, 500000) / NS_PER_US,
                (double)histogram_percentile_ns(counts, 990000) / NS_PER_US,
                (double)histogram_percentile_ns(counts, 999000) / NS_PER_US);
    }
}

void info_cluster(const struct info *info) { fputs("# Cluster\r\ncluster_enabled:0\r\n", info->out); }

/* Redis's lines without `avg_ttl`, which nobody knows; none when the pool cannot be asked. */
void info_keyspace(const struct info *info) {
    struct dm_count count[DM_SPACES];

    fputs("# Keyspace\r\n", info->out);
    if (dm_count(info->call->session, DM_SPACE_ALL, count) != DM_OK) {
        return;
    }
    for (unsigned s = 0; s < DM_SPACES; s++) {
        if (count[s].keys != 0) {
            fprintf(info->out, "db%u:keys=%" PRIu64 ",expires=%" PRIu64 "\r\n", s, count[s].keys, count[s].expiring);
        }
    }
}
