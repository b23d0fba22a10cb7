/* sweep.c: see sweep.h. */
#include "fusee/sweep.h"

#include <string.h>

#include "fusee/block.h"
#include "fusee/epoch.h"
#include "fusee/limbo.h"

#define WAIT_TURN_NS UINT64_C(5000000)
#define WAIT_MAX_NS UINT64_C(5000000000) /* without any step of the epoch: somebody is paused */
#define SUBTABLES_AT_A_TIME DM_BATCH_OPS

bool sweep_open(struct sweep *sweep, struct dm_session *session) {
    const struct dm_env *env = session->env;
    sweep->session = session;
    sweep->block_count = layout_blocks(&session->pool->layout);
    sweep->blocks = env->allocate(env->context, sweep->block_count * sizeof(struct sweep_block *));
    return sweep->blocks != NULL;
}

void sweep_close(struct sweep *sweep) {
    const struct dm_env *env = sweep->session->env;
    for (uint64_t b = 0; b < sweep->block_count; b++) {
        if (sweep->blocks[b] != NULL) {
            env->release(env->context, sweep->blocks[b]);
        }
    }
    env->release(env->context, sweep->blocks);
}

bool sweep_add(struct sweep *sweep, uint64_t number, uint64_t word, const uint64_t *free) {
    const struct dm_env *env = sweep->session->env;
    uint8_t size_class = block_word_class(word);
    uint32_t objects = (uint32_t)(sweep->session->pool->layout.super.block_bytes / sizeclass_bytes(size_class));
    uint32_t words = (objects + 63) / 64;
    struct sweep_block *block = env->allocate(env->context, sizeof *block + words * sizeof(uint64_t));
    if (block == NULL) {
        return false;
    }
    block->number = number;
    block->word = word;
    block->size_class = size_class;
    block->objects = objects;
    for (uint32_t i = 0; i < words; i++) {
        uint64_t all = i + 1 < words || objects % 64 == 0 ? UINT64_MAX : (UINT64_C(1) << (objects % 64)) - 1;
        block->bits[i] = all & ~(free == NULL ? 0 : free[i]);
        block->left += (uint32_t)__builtin_popcountll(block->bits[i]);
    }
    sweep->blocks[number] = block;
    return true;
}

void sweep_keep(struct sweep *sweep, uint64_t address) {
    const struct layout *layout = &sweep->session->pool->layout;
    uint64_t number = layout_block_number(layout, address);
    struct sweep_block *block = number < sweep->block_count ? sweep->blocks[number] : NULL;
    if (block == NULL) {
        return;
    }
    uint64_t offset = address & (layout->super.block_bytes - 1);
    uint32_t bytes = sizeclass_bytes(block->size_class);
    uint64_t index = offset / bytes;
    uint64_t bit = UINT64_C(1) << (index % 64);
    if (offset % bytes == 0 && index < block->objects && (block->bits[index / 64] & bit) != 0) {
        block->bits[index / 64] &= ~bit;
        block->left--;
    }
}

/* ---- Index ------------------------------------------------------------------------------------------------------ */

static enum dm_status reach_some(struct sweep *sweep, struct fusee_op *op, uint32_t from, uint32_t count) {
    struct dm_session *session = sweep->session;
    struct buffer *buffer = buffer_take(&session->buffers, count * INDEX_SUBTABLE_BYTES);
    if (buffer == NULL) {
        return DM_BUSY;
    }
    op_batch_init(op);
    for (uint32_t i = 0; i < count; i++) {
        struct location at = op_locate(op, layout_subtable_address(&session->pool->layout, from + i), 0);
        dm_batch_read(&op->batch, at.node, at.offset, buffer->bytes + (size_t)i * INDEX_SUBTABLE_BYTES,
                      INDEX_SUBTABLE_BYTES);
    }
    enum dm_status status = op_execute(op);
    for (uint32_t i = 0; i < count && status == DM_OK; i++) {
        const uint64_t *slots =
            (const uint64_t *)(buffer->bytes + (size_t)i * INDEX_SUBTABLE_BYTES + INDEX_CONTROL_BYTES);
        for (uint32_t s = 0; s < INDEX_SLOTS; s++) {
            if (word_kind(slots[s]) != WORD_EMPTY) {
                sweep_keep(sweep, word_address(slots[s]));
            }
        }
    }
    buffer_give(&session->buffers, buffer);
    return status;
}

enum dm_status sweep_reach(struct sweep *sweep) {
    struct dm_session *session = sweep->session;
    uint32_t subtables = session->pool->layout.super.subtables;
    enum dm_status status = DM_OK;
    for (uint32_t from = 0; from < subtables && status == DM_OK; from += SUBTABLES_AT_A_TIME) {
        struct fusee_op *op = op_begin(session, DM_KIND_MAINTENANCE);
        if (op == NULL) {
            return DM_BUSY;
        }
        uint32_t count = subtables - from < SUBTABLES_AT_A_TIME ? subtables - from : SUBTABLES_AT_A_TIME;
        status = reach_some(sweep, op, from, count);
        op_end(op);
        dm_coro_sleep(session->sched, 0); /* requests go first */
    }
    return status;
}

/* ---- Time ------------------------------------------------------------------------------------------------------- */

enum dm_status sweep_wait(struct dm_session *session, uint32_t epochs, bool (*each)(void *context), void *context) {
    enum dm_status status = epoch_tick(session);
    uint64_t target = session->epoch + epochs;
    uint64_t last = session->epoch;
    uint64_t deadline_ns = pool_clock_ns(session->pool) + WAIT_MAX_NS;
    while (status == DM_OK && session->epoch < target) {
        if (session->watch.closing || pool_clock_ns(session->pool) > deadline_ns || (each != NULL && !each(context))) {
            return DM_BUSY;
        }
        dm_coro_sleep(session->sched, WAIT_TURN_NS);
        status = epoch_tick(session);
        if (session->epoch != last) {
            last = session->epoch;
            deadline_ns = pool_clock_ns(session->pool) + WAIT_MAX_NS;
        }
    }
    return status;
}

/* ---- Own blocks ------------------------------------------------------------------------------------------------- */

/* What goes through the limbo is not lost, and may be handed out again behind it: the sweep follows all that is
 * pushed. */
struct following {
    struct sweep *sweep;
    uint64_t at, capacity; /* position of the limbo's ring seen last; its size then */
};

/* false: some of what went through was not seen. */
static bool follow_limbo(void *context) {
    struct following *following = context;
    const struct limbo *limbo = &following->sweep->session->limbo;
    bool grown = limbo->capacity != following->capacity;
    if ((grown && following->at < limbo->head) || limbo->tail - following->at > limbo->capacity) {
        return false;
    }
    for (; following->at != limbo->tail; following->at++) {
        sweep_keep(following->sweep, limbo->ring[following->at & (limbo->capacity - 1)]);
    }
    following->capacity = limbo->capacity;
    return true;
}

static bool add_own(struct sweep *sweep) {
    const struct slab *slab = &sweep->session->slab;
    bool added = true;
    for (uint64_t b = 0; b < sweep->block_count && added; b++) {
        if (slab->blocks[b] != NULL) {
            added = sweep_add(sweep, b, slab->blocks[b]->word, slab->blocks[b]->bitmap);
        }
    }
    for (uint32_t c = 0; c < SIZECLASS_COUNT; c++) {
        if (slab->classes[c].reserved != 0) {
            sweep_keep(sweep, slab->classes[c].reserved);
        }
    }
    return added;
}

/* What others have freed in these blocks goes into the limbo, and so is not lost. */
static enum dm_status collect_own(struct dm_session *session) {
    while (session->memory_busy) {
        dm_coro_sleep(session->sched, WAIT_TURN_NS);
    }
    session->memory_busy = true;
    enum dm_status status = DM_OK;
    for (uint8_t c = 0; c < SIZECLASS_COUNT && status == DM_OK; c++) {
        status = block_collect(session, c);
    }
    session->memory_busy = false;
    return status;
}

/* False: the limbo has no memory for all of them. */
static bool free_lost_of(struct dm_session *session, const struct sweep_block *block, uint64_t *lost) {
    uint64_t address = block->number << session->pool->layout.block_shift;
    for (uint32_t i = 0; i < block->objects; i++) {
        if ((block->bits[i / 64] >> (i % 64) & 1) == 0) {
            continue;
        }
        if (!limbo_push(&session->limbo, address + (uint64_t)i * sizeclass_bytes(block->size_class))) {
            return false;
        }
        session->stats.objects_freed++;
        ++*lost;
    }
    return true;
}

/* `repairs`: what was known of them when the sweep began. */
static void free_lost(struct sweep *sweep, uint64_t repairs, uint64_t *lost) {
    struct dm_session *session = sweep->session;
    for (uint64_t b = 0; b < sweep->block_count; b++) {
        const struct sweep_block *block = sweep->blocks[b];
        struct block *own = session->slab.blocks[b];
        bool still_own = block != NULL && own != NULL && own->word == block->word; /* else it was given up meanwhile */
        if (still_own && free_lost_of(session, block, lost)) {
            own->swept = repairs;
        }
    }
}

static enum dm_status sweep_own_blocks(struct sweep *sweep, uint64_t *lost) {
    struct dm_session *session = sweep->session;
    uint64_t repairs = session->repairs;
    struct following following = {sweep, session->limbo.head, session->limbo.capacity};
    if (!add_own(sweep) || !follow_limbo(&following)) {
        return DM_BUSY;
    }
    enum dm_status status = sweep_wait(session, 2, follow_limbo, &following);
    if (status == DM_OK) {
        status = follow_limbo(&following) ? sweep_reach(sweep) : DM_BUSY;
    }
    if (status == DM_OK) {
        status = sweep_wait(session, SWEEP_EPOCHS, follow_limbo, &following);
    }
    if (status == DM_OK) {
        status = follow_limbo(&following) ? collect_own(session) : DM_BUSY;
    }
    if (status == DM_OK && !follow_limbo(&following)) {
        status = DM_BUSY;
    }
    if (status == DM_OK) {
        free_lost(sweep, repairs, lost);
    }
    return status;
}

enum dm_status sweep_own(struct dm_session *session, uint64_t *lost) {
    struct sweep sweep;
    if (session->slab.owned == 0) {
        return DM_OK;
    }
    if (!sweep_open(&sweep, session)) {
        return DM_BUSY;
    }
    enum dm_status status = sweep_own_blocks(&sweep, lost);
    sweep_close(&sweep);
    return status;
}

/* ---- Which are swept -------------------------------------------------------------------------------------------- */

bool sweep_is_owed(const struct dm_session *session) {
    const struct slab *slab = &session->slab;
    for (uint64_t b = 0; b < layout_blocks(&session->pool->layout); b++) {
        if (slab->blocks[b] != NULL && slab->blocks[b]->swept != session->repairs) {
            return true;
        }
    }
    return false;
}

uint64_t sweep_known(const struct dm_session *session, uint64_t from) {
    uint64_t repairs = session->repairs;
    bool marked = repairs == 0 || session->epoch >= repairs_epoch(repairs) + SWEEP_MARK_EPOCHS + 2;
    bool whole = block_word_state(from) == BLOCK_FREE || (block_word_state(from) == BLOCK_ORPHAN && marked);
    return whole ? repairs : SWEEP_NEVER;
}

void sweep_note_repairs(struct dm_session *session, uint64_t repairs) {
    if (session->repairs != repairs) {
        session->repairs = repairs;
        session->watch.owes_sweep = true;
    }
}
