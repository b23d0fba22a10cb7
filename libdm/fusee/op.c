/* op.c: the frame of every operation: take, announce, count, post, end. See session.h. */
#include <string.h>

#include "assert.h"
#include "fusee/epoch.h"
#include "fusee/session.h"

#define OPS_AT_A_TIME 16
#define CLOCK_EVERY_OPERATIONS 16
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

struct fusee_op *op_begin(struct dm_session *session, enum dm_kind kind) {
    enum dm_status status = session->announced ? DM_OK : epoch_announce(session);
    struct fusee_op *op = status == DM_OK ? op_take(session) : NULL;
    if (op == NULL) {
        session->refusal = status == DM_OK ? DM_BUSY : status;
        return NULL;
    }
    if (++session->now_uses >= CLOCK_EVERY_OPERATIONS) {
        session->now_uses = 0;
        session->now_ns = pool_clock_ns(session->pool);
    }
    session->operations += kind < DM_KIND_CLEAR; /* what keeps the session awake */
    op->kind = kind;
    memset(&op->cost, 0, sizeof op->cost);
    op->now_ns = session->now_ns;
    op->epoch = session->epoch;
    op->object = NULL;
    op->candidate_count = 0;
    op->foreign_word_count = 0;
    op->rereads = 0;
    op->spare.address = 0;
    session->in_flight[op->epoch % EPOCH_RING]++;
    session->in_flight_total++;
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
    enum dm_status status = session->announced ? DM_OK : epoch_announce(session);
    op->epoch = session->epoch;
    session->in_flight[op->epoch % EPOCH_RING]++;
    session->in_flight_total++;
    return status;
}

void op_set_key(struct fusee_op *op, const struct dm_key *key) {
    const struct dm_pool *pool = op->session->pool;
    op->key = key;
    op->hash = index_hash(key, pool->hash_seed);
    op->place = index_place(op->hash);
    op->subtable = pool->subtables[index_prefix(op->hash, pool->depth)];
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

void op_end(struct fusee_op *op) {
    struct dm_session *session = op->session;
    session->stats.kind[op->kind].operations++;
    cost_add(&session->stats.kind[op->kind].cost, &op->cost);
    if (op->kind < DM_KIND_CLEAR) {
        session->last_cost = op->cost;
    }
    op_give(op);
}

void op_give(struct fusee_op *op) {
    struct dm_session *session = op->session;
    op_leave(op);
    op->next_free = session->free_ops;
    session->free_ops = op;
}

enum dm_status op_execute(struct fusee_op *op) {
    dm_fabric_execute(op->session->endpoint, &op->batch);
    return op->batch.failed == 0 ? DM_OK : DM_UNREACHABLE;
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
