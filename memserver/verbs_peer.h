/* verbs_peer.h: what the files of the memory node's RDMA server share: the server, its tenants (gateway processes) and
 * its peers (their connections). Not for anybody outside of memserver/verbs*.c. One thread, the one that runs the
 * server.
 *
 * A gateway's memory access is limited in one of two ways, by what the device can do:
 *   windows   one protection domain and one registration for all; the registration itself allows no remote access. Each
 *             data connection gets a memory window of type 2B, whose key works on its own queue pair only.
 *   domains   where a device has no windows: a protection domain and a registration for each gateway identity, whose
 * key
 *             works on the queue pairs of that identity only.
 * Either way the fence is the end of the window and of the queue pairs: behind that the adapter drops what may still
 * come.
 */
#ifndef VERBS_PEER_H
#define VERBS_PEER_H

#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>

#include "fabric/verbs_device.h"
#include "fabric/verbs_wire.h"
#include "verbs_server.h"

#define VERBS_PEERS_MAX 4096u        /* connections, of both kinds */
#define VERBS_TENANT_LINKS_MAX 256u  /* data connections of one gateway */
#define VERBS_UNPROVEN_MAX 64u       /* control connections that have not authenticated */
#define VERBS_MESSAGES_RECEIVED 256u /* buffers of the shared receive queue */
#define VERBS_FENCED_MAX 4096u       /* identities remembered */
#define VERBS_SEATS_MAX 65536u
/* A gateway whose connection was cut comes back within this time, and has to find its seats its own. */
#define VERBS_SEAT_GRACE_NS UINT64_C(5000000000)

struct verbs_tenant;

/* A connection. */
struct verbs_peer {
    struct verbs_peer *next;     /* of the server */
    struct verbs_tenant *tenant; /* NULL: has not authenticated */
    struct rdma_cm_id *id;
    struct ibv_qp *qp;
    bool control;
    uint32_t slot;                    /* where its messages are sent from */
    struct verbs_handshake handshake; /* control */
    uint32_t link;                    /* data */
    struct ibv_mw *window;
    char address[64];
};

/* Where memory is registered: the server's, or a tenant's own. */
struct verbs_domain {
    struct ibv_pd *pd;
    struct ibv_mr *mr;
    struct ibv_mr *messages_mr; /* of the server's messages */
};

/* A gateway process that has authenticated. */
struct verbs_tenant {
    struct verbs_tenant *next;
    uint64_t identity, session;
    uint8_t key[VERBS_PROOF_BYTES];
    struct verbs_window counters;
    struct verbs_domain own; /* without windows */
    uint32_t links;
};

struct verbs_seat {
    uint64_t identity; /* who holds it, or was the last to and did not leave it; 0: nobody */
    bool held;
    uint64_t left_ns; /* since when it is not held; it counts as empty VERBS_SEAT_GRACE_NS later */
};

struct verbs_server {
    const struct memory *memory;
    struct dm_verbs_config config; /* its secret is the one below, its texts are not used */
    uint64_t pool, incarnation;
    uint8_t secret[VERBS_SECRET_BYTES_MAX];
    struct rdma_event_channel *events;
    struct rdma_cm_id *listener;
    struct verbs_device device;
    bool windows;
    struct ibv_comp_channel *channel;
    struct ibv_cq *cq;
    struct ibv_srq *srq;            /* of control connections */
    struct verbs_domain domain;     /* of control connections, and with windows of all */
    struct verbs_message *messages; /* VERBS_MESSAGES_RECEIVED received, then one for each peer to send */
    struct verbs_peer *slots[VERBS_PEERS_MAX];
    struct verbs_peer *peers;
    struct verbs_tenant *tenants;
    uint32_t peer_count, unproven;
    int epoll;
    uint64_t fenced[VERBS_FENCED_MAX]; /* a ring */
    uint32_t fenced_next;
    struct verbs_seat seats[VERBS_SEATS_MAX];
};

/* ---- verbs_peer.c: connections ---------------------------------------------------------------------------------- */

/* What the connection manager's event of a request brought; its memory is the caller's. */
struct verbs_knock {
    struct rdma_cm_id *id;
    const uint8_t *data;
    size_t data_bytes;
    uint8_t depth; /* READs and atomics that the other side wants outstanding */
};

/* Accepts or rejects; the id belongs to the peer, or is gone. */
void verbs_peer_knock(struct verbs_server *server, const struct verbs_knock *knock);
/* Both sides are ready: a data connection gets the memory. */
void verbs_peer_established(struct verbs_server *server, struct verbs_peer *peer);
/* Ends it; when it returns the adapter takes nothing from it any more. Of a control connection: the tenant too. */
void verbs_peer_close(struct verbs_server *server, struct verbs_peer *peer, const char *why);
bool verbs_peer_send(struct verbs_server *server, struct verbs_peer *peer, const struct verbs_message *message);
struct verbs_peer *verbs_peer_find(struct verbs_server *server, uint32_t qp_num);

/* ---- verbs_tenant.c: gateways, their memory, seats and fences --------------------------------------------------- */

bool verbs_domain_open(struct verbs_server *server, struct verbs_domain *domain, bool memory, char *error,
                       size_t error_bytes);
void verbs_domain_close(struct verbs_domain *domain);

/* A message of a control connection. The peer may be gone afterwards. */
void verbs_tenant_message(struct verbs_server *server, struct verbs_peer *peer, const struct verbs_message *message);
struct verbs_tenant *verbs_tenant_of_session(struct verbs_server *server, uint64_t session);
bool verbs_tenant_is_fenced(const struct verbs_server *server, uint64_t identity);
/* Ends all of its connections and its memory. */
void verbs_tenant_end(struct verbs_server *server, struct verbs_tenant *tenant, const char *why);

uint64_t verbs_random(void);

#endif
