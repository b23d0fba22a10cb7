/* layout.h: what lies where in a memory node, and which nodes hold an address. Pure; read by all threads.
 *
 *   node   0        4096          map            directory         clients                regions
 *         +--------+-------------+--------------+-----------------+----------------------+--------+--------+--
 *         | super- | region map  | directory    | epoch line,     | client records       | frame  | frame  |
 *         | block  | r words a   | 2^(D+1)      | space table,    | 512 B each           |   0    |   1    |
 *         | 4 KiB  | region      | words        | announce words, |                      |        |        |
 *         |        |             |              | counts of keys  |                      |        |        |
 *         +--------+-------------+--------------+-----------------+----------------------+--------+--------+--
 *
 * A *region* is the unit of placement: region g has r replicas, replica 0 is the primary; replica j lies in frame
 * map[g][j].frame of node map[g][j].node. A *global address* is region * region_bytes + offset. Inside a region:
 *
 *   +---------------------+-----------------------------+-------------------+----+---------+---------+--
 *   | block table         | free maps                   | subtables         |    | block s | block   |
 *   | 8 B a block         | 1 bit per 128 B of a block  | 8 KiB each        |    |         |  s + 1  |
 *   +---------------------+-----------------------------+-------------------+----+---------+---------+--
 *   |<------------------- system blocks 0 .. s-1 ------------------------------->|<-- data blocks ...
 *
 * The map starts as a rotation (region g on nodes g, g+1, ... mod n) and is explicit, so that regions can move.
 * Nodes that are lost (members.h) drop out of it: the first of a region's nodes that is left is its primary.
 * The epoch line, space table, announce words, counts of keys (count.h) and client records are kept on the first r
 * nodes that are left, and the first of these counts; the directory is on every node.
 */
#ifndef FUSEE_LAYOUT_H
#define FUSEE_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dm.h"
#include "fusee/index.h"
#include "fusee/sizeclass.h"
#include "fusee/space.h"

#define LAYOUT_MAGIC UINT64_C(0x4554414745535546) /* "FUSEGATE" */
#define LAYOUT_VERSION 4u
#define LAYOUT_REPLICAS_MAX 4u
#define LAYOUT_SUPERBLOCK_BYTES 4096u
#define LAYOUT_CLIENT_BYTES 512u
#define LAYOUT_CLIENTS_MAX 1024u
#define LAYOUT_EPOCH_BYTES 64u
#define LAYOUT_REGIONS_MAX (1u << 20)
#define LAYOUT_NODE_BYTES_MIN (UINT64_C(1) << 20)

/* Word 0 of node 0's superblock says whether the pool is formatted; the others follow it. */
enum layout_state { LAYOUT_BLANK = 0, LAYOUT_FORMATTING = 1, LAYOUT_READY = 2 };

struct superblock {
    uint64_t state; /* CASed by clients: enum layout_state | nonce << 8; authoritative on node 0 */
    uint64_t magic;
    uint32_t version;
    uint32_t crc; /* of the bytes behind it, to the end of this struct */
    uint64_t pool_id;
    uint64_t node_bytes; /* the smallest node's: what the geometry was made for */
    uint64_t region_bytes;
    uint64_t block_bytes;
    uint32_t node_index;
    uint32_t nodes;
    uint32_t replicas;
    uint32_t regions;
    uint32_t subtables;
    uint32_t directory_depth; /* D */
    uint32_t clients;
    uint32_t reserved;
    uint64_t epoch; /* of the region map */
};
_Static_assert(sizeof(struct superblock) == 96, "format");

struct region_replica {
    uint32_t node;
    uint32_t frame;
};

/* First line of the client area. */
struct epoch_line {
    uint64_t epoch;     /* reclamation epoch, CASed upwards by clients */
    uint64_t pressure;  /* a new random value whenever somebody runs out of memory */
    uint64_t repairs;   /* counts up: every session looks for lost objects in its blocks afterwards (sweep.h) */
    uint64_t miscounts; /* counts up: the counts of keys may be wrong from here on, */
    uint64_t recounted; /* until they were mended for this value of it (recount.c) */
    uint64_t members;   /* which nodes count, see members.h; this word is on every node */
    uint64_t reserved[2];
};
_Static_assert(sizeof(struct epoch_line) == LAYOUT_EPOCH_BYTES, "format");

struct client_record {
    uint64_t owner;      /* 0 = free; a nonce, CASed */
    uint64_t generation; /* of the owner, counts up */
    uint64_t claim;      /* who repairs it, CASed; see claim.h */
    uint64_t identity;   /* of its process, as its fabric knows it; 0: it has none */
    uint64_t host;       /* where that identity means something; 0: anywhere */
    uint64_t lease;      /* WRITTEN again and again by a client that promises to; see lease.h */
    uint64_t rests;      /* the owner has stopped for the change of members of this word; see members.h */
    uint64_t reserved[1];
    uint64_t log_head[SIZECLASS_COUNT]; /* global address of the first object of each list; 0 = none */
    uint64_t counters[24];
};
_Static_assert(sizeof(struct client_record) == LAYOUT_CLIENT_BYTES, "format");

struct layout {
    struct superblock super;
    uint32_t blocks_per_region, system_blocks, subtables_per_region;
    uint32_t map_bytes;                          /* free map of a block */
    uint64_t free_maps_offset, subtables_offset; /* in a region */
    uint64_t region_map_offset, directory_offset, epoch_offset, spaces_offset, announce_offset;
    uint64_t counts_offset, clients_offset, regions_offset;
    uint32_t region_shift, block_shift;
    struct region_replica *map; /* regions * replicas, primary first */
    uint8_t *left;              /* replicas of each region on nodes that are left, first in the map; NULL: all are */
};

/* Chooses what is left open (zero) in `wish` for nodes of node_bytes, and checks it; fills layout->super and the
 * derived figures, not the map. false: message in error. */
bool layout_choose(struct layout *layout, const struct dm_pool_config *wish, uint32_t nodes, uint64_t node_bytes,
                   char *error, size_t error_bytes);

/* Derived figures from a superblock that was read; false when it is not one that this version can use. */
bool layout_from_superblock(struct layout *layout, const struct superblock *super, char *error, size_t error_bytes);

uint32_t superblock_crc(const struct superblock *super);

/* Fills the initial rotation. map: regions * replicas entries. */
void layout_map_rotate(const struct layout *layout, struct region_replica *map);

/* Fills map and `left` of a layout from the map of all nodes: without those in `lost`, one bit a node. */
void layout_map_without(struct layout *layout, const struct region_replica *all, uint64_t lost);

/* ---- Addresses ------------------------------------------------------------------------------------------------- */

struct location {
    uint16_t node;
    uint64_t offset; /* in the node */
};

static inline struct location layout_locate(const struct layout *layout, uint64_t address, uint32_t replica) {
    const struct region_replica *at =
        &layout->map[(address >> layout->region_shift) * layout->super.replicas + replica];
    return (struct location){
        .node = (uint16_t)at->node,
        .offset = layout->regions_offset + ((uint64_t)at->frame << layout->region_shift) +
                  (address & (layout->super.region_bytes - 1)),
    };
}

static inline uint32_t layout_replicas(const struct layout *layout, uint64_t address) {
    return layout->left == NULL ? layout->super.replicas : layout->left[address >> layout->region_shift];
}

/* The replica that lies on `node`, or 0 (the primary) when none does. */
uint32_t layout_replica_on(const struct layout *layout, uint64_t address, uint16_t node);

/* Is this the address of an object in a data block? (Words come from remote memory: never trusted.) */
bool layout_is_object(const struct layout *layout, uint64_t address, uint32_t bytes);

static inline uint64_t layout_block_number(const struct layout *layout, uint64_t address) {
    return address >> layout->block_shift;
}
static inline uint64_t layout_blocks(const struct layout *layout) {
    return (uint64_t)layout->super.regions * layout->blocks_per_region;
}
static inline uint64_t layout_data_blocks(const struct layout *layout) {
    return (uint64_t)layout->super.regions * (layout->blocks_per_region - layout->system_blocks);
}
/* Data blocks that only deletes, expiry and repair may take (trap T13). */
uint64_t layout_reserve_blocks(const struct layout *layout);

/* Global address of the block-table word and of the free map of a block. */
uint64_t layout_block_word_address(const struct layout *layout, uint64_t block_number);
/* The number again, from that address. */
uint64_t layout_block_of_word(const struct layout *layout, uint64_t word_address);
uint64_t layout_free_map_address(const struct layout *layout, uint64_t block_number);

/* On control nodes: a word of the counts of keys, in rows of one a client and one more (count.h). */
#define LAYOUT_COUNT_ROWS (2u * DM_SPACES + 1u)
static inline uint32_t layout_count_words(const struct layout *layout) { return layout->super.clients + 1; }
static inline uint64_t layout_count_offset(const struct layout *layout, uint32_t row, uint32_t client) {
    return layout->counts_offset + ((uint64_t)row * layout_count_words(layout) + client) * sizeof(uint64_t);
}

static inline uint64_t layout_subtable_address(const struct layout *layout, uint32_t subtable) {
    uint64_t region = subtable % layout->super.regions;
    uint64_t index = subtable / layout->super.regions;
    return (region << layout->region_shift) + layout->subtables_offset + index * INDEX_SUBTABLE_BYTES;
}

#endif
