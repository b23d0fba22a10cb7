/* transaction_prepare.c: see transaction.h: the slots, the memory and the objects of an attempt, before anything of it
 * is posted; and the copies of what was there, for an abort. */
#include <stdlib.h>
#include <string.h>

#include "assert.h"
#include "fusee/allocator.h"
#include "fusee/find.h"
#include "fusee/intent.h"
#include "fusee/transaction.h"

/* ---- Slots ------------------------------------------------------------------------------------------------------ */

/* Two new keys of one transaction must not choose the same empty slot. */
static void hide_slot(struct transaction *tx, const struct transaction_part *taken) {
    for (uint32_t i = 0; i < tx->count; i++) {
        struct fusee_op *op = tx->parts[i].op;
        for (uint32_t b = 0; b < 2 && op->subtable == taken->op->subtable && op->result == FIND_ABSENT; b++) {
            uint32_t at = (uint32_t)taken->slot - op->place.first_slot[b];
            if (at < INDEX_COMBINED_SLOTS) {
                op->buckets[0][b][at] = word_with_kind(0, WORD_PROVISIONAL);
            }
        }
    }
}

static enum dm_status aim(struct transaction *tx, struct transaction_part *part) {
    struct fusee_op *op = part->op;
    part->insert = op->result == FIND_ABSENT;
    part->slot = op->slot;
    part->v_old = op->word;
    if (part->insert) {
        struct index_view view = {op->place, (const uint64_t(*)[INDEX_COMBINED_SLOTS])op->buckets[0]};
        part->slot = index_choose_empty(&view, (uint32_t)(op->hash >> 16) + op->rereads, &part->v_old);
        if (part->slot == INDEX_NO_SLOT) {
            return DM_NO_MEMORY;
        }
        hide_slot(tx, part);
    }
    part->address = op_slot_address(op, part->slot);
    return DM_OK;
}

/* ---- Contents --------------------------------------------------------------------------------------------------- */

/* Fills `object` with what the key's old object says (`old` NULL: with the key alone). */
static void fill_copy(const struct transaction_part *part, const void *old, struct buffer *object) {
    struct object_content content = {.key = part->op->key, .hash = part->op->hash};
    if (old != NULL) {
        const struct object_header *header = object_header(old);
        content.write = (struct dm_write){.part = {{object_value(old), header->value_length}},
                                          .type = header->type,
                                          .encoding = header->encoding,
                                          .expire_ms = header->expire_ms};
    }
    (void)object_fill(object->bytes, &content);
}

static uint64_t content_value_bytes(const struct transaction_part *part) {
    switch (part->action) {
    case DM_WRITE:
        return object_header(part->written->bytes)->value_length;
    case DM_KEEP:
        return part->op->result == FIND_LIVE ? object_header(part->op->object->bytes)->value_length : 0;
    case DM_DELETE:
        break;
    }
    return 0;
}

static uint16_t intent_of(const struct transaction *tx, const struct transaction_part *part) {
    return (uint16_t)(tx->count | (tx->apart ? OBJECT_INTENT_APART : 0) | (part->removes ? OBJECT_INTENT_REMOVED : 0));
}

static enum dm_status fill(struct transaction *tx, struct transaction_part *part) {
    part->object = buffer_take(&tx->session->buffers, sizeclass_bytes(part->place.size_class));
    if (part->object == NULL) {
        return DM_BUSY;
    }
    if (part->action == DM_WRITE) {
        const struct object_header *header = object_header(part->written->bytes);
        memcpy(part->object->bytes, part->written->bytes,
               object_content_bytes(header->key_length, header->value_length));
    } else {
        bool kept = part->action == DM_KEEP && part->op->result == FIND_LIVE;
        fill_copy(part, kept ? part->op->object->bytes : NULL, part->object);
    }
    part->object_bytes = object_make_intent(part->object->bytes, intent_of(tx, part));
    return DM_OK;
}

static void fill_slots(const struct transaction *tx, struct object_slot *slots) {
    for (uint32_t i = 0; i < tx->count; i++) {
        const struct transaction_part *part = &tx->parts[i];
        slots[i] = (struct object_slot){part->address, part->v_old, part->v_new};
    }
}

static struct object_log next_log(struct dm_session *session, const struct slab_object *place) {
    return (struct object_log){place->next, ++session->log_sequence << 16 | session->client};
}

static void seal(struct transaction *tx, struct transaction_part *part) {
    bool same = (part->action == DM_KEEP || (part->action == DM_WRITE && part->unchanged)) &&
                part->op->result == FIND_LIVE && part->op->object != NULL;
    if (tx->apart) {
        *object_slots(part->object->bytes) = (struct object_slot){.address = tx->slots_word};
    } else {
        fill_slots(tx, object_slots(part->object->bytes));
    }
    object_seal(part->object->bytes,
                &(struct object_names){.self = part->v_new,
                                       .slot = part->address,
                                       .prev = part->v_old,
                                       .origin = same ? object_header(part->op->object->bytes)->origin : 0,
                                       .log = next_log(tx->session, &part->place)});
}

/* The object with all slots, where there are many. */
static enum dm_status seal_slots(struct transaction *tx) {
    struct dm_key none = {0};
    struct object_content content = {.key = &none};
    tx->slots_word = word_make(
        (struct word_parts){0, WORD_LIVE_RMW, tx->slots_place.size_class, op_tag(tx->lead), tx->slots_place.address});
    tx->slots = buffer_take(&tx->session->buffers, sizeclass_bytes(tx->slots_place.size_class));
    if (tx->slots == NULL) {
        return DM_BUSY;
    }
    (void)object_fill(tx->slots->bytes, &content);
    tx->slots_bytes = object_make_intent(tx->slots->bytes, (uint16_t)tx->count);
    fill_slots(tx, object_slots(tx->slots->bytes));
    object_seal(tx->slots->bytes,
                &(struct object_names){.self = tx->slots_word, .log = next_log(tx->session, &tx->slots_place)});
    return DM_OK;
}

/* ---- Memory ----------------------------------------------------------------------------------------------------- */

#define TAKE_TURNS_MAX 100u
#define TAKE_WAIT_NS UINT64_C(5000000)
#define TAKE_TURNS_AT_ONCE 2u

/* An object for `bytes`, if there is one at once. DM_BUSY: none; *missing is its class. */
static enum dm_status take(struct transaction *tx, uint64_t bytes, struct slab_object *place, bool *has,
                           uint8_t *missing) {
    uint8_t size_class = sizeclass_for(bytes);
    if (size_class > tx->session->pool->class_max) {
        return DM_TOO_LARGE;
    }
    if (*has && place->size_class < size_class) {
        allocator_return(tx->session, place);
        *has = false;
    }
    *has = *has || allocator_try(tx->session, size_class, place) ||
           (allocator_refill(tx->session, size_class) && allocator_try(tx->session, size_class, place));
    *missing = size_class;
    return *has ? DM_OK : DM_BUSY;
}

/* The old content's copy has its memory before anything is posted: an abort must not fail. */
static enum dm_status take_part(struct transaction *tx, struct transaction_part *part, uint8_t *missing) {
    uint64_t bytes = object_intent_bytes(part->key.length, content_value_bytes(part), intent_of(tx, part));
    enum dm_status status = take(tx, bytes, &part->place, &part->has_place, missing);
    if (status == DM_OK && word_kind(part->v_old) != WORD_EMPTY) {
        uint32_t back_bytes = sizeclass_bytes(word_class(part->v_old));
        status = take(tx, back_bytes, &part->back_place, &part->has_back, missing);
    }
    return status;
}

static enum dm_status take_at_once(struct transaction *tx, uint8_t *missing) {
    enum dm_status status = DM_OK;
    if (tx->apart) {
        uint64_t bytes = object_intent_bytes(0, 0, (uint16_t)tx->count);
        status = take(tx, bytes, &tx->slots_place, &tx->has_slots_place, missing);
    }
    for (uint32_t i = 0; i < tx->count && status == DM_OK; i++) {
        status = take_part(tx, &tx->parts[i], missing);
    }
    return status;
}

/* Holding nothing: until there is another object of this class. */
static enum dm_status wait_for(struct transaction *tx, uint8_t missing, uint32_t turn, bool *waited) {
    struct slab_object place;
    bool now = false;
    enum dm_status status = DM_OK;
    if (turn >= TAKE_TURNS_AT_ONCE) { /* there was one, but more are needed */
        op_leave(tx->lead);
        dm_coro_sleep(tx->session->sched, TAKE_WAIT_NS);
        status = op_enter(tx->lead);
        *waited = true;
    }
    if (status == DM_OK) {
        status = allocator_take(tx->lead, missing, NEED_USUAL, &place, &now);
        *waited |= now;
    }
    if (status == DM_OK) {
        allocator_return(tx->session, &place);
    }
    return status;
}

/* *waited: the lead has been in no epoch for a while. What was taken is kept for the attempt that begins again. */
static enum dm_status take_all(struct transaction *tx, bool *waited) {
    uint8_t missing = 0;
    for (uint32_t turn = 0; turn < TAKE_TURNS_MAX; turn++) {
        enum dm_status status = take_at_once(tx, &missing);
        if (status != DM_BUSY) {
            return status;
        }
        transaction_unprepare(tx, false);
        status = wait_for(tx, missing, turn, waited);
        if (status != DM_OK) {
            return status;
        }
    }
    tx->session->stats.out_of_memory++;
    return DM_NO_MEMORY;
}

static void drop(struct transaction *tx, struct buffer **buffer) {
    if (*buffer != NULL) {
        buffer_give(&tx->session->buffers, *buffer);
        *buffer = NULL;
    }
}

/* Memory that was posted rests for its grace period. */
static void give_place(struct transaction *tx, const struct slab_object *place, uint64_t posted_word) {
    if (posted_word != 0) {
        allocator_free(tx->session, posted_word);
    } else {
        allocator_return(tx->session, place);
    }
}

void transaction_unprepare(struct transaction *tx, bool used) {
    for (uint32_t i = 0; i < tx->count; i++) {
        struct transaction_part *part = &tx->parts[i];
        bool back_used = used && part->back != NULL;
        if (part->has_place) {
            give_place(tx, &part->place, used ? part->v_new : 0);
        }
        if (part->has_back && !back_used) {
            allocator_return(tx->session, &part->back_place);
        }
        part->has_place = part->has_back = false;
        drop(tx, &part->object);
        drop(tx, &part->back);
    }
    if (tx->has_slots_place) {
        give_place(tx, &tx->slots_place, used ? tx->slots_word : 0);
        tx->has_slots_place = false;
    }
    drop(tx, &tx->slots);
}

/* ---- An attempt ------------------------------------------------------------------------------------------------- */

static void name(struct transaction *tx, struct transaction_part *part) {
    part->v_new = word_make((struct word_parts){index_fingerprint(part->op->hash), WORD_INTENT, part->place.size_class,
                                                op_tag(tx->lead), part->place.address});
    part->v_back = 0;
    part->tried = part->won = part->cleaned = false;
}

static int compare_addresses(const void *a, const void *b) {
    const struct transaction_part *x = a;
    const struct transaction_part *y = b;
    return x->address < y->address ? -1 : x->address > y->address;
}

enum dm_status transaction_prepare(struct transaction *tx, bool *again) {
    enum dm_status status = DM_OK;
    tx->apart = tx->count > TRANSACTION_SLOTS_INSIDE;
    tx->stage = TRANSACTION_AT_START;
    tx->again = tx->conflict = tx->posted = tx->undone = *again = false;
    tx->members = tx->lead->members;
    for (uint32_t i = 0; i < tx->count && status == DM_OK; i++) {
        struct transaction_part *part = &tx->parts[i];
        part->removes = part->action == DM_DELETE || (part->action == DM_KEEP && part->op->result != FIND_LIVE);
        status = aim(tx, part);
    }
    if (status == DM_OK && tx->ordered) {
        qsort(tx->parts, tx->count, sizeof tx->parts[0], compare_addresses);
        for (uint32_t i = 0; i < tx->count; i++) {
            tx->ops[i] = tx->parts[i].op;
        }
    }
    status = status == DM_OK ? take_all(tx, again) : status;
    for (uint32_t i = 0; i < tx->count && status == DM_OK && !*again; i++) {
        name(tx, &tx->parts[i]);
    }
    if (status == DM_OK && !*again && tx->apart) {
        status = seal_slots(tx);
    }
    for (uint32_t i = 0; i < tx->count && status == DM_OK && !*again; i++) {
        status = fill(tx, &tx->parts[i]);
        if (status == DM_OK) {
            seal(tx, &tx->parts[i]);
        }
    }
    if (status != DM_OK) {
        transaction_unprepare(tx, false);
    }
    return status;
}

void transaction_free(struct transaction *tx) {
    transaction_unprepare(tx, false);
    for (uint32_t i = 0; i < tx->count; i++) {
        struct transaction_part *part = &tx->parts[i];
        drop(tx, &part->written);
        if (part->op != NULL) {
            find_release(part->op);
            op_end_part(tx->lead, part->op);
        }
    }
    struct dm_session *session = tx->session;
    *(tx->previous_of_all == NULL ? &session->all : &tx->previous_of_all->next_of_all) = tx->next_of_all;
    if (tx->next_of_all != NULL) {
        tx->next_of_all->previous_of_all = tx->previous_of_all;
    }
    op_end(tx->lead);
    buffer_give(&session->buffers, tx->memory);
}

void transaction_enlist(struct transaction *tx) {
    struct dm_session *session = tx->session;
    tx->next_of_all = session->all;
    if (tx->next_of_all != NULL) {
        tx->next_of_all->previous_of_all = tx;
    }
    session->all = tx;
}

/* ---- The old content -------------------------------------------------------------------------------------------- */

/* READs the whole object of a word that stands in the primary until this transaction moves it. */
static enum dm_status fetch_old(struct transaction *tx, struct transaction_part *part, struct buffer *into) {
    uint32_t bytes = sizeclass_bytes(word_class(part->v_old));
    for (uint32_t j = 0; j < op_copies(tx->lead, word_address(part->v_old)); j++) {
        struct location at = op_locate(tx->lead, word_address(part->v_old), j);
        op_batch_init(tx->lead);
        dm_batch_read(&tx->lead->batch, at.node, at.offset, into->bytes, bytes);
        if (op_execute(tx->lead) != DM_OK) {
            return DM_UNKNOWN_OUTCOME;
        }
        if (object_whole(into->bytes, bytes, part->v_old)) {
            return DM_OK;
        }
    }
    return DM_CORRUPT;
}

static enum dm_status copy_part(struct transaction *tx, struct transaction_part *part) {
    struct dm_session *session = tx->session;
    if (word_kind(part->v_old) == WORD_EMPTY) {
        part->v_back = word_emptied(part->v_new);
        return DM_OK;
    }
    struct buffer *old = buffer_take(&session->buffers, sizeclass_bytes(word_class(part->v_old)));
    drop(tx, &part->back);
    part->back = buffer_take(&session->buffers, sizeclass_bytes(part->back_place.size_class));
    enum dm_status status = old != NULL && part->back != NULL ? fetch_old(tx, part, old) : DM_UNKNOWN_OUTCOME;
    if (status == DM_OK) {
        bool tombstone = word_kind(part->v_old) == WORD_TOMBSTONE || intent_removes(old->bytes);
        bool empty = tombstone && transaction_is_single(tx, part); /* one replica knows no tombstones */
        part->v_back =
            word_make((struct word_parts){index_fingerprint(part->op->hash), tombstone ? WORD_TOMBSTONE : WORD_LIVE_RMW,
                                          part->back_place.size_class, op_tag(tx->lead), part->back_place.address});
        fill_copy(part, tombstone ? NULL : old->bytes, part->back);
        part->back_bytes = object_make_intent(part->back->bytes, 0);
        object_seal(part->back->bytes,
                    &(struct object_names){.self = part->v_back,
                                           .slot = part->address,
                                           .prev = part->v_old,
                                           .origin = tombstone ? 0 : object_header(old->bytes)->origin,
                                           .log = next_log(session, &part->back_place)});
        if (empty) {
            part->v_back = word_emptied(part->v_new);
            drop(tx, &part->back);
        }
    }
    drop(tx, &old);
    return status;
}

enum dm_status transaction_copy_old(struct transaction *tx) {
    enum dm_status status = DM_OK;
    for (uint32_t i = 0; i < tx->count && status == DM_OK; i++) {
        if (tx->parts[i].won && tx->parts[i].v_back == 0) {
            status = copy_part(tx, &tx->parts[i]);
        }
    }
    tx->stage = status == DM_OK ? TRANSACTION_AT_ABORT : tx->stage;
    return status;
}
