/* epoch.c: see epoch.h. The batches are its own (kind MAINTENANCE), never those of the operation that waits. */
#include "fusee/epoch.h"

#include <string.h>

#include "fusee/allocator.h"
#include "fusee/session.h"

#define EPOCH_NODE 0
#define RETIRE_LOOK_NS UINT64_C(20000) /* a batch is under way: some us on an adapter */

/* Room for the epoch line and all announce words. */
static struct buffer *epoch_buffer(struct dm_session *session) {
    return buffer_take(&session->buffers,
                       (uint32_t)(session->pool->layout.counts_offset - session->pool->layout.epoch_offset));
}

static uint64_t announce_offset(const struct dm_session *session) {
    return session->pool->layout.announce_offset + session->client * sizeof(uint64_t);
}

static enum dm_status epoch_execute(struct dm_session *session, struct dm_batch *batch) {
    dm_fabric_execute(session->endpoint, batch);
    session->stats.kind[DM_KIND_MAINTENANCE].operations++;
    return batch->failed == 0 ? DM_OK : DM_UNREACHABLE;
}

/* WRITEs our announce word and, behind it on the same queue pair, READs the epoch. */
static enum dm_status epoch_write_announce(struct dm_session *session, uint64_t value, uint64_t *epoch) {
    struct buffer *buffer = buffer_take(&session->buffers, sizeof value + LAYOUT_EPOCH_BYTES + SPACE_TABLE_BYTES);
    if (buffer == NULL) {
        return DM_BUSY;
    }
    uint64_t *words = (uint64_t *)buffer->bytes;
    words[0] = value;
    struct dm_batch batch;
    dm_batch_init(&batch, &session->stats.kind[DM_KIND_MAINTENANCE].cost);
    dm_batch_write(&batch, EPOCH_NODE, announce_offset(session), &words[0], sizeof value);
    dm_batch_read(&batch, EPOCH_NODE, session->pool->layout.epoch_offset, &words[1],
                  LAYOUT_EPOCH_BYTES + SPACE_TABLE_BYTES);
    enum dm_status status = epoch_execute(session, &batch);
    if (status == DM_OK) {
        *epoch = words[1];
        if (value != 0) {
            space_note(&session->spaces,
                       (const struct space_table *)(buffer->bytes + sizeof value + LAYOUT_EPOCH_BYTES));
        }
    }
    buffer_give(&session->buffers, buffer);
    return status;
}

static void note_epoch(struct dm_session *session, uint64_t epoch) {
    if (session->epoch != epoch) {
        session->epoch = epoch;
        session->epoch_seen_ns = session->now_ns;
    }
}

/* The tags of words come back after 128 epochs (copy.h), so epochs are not spent without need. */
static bool epoch_is_due(const struct dm_session *session) {
    return session->memory_low || space_is_held(&session->spaces) ||
           session->now_ns - session->epoch_seen_ns >= EPOCH_NS;
}

enum dm_status epoch_announce(struct dm_session *session) {
    while (session->retiring) { /* batches are ordered only when one is waited for */
        dm_coro_sleep(session->sched, RETIRE_LOOK_NS);
    }
    session->now_ns = pool_clock_ns(session->pool);
    uint64_t epoch;
    enum dm_status status = epoch_write_announce(session, session->epoch + 1, &epoch);
    if (status == DM_OK) {
        /* Our old announcement holds the epoch where it was read, give or take one that was on its way. */
        note_epoch(session, epoch);
        session->announced = true;
        session->tick_ns = session->now_ns; /* we may be far behind: look at once */
    }
    return status;
}

enum dm_status epoch_retire(struct dm_session *session) {
    /* First the flags: an operation that begins while the WRITE is under way announces itself behind it. */
    session->announced = false;
    session->retiring = true;
    uint64_t epoch;
    enum dm_status status = epoch_write_announce(session, 0, &epoch);
    session->retiring = false;
    return status;
}

/* Oldest epoch in which an operation in flight began, or one whose count is not written (count.h). They lie in the last
 * EPOCH_RING - 1 epochs, because the epoch cannot pass our announcement by more than one. */
static uint64_t epoch_oldest(const struct dm_session *session, uint64_t newest) {
    uint64_t oldest = newest;
    for (uint64_t back = 1; back < EPOCH_RING && back <= newest; back++) {
        if (session->in_flight[(newest - back) % EPOCH_RING] != 0) {
            oldest = newest - back;
        }
    }
    uint64_t counted = count_epoch(&session->counts);
    return counted < oldest ? counted : oldest;
}

struct census {
    uint32_t active; /* clients that are not idle */
    bool behind;     /* one of them has operations from before this epoch */
};

static struct census count_announced(const uint64_t *announced, uint32_t clients, uint64_t epoch) {
    struct census census = {0};
    for (uint32_t i = 0; i < clients; i++) {
        census.active += announced[i] != 0;
        census.behind |= announced[i] != 0 && announced[i] - 1 < epoch;
    }
    return census;
}

enum dm_status epoch_tick(struct dm_session *session) {
    const struct layout *layout = &session->pool->layout;
    struct buffer *buffer = epoch_buffer(session);
    if (buffer == NULL) {
        return DM_BUSY;
    }
    uint32_t bytes = (uint32_t)(LAYOUT_EPOCH_BYTES + SPACE_TABLE_BYTES + layout->super.clients * sizeof(uint64_t));
    uint64_t freed_before = session->limbo.tail;
    struct dm_batch batch;
    dm_batch_init(&batch, &session->stats.kind[DM_KIND_MAINTENANCE].cost);
    dm_batch_read(&batch, EPOCH_NODE, layout->epoch_offset, buffer->bytes, bytes);
    enum dm_status status = epoch_execute(session, &batch);
    if (status != DM_OK) {
        buffer_give(&session->buffers, buffer);
        return status;
    }
    const struct epoch_line *line = (const struct epoch_line *)buffer->bytes;
    const uint64_t *announced = (const uint64_t *)(buffer->bytes + LAYOUT_EPOCH_BYTES + SPACE_TABLE_BYTES);
    if (session->announced) {
        space_note(&session->spaces, (const struct space_table *)(buffer->bytes + LAYOUT_EPOCH_BYTES));
    }
    uint64_t epoch = line->epoch;
    uint64_t pressure = line->pressure;
    count_note(session, line, (const struct space_table *)(buffer->bytes + LAYOUT_EPOCH_BYTES));
    uint64_t published = announced[session->client];
    struct census census = count_announced(announced, layout->super.clients, epoch);
    buffer_give(&session->buffers, buffer);

    session->now_ns = pool_clock_ns(session->pool);
    limbo_seal(&session->limbo, freed_before, epoch);
    note_epoch(session, epoch);
    session->clients_active = census.active;
    allocator_note_pressure(session, pressure);
    uint64_t mine = epoch_oldest(session, epoch);
    if (session->announced && published != mine + 1) {
        uint64_t now;
        status = epoch_write_announce(session, mine + 1, &now);
    }
    if (status == DM_OK && !census.behind && epoch_is_due(session)) {
        dm_batch_init(&batch, &session->stats.kind[DM_KIND_MAINTENANCE].cost);
        dm_batch_cas(&batch, EPOCH_NODE, layout->epoch_offset, epoch, epoch + 1);
        status = epoch_execute(session, &batch);
    }
    allocator_drain(session);
    return status;
}
