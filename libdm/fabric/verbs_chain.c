/* verbs_chain.c: from a batch to work requests: which operations go to which link, whether they can be posted at all,
 * and one ibv_post_send for each chain, of which only the last request asks for a completion. A chain waits when its
 * send queue has no room, a batch when there are no chains left; both first in, first out. On the endpoint's thread.
 *
 * The order that fabric.h promises is that of a reliable connection by itself; only DM_OP_FENCE needs the device to
 * wait (IBV_SEND_FENCE). How many READs and atomics may be outstanding was agreed on when the queue pair was connected,
 * and is the device's business.
 */
#include <inttypes.h>

#include "assert.h"
#include "verbs.h"
#include "verbs_mark.h"
#include "verbs_request.h"

#define SPIN_NS UINT64_C(50000) /* polling before sleeping, where a batch is waited for without coroutines */
#define SLEEP_MS 100            /* at most, where nobody else watches the time */

/* ---- The end of a chain ----------------------------------------------------------------------------------------- */

static void batch_part_end(struct verbs_endpoint *endpoint, struct dm_batch *batch) {
    dm_assert(batch->pending > 0);
    if (--batch->pending != 0)
        return;
    endpoint->batches--;
    if (batch->waiter)
        dm_coro_wake(batch->waiter);
}

void verbs_chain_end(struct verbs_endpoint *endpoint, struct verbs_chain *chain, uint32_t from,
                     enum dm_op_status status) {
    struct dm_batch *batch = chain->batch;
    if (from >= chain->end) {
        from = chain->end;
        status = DM_OP_FAILED;
    }
    for (uint32_t i = chain->first; i < batch->count; i++) {
        struct dm_op *op = &batch->ops[i];
        if (op->node != chain->link->node)
            continue;
        op->status = i < from ? DM_OP_DONE : i == from ? (uint8_t)status : DM_OP_FLUSHED;
        if (i < from && op->kind >= DM_OP_CAS)
            op->result = chain->results[i];
        batch->failed += i >= from;
        endpoint->head.operations_failed += i >= from;
    }
    chain->generation++;
    chain->flying = false;
    chain->next = endpoint->chains_free;
    endpoint->chains_free = chain;
    endpoint->chains_free_count++;
    batch_part_end(endpoint, batch);
}

void verbs_link_break(struct verbs_endpoint *endpoint, struct verbs_link *link) {
    struct verbs_fabric *fabric = (struct verbs_fabric *)endpoint->head.fabric;
    if (atomic_load_explicit(&link->state, memory_order_acquire) != VERBS_LINK_UP)
        return;
    link->broke_ns = verbs_clock_ns(fabric);
    verbs_connector_give(fabric, link, VERBS_LINK_CLOSE);
}

/* ---- Posting ---------------------------------------------------------------------------------------------------- */

static void chain_build(struct verbs_endpoint *endpoint, const struct verbs_chain *chain) {
    const struct verbs_link *link = chain->link;
    const struct verbs_target target = {
        .base = link->base, .rkey = link->rkey, .inline_bytes = link->line.inline_bytes};
    const struct dm_batch *batch = chain->batch;
    const uint32_t end = chain->end < batch->count ? chain->end : batch->count;
    uint32_t count = 0;
    for (uint32_t i = chain->first; i < end; i++) {
        const struct dm_op *op = &batch->ops[i];
        if (op->node != link->node || op->length == 0)
            continue;
        struct ibv_sge *part = &endpoint->parts[count];
        const void *local = op->kind >= DM_OP_CAS ? &chain->results[i] : op->local;
        const bool registered = verbs_memory_key(endpoint, local, op->length, &part->lkey);
        dm_assert(registered); /* fabric.h: local buffers come from dm_endpoint_memory */
        part->addr = (uintptr_t)local;
        part->length = op->length;
        if (chain->mark != 0)
            verbs_mark_put(op, &chain->results[i], chain->mark);
        verbs_request_build(&endpoint->requests[count], op, part, &target);
        endpoint->requests[count].wr_id = verbs_request_id(chain->generation, chain->index, i);
        endpoint->requests[count].next = &endpoint->requests[count + 1];
        count++;
    }
    dm_assert(count == chain->count && count > 0);
    endpoint->requests[count - 1].next = NULL;
    endpoint->requests[count - 1].send_flags |= IBV_SEND_SIGNALED;
}

static void chain_append(struct verbs_chain **first, struct verbs_chain **last, struct verbs_chain *chain) {
    chain->next = NULL;
    if (*first)
        (*last)->next = chain;
    else
        *first = chain;
    *last = chain;
}

void verbs_link_post(struct verbs_endpoint *endpoint, struct verbs_link *link) {
    const bool software = ((struct verbs_fabric *)endpoint->head.fabric)->device.software;
    struct ibv_send_wr *bad;
    while (link->waiting && verbs_chain_fits(link->waiting, link, endpoint->send_depth)) {
        if (atomic_load_explicit(&link->state, memory_order_acquire) != VERBS_LINK_UP)
            return; /* ended when the link is DEAD */
        struct verbs_chain *chain = link->waiting;
        link->waiting = chain->next;
        chain->mark = software ? verbs_mark_make(endpoint->marks++) : 0;
        chain_build(endpoint, chain);
        chain->flying = true;
        link->posted += chain->count;
        link->reads += chain->reads;
        chain_append(&link->flying, &link->flying_last, chain);
        const int cause = ibv_post_send(link->line.qp, endpoint->requests, &bad);
        if (cause == 0)
            continue;
        verbs_log((struct verbs_fabric *)endpoint->head.fabric, DM_LOG_WARNING,
                  "verbs fabric: memory node %u: the queue pair takes no requests (%d); the link is made again",
                  link->node, cause);
        verbs_link_break(endpoint, link);
    }
}

/* ---- Batches ---------------------------------------------------------------------------------------------------- */

static void failure_log(struct verbs_endpoint *endpoint, const struct dm_op *op) {
    const struct dm_fabric *fabric = endpoint->head.fabric;
    if (endpoint->failure_logged)
        return;
    endpoint->failure_logged = true;
    verbs_log((const struct verbs_fabric *)fabric, DM_LOG_WARNING,
              "verbs fabric: operation of kind %u on node %u, offset %" PRIu64 ", %" PRIu32
              " bytes, lies outside of its memory (%" PRIu32 " nodes, %" PRIu64
              " bytes), is misaligned, or is too long for the device; later ones are only counted",
              op->kind, op->node, op->remote, op->length, fabric->node_count,
              op->node < fabric->node_count ? fabric->node_bytes[op->node] : 0);
}

/* Operations for nodes that there are not: the first one for such a node has failed, the others were flushed. */
static void strangers_refuse(struct verbs_endpoint *endpoint, struct dm_batch *batch) {
    for (uint32_t i = 0; i < batch->count; i++) {
        struct dm_op *op = &batch->ops[i];
        if (op->node < endpoint->head.fabric->node_count)
            continue;
        op->status = DM_OP_FAILED;
        for (uint32_t earlier = 0; earlier < i; earlier++)
            if (batch->ops[earlier].node == op->node)
                op->status = DM_OP_FLUSHED;
        batch->failed++;
        endpoint->head.operations_failed++;
        failure_log(endpoint, op);
    }
}

static uint64_t batch_nodes(const struct verbs_endpoint *endpoint, const struct dm_batch *batch) {
    uint64_t nodes = 0;
    for (uint32_t i = 0; i < batch->count; i++)
        if (batch->ops[i].node < endpoint->head.fabric->node_count)
            nodes |= UINT64_C(1) << batch->ops[i].node;
    return nodes;
}

static void chain_start(struct verbs_endpoint *endpoint, struct dm_batch *batch, uint16_t node) {
    const struct verbs_fabric *fabric = (const struct verbs_fabric *)endpoint->head.fabric;
    struct verbs_link *link = &endpoint->links[node];
    struct verbs_chain *chain = endpoint->chains_free;
    endpoint->chains_free = chain->next;
    endpoint->chains_free_count--;
    chain->batch = batch;
    chain->link = link;
    verbs_chain_measure(batch, node, fabric->head.node_bytes[node], fabric->device.message_bytes_max, chain);
    batch->pending++;
    if (chain->end != DM_BATCH_OPS)
        failure_log(endpoint, &batch->ops[chain->end]);
    if (atomic_load_explicit(&link->state, memory_order_acquire) != VERBS_LINK_UP) {
        verbs_chain_end(endpoint, chain, chain->first, DM_OP_FAILED);
        return;
    }
    if (chain->count == 0) {
        verbs_chain_end(endpoint, chain, DM_BATCH_OPS, DM_OP_FAILED);
        return;
    }
    chain_append(&link->waiting, &link->waiting_last, chain);
    verbs_link_post(endpoint, link);
}

/* False: there are not chains enough now. */
static bool batch_start(struct verbs_endpoint *endpoint, struct dm_batch *batch) {
    uint64_t nodes = batch_nodes(endpoint, batch);
    if ((uint32_t)__builtin_popcountll(nodes) > endpoint->chains_free_count)
        return false;
    strangers_refuse(endpoint, batch);
    for (; nodes != 0; nodes &= nodes - 1)
        chain_start(endpoint, batch, (uint16_t)__builtin_ctzll(nodes));
    batch_part_end(endpoint, batch); /* the part that execute held, so that it did not end under way */
    return true;
}

void verbs_batches_resume(struct verbs_endpoint *endpoint) {
    while (endpoint->waiting) {
        struct dm_batch *batch = endpoint->waiting;
        struct dm_batch *next = batch->next; /* a batch that has ended may be gone */
        if (!batch_start(endpoint, batch))
            return;
        endpoint->waiting = next;
    }
}

/* The link among these that has broken last, of those that are down; NULL: all are up. */
static const struct verbs_link *link_down(const struct verbs_endpoint *endpoint, uint64_t nodes) {
    const struct verbs_link *last = NULL;
    for (; nodes != 0; nodes &= nodes - 1) {
        const struct verbs_link *link = &endpoint->links[__builtin_ctzll(nodes)];
        if (atomic_load_explicit(&link->state, memory_order_acquire) != VERBS_LINK_UP &&
            (!last || link->broke_ns > last->broke_ns))
            last = link;
    }
    return last;
}

/* A link that broke is often back within some ms. So whoever needs it waits for that, with growing pauses; and who
 * tries again and again what fails does not spin. */
static void links_await(struct verbs_endpoint *endpoint, uint64_t nodes) {
    const struct verbs_fabric *fabric = (const struct verbs_fabric *)endpoint->head.fabric;
    struct dm_sched *sched = endpoint->head.sched;
    const struct verbs_link *link;
    for (uint64_t pause_ms = 1; (link = link_down(endpoint, nodes)) != NULL; pause_ms *= 2) {
        const bool fresh = verbs_clock_ns(fabric) - link->broke_ns < VERBS_DOWN_LONG_MS * VERBS_NS_PER_MS;
        if (pause_ms >= (fresh ? VERBS_HOLD_MS : VERBS_HOLD_LATER_MS))
            return;
        if (sched && dm_coro_self(sched)) {
            dm_coro_sleep(sched, pause_ms * VERBS_NS_PER_MS);
        } else {
            verbs_endpoint_sleep(endpoint, (int)pause_ms);
            verbs_poll(&endpoint->head);
        }
    }
}

/* Outside of coroutines: polls, and sleeps when it takes long. */
static void batch_await(struct verbs_endpoint *endpoint, const struct dm_batch *batch) {
    const struct verbs_fabric *fabric = (const struct verbs_fabric *)endpoint->head.fabric;
    uint64_t since_ns = verbs_clock_ns(fabric);
    while (batch->pending != 0) {
        verbs_poll(&endpoint->head);
        if (batch->pending == 0 || verbs_clock_ns(fabric) - since_ns < SPIN_NS || !verbs_arm(&endpoint->head))
            continue;
        verbs_endpoint_sleep(endpoint, SLEEP_MS);
        since_ns = verbs_clock_ns(fabric);
    }
}

void verbs_batch_execute(struct dm_endpoint *base, struct dm_batch *batch) {
    struct verbs_endpoint *endpoint = (struct verbs_endpoint *)base;
    batch->failed = 0;
    batch->next = NULL;
    batch->waiter = NULL;
    dm_batch_count(base, batch);
    if (batch->count == 0)
        return;
    struct dm_coro *self = base->sched ? dm_coro_self(base->sched) : NULL;
    links_await(endpoint, batch_nodes(endpoint, batch));
    endpoint->batches++;
    batch->pending = 1;
    if (endpoint->waiting || !batch_start(endpoint, batch)) {
        if (endpoint->waiting)
            endpoint->waiting_last->next = batch;
        else
            endpoint->waiting = batch;
        endpoint->waiting_last = batch;
    }
    if (batch->pending == 0)
        return;
    if (!self) {
        batch_await(endpoint, batch);
        return;
    }
    batch->waiter = self;
    dm_coro_park(base->sched);
    dm_assert(batch->pending == 0);
}
