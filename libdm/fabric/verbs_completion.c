/* verbs_completion.c: what has ended. Polls the endpoint's completion queue, ends the chains that completions tell of,
 * reaps links whose queue pair the connector has destroyed, and arms the queue for a thread that wants to sleep. On the
 * endpoint's thread. */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "assert.h"
#include "verbs.h"
#include "verbs_mark.h"
#include "verbs_request.h"

#define COMPLETIONS_PER_POLL 32

/* ---- Links ------------------------------------------------------------------------------------------------------ */

static void chains_fail(struct verbs_endpoint *endpoint, struct verbs_chain **list) {
    while (*list) {
        struct verbs_chain *chain = *list;
        *list = chain->next;
        if (chain->failed_from != DM_BATCH_OPS)
            verbs_chain_end(endpoint, chain, chain->failed_from, (enum dm_op_status)chain->failed_status);
        else
            verbs_chain_end(endpoint, chain, chain->first, DM_OP_FAILED);
    }
}

/* The queue pair is gone: nothing of what was on it can take effect any more. */
static void link_reap(struct verbs_endpoint *endpoint, struct verbs_link *link) {
    chains_fail(endpoint, &link->flying);
    chains_fail(endpoint, &link->waiting);
    link->posted = 0;
    link->reads = 0;
    verbs_connector_give((struct verbs_fabric *)endpoint->head.fabric, link, VERBS_LINK_CONNECT);
}

static void links_check(struct verbs_endpoint *endpoint) {
    struct verbs_fabric *fabric = (struct verbs_fabric *)endpoint->head.fabric;
    uint64_t wakes;
    if (read(endpoint->wake_fd, &wakes, sizeof wakes) < 0 && errno != EAGAIN)
        verbs_log(fabric, DM_LOG_WARNING, "verbs fabric: an endpoint cannot be woken");
    for (uint32_t node = 0; node < fabric->head.node_count; node++) {
        struct verbs_link *link = &endpoint->links[node];
        const int state = atomic_load_explicit(&link->state, memory_order_acquire);
        if (state == VERBS_LINK_DEAD)
            link_reap(endpoint, link);
        if (state != VERBS_LINK_UP || !atomic_load(&link->line.lost))
            continue;
        verbs_log(fabric, DM_LOG_WARNING,
                  "verbs fabric: the link to memory node %u (%s) was closed by the other side or the device (link %u)",
                  link->node, fabric->nodes[link->node].address, endpoint->id);
        verbs_link_break(endpoint, link);
    }
}

/* ---- Completions ------------------------------------------------------------------------------------------------ */

static void chain_failed(struct verbs_endpoint *endpoint, struct verbs_chain *chain, const struct ibv_wc *completion) {
    struct verbs_fabric *fabric = (struct verbs_fabric *)endpoint->head.fabric;
    struct verbs_link *link = chain->link;
    const bool flushed = completion->status == IBV_WC_WR_FLUSH_ERR;
    if (chain->failed_from == DM_BATCH_OPS) {
        chain->failed_from = (uint16_t)verbs_request_op(completion->wr_id);
        chain->failed_status = flushed ? DM_OP_FLUSHED : DM_OP_FAILED;
    }
    if (!flushed) {
        const struct dm_op *op = &chain->batch->ops[chain->failed_from];
        verbs_log(fabric, DM_LOG_WARNING,
                  "verbs fabric: the link to memory node %u (%s) broke: %s (vendor error 0x%x), operation of kind %u, "
                  "offset %llu, %u bytes; it is made again",
                  link->node, fabric->nodes[link->node].address, ibv_wc_status_str(completion->status),
                  completion->vendor_err, op->kind, (unsigned long long)op->remote, op->length);
    }
    verbs_link_break(endpoint, link);
}

/* The device says that the chain has succeeded, but an answer is missing (verbs_mark.h). */
static void chain_unanswered(struct verbs_endpoint *endpoint, struct verbs_chain *chain, uint32_t missing) {
    struct verbs_fabric *fabric = (struct verbs_fabric *)endpoint->head.fabric;
    const struct dm_op *op = &chain->batch->ops[missing];
    chain->failed_from = (uint16_t)missing;
    chain->failed_status = DM_OP_FAILED;
    verbs_log(
        fabric, DM_LOG_WARNING,
        "verbs fabric: the link to memory node %u (%s) is made again: device %s has ended an operation of kind %u, "
        "%u bytes, without its answer, which Soft-RoCE does when packets change places on the way (see "
        "docs/rdma.md)",
        chain->link->node, fabric->nodes[chain->link->node].address,
        ibv_get_device_name(fabric->device.context->device), op->kind, op->length);
    verbs_link_break(endpoint, chain->link);
}

static void completion_take(struct verbs_endpoint *endpoint, const struct ibv_wc *completion) {
    const uint32_t index = verbs_request_chain(completion->wr_id);
    dm_assert(index < VERBS_CHAINS_MAX);
    struct verbs_chain *chain = &endpoint->chains[index];
    if (!chain->flying || chain->generation != verbs_request_generation(completion->wr_id))
        return; /* of a queue pair that is gone */
    if (completion->status != IBV_WC_SUCCESS) {
        chain_failed(endpoint, chain, completion);
        return;
    }
    struct verbs_link *link = chain->link;
    if (link->flying != chain) { /* a queue pair completes in order: it is behind one that is not believed */
        dm_assert(link->flying->failed_from != DM_BATCH_OPS);
        return;
    }
    const uint32_t missing = chain->mark != 0 ? verbs_mark_left(chain) : DM_BATCH_OPS;
    if (missing != DM_BATCH_OPS) {
        chain_unanswered(endpoint, chain, missing);
        return;
    }
    link->flying = chain->next;
    link->posted -= chain->count;
    link->reads -= chain->reads;
    verbs_chain_end(endpoint, chain, DM_BATCH_OPS, DM_OP_DONE);
    verbs_link_post(endpoint, link);
}

static void event_consume(struct verbs_endpoint *endpoint) {
    struct ibv_cq *cq;
    void *context;
    while (ibv_get_cq_event(endpoint->channel, &cq, &context) == 0) {
        ibv_ack_cq_events(cq, 1);
        endpoint->armed = false;
    }
}

size_t verbs_poll(struct dm_endpoint *base) {
    struct verbs_endpoint *endpoint = (struct verbs_endpoint *)base;
    const uint32_t before = endpoint->batches;
    struct ibv_wc completions[COMPLETIONS_PER_POLL];
    if (endpoint->armed)
        event_consume(endpoint);
    int count = ibv_poll_cq(endpoint->cq, COMPLETIONS_PER_POLL, completions);
    for (int i = 0; i < count; i++)
        completion_take(endpoint, &completions[i]);
    if (atomic_load_explicit(&endpoint->woken, memory_order_relaxed) && atomic_exchange(&endpoint->woken, false))
        links_check(endpoint);
    if (endpoint->waiting)
        verbs_batches_resume(endpoint);
    return before - endpoint->batches;
}

/* ---- Sleeping --------------------------------------------------------------------------------------------------- */

uint32_t verbs_pending(const struct dm_endpoint *base) { return ((const struct verbs_endpoint *)base)->batches; }

int verbs_descriptor(const struct dm_endpoint *base) { return ((const struct verbs_endpoint *)base)->epoll_fd; }

bool verbs_arm(struct dm_endpoint *base) {
    struct verbs_endpoint *endpoint = (struct verbs_endpoint *)base;
    if (!endpoint->armed) {
        if (ibv_req_notify_cq(endpoint->cq, 0) != 0)
            return false;
        endpoint->armed = true;
    }
    struct ibv_wc completions[COMPLETIONS_PER_POLL];
    const int count = ibv_poll_cq(endpoint->cq, COMPLETIONS_PER_POLL, completions);
    for (int i = 0; i < count; i++)
        completion_take(endpoint, &completions[i]);
    return count == 0 && !atomic_load(&endpoint->woken);
}

void verbs_endpoint_sleep(struct verbs_endpoint *endpoint, int most_ms) {
    struct pollfd wait = {.fd = endpoint->epoll_fd, .events = POLLIN};
    (void)poll(&wait, 1, most_ms);
}
