/* intent.c: see intent.h. */
#include "fusee/intent.h"

#include "assert.h"
#include "fusee/find.h"
#include "fusee/round.h"

static void drop(struct fusee_op *op, struct buffer **buffer) {
    if (*buffer != NULL) {
        buffer_give(&op->session->buffers, *buffer);
        *buffer = NULL;
    }
}

void intent_release(struct fusee_op *op) {
    struct intent_look *look = &op->intent;
    drop(op, &look->object);
    drop(op, &look->apart);
    drop(op, &look->old);
    drop(op, &look->words);
}

void intent_forget(struct fusee_op *op) {
    op->intent.removed_count = 0;
    op->intent.turn = 0;
    op->intent.deadline_ns = 0;
    op->intent.witness_address = 0;
}

bool intent_is_removed(const struct fusee_op *op, uint64_t word) {
    for (uint32_t i = 0; i < op->intent.removed_count; i++) {
        if (op->intent.removed[i] == word) {
            return true;
        }
    }
    return false;
}

/* A writer's turn is over, and the transaction is open still. */
static enum dm_status wait_turn(struct fusee_op *op) {
    struct intent_look *look = &op->intent;
    struct dm_pool *pool = op->session->pool;
    if (look->deadline_ns == 0) {
        look->deadline_ns = pool_clock_ns(pool) + ROUND_WAIT_MAX_NS;
    } else if (pool_clock_ns(pool) > look->deadline_ns) {
        pool_log(pool, DM_LOG_WARNING,
                 "the transaction behind the intent at %llx has not ended for 10 s; its client has probably died",
                 (unsigned long long)op_slot_address(op, look->slot));
        return DM_UNKNOWN_OUTCOME;
    }
    op_back_off(op, look->turn++);
    return DM_OK;
}

static bool has_object(uint64_t word) { return word_is_live(word) || word_is_intent(word); }

static enum dm_status show_old(struct fusee_op *op);

enum dm_status intent_meet(struct fusee_op *op, uint16_t slot, uint64_t word, struct buffer *object) {
    struct intent_look *look = &op->intent;
    intent_release(op);
    look->object = object;
    look->word = word;
    look->slot = slot;
    look->next = 0;
    op->session->stats.intents_met++;
    op->step = FIND_INTENT;
    if (word_kind(word) == WORD_PREPARED && op->want != FIND_FOR_READ) {
        intent_release(op);
        op->step = FIND_BUCKETS;
        return wait_turn(op);
    }
    if (word_kind(word) == WORD_PREPARED && !has_object(object_header(object->bytes)->prev)) {
        return show_old(op); /* nothing is to be fetched */
    }
    look->words = buffer_take(&op->session->buffers, INTENT_AT_A_TIME * (uint32_t)sizeof(uint64_t));
    return look->words == NULL ? DM_BUSY : DM_OK;
}

/* The object with all slots of the transaction; NULL: it is still to be fetched. */
static void *slots_object(const struct fusee_op *op) {
    const struct intent_look *look = &op->intent;
    bool apart = (object_header(look->object->bytes)->intent & OBJECT_INTENT_APART) != 0;
    return apart ? (look->apart != NULL ? look->apart->bytes : NULL) : look->object->bytes;
}

/* The old content is fetched once, beside the first slots. */
static enum dm_status post_old(struct fusee_op *op, struct dm_batch *batch) {
    struct intent_look *look = &op->intent;
    uint64_t v_old = object_header(look->object->bytes)->prev;
    bool wanted = op->want == FIND_FOR_READ && look->old == NULL && has_object(v_old);
    return wanted ? find_post_object(op, batch, v_old, &look->old) : DM_OK;
}

enum dm_status intent_post(struct fusee_op *op, struct dm_batch *batch) {
    struct intent_look *look = &op->intent;
    void *object = slots_object(op);
    look->posted = 0;
    if (object == NULL) {
        return find_post_object(op, batch, object_slots(look->object->bytes)->address, &look->apart);
    }
    if (word_kind(look->word) == WORD_INTENT) {
        uint32_t count = object_slot_count(object_header(object)->intent);
        const struct object_slot *slots = object_slots(object) + look->next;
        uint64_t *words = (uint64_t *)look->words->bytes;
        for (; look->posted < INTENT_AT_A_TIME && look->next + look->posted < count; look->posted++) {
            struct location at = op_locate(op, slots[look->posted].address, 0);
            dm_batch_read(batch, at.node, at.offset, &words[look->posted], sizeof words[0]);
        }
    }
    return post_old(op, batch);
}

/* The transaction was open: what the intent has replaced counts. */
static enum dm_status show_old(struct fusee_op *op) {
    struct intent_look *look = &op->intent;
    uint64_t v_old = object_header(look->object->bytes)->prev;
    op->slot = look->slot;
    op->word = look->word;
    if (has_object(v_old)) {
        uint32_t bytes = sizeclass_bytes(word_class(v_old));
        if (object_check(look->old->bytes, bytes, v_old, op->key, op->hash) != OBJECT_GOOD) {
            intent_release(op);
            look->witness_address = 0;
            return find_again(op);
        }
        if (!intent_removes(look->old->bytes)) {
            op->object = look->old;
            look->old = NULL;
            intent_release(op);
            find_finish(op, FIND_LIVE, false);
            return DM_OK;
        }
    }
    bool by_slot = word_kind(look->word) == WORD_INTENT || has_object(v_old);
    intent_release(op);
    find_finish(op, FIND_ABSENT, false);
    op->by_slot = by_slot;
    return DM_OK;
}

static enum dm_status show_new(struct fusee_op *op) {
    struct intent_look *look = &op->intent;
    if (intent_removes(look->object->bytes)) {
        intent_release(op);
        if (look->removed_count == INTENT_REMOVED_MAX) {
            look->removed_count = 0;
        }
        look->removed[look->removed_count++] = look->word;
        op->step = FIND_BUCKETS;
        return DM_OK;
    }
    op->slot = look->slot;
    op->word = look->word;
    op->object = look->object;
    look->object = NULL;
    intent_release(op);
    find_finish(op, FIND_LIVE, true);
    return DM_OK;
}

/* Is the fetched object with the slots what it should be? If not, the transaction has ended. */
static bool apart_is_whole(const struct fusee_op *op) {
    const struct intent_look *look = &op->intent;
    uint64_t word = object_slots(look->object->bytes)->address;
    return object_whole(look->apart->bytes, sizeclass_bytes(word_class(word)), word);
}

enum dm_status intent_take(struct fusee_op *op) {
    struct intent_look *look = &op->intent;
    if (word_kind(look->word) == WORD_PREPARED) {
        return show_old(op);
    }
    if (look->posted == 0 && look->apart != NULL) {
        if (apart_is_whole(op)) {
            return DM_OK;
        }
        intent_release(op);
        return find_again(op);
    }
    const struct object_slot *slots = object_slots(slots_object(op)) + look->next;
    const uint64_t *words = (const uint64_t *)look->words->bytes;
    for (uint32_t i = 0; i < look->posted; i++) {
        if (!intent_shows_old(&slots[i], words[i])) {
            continue;
        }
        if (op->want != FIND_FOR_READ) {
            return wait_turn(op);
        }
        look->witness_address = slots[i].address;
        look->witness_word = words[i];
        return show_old(op);
    }
    look->next += look->posted;
    uint32_t count = object_slot_count(object_header(slots_object(op))->intent);
    return look->next < count ? DM_OK : show_new(op);
}
