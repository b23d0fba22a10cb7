/* epoch.c: see epoch.h. The batches are its own (kind MAINTENANCE), never those of the operation that waits. */
#include "fusee/epoch.h"

#include <string.h>

#include "fusee/allocator.h"
#include "fusee/session.h"
#include "fusee/sweep.h"

#define RETIRE_LOOK_NS UINT64_C(20000) /* a batch is under way: some us on an adapter */

/* Room for the epoch line and all announce words. */
static struct buffer *epoch_buffer(struct dm_session *session) {
    const struct layout *layout = &session->pool->layout;
    return buffer_take(&session->buffers, (uint32_t)(layout->counts_offset - layout->epoch_offset) +
                                              LAYOUT_REPLICAS_MAX * LAYOUT_EPOCH_BYTES);
}

static uint64_t announce_offset(const struct dm_session *session) {
    return session->pool->layout.announce_offset + session->client * sizeof(uint64_t);
}

/* READs epoch line and space table of the first control node to `lines`, and the lines of the others behind them. */
static void epoch_read_lines(struct dm_session *session, struct dm_batch *batch, uint8_t *lines, uint32_t bytes) {
    const struct members *members = &session->members;
    uint64_t offset = session->pool->layout.epoch_offset;
    dm_batch_read(batch, members->control[0], offset, lines, bytes);
    for (uint32_t c = 1; c < members->control_count; c++) {
        dm_batch_read(batch, members->control[c], offset, lines + bytes + (c - 1) * LAYOUT_EPOCH_BYTES,
                      LAYOUT_EPOCH_BYTES);
    }
}

static const struct epoch_line *epoch_line_of(const uint8_t *lines, uint32_t bytes, uint32_t control) {
    return (const struct epoch_line *)(control == 0 ? lines : lines + bytes + (control - 1) * LAYOUT_EPOCH_BYTES);
}

/* Which nodes count, as these lines say. */
static void epoch_note_members(struct dm_session *session, const uint8_t *lines, uint32_t bytes) {
    for (uint32_t c = 0; c < session->members.control_count; c++) {
        members_note(session, epoch_line_of(lines, bytes, c)->members);
    }
}

#define LINES_BYTES (LAYOUT_EPOCH_BYTES + SPACE_TABLE_BYTES)

/* WRITEs our announce word to all control nodes and, behind it on the same queue pairs, READs epoch and members. */
static enum dm_status epoch_write_announce(struct dm_session *session, uint64_t value, uint64_t *epoch) {
    struct buffer *buffer =
        buffer_take(&session->buffers, sizeof value + LINES_BYTES + LAYOUT_REPLICAS_MAX * LAYOUT_EPOCH_BYTES);
    if (buffer == NULL) {
        return DM_BUSY;
    }
    uint64_t look = space_look(&session->spaces);
    *(uint64_t *)buffer->bytes = value;
    uint8_t *lines = buffer->bytes + sizeof value;
    struct dm_batch batch;
    session_maintain_begin(session, &batch);
    for (uint32_t c = 0; c < session->members.control_count; c++) {
        dm_batch_write(&batch, session->members.control[c], announce_offset(session), buffer->bytes, sizeof value);
    }
    epoch_read_lines(session, &batch, lines, LINES_BYTES);
    enum dm_status status = session_maintain(session, &batch);
    if (status == DM_OK) {
        session->announced_word = value;
        *epoch = ((const struct epoch_line *)lines)->epoch;
        epoch_note_members(session, lines, LINES_BYTES);
        sweep_note_repairs(session, ((const struct epoch_line *)lines)->repairs);
        if (value != 0) {
            space_note(&session->spaces, (const struct space_table *)(lines + LAYOUT_EPOCH_BYTES), look);
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

/* The other control nodes follow the first: one behind it is brought up to it, and the epoch does not move on before
 * that. */
static void epoch_post_advance(const struct dm_session *session, struct dm_batch *batch, const uint8_t *lines,
                               uint32_t bytes, bool advance) {
    const struct members *members = &session->members;
    uint64_t offset = session->pool->layout.epoch_offset;
    uint64_t epoch = epoch_line_of(lines, bytes, 0)->epoch;
    for (uint32_t c = 1; c < members->control_count; c++) {
        uint64_t there = epoch_line_of(lines, bytes, c)->epoch;
        if (there < epoch) {
            dm_batch_cas(batch, members->control[c], offset, there, epoch);
            advance = false;
        }
    }
    for (uint32_t c = 0; c < members->control_count && advance; c++) {
        dm_batch_cas(batch, members->control[c], offset, epoch, epoch + 1);
    }
}

enum dm_status epoch_tick(struct dm_session *session) {
    members_tick(session);
    const struct layout *layout = &session->pool->layout;
    struct buffer *buffer = epoch_buffer(session);
    if (buffer == NULL) {
        return DM_BUSY;
    }
    uint32_t bytes = (uint32_t)(LAYOUT_EPOCH_BYTES + SPACE_TABLE_BYTES + layout->super.clients * sizeof(uint64_t));
    uint64_t freed_before = session->limbo.tail;
    uint64_t look = space_look(&session->spaces);
    struct dm_batch batch;
    session_maintain_begin(session, &batch);
    epoch_read_lines(session, &batch, buffer->bytes, bytes);
    enum dm_status status = session_maintain(session, &batch);
    if (status != DM_OK) {
        buffer_give(&session->buffers, buffer);
        return status;
    }
    const struct epoch_line *line = (const struct epoch_line *)buffer->bytes;
    const uint64_t *announced = (const uint64_t *)(buffer->bytes + LAYOUT_EPOCH_BYTES + SPACE_TABLE_BYTES);
    if (session->announced) {
        space_note(&session->spaces, (const struct space_table *)(buffer->bytes + LAYOUT_EPOCH_BYTES), look);
    }
    count_note(session, line, (const struct space_table *)(buffer->bytes + LAYOUT_EPOCH_BYTES));
    uint64_t epoch = line->epoch;
    uint64_t pressure = line->pressure;
    sweep_note_repairs(session, line->repairs);
    uint64_t published = announced[session->client];
    struct census census = count_announced(announced, layout->super.clients, epoch);
    epoch_note_members(session, buffer->bytes, bytes);

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
    session_maintain_begin(session, &batch);
    epoch_post_advance(session, &batch, buffer->bytes, bytes, !census.behind && epoch_is_due(session));
    buffer_give(&session->buffers, buffer);
    if (status == DM_OK && batch.count != 0) {
        status = session_maintain(session, &batch);
    }
    allocator_drain(session);
    return status;
}
