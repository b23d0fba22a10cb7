/* metrics.c: see metrics.h. Any thread that is no worker's.
 *
 * Basics have the names that redis_exporter gives them, so that dashboards for Redis show them; what only this gateway
 * has begins with fusegate_. The metrics of the pool are those of INFO's section Dm, taken from its lines: what is
 * added there is here, too.
 */
#include "metrics.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "bus.h"
#include "command_table.h"
#include "info.h"
#include "live.h"
#include "pubsub.h"
#include "slowlog.h"

#define NS_PER_S 1e9
#define US_PER_S 1e6
#define FAMILIES_MAX 32u
#define KIND_BYTES 48
#define FIRST_EDGE 1u /* edges of histograms: 2^n us, from 2 us on */
#define EDGES 22u

struct metrics {
    struct server *server;
    FILE *out;
    struct info_sums sums;
};

static void head(FILE *out, const char *name, const char *type, const char *help) {
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void single(FILE *out, const char *name, const char *type, const char *help, double value) {
    head(out, name, type, help);
    fprintf(out, "%s %.17g\n", name, value);
}

/* ---- Under the names of redis_exporter ---- */

static void print_server(const struct metrics *metrics) {
    const struct server *server = metrics->server;
    uint64_t now_ns = server->env->clock_ns(server->env->context);

    head(metrics->out, "redis_instance_info", "gauge", "What this is.");
    fprintf(metrics->out,
            "redis_instance_info{redis_version=\"%s\",redis_mode=\"standalone\",role=\"master\",run_id=\"%s\","
            "server_name=\"fusegate\",fusegate_version=\"%s\",tcp_port=\"%u\"} 1\n",
            FUSEGATE_REDIS_VERSION, server->run_id, FUSEGATE_VERSION, server->config->port);
    single(metrics->out, "redis_uptime_in_seconds", "gauge", "Since the start of the gateway.",
           (double)(now_ns - server->started_ns) / NS_PER_S);
}

static void print_basics(const struct metrics *metrics) {
    const struct info_sums *sums = &metrics->sums;
    struct server *server = metrics->server;
    struct dm_pool_info pool;

    dm_pool_info(server->pool, &pool);
    pthread_mutex_lock(&server->slowlog->lock);
    uint64_t slow = server->slowlog->count;
    pthread_mutex_unlock(&server->slowlog->lock);
    const struct {
        const char *name, *type, *help;
        uint64_t value;
    } basics[] = {
        {"redis_connected_clients", "gauge", "Connections.", sums->connections_now},
        {"redis_max_clients", "gauge", "Most connections at a time.", atomic_load(&server->live->maxclients)},
        {"redis_connections_received_total", "counter", "Connections accepted.", sums->connections_received},
        {"redis_rejected_connections_total", "counter", "Connections refused.", sums->connections_rejected},
        {"redis_commands_processed_total", "counter", "Commands executed.", sums->commands},
        {"redis_net_input_bytes_total", "counter", "Bytes received.", sums->bytes_in},
        {"redis_net_output_bytes_total", "counter", "Bytes sent.", sums->bytes_out},
        {"redis_keyspace_hits_total", "counter", "Reads of keys that exist.", sums->keyspace_hits},
        {"redis_keyspace_misses_total", "counter", "Reads of keys that do not.", sums->keyspace_misses},
        {"redis_expired_keys_total", "counter", "Keys removed because their time had come.",
         sums->sessions.expired_keys},
        {"redis_evicted_keys_total", "counter", "Always 0: nothing is evicted.", 0},
        {"redis_memory_max_bytes", "gauge", "Data that the pool can hold.", pool.data_bytes_total},
        {"redis_slowlog_length", "gauge", "Entries of SLOWLOG.", slow},
        {"redis_acl_access_denied_auth_total", "counter", "Wrong passwords.", sums->denied_auth},
        {"redis_acl_access_denied_cmd_total", "counter", "Commands refused by ACL rules.", sums->denied_command},
        {"redis_acl_access_denied_key_total", "counter", "Keys refused by ACL rules.", sums->denied_key},
        {"redis_acl_access_denied_channel_total", "counter", "Channels refused by ACL rules.", sums->denied_channel},
        {"fusegate_error_replies_total", "counter", "Error replies.", sums->errors},
        {"fusegate_output_limit_disconnections_total", "counter", "Clients that did not read.",
         sums->output_limit_disconnections},
        {"fusegate_unauthenticated_timeouts_total", "counter", "Clients that sent no password in time.",
         sums->unauthenticated_closed},
        {"fusegate_client_buffer_bytes", "gauge", "Buffers of connections.", sums->client_bytes},
        {"fusegate_subscribers", "gauge", "Connections with subscriptions.", sums->subscribers},
        {"fusegate_monitors", "gauge", "Connections in MONITOR.", atomic_load(&server->monitors)},
        {"fusegate_messages_published_total", "counter", "Messages published here or at other gateways.",
         atomic_load(&server->pubsub->published)},
        {"fusegate_messages_delivered_total", "counter", "Deliveries of messages to subscribers.",
         atomic_load(&server->pubsub->delivered)},
    };

    for (size_t i = 0; i < sizeof basics / sizeof basics[0]; i++) {
        single(metrics->out, basics[i].name, basics[i].type, basics[i].help, (double)basics[i].value);
    }
}

static double seconds(const struct timeval *time) { return (double)time->tv_sec + (double)time->tv_usec / US_PER_S; }

static void print_cpu(const struct metrics *metrics) {
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    single(metrics->out, "redis_cpu_sys_seconds_total", "counter", "CPU time of the kernel.", seconds(&usage.ru_stime));
    single(metrics->out, "redis_cpu_user_seconds_total", "counter", "CPU time of the gateway.",
           seconds(&usage.ru_utime));
}

static void print_bus(const struct metrics *metrics) {
    struct bus_stats stats;

    if (metrics->server->bus == NULL) {
        return;
    }
    bus_stats(metrics->server->bus, &stats);
    single(metrics->out, "fusegate_bus_peers", "gauge", "Gateways in peers.", stats.peers);
    single(metrics->out, "fusegate_bus_peers_connected", "gauge", "Of them connected.", stats.peers_connected);
    single(metrics->out, "fusegate_bus_messages_sent_total", "counter", "Messages to other gateways.",
           (double)stats.sent);
    single(metrics->out, "fusegate_bus_messages_received_total", "counter", "Messages from other gateways.",
           (double)stats.received);
    single(metrics->out, "fusegate_bus_messages_dropped_total", "counter", "Messages that a gateway missed.",
           (double)stats.dropped);
}

/* ---- By command ---- */

enum command_counter { COMMAND_CALLS, COMMAND_NANOSECONDS, COMMAND_REJECTED, COMMAND_FAILED };

static uint64_t command_sum(const struct server *server, uint16_t index, enum command_counter counter) {
    uint64_t sum = 0;

    for (uint32_t i = 0; i < server->worker_count; i++) {
        struct worker_stats *stats = &server->workers[i].stats;
        sum += atomic_load_explicit(counter == COMMAND_CALLS         ? &stats->command[index].calls
                                    : counter == COMMAND_NANOSECONDS ? &stats->command[index].nanoseconds
                                    : counter == COMMAND_REJECTED    ? &stats->command[index].rejected
                                                                     : &stats->command[index].failed,
                                    memory_order_relaxed);
    }
    return sum;
}

static void print_commands(const struct metrics *metrics) {
    static const struct {
        const char *name, *help;
        double unit;
    } counters[] = {
        {"redis_commands_total", "Calls.", 1},
        {"redis_commands_duration_seconds_total", "Time in commands, waiting for memory nodes included.", NS_PER_S},
        {"redis_commands_rejected_calls_total", "Calls that were not executed.", 1},
        {"redis_commands_failed_calls_total", "Calls that ended with an error.", 1},
    };
    const struct command *const *rows;
    size_t count = command_table_rows(&rows);

    for (int c = 0; c < 4; c++) {
        head(metrics->out, counters[c].name, "counter", counters[c].help);
        for (size_t i = 0; i < count; i++) {
            uint64_t used = command_sum(metrics->server, rows[i]->index, COMMAND_CALLS) +
                            command_sum(metrics->server, rows[i]->index, COMMAND_REJECTED);
            if (used > 0) {
                fprintf(metrics->out, "%s{cmd=\"%s\"} %.17g\n", counters[c].name, rows[i]->name,
                        (double)command_sum(metrics->server, rows[i]->index, (enum command_counter)c) /
                            counters[c].unit);
            }
        }
    }
}

/* The histogram of all commands of a group of COMMAND DOCS. */
static void print_family(const struct metrics *metrics, const char *family) {
    uint64_t sums[HISTOGRAM_BUCKETS] = {0}, counts[HISTOGRAM_BUCKETS], total = 0, below = 0, nanoseconds = 0;
    const struct command *const *rows;
    size_t count = command_table_rows(&rows);
    uint32_t bucket = 0;

    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i]->group, family) == 0) {
            command_histogram(metrics->server, rows[i]->index, counts);
            nanoseconds += command_sum(metrics->server, rows[i]->index, COMMAND_NANOSECONDS);
            for (uint32_t b = 0; b < HISTOGRAM_BUCKETS; b++) {
                sums[b] += counts[b];
                total += counts[b];
            }
        }
    }
    for (uint32_t edge = 0; edge < EDGES; edge++) {
        uint64_t edge_ns = UINT64_C(1024) << (edge + FIRST_EDGE);
        for (; bucket < HISTOGRAM_BUCKETS && histogram_bucket_end_ns(bucket) < edge_ns; bucket++) {
            below += sums[bucket];
        }
        fprintf(metrics->out, "fusegate_command_duration_seconds_bucket{family=\"%s\",le=\"%.9g\"} %" PRIu64 "\n",
                family, (double)edge_ns / NS_PER_S, below);
    }
    fprintf(metrics->out,
            "fusegate_command_duration_seconds_bucket{family=\"%s\",le=\"+Inf\"} %" PRIu64
            "\nfusegate_command_duration_seconds_sum{family=\"%s\"} %.17g"
            "\nfusegate_command_duration_seconds_count{family=\"%s\"} %" PRIu64 "\n",
            family, total, family, (double)nanoseconds / NS_PER_S, family, total);
}

static void print_families(const struct metrics *metrics) {
    const struct command *const *rows;
    const char *families[FAMILIES_MAX];
    size_t count = command_table_rows(&rows), known = 0;

    head(metrics->out, "fusegate_command_duration_seconds", "histogram",
         "How long commands take, by the group that COMMAND DOCS names.");
    for (size_t i = 0; i < count; i++) {
        size_t at = 0;
        while (at < known && strcmp(families[at], rows[i]->group) != 0) {
            at++;
        }
        if (at == known && known < FAMILIES_MAX) {
            families[known++] = rows[i]->group;
            print_family(metrics, rows[i]->group);
        }
    }
}

/* ---- The pool, out of INFO's section Dm ---- */

/* What can go down, or is no count. */
static bool is_gauge(const char *name) {
    return strncmp(name, "pool_", 5) == 0 || strncmp(name, "cache_bytes", 11) == 0 ||
           strncmp(name, "cache_entries", 13) == 0 || strncmp(name, "copy_", 5) == 0 ||
           strcmp(name, "bytes_owned_free") == 0;
}

static bool is_number(const char *text) { return *text != '\0' && strspn(text, "0123456789.") == strlen(text); }

/* name:value */
static void print_dm_single(FILE *out, const char *name, const char *value) {
    char metric[128];
    bool gauge = is_gauge(name);

    if (!is_number(value) || strcmp(name, "pool_id") == 0) {
        return;
    }
    size_t length = strlen(name); /* INFO's pool_blocks_total is a size: only counters are called so here */

    if (gauge && length > 6 && strcmp(name + length - 6, "_total") == 0) {
        length -= 6;
    }
    snprintf(metric, sizeof metric, "fusegate_dm_%.*s%s", (int)length, name, gauge ? "" : "_total");
    head(out, metric, gauge ? "gauge" : "counter", "See INFO dm.");
    fprintf(out, "%s %s\n", metric, value);
}

/* One field of the lines "dm_<kind>:<field>=<value>,..." of all kinds. False: no line has so many fields. */
static bool print_dm_field(FILE *out, const char *text, size_t index) {
    bool titled = false;

    for (const char *line = strstr(text, "\ndm_"); line != NULL; line = strstr(line + 1, "\ndm_")) {
        const char *colon = strchr(line, ':'), *field = colon + 1;
        char name[KIND_BYTES], value[KIND_BYTES];

        for (size_t i = 0; i < index && field != NULL; i++) {
            field = strpbrk(field, ",\r");
            field = field != NULL && *field == ',' ? field + 1 : NULL;
        }
        if (field == NULL || sscanf(field, "%47[a-z_]=%47[0-9.]", name, value) != 2) {
            return titled;
        }
        if (strchr(value, '.') != NULL) {
            return true; /* a quotient: whoever asks can compute it for any time */
        }
        if (!titled) {
            fprintf(out, "# HELP fusegate_dm_kind_%s_total By kind of operation, see INFO dm.\n", name);
            fprintf(out, "# TYPE fusegate_dm_kind_%s_total counter\n", name);
            titled = true;
        }
        fprintf(out, "fusegate_dm_kind_%s_total{kind=\"%.*s\"} %s\n", name, (int)(colon - line - 4), line + 4, value);
    }
    return titled;
}

static void print_dm_lines(FILE *out, char *text) {
    for (size_t index = 0; print_dm_field(out, text, index);) {
        index++;
    }
    char *rest = text;

    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
        char *colon = strchr(line, ':');
        line[strcspn(line, "\r")] = '\0';
        if (colon != NULL && strncmp(line, "dm_", 3) != 0 && strncmp(line, "node_", 5) != 0) {
            *colon = '\0';
            print_dm_single(out, line, colon + 1);
        }
    }
}

static void print_dm(const struct metrics *metrics) {
    const struct call call = {.server = metrics->server};
    char *text = NULL;
    size_t length = 0;
    struct info info = {.call = &call, .out = open_memstream(&text, &length), .sums = metrics->sums};

    if (info.out == NULL) {
        return;
    }
    dm_pool_info(metrics->server->pool, &info.pool);
    info_dm(&info);
    if (fclose(info.out) == 0) {
        print_dm_lines(metrics->out, text);
    }
    free(text);
}

/* How long the memory nodes take, each for itself. */
static void print_nodes(const struct metrics *metrics) {
    struct dm_pool_info pool;

    dm_pool_info(metrics->server->pool, &pool);
    head(metrics->out, "fusegate_node_duration_seconds", "histogram",
         "How long a memory node takes for a batch of operations, as workers see it; a sample.");
    for (uint32_t node = 0; node < pool.nodes; node++) {
        struct dm_node_latency latency;
        uint64_t below = 0;
        info_node_latency(metrics->server, node, &latency);
        for (uint32_t b = 0; b < DM_LATENCY_BUCKETS - 1; b++) {
            below += latency.bucket[b];
            fprintf(metrics->out, "fusegate_node_duration_seconds_bucket{node=\"%u\",le=\"%.9g\"} %" PRIu64 "\n", node,
                    (double)(DM_LATENCY_FIRST_NS << b) / NS_PER_S, below);
        }
        fprintf(metrics->out,
                "fusegate_node_duration_seconds_bucket{node=\"%u\",le=\"+Inf\"} %" PRIu64
                "\nfusegate_node_duration_seconds_sum{node=\"%u\"} %.17g"
                "\nfusegate_node_duration_seconds_count{node=\"%u\"} %" PRIu64 "\n",
                node, latency.batches, node, (double)latency.nanoseconds / NS_PER_S, node, latency.batches);
    }
}

char *metrics_text(struct server *server, size_t *length) {
    char *text = NULL;
    struct metrics metrics = {.server = server, .out = open_memstream(&text, length)};

    if (metrics.out == NULL) {
        return NULL;
    }
    info_sum(server, NULL, &metrics.sums);
    print_server(&metrics);
    print_basics(&metrics);
    print_cpu(&metrics);
    print_bus(&metrics);
    print_commands(&metrics);
    print_families(&metrics);
    print_dm(&metrics);
    print_nodes(&metrics);
    if (fclose(metrics.out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}
