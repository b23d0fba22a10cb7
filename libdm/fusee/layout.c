/* layout.c: see layout.h. Chooses and checks the geometry of a pool. */
#include "fusee/layout.h"

#include <isa-l/crc.h>
#include <stdio.h>
#include <string.h>

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)
#define GIB (MIB * 1024)
#define REGION_BYTES_MIN (64 * KIB)
#define REGION_BYTES_MAX (64 * GIB)
#define BLOCK_BYTES_MIN (16 * KIB)
#define BLOCK_BYTES_MAX (16 * MIB)
#define FRAMES_WANTED 16  /* a node's memory is cut into about so many regions */
#define BLOCKS_WANTED 768 /* and the pool into so many blocks, if they need not be larger than... */
#define BLOCK_BYTES_DEFAULT_MIN (64 * KIB)
#define BLOCK_BYTES_DEFAULT_MAX (2 * MIB)
#define BYTES_PER_SLOT 320 /* expected data behind a slot */
#define CLIENTS_SMALL 128
#define CLIENTS_SMALL_BELOW (64 * MIB)
#define DIRECTORY_SPARE_DEPTH 4 /* the index may grow by a factor of 16 */
#define DIRECTORY_DEPTH_MAX 24
#define RESERVE_BLOCKS_MIN 4
#define BLOCKS_PER_REGION_MAX 65536
#define RESERVE_SHARE 64 /* one block in so many */

static uint64_t power_of_two_floor(uint64_t x) { return x == 0 ? 0 : UINT64_C(1) << (63 - __builtin_clzll(x)); }
static bool is_power_of_two(uint64_t x) { return x != 0 && (x & (x - 1)) == 0; }
static uint64_t clamp(uint64_t x, uint64_t low, uint64_t high) { return x < low ? low : x > high ? high : x; }
static uint64_t round_up(uint64_t x, uint64_t unit) { return (x + unit - 1) / unit * unit; }
static uint32_t log2_of(uint64_t x) { return (uint32_t)(63 - __builtin_clzll(x)); }

uint32_t superblock_crc(const struct superblock *super) {
    size_t from = offsetof(struct superblock, crc) + sizeof super->crc;
    return crc32_iscsi((unsigned char *)(uintptr_t)super + from, (int)(sizeof *super - from), 0xffffffffu);
}

/* All that follows from the superblock's figures. */
static void layout_derive(struct layout *layout) {
    const struct superblock *super = &layout->super;
    layout->region_shift = log2_of(super->region_bytes);
    layout->block_shift = log2_of(super->block_bytes);
    layout->blocks_per_region = (uint32_t)(super->region_bytes / super->block_bytes);
    layout->map_bytes = (uint32_t)round_up(super->block_bytes / SIZECLASS_BYTES_MIN / 8, 8);
    layout->subtables_per_region = (super->subtables + super->regions - 1) / super->regions;
    layout->free_maps_offset = layout->blocks_per_region * sizeof(uint64_t);
    layout->subtables_offset =
        round_up(layout->free_maps_offset + (uint64_t)layout->blocks_per_region * layout->map_bytes, 64);
    uint64_t system_bytes = layout->subtables_offset + (uint64_t)layout->subtables_per_region * INDEX_SUBTABLE_BYTES;
    layout->system_blocks = (uint32_t)((system_bytes + super->block_bytes - 1) / super->block_bytes);
    layout->region_map_offset = LAYOUT_SUPERBLOCK_BYTES;
    uint64_t map_bytes = (uint64_t)super->regions * super->replicas * sizeof(uint64_t);
    layout->directory_offset = round_up(layout->region_map_offset + map_bytes, 4096);
    layout->epoch_offset = round_up(layout->directory_offset + (UINT64_C(16) << super->directory_depth), 4096);
    layout->spaces_offset = layout->epoch_offset + LAYOUT_EPOCH_BYTES;
    layout->announce_offset = layout->spaces_offset + SPACE_TABLE_BYTES;
    layout->counts_offset = round_up(layout->announce_offset + super->clients * sizeof(uint64_t), 64);
    uint64_t counts_bytes = (uint64_t)LAYOUT_COUNT_ROWS * layout_count_words(layout) * sizeof(uint64_t);
    layout->clients_offset = round_up(layout->counts_offset + counts_bytes, 4096);
    layout->regions_offset = round_up(layout->clients_offset + (uint64_t)super->clients * LAYOUT_CLIENT_BYTES, 4096);
}

/* Frames that the rotation needs on the node that gets most of them. */
static uint32_t fullest_node(const struct superblock *super) {
    uint32_t rest = super->regions % super->nodes;
    uint32_t most = rest < super->replicas ? rest : super->replicas;
    return super->regions / super->nodes * super->replicas + most;
}

/* Regions that fit when the rest of each node is cut into frames. */
static uint32_t regions_that_fit(struct layout *layout) {
    struct superblock *super = &layout->super;
    uint64_t frames = super->node_bytes / super->region_bytes + 1;
    do {
        frames--;
        super->regions = (uint32_t)clamp(frames * super->nodes / super->replicas, 1, LAYOUT_REGIONS_MAX);
        while (super->regions > 1 && fullest_node(super) > frames) {
            super->regions--;
        }
        layout_derive(layout);
    } while (frames > 0 && layout->regions_offset + frames * super->region_bytes > super->node_bytes);
    return frames == 0 ? 0 : super->regions;
}

static bool choose_sizes(struct superblock *super, const struct dm_pool_config *wish, char *error, size_t error_bytes) {
    super->replicas = wish->replicas != 0 ? wish->replicas : (super->nodes < 2 ? 1 : 2);
    if (super->replicas > super->nodes || super->replicas > LAYOUT_REPLICAS_MAX) {
        snprintf(error, error_bytes, "replicas = %u is out of range: 1 to %u with %u memory nodes", super->replicas,
                 super->nodes < LAYOUT_REPLICAS_MAX ? super->nodes : LAYOUT_REPLICAS_MAX, super->nodes);
        return false;
    }
    uint64_t net_bytes = super->node_bytes * super->nodes / super->replicas;
    super->region_bytes = wish->region_bytes;
    if (super->region_bytes == 0) {
        super->region_bytes = clamp(power_of_two_floor(super->node_bytes / FRAMES_WANTED), REGION_BYTES_MIN, GIB);
    }
    super->block_bytes = wish->block_bytes;
    if (super->block_bytes == 0) {
        uint64_t wanted = power_of_two_floor(net_bytes / BLOCKS_WANTED);
        super->block_bytes = clamp(wanted, BLOCK_BYTES_DEFAULT_MIN, BLOCK_BYTES_DEFAULT_MAX);
        super->block_bytes = clamp(super->block_bytes, BLOCK_BYTES_MIN, super->region_bytes / 4);
    }
    if (!is_power_of_two(super->region_bytes) || super->region_bytes < REGION_BYTES_MIN ||
        super->region_bytes > REGION_BYTES_MAX) {
        snprintf(error, error_bytes, "region size %llu is out of range: a power of two from 64 KiB to 64 GiB",
                 (unsigned long long)super->region_bytes);
        return false;
    }
    if (!is_power_of_two(super->block_bytes) || super->block_bytes < BLOCK_BYTES_MIN ||
        super->block_bytes > BLOCK_BYTES_MAX || super->block_bytes > super->region_bytes / 4 ||
        super->region_bytes / super->block_bytes > BLOCKS_PER_REGION_MAX) {
        snprintf(error, error_bytes,
                 "block size %llu is out of range: a power of two from 16 KiB to 16 MiB, at most a quarter and at "
                 "least a 65536th of a region (%llu bytes)",
                 (unsigned long long)super->block_bytes, (unsigned long long)super->region_bytes);
        return false;
    }
    super->subtables = wish->subtables;
    if (super->subtables == 0) {
        uint64_t wanted = net_bytes / BYTES_PER_SLOT / INDEX_SLOTS;
        super->subtables = (uint32_t)clamp(power_of_two_floor(wanted * 2), 1, 1u << 20);
    }
    if (!is_power_of_two(super->subtables) || super->subtables > 1u << 20) {
        snprintf(error, error_bytes, "subtables = %u is out of range: a power of two from 1 to 1048576",
                 super->subtables);
        return false;
    }
    return true;
}

bool layout_choose(struct layout *layout, const struct dm_pool_config *wish, uint32_t nodes, uint64_t node_bytes,
                   char *error, size_t error_bytes) {
    memset(layout, 0, sizeof *layout);
    struct superblock *super = &layout->super;
    *super = (struct superblock){.magic = LAYOUT_MAGIC, .version = LAYOUT_VERSION, .nodes = nodes, .epoch = 1};
    super->node_bytes = node_bytes;
    if (node_bytes < LAYOUT_NODE_BYTES_MIN) {
        snprintf(error, error_bytes, "a memory node has %llu bytes; at least %llu are needed",
                 (unsigned long long)node_bytes, (unsigned long long)LAYOUT_NODE_BYTES_MIN);
        return false;
    }
    if (!choose_sizes(super, wish, error, error_bytes)) {
        return false;
    }
    uint32_t depth = log2_of(super->subtables) + DIRECTORY_SPARE_DEPTH;
    super->directory_depth = depth < DIRECTORY_DEPTH_MAX ? depth : DIRECTORY_DEPTH_MAX;
    super->clients = node_bytes < CLIENTS_SMALL_BELOW ? CLIENTS_SMALL : LAYOUT_CLIENTS_MAX;
    if (regions_that_fit(layout) == 0 || layout->system_blocks + 2 > layout->blocks_per_region) {
        snprintf(error, error_bytes,
                 "the pool does not fit: %llu bytes a node cannot hold regions of %llu bytes with %u subtables; give "
                 "the memory nodes more memory, or choose smaller regions or fewer subtables",
                 (unsigned long long)node_bytes, (unsigned long long)super->region_bytes, super->subtables);
        return false;
    }
    return true;
}

/* Do the figures agree with each other? (layout_choose makes only such.) */
static bool layout_fits(const struct layout *layout) {
    const struct superblock *super = &layout->super;
    if (layout->regions_offset > super->node_bytes || layout->system_blocks + 2 > layout->blocks_per_region) {
        return false;
    }
    uint64_t frames = (super->node_bytes - layout->regions_offset) >> layout->region_shift;
    return (uint64_t)super->regions * super->replicas <= frames * super->nodes &&
           super->subtables <= UINT64_C(1) << super->directory_depth;
}

bool layout_from_superblock(struct layout *layout, const struct superblock *super, char *error, size_t error_bytes) {
    memset(layout, 0, sizeof *layout);
    if (super->magic != LAYOUT_MAGIC) {
        snprintf(error, error_bytes, "its memory holds something that is not a Fusegate pool");
        return false;
    }
    if (super->version != LAYOUT_VERSION) {
        snprintf(error, error_bytes,
                 "it holds a pool of format version %u, this program knows version %u: use a matching release, or "
                 "restart the memory nodes to begin with an empty pool",
                 super->version, LAYOUT_VERSION);
        return false;
    }
    bool sane = super->crc == superblock_crc(super) && is_power_of_two(super->region_bytes) &&
                super->region_bytes >= REGION_BYTES_MIN && super->region_bytes <= REGION_BYTES_MAX &&
                is_power_of_two(super->block_bytes) && super->block_bytes >= BLOCK_BYTES_MIN &&
                super->block_bytes <= super->region_bytes / 4 &&
                super->region_bytes / super->block_bytes <= BLOCKS_PER_REGION_MAX && super->nodes >= 1 &&
                super->nodes <= DM_NODES_MAX && super->replicas >= 1 && super->replicas <= super->nodes &&
                super->replicas <= LAYOUT_REPLICAS_MAX && super->regions >= 1 && super->regions <= LAYOUT_REGIONS_MAX &&
                is_power_of_two(super->subtables) && super->directory_depth <= DIRECTORY_DEPTH_MAX &&
                super->clients >= 1 && super->clients <= LAYOUT_CLIENTS_MAX;
    if (!sane) {
        snprintf(error, error_bytes,
                 "its superblock is damaged (checksum or geometry): restart the memory nodes to "
                 "begin with an empty pool");
        return false;
    }
    layout->super = *super;
    layout_derive(layout);
    if (!layout_fits(layout)) {
        snprintf(error, error_bytes,
                 "its superblock describes a pool that does not fit into its memory: restart the "
                 "memory nodes to begin with an empty pool");
        return false;
    }
    return true;
}

void layout_map_rotate(const struct layout *layout, struct region_replica *map) {
    const struct superblock *super = &layout->super;
    uint32_t next_frame[DM_NODES_MAX] = {0};
    for (uint32_t g = 0; g < super->regions; g++) {
        for (uint32_t j = 0; j < super->replicas; j++) {
            uint32_t node = (g + j) % super->nodes;
            map[g * super->replicas + j] = (struct region_replica){.node = node, .frame = next_frame[node]++};
        }
    }
}

void layout_map_without(struct layout *layout, const struct region_replica *all, uint64_t lost) {
    uint32_t replicas = layout->super.replicas;
    for (uint32_t g = 0; g < layout->super.regions; g++) {
        struct region_replica *to = &layout->map[g * replicas];
        uint32_t left = 0;
        for (uint32_t turn = 0, at = 0; turn < 2; turn++) { /* first those that are left, in their order */
            for (uint32_t j = 0; j < replicas; j++) {
                bool is_lost = (lost >> all[g * replicas + j].node & 1) != 0;
                if (is_lost == (turn == 1)) {
                    to[at++] = all[g * replicas + j];
                    left += !is_lost;
                }
            }
        }
        layout->left[g] = (uint8_t)left;
    }
}

uint32_t layout_replica_on(const struct layout *layout, uint64_t address, uint16_t node) {
    const struct region_replica *at = &layout->map[(address >> layout->region_shift) * layout->super.replicas];
    for (uint32_t j = 0; j < layout_replicas(layout, address); j++) {
        if (at[j].node == node) {
            return j;
        }
    }
    return 0;
}

bool layout_is_object(const struct layout *layout, uint64_t address, uint32_t bytes) {
    uint64_t region = address >> layout->region_shift;
    uint64_t offset = address & (layout->super.region_bytes - 1);
    return region < layout->super.regions && offset + bytes <= layout->super.region_bytes &&
           offset >= (uint64_t)layout->system_blocks << layout->block_shift;
}

uint64_t layout_reserve_blocks(const struct layout *layout) {
    uint64_t reserve = layout_data_blocks(layout) / RESERVE_SHARE;
    return reserve < RESERVE_BLOCKS_MIN ? RESERVE_BLOCKS_MIN : reserve;
}

uint64_t layout_block_word_address(const struct layout *layout, uint64_t block_number) {
    uint64_t region = block_number / layout->blocks_per_region;
    uint64_t index = block_number % layout->blocks_per_region;
    return (region << layout->region_shift) + index * sizeof(uint64_t);
}

uint64_t layout_block_of_word(const struct layout *layout, uint64_t word_address) {
    uint64_t region = word_address >> layout->region_shift;
    uint64_t index = (word_address & (layout->super.region_bytes - 1)) / sizeof(uint64_t);
    return region * layout->blocks_per_region + index;
}

uint64_t layout_free_map_address(const struct layout *layout, uint64_t block_number) {
    uint64_t region = block_number / layout->blocks_per_region;
    uint64_t index = block_number % layout->blocks_per_region;
    return (region << layout->region_shift) + layout->free_maps_offset + index * layout->map_bytes;
}
