/* verbs_request.c: see verbs_request.h. */
#include "verbs_request.h"

#include <string.h>

#define WORD_BYTES 8u

static bool op_possible(const struct dm_op *op, uint64_t node_bytes, uint32_t message_bytes_max) {
    const bool inside = op->remote <= node_bytes && op->length <= node_bytes - op->remote;
    if (op->kind <= DM_OP_WRITE)
        return inside && op->length <= message_bytes_max;
    return inside && op->kind <= DM_OP_FAA && op->length == WORD_BYTES && op->remote % WORD_BYTES == 0;
}

void verbs_chain_measure(const struct dm_batch *batch, uint16_t node, uint64_t node_bytes, uint32_t message_bytes_max,
                         struct verbs_chain *chain) {
    bool any = false;
    chain->count = 0;
    chain->reads = 0;
    chain->end = DM_BATCH_OPS;
    chain->failed_from = DM_BATCH_OPS;
    chain->failed_status = DM_OP_DONE;
    chain->flying = false;
    for (uint16_t i = 0; i < batch->count; i++) {
        const struct dm_op *op = &batch->ops[i];
        if (op->node != node)
            continue;
        if (!any)
            chain->first = i;
        any = true;
        if (!op_possible(op, node_bytes, message_bytes_max)) {
            chain->end = i;
            return;
        }
        chain->count += op->length != 0;
        chain->reads += op->length != 0 && op->kind != DM_OP_WRITE;
    }
}

void verbs_request_build(struct ibv_send_wr *request, const struct dm_op *op, struct ibv_sge *part,
                         const struct verbs_target *target) {
    memset(request, 0, sizeof *request);
    request->sg_list = part;
    request->num_sge = 1;
    request->send_flags = op->flags & DM_OP_FENCE ? IBV_SEND_FENCE : 0;
    if (op->kind <= DM_OP_WRITE) {
        request->opcode = op->kind == DM_OP_READ ? IBV_WR_RDMA_READ : IBV_WR_RDMA_WRITE;
        request->wr.rdma.remote_addr = target->base + op->remote;
        request->wr.rdma.rkey = target->rkey;
        if (op->kind == DM_OP_WRITE && op->length <= target->inline_bytes)
            request->send_flags |= IBV_SEND_INLINE;
        return;
    }
    request->opcode = op->kind == DM_OP_CAS ? IBV_WR_ATOMIC_CMP_AND_SWP : IBV_WR_ATOMIC_FETCH_AND_ADD;
    request->wr.atomic.remote_addr = target->base + op->remote;
    request->wr.atomic.rkey = target->rkey;
    request->wr.atomic.compare_add = op->kind == DM_OP_CAS ? op->compare : op->operand;
    request->wr.atomic.swap = op->kind == DM_OP_CAS ? op->operand : 0;
}

bool verbs_chain_fits(const struct verbs_chain *chain, const struct verbs_link *link, uint32_t send_depth) {
    const uint32_t reads_max = link->line.reads_max;
    if (link->posted + chain->count > send_depth)
        return false;
    return reads_max < DM_BATCH_OPS || link->reads + chain->reads <= reads_max;
}

uint32_t verbs_send_depth(uint32_t nodes, uint32_t queue_max, uint32_t completions_max) {
    uint32_t depth = queue_max < VERBS_SEND_DEPTH ? queue_max : VERBS_SEND_DEPTH;
    if (depth > completions_max / nodes)
        depth = completions_max / nodes;
    return depth < DM_BATCH_OPS ? 0 : depth;
}
