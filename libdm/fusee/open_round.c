/* open_round.c: see open_round.h. */
#include "fusee/open_round.h"

#include "assert.h"
#include "fusee/round_members.h"

#define TRY_EVERY_NS UINT64_C(20000000)

bool open_round_keep(struct fusee_op *op, const struct round *round, struct buffer *object, open_round_end_fn *ended) {
    struct dm_session *session = op->session;
    struct fusee_op *own = round->stage == ROUND_AT_END ? NULL : op_clone(op);
    if (own == NULL) {
        return false;
    }
    own->open = (struct open_round){.round = *round, .object = object, .ended = ended};
    round_enlist(own, &own->open.round);
    if (object != NULL && round->insert) { /* the check compares keys; the caller's key does not live so long */
        const struct object_header *header = object_header(object->bytes);
        own->open.key = (struct dm_key){object_key(header), header->key_length, header->space};
        own->key = &own->open.key;
    }
    if (session->stats.rounds_open++ == 0) {
        pool_log(session->pool, DM_LOG_WARNING,
                 "a memory node failed in the middle of a write; its outcome is unknown, and the write is gone on with "
                 "until the node answers");
    }
    own->next_free = session->open_rounds;
    session->open_rounds = own;
    session->open_round_ns = pool_clock_ns(session->pool) + TRY_EVERY_NS;
    return true;
}

/* Only one coroutine takes rounds out of the list; others may put some in at its head meanwhile. */
static void unlink_round(struct dm_session *session, const struct fusee_op *op) {
    struct fusee_op **link = &session->open_rounds;
    while (*link != op) {
        link = &(*link)->next_free;
    }
    *link = op->next_free;
}

static void give(struct fusee_op *op) {
    struct dm_session *session = op->session;
    round_delist(op, &op->open.round);
    if (op->open.object != NULL) {
        buffer_give(&session->buffers, op->open.object);
    }
    op_end(op);
    if (--session->stats.rounds_open == 0) {
        pool_log(session->pool, DM_LOG_NOTICE, "all writes of unknown outcome have ended");
    }
}

void open_round_run_all(struct dm_session *session) {
    struct fusee_op *next;
    for (struct fusee_op *op = session->open_rounds; op != NULL; op = next) {
        enum round_result result;
        enum dm_status status = round_try(op, &op->open.round, &result);
        next = op->next_free;
        if (status == DM_UNKNOWN_OUTCOME && op->open.round.stage != ROUND_AT_END) {
            continue;
        }
        unlink_round(session, op);
        if (op->open.round.stage == ROUND_AT_END && status != DM_UNKNOWN_OUTCOME) {
            op->open.ended(op, result);
        }
        give(op);
    }
    session->open_round_ns = pool_clock_ns(session->pool) + TRY_EVERY_NS;
}

bool open_round_has(const struct dm_session *session, uint64_t address) {
    const struct fusee_op *op = session->open_rounds;
    while (op != NULL && op->open.round.address != address) {
        op = op->next_free;
    }
    return op != NULL;
}

uint64_t open_round_due_ns(const struct dm_session *session) {
    return session->open_rounds == NULL ? UINT64_MAX : session->open_round_ns;
}
