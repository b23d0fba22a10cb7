/* transaction.c: see transaction.h: the batches. Slots, memory and objects are transaction_prepare.c's. */
#include "fusee/transaction.h"

#include "assert.h"
#include "fusee/allocator.h"
#include "fusee/find.h"
#include "fusee/job.h"

#define RETRY_NS UINT64_C(10000000) /* between two tries of those that were left */

/* ---- Posting: a stage's verbs, in as many batches as they need --------------------------------------------------- */

static void post_begin(struct transaction *tx) {
    op_batch_init(tx->lead);
    tx->cas_count = 0;
    tx->failure = DM_OK;
}

/* A CAS that its winner cannot lose. Tried again, one of a primary may find any word: mine was there, and then
 * others'. */
static void check_won(struct transaction *tx, const struct transaction_cas *cas) {
    uint64_t seen = cas->op->result;
    if (snapshot_mine(seen, cas->op->compare, cas->op->operand) || (tx->again && cas->replica == 0)) {
        return;
    }
    pool_log(tx->session->pool, DM_LOG_WARNING,
             "the word at %llx is %llx, but a transaction of this client had won it from %llx: stopping it",
             (unsigned long long)cas->part->address, (unsigned long long)seen, (unsigned long long)cas->op->compare);
    count_doubt(tx->session);
    tx->failure = DM_CORRUPT;
}

static void post_flush(struct transaction *tx) {
    if (tx->lead->batch.count != 0 && op_execute(tx->lead) != DM_OK) {
        tx->failure = DM_UNKNOWN_OUTCOME;
    }
    for (uint32_t i = 0; i < tx->cas_count && tx->failure == DM_OK; i++) {
        if (tx->cas[i].result != NULL) {
            *tx->cas[i].result = tx->cas[i].op->result;
        } else {
            check_won(tx, &tx->cas[i]);
        }
    }
    op_batch_init(tx->lead);
    tx->cas_count = 0;
}

static void post_room(struct transaction *tx, uint32_t ops) {
    if (dm_batch_room(&tx->lead->batch) < ops) {
        post_flush(tx);
    }
}

/* Flushes what is left; DM_UNKNOWN_OUTCOME: the stage is to be repeated. */
static enum dm_status post_end(struct transaction *tx) {
    post_flush(tx);
    return tx->failure;
}

static void post_object(struct transaction *tx, uint64_t word, const struct buffer *object, uint32_t bytes) {
    uint32_t copies = op_copies(tx->lead, word_address(word));
    post_room(tx, copies);
    for (uint32_t j = 0; j < copies; j++) {
        struct location at = op_locate(tx->lead, word_address(word), j);
        dm_batch_write(&tx->lead->batch, at.node, at.offset, object->bytes, bytes);
    }
}

struct swap {
    uint64_t from, to;
    uint64_t *result; /* NULL: it cannot fail */
};

static void post_cas(struct transaction *tx, struct transaction_part *part, uint32_t replica, struct swap swap) {
    struct location at = op_locate(tx->lead, part->address, replica);
    post_room(tx, 1);
    struct dm_op *op = dm_batch_cas(&tx->lead->batch, at.node, at.offset, swap.from, swap.to);
    tx->cas[tx->cas_count++] = (struct transaction_cas){part, op, swap.result, replica};
}

/* READs both buckets of the part's key on `replica`, behind its CAS there in the same chain, or a batch later. */
static void post_check(struct transaction *tx, struct transaction_part *part, uint32_t replica) {
    post_room(tx, 2);
    for (uint32_t b = 0; b < 2; b++) {
        struct fusee_op *op = part->op;
        struct location at = op_locate(op, op_slot_address(op, op->place.first_slot[b]), replica);
        dm_batch_read(&tx->lead->batch, at.node, at.offset, op->buckets[replica][b], INDEX_COMBINED_BYTES);
    }
}

/* ---- Prepare ---------------------------------------------------------------------------------------------------- */

static bool is_single(const struct transaction *tx, const struct transaction_part *part) {
    return transaction_is_single(tx, part);
}

/* What a slot holds from batch 1 on, where it was won. */
static uint64_t first_word(const struct transaction *tx, const struct transaction_part *part) {
    return is_single(tx, part) ? word_with_kind(part->v_new, WORD_PREPARED) : part->v_new;
}

/* r = 1: the object must be whole before its word is in the only copy: a chain of its own node, or a batch earlier. */
static bool must_go_first(const struct transaction *tx, const struct transaction_part *part, uint64_t word) {
    return is_single(tx, part) &&
           (op_copies(tx->lead, word_address(word)) != 1 ||
            op_locate(tx->lead, word_address(word), 0).node != op_locate(tx->lead, part->address, 0).node);
}

static void post_prepare(struct transaction *tx, struct transaction_part *part) {
    uint32_t first = is_single(tx, part) ? 0 : 1;
    for (uint32_t j = first; j == first || j < transaction_replicas(tx, part); j++) {
        uint64_t *result = &part->seen[j == 0 ? 0 : j - 1];
        post_cas(tx, part, j, (struct swap){part->v_old, first_word(tx, part), result});
    }
}

static void judge(struct transaction *tx, struct transaction_part *part) {
    part->tried = true;
    part->won = snapshot_mine(part->seen[0], part->v_old, first_word(tx, part));
    for (uint32_t i = 0; i < SNAPSHOT_BACKUPS_MAX; i++) {
        part->seen[i] = snapshot_mine(part->seen[i], part->v_old, part->v_new) ? part->v_new : part->seen[i];
    }
    tx->session->stats.conflicts_lost += !part->won;
}

/* Batch 1 of parts [from, to). */
static enum dm_status prepare_some(struct transaction *tx, uint32_t from, uint32_t to) {
    bool first = false;
    post_begin(tx);
    if (tx->apart && from == 0) {
        post_object(tx, tx->slots_word, tx->slots, tx->slots_bytes);
    }
    for (uint32_t i = from; i < to; i++) {
        struct transaction_part *part = &tx->parts[i];
        post_object(tx, part->v_new, part->object, part->object_bytes);
        first |= must_go_first(tx, part, part->v_new) || (tx->apart && must_go_first(tx, part, tx->slots_word));
    }
    if (first) {
        post_flush(tx);
    }
    for (uint32_t i = from; i < to && tx->failure == DM_OK; i++) {
        post_prepare(tx, &tx->parts[i]);
    }
    for (uint32_t i = from; i < to && tx->failure == DM_OK; i++) {
        if (tx->parts[i].insert) {
            post_check(tx, &tx->parts[i], is_single(tx, &tx->parts[i]) ? 0 : 1);
        }
    }
    enum dm_status status = post_end(tx);
    for (uint32_t i = from; i < to && status == DM_OK; i++) {
        judge(tx, &tx->parts[i]);
    }
    return status;
}

static void aim_abort(struct transaction *tx) {
    tx->session->stats.transactions_aborted++;
    tx->stage = TRANSACTION_AT_COPY;
}

static enum dm_status start(struct transaction *tx) {
    uint32_t at_a_time = tx->ordered ? 1 : tx->count;
    bool won = true;
    for (uint32_t i = 0; i < tx->count && won; i += at_a_time) {
        if (!tx->parts[i].tried) { /* else an earlier try, in order, has won it */
            enum dm_status status = prepare_some(tx, i, i + at_a_time);
            if (status != DM_OK) {
                return status;
            }
        }
        for (uint32_t k = i; k < i + at_a_time; k++) {
            won &= tx->parts[k].won;
        }
    }
    if (won) {
        tx->stage = TRANSACTION_AT_FIX;
    } else {
        aim_abort(tx);
    }
    return DM_OK;
}

static enum dm_status fix(struct transaction *tx) {
    post_begin(tx);
    bool split = false;
    for (uint32_t i = 0; i < tx->count; i++) {
        struct transaction_part *part = &tx->parts[i];
        for (uint32_t j = 1; j + 1 < transaction_replicas(tx, part); j++) {
            if (part->seen[j] != part->v_new) {
                split = true;
                post_cas(tx, part, j + 1, (struct swap){part->seen[j], part->v_new, NULL});
            }
        }
    }
    enum dm_status status = post_end(tx);
    if (status == DM_OK) {
        tx->session->stats.rounds_split += split;
        for (uint32_t i = 0; i < tx->count; i++) {
            for (uint32_t j = 0; j < SNAPSHOT_BACKUPS_MAX; j++) {
                tx->parts[i].seen[j] = tx->parts[i].v_new;
            }
        }
        tx->stage = TRANSACTION_AT_CHECK;
    }
    return status;
}

/* Inserts: is there another slot of the key, committed or not? Who cannot tell takes it back. */
static void check(struct transaction *tx) {
    for (uint32_t i = 0; i < tx->count && !tx->conflict; i++) {
        struct transaction_part *part = &tx->parts[i];
        if (part->insert) {
            bool found = false;
            enum dm_status status = find_other_slot(part->op, is_single(tx, part) ? 0 : 1, part->slot, &found);
            tx->conflict = status != DM_OK || found;
        }
    }
    if (tx->conflict) {
        tx->session->stats.insert_conflicts++;
        aim_abort(tx);
    } else {
        tx->stage = TRANSACTION_AT_PRIMARY;
    }
}

/* ---- Publish ---------------------------------------------------------------------------------------------------- */

/* What the committed transaction leaves behind: old objects, cache and copies. */
void transaction_settled(struct transaction *tx) {
    struct dm_pool *pool = tx->session->pool;
    for (uint32_t i = 0; i < tx->count; i++) {
        struct transaction_part *part = &tx->parts[i];
        enum count_as has = part->removes ? COUNT_NOTHING : count_object(part->object->bytes);
        count_change(part->op, count_found(part->op), has);
        if (word_kind(part->v_old) != WORD_EMPTY) {
            allocator_free(tx->session, part->v_old);
        }
        if (part->has_back) {
            allocator_return(tx->session, &part->back_place);
            part->has_back = false;
        }
        part->has_place = false; /* the slot names it */
        if (part->removes) {
            cache_drop(&pool->cache, part->op->hash);
            copy_drop(&pool->copies, part->op->hash);
        } else {
            cache_store(&pool->cache, part->op->hash, part->slot, part->v_new, tx->lead->epoch);
            copy_store(&pool->copies, part->object->bytes, part->slot, part->v_new, tx->lead->epoch);
        }
    }
}

static enum dm_status publish(struct transaction *tx) {
    post_begin(tx);
    for (uint32_t i = 0; i < tx->count; i++) {
        struct transaction_part *part = &tx->parts[i];
        uint64_t from = is_single(tx, part) ? first_word(tx, part) : part->v_old;
        post_cas(tx, part, 0, (struct swap){from, part->v_new, NULL});
    }
    enum dm_status status = post_end(tx);
    if (status == DM_OK) {
        tx->committed = true;
        transaction_settled(tx);
        tx->stage = TRANSACTION_AT_CLEAN;
    }
    return status;
}

/* ---- Clean ------------------------------------------------------------------------------------------------------ */

static uint64_t clean_word(const struct transaction_part *part) {
    return part->removes ? word_emptied(part->v_new) : word_with_kind(part->v_new, WORD_LIVE_RMW);
}

static enum dm_status clean_backups(struct transaction *tx) {
    post_begin(tx);
    for (uint32_t i = 0; i < tx->count; i++) {
        struct transaction_part *part = &tx->parts[i];
        part->cleaned = is_single(tx, part);
        for (uint32_t j = 0; j + 1 < transaction_replicas(tx, part); j++) {
            post_cas(tx, part, j + 1, (struct swap){part->v_new, clean_word(part), &part->seen[j]});
        }
    }
    enum dm_status status = post_end(tx);
    for (uint32_t i = 0; i < tx->count && status == DM_OK; i++) {
        struct transaction_part *part = &tx->parts[i];
        part->cleaned |= snapshot_mine(part->seen[0], part->v_new, clean_word(part));
        for (uint32_t j = 0; j + 1 < transaction_replicas(tx, part); j++) {
            bool mine = snapshot_mine(part->seen[j], part->v_new, clean_word(part));
            part->seen[j] = mine ? clean_word(part) : part->seen[j];
        }
        tx->stage = TRANSACTION_AT_CLEAN_FIX;
    }
    return status;
}

static enum dm_status clean_fix(struct transaction *tx) {
    post_begin(tx);
    for (uint32_t i = 0; i < tx->count; i++) {
        struct transaction_part *part = &tx->parts[i];
        for (uint32_t j = 1; part->cleaned && j + 1 < transaction_replicas(tx, part); j++) {
            if (part->seen[j] != clean_word(part)) {
                post_cas(tx, part, j + 1, (struct swap){part->seen[j], clean_word(part), NULL});
            }
        }
    }
    enum dm_status status = post_end(tx);
    tx->stage = status == DM_OK ? TRANSACTION_AT_CLEAN_PRIMARY : tx->stage;
    return status;
}

/* Nothing shows the transaction any more. */
static void cleaned(struct transaction *tx) {
    struct dm_pool *pool = tx->session->pool;
    for (uint32_t i = 0; i < tx->count; i++) {
        struct transaction_part *part = &tx->parts[i];
        if (!part->cleaned) {
            tx->session->stats.clears_lost++;
        } else if (part->removes) {
            allocator_free(tx->session, part->v_new);
        } else {
            cache_store(&pool->cache, part->op->hash, part->slot, clean_word(part), tx->lead->epoch);
            copy_store(&pool->copies, part->object->bytes, part->slot, clean_word(part), tx->lead->epoch);
        }
    }
    if (tx->has_slots_place) {
        allocator_free(tx->session, tx->slots_word);
        tx->has_slots_place = false;
    }
    tx->stage = TRANSACTION_AT_END;
}

static enum dm_status clean_primaries(struct transaction *tx) {
    post_begin(tx);
    for (uint32_t i = 0; i < tx->count; i++) {
        struct transaction_part *part = &tx->parts[i];
        if (part->cleaned) {
            uint64_t *result = is_single(tx, part) ? &part->found : NULL;
            post_cas(tx, part, 0, (struct swap){part->v_new, clean_word(part), result});
        }
    }
    enum dm_status status = post_end(tx);
    for (uint32_t i = 0; i < tx->count && status == DM_OK; i++) {
        struct transaction_part *part = &tx->parts[i];
        if (is_single(tx, part)) {
            part->cleaned = snapshot_mine(part->found, part->v_new, clean_word(part));
        }
    }
    if (status == DM_OK) {
        cleaned(tx);
    }
    return status;
}

/* ---- Abort ------------------------------------------------------------------------------------------------------ */

static enum dm_status abort_backups(struct transaction *tx) {
    bool first = false;
    post_begin(tx);
    for (uint32_t i = 0; i < tx->count; i++) {
        struct transaction_part *part = &tx->parts[i];
        if (part->won && part->back != NULL) {
            post_object(tx, part->v_back, part->back, part->back_bytes);
            first |= must_go_first(tx, part, part->v_back);
        }
    }
    if (first) {
        post_flush(tx);
    }
    for (uint32_t i = 0; i < tx->count && tx->failure == DM_OK; i++) {
        struct transaction_part *part = &tx->parts[i];
        for (uint32_t j = 0; part->won && j + 1 < transaction_replicas(tx, part); j++) {
            post_cas(tx, part, j + 1, (struct swap){part->seen[j], part->v_back, NULL});
        }
    }
    enum dm_status status = post_end(tx);
    tx->stage = status == DM_OK ? TRANSACTION_AT_RETRACT : tx->stage;
    return status;
}

/* The slots hold what they held, under other words. */
void transaction_retracted(struct transaction *tx) {
    struct dm_pool *pool = tx->session->pool;
    for (uint32_t i = 0; i < tx->count; i++) {
        struct transaction_part *part = &tx->parts[i];
        if (!part->won) {
            continue;
        }
        if (word_kind(part->v_old) != WORD_EMPTY) {
            allocator_free(tx->session, part->v_old);
        }
        if (word_kind(part->v_back) == WORD_TOMBSTONE) {
            job_add(tx->session, part->address, part->v_back);
        } else if (part->back != NULL) {
            cache_store(&pool->cache, part->op->hash, part->slot, part->v_back, tx->lead->epoch);
            copy_store(&pool->copies, part->back->bytes, part->slot, part->v_back, tx->lead->epoch);
        }
    }
    transaction_unprepare(tx, true);
    tx->stage = TRANSACTION_AT_END;
}

static enum dm_status retract(struct transaction *tx) {
    post_begin(tx);
    for (uint32_t i = 0; i < tx->count; i++) {
        struct transaction_part *part = &tx->parts[i];
        if (part->won) {
            uint64_t from = is_single(tx, part) ? first_word(tx, part) : part->v_old;
            post_cas(tx, part, 0, (struct swap){from, part->v_back, NULL});
        }
    }
    enum dm_status status = post_end(tx);
    if (status == DM_OK) {
        transaction_retracted(tx);
    }
    return status;
}

/* ---- Stages ----------------------------------------------------------------------------------------------------- */

static enum dm_status advance(struct transaction *tx) {
    switch (tx->stage) {
    case TRANSACTION_AT_START:
        return start(tx);
    case TRANSACTION_AT_FIX:
        return fix(tx);
    case TRANSACTION_AT_CHECK:
        check(tx);
        return DM_OK;
    case TRANSACTION_AT_PRIMARY:
        return publish(tx);
    case TRANSACTION_AT_CLEAN:
        return clean_backups(tx);
    case TRANSACTION_AT_CLEAN_FIX:
        return clean_fix(tx);
    case TRANSACTION_AT_CLEAN_PRIMARY:
        return clean_primaries(tx);
    case TRANSACTION_AT_COPY:
        return transaction_copy_old(tx);
    case TRANSACTION_AT_ABORT:
        return abort_backups(tx);
    case TRANSACTION_AT_RETRACT:
        return retract(tx);
    case TRANSACTION_AT_END:
        break;
    }
    dm_assert(false);
    return DM_INVALID;
}

/* Until `until`, or the end. */
static enum dm_status advance_until(struct transaction *tx, enum transaction_stage until) {
    bool resumed = tx->again;
    if (tx->members != tx->session->members.word) {
        transaction_follow(tx);
    }
    tx->posted = true;
    while (tx->stage != until && tx->stage != TRANSACTION_AT_END) {
        enum transaction_stage stage = tx->stage;
        enum dm_status status = advance(tx);
        tx->again = status == DM_UNKNOWN_OUTCOME || (tx->again && tx->stage == stage);
        if (status != DM_OK) {
            return status;
        }
    }
    tx->session->stats.rounds_resumed += resumed;
    return DM_OK;
}

enum dm_status transaction_try(struct transaction *tx) { return advance_until(tx, TRANSACTION_AT_CLEAN); }

/* The caller's keys go, the objects' copies of them stay. */
static void keep_keys(struct transaction *tx) {
    for (uint32_t i = 0; i < tx->count; i++) {
        struct transaction_part *part = &tx->parts[i];
        part->op->asked = NULL;
        part->op->numbered.bytes = part->object != NULL ? object_key(part->object->bytes) : NULL;
    }
}

void transaction_leave(struct transaction *tx) {
    struct dm_session *session = tx->session;
    keep_keys(tx);
    struct transaction **last = &session->transactions;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    tx->next = NULL;
    *last = tx;
    session->transactions_ns = 0;
}

void transaction_run_left(struct dm_session *session) {
    struct transaction *tries = session->transactions; /* others may come meanwhile */
    session->transactions = NULL;
    bool reached = true;
    while (tries != NULL) {
        struct transaction *tx = tries;
        tries = tx->next;
        enum dm_status status = advance_until(tx, TRANSACTION_AT_END);
        if (status == DM_UNKNOWN_OUTCOME) {
            reached = false;
            transaction_leave(tx);
        } else {
            transaction_free(tx);
        }
    }
    session->transactions_ns = reached ? 0 : pool_clock_ns(session->pool) + RETRY_NS;
}
