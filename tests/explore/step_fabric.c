/* step_fabric.c: see step_fabric.h. */
#include "step_fabric.h"

#include <string.h>

#include "assert.h"
#include "coro/coro.h"

#define WORD_BYTES 8u

/* ---- Effects ---------------------------------------------------------------------------------------------------- */

static bool write_changes(uint8_t *at, const uint8_t *from, uint32_t length) {
    bool changes = memcmp(at, from, length) != 0;
    memcpy(at, from, length);
    return changes;
}

/* Bytes [offset, offset + length) of an operation take effect; true if that has changed memory. */
static bool apply(struct step_fabric *fabric, struct dm_op *op, uint32_t offset, uint32_t length) {
    uint8_t *at = fabric->memory[op->node] + op->remote + offset;
    op->status = DM_OP_DONE;
    switch (op->kind) {
    case DM_OP_READ:
        memcpy((uint8_t *)op->local + offset, at, length);
        return false;
    case DM_OP_WRITE:
        return write_changes(at, (const uint8_t *)op->local + offset, length);
    case DM_OP_CAS:
        memcpy(&op->result, at, sizeof op->result);
        if (op->result != op->compare) {
            return false;
        }
        memcpy(at, &op->operand, sizeof op->operand);
        if (fabric->swapped != NULL) {
            fabric->swapped(fabric->context, op);
        }
        return true;
    default: {
        memcpy(&op->result, at, sizeof op->result);
        uint64_t sum = op->result + op->operand;
        memcpy(at, &sum, sizeof sum);
        return true;
    }
    }
}

void flight_apply(struct step_endpoint *endpoint, uint32_t index, struct event *event) {
    struct flight *flight = &endpoint->flight;
    const struct piece *piece = &flight->pieces[index];
    struct dm_op *op = &flight->batch->ops[piece->op];
    dm_assert(flight_is_possible(flight, index));
    flight->done |= UINT64_C(1) << index;
    bool changed = apply((struct step_fabric *)endpoint->head.fabric, op, piece->offset, piece->length);
    /* A WRITE that changes nothing now may have changed something in another order. */
    event->changes = changed || op->kind == DM_OP_WRITE;
    event->behind = piece->behind;
    event->range_count = 1;
    event->ranges[0] = (struct range){op->node, (uint32_t)op->remote + piece->offset, piece->length};
}

void flight_land(struct step_endpoint *endpoint) {
    struct flight *flight = &endpoint->flight;
    dm_assert(flight->batch != NULL && flight_is_over(flight));
    flight->batch = NULL;
    dm_coro_wake(flight->coro);
}

static void fail(struct dm_batch *batch) {
    for (uint32_t i = 0; i < batch->count; i++) {
        batch->ops[i].status = DM_OP_FLUSHED;
    }
    batch->failed = batch->count;
}

void step_endpoint_kill(struct step_endpoint *endpoint) {
    endpoint->dead = true;
    if (endpoint->flight.batch != NULL) {
        fail(endpoint->flight.batch);
        endpoint->flight.batch = NULL;
        dm_coro_wake(endpoint->flight.coro);
    }
}

/* ---- Posting ---------------------------------------------------------------------------------------------------- */

/* Does fabric.h put `first` before `second`, which follows it in its chain? */
static bool is_ordered(const struct dm_op *first, const struct dm_op *second) {
    if ((second->flags & DM_OP_FENCE) != 0 && first->kind != DM_OP_WRITE) {
        return true;
    }
    switch (first->kind) {
    case DM_OP_WRITE:
        return true;
    case DM_OP_READ:
        return false;
    default:
        return second->kind != DM_OP_WRITE;
    }
}

static void add_piece(struct flight *flight, uint32_t op, uint32_t offset, uint32_t length) {
    dm_assert(flight->count < STEP_PIECES_MAX);
    struct piece *piece = &flight->pieces[flight->count];
    *piece = (struct piece){.op = (uint16_t)op, .offset = offset, .length = length};
    const struct dm_op *own = &flight->batch->ops[op];
    for (uint32_t i = 0; i < flight->count; i++) {
        const struct dm_op *other = &flight->batch->ops[flight->pieces[i].op];
        if (other != own && other->node == own->node && is_ordered(other, own)) {
            piece->behind |= UINT64_C(1) << i;
        }
    }
    flight->count++;
}

static void post(struct step_endpoint *endpoint, struct dm_batch *batch) {
    struct flight *flight = &endpoint->flight;
    const struct step_fabric *fabric = (const struct step_fabric *)endpoint->head.fabric;
    dm_assert(flight->batch == NULL);
    flight->batch = batch;
    flight->count = 0;
    flight->done = 0;
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct dm_op *op = &batch->ops[i];
        if (fabric->torn && op->kind <= DM_OP_WRITE && op->length > WORD_BYTES) {
            uint32_t half = op->length / 2 / WORD_BYTES * WORD_BYTES;
            add_piece(flight, i, 0, half);
            add_piece(flight, i, half, op->length - half);
        } else {
            add_piece(flight, i, 0, op->length);
        }
    }
    flight->coro = dm_coro_self(endpoint->head.sched);
    dm_coro_park(endpoint->head.sched);
}

static bool is_legal(const struct dm_fabric *fabric, const struct dm_op *op) {
    return op->node < fabric->node_count && op->length > 0 && op->length <= fabric->node_bytes[op->node] &&
           op->remote <= fabric->node_bytes[op->node] - op->length &&
           (op->kind <= DM_OP_WRITE || (op->length == WORD_BYTES && op->remote % WORD_BYTES == 0));
}

static void step_execute(struct dm_endpoint *base, struct dm_batch *batch) {
    struct step_endpoint *endpoint = (struct step_endpoint *)base;
    struct step_fabric *fabric = (struct step_fabric *)base->fabric;
    batch->failed = 0;
    dm_batch_count(base, batch);
    for (uint32_t i = 0; i < batch->count; i++) {
        if (!is_legal(base->fabric, &batch->ops[i])) {
            fabric->fault = "an operation outside of a node's memory, or misaligned";
            fail(batch);
            return;
        }
    }
    if (endpoint->dead) {
        fail(batch);
    } else if (endpoint->stepped && batch->count > 0) {
        post(endpoint, batch);
    } else {
        for (uint32_t i = 0; i < batch->count; i++) {
            apply(fabric, &batch->ops[i], 0, batch->ops[i].length);
        }
    }
}

/* ---- Provider --------------------------------------------------------------------------------------------------- */

static enum dm_status step_endpoint_open(struct dm_fabric *fabric, struct dm_sched *sched, struct dm_endpoint **out) {
    struct step_endpoint *endpoint = fabric->env->allocate(fabric->env->context, sizeof *endpoint);
    endpoint->head.fabric = fabric;
    endpoint->head.sched = sched;
    *out = &endpoint->head;
    return DM_OK;
}

static void step_endpoint_close(struct dm_endpoint *endpoint) {
    endpoint->fabric->env->release(endpoint->fabric->env->context, endpoint);
}

static void *step_endpoint_memory(struct dm_endpoint *endpoint, size_t bytes) {
    return endpoint->fabric->env->allocate(endpoint->fabric->env->context, bytes);
}

static size_t step_poll(struct dm_endpoint *endpoint) {
    (void)endpoint; /* the explorer lets go, not a poll */
    return 0;
}

static uint32_t step_pending(const struct dm_endpoint *endpoint) {
    (void)endpoint;
    return 0;
}

static void step_close(struct dm_fabric *fabric) { fabric->env->release(fabric->env->context, fabric); }

static const struct dm_fabric_ops step_ops = {
    .name = "step",
    .endpoint_open = step_endpoint_open,
    .endpoint_close = step_endpoint_close,
    .endpoint_memory = step_endpoint_memory,
    .execute = step_execute,
    .poll = step_poll,
    .pending = step_pending,
    .close = step_close,
};

struct step_fabric *step_fabric_open(const struct dm_env *env, uint32_t nodes, uint64_t node_bytes) {
    struct step_fabric *fabric = env->allocate(env->context, sizeof *fabric);
    fabric->head.ops = &step_ops;
    fabric->head.env = env;
    fabric->head.node_count = nodes;
    for (uint32_t n = 0; n < nodes; n++) {
        fabric->head.node_bytes[n] = node_bytes;
        fabric->memory[n] = env->allocate(env->context, node_bytes);
    }
    return fabric;
}
