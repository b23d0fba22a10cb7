/* repair_memory.c: see repair_memory.h. */
#include "fusee/repair_memory.h"

#include <string.h>

#include "fusee/block.h"
#include "fusee/epoch.h"
#include "fusee/round.h"
#include "fusee/sweep.h"

#define TABLES_BYTES_MAX (512u << 10)
#define BEGIN_TRIES 4u
#define BEGIN_EPOCHS 6u /* from the counting to the marking of orphans, so that this ends within SWEEP_MARK_EPOCHS */

_Static_assert(SWEEP_SEEN_EPOCHS < BEGIN_EPOCHS && BEGIN_EPOCHS + 2 <= SWEEP_MARK_EPOCHS, "a time for the marking");

static bool is_dead_owned(const struct client_set *dead, uint64_t word) {
    return block_word_state(word) == BLOCK_OWNED && client_set_has(dead, block_word_client(word));
}

/* ---- Which blocks ----------------------------------------------------------------------------------------------- */

/* Marks the orphans among these unswept. */
static enum dm_status add_blocks(struct sweep *sweep, const struct client_set *dead, uint64_t first,
                                 const uint64_t *words, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        uint64_t word = words[i];
        enum dm_status status = DM_OK;
        if (block_word_state(word) == BLOCK_ORPHAN) {
            status = block_mark_orphan(sweep->session, first + i, BLOCK_UNSWEPT, &word);
        }
        if (status == DM_BUSY || !(is_dead_owned(dead, word) || block_word_is_orphan(word))) {
            continue; /* adopted meanwhile, or never ours to look at */
        }
        if (status != DM_OK || !sweep_add(sweep, first + i, word, NULL)) {
            return status == DM_OK ? DM_BUSY : status;
        }
    }
    return DM_OK;
}

/* READs the block tables of regions from .. from + count - 1. */
static enum dm_status read_tables(struct sweep *sweep, const struct client_set *dead, uint32_t from, uint32_t count) {
    struct dm_session *session = sweep->session;
    const struct layout *layout = &session->pool->layout;
    uint32_t words = layout->blocks_per_region;
    struct buffer *buffer = buffer_take(&session->buffers, count * words * (uint32_t)sizeof(uint64_t));
    if (buffer == NULL) {
        return DM_BUSY;
    }
    struct fusee_op *op = op_begin(session, DM_KIND_MAINTENANCE);
    enum dm_status status = DM_BUSY;
    if (op != NULL) {
        uint64_t *table = (uint64_t *)buffer->bytes;
        op_batch_init(op);
        for (uint32_t i = 0; i < count; i++) {
            struct location at = op_locate(op, (uint64_t)(from + i) << layout->region_shift, 0);
            dm_batch_read(&op->batch, at.node, at.offset, table + (size_t)i * words, words * sizeof *table);
        }
        status = op_execute(op);
        op_end(op);
        if (status == DM_OK) {
            status = add_blocks(sweep, dead, (uint64_t)from * words, table, count * words);
        }
    }
    buffer_give(&session->buffers, buffer);
    return status;
}

static enum dm_status find_blocks(struct sweep *sweep, const struct client_set *dead) {
    const struct layout *layout = &sweep->session->pool->layout;
    uint32_t at_a_time = TABLES_BYTES_MAX / (layout->blocks_per_region * (uint32_t)sizeof(uint64_t));
    at_a_time = at_a_time > DM_BATCH_OPS ? DM_BATCH_OPS : at_a_time;
    at_a_time = at_a_time == 0 ? 1 : at_a_time;
    enum dm_status status = DM_OK;
    for (uint32_t from = 0; from < layout->super.regions && status == DM_OK; from += at_a_time) {
        uint32_t rest = layout->super.regions - from;
        status = read_tables(sweep, dead, from, rest < at_a_time ? rest : at_a_time);
    }
    return status;
}

/* ---- One block -------------------------------------------------------------------------------------------------- */

struct settling {
    struct fusee_op *op;
    const struct sweep_block *block;
    struct location map; /* its free map */
    uint64_t *marked;    /* what was read there */
    bool all_free;       /* nothing in it is referred to */
};

static enum dm_status read_map(struct settling *settling, uint64_t *word) {
    struct fusee_op *op = settling->op;
    const struct layout *layout = &op->session->pool->layout;
    struct location table = op_locate(op, layout_block_word_address(layout, settling->block->number), 0);
    op_batch_init(op);
    dm_batch_read(&op->batch, settling->map.node, settling->map.offset, settling->marked, layout->map_bytes);
    enum dm_status status = op_execute(op);
    if (status != DM_OK) {
        return status;
    }
    op_batch_init(op); /* behind the map: if it is the word of the beginning, nobody has collected meanwhile */
    dm_batch_read(&op->batch, table.node, table.offset, &op->slot_word, sizeof op->slot_word);
    status = op_execute(op);
    *word = op->slot_word;
    return status;
}

/* What is to be added to each word of the free map: the lost objects that it does not hold yet; or the map itself taken
 * away, where the block becomes free. Left in `marked`. */
static uint64_t plan_map(struct settling *settling) {
    const struct sweep_block *block = settling->block;
    uint32_t words = settling->op->session->pool->layout.map_bytes / (uint32_t)sizeof(uint64_t);
    uint64_t lost = 0;
    if (settling->all_free) {
        for (uint32_t i = 0; i < words; i++) {
            settling->marked[i] = 0 - settling->marked[i];
        }
        return block->left;
    }
    uint32_t units = sizeclass_bytes(block->size_class);
    uint32_t at = 0; /* the map's word of the objects so far */
    uint64_t add = 0;
    for (uint32_t i = 0; i <= block->objects; i++) {
        uint32_t unit = (uint32_t)((uint64_t)i * units / SIZECLASS_BYTES_MIN);
        for (; at < words && (unit / 64 != at || i == block->objects); at++) {
            uint64_t new = add & ~settling->marked[at];
            lost += (uint64_t)__builtin_popcountll(new);
            settling->marked[at] = new;
            add = 0;
        }
        if (i < block->objects && (block->bits[i / 64] >> (i % 64) & 1) != 0) {
            add |= UINT64_C(1) << (unit % 64);
        }
    }
    return lost;
}

static enum dm_status write_map(struct settling *settling) {
    struct fusee_op *op = settling->op;
    uint32_t words = op->session->pool->layout.map_bytes / (uint32_t)sizeof(uint64_t);
    enum dm_status status = DM_OK;
    op_batch_init(op);
    for (uint32_t i = 0; i < words && status == DM_OK; i++) {
        if (settling->marked[i] != 0) {
            dm_batch_faa(&op->batch, settling->map.node, settling->map.offset + i * sizeof(uint64_t),
                         settling->marked[i]);
        }
        if (op->batch.count != 0 && (dm_batch_room(&op->batch) == 0 || i + 1 == words)) {
            status = op_execute(op);
            op_batch_init(op);
        }
    }
    return status;
}

/* Another repair that has begun meanwhile would not look at an orphan that this one makes. */
static enum block_state orphan_state(const struct dm_session *session, uint64_t repairs) {
    return session->repairs == repairs ? BLOCK_ORPHAN : BLOCK_UNSWEPT;
}

static enum dm_status give_block_up(struct settling *settling, uint64_t repairs) {
    struct fusee_op *op = settling->op;
    const struct sweep_block *block = settling->block;
    enum block_state state = settling->all_free ? BLOCK_FREE : orphan_state(op->session, repairs);
    /* Of the dead client no operation is under way. */
    uint16_t since = settling->all_free ? 0 : (uint16_t)(op->session->epoch - BLOCK_ORPHAN_EPOCHS);
    struct round round = {.address = layout_block_word_address(&op->session->pool->layout, block->number),
                          .v_old = block->word,
                          .v_new = block_word_after(block->word, block_word(state, block->size_class, since))};
    enum round_result result = ROUND_LOST;
    enum dm_status status = round_run(op, &round, &result);
    if (status == DM_OK && state == BLOCK_FREE && result == ROUND_WON) {
        atomic_fetch_add_explicit(&op->session->pool->blocks_free, 1, memory_order_relaxed);
    }
    return status;
}

/* What it holds is known. DM_BUSY: it was adopted, and its owner sweeps it. */
static enum dm_status unmark(struct settling *settling, uint64_t repairs) {
    struct dm_session *session = settling->op->session;
    uint64_t word = settling->block->word;
    if (orphan_state(session, repairs) == BLOCK_UNSWEPT) {
        return DM_OK;
    }
    enum dm_status status = block_mark_orphan(session, settling->block->number, BLOCK_ORPHAN, &word);
    return status == DM_BUSY ? DM_OK : status;
}

static enum dm_status settle_block(struct settling *settling, const struct client_set *dead,
                                   struct repair_memory *out) {
    const struct sweep_block *block = settling->block;
    uint64_t word;
    enum dm_status status = read_map(settling, &word);
    if (status != DM_OK || word != block->word) {
        return status; /* adopted meanwhile: its new owner looks for what is lost */
    }
    bool owned = is_dead_owned(dead, word);
    settling->all_free = owned && block->left == block->objects;
    uint64_t lost = plan_map(settling);
    status = write_map(settling);
    if (status == DM_OK) {
        out->objects_lost += lost;
        status = owned ? give_block_up(settling, out->repairs) : unmark(settling, out->repairs);
    }
    if (status == DM_OK && owned) {
        *(settling->all_free ? &out->blocks_freed : &out->blocks_orphaned) += 1;
    }
    return status;
}

static enum dm_status settle_blocks(struct sweep *sweep, const struct client_set *dead, struct repair_memory *out) {
    struct dm_session *session = sweep->session;
    const struct layout *layout = &session->pool->layout;
    struct buffer *map = buffer_take(&session->buffers, layout->map_bytes);
    enum dm_status status = map == NULL ? DM_BUSY : DM_OK;
    for (uint64_t b = 0; b < sweep->block_count && status == DM_OK; b++) {
        if (sweep->blocks[b] == NULL) {
            continue;
        }
        struct settling settling = {.op = op_begin(session, DM_KIND_MAINTENANCE), .block = sweep->blocks[b]};
        if (settling.op == NULL) {
            status = DM_BUSY;
            break;
        }
        settling.map = op_locate(settling.op, layout_free_map_address(layout, b), 0);
        settling.marked = (uint64_t *)map->bytes;
        status = settle_block(&settling, dead, out);
        op_end(settling.op);
    }
    if (map != NULL) {
        buffer_give(&session->buffers, map);
    }
    return status;
}

/* ---- All -------------------------------------------------------------------------------------------------------- */

/* Every session looks for what is lost in its blocks when it sees this word change; see sweep.h. */
static enum dm_status count_repair(struct dm_session *session, uint64_t *repairs, bool *again) {
    enum dm_status status = epoch_tick(session);
    struct fusee_op *op = status == DM_OK ? op_begin(session, DM_KIND_MAINTENANCE) : NULL;
    if (op == NULL) {
        return status == DM_OK ? DM_BUSY : status;
    }
    uint64_t seen = session->repairs;
    *repairs = repairs_after(seen, session->epoch);
    op_batch_init(op);
    const uint16_t *control = session->members.control;
    uint64_t offset = session->pool->layout.epoch_offset + offsetof(struct epoch_line, repairs);
    struct dm_op *cas = dm_batch_cas(&op->batch, control[0], offset, seen, *repairs);
    status = op_execute(op);
    bool counted = status == DM_OK && cas->result == seen;
    op_batch_init(op);
    op->slot_word = *repairs; /* what is posted lies in the session's memory */
    for (uint32_t c = 1; c < session->members.control_count && counted; c++) {
        dm_batch_write(&op->batch, control[c], offset, &op->slot_word, sizeof op->slot_word);
    }
    status = op->batch.count != 0 ? op_execute(op) : status;
    op_end(op);
    if (counted) {
        sweep_note_repairs(session, *repairs);
    }
    *again = status == DM_OK && !counted;
    return *again ? DM_BUSY : status;
}

/* Counts the repair, lets everybody see it, and finds the blocks. The epoch stands while these are marked. DM_BUSY: too
 * much time has passed between the one and the other. */
static enum dm_status begin(struct sweep *sweep, const struct client_set *dead, uint64_t *repairs, bool *again) {
    struct dm_session *session = sweep->session;
    enum dm_status status = count_repair(session, repairs, again);
    if (status == DM_OK) {
        status = sweep_wait(session, SWEEP_SEEN_EPOCHS, NULL, NULL);
    }
    struct fusee_op *lead = status == DM_OK ? op_begin(session, DM_KIND_MAINTENANCE) : NULL;
    if (lead == NULL) {
        return status == DM_OK ? session->refusal : status;
    }
    bool late = lead->epoch > repairs_epoch(*repairs) + BEGIN_EPOCHS;
    *again = late;
    status = late ? DM_BUSY : find_blocks(sweep, dead);
    op_end(lead);
    return status;
}

enum dm_status repair_memory_run(struct dm_session *session, const struct client_set *dead, struct repair_memory *out) {
    struct sweep sweep;
    enum dm_status status = DM_BUSY;
    bool again = true;
    for (uint32_t i = 0; again && i < BEGIN_TRIES; i++) {
        if (!sweep_open(&sweep, session)) {
            return DM_BUSY;
        }
        status = begin(&sweep, dead, &out->repairs, &again);
        if (status != DM_OK) {
            sweep_close(&sweep);
        }
    }
    if (status != DM_OK) {
        return status;
    }
    status = sweep_wait(session, 2, NULL, NULL);
    if (status == DM_OK) {
        status = sweep_reach(&sweep);
    }
    if (status == DM_OK) {
        status = sweep_wait(session, SWEEP_EPOCHS, NULL, NULL);
    }
    if (status == DM_OK) {
        status = settle_blocks(&sweep, dead, out);
    }
    sweep_close(&sweep);
    return status;
}
