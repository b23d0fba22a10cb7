/* info_dm.c: the section of INFO about the pool and what operations on it cost this gateway.
 *
 *   dm_get:operations=10,round_trips=10,round_trips_per_operation=1.00,reads=20,writes=0,...
 *   node_0:batches_timed=7,usec_mean=1.800,usec_p50=2.048,usec_p99=4.096
 *
 * Costs are those that the fabric counted. Fields of the pool begin with pool_. In a coroutine of a worker.
 */
#include <inttypes.h>
#include <string.h>

#include "info.h"

#define NS_PER_US 1e3

static void print_kind(FILE *out, enum dm_kind kind, const struct dm_kind_stats *stats) {
    const struct dm_cost *cost = &stats->cost;
    double per_operation = stats->operations == 0 ? 0 : (double)cost->round_trips / (double)stats->operations;

    fprintf(out,
            "dm_%s:operations=%" PRIu64 ",round_trips=%" PRIu64 ",round_trips_per_operation=%.2f,reads=%" PRIu64
            ",writes=%" PRIu64 ",compare_swaps=%" PRIu64 ",fetch_adds=%" PRIu64 ",bytes_read=%" PRIu64
            ",bytes_written=%" PRIu64 "\r\n",
            dm_kind_name(kind), stats->operations, cost->round_trips, per_operation, cost->reads, cost->writes,
            cost->compare_swaps, cost->fetch_adds, cost->bytes_read, cost->bytes_written);
}

static void print_pool(const struct info *info) {
    const struct dm_pool_info *pool = &info->pool;

    fprintf(info->out,
            "pool_id:%016" PRIx64 "\r\npool_fabric:%s\r\npool_nodes:%u\r\npool_replicas:%u\r\npool_subtables:%u\r\n"
            "pool_slots_total:%" PRIu64 "\r\n",
            pool->pool_id, info->call->server->config->fabric, pool->nodes, pool->replicas, pool->subtables,
            pool->slots_total);
    fprintf(info->out,
            "pool_regions:%u\r\npool_region_bytes:%" PRIu64 "\r\npool_block_bytes:%" PRIu64
            "\r\npool_blocks_total:%" PRIu64 "\r\npool_blocks_free:%" PRIu64 "\r\npool_blocks_reserve:%" PRIu64 "\r\n",
            pool->regions, pool->region_bytes, pool->block_bytes, pool->blocks_total, pool->blocks_free,
            pool->blocks_reserve);
    fprintf(info->out,
            "pool_data_bytes_total:%" PRIu64 "\r\npool_value_bytes_max:%" PRIu64 "\r\npool_key_bytes_max:%" PRIu64
            "\r\ncache_bytes:%" PRIu64 "\r\ncache_entries:%" PRIu64 "\r\ncopy_bytes:%" PRIu64 "\r\n",
            pool->data_bytes_total, pool->value_bytes_max, pool->key_bytes_max, pool->cache_bytes, pool->cache_entries,
            pool->copy_bytes);
}

void info_node_latency(struct server *server, uint32_t node, struct dm_node_latency *sum) {
    memset(sum, 0, sizeof *sum);
    for (uint32_t i = 0; i < server->worker_count; i++) {
        struct worker *worker = &server->workers[i];
        const struct dm_node_latency *of_worker = &worker->node_latency[node];

        pthread_mutex_lock(&worker->session_stats_lock);
        sum->batches += of_worker->batches;
        sum->nanoseconds += of_worker->nanoseconds;
        for (uint32_t b = 0; b < DM_LATENCY_BUCKETS; b++) {
            sum->bucket[b] += of_worker->bucket[b];
        }
        pthread_mutex_unlock(&worker->session_stats_lock);
    }
}

/* What `percent` of the timed batches did not exceed, in us: the upper edge of a bucket. */
static double latency_percentile_us(const struct dm_node_latency *latency, unsigned percent) {
    uint64_t wanted = (latency->batches * percent + 99) / 100, below = 0;
    uint32_t bucket = 0;

    while (bucket < DM_LATENCY_BUCKETS - 1 && (below += latency->bucket[bucket]) < wanted) {
        bucket++;
    }
    return latency->batches == 0 ? 0 : (double)(DM_LATENCY_FIRST_NS << bucket) / NS_PER_US;
}

static void print_node(const struct info *info, uint32_t node) {
    struct dm_node_latency latency;

    info_node_latency(info->call->server, node, &latency);
    double mean = latency.batches == 0 ? 0 : (double)latency.nanoseconds / (double)latency.batches / NS_PER_US;
    fprintf(info->out, "node_%u:batches_timed=%" PRIu64 ",usec_mean=%.3f,usec_p50=%.3f,usec_p99=%.3f\r\n", node,
            latency.batches, mean, latency_percentile_us(&latency, 50), latency_percentile_us(&latency, 99));
}

void info_dm(const struct info *info) {
    const struct dm_session_stats *stats = &info->sums.sessions;
    const struct {
        const char *name;
        uint64_t value;
    } counters[] = {
        {"cache_hits", stats->cache_hits},
        {"cache_misses", stats->cache_misses},
        {"cache_stale", stats->cache_stale},
        {"cache_bypassed", stats->cache_bypassed},
        {"guesses_right", stats->guesses_right},
        {"guesses_stale", stats->guesses_stale},
        {"guesses_old", stats->guesses_old},
        {"conflicts_lost", stats->conflicts_lost},
        {"conflicts_blind_ok", stats->conflicts_blind_ok},
        {"rounds_split", stats->rounds_split},
        {"reads_repeated", stats->reads_repeated},
        {"rounds_resumed", stats->rounds_resumed},
        {"outcomes_proved", stats->outcomes_proved},
        {"rounds_open", stats->rounds_open},
        {"retries", stats->retries},
        {"insert_conflicts", stats->insert_conflicts},
        {"tombstones_reused", stats->tombstones_reused},
        {"clears_lost", stats->clears_lost},
        {"intents_met", stats->intents_met},
        {"transactions_aborted", stats->transactions_aborted},
        {"pictures_retaken", stats->pictures_retaken},
        {"objects_torn", stats->objects_torn},
        {"objects_allocated", stats->objects_allocated},
        {"objects_freed", stats->objects_freed},
        {"bytes_owned_free", stats->bytes_owned_free},
        {"out_of_memory", stats->out_of_memory},
        {"reclaim_deferred", stats->reclaim_deferred},
        {"buffer_allocations", stats->buffer_allocations},
    };

    fputs("# Dm\r\n", info->out);
    print_pool(info);
    for (int kind = 0; kind < DM_KIND_COUNT; kind++) {
        print_kind(info->out, (enum dm_kind)kind, &stats->kind[kind]);
    }
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++) {
        fprintf(info->out, "%s:%" PRIu64 "\r\n", counters[i].name, counters[i].value);
    }
    for (uint32_t node = 0; node < info->pool.nodes; node++) {
        print_node(info, node);
    }
}
