/* cache.c: see cache.h. */
#include "fusee/cache.h"

#include "assert.h"
#include "fusee/word.h"

#define META_SLOT(meta) ((meta)&1023u)
#define META_SCORE(meta) ((meta) >> 10 & 255u)
#define META(slot, score) ((slot) | (score) << 10)
#define SCORE_MAX 255u
#define SCORE_BYPASS 16u
#define REFRESH_EPOCHS 8u /* an entry that is right is stamped anew only when its stamp is so old */

static uint32_t check_of(uint64_t hash) {
    uint32_t check = (uint32_t)(hash >> 32);
    return check == 0 ? 1 : check;
}

bool cache_open(struct cache *cache, const struct dm_env *env, uint64_t budget_bytes) {
    uint64_t sets = budget_bytes / sizeof(struct cache_set);
    if (sets == 0) {
        sets = 1;
    }
    sets = UINT64_C(1) << (63 - __builtin_clzll(sets));
    cache->env = env;
    cache->set_mask = sets - 1;
    cache->sets = env->allocate(env->context, sets * sizeof(struct cache_set));
    return cache->sets != NULL;
}

void cache_close(struct cache *cache) { cache->env->release(cache->env->context, cache->sets); }

static struct cache_set *set_of(const struct cache *cache, uint64_t hash) {
    return &cache->sets[hash & cache->set_mask];
}

static int way_of(const struct cache_set *set, uint32_t check) {
    for (int i = 0; i < CACHE_WAYS; i++) {
        if (atomic_load_explicit(&set->check[i], memory_order_relaxed) == check) {
            return i;
        }
    }
    return -1;
}

bool cache_find(const struct cache *cache, uint64_t hash, struct cache_hit *out) {
    struct cache_set *set = set_of(cache, hash);
    uint32_t sequence = atomic_load_explicit(&set->sequence, memory_order_acquire);
    int i = way_of(set, check_of(hash));
    if (i < 0 || (sequence & 1) != 0) {
        return false;
    }
    uint64_t word = atomic_load_explicit(&set->word[i], memory_order_relaxed);
    uint32_t meta = atomic_load_explicit(&set->meta[i], memory_order_relaxed);
    uint32_t seen = atomic_load_explicit(&set->seen[i], memory_order_relaxed);
    atomic_thread_fence(memory_order_acquire);
    if (atomic_load_explicit(&set->sequence, memory_order_relaxed) != sequence) {
        return false;
    }
    out->word = word;
    out->seen = seen;
    out->slot = (uint16_t)META_SLOT(meta);
    out->score = (uint8_t)META_SCORE(meta);
    out->bypass = out->score >= SCORE_BYPASS;
    return true;
}

/* Makes the sequence odd; false when another writer is at it (its news are as good as ours). */
static bool set_lock(struct cache_set *set, uint32_t *sequence) {
    *sequence = atomic_load_explicit(&set->sequence, memory_order_relaxed);
    if ((*sequence & 1) != 0 || !atomic_compare_exchange_strong_explicit(&set->sequence, sequence, *sequence + 1,
                                                                         memory_order_acquire, memory_order_relaxed)) {
        return false;
    }
    atomic_thread_fence(memory_order_release);
    return true;
}

static void set_unlock(struct cache_set *set, uint32_t sequence) {
    atomic_store_explicit(&set->sequence, sequence + 2, memory_order_release);
}

/* A free way, or the one seen the longest time ago. */
static int way_to_replace(const struct cache_set *set, uint32_t now) {
    int oldest = 0;
    uint32_t age = 0;
    for (int i = 0; i < CACHE_WAYS; i++) {
        if (atomic_load_explicit(&set->check[i], memory_order_relaxed) == 0) {
            return i;
        }
        uint32_t seen = now - atomic_load_explicit(&set->seen[i], memory_order_relaxed);
        if (seen >= age) {
            age = seen;
            oldest = i;
        }
    }
    return oldest;
}

void cache_store(struct cache *cache, uint64_t hash, uint16_t slot, uint64_t word, uint64_t epoch) {
    dm_assert(slot < 1024);
    struct cache_set *set = set_of(cache, hash);
    uint32_t now = (uint32_t)epoch;
    int i = way_of(set, check_of(hash));
    if (i >= 0 && atomic_load_explicit(&set->word[i], memory_order_relaxed) == word &&
        META_SLOT(atomic_load_explicit(&set->meta[i], memory_order_relaxed)) == slot) {
        uint32_t seen = atomic_load_explicit(&set->seen[i], memory_order_relaxed);
        if (now - seen < REFRESH_EPOCHS && word_is_certain(word, seen, now)) {
            return;
        }
    }
    uint32_t sequence;
    if (!set_lock(set, &sequence)) {
        return;
    }
    i = way_of(set, check_of(hash));
    uint32_t meta = META(slot, 0u);
    if (i >= 0) {
        meta = META(slot, META_SCORE(atomic_load_explicit(&set->meta[i], memory_order_relaxed)));
    } else {
        i = way_to_replace(set, now);
        bool was_free = atomic_load_explicit(&set->check[i], memory_order_relaxed) == 0;
        atomic_fetch_add_explicit(&cache->entries, was_free, memory_order_relaxed);
    }
    atomic_store_explicit(&set->check[i], check_of(hash), memory_order_relaxed);
    atomic_store_explicit(&set->meta[i], meta, memory_order_relaxed);
    atomic_store_explicit(&set->seen[i], now, memory_order_relaxed);
    atomic_store_explicit(&set->word[i], word, memory_order_relaxed);
    set_unlock(set, sequence);
}

void cache_note(struct cache *cache, uint64_t hash, bool stale) {
    struct cache_set *set = set_of(cache, hash);
    uint32_t sequence;
    if (!set_lock(set, &sequence)) {
        return;
    }
    int i = way_of(set, check_of(hash));
    if (i >= 0) {
        uint32_t meta = atomic_load_explicit(&set->meta[i], memory_order_relaxed);
        uint32_t score = META_SCORE(meta);
        score = stale ? score + (score < SCORE_MAX) : score - (score > 0);
        atomic_store_explicit(&set->meta[i], META(META_SLOT(meta), score), memory_order_relaxed);
    }
    set_unlock(set, sequence);
}

void cache_drop(struct cache *cache, uint64_t hash) {
    struct cache_set *set = set_of(cache, hash);
    uint32_t sequence;
    if (!set_lock(set, &sequence)) {
        return;
    }
    int i = way_of(set, check_of(hash));
    if (i >= 0) {
        atomic_store_explicit(&set->check[i], 0, memory_order_relaxed);
        atomic_fetch_sub_explicit(&cache->entries, 1, memory_order_relaxed);
    }
    set_unlock(set, sequence);
}
