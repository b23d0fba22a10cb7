/* verbs_endpoint.c: opening and closing an endpoint: its completion queue, chains and links. On the thread that is to
 * use it; blocks until the connector has connected all links, or has failed to. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "assert.h"
#include "verbs.h"
#include "verbs_request.h"

static bool descriptors_open(struct verbs_endpoint *endpoint) {
    struct epoll_event event = {.events = EPOLLIN};
    endpoint->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    endpoint->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    return endpoint->wake_fd >= 0 && endpoint->epoll_fd >= 0 &&
           fcntl(endpoint->channel->fd, F_SETFL, fcntl(endpoint->channel->fd, F_GETFL) | O_NONBLOCK) == 0 &&
           epoll_ctl(endpoint->epoll_fd, EPOLL_CTL_ADD, endpoint->wake_fd, &event) == 0 &&
           epoll_ctl(endpoint->epoll_fd, EPOLL_CTL_ADD, endpoint->channel->fd, &event) == 0;
}

static bool queue_open(struct verbs_endpoint *endpoint, const struct verbs_fabric *fabric) {
    const struct verbs_device *device = &fabric->device;
    const uint32_t nodes = fabric->head.node_count;
    endpoint->send_depth = verbs_send_depth(nodes, (uint32_t)device->attr.max_qp_wr, (uint32_t)device->attr.max_cqe);
    endpoint->inline_bytes = VERBS_INLINE_BYTES;
    if (endpoint->send_depth == 0) {
        verbs_log(fabric, DM_LOG_WARNING,
                  "verbs fabric: device %s has too small queues (%d requests, %d completions) for %u memory nodes",
                  ibv_get_device_name(device->context->device), device->attr.max_qp_wr, device->attr.max_cqe, nodes);
        return false;
    }
    endpoint->channel = ibv_create_comp_channel(device->context);
    if (endpoint->channel)
        endpoint->cq =
            ibv_create_cq(device->context, (int)(nodes * endpoint->send_depth), endpoint, endpoint->channel, 0);
    if (!endpoint->cq || !descriptors_open(endpoint)) {
        verbs_log(fabric, DM_LOG_WARNING, "verbs fabric: no completion queue for an endpoint: %s", strerror(errno));
        return false;
    }
    return true;
}

static bool chains_open(struct verbs_endpoint *endpoint) {
    const struct dm_env *env = endpoint->head.fabric->env;
    uint64_t *results = verbs_memory_take(&endpoint->head, VERBS_CHAINS_MAX * DM_BATCH_OPS * sizeof *results);
    endpoint->chains = env->allocate(env->context, VERBS_CHAINS_MAX * sizeof *endpoint->chains);
    if (!results || !endpoint->chains)
        return false;
    for (uint32_t i = VERBS_CHAINS_MAX; i-- > 0;) {
        struct verbs_chain *chain = &endpoint->chains[i];
        chain->index = (uint16_t)i;
        chain->results = results + i * DM_BATCH_OPS;
        chain->next = endpoint->chains_free;
        endpoint->chains_free = chain;
    }
    endpoint->chains_free_count = VERBS_CHAINS_MAX;
    return true;
}

static bool links_up(const struct verbs_endpoint *endpoint) {
    for (uint32_t node = 0; node < endpoint->head.fabric->node_count; node++)
        if (atomic_load_explicit(&endpoint->links[node].state, memory_order_acquire) != VERBS_LINK_UP)
            return false;
    return true;
}

/* Lists the endpoint and waits for all of its links, or the first failure. */
static enum dm_status links_open(struct verbs_endpoint *endpoint, struct verbs_fabric *fabric) {
    endpoint->opening = true;
    pthread_mutex_lock(&fabric->lock);
    endpoint->next = fabric->endpoints;
    fabric->endpoints = endpoint;
    pthread_mutex_unlock(&fabric->lock);
    for (uint16_t node = 0; node < fabric->head.node_count; node++)
        verbs_connector_give(fabric, &endpoint->links[node], VERBS_LINK_CONNECT);
    pthread_mutex_lock(&fabric->lock);
    while (endpoint->open_status == DM_OK && !links_up(endpoint))
        pthread_cond_wait(&fabric->changed, &fabric->lock);
    endpoint->opening = false;
    pthread_mutex_unlock(&fabric->lock);
    if (endpoint->open_status != DM_OK)
        verbs_log(fabric, DM_LOG_WARNING, "verbs fabric: no endpoint: %s", endpoint->open_error);
    return endpoint->open_status;
}

enum dm_status verbs_endpoint_open(struct dm_fabric *base, struct dm_sched *sched, struct dm_endpoint **out) {
    struct verbs_fabric *fabric = (struct verbs_fabric *)base;
    struct verbs_endpoint *endpoint = base->env->allocate(base->env->context, sizeof *endpoint);
    if (!endpoint)
        return DM_NO_MEMORY;
    endpoint->head.fabric = base;
    endpoint->head.sched = sched;
    endpoint->marks = base->env->random_u64(base->env->context);
    endpoint->id = atomic_fetch_add(&fabric->link_ids, 1);
    endpoint->wake_fd = endpoint->epoll_fd = -1;
    for (uint16_t node = 0; node < DM_NODES_MAX; node++) {
        endpoint->links[node].endpoint = endpoint;
        endpoint->links[node].node = node;
        endpoint->links[node].line.link = &endpoint->links[node];
        atomic_store(&endpoint->links[node].state, VERBS_LINK_NONE);
    }
    enum dm_status status = DM_NO_MEMORY;
    if (queue_open(endpoint, fabric) && chains_open(endpoint))
        status = links_open(endpoint, fabric);
    if (status != DM_OK) {
        verbs_endpoint_close(&endpoint->head);
        return status;
    }
    *out = &endpoint->head;
    return DM_OK;
}

/* Under the lock: the first link that this thread has; NULL: all are the connector's, or at an end. */
static struct verbs_link *link_held(struct verbs_endpoint *endpoint, bool *all_ended) {
    *all_ended = true;
    for (uint32_t node = 0; node < endpoint->head.fabric->node_count; node++) {
        struct verbs_link *link = &endpoint->links[node];
        const int state = atomic_load_explicit(&link->state, memory_order_acquire);
        if (state == VERBS_LINK_UP || state == VERBS_LINK_DEAD)
            return link;
        *all_ended = *all_ended && state == VERBS_LINK_NONE;
    }
    return NULL;
}

/* Links that this thread has go to the connector; that ends them, and those that it has already. */
static void links_close(struct verbs_endpoint *endpoint, struct verbs_fabric *fabric) {
    bool all_ended = false;
    atomic_store(&endpoint->closing, true);
    verbs_connector_wake(fabric);
    pthread_mutex_lock(&fabric->lock);
    for (;;) {
        struct verbs_link *link = link_held(endpoint, &all_ended);
        if (link) {
            pthread_mutex_unlock(&fabric->lock);
            verbs_connector_give(fabric, link, VERBS_LINK_CLOSE);
            pthread_mutex_lock(&fabric->lock);
        } else if (all_ended) {
            break;
        } else {
            pthread_cond_wait(&fabric->changed, &fabric->lock);
        }
    }
    for (struct verbs_endpoint **at = &fabric->endpoints; *at; at = &(*at)->next)
        if (*at == endpoint) {
            *at = endpoint->next;
            break;
        }
    pthread_mutex_unlock(&fabric->lock);
}

void verbs_endpoint_close(struct dm_endpoint *base) {
    struct verbs_endpoint *endpoint = (struct verbs_endpoint *)base;
    struct verbs_fabric *fabric = (struct verbs_fabric *)base->fabric;
    const struct dm_env *env = base->fabric->env;
    dm_assert(endpoint->batches == 0);
    links_close(endpoint, fabric);
    if (endpoint->epoll_fd >= 0)
        close(endpoint->epoll_fd);
    if (endpoint->wake_fd >= 0)
        close(endpoint->wake_fd);
    if (endpoint->cq)
        ibv_destroy_cq(endpoint->cq);
    if (endpoint->channel)
        ibv_destroy_comp_channel(endpoint->channel);
    verbs_memory_release(endpoint);
    if (endpoint->chains)
        env->release(env->context, endpoint->chains);
    env->release(env->context, endpoint);
}
