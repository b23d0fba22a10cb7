/* verbs_request.h: the pure part of posting: which operations of a batch make up a node's chain, and what work request
 * an operation becomes. No device, no state. Called by verbs_chain.c and verbs_completion.c, and tested by itself. */
#ifndef DM_FABRIC_VERBS_REQUEST_H
#define DM_FABRIC_VERBS_REQUEST_H

#include "verbs.h"

/* Where a link's operations go. */
struct verbs_target {
    uint64_t base; /* address of the node's first byte, as the node's adapter knows it */
    uint32_t rkey;
    uint32_t inline_bytes;
};

/* Sets first, count and end of the chain, and clears what the last use left: the operations of the batch for the node,
 * up to the first one that lies outside of node_bytes, is misaligned, or longer than message_bytes_max. An operation of
 * no bytes is nothing to post. The batch has one for the node. */
void verbs_chain_measure(const struct dm_batch *batch, uint16_t node, uint64_t node_bytes, uint32_t message_bytes_max,
                         struct verbs_chain *chain);

/* All but wr_id and next; not signalled. */
void verbs_request_build(struct ibv_send_wr *request, const struct dm_op *op, struct ibv_sge *part,
                         const struct verbs_target *target);

/* A completion names chain, its use and the operation. */
static inline uint64_t verbs_request_id(uint32_t generation, uint32_t chain, uint32_t op) {
    return (uint64_t)generation << 32 | (uint64_t)chain << 16 | op;
}
static inline uint32_t verbs_request_generation(uint64_t id) { return (uint32_t)(id >> 32); }
static inline uint32_t verbs_request_chain(uint64_t id) { return (uint32_t)(id >> 16) & UINT16_MAX; }
static inline uint32_t verbs_request_op(uint64_t id) { return (uint32_t)id & UINT16_MAX; }

/* May the chain be posted now? The send queue must have room for it. Of READs and atomics no more are posted than the
 * queue pair may have outstanding, which Soft-RoCE needs: it can stall for ever when it has to hold one back. Adapters
 * that allow fewer than a chain may have hold them back themselves. */
bool verbs_chain_fits(const struct verbs_chain *chain, const struct verbs_link *link, uint32_t send_depth);

/* The largest depth of send queues with which all completions of `nodes` links fit into one completion queue even if
 * every request fails; 0: not even one full chain would fit. */
uint32_t verbs_send_depth(uint32_t nodes, uint32_t queue_max, uint32_t completions_max);

#endif
