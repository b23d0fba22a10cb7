/* verbs_connector.c: the fabric's thread: makes, mends and ends connections, and hears what the connection manager and
 * the device have to say. Asleep in poll when there is nothing to do. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "verbs.h"

#define LOG_LINE_BYTES 768

void verbs_log(const struct verbs_fabric *fabric, enum dm_log_level level, const char *format, ...) {
    char line[LOG_LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    fabric->head.env->log(fabric->head.env->context, level, line);
}

static void descriptor_signal(int descriptor) {
    const uint64_t one = 1;
    if (write(descriptor, &one, sizeof one) < 0)
        return; /* full: it is readable */
}

void verbs_endpoint_wake(struct verbs_endpoint *endpoint) {
    descriptor_signal(endpoint->wake_fd); /* before `woken`: whoever sees that empties the descriptor */
    atomic_store(&endpoint->woken, true);
}

/* ---- Work ------------------------------------------------------------------------------------------------------- */

/* The connector lets go of the link. Under the lock, so that who waits for it on `changed` misses nothing. */
static void link_release(struct verbs_fabric *fabric, struct verbs_link *link, enum verbs_link_state state) {
    struct verbs_endpoint *endpoint = link->endpoint;
    pthread_mutex_lock(&fabric->lock);
    atomic_store_explicit(&link->state, state, memory_order_release);
    pthread_cond_broadcast(&fabric->changed);
    if (state != VERBS_LINK_NONE) /* else the endpoint may be gone with the unlock */
        verbs_endpoint_wake(endpoint);
    pthread_mutex_unlock(&fabric->lock);
}

/* The next attempt waits longer; only the first failure is worth a line. */
static void node_failed(struct verbs_fabric *fabric, uint32_t index, bool log, const char *error) {
    struct verbs_node *node = &fabric->nodes[index];
    if (node->backoff_ms == 0 && log)
        verbs_log(fabric, DM_LOG_WARNING,
                  "verbs fabric: memory node %" PRIu32 " (%s) cannot be connected, trying on: %s", index, node->address,
                  error);
    node->backoff_ms = node->backoff_ms == 0 ? VERBS_BACKOFF_MIN_MS : 2 * node->backoff_ms;
    if (node->backoff_ms > VERBS_BACKOFF_MAX_MS)
        node->backoff_ms = VERBS_BACKOFF_MAX_MS;
    node->retry_ns = verbs_clock_ns(fabric) + node->backoff_ms * VERBS_NS_PER_MS;
}

static void link_failed(struct verbs_fabric *fabric, struct verbs_link *link, enum dm_status status,
                        const char *error) {
    struct verbs_endpoint *endpoint = link->endpoint;
    pthread_mutex_lock(&fabric->lock);
    const bool opening = endpoint->opening;
    if (opening && endpoint->open_status == DM_OK) {
        endpoint->open_status = status;
        snprintf(endpoint->open_error, sizeof endpoint->open_error, "memory node %u (%s): %s", link->node,
                 fabric->nodes[link->node].address, error);
    }
    pthread_cond_broadcast(&fabric->changed);
    pthread_mutex_unlock(&fabric->lock);
    node_failed(fabric, link->node, !opening, error);
}

/* True: the connector is done with it. */
static bool link_connect(struct verbs_fabric *fabric, struct verbs_link *link) {
    struct verbs_node *node = &fabric->nodes[link->node];
    const uint64_t now_ns = verbs_clock_ns(fabric);
    const uint32_t allowed_ms = link->was_up ? VERBS_CONNECT_MS : VERBS_OPEN_MS;
    char error[512] = "";
    if (now_ns < node->retry_ns || atomic_load(&link->endpoint->closing))
        return false;
    enum dm_status status = verbs_node_link(fabric, link, now_ns + allowed_ms * VERBS_NS_PER_MS, error, sizeof error);
    if (status != DM_OK) {
        link_failed(fabric, link, status, error);
        return false;
    }
    if (link->was_up)
        verbs_log(fabric, DM_LOG_NOTICE, "verbs fabric: memory node %u (%s) is connected again (link %" PRIu32 ")",
                  link->node, node->address, link->endpoint->id);
    node->backoff_ms = 0;
    node->retry_ns = 0;
    link->was_up = true;
    link_release(fabric, link, VERBS_LINK_UP);
    return true;
}

static bool link_waits(const struct verbs_link *link) {
    return atomic_load(&link->state) == VERBS_LINK_CONNECT && !atomic_load(&link->endpoint->closing);
}

/* Takes the links out of the list that are to be connected, or those that are to be ended. */
static struct verbs_link *work_take(struct verbs_fabric *fabric, bool connect) {
    struct verbs_link *taken = NULL;
    pthread_mutex_lock(&fabric->lock);
    for (struct verbs_link **at = &fabric->work; *at;) {
        struct verbs_link *link = *at;
        if (link_waits(link) != connect) {
            at = &link->next;
            continue;
        }
        *at = link->next;
        link->next = taken;
        taken = link;
    }
    pthread_mutex_unlock(&fabric->lock);
    return taken;
}

void verbs_connector_ends(struct verbs_fabric *fabric) {
    struct verbs_link *link = work_take(fabric, false);
    while (link) {
        struct verbs_link *next = link->next; /* the endpoint may be gone afterwards */
        verbs_line_close(fabric, &link->line);
        link_release(fabric, link, atomic_load(&link->endpoint->closing) ? VERBS_LINK_NONE : VERBS_LINK_DEAD);
        link = next;
    }
}

static void links_work(struct verbs_fabric *fabric) {
    verbs_connector_ends(fabric);
    struct verbs_link *link = work_take(fabric, true);
    while (link) {
        struct verbs_link *next = link->next;
        if (!link_connect(fabric, link)) { /* back into the list */
            pthread_mutex_lock(&fabric->lock);
            link->next = fabric->work;
            fabric->work = link;
            pthread_mutex_unlock(&fabric->lock);
        }
        link = next;
    }
}

/* Control connections that were lost come back, so that nodes know that this process is alive. */
static void nodes_work(struct verbs_fabric *fabric) {
    char error[512];
    for (uint32_t index = 0; index < fabric->head.node_count; index++) {
        struct verbs_node *node = &fabric->nodes[index];
        const uint64_t now_ns = verbs_clock_ns(fabric);
        if (!verbs_node_lost(node) || now_ns < node->retry_ns || atomic_load(&fabric->stopping))
            continue;
        enum dm_status status =
            verbs_node_connect(fabric, index, now_ns + VERBS_CONNECT_MS * VERBS_NS_PER_MS, error, sizeof error);
        if (status != DM_OK) {
            node_failed(fabric, index, true, error);
            continue;
        }
        node->backoff_ms = 0;
        node->retry_ns = 0;
    }
}

/* ---- Events ----------------------------------------------------------------------------------------------------- */

static void all_lost(struct verbs_fabric *fabric, const struct verbs_endpoint *only) {
    pthread_mutex_lock(&fabric->lock);
    for (struct verbs_endpoint *endpoint = fabric->endpoints; endpoint; endpoint = endpoint->next)
        for (uint32_t node = 0; (!only || only == endpoint) && node < fabric->head.node_count; node++)
            verbs_line_lost(&endpoint->links[node].line);
    pthread_mutex_unlock(&fabric->lock);
    for (uint32_t node = 0; !only && node < fabric->head.node_count; node++)
        verbs_line_lost(&fabric->nodes[node].line);
}

/* The queue pair may be somebody else's: librdmacm shares a device among all who use it in a process. */
static void pair_lost(struct verbs_fabric *fabric, const struct ibv_qp *qp) {
    for (uint32_t node = 0; node < fabric->head.node_count; node++)
        if (fabric->nodes[node].line.qp == qp)
            verbs_line_lost(&fabric->nodes[node].line);
    pthread_mutex_lock(&fabric->lock);
    for (struct verbs_endpoint *endpoint = fabric->endpoints; endpoint; endpoint = endpoint->next)
        for (uint32_t node = 0; node < fabric->head.node_count; node++)
            if (endpoint->links[node].line.qp == qp)
                verbs_line_lost(&endpoint->links[node].line);
    pthread_mutex_unlock(&fabric->lock);
}

static void device_event(struct verbs_fabric *fabric) {
    struct ibv_async_event event;
    if (ibv_get_async_event(fabric->device.context, &event) != 0)
        return;
    enum dm_log_level level = DM_LOG_WARNING;
    switch (event.event_type) {
    case IBV_EVENT_QP_FATAL:
    case IBV_EVENT_QP_REQ_ERR:
    case IBV_EVENT_QP_ACCESS_ERR:
        pair_lost(fabric, event.element.qp);
        break;
    case IBV_EVENT_CQ_ERR:
        all_lost(fabric, event.element.cq->cq_context); /* no endpoint of ours: nothing happens */
        break;
    case IBV_EVENT_DEVICE_FATAL:
        all_lost(fabric, NULL);
        break;
    case IBV_EVENT_PORT_ERR:
        break;
    default: /* nothing that a connection would not tell by itself */
        level = DM_LOG_NOTICE;
        break;
    }
    verbs_log(fabric, level, "verbs fabric: device %s: %s", ibv_get_device_name(fabric->device.context->device),
              ibv_event_type_str(event.event_type));
    ibv_ack_async_event(&event);
}

/* ms until the next attempt to connect; -1: none is due. */
static int retry_ms(struct verbs_fabric *fabric) {
    const uint64_t now_ns = verbs_clock_ns(fabric);
    uint64_t first_ns = UINT64_MAX;
    pthread_mutex_lock(&fabric->lock);
    for (const struct verbs_link *link = fabric->work; link; link = link->next) {
        const uint64_t at_ns = link_waits(link) ? fabric->nodes[link->node].retry_ns : 0;
        first_ns = at_ns < first_ns ? at_ns : first_ns;
    }
    pthread_mutex_unlock(&fabric->lock);
    for (uint32_t node = 0; node < fabric->head.node_count; node++)
        if (verbs_node_lost(&fabric->nodes[node]) && fabric->nodes[node].retry_ns < first_ns)
            first_ns = fabric->nodes[node].retry_ns;
    if (first_ns == UINT64_MAX)
        return -1;
    return first_ns <= now_ns ? 0 : (int)((first_ns - now_ns) / VERBS_NS_PER_MS) + 1;
}

static void *connector_main(void *argument) {
    struct verbs_fabric *fabric = argument;
    struct pollfd waits[] = {{.fd = fabric->wake_fd, .events = POLLIN},
                             {.fd = fabric->events->fd, .events = POLLIN},
                             {.fd = fabric->device.context->async_fd, .events = POLLIN}};
    struct rdma_cm_event *event;
    uint64_t wakes;
    while (!atomic_load(&fabric->stopping)) {
        links_work(fabric);
        nodes_work(fabric);
        if (poll(waits, sizeof waits / sizeof waits[0], retry_ms(fabric)) <= 0)
            continue;
        if (waits[0].revents && read(fabric->wake_fd, &wakes, sizeof wakes) < 0 && errno != EAGAIN)
            verbs_log(fabric, DM_LOG_WARNING, "verbs fabric: its thread cannot be woken");
        if (waits[1].revents && verbs_line_event(fabric, NULL, 0, &event))
            rdma_ack_cm_event(event);
        if (waits[2].revents)
            device_event(fabric);
    }
    return NULL;
}

bool verbs_connector_start(struct verbs_fabric *fabric) {
    /* Signals are for the threads of whoever opened the fabric. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    fabric->thread_started = pthread_create(&fabric->thread, NULL, connector_main, fabric) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return fabric->thread_started;
}

void verbs_connector_stop(struct verbs_fabric *fabric) {
    if (!fabric->thread_started)
        return;
    atomic_store(&fabric->stopping, true);
    descriptor_signal(fabric->wake_fd);
    pthread_join(fabric->thread, NULL);
    fabric->thread_started = false;
}

/* ---- What other threads ask for --------------------------------------------------------------------------------- */

void verbs_connector_wake(struct verbs_fabric *fabric) { descriptor_signal(fabric->wake_fd); }

void verbs_connector_give(struct verbs_fabric *fabric, struct verbs_link *link, enum verbs_link_state state) {
    pthread_mutex_lock(&fabric->lock);
    atomic_store_explicit(&link->state, state, memory_order_release);
    link->next = fabric->work;
    fabric->work = link;
    pthread_mutex_unlock(&fabric->lock);
    descriptor_signal(fabric->wake_fd);
}
