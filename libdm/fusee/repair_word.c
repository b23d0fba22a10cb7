/* repair_word.c: see repair_word.h. */
#include "fusee/repair_word.h"

#include <string.h>

#include "fusee/allocator.h"
#include "fusee/intent.h"
#include "fusee/repair_intent.h"
#include "fusee/repair_rule.h"

#define TURNS_MAX 64u /* a word that keeps changing under the repair belongs to those who change it */

enum owner { OWNER_DEAD, OWNER_OTHER, OWNER_UNKNOWN };

/* ---- Whose ------------------------------------------------------------------------------------------------------ */

static bool names_object(const struct fusee_op *op, uint64_t word) {
    const struct dm_pool *pool = op->session->pool;
    return word_class(word) <= pool->class_max &&
           layout_is_object(&pool->layout, word_address(word), sizeclass_bytes(word_class(word)));
}

static uint32_t writer_of(const void *object) {
    const struct object_header *header = object_header(object);
    uint64_t bytes = object_length(header);
    const struct object_log *log =
        (const struct object_log *)((const uint8_t *)object + bytes - sizeof(struct object_log));
    return (uint16_t)log->sequence_client;
}

enum dm_status repair_word_writer(struct fusee_op *op, uint64_t word, bool *whole, uint32_t *client) {
    uint32_t bytes = sizeclass_bytes(word_class(word));
    struct buffer *copies[LAYOUT_REPLICAS_MAX] = {NULL};
    *whole = true;
    *client = UINT32_MAX;
    enum dm_status status = names_object(op, word) ? DM_OK : DM_CORRUPT;
    op_batch_init(op);
    for (uint32_t j = 0; j < op_copies(op, word_address(word)) && status == DM_OK; j++) {
        copies[j] = buffer_take(&op->session->buffers, bytes);
        status = copies[j] == NULL ? DM_BUSY : DM_OK;
        if (status == DM_OK) {
            struct location at = op_locate(op, word_address(word), j);
            dm_batch_read(&op->batch, at.node, at.offset, copies[j]->bytes, bytes);
        }
    }
    status = status == DM_OK ? op_execute(op) : status;
    for (uint32_t j = 0; j < op_copies(op, word_address(word)); j++) {
        if (status == DM_OK && object_whole(copies[j]->bytes, bytes, word)) {
            *client = writer_of(copies[j]->bytes);
        } else {
            *whole = false;
        }
        if (copies[j] != NULL) {
            buffer_give(&op->session->buffers, copies[j]);
        }
    }
    return status;
}

static enum dm_status read_word(struct fusee_op *op, struct location at, uint64_t *word) {
    op_batch_init(op);
    dm_batch_read(&op->batch, at.node, at.offset, &op->slot_word, sizeof op->slot_word);
    enum dm_status status = op_execute(op);
    *word = op->slot_word;
    return status;
}

/* Of a whole object that a client outside of `dead` has written: nobody's, if that is not registered any more. */
static enum dm_status owner_registered(struct fusee_op *op, uint32_t client, enum owner *owner) {
    const struct layout *layout = &op->session->pool->layout;
    struct location at = {op->session->members.control[0],
                          layout->clients_offset + (uint64_t)client * LAYOUT_CLIENT_BYTES};
    uint64_t registered;
    enum dm_status status = read_word(op, at, &registered);
    *owner = registered != 0 ? OWNER_OTHER : OWNER_UNKNOWN;
    return status;
}

/* Of an object that is whole nowhere: what no slot names yet lies in its owner's block (block.h), or in an orphan. */
static enum dm_status owner_of_block(struct fusee_op *op, const struct client_set *dead, uint64_t word,
                                     enum owner *owner) {
    const struct layout *layout = &op->session->pool->layout;
    uint64_t address = layout_block_word_address(layout, layout_block_number(layout, word_address(word)));
    uint64_t block;
    enum dm_status status = read_word(op, op_locate(op, address, 0), &block);
    bool is_dead = block_word_state(block) == BLOCK_OWNED && client_set_has(dead, block_word_client(block));
    *owner = is_dead ? OWNER_DEAD : OWNER_UNKNOWN;
    return status;
}

/* Of a round from `primary` to `seen`. The empty word that follows an object is written by the client that wrote the
 * object, or in its repair (it clears its own tombstones and takes its own inserts back). */
static enum dm_status find_owner(struct fusee_op *op, const struct client_set *dead, const struct repair_word *word,
                                 uint64_t primary, uint64_t seen, enum owner *owner) {
    *owner = OWNER_DEAD;
    if (word->proven && word->primary == primary && word->decider == seen) {
        return DM_OK;
    }
    if (!word->slot) {
        uint64_t owned = block_word_state(seen) == BLOCK_OWNED ? seen : primary;
        *owner = block_word_state(owned) != BLOCK_OWNED           ? OWNER_UNKNOWN /* a repairer marks an orphan */
                 : client_set_has(dead, block_word_client(owned)) ? OWNER_DEAD
                                                                  : OWNER_OTHER;
        return DM_OK;
    }
    bool whole;
    uint32_t client;
    enum dm_status status = repair_word_writer(op, seen, &whole, &client);
    if (status != DM_OK || client_set_has(dead, client)) {
        return status;
    }
    return client == UINT32_MAX ? owner_of_block(op, dead, seen, owner) : owner_registered(op, client, owner);
}

/* The deciding word of a view, and whose it is. */
static enum dm_status find_decider(struct fusee_op *op, const struct client_set *dead, const struct repair_word *word,
                                   const struct repair_view *view, uint64_t *decider, enum owner *owner) {
    uint32_t last = view->backup[0] != view->primary ? 1 : view->backups;
    *owner = OWNER_OTHER;
    for (uint32_t i = 0; i < last && *owner != OWNER_DEAD; i++) {
        if (view->backup[i] == view->primary) {
            continue;
        }
        enum owner found;
        enum dm_status status = find_owner(op, dead, word, view->primary, view->backup[i], &found);
        if (status != DM_OK) {
            return status;
        }
        if (found != OWNER_OTHER) {
            *owner = found;
            *decider = view->backup[i];
        }
    }
    return DM_OK;
}

/* ---- Looking and setting ---------------------------------------------------------------------------------------- */

static enum dm_status read_primary(struct fusee_op *op, uint64_t address, uint64_t *out) {
    return read_word(op, op_locate(op, address, 0), out);
}

static enum dm_status look(struct fusee_op *op, uint64_t address, struct repair_view *view) {
    uint64_t *words = op->buckets[0][0]; /* registered, and not in use here */
    view->backups = op_replicas(op) - 1;
    enum dm_status status = read_primary(op, address, &view->primary);
    view->again = view->primary;
    if (status != DM_OK || view->backups == 0) {
        return status;
    }
    op_batch_init(op);
    for (uint32_t i = 0; i < view->backups; i++) {
        struct location at = op_locate(op, address, i + 1);
        dm_batch_read(&op->batch, at.node, at.offset, &words[i], sizeof words[i]);
    }
    status = op_execute(op);
    memcpy(view->backup, words, view->backups * sizeof words[0]);
    return status == DM_OK ? read_primary(op, address, &view->again) : status;
}

static bool view_known(const struct repair_view *view) {
    bool known = word_is_known(view->primary);
    for (uint32_t i = 0; i < view->backups; i++) {
        known &= word_is_known(view->backup[i]);
    }
    return known;
}

/* CASes replica `first` .. `end` - 1 of the word to `to`, from what the view shows there. *set: all hold it now. */
static enum dm_status set_replicas(struct fusee_op *op, uint64_t address, const struct repair_view *view,
                                   const uint32_t range[2], uint64_t to, bool *set) {
    struct dm_op *cas[LAYOUT_REPLICAS_MAX] = {NULL};
    op_batch_init(op);
    for (uint32_t j = range[0]; j < range[1]; j++) {
        uint64_t from = j == 0 ? view->primary : view->backup[j - 1];
        if (from != to) {
            struct location at = op_locate(op, address, j);
            cas[j] = dm_batch_cas(&op->batch, at.node, at.offset, from, to);
        }
    }
    *set = true;
    enum dm_status status = op->batch.count == 0 ? DM_OK : op_execute(op);
    for (uint32_t j = range[0]; j < range[1] && status == DM_OK; j++) {
        *set &= cas[j] == NULL || cas[j]->result == cas[j]->compare || cas[j]->result == to;
    }
    return status;
}

/* Puts the deciding word where a backup holds the primary's still. Who was faster there is seen by the next look. */
static enum dm_status fill(struct fusee_op *op, uint64_t address, const struct repair_view *view, uint64_t decider) {
    op_batch_init(op);
    for (uint32_t i = 0; i < view->backups; i++) {
        if (view->backup[i] == view->primary) {
            struct location at = op_locate(op, address, i + 1);
            dm_batch_cas(&op->batch, at.node, at.offset, view->primary, decider);
        }
    }
    return op_execute(op);
}

/* ---- A copy of what the primary means ---------------------------------------------------------------------------- */

/* Memory for the copy. If it had to be waited for, it is kept for the next turn. */
static enum dm_status take_place(struct fusee_op *op, uint8_t size_class, struct slab_object *out, bool *waited) {
    *waited = false;
    if (op->spare.address != 0 && op->spare.size_class >= size_class) {
        *out = op->spare;
        op->spare.address = 0;
        return DM_OK;
    }
    enum dm_status status = allocator_take(op, size_class, NEED_REPAIR, out, waited);
    if (status == DM_OK && *waited) {
        if (op->spare.address != 0) {
            allocator_give_back(op->session, &op->spare);
        }
        op->spare = *out;
    }
    return status;
}

/* WRITEs the copy under a word of its own, *to. 0: it had to wait for memory, everything may be different now. */
static enum dm_status write_copy(struct fusee_op *op, uint64_t address, uint64_t primary, struct buffer *object,
                                 uint64_t *to) {
    struct dm_session *session = op->session;
    const struct object_header *header = object_header(object->bytes);
    uint32_t bytes = object_make_intent(object->bytes, 0);
    struct slab_object place;
    bool waited;
    enum dm_status status = take_place(op, word_class(primary), &place, &waited);
    if (status != DM_OK || waited) {
        *to = 0;
        return status;
    }
    *to = word_make(
        (struct word_parts){word_fingerprint(primary), WORD_LIVE_RMW, place.size_class, op_tag(op), place.address});
    object_seal(
        object->bytes,
        &(struct object_names){
            *to, address, primary, header->origin, {place.next, ++session->log_sequence << 16 | session->client}});
    op_batch_init(op);
    for (uint32_t j = 0; j < op_copies(op, place.address); j++) {
        struct location at = op_locate(op, place.address, j);
        dm_batch_write(&op->batch, at.node, at.offset, object->bytes, bytes);
    }
    return op_execute(op);
}

/* *to: the word of a copy of what `primary` means, in place of `decider`; an empty one where that is nothing. */
static enum dm_status make_copy(struct fusee_op *op, uint64_t address, uint64_t primary, uint64_t decider,
                                uint64_t *to) {
    struct buffer *object =
        names_object(op, primary) ? buffer_take(&op->session->buffers, sizeclass_bytes(word_class(primary))) : NULL;
    if (object == NULL) {
        return DM_BUSY;
    }
    enum dm_status status = repair_read_whole(op, primary, object);
    if (status == DM_OK && intent_removes(object->bytes)) {
        *to = word_emptied(decider);
    } else if (status == DM_OK) {
        status = write_copy(op, address, primary, object, to);
    }
    buffer_give(&op->session->buffers, object);
    return status;
}

/* What an intent, or a prepared word, of a dead client becomes where `old` is what it replaces. */
static enum dm_status end_intent(struct fusee_op *op, uint64_t address, uint64_t old, uint64_t intent, uint64_t *to) {
    bool passed;
    enum dm_status status = repair_intent_passed(op, intent, &passed);
    if (status != DM_OK) {
        return status;
    }
    if (passed) {
        *to = word_with_kind(intent, WORD_INTENT);
    } else if (word_is_live(old) || word_is_intent(old)) {
        return make_copy(op, address, old, intent, to);
    } else {
        *to = word_emptied(intent);
    }
    return DM_OK;
}

/* ---- Ends ------------------------------------------------------------------------------------------------------- */

/* The word that takes the place of `decider`; 0: look again. */
static enum dm_status choose_end(struct fusee_op *op, const struct repair_word *word, uint64_t primary,
                                 uint64_t decider, uint64_t *to) {
    *to = decider;
    if (!word->slot) {
        return DM_OK;
    }
    if (word_is_intent(decider)) {
        return end_intent(op, word->address, primary, decider, to);
    }
    bool whole = false;
    uint32_t client;
    enum dm_status status = DM_OK;
    if (word_kind(decider) != WORD_EMPTY) {
        status = repair_word_writer(op, decider, &whole, &client);
    }
    if (status != DM_OK) {
        return status;
    }
    switch (repair_rule_end(primary, decider, whole)) {
    case REPAIR_FORWARD:
        return DM_OK;
    case REPAIR_EMPTY:
        *to = word_emptied(decider);
        return DM_OK;
    case REPAIR_COPY:
        return make_copy(op, word->address, primary, decider, to);
    }
    return DM_INVALID;
}

/* The list is full: the first backup, which decides between two that repair the same word, then the others, then the
 * primary. *closed: else look again. */
static enum dm_status settle(struct fusee_op *op, const struct repair_word *word, const struct repair_view *view,
                             uint64_t decider, bool *closed) {
    uint64_t to;
    *closed = false;
    enum dm_status status = choose_end(op, word, view->primary, decider, &to);
    if (status != DM_OK || to == 0) {
        return status;
    }
    const uint32_t order[][2] = {{1, 2}, {2, view->backups + 1}, {0, 1}};
    bool set = true;
    for (size_t i = 0; i < sizeof order / sizeof order[0] && status == DM_OK && set; i++) {
        status = set_replicas(op, word->address, view, order[i], to, &set);
    }
    *closed = status == DM_OK && set;
    return status;
}

/* r = 1: what the only copy's word that is not decided yet becomes; 0: look again. */
static enum dm_status choose_single_end(struct fusee_op *op, uint64_t address, uint64_t primary, uint64_t *to) {
    *to = word_emptied(primary);
    if (word_kind(primary) == WORD_PROVISIONAL) {
        return DM_OK;
    }
    struct buffer *object = buffer_take(&op->session->buffers, sizeclass_bytes(word_class(primary)));
    if (object == NULL) {
        return DM_BUSY;
    }
    enum dm_status status = repair_read_whole(op, primary, object);
    uint64_t old = object_header(object->bytes)->prev;
    buffer_give(&op->session->buffers, object);
    return status == DM_OK ? end_intent(op, address, old, primary, to) : status;
}

/* r = 1: only an insert and a transaction leave anything behind, a provisional or a prepared word. */
static enum dm_status close_single(struct fusee_op *op, const struct client_set *dead, struct repair_word *word,
                                   uint64_t primary, enum repair_word_state *state) {
    *state = REPAIR_WORD_REST;
    if (!word->slot || (word_kind(primary) != WORD_PROVISIONAL && word_kind(primary) != WORD_PREPARED)) {
        return DM_OK;
    }
    enum owner owner;
    enum dm_status status = find_owner(op, dead, word, primary, primary, &owner);
    if (status != DM_OK || owner != OWNER_DEAD) {
        *state = owner == OWNER_OTHER ? REPAIR_WORD_OTHERS : REPAIR_WORD_SUSPECT;
        word->primary = word->decider = primary;
        return status;
    }
    uint64_t to;
    status = choose_single_end(op, word->address, primary, &to);
    if (status != DM_OK || to == 0) {
        return status == DM_OK ? DM_BUSY : status;
    }
    bool set;
    struct repair_view view = {.primary = primary};
    status = set_replicas(op, word->address, &view, (const uint32_t[]){0, 1}, to, &set);
    *state = set ? REPAIR_WORD_CLOSED : REPAIR_WORD_REST;
    return status;
}

enum dm_status repair_word_close(struct fusee_op *op, const struct client_set *dead, struct repair_word *word,
                                 enum repair_word_state *state) {
    *state = REPAIR_WORD_OTHERS;
    op_work_on(op, word->address);
    for (uint32_t turn = 0; turn < TURNS_MAX; turn++) {
        struct repair_view view;
        enum dm_status status = look(op, word->address, &view);
        if (status == DM_OK && word->slot && !view_known(&view)) {
            status = DM_INCOMPATIBLE;
        }
        if (status == DM_OK && view.backups == 0) {
            return close_single(op, dead, word, view.primary, state);
        }
        if (status != DM_OK || !repair_view_open(&view)) {
            *state = turn == 0 ? REPAIR_WORD_REST : REPAIR_WORD_CLOSED;
            return status;
        }
        uint64_t decider = view.primary;
        enum owner owner;
        status = find_decider(op, dead, word, &view, &decider, &owner);
        if (status != DM_OK || owner != OWNER_DEAD) {
            *state = owner == OWNER_UNKNOWN ? REPAIR_WORD_SUSPECT : REPAIR_WORD_OTHERS;
            word->primary = view.primary;
            word->decider = decider;
            return status;
        }
        bool closed = false;
        status = repair_view_partial(&view) ? fill(op, word->address, &view, decider)
                                            : settle(op, word, &view, decider, &closed);
        if (status != DM_OK || closed) {
            *state = REPAIR_WORD_CLOSED;
            return status;
        }
    }
    return DM_BUSY;
}
