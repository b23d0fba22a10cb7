/* find.c: see find.h. */
#include "fusee/find.h"

#include "assert.h"
#include "fusee/intent.h"
#include "fusee/round.h"

static struct dm_session_stats *stats_of(struct fusee_op *op) { return &op->session->stats; }

static void drop_object(struct fusee_op *op, struct buffer **object) {
    if (*object != NULL) {
        buffer_give(&op->session->buffers, *object);
        *object = NULL;
    }
}

static void drop_candidates(struct fusee_op *op) {
    for (uint32_t i = 0; i < op->candidate_count; i++) {
        drop_object(op, &op->candidates[i].object);
    }
    op->candidate_count = 0;
}

void find_release(struct fusee_op *op) {
    drop_object(op, &op->object);
    drop_candidates(op);
    intent_release(op);
}

/* A copy is kept of what had to be looked for: writes of the key can guess from then on. */
static void keep_copy(struct fusee_op *op) {
    if (op->want == FIND_FOR_READ) {
        copy_store(&op->session->pool->copies, op->object->bytes, op->slot, op->word, op->epoch);
    }
}

static void finish(struct fusee_op *op, enum find_result result) {
    op->result = result;
    op->step = FIND_DONE;
    op->by_slot = result == FIND_LIVE;
    if (result == FIND_LIVE) {
        cache_store(&op->session->pool->cache, op->hash, op->slot, op->word, op->epoch);
    }
}

/* A live word, or an intent, that may be this key's. (Behind a tombstone the key may live in another slot: both buckets
 * tell.) */
static bool maybe_ours(const struct fusee_op *op, uint64_t word) {
    return (word_is_live(word) || word_is_intent(word)) && word_fingerprint(word) == index_fingerprint(op->hash);
}

void find_start(struct fusee_op *op, enum find_want want, bool use_cache) {
    find_release(op);
    intent_forget(op);
    op->want = want;
    op->step = FIND_BUCKETS;
    struct cache_hit hit;
    if (!use_cache || !cache_find(&op->session->pool->cache, op->hash, &hit)) {
        stats_of(op)->cache_misses += use_cache;
        return;
    }
    op->slot = hit.slot;
    op->word = op->cached_word = hit.word;
    op->score = hit.score;
    /* READ the slot alone, its word decides what to fetch: where that is stale mostly, or may have come back. */
    op->bypass = hit.bypass || !word_is_certain(hit.word, hit.seen, (uint32_t)op->epoch);
    op->step = FIND_SLOT;
    stats_of(op)->cache_bypassed += hit.bypass;
}

void find_start_from(struct fusee_op *op, uint64_t word) {
    find_release(op);
    intent_forget(op);
    op->slot_word = word;
    op->word = word;
    op->step = maybe_ours(op, word) ? FIND_OTHER : FIND_BUCKETS;
}

/* Bytes of a word's object that this operation needs: for a put the key is enough, if there is no more to know. */
static uint32_t object_need(const struct fusee_op *op, uint64_t word) {
    uint32_t bytes = sizeclass_bytes(word_class(word));
    uint32_t key_bytes = (uint32_t)sizeof(struct object_header) + op->key->length;
    return op->want == FIND_FOR_PUT && !word_is_intent(word) && key_bytes < bytes ? key_bytes : bytes;
}

/* Adds a READ of the object, from the replica on `near` if there is one there. A word that names no object of this
 * pool gives DM_CORRUPT. */
static enum dm_status post_object(struct fusee_op *op, struct dm_batch *batch, uint64_t word, struct buffer **object) {
    const struct layout *layout = &op->session->pool->layout;
    uint32_t bytes = object_need(op, word);
    if (word_class(word) > op->session->pool->class_max ||
        !layout_is_object(layout, word_address(word), sizeclass_bytes(word_class(word)))) {
        return DM_CORRUPT;
    }
    *object = buffer_take(&op->session->buffers, bytes);
    if (*object == NULL) {
        return DM_BUSY;
    }
    uint16_t near = op_locate(op, op->subtable, 0).node;
    struct location at =
        op_locate(op, word_address(word), layout_replica_on(&op->session->layout, word_address(word), near));
    dm_batch_read(batch, at.node, at.offset, (*object)->bytes, bytes);
    return DM_OK;
}

static void post_buckets(struct fusee_op *op, struct dm_batch *batch, uint32_t replica) {
    for (uint32_t b = 0; b < 2; b++) {
        struct location at = op_locate(op, op_slot_address(op, op->place.first_slot[b]), replica);
        dm_batch_read(batch, at.node, at.offset, op->buckets[replica][b], INDEX_COMBINED_BYTES);
    }
}

enum dm_status find_post_object(struct fusee_op *op, struct dm_batch *batch, uint64_t word, struct buffer **object) {
    return post_object(op, batch, word, object);
}

uint32_t find_room(const struct fusee_op *op) {
    return op->step == FIND_OBJECTS ? op->candidate_count : op->step == FIND_INTENT ? INTENT_AT_A_TIME + 1 : 2;
}

enum dm_status find_post(struct fusee_op *op, struct dm_batch *batch) {
    switch (op->step) {
    case FIND_SLOT: {
        struct location at = op_locate(op, op_slot_address(op, op->slot), 0);
        dm_batch_read(batch, at.node, at.offset, &op->slot_word, sizeof op->slot_word);
        return !op->bypass ? post_object(op, batch, op->word, &op->object) : DM_OK;
    }
    case FIND_OTHER:
        return post_object(op, batch, op->word, &op->object);
    case FIND_BUCKETS:
        post_buckets(op, batch, 0);
        return DM_OK;
    case FIND_OBJECTS:
        for (uint32_t i = 0; i < op->candidate_count; i++) {
            enum dm_status status = post_object(op, batch, op->candidates[i].word, &op->candidates[i].object);
            if (status != DM_OK) {
                return status;
            }
        }
        return DM_OK;
    case FIND_INTENT:
        return intent_post(op, batch);
    case FIND_DONE:
        break;
    }
    dm_assert(false);
    return DM_INVALID;
}

static enum object_verdict judge(const struct fusee_op *op, uint64_t word, const struct buffer *object) {
    uint32_t bytes = object_need(op, word);
    if (op->want != FIND_FOR_PUT || word_is_intent(word)) {
        return object_check(object->bytes, bytes, word, op->key, op->hash);
    }
    /* Only header and key were read. `word` stands in the primary, so its object is whole and does not change. */
    if (object_key_matches(object->bytes, bytes, word, op->key, op->hash)) {
        return OBJECT_GOOD;
    }
    return word_identity(object_header(object->bytes)->self) == word_identity(word) ? OBJECT_OTHER_KEY : OBJECT_BAD;
}

static enum dm_status reread(struct fusee_op *op) {
    stats_of(op)->objects_torn++;
    if (++op->rereads > FIND_REREADS_MAX) {
        pool_log(op->session->pool, DM_LOG_WARNING,
                 "an object behind a committed slot stays unreadable (subtable %llx)",
                 (unsigned long long)op->subtable);
        return DM_CORRUPT;
    }
    if (op->rereads > 2) {
        op_back_off(op, op->rereads);
    }
    op->step = FIND_BUCKETS;
    return DM_OK;
}

static enum dm_status take_slot(struct fusee_op *op) {
    uint64_t word = op->slot_word;
    /* An intent comes into the cache when its transaction is known to be committed. */
    bool committed = word_is_live(word) || (word_kind(word) == WORD_INTENT && !op->bypass);
    bool right = word_identity(word) == word_identity(op->cached_word) && committed;
    op->word = word;
    if (!right || op->score != 0) {
        cache_note(&op->session->pool->cache, op->hash, !right);
    }
    if (right && !op->bypass && judge(op, word_with_kind(word, WORD_LIVE_RMW), op->object) == OBJECT_GOOD) {
        stats_of(op)->cache_hits++;
        finish(op, FIND_LIVE);
        return DM_OK;
    }
    stats_of(op)->cache_stale += !right;
    drop_object(op, &op->object);
    op->step = maybe_ours(op, word) ? FIND_OTHER : FIND_BUCKETS;
    return DM_OK;
}

enum dm_status find_again(struct fusee_op *op) { return reread(op); }

void find_finish(struct fusee_op *op, enum find_result result, bool current) {
    if (current) {
        if (result == FIND_LIVE) {
            keep_copy(op);
        }
        finish(op, result);
    } else {
        op->result = result;
        op->step = FIND_DONE;
        op->by_slot = true;
    }
}

/* Goes on with the intent that was met in `slot`; takes its object over. */
static enum dm_status take_intent(struct fusee_op *op, uint16_t slot, uint64_t word, struct buffer **object) {
    struct buffer *its = *object;
    *object = NULL;
    return intent_meet(op, slot, word, its);
}

static enum dm_status take_other(struct fusee_op *op) {
    enum object_verdict verdict = judge(op, op->word, op->object);
    if (verdict == OBJECT_GOOD) {
        if (word_kind(op->word) == WORD_PREPARED && !intent_has_old(op->object->bytes)) {
            drop_object(op, &op->object);
            op->step = FIND_BUCKETS;
            return DM_OK;
        }
        if (word_is_intent(op->word)) {
            return take_intent(op, op->slot, op->word, &op->object);
        }
        keep_copy(op);
        finish(op, FIND_LIVE);
        return DM_OK;
    }
    stats_of(op)->objects_torn += verdict == OBJECT_BAD;
    drop_object(op, &op->object);
    op->step = FIND_BUCKETS;
    return DM_OK;
}

static bool is_foreign(const struct fusee_op *op, uint64_t word) {
    for (uint32_t i = 0; i < op->foreign_word_count; i++) {
        if (op->foreign_words[i] == word) {
            return true;
        }
    }
    return false;
}

static void note_foreign(struct fusee_op *op, uint64_t word) {
    if (op->foreign_word_count < INDEX_CANDIDATES_MAX && !is_foreign(op, word)) {
        op->foreign_words[op->foreign_word_count++] = word;
    }
}

/* Fills op->candidates from a view; words known to be of other keys are left out. */
static enum dm_status choose_candidates(struct fusee_op *op, uint32_t replica, uint32_t want) {
    struct index_view view = {op->place, (const uint64_t(*)[INDEX_COMBINED_SLOTS])op->buckets[replica]};
    struct index_candidate found[INDEX_CANDIDATES_MAX];
    if (index_has_unknown(&view)) {
        return DM_INCOMPATIBLE;
    }
    uint32_t count = index_candidates(&view, index_fingerprint(op->hash), want, found);
    dm_assert(op->candidate_count == 0);
    for (uint32_t i = 0; i < count; i++) {
        if (!is_foreign(op, found[i].word)) {
            op->candidates[op->candidate_count++] = (struct candidate){found[i].slot, found[i].word, NULL};
        }
    }
    return DM_OK;
}

static enum dm_status take_buckets(struct fusee_op *op) {
    uint32_t want = INDEX_WANT_LIVE | INDEX_WANT_INTENT | (op->want == FIND_FOR_READ ? 0 : INDEX_WANT_TOMBSTONE);
    enum dm_status status = choose_candidates(op, 0, want);
    if (status != DM_OK) {
        return status;
    }
    if (op->candidate_count == 0) {
        finish(op, FIND_ABSENT);
    } else {
        op->step = FIND_OBJECTS;
    }
    return DM_OK;
}

/* The place of one of the key's slots: 0 live, 1 an intent, 2 a prepared word (r = 1) where there was a value, 3 where
 * there was none, 4 a tombstone or an intent that is known to mean as much. What comes first counts; intents before
 * prepared words, because who prepares in a second slot will see the first one in its check. */
#define RANKS 5u
static uint32_t rank_of(const struct fusee_op *op, const struct candidate *candidate) {
    uint64_t word = candidate->word;
    if (word_is_live(word)) {
        return 0;
    }
    if (!word_is_intent(word) || intent_is_removed(op, word)) {
        return RANKS - 1;
    }
    return word_kind(word) == WORD_INTENT ? 1 : intent_has_old(candidate->object->bytes) ? 2 : 3;
}

static enum dm_status take_objects(struct fusee_op *op) {
    struct candidate *first[RANKS] = {NULL};
    for (uint32_t i = 0; i < op->candidate_count; i++) {
        struct candidate *candidate = &op->candidates[i];
        switch (judge(op, candidate->word, candidate->object)) {
        case OBJECT_GOOD:
            first[rank_of(op, candidate)] = candidate;
            break;
        case OBJECT_OTHER_KEY:
            note_foreign(op, candidate->word);
            break;
        case OBJECT_BAD:
            drop_candidates(op);
            return reread(op);
        }
    }
    uint32_t rank = 0;
    while (rank < RANKS && first[rank] == NULL) {
        rank++;
    }
    if (rank == RANKS || (rank == RANKS - 1 && op->want == FIND_FOR_READ)) {
        drop_candidates(op);
        finish(op, FIND_ABSENT);
        return DM_OK;
    }
    struct candidate chosen = *first[rank];
    first[rank]->object = NULL;
    drop_candidates(op);
    if (rank != 0 && rank != RANKS - 1) {
        return take_intent(op, chosen.slot, chosen.word, &chosen.object);
    }
    op->slot = chosen.slot;
    op->word = chosen.word;
    op->object = chosen.object;
    if (rank == 0) {
        keep_copy(op);
    }
    finish(op, rank == 0 ? FIND_LIVE : FIND_TOMBSTONE);
    return DM_OK;
}

enum dm_status find_take(struct fusee_op *op) {
    switch (op->step) {
    case FIND_SLOT:
        return take_slot(op);
    case FIND_OTHER:
        return take_other(op);
    case FIND_BUCKETS:
        return take_buckets(op);
    case FIND_OBJECTS:
        return take_objects(op);
    case FIND_INTENT:
        return intent_take(op);
    case FIND_DONE:
        break;
    }
    dm_assert(false);
    return DM_INVALID;
}

enum dm_status find_run(struct fusee_op *op) {
    while (op->step != FIND_DONE) {
        op_batch_init(op);
        enum dm_status status = find_post(op, &op->batch);
        if (status == DM_OK) {
            status = op_execute(op);
        }
        if (status == DM_OK) {
            status = find_take(op);
        }
        if (status != DM_OK) {
            find_release(op);
            return status;
        }
    }
    return DM_OK;
}

/* READs the whole objects of op->candidates; an object that is not whole or has this key is *found. */
static enum dm_status compare_candidates(struct fusee_op *op, bool *found) {
    *found = false;
    if (op->candidate_count == 0) {
        return DM_OK;
    }
    enum find_want want = op->want;
    op->want = FIND_FOR_WRITE; /* uncommitted words: nothing less than the whole object will do */
    op_batch_init(op);
    enum dm_status status = DM_OK;
    for (uint32_t i = 0; i < op->candidate_count && status == DM_OK; i++) {
        status = post_object(op, &op->batch, op->candidates[i].word, &op->candidates[i].object);
    }
    status = status == DM_OK ? op_execute(op) : status;
    for (uint32_t i = 0; i < op->candidate_count && status == DM_OK; i++) {
        if (judge(op, op->candidates[i].word, op->candidates[i].object) == OBJECT_OTHER_KEY) {
            note_foreign(op, op->candidates[i].word);
        } else {
            *found = true;
        }
    }
    op->want = want;
    drop_candidates(op);
    return status;
}

enum dm_status find_other_slot(struct fusee_op *op, uint32_t replica, uint16_t own, bool *found) {
    uint32_t want = INDEX_WANT_LIVE | INDEX_WANT_TOMBSTONE | INDEX_WANT_PROVISIONAL | INDEX_WANT_INTENT;
    drop_candidates(op);
    enum dm_status status = choose_candidates(op, replica, want);
    if (status != DM_OK) {
        return status;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < op->candidate_count; i++) {
        if (op->candidates[i].slot != own) {
            op->candidates[kept++] = op->candidates[i];
        }
    }
    op->candidate_count = kept;
    return compare_candidates(op, found);
}

enum dm_status find_look(struct fusee_op *op) {
    uint64_t deadline_ns = pool_clock_ns(op->session->pool) + ROUND_WAIT_MAX_NS;
    for (uint32_t turn = 0; pool_clock_ns(op->session->pool) < deadline_ns; turn++) {
        op_back_off(op, turn);
        op_batch_init(op);
        for (uint32_t replica = 0; replica < op_replicas(op); replica++) {
            post_buckets(op, &op->batch, replica);
        }
        enum dm_status status = op_execute(op);
        if (status != DM_OK) {
            return status;
        }
        op->step = FIND_BUCKETS;
        status = find_take(op); /* what the primary shows */
        if (status == DM_OK && op->step != FIND_DONE) {
            status = find_run(op);
        }
        if (status != DM_OK || op->result != FIND_ABSENT) {
            return status;
        }
        bool pending = false;
        uint32_t from = op_replicas(op) == 1 ? 0 : 1; /* r = 1: its provisional words are the pending ones */
        for (uint32_t replica = from; replica < op_replicas(op) && !pending; replica++) {
            status = find_other_slot(op, replica, INDEX_NO_SLOT, &pending);
            if (status != DM_OK) {
                return status;
            }
        }
        if (!pending) {
            return DM_OK;
        }
    }
    return DM_UNKNOWN_OUTCOME;
}
