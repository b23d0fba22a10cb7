/* verbs.c: the `verbs` provider: memory nodes over RDMA, by libibverbs and librdmacm. Opens and closes a fabric, and
 * makes the calls of fabric.h that go to the nodes' processes. How the parts fit together: verbs.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "verbs.h"

#define SEAT_NODE 0 /* keeps the book of seats */

/* ---- Calls to the nodes' processes ------------------------------------------------------------------------------ */

static enum dm_status verbs_fence(struct dm_fabric *base, uint64_t identity) {
    enum dm_status all = DM_OK;
    if (identity == 0 || identity == base->identity)
        return DM_INVALID;
    for (uint32_t node = 0; node < base->node_count; node++) {
        struct verbs_message message = {.head = verbs_head_make(VERBS_FENCE), .call.identity = identity};
        struct verbs_message answer;
        enum dm_status status = verbs_node_call((struct verbs_fabric *)base, node, &message, &answer);
        all = status != DM_OK ? status : all;
    }
    return all;
}

static bool seat_call(struct dm_fabric *base, enum verbs_kind kind, uint32_t seat, struct verbs_message *answer) {
    struct verbs_message message = {.head = verbs_head_make(kind), .call = {.identity = base->identity, .seat = seat}};
    return verbs_node_call((struct verbs_fabric *)base, SEAT_NODE, &message, answer) == DM_OK;
}

static bool verbs_seat_take(struct dm_fabric *base, uint32_t seat) {
    struct verbs_message answer;
    return seat_call(base, VERBS_SEAT_TAKE, seat, &answer) && answer.call.held != 0 &&
           answer.call.identity == base->identity;
}

static void verbs_seat_leave(struct dm_fabric *base, uint32_t seat) {
    struct verbs_message answer;
    if (!seat_call(base, VERBS_SEAT_LEAVE, seat, &answer))
        verbs_log((struct verbs_fabric *)base, DM_LOG_WARNING, "verbs fabric: seat %" PRIu32 " could not be left",
                  seat);
}

/* The seat's node knows who has gone from there; the other nodes may not have noticed yet, so they are told. */
static bool verbs_seat_empty(struct dm_fabric *base, uint32_t seat) {
    struct verbs_message answer;
    if (!seat_call(base, VERBS_SEAT_LOOK, seat, &answer) || answer.call.held != 0)
        return false;
    const uint64_t last = answer.call.identity;
    return last == 0 || (last != base->identity && verbs_fence(base, last) == DM_OK);
}

/* ---- Fabric ----------------------------------------------------------------------------------------------------- */

static void verbs_close(struct dm_fabric *base) {
    struct verbs_fabric *fabric = (struct verbs_fabric *)base;
    const struct dm_env *env = base->env;
    verbs_connector_stop(fabric);
    for (uint32_t node = 0; node < base->node_count; node++)
        verbs_line_close(fabric, &fabric->nodes[node].line);
    for (uint32_t node = 0; node < DM_NODES_MAX; node++) {
        verbs_mailbox_close(fabric, &fabric->nodes[node].mailbox);
        pthread_mutex_destroy(&fabric->nodes[node].lock);
    }
    verbs_mailbox_close(fabric, &fabric->grants);
    if (fabric->pd)
        ibv_dealloc_pd(fabric->pd);
    if (fabric->events)
        rdma_destroy_event_channel(fabric->events);
    if (fabric->wake_fd >= 0)
        close(fabric->wake_fd);
    pthread_cond_destroy(&fabric->changed);
    pthread_mutex_destroy(&fabric->lock);
    explicit_bzero(fabric->secret, sizeof fabric->secret);
    env->release(env->context, fabric);
}

static const struct dm_fabric_ops verbs_ops = {
    .name = "verbs",
    .endpoint_open = verbs_endpoint_open,
    .endpoint_close = verbs_endpoint_close,
    .endpoint_memory = verbs_memory_take,
    .execute = verbs_batch_execute,
    .poll = verbs_poll,
    .pending = verbs_pending,
    .close = verbs_close,
    .seat_take = verbs_seat_take,
    .seat_leave = verbs_seat_leave,
    .seat_empty = verbs_seat_empty,
    .descriptor = verbs_descriptor,
    .arm = verbs_arm,
    .fence = verbs_fence,
};

static struct verbs_fabric *fabric_create(const struct dm_env *env, const struct dm_verbs_config *config) {
    struct verbs_fabric *fabric = env->allocate(env->context, sizeof *fabric);
    if (!fabric)
        return NULL;
    fabric->head.ops = &verbs_ops;
    fabric->head.env = env;
    fabric->head.identity = env->random_u64(env->context) | 1;
    pthread_mutex_init(&fabric->lock, NULL);
    pthread_cond_init(&fabric->changed, NULL);
    fabric->config = *config;
    memcpy(fabric->secret, config->secret, config->secret_bytes);
    snprintf(fabric->device_name, sizeof fabric->device_name, "%s", config->device ? config->device : "");
    fabric->pool_id = verbs_pool_id(config->pool ? config->pool : "");
    fabric->config.secret = fabric->secret;
    fabric->config.device = fabric->device_name;
    fabric->config.pool = NULL;
    fabric->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    for (uint32_t node = 0; node < DM_NODES_MAX; node++)
        pthread_mutex_init(&fabric->nodes[node].lock, NULL);
    return fabric;
}

static bool descriptor_unblock(int descriptor) {
    const int flags = fcntl(descriptor, F_GETFL);
    return flags >= 0 && fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) == 0;
}

static enum dm_status node_open(struct verbs_fabric *fabric, uint32_t index, const char *address, char *error,
                                size_t error_bytes) {
    struct verbs_node *node = &fabric->nodes[index];
    char cause[512] = "";
    snprintf(node->address, sizeof node->address, "%s", address);
    enum dm_status status = DM_INVALID;
    fabric->head.node_count = index + 1;
    if (verbs_address_parse(address, &node->at, cause, sizeof cause))
        status = verbs_node_connect(fabric, index, verbs_clock_ns(fabric) + VERBS_OPEN_MS * VERBS_NS_PER_MS, cause,
                                    sizeof cause);
    for (uint32_t other = 0; status == DM_OK && other < index; other++)
        if (fabric->nodes[other].handshake.incarnation == node->handshake.incarnation) {
            snprintf(cause, sizeof cause, "is the same as memory node %" PRIu32 "; give each node once", other);
            status = DM_INVALID;
        }
    if (status != DM_OK)
        snprintf(error, error_bytes, "memory node %" PRIu32 " (%s): %s", index, address, cause);
    return status;
}

enum dm_status dm_fabric_open_verbs(const struct dm_env *env, const struct dm_verbs_config *config,
                                    const char *const *memservers, uint32_t memserver_count, struct dm_fabric **out,
                                    char *error, size_t error_bytes) {
    if (memserver_count == 0 || memserver_count > DM_NODES_MAX) {
        snprintf(error, error_bytes, "%" PRIu32 " memory nodes: a pool has 1 to %d", memserver_count, DM_NODES_MAX);
        return DM_INVALID;
    }
    enum dm_status status = verbs_config_check(config, error, error_bytes);
    if (status != DM_OK)
        return status;
    struct verbs_fabric *fabric = fabric_create(env, config);
    if (!fabric) {
        snprintf(error, error_bytes, "no memory for the fabric");
        return DM_NO_MEMORY;
    }
    status = DM_UNREACHABLE;
    if (fabric->wake_fd < 0)
        snprintf(error, error_bytes, "no descriptors for the fabric: %s", strerror(errno));
    else if ((fabric->events = verbs_events_open(error, error_bytes)) != NULL && descriptor_unblock(fabric->events->fd))
        status = DM_OK;
    for (uint32_t node = 0; status == DM_OK && node < memserver_count; node++)
        status = node_open(fabric, node, memservers[node], error, error_bytes);
    if (status == DM_OK && (!descriptor_unblock(fabric->device.context->async_fd) || !verbs_connector_start(fabric))) {
        snprintf(error, error_bytes, "no thread for the fabric: %s", strerror(errno));
        status = DM_UNREACHABLE;
    }
    if (status != DM_OK) {
        verbs_close(&fabric->head);
        return status;
    }
    *out = &fabric->head;
    return DM_OK;
}
