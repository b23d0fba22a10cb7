/* verbs_peer.c: the connections of a memory node over RDMA, from the request to the end. See verbs_peer.h; on the
 * server's thread. A request is judged before anything is made for it. */
#include "verbs_peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node_log.h"

#define REMOTE_ACCESS (IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC)
#define SEND_DEPTH 8u

/* ---- Messages --------------------------------------------------------------------------------------------------- */

struct verbs_peer *verbs_peer_find(struct verbs_server *server, uint32_t qp_num) {
    struct verbs_peer *peer = server->peers;
    while (peer && peer->qp->qp_num != qp_num)
        peer = peer->next;
    return peer;
}

static const struct verbs_domain *peer_domain(const struct verbs_server *server, const struct verbs_peer *peer) {
    return peer->control || server->windows ? &server->domain : &peer->tenant->own;
}

/* One message of a peer at a time: it does not ask again before it has the answer. `before` (may be NULL) is carried
 * out first. */
static bool message_post(struct verbs_server *server, struct verbs_peer *peer, const struct verbs_message *message,
                         struct ibv_send_wr *before) {
    struct verbs_message *out = &server->messages[VERBS_MESSAGES_RECEIVED + peer->slot];
    struct ibv_sge part = {(uintptr_t)out, sizeof *out, peer_domain(server, peer)->messages_mr->lkey};
    struct ibv_send_wr request = {.wr_id = VERBS_MESSAGES_RECEIVED + peer->slot,
                                  .sg_list = &part,
                                  .num_sge = 1,
                                  .opcode = IBV_WR_SEND,
                                  .send_flags = IBV_SEND_SIGNALED};
    struct ibv_send_wr *bad;
    *out = *message;
    if (before)
        before->next = &request;
    return ibv_post_send(peer->qp, before ? before : &request, &bad) == 0;
}

bool verbs_peer_send(struct verbs_server *server, struct verbs_peer *peer, const struct verbs_message *message) {
    return message_post(server, peer, message, NULL);
}

/* ---- Granting --------------------------------------------------------------------------------------------------- */

void verbs_peer_established(struct verbs_server *server, struct verbs_peer *peer) {
    if (peer->control)
        return;
    const struct verbs_domain *domain = peer_domain(server, peer);
    const uint64_t base = (uintptr_t)server->memory->base;
    struct verbs_message grant = {.head = verbs_head_make(VERBS_GRANT),
                                  .grant = {.base = base, .bytes = server->memory->bytes, .rkey = domain->mr->rkey}};
    struct ibv_send_wr bind = {.wr_id = VERBS_MESSAGES_RECEIVED + peer->slot,
                               .opcode = IBV_WR_BIND_MW,
                               .bind_mw = {.bind_info = {.mr = domain->mr,
                                                         .addr = base,
                                                         .length = server->memory->bytes,
                                                         .mw_access_flags = REMOTE_ACCESS}}};
    if (server->windows) {
        peer->window = ibv_alloc_mw(domain->pd, IBV_MW_TYPE_2);
        if (!peer->window) {
            node_log(DM_LOG_WARNING,
                     "%s: the device has no memory window left (%s); rdma.memory_windows = no does without",
                     peer->address, strerror(errno));
            verbs_peer_close(server, peer, "no memory window");
            return;
        }
        bind.bind_mw.mw = peer->window;
        bind.bind_mw.rkey = ibv_inc_rkey(peer->window->rkey);
        grant.grant.rkey = bind.bind_mw.rkey;
    }
    if (!message_post(server, peer, &grant, server->windows ? &bind : NULL))
        verbs_peer_close(server, peer, "the queue pair takes no requests");
}

/* ---- Accepting -------------------------------------------------------------------------------------------------- */

static void knock_reject(const struct verbs_knock *knock, enum verbs_reason reason, const char *address) {
    const struct verbs_reject reject = {.head = verbs_head_make(VERBS_REJECTED), .reason = reason};
    node_log(DM_LOG_WARNING, "connection of %s refused: %s", address, verbs_reason_text(reason));
    rdma_reject(knock->id, &reject, sizeof reject);
    rdma_destroy_id(knock->id);
}

static void address_format(const struct rdma_cm_id *id, char *out, size_t bytes) {
    struct rdma_cm_id *of = (struct rdma_cm_id *)(uintptr_t)id;
    const struct sockaddr *peer = rdma_get_peer_addr(of);
    char host[48] = "?";
    if (peer->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)peer)->sin_addr, host, sizeof host);
    else if (peer->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr, host, sizeof host);
    snprintf(out, bytes, "%s:%u", host, ntohs(rdma_get_dst_port(of)));
}

static uint32_t slot_take(struct verbs_server *server, struct verbs_peer *peer) {
    uint32_t slot = 0;
    while (server->slots[slot])
        slot++;
    server->slots[slot] = peer;
    return slot;
}

/* The connection's queue pair, ready but for iWARP's, where accepting makes it so. */
static bool pair_open(struct verbs_server *server, struct verbs_peer *peer, const struct verbs_knock *knock,
                      char *error, size_t error_bytes) {
    struct ibv_qp_init_attr attr = {
        .qp_type = IBV_QPT_RC,
        .send_cq = server->cq,
        .recv_cq = server->cq,
        .srq = peer->control ? server->srq : NULL,
        .cap = {.max_send_wr = SEND_DEPTH, .max_recv_wr = peer->control ? 0 : 1, .max_send_sge = 1, .max_recv_sge = 1}};
    const int access = peer->control ? 0 : REMOTE_ACCESS;
    peer->qp = ibv_create_qp(peer_domain(server, peer)->pd, &attr);
    if (!peer->qp) {
        snprintf(error, error_bytes, "the device has no queue pair left: %s", strerror(errno));
        return false;
    }
    if (verbs_pair_init(knock->id, peer->qp, access, error, error_bytes) != DM_OK)
        return false;
    return server->device.iwarp ||
           verbs_pair_ready(knock->id, peer->qp, &server->config, knock->depth, NULL, error, error_bytes) == DM_OK;
}

/* Makes the peer and accepts. `accept` is the private data of the answer. */
static void peer_open(struct verbs_server *server, struct verbs_peer *peer, struct verbs_knock *knock,
                      const void *accept, uint8_t accept_bytes) {
    char error[384];
    const uint8_t depth_max = verbs_depth_clamp(server->device.attr.max_qp_rd_atom);
    knock->depth = knock->depth < depth_max ? knock->depth : depth_max;
    struct rdma_conn_param param = {.private_data = accept,
                                    .private_data_len = accept_bytes,
                                    .responder_resources = knock->depth,
                                    .rnr_retry_count = (uint8_t)server->config.rnr_retry,
                                    .srq = peer->control};
    if (!pair_open(server, peer, knock, error, sizeof error)) {
        node_log(DM_LOG_WARNING, "connection of %s: %s", peer->address, error);
        goto out_reject;
    }
    param.qp_num = peer->qp->qp_num;
    knock->id->context = peer;
    peer->id = knock->id;
    if (rdma_accept(knock->id, &param) != 0) {
        node_log(DM_LOG_WARNING, "connection of %s: cannot accept it: %s", peer->address, strerror(errno));
        goto out_reject;
    }
    peer->slot = slot_take(server, peer);
    peer->next = server->peers;
    server->peers = peer;
    server->peer_count++;
    server->unproven += peer->control;
    if (peer->tenant)
        peer->tenant->links++;
    return;
out_reject:
    if (peer->qp)
        ibv_destroy_qp(peer->qp);
    knock_reject(knock, VERBS_REASON_RESOURCES, peer->address);
    free(peer);
}

static void control_knock(struct verbs_server *server, struct verbs_knock *knock, struct verbs_peer *peer) {
    struct verbs_handshake *handshake = &peer->handshake;
    struct verbs_control_accept accept = {
        .head = verbs_head_make(VERBS_ACCEPTED), .session = verbs_random(), .incarnation = server->incarnation};
    const uint64_t nonce[2] = {verbs_random(), verbs_random()};
    memcpy(accept.nonce, nonce, sizeof accept.nonce);
    memcpy(&handshake->request, knock->data, sizeof handshake->request);
    handshake->session = accept.session;
    handshake->incarnation = accept.incarnation;
    memcpy(handshake->nonce, accept.nonce, sizeof handshake->nonce);
    verbs_proof_make(handshake, VERBS_PROVER_NODE, server->secret, server->config.secret_bytes, accept.proof);
    peer->control = true;
    peer_open(server, peer, knock, &accept, sizeof accept);
}

static enum verbs_reason control_judge(const struct verbs_server *server, const struct verbs_control_request *request) {
    if (request->pool != server->pool)
        return VERBS_REASON_POOL;
    if (verbs_tenant_is_fenced(server, request->identity))
        return VERBS_REASON_IDENTITY_FENCED;
    return server->unproven >= VERBS_UNPROVEN_MAX ? VERBS_REASON_FULL : 0;
}

/* A new connection of a link ends its old one first, so that nothing late comes from that. */
static void link_end(struct verbs_server *server, const struct verbs_tenant *tenant, uint32_t link) {
    for (struct verbs_peer *peer = server->peers; peer; peer = peer->next)
        if (!peer->control && peer->tenant == tenant && peer->link == link) {
            verbs_peer_close(server, peer, NULL);
            return;
        }
}

static enum verbs_reason data_judge(struct verbs_server *server, const struct verbs_data_request *request,
                                    struct verbs_tenant **tenant) {
    uint8_t proof[VERBS_LINK_PROOF_BYTES];
    *tenant = verbs_tenant_of_session(server, request->session);
    if (!*tenant)
        return VERBS_REASON_SESSION;
    verbs_link_proof_make(request, (*tenant)->key, proof);
    if (!verbs_proof_equal(proof, request->proof, sizeof proof))
        return VERBS_REASON_SECRET;
    if (!verbs_window_take(&(*tenant)->counters, request->counter))
        return VERBS_REASON_SESSION;
    link_end(server, *tenant, request->link);
    return (*tenant)->links >= VERBS_TENANT_LINKS_MAX ? VERBS_REASON_FULL : 0;
}

void verbs_peer_knock(struct verbs_server *server, const struct verbs_knock *given) {
    struct verbs_knock knock = *given;
    struct verbs_head head;
    struct verbs_data_request data = {0};
    struct verbs_control_request control = {0};
    struct verbs_tenant *tenant = NULL;
    char address[sizeof((struct verbs_peer *)NULL)->address];
    enum verbs_reason reason = 0;
    address_format(knock.id, address, sizeof address);
    if (!verbs_head_check(knock.data, knock.data_bytes, sizeof control)) {
        knock_reject(&knock, VERBS_REASON_VERSION, address);
        return;
    }
    memcpy(&head, knock.data, sizeof head);
    memcpy(&control, knock.data, sizeof control);
    if (knock.data_bytes >= sizeof data)
        memcpy(&data, knock.data, sizeof data);
    if (head.kind != VERBS_CONTROL && head.kind != VERBS_DATA)
        reason = VERBS_REASON_VERSION;
    else
        reason = head.kind == VERBS_CONTROL ? control_judge(server, &control) : data_judge(server, &data, &tenant);
    if (reason == 0 && server->peer_count >= VERBS_PEERS_MAX)
        reason = VERBS_REASON_FULL;
    struct verbs_peer *peer = reason == 0 ? calloc(1, sizeof *peer) : NULL;
    if (!peer) {
        knock_reject(&knock, reason != 0 ? reason : VERBS_REASON_RESOURCES, address);
        return;
    }
    memcpy(peer->address, address, sizeof address);
    if (head.kind == VERBS_CONTROL) {
        control_knock(server, &knock, peer);
        return;
    }
    const struct verbs_head accepted = verbs_head_make(VERBS_ACCEPTED);
    peer->tenant = tenant;
    peer->link = data.link;
    peer_open(server, peer, &knock, &accepted, sizeof accepted);
}

/* ---- Ending ----------------------------------------------------------------------------------------------------- */

void verbs_peer_close(struct verbs_server *server, struct verbs_peer *peer, const char *why) {
    struct verbs_tenant *tenant = peer->tenant;
    if (peer->control && tenant) { /* comes back here, without a tenant */
        verbs_tenant_end(server, tenant, why ? why : "its control connection ended");
        return;
    }
    if (why)
        node_log(DM_LOG_NOTICE, "connection of %s closed: %s", peer->address, why);
    for (struct verbs_peer **at = &server->peers; *at; at = &(*at)->next)
        if (*at == peer) {
            *at = peer->next;
            break;
        }
    server->slots[peer->slot] = NULL;
    server->peer_count--;
    if (tenant)
        tenant->links--;
    if (peer->control)
        server->unproven--;
    verbs_pair_break(peer->qp); /* from here on the adapter takes nothing from it, whatever the rest does */
    if (peer->window)
        ibv_dealloc_mw(peer->window);
    (void)rdma_disconnect(peer->id);
    ibv_destroy_qp(peer->qp);
    rdma_destroy_id(peer->id);
    free(peer);
}
