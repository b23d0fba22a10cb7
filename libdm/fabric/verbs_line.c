/* verbs_line.c: one connection by rdma_cm, from the address to a queue pair that is ready, and back. All connections of
 * a fabric share one event channel; an event of another one than that being waited for only marks it lost. Runs on the
 * connector's thread (and on the opening one before that starts); blocks, up to a deadline. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "verbs.h"

#define GLANCE_MS 20            /* how often ends are looked after meanwhile */
#define REJECTED_BY_CONSUMER 28 /* InfiniBand specification, 12.6.7.2: by whoever listens, not by his host */

struct opening {
    struct verbs_fabric *fabric;
    struct verbs_line *line;
    const struct verbs_line_plan *plan;
    uint32_t *reason;
    char *error;
    size_t error_bytes;
    /* of the last event */
    int status;
    uint8_t data[VERBS_ACCEPT_BYTES_MAX];
    size_t data_bytes;
};

static enum dm_status fail(const struct opening *opening, enum dm_status status, const char *format, ...)
    DM_PRINTF(3, 4);

static enum dm_status fail(const struct opening *opening, enum dm_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(opening->error, opening->error_bytes, format, arguments);
    va_end(arguments);
    return status;
}

/* ---- Events ----------------------------------------------------------------------------------------------------- */

void verbs_line_lost(struct verbs_line *line) {
    if (atomic_exchange(&line->lost, true))
        return;
    if (line->qp)
        verbs_pair_break(line->qp);
    if (line->link)
        verbs_endpoint_wake(line->link->endpoint);
}

static bool event_ends_line(enum rdma_cm_event_type type) {
    return type == RDMA_CM_EVENT_DISCONNECTED || type == RDMA_CM_EVENT_DEVICE_REMOVAL ||
           type == RDMA_CM_EVENT_CONNECT_ERROR || type == RDMA_CM_EVENT_REJECTED || type == RDMA_CM_EVENT_UNREACHABLE;
}

bool verbs_line_event(struct verbs_fabric *fabric, const struct verbs_line *line, int wait_ms,
                      struct rdma_cm_event **out) {
    struct pollfd wait = {.fd = fabric->events->fd, .events = POLLIN};
    struct rdma_cm_event *event;
    if (poll(&wait, 1, wait_ms) <= 0 || rdma_get_cm_event(fabric->events, &event) != 0)
        return false;
    struct verbs_line *of = event->id->context;
    if (event_ends_line(event->event) && of != line)
        verbs_line_lost(of);
    if (event->event == RDMA_CM_EVENT_DEVICE_REMOVAL)
        verbs_log(fabric, DM_LOG_WARNING, "the RDMA device is being removed");
    if (of != line || !line) {
        rdma_ack_cm_event(event);
        return false;
    }
    *out = event;
    return true;
}

/* Waits for the next event of the line and takes it apart; -1 when time is up. */
static int event_await(struct opening *opening) {
    struct verbs_fabric *fabric = opening->fabric;
    struct rdma_cm_event *event;
    for (;;) {
        const uint64_t now_ns = verbs_clock_ns(fabric);
        if (now_ns >= opening->plan->deadline_ns || atomic_load(&fabric->stopping))
            return -1;
        const int wait_ms = (int)((opening->plan->deadline_ns - now_ns) / VERBS_NS_PER_MS) + 1;
        if (verbs_line_event(fabric, opening->line, wait_ms < GLANCE_MS ? wait_ms : GLANCE_MS, &event))
            break;
        verbs_connector_ends(fabric);
    }
    const int type = event->event;
    opening->status = event->status;
    opening->data_bytes = 0;
    const bool answer =
        type == RDMA_CM_EVENT_CONNECT_RESPONSE || type == RDMA_CM_EVENT_ESTABLISHED || type == RDMA_CM_EVENT_REJECTED;
    if (answer && event->param.conn.private_data) {
        opening->data_bytes = event->param.conn.private_data_len;
        if (opening->data_bytes > sizeof opening->data)
            opening->data_bytes = sizeof opening->data;
        memcpy(opening->data, event->param.conn.private_data, opening->data_bytes);
    }
    rdma_ack_cm_event(event);
    return type;
}

/* ---- Steps ------------------------------------------------------------------------------------------------------ */

static enum dm_status fail_rejected(const struct opening *opening) {
    struct verbs_reject reject;
    if (opening->data_bytes >= sizeof reject) {
        memcpy(&reject, opening->data, sizeof reject);
        if (reject.head.magic == VERBS_MAGIC && reject.head.version != VERBS_VERSION)
            reject.reason = VERBS_REASON_VERSION;
        if (reject.head.magic == VERBS_MAGIC) {
            *opening->reason = reject.reason;
            if (reject.reason == VERBS_REASON_IDENTITY_FENCED)
                atomic_store(&opening->fabric->head.fenced, true);
            if (reject.reason == VERBS_REASON_VERSION)
                return fail(opening, DM_INCOMPATIBLE,
                            "it speaks version %u of the protocol, this program version %u; run the same release",
                            reject.head.version, VERBS_VERSION);
            return fail(opening, reject.reason == VERBS_REASON_FULL ? DM_UNREACHABLE : DM_INCOMPATIBLE,
                        "it refuses: %s", verbs_reason_text(reject.reason));
        }
    }
    if (opening->status == REJECTED_BY_CONSUMER)
        return fail(opening, DM_UNREACHABLE, "it has ended the attempt; see its log");
    return fail(
        opening, DM_UNREACHABLE,
        "connection refused (%d): nobody listens there; start fusegate-memserver --memserver.listen=rdma://..., or "
        "correct the address",
        opening->status);
}

/* What came instead of what was waited for. */
static enum dm_status fail_event(const struct opening *opening, int type) {
    switch (type) {
    case -1:
        return fail(opening, DM_UNREACHABLE,
                    "no answer in time; is the host up, is the route right, does a firewall drop "
                    "UDP port 4791 (RoCE)?");
    case RDMA_CM_EVENT_ADDR_ERROR:
        return fail(opening, DM_UNREACHABLE,
                    "no RDMA device on the route to it (%s); correct the address, or make a device on that interface "
                    "(rdma link add rxe0 type rxe netdev ...)",
                    strerror(-opening->status));
    case RDMA_CM_EVENT_ROUTE_ERROR:
        return fail(opening, DM_UNREACHABLE, "no route to it (%s)", strerror(-opening->status));
    case RDMA_CM_EVENT_REJECTED:
        return fail_rejected(opening);
    default:
        return fail(opening, DM_UNREACHABLE, "the connection failed: %s (%d)",
                    rdma_event_str((enum rdma_cm_event_type)type), opening->status);
    }
}

static enum dm_status line_resolve(struct opening *opening) {
    struct verbs_fabric *fabric = opening->fabric;
    struct verbs_line *line = opening->line;
    if (rdma_create_id(fabric->events, &line->id, line, RDMA_PS_TCP) != 0)
        return fail(opening, DM_UNREACHABLE, "no connection identifier: %s", strerror(errno));
    if (fabric->config.traffic_class >= 0) {
        uint8_t class = (uint8_t)fabric->config.traffic_class;
        if (rdma_set_option(line->id, RDMA_OPTION_ID, RDMA_OPTION_ID_TOS, &class, sizeof class) != 0)
            return fail(opening, DM_INVALID, "rdma.traffic_class is not accepted: %s", strerror(errno));
    }
    struct sockaddr_storage at = *opening->plan->at;
    const int wait_ms = VERBS_CONNECT_MS;
    if (rdma_resolve_addr(line->id, NULL, (struct sockaddr *)&at, wait_ms) != 0)
        return fail(opening, DM_UNREACHABLE, "no RDMA device on the route to it (%s); correct the address",
                    strerror(errno));
    int type = event_await(opening);
    if (type != RDMA_CM_EVENT_ADDR_RESOLVED)
        return fail_event(opening, type);
    if (rdma_resolve_route(line->id, wait_ms) != 0)
        return fail(opening, DM_UNREACHABLE, "no route to it: %s", strerror(errno));
    type = event_await(opening);
    return type == RDMA_CM_EVENT_ROUTE_RESOLVED ? DM_OK : fail_event(opening, type);
}

/* What all connections share, made on the device of the first one. */
static enum dm_status device_attach(struct opening *opening) {
    struct verbs_fabric *fabric = opening->fabric;
    struct rdma_cm_id *id = opening->line->id;
    enum dm_status status =
        verbs_device_examine(id, &fabric->config, &fabric->device, opening->error, opening->error_bytes);
    if (status != DM_OK)
        return status;
    verbs_config_settle(&fabric->config, &fabric->device);
    fabric->pd = ibv_alloc_pd(id->verbs);
    if (!fabric->pd)
        return fail(opening, DM_UNREACHABLE, "the device has no protection domain left: %s", strerror(errno));
    return DM_OK;
}

static enum dm_status line_pair(struct opening *opening) {
    struct verbs_fabric *fabric = opening->fabric;
    struct verbs_line *line = opening->line;
    const struct verbs_line_plan *plan = opening->plan;
    if (!fabric->pd) {
        enum dm_status status = device_attach(opening);
        if (status != DM_OK)
            return status;
    }
    if (!plan->mailbox->mr && !verbs_mailbox_open(fabric, plan->mailbox, opening->error, opening->error_bytes))
        return DM_NO_MEMORY;
    if (line->id->verbs != fabric->device.context || line->id->port_num != fabric->device.port)
        return fail(
            opening, DM_INVALID,
            "the route to it uses another device or port (%s) than that to the first memory node (%s); one gateway "
            "uses one: correct address or route",
            ibv_get_device_name(line->id->verbs->device), ibv_get_device_name(fabric->device.context->device));
    struct ibv_qp_init_attr attr = {
        .qp_type = IBV_QPT_RC,
        .send_cq = plan->send_cq ? plan->send_cq : plan->mailbox->cq,
        .recv_cq = plan->mailbox->cq,
        .srq = plan->mailbox->srq,
        .cap = {.max_send_wr = plan->send_depth, .max_send_sge = 1, .max_inline_data = plan->inline_bytes}};
    line->qp = ibv_create_qp(fabric->pd, &attr);
    if (!line->qp && plan->inline_bytes != 0) { /* a device need not be able to carry data in the request */
        attr.cap.max_inline_data = 0;
        line->qp = ibv_create_qp(fabric->pd, &attr);
    }
    line->reads_max = verbs_depth_clamp(fabric->device.attr.max_qp_init_rd_atom);
    line->inline_bytes = plan->inline_bytes != 0 ? attr.cap.max_inline_data : 0;
    if (!line->qp)
        return fail(opening, DM_UNREACHABLE, "the device has no queue pair for it: %s", strerror(errno));
    return verbs_pair_init(line->id, line->qp, 0, opening->error, opening->error_bytes);
}

static enum dm_status line_connect(struct opening *opening) {
    struct verbs_fabric *fabric = opening->fabric;
    struct verbs_line *line = opening->line;
    struct rdma_conn_param param = {.private_data = opening->plan->request,
                                    .private_data_len = (uint8_t)opening->plan->request_bytes,
                                    .initiator_depth = verbs_depth_clamp(fabric->device.attr.max_qp_init_rd_atom),
                                    .retry_count = (uint8_t)fabric->config.retry_count,
                                    .rnr_retry_count = (uint8_t)fabric->config.rnr_retry,
                                    .srq = 1,
                                    .qp_num = line->qp->qp_num};
    if (rdma_connect(line->id, &param) != 0)
        return fail(opening, DM_UNREACHABLE, "cannot ask it for a connection: %s", strerror(errno));
    const int type = event_await(opening);
    if (type != RDMA_CM_EVENT_CONNECT_RESPONSE && type != RDMA_CM_EVENT_ESTABLISHED)
        return fail_event(opening, type);
    const size_t wanted = opening->plan->accept_bytes;
    if (!verbs_head_check(opening->data, opening->data_bytes, wanted))
        return fail(
            opening, DM_INCOMPATIBLE,
            "what listens there is not a memory node of this version; correct the address, run the same release");
    memcpy(opening->plan->accept, opening->data, wanted);
    if (type == RDMA_CM_EVENT_ESTABLISHED) /* iWARP: the kernel has made the queue pair ready */
        return DM_OK;
    enum dm_status status = verbs_pair_ready(line->id, line->qp, &fabric->config, 0, &line->reads_max, opening->error,
                                             opening->error_bytes);
    if (status == DM_OK && rdma_establish(line->id) != 0)
        return fail(opening, DM_UNREACHABLE, "cannot confirm the connection: %s", strerror(errno));
    return status;
}

enum dm_status verbs_line_open(struct verbs_fabric *fabric, struct verbs_line *line, const struct verbs_line_plan *plan,
                               uint32_t *reason, char *error, size_t error_bytes) {
    struct opening opening = {
        .fabric = fabric, .line = line, .plan = plan, .reason = reason, .error = error, .error_bytes = error_bytes};
    *reason = 0;
    atomic_store(&line->lost, false);
    enum dm_status status = line_resolve(&opening);
    if (status == DM_OK)
        status = line_pair(&opening);
    if (status == DM_OK)
        status = line_connect(&opening);
    if (status != DM_OK)
        verbs_line_close(fabric, line);
    return status;
}

void verbs_line_close(struct verbs_fabric *fabric, struct verbs_line *line) {
    (void)fabric;
    if (line->qp) {
        verbs_pair_break(line->qp);
        (void)rdma_disconnect(line->id); /* the node need not wait for a time limit */
        ibv_destroy_qp(line->qp);
        line->qp = NULL;
    }
    if (line->id) {
        rdma_destroy_id(line->id);
        line->id = NULL;
    }
}
