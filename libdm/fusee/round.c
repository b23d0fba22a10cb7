/* round.c: see round.h. */
#include "fusee/round.h"

#include "assert.h"
#include "fusee/find.h"
#include "fusee/snapshot.h"

/* The word that a CAS may have met as its own. Only a word with an object of this attempt is certainly ours: the empty
 * word of a clear, and at r = 1 of a delete, is the same for everybody who removes that object (trap T5). */
static uint64_t own_word(const struct round *round) { return round->object != NULL ? round->v_new : round->v_old; }

/* Adds the WRITEs of the object to all its replicas. They come first, so that on a node that also holds the word the
 * object lies before the CAS in the chain. */
static void add_object(struct fusee_op *op, const struct round *round) {
    if (round->object == NULL) {
        return;
    }
    for (uint32_t j = 0; j < op_replicas(op); j++) {
        struct location at = op_locate(op, word_address(round->v_new), j);
        dm_batch_write(&op->batch, at.node, at.offset, round->object, round->object_bytes);
    }
}

/* Adds READs of both buckets of the key on replica `replica` of its subtable, into op->buckets[replica]. */
static void add_buckets(struct fusee_op *op, uint32_t replica) {
    for (uint32_t b = 0; b < 2; b++) {
        struct location at = op_locate(op, op_slot_address(op, op->place.first_slot[b]), replica);
        dm_batch_read(&op->batch, at.node, at.offset, op->buckets[replica][b], INDEX_COMBINED_BYTES);
    }
}

static enum dm_status report(struct fusee_op *op, const struct round *round, uint64_t seen) {
    pool_log(op->session->pool, DM_LOG_WARNING,
             "the word at %llx is %llx, but this client had won it from %llx: stopping this operation",
             (unsigned long long)round->address, (unsigned long long)seen, (unsigned long long)round->v_old);
    return DM_CORRUPT;
}

/* CAS of the primary by the winner; cannot fail. */
static enum dm_status publish(struct fusee_op *op, const struct round *round, uint64_t from, uint64_t to) {
    struct location at = op_locate(op, round->address, 0);
    op_batch_init(op);
    struct dm_op *cas = dm_batch_cas(&op->batch, at.node, at.offset, from, to);
    if (op_execute(op) != DM_OK) {
        return DM_UNKNOWN_OUTCOME;
    }
    return snapshot_mine(cas->result, from, to) ? DM_OK : report(op, round, cas->result);
}

/* CASes every backup from `from[i]` to `to`, where they differ. */
static enum dm_status set_backups(struct fusee_op *op, const struct round *round, const uint64_t *from, uint64_t to) {
    struct dm_op *cas[SNAPSHOT_BACKUPS_MAX] = {NULL};
    op_batch_init(op);
    for (uint32_t i = 0; i + 1 < op_replicas(op); i++) {
        if (from[i] != to) {
            struct location at = op_locate(op, round->address, i + 1);
            cas[i] = dm_batch_cas(&op->batch, at.node, at.offset, from[i], to);
        }
    }
    if (op_execute(op) != DM_OK) {
        return DM_UNKNOWN_OUTCOME;
    }
    for (uint32_t i = 0; i + 1 < op_replicas(op); i++) {
        if (cas[i] != NULL && !snapshot_mine(cas[i]->result, from[i], to)) {
            return report(op, round, cas[i]->result);
        }
    }
    return DM_OK;
}

/* Insert only: is there another slot of this key, committed or not? Looks at the buckets READ behind the CAS. */
static enum dm_status check_insert(struct fusee_op *op, const struct round *round, uint32_t replica, bool *conflict) {
    uint16_t own = (uint16_t)((round->address - op->subtable - INDEX_CONTROL_BYTES) / sizeof(uint64_t));
    return find_other_slot(op, replica, own, conflict);
}

static enum dm_status settle_insert(struct fusee_op *op, const struct round *round, enum round_result *result) {
    bool conflict;
    enum dm_status status = check_insert(op, round, 1, &conflict);
    if (status != DM_OK) {
        conflict = true; /* cannot tell: take it back */
    }
    if (!conflict) {
        *result = ROUND_WON;
        return publish(op, round, round->v_old, round->v_new);
    }
    uint64_t empty = word_emptied(round->v_new);
    uint64_t mine[SNAPSHOT_BACKUPS_MAX] = {round->v_new, round->v_new, round->v_new};
    enum dm_status aborted = set_backups(op, round, mine, empty);
    if (aborted == DM_OK) {
        aborted = publish(op, round, round->v_old, empty);
    }
    *result = ROUND_CONFLICT;
    op->session->stats.insert_conflicts++;
    return aborted != DM_OK ? aborted : status;
}

/* r = 1, existing key: the CAS of the only copy decides. Its object must be whole before, so the CAS shares a chain
 * with the WRITE, or comes a batch later. */
static enum dm_status single_update(struct fusee_op *op, const struct round *round, enum round_result *result) {
    struct location at = op_locate(op, round->address, 0);
    op_batch_init(op);
    add_object(op, round);
    if (round->object != NULL && op->batch.ops[0].node != at.node) {
        if (op_execute(op) != DM_OK) {
            return DM_UNREACHABLE;
        }
        op_batch_init(op);
    }
    struct dm_op *cas = dm_batch_cas(&op->batch, at.node, at.offset, round->v_old, round->v_new);
    if (op_execute(op) != DM_OK) {
        return DM_UNKNOWN_OUTCOME;
    }
    op->slot_word = cas->result;
    *result = snapshot_mine(cas->result, round->v_old, own_word(round)) ? ROUND_WON : ROUND_STALE;
    return DM_OK;
}

/* r = 1, new key: a provisional word, the check behind it, then the live word. */
static enum dm_status single_insert(struct fusee_op *op, const struct round *round, enum round_result *result) {
    struct location at = op_locate(op, round->address, 0);
    uint64_t provisional = word_with_kind(round->v_new, WORD_PROVISIONAL);
    op_batch_init(op);
    add_object(op, round);
    struct dm_op *cas = dm_batch_cas(&op->batch, at.node, at.offset, round->v_old, provisional);
    add_buckets(op, 0);
    if (op_execute(op) != DM_OK) {
        return DM_UNKNOWN_OUTCOME;
    }
    if (!snapshot_mine(cas->result, round->v_old, provisional)) {
        *result = ROUND_LOST;
        return DM_OK;
    }
    bool conflict;
    enum dm_status status = check_insert(op, round, 0, &conflict);
    if (status != DM_OK || conflict) {
        *result = ROUND_CONFLICT;
        op->session->stats.insert_conflicts++;
        enum dm_status aborted = publish(op, round, provisional, word_emptied(round->v_new));
        return aborted != DM_OK ? aborted : status;
    }
    *result = ROUND_WON;
    return publish(op, round, provisional, round->v_new);
}

enum dm_status round_run(struct fusee_op *op, const struct round *round, enum round_result *result) {
    uint32_t backups = op_replicas(op) - 1;
    if (backups == 0) {
        return round->insert ? single_insert(op, round, result) : single_update(op, round, result);
    }
    struct dm_op *cas[SNAPSHOT_BACKUPS_MAX];
    uint64_t seen[SNAPSHOT_BACKUPS_MAX];
    op_batch_init(op);
    add_object(op, round);
    for (uint32_t i = 0; i < backups; i++) {
        struct location at = op_locate(op, round->address, i + 1);
        cas[i] = dm_batch_cas(&op->batch, at.node, at.offset, round->v_old, round->v_new);
    }
    if (round->insert) {
        add_buckets(op, 1);
    }
    if (round->guess) {
        struct location at = op_locate(op, round->address, 0);
        dm_batch_read(&op->batch, at.node, at.offset, &op->slot_word, sizeof op->slot_word);
    }
    if (op_execute(op) != DM_OK) {
        return DM_UNKNOWN_OUTCOME;
    }
    for (uint32_t i = 0; i < backups; i++) {
        seen[i] = cas[i]->result;
        if (round->slot && !word_is_known(seen[i])) {
            return DM_INCOMPATIBLE; /* a newer version is at work here: stop, and touch nothing more */
        }
    }
    switch (round->guess ? snapshot_judge_guess(seen, backups, round->v_old, own_word(round), op->slot_word)
                         : snapshot_judge(seen, backups, round->v_old, own_word(round))) {
    case SNAPSHOT_STALE:
        *result = ROUND_STALE;
        return DM_OK;
    case SNAPSHOT_LOST:
        op->session->stats.conflicts_lost++;
        *result = ROUND_LOST;
        return DM_OK;
    case SNAPSHOT_FIX: {
        op->session->stats.rounds_split++;
        for (uint32_t i = 0; i < backups; i++) {
            seen[i] = seen[i] == round->v_old ? round->v_new : seen[i];
        }
        enum dm_status status = set_backups(op, round, seen, round->v_new);
        if (status != DM_OK) {
            return status;
        }
        break;
    }
    case SNAPSHOT_WON:
        break;
    }
    if (round->insert) {
        return settle_insert(op, round, result);
    }
    *result = ROUND_WON;
    return publish(op, round, round->v_old, round->v_new);
}

enum dm_status round_wait(struct fusee_op *op, uint64_t address, uint64_t v_old, uint64_t *moved_to) {
    struct location at = op_locate(op, address, 0);
    uint64_t deadline_ns = pool_clock_ns(op->session->pool) + ROUND_WAIT_MAX_NS;
    for (uint32_t turn = 0;; turn++) {
        op_batch_init(op);
        dm_batch_read(&op->batch, at.node, at.offset, &op->slot_word, sizeof op->slot_word);
        if (op_execute(op) != DM_OK) {
            return DM_UNKNOWN_OUTCOME;
        }
        if (op->slot_word != v_old) {
            *moved_to = op->slot_word;
            return DM_OK;
        }
        if (pool_clock_ns(op->session->pool) > deadline_ns) {
            pool_log(op->session->pool, DM_LOG_WARNING,
                     "the word at %llx has been held by another client's unfinished round for 10 s; that client has "
                     "probably died",
                     (unsigned long long)address);
            return DM_UNKNOWN_OUTCOME;
        }
        op_back_off(op, turn);
    }
}
