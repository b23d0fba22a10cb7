/* format.c: joins a pool: reads the superblocks, formats a blank pool (one client does it, the others wait), and reads
 * the region map and the directory. One coroutine, at open, before anything else. */
#include <stdio.h>
#include <string.h>

#include "fusee/buffer.h"
#include "fusee/members.h"
#include "fusee/pool.h"
#include "fusee/word.h"

#define CHUNK_BYTES (64u << 10)
#define FORMAT_WAIT_NS UINT64_C(30000000000)
#define FORMAT_POLL_NS UINT64_C(1000000)
#define EPOCH_FIRST 8 /* so that a few epochs back is never below zero */

struct joining {
    struct dm_pool *pool;
    struct dm_endpoint *endpoint;
    const struct dm_pool_config *config;
    struct superblock *supers; /* registered, one per node */
    uint8_t *chunk;            /* registered, CHUNK_BYTES */
    struct dm_batch batch;
    uint64_t silent; /* nodes that did not answer, one bit each */
    uint64_t lost;   /* nodes that do not count any more (members.h); what they hold is not looked at */
    uint16_t from;   /* the first that counts */
    char *error;
    size_t error_bytes;
};

static enum dm_status join_execute(struct joining *join) {
    dm_fabric_execute(join->endpoint, &join->batch);
    if (join->batch.failed != 0) {
        snprintf(join->error, join->error_bytes, "%u of %u operations failed while joining the pool",
                 join->batch.failed, join->batch.count);
        return DM_UNREACHABLE;
    }
    dm_batch_init(&join->batch, NULL);
    return DM_OK;
}

/* The newest word on members that a node with a pool shows; 0: none has lost a node yet. *of: which one shows it. */
static uint64_t newest_members(struct joining *join, uint16_t *of) {
    uint64_t newest = 0;
    for (uint16_t n = 0; n < join->pool->fabric->node_count; n++) {
        char why[256];
        struct layout layout;
        const struct superblock *super = &join->supers[n];
        bool whole = (join->silent >> n & 1) == 0 && super->node_index == n &&
                     super->nodes == join->pool->fabric->node_count &&
                     layout_from_superblock(&layout, super, why, sizeof why) &&
                     layout.super.node_bytes <= join->pool->fabric->node_bytes[n];
        if (!whole) {
            continue;
        }
        dm_batch_init(&join->batch, NULL);
        struct dm_op *read = dm_batch_read(&join->batch, n, members_offset(&layout), join->chunk, sizeof(uint64_t));
        dm_fabric_execute(join->endpoint, &join->batch);
        uint64_t word = *(const uint64_t *)join->chunk;
        if (read->status == DM_OP_DONE && members_number(word) > members_number(newest)) {
            newest = word;
            *of = n;
        }
    }
    return newest;
}

/* Which nodes count? Those that do not need not answer. */
static enum dm_status learn_lost(struct joining *join) {
    uint16_t of = 0;
    uint64_t word = newest_members(join, &of);
    uint64_t settled = members_number(word) & ~UINT64_C(1); /* else sessions wait for what is being settled */
    join->pool->members = members_word(settled, members_lost(word));
    join->lost = members_lost(word);
    join->from = 0;
    while (join->lost >> join->from & 1) {
        join->from++;
    }
    for (uint16_t n = 0; n < join->pool->fabric->node_count; n++) {
        if ((join->silent & ~join->lost) >> n & 1) {
            snprintf(join->error, join->error_bytes, "memory node %u does not answer", n);
            return DM_UNREACHABLE;
        }
    }
    return DM_OK;
}

static enum dm_status read_supers(struct joining *join) {
    dm_batch_init(&join->batch, NULL);
    for (uint16_t n = 0; n < join->pool->fabric->node_count; n++) {
        dm_batch_read(&join->batch, n, 0, &join->supers[n], sizeof join->supers[n]);
    }
    dm_fabric_execute(join->endpoint, &join->batch);
    join->silent = 0;
    for (uint32_t i = 0; i < join->batch.count; i++) {
        join->silent |= (uint64_t)(join->batch.ops[i].status != DM_OP_DONE) << join->batch.ops[i].node;
    }
    return learn_lost(join);
}

static enum dm_status cas_state(struct joining *join, uint64_t from, uint64_t to, bool *won) {
    dm_batch_init(&join->batch, NULL);
    struct dm_op *cas = dm_batch_cas(&join->batch, 0, 0, from, to);
    dm_fabric_execute(join->endpoint, &join->batch);
    *won = cas->status == DM_OP_DONE && cas->result == from;
    return cas->status == DM_OP_DONE ? DM_OK : DM_UNREACHABLE;
}

/* ---- Formatting ------------------------------------------------------------------------------------------------ */

/* WRITEs chunk[0..length) at the same offset of every node. */
static enum dm_status write_everywhere(struct joining *join, uint64_t offset, uint32_t length) {
    dm_batch_init(&join->batch, NULL);
    for (uint16_t n = 0; n < join->pool->layout.super.nodes; n++) {
        dm_batch_write(&join->batch, n, offset, join->chunk, length);
    }
    return join_execute(join);
}

static enum dm_status format_supers(struct joining *join) {
    size_t body = offsetof(struct superblock, magic);
    dm_batch_init(&join->batch, NULL);
    for (uint16_t n = 0; n < join->pool->layout.super.nodes; n++) {
        struct superblock *super = &join->supers[n];
        *super = join->pool->layout.super;
        super->node_index = n;
        super->crc = superblock_crc(super);
        dm_batch_write(&join->batch, n, body, (uint8_t *)super + body, (uint32_t)(sizeof *super - body));
    }
    return join_execute(join);
}

static enum dm_status format_map(struct joining *join) {
    const struct layout *layout = &join->pool->layout;
    uint64_t entries = (uint64_t)layout->super.regions * layout->super.replicas;
    uint64_t per_chunk = CHUNK_BYTES / sizeof(struct region_replica);
    for (uint64_t done = 0; done < entries;) {
        uint64_t count = entries - done < per_chunk ? entries - done : per_chunk;
        memcpy(join->chunk, layout->map + done, count * sizeof(struct region_replica));
        uint64_t offset = layout->region_map_offset + done * sizeof(struct region_replica);
        enum dm_status status = write_everywhere(join, offset, (uint32_t)(count * sizeof(struct region_replica)));
        if (status != DM_OK) {
            return status;
        }
        done += count;
    }
    return DM_OK;
}

static uint64_t directory_word_at(const struct layout *layout, uint64_t node, uint32_t depth) {
    uint64_t leaves = UINT64_C(1) << depth;
    if (node == 0 || node >= leaves * 2) {
        return directory_word(DIRECTORY_NONE, 0, 0);
    }
    if (node < leaves) {
        return directory_word(DIRECTORY_INNER, 1, 0);
    }
    return directory_word(DIRECTORY_LEAF, 1, layout_subtable_address(layout, (uint32_t)(node - leaves)));
}

static enum dm_status format_directory(struct joining *join) {
    const struct layout *layout = &join->pool->layout;
    uint64_t words = UINT64_C(2) << join->pool->depth; /* deeper ones stay 0 = none */
    uint64_t per_chunk = CHUNK_BYTES / sizeof(uint64_t);
    for (uint64_t done = 0; done < words;) {
        uint64_t count = words - done < per_chunk ? words - done : per_chunk;
        for (uint64_t i = 0; i < count; i++) {
            ((uint64_t *)join->chunk)[i] = directory_word_at(layout, done + i, join->pool->depth);
        }
        enum dm_status status = write_everywhere(join, layout->directory_offset + done * sizeof(uint64_t),
                                                 (uint32_t)(count * sizeof(uint64_t)));
        if (status != DM_OK) {
            return status;
        }
        done += count;
    }
    return DM_OK;
}

/* Adds a WRITE of chunk[at..) to all replicas of a global address; sends the batch when it is full. */
static enum dm_status write_replicas(struct joining *join, uint64_t address, uint32_t at, uint32_t length) {
    const struct layout *layout = &join->pool->layout;
    for (uint32_t j = 0; j < layout->super.replicas; j++) {
        struct location to = layout_locate(layout, address, j);
        dm_batch_write(&join->batch, to.node, to.offset, join->chunk + at, length);
    }
    return dm_batch_room(&join->batch) < LAYOUT_REPLICAS_MAX ? join_execute(join) : DM_OK;
}

static enum dm_status format_block_tables(struct joining *join) {
    const struct layout *layout = &join->pool->layout;
    uint32_t bytes = layout->system_blocks * (uint32_t)sizeof(uint64_t);
    for (uint32_t i = 0; i < layout->system_blocks; i++) {
        ((uint64_t *)join->chunk)[i] = block_word(BLOCK_SYSTEM, 0, 0);
    }
    enum dm_status status = DM_OK;
    for (uint64_t g = 0; g < layout->super.regions && status == DM_OK; g++) {
        status = write_replicas(join, g << layout->region_shift, 0, bytes);
    }
    return status == DM_OK && join->batch.count > 0 ? join_execute(join) : status;
}

static enum dm_status format_subtables(struct joining *join) {
    const struct layout *layout = &join->pool->layout;
    enum dm_status status = DM_OK;
    uint32_t slot = 0; /* each control line keeps its place in the chunk until its batch has ended */
    for (uint32_t s = 0; s < layout->super.subtables && status == DM_OK; s++) {
        struct index_control *control = (struct index_control *)join->chunk + slot;
        *control = (struct index_control){
            .state = INDEX_ACTIVE | UINT64_C(1) << 8,
            .identity = (uint64_t)join->pool->depth << 56 | UINT64_C(1) << 32 | s,
        };
        status =
            write_replicas(join, layout_subtable_address(layout, s), slot * (uint32_t)sizeof *control, sizeof *control);
        slot = join->batch.count == 0 ? 0 : slot + 1;
    }
    return status == DM_OK && join->batch.count > 0 ? join_execute(join) : status;
}

static enum dm_status format_epoch(struct joining *join) {
    ((uint64_t *)join->chunk)[0] = EPOCH_FIRST;
    dm_batch_init(&join->batch, NULL);
    dm_batch_write(&join->batch, 0, join->pool->layout.epoch_offset, join->chunk, sizeof(uint64_t));
    return join_execute(join);
}

static enum dm_status format_pool(struct joining *join) {
    struct dm_pool *pool = join->pool;
    uint64_t smallest = UINT64_MAX;
    for (uint32_t n = 0; n < pool->fabric->node_count; n++) {
        smallest = pool->fabric->node_bytes[n] < smallest ? pool->fabric->node_bytes[n] : smallest;
    }
    if (!layout_choose(&pool->layout, join->config, pool->fabric->node_count, smallest, join->error,
                       join->error_bytes)) {
        return DM_INVALID;
    }
    pool->layout.super.pool_id = pool->env->random_u64(pool->env->context) | 1;
    pool->depth = (uint8_t)(63 - __builtin_clzll(pool->layout.super.subtables));
    uint64_t entries = (uint64_t)pool->layout.super.regions * pool->layout.super.replicas;
    pool->map = pool->env->allocate(pool->env->context, entries * sizeof *pool->map);
    if (pool->map == NULL) {
        snprintf(join->error, join->error_bytes, "no memory for a map of %u regions", pool->layout.super.regions);
        return DM_BUSY;
    }
    layout_map_rotate(&pool->layout, pool->map);
    pool->layout.map = pool->map;
    enum dm_status (*const steps[])(struct joining *) = {format_map,       format_directory, format_block_tables,
                                                         format_subtables, format_epoch,     format_supers};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        enum dm_status status = steps[i](join);
        if (status != DM_OK) {
            return status;
        }
    }
    return DM_OK;
}

/* ---- Joining --------------------------------------------------------------------------------------------------- */

static enum dm_status all_blank(struct joining *join) {
    for (uint32_t n = 0; n < join->pool->fabric->node_count; n++) {
        if (join->supers[n].magic != 0) {
            snprintf(join->error, join->error_bytes,
                     "memory node %u holds a pool, but node 0 is blank: it was restarted, or the list of memory "
                     "nodes is not in the pool's order. Check the list; if node 0 has lost its memory, restart all "
                     "memory nodes to begin with an empty pool",
                     n);
            return DM_INCOMPATIBLE;
        }
    }
    return DM_OK;
}

/* Node 0's state is READY when this returns DM_OK. */
static enum dm_status wait_ready(struct joining *join) {
    struct dm_pool *pool = join->pool;
    uint64_t deadline_ns = pool_clock_ns(pool) + FORMAT_WAIT_NS;
    uint64_t nonce = pool->env->random_u64(pool->env->context) << 8;
    for (;;) {
        enum dm_status status = read_supers(join);
        if (status != DM_OK) {
            return status;
        }
        if ((join->lost & 1) != 0) { /* node 0 said so when it counted */
            return DM_OK;
        }
        uint64_t state = join->supers[0].state;
        if ((state & 0xff) == LAYOUT_READY) {
            return DM_OK;
        }
        if ((state & 0xff) > LAYOUT_READY) {
            snprintf(join->error, join->error_bytes,
                     "memory node 0: its memory holds something that is not a "
                     "Fusegate pool");
            return DM_INCOMPATIBLE;
        }
        if (state == LAYOUT_BLANK && join->config->existing) {
            snprintf(join->error, join->error_bytes,
                     "the memory nodes hold no pool yet: start a gateway, which makes one");
            return DM_NOT_FOUND;
        }
        bool won = false;
        if (state == LAYOUT_BLANK) {
            status = all_blank(join);
            status = status == DM_OK ? cas_state(join, LAYOUT_BLANK, LAYOUT_FORMATTING | nonce, &won) : status;
        }
        if (status == DM_OK && won) {
            status = format_pool(join);
            enum dm_status left =
                cas_state(join, LAYOUT_FORMATTING | nonce, status == DM_OK ? LAYOUT_READY : LAYOUT_BLANK, &won);
            status = status != DM_OK ? status : left;
        }
        if (status != DM_OK) {
            return status;
        }
        if (pool_clock_ns(pool) > deadline_ns) {
            snprintf(join->error, join->error_bytes,
                     "another client has been formatting the pool for 30 s; if it died, restart the memory nodes");
            return DM_UNREACHABLE;
        }
        dm_coro_sleep(join->endpoint->sched, won ? 0 : FORMAT_POLL_NS);
    }
}

static enum dm_status check_node(struct joining *join, uint32_t n, const struct layout *first) {
    char why[256];
    struct layout layout;
    const struct superblock *super = &join->supers[n];
    uint32_t nodes = join->pool->fabric->node_count;
    if (super->magic == 0) {
        snprintf(join->error, join->error_bytes,
                 "memory node %u is blank, but the pool is formatted: it was restarted and has lost its memory. "
                 "Restart all memory nodes to begin with an empty pool",
                 n);
        return DM_INCOMPATIBLE;
    }
    if (!layout_from_superblock(&layout, super, why, sizeof why)) {
        snprintf(join->error, join->error_bytes, "memory node %u: %s", n, why);
        return DM_INCOMPATIBLE;
    }
    if (super->nodes != nodes) {
        snprintf(join->error, join->error_bytes, "memory node %u belongs to a pool of %u nodes, %u are listed", n,
                 super->nodes, nodes);
        return DM_INCOMPATIBLE;
    }
    if (super->pool_id != first->super.pool_id) {
        snprintf(join->error, join->error_bytes, "memory node %u belongs to pool %016llx, node %u to pool %016llx", n,
                 (unsigned long long)super->pool_id, join->from, (unsigned long long)first->super.pool_id);
        return DM_INCOMPATIBLE;
    }
    if (super->node_index != n) {
        snprintf(join->error, join->error_bytes,
                 "the memory node listed as number %u is number %u of the pool: list them in the pool's order", n,
                 super->node_index);
        return DM_INCOMPATIBLE;
    }
    return DM_OK;
}

static enum dm_status check_wish(struct joining *join) {
    const struct superblock *super = &join->pool->layout.super;
    const struct {
        const char *name;
        uint64_t wish, have;
    } figures[] = {
        {"replicas", join->config->replicas, super->replicas},
        {"region size", join->config->region_bytes, super->region_bytes},
        {"block size", join->config->block_bytes, super->block_bytes},
        {"number of subtables", join->config->subtables, super->subtables},
    };
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        if (figures[i].wish != 0 && figures[i].wish != figures[i].have) {
            snprintf(join->error, join->error_bytes,
                     "the pool was formatted with %s = %llu, the configuration asks for %llu: leave it out, or "
                     "restart the memory nodes to begin with an empty pool",
                     figures[i].name, (unsigned long long)figures[i].have, (unsigned long long)figures[i].wish);
            return DM_INCOMPATIBLE;
        }
    }
    return DM_OK;
}

/* READs `bytes` from the first node that counts into memory of ours, through the chunk. */
static enum dm_status fetch(struct joining *join, uint64_t offset, void *to, uint64_t bytes) {
    for (uint64_t done = 0; done < bytes;) {
        uint32_t length = bytes - done < CHUNK_BYTES ? (uint32_t)(bytes - done) : CHUNK_BYTES;
        dm_batch_init(&join->batch, NULL);
        dm_batch_read(&join->batch, join->from, offset + done, join->chunk, length);
        enum dm_status status = join_execute(join);
        if (status != DM_OK) {
            return status;
        }
        memcpy((uint8_t *)to + done, join->chunk, length);
        done += length;
    }
    return DM_OK;
}

static enum dm_status load(struct joining *join) {
    struct dm_pool *pool = join->pool;
    const struct dm_env *env = pool->env;
    const struct superblock *super = &pool->layout.super;
    uint64_t map_bytes = (uint64_t)super->regions * super->replicas * sizeof *pool->map;
    if (pool->map == NULL) {
        pool->map = env->allocate(env->context, map_bytes);
    }
    pool->subtables = env->allocate(env->context, super->subtables * sizeof *pool->subtables);
    if (pool->map == NULL || pool->subtables == NULL) {
        snprintf(join->error, join->error_bytes, "no memory for the region map and directory");
        return DM_BUSY;
    }
    pool->depth = (uint8_t)(63 - __builtin_clzll(super->subtables));
    pool->layout.map = pool->map;
    enum dm_status status = fetch(join, pool->layout.region_map_offset, pool->map, map_bytes);
    for (uint64_t i = 0; i < map_bytes / sizeof *pool->map && status == DM_OK; i++) {
        uint64_t end = pool->layout.regions_offset + ((uint64_t)pool->map[i].frame + 1) * super->region_bytes;
        if (pool->map[i].node >= super->nodes || end > super->node_bytes) {
            snprintf(join->error, join->error_bytes, "the region map is damaged at entry %llu", (unsigned long long)i);
            status = DM_CORRUPT;
        }
    }
    if (status == DM_OK) {
        uint64_t leaves = pool->layout.directory_offset + ((uint64_t)super->subtables) * sizeof(uint64_t);
        status = fetch(join, leaves, pool->subtables, super->subtables * sizeof(uint64_t));
    }
    for (uint32_t s = 0; s < super->subtables && status == DM_OK; s++) {
        uint64_t word = pool->subtables[s];
        pool->subtables[s] = word_address(word);
        if (directory_word_kind(word) != DIRECTORY_LEAF ||
            pool->subtables[s] >> pool->layout.region_shift >= super->regions) {
            snprintf(join->error, join->error_bytes, "the directory is damaged at leaf %u", s);
            status = DM_CORRUPT;
        }
    }
    return status;
}

enum dm_status pool_attach(struct dm_pool *pool, struct dm_endpoint *endpoint, const struct dm_pool_config *config,
                           char *error, size_t error_bytes) {
    struct joining *join = pool->env->allocate(pool->env->context, sizeof *join);
    void *memory = pool->fabric->ops->endpoint_memory(endpoint, DM_NODES_MAX * sizeof(struct superblock) + CHUNK_BYTES);
    if (join == NULL || memory == NULL) {
        snprintf(error, error_bytes, "no memory for joining the pool");
        if (join != NULL) {
            pool->env->release(pool->env->context, join);
        }
        return DM_BUSY;
    }
    *join = (struct joining){.pool = pool, .endpoint = endpoint, .config = config, .chunk = memory};
    join->supers = (struct superblock *)(join->chunk + CHUNK_BYTES);
    join->error = error;
    join->error_bytes = error_bytes;
    enum dm_status status = wait_ready(join);
    char why[256];
    if (status == DM_OK && !layout_from_superblock(&pool->layout, &join->supers[join->from], why, sizeof why)) {
        snprintf(error, error_bytes, "memory node %u: %s", join->from, why);
        status = DM_INCOMPATIBLE;
    }
    for (uint32_t n = 0; n < pool->fabric->node_count && status == DM_OK; n++) {
        if ((join->lost >> n & 1) != 0) {
            continue;
        }
        status = check_node(join, n, &pool->layout);
        if (status == DM_OK && pool->fabric->node_bytes[n] < pool->layout.super.node_bytes) {
            snprintf(error, error_bytes, "memory node %u has less memory than when the pool was formatted", n);
            status = DM_INCOMPATIBLE;
        }
    }
    status = status == DM_OK ? check_wish(join) : status;
    status = status == DM_OK ? load(join) : status;
    pool->env->release(pool->env->context, join);
    return status;
}
