/* cache.h: the adaptive index cache (FUSEE section 4.6): key hash -> slot and the word last seen in it. Shared by all
 * sessions of a process; any thread. A hint only: whatever it says is checked against the primary's word and against
 * the key in the object that this names, both read by the operation itself. So two keys of one hash cannot harm. Both
 * READs share a batch only while the word cannot have come back (word_is_certain): the object might be read before, and
 * the word after its memory was used again (trap T3).
 *
 * Sets of two cache lines, five entries each. Readers take no lock: a set has a sequence, odd while it is written,
 * and a reader that sees it change takes the entry for absent. Writers of one set exclude each other by it.
 *
 *   line 0: sequence, hash check x5, slot and score x5,      time last seen x5        line 1: word x5
 *
 * Adaptive: each entry has a score, one up when its word turns out stale, one down when it was right. Where it is high
 * (more than half of the uses are stale), operations fetch the slot first instead of an object that is probably gone.
 */
#ifndef FUSEE_CACHE_H
#define FUSEE_CACHE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "dm.h"

#define CACHE_WAYS 5

struct cache_set {
    _Atomic uint32_t sequence;
    _Atomic uint32_t check[CACHE_WAYS]; /* 0 = free */
    _Atomic uint32_t meta[CACHE_WAYS];  /* slot 10, score 8 */
    _Atomic uint32_t seen[CACHE_WAYS];  /* epoch of the operation that saw it last */
    _Atomic uint64_t word[CACHE_WAYS];
    uint64_t spare[3];
};
_Static_assert(sizeof(struct cache_set) == 128, "two cache lines");

struct cache {
    const struct dm_env *env;
    struct cache_set *sets;
    uint64_t set_mask;
    _Atomic uint64_t entries;
};

struct cache_hit {
    uint64_t word;
    uint32_t seen; /* epoch */
    uint16_t slot;
    uint8_t score; /* of staleness */
    bool bypass;   /* its word is stale more often than not: do not fetch the object with the slot */
};

bool cache_open(struct cache *cache, const struct dm_env *env, uint64_t budget_bytes);
void cache_close(struct cache *cache);

bool cache_find(const struct cache *cache, uint64_t hash, struct cache_hit *out);

/* Notes a word that an operation of `epoch` has seen in the primary, or won, in this slot. */
void cache_store(struct cache *cache, uint64_t hash, uint16_t slot, uint64_t word, uint64_t epoch);

/* Moves the entry's score: its word was stale, or right. */
void cache_note(struct cache *cache, uint64_t hash, bool stale);

void cache_drop(struct cache *cache, uint64_t hash);

static inline void cache_prefetch(const struct cache *cache, uint64_t hash) {
    const struct cache_set *set = &cache->sets[hash & cache->set_mask];
    __builtin_prefetch(set);
    __builtin_prefetch((const char *)set + 64);
}

static inline uint64_t cache_entries(const struct cache *cache) {
    return atomic_load_explicit(&cache->entries, memory_order_relaxed);
}
static inline uint64_t cache_bytes(const struct cache *cache) {
    return (cache->set_mask + 1) * sizeof(struct cache_set);
}

#endif
