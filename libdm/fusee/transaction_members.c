/* transaction_members.c: what becomes of a transaction when the nodes that count change under it: see transaction.h and
 * members.h. In coroutines of its session. */
#include "fusee/allocator.h"
#include "fusee/transaction.h"

/* CASes of a stage, in as many batches as they need, past the gate. */
struct swaps {
    struct transaction *tx;
    struct dm_batch batch;
    enum dm_status status;
};

static void swaps_flush(struct swaps *swaps) {
    if (swaps->batch.count != 0 && swaps->status == DM_OK) {
        dm_fabric_execute(swaps->tx->session->endpoint, &swaps->batch);
        swaps->status = swaps->batch.failed == 0 ? DM_OK : DM_UNREACHABLE;
    }
    dm_batch_init(&swaps->batch, NULL);
}

/* On replica j, if its node is left. */
static void swap(struct swaps *swaps, const struct transaction_part *part, uint32_t j, uint64_t from, uint64_t to,
                 uint64_t word) {
    struct location at = op_locate(swaps->tx->lead, part->address, j);
    if (from == to || !members_has(word, at.node)) {
        return;
    }
    if (dm_batch_room(&swaps->batch) == 0) {
        swaps_flush(swaps);
    }
    dm_batch_cas(&swaps->batch, at.node, at.offset, from, to);
}

/* The word before comes back, on the first backup last: until then nobody else wins the slot. */
static void undo(struct swaps *swaps, uint64_t word) {
    struct transaction *tx = swaps->tx;
    for (uint32_t turn = 0; turn < 2; turn++) {
        for (uint32_t i = 0; i < tx->count; i++) {
            const struct transaction_part *part = &tx->parts[i];
            uint32_t replicas = transaction_replicas(tx, part);
            uint64_t first = replicas == 1 ? word_with_kind(part->v_new, WORD_PREPARED) : part->v_new;
            uint32_t from = turn == 1 ? (replicas == 1 ? 0 : 1) : 2;
            uint32_t to = turn == 1 ? from + 1 : replicas;
            for (uint32_t j = from; j < to; j++) {
                swap(swaps, part, j, first, part->v_old, word);
                if (part->v_back != 0) {
                    swap(swaps, part, j, part->v_back, part->v_old, word);
                }
            }
        }
        swaps_flush(swaps);
    }
    tx->undone = true;
}

static void move_primaries(struct swaps *swaps, uint64_t word, bool retract) {
    struct transaction *tx = swaps->tx;
    for (uint32_t i = 0; i < tx->count; i++) {
        const struct transaction_part *part = &tx->parts[i];
        if (retract && !part->won) {
            continue;
        }
        uint64_t from = transaction_is_single(tx, part) ? word_with_kind(part->v_new, WORD_PREPARED) : part->v_old;
        swap(swaps, part, 0, from, retract ? part->v_back : part->v_new, word);
    }
    swaps_flush(swaps);
}

enum dm_status transaction_rest(struct transaction *tx, uint64_t word) {
    struct swaps swaps = {.tx = tx, .status = DM_OK};
    dm_batch_init(&swaps.batch, NULL);
    if (!tx->posted || tx->members != tx->session->members.word) {
        return DM_OK; /* or it rests already: it has not gone on since the last change */
    }
    switch (tx->stage) {
    case TRANSACTION_AT_START:
    case TRANSACTION_AT_FIX:
    case TRANSACTION_AT_CHECK:
    case TRANSACTION_AT_COPY:
    case TRANSACTION_AT_ABORT:
        undo(&swaps, word);
        break;
    case TRANSACTION_AT_PRIMARY:
        move_primaries(&swaps, word, false);
        break;
    case TRANSACTION_AT_RETRACT:
        move_primaries(&swaps, word, true);
        break;
    default: /* the slots say it */
        break;
    }
    return swaps.status;
}

/* It has never been. */
static void forget(struct transaction *tx) {
    for (uint32_t i = 0; i < tx->count; i++) {
        struct transaction_part *part = &tx->parts[i];
        if (part->back != NULL && word_kind(part->v_back) != WORD_EMPTY) {
            allocator_free(tx->session, part->v_back);
        }
        part->tried = part->won = false;
    }
    transaction_unprepare(tx, true);
    tx->conflict = false;
    tx->stage = TRANSACTION_AT_END;
}

void transaction_follow(struct transaction *tx) {
    uint64_t word = tx->session->members.word;
    tx->members = tx->lead->members = word;
    for (uint32_t i = 0; i < tx->count; i++) {
        tx->parts[i].op->members = word;
        op_work_on(tx->parts[i].op, tx->parts[i].op->subtable);
    }
    if (!tx->posted) {
        return;
    }
    tx->again = true;
    switch (tx->stage) {
    case TRANSACTION_AT_PRIMARY:
        tx->committed = true;
        transaction_settled(tx);
        tx->stage = TRANSACTION_AT_CLEAN;
        break;
    case TRANSACTION_AT_RETRACT:
        transaction_retracted(tx);
        break;
    case TRANSACTION_AT_CLEAN:
    case TRANSACTION_AT_CLEAN_FIX:
    case TRANSACTION_AT_CLEAN_PRIMARY:
        tx->stage = TRANSACTION_AT_CLEAN;
        break;
    default:
        if (tx->undone) {
            forget(tx);
        }
        break;
    }
}
