/* many.c: see many.h. */
#include "fusee/many.h"

#include <string.h>

#include "assert.h"
#include "fusee/find.h"

/* One shared batch for the operations that are not done, from *next on; false when there was nothing to post. */
static bool find_step(struct fusee_op *lead, struct fusee_op *const *ops, uint32_t count, enum dm_status *statuses) {
    uint32_t posted[DM_BATCH_OPS];
    uint32_t posts = 0;
    op_batch_init(lead);
    for (uint32_t i = 0; i < count && posts < DM_BATCH_OPS && dm_batch_room(&lead->batch) != 0; i++) {
        if (statuses[i] != DM_OK || ops[i]->step == FIND_DONE || dm_batch_room(&lead->batch) < find_room(ops[i])) {
            continue;
        }
        statuses[i] = find_post(ops[i], &lead->batch);
        if (statuses[i] == DM_OK) {
            posted[posts++] = i;
        }
    }
    if (posts == 0) {
        return false;
    }
    bool failed = op_execute(lead) != DM_OK;
    for (uint32_t p = 0; p < posts; p++) {
        uint32_t i = posted[p];
        statuses[i] = failed ? DM_UNREACHABLE : find_take(ops[i]);
    }
    return true;
}

void many_find(struct fusee_op *lead, struct fusee_op *const *ops, uint32_t count, enum dm_status *statuses) {
    while (find_step(lead, ops, count, statuses)) {
    }
    for (uint32_t i = 0; i < count; i++) {
        if (statuses[i] != DM_OK && ops[i] != NULL) {
            find_release(ops[i]);
        }
    }
}

/* ---- Again ------------------------------------------------------------------------------------------------------ */

#define AGAIN_MAX 3u /* READs for one operation */

static void post_again(struct fusee_op *op, struct dm_batch *batch) {
    if (op->by_slot) {
        struct location at = op_locate(op, op_slot_address(op, op->slot), 0);
        dm_batch_read(batch, at.node, at.offset, &op->slot_word, sizeof op->slot_word);
    } else {
        for (uint32_t b = 0; b < 2; b++) {
            struct location at = op_locate(op, op_slot_address(op, op->place.first_slot[b]), 0);
            dm_batch_read(batch, at.node, at.offset, op->buckets[1][b], INDEX_COMBINED_BYTES);
        }
    }
    if (op->intent.witness_address != 0) {
        struct location at = op_locate(op, op->intent.witness_address, 0);
        dm_batch_read(batch, at.node, at.offset, op->buckets[2][0], sizeof(uint64_t));
    }
}

/* All words of both buckets: a key that came and went between two looks has left another empty word. */
static bool is_changed(const struct fusee_op *op) {
    bool changed =
        op->by_slot ? op->slot_word != op->word : memcmp(op->buckets[0], op->buckets[1], sizeof op->buckets[0]) != 0;
    return changed || (op->intent.witness_address != 0 && op->buckets[2][0][0] != op->intent.witness_word);
}

enum dm_status many_look_again(struct fusee_op *lead, struct fusee_op *const *ops, uint32_t count, bool *changed,
                               bool *any) {
    *any = false;
    for (uint32_t i = 0; i < count;) {
        uint32_t first = i;
        op_batch_init(lead);
        for (; i < count && dm_batch_room(&lead->batch) >= AGAIN_MAX; i++) {
            post_again(ops[i], &lead->batch);
        }
        enum dm_status status = op_execute(lead);
        if (status != DM_OK) {
            return status;
        }
        for (uint32_t k = first; k < i; k++) {
            changed[k] = is_changed(ops[k]);
            *any |= changed[k];
        }
    }
    return DM_OK;
}

enum dm_status many_read(struct fusee_op *lead, struct fusee_op *const *ops, uint32_t count, enum dm_status *statuses,
                         bool *changed) {
    for (uint32_t i = 0; i < count; i++) {
        find_start(ops[i], FIND_FOR_READ, true);
    }
    for (uint32_t turn = 0;; turn++) {
        many_find(lead, ops, count, statuses);
        for (uint32_t i = 0; i < count; i++) {
            if (statuses[i] != DM_OK) {
                return statuses[i];
            }
        }
        bool any = false;
        enum dm_status status = count > 1 ? many_look_again(lead, ops, count, changed, &any) : DM_OK;
        if (status != DM_OK || !any) {
            return status;
        }
        lead->session->stats.pictures_retaken++;
        op_back_off(lead, turn);
        for (uint32_t i = 0; i < count; i++) {
            if (changed[i]) {
                find_start(ops[i], FIND_FOR_READ, true);
            }
        }
    }
}
