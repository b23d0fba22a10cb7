/* local.c: the `local` provider: the memory nodes' memory is mapped here, the caller's CPU carries operations out at
 * once, and nothing ever parks. Which memory it is (this process's, or a memory node's by local_shared.c) is all the
 * same to this file. Also what a CXL memory device shared by several hosts looks like.
 *
 * Called on the thread that owns the endpoint; nothing is shared between endpoints but the nodes' memory itself.
 *
 *   order promised by fabric.h       kept by
 *   WRITE->WRITE, READ(fence)->      release fence before a store (nothing but a compiler barrier on x86)
 *   WRITE->READ                      full fence before the load, if a store is not known to be visible yet
 *   ...->CAS/FAA->...                sequentially consistent atomics, which on x86 are full fences themselves
 *   end of a batch                   full fence, if a store is not known to be visible yet
 *
 * Operations are carried out in the order of the batch, which is also that of each chain.
 */
#include <inttypes.h>
#include <stdio.h>

#include "fabric.h"
#include "local.h"
#include "local_copy.h"

/* On x86 an atomic read-modify-write, failed or not, also makes all earlier stores visible. Elsewhere it does not. */
#if defined(__x86_64__)
enum { LOCAL_ATOMIC_IS_FENCE = 1 };
#else
enum { LOCAL_ATOMIC_IS_FENCE = 0 };
#endif

#define LOCAL_BUFFER_HEADER_BYTES 64u /* keeps what follows 64-byte aligned */

struct local_buffer {
    struct local_buffer *next;
};
_Static_assert(sizeof(struct local_buffer) <= LOCAL_BUFFER_HEADER_BYTES, "header of a buffer");

struct local_endpoint {
    struct dm_endpoint head;
    struct local_buffer *buffers;
    bool failure_logged;
};

/* ---- Fences and atomics ---------------------------------------------------------------------------------------- */

#if defined(LOCAL_TSAN) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wtsan" /* gcc's sanitizer does not model fences; it sees atomics on both sides here */
#endif

static inline void fence_full(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

static inline void fence_release(void) { __atomic_thread_fence(__ATOMIC_RELEASE); }

static inline uint64_t word_compare_swap(uint8_t *at, uint64_t compare, uint64_t swap) {
    __atomic_compare_exchange_n((uint64_t *)(void *)at, &compare, swap, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return compare;
}

static inline uint64_t word_fetch_add(uint8_t *at, uint64_t addend) {
    return __atomic_fetch_add((uint64_t *)(void *)at, addend, __ATOMIC_SEQ_CST);
}

/* ---- Execute --------------------------------------------------------------------------------------------------- */

static inline bool op_fits(const struct dm_op *op, uint64_t node_bytes) {
    bool inside = op->remote <= node_bytes && op->length <= node_bytes - op->remote;
    if (op->kind <= DM_OP_WRITE)
        return inside;
    return inside && op->kind <= DM_OP_FAA && op->length == LOCAL_WORD_BYTES && op->remote % LOCAL_WORD_BYTES == 0;
}

/* The operation at `index` cannot be done: it fails or is flushed, and the first failure is logged. */
static void op_refuse(struct local_endpoint *endpoint, struct dm_batch *batch, uint32_t index) {
    struct dm_op *op = &batch->ops[index];
    op->status = DM_OP_FAILED;
    for (uint32_t i = 0; i < index; i++)
        if (batch->ops[i].node == op->node && batch->ops[i].status != DM_OP_DONE)
            op->status = DM_OP_FLUSHED;
    batch->failed++;
    endpoint->head.operations_failed++;
    if (endpoint->failure_logged)
        return;
    endpoint->failure_logged = true;
    const struct dm_fabric *fabric = endpoint->head.fabric;
    char message[256];
    snprintf(message, sizeof message,
             "local fabric: operation of kind %u on node %u, offset %" PRIu64 ", %" PRIu32
             " bytes, lies outside of its memory (%" PRIu32 " nodes, %" PRIu64
             " bytes) or is misaligned; later ones are only counted",
             op->kind, op->node, op->remote, op->length, fabric->node_count,
             op->node < fabric->node_count ? fabric->node_bytes[op->node] : 0);
    fabric->env->log(fabric->env->context, DM_LOG_WARNING, message);
}

/* `unseen`: whether a store before it may not be visible to others yet; returns the same for the next operation. */
static inline bool op_perform(struct dm_op *op, uint8_t *at, bool unseen) {
    switch (op->kind) {
    case DM_OP_READ:
        if (unseen)
            fence_full();
        local_copy_from(op->local, at, op->length);
        return false;
    case DM_OP_WRITE:
        fence_release();
        local_copy_to(at, op->local, op->length);
        return true;
    case DM_OP_CAS:
        if (unseen && !LOCAL_ATOMIC_IS_FENCE)
            fence_full();
        op->result = word_compare_swap(at, op->compare, op->operand);
        return !LOCAL_ATOMIC_IS_FENCE;
    default:
        if (unseen && !LOCAL_ATOMIC_IS_FENCE)
            fence_full();
        op->result = word_fetch_add(at, op->operand);
        return !LOCAL_ATOMIC_IS_FENCE;
    }
}

static void local_execute(struct dm_endpoint *base, struct dm_batch *batch) {
    struct local_endpoint *endpoint = (struct local_endpoint *)base;
    const struct local_fabric *fabric = (const struct local_fabric *)base->fabric;
    const uint32_t node_count = fabric->head.node_count;
    uint64_t broken = 0; /* one bit a node: its chain has met an error */
    bool unseen = false;
    batch->failed = 0;
    dm_batch_count(base, batch);
    for (uint32_t i = 0; i < batch->count; i++) {
        struct dm_op *op = &batch->ops[i];
        const uint32_t node = op->node;
        if (__builtin_expect(node >= node_count || (broken >> node & 1) || !op_fits(op, fabric->head.node_bytes[node]),
                             0)) {
            op_refuse(endpoint, batch, i);
            broken |= node < node_count ? UINT64_C(1) << node : 0;
            continue;
        }
        op->status = DM_OP_DONE;
        unseen = op_perform(op, fabric->base[node] + op->remote, unseen);
    }
    if (unseen)
        fence_full();
}

static size_t local_poll(struct dm_endpoint *endpoint) {
    (void)endpoint; /* all ended inside execute */
    return 0;
}

static uint32_t local_pending(const struct dm_endpoint *endpoint) {
    (void)endpoint;
    return 0;
}

/* ---- Endpoints ------------------------------------------------------------------------------------------------- */

static enum dm_status local_endpoint_open(struct dm_fabric *fabric, struct dm_sched *sched, struct dm_endpoint **out) {
    struct local_endpoint *endpoint = fabric->env->allocate(fabric->env->context, sizeof *endpoint);
    if (!endpoint)
        return DM_NO_MEMORY;
    endpoint->head.fabric = fabric;
    endpoint->head.sched = sched;
    *out = &endpoint->head;
    return DM_OK;
}

static void local_endpoint_close(struct dm_endpoint *base) {
    struct local_endpoint *endpoint = (struct local_endpoint *)base;
    const struct dm_env *env = base->fabric->env;
    while (endpoint->buffers) {
        struct local_buffer *buffer = endpoint->buffers;
        endpoint->buffers = buffer->next;
        env->release(env->context, buffer);
    }
    env->release(env->context, endpoint);
}

static void *local_endpoint_memory(struct dm_endpoint *base, size_t bytes) {
    struct local_endpoint *endpoint = (struct local_endpoint *)base;
    const struct dm_env *env = base->fabric->env;
    if (bytes > SIZE_MAX - LOCAL_BUFFER_HEADER_BYTES)
        return NULL;
    struct local_buffer *buffer = env->allocate(env->context, bytes + LOCAL_BUFFER_HEADER_BYTES);
    if (!buffer)
        return NULL;
    buffer->next = endpoint->buffers;
    endpoint->buffers = buffer;
    return (uint8_t *)buffer + LOCAL_BUFFER_HEADER_BYTES;
}

/* ---- Fabric ---------------------------------------------------------------------------------------------------- */

static void local_close(struct dm_fabric *base) {
    struct local_fabric *fabric = (struct local_fabric *)base;
    const struct dm_env *env = base->env;
    local_seats_close(fabric);
    local_shared_release(fabric);
    env->release(env->context, fabric);
}

static const struct dm_fabric_ops local_ops = {
    .name = "local",
    .endpoint_open = local_endpoint_open,
    .endpoint_close = local_endpoint_close,
    .endpoint_memory = local_endpoint_memory,
    .execute = local_execute,
    .poll = local_poll,
    .pending = local_pending,
    .close = local_close,
    .seat_take = local_seat_take,
    .seat_leave = local_seat_leave,
    .seat_empty = local_seat_empty,
    .fence = local_fence,
    .process = local_process,
};

struct local_fabric *local_fabric_create(const struct dm_env *env) {
    struct local_fabric *fabric = env->allocate(env->context, sizeof *fabric);
    if (!fabric)
        return NULL;
    fabric->head.ops = &local_ops;
    fabric->head.env = env;
    for (uint32_t node = 0; node < DM_NODES_MAX; node++)
        fabric->socket[node] = -1;
    fabric->seats = fabric->seats_probe = -1;
    return fabric;
}

enum dm_status dm_fabric_open_embedded(const struct dm_env *env, const struct dm_local_memory *nodes,
                                       uint32_t node_count, struct dm_fabric **out) {
    if (node_count == 0 || node_count > DM_NODES_MAX)
        return DM_INVALID;
    for (uint32_t node = 0; node < node_count; node++)
        if (!nodes[node].base || nodes[node].bytes == 0 || (uintptr_t)nodes[node].base % LOCAL_WORD_BYTES != 0)
            return DM_INVALID;
    struct local_fabric *fabric = local_fabric_create(env);
    if (!fabric)
        return DM_NO_MEMORY;
    fabric->head.node_count = node_count;
    for (uint32_t node = 0; node < node_count; node++) {
        fabric->base[node] = nodes[node].base;
        fabric->head.node_bytes[node] = nodes[node].bytes;
    }
    *out = &fabric->head;
    return DM_OK;
}

void dm_fabric_close(struct dm_fabric *fabric) { fabric->ops->close(fabric); }

uint64_t dm_fabric_identity(const struct dm_fabric *fabric) { return fabric->identity; }
