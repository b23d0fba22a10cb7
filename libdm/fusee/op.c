/* op.c: the frame of every operation: take, announce, count, post, end. See session.h. */
#include <string.h>

#include "assert.h"
#include "fusee/epoch.h"
#include "fusee/node_latency.h"
#include "fusee/session.h"

#define OPS_AT_A_TIME 16
#define CLOCK_EVERY_OPERATIONS 16
#define READ_REPEAT_NS UINT64_C(200000000)     /* for which a batch that only reads is repeated behind a failure */
#define READ_REPEAT_FIRST_NS UINT64_C(1000000) /* before the first repetition; each next one waits longer */
#define BACK_OFF_FIRST_NS 1000u
#define BACK_OFF_SHIFT_MAX 10u
#define BACK_OFF_YIELDS 4u /* the first turns only let others run */

static struct fusee_op *op_take(struct dm_session *session) {
    if (session->free_ops == NULL) {
        size_t each = (sizeof(struct fusee_op) + 63) & ~(size_t)63;
        uint8_t *memory = session->endpoint->fabric->ops->endpoint_memory(session->endpoint, each * OPS_AT_A_TIME);
        if (memory == NULL) {
            return NULL;
        }
        session->stats.buffer_allocations++;
        for (int i = 0; i < OPS_AT_A_TIME; i++) {
            struct fusee_op *op = (struct fusee_op *)(memory + each * (size_t)i);
            op->session = session;
            op->next_free = session->free_ops;
            session->free_ops = op;
        }
    }
    struct fusee_op *op = session->free_ops;
    session->free_ops = op->next_free;
    return op;
}

/* Announces the session if it is idle; an operation of a caller waits for the end of a change of the spaces. */
static enum dm_status join_epoch(struct dm_session *session, enum dm_kind kind) {
    bool wait = kind < DM_KIND_CLEAR;
    enum dm_status status = lease_hold(session, wait);
    while (status == DM_OK &&
           (!session->announced || session->members.changing || (wait && space_is_held(&session->spaces)))) {
        if (session->members.changing) {
            status = members_wait(session) ? DM_OK : DM_UNREACHABLE;
        } else {
            uint64_t word = session->members.word;
            status = session->announced ? space_wait(session) : epoch_announce(session);
            if (status == DM_UNREACHABLE && members_look(session) == DM_OK &&
                (session->members.changing || session->members.word != word)) {
                status = DM_OK; /* while it was idle the nodes that count have changed */
            }
        }
    }
    return status;
}

static struct fusee_op *op_start(struct dm_session *session, enum dm_kind kind, uint64_t epoch) {
    struct fusee_op *op = op_take(session);
    if (op == NULL) {
        return NULL;
    }
    op->kind = kind;
    memset(&op->cost, 0, sizeof op->cost);
    op->now_ns = session->now_ns;
    op->epoch = epoch;
    op->members = session->members.word;
    op->asked = NULL;
    op->object = NULL;
    op->found = COUNT_NOTHING;
    op->candidate_count = 0;
    op->foreign_word_count = 0;
    op->rereads = 0;
    op->spare.address = 0;
    op->intent = (struct intent_look){0};
    session->in_flight[epoch % EPOCH_RING]++;
    session->in_flight_total++;
    return op;
}

struct fusee_op *op_begin(struct dm_session *session, enum dm_kind kind) {
    enum dm_status status = join_epoch(session, kind);
    if (status != DM_OK) {
        session->refusal = status;
        return NULL;
    }
    if (++session->now_uses >= CLOCK_EVERY_OPERATIONS) {
        session->now_uses = 0;
        session->now_ns = pool_clock_ns(session->pool);
    }
    session->operations += kind < DM_KIND_CLEAR; /* what keeps the session awake */
    session->refusal = DM_BUSY;
    return op_start(session, kind, session->epoch);
}

struct fusee_op *op_begin_beside(const struct fusee_op *lead) {
    lead->session->operations += lead->kind < DM_KIND_CLEAR;
    struct fusee_op *op = op_start(lead->session, lead->kind, lead->epoch);
    if (op != NULL) {
        op->members = lead->members;
    }
    return op;
}

struct fusee_op *op_clone(const struct fusee_op *op) {
    struct dm_session *session = op->session;
    struct fusee_op *clone = op_take(session);
    if (clone == NULL) {
        return NULL;
    }
    *clone = *op;
    clone->kind = DM_KIND_CLEAR;
    memset(&clone->cost, 0, sizeof clone->cost);
    clone->key = NULL; /* its bytes are the caller's */
    clone->asked = NULL;
    clone->object = NULL;
    clone->candidate_count = 0;
    clone->spare.address = 0;
    session->in_flight[clone->epoch % EPOCH_RING]++;
    session->in_flight_total++;
    return clone;
}

void op_leave(struct fusee_op *op) {
    struct dm_session *session = op->session;
    dm_assert(session->in_flight[op->epoch % EPOCH_RING] > 0);
    session->in_flight[op->epoch % EPOCH_RING]--;
    session->in_flight_total--;
}

enum dm_status op_enter(struct fusee_op *op) {
    struct dm_session *session = op->session;
    enum dm_status status = join_epoch(session, op->kind);
    op->epoch = session->epoch;
    session->in_flight[op->epoch % EPOCH_RING]++;
    session->in_flight_total++;
    if (op->asked != NULL) {
        op_set_key(op, op->asked); /* its space may have got another number */
    }
    return status;
}

void op_set_key(struct fusee_op *op, const struct dm_key *key) {
    const struct dm_pool *pool = op->session->pool;
    dm_assert(key->space < DM_SPACES);
    op->asked = key;
    op->numbered = (struct dm_key){key->bytes, key->length, op->session->spaces.number[key->space]};
    op->key = &op->numbered;
    op->hash = index_hash(op->key, pool->hash_seed);
    op->place = index_place(op->hash);
    op->subtable = pool->subtables[index_prefix(op->hash, pool->depth)];
    op_work_on(op, op->subtable);
}

static void cost_add(struct dm_cost *total, const struct dm_cost *cost) {
    total->round_trips += cost->round_trips;
    total->reads += cost->reads;
    total->writes += cost->writes;
    total->compare_swaps += cost->compare_swaps;
    total->fetch_adds += cost->fetch_adds;
    total->bytes_read += cost->bytes_read;
    total->bytes_written += cost->bytes_written;
}

void op_book(struct fusee_op *op) {
    struct dm_session *session = op->session;
    session->stats.kind[op->kind].operations++;
    cost_add(&session->stats.kind[op->kind].cost, &op->cost);
    if (op->kind < DM_KIND_CLEAR) {
        session->last_cost = op->cost;
    }
    op->kind = DM_KIND_CLEAR;
    op->cost = (struct dm_cost){0};
}

void op_end(struct fusee_op *op) {
    op_book(op);
    op_give(op);
}

struct fusee_op *op_begin_part(struct fusee_op *lead) {
    struct fusee_op *op = op_begin_beside(lead);
    if (op != NULL) {
        op_leave(op);
        lead->session->operations -= lead->kind < DM_KIND_CLEAR;
    }
    return op;
}

void op_join_cost(struct fusee_op *lead, struct fusee_op *op) {
    cost_add(&lead->cost, &op->cost);
    op->cost = (struct dm_cost){0};
}

void op_end_part(struct fusee_op *lead, struct fusee_op *op) {
    struct dm_session *session = op->session;
    op_join_cost(lead, op);
    op->next_free = session->free_ops;
    session->free_ops = op;
}

void op_give(struct fusee_op *op) {
    struct dm_session *session = op->session;
    op_leave(op);
    op->next_free = session->free_ops;
    session->free_ops = op;
}

/* Nothing of it is posted. */
static void refuse(struct dm_batch *batch) {
    for (uint32_t i = 0; i < batch->count; i++) {
        batch->ops[i].status = DM_OP_FLUSHED;
    }
    batch->failed = batch->count;
}

static bool only_reads(const struct dm_batch *batch) {
    for (uint32_t i = 0; i < batch->count; i++) {
        if (batch->ops[i].kind != DM_OP_READ) {
            return false;
        }
    }
    return true;
}

static bool may_post(const struct fusee_op *op) {
    const struct members *members = &op->session->members;
    return !members->changing && members->word == op->members;
}

/* A batch has failed. What only reads is posted again for a while: a link that breaks is made again within
 * milliseconds, and no caller has to know. */
static enum dm_status repeat_reads(struct fusee_op *op) {
    struct dm_session *session = op->session;
    uint64_t since_ns = pool_clock_ns(session->pool), now_ns = since_ns;
    session->members.fails = true;
    while (op->batch.failed != 0 && now_ns - since_ns < READ_REPEAT_NS && !session->watch.closing &&
           only_reads(&op->batch) && may_post(op)) {
        dm_coro_sleep(session->sched, READ_REPEAT_FIRST_NS + (now_ns - since_ns) / 2);
        if (may_post(op)) {
            session->members.batches++;
            dm_fabric_execute(session->endpoint, &op->batch);
            session->members.batches--;
            session->stats.reads_repeated++;
        }
        now_ns = pool_clock_ns(session->pool);
    }
    if (op->batch.failed != 0 && session->members.changing) {
        (void)members_allow(session, op->members); /* and then begin again */
    }
    return op->batch.failed == 0 ? DM_OK : DM_UNREACHABLE;
}

enum dm_status op_execute(struct fusee_op *op) {
    struct dm_session *session = op->session;
    if (__builtin_expect(!may_post(op), 0)) {
        (void)members_allow(session, op->members);
        refuse(&op->batch);
        return DM_UNREACHABLE;
    }
    session->members.batches++;
    node_latency_sample(session, &op->batch);
    session->members.batches--;
    return op->batch.failed == 0 ? DM_OK : repeat_reads(op);
}

void session_execute(struct dm_session *session, struct dm_batch *batch) {
    if (session->members.changing) {
        (void)members_wait(session);
        refuse(batch);
        return;
    }
    session->members.batches++;
    dm_fabric_execute(session->endpoint, batch);
    session->members.batches--;
    session->members.fails |= batch->failed != 0;
}

void session_maintain_begin(struct dm_session *session, struct dm_batch *batch) {
    dm_batch_init(batch, &session->stats.kind[DM_KIND_MAINTENANCE].cost);
}

enum dm_status session_maintain(struct dm_session *session, struct dm_batch *batch) {
    session_execute(session, batch);
    session->stats.kind[DM_KIND_MAINTENANCE].operations++;
    return batch->failed == 0 ? DM_OK : DM_UNREACHABLE;
}

bool op_may_go_on(const struct fusee_op *op, enum dm_status status) {
    return status == DM_UNREACHABLE && op->members != op->session->members.word;
}

void op_back_off(struct fusee_op *op, uint32_t turn) {
    struct dm_session *session = op->session;
    if (turn < BACK_OFF_YIELDS) {
        dm_coro_sleep(session->sched, 0);
        return;
    }
    uint32_t shift = turn - BACK_OFF_YIELDS < BACK_OFF_SHIFT_MAX ? turn - BACK_OFF_YIELDS : BACK_OFF_SHIFT_MAX;
    uint64_t most = (uint64_t)BACK_OFF_FIRST_NS << shift;
    dm_coro_sleep(session->sched, most / 2 + session->env->random_u64(session->env->context) % most);
}
