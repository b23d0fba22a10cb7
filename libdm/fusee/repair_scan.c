/* repair_scan.c: see repair_scan.h. */
#include "fusee/repair_scan.h"

#include <string.h>

#include "fusee/allocator.h"
#include "fusee/repair_intent.h"
#include "fusee/round.h"

#define SCAN_BYTES (512u << 10) /* read in one batch, all replicas together */
#define SUSPECTS_MIN 64u
#define YIELD_NS UINT64_C(1000000) /* requests wait so long at the most */

/* Equal stretches of replicated words. */
struct stretches {
    uint32_t count, bytes; /* of each */
    uint32_t first, words; /* that count in each */
    bool slots;
};

static uint64_t stretch_address(const struct layout *layout, const struct stretches *all, uint32_t index) {
    return all->slots ? layout_subtable_address(layout, index) : (uint64_t)index << layout->region_shift;
}

static enum dm_status note_suspect(struct repair_scan *scan, const struct repair_word *word) {
    const struct dm_env *env = scan->session->env;
    if (scan->suspect_count == scan->suspect_capacity) {
        uint32_t capacity = scan->suspect_capacity == 0 ? SUSPECTS_MIN : scan->suspect_capacity * 2;
        struct repair_word *larger =
            capacity > REPAIR_SUSPECTS_MAX ? NULL : env->allocate(env->context, capacity * sizeof *larger);
        if (larger == NULL) {
            return DM_BUSY;
        }
        if (scan->suspects != NULL) {
            memcpy(larger, scan->suspects, scan->suspect_count * sizeof *larger);
            env->release(env->context, scan->suspects);
        }
        scan->suspects = larger;
        scan->suspect_capacity = capacity;
    }
    scan->suspects[scan->suspect_count++] = *word;
    scan->suspects[scan->suspect_count - 1].proven = true;
    return DM_OK;
}

void repair_scan_close(struct repair_scan *scan) {
    if (scan->suspects != NULL) {
        scan->session->env->release(scan->session->env->context, scan->suspects);
        scan->suspects = NULL;
    }
}

static enum dm_status close_word(struct repair_scan *scan, struct fusee_op *op, struct repair_word *word) {
    enum repair_word_state state;
    enum dm_status status = repair_word_close(op, scan->dead, word, &state);
    if (status == DM_OK && state == REPAIR_WORD_CLOSED) {
        scan->closed++;
    }
    return status == DM_OK && state == REPAIR_WORD_SUSPECT ? note_suspect(scan, word) : status;
}

/* The second round of a DELETE that its client did not live to begin. */
static enum dm_status clear_tombstone(struct repair_scan *scan, struct fusee_op *op, uint64_t address,
                                      uint64_t tombstone) {
    bool whole;
    uint32_t client;
    enum dm_status status = repair_word_writer(op, tombstone, &whole, &client);
    if (status != DM_OK || !client_set_has(scan->dead, client)) {
        return status;
    }
    struct round round = {.address = address, .v_old = tombstone, .v_new = word_emptied(tombstone), .slot = true};
    enum round_result result = ROUND_LOST;
    status = round_run(op, &round, &result);
    scan->cleared += status == DM_OK && result == ROUND_WON;
    return status;
}

/* One word as it was read on all replicas, `apart` words one from the other. */
static enum dm_status scan_word(struct repair_scan *scan, struct fusee_op *op, uint64_t address, bool slot,
                                const uint64_t *replicas[]) {
    uint64_t primary = *replicas[0];
    bool differs = slot && (word_kind(primary) == WORD_PROVISIONAL || word_kind(primary) == WORD_PREPARED);
    enum dm_status status = DM_OK;
    if (scan->cleans) {
        bool cleaned = false;
        if (slot && word_kind(primary) == WORD_INTENT) {
            status = repair_intent_clean(op, scan->dead, address, primary, &cleaned);
        }
        scan->cleared += cleaned;
        return status;
    }
    for (uint32_t j = 0; j < op_replicas(op); j++) {
        differs |= *replicas[j] != primary;
        scan->intents |= slot && word_is_intent(*replicas[j]);
    }
    if (differs) {
        status = close_word(scan, op, &(struct repair_word){.address = address, .slot = slot});
        if (status == DM_OK && slot) { /* it may be a dead client's DELETE that has just been ended */
            struct location at = op_locate(op, address, 0);
            op_batch_init(op);
            dm_batch_read(&op->batch, at.node, at.offset, &op->slot_word, sizeof op->slot_word);
            status = op_execute(op);
            primary = op->slot_word;
        }
    }
    if (status == DM_OK && slot && word_kind(primary) == WORD_TOMBSTONE) {
        status = clear_tombstone(scan, op, address, primary);
    }
    return status;
}

static enum dm_status scan_some(struct repair_scan *scan, struct fusee_op *op, const struct stretches *all,
                                uint32_t from, uint32_t count) {
    const struct layout *layout = &scan->session->pool->layout;
    uint32_t replicas = layout->super.replicas;
    struct buffer *buffer = buffer_take(&scan->session->buffers, count * replicas * all->bytes);
    if (buffer == NULL) {
        return DM_BUSY;
    }
    op_batch_init(op);
    for (uint32_t i = 0; i < count * replicas; i++) {
        uint64_t address = stretch_address(layout, all, from + i / replicas);
        struct location at = op_locate(op, address, i % replicas < op_copies(op, address) ? i % replicas : 0);
        dm_batch_read(&op->batch, at.node, at.offset, buffer->bytes + (size_t)i * all->bytes, all->bytes);
    }
    enum dm_status status = op_execute(op);
    for (uint32_t i = 0; i < count * all->words && status == DM_OK; i++) {
        uint32_t stretch = i / all->words;
        uint32_t offset = (all->first + i % all->words) * (uint32_t)sizeof(uint64_t);
        const uint64_t *words[LAYOUT_REPLICAS_MAX];
        for (uint32_t j = 0; j < replicas; j++) {
            size_t at = (size_t)(stretch * replicas + j) * all->bytes + offset;
            words[j] = (const uint64_t *)(buffer->bytes + at);
        }
        op_work_on(op, stretch_address(layout, all, from + stretch));
        status = scan_word(scan, op, stretch_address(layout, all, from + stretch) + offset, all->slots, words);
    }
    buffer_give(&scan->session->buffers, buffer);
    return status;
}

static void drop_spare(struct fusee_op *op) {
    if (op->spare.address != 0) {
        allocator_give_back(op->session, &op->spare);
        op->spare.address = 0;
    }
}

static enum dm_status scan_all(struct repair_scan *scan, const struct stretches *all) {
    struct dm_session *session = scan->session;
    uint32_t replicas = session->pool->layout.super.replicas;
    uint32_t at_a_time = SCAN_BYTES / (all->bytes * replicas);
    at_a_time = at_a_time > DM_BATCH_OPS / replicas ? DM_BATCH_OPS / replicas : at_a_time;
    at_a_time = at_a_time == 0 ? 1 : at_a_time;
    enum dm_status status = DM_OK;
    uint64_t since_ns = pool_clock_ns(session->pool);
    for (uint32_t from = 0; from < all->count && status == DM_OK; from += at_a_time) {
        struct fusee_op *op = op_begin(session, DM_KIND_MAINTENANCE);
        if (op == NULL) {
            return DM_BUSY;
        }
        status = scan_some(scan, op, all, from, all->count - from < at_a_time ? all->count - from : at_a_time);
        drop_spare(op);
        op_end(op);
        if (pool_clock_ns(session->pool) - since_ns > YIELD_NS) {
            dm_coro_sleep(session->sched, 0);
            since_ns = pool_clock_ns(session->pool);
        }
    }
    return status;
}

enum dm_status repair_scan_run(struct repair_scan *scan) {
    const struct layout *layout = &scan->session->pool->layout;
    struct stretches tables = {.count = layout->super.regions,
                               .bytes = layout->blocks_per_region * (uint32_t)sizeof(uint64_t),
                               .words = layout->blocks_per_region};
    struct stretches subtables = {.count = layout->super.subtables,
                                  .bytes = INDEX_SUBTABLE_BYTES,
                                  .first = INDEX_CONTROL_BYTES / sizeof(uint64_t),
                                  .words = INDEX_SLOTS,
                                  .slots = true};
    enum dm_status status = scan_all(scan, &tables);
    status = status == DM_OK ? scan_all(scan, &subtables) : status;
    scan->cleans = true;
    return status == DM_OK && scan->intents ? scan_all(scan, &subtables) : status;
}

enum dm_status repair_scan_suspects(struct repair_scan *scan) {
    enum dm_status status = DM_OK;
    for (uint32_t i = 0; i < scan->suspect_count && status == DM_OK; i++) {
        struct fusee_op *op = op_begin(scan->session, DM_KIND_MAINTENANCE);
        if (op == NULL) {
            return DM_BUSY;
        }
        enum repair_word_state state;
        status = repair_word_close(op, scan->dead, &scan->suspects[i], &state);
        scan->closed += status == DM_OK && state == REPAIR_WORD_CLOSED;
        drop_spare(op);
        op_end(op);
    }
    return status;
}
