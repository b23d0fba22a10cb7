/* index.h: RACE hashing (ATC'21): which subtable, which buckets, which slots of a key. Pure.
 *
 * Subtable, 8 KiB:
 *
 *   +--------------+---------------------------+---------------------------+-- ... --+-----------+
 *   | control line | main A | overflow | main B | main A | overflow | main B |         | 64 unused |
 *   |     64 B     |  64 B  |   64 B   |  64 B  |          group 1         |         |           |
 *   +--------------+---------------------------+---------------------------+-- ... --+-----------+
 *                    8 slots a bucket; 42 groups = 126 buckets = 1008 slots
 *
 * A hash picks a main bucket; with the overflow bucket that it shares with its neighbour it is a *combined bucket* of
 * 128 contiguous bytes. Two hashes, two combined buckets, both in one READ chain.
 */
#ifndef FUSEE_INDEX_H
#define FUSEE_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "dm.h"

#define INDEX_SUBTABLE_BYTES 8192u
#define INDEX_CONTROL_BYTES 64u
#define INDEX_GROUPS 42u
#define INDEX_MAINS (INDEX_GROUPS * 2)
#define INDEX_BUCKET_SLOTS 8u
#define INDEX_COMBINED_SLOTS 16u
#define INDEX_COMBINED_BYTES 128u
#define INDEX_SLOTS (INDEX_GROUPS * 3 * INDEX_BUCKET_SLOTS)
#define INDEX_NO_SLOT UINT16_MAX

/* First line of a subtable (split-checked design, 2.1). */
struct index_control {
    uint64_t state; /* enum index_state | generation << 8 | owner << 48 */
    uint64_t forward[2];
    uint64_t identity; /* depth << 56 | generation << 32 | prefix */
    uint64_t source;
    uint64_t count;
    uint64_t reserved[2];
};
_Static_assert(sizeof(struct index_control) == INDEX_CONTROL_BYTES, "format");
enum index_state { INDEX_ACTIVE = 1, INDEX_SPLIT, INDEX_MERGE, INDEX_MOVE };

uint64_t index_hash(const struct dm_key *key, uint64_t seed);

static inline uint8_t index_fingerprint(uint64_t hash) { return (uint8_t)(hash >> 24); }
static inline uint32_t index_prefix(uint64_t hash, uint8_t depth) {
    return depth == 0 ? 0 : (uint32_t)(hash >> (64 - depth));
}

/* Where a key may lie in its subtable. */
struct index_place {
    uint16_t first_slot[2]; /* of the combined buckets */
    bool main_second[2];    /* the main bucket is the second half of the pair */
};
struct index_place index_place(uint64_t hash);

static inline uint32_t index_slot_offset(uint16_t slot) { return INDEX_CONTROL_BYTES + slot * 8u; }

/* The two combined buckets as they were read: word of `buckets[b][i]` is slot place.first_slot[b] + i. */
struct index_view {
    struct index_place place;
    const uint64_t (*buckets)[INDEX_COMBINED_SLOTS];
};

struct index_candidate {
    uint16_t slot;
    uint64_t word;
};
#define INDEX_CANDIDATES_MAX 32 /* both buckets full of one fingerprint */

enum index_want { INDEX_WANT_LIVE = 1, INDEX_WANT_TOMBSTONE = 2, INDEX_WANT_PROVISIONAL = 4, INDEX_WANT_INTENT = 8 };

/* Slots of the view with this fingerprint and one of the wanted kinds, each slot once. Returns how many there are;
 * the first INDEX_CANDIDATES_MAX of them are stored. */
uint32_t index_candidates(const struct index_view *view, uint8_t fingerprint, uint32_t want,
                          struct index_candidate *out);

/* An empty slot to insert into: in the less loaded combined bucket, its main bucket first; `start` spreads inserters
 * over the bucket. INDEX_NO_SLOT when all are taken. *word is the empty word found there. */
uint16_t index_choose_empty(const struct index_view *view, uint32_t start, uint64_t *word);

/* A kind that this version cannot handle anywhere in the view. */
bool index_has_unknown(const struct index_view *view);

#endif
