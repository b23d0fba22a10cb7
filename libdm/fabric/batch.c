/* batch.c: filling a batch, and counting what is posted. The same for every provider; no memory is touched here but
 * the batch's and the endpoint's own. Called by the engine and by providers, on the thread that owns the endpoint. */
#include "assert.h"
#include "fabric.h"

static inline struct dm_op *batch_op_add(struct dm_batch *batch, enum dm_op_kind kind, uint16_t node, uint64_t remote) {
    dm_assert(batch->count < DM_BATCH_OPS);
    struct dm_op *op = &batch->ops[batch->count++];
    op->kind = (uint8_t)kind;
    op->flags = 0;
    op->status = DM_OP_DONE;
    op->node = node;
    op->remote = remote;
    return op;
}

struct dm_op *dm_batch_read(struct dm_batch *batch, uint16_t node, uint64_t remote, void *local, uint32_t length) {
    struct dm_op *op = batch_op_add(batch, DM_OP_READ, node, remote);
    op->length = length;
    op->local = local;
    return op;
}

struct dm_op *dm_batch_write(struct dm_batch *batch, uint16_t node, uint64_t remote, const void *local,
                             uint32_t length) {
    struct dm_op *op = batch_op_add(batch, DM_OP_WRITE, node, remote);
    op->length = length;
    op->local = (void *)(uintptr_t)local; /* providers only read it */
    return op;
}

struct dm_op *dm_batch_cas(struct dm_batch *batch, uint16_t node, uint64_t remote, uint64_t compare, uint64_t swap) {
    struct dm_op *op = batch_op_add(batch, DM_OP_CAS, node, remote);
    op->length = sizeof(uint64_t);
    op->compare = compare;
    op->operand = swap;
    return op;
}

struct dm_op *dm_batch_faa(struct dm_batch *batch, uint16_t node, uint64_t remote, uint64_t addend) {
    struct dm_op *op = batch_op_add(batch, DM_OP_FAA, node, remote);
    op->length = sizeof(uint64_t);
    op->operand = addend;
    return op;
}

static void cost_add(struct dm_cost *cost, const struct dm_cost *more) {
    cost->round_trips += more->round_trips;
    cost->reads += more->reads;
    cost->writes += more->writes;
    cost->compare_swaps += more->compare_swaps;
    cost->fetch_adds += more->fetch_adds;
    cost->bytes_read += more->bytes_read;
    cost->bytes_written += more->bytes_written;
}

void dm_batch_count(struct dm_endpoint *endpoint, const struct dm_batch *batch) {
    _Static_assert(DM_BATCH_OPS < 1 << 16, "a counter of one kind has 16 bits of the word");
    if (batch->count == 0)
        return;         /* nothing is posted, so nothing is waited for */
    uint64_t kinds = 0; /* four counters of 16 bits: no branch on the kind, this runs with every batch */
    uint64_t bytes_read = 0;
    uint64_t bytes_written = 0;
    for (uint32_t i = 0; i < batch->count; i++) {
        const struct dm_op *op = &batch->ops[i];
        kinds += UINT64_C(1) << (16 * (op->kind & 3));
        bytes_read += op->kind != DM_OP_WRITE ? op->length : 0;
        bytes_written += op->kind != DM_OP_READ ? op->length : 0;
    }
    const struct dm_cost cost = {
        .round_trips = 1,
        .reads = kinds >> (16 * DM_OP_READ) & UINT16_MAX,
        .writes = kinds >> (16 * DM_OP_WRITE) & UINT16_MAX,
        .compare_swaps = kinds >> (16 * DM_OP_CAS) & UINT16_MAX,
        .fetch_adds = kinds >> (16 * DM_OP_FAA) & UINT16_MAX,
        .bytes_read = bytes_read,
        .bytes_written = bytes_written,
    };
    cost_add(&endpoint->total, &cost);
    if (batch->account)
        cost_add(batch->account, &cost);
}
