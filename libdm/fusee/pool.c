/* pool.c: opening and closing a pool. See dm.h and pool.h. */
#include "fusee/pool.h"

#include <stdarg.h>
#include <stdio.h>

#include "fusee/lease.h"
#include "fusee/object.h"

#define CACHE_BYTES_DEFAULT (UINT64_C(64) << 20)
#define COPY_BYTES_DEFAULT (UINT64_C(64) << 20)
#define LOG_LINE_BYTES 512

void pool_log(const struct dm_pool *pool, enum dm_log_level level, const char *format, ...) {
    char line[LOG_LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    pool->env->log(pool->env->context, level, line);
}

struct opening {
    struct dm_pool *pool;
    struct dm_endpoint *endpoint;
    const struct dm_pool_config *config;
    char *error;
    size_t error_bytes;
    enum dm_status status;
};

static void attach_coroutine(void *argument) {
    struct opening *opening = argument;
    opening->status =
        pool_attach(opening->pool, opening->endpoint, opening->config, opening->error, opening->error_bytes);
}

/* Runs pool_attach on a scheduler and an endpoint of its own. */
static enum dm_status attach(struct opening *opening) {
    struct dm_fabric *fabric = opening->pool->fabric;
    struct dm_sched_config few = {.coroutines = 4};
    struct dm_sched *sched;
    enum dm_status status = dm_sched_create(opening->pool->env, &few, &sched);
    if (status != DM_OK) {
        snprintf(opening->error, opening->error_bytes, "no memory for a scheduler");
        return status;
    }
    status = fabric->ops->endpoint_open(fabric, sched, &opening->endpoint);
    if (status == DM_OK) {
        status = dm_sched_spawn(sched, attach_coroutine, opening);
        while (dm_sched_alive(sched) != 0) {
            fabric->ops->poll(opening->endpoint);
            dm_sched_run(sched);
        }
        fabric->ops->endpoint_close(opening->endpoint);
        status = status == DM_OK ? opening->status : status;
    } else {
        snprintf(opening->error, opening->error_bytes, "cannot open an endpoint on the %s fabric: %s",
                 fabric->ops->name, dm_status_text(status));
    }
    dm_sched_destroy(sched);
    return status;
}

enum dm_status dm_pool_open(const struct dm_pool_config *config, struct dm_pool **out, char *error,
                            size_t error_bytes) {
    const struct dm_env *env = config->env;
    struct dm_pool *pool = env->allocate(env->context, sizeof *pool);
    if (pool == NULL) {
        snprintf(error, error_bytes, "no memory");
        return DM_BUSY;
    }
    pool->env = env;
    pool->fabric = config->fabric;
    pool->lease_ms = config->lease_ms > LEASE_MS_MAX ? LEASE_MS_MAX : config->lease_ms;
    pool->serve_until_ns = UINT64_MAX;
    struct opening opening = {.pool = pool, .config = config, .error = error, .error_bytes = error_bytes};
    enum dm_status status = attach(&opening);
    uint64_t cache_bytes = config->cache_bytes != 0 ? config->cache_bytes : CACHE_BYTES_DEFAULT;
    if (status == DM_OK && !cache_open(&pool->cache, env, cache_bytes)) {
        snprintf(error, error_bytes, "no memory for an index cache of %llu bytes", (unsigned long long)cache_bytes);
        status = DM_BUSY;
    }
    uint64_t copy_bytes = config->copy_bytes != 0 ? config->copy_bytes : COPY_BYTES_DEFAULT;
    if (status == DM_OK && !copies_open(&pool->copies, env, copy_bytes)) {
        snprintf(error, error_bytes, "no memory for %llu bytes of copies", (unsigned long long)copy_bytes);
        status = DM_BUSY;
    }
    if (status == DM_OK) {
        pool->counts = env->allocate(env->context, (size_t)LAYOUT_COUNT_ROWS * layout_count_words(&pool->layout) *
                                                       sizeof *pool->counts);
    }
    if (status == DM_OK && pool->counts == NULL) {
        snprintf(error, error_bytes, "no memory");
        status = DM_BUSY;
    }
    if (status != DM_OK) {
        dm_pool_close(pool);
        return status;
    }
    pool->hash_seed = pool->layout.super.pool_id;
    pool->class_max = sizeclass_largest(pool->layout.super.block_bytes);
    *out = pool;
    return DM_OK;
}

void dm_pool_close(struct dm_pool *pool) {
    void *parts[] = {(void *)pool->counts, pool->copies.entries, pool->cache.sets, pool->subtables, pool->map};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i] != NULL) {
            pool->env->release(pool->env->context, parts[i]);
        }
    }
    pool->env->release(pool->env->context, pool);
}

void dm_pool_info(const struct dm_pool *pool, struct dm_pool_info *out) {
    const struct layout *layout = &pool->layout;
    *out = (struct dm_pool_info){
        .pool_id = layout->super.pool_id,
        .nodes = layout->super.nodes,
        .replicas = layout->super.replicas,
        .subtables = layout->super.subtables,
        .regions = layout->super.regions,
        .region_bytes = layout->super.region_bytes,
        .block_bytes = layout->super.block_bytes,
        .blocks_total = layout_data_blocks(layout),
        .blocks_free = atomic_load_explicit(&pool->blocks_free, memory_order_relaxed),
        .blocks_reserve = layout_reserve_blocks(layout),
        .data_bytes_total = layout_data_blocks(layout) * layout->super.block_bytes,
        .slots_total = (uint64_t)layout->super.subtables * INDEX_SLOTS,
        .cache_bytes = cache_bytes(&pool->cache),
        .cache_entries = cache_entries(&pool->cache),
        .copy_bytes = copies_bytes(&pool->copies),
        .value_bytes_max = sizeclass_bytes(pool->class_max) - object_bytes(0, 0),
        .key_bytes_max = DM_KEY_BYTES_MAX,
    };
    if (out->key_bytes_max > out->value_bytes_max) {
        out->key_bytes_max = out->value_bytes_max;
    }
}
