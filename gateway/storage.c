/* storage.c: see storage.h. Main thread only. */
#include "storage.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "memory.h"
#include "storage_fabric.h"

#define MB (UINT64_C(1) << 20)

struct storage {
    struct memory nodes[DM_NODES_MAX]; /* of the embedded pool */
    uint32_t node_count;
};

static void storage_close_memory(struct storage *storage) {
    for (uint32_t i = 0; i < storage->node_count; i++) {
        memory_close(&storage->nodes[i]);
    }
    storage->node_count = 0;
}

static bool storage_open_embedded(struct server *server, struct storage *storage, char *error, size_t error_bytes) {
    const struct config *config = server->config;
    struct dm_local_memory nodes[DM_NODES_MAX];
    const char *note = "";

    for (uint32_t i = 0; i < config->embedded_nodes; i++) {
        struct memory *memory = &storage->nodes[i];
        if (!memory_open(memory, config->memory_bytes, config->numa_node, false, error, error_bytes)) {
            return false;
        }
        storage->node_count++;
        if (memory->note[0] != '\0' && strcmp(note, memory->note) != 0) {
            note = memory->note;
            log_write(DM_LOG_NOTICE, "memory of the embedded pool: %s", note);
        }
        nodes[i] = (struct dm_local_memory){memory->base, memory->bytes};
    }
    enum dm_status status = dm_fabric_open_embedded(server->env, nodes, config->embedded_nodes, &server->fabric);
    if (status != DM_OK) {
        snprintf(error, error_bytes, "the embedded fabric cannot be opened: %s", dm_status_text(status));
        return false;
    }
    return true;
}

static void storage_log(const struct server *server, const struct storage *storage) {
    struct dm_pool_info info;

    dm_pool_info(server->pool, &info);
    log_write(DM_LOG_NOTICE,
              "pool %016" PRIx64 ": %s, fabric %s, %u memory nodes, %u replicas, %" PRIu64 " MiB for data, %" PRIu64
              " index slots, %" PRIu64 " MiB index cache",
              info.pool_id, storage->node_count > 0 ? "embedded" : "of memory-node processes", server->config->fabric,
              info.nodes, info.replicas, info.data_bytes_total / MB, info.slots_total, info.cache_bytes / MB);
}

bool storage_open(struct server *server, struct storage **out, char *error, size_t error_bytes) {
    const struct config *config = server->config;
    struct dm_pool_config pool = {
        .env = server->env,
        .replicas = config->replicas,
        .region_bytes = config->region_bytes,
        .block_bytes = config->block_bytes,
        .subtables = config->subtables,
        .cache_bytes = config->cache_bytes,
        .copy_bytes = config->copy_bytes,
        .lease_ms = config->memservers[0] == '\0' ? 0 : config->lease_ms, /* an embedded pool ends with the gateway */
    };
    struct storage *storage = calloc(1, sizeof *storage);

    if (storage == NULL) {
        snprintf(error, error_bytes, "out of memory");
        return false;
    }
    if (!(config->memservers[0] == '\0'
              ? storage_open_embedded(server, storage, error, error_bytes)
              : storage_fabric_open(config, server->env, &server->fabric, error, error_bytes))) {
        goto out_memory;
    }
    pool.fabric = server->fabric;
    if (dm_pool_open(&pool, &server->pool, error, error_bytes) != DM_OK) {
        goto out_fabric;
    }
    storage_log(server, storage);
    *out = storage;
    return true;
out_fabric:
    dm_fabric_close(server->fabric);
out_memory:
    storage_close_memory(storage);
    free(storage);
    return false;
}

void storage_close(struct server *server, struct storage *storage) {
    dm_pool_close(server->pool);
    dm_fabric_close(server->fabric);
    storage_close_memory(storage);
    free(storage);
}
