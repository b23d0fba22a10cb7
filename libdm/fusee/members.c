/* members.c: see members.h. Its batches go past the gate that it closes for all others. */
#include "fusee/members.h"

#include "dm_loss.h"
#include "fusee/count.h"
#include "fusee/round_members.h"
#include "fusee/session.h"
#include "fusee/transaction.h"

#define LOOK_NS UINT64_C(200000)         /* while the session rests */
#define LOOK_LATER_NS UINT64_C(2000000)  /* if that takes long, or some node does not answer */
#define WAIT_MAX_NS UINT64_C(5000000000) /* for which an operation waits for the end of a change */

uint32_t members_control(const struct dm_pool *pool, uint64_t word, uint16_t *nodes) {
    uint32_t count = 0;
    for (uint32_t n = 0; n < pool->layout.super.nodes && count < pool->layout.super.replicas; n++) {
        if (members_has(word, n)) {
            nodes[count++] = (uint16_t)n;
        }
    }
    return count;
}

static void adopt(struct dm_session *session, uint64_t word) {
    layout_map_without(&session->layout, session->pool->map, members_lost(word));
    session->members.word = word;
    session->members.control_count = members_control(session->pool, word, session->members.control);
}

uint16_t members_first(const struct dm_session *session) {
    const struct members *members = &session->members;
    uint32_t c = 0;
    while (c + 1 < members->control_count && !members_has(members->seen, members->control[c])) {
        c++;
    }
    return members->control[c];
}

bool members_touch(const struct dm_session *session, uint64_t word, uint64_t address) {
    uint64_t now = session->members.word;
    const struct layout *layout = &session->layout;
    const struct region_replica *row = &layout->map[(address >> layout->region_shift) * layout->super.replicas];
    bool touched = false;
    for (uint32_t j = 0; j < layout->super.replicas; j++) {
        touched |= members_has(now, row[j].node) != members_has(word, row[j].node);
    }
    return touched;
}

/* ---- Open ------------------------------------------------------------------------------------------------------- */

enum dm_status members_open(struct dm_session *session) {
    const struct dm_env *env = session->env;
    session->layout = session->pool->layout;
    uint64_t entries = (uint64_t)session->layout.super.regions * session->layout.super.replicas;
    session->layout.map = env->allocate(env->context, entries * sizeof *session->layout.map);
    session->layout.left = env->allocate(env->context, session->layout.super.regions);
    if (session->layout.map == NULL || session->layout.left == NULL) {
        return DM_BUSY;
    }
    adopt(session, session->pool->members);
    session->members.seen = session->members.word;
    return DM_OK;
}

void members_close(struct dm_session *session) {
    const struct dm_env *env = session->env;
    if (session->layout.map != NULL && session->layout.map != session->pool->map) {
        env->release(env->context, session->layout.map);
    }
    if (session->layout.left != NULL) {
        env->release(env->context, session->layout.left);
    }
}

/* ---- Looking ---------------------------------------------------------------------------------------------------- */

/* READs the word on all nodes that `among` has. *answered: how many of them have. */
static enum dm_status look_among(struct dm_session *session, uint64_t among, uint32_t *answered, uint32_t *asked) {
    const struct layout *layout = &session->pool->layout;
    struct buffer *buffer = buffer_take(&session->buffers, layout->super.nodes * (uint32_t)sizeof(uint64_t));
    if (buffer == NULL) {
        return DM_BUSY;
    }
    uint64_t *words = (uint64_t *)buffer->bytes;
    struct dm_batch batch;
    dm_batch_init(&batch, &session->stats.kind[DM_KIND_MAINTENANCE].cost);
    for (uint16_t n = 0; n < layout->super.nodes; n++) {
        if (members_has(among, n)) {
            dm_batch_read(&batch, n, members_offset(layout), &words[n], sizeof words[n]);
        }
    }
    dm_fabric_execute(session->endpoint, &batch);
    *asked = batch.count;
    *answered = 0;
    for (uint32_t i = 0; i < batch.count; i++) {
        if (batch.ops[i].status == DM_OP_DONE) {
            ++*answered;
            members_note(session, words[batch.ops[i].node]);
        }
    }
    buffer_give(&session->buffers, buffer);
    return DM_OK;
}

enum dm_status members_look(struct dm_session *session) {
    uint32_t answered;
    uint32_t asked;
    enum dm_status status = look_among(session, members_lost(session->members.seen), &answered, &asked);
    return status != DM_OK ? status : answered == 0 ? DM_UNREACHABLE : DM_OK;
}

void members_tick(struct dm_session *session) {
    if (session->members.fails) {
        session->members.fails = members_look(session) != DM_OK;
    }
}

/* ---- Resting ---------------------------------------------------------------------------------------------------- */

static enum dm_status execute(struct dm_session *session, struct dm_batch *batch) {
    dm_fabric_execute(session->endpoint, batch);
    return batch->failed == 0 ? DM_OK : DM_UNREACHABLE;
}

static uint64_t record_offset(const struct dm_session *session) {
    return session->pool->layout.clients_offset + (uint64_t)session->client * LAYOUT_CLIENT_BYTES;
}

/* Says that this session rests for `word`, on every node that is left. */
static enum dm_status say_so(struct dm_session *session, uint64_t word) {
    struct buffer *buffer = buffer_take(&session->buffers, sizeof word);
    if (buffer == NULL) {
        return DM_BUSY;
    }
    *(uint64_t *)buffer->bytes = word;
    struct dm_batch batch;
    dm_batch_init(&batch, &session->stats.kind[DM_KIND_MAINTENANCE].cost);
    for (uint16_t n = 0; n < session->pool->layout.super.nodes; n++) {
        if (members_has(word, n)) {
            dm_batch_write(&batch, n, record_offset(session) + offsetof(struct client_record, rests), buffer->bytes,
                           sizeof word);
        }
    }
    enum dm_status status = execute(session, &batch);
    buffer_give(&session->buffers, buffer);
    return status;
}

enum dm_status members_rest(struct dm_session *session, uint64_t word) {
    while (session->members.batches != 0) {
        dm_coro_sleep(session->sched, LOOK_NS / 4);
    }
    /* Nothing that was posted takes effect behind what is carried out on the same node now (fabric.h). */
    uint32_t answered;
    uint32_t asked;
    enum dm_status status = look_among(session, members_lost(word), &answered, &asked);
    if (status == DM_OK && answered != asked) {
        status = DM_UNREACHABLE;
    }
    for (struct round *round = session->rounds; round != NULL && status == DM_OK; round = round->next) {
        status = round_rest(session, round, word);
    }
    for (struct transaction *tx = session->all; tx != NULL && status == DM_OK; tx = tx->next_of_all) {
        status = transaction_rest(tx, word);
    }
    return status == DM_OK ? say_so(session, word) : status;
}

/* The owner and announce words of this session, on all control nodes: some of them may be new. */
static enum dm_status enlist(struct dm_session *session) {
    const struct layout *layout = &session->pool->layout;
    struct buffer *buffer = buffer_take(&session->buffers, 2 * sizeof(uint64_t));
    if (buffer == NULL) {
        return DM_BUSY;
    }
    uint64_t *words = (uint64_t *)buffer->bytes;
    words[0] = session->client_nonce;
    struct dm_batch batch;
    dm_batch_init(&batch, &session->stats.kind[DM_KIND_MAINTENANCE].cost);
    for (uint32_t c = 0; c < session->members.control_count && session->enlisted; c++) {
        dm_batch_write(&batch, session->members.control[c], record_offset(session), &words[0], sizeof words[0]);
    }
    enum dm_status status = batch.count == 0 ? DM_OK : execute(session, &batch);
    if (status == DM_OK && session->announced) {
        words[1] = session->announced_word;
        dm_batch_init(&batch, &session->stats.kind[DM_KIND_MAINTENANCE].cost);
        for (uint32_t c = 0; c < session->members.control_count; c++) {
            dm_batch_write(&batch, session->members.control[c],
                           layout->announce_offset + session->client * sizeof(uint64_t), &words[1], sizeof words[1]);
        }
        status = execute(session, &batch);
    }
    buffer_give(&session->buffers, buffer);
    return status;
}

enum dm_status members_follow(struct dm_session *session, uint64_t word) {
    while (session->members.batches != 0) {
        dm_coro_sleep(session->sched, LOOK_NS / 4);
    }
    adopt(session, word);
    if (session->enlisted) {
        count_again(session);
    }
    return enlist(session);
}

static void rest_coroutine(void *argument) {
    struct dm_session *session = argument;
    struct members *members = &session->members;
    uint64_t rested = members->word;
    uint64_t look_ns = LOOK_NS;
    while (members->changing && !members->leads) {
        uint64_t word = members->seen;
        enum dm_status status = DM_OK;
        if (members_settled(word)) {
            status = members_follow(session, word);
            members->changing = status != DM_OK || members->seen != word;
        } else if (rested != word) {
            status = members_rest(session, word);
            rested = status == DM_OK ? word : rested;
            look_ns = LOOK_NS;
        }
        if (members->changing) {
            dm_coro_sleep(session->sched, status == DM_OK ? look_ns : LOOK_LATER_NS);
            look_ns = look_ns * 2 < LOOK_LATER_NS ? look_ns * 2 : LOOK_LATER_NS;
            (void)members_look(session);
        }
    }
    members->resting = false;
    session->tick_ns = 0;
}

void members_go_on(struct dm_session *session) {
    struct members *members = &session->members;
    if (members->changing && !members->resting && !members->leads) {
        members->resting = true;
        if (dm_sched_spawn(session->sched, rest_coroutine, session) != DM_OK) {
            members->resting = false; /* the next look tries again */
            members->seen = members->word;
        }
    }
}

void members_note(struct dm_session *session, uint64_t word) {
    struct members *members = &session->members;
    if (members_number(word) > members_number(members->seen)) {
        members->seen = word;
        members->changing = true;
        members_go_on(session);
    }
}

uint64_t dm_session_lost(const struct dm_session *session) { return members_lost(session->members.word); }

/* ---- The gate --------------------------------------------------------------------------------------------------- */

bool members_wait(struct dm_session *session) {
    uint64_t deadline_ns = session->members.changing ? pool_clock_ns(session->pool) + WAIT_MAX_NS : 0;
    while (session->members.changing && pool_clock_ns(session->pool) < deadline_ns) {
        dm_coro_sleep(session->sched, LOOK_NS);
    }
    return !session->members.changing;
}

bool members_allow(struct dm_session *session, uint64_t word) {
    if (!session->members.changing && session->members.word == word) {
        return true;
    }
    (void)members_wait(session);
    return false;
}

/* ---- Control words ---------------------------------------------------------------------------------------------- */

static enum dm_status book(struct dm_session *session, struct dm_batch *batch) {
    session_execute(session, batch);
    session->stats.kind[DM_KIND_MAINTENANCE].operations++;
    return batch->failed == 0 ? DM_OK : DM_UNREACHABLE;
}

enum dm_status members_cas(struct dm_session *session, uint64_t offset, uint64_t from, uint64_t to, bool *done) {
    const struct members *members = &session->members;
    struct dm_batch batch;
    dm_batch_init(&batch, &session->stats.kind[DM_KIND_MAINTENANCE].cost);
    struct dm_op *cas = dm_batch_cas(&batch, members->control[0], offset, from, to);
    enum dm_status status = book(session, &batch);
    *done = status == DM_OK && cas->result == from;
    if (!*done || members->control_count == 1) {
        return status;
    }
    dm_batch_init(&batch, &session->stats.kind[DM_KIND_MAINTENANCE].cost);
    for (uint32_t c = 1; c < members->control_count; c++) {
        dm_batch_cas(&batch, members->control[c], offset, from, to);
    }
    return book(session, &batch);
}
