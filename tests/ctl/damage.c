/* damage.c: pools that are damaged on purpose: `fusegate-ctl check` must find each damage, name its kind, and find the
 * pool in order once it is undone. Writes straight into the memory nodes' memory, as no client does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl_run.h"
#include "fabric/local.h"
#include "fusee/object.h"
#include "fusee/pool.h"
#include "fusee/word.h"
#include "report.h"
#include "wire.h"

#define KEYS 200
#define STRANGER 1000 /* a client that is not registered */

struct pool_memory {
    struct cluster *cluster;
    struct dm_fabric *fabric;
    struct dm_pool *pool;
    uint64_t slot, word; /* of some key: global address, and what its primary holds */
    uint64_t empty;      /* a slot that was never used */
    uint64_t free_block, used_block;
};

static uint8_t *at(const struct pool_memory *memory, uint64_t address, uint32_t replica) {
    struct location to = layout_locate(&memory->pool->layout, address, replica);
    return ((struct local_fabric *)memory->fabric)->base[to.node] + to.offset;
}

static uint64_t word_of(const struct pool_memory *memory, uint64_t address, uint32_t replica) {
    uint64_t word;
    memcpy(&word, at(memory, address, replica), sizeof word);
    return word;
}

/* On all replicas from `first` on. */
static void put(const struct pool_memory *memory, uint64_t address, uint32_t first, uint64_t word) {
    for (uint32_t j = first; j < memory->pool->layout.super.replicas; j++) {
        memcpy(at(memory, address, j), &word, sizeof word);
    }
}

static void pool_open(struct pool_memory *memory) {
    char error[512];
    char names[CLUSTER_MAX * 130];
    const char *paths[CLUSTER_MAX];
    char *rest = names;
    uint32_t count = 0;
    snprintf(names, sizeof names, "%s", cluster_memservers(memory->cluster, NULL));
    for (char *name = strsep(&rest, ","); name != NULL; name = strsep(&rest, ",")) {
        paths[count++] = name;
    }
    if (dm_fabric_open_local(dm_env_system(), paths, count, &memory->fabric, error, sizeof error) != DM_OK) {
        report_abort("%s", error);
    }
    const struct dm_pool_config config = {.env = dm_env_system(), .fabric = memory->fabric, .existing = true};
    if (dm_pool_open(&config, &memory->pool, error, sizeof error) != DM_OK) {
        report_abort("%s", error);
    }
}

static uint64_t block_word_address(const struct pool_memory *memory, uint64_t block) {
    return layout_block_word_address(&memory->pool->layout, block);
}

/* Some key, an empty slot of its subtable, a free block. */
static void pool_search(struct pool_memory *memory) {
    const struct layout *layout = &memory->pool->layout;
    for (uint32_t s = 0; s < layout->super.subtables; s++) {
        for (uint16_t slot = 0; slot < INDEX_SLOTS; slot++) {
            uint64_t address = memory->pool->subtables[s] + index_slot_offset(slot);
            uint64_t word = word_of(memory, address, 0);
            if (memory->slot == 0 && word_is_live(word)) {
                memory->slot = address;
                memory->word = word;
            } else if (memory->empty == 0 && word == 0) {
                memory->empty = address;
            }
        }
    }
    memory->used_block = layout_block_number(layout, word_address(memory->word));
    for (uint64_t b = 0; b < layout_blocks(layout) && memory->free_block == 0; b++) {
        if (block_word_state(word_of(memory, block_word_address(memory, b), 0)) == BLOCK_FREE) {
            memory->free_block = b;
        }
    }
    if (memory->slot == 0 || memory->empty == 0 || memory->free_block == 0) {
        report_abort("the pool holds nothing to damage");
    }
}

/* check must end with `code` and tell of this kind. */
static void expect(const struct pool_memory *memory, int code, const char *kind, const char *what) {
    char fault[32];
    struct ctl_result result = ctl_run(memory->cluster, "check --patience=1");
    snprintf(fault, sizeof fault, "FAULT %s:", kind);
    bool right = result.code == code && (code == 0 || strstr(result.text, fault) != NULL);
    if (!report_case(right, "%s: exit code %d%s%s (%.0f ms)", what, result.code, code == 0 ? "" : ", kind ",
                     code == 0 ? "" : kind, result.took_s * 1e3)) {
        printf("%s\n", result.text);
    }
}

/* ---- Damages ---------------------------------------------------------------------------------------------------- */

/* A byte of a value on one replica. */
static void case_object(const struct pool_memory *memory, uint32_t replica) {
    uint8_t *byte = at(memory, word_address(memory->word), replica) + sizeof(struct object_header) + 2;
    char what[64];
    snprintf(what, sizeof what, "a byte of an object changed on replica %u", replica);
    *byte ^= 1;
    expect(memory, 4, "object", what);
    *byte ^= 1;
}

static void case_slot(const struct pool_memory *memory, uint32_t first) {
    char what[64];
    snprintf(what, sizeof what, "a slot emptied on the replicas from %u on", first);
    put(memory, memory->slot, first, word_emptied(memory->word));
    expect(memory, 4, "replicas", what);
    put(memory, memory->slot, 0, memory->word);
}

static void case_elsewhere(const struct pool_memory *memory) {
    put(memory, memory->empty, 0, memory->word);
    expect(memory, 4, "object", "one object named by two slots");
    put(memory, memory->empty, 0, 0);
    put(memory, memory->slot, 0, word_with_kind(memory->word, WORD_FROZEN_VOID));
    expect(memory, 4, "object", "a kind of word that is not known");
    put(memory, memory->slot, 0, memory->word);
    put(memory, memory->slot, 0, memory->word & ~WORD_ADDRESS_MASK);
    expect(memory, 4, "object", "a slot that names no object");
    put(memory, memory->slot, 0, memory->word);
}

/* The key once more, whole, in another slot of its own. */
static void case_twice(const struct pool_memory *memory) {
    const struct layout *layout = &memory->pool->layout;
    struct object_header header;
    memcpy(&header, at(memory, word_address(memory->word), 0), sizeof header);
    struct index_place place = index_place(header.hash);
    uint64_t subtable = memory->pool->subtables[index_prefix(header.hash, memory->pool->depth)];
    uint64_t slot = 0;
    for (uint32_t i = 0; i < 2 * INDEX_COMBINED_SLOTS && slot == 0; i++) {
        uint16_t number = (uint16_t)(place.first_slot[i / INDEX_COMBINED_SLOTS] + i % INDEX_COMBINED_SLOTS);
        uint64_t address = subtable + index_slot_offset(number);
        slot = word_of(memory, address, 0) == 0 ? address : 0;
    }
    /* A copy in a free block that becomes the stranger's for that; the kind of fault is what counts here. */
    uint64_t block = block_word_address(memory, memory->free_block);
    uint64_t before = word_of(memory, block, 0);
    struct word_parts parts = {.fingerprint = word_fingerprint(memory->word),
                               .kind = WORD_LIVE_BLIND,
                               .size_class = word_class(memory->word),
                               .tag = word_tag(memory->word),
                               .address = memory->free_block << layout->block_shift};
    uint64_t word = word_make(parts);
    uint32_t bytes = sizeclass_bytes(parts.size_class);
    put(memory, block, 0, block_word_after(before, block_word(BLOCK_ORPHAN, parts.size_class, 0)));
    for (uint32_t j = 0; j < layout->super.replicas; j++) {
        uint8_t *copy = at(memory, parts.address, j);
        memcpy(copy, at(memory, word_address(memory->word), 0), bytes);
        const struct object_log *log =
            (const struct object_log *)(copy + object_length(&header) - sizeof(struct object_log));
        object_seal(copy, &(struct object_names){
                              .self = word, .slot = slot, .prev = header.prev, .origin = header.origin, .log = *log});
    }
    put(memory, slot, 0, word);
    expect(memory, 4, "twice", "a key in two slots");
    put(memory, slot, 0, 0);
    put(memory, block, 0, before);
}

static void case_block(const struct pool_memory *memory) {
    uint64_t address = block_word_address(memory, memory->used_block);
    uint64_t word = word_of(memory, address, 0);
    put(memory, address, 0, block_word_after(word, block_word(BLOCK_FREE, 0, 0)));
    expect(memory, 4, "twice", "a block that is in use, and free");
    put(memory, address, 0, block_word_after(word, block_word(BLOCK_OWNED, block_word_class(word), STRANGER)));
    expect(memory, 4, "block", "a block of a client that is not registered");
    put(memory, address, 0, word);
    put(memory, address, 1, block_word_after(word, word));
    expect(memory, 4, "replicas", "a block word that differs between replicas");
    put(memory, address, 0, word);
}

static void case_free_map(const struct pool_memory *memory) {
    const struct layout *layout = &memory->pool->layout;
    uint64_t offset = word_address(memory->word) & (layout->super.block_bytes - 1);
    uint64_t bit = offset / SIZECLASS_BYTES_MIN;
    uint64_t map = layout_free_map_address(layout, memory->used_block) + bit / 64 * 8;
    uint64_t word = word_of(memory, map, 0);
    memcpy(at(memory, map, 0), &(uint64_t){word | UINT64_C(1) << (bit % 64)}, 8);
    expect(memory, 4, "twice", "an object that is named, and marked free");
    memcpy(at(memory, map, 0), &word, 8);
}

/* All gateways have left, so every block with data is without owner, and every object accounted for. */
static void case_lost(const struct pool_memory *memory) {
    const struct layout *layout = &memory->pool->layout;
    uint64_t map = layout_free_map_address(layout, memory->used_block);
    uint8_t *marks = at(memory, map, 0);
    uint8_t *kept = malloc(layout->map_bytes);
    memcpy(kept, marks, layout->map_bytes);
    memset(marks, 0, layout->map_bytes);
    expect(memory, 5, "lost", "memory that nobody knows of");
    memcpy(marks, kept, layout->map_bytes);
    free(kept);
}

static void case_client(const struct pool_memory *memory) {
    uint8_t *announce = ((struct local_fabric *)memory->fabric)->base[0] + memory->pool->layout.announce_offset +
                        STRANGER * sizeof(uint64_t);
    memcpy(announce, &(uint64_t){9}, 8);
    expect(memory, 4, "client", "an epoch announced by nobody");
    memset(announce, 0, 8);
}

static void case_map(const struct pool_memory *memory) {
    uint8_t *map = ((struct local_fabric *)memory->fabric)->base[1] + memory->pool->layout.region_map_offset;
    *map ^= 1;
    expect(memory, 4, "map", "a region map that differs on one node");
    *map ^= 1;
}

/* ----------------------------------------------------------------------------------------------------------------- */

static void fill(const struct cluster *cluster) {
    struct wire wire;
    bool right = wire_open(&wire, cluster->gateway[0]->port);
    for (int i = 0; i < KEYS && right; i++) {
        char words[64];
        snprintf(words, sizeof words, "SET key:%d value:%d", i, i);
        right = wire_expect(&wire, words, "+OK\r\n");
    }
    if (!right) {
        report_abort("the gateway does not take keys");
    }
    wire_close(&wire);
}

int main(void) {
    struct cluster cluster = {.memserver_count = 3, .gateway_count = 1, .replicas = 3, .memory_bytes = 64u << 20};
    cluster_start(&cluster);
    fill(&cluster);
    struct pool_memory memory = {.cluster = &cluster};
    pool_open(&memory);
    expect(&memory, 0, "", "a pool with a gateway");
    pool_search(&memory);
    case_slot(&memory, 1);
    case_slot(&memory, 2);
    case_object(&memory, 0);
    case_object(&memory, 2);
    report_case(process_stop(cluster.gateway[0], 15) == 0, "the gateway has left");
    cluster.gateway_count = 0;
    expect(&memory, 0, "", "a pool that nobody uses");
    case_slot(&memory, 1);
    case_elsewhere(&memory);
    case_twice(&memory);
    case_block(&memory);
    case_free_map(&memory);
    case_lost(&memory);
    case_client(&memory);
    case_map(&memory);
    expect(&memory, 0, "", "all damage undone");
    dm_pool_close(memory.pool);
    dm_fabric_close(memory.fabric);
    cluster_stop(&cluster);
    return report_finish();
}
