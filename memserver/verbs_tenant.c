/* verbs_tenant.c: the gateways of a memory node over RDMA: authentication, what they may reach, seats and fences. See
 * verbs_peer.h; on the server's thread. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node_log.h"
#include "verbs_peer.h"

#define REMOTE_ACCESS (IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC)

uint64_t verbs_random(void) {
    const struct dm_env *env = dm_env_system();
    return env->random_u64(env->context);
}

/* ---- Memory ----------------------------------------------------------------------------------------------------- */

bool verbs_domain_open(struct verbs_server *server, struct verbs_domain *domain, bool memory, char *error,
                       size_t error_bytes) {
    const size_t messages = (VERBS_MESSAGES_RECEIVED + VERBS_PEERS_MAX) * sizeof *server->messages;
    const int access = IBV_ACCESS_LOCAL_WRITE | (server->windows ? IBV_ACCESS_MW_BIND : REMOTE_ACCESS);
    domain->pd = ibv_alloc_pd(server->device.context);
    if (!domain->pd) {
        snprintf(error, error_bytes, "the device has no protection domain left");
        return false;
    }
    domain->messages_mr =
        verbs_memory_register(domain->pd, server->messages, messages, IBV_ACCESS_LOCAL_WRITE, error, error_bytes);
    if (domain->messages_mr && memory)
        domain->mr =
            verbs_memory_register(domain->pd, server->memory->base, server->memory->bytes, access, error, error_bytes);
    if (domain->messages_mr && (domain->mr || !memory))
        return true;
    verbs_domain_close(domain);
    return false;
}

void verbs_domain_close(struct verbs_domain *domain) {
    if (domain->mr)
        ibv_dereg_mr(domain->mr);
    if (domain->messages_mr)
        ibv_dereg_mr(domain->messages_mr);
    if (domain->pd)
        ibv_dealloc_pd(domain->pd);
    *domain = (struct verbs_domain){0};
}

/* ---- Tenants ---------------------------------------------------------------------------------------------------- */

struct verbs_tenant *verbs_tenant_of_session(struct verbs_server *server, uint64_t session) {
    struct verbs_tenant *tenant = server->tenants;
    while (tenant && tenant->session != session)
        tenant = tenant->next;
    return tenant;
}

static struct verbs_tenant *tenant_of_identity(struct verbs_server *server, uint64_t identity) {
    struct verbs_tenant *tenant = server->tenants;
    while (tenant && tenant->identity != identity)
        tenant = tenant->next;
    return tenant;
}

bool verbs_tenant_is_fenced(const struct verbs_server *server, uint64_t identity) {
    for (uint32_t i = 0; i < VERBS_FENCED_MAX; i++)
        if (server->fenced[i] == identity)
            return true;
    return false;
}

static uint64_t clock_ns(void) {
    const struct dm_env *env = dm_env_system();
    return env->clock_ns(env->context);
}

static void seats_hold(struct verbs_server *server, uint64_t identity, bool held) {
    const uint64_t now_ns = clock_ns();
    for (uint32_t i = 0; i < VERBS_SEATS_MAX; i++)
        if (server->seats[i].identity == identity) {
            server->seats[i].held = held;
            server->seats[i].left_ns = now_ns;
        }
}

/* Held, or held a moment ago by a gateway that may come back. */
static bool seat_is_kept(const struct verbs_server *server, const struct verbs_seat *seat) {
    if (seat->held || seat->identity == 0)
        return seat->held;
    return clock_ns() - seat->left_ns < VERBS_SEAT_GRACE_NS && !verbs_tenant_is_fenced(server, seat->identity);
}

void verbs_tenant_end(struct verbs_server *server, struct verbs_tenant *tenant, const char *why) {
    for (struct verbs_tenant **at = &server->tenants; *at; at = &(*at)->next)
        if (*at == tenant) {
            *at = tenant->next;
            break;
        }
    for (struct verbs_peer *peer = server->peers; peer;) {
        struct verbs_peer *next = peer->next;
        if (peer->tenant == tenant) {
            peer->tenant = NULL; /* closing it is not to end the tenant once more */
            server->unproven += peer->control;
            verbs_peer_close(server, peer, NULL);
            next = server->peers; /* the list has changed */
        }
        peer = next;
    }
    verbs_domain_close(&tenant->own);
    seats_hold(server, tenant->identity, false);
    node_log(DM_LOG_NOTICE, "gateway %016" PRIx64 " disconnected: %s", tenant->identity, why);
    free(tenant);
}

/* The peer has proved that it knows the secret. */
static struct verbs_tenant *tenant_begin(struct verbs_server *server, struct verbs_peer *peer) {
    const uint64_t identity = peer->handshake.request.identity;
    struct verbs_tenant *old = tenant_of_identity(server, identity);
    char error[512] = "out of memory";
    if (old)
        verbs_tenant_end(server, old, "it connects anew");
    struct verbs_tenant *tenant = calloc(1, sizeof *tenant);
    if (!tenant || (!server->windows && !verbs_domain_open(server, &tenant->own, true, error, sizeof error))) {
        node_log(DM_LOG_WARNING, "gateway %016" PRIx64 " refused: %s", identity, error);
        free(tenant);
        return NULL;
    }
    tenant->identity = identity;
    tenant->session = peer->handshake.session;
    verbs_proof_make(&peer->handshake, VERBS_PROVER_SESSION_KEY, server->secret, server->config.secret_bytes,
                     tenant->key);
    tenant->next = server->tenants;
    server->tenants = tenant;
    peer->tenant = tenant;
    server->unproven--;
    seats_hold(server, identity, true); /* of one that was away for a moment, and that nobody has fenced */
    node_log(DM_LOG_NOTICE, "gateway %016" PRIx64 " connected from %s", identity, peer->address);
    return tenant;
}

/* ---- Messages --------------------------------------------------------------------------------------------------- */

static void peer_refuse(struct verbs_server *server, struct verbs_peer *peer, enum verbs_reason reason,
                        const char *why) {
    const struct verbs_message refused = {.head = verbs_head_make(VERBS_REFUSED), .reason = reason};
    node_log(DM_LOG_WARNING, "%s refused: %s", peer->address, why);
    /* It closes the connection; closing here would take the answer away from it. */
    if (!verbs_peer_send(server, peer, &refused))
        verbs_peer_close(server, peer, why);
}

static void auth_handle(struct verbs_server *server, struct verbs_peer *peer, const struct verbs_message *message) {
    uint8_t proof[VERBS_PROOF_BYTES];
    const struct verbs_message welcome = {.head = verbs_head_make(VERBS_WELCOME),
                                          .memory_bytes = server->memory->bytes};
    verbs_proof_make(&peer->handshake, VERBS_PROVER_GATEWAY, server->secret, server->config.secret_bytes, proof);
    if (!verbs_proof_equal(proof, message->proof, sizeof proof))
        peer_refuse(server, peer, VERBS_REASON_SECRET, "wrong secret (rdma.secret_file)");
    else if (verbs_tenant_is_fenced(server, peer->handshake.request.identity))
        peer_refuse(server, peer, VERBS_REASON_IDENTITY_FENCED, "this gateway was fenced");
    else if (!tenant_begin(server, peer))
        peer_refuse(server, peer, VERBS_REASON_RESOURCES, "no resources");
    else if (!verbs_peer_send(server, peer, &welcome))
        verbs_peer_close(server, peer, "it takes no messages");
}

static void fence(struct verbs_server *server, uint64_t identity) {
    if (identity == 0 || verbs_tenant_is_fenced(server, identity))
        return;
    server->fenced[server->fenced_next++ % VERBS_FENCED_MAX] = identity;
    struct verbs_tenant *tenant = tenant_of_identity(server, identity);
    if (tenant)
        verbs_tenant_end(server, tenant, "fenced by another gateway");
    else
        node_log(DM_LOG_NOTICE, "gateway %016" PRIx64 " fenced; it was not connected", identity);
}

static void seat_handle(struct verbs_server *server, const struct verbs_tenant *tenant, uint16_t kind,
                        struct verbs_message *message) {
    message->call.held = 1; /* of a seat that there is not */
    message->call.identity = 0;
    if (message->call.seat >= VERBS_SEATS_MAX)
        return;
    struct verbs_seat *seat = &server->seats[message->call.seat];
    if (kind == VERBS_SEAT_TAKE && (!seat_is_kept(server, seat) || seat->identity == tenant->identity))
        *seat = (struct verbs_seat){.identity = tenant->identity, .held = true};
    if (kind == VERBS_SEAT_LEAVE && seat->identity == tenant->identity)
        *seat = (struct verbs_seat){0};
    message->call.held = seat_is_kept(server, seat);
    message->call.identity = seat->identity;
}

void verbs_tenant_message(struct verbs_server *server, struct verbs_peer *peer, const struct verbs_message *message) {
    struct verbs_message answer = *message;
    if (message->head.kind == VERBS_AUTH && !peer->tenant) {
        auth_handle(server, peer, message);
        return;
    }
    if (!peer->tenant) {
        verbs_peer_close(server, peer, "a call without authentication");
        return;
    }
    switch (message->head.kind) {
    case VERBS_FENCE:
        if (message->call.identity != peer->tenant->identity)
            fence(server, message->call.identity);
        break;
    case VERBS_SEAT_TAKE:
    case VERBS_SEAT_LEAVE:
    case VERBS_SEAT_LOOK:
        seat_handle(server, peer->tenant, message->head.kind, &answer);
        break;
    default:
        verbs_peer_close(server, peer, "a message that is not understood");
        return;
    }
    if (!verbs_peer_send(server, peer, &answer))
        verbs_peer_close(server, peer, "it takes no messages");
}
