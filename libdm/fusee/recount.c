/* recount.c: see recount.h. */
#include "fusee/recount.h"

#include <string.h>

#include "fusee/count.h"
#include "fusee/session.h"
#include "fusee/sweep.h"

#define STEP_KEYS 1000u                    /* of one call of dm_scan: others run in between */
#define WAIT_FIRST_NS UINT64_C(100000000)  /* behind a try that was disturbed; then twice as long, */
#define WAIT_MOST_NS UINT64_C(64000000000) /* up to this */
#define EPOCHS 2u                          /* behind which all is written that was done before */

/* ---- The walk --------------------------------------------------------------------------------------------------- */

static void count_one(void *context, const struct dm_scanned *scanned) {
    struct dm_count *out = context;
    out[scanned->key.space].keys++;
    out[scanned->key.space].expiring += scanned->expire_ms != DM_NO_EXPIRY;
}

enum dm_status recount_walk(struct dm_session *session, uint16_t space, struct dm_count out[DM_SPACES]) {
    struct dm_scan scan = {space, STEP_KEYS, count_one, out};
    uint64_t cursor = 0;
    memset(out, 0, DM_SPACES * sizeof *out);
    do {
        enum dm_status status = session->watch.closing ? DM_BUSY : dm_scan(session, &scan, &cursor);
        if (status != DM_OK) {
            return status;
        }
        dm_coro_sleep(session->sched, 0);
    } while (cursor != 0);
    return DM_OK;
}

/* ---- Counts as they stand --------------------------------------------------------------------------------------- */

/* In a buffer: what must not change during the walk. */
struct picture {
    uint64_t miscounts, recounted;
    struct space_table table;
    uint64_t words[]; /* LAYOUT_COUNT_ROWS rows */
};

static uint32_t picture_bytes(const struct layout *layout) {
    return (uint32_t)sizeof(struct picture) +
           LAYOUT_COUNT_ROWS * layout_count_words(layout) * (uint32_t)sizeof(uint64_t);
}

static enum dm_status picture_take(struct dm_session *session, struct picture *picture) {
    const struct layout *layout = &session->pool->layout;
    struct dm_batch batch;
    session_maintain_begin(session, &batch);
    dm_batch_read(&batch, session->members.control[0], layout->epoch_offset + offsetof(struct epoch_line, miscounts),
                  &picture->miscounts, 2 * sizeof(uint64_t));
    dm_batch_read(&batch, session->members.control[0], layout->spaces_offset, &picture->table, sizeof picture->table);
    dm_batch_read(&batch, session->members.control[0], layout->counts_offset, picture->words,
                  picture_bytes(layout) - (uint32_t)sizeof(struct picture));
    return session_maintain(session, &batch);
}

/* ---- Mending ---------------------------------------------------------------------------------------------------- */

/* The last word of the space's row behind the mending. */
static uint64_t mended_word(const uint64_t *row, uint32_t count, uint16_t number, uint64_t keys) {
    uint64_t last = row[count - 1];
    uint64_t missing = (keys - count_sum(row, count, number)) & COUNT_KEYS_MASK;
    if (missing == 0) {
        return last;
    }
    bool current = last != 0 && count_number(last) == number;
    uint64_t mended = (last >> COUNT_KEYS_BITS) + 1; /* so that no word comes back soon */
    return count_word(number, (current ? last : 0) + missing) | (mended & COUNT_MENDED_MASK) << COUNT_KEYS_BITS;
}

static void post_row(struct dm_session *session, struct dm_batch *batch, const struct picture *picture, uint32_t row,
                     uint64_t after) {
    const struct layout *layout = &session->pool->layout;
    uint32_t count = layout_count_words(layout);
    uint64_t before = picture->words[(size_t)row * count + count - 1];
    if (after != before) {
        dm_batch_cas(batch, session->members.control[0], layout_count_offset(layout, row, count - 1), before, after);
    }
}

static enum dm_status mend(struct dm_session *session, const struct picture *picture,
                           const struct dm_count walked[DM_SPACES], bool *done) {
    const struct layout *layout = &session->pool->layout;
    uint32_t count = layout_count_words(layout);
    struct dm_batch batch;
    session_maintain_begin(session, &batch);
    for (uint16_t s = 0; s < DM_SPACES; s++) {
        uint16_t number = space_number(picture->table.words[s], s);
        uint32_t row = number % DM_SPACES;
        uint32_t expiring = row + COUNT_EXPIRING_ROW;
        post_row(session, &batch, picture, row,
                 mended_word(picture->words + (size_t)row * count, count, number, walked[s].keys));
        post_row(session, &batch, picture, expiring,
                 mended_word(picture->words + (size_t)expiring * count, count, number, walked[s].expiring));
    }
    enum dm_status status = batch.count == 0 ? DM_OK : session_maintain(session, &batch);
    *done = status == DM_OK;
    for (uint32_t i = 0; i < batch.count && *done; i++) {
        *done = batch.ops[i].result == batch.ops[i].compare;
    }
    if (!*done) {
        return status;
    }
    session_maintain_begin(session, &batch);
    dm_batch_cas(&batch, session->members.control[0], layout->epoch_offset + offsetof(struct epoch_line, recounted),
                 picture->recounted, picture->miscounts);
    return session_maintain(session, &batch);
}

/* *done: the counts are right; else something has changed meanwhile. */
static enum dm_status recount(struct dm_session *session, struct picture *before, struct picture *after, bool *done) {
    struct dm_count walked[DM_SPACES];
    *done = false;
    enum dm_status status = picture_take(session, before);
    if (status != DM_OK || before->miscounts == before->recounted) {
        *done = status == DM_OK;
        return status;
    }
    status = recount_walk(session, DM_SPACE_ALL, walked);
    if (status == DM_OK) {
        status = sweep_wait(session, EPOCHS, NULL, NULL);
    }
    if (status == DM_OK) {
        status = picture_take(session, after);
    }
    bool same = status == DM_OK && memcmp(before, after, picture_bytes(&session->pool->layout)) == 0;
    bool settled = same && before->table.change >> 62 == SPACE_CHANGE_NONE;
    return settled ? mend(session, before, walked, done) : status;
}

enum dm_status recount_order(struct dm_session *session) {
    struct dm_batch batch;
    session_maintain_begin(session, &batch);
    for (uint32_t c = 0; c < session->members.control_count; c++) {
        dm_batch_faa(&batch, session->members.control[c],
                     session->pool->layout.epoch_offset + offsetof(struct epoch_line, miscounts), 1);
    }
    return session_maintain(session, &batch);
}

/* ---- When ------------------------------------------------------------------------------------------------------- */

static void try_next(struct dm_pool *pool, bool done) {
    uint64_t wait_ns = atomic_load_explicit(&pool->recount_wait_ns, memory_order_relaxed) * 2;
    wait_ns = wait_ns < WAIT_FIRST_NS ? WAIT_FIRST_NS : wait_ns > WAIT_MOST_NS ? WAIT_MOST_NS : wait_ns;
    wait_ns = done ? 0 : wait_ns;
    atomic_store_explicit(&pool->recount_wait_ns, wait_ns, memory_order_relaxed);
    atomic_store_explicit(&pool->recount_ns, pool_clock_ns(pool) + wait_ns, memory_order_relaxed);
}

static void recount_coroutine(void *argument) {
    struct dm_session *session = argument;
    uint32_t bytes = picture_bytes(&session->pool->layout);
    struct buffer *before = buffer_take(&session->buffers, bytes);
    struct buffer *after = buffer_take(&session->buffers, bytes);
    bool done = false;
    if (before != NULL && after != NULL) {
        enum dm_status status =
            recount(session, (struct picture *)before->bytes, (struct picture *)after->bytes, &done);
        done &= status == DM_OK;
    }
    if (after != NULL) {
        buffer_give(&session->buffers, after);
    }
    if (before != NULL) {
        buffer_give(&session->buffers, before);
    }
    try_next(session->pool, done);
    session->watch.coroutines--;
}

/* One session of a process at a time. */
void recount_tick(struct dm_session *session) {
    const struct counts *counts = &session->counts;
    struct dm_pool *pool = session->pool;
    uint64_t due_ns = atomic_load_explicit(&pool->recount_ns, memory_order_relaxed);
    if (counts->miscounts == counts->recounted || session->watch.closing || session->now_ns < due_ns ||
        !atomic_compare_exchange_strong_explicit(&pool->recount_ns, &due_ns, UINT64_MAX, memory_order_relaxed,
                                                 memory_order_relaxed)) {
        return;
    }
    session->watch.coroutines++;
    if (dm_sched_spawn(session->sched, recount_coroutine, session) != DM_OK) {
        session->watch.coroutines--;
        try_next(pool, false);
    }
}
