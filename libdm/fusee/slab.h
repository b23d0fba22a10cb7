/* slab.h: the second level of memory: objects cut from the blocks that this session owns (FUSEE section 4.4). No I/O;
 * one session, one thread.
 *
 * A block's free objects are a bitmap. Of each class one object is always *reserved*: it is the `next` that the log
 * entry of the object handed out before names, so that the log is a list without a write of its own.
 */
#ifndef FUSEE_SLAB_H
#define FUSEE_SLAB_H

#include <stdbool.h>
#include <stdint.h>

#include "dm.h"
#include "fusee/layout.h"

struct block {
    struct block *previous, *next; /* in its class's list of blocks with free objects */
    uint64_t number;
    uint64_t word;  /* its block-table word */
    uint64_t swept; /* the word of repairs behind which nothing is lost in it (sweep.h) */
    uint8_t size_class;
    bool listed;
    uint32_t objects, free, search; /* search: bitmap word to look at first */
    uint64_t bitmap[];              /* 1 = free */
};

struct slab_class {
    struct block *partial; /* blocks with free objects; the first is allocated from */
    uint64_t reserved;     /* address of the object handed out next; 0 = none */
    uint64_t free;         /* objects, the reserved one not counted */
    bool head_written;     /* the log list's head is in the client record */
};

struct slab {
    const struct layout *layout;
    const struct dm_env *env;
    struct slab_class classes[SIZECLASS_COUNT];
    struct block **blocks; /* by block number; NULL = not ours */
    struct block *unused;  /* structs of blocks given up, for the next ones */
    uint32_t owned;
    uint64_t free_bytes;
};

bool slab_open(struct slab *slab, const struct layout *layout, const struct dm_env *env);
void slab_close(struct slab *slab);

/* A block was granted; all its objects are free, or none (adopted: they come one by one). NULL: out of memory. */
struct block *slab_add(struct slab *slab, uint64_t number, uint64_t word, bool all_free);

/* The block is not ours any more; its free objects are forgotten. */
void slab_remove(struct slab *slab, struct block *block);

static inline struct block *slab_block_of(const struct slab *slab, uint64_t address) {
    return slab->blocks[layout_block_number(slab->layout, address)];
}

struct slab_object {
    uint64_t address;
    uint64_t next; /* what the log entry must name */
    uint8_t size_class;
};

/* Takes an object; false when the class has none to hand out and one to reserve behind it: add a block. */
bool slab_take(struct slab *slab, uint8_t size_class, struct slab_object *out);

/* An object of an owned block becomes free (its grace period is over). */
void slab_give(struct slab *slab, uint64_t address);

/* Is every object of the block free (none handed out, none reserved)? */
static inline bool slab_block_empty(const struct block *block) { return block->free == block->objects; }

/* Takes the reserved object of a class back into its block (before blocks are returned). */
void slab_unreserve(struct slab *slab, uint8_t size_class);

#endif
