/* count.c: see count.h; also dm_count of dm.h. */
#include "fusee/count.h"

#include <string.h>

#include "fusee/recount.h"
#include "fusee/session.h"

uint64_t count_sum(const uint64_t *words, uint32_t count, uint16_t number) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += words[i] != 0 && count_number(words[i]) == number ? words[i] : 0;
    }
    return sum & COUNT_KEYS_MASK;
}

/* ---- The process's view ----------------------------------------------------------------------------------------- */

static _Atomic uint64_t *known_word(const struct dm_session *session, uint32_t row, uint32_t client) {
    return &session->pool->counts[row * layout_count_words(&session->pool->layout) + client];
}

static void show(struct dm_session *session, uint32_t row) {
    atomic_store_explicit(known_word(session, row, session->client), session->counts.words[row], memory_order_release);
}

/* Which clients are sessions of this process? */
static struct client_set counted_here(const struct dm_pool *pool) {
    struct client_set here;
    for (size_t i = 0; i < sizeof here.bits / sizeof here.bits[0]; i++) {
        here.bits[i] = atomic_load_explicit(&pool->counted_here[i], memory_order_acquire);
    }
    return here;
}

enum dm_status count_open(struct dm_session *session) {
    struct counts *counts = &session->counts;
    struct buffer *buffer = buffer_take(&session->buffers, sizeof counts->words);
    if (buffer == NULL) {
        return DM_BUSY;
    }
    struct dm_batch batch;
    session_maintain_begin(session, &batch);
    for (uint32_t row = 0; row < LAYOUT_COUNT_ROWS; row++) {
        dm_batch_read(&batch, session->members.control[0],
                      layout_count_offset(&session->pool->layout, row, session->client),
                      buffer->bytes + row * sizeof(uint64_t), sizeof(uint64_t));
    }
    enum dm_status status = session_maintain(session, &batch);
    if (status == DM_OK) {
        *counts = (struct counts){.epoch = UINT64_MAX, .posted_epoch = UINT64_MAX};
        memcpy(counts->words, buffer->bytes, sizeof counts->words);
        for (uint32_t row = 0; row < COUNT_CHANGES_ROW; row++) {
            show(session, row);
        }
        atomic_fetch_or_explicit(&session->pool->counted_here[session->client / 64],
                                 UINT64_C(1) << (session->client % 64), memory_order_release);
    }
    buffer_give(&session->buffers, buffer);
    return status;
}

void count_again(struct dm_session *session) {
    struct counts *counts = &session->counts;
    counts->unwritten = (UINT64_C(1) << LAYOUT_COUNT_ROWS) - 1;
    counts->epoch = session->epoch < counts->epoch ? session->epoch : counts->epoch;
}

void count_close(struct dm_session *session) {
    atomic_fetch_and_explicit(&session->pool->counted_here[session->client / 64],
                              ~(UINT64_C(1) << (session->client % 64)), memory_order_release);
}

/* ---- Changes ---------------------------------------------------------------------------------------------------- */

enum count_as count_object(const void *object) {
    const struct object_header *header = object_header(object);
    if (header->type == OBJECT_TYPE_ABSENT) {
        return COUNT_NOTHING;
    }
    return header->expire_ms != DM_NO_EXPIRY ? COUNT_EXPIRING : COUNT_KEY;
}

enum count_as count_found(const struct fusee_op *op) {
    if (op->result != FIND_LIVE) {
        return COUNT_NOTHING;
    }
    return op->object != NULL ? count_object(op->object->bytes) : op->found;
}

static void set_word(struct dm_session *session, uint32_t row, uint64_t word, uint64_t epoch) {
    struct counts *counts = &session->counts;
    counts->words[row] = word;
    counts->unwritten |= UINT64_C(1) << row;
    counts->epoch = epoch < counts->epoch ? epoch : counts->epoch;
    if (row < COUNT_CHANGES_ROW) {
        show(session, row);
    }
}

static void add(struct fusee_op *op, uint32_t first_row, bool had, bool has) {
    struct dm_session *session = op->session;
    uint16_t number = op->numbered.space;
    uint32_t row = first_row + number % DM_SPACES;
    uint64_t word = session->counts.words[row];
    if (had == has) {
        return;
    }
    if (count_is_old(word, number)) {
        word = count_word(number, 0);
    } else if (count_number(word) != number) {
        return; /* a flush has left this key: it does not count any more */
    }
    uint64_t keys = word + (has ? 1 : COUNT_KEYS_MASK);
    set_word(session, row, count_word(number, keys), op->epoch);
    set_word(session, COUNT_CHANGES_ROW, session->counts.words[COUNT_CHANGES_ROW] + 1, op->epoch);
}

void count_change(struct fusee_op *op, enum count_as had, enum count_as has) {
    add(op, 0, had != COUNT_NOTHING, has != COUNT_NOTHING);
    add(op, COUNT_EXPIRING_ROW, had == COUNT_EXPIRING, has == COUNT_EXPIRING);
}

void count_doubt(struct dm_session *session) { session->counts.doubt = true; }

/* ---- Writing ---------------------------------------------------------------------------------------------------- */

/* To all control nodes, the first of them last. */
static enum dm_status write_all(struct dm_session *session, const uint64_t *words, uint64_t rows, bool doubt) {
    const struct layout *layout = &session->pool->layout;
    enum dm_status status = DM_OK;
    for (uint32_t c = session->members.control_count; c-- > 0 && status == DM_OK;) {
        uint16_t node = session->members.control[c];
        struct dm_batch batch;
        session_maintain_begin(session, &batch);
        for (uint32_t row = 0; row < LAYOUT_COUNT_ROWS; row++) {
            if ((rows >> row & 1) != 0) {
                dm_batch_write(&batch, node, layout_count_offset(layout, row, session->client), &words[row],
                               sizeof words[row]);
            }
        }
        if (doubt) {
            dm_batch_faa(&batch, node, layout->epoch_offset + offsetof(struct epoch_line, miscounts), 1);
        }
        status = session_maintain(session, &batch);
    }
    return status;
}

enum dm_status count_write(struct dm_session *session) {
    struct counts *counts = &session->counts;
    if (counts->unwritten == 0 && !counts->doubt) {
        return DM_OK;
    }
    struct buffer *buffer = buffer_take(&session->buffers, sizeof counts->words);
    if (buffer == NULL) {
        return DM_BUSY;
    }
    memcpy(buffer->bytes, counts->words, sizeof counts->words);
    uint64_t posted = counts->unwritten;
    bool doubt = counts->doubt;
    counts->posted_epoch = counts->epoch;
    counts->epoch = UINT64_MAX;
    counts->unwritten = 0; /* what changes meanwhile is written the next time */
    counts->doubt = false;
    enum dm_status status = write_all(session, (const uint64_t *)buffer->bytes, posted, doubt);
    if (status != DM_OK) {
        counts->unwritten |= posted;
        counts->doubt |= doubt;
        counts->epoch = count_epoch(counts);
    }
    counts->posted_epoch = UINT64_MAX;
    buffer_give(&session->buffers, buffer);
    return status;
}

void count_note(struct dm_session *session, const struct epoch_line *line, const struct space_table *table) {
    struct counts *counts = &session->counts;
    counts->miscounts = line->miscounts;
    counts->recounted = line->recounted;
    for (uint16_t s = 0; s < DM_SPACES; s++) {
        uint16_t number = space_number(table->words[s], s);
        for (uint32_t row = number % DM_SPACES; row < COUNT_CHANGES_ROW; row += COUNT_EXPIRING_ROW) {
            if (counts->words[row] != 0 && count_is_old(counts->words[row], number)) {
                set_word(session, row, count_word(number, 0), counts->epoch);
            }
        }
    }
}

/* ---- Numbers that come back ------------------------------------------------------------------------------------- */

/* READs the row into `words`, and CASes those away that are behind `number`. */
static enum dm_status forget_row(struct dm_session *session, uint32_t row, uint16_t number, uint64_t *words) {
    const struct layout *layout = &session->pool->layout;
    uint32_t count = layout_count_words(layout);
    struct dm_batch batch;
    session_maintain_begin(session, &batch);
    dm_batch_read(&batch, session->members.control[0], layout_count_offset(layout, row, 0), words,
                  count * (uint32_t)sizeof *words);
    enum dm_status status = session_maintain(session, &batch);
    session_maintain_begin(session, &batch);
    for (uint32_t i = 0; i < count && status == DM_OK; i++) {
        if (words[i] == 0 || !count_is_old(words[i], number)) {
            continue;
        }
        for (uint32_t c = 0; c < session->members.control_count; c++) {
            dm_batch_cas(&batch, session->members.control[c], layout_count_offset(layout, row, i), words[i],
                         count_word(number, 0));
        }
        if (dm_batch_room(&batch) < LAYOUT_REPLICAS_MAX) {
            status = session_maintain(session, &batch);
            session_maintain_begin(session, &batch);
        }
    }
    return status == DM_OK && batch.count != 0 ? session_maintain(session, &batch) : status;
}

enum dm_status count_forget(struct dm_session *session, const struct space_table *table) {
    uint32_t bytes = layout_count_words(&session->pool->layout) * (uint32_t)sizeof(uint64_t);
    struct buffer *buffer = buffer_take(&session->buffers, bytes);
    enum dm_status status = buffer == NULL ? DM_BUSY : DM_OK;
    for (uint16_t s = 0; s < DM_SPACES; s++) {
        uint16_t number = space_number(table->words[s], s);
        uint32_t row = number % DM_SPACES;
        for (; row < COUNT_CHANGES_ROW && status == DM_OK; row += COUNT_EXPIRING_ROW) {
            status = forget_row(session, row, number, (uint64_t *)buffer->bytes);
        }
    }
    if (buffer != NULL) {
        buffer_give(&session->buffers, buffer);
    }
    return status;
}

/* ---- dm_count --------------------------------------------------------------------------------------------------- */

/* The rows of one space or of all, and what was counted here before they were read. */
struct look {
    uint16_t first, end; /* spaces */
    uint64_t *marks;     /* miscounts, recounted */
    uint64_t *words;     /* of each space the row of its keys and that of those that will expire */
    struct client_set here;
};

static uint32_t look_bytes(const struct look *look, uint32_t count) {
    return ((look->end - look->first) * 2u * count + 2) * (uint32_t)sizeof(uint64_t);
}

static enum dm_status look_read(struct fusee_op *op, struct look *look) {
    const struct layout *layout = &op->session->pool->layout;
    uint32_t count = layout_count_words(layout);
    uint64_t *words = look->words;
    look->here = counted_here(op->session->pool);
    op_batch_init(op);
    dm_batch_read(&op->batch, op->session->members.control[0],
                  layout->epoch_offset + offsetof(struct epoch_line, miscounts), look->marks, 2 * sizeof *look->marks);
    for (uint16_t s = look->first; s < look->end; s++) {
        uint32_t row = op->session->spaces.number[s] % DM_SPACES;
        for (; row < COUNT_CHANGES_ROW; row += COUNT_EXPIRING_ROW, words += count) {
            dm_batch_read(&op->batch, op->session->members.control[0], layout_count_offset(layout, row, 0), words,
                          count * (uint32_t)sizeof *words);
        }
    }
    return op_execute(op);
}

/* Adds up one row. What is known here is newer. */
static uint64_t sum_row(const struct dm_session *session, const struct look *look, uint32_t row, uint64_t *words,
                        uint16_t number) {
    uint32_t count = layout_count_words(&session->pool->layout);
    struct client_set now = counted_here(session->pool);
    for (uint32_t c = 0; c + 1 < count; c++) {
        if (client_set_has(&look->here, c) || client_set_has(&now, c)) {
            words[c] = atomic_load_explicit(known_word(session, row, c), memory_order_acquire);
        }
    }
    uint64_t sum = count_sum(words, count, number);
    bool negative = sum >> (COUNT_KEYS_BITS - 1) != 0; /* a removal was read, and the creation before was not */
    return negative ? 0 : sum;
}

static void look_sum(const struct dm_session *session, const struct look *look, struct dm_count *out) {
    uint32_t count = layout_count_words(&session->pool->layout);
    for (uint16_t s = look->first; s < look->end; s++) {
        uint16_t number = session->spaces.number[s];
        uint32_t row = number % DM_SPACES;
        uint64_t *words = look->words + (size_t)(s - look->first) * 2 * count;
        out[s - look->first] = (struct dm_count){
            .keys = sum_row(session, look, row, words, number),
            .expiring = sum_row(session, look, row + COUNT_EXPIRING_ROW, words + count, number),
        };
    }
}

/* One batch. *doubt: it need not be right. */
static enum dm_status look_run(struct fusee_op *op, struct look *look, struct dm_count *out, bool *doubt) {
    struct dm_session *session = op->session;
    struct buffer *buffer =
        buffer_take(&session->buffers, look_bytes(look, layout_count_words(&session->pool->layout)));
    if (buffer == NULL) {
        return DM_BUSY;
    }
    look->marks = (uint64_t *)buffer->bytes;
    look->words = look->marks + 2;
    enum dm_status status = look_read(op, look);
    if (status == DM_OK) {
        *doubt = session->counts.doubt || look->marks[0] != look->marks[1];
        look_sum(session, look, out);
    }
    buffer_give(&session->buffers, buffer);
    return status;
}

enum dm_status dm_count(struct dm_session *session, uint16_t space, struct dm_count *out) {
    bool all = space == DM_SPACE_ALL;
    if (!all && space >= DM_SPACES) {
        return DM_INVALID;
    }
    struct fusee_op *op = op_begin(session, DM_KIND_SCAN);
    if (op == NULL) {
        return session->refusal;
    }
    struct look look = {.first = all ? 0 : space, .end = (uint16_t)(all ? DM_SPACES : space + 1u)};
    bool doubt = false;
    enum dm_status status = look_run(op, &look, out, &doubt);
    op_end(op);
    if (status == DM_OK && doubt) {
        struct dm_count walked[DM_SPACES];
        status = recount_walk(session, space, walked);
        memcpy(out, &walked[look.first], (size_t)(look.end - look.first) * sizeof *out);
    }
    return status;
}
