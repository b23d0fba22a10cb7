/* settle_dead.c: see settle.h and decision 0011: a client and the node of a slot's primary have died together, and the
 * client's word is on the first backup. Was it in the primary?
 *
 *   an update       nobody can tell, and either will do: it stays, if its object is whole somewhere. If it is not, what
 *                   it replaced is lost with the primary: refused
 *   an insert       the same; but not beside another word of its key, because a key never has two: then it had not
 *                   passed its check. Of two by dead clients either may stay, if both are blind; else refused
 *   a transaction   refused
 *
 * Whose a word is tells the block of its object: what no slot names yet lies in its writer's block (block.h). */
#include <inttypes.h>
#include <string.h>

#include "fusee/settle.h"

static bool is_dead(const struct settle *settle, uint64_t word) {
    const struct dm_pool *pool = settle->session->pool;
    if (word_class(word) > pool->class_max ||
        !layout_is_object(&settle->next, word_address(word), sizeclass_bytes(word_class(word)))) {
        return false;
    }
    uint64_t block = settle->blocks[layout_block_number(&settle->next, word_address(word))];
    return block_word_state(block) == BLOCK_OWNED && client_set_has(&settle->dead, block_word_client(block));
}

enum dm_status settle_dead_intents(struct settle *settle, const uint64_t *words) {
    for (uint32_t slot = 0; slot < INDEX_SLOTS; slot++) {
        uint64_t word = words[index_slot_offset((uint16_t)slot) / sizeof *words];
        if (word_is_intent(word) && is_dead(settle, word)) {
            return settle_refuse(settle, DM_CORRUPT,
                                 "a client died together with the node, in the middle of a transaction: nothing tells "
                                 "whether it was made");
        }
    }
    return DM_OK;
}

static enum dm_status read_replica(struct settle *settle, uint64_t word, uint32_t replica, struct buffer *into,
                                   bool *whole) {
    uint32_t bytes = sizeclass_bytes(word_class(word));
    struct location at = layout_locate(&settle->next, word_address(word), replica);
    struct dm_batch batch;
    dm_batch_init(&batch, &settle->session->stats.kind[DM_KIND_MAINTENANCE].cost);
    dm_batch_read(&batch, at.node, at.offset, into->bytes, bytes);
    enum dm_status status = settle_execute(settle, &batch);
    *whole = status == DM_OK && object_whole(into->bytes, bytes, word);
    return status;
}

/* READs a word's object. *whole: some replica is; it is in `into`, and is written to those that are not. */
static enum dm_status fetch(struct settle *settle, uint64_t word, struct buffer *into, bool *whole) {
    uint32_t copies = layout_replicas(&settle->next, word_address(word));
    bool has[LAYOUT_REPLICAS_MAX] = {false};
    uint32_t from = copies;
    enum dm_status status = DM_OK;
    *whole = false;
    for (uint32_t j = 0; j < copies && status == DM_OK; j++) {
        status = read_replica(settle, word, j, into, &has[j]);
        from = has[j] ? j : from;
    }
    if (status == DM_OK && from < copies) {
        status = read_replica(settle, word, from, into, whole);
    }
    struct dm_batch batch;
    dm_batch_init(&batch, &settle->session->stats.kind[DM_KIND_MAINTENANCE].cost);
    for (uint32_t j = 0; j < copies && *whole; j++) {
        if (!has[j]) {
            struct location at = layout_locate(&settle->next, word_address(word), j);
            uint32_t bytes = (uint32_t)object_length(object_header(into->bytes));
            dm_batch_write(&batch, at.node, at.offset, into->bytes, bytes);
        }
    }
    return status == DM_OK && batch.count != 0 ? settle_execute(settle, &batch) : status;
}

struct found {
    uint16_t slot; /* INDEX_NO_SLOT: none */
    uint64_t word;
};

/* Another slot with the key of the object in `own`. */
static enum dm_status find_other(struct settle *settle, const uint64_t *words, uint16_t slot, const struct buffer *own,
                                 struct found *found) {
    const struct object_header *header = object_header(own->bytes);
    struct dm_key key = {object_key(header), header->key_length, header->space};
    struct index_place place = index_place(header->hash);
    enum dm_status status = DM_OK;
    found->slot = INDEX_NO_SLOT;
    for (uint32_t i = 0; i < INDEX_COMBINED_SLOTS * 2 && status == DM_OK && found->slot == INDEX_NO_SLOT; i++) {
        uint16_t at = (uint16_t)(place.first_slot[i / INDEX_COMBINED_SLOTS] + i % INDEX_COMBINED_SLOTS);
        uint64_t word = words[index_slot_offset(at) / sizeof *words];
        bool candidate = word_is_live(word) || word_kind(word) == WORD_TOMBSTONE || word_is_intent(word);
        if (at == slot || !candidate || word_fingerprint(word) != index_fingerprint(header->hash)) {
            continue;
        }
        struct buffer *object = buffer_take(&settle->session->buffers, sizeclass_bytes(word_class(word)));
        bool whole = false;
        status = object == NULL ? settle_refuse(settle, DM_BUSY, "no memory") : fetch(settle, word, object, &whole);
        if (status == DM_OK && whole &&
            object_key_matches(object->bytes, sizeclass_bytes(word_class(word)), word, &key, header->hash)) {
            *found = (struct found){at, word};
        }
        if (object != NULL) {
            buffer_give(&settle->session->buffers, object);
        }
    }
    return status;
}

/* A dead client's word that is live or a tombstone. */
static enum dm_status settle_word(struct settle *settle, uint64_t address, uint64_t *words, uint16_t slot) {
    uint64_t *word = &words[index_slot_offset(slot) / sizeof *words];
    struct buffer *object = buffer_take(&settle->session->buffers, sizeclass_bytes(word_class(*word)));
    if (object == NULL) {
        return settle_refuse(settle, DM_BUSY, "no memory");
    }
    bool whole = false;
    struct found other = {INDEX_NO_SLOT, 0};
    enum dm_status status = fetch(settle, *word, object, &whole);
    if (status == DM_OK && !whole) {
        status = settle_refuse(settle, DM_CORRUPT,
                               "a client died together with the node, in the middle of a write at %" PRIx64
                               ": neither the old value nor the new one is left",
                               address + index_slot_offset(slot));
    }
    if (status == DM_OK) {
        status = find_other(settle, words, slot, object, &other);
    }
    if (status == DM_OK && other.slot != INDEX_NO_SLOT) {
        bool both_dead = is_dead(settle, other.word);
        if (both_dead && (word_kind(*word) != WORD_LIVE_BLIND || word_kind(other.word) != WORD_LIVE_BLIND)) {
            status =
                settle_refuse(settle, DM_CORRUPT,
                              "two clients died together with the node, each in the middle of writing the same new "
                              "key: nothing tells which came first");
        } else {
            *word = word_emptied(*word);
            settle->taken_back++;
        }
    }
    buffer_give(&settle->session->buffers, object);
    return status;
}

enum dm_status settle_dead(struct settle *settle, uint64_t address, uint64_t *words) {
    enum dm_status status = DM_OK;
    for (uint32_t slot = 0; slot < INDEX_SLOTS && status == DM_OK; slot++) {
        uint64_t word = words[index_slot_offset((uint16_t)slot) / sizeof *words];
        bool matters = word_is_live(word) || word_kind(word) == WORD_TOMBSTONE;
        if (matters && is_dead(settle, word)) {
            status = settle_word(settle, address, words, (uint16_t)slot);
        }
    }
    return status;
}
