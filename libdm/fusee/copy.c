/* copy.c: see copy.h. */
#include "fusee/copy.h"

#include <string.h>

#include "assert.h"

#define META(slot, score) ((uint32_t)(slot) | (uint32_t)(score) << 16)
#define META_SLOT(meta) ((uint16_t)(meta))
#define META_SCORE(meta) ((meta) >> 16 & 255u)
#define SCORE_STALE 8u
#define SCORE_MAX 64u
#define HASH_WORD (offsetof(struct object_header, hash) / sizeof(uint64_t))

bool copies_open(struct copies *copies, const struct dm_env *env, uint64_t budget_bytes) {
    uint64_t sets = budget_bytes / (COPY_WAYS * sizeof(struct copy_entry));
    if (sets == 0) {
        sets = 1;
    }
    sets = UINT64_C(1) << (63 - __builtin_clzll(sets));
    copies->env = env;
    copies->set_mask = sets - 1;
    copies->entries = env->allocate(env->context, sets * COPY_WAYS * sizeof(struct copy_entry));
    return copies->entries != NULL;
}

void copies_close(struct copies *copies) { copies->env->release(copies->env->context, copies->entries); }

static bool holds(const struct copy_entry *entry, uint64_t hash) {
    return atomic_load_explicit(&entry->word, memory_order_relaxed) != 0 &&
           atomic_load_explicit(&entry->data[HASH_WORD], memory_order_relaxed) == hash;
}

static struct copy_entry *entry_of(const struct copies *copies, uint64_t hash) {
    struct copy_entry *set = copies_set(copies, hash);
    for (int i = 0; i < COPY_WAYS; i++) {
        if (holds(&set[i], hash)) {
            return &set[i];
        }
    }
    return NULL;
}

/* A consistent image of an entry. */
static bool entry_read(const struct copy_entry *entry, struct copy *out, uint64_t *bytes) {
    uint32_t sequence = atomic_load_explicit(&entry->sequence, memory_order_acquire);
    *bytes = atomic_load_explicit(&entry->bytes, memory_order_relaxed);
    if ((sequence & 1) != 0 || *bytes > COPY_BYTES) {
        return false;
    }
    uint32_t meta = atomic_load_explicit(&entry->meta, memory_order_relaxed);
    out->word = atomic_load_explicit(&entry->word, memory_order_relaxed);
    out->epoch = atomic_load_explicit(&entry->epoch, memory_order_relaxed);
    out->slot = META_SLOT(meta);
    out->score = (uint8_t)META_SCORE(meta);
    for (uint64_t i = 0; i < (*bytes + 7) / 8; i++) {
        out->data[i] = atomic_load_explicit(&entry->data[i], memory_order_relaxed);
    }
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&entry->sequence, memory_order_relaxed) == sequence && out->word != 0;
}

bool copy_find(const struct copies *copies, uint64_t hash, const struct dm_key *key, struct copy *out) {
    const struct copy_entry *entry = entry_of(copies, hash);
    uint64_t bytes;
    if (entry == NULL || !entry_read(entry, out, &bytes)) {
        return false;
    }
    const struct object_header *header = object_header(out->data);
    if (header->hash != hash || header->key_length != key->length || header->space != key->space ||
        memcmp(object_key(out->data), key->bytes, key->length) != 0) {
        return false;
    }
    out->whole = bytes == sizeof *header + (uint64_t)header->key_length + header->value_length;
    return true;
}

/* Makes the sequence odd; false when another writer is at it (its news are as good as ours). */
static bool entry_lock(struct copy_entry *entry, uint32_t *sequence) {
    *sequence = atomic_load_explicit(&entry->sequence, memory_order_relaxed);
    if ((*sequence & 1) != 0 || !atomic_compare_exchange_strong_explicit(&entry->sequence, sequence, *sequence + 1,
                                                                         memory_order_acquire, memory_order_relaxed)) {
        return false;
    }
    atomic_thread_fence(memory_order_release);
    return true;
}

static void entry_unlock(struct copy_entry *entry, uint32_t sequence) {
    atomic_store_explicit(&entry->sequence, sequence + 2, memory_order_release);
}

/* The key's own entry, a free one, or the one that was seen the longest time ago. */
static struct copy_entry *entry_for(const struct copies *copies, uint64_t hash) {
    struct copy_entry *set = copies_set(copies, hash);
    struct copy_entry *oldest = &set[0];
    for (int i = 0; i < COPY_WAYS; i++) {
        if (holds(&set[i], hash)) {
            return &set[i];
        }
        uint64_t seen = atomic_load_explicit(&set[i].word, memory_order_relaxed) == 0
                            ? 0
                            : atomic_load_explicit(&set[i].epoch, memory_order_relaxed) + 1;
        uint64_t best = atomic_load_explicit(&oldest->word, memory_order_relaxed) == 0
                            ? 0
                            : atomic_load_explicit(&oldest->epoch, memory_order_relaxed) + 1;
        oldest = seen < best ? &set[i] : oldest;
    }
    return oldest;
}

static void entry_fill(struct copy_entry *entry, const uint8_t *from, uint64_t bytes) {
    uint64_t part;
    uint64_t i = 0;
    for (; i < bytes / sizeof part; i++) {
        memcpy(&part, from + i * sizeof part, sizeof part);
        atomic_store_explicit(&entry->data[i], part, memory_order_relaxed);
    }
    if (bytes % sizeof part != 0) {
        part = 0;
        memcpy(&part, from + i * sizeof part, bytes % sizeof part);
        atomic_store_explicit(&entry->data[i], part, memory_order_relaxed);
    }
}

void copy_store(struct copies *copies, const void *object, uint16_t slot, uint64_t word, uint64_t epoch) {
    const struct object_header *header = object_header(object);
    uint64_t bytes = sizeof *header + (uint64_t)header->key_length;
    if (bytes > COPY_BYTES) {
        return;
    }
    bytes += bytes + header->value_length <= COPY_BYTES ? header->value_length : 0;
    struct copy_entry *entry = entry_for(copies, header->hash);
    uint32_t sequence;
    if (!entry_lock(entry, &sequence)) {
        return;
    }
    bool same = holds(entry, header->hash);
    uint32_t score = same ? META_SCORE(atomic_load_explicit(&entry->meta, memory_order_relaxed)) : 0;
    atomic_store_explicit(&entry->meta, META(slot, score), memory_order_relaxed);
    atomic_store_explicit(&entry->word, word, memory_order_relaxed);
    atomic_store_explicit(&entry->epoch, epoch, memory_order_relaxed);
    atomic_store_explicit(&entry->bytes, bytes, memory_order_relaxed);
    entry_fill(entry, object, bytes);
    entry_unlock(entry, sequence);
}

void copy_drop(struct copies *copies, uint64_t hash) {
    struct copy_entry *entry = entry_of(copies, hash);
    uint32_t sequence;
    if (entry == NULL || !entry_lock(entry, &sequence)) {
        return;
    }
    if (holds(entry, hash)) {
        atomic_store_explicit(&entry->word, 0, memory_order_relaxed);
    }
    entry_unlock(entry, sequence);
}

void copy_note(struct copies *copies, uint64_t hash, enum copy_outcome outcome) {
    struct copy_entry *entry = entry_of(copies, hash);
    if (entry == NULL ||
        (outcome != COPY_STALE && META_SCORE(atomic_load_explicit(&entry->meta, memory_order_relaxed)) == 0)) {
        return; /* the usual case writes nothing */
    }
    uint32_t sequence;
    if (!entry_lock(entry, &sequence)) {
        return;
    }
    uint32_t meta = atomic_load_explicit(&entry->meta, memory_order_relaxed);
    uint32_t score = META_SCORE(meta);
    if (outcome == COPY_STALE) {
        score = score + SCORE_STALE > SCORE_MAX ? SCORE_MAX : score + SCORE_STALE;
    } else {
        score -= score > 0;
    }
    atomic_store_explicit(&entry->meta, META(META_SLOT(meta), score), memory_order_relaxed);
    entry_unlock(entry, sequence);
}
