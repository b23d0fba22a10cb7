/* round_members.c: see round_members.h. */
#include "fusee/round_members.h"

#include "fusee/chain.h"
#include "fusee/session.h"

void round_enlist(struct fusee_op *op, struct round *round) {
    struct dm_session *session = op->session;
    round->op = op;
    round->previous = NULL;
    round->next = session->rounds;
    if (round->next != NULL) {
        round->next->previous = round;
    }
    session->rounds = round;
}

void round_delist(struct fusee_op *op, struct round *round) {
    struct dm_session *session = op->session;
    *(round->previous == NULL ? &session->rounds : &round->previous->next) = round->next;
    if (round->next != NULL) {
        round->next->previous = round->previous;
    }
}

/* ---- Before ----------------------------------------------------------------------------------------------------- */

static enum dm_status execute(struct dm_session *session, struct dm_batch *batch) {
    dm_fabric_execute(session->endpoint, batch);
    return batch->failed == 0 ? DM_OK : DM_UNREACHABLE;
}

/* Takes an insert back on the backups that are left. */
static enum dm_status take_back(struct dm_session *session, struct round *round, uint64_t word) {
    struct dm_batch batch;
    dm_batch_init(&batch, NULL);
    for (uint32_t j = 1; j < layout_replicas(&session->layout, round->address); j++) {
        struct location at = layout_locate(&session->layout, round->address, j);
        if (members_has(word, at.node)) {
            dm_batch_cas(&batch, at.node, at.offset, round->v_new, word_emptied(round->v_new));
        }
    }
    round->taken_back = true;
    return batch.count == 0 ? DM_OK : execute(session, &batch);
}

static enum dm_status make_whole(struct dm_session *session, const struct round *round, uint64_t word) {
    struct dm_batch batch;
    dm_batch_init(&batch, NULL);
    for (uint32_t j = 0; j < layout_replicas(&session->layout, word_address(round->v_new)); j++) {
        struct location at = layout_locate(&session->layout, word_address(round->v_new), j);
        if (members_has(word, at.node)) {
            dm_batch_write(&batch, at.node, at.offset, round->object, round->object_bytes);
        }
    }
    return batch.count == 0 ? DM_OK : execute(session, &batch);
}

enum dm_status round_rest(struct dm_session *session, struct round *round, uint64_t word) {
    bool ended = round->stage == ROUND_AT_END;
    if (ended || members_has(word, layout_locate(&session->layout, round->address, 0).node)) {
        return DM_OK;
    }
    if (round->insert) {
        return round->stage == ROUND_AT_PRIMARY ? DM_OK : take_back(session, round, word);
    }
    return round->stage == ROUND_AT_START && round->object != NULL ? make_whole(session, round, word) : DM_OK;
}

/* ---- Behind ----------------------------------------------------------------------------------------------------- */

static enum dm_status end(struct round *round, enum round_result how, enum round_result *result) {
    round->stage = ROUND_AT_END;
    *result = how;
    return DM_OK;
}

/* The primary holds another word than the one that was to be replaced, and than mine. */
static enum dm_status ask_chain(struct fusee_op *op, struct round *round, uint64_t now, enum round_result *result) {
    enum chain_verdict verdict;
    if (!round->slot) { /* nobody but its owner gives a block up, nobody takes one from its owner */
        return end(round, block_word_state(round->v_old) == BLOCK_OWNED ? ROUND_WON : ROUND_LOST, result);
    }
    if (round->object == NULL) { /* a clear: whoever made it */
        return end(round, ROUND_LOST, result);
    }
    if (chain_look(op, now, round->v_old, round->v_new, &verdict) != DM_OK) {
        return DM_UNKNOWN_OUTCOME;
    }
    op->session->stats.outcomes_proved += verdict != CHAIN_SILENT;
    switch (verdict) {
    case CHAIN_HAPPENED:
        return end(round, ROUND_WON, result);
    case CHAIN_NOT:
        op->slot_word = now;
        return end(round, round->insert ? ROUND_LOST : ROUND_STALE, result);
    case CHAIN_SILENT:
        break;
    }
    round->stage = ROUND_AT_END;
    return DM_UNKNOWN_OUTCOME;
}

enum dm_status round_follow(struct fusee_op *op, struct round *round, enum round_result *result) {
    struct dm_session *session = op->session;
    uint64_t word = session->members.word;
    op->members = word;
    op_work_on(op, round->address);
    if (!members_touch(session, round->members, round->address)) {
        round->members = word;
        return DM_OK;
    }
    struct location at = op_locate(op, round->address, 0);
    op_batch_init(op);
    dm_batch_read(&op->batch, at.node, at.offset, &op->slot_word, sizeof op->slot_word);
    if (op_execute(op) != DM_OK) {
        return DM_UNKNOWN_OUTCOME;
    }
    uint64_t now = op->slot_word;
    /* My word's empty successor at a place with one replica, or of my tombstone: it was there. */
    bool mine = round->object != NULL ? word_identity(now) == word_identity(round->v_new) : now == round->v_new;
    enum dm_status status = DM_OK;
    if (round->taken_back || round->stage == ROUND_AT_ABORT || round->stage == ROUND_AT_RETRACT) {
        (void)end(round, ROUND_CONFLICT, result);
        status = round->failure;
    } else if (now == round->v_old) {
        round->stage = ROUND_AT_START;
        round->again = false;
    } else if (mine) {
        status = end(round, ROUND_WON, result);
    } else {
        status = ask_chain(op, round, now, result);
    }
    if (status == DM_OK || round->stage == ROUND_AT_END) {
        round->members = word;
        op->session->stats.rounds_followed++;
    }
    return status;
}
