/* verbs_node.c: the control connection of a fabric to one memory node: authentication, the session that links are made
 * in, and calls. One message of a mailbox at a time is under way, so one buffer to send is enough. Connections are made
 * on the connector's thread (and on the opening one before that starts), calls on any, under the node's lock; all of it
 * blocks, up to a deadline. See verbs_wire.h. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "verbs.h"

#define SENT_ID UINT64_MAX /* wr_id of the message sent; those received have their index */
#define CONTROL_SEND_DEPTH 4u
#define CALL_MS 2000u /* a caller may be a worker's thread, whose clients wait meanwhile */
#define GLANCE_MS 100 /* how often a caller looks whether the line was lost meanwhile */

/* What a mailbox has brought for one line. */
struct news {
    struct verbs_mailbox *mailbox;
    const struct verbs_line *line;
    uint64_t deadline_ns;
    bool connector; /* on its thread, which has the connection manager's events to handle too */
    struct verbs_message message;
    bool received, sent, failed;
};

/* ---- Mailboxes -------------------------------------------------------------------------------------------------- */

static bool mailbox_receive(const struct verbs_mailbox *mailbox, uint64_t index) {
    struct ibv_sge part = {(uintptr_t)&mailbox->messages[index], sizeof *mailbox->messages, mailbox->mr->lkey};
    struct ibv_recv_wr request = {.wr_id = index, .sg_list = &part, .num_sge = 1};
    struct ibv_recv_wr *bad;
    return ibv_post_srq_recv(mailbox->srq, &request, &bad) == 0;
}

bool verbs_mailbox_open(const struct verbs_fabric *fabric, struct verbs_mailbox *mailbox, char *error,
                        size_t error_bytes) {
    const struct dm_env *env = fabric->head.env;
    struct ibv_srq_init_attr srq = {.attr = {.max_wr = VERBS_MESSAGES, .max_sge = 1}};
    const size_t bytes = (VERBS_MESSAGES + 1) * sizeof *mailbox->messages;
    mailbox->messages = env->allocate(env->context, bytes);
    mailbox->channel = ibv_create_comp_channel(fabric->device.context);
    if (mailbox->channel)
        mailbox->cq = ibv_create_cq(fabric->device.context, 2 * VERBS_MESSAGES, NULL, mailbox->channel, 0);
    if (mailbox->cq)
        mailbox->srq = ibv_create_srq(fabric->pd, &srq);
    if (!mailbox->messages || !mailbox->srq) {
        snprintf(error, error_bytes, "the device has no completion or receive queue left: %s", strerror(errno));
        verbs_mailbox_close(fabric, mailbox);
        return false;
    }
    mailbox->mr =
        verbs_memory_register(fabric->pd, mailbox->messages, bytes, IBV_ACCESS_LOCAL_WRITE, error, error_bytes);
    bool opened = mailbox->mr != NULL;
    for (uint64_t i = 0; opened && i < VERBS_MESSAGES; i++)
        if (!mailbox_receive(mailbox, i)) {
            snprintf(error, error_bytes, "the device takes no receive requests");
            opened = false;
        }
    if (!opened)
        verbs_mailbox_close(fabric, mailbox);
    return opened;
}

void verbs_mailbox_close(const struct verbs_fabric *fabric, struct verbs_mailbox *mailbox) {
    if (mailbox->srq)
        ibv_destroy_srq(mailbox->srq);
    if (mailbox->cq)
        ibv_destroy_cq(mailbox->cq);
    if (mailbox->channel)
        ibv_destroy_comp_channel(mailbox->channel);
    if (mailbox->mr)
        ibv_dereg_mr(mailbox->mr);
    if (mailbox->messages)
        fabric->head.env->release(fabric->head.env->context, mailbox->messages);
    *mailbox = (struct verbs_mailbox){0};
}

/* ---- Messages --------------------------------------------------------------------------------------------------- */

static void completion_take(struct verbs_fabric *fabric, const struct ibv_wc *completion, struct news *news) {
    const bool ours = completion->qp_num == news->line->qp->qp_num;
    if (completion->wr_id < VERBS_MESSAGES) {
        const struct verbs_message *message = &news->mailbox->messages[completion->wr_id];
        if (ours && completion->status == IBV_WC_SUCCESS &&
            verbs_head_check(message, completion->byte_len, sizeof *message)) {
            news->message = *message;
            news->received = true;
        }
        if (!mailbox_receive(news->mailbox, completion->wr_id))
            verbs_log(fabric, DM_LOG_WARNING, "verbs fabric: a receive queue has lost a buffer");
    } else if (ours) {
        news->sent = true;
    }
    if (ours && completion->status != IBV_WC_SUCCESS)
        news->failed = true;
}

/* Sleeps until the mailbox has something, or on the connector the connection manager. */
static void news_sleep(struct verbs_fabric *fabric, const struct news *news, uint64_t now_ns) {
    struct pollfd waits[] = {{.fd = news->mailbox->channel->fd, .events = POLLIN},
                             {.fd = fabric->events->fd, .events = POLLIN}};
    const uint64_t left_ms = (news->deadline_ns - now_ns) / VERBS_NS_PER_MS + 1;
    struct ibv_cq *cq;
    void *context;
    struct rdma_cm_event *event;
    if (poll(waits, news->connector ? 2 : 1, left_ms < GLANCE_MS ? (int)left_ms : GLANCE_MS) <= 0)
        return;
    if (waits[0].revents && ibv_get_cq_event(news->mailbox->channel, &cq, &context) == 0)
        ibv_ack_cq_events(cq, 1);
    if (waits[1].revents && verbs_line_event(fabric, NULL, 0, &event))
        rdma_ack_cm_event(event);
}

/* Takes what there is until `*flag` of the news, or failure. False: the mailbox is empty, and armed. */
static bool news_take(struct verbs_fabric *fabric, struct news *news, const bool *flag) {
    struct ibv_wc completion;
    for (bool armed = false;;) {
        const int count = ibv_poll_cq(news->mailbox->cq, 1, &completion);
        news->failed = news->failed || count < 0;
        if (count > 0)
            completion_take(fabric, &completion, news);
        if (*flag || news->failed)
            return true;
        if (count > 0)
            continue;
        if (armed)
            return false;
        armed = true;
        news->failed = ibv_req_notify_cq(news->mailbox->cq, 0) != 0;
    }
}

/* Until `*flag` of the news; false when the line fails, and when time is up. */
static bool news_await(struct verbs_fabric *fabric, struct news *news, const bool *flag) {
    while (!news_take(fabric, news, flag)) {
        const uint64_t now_ns = verbs_clock_ns(fabric);
        if (now_ns >= news->deadline_ns || atomic_load(&news->line->lost) || atomic_load(&fabric->stopping))
            return false;
        news_sleep(fabric, news, now_ns);
    }
    return *flag;
}

static bool message_send(struct verbs_fabric *fabric, struct news *news, const struct verbs_message *message) {
    struct verbs_message *out = &news->mailbox->messages[VERBS_MESSAGES];
    struct ibv_sge part = {(uintptr_t)out, sizeof *out, news->mailbox->mr->lkey};
    struct ibv_send_wr request = {
        .wr_id = SENT_ID, .sg_list = &part, .num_sge = 1, .opcode = IBV_WR_SEND, .send_flags = IBV_SEND_SIGNALED};
    struct ibv_send_wr *bad;
    *out = *message;
    news->sent = false;
    return ibv_post_send(news->line->qp, &request, &bad) == 0 && news_await(fabric, news, &news->sent);
}

/* ---- Control connection ----------------------------------------------------------------------------------------- */

static uint64_t random_word(const struct verbs_fabric *fabric) {
    const struct dm_env *env = fabric->head.env;
    return env->random_u64(env->context);
}

static enum dm_status node_open(struct verbs_fabric *fabric, struct verbs_node *node, uint64_t deadline_ns,
                                struct verbs_control_accept *accept, char *error, size_t error_bytes) {
    struct verbs_control_request *request = &node->handshake.request;
    const uint64_t nonce[2] = {random_word(fabric), random_word(fabric)};
    uint32_t reason;
    *request = (struct verbs_control_request){
        .head = verbs_head_make(VERBS_CONTROL), .pool = fabric->pool_id, .identity = fabric->head.identity};
    memcpy(request->nonce, nonce, sizeof request->nonce);
    const struct verbs_line_plan plan = {.at = &node->at,
                                         .mailbox = &node->mailbox,
                                         .request = request,
                                         .request_bytes = sizeof *request,
                                         .send_depth = CONTROL_SEND_DEPTH,
                                         .deadline_ns = deadline_ns,
                                         .accept = accept,
                                         .accept_bytes = sizeof *accept};
    return verbs_line_open(fabric, &node->line, &plan, &reason, error, error_bytes);
}

/* Does the node know the secret, and has it still the memory that it had? */
static enum dm_status node_verify(struct verbs_fabric *fabric, struct verbs_node *node,
                                  const struct verbs_control_accept *accept, char *error, size_t error_bytes) {
    uint8_t proof[VERBS_PROOF_BYTES];
    const uint64_t known = node->handshake.incarnation;
    node->handshake.session = accept->session;
    node->handshake.incarnation = accept->incarnation;
    memcpy(node->handshake.nonce, accept->nonce, sizeof accept->nonce);
    verbs_proof_make(&node->handshake, VERBS_PROVER_NODE, fabric->secret, fabric->config.secret_bytes, proof);
    if (!verbs_proof_equal(proof, accept->proof, sizeof proof)) {
        node->handshake.incarnation = known;
        snprintf(error, error_bytes, "%s", verbs_reason_text(VERBS_REASON_SECRET));
        return DM_INVALID;
    }
    if (known != 0 && known != accept->incarnation) {
        node->handshake.incarnation = known;
        snprintf(error, error_bytes,
                 "it was started again and has lost its memory; it is not used any more. Restart all memory nodes and "
                 "gateways of the pool");
        return DM_INCOMPATIBLE;
    }
    return DM_OK;
}

/* Proves that this side knows the secret, and hears how large the memory is. */
static enum dm_status node_authenticate(struct verbs_fabric *fabric, struct verbs_node *node, uint64_t deadline_ns,
                                        uint64_t *memory_bytes, char *error, size_t error_bytes) {
    struct verbs_message message = {.head = verbs_head_make(VERBS_AUTH)};
    struct news news = {.mailbox = &node->mailbox, .line = &node->line, .deadline_ns = deadline_ns, .connector = true};
    verbs_proof_make(&node->handshake, VERBS_PROVER_GATEWAY, fabric->secret, fabric->config.secret_bytes,
                     message.proof);
    if (!message_send(fabric, &news, &message) || !news_await(fabric, &news, &news.received)) {
        snprintf(error, error_bytes, "no answer to the authentication; see its log");
        return DM_UNREACHABLE;
    }
    if (news.message.head.kind != VERBS_WELCOME) {
        if (news.message.head.kind == VERBS_REFUSED && news.message.reason == VERBS_REASON_IDENTITY_FENCED)
            atomic_store(&fabric->head.fenced, true);
        snprintf(error, error_bytes, "it refuses: %s",
                 verbs_reason_text(news.message.head.kind == VERBS_REFUSED ? news.message.reason : 0));
        return DM_INVALID;
    }
    *memory_bytes = news.message.memory_bytes;
    return DM_OK;
}

static enum dm_status node_connect(struct verbs_fabric *fabric, uint32_t index, uint64_t deadline_ns, char *error,
                                   size_t error_bytes) {
    struct verbs_node *node = &fabric->nodes[index];
    struct verbs_control_accept accept;
    uint64_t memory_bytes = 0;
    verbs_line_close(fabric, &node->line);
    enum dm_status status = node_open(fabric, node, deadline_ns, &accept, error, error_bytes);
    if (status != DM_OK)
        return status;
    status = node_verify(fabric, node, &accept, error, error_bytes);
    if (status == DM_OK)
        status = node_authenticate(fabric, node, deadline_ns, &memory_bytes, error, error_bytes);
    if (status != DM_OK) {
        verbs_line_close(fabric, &node->line);
        return status;
    }
    verbs_proof_make(&node->handshake, VERBS_PROVER_SESSION_KEY, fabric->secret, fabric->config.secret_bytes,
                     node->session_key);
    node->counter = 0;
    if (fabric->head.node_bytes[index] == 0)
        fabric->head.node_bytes[index] = memory_bytes;
    return DM_OK;
}

enum dm_status verbs_node_connect(struct verbs_fabric *fabric, uint32_t index, uint64_t deadline_ns, char *error,
                                  size_t error_bytes) {
    struct verbs_node *node = &fabric->nodes[index];
    atomic_store(&node->connecting, true);
    pthread_mutex_lock(&node->lock);
    enum dm_status status = node_connect(fabric, index, deadline_ns, error, error_bytes);
    pthread_mutex_unlock(&node->lock);
    atomic_store(&node->connecting, false);
    return status;
}

/* ---- Links ------------------------------------------------------------------------------------------------------ */

static enum dm_status link_open(struct verbs_fabric *fabric, struct verbs_link *link, uint64_t deadline_ns,
                                uint32_t *reason, char *error, size_t error_bytes) {
    struct verbs_node *node = &fabric->nodes[link->node];
    const struct verbs_endpoint *endpoint = link->endpoint;
    struct verbs_data_request request = {.head = verbs_head_make(VERBS_DATA),
                                         .session = node->handshake.session,
                                         .counter = ++node->counter,
                                         .link = endpoint->id};
    struct verbs_head accept;
    verbs_link_proof_make(&request, node->session_key, request.proof);
    const struct verbs_line_plan plan = {.at = &node->at,
                                         .mailbox = &fabric->grants,
                                         .request = &request,
                                         .request_bytes = sizeof request,
                                         .send_cq = endpoint->cq,
                                         .send_depth = endpoint->send_depth,
                                         .inline_bytes = endpoint->inline_bytes,
                                         .deadline_ns = deadline_ns,
                                         .accept = &accept,
                                         .accept_bytes = sizeof accept};
    enum dm_status status = verbs_line_open(fabric, &link->line, &plan, reason, error, error_bytes);
    if (status != DM_OK)
        return status;
    struct news news = {.mailbox = &fabric->grants, .line = &link->line, .deadline_ns = deadline_ns, .connector = true};
    if (!news_await(fabric, &news, &news.received) || news.message.head.kind != VERBS_GRANT) {
        verbs_line_close(fabric, &link->line);
        snprintf(error, error_bytes, "it does not hand out its memory; see its log");
        return DM_UNREACHABLE;
    }
    link->base = news.message.grant.base;
    link->rkey = news.message.grant.rkey;
    return DM_OK;
}

enum dm_status verbs_node_link(struct verbs_fabric *fabric, struct verbs_link *link, uint64_t deadline_ns, char *error,
                               size_t error_bytes) {
    struct verbs_node *node = &fabric->nodes[link->node];
    enum dm_status status = DM_OK;
    uint32_t reason = 0;
    const bool lost = verbs_node_lost(node);
    if (lost)
        status = verbs_node_connect(fabric, link->node, deadline_ns, error, error_bytes);
    if (status == DM_OK)
        status = link_open(fabric, link, deadline_ns, &reason, error, error_bytes);
    if (status == DM_OK || reason != VERBS_REASON_SESSION || lost)
        return status;
    status = verbs_node_connect(fabric, link->node, deadline_ns, error, error_bytes);
    return status == DM_OK ? link_open(fabric, link, deadline_ns, &reason, error, error_bytes) : status;
}

/* ---- Calls ------------------------------------------------------------------------------------------------------ */

static bool node_call(struct verbs_fabric *fabric, struct verbs_node *node, struct verbs_message *message,
                      struct verbs_message *answer) {
    struct news news = {.mailbox = &node->mailbox,
                        .line = &node->line,
                        .deadline_ns = verbs_clock_ns(fabric) + CALL_MS * VERBS_NS_PER_MS};
    message->call.ticket = ++node->ticket;
    if (!message_send(fabric, &news, message))
        return false;
    do { /* an answer that an earlier call did not wait for may come first */
        if (!news_await(fabric, &news, &news.received))
            return false;
        news.received = false;
    } while (news.message.head.kind != message->head.kind || news.message.call.ticket != message->call.ticket);
    *answer = news.message;
    return true;
}

enum dm_status verbs_node_call(struct verbs_fabric *fabric, uint32_t index, struct verbs_message *message,
                               struct verbs_message *answer) {
    struct verbs_node *node = &fabric->nodes[index];
    enum dm_status status = DM_UNREACHABLE;
    if (atomic_load(&node->connecting))
        return status;
    pthread_mutex_lock(&node->lock);
    if (!verbs_node_lost(node)) {
        if (node_call(fabric, node, message, answer))
            status = DM_OK;
        else
            atomic_store(&node->line.lost, true);
    }
    pthread_mutex_unlock(&node->lock);
    if (status != DM_OK)
        verbs_connector_wake(fabric);
    return status;
}
