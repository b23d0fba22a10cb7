/* chain.c: see chain.h. */
#include "fusee/chain.h"

/* READs the object of `word`, or of the one that an empty word took the place of. False: it is not there any more, or
 * not yet. */
static enum dm_status read_object(struct fusee_op *op, uint64_t word, struct buffer *into, bool *whole) {
    struct location at = op_locate(op, word_address(word), 0);
    uint32_t bytes = sizeclass_bytes(word_class(word));
    op_batch_init(op);
    dm_batch_read(&op->batch, at.node, at.offset, into->bytes, bytes);
    enum dm_status status = op_execute(op);
    *whole = status == DM_OK && object_whole(into->bytes, bytes, word);
    return status;
}

static bool names_object(const struct fusee_op *op, uint64_t word) {
    const struct dm_pool *pool = op->session->pool;
    return word_class(word) <= pool->class_max &&
           layout_is_object(&pool->layout, word_address(word), sizeclass_bytes(word_class(word)));
}

enum dm_status chain_look(struct fusee_op *op, uint64_t word, uint64_t v_old, uint64_t v_new,
                          enum chain_verdict *verdict) {
    struct buffer *buffer = buffer_take(&op->session->buffers, sizeclass_bytes(op->session->pool->class_max));
    if (buffer == NULL) {
        return DM_BUSY;
    }
    enum dm_status status = DM_OK;
    /* An empty v_new is the same for all who remove that object: it tells that one of them did, not who. */
    bool removal = word_kind(v_new) == WORD_EMPTY;
    bool ended = false;
    *verdict = CHAIN_SILENT;
    for (uint32_t i = 0; i < CHAIN_WORDS_MAX && status == DM_OK && !ended; i++) {
        if (word_identity(word) == word_identity(v_old)) { /* it, or the empty word that took its place */
            *verdict = removal && word == v_new ? CHAIN_SILENT : CHAIN_NOT;
            break;
        }
        if (word_identity(word) == word_identity(v_new)) {
            *verdict = CHAIN_HAPPENED;
            break;
        }
        bool whole = false;
        status = names_object(op, word) ? read_object(op, word, buffer, &whole) : DM_OK;
        if (status == DM_OK && !whole && word_kind(word) == WORD_PROVISIONAL) {
            status = DM_BUSY; /* it is being written */
        }
        ended = !whole;
        word = whole ? object_header(buffer->bytes)->prev : word;
    }
    buffer_give(&op->session->buffers, buffer);
    return status;
}
