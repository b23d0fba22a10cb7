/* block.c: see block.h. */
#include "fusee/block.h"

#include <stdlib.h>
#include <string.h>

#include "assert.h"
#include "fusee/open_round.h"
#include "fusee/sweep.h"

#define TABLES_BYTES_MAX (512u << 10) /* block tables read in one batch */
#define MAP_UNIT_BYTES SIZECLASS_BYTES_MIN
#define MARK_TURN_NS UINT64_C(1000000)

struct search {
    const struct layout *layout;
    uint8_t size_class;
    uint32_t cursor; /* region to begin at */
    uint64_t epoch;
    uint64_t best_rank; /* the lower the better */
    struct block_census *out;
};

/* An orphan of the class first, then free blocks from the cursor on, last an orphan of another class (to be emptied
 * and given back). */
static void search_block(struct search *search, uint32_t region, uint32_t index, uint64_t word) {
    uint32_t regions = search->layout->super.regions;
    uint64_t distance = (region + regions - search->cursor) % regions;
    uint64_t rank;
    if (block_word_state(word) == BLOCK_FREE) {
        search->out->free++;
        rank = 1 + distance;
    } else if (block_word_is_orphan(word) && block_orphan_is_ripe(word, search->epoch)) {
        bool same = block_word_class(word) == search->size_class;
        search->out->orphans += same;
        rank = same ? 0 : 1 + (uint64_t)regions + distance;
    } else {
        return;
    }
    if (rank < search->best_rank) {
        search->best_rank = rank;
        search->out->candidate = (uint64_t)region * search->layout->blocks_per_region + index;
        search->out->word = word;
        search->out->found = true;
    }
}

/* A maintenance operation with a buffer, or neither: session->refusal. */
static struct fusee_op *begin_with_buffer(struct dm_session *session, uint32_t bytes, struct buffer **buffer) {
    *buffer = buffer_take(&session->buffers, bytes);
    if (*buffer == NULL) {
        session->refusal = DM_BUSY;
        return NULL;
    }
    struct fusee_op *op = op_begin(session, DM_KIND_MAINTENANCE);
    if (op == NULL) {
        buffer_give(&session->buffers, *buffer);
    }
    return op;
}

uint64_t block_reserve(const struct dm_session *session) {
    uint64_t reserve = layout_reserve_blocks(&session->pool->layout);
    uint64_t most = layout_data_blocks(&session->pool->layout) / 3;
    uint64_t each = session->clients_active < most ? session->clients_active : most;
    return reserve > each ? reserve : each;
}

enum dm_status block_count(struct dm_session *session, uint8_t size_class, struct block_census *out) {
    const struct layout *layout = &session->pool->layout;
    uint32_t table_words = layout->blocks_per_region;
    uint32_t at_a_time = TABLES_BYTES_MAX / (table_words * 8);
    at_a_time = at_a_time > DM_BATCH_OPS ? DM_BATCH_OPS : at_a_time;
    at_a_time = at_a_time == 0 ? 1 : at_a_time;
    at_a_time = at_a_time > layout->super.regions ? layout->super.regions : at_a_time;
    struct buffer *buffer;
    struct fusee_op *op = begin_with_buffer(session, at_a_time * table_words * 8, &buffer);
    if (op == NULL) {
        return session->refusal;
    }
    *out = (struct block_census){0};
    struct search search = {layout, size_class, session->region_cursor, session->epoch, UINT64_MAX, out};
    enum dm_status status = DM_OK;
    for (uint32_t region = 0; region < layout->super.regions && status == DM_OK; region += at_a_time) {
        uint32_t count = layout->super.regions - region < at_a_time ? layout->super.regions - region : at_a_time;
        uint64_t *words = (uint64_t *)buffer->bytes;
        op_batch_init(op);
        for (uint32_t i = 0; i < count; i++) {
            struct location at = op_locate(op, (uint64_t)(region + i) << layout->region_shift, 0);
            dm_batch_read(&op->batch, at.node, at.offset, words + (size_t)i * table_words, table_words * 8);
        }
        status = op_execute(op);
        for (uint32_t i = 0; i < count * table_words && status == DM_OK; i++) {
            search_block(&search, region + i / table_words, i % table_words, words[i]);
        }
    }
    op_end(op);
    buffer_give(&session->buffers, buffer);
    atomic_store_explicit(&session->pool->blocks_free, out->free, memory_order_relaxed);
    session->counted_ns = session->now_ns;
    session->memory_low = out->free <= block_reserve(session);
    return status;
}

static bool note_taken(struct dm_session *session, uint64_t number, uint64_t from, uint64_t word) {
    bool fresh = block_word_state(from) == BLOCK_FREE;
    struct block *block = slab_add(&session->slab, number, word, fresh);
    if (block == NULL) {
        return false;
    }
    block->swept = sweep_known(session, from);
    session->watch.owes_sweep |= block->swept != session->repairs;
    if (fresh) {
        atomic_fetch_sub_explicit(&session->pool->blocks_free, 1, memory_order_relaxed);
    }
    return true;
}

static void note_given_up(struct dm_session *session, uint64_t word) {
    if (block_word_state(word) == BLOCK_FREE) {
        atomic_fetch_add_explicit(&session->pool->blocks_free, 1, memory_order_relaxed);
    }
}

/* A round that took a block or gave one up and had to be gone on with. Without memory for it a block that was taken
 * stays unused until this client ends. */
static void block_ended_late(struct fusee_op *op, enum round_result result) {
    const struct round *round = &op->open.round;
    if (result != ROUND_WON) {
        return;
    }
    if (block_word_state(round->v_new) == BLOCK_OWNED) {
        uint64_t number = layout_block_of_word(&op->session->pool->layout, round->address);
        note_taken(op->session, number, round->v_old, round->v_new);
    } else {
        note_given_up(op->session, round->v_new);
    }
}

/* A round on a block-table word. DM_BUSY: somebody else was faster. */
static enum dm_status block_round(struct fusee_op *op, uint64_t number, uint64_t from, uint64_t to) {
    struct round round = {
        .address = layout_block_word_address(&op->session->pool->layout, number), .v_old = from, .v_new = to};
    enum round_result result;
    enum dm_status status = round_run(op, &round, &result);
    if (status == DM_UNKNOWN_OUTCOME && open_round_keep(op, &round, NULL, block_ended_late)) {
        return DM_UNREACHABLE;
    }
    return status != DM_OK ? status : result == ROUND_WON ? DM_OK : DM_BUSY;
}

/* Object of a block whose free-map bit is `bit`; false when no object begins there. */
static bool object_of_bit(uint32_t bit, uint32_t object_bytes, uint32_t objects, uint32_t *index) {
    uint64_t offset = (uint64_t)bit * MAP_UNIT_BYTES;
    *index = (uint32_t)((offset + object_bytes - 1) / object_bytes);
    return *index < objects && (uint64_t)*index * object_bytes / MAP_UNIT_BYTES == bit;
}

static uint64_t block_address(const struct dm_session *session, uint64_t number) {
    return number << session->pool->layout.block_shift;
}

static void collect_word(struct dm_session *session, const struct block *block, uint32_t first_bit, uint64_t bits) {
    uint32_t bytes = sizeclass_bytes(block->size_class);
    for (; bits != 0; bits &= bits - 1) {
        uint32_t index;
        if (object_of_bit(first_bit + (uint32_t)__builtin_ctzll(bits), bytes, block->objects, &index)) {
            limbo_push(&session->limbo, block_address(session, block->number) + (uint64_t)index * bytes);
            session->stats.objects_freed++;
        }
    }
}

/* Takes the bits of words[0..count) out of the map at `at`, and only then the objects into the limbo: a FAA whose
 * outcome is unknown may have left its bits, and an object must not be collected twice. */
static enum dm_status collect_words(struct fusee_op *op, const struct block *block, struct location at,
                                    const uint64_t *words, uint32_t count) {
    uint32_t first = 0;
    while (first < count) {
        uint32_t end = first;
        op_batch_init(op);
        for (; end < count && dm_batch_room(&op->batch) != 0; end++) {
            if (words[end] != 0) {
                dm_batch_faa(&op->batch, at.node, at.offset + end * sizeof(uint64_t), 0 - words[end]);
            }
        }
        if (op->batch.count != 0 && op_execute(op) != DM_OK) {
            return DM_UNREACHABLE;
        }
        for (; first < end; first++) {
            collect_word(op->session, block, first * 64, words[first]);
        }
    }
    return DM_OK;
}

/* READs the free map of one of our blocks, takes its bits away (FAA: others add theirs) and puts the objects into the
 * limbo: they were unlinked before their bit was set, the grace period begins now. */
static enum dm_status collect_block(struct fusee_op *op, const struct block *block, struct buffer *buffer) {
    const struct layout *layout = &op->session->pool->layout;
    struct location at = op_locate(op, layout_free_map_address(layout, block->number), 0);
    uint64_t *words = (uint64_t *)buffer->bytes;
    op_batch_init(op);
    dm_batch_read(&op->batch, at.node, at.offset, words, layout->map_bytes);
    enum dm_status status = op_execute(op);
    return status != DM_OK ? status : collect_words(op, block, at, words, layout->map_bytes / 8);
}

enum dm_status block_collect(struct dm_session *session, uint8_t size_class) {
    const struct layout *layout = &session->pool->layout;
    struct buffer *buffer;
    struct fusee_op *op = begin_with_buffer(session, layout->map_bytes, &buffer);
    if (op == NULL) {
        return session->refusal;
    }
    enum dm_status status = DM_OK;
    for (uint64_t i = 0; i < layout_blocks(layout) && status == DM_OK; i++) {
        if (session->slab.blocks[i] != NULL && session->slab.blocks[i]->size_class == size_class) {
            status = collect_block(op, session->slab.blocks[i], buffer);
        }
    }
    op_end(op);
    buffer_give(&session->buffers, buffer);
    return status;
}

enum dm_status block_acquire(struct dm_session *session, uint8_t size_class, const struct block_census *census) {
    struct fusee_op *op = op_begin(session, DM_KIND_MAINTENANCE);
    if (op == NULL) {
        return session->refusal;
    }
    bool orphan = block_word_is_orphan(census->word);
    if (orphan) {
        size_class = block_word_class(census->word);
    }
    uint64_t word = block_word_after(census->word, block_word(BLOCK_OWNED, size_class, session->client));
    /* A second round of ours for the same word could not be told from the first. */
    bool open = open_round_has(session, layout_block_word_address(&session->pool->layout, census->candidate));
    enum dm_status status = open ? DM_UNREACHABLE : block_round(op, census->candidate, census->word, word);
    if (status == DM_OK) {
        if (!note_taken(session, census->candidate, census->word, word)) { /* give it back as it was */
            status = block_round(op, census->candidate, word, block_word_after(word, census->word));
            status = status == DM_OK ? DM_NO_MEMORY : status;
        }
        session->region_cursor = (uint32_t)(census->candidate / session->pool->layout.blocks_per_region + 1) %
                                 session->pool->layout.super.regions;
    }
    op_end(op);
    if (status == DM_OK && orphan) {
        status = block_collect(session, size_class);
    }
    return status;
}

static int compare_addresses(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Address of the free-map word, and the bit in it, of an object. */
static uint64_t map_word_of(const struct layout *layout, uint64_t address, uint64_t *bit) {
    uint64_t unit = (address & (layout->super.block_bytes - 1)) / MAP_UNIT_BYTES;
    *bit = UINT64_C(1) << (unit % 64);
    return layout_free_map_address(layout, layout_block_number(layout, address)) + unit / 64 * 8;
}

enum dm_status block_mark_free(struct dm_session *session, uint64_t *addresses, uint32_t count) {
    const struct layout *layout = &session->pool->layout;
    struct fusee_op *op = op_begin(session, DM_KIND_MAINTENANCE);
    if (op == NULL) {
        return session->refusal;
    }
    qsort(addresses, count, sizeof *addresses, compare_addresses);
    enum dm_status status = DM_OK;
    op_batch_init(op);
    for (uint32_t i = 0; i < count && status == DM_OK;) {
        uint64_t bits;
        uint64_t bit;
        uint64_t word = map_word_of(layout, addresses[i], &bits);
        for (i++; i < count && map_word_of(layout, addresses[i], &bit) == word; i++) {
            bits |= bit;
        }
        if (dm_batch_room(&op->batch) == 0) {
            status = op_execute(op);
            op_batch_init(op);
        }
        struct location at = op_locate(op, word, 0);
        dm_batch_faa(&op->batch, at.node, at.offset, bits);
    }
    if (status == DM_OK && op->batch.count > 0) {
        status = op_execute(op);
    }
    op_end(op);
    return status;
}

/* The free objects of a block, for its free map; NULL: no memory. */
static uint64_t *free_objects(struct dm_session *session, const struct block *block) {
    uint64_t *addresses =
        session->env->allocate(session->env->context, (block->free + 1) * sizeof *addresses); /* never of no bytes */
    uint32_t count = 0;
    for (uint32_t i = 0; addresses != NULL && i < block->objects; i++) {
        if ((block->bitmap[i / 64] >> (i % 64) & 1) != 0) {
            addresses[count++] =
                block_address(session, block->number) + (uint64_t)i * sizeclass_bytes(block->size_class);
        }
    }
    dm_assert(addresses == NULL || count == block->free);
    return addresses;
}

/* A block that could not be given up stays ours. Which of its free objects are marked is not known, so the next sweep
 * finds them. */
static void take_back(struct dm_session *session, uint64_t number, uint64_t word, bool empty, uint64_t swept) {
    struct block *block = slab_add(&session->slab, number, word, empty);
    if (block == NULL) {
        pool_log(session->pool, DM_LOG_WARNING, "no memory to note a block: it stays unused until this client ends");
        return;
    }
    block->swept = empty ? swept : SWEEP_NEVER;
    session->watch.owes_sweep |= block->swept != session->repairs;
}

enum dm_status block_release(struct dm_session *session, struct block *block) {
    bool empty = slab_block_empty(block);
    uint32_t free = block->free;
    uint64_t *addresses = empty ? NULL : free_objects(session, block);
    if (!empty && addresses == NULL) {
        return DM_NO_MEMORY;
    }
    uint16_t since = empty ? 0 : block_orphan_since(session);
    uint64_t number = block->number;
    uint64_t from = block->word;
    uint64_t swept = block->swept;
    slab_remove(&session->slab, block); /* before anything that waits: nobody here may use it meanwhile */
    enum dm_status status = addresses == NULL ? DM_OK : block_mark_free(session, addresses, free);
    if (addresses != NULL) {
        session->env->release(session->env->context, addresses);
    }
    struct fusee_op *op = status == DM_OK ? op_begin(session, DM_KIND_MAINTENANCE) : NULL;
    if (op == NULL) {
        status = status == DM_OK ? session->refusal : status;
        take_back(session, number, from, empty, swept);
        return status;
    }
    /* Behind op_begin: a repair that begins waits for operations that know nothing of it. */
    enum block_state state = empty ? BLOCK_FREE : swept == session->repairs ? BLOCK_ORPHAN : BLOCK_UNSWEPT;
    uint64_t word = block_word_after(from, block_word(state, block_word_class(from), since));
    status = block_round(op, number, from, word);
    op_end(op);
    if (status == DM_OK) {
        note_given_up(session, word);
    }
    return status == DM_BUSY ? DM_CORRUPT : status;
}

/* The generation goes on by another number for each client: two that mark one orphan must not write the same word. */
static uint64_t marked_word(const struct dm_session *session, uint64_t word, enum block_state state) {
    uint64_t next = block_word_after(word + session->client, word);
    return (next & ~block_word((enum block_state)7, 0, 0)) | block_word(state, 0, 0);
}

enum dm_status block_mark_orphan(struct dm_session *session, uint64_t number, enum block_state state, uint64_t *word) {
    while (session->memory_busy) { /* nor must two repairs of this session */
        dm_coro_sleep(session->sched, MARK_TURN_NS);
    }
    session->memory_busy = true;
    struct fusee_op *op = op_begin(session, DM_KIND_MAINTENANCE);
    enum dm_status status = op == NULL ? session->refusal : DM_UNREACHABLE;
    uint64_t marked = marked_word(session, *word, state);
    if (op != NULL) {
        if (!open_round_has(session, layout_block_word_address(&session->pool->layout, number))) {
            status = block_round(op, number, *word, marked);
        }
        op_end(op);
    }
    session->memory_busy = false;
    *word = status == DM_OK ? marked : *word;
    return status;
}
