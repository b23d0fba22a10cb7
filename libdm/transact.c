/* transact.c: dm_transact of dm.h: looks for all keys, lets the caller decide in memory (the view), and has the engine
 * (fusee/transaction.h) make it happen or not; again until it has happened. Runs in the caller's coroutine. */
#include "transact.h"

#include <string.h>

#include "assert.h"
#include "fusee/find.h"
#include "fusee/many.h"
#include "fusee/transaction.h"
#include "fusee/write.h"

#define ORDERED_FROM 3u /* attempts, the first is 0: from here on slot by slot */
#define RETRY_FIRST_NS 1000000u

/* ---- View ------------------------------------------------------------------------------------------------------- */

static struct transaction_part *part_of(struct transaction *tx, const struct dm_key *key) {
    uint64_t hash = index_hash(key, tx->session->pool->hash_seed);
    for (uint32_t i = 0; i < tx->count; i++) {
        const struct dm_key *its = &tx->parts[i].key;
        if (tx->parts[i].hash == hash && its->length == key->length && its->space == key->space &&
            memcmp(its->bytes, key->bytes, key->length) == 0) {
            return &tx->parts[i];
        }
    }
    return NULL;
}

/* What the key holds, after what was decided so far; false: nothing. */
static bool current(const struct transaction *tx, const struct transaction_part *part, struct dm_value *out) {
    const struct dm_env *env = tx->session->env;
    switch (part->action) {
    case DM_KEEP:
        return part->op->result == FIND_LIVE && part->op->object != NULL && write_value(part->op, out);
    case DM_DELETE:
        return false;
    case DM_WRITE:
        break;
    }
    const struct object_header *header = object_header(part->written->bytes);
    *out = (struct dm_value){.bytes = object_value(part->written->bytes),
                             .length = header->value_length,
                             .type = header->type,
                             .encoding = header->encoding,
                             .expire_ms = header->expire_ms};
    return object_shows(header, env->wall_ms(env->context));
}

/* What was decided before may be in the caller's hands until its function returns. */
static void put_aside(struct transaction *tx, struct transaction_part *part) {
    if (part->written != NULL) {
        part->written->next = tx->aside;
        tx->aside = part->written;
        part->written = NULL;
    }
}

static void drop_aside(struct transaction *tx) {
    while (tx->aside != NULL) {
        struct buffer *buffer = tx->aside;
        tx->aside = buffer->next;
        buffer_give(&tx->session->buffers, buffer);
    }
}

static enum dm_status write_part(struct transaction *tx, struct transaction_part *part, const struct dm_write *write) {
    struct dm_session *session = tx->session;
    uint64_t length = 0;
    for (size_t i = 0; i < sizeof write->part / sizeof write->part[0]; i++) {
        length += write->part[i].length;
    }
    uint32_t inside = tx->count > TRANSACTION_SLOTS_INSIDE ? 1 : tx->count;
    uint64_t bytes = object_bytes(part->key.length, length);
    if (bytes + inside * sizeof(struct object_slot) > sizeclass_bytes(session->pool->class_max)) {
        return DM_TOO_LARGE;
    }
    struct buffer *object = buffer_take(&session->buffers, (uint32_t)bytes);
    if (object == NULL) {
        return DM_BUSY;
    }
    struct object_content content = {.key = part->op->key, .hash = part->op->hash, .write = *write};
    (void)object_fill(object->bytes, &content);
    put_aside(tx, part);
    part->unchanged = write->unchanged && (part->action == DM_KEEP || part->unchanged);
    part->written = object;
    part->action = DM_WRITE;
    return DM_OK;
}

enum dm_status view_get(struct dm_session *session, const struct dm_key *key, struct dm_read *out) {
    struct transaction *tx = session->view;
    const struct transaction_part *part = part_of(tx, key);
    struct dm_value value;
    if (part == NULL) {
        return DM_INVALID;
    }
    if (!current(tx, part, &value)) {
        return DM_NOT_FOUND;
    }
    *out = (struct dm_read){.value = value};
    return DM_OK;
}

enum dm_status view_put(struct dm_session *session, const struct dm_key *key, const struct dm_write *write) {
    struct transaction_part *part = part_of(session->view, key);
    return part == NULL ? DM_INVALID : write_part(session->view, part, write);
}

static void delete_part(struct transaction *tx, struct transaction_part *part) {
    put_aside(tx, part);
    part->action = part->op->result == FIND_LIVE ? DM_DELETE : DM_KEEP;
}

enum dm_status view_delete(struct dm_session *session, const struct dm_key *key) {
    struct transaction *tx = session->view;
    struct transaction_part *part = part_of(tx, key);
    struct dm_value value;
    if (part == NULL) {
        return DM_INVALID;
    }
    bool present = tx->blind || current(tx, part, &value);
    if (present) {
        delete_part(tx, part);
    }
    return present ? DM_OK : DM_NOT_FOUND;
}

enum dm_status view_update(struct dm_session *session, const struct dm_key *key, dm_update_fn *fn, void *context,
                           struct dm_read *old_out) {
    struct transaction *tx = session->view;
    struct transaction_part *part = part_of(tx, key);
    struct dm_value old;
    struct dm_write write = {0};
    if (part == NULL) {
        return DM_INVALID;
    }
    bool present = current(tx, part, &old);
    enum dm_action action = fn(context, present ? &old : NULL, &write);
    enum dm_status status = action == DM_WRITE ? write_part(tx, part, &write) : DM_OK;
    if (action == DM_DELETE && present) {
        delete_part(tx, part);
    }
    if (status == DM_OK && old_out != NULL) {
        *old_out = (struct dm_read){0};
        if (present) {
            old_out->value = old;
            old_out->buffer = tx->memory; /* not NULL: it was there */
        }
    }
    return status;
}

enum dm_status view_watch(struct dm_session *session, const struct dm_key *key, struct dm_watched *out) {
    const struct transaction_part *part = part_of(session->view, key);
    struct dm_value value;
    if (part == NULL) {
        return DM_INVALID;
    }
    const struct fusee_op *op = part->op;
    bool found = op->result == FIND_LIVE && op->object != NULL;
    bool absent = !found || !write_value(op, &value);
    bool noted = found && object_header(op->object->bytes)->type == OBJECT_TYPE_ABSENT;
    *out = (struct dm_watched){.version = noted || !absent ? object_header(op->object->bytes)->origin : 0,
                               .absent = absent,
                               .number = op->key->space};
    return DM_OK;
}

/* ---- Attempts ---------------------------------------------------------------------------------------------------- */

static enum dm_status look(struct transaction *tx, bool guess) {
    enum find_want want = tx->blind ? FIND_FOR_PUT : FIND_FOR_WRITE;
    tx->lead->members = tx->session->members.word;
    for (uint32_t i = 0; i < tx->count; i++) {
        struct transaction_part *part = &tx->parts[i];
        part->op->epoch = tx->lead->epoch;
        part->op->members = tx->lead->members;
        op_set_key(part->op, &part->key); /* parts change places, spaces their numbers */
        part->guess = guess && write_guess(part->op, want, tx->blind ? GUESS_SLOT : GUESS_VALUE);
        if (!part->guess) {
            find_start(part->op, want, true);
        }
        tx->ops[i] = part->op;
        tx->statuses[i] = DM_OK;
    }
    many_find(tx->lead, tx->ops, tx->count, tx->statuses);
    for (uint32_t i = 0; i < tx->count; i++) {
        if (tx->statuses[i] != DM_OK) {
            return tx->statuses[i];
        }
    }
    return DM_OK;
}

/* Does anything change? */
static bool decide(struct transaction *tx, const struct dm_transact *request) {
    for (uint32_t i = 0; i < tx->count; i++) {
        put_aside(tx, &tx->parts[i]);
        tx->parts[i].action = DM_KEEP;
        tx->parts[i].unchanged = false;
    }
    drop_aside(tx);
    tx->session->view = tx;
    request->decide(request->context);
    tx->session->view = NULL;
    drop_aside(tx);
    bool any = false;
    for (uint32_t i = 0; i < tx->count; i++) {
        any |= tx->parts[i].action != DM_KEEP;
    }
    return any;
}

/* Nothing is to be written: did all keys hold at one moment what was decided from? */
static enum dm_status confirm(struct transaction *tx, bool *changed) {
    bool guessed = false;
    for (uint32_t i = 0; i < tx->count; i++) {
        guessed |= tx->parts[i].guess;
    }
    /* A guess has not been read at all, one word holds at one moment, several have to be seen twice. */
    uint32_t looks = (guessed ? 1u : 0u) + (tx->count > 1 ? 1u : 0u);
    enum dm_status status = DM_OK;
    *changed = false;
    for (uint32_t i = 0; i < looks && status == DM_OK && !*changed; i++) {
        status = many_look_again(tx->lead, tx->ops, tx->count, tx->changed, changed);
    }
    tx->session->stats.pictures_retaken += *changed;
    return status;
}

/* Behind an abort, holding nothing: until the slots that were lost have moved on. */
static enum dm_status wait_for_lost(struct transaction *tx) {
    enum dm_status status = DM_OK;
    for (uint32_t i = 0; i < tx->count && status == DM_OK; i++) {
        struct transaction_part *part = &tx->parts[i];
        bool lost = part->tried && !part->won;
        uint64_t moved_to;
        if (part->guess && lost) {
            write_note_guess(part->op, true);
        }
        if (lost) {
            status = round_wait(tx->lead, part->address, part->v_old, &moved_to);
        }
        if (status == DM_OK && part->insert && (lost || tx->conflict)) {
            find_release(part->op);
            status = find_look(part->op);
        }
    }
    return status;
}

/* Goes on behind failures for a while. */
static enum dm_status drive(struct transaction *tx) {
    struct dm_session *session = tx->session;
    enum dm_status status = transaction_try(tx);
    uint64_t since_ns = status == DM_UNKNOWN_OUTCOME ? pool_clock_ns(session->pool) : 0;
    uint64_t now_ns = since_ns;
    while (status == DM_UNKNOWN_OUTCOME && now_ns - since_ns < ROUND_RETRY_NS && !session->watch.closing) {
        dm_coro_sleep(session->sched, RETRY_FIRST_NS + (now_ns - since_ns) / 2);
        status = transaction_try(tx);
        now_ns = pool_clock_ns(session->pool);
    }
    return status;
}

static void book(struct transaction *tx) {
    for (uint32_t i = 0; i < tx->count; i++) {
        op_join_cost(tx->lead, tx->parts[i].op);
    }
    op_book(tx->lead);
}

/* How an attempt has ended. */
enum attempt_end {
    ATTEMPT_AGAIN,   /* somebody else was first, or memory had to be waited for */
    ATTEMPT_NOTHING, /* is to be written */
    ATTEMPT_LEFT,    /* the reply is due, the transaction goes on by itself */
};

static enum dm_status attempt(struct transaction *tx, const struct dm_transact *request, bool guess,
                              enum attempt_end *end) {
    bool again = false;
    *end = ATTEMPT_AGAIN;
    enum dm_status status = look(tx, guess);
    if (status == DM_OK && !decide(tx, request)) {
        status = confirm(tx, &again);
        *end = again ? ATTEMPT_AGAIN : ATTEMPT_NOTHING;
        return status;
    }
    if (status == DM_OK) {
        status = transaction_prepare(tx, &again);
    }
    if (status != DM_OK || again) {
        return status;
    }
    status = drive(tx);
    if (status == DM_OK && !tx->committed) {
        return wait_for_lost(tx);
    }
    if (status == DM_OK || status == DM_UNKNOWN_OUTCOME) {
        *end = ATTEMPT_LEFT;
        book(tx);
        transaction_leave(tx);
    }
    return status;
}

static enum dm_status run(struct transaction *tx, const struct dm_transact *request) {
    enum attempt_end end = ATTEMPT_AGAIN;
    enum dm_status status = DM_OK;
    for (uint32_t i = 0; status == DM_OK && end == ATTEMPT_AGAIN; i++) {
        if (i != 0) {
            tx->session->stats.retries++;
            op_back_off(tx->lead, i);
        }
        tx->ordered = i >= ORDERED_FROM;
        status = attempt(tx, request, i == 0, &end);
        if (end == ATTEMPT_AGAIN && op_may_go_on(tx->lead, status)) {
            status = DM_OK;
        }
    }
    if (end != ATTEMPT_LEFT) {
        transaction_free(tx);
    }
    return status;
}

/* ---- Open ------------------------------------------------------------------------------------------------------- */

static uint32_t bytes_of(uint32_t count) {
    return (uint32_t)(sizeof(struct transaction) +
                      count * (sizeof(struct transaction_part) + sizeof(struct fusee_op *) + sizeof(enum dm_status) +
                               sizeof(bool)));
}

static struct transaction *open_empty(struct dm_session *session, uint32_t count, enum dm_status *status) {
    struct fusee_op *lead = op_begin(session, DM_KIND_TRANSACT);
    struct buffer *memory = lead == NULL ? NULL : buffer_take(&session->buffers, bytes_of(count));
    if (memory == NULL) {
        *status = lead == NULL ? session->refusal : DM_BUSY;
        if (lead != NULL) {
            op_end(lead);
        }
        return NULL;
    }
    memset(memory->bytes, 0, bytes_of(count));
    struct transaction *tx = (struct transaction *)memory->bytes;
    tx->session = session;
    tx->lead = lead;
    tx->memory = memory;
    tx->ops = (struct fusee_op **)(tx->parts + count);
    tx->statuses = (enum dm_status *)(tx->ops + count);
    tx->changed = (bool *)(tx->statuses + count);
    transaction_enlist(tx);
    return tx;
}

static enum dm_status add_key(struct transaction *tx, const struct dm_key *key) {
    if (part_of(tx, key) != NULL) {
        return DM_OK;
    }
    if (tx->count == DM_KEYS_MAX) {
        return DM_TOO_LARGE;
    }
    enum dm_status status = store_check_key(tx->session, key);
    struct transaction_part *part = &tx->parts[tx->count];
    part->op = status == DM_OK ? op_begin_part(tx->lead) : NULL;
    if (part->op == NULL) {
        return status == DM_OK ? tx->session->refusal : status;
    }
    part->key = *key;
    part->hash = index_hash(key, tx->session->pool->hash_seed);
    op_set_key(part->op, &part->key);
    tx->count++;
    return DM_OK;
}

enum dm_status dm_transact(struct dm_session *session, const struct dm_transact *request) {
    if (session->view != NULL) { /* part of the transaction that is being decided */
        request->decide(request->context);
        return DM_OK;
    }
    if (request->count == 0) {
        return DM_INVALID;
    }
    enum dm_status status = DM_OK;
    uint32_t capacity = request->count < DM_KEYS_MAX ? request->count : DM_KEYS_MAX;
    struct transaction *tx = open_empty(session, capacity, &status);
    if (tx == NULL) {
        return status;
    }
    tx->blind = request->blind;
    for (uint32_t i = 0; i < request->count && status == DM_OK; i++) {
        status = add_key(tx, &request->keys[i]);
    }
    if (status != DM_OK) {
        transaction_free(tx);
        return status;
    }
    return run(tx, request);
}
