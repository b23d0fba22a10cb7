/* index.c: see index.h. */
#include "fusee/index.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "fusee/word.h"

uint64_t index_hash(const struct dm_key *key, uint64_t seed) {
    return XXH3_64bits_withSeed(key->bytes, key->length, seed + key->space * UINT64_C(0x9e3779b97f4a7c15));
}

/* x * n / 2^32 */
static uint32_t scale(uint32_t x, uint32_t n) { return (uint32_t)(((uint64_t)x * n) >> 32); }

static uint16_t combined_first_slot(uint32_t main_bucket) {
    uint32_t first_bucket = main_bucket / 2 * 3 + (main_bucket & 1);
    return (uint16_t)(first_bucket * INDEX_BUCKET_SLOTS);
}

struct index_place index_place(uint64_t hash) {
    /* The directory uses the hash's top bits and the fingerprint bits 24..31, so mix before choosing buckets. */
    uint64_t mixed = hash * UINT64_C(0xd6e8feb86659fd93);
    mixed ^= mixed >> 32;
    mixed *= UINT64_C(0xd6e8feb86659fd93);
    uint32_t first = scale((uint32_t)(mixed >> 32), INDEX_MAINS);
    uint32_t second = (first + 1 + scale((uint32_t)mixed, INDEX_MAINS - 1)) % INDEX_MAINS;
    return (struct index_place){
        .first_slot = {combined_first_slot(first), combined_first_slot(second)},
        .main_second = {(first & 1) != 0, (second & 1) != 0},
    };
}

/* True if slot i of the second bucket was already seen in the first (both mains of one group share the overflow). */
static bool seen_in_first(const struct index_place *place, uint32_t i) {
    uint32_t slot = place->first_slot[1] + i;
    return slot >= place->first_slot[0] && slot < place->first_slot[0] + INDEX_COMBINED_SLOTS;
}

static bool wanted(uint64_t word, uint32_t want) {
    switch (word_kind(word)) {
    case WORD_LIVE_BLIND:
    case WORD_LIVE_RMW:
        return (want & INDEX_WANT_LIVE) != 0;
    case WORD_TOMBSTONE:
        return (want & INDEX_WANT_TOMBSTONE) != 0;
    case WORD_PROVISIONAL:
        return (want & INDEX_WANT_PROVISIONAL) != 0;
    case WORD_INTENT:
    case WORD_PREPARED:
        return (want & INDEX_WANT_INTENT) != 0;
    default:
        return false;
    }
}

uint32_t index_candidates(const struct index_view *view, uint8_t fingerprint, uint32_t want,
                          struct index_candidate *out) {
    uint32_t count = 0;
    for (uint32_t b = 0; b < 2; b++) {
        for (uint32_t i = 0; i < INDEX_COMBINED_SLOTS; i++) {
            uint64_t word = view->buckets[b][i];
            if (word_fingerprint(word) != fingerprint || !wanted(word, want)) {
                continue;
            }
            if (b == 1 && seen_in_first(&view->place, i)) {
                continue;
            }
            if (count < INDEX_CANDIDATES_MAX) {
                out[count] = (struct index_candidate){(uint16_t)(view->place.first_slot[b] + i), word};
            }
            count++;
        }
    }
    return count;
}

static uint32_t empty_count(const struct index_view *view, uint32_t b) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < INDEX_COMBINED_SLOTS; i++) {
        count += word_kind(view->buckets[b][i]) == WORD_EMPTY;
    }
    return count;
}

static uint16_t empty_in_half(const struct index_view *view, uint32_t b, uint32_t half, uint32_t start) {
    for (uint32_t k = 0; k < INDEX_BUCKET_SLOTS; k++) {
        uint32_t i = half * INDEX_BUCKET_SLOTS + (start + k) % INDEX_BUCKET_SLOTS;
        if (word_kind(view->buckets[b][i]) == WORD_EMPTY) {
            return (uint16_t)i;
        }
    }
    return INDEX_NO_SLOT;
}

uint16_t index_choose_empty(const struct index_view *view, uint32_t start, uint64_t *word) {
    uint32_t b = empty_count(view, 1) > empty_count(view, 0);
    uint16_t i = INDEX_NO_SLOT;
    for (uint32_t turn = 0; turn < 2 && i == INDEX_NO_SLOT; turn++, b ^= turn) {
        uint32_t main_half = view->place.main_second[b];
        i = empty_in_half(view, b, main_half, start);
        if (i == INDEX_NO_SLOT) {
            i = empty_in_half(view, b, 1 - main_half, start);
        }
        if (i != INDEX_NO_SLOT) {
            *word = view->buckets[b][i];
            return (uint16_t)(view->place.first_slot[b] + i);
        }
    }
    return INDEX_NO_SLOT;
}

bool index_has_unknown(const struct index_view *view) {
    for (uint32_t b = 0; b < 2; b++) {
        for (uint32_t i = 0; i < INDEX_COMBINED_SLOTS; i++) {
            if (!word_is_known(view->buckets[b][i])) {
                return true;
            }
        }
    }
    return false;
}
