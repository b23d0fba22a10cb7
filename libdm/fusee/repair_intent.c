/* repair_intent.c: see repair_intent.h. */
#include "fusee/repair_intent.h"

#include "fusee/intent.h"
#include "fusee/repair_word.h"
#include "fusee/round.h"

enum dm_status repair_read_whole(struct fusee_op *op, uint64_t word, struct buffer *into) {
    uint32_t bytes = sizeclass_bytes(word_class(word));
    for (uint32_t j = 0; j < op_copies(op, word_address(word)); j++) {
        struct location at = op_locate(op, word_address(word), j);
        op_batch_init(op);
        dm_batch_read(&op->batch, at.node, at.offset, into->bytes, bytes);
        enum dm_status status = op_execute(op);
        if (status != DM_OK || object_whole(into->bytes, bytes, word)) {
            return status;
        }
    }
    return DM_CORRUPT;
}

/* Room for the object of a word, with the object if that is whole on all replicas. *out NULL: it is not. */
static enum dm_status fetch(struct fusee_op *op, uint64_t word, struct buffer **out) {
    bool whole;
    uint32_t client;
    *out = NULL;
    enum dm_status status = repair_word_writer(op, word, &whole, &client);
    if (status != DM_OK || !whole) {
        return status;
    }
    struct buffer *buffer = buffer_take(&op->session->buffers, sizeclass_bytes(word_class(word)));
    if (buffer == NULL) {
        return DM_BUSY;
    }
    status = repair_read_whole(op, word, buffer);
    if (status != DM_OK) {
        buffer_give(&op->session->buffers, buffer);
        return status;
    }
    *out = buffer;
    return DM_OK;
}

static enum dm_status look_at_slots(struct fusee_op *op, void *object, bool *passed) {
    const struct object_slot *slots = object_slots(object);
    uint32_t count = object_slot_count(object_header(object)->intent);
    uint64_t *words = op->buckets[0][0]; /* registered, and not in use here */
    enum dm_status status = DM_OK;
    for (uint32_t from = 0; from < count && status == DM_OK && !*passed; from += INTENT_AT_A_TIME) {
        uint32_t some = count - from < INTENT_AT_A_TIME ? count - from : INTENT_AT_A_TIME;
        op_batch_init(op);
        for (uint32_t i = 0; i < some; i++) {
            struct location at = op_locate(op, slots[from + i].address, 0);
            dm_batch_read(&op->batch, at.node, at.offset, &words[i], sizeof words[0]);
        }
        status = op_execute(op);
        for (uint32_t i = 0; i < some && status == DM_OK; i++) {
            *passed |= words[i] == slots[from + i].v_new;
        }
    }
    return status;
}

enum dm_status repair_intent_passed(struct fusee_op *op, uint64_t word, bool *passed) {
    struct buffer *object;
    struct buffer *apart = NULL;
    *passed = false;
    enum dm_status status = fetch(op, word, &object);
    if (status != DM_OK || object == NULL) {
        return status; /* its batch 1 has never ended */
    }
    bool is_apart = (object_header(object->bytes)->intent & OBJECT_INTENT_APART) != 0;
    if (is_apart) {
        status = fetch(op, object_slots(object->bytes)->address, &apart);
    }
    if (status == DM_OK && (!is_apart || apart != NULL)) {
        status = look_at_slots(op, is_apart ? apart->bytes : object->bytes, passed);
    }
    if (apart != NULL) {
        buffer_give(&op->session->buffers, apart);
    }
    buffer_give(&op->session->buffers, object);
    return status;
}

enum dm_status repair_intent_clean(struct fusee_op *op, const struct client_set *dead, uint64_t address,
                                   uint64_t intent, bool *cleaned) {
    struct buffer *object;
    bool whole;
    uint32_t client;
    *cleaned = false;
    enum dm_status status = repair_word_writer(op, intent, &whole, &client);
    if (status != DM_OK || !client_set_has(dead, client)) {
        return status;
    }
    status = fetch(op, intent, &object);
    if (status != DM_OK || object == NULL) {
        return status;
    }
    bool removed = intent_removes(object->bytes);
    buffer_give(&op->session->buffers, object);
    struct round round = {.address = address,
                          .v_old = intent,
                          .v_new = removed ? word_emptied(intent) : word_with_kind(intent, WORD_LIVE_RMW),
                          .slot = true};
    enum round_result result = ROUND_LOST;
    status = round_run(op, &round, &result);
    *cleaned = status == DM_OK && result == ROUND_WON;
    return status;
}
