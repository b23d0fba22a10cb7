/* copy.h: copies of small objects, so that a write may guess what it replaces (decision 0013). Shared by all sessions
 * of a process; any thread.
 *
 * The index cache (cache.h) stores no keys and is a hint. A copy is more: the word that was seen in the primary or won,
 * with the header, the key, and the value if it fits, of the object that it names. Objects never change, so while that
 * word stands in the slot the copy is the key's value, and a compare-and-swap from the word needs no READ before it.
 *
 * That holds only while the word cannot have come back for another object (trap T3). A word's tag is the reclamation
 * epoch, mod 128, at which its object was allocated. An object that is freed after epoch s is allocated again at s + 1
 * at the earliest, and while an operation that began in epoch e is under way nothing is allocated at more than e + 1.
 * So the next epoch behind s whose tag is the word's tells until when a word seen in s is certain: copy_is_certain.
 *
 * Sets of two entries of 256 bytes each. Readers take no lock: an entry has a sequence, odd while it is written.
 * Writers that find it odd do without.
 *
 *   | sequence | slot, score | word | epoch | bytes | header, key, value: 224 bytes |
 *
 * Adaptive (FUSEE section 4.6): an entry's score rises when its guess was stale and falls when it was right or was
 * skipped; where it is high, writes READ the slot first instead of sending objects for nothing.
 */
#ifndef FUSEE_COPY_H
#define FUSEE_COPY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "dm.h"
#include "fusee/object.h"
#include "fusee/word.h"

#define COPY_WAYS 2
#define COPY_WORDS 28
#define COPY_BYTES (COPY_WORDS * sizeof(uint64_t))

struct copy_entry {
    _Atomic uint32_t sequence;
    _Atomic uint32_t meta; /* slot 16, score 8 */
    _Atomic uint64_t word; /* 0 = free */
    _Atomic uint64_t epoch;
    _Atomic uint64_t bytes; /* of header, key and, if it is there, value */
    _Atomic uint64_t data[COPY_WORDS];
};
_Static_assert(sizeof(struct copy_entry) == 256, "four cache lines");

struct copies {
    const struct dm_env *env;
    struct copy_entry *entries;
    uint64_t set_mask;
};

struct copy {
    uint64_t word;
    uint64_t epoch; /* of the operation that saw the word */
    uint16_t slot;
    uint8_t score;
    bool whole; /* the value is there too */
    uint64_t data[COPY_WORDS];
};

bool copies_open(struct copies *copies, const struct dm_env *env, uint64_t budget_bytes);
void copies_close(struct copies *copies);

/* The copy of exactly this key; false: none. */
bool copy_find(const struct copies *copies, uint64_t hash, const struct dm_key *key, struct copy *out);

/* Notes the object of a live word that an operation of `epoch` has seen in the primary, or won, in `slot`. `object`
 * holds its header, key and value. A key that does not fit takes the place of nothing. */
void copy_store(struct copies *copies, const void *object, uint16_t slot, uint64_t word, uint64_t epoch);

void copy_drop(struct copies *copies, uint64_t hash);

/* What became of a guess, or that none was made because of the score. */
enum copy_outcome { COPY_RIGHT, COPY_STALE, COPY_SKIPPED };
void copy_note(struct copies *copies, uint64_t hash, enum copy_outcome outcome);

/* Guesses from copies with at least this score lose more than they win. */
#define COPY_SCORE_SKIP 16u

/* Can an operation of `epoch` be sure that the copy's word, if it stands in a slot, still names the same object? */
static inline bool copy_is_certain(const struct copy *copy, uint64_t epoch) {
    return word_is_certain(copy->word, (uint32_t)copy->epoch, (uint32_t)epoch);
}

static inline struct copy_entry *copies_set(const struct copies *copies, uint64_t hash) {
    /* Other bits of the hash than those that choose the index cache's set: keys that meet there do not meet here. */
    return &copies->entries[((hash >> 20) & copies->set_mask) * COPY_WAYS];
}

static inline void copies_prefetch(const struct copies *copies, uint64_t hash) {
    const struct copy_entry *set = copies_set(copies, hash);
    for (int i = 0; i < COPY_WAYS; i++) {
        __builtin_prefetch(&set[i]);
        __builtin_prefetch((const char *)&set[i] + 64);
    }
}

static inline uint64_t copies_bytes(const struct copies *copies) {
    return (copies->set_mask + 1) * COPY_WAYS * sizeof(struct copy_entry);
}

#endif
