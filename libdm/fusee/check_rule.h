/* check_rule.h: what must hold in a pool that is in order: the rules of the end-state checkers, the simulator's, which
 * sees all memory at rest (tests/sim/check.c), and the one for pools that are in use (check.h). Pure.
 *
 *   slot     its word names an object of a data block; the object is whole, and of a key that may lie in this slot
 *   object   is one thing only: named by one slot, or free in one of the ways to be free; in a free block it is nothing
 *   block    one owner; whatever lies in an owned block or an orphan is something
 */
#ifndef FUSEE_CHECK_RULE_H
#define FUSEE_CHECK_RULE_H

#include <stdbool.h>
#include <stdint.h>

#include "fusee/index.h"
#include "fusee/layout.h"
#include "fusee/object.h"
#include "fusee/word.h"

/* ---- Slots ------------------------------------------------------------------------------------------------------ */

struct check_slot {
    uint64_t address; /* global */
    uint32_t subtable;
    uint16_t number; /* in the subtable */
    uint8_t depth;   /* of the subtable */
};

/* Does the word name a place where an object of its class can lie? */
bool check_names_object(const struct layout *layout, uint8_t class_max, uint64_t word);

/* Is `number` one of the slots of the key with this hash? */
bool check_slot_fits(uint64_t hash, uint16_t number);

/* Is the object, which is whole and `word`'s, one that may be named from this slot? */
bool check_object_belongs(const struct object_header *header, uint64_t word, const struct check_slot *slot);

/* ---- Objects ---------------------------------------------------------------------------------------------------- */

/* What an object is; each is one of these and no two. */
enum check_use {
    CHECK_USE_NONE = 0,
    CHECK_USE_REFERENCED, /* a slot names it */
    CHECK_USE_FREE,       /* in the bitmap of its block's owner */
    CHECK_USE_RESERVED,   /* the one that the owner hands out next */
    CHECK_USE_LIMBO,      /* waits for its grace period */
    CHECK_USE_FOREIGN,    /* freed by a client that does not own its block, to be marked in the free map */
    CHECK_USE_MARKED,     /* marked in the free map */
};
const char *check_use_name(enum check_use use);

/* By the addresses of objects. */
struct check_uses {
    uint8_t *units; /* enum check_use, one for each WORD_UNIT_BYTES of the regions */
};
static inline uint64_t check_uses_bytes(const struct layout *layout) {
    return ((uint64_t)layout->super.regions << layout->region_shift) / WORD_UNIT_BYTES;
}
static inline enum check_use check_use_of(const struct check_uses *uses, uint64_t address) {
    return (enum check_use)uses->units[address / WORD_UNIT_BYTES];
}
/* Notes what the object is, and returns what it was: CHECK_USE_NONE, or it is two things. */
static inline enum check_use check_claim(struct check_uses *uses, uint64_t address, enum check_use use) {
    enum check_use was = check_use_of(uses, address);
    uses->units[address / WORD_UNIT_BYTES] = (uint8_t)use;
    return was;
}

/* The object that a bit of a block's free map stands for: the bit's unit lies in its first 128 bytes. */
uint64_t check_marked_object(const struct layout *layout, uint64_t block_number, uint32_t object_bytes, uint32_t bit);

/* ---- Blocks ----------------------------------------------------------------------------------------------------- */

enum check_verdict {
    CHECK_GOOD,
    CHECK_USED_IN_FREE, /* the block is free, the object in it something */
    CHECK_LOST,         /* neither free nor in use */
};

/* Of an object in a block of this state, if all that is known to anybody is in `use`. */
enum check_verdict check_in_block(enum block_state state, enum check_use use);

#endif
