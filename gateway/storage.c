/* storage.c: see storage.h. Main thread only. */
#include "storage.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "memory.h"

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

/* Splits "a, b,c" in place; 0: an empty name, or more than DM_NODES_MAX. */
static uint32_t names_split(char *text, const char **names) {
    char *rest = text;
    uint32_t count = 0;

    for (char *name = strsep(&rest, ","); name != NULL; name = strsep(&rest, ",")) {
        name += strspn(name, " \t");
        size_t length = strcspn(name, " \t");
        if (count == DM_NODES_MAX || length == 0 || name[length + strspn(name + length, " \t")] != '\0') {
            return 0;
        }
        name[length] = '\0';
        names[count++] = name;
    }
    return count;
}

static bool storage_open_verbs(struct server *server, const char *const *names, uint32_t count, char *error,
                               size_t error_bytes) {
    struct dm_verbs_config verbs;
    uint8_t secret[256];
    bool opened = rdma_setting_apply(&server->config->rdma, &verbs, secret, error, error_bytes) &&
                  dm_fabric_open_verbs(server->env, &verbs, names, count, &server->fabric, error, error_bytes) == DM_OK;

    explicit_bzero(secret, sizeof secret);
    return opened;
}

static bool storage_open_cluster(struct server *server, char *error, size_t error_bytes) {
    char text[sizeof server->config->memservers];
    const char *names[DM_NODES_MAX];

    strcpy(text, server->config->memservers);
    uint32_t count = names_split(text, names);
    if (count == 0) {
        snprintf(error, error_bytes, "[pool] memservers = '%.200s': must be 1 to %d paths, separated by commas",
                 server->config->memservers, DM_NODES_MAX);
        return false;
    }
    bool verbs = strcmp(server->config->fabric, "verbs") == 0;
    for (uint32_t i = 0; i < count; i++) {
        bool over_rdma = strncmp(names[i], RDMA_ADDRESS_PREFIX, strlen(RDMA_ADDRESS_PREFIX)) == 0;
        if (over_rdma != verbs) {
            snprintf(
                error, error_bytes,
                "[pool] memservers: '%.200s' does not fit fabric = %s: rdma://host:port is for verbs, the path of a "
                "control socket for local",
                names[i], server->config->fabric);
            return false;
        }
    }
    return verbs ? storage_open_verbs(server, names, count, error, error_bytes)
                 : dm_fabric_open_local(server->env, names, count, &server->fabric, error, error_bytes) == DM_OK;
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
    };
    struct storage *storage = calloc(1, sizeof *storage);

    if (storage == NULL) {
        snprintf(error, error_bytes, "out of memory");
        return false;
    }
    if (!(config->memservers[0] == '\0' ? storage_open_embedded(server, storage, error, error_bytes)
                                        : storage_open_cluster(server, error, error_bytes))) {
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
