/* space.c: see space.h; also dm_space_flush, dm_space_swap and dm_space_purge of dm.h. In coroutines. */
#include "fusee/space.h"

#include <string.h>

#include "fusee/job.h"
#include "fusee/session.h"

#define LOOK_NS 1000000u
#define WAIT_MAX_NS UINT64_C(2000000000)
#define NUMBERS_APART DM_SPACES /* a new number keeps its remainder, so no two spaces ever get the same */
#define BEHIND_MAX 2000u        /* changes that may be made before what they left is removed: numbers come back */
#define PURGE_KEYS 256u         /* looked at in one step */

uint64_t space_change_word(struct space_change change) {
    return (uint64_t)change.kind << 62 | (uint64_t)(change.a & 15) << 58 | (uint64_t)(change.b & 15) << 54 |
           (uint64_t)change.number_a << 38 | (uint64_t)change.number_b << 22 |
           (uint64_t)change.certain << SPACE_COUNT_BITS | (change.count & SPACE_COUNT_MASK);
}

struct space_change space_change_of(uint64_t word) {
    return (struct space_change){.kind = (enum space_change_kind)(word >> 62),
                                 .a = word >> 58 & 15,
                                 .b = word >> 54 & 15,
                                 .number_a = (uint16_t)(word >> 38),
                                 .number_b = (uint16_t)(word >> 22),
                                 .certain = (word >> SPACE_COUNT_BITS & 1) != 0,
                                 .count = (uint32_t)word & SPACE_COUNT_MASK};
}

static uint64_t space_word(uint16_t number, uint32_t count) { return (uint64_t)number << 48 | count; }

uint64_t space_word_after(uint64_t word, uint16_t space, const struct space_change *change) {
    if (((uint32_t)word & SPACE_COUNT_MASK) == change->count) {
        return word;
    }
    uint16_t number = space_number(word, space);
    switch (change->kind) {
    case SPACE_CHANGE_FLUSH:
        return space == change->a ? space_word(change->number_a, change->count) : word;
    case SPACE_CHANGE_FLUSH_ALL:
        return space_word((uint16_t)(number + NUMBERS_APART), change->count);
    case SPACE_CHANGE_SWAP:
        if (space == change->a || space == change->b) {
            return space_word(space == change->a ? change->number_b : change->number_a, change->count);
        }
        return word;
    case SPACE_CHANGE_NONE:
        break;
    }
    return word;
}

/* ---- The view --------------------------------------------------------------------------------------------------- */

void space_view_init(struct space_view *view) {
    *view = (struct space_view){0};
    for (uint16_t s = 0; s < DM_SPACES; s++) {
        view->number[s] = s;
    }
}

uint16_t space_of_number(const struct space_view *view, uint16_t number) {
    for (uint16_t s = 0; s < DM_SPACES; s++) {
        if (view->number[s] == number) {
            return s;
        }
    }
    return DM_SPACE_ALL;
}

static uint32_t count_of(uint64_t change) { return (uint32_t)change & SPACE_COUNT_MASK; }

static bool is_under_way(uint64_t change) { return change >> 62 != SPACE_CHANGE_NONE; }

/* Did `change` stand in the table behind `known`? A change under way has the count that it will leave. */
static bool is_newer(uint64_t change, uint64_t known) {
    uint32_t ahead = (count_of(change) - count_of(known)) & SPACE_COUNT_MASK;
    return ahead == 0 ? is_under_way(known) : ahead <= SPACE_COUNT_MASK / 2;
}

void space_note(struct space_view *view, const struct space_table *table, uint64_t look) {
    if (!is_newer(table->change, view->change)) {
        return;
    }
    bool done = !is_under_way(table->change);
    if (done && (view->done != table->change || look <= view->done_at)) {
        view->done_at = view->done != table->change ? view->looks : view->done_at;
        view->done = table->change;
        return;
    }
    view->done = 0;
    view->change = table->change;
    for (uint16_t s = 0; s < DM_SPACES && !space_is_held(view); s++) {
        view->number[s] = space_number(table->words[s], s);
    }
}

/* ---- Changes ---------------------------------------------------------------------------------------------------- */

static uint64_t table_offset(const struct dm_session *session) { return session->pool->layout.spaces_offset; }

/* READs the table and, behind it, the epoch; notes the table. */
static enum dm_status read_table(struct dm_session *session, struct space_table *table, uint64_t *epoch) {
    uint64_t look = space_look(&session->spaces);
    struct buffer *buffer = buffer_take(&session->buffers, sizeof *table + sizeof *epoch);
    if (buffer == NULL) {
        return DM_BUSY;
    }
    struct dm_batch batch;
    session_maintain_begin(session, &batch);
    dm_batch_read(&batch, session->members.control[0], table_offset(session), buffer->bytes, sizeof *table);
    enum dm_status status = session_maintain(session, &batch);
    if (status == DM_OK) { /* behind it, so that no operation of an older epoch can have missed the change */
        session_maintain_begin(session, &batch);
        dm_batch_read(&batch, session->members.control[0], session->pool->layout.epoch_offset,
                      buffer->bytes + sizeof *table, sizeof *epoch);
        status = session_maintain(session, &batch);
    }
    if (status == DM_OK) {
        memcpy(table, buffer->bytes, sizeof *table);
        memcpy(epoch, buffer->bytes + sizeof *table, sizeof *epoch);
        space_note(&session->spaces, table, look);
    }
    buffer_give(&session->buffers, buffer);
    return status;
}

/* CAS of a word of the table on control node `c`; *found: what it held. */
static enum dm_status cas_on(struct dm_session *session, uint32_t c, size_t field, uint64_t swap[2], uint64_t *found) {
    struct dm_batch batch;
    session_maintain_begin(session, &batch);
    struct dm_op *cas =
        dm_batch_cas(&batch, session->members.control[c], table_offset(session) + field, swap[0], swap[1]);
    enum dm_status status = session_maintain(session, &batch);
    *found = cas->result;
    return status;
}

/* The second control node decides and the first comes last, so that what anybody reads there is not lost with it. Who
 * is beaten ends the change of who was faster: that one may have died. */
static enum dm_status cas_table(struct dm_session *session, size_t field, uint64_t from, uint64_t to, bool *done) {
    uint32_t controls = session->members.control_count;
    uint64_t swap[2] = {from, to};
    uint64_t found = from;
    enum dm_status status = DM_OK;
    *done = false;
    if (controls > 1) {
        status = cas_on(session, 1, field, swap, &found);
        swap[1] = found == from || found == to ? to : found;
    }
    for (uint32_t c = 2; c < controls && status == DM_OK; c++) {
        status = cas_on(session, c, field, swap, &found);
        if (status == DM_OK && found != swap[0] && found != swap[1]) {
            status = cas_on(session, c, field, (uint64_t[2]){found, swap[1]}, &found);
        }
    }
    if (status == DM_OK) {
        status = cas_on(session, 0, field, swap, &found);
        *done = status == DM_OK && swap[1] == to && (controls > 1 || found == from);
    }
    return status;
}

/* Steps 4 and 5. The first control node last, as above. */
static enum dm_status apply(struct dm_session *session, const struct space_table *table) {
    struct space_change change = space_change_of(table->change);
    enum dm_status status = DM_OK;
    for (uint32_t c = session->members.control_count; c-- > 0 && status == DM_OK;) {
        struct dm_batch batch;
        session_maintain_begin(session, &batch);
        for (uint16_t s = 0; s < DM_SPACES; s++) {
            uint64_t after = space_word_after(table->words[s], s, &change);
            if (after != table->words[s]) {
                uint64_t offset = offsetof(struct space_table, words) + s * sizeof(uint64_t);
                dm_batch_cas(&batch, session->members.control[c], table_offset(session) + offset, table->words[s],
                             after);
            }
        }
        status = batch.count == 0 ? DM_OK : session_maintain(session, &batch);
    }
    bool done;
    return status != DM_OK ? status
                           : cas_table(session, offsetof(struct space_table, change), table->change,
                                       count_of(table->change), &done);
}

/* One look at what is under way and what can be done about it now. `began`: what its first look has found. */
struct looking {
    uint64_t change; /* 0: none yet */
    uint64_t epoch;
    uint64_t ns;
    bool ours;
};

static enum dm_status go_on(struct dm_session *session, const struct looking *began, const struct space_table *table,
                            uint64_t epoch) {
    bool waited = epoch >= began->epoch + 2;
    uint64_t wait_ns = began->ours ? WAIT_MAX_NS : 2 * WAIT_MAX_NS;
    bool done;
    if (space_change_of(table->change).certain) {
        return apply(session, table);
    }
    if (waited) {
        struct space_change certain = space_change_of(table->change);
        certain.certain = true;
        return cas_table(session, offsetof(struct space_table, change), table->change, space_change_word(certain),
                         &done);
    }
    if (pool_clock_ns(session->pool) - began->ns > wait_ns) {
        pool_log(session->pool, DM_LOG_WARNING, "a flush or swap of databases was called off: operations do not end");
        return cas_table(session, offsetof(struct space_table, change), table->change, count_of(table->change), &done);
    }
    session->tick_ns = session->now_ns; /* it is this client's announcement, too, that is waited for */
    dm_coro_sleep(session->sched, LOOK_NS);
    return DM_OK;
}

/* Waits for the end of what is under way, or brings it about. */
static enum dm_status finish(struct dm_session *session, bool ours) {
    struct looking began = {.ours = ours, .ns = pool_clock_ns(session->pool)};
    for (;;) {
        struct space_table table;
        uint64_t epoch;
        enum dm_status status = read_table(session, &table, &epoch);
        if (status != DM_OK) {
            return status;
        }
        if (!is_under_way(table.change)) {
            return read_table(session, &table, &epoch); /* its words, from behind the change */
        }
        if (began.change == 0 || count_of(began.change) != count_of(table.change)) {
            began = (struct looking){table.change, epoch, pool_clock_ns(session->pool), ours && began.change == 0};
        }
        status = go_on(session, &began, &table, epoch);
        if (status != DM_OK) {
            return status;
        }
    }
}

static enum dm_status wait_for_end(struct dm_session *session, bool ours) {
    struct space_view *view = &session->spaces;
    enum dm_status status = DM_OK;
    while (space_is_held(view) && status == DM_OK) {
        if (view->finishing) {
            dm_coro_sleep(session->sched, LOOK_NS);
            continue;
        }
        view->finishing = true;
        status = finish(session, ours);
        view->finishing = false;
    }
    return status;
}

enum dm_status space_wait(struct dm_session *session) { return wait_for_end(session, false); }

/* Has every number that a flush was to replace gone? Then its spaces were empty at a moment during it, even if it was
 * somebody else's flush that did it. */
static bool is_flushed(const struct space_change *change, const struct space_table *before,
                       const struct space_table *now) {
    bool all = change->kind == SPACE_CHANGE_FLUSH_ALL;
    bool left = change->kind == SPACE_CHANGE_SWAP;
    for (uint16_t s = 0; s < DM_SPACES; s++) {
        uint16_t old = space_number(before->words[all ? s : change->a], all ? s : change->a);
        for (uint16_t t = 0; t < DM_SPACES; t++) {
            left |= space_number(now->words[t], t) == old;
        }
    }
    return !left;
}

/* Has the change that this client wrote, when the table was `before`, been made? */
static enum dm_status outcome(struct dm_session *session, const struct space_change *change,
                              const struct space_table *before) {
    struct space_table table;
    uint64_t epoch;
    enum dm_status status = wait_for_end(session, true);
    if (status == DM_OK) {
        status = read_table(session, &table, &epoch);
    }
    if (status != DM_OK) {
        return DM_UNKNOWN_OUTCOME;
    }
    if (count_of(table.words[change->a]) == change->count || is_flushed(change, before, &table)) {
        return DM_OK;
    }
    return count_of(table.change) == change->count && !is_under_way(table.change) ? DM_UNREACHABLE : DM_UNKNOWN_OUTCOME;
}

/* Steps 1 to 5 of a change that is made from the table as it is. */
static enum dm_status change_spaces(struct dm_session *session, struct space_change change) {
    for (;;) {
        struct space_table table;
        uint64_t epoch;
        enum dm_status status = read_table(session, &table, &epoch);
        if (status == DM_OK && is_under_way(table.change)) {
            status = space_wait(session);
            if (status == DM_OK) {
                continue;
            }
        }
        if (status != DM_OK) {
            return status;
        }
        if (((count_of(table.change) - count_of(table.purged)) & SPACE_COUNT_MASK) > BEHIND_MAX) {
            status = dm_space_purge(session);
            if (status == DM_OK) {
                continue;
            }
            return status;
        }
        uint32_t count = (count_of(table.change) + 1) & SPACE_COUNT_MASK;
        change.count = count == 0 ? 1 : count;
        change.number_a = space_number(table.words[change.a], change.a);
        change.number_b = space_number(table.words[change.b], change.b);
        if (change.kind == SPACE_CHANGE_FLUSH) {
            change.number_a = (uint16_t)(change.number_a + NUMBERS_APART);
        }
        uint64_t word = space_change_word(change);
        bool done;
        status = cas_table(session, offsetof(struct space_table, change), table.change, word, &done);
        if (status != DM_OK) {
            return DM_UNKNOWN_OUTCOME;
        }
        if (done) {
            session->spaces.change = word;
            return outcome(session, &change, &table);
        }
    }
}

enum dm_status dm_space_flush(struct dm_session *session, uint16_t space) {
    if (space >= DM_SPACES && space != DM_SPACE_ALL) {
        return DM_INVALID;
    }
    if (space == DM_SPACE_ALL) {
        return change_spaces(session, (struct space_change){.kind = SPACE_CHANGE_FLUSH_ALL});
    }
    return change_spaces(session, (struct space_change){.kind = SPACE_CHANGE_FLUSH, .a = space});
}

enum dm_status dm_space_swap(struct dm_session *session, uint16_t a, uint16_t b) {
    if (a >= DM_SPACES || b >= DM_SPACES) {
        return DM_INVALID;
    }
    return a == b ? DM_OK : change_spaces(session, (struct space_change){.kind = SPACE_CHANGE_SWAP, .a = a, .b = b});
}

/* ---- What a flush leaves ---------------------------------------------------------------------------------------- */

static void ignore(void *context, const struct dm_scanned *scanned) {
    (void)context;
    (void)scanned;
}

enum dm_status dm_space_purge(struct dm_session *session) {
    struct space_table table;
    uint64_t epoch;
    uint64_t cursor = 0;
    enum dm_status status = space_wait(session);
    if (status == DM_OK) {
        status = read_table(session, &table, &epoch);
    }
    if (status == DM_OK && (is_under_way(table.change) || count_of(table.change) == table.purged)) {
        return DM_OK; /* a change is under way: its client does it. Or nothing is there */
    }
    do {
        if (status == DM_OK) { /* the scan hands what it meets under old numbers to the session's jobs */
            status = dm_scan(session, &(struct dm_scan){DM_SPACE_ALL, PURGE_KEYS, ignore, NULL}, &cursor);
        }
        while (status == DM_OK && session->job_count != 0) { /* a session that closes begins no more of them */
            dm_coro_sleep(session->sched, LOOK_NS);
            status = session->watch.closing ? DM_BUSY : DM_OK;
        }
    } while (status == DM_OK && cursor != 0);
    while (session->jobs_running && status == DM_OK) {
        dm_coro_sleep(session->sched, LOOK_NS);
    }
    if (status == DM_OK) {
        status = count_forget(session, &table);
    }
    bool done;
    return status != DM_OK
               ? status
               : cas_table(session, offsetof(struct space_table, purged), table.purged, count_of(table.change), &done);
}
