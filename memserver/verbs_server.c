/* verbs_server.c: the loop of a memory node over RDMA: the connection manager's events, the completion queue, the
 * device's events and the stop descriptor in one epoll set. See verbs_server.h. */
#include "verbs_server.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "node_log.h"
#include "verbs_peer.h"

#define LISTEN_BACKLOG 128
#define EVENTS_PER_WAIT 8
#define COMPLETIONS_PER_POLL 16
#define PAGE_BYTES ((size_t)4096)
#define COMPLETIONS_MAX (VERBS_PEERS_MAX + 4 * VERBS_MESSAGES_RECEIVED)

enum { EVENT_STOP, EVENT_CONNECTIONS, EVENT_COMPLETIONS, EVENT_DEVICE };

/* ---- Completions ------------------------------------------------------------------------------------------------ */

static bool message_receive(struct verbs_server *server, uint64_t index) {
    struct ibv_sge part = {(uintptr_t)&server->messages[index], sizeof *server->messages,
                           server->domain.messages_mr->lkey};
    struct ibv_recv_wr request = {.wr_id = index, .sg_list = &part, .num_sge = 1};
    struct ibv_recv_wr *bad;
    return ibv_post_srq_recv(server->srq, &request, &bad) == 0;
}

static void completion_take(struct verbs_server *server, const struct ibv_wc *completion) {
    struct verbs_peer *peer = verbs_peer_find(server, completion->qp_num);
    struct verbs_message message;
    const bool received = completion->wr_id < VERBS_MESSAGES_RECEIVED;
    bool understood = false;
    if (received && completion->status == IBV_WC_SUCCESS) {
        message = server->messages[completion->wr_id];
        understood = verbs_head_check(&message, completion->byte_len, sizeof message);
    }
    if (received && !message_receive(server, completion->wr_id))
        node_log(DM_LOG_WARNING, "the receive queue has lost a buffer");
    if (!peer)
        return; /* closed meanwhile */
    if (completion->status != IBV_WC_SUCCESS)
        verbs_peer_close(server, peer, ibv_wc_status_str(completion->status));
    else if (received && !understood)
        verbs_peer_close(server, peer, "a message that is not understood");
    else if (received)
        verbs_tenant_message(server, peer, &message);
}

static void completions_handle(struct verbs_server *server) {
    struct ibv_wc completions[COMPLETIONS_PER_POLL];
    struct ibv_cq *cq;
    void *context;
    int count;
    while (ibv_get_cq_event(server->channel, &cq, &context) == 0)
        ibv_ack_cq_events(cq, 1);
    if (ibv_req_notify_cq(server->cq, 0) != 0)
        node_log(DM_LOG_WARNING, "the completion queue cannot be armed");
    while ((count = ibv_poll_cq(server->cq, COMPLETIONS_PER_POLL, completions)) > 0)
        for (int i = 0; i < count; i++)
            completion_take(server, &completions[i]);
}

/* ---- The connection manager's and the device's events ----------------------------------------------------------- */

static void connection_handle(struct verbs_server *server) {
    struct rdma_cm_event *event;
    uint8_t data[VERBS_ACCEPT_BYTES_MAX];
    if (rdma_get_cm_event(server->events, &event) != 0)
        return;
    const enum rdma_cm_event_type type = event->event;
    struct verbs_knock knock = {.id = event->id, .data = data};
    struct verbs_peer *peer = type == RDMA_CM_EVENT_CONNECT_REQUEST ? NULL : event->id->context;
    if (type == RDMA_CM_EVENT_CONNECT_REQUEST && event->param.conn.private_data) {
        knock.data_bytes = event->param.conn.private_data_len;
        if (knock.data_bytes > sizeof data)
            knock.data_bytes = sizeof data;
        memcpy(data, event->param.conn.private_data, knock.data_bytes);
        /* named from this side: what the other one wants to have outstanding here */
        knock.depth = verbs_depth_clamp(event->param.conn.responder_resources);
    }
    rdma_ack_cm_event(event); /* an identifier cannot be destroyed before */
    switch (type) {
    case RDMA_CM_EVENT_CONNECT_REQUEST:
        verbs_peer_knock(server, &knock);
        break;
    case RDMA_CM_EVENT_ESTABLISHED:
        verbs_peer_established(server, peer);
        break;
    case RDMA_CM_EVENT_DISCONNECTED:
        verbs_peer_close(server, peer, peer->control ? "it has gone" : NULL);
        break;
    case RDMA_CM_EVENT_CONNECT_ERROR:
    case RDMA_CM_EVENT_UNREACHABLE:
    case RDMA_CM_EVENT_REJECTED:
        verbs_peer_close(server, peer, rdma_event_str(type));
        break;
    case RDMA_CM_EVENT_DEVICE_REMOVAL:
        node_log(DM_LOG_WARNING, "the RDMA device is being removed");
        if (peer)
            verbs_peer_close(server, peer, "the device is being removed");
        break;
    default: /* RDMA_CM_EVENT_TIMEWAIT_EXIT and the like */
        break;
    }
}

static void device_handle(struct verbs_server *server) {
    struct ibv_async_event event;
    if (ibv_get_async_event(server->device.context, &event) != 0)
        return;
    const enum ibv_event_type type = event.event_type;
    const bool of_pair = type == IBV_EVENT_QP_FATAL || type == IBV_EVENT_QP_REQ_ERR || type == IBV_EVENT_QP_ACCESS_ERR;
    struct verbs_peer *peer = server->peers;
    while (of_pair && peer && peer->qp != event.element.qp)
        peer = peer->next;
    /* A wrong key or an address outside ends here: the adapter has refused it and broken the queue pair. */
    node_log(DM_LOG_WARNING, "device %s: %s%s%s", ibv_get_device_name(server->device.context->device),
             ibv_event_type_str(type), of_pair && peer ? ", connection of " : "", of_pair && peer ? peer->address : "");
    ibv_ack_async_event(&event); /* before a queue pair can be destroyed */
    if (of_pair && peer)
        verbs_peer_close(server, peer, ibv_event_type_str(type));
}

/* ---- Server ----------------------------------------------------------------------------------------------------- */

static bool watch(const struct verbs_server *server, int descriptor, uint32_t what) {
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = what};
    return epoll_ctl(server->epoll, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

bool verbs_server_run(struct verbs_server *server, int stop) {
    struct epoll_event events[EVENTS_PER_WAIT];
    bool going = watch(server, stop, EVENT_STOP);
    bool stopped = false;
    completions_handle(server); /* arms */
    while (going && !stopped) {
        int count = epoll_wait(server->epoll, events, EVENTS_PER_WAIT, -1);
        going = count >= 0 || errno == EINTR;
        for (int i = 0; i < count; i++) {
            const uint32_t what = events[i].data.u32;
            stopped = stopped || what == EVENT_STOP;
            if (what == EVENT_CONNECTIONS)
                connection_handle(server);
            else if (what == EVENT_COMPLETIONS)
                completions_handle(server);
            else if (what == EVENT_DEVICE)
                device_handle(server);
        }
    }
    if (!going)
        node_log(DM_LOG_WARNING, "cannot wait for events: %s", strerror(errno));
    (void)epoll_ctl(server->epoll, EPOLL_CTL_DEL, stop, NULL);
    return going;
}

uint16_t verbs_server_port(const struct verbs_server *server) { return ntohs(rdma_get_src_port(server->listener)); }

static bool descriptor_unblock(int descriptor) {
    const int flags = fcntl(descriptor, F_GETFL);
    return flags >= 0 && fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) == 0;
}

/* An identifier on the address, the device that this is, and whether that will do. */
static bool listener_bind(struct verbs_server *server, const char *listen, char *error, size_t error_bytes) {
    struct sockaddr_storage at;
    char cause[384];
    if (!verbs_address_parse(listen, &at, error, error_bytes))
        return false;
    if (rdma_create_id(server->events, &server->listener, NULL, RDMA_PS_TCP) != 0) {
        snprintf(error, error_bytes, "no connection identifier: %s", strerror(errno));
        return false;
    }
    if (rdma_bind_addr(server->listener, (struct sockaddr *)&at) != 0) {
        snprintf(error, error_bytes, "cannot listen on %s: %s; %s", listen, strerror(errno),
                 errno == EADDRINUSE ? "another memory node has this port"
                                     : "is it the address of an RDMA device here?");
        return false;
    }
    if (verbs_device_examine(server->listener, &server->config, &server->device, cause, sizeof cause) != DM_OK) {
        snprintf(error, error_bytes, "cannot listen on %s: %s", listen, cause);
        return false;
    }
    verbs_config_settle(&server->config, &server->device);
    server->windows = server->device.windows && !server->config.no_windows;
    return true;
}

static bool queues_open(struct verbs_server *server, char *error, size_t error_bytes) {
    struct ibv_srq_init_attr srq = {.attr = {.max_wr = VERBS_MESSAGES_RECEIVED, .max_sge = 1}};
    const int completions =
        server->device.attr.max_cqe < (int)COMPLETIONS_MAX ? server->device.attr.max_cqe : (int)COMPLETIONS_MAX;
    const size_t messages = (VERBS_MESSAGES_RECEIVED + VERBS_PEERS_MAX) * sizeof *server->messages;
    server->messages = aligned_alloc(PAGE_BYTES, (messages + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES);
    snprintf(error, error_bytes, "the device has no queue or domain for it, or there is no memory");
    /* All of the memory at once, also where each gateway will have a registration of its own: what cannot be locked is
     * to be told now, and pages that are there make the others quick. */
    if (!server->messages || !verbs_domain_open(server, &server->domain, true, error, error_bytes))
        return false;
    if (!server->windows) {
        ibv_dereg_mr(server->domain.mr);
        server->domain.mr = NULL;
    }
    server->channel = ibv_create_comp_channel(server->device.context);
    if (server->channel)
        server->cq = ibv_create_cq(server->device.context, completions, NULL, server->channel, 0);
    if (server->cq)
        server->srq = ibv_create_srq(server->domain.pd, &srq);
    bool opened = server->srq && descriptor_unblock(server->channel->fd);
    for (uint64_t i = 0; opened && i < VERBS_MESSAGES_RECEIVED; i++)
        opened = message_receive(server, i);
    return opened;
}

static bool watches_open(struct verbs_server *server) {
    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    return server->epoll >= 0 && descriptor_unblock(server->events->fd) &&
           descriptor_unblock(server->device.context->async_fd) &&
           watch(server, server->events->fd, EVENT_CONNECTIONS) &&
           watch(server, server->channel->fd, EVENT_COMPLETIONS) &&
           watch(server, server->device.context->async_fd, EVENT_DEVICE);
}

bool verbs_server_open(const struct verbs_server_config *config, const struct memory *memory, struct verbs_server **out,
                       char *error, size_t error_bytes) {
    if (verbs_config_check(config->verbs, error, error_bytes) != DM_OK)
        return false;
    struct verbs_server *server = calloc(1, sizeof *server);
    if (!server) {
        snprintf(error, error_bytes, "out of memory");
        return false;
    }
    server->memory = memory;
    server->config = *config->verbs;
    server->epoll = -1;
    server->incarnation = verbs_random() | 1;
    server->pool = verbs_pool_id(config->verbs->pool ? config->verbs->pool : "");
    memcpy(server->secret, config->verbs->secret, config->verbs->secret_bytes);
    server->events = verbs_events_open(error, error_bytes);
    if (!server->events || !listener_bind(server, config->listen, error, error_bytes) ||
        !queues_open(server, error, error_bytes))
        goto out_close;
    if (!watches_open(server) || rdma_listen(server->listener, LISTEN_BACKLOG) != 0) {
        snprintf(error, error_bytes, "cannot listen on %s: %s", config->listen, strerror(errno));
        goto out_close;
    }
    node_log(DM_LOG_NOTICE, "RDMA device %s, port %u, %s", ibv_get_device_name(server->device.context->device),
             server->device.port,
             server->windows ? "access by memory windows" : "access by a protection domain for each gateway");
    *out = server;
    return true;
out_close:
    verbs_server_close(server);
    return false;
}

void verbs_server_close(struct verbs_server *server) {
    while (server->tenants)
        verbs_tenant_end(server, server->tenants, "the memory node ends");
    while (server->peers)
        verbs_peer_close(server, server->peers, NULL);
    if (server->listener)
        rdma_destroy_id(server->listener);
    if (server->srq)
        ibv_destroy_srq(server->srq);
    if (server->cq)
        ibv_destroy_cq(server->cq);
    if (server->channel)
        ibv_destroy_comp_channel(server->channel);
    verbs_domain_close(&server->domain);
    if (server->events)
        rdma_destroy_event_channel(server->events);
    if (server->epoll >= 0)
        close(server->epoll);
    free(server->messages);
    explicit_bzero(server->secret, sizeof server->secret);
    free(server);
}
